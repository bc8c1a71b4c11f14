//! What may be asked of one partition, and what it answers: the part of a request that reaches the shard that owns the
//! partition. Knows nothing of the request it came from.

use alloc::vec::Vec;

use crate::batch::{Encoding, ProducedBatch};
use crate::buf::Slice;
use crate::id::{LeaderEpoch, Offset, PartitionId, ProducerEpoch, ProducerId};
use crate::log::Minimum;
use crate::time::Timestamp;

/// One question to one partition. Answered by exactly one [`PartitionReply`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PartitionOp {
    Produce(ProduceOp),
    Fetch(FetchOp),
    ListOffsets(ListOffsetsOp),
    DeleteRecords(DeleteRecordsOp),
    EpochEnd(EpochEndOp),
    /// Which producers the partition remembers.
    Producers(PartitionId),
    /// Bytes of its log.
    Size(PartitionId),
}

impl PartitionOp {
    pub fn partition(&self) -> PartitionId {
        match self {
            Self::Produce(op) => op.partition,
            Self::Fetch(op) => op.partition,
            Self::ListOffsets(op) => op.partition,
            Self::DeleteRecords(op) => op.partition,
            Self::EpochEnd(op) => op.partition,
            Self::Producers(partition) | Self::Size(partition) => *partition,
        }
    }
}

/// Append one batch. The home has checked the batch: its CRC, each of its records and the topic's size limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProduceOp {
    pub partition: PartitionId,
    pub acks: Acks,
    /// Exactly one record batch, as the producer sent it.
    pub batch: Slice,
    /// What the check found: `max_timestamp` is that of the records, whatever the header says.
    pub checked: ProducedBatch,
    /// If the topic wants its batches compressed otherwise. Then each record was walked.
    pub recompress: Option<Recompress>,
}

/// How a batch is to be compressed before it is appended, and how long it may become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recompress {
    pub encoding: Encoding,
    pub batch_bytes_max: u32,
}

/// When a produce is answered. With `None` too there is a reply, which tells the home of an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acks {
    None,
    Leader,
    All,
}

/// Read batches from an offset on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchOp {
    pub partition: PartitionId,
    pub offset: Offset,
    /// The epoch that the client knows, to be compared with the partition's (KIP-320).
    pub current_leader_epoch: Option<LeaderEpoch>,
    pub isolation: Isolation,
    pub bytes_max: u32,
    pub minimum: Minimum,
    pub starved: Starved,
    /// If the read ends at the end of what may be read and has fewer bytes than this, the partition remembers the call and
    /// wakes it once when there is more to read, or when it would answer with an error. Zero asks for no watch.
    pub watch_below: u32,
}

/// What a read does that finds no memory to read into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Starved {
    /// It waits for what others give back. Only for one who holds nothing that others wait for.
    Waits,
    /// It is answered without records and says that there are more.
    ReadsNothing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// Up to the high watermark.
    ReadUncommitted,
    /// Up to the last stable offset.
    ReadCommitted,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListOffsetsOp {
    pub partition: PartitionId,
    pub current_leader_epoch: Option<LeaderEpoch>,
    pub isolation: Isolation,
    pub target: OffsetTarget,
}

/// Which offset is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OffsetTarget {
    /// Kafka's −2: the log start offset.
    Earliest,
    /// Kafka's −1: the high watermark or the last stable offset, by isolation.
    Latest,
    /// Kafka's −3: the first record with the largest timestamp (KIP-734).
    MaxTimestamp,
    /// The first record whose timestamp is not before this.
    At(Timestamp),
}

/// Forget the records before an offset; for good, once this is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeleteRecordsOp {
    pub partition: PartitionId,
    /// `None` is the high watermark.
    pub upto: Option<Offset>,
}

/// Where does a leader epoch end?
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EpochEndOp {
    pub partition: PartitionId,
    pub current_leader_epoch: Option<LeaderEpoch>,
    pub epoch: LeaderEpoch,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PartitionReply {
    Produced(ProduceReply),
    Read(ReadReply),
    Offset(OffsetReply),
    /// The low watermark: the log's start, which is on disk.
    Deleted(Offset),
    /// The newest epoch that is not above the one asked for, and the offset where it ends; `None` if nothing is known of it.
    EpochEnd(Option<(LeaderEpoch, Offset)>),
    Producers(Vec<ActiveProducer>),
    Size(u64),
    Failed(PartitionError),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProduceReply {
    pub base_offset: Offset,
    /// Set where the topic stamps records itself.
    pub log_append_time: Option<Timestamp>,
    pub log_start_offset: Offset,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadReply {
    /// Whole batches, one after the other; the first may begin before the offset that was asked for.
    pub records: Vec<Slice>,
    /// Where to read on: one past the last record in `records`, or the offset that was asked for.
    pub next: Offset,
    pub high_watermark: Offset,
    pub last_stable_offset: Offset,
    pub log_start_offset: Offset,
    /// There is more to read at `next`; it did not fit.
    pub more: bool,
    /// The partition remembers the call and will send `Woken`.
    pub watched: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActiveProducer {
    pub id: ProducerId,
    pub epoch: ProducerEpoch,
    /// Of its last batch, if it has written one in this epoch.
    pub last_sequence: Option<i32>,
    pub last_timestamp: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OffsetReply {
    /// `None` where no record is meant or none was found.
    pub timestamp: Option<Timestamp>,
    /// `None`: no record is at or after the time that was asked for.
    pub offset: Option<Offset>,
    pub leader_epoch: Option<LeaderEpoch>,
}

/// Why a partition refuses. The peer's fault or a state that passes; never ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartitionError {
    /// This shard knows no such partition: it was deleted.
    Unknown,
    /// Another node leads it.
    NotLeader,
    FencedLeaderEpoch,
    UnknownLeaderEpoch,
    OffsetOutOfRange,
    /// The high watermark of a new leader has not reached its epoch's start (KIP-207).
    OffsetNotAvailable,
    /// Fewer replicas in sync than `min.insync.replicas`; nothing was appended.
    NotEnoughReplicas,
    /// As above, but the batch was appended and may yet be committed.
    NotEnoughReplicasAfterAppend,
    OutOfOrderSequence {
        expected: i32,
        found: i32,
    },
    InvalidProducerEpoch {
        current: i16,
        found: i16,
    },
    /// A batch that was appended long ago; its offset is no longer known.
    DuplicateSequence,
    /// A producer that has no state here goes on with a sequence that is not 0.
    UnknownProducerId,
    /// Compressed as the topic wants it, the batch has more bytes than the topic allows.
    RecompressedTooLarge {
        max: u32,
    },
    /// The batch is larger than a segment, or than all memory for batches.
    BatchTooLarge,
    InvalidTimestamp,
    /// The disk has no room; a retry may succeed.
    StorageFull,
    /// The bytes cannot be read back.
    Faulty,
}
