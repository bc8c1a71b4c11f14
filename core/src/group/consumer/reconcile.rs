//! How a member comes to its target: first it gives back what is no longer its own, then it gets what others have given back. Pure; it
//! knows one member and whether partitions are free.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use crate::group::command::TopicPartitions;
use crate::group::record::{CurrentValue, EpochPartitions, MemberState};
use crate::id::TopicId;
use crate::mutant::{self, Mutant};

/// What a heartbeat does to what its sender is subscribed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subscription {
    Same,
    Changed,
}

/// All that the next step of a member hangs on.
pub(super) struct Step<'a> {
    pub current: &'a CurrentValue,
    pub target_epoch: i32,
    pub target: &'a [TopicPartitions],
    /// What the member says that it has. Without it nothing counts as given back.
    pub owned: Option<&'a [TopicPartitions]>,
    pub subscription: Subscription,
    /// The target is of this subscription already; what the member has may be of the one before.
    pub is_subscribed: &'a dyn Fn(TopicId) -> bool,
    /// Whether another member has it, or has not given it back yet.
    pub is_taken: &'a dyn Fn(TopicId, i32) -> bool,
}

impl Step<'_> {
    /// What the member is to have next.
    pub(super) fn next(&self) -> CurrentValue {
        let current = self.current;
        match current.state {
            MemberState::Stable if current.epoch == self.target_epoch => self.stay(),
            MemberState::UnrevokedPartitions if self.owns(&current.revoking) => self.stay(),
            MemberState::Stable
            | MemberState::UnrevokedPartitions
            | MemberState::UnreleasedPartitions
            | MemberState::Unknown => self.advance(),
        }
    }

    /// No step towards the target; but what the member is no longer subscribed to it has to give back.
    fn stay(&self) -> CurrentValue {
        let mut next = self.current.clone();
        if self.subscription == Subscription::Same {
            return next;
        }
        let (kept, dropped): (Vec<_>, Vec<_>) =
            next.assigned.into_iter().partition(|topic| (self.is_subscribed)(topic.topic));
        next.assigned = kept;
        if self.owns(&dropped) {
            dropped.into_iter().for_each(|topic| add(&mut next.revoking, topic));
            next.state = MemberState::UnrevokedPartitions;
        }
        next
    }

    fn advance(&self) -> CurrentValue {
        let current = self.current;
        let mut next = CurrentValue { assigned: Vec::new(), revoking: Vec::new(), ..*current };
        let mut gained = Vec::new();
        let mut is_complete = true;
        let topics = current.assigned.iter().map(|topic| topic.topic);
        let topics: BTreeSet<TopicId> = topics.chain(self.target.iter().map(|topic| topic.topic)).collect();
        for topic in topics {
            let has = epochs(&current.assigned, topic);
            let wanted = partitions(self.target, topic);
            let (kept, dropped): (Vec<_>, Vec<_>) =
                has.iter().copied().partition(|(partition, _)| wanted.binary_search(partition).is_ok());
            let has = |partition: &i32| has.binary_search_by_key(partition, |&(has, _)| has).is_ok();
            let missing = wanted.iter().copied().filter(|partition| !has(partition));
            let (taken, free): (Vec<i32>, Vec<i32>) =
                missing.partition(|&partition| (self.is_taken)(topic, partition));
            is_complete &= taken.is_empty();
            add(&mut next.assigned, EpochPartitions { topic, partitions: kept });
            add(&mut next.revoking, EpochPartitions { topic, partitions: dropped });
            let free = free.into_iter().map(|partition| (partition, Some(self.target_epoch)));
            add(&mut gained, EpochPartitions { topic, partitions: free.collect() });
        }
        if self.owns(&next.revoking) && !mutant::on(Mutant::RevocationNotAwaited) {
            next.state = MemberState::UnrevokedPartitions;
            return next;
        }
        next.revoking.clear();
        gained.into_iter().for_each(|topic| add(&mut next.assigned, topic));
        next.state = if is_complete { MemberState::Stable } else { MemberState::UnreleasedPartitions };
        if next.epoch != self.target_epoch {
            next.previous_epoch = next.epoch;
            next.epoch = self.target_epoch;
        }
        next
    }

    /// Whether the member has any of these still, as far as is known.
    fn owns(&self, some: &[EpochPartitions]) -> bool {
        match self.owned {
            None => !some.is_empty(),
            Some(owned) => owned.iter().any(|topic| {
                let some = epochs(some, topic.topic);
                topic.partitions.iter().any(|partition| contains(some, *partition))
            }),
        }
    }
}

/// Whether a member has nothing but what it is to have.
pub(super) fn is_subset(owned: &[TopicPartitions], of: &[EpochPartitions]) -> bool {
    owned.iter().all(|topic| {
        let of = epochs(of, topic.topic);
        topic.partitions.iter().all(|partition| contains(of, *partition))
    })
}

/// The partitions of a topic, each with its epoch. Topics and partitions are in order.
pub(super) fn epochs(of: &[EpochPartitions], topic: TopicId) -> &[(i32, Option<i32>)] {
    let found = of.binary_search_by_key(&topic, |topic| topic.topic);
    found.map_or(&[], |place| of[place].partitions.as_slice())
}

fn contains(of: &[(i32, Option<i32>)], partition: i32) -> bool {
    of.binary_search_by_key(&partition, |&(has, _)| has).is_ok()
}

fn partitions(of: &[TopicPartitions], topic: TopicId) -> &[i32] {
    let found = of.binary_search_by_key(&topic, |topic| topic.topic);
    found.map_or(&[], |place| of[place].partitions.as_slice())
}

/// Adds partitions of a topic, in order.
fn add(to: &mut Vec<EpochPartitions>, topic: EpochPartitions) {
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
