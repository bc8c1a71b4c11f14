//! The coordinator of groups: the groups of one partition of `__consumer_offsets` with what they have committed. Says which group
//! answers, and of which protocol it is; what a group of members does is that group's.

mod group;
mod members;
mod report;
mod view;

use alloc::boxed::Box;
use alloc::collections::btree_map::Entry;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;
use core::mem;

use self::group::{Group, Seat};
pub use self::report::{GroupReport, OffsetReport};
pub use self::view::GroupsView;
use super::classic::ClassicGroup;
use super::command::{CommitOffsets, DeleteOffsets, FetchOffsets, GroupCommand, GroupError, GroupReply};
use super::consumer::ConsumerGroup;
use super::offsets::{Aging, Offsets, Old};
use super::out::{GroupEvent, Out};
use super::record::{ClassicValue, GroupRecord};
use super::settings::GroupSettings;
use super::topics::Surroundings;
use crate::coordinator::{Decision, KeyedRecord, Machine, Token, Turn, Unavailable, Unreadable, When};
use crate::limits::OFFSETS_DELETED_AT_ONCE;
use crate::mutant::{self, Mutant};
use crate::time::{Duration, Instant};

#[derive(Debug, Default)]
pub struct Groups {
    groups: BTreeMap<String, Seat>,
    /// When groups want to be told the time; one for each that does.
    timers: BTreeSet<(Instant, String)>,
    offsets: Offsets,
    /// When offsets are looked at for their age.
    check_at: Option<Instant>,
    events: Vec<GroupEvent>,
    /// The group that a decision took the place of another with, until its records are replayed or refused; and that other, if any.
    replaced: Option<(String, Option<Group>)>,
}

/// The same, but for what is planted.
fn aged(aging: Aging) -> Aging {
    match aging {
        Aging::Since(_) if mutant::on(Mutant::OffsetsKeptForEver) => Aging::Never,
        Aging::Since(_) if mutant::on(Mutant::ExpirySinceCommit) => Aging::SinceCommit,
        Aging::Never | Aging::SinceCommit | Aging::Since(_) => aging,
    }
}

type Made = Decision<GroupRecord, GroupReply>;

impl Groups {
    fn group(&self, name: &str) -> Option<&Group> {
        self.groups.get(name).map(|seat| &seat.group)
    }

