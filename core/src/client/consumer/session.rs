//! One broker's fetch session: what it has been told, so that only changes are told again (KIP-227).

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{TopicKey, TopicPartition};
use crate::id::{Offset, Uuid};

/// What a broker was told of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) offset: Offset,
    pub(super) epoch: i32,
    pub(super) topic: Uuid,
}

/// Without an id there is no session yet, or the broker wants none; then everything is told each time.
#[derive(Debug, Default)]
pub(super) struct Session {
    id: i32,
    epoch: i32,
    members: BTreeMap<TopicPartition, Member>,
    /// A fetch is under way.
    pub(super) busy: bool,
}

/// What the next fetch says.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) id: i32,
    pub(super) epoch: i32,
    pub(super) changed: Vec<(TopicPartition, Member)>,
    pub(super) forgotten: Vec<(TopicPartition, Uuid)>,
}

impl Session {
    /// Begins a fetch of exactly `wanted`.
    pub(super) fn plan(&mut self, wanted: BTreeMap<TopicPartition, Member>) -> Plan {
        assert!(!self.busy, "one fetch at a time");
        self.busy = true;
        let going = self.epoch != 0;
        let changed = wanted
            .iter()
            .filter(|(key, member)| !going || self.members.get(key) != Some(*member))
            .map(|(key, member)| (key.clone(), *member))
            .collect();
        // A topic that was made anew is another one: the old one is forgotten too.
        let stays =
            |key: &TopicPartition, member: &Member| wanted.get(key).is_some_and(|w| w.topic == member.topic);
        let forgotten = self
            .members
            .iter()
            .filter(|(key, member)| going && !stays(key, member))
            .map(|(key, member)| (key.clone(), member.topic))
            .collect();
        self.members = wanted;
        Plan { id: self.id, epoch: self.epoch, changed, forgotten }
    }

    pub(super) fn on_answer(&mut self, id: i32) {
        // The epoch goes from 2³¹−1 to 1: 0 would begin a session.
        self.epoch = if id == 0 { 0 } else { self.epoch.checked_add(1).unwrap_or(1) };
        self.id = id;
    }

    /// The broker's side is lost. Epoch 0 with the old id ends that one, if it is still there.
    pub(super) fn reset(&mut self) {
        self.epoch = 0;
    }

    pub(super) fn keys(&self) -> Vec<TopicPartition> {
        self.members.keys().cloned().collect()
    }

    /// Both ways in which an answer may name a partition, with the offset that was asked for.
    pub(super) fn keys_by_name_or_id(&self) -> BTreeMap<TopicKey, (TopicPartition, Offset)> {
        let empty: Arc<str> = Arc::from("");
        let mut keys = BTreeMap::new();
        for (key, member) in &self.members {
            let by_name = (Uuid::ZERO, Arc::clone(&key.topic), key.index);
            keys.insert(by_name, (key.clone(), member.offset));
            if !member.topic.is_zero() {
                keys.insert((member.topic, Arc::clone(&empty), key.index), (key.clone(), member.offset));
            }
        }
        keys
    }
}
