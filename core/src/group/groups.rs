//! The coordinator of groups: the groups of one partition of `__consumer_offsets` with what they have committed. Says which group
//! answers; what a group of members does is that group's.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use super::command::{
    CommitOffsets, DeleteOffsets, FetchOffsets, GroupCommand, GroupError, GroupKind, GroupReply, GroupState,
    Listed,
};
use super::offsets::{Aging, Offsets, Old};
use super::record::GroupRecord;
use super::topics::Surroundings;
use crate::coordinator::{
    Answer, Decision, KeyedRecord, Machine, Token, Turn, Unavailable, Unreadable, When,
};
use crate::limits::OFFSETS_DELETED_AT_ONCE;
use crate::time::Instant;

#[derive(Debug, Default)]
pub struct Groups {
    groups: BTreeMap<String, Group>,
    offsets: Offsets,
    /// When offsets are looked at for their age.
    check_at: Option<Instant>,
}

/// A group, by how its members agree.
#[derive(Debug)]
enum Group {
    /// It has committed offsets and never had members. It is there as long as they are.
    Simple,
}

impl Group {
    fn check_commit(&self, commit: &CommitOffsets) -> Result<(), GroupError> {
        match self {
            Self::Simple if commit.generation < 0 => Ok(()),
            Self::Simple => Err(GroupError::UnknownMember),
        }
    }

    fn check_fetch(&self, _fetch: &FetchOffsets) -> Result<(), GroupError> {
        match self {
            Self::Simple => Ok(()),
        }
    }

    fn check_delete_offsets(&self) -> Result<(), GroupError> {
        match self {
            Self::Simple => Ok(()),
        }
    }

    fn is_empty(&self) -> bool {
        match self {
            Self::Simple => true,
        }
    }

    fn is_subscribed(&self, _topic: &str) -> bool {
        match self {
            Self::Simple => false,
        }
    }

    fn aging(&self) -> Aging {
        match self {
            Self::Simple => Aging::SinceCommit,
        }
    }

    /// What makes the group gone, beside its offsets.
    fn bury(&self, _records: &mut Vec<GroupRecord>) {
        match self {
            Self::Simple => {}
        }
    }

    fn listed(&self, group: &str) -> Listed {
        match self {
            Self::Simple => Listed {
                group: String::from(group),
                protocol_type: String::new(),
                state: GroupState::Empty,
                kind: GroupKind::Classic,
            },
        }
    }
}

type Made = Decision<GroupRecord, GroupReply>;

impl Groups {
    fn commit(
        &self,
        turn: &Turn<'_, dyn Surroundings>,
        commit: CommitOffsets,
        decision: &mut Made,
    ) -> Result<GroupReply, GroupError> {
        match self.groups.get(&commit.group) {
            Some(group) => group.check_commit(&commit)?,
            // Who is no member commits to a group that it makes by that.
            None if commit.generation < 0 => {}
            None if commit.knows_member_epochs => return Err(GroupError::GroupNotFound),
            None => return Err(GroupError::IllegalGeneration),
        }
        let len_max = turn.surroundings.settings(&commit.group).metadata_bytes_max;
        let results = Offsets::commit(commit, turn.now.wall, len_max, &mut decision.records);
        Ok(GroupReply::Committed(results))
    }

    /// Of a group that is not there nothing was committed.
    fn fetch(&self, fetch: FetchOffsets) -> Result<GroupReply, GroupError> {
        if let Some(group) = self.groups.get(&fetch.group) {
            group.check_fetch(&fetch)?;
        }
        Ok(GroupReply::Fetched(self.offsets.fetch(&fetch.group, fetch.partitions)))
    }

    fn delete_offsets(&self, delete: &DeleteOffsets, decision: &mut Made) -> Result<GroupReply, GroupError> {
        let group = self.groups.get(&delete.group).ok_or(GroupError::GroupNotFound)?;
        group.check_delete_offsets()?;
        let is_subscribed = |topic: &str| group.is_subscribed(topic);
        let records = &mut decision.records;
        Ok(GroupReply::Deleted(self.offsets.delete(
            &delete.group,
            &delete.partitions,
            is_subscribed,
            records,
        )))
    }