    fn step(
        &mut self,
        turn: &mut Turn<'_, dyn Surroundings>,
        settings: &GroupSettings,
        act: impl FnOnce(&mut Self, &mut Out<'_>, &dyn Surroundings),
    ) -> Made {
        let mut decision = Decision::default();
        let mut events = mem::take(&mut self.events);
        let (now, prng) = (turn.now, &mut *turn.prng);
        let mut out = Out { now, prng, settings, decision: &mut decision, events: &mut events };
        act(self, &mut out, turn.surroundings);
        self.events = events;
        decision
    }

    fn answer(&mut self, out: &mut Out<'_>, topics: &dyn Surroundings, from: Token, command: GroupCommand) {
        let reply = match command {
            GroupCommand::Join(join) => return self.join(out, topics, from, join),
            GroupCommand::Sync(sync) => return self.sync(out, topics, from, sync),
            GroupCommand::Heartbeat(heartbeat) => return self.heartbeat(out, from, &heartbeat),
            GroupCommand::Leave(leave) => return self.leave(out, topics, from, leave),
            GroupCommand::ConsumerHeartbeat(heartbeat) => {
                return self.consumer_heartbeat(out, topics, from, heartbeat);
            }
            GroupCommand::CommitOffsets(commit) => self.commit(out, topics, commit),
            GroupCommand::FetchOffsets(fetch) => self.fetch(fetch),
            GroupCommand::DeleteOffsets(delete) => self.delete_offsets(&delete, out),
            GroupCommand::List => Ok(self.list()),
            GroupCommand::Describe(name) => self.describe(&name),
            GroupCommand::ConsumerDescribe(name) => self.describe_consumer(&name, out.settings),
            GroupCommand::Delete(name) => self.delete(&name, out),
        };
        out.answer(from, reply.unwrap_or_else(GroupReply::Failed), When::Committed);
    }

    fn commit(
        &mut self,
        out: &mut Out<'_>,
        topics: &dyn Surroundings,
        commit: CommitOffsets,
    ) -> Result<GroupReply, GroupError> {
        match self.groups.get_mut(&commit.group).map(|seat| &mut seat.group) {
            Some(group) => group.on_commit(out.now, topics, &commit)?,
            // Who is no member commits to a group that it makes by that.
            None if commit.generation < 0 => {}
            None if commit.knows_member_epochs => return Err(GroupError::GroupNotFound),
            None => return Err(GroupError::IllegalGeneration),
        }
        let len_max = out.settings.metadata_bytes_max;
        let several = commit.offsets.len() > 1;
        let results = Offsets::commit(commit, out.now.wall, len_max, &mut out.decision.records);
        if several && mutant::on(Mutant::CommitCutShort) {
            out.decision.records.pop();
        }
        Ok(GroupReply::Committed(results))
    }

    /// Of a group that is not there nothing was committed.
    fn fetch(&self, fetch: FetchOffsets) -> Result<GroupReply, GroupError> {
        if let Some(group) = self.group(&fetch.group) {
            group.check_fetch(&fetch)?;
        }
        let group = match self.groups.keys().next() {
            Some(first) if mutant::on(Mutant::OffsetsOfAnotherGroup) => first,
            _ => &fetch.group,
        };
        Ok(GroupReply::Fetched(self.offsets.fetch(group, fetch.partitions)))
    }

    fn delete_offsets(&self, delete: &DeleteOffsets, out: &mut Out<'_>) -> Result<GroupReply, GroupError> {
        let group = self.group(&delete.group).ok_or(GroupError::GroupNotFound)?;
        group.check_delete_offsets()?;
        let is_subscribed = |topic: &str| group.is_subscribed(topic);
        let records = &mut out.decision.records;
        Ok(GroupReply::Deleted(self.offsets.delete(
            &delete.group,
            &delete.partitions,
            is_subscribed,
            records,
        )))
    }

    fn delete(&self, name: &str, out: &mut Out<'_>) -> Result<GroupReply, GroupError> {
        let group = self.group(name).ok_or(GroupError::GroupNotFound)?;
        if !group.is_empty() {
            return Err(GroupError::NonEmpty);
        }
        self.offsets.delete_all(name, &mut out.decision.records);
        group.bury(name, &mut out.decision.records);
        Ok(GroupReply::Done)
    }

    fn list(&self) -> GroupReply {
        GroupReply::Listed(self.groups.iter().map(|(name, seat)| seat.group.listed(name)).collect())
    }

    fn delete_lost(&mut self, turn: &Turn<'_, dyn Surroundings>, decision: &mut Made) {
        let find = |name: &str| turn.surroundings.topic(name).map(|topic| topic.id);
        self.offsets.delete_lost(find, &mut decision.records);
    }

    /// A group without members goes with the last of its offsets.
    fn expire(&self, turn: &Turn<'_, dyn Surroundings>, decision: &mut Made) {
        let mut retention = turn.surroundings.settings("").offsets_retention;
        if mutant::on(Mutant::OffsetsExpireAtOnce) {
            retention = Duration::ZERO;
        }
        for (name, seat) in &self.groups {
            let group = &seat.group;
            let old = Old { group: name, aging: aged(group.aging()), retention, now: turn.now.wall };
            let is_subscribed =
                |topic: &str| group.is_subscribed(topic) && !mutant::on(Mutant::ExpiryIgnoresMembers);
            let all = self.offsets.expire(&old, is_subscribed, &mut decision.records);
            if all && group.is_empty() && !group.expects_members() {
                group.bury(name, &mut decision.records);
            }
            if decision.records.len() >= OFFSETS_DELETED_AT_ONCE {
                return;
            }
        }
    }

    /// Looks again at once where more was to be deleted than may be at once.
    fn check_again(&mut self, turn: &Turn<'_, dyn Surroundings>, decision: &Made) {
        let pause = turn.surroundings.settings("").offsets_check_interval;
        let more = decision.records.len() >= OFFSETS_DELETED_AT_ONCE;
        self.check_at = Some(if more { turn.now.mono } else { turn.now.mono + pause });
    }

    /// The group has no members any more, and never will have as one of its protocol. It is there as long as it has offsets.
    fn buried(&mut self, name: &str) {
        let Some(seat) = self.groups.get_mut(name) else { return };
        seat.group = Group::Simple;
        seat.settle(name, &mut self.timers);
        if !self.offsets.has(name) {
            self.groups.remove(name);
        }
    }

    fn replay_classic(&mut self, name: String, value: ClassicValue) {
        match self.groups.entry(name) {
            Entry::Occupied(mut entry) => {
                let name = entry.key().clone();
                match &mut entry.get_mut().group {
                    Group::Classic(group) => group.replay(value),
                    other @ (Group::Simple | Group::Consumer(_)) => {
                        *other = Group::Classic(Box::new(ClassicGroup::load(name, value)));
                    }
                }
            }
            Entry::Vacant(entry) => {
                let group = Box::new(ClassicGroup::load(entry.key().clone(), value));
                entry.insert(Seat::new(Group::Classic(group)));
            }
        }
    }

    /// The group of the consumer protocol that a record is of; one that says that something is, makes it.
    fn replayed<V>(&mut self, name: &str, value: Option<&V>) -> Option<&mut ConsumerGroup> {
        if !matches!(self.group(name), Some(Group::Consumer(_))) {
            value?;
            let group = Box::new(ConsumerGroup::new(String::from(name)));
            self.groups.insert(String::from(name), Seat::new(Group::Consumer(group)));
        }
        match &mut self.groups.get_mut(name)?.group {
            Group::Consumer(group) => Some(group),
            Group::Simple | Group::Classic(_) => None,
        }
    }

    fn replay_consumer(&mut self, record: GroupRecord) {
        match record {
            GroupRecord::Consumer { group: name, value } => {
                let gone = value.is_none();
                if let Some(group) = self.replayed(&name, value.as_ref()) {
                    group.replay_group(value);
                    if gone {
                        self.buried(&name);
                    }
                }
            }
            GroupRecord::Member { group, member, value } => {
                if let Some(group) = self.replayed(&group, value.as_ref()) {
                    group.replay_member(member, value);
                }
            }
            GroupRecord::TargetEpoch { group, value } => {
                if let Some(group) = self.replayed(&group, value.as_ref()) {
                    group.replay_target_epoch(value);
                }
            }
            GroupRecord::TargetMember { group, member, value } => {
                if let Some(group) = self.replayed(&group, value.as_ref()) {
                    group.replay_target(member, value);
                }
            }
            GroupRecord::CurrentMember { group, member, value } => {
                if let Some(group) = self.replayed(&group, value.as_ref()) {
                    group.replay_current(member, value);
                }
            }
            GroupRecord::Regex { group, regex, value } => {
                if let Some(group) = self.replayed(&group, value.as_ref()) {
                    group.replay_regex(regex, value);
                }
            }
            GroupRecord::Offset { .. } | GroupRecord::Classic { .. } => {
                unreachable!("those are replayed elsewhere")
            }
        }
    }
}

impl Machine for Groups {
    type Command = GroupCommand;
    type Reply = GroupReply;
    type Record = GroupRecord;
    type Event = GroupEvent;
    type Surroundings = dyn Surroundings;

