//! The offsets that groups have committed. Knows nothing of members: whether a group may commit, and until when its offsets are
//! kept, is said by whoever has the groups.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Bound;

use super::command::{CommitOffsets, Committing, Fetched, GroupError, TopicPartition};
use super::record::{GroupRecord, OffsetValue};
use crate::id::TopicId;
use crate::limits::OFFSETS_DELETED_AT_ONCE;
use crate::mutant::{self, Mutant};
use crate::time::{Duration, Timestamp};

/// By topic and partition. Most groups have few, and a map has room for many: so what it holds is small.
type OfGroup = BTreeMap<(Arc<str>, i32), Box<OffsetValue>>;

/// Changed by replay alone.
#[derive(Debug, Default)]
pub(super) struct Offsets {
    groups: BTreeMap<Arc<str>, OfGroup>,
    topics: BTreeMap<Arc<str>, Topic>,
}

/// A topic that something is committed of.
#[derive(Debug, Default)]
struct Topic {
    groups: BTreeSet<Arc<str>>,
    /// What its name meant when it was last looked up.
    id: Option<TopicId>,
}

/// From when on the offsets of a group grow old (KIP-211). Those with a time of their own always expire at that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aging {
    /// It has members that may yet commit.
    Never,
    /// From the commit of each.
    SinceCommit,
    /// From when the last member had gone.
    Since(Timestamp),
}

/// What was asked about the offsets of a group.
pub(super) struct Old<'a> {
    pub(super) group: &'a str,
    pub(super) aging: Aging,
    pub(super) retention: Duration,
    pub(super) now: Timestamp,
}

fn of_topic<'a>(offsets: &'a OfGroup, topic: &Arc<str>) -> impl Iterator<Item = (i32, &'a OffsetValue)> {
    let range = (Arc::clone(topic), i32::MIN)..=(Arc::clone(topic), i32::MAX);
    offsets.range(range).map(|((_, partition), value)| (*partition, &**value))
}

fn tombstone(group: &str, topic: &str, partition: i32) -> GroupRecord {
    let partition = TopicPartition { topic: String::from(topic), partition };
    GroupRecord::Offset { group: String::from(group), partition, value: None }
}

impl Offsets {
    pub(super) fn replay(&mut self, group: &str, partition: &TopicPartition, value: Option<OffsetValue>) {
        let TopicPartition { topic, partition } = partition;
        if let Some(value) = value {
            return self.put(group, (topic, *partition), value);
        }
        let Some((topic, _)) = self.topics.get_key_value(topic.as_str()) else { return };
        let Some(offsets) = self.groups.get_mut(group) else { return };
        if offsets.remove(&(Arc::clone(topic), *partition)).is_none()
            || of_topic(offsets, topic).next().is_some()
        {
            return;
        }
        if offsets.is_empty() {
            self.groups.remove(group);
        }
        let topic = Arc::clone(topic);
        let used = self.topics.get_mut(&topic).expect("each topic of a group is known");
        used.groups.remove(group);
        if used.groups.is_empty() {
            self.topics.remove(&topic);
        }
    }

    fn put(&mut self, group: &str, (topic, partition): (&str, i32), value: OffsetValue) {
        if mutant::on(Mutant::FirstCommitKept) && self.find(group, topic, partition).is_some() {
            return;
        }
        let name = match self.topics.get_key_value(topic) {
            Some((name, _)) => Arc::clone(name),
            None => Arc::from(topic),
        };
        let key = (name, partition);
        if let Some(offsets) = self.groups.get_mut(group)
            && let Some(before) = offsets.get_mut(&key)
        {
            **before = value;
            return;
        }
        let group =
            self.groups.get_key_value(group).map_or_else(|| Arc::from(group), |(group, _)| Arc::clone(group));
        self.topics.entry(Arc::clone(&key.0)).or_default().groups.insert(Arc::clone(&group));
        self.groups.entry(group).or_default().insert(key, Box::new(value));
    }

    /// All of them, for checkers.
    pub(super) fn view(&self, records: &mut Vec<GroupRecord>) {
        for group in self.groups.keys() {
            records.extend(self.of_group(group, None).map(|(partition, value)| GroupRecord::Offset {
                group: String::from(&**group),
                partition,
                value: Some(value.clone()),
            }));
        }
    }

    pub(super) fn has(&self, group: &str) -> bool {
        self.groups.contains_key(group)
    }

    fn find(&self, group: &str, topic: &str, partition: i32) -> Option<&OffsetValue> {
        let (topic, _) = self.topics.get_key_value(topic)?;
        self.groups.get(group)?.get(&(Arc::clone(topic), partition)).map(|value| &**value)
    }

    /// What a group has committed, in order, behind `after`.
    pub(super) fn of_group(
        &self,
        group: &str,
        after: Option<&TopicPartition>,
    ) -> impl Iterator<Item = (TopicPartition, &OffsetValue)> {
        let from = match after {
            Some(after) => Bound::Excluded((Arc::from(after.topic.as_str()), after.partition)),
            None => Bound::Unbounded,
        };
        let offsets = self.groups.get(group).into_iter();
        let offsets = offsets.flat_map(move |offsets| offsets.range((from.clone(), Bound::Unbounded)));
        offsets.map(|((topic, partition), value)| {
            (TopicPartition { topic: String::from(&**topic), partition: *partition }, &**value)
        })
    }

