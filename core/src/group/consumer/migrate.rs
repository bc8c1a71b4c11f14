//! How a group goes over from one protocol to the other while it has members: it stays the same group, with the same members and what
//! they have, under other records.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;

use super::ConsumerGroup;
use super::classic::{assignment, by_id};
use crate::group::classic::subscription::{Subscription, read_assignment};
use crate::group::classic::{ClassicGroup, Migrant};
use crate::group::command::TopicPartitions;
use crate::group::out::{Out, Reason};
use crate::group::record::{
    ConsumerValue, CurrentValue, EpochPartitions, GroupRecord, MemberState, MemberValue, TargetEpochValue,
};
use crate::group::topics::Surroundings;
use crate::mutant::{self, Mutant};

/// A member on its way from the classic protocol.
struct Seated {
    id: String,
    value: MemberValue,
    assigned: Vec<TopicPartitions>,
}

impl ConsumerGroup {
    /// What a group of the classic protocol becomes, all its members with what they have. `None` where that cannot be: they are no
    /// consumers, their assignor has data of its own, two have the same partition, or what they say cannot be read.
    pub fn upgraded(out: &mut Out<'_>, topics: &dyn Surroundings, classic: &ClassicGroup) -> Option<Self> {
        let mut has_owner = BTreeSet::new();
        let (mut seated, mut claims) = (Vec::new(), Vec::new());
        for Migrant { id, mut value, metadata, assignment } in classic.migrants()? {
            let subscription = Subscription::read(&metadata)?;
            let mut assigned = by_id(read_assignment(&assignment)?, topics);
            if mutant::on(Mutant::UpgradeForgetsAssignment) {
                assigned.clear();
            }
            for topic in &assigned {
                let mut partitions = topic.partitions.iter();
                if !partitions.all(|partition| has_owner.insert((topic.topic, *partition))) {
                    return None;
                }
            }
            value.topics = subscription.topics;
            value.rack = subscription.rack;
            claims.push(by_id(subscription.owned, topics));
            seated.push(Seated { id, value, assigned });
        }
        // What a member had when it joined it may not have given up yet, though its leader gave it no more.
        for (seated, owned) in seated.iter_mut().zip(claims) {
            for mut topic in owned {
                topic.partitions.retain(|partition| has_owner.insert((topic.topic, *partition)));
                add(&mut seated.assigned, topic);
            }
        }
        let mut group = Self::new(String::from(classic.id()));
        let records = group.founding(classic.generation(), seated);
        out.decision.records.push(GroupRecord::Classic { group: group.id.clone(), value: None });
        for record in records {
            group.replay(record.clone());
            out.decision.records.push(record);
        }
        if !mutant::on(Mutant::MigratedSessionLost) {
            group.on_loaded(out);
        }
        Some(group)
    }

    /// The records of a group that has its members already.
    fn founding(&self, epoch: i32, members: Vec<Seated>) -> Vec<GroupRecord> {
        let group = || self.id.clone();
        let mut records = Vec::new();
        let (mut targets, mut currents) = (Vec::new(), Vec::new());
        for Seated { id: member, value, assigned } in members {
            let with_epoch = |topic: &TopicPartitions| EpochPartitions {
                topic: topic.topic,
                partitions: topic.partitions.iter().map(|partition| (*partition, Some(epoch))).collect(),
            };
            let current = CurrentValue {
                epoch,
                previous_epoch: epoch,
                state: MemberState::Stable,
                assigned: assigned.iter().map(with_epoch).collect(),
                revoking: Vec::new(),
            };
            let id = || member.clone();
            currents.push(GroupRecord::CurrentMember { group: group(), member: id(), value: Some(current) });
            targets.push(GroupRecord::TargetMember { group: group(), member: id(), value: Some(assigned) });
            records.push(GroupRecord::Member { group: group(), member, value: Some(value) });
        }
        let value = Some(ConsumerValue { epoch, metadata_hash: 0 });
        records.push(GroupRecord::Consumer { group: group(), value });
        records.append(&mut targets);
        // The first assignment of the broker is awaited by the member that has just come.
        let value = Some(TargetEpochValue { epoch, assigned_at: None });
        records.push(GroupRecord::TargetEpoch { group: group(), value });
        records.append(&mut currents);
        records
    }