    fn handle(&mut self, turn: &mut Turn<'_, dyn Surroundings>, from: Token, command: GroupCommand) -> Made {
        let settings = turn.surroundings.settings(command.group());
        self.step(turn, &settings, |groups, out, topics| groups.answer(out, topics, from, command))
    }

    fn replay(&mut self, record: GroupRecord) {
        self.replaced = None;
        match record {
            GroupRecord::Offset { group, partition, value } => {
                if value.is_some() && !self.groups.contains_key(&group) {
                    self.groups.insert(group.clone(), Seat::new(Group::Simple));
                }
                self.offsets.replay(&group, &partition, value);
                if !self.offsets.has(&group) && matches!(self.group(&group), Some(Group::Simple)) {
                    self.groups.remove(&group);
                }
            }
            GroupRecord::Classic { group, value: Some(value) } => self.replay_classic(group, value),
            GroupRecord::Classic { group, value: None } => {
                if matches!(self.group(&group), Some(Group::Classic(_))) {
                    self.buried(&group);
                }
            }
            GroupRecord::Consumer { .. }
            | GroupRecord::Member { .. }
            | GroupRecord::TargetEpoch { .. }
            | GroupRecord::TargetMember { .. }
            | GroupRecord::CurrentMember { .. }
            | GroupRecord::Regex { .. } => self.replay_consumer(record),
        }
    }

