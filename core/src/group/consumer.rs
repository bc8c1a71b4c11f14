//! A group of the consumer protocol (KIP-848): members send heartbeats, the group decides who shall have which partitions, and leads each
//! member there step by step. Owns one group; knows no other, no offsets and no requests of other kinds.
//!
//! Three epochs count: the group's, of its members, their subscriptions and the topics; the target's, of the group epoch it was computed
//! for; and each member's, of the target that it has come to. What the records say is in `Kept` and changes in `replay_*` alone; timers
//! are not on disk and begin anew at a start.
//!
//! A member's answers wait for nothing but the commit of what they tell, so a group keeps nobody's token. That goes for members of
//! the classic protocol too, which may be in the group while it goes over from the one protocol to the other.

mod check;
mod classic;
mod describe;
mod heartbeat;
mod leave;
mod migrate;
mod reconcile;
mod target;
mod timers;

#[cfg(test)]
mod tests;

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use self::timers::Timers;
use super::by_name::ByName;
use super::classic::ClassicGroup;
use super::command::{GroupState, TopicPartitions};
use super::out::{GroupEvent, Out, Reason};
use super::record::{
    ConsumerValue, CurrentValue, GroupRecord, MemberState, MemberValue, RegexValue, TargetEpochValue,
};
use super::settings::GroupSettings;
use crate::id::TopicId;
use crate::mutant::{self, Mutant};
use crate::time::{Duration, Instant, Now, Timestamp};

/// The epoch of a static member that has left for a while.
const AWAY_EPOCH: i32 = -2;

/// A member of which nothing is said yet.
static FRESH: CurrentValue = CurrentValue {
    epoch: 0,
    previous_epoch: -1,
    state: MemberState::Stable,
    assigned: Vec::new(),
    revoking: Vec::new(),
};

#[derive(Debug)]
pub struct ConsumerGroup {
    id: String,
    kept: Kept,
    timers: Timers,
    /// Which topics the group epoch takes into account. Unknown after a start.
    topics_version: Option<u64>,
    /// What the group has become.
    successor: Option<Box<ClassicGroup>>,
}

/// What the records of a group say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Kept {
    epoch: i32,
    metadata_hash: i64,
    target_epoch: i32,
    assigned_at: Option<Timestamp>,
    members: ByName<MemberValue>,
    targets: ByName<Vec<TopicPartitions>>,
    currents: ByName<CurrentValue>,
    regexes: ByName<RegexValue>,
    /// Static members by their instance ids. Follows from `members`.
    instances: ByName<String>,
    /// How many members are subscribed to a topic by its name. Follows from `members`.
    named: BTreeMap<String, usize>,
    /// How many members are subscribed to an expression. Follows from `members`.
    meant: BTreeMap<String, usize>,
    /// How many members have come to the target. Follows from `members`, `currents` and the target's epoch.
    reconciled: usize,
    /// Who has a partition or has still to give it back. Follows from `currents`.
    owners: BTreeMap<(TopicId, i32), Arc<str>>,
}

impl Kept {
    fn current(&self, member: &str) -> &CurrentValue {
        self.currents.get(member).unwrap_or(&FRESH)
    }

    fn target(&self, member: &str) -> &[TopicPartitions] {
        self.targets.get(member).map_or(&[], Vec::as_slice)
    }

    fn is_reconciled(&self, member: &str) -> bool {
        let current = self.current(member);
        current.state == MemberState::Stable && current.epoch == self.target_epoch
    }

    /// Whether it is one of `reconciled`.
    fn counts(&self, member: &str) -> bool {
        self.members.contains_key(member) && self.is_reconciled(member)
    }
}

fn count(counts: &mut BTreeMap<String, usize>, name: &str) {
    match counts.get_mut(name) {
        Some(count) => *count += 1,
        None => _ = counts.insert(String::from(name), 1),
    }
}

fn uncount(counts: &mut BTreeMap<String, usize>, name: &str) {
    let count = counts.get_mut(name).expect("what is counted was counted in");
    *count -= 1;
    if *count == 0 {
        counts.remove(name);
    }
}

/// The expression that a member is subscribed to. An empty one is none.
fn regex_of(member: &MemberValue) -> Option<&str> {
    member.regex.as_deref().filter(|regex| !regex.is_empty())
}

impl ConsumerGroup {
    /// One without members, as it is before its first record.
    pub fn new(id: String) -> Self {
        Self { id, kept: Kept::default(), timers: Timers::default(), topics_version: None, successor: None }
    }

