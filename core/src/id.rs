//! Identifiers: newtypes with the field's names. Handles that name something that may die carry a generation, so that a late
//! completion is recognised instead of guessed.

use alloc::string::String;
use core::fmt;

/// A record's place in its partition. Arithmetic is checked: an offset never wraps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Offset(pub i64);

impl Offset {
    pub const ZERO: Self = Self(0);

    /// The offset `count` places further. Panics on overflow: no log reaches 2⁶³ records.
    #[must_use]
    pub const fn plus(self, count: i64) -> Self {
        Self(self.0.checked_add(count).expect("an offset stays below 2^63"))
    }

    #[must_use]
    pub const fn next(self) -> Self {
        self.plus(1)
    }

    /// How many places `self` lies behind `earlier` (negative if it lies before).
    pub const fn since(self, earlier: Self) -> i64 {
        self.0.wrapping_sub(earlier.0)
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Counts the leaders of a partition (KIP-101).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct LeaderEpoch(pub i32);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ProducerId(pub i64);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ProducerEpoch(pub i16);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct NodeId(pub i32);

/// One core's shard. Never written to disk: the count of shards may change at a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ShardId(pub u16);

/// 128 bits, shown as Kafka shows them: URL-safe base64 without padding, 22 characters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Uuid(pub [u8; 16]);

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

impl Uuid {
    pub const ZERO: Self = Self([0; 16]);

    pub const fn is_zero(self) -> bool {
        u128::from_be_bytes(self.0) == 0
    }

    /// Reads the 22 characters that [`fmt::Display`] writes; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != 22 {
            return None;
        }
        let mut value: u128 = 0;
        for (place, byte) in text.bytes().enumerate() {
            let digit = BASE64.iter().position(|&c| c == byte)?;
            let digit = u128::try_from(digit).ok()?;
            // 21 digits of six bits, and the last one carries only two.
            value = if place < 21 {
                (value << 6) | digit
            } else if digit & 0xf == 0 {
                (value << 2) | (digit >> 4)
            } else {
                return None;
            };
        }
        Some(Self(value.to_be_bytes()))
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = u128::from_be_bytes(self.0);
        let mut text = String::with_capacity(22);
        for place in 0..22_u32 {
            let digit = if place < 21 { (value >> (122 - 6 * place)) & 0x3f } else { (value & 0x3) << 4 };
            let digit = usize::try_from(digit).expect("six bits fit a usize");
            text.push(char::from(BASE64[digit]));
        }
        f.write_str(&text)
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A topic for ever: a topic that is deleted and created again under its name has another id (KIP-516).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct TopicId(pub Uuid);

impl TopicId {
    /// The id of `__cluster_metadata`, the same in every cluster, as in Kafka.
    pub const METADATA: Self = Self(Uuid([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]));
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct PartitionId {
    pub topic: TopicId,
    pub index: i32,
}

impl PartitionId {
    /// The one partition of `__cluster_metadata`, always on shard 0.
    pub const METADATA: Self = Self { topic: TopicId::METADATA, index: 0 };
}

impl fmt::Display for PartitionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic.0, self.index)
    }
}

/// One write-ahead log: a stream is born when a shard starts and dies when all it holds is destaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct StreamId(pub Uuid);

/// A connection of one shard, named by the driver. `generation` makes a reused slot another connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId {
    pub slot: u32,
    pub generation: u32,
}

/// One disk operation of one shard, named by the core. Each gets exactly one completion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OpId(pub u64);

/// A file by what it is, not by where it lies: the driver owns paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileId {
    /// Who this directory belongs to: cluster, node, directory, format.
    Superblock,
    /// One file of a write-ahead log, numbered from 0 without reuse of a number.
    Wal { stream: StreamId, number: u64 },
    /// Where recovery of a stream begins.
    Checkpoint { stream: StreamId },
    /// Kafka's record batches, byte for byte.
    Segment { partition: PartitionId, base: Offset },
    /// The same after compaction, up to the offset `end`. In force once the footer of `base` names this generation.
    Cleaned { partition: PartitionId, base: Offset, end: Offset, generation: u32 },
    /// The immutable index of a sealed segment.
    Footer { partition: PartitionId, base: Offset },
    /// What open segments hold, so that a start need not read them. May be lost.
    RecoveryPoints { number: u64 },
    /// Where the log begins, if that is within a segment.
    LogStart { partition: PartitionId },
}

impl FileId {
    /// The partition whose file it is.
    pub const fn partition(self) -> Option<PartitionId> {
        match self {
            Self::Superblock | Self::Wal { .. } | Self::Checkpoint { .. } | Self::RecoveryPoints { .. } => {
                None
            }
            Self::Segment { partition, .. }
            | Self::Cleaned { partition, .. }
            | Self::Footer { partition, .. }
            | Self::LogStart { partition } => Some(partition),
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::{TopicId, Uuid};

    #[test]
    fn uuid_reads_what_it_writes() {
        let uuid = Uuid([0xff, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 0xfd]);
        assert_eq!(Uuid::parse(&uuid.to_string()), Some(uuid));
        assert_eq!(TopicId::METADATA.0.to_string(), "AAAAAAAAAAAAAAAAAAAAAQ");
    }

    #[test]
    fn uuid_refuses_other_text() {
        assert_eq!(Uuid::parse("AAAAAAAAAAAAAAAAAAAAAR"), None);
        assert_eq!(Uuid::parse("short"), None);
        assert_eq!(Uuid::parse("AAAAAAAAAAAAAAAAAAAA+Q"), None);
    }
}