    /// Any offset may be committed, as in Kafka: what lies before a log or behind it is the reader's to judge.
    pub(super) fn commit(
        commit: CommitOffsets,
        now: Timestamp,
        metadata_len_max: usize,
        records: &mut Vec<GroupRecord>,
    ) -> Vec<Result<(), GroupError>> {
        let CommitOffsets { group, retention, offsets, .. } = commit;
        let lasting = |retention: Duration| {
            Timestamp(now.0.saturating_add(i64::try_from(retention.as_millis()).unwrap_or(i64::MAX)))
        };
        let expires_at = retention.map(lasting);
        let results = offsets.into_iter().map(|(partition, committing)| {
            let Committing { topic, offset, leader_epoch, metadata } = committing;
            // Kafka's characters are of 16 bits.
            if metadata.len() > metadata_len_max && metadata.encode_utf16().count() > metadata_len_max {
                return Err(GroupError::MetadataTooLarge);
            }
            let value = OffsetValue { offset, leader_epoch, metadata, committed_at: now, expires_at, topic };
            records.push(GroupRecord::Offset { group: group.clone(), partition, value: Some(value) });
            Ok(())
        });
        results.collect()
    }

    /// Of the partitions that are asked for, or all.
    pub(super) fn fetch(
        &self,
        group: &str,
        partitions: Option<Vec<TopicPartition>>,
    ) -> Vec<(TopicPartition, Fetched)> {
        let fetched = |value: &OffsetValue| Fetched::Offset {
            offset: value.offset,
            leader_epoch: value.leader_epoch,
            metadata: value.metadata.clone(),
        };
        if let Some(partitions) = partitions {
            let all = partitions.into_iter().map(|asked| {
                let found = self.find(group, &asked.topic, asked.partition).map_or(Fetched::None, fetched);
                (asked, found)
            });
            return all.collect();
        }
        self.of_group(group, None).map(|(partition, value)| (partition, fetched(value))).collect()
    }

    /// What is not there is deleted.
    pub(super) fn delete(
        &self,
        group: &str,
        partitions: &[TopicPartition],
        is_subscribed: impl Fn(&str) -> bool,
        records: &mut Vec<GroupRecord>,
    ) -> Vec<Result<(), GroupError>> {
        let results = partitions.iter().map(|TopicPartition { topic, partition }| {
            if is_subscribed(topic) {
                return Err(GroupError::SubscribedToTopic);
            }
            if self.find(group, topic, *partition).is_some() {
                records.push(tombstone(group, topic, *partition));
            }
            Ok(())
        });
        results.collect()
    }

    pub(super) fn delete_all(&self, group: &str, records: &mut Vec<GroupRecord>) {
        let offsets = self.groups.get(group).into_iter().flat_map(BTreeMap::keys);
        records.extend(offsets.map(|(topic, partition)| tombstone(group, topic, *partition)));
    }

    /// Deletes the offsets of a group that have grown old, as many as may be deleted at once. Says whether that was all it had.
    pub(super) fn expire(
        &self,
        old: &Old<'_>,
        is_subscribed: impl Fn(&str) -> bool,
        records: &mut Vec<GroupRecord>,
    ) -> bool {
        let retention = i64::try_from(old.retention.as_millis()).unwrap_or(i64::MAX);
        let is_old = |value: &OffsetValue| match (value.expires_at, old.aging) {
            (_, Aging::Never) => false,
            (Some(at), _) => old.now >= at,
            (None, Aging::SinceCommit) => old.now.0.saturating_sub(value.committed_at.0) >= retention,
            (None, Aging::Since(since)) => old.now.0.saturating_sub(since.0) >= retention,
        };
        let mut all = true;
        let mut looked_up: Option<(&str, bool)> = None;
        for ((topic, partition), value) in self.groups.get(old.group).into_iter().flatten() {
            let (_, kept) =
                looked_up.filter(|(of, _)| **of == **topic).unwrap_or_else(|| (topic, is_subscribed(topic)));
            looked_up = Some((topic, kept));
            let goes = !kept && is_old(value) && records.len() < OFFSETS_DELETED_AT_ONCE;
            if goes {
                records.push(tombstone(old.group, topic, *partition));
            }
            all &= goes;
        }
        all
    }

    /// Deletes the offsets of topics that are gone, also of those whose name means another topic now; as many as may be deleted at
    /// once.
    pub(super) fn delete_lost(
        &mut self,
        find: impl Fn(&str) -> Option<TopicId>,
        records: &mut Vec<GroupRecord>,
    ) {
        for (name, topic) in &mut self.topics {
            let id = find(name);
            if id.is_some() && id == topic.id {
                continue;
            }
            let offsets = topic.groups.iter().flat_map(|group| {
                let partitions = of_topic(&self.groups[group], name);
                partitions.map(move |(partition, value)| (group, partition, value.topic))
            });
            // Those that name no topic's id are of the topic that was there before.
            let replaced = topic.id.is_some();
            let lost = offsets.filter(|(.., of)| id.is_none() || of.map_or(replaced, |of| Some(of) != id));
            for (group, partition, _) in lost {
                if records.len() >= OFFSETS_DELETED_AT_ONCE {
                    return;
                }
                records.push(tombstone(group, name, partition));
            }
            topic.id = id;
        }
    }
}

#[cfg(test)]
mod tests;