    pub fn replay_group(&mut self, value: Option<ConsumerValue>) {
        let value = value.unwrap_or(ConsumerValue { epoch: 0, metadata_hash: 0 });
        self.kept.epoch = value.epoch;
        self.kept.metadata_hash = value.metadata_hash;
    }

    pub fn replay_member(&mut self, member: String, value: Option<MemberValue>) {
        let kept = &mut self.kept;
        kept.reconciled -= usize::from(kept.counts(&member));
        if let Some(old) = kept.members.remove(&member) {
            if let Some(instance) = &old.instance
                && kept.instances.get(instance) == Some(&member)
            {
                kept.instances.remove(instance);
            }
            old.topics.iter().for_each(|name| uncount(&mut kept.named, name));
            regex_of(&old).into_iter().for_each(|regex| uncount(&mut kept.meant, regex));
        }
        let Some(mut value) = value else { return };
        value.topics.sort_unstable();
        value.topics.dedup();
        if let Some(instance) = &value.instance {
            kept.instances.insert(instance.clone(), member.clone());
        }
        value.topics.iter().for_each(|name| count(&mut kept.named, name));
        regex_of(&value).into_iter().for_each(|regex| count(&mut kept.meant, regex));
        kept.members.insert(member.clone(), value);
        kept.reconciled += usize::from(kept.counts(&member));
    }

    pub fn replay_target_epoch(&mut self, value: Option<TargetEpochValue>) {
        let value = value.unwrap_or(TargetEpochValue { epoch: 0, assigned_at: None });
        let kept = &mut self.kept;
        kept.target_epoch = value.epoch;
        kept.assigned_at = value.assigned_at;
        kept.reconciled = kept.members.keys().filter(|member| kept.is_reconciled(member)).count();
    }

    pub fn replay_target(&mut self, member: String, value: Option<Vec<TopicPartitions>>) {
        let Some(mut value) = value else {
            self.kept.targets.remove(&member);
            return;
        };
        value.iter_mut().for_each(|topic| topic.partitions.sort_unstable());
        value.sort_unstable_by_key(|topic| topic.topic);
        self.kept.targets.insert(member, value);
    }

    /// A partition is with whom the newest record of it names: compaction may keep an older one of another member for a while.
    pub fn replay_current(&mut self, member: String, value: Option<CurrentValue>) {
        if value.is_none() && mutant::on(Mutant::MemberNotBuried) {
            return;
        }
        let kept = &mut self.kept;
        kept.reconciled -= usize::from(kept.counts(&member));
        if let Some(old) = kept.currents.remove(&member) {
            for partition in partitions_of(&old) {
                if kept.owners.get(&partition).is_some_and(|owner| **owner == *member) {
                    kept.owners.remove(&partition);
                }
            }
        }
        let Some(mut value) = value else {
            kept.reconciled += usize::from(kept.counts(&member));
            return;
        };
        for topics in [&mut value.assigned, &mut value.revoking] {
            topics.iter_mut().for_each(|topic| topic.partitions.sort_unstable());
            topics.sort_unstable_by_key(|topic| topic.topic);
        }
        let owner: Arc<str> = Arc::from(member.as_str());
        kept.owners.extend(partitions_of(&value).map(|partition| (partition, Arc::clone(&owner))));
        kept.currents.insert(member.clone(), value);
        kept.reconciled += usize::from(kept.counts(&member));
    }

    pub fn replay_regex(&mut self, regex: String, value: Option<RegexValue>) {
        let Some(mut value) = value else {
            self.kept.regexes.remove(&regex);
            return;
        };
        value.topics.sort_unstable();
        self.kept.regexes.insert(regex, value);
    }

    /// All that its records say, for checkers.
    pub fn view(&self, records: &mut Vec<GroupRecord>) {
        let (kept, group) = (&self.kept, || self.id.clone());
        let value = Some(ConsumerValue { epoch: kept.epoch, metadata_hash: kept.metadata_hash });
        records.push(GroupRecord::Consumer { group: group(), value });
        let value = Some(TargetEpochValue { epoch: kept.target_epoch, assigned_at: kept.assigned_at });
        records.push(GroupRecord::TargetEpoch { group: group(), value });
        for (member, value) in kept.members.iter() {
            let (member, value) = (member.clone(), Some(value.clone()));
            records.push(GroupRecord::Member { group: group(), member, value });
        }
        for (member, value) in kept.targets.iter() {
            let (member, value) = (member.clone(), Some(value.clone()));
            records.push(GroupRecord::TargetMember { group: group(), member, value });
        }
        for (member, value) in kept.currents.iter() {
            let (member, value) = (member.clone(), Some(value.clone()));
            records.push(GroupRecord::CurrentMember { group: group(), member, value });
        }
        for (regex, value) in kept.regexes.iter() {
            let (regex, value) = (regex.clone(), Some(value.clone()));
            records.push(GroupRecord::Regex { group: group(), regex, value });
        }
    }