    fn replay(&mut self, record: GroupRecord) {
        match record {
            GroupRecord::Consumer { value, .. } => self.replay_group(value),
            GroupRecord::Member { member, value, .. } => self.replay_member(member, value),
            GroupRecord::TargetEpoch { value, .. } => self.replay_target_epoch(value),
            GroupRecord::TargetMember { member, value, .. } => self.replay_target(member, value),
            GroupRecord::CurrentMember { member, value, .. } => self.replay_current(member, value),
            GroupRecord::Regex { regex, value, .. } => self.replay_regex(regex, value),
            GroupRecord::Offset { .. } | GroupRecord::Classic { .. } => {
                unreachable!("those are of no group of this protocol")
            }
        }
    }

    /// Gives way to a group of the classic protocol where these members are gone and only such are left as speak that.
    pub(super) fn downgrade_without(
        &mut self,
        out: &mut Out<'_>,
        topics: &dyn Surroundings,
        gone: &BTreeSet<String>,
    ) -> bool {
        if self.kept.members.keys().all(|member| gone.contains(member)) {
            return false;
        }
        let Some(mut successor) = self.downgraded(out, topics, gone) else { return false };
        if !mutant::on(Mutant::DowngradeNotTold) {
            successor.rebalance(out, Reason::Downgraded(gone.iter().cloned().collect()));
        }
        self.give_way(successor);
        true
    }

    pub(super) fn give_way(&mut self, successor: ClassicGroup) {
        self.successor = Some(Box::new(successor));
    }

    /// What the group has become in its last step, if it is no more.
    pub fn take_successor(&mut self) -> Option<Box<ClassicGroup>> {
        self.successor.take()
    }

    /// The group of the classic protocol that this one becomes without these members. `None` where that may not be, or cannot.
    pub(super) fn downgraded(
        &self,
        out: &mut Out<'_>,
        topics: &dyn Surroundings,
        gone: &BTreeSet<String>,
    ) -> Option<ClassicGroup> {
        let left = || self.kept.members.iter().filter(|(id, _)| !gone.contains(*id));
        let may_be = out.settings.consumer.migration.downgrades()
            && left().count() <= out.settings.size_max
            && left().all(|(_, member)| member.classic.is_some());
        if !may_be {
            return None;
        }
        // What a member was yet to get it never had: another may have that when the group goes over once more.
        let has = |id: &String| {
            let CurrentValue { assigned, revoking, .. } = self.kept.current(id);
            let mut has = Vec::new();
            assigned.iter().chain(revoking).for_each(|topic| add(&mut has, topic.without_epochs()));
            has.into_iter()
        };
        let migrants = left().map(|(id, value)| (id.clone(), value.clone()));
        let assign = |id: &String, metadata: &[u8]| assignment(has(id), topics, metadata);
        let successor = ClassicGroup::of_migrants(out.now, &self.id, self.kept.epoch, migrants, assign)?;
        for member in self.kept.members.keys() {
            self.bury_member(out, member);
        }
        self.bury_group(&mut out.decision.records);
        successor.found(out);
        Some(successor)
    }
}

/// Adds partitions of a topic, in order.
fn add(to: &mut Vec<TopicPartitions>, topic: TopicPartitions) {
    if topic.partitions.is_empty() {
        return;
    }
    match to.binary_search_by_key(&topic.topic, |topic| topic.topic) {
        Ok(place) => {
            to[place].partitions.extend(topic.partitions);
            to[place].partitions.sort_unstable();
        }
        Err(place) => to.insert(place, topic),
    }
}