    fn on_refused(&mut self, turn: &mut Turn<'_, dyn Surroundings>, records: &[GroupRecord]) {
        if let Some((name, former)) = self.replaced.take() {
            self.restore(&name, former);
        }
        let mut last = "";
        for record in records.iter().filter(|record| !matches!(record, GroupRecord::Offset { .. })) {
            let name = mem::replace(&mut last, record.group());
            if name != last {
                self.refused(turn, last);
            }
        }
    }

    fn on_loaded(&mut self, turn: &mut Turn<'_, dyn Surroundings>) -> Made {
        let names: Vec<String> = self.groups.keys().cloned().collect();
        if mutant::on(Mutant::CommitsNotLoaded) {
            self.offsets = Offsets::default();
        }
        let mut decision = Decision::default();
        for name in names {
            let settings = turn.surroundings.settings(&name);
            let made = self.step(turn, &settings, |groups, out, _| groups.loaded(out, &name));
            decision.records.extend(made.records);
        }
        self.delete_lost(turn, &mut decision);
        self.check_again(turn, &decision);
        decision
    }

    fn on_surroundings(&mut self, turn: &mut Turn<'_, dyn Surroundings>) -> Made {
        let mut decision = Decision::default();
        self.delete_lost(turn, &mut decision);
        if decision.records.len() >= OFFSETS_DELETED_AT_ONCE {
            self.check_at = Some(turn.now.mono);
        }
        decision
    }

    fn owed(&self) -> usize {
        self.groups.values().map(|seat| seat.group.owed()).sum()
    }

    fn deadline(&self) -> Option<Instant> {
        let check_at = self.check_at.filter(|_| !self.groups.is_empty());
        let timer = self.timers.first().map(|(at, _)| *at);
        [check_at, timer].into_iter().flatten().min()
    }

    /// One group at a time, so that what one comes to fits into a batch.
    fn on_deadline(&mut self, turn: &mut Turn<'_, dyn Surroundings>) -> Made {
        let now = turn.now.mono;
        if let Some((_, name)) = self.timers.first().filter(|(at, _)| *at <= now) {
            let (name, settings) = (name.clone(), turn.surroundings.settings(name));
            return self.step(turn, &settings, |groups, out, topics| groups.due(out, topics, &name));
        }
        let mut decision = Decision::default();
        if self.check_at.is_some_and(|at| at <= now) {
            self.delete_lost(turn, &mut decision);
            self.expire(turn, &mut decision);
            self.check_again(turn, &decision);
        }
        decision
    }

    fn take_events(&mut self) -> Vec<GroupEvent> {
        mem::take(&mut self.events)
    }

    fn encode(record: &GroupRecord) -> KeyedRecord {
        record.encode()
    }

    fn decode(key: &[u8], value: Option<&[u8]>) -> Result<Option<GroupRecord>, Unreadable> {
        GroupRecord::decode(key, value)
    }

    fn unavailable(why: Unavailable) -> GroupReply {
        GroupReply::Failed(match why {
            Unavailable::Loading => GroupError::Loading,
            Unavailable::Elsewhere => GroupError::NotCoordinator,
            Unavailable::Unable => GroupError::NotAvailable,
        })
    }

    fn too_large(reply: GroupReply) -> GroupReply {
        match reply {
            GroupReply::Committed(results) => GroupReply::Committed(
                results.into_iter().map(|result| result.and(Err(GroupError::InvalidCommitSize))).collect(),
            ),
            GroupReply::Deleted(results) => GroupReply::Deleted(
                results.into_iter().map(|result| result.and(Err(GroupError::NotAvailable))).collect(),
            ),
            GroupReply::Joined(_)
            | GroupReply::Synced(_)
            | GroupReply::Done
            | GroupReply::Left(_)
            | GroupReply::Fetched(_)
            | GroupReply::Listed(_)
            | GroupReply::Described(_)
            | GroupReply::ConsumerHeartbeat(_)
            | GroupReply::ConsumerDescribed(_)
            | GroupReply::MemberIdRequired(_) => GroupReply::Failed(GroupError::NotAvailable),
            GroupReply::Failed(error) => GroupReply::Failed(error),
        }
    }
}

#[cfg(test)]
mod tests;