    fn delete(&self, name: &str, decision: &mut Made) -> Result<GroupReply, GroupError> {
        let group = self.groups.get(name).ok_or(GroupError::GroupNotFound)?;
        if !group.is_empty() {
            return Err(GroupError::NonEmpty);
        }
        self.offsets.delete_all(name, &mut decision.records);
        group.bury(&mut decision.records);
        Ok(GroupReply::Done)
    }

    fn list(&self) -> GroupReply {
        GroupReply::Listed(self.groups.iter().map(|(name, group)| group.listed(name)).collect())
    }

    fn delete_lost(&mut self, turn: &Turn<'_, dyn Surroundings>, decision: &mut Made) {
        let find = |name: &str| turn.surroundings.topic(name).map(|topic| topic.id);
        self.offsets.delete_lost(find, &mut decision.records);
    }

    /// A group without members goes with the last of its offsets.
    fn expire(&self, turn: &Turn<'_, dyn Surroundings>, decision: &mut Made) {
        for (name, group) in &self.groups {
            let retention = turn.surroundings.settings(name).offsets_retention;
            let old = Old { group: name, aging: group.aging(), retention, now: turn.now.wall };
            let all = self.offsets.expire(&old, |topic| group.is_subscribed(topic), &mut decision.records);
            if all && group.is_empty() {
                group.bury(&mut decision.records);
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
}

impl Machine for Groups {
    type Command = GroupCommand;
    type Reply = GroupReply;
    type Record = GroupRecord;
    type Surroundings = dyn Surroundings;

    fn handle(&mut self, turn: &mut Turn<'_, dyn Surroundings>, from: Token, command: GroupCommand) -> Made {
        let mut decision = Decision::default();
        let reply = match command {
            GroupCommand::CommitOffsets(commit) => self.commit(turn, commit, &mut decision),
            GroupCommand::FetchOffsets(fetch) => self.fetch(fetch),
            GroupCommand::DeleteOffsets(delete) => self.delete_offsets(&delete, &mut decision),
            GroupCommand::List => Ok(self.list()),
            GroupCommand::Delete(group) => self.delete(&group, &mut decision),
            // There are no groups with members.
            GroupCommand::Join(_)
            | GroupCommand::Sync(_)
            | GroupCommand::Heartbeat(_)
            | GroupCommand::Leave(_)
            | GroupCommand::Describe(_)
            | GroupCommand::ConsumerHeartbeat(_)
            | GroupCommand::ConsumerDescribe(_) => Err(GroupError::NotAvailable),
        };
        let reply = reply.unwrap_or_else(GroupReply::Failed);
        decision.answers.push(Answer { to: from, reply, when: When::Committed });
        decision
    }

    fn replay(&mut self, record: GroupRecord) {
        match record {
            GroupRecord::Offset { group, partition, value } => {
                if value.is_some() && !self.groups.contains_key(&group) {
                    self.groups.insert(group.clone(), Group::Simple);
                }
                self.offsets.replay(group.clone(), partition, value);
                if !self.offsets.has(&group) && matches!(self.groups.get(&group), Some(Group::Simple)) {
                    self.groups.remove(&group);
                }
            }
            GroupRecord::Classic { .. }
            | GroupRecord::Consumer { .. }
            | GroupRecord::Member { .. }
            | GroupRecord::TargetEpoch { .. }
            | GroupRecord::TargetMember { .. }
            | GroupRecord::CurrentMember { .. }
            | GroupRecord::Regex { .. } => {}
        }
    }

    fn on_loaded(&mut self, turn: &mut Turn<'_, dyn Surroundings>) -> Made {
        let mut decision = Decision::default();
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

    fn deadline(&self) -> Option<Instant> {
        self.check_at.filter(|_| !self.groups.is_empty())
    }

    fn on_deadline(&mut self, turn: &mut Turn<'_, dyn Surroundings>) -> Made {
        let mut decision = Decision::default();
        if self.deadline().is_some_and(|at| at <= turn.now.mono) {
            self.delete_lost(turn, &mut decision);
            self.expire(turn, &mut decision);
            self.check_again(turn, &decision);
        }
        decision
    }

    /// Nobody of those who wait does so for long: what they asked is decided.
    fn forget(&mut self, _token: Token) {}

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
