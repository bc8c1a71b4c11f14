//! What a shard lets others see: log lines, metrics, checker hooks and coverage marks are all made of these. Never an order.

use crate::id::{ConnId, LeaderEpoch, Offset, PartitionId, ProducerEpoch, ProducerId, StreamId};
use crate::shard::{CloseReason, Halt};
use crate::time::Timestamp;

/// A batch's place among those of its producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sequenced {
    pub id: ProducerId,
    pub epoch: ProducerEpoch,
    pub first: i32,
    pub last: i32,
}

/// One observation. May be dropped by the driver without harm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    Connected {
        conn: ConnId,
    },
    Disconnected {
        conn: ConnId,
    },
    ConnectionRefused {
        conn: ConnId,
        reason: CloseReason,
    },
    /// A request was answered; `key` and `version` are Kafka's.
    Answered {
        key: i16,
        version: i16,
    },
    TopicCreated {
        partitions: i32,
    },
    TopicDeleted,
    Appended {
        partition: PartitionId,
        base: Offset,
        last: Offset,
        epoch: LeaderEpoch,
        bytes: u32,
        segment_base: Offset,
        position: u32,
        max_timestamp: Timestamp,
        /// Who wrote it, if the producer is idempotent.
        producer: Option<Sequenced>,
    },
    DuplicateAnswered {
        partition: PartitionId,
        base: Offset,
    },
    /// A group was written to the WAL: its frame, bytes on disk and batches.
    GroupCommitted {
        lsn: u64,
        bytes: u32,
        batches: u32,
    },
    DurableAdvanced {
        partition: PartitionId,
        durable_end: Offset,
    },
    HighWatermarkAdvanced {
        partition: PartitionId,
        high_watermark: Offset,
    },
    Destaged {
        partition: PartitionId,
        bytes: u64,
    },
    SegmentRolled {
        partition: PartitionId,
        base: Offset,
    },
    SegmentSealed {
        partition: PartitionId,
        base: Offset,
    },
    SegmentDeleted {
        partition: PartitionId,
        base: Offset,
    },
    WalFileCreated {
        stream: StreamId,
        number: u64,
    },
    WalFileRecycled {
        stream: StreamId,
        number: u64,
    },
    Checkpointed {
        stream: StreamId,
        lsn: u64,
    },
    SealWritten {
        lsn: u64,
    },
    CarriedForward {
        partition: PartitionId,
        base: Offset,
    },
    /// Recovery ended a stream at a frame that was never durable as a whole.
    TornTail {
        stream: StreamId,
        lsn: u64,
    },
    /// Recovery met broken frames that are proven to have been durable.
    Rot {
        stream: StreamId,
        first: u64,
        last: u64,
    },
    /// A range of offsets cannot be read any more.
    Faulty {
        partition: PartitionId,
        base: Offset,
        last: Offset,
    },
    /// Both copies of a checkpoint are damaged: the stream is walked from its first file, and nothing says where it ended.
    CheckpointLost {
        stream: StreamId,
    },
    /// One copy of the superblock was damaged or of an older form; both are written again.
    SuperblockRepaired,
    /// A footer was missing or wrong and is made again from its segment.
    FooterRebuilt {
        partition: PartitionId,
        base: Offset,
    },
    Recovered {
        partition: PartitionId,
        log_start: Offset,
        log_end: Offset,
    },
    StorageFull,
    StorageRoomAgain,
    Halted(Halt),
}
