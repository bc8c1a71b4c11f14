//! The records of `__consumer_offsets`, as Kafka keeps them: what groups persist. Knows nothing of who writes them and when.

mod decode;
mod encode;
mod fields;

use alloc::string::String;
use alloc::vec::Vec;

use super::command::{Client, TopicPartition, TopicPartitions};
use crate::coordinator::{KeyedRecord, Unreadable};
use crate::id::TopicId;
use crate::time::{Duration, Timestamp};

/// What a key is of: the number before it.
const LEGACY_OFFSET: i16 = 0;
const OFFSET: i16 = 1;
const GROUP: i16 = 2;
const CONSUMER: i16 = 3;
const MEMBER: i16 = 5;
const TARGET_EPOCH: i16 = 6;
const TARGET_MEMBER: i16 = 7;
const CURRENT_MEMBER: i16 = 8;
const REGEX: i16 = 16;

/// A record; no value is a tombstone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupRecord {
    Offset {
        group: String,
        partition: TopicPartition,
        value: Option<OffsetValue>,
    },
    /// A group of the classic protocol.
    Classic {
        group: String,
        value: Option<ClassicValue>,
    },
    /// A group of the consumer protocol.
    Consumer {
        group: String,
        value: Option<ConsumerValue>,
    },
    Member {
        group: String,
        member: String,
        value: Option<MemberValue>,
    },
    /// The epoch of the target assignment.
    TargetEpoch {
        group: String,
        value: Option<TargetEpochValue>,
    },
    TargetMember {
        group: String,
        member: String,
        value: Option<Vec<TopicPartitions>>,
    },
    CurrentMember {
        group: String,
        member: String,
        value: Option<CurrentValue>,
    },
    Regex {
        group: String,
        regex: String,
        value: Option<RegexValue>,
    },
}

impl GroupRecord {
    /// The group that it is of.
    pub fn group(&self) -> &str {
        match self {
            Self::Offset { group, .. }
            | Self::Classic { group, .. }
            | Self::Consumer { group, .. }
            | Self::Member { group, .. }
            | Self::TargetEpoch { group, .. }
            | Self::TargetMember { group, .. }
            | Self::CurrentMember { group, .. }
            | Self::Regex { group, .. } => group,
        }
    }

    #[must_use]
    pub fn encode(&self) -> KeyedRecord {
        encode::encode(self)
    }

    /// `None` for a kind that is not served.
    pub fn decode(key: &[u8], value: Option<&[u8]>) -> Result<Option<Self>, Unreadable> {
        decode::decode(key, value)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetValue {
    pub offset: i64,
    pub leader_epoch: Option<i32>,
    pub metadata: String,
    pub committed_at: Timestamp,
    /// Only old clients say it.
    pub expires_at: Option<Timestamp>,
    pub topic: Option<TopicId>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassicValue {
    pub protocol_type: String,
    pub generation: i32,
    pub protocol: Option<String>,
    pub leader: Option<String>,
    /// When it came to its state.
    pub since: Option<Timestamp>,
    pub members: Vec<ClassicMember>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassicMember {
    pub id: String,
    pub instance: Option<String>,
    pub client: Client,
    pub rebalance_timeout: Duration,
    pub session_timeout: Duration,
    pub subscription: Vec<u8>,
    pub assignment: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerValue {
    pub epoch: i32,
    /// Of all that its members are subscribed to.
    pub metadata_hash: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberValue {
    pub instance: Option<String>,
    pub rack: Option<String>,
    pub client: Client,
    pub topics: Vec<String>,
    pub regex: Option<String>,
    pub rebalance_timeout: Duration,
    pub assignor: Option<String>,
    /// Of a member that speaks the classic protocol.
    pub classic: Option<ClassicOfMember>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassicOfMember {
    pub session_timeout: Duration,
    pub protocols: Vec<(String, Vec<u8>)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetEpochValue {
    pub epoch: i32,
    pub assigned_at: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CurrentValue {
    pub epoch: i32,
    pub previous_epoch: i32,
    pub state: MemberState,
    pub assigned: Vec<EpochPartitions>,
    pub revoking: Vec<EpochPartitions>,
}

/// Partitions of one topic, each with the epoch in which the member got it, where that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EpochPartitions {
    pub topic: TopicId,
    pub partitions: Vec<(i32, Option<i32>)>,
}

impl EpochPartitions {
    #[must_use]
    pub fn without_epochs(&self) -> TopicPartitions {
        let partitions = self.partitions.iter().map(|&(partition, _)| partition).collect();
        TopicPartitions { topic: self.topic, partitions }
    }
}

/// How far a member has come towards its target; the number is that of the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberState {
    Stable = 0,
    UnrevokedPartitions = 1,
    UnreleasedPartitions = 2,
    Unknown = 127,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegexValue {
    pub topics: Vec<String>,
    pub version: i64,
    pub resolved_at: Timestamp,
}

/// Reads an input as a key and, behind its length in two bytes, a value: what is read says the same after it is written.
pub fn fuzz(input: &[u8]) {
    let Some((len, rest)) = input.split_first_chunk::<2>() else { return };
    let Some((key, value)) = rest.split_at_checked(usize::from(u16::from_be_bytes(*len))) else { return };
    for value in [None, Some(value)] {
        if let Ok(Some(record)) = GroupRecord::decode(key, value) {
            let KeyedRecord { key, value } = record.encode();
            assert_eq!(
                GroupRecord::decode(&key, value.as_deref()),
                Ok(Some(record)),
                "it is read as written"
            );
        }
    }
}

#[cfg(test)]
mod tests;
