//! Records as Kafka 4.3 writes them.

use super::fields::{Form, Sink};
use super::{
    CURRENT_MEMBER, ClassicOfMember, ClassicValue, ConsumerValue, CurrentValue, EpochPartitions, GROUP,
    GroupRecord, MEMBER, MemberValue, OFFSET, OffsetValue, REGEX, RegexValue, TARGET_EPOCH, TARGET_MEMBER,
    TargetEpochValue,
};
use crate::coordinator::KeyedRecord;
use crate::group::command::TopicPartitions;
use crate::time::{Duration, Timestamp};

const NO_EPOCH: i32 = -1;
const NO_TIMESTAMP: i64 = -1;

fn key(kind: i16, names: &[&str]) -> Sink {
    let mut key = Sink::new(kind, Form::Plain);
    names.iter().for_each(|name| key.text(name));
    key
}

fn millis(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}

pub(super) fn encode(record: &GroupRecord) -> KeyedRecord {
    let (key, value) = match record {
        GroupRecord::Offset { group, partition, value } => {
            let mut key = key(OFFSET, &[group, &partition.topic]);
            key.int(partition.partition);
            (key, value.as_ref().map(offset))
        }
        GroupRecord::Classic { group, value } => (key(GROUP, &[group]), value.as_ref().map(classic)),
        GroupRecord::Consumer { group, value } => {
            (key(super::CONSUMER, &[group]), value.as_ref().map(consumer))
        }
        GroupRecord::Member { group, member, value } => {
            (key(MEMBER, &[group, member]), value.as_ref().map(describe_member))
        }
        GroupRecord::TargetEpoch { group, value } => {
            (key(TARGET_EPOCH, &[group]), value.as_ref().map(target_epoch))
        }
        GroupRecord::TargetMember { group, member, value } => {
            (key(TARGET_MEMBER, &[group, member]), value.as_deref().map(target))
        }
        GroupRecord::CurrentMember { group, member, value } => {
            (key(CURRENT_MEMBER, &[group, member]), value.as_ref().map(current))
        }
        GroupRecord::Regex { group, regex: pattern, value } => {
            (key(REGEX, &[group, pattern]), value.as_ref().map(regex))
        }
    };
    KeyedRecord { key: key.into_bytes(), value: value.map(Sink::into_bytes) }
}

/// Version 1 is the only one that knows when an offset expires, 4 the only one with the topic's id. 3 is what everybody reads.
fn offset(value: &OffsetValue) -> Sink {
    let version = match (value.expires_at, value.topic) {
        (Some(_), _) => 1,
        (None, None) => 3,
        (None, Some(_)) => 4,
    };
    let mut sink = Sink::new(version, if version == 4 { Form::Flexible } else { Form::Plain });
    sink.long(value.offset);
    if version >= 3 {
        sink.int(value.leader_epoch.unwrap_or(NO_EPOCH));
    }
    sink.text(&value.metadata);
    sink.long(value.committed_at.0);
    if let Some(expires_at) = value.expires_at {
        sink.long(expires_at.0);
    }
    sink.end_with(value.topic.filter(|_| version == 4).map(|topic| {
        let mut tagged = Sink::tagged();
        tagged.id(topic);
        tagged
    }));
    sink
}

fn classic(value: &ClassicValue) -> Sink {
    let mut sink = Sink::new(3, Form::Plain);
    sink.text(&value.protocol_type);
    sink.int(value.generation);
    sink.maybe_text(value.protocol.as_deref());
    sink.maybe_text(value.leader.as_deref());
    sink.long(value.since.map_or(NO_TIMESTAMP, |Timestamp(since)| since));
    sink.count(value.members.len());
    for member in &value.members {
        sink.text(&member.id);
        sink.maybe_text(member.instance.as_deref());
        sink.text(&member.client.id);
        sink.text(&member.client.host);
        sink.int(millis(member.rebalance_timeout));
        sink.int(millis(member.session_timeout));
        sink.blob(&member.subscription);
        sink.blob(&member.assignment);
    }
    sink
}

/// The values of the consumer protocol all have one version.
fn flexible() -> Sink {
    Sink::new(0, Form::Flexible)
}

fn consumer(value: &ConsumerValue) -> Sink {
    let mut sink = flexible();
    sink.int(value.epoch);
    sink.end_with((value.metadata_hash != 0).then(|| {
        let mut tagged = Sink::tagged();
        tagged.long(value.metadata_hash);
        tagged
    }));
    sink
}

fn describe_member(value: &MemberValue) -> Sink {
    let mut sink = flexible();
    sink.maybe_text(value.instance.as_deref());
    sink.maybe_text(value.rack.as_deref());
    sink.text(&value.client.id);
    sink.text(&value.client.host);
    sink.count(value.topics.len());
    value.topics.iter().for_each(|topic| sink.text(topic));
    sink.maybe_text(value.regex.as_deref());
    sink.int(millis(value.rebalance_timeout));
    sink.maybe_text(value.assignor.as_deref());
    sink.end_with(value.classic.as_ref().map(classic_of_member));
    sink
}

/// A byte says that it is not null.
fn classic_of_member(value: &ClassicOfMember) -> Sink {
    let mut sink = Sink::tagged();
    sink.put([1]);
    sink.int(millis(value.session_timeout));
    sink.count(value.protocols.len());
    for (name, metadata) in &value.protocols {
        sink.text(name);
        sink.blob(metadata);
        sink.end();
    }
    sink.end();
    sink
}

fn target_epoch(value: &TargetEpochValue) -> Sink {
    let mut sink = flexible();
    sink.int(value.epoch);
    sink.end_with(value.assigned_at.map(|Timestamp(at)| {
        let mut tagged = Sink::tagged();
        tagged.long(at);
        tagged
    }));
    sink
}

fn target(value: &[TopicPartitions]) -> Sink {
    let mut sink = flexible();
    sink.count(value.len());
    for topic in value {
        sink.id(topic.topic);
        sink.ints(topic.partitions.iter().copied());
        sink.end();
    }
    sink.end();
    sink
}

fn current(value: &CurrentValue) -> Sink {
    let mut sink = flexible();
    sink.int(value.epoch);
    sink.int(value.previous_epoch);
    sink.put([value.state as u8]);
    epoch_partitions(&mut sink, &value.assigned);
    epoch_partitions(&mut sink, &value.revoking);
    sink.end();
    sink
}

/// Epochs are left out where none is known.
fn epoch_partitions(sink: &mut Sink, topics: &[EpochPartitions]) {
    sink.count(topics.len());
    for topic in topics {
        sink.id(topic.topic);
        sink.ints(topic.partitions.iter().map(|(partition, _)| *partition));
        let known = topic.partitions.iter().any(|(_, epoch)| epoch.is_some());
        sink.end_with(known.then(|| {
            let mut tagged = Sink::tagged();
            tagged.ints(topic.partitions.iter().map(|(_, epoch)| epoch.unwrap_or(NO_EPOCH)));
            tagged
        }));
    }
}

fn regex(value: &RegexValue) -> Sink {
    let mut sink = flexible();
    sink.count(value.topics.len());
    value.topics.iter().for_each(|topic| sink.text(topic));
    sink.long(value.version);
    sink.long(value.resolved_at.0);
    sink.end();
    sink
}