    /// All that is on disk is replayed: every member has its whole time again.
    pub fn on_loaded(&mut self, out: &mut Out<'_>) {
        self.begin_sessions(out.now, out.settings);
    }

    fn begin_sessions(&mut self, now: Now, settings: &GroupSettings) {
        for (id, member) in self.kept.members.iter() {
            if !mutant::on(Mutant::ConsumerSessionNotBegunAgain) {
                self.timers.on_heartbeat(id, now.mono + session_timeout(member, settings));
            }
            if self.kept.current(id).state == MemberState::UnrevokedPartitions {
                self.timers.on_revocation(id, Some(now.mono + member.rebalance_timeout));
            }
        }
    }

    /// What was decided last is not on disk and comes to nothing. Who comes next decides on it again, and as after a start all
    /// members have their whole time again.
    pub fn on_refused(&mut self, now: Now, settings: &GroupSettings) {
        self.topics_version = None;
        self.timers = Timers::default();
        self.begin_sessions(now, settings);
    }

    /// Not before this is a member overdue.
    pub fn deadline(&self) -> Option<Instant> {
        self.timers.next()
    }

    pub fn is_empty(&self) -> bool {
        self.kept.members.is_empty()
    }

    /// Tells of what was just decided.
    fn tell(&self, out: &mut Out<'_>, epoch: i32, [from, to]: [GroupState; 2], reason: Reason) {
        out.events.push(GroupEvent { group: self.id.clone(), generation: epoch, from, to, reason });
    }

    /// Whether the targets may be computed: not again so soon, or each of many members that come at once would have it done for all.
    /// Whoever is the first does not wait, nor does anybody for a clock that was set back.
    fn may_assign(&self, out: &Out<'_>) -> bool {
        let Some(Timestamp(at)) = self.kept.assigned_at.filter(|_| !self.is_empty()) else { return true };
        let interval = out.settings.consumer.assignment_interval.as_millis();
        !u64::try_from(out.now.wall.0.saturating_sub(at)).is_ok_and(|since| since < interval)
    }

    /// Whether the next heartbeat has the targets computed.
    fn is_assignment_due(&self, out: &Out<'_>) -> bool {
        self.kept.epoch > self.kept.target_epoch && self.may_assign(out)
    }

    pub fn members(&self) -> usize {
        self.kept.members.len()
    }

    pub fn state(&self) -> GroupState {
        let kept = &self.kept;
        if kept.members.is_empty() {
            GroupState::Empty
        } else if kept.epoch > kept.target_epoch {
            GroupState::Assigning
        } else if kept.reconciled == kept.members.len() {
            GroupState::Stable
        } else {
            GroupState::Reconciling
        }
    }

    /// Whether a member is subscribed to the topic by its name or by an expression.
    pub fn is_subscribed(&self, topic: &str) -> bool {
        let has = |topics: &[String]| topics.binary_search_by(|name| name.as_str().cmp(topic)).is_ok();
        self.kept.members.values().any(|member| has(&member.topics))
            || self.kept.regexes.values().any(|regex| has(&regex.topics))
    }

    /// Tombstones of all that the group keeps. Its offsets are not its own.
    pub fn bury(&self, records: &mut Vec<GroupRecord>) {
        assert!(self.is_empty(), "a group with members is not buried");
        self.bury_group(records);
    }

    fn bury_group(&self, records: &mut Vec<GroupRecord>) {
        let group = || self.id.clone();
        for regex in self.kept.regexes.keys() {
            records.push(GroupRecord::Regex { group: group(), regex: regex.clone(), value: None });
        }
        records.push(GroupRecord::TargetEpoch { group: group(), value: None });
        records.push(GroupRecord::Consumer { group: group(), value: None });
    }
}

/// How long a member may be silent: one of the classic protocol has said so itself.
fn session_timeout(member: &MemberValue, settings: &GroupSettings) -> Duration {
    member.classic.as_ref().map_or(settings.consumer.session_timeout, |classic| classic.session_timeout)
}

fn partitions_of(current: &CurrentValue) -> impl Iterator<Item = (TopicId, i32)> {
    let topics = current.assigned.iter().chain(&current.revoking);
    topics.flat_map(|topic| topic.partitions.iter().map(|&(partition, _)| (topic.topic, partition)))
}
