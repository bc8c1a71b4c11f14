//! What a shard lets others see: log lines, metrics, checker hooks and coverage marks are all made of these. Never an order.

use alloc::boxed::Box;

use crate::config::LogLevel;
use crate::group::out::GroupEvent;
use crate::id::{ConnId, LeaderEpoch, Offset, PartitionId, ProducerEpoch, ProducerId, StreamId};
use crate::shard::{CloseReason, Halt};
use crate::time::{Duration, Timestamp};

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
    /// `reason` is the node's; without one the peer ended it.
    Disconnected {
        conn: ConnId,
        reason: Option<CloseReason>,
    },
    ConnectionRefused {
        conn: ConnId,
        reason: CloseReason,
    },
    /// The answer of a request went to the driver, or is none. `key`, `version` and `error`, the first one in the response or
    /// zero, are Kafka's; `took` is the time since the request was there as a whole. Without the lengths before the frames.
    Answered {
        key: i16,
        version: i16,
        error: i16,
        request_bytes: u32,
        response_bytes: u32,
        took: Duration,
    },
    TopicCreated {
        partitions: i32,
    },
    TopicDeleted,
    /// A logger of the node says more or less from now on.
    LogLevelSet {
        logger: &'static str,
        level: LogLevel,
    },
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
    /// A cleaned segment of so many bytes took the place of those between the two offsets.
    SegmentCleaned {
        partition: PartitionId,
        base: Offset,
        end: Offset,
        bytes: u32,
    },
    /// A pass is over: below that offset no key has more than one record.
    LogCleaned {
        partition: PartitionId,
        upto: Offset,
    },
    /// A cleaning met what cannot be read, and the log stays as it is until the next start.
    CleaningGivenUp {
        partition: PartitionId,
        at: Offset,
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
    /// The footer that a deleted segment left cannot be read: which producers wrote before the log's start, and how far, is
    /// forgotten. A batch of theirs that is sent again may be refused, or appended twice.
    ProducersLost {
        partition: PartitionId,
    },
    /// Records were deleted on request: the log begins there from now on, on disk too.
    LogStartMoved {
        partition: PartitionId,
        log_start: Offset,
    },
    /// Both copies of the file that tells where the log begins are damaged: it begins with its first segment again, so that records
    /// which were deleted may be read again.
    LogStartLost {
        partition: PartitionId,
    },
    /// One copy of the superblock was damaged or of an older form; both are written again.
    SuperblockRepaired,
    /// A footer was missing or wrong and is made again, from its segment or its second copy.
    FooterRebuilt {
        partition: PartitionId,
        base: Offset,
    },
    Recovered {
        partition: PartitionId,
        log_start: Offset,
        log_end: Offset,
    },
    /// A group came to another state.
    GroupChanged(Box<GroupEvent>),
    /// What a partition of `__consumer_offsets` says cannot be read: its groups are not served until a read succeeds, or, where what is
    /// there makes no sense, until the node starts again.
    GroupsUnreadable {
        partition: PartitionId,
        why: &'static str,
    },
    StorageFull,
    StorageRoomAgain,
    Halted(Halt),
    /// A branch that is rare or worth knowing was taken.
    Marked(Mark),
}

macro_rules! names {
    ($(#[$doc:meta])* $type:ident: $($variant:ident)*) => {
        impl $type {
            $(#[$doc])*
            pub const NAMES: &[&str] = &[$(stringify!($variant),)*];

            /// The name of the variant.
            pub const fn name(&self) -> &'static str {
                match self { $(Self::$variant { .. } => stringify!($variant),)* }
            }
        }
    };
}

names! {
    /// Every kind of event; a coverage mark each.
    Event:
    Connected Disconnected ConnectionRefused Answered TopicCreated TopicDeleted LogLevelSet Appended DuplicateAnswered GroupCommitted DurableAdvanced HighWatermarkAdvanced Destaged SegmentRolled SegmentSealed SegmentDeleted SegmentCleaned LogCleaned CleaningGivenUp WalFileCreated WalFileRecycled Checkpointed SealWritten CarriedForward TornTail Rot Faulty CheckpointLost ProducersLost LogStartMoved LogStartLost SuperblockRepaired FooterRebuilt Recovered GroupChanged GroupsUnreadable StorageFull StorageRoomAgain Halted Marked
}

/// A branch of the core that tests should have been through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// The WAL has no room: a produce waits for it, or is refused because the disk has none.
    ProduceParked,
    ProduceRefused,
    /// A produce that was taken in is refused: the disk was found full before its batch was written.
    UnwrittenRefused,
    /// A call came from a home whose metadata is newer.
    CallBeforeImage,
    /// A duplicate of a batch that is not durable yet.
    DuplicateInFlight,
    /// There is no page for a read, a destaging or a connection.
    ReadStarved,
    DestageStarved,
    ConnectionStarved,
    /// A read was too short for the first batch.
    ReadAgain,
    /// What a reader wants to wait for was there by then.
    WatchRipe,
    /// A connection is not read while its answers are not taken or its requests are too many.
    ConnectionHeldBack,
    /// A write to the WAL ended before an older one.
    WrittenEarly,
    /// A block that is not full is written, because carrying its bytes forward would free neither the WAL nor memory; or its segment is ended.
    BlockPadded,
    SegmentEndedEarly,
    /// A run goes to its segment in more than one write.
    DestagedInPieces,
    /// A batch was destaged while it was carried forward.
    CarriedInVain,
    /// The end of the log gets a file of its own before the last one with batches is deleted.
    ActiveFileCreated,
    /// A partition was deleted while a job was at work on its files.
    DeletedAtWork,
    /// A shard needs a stream of an earlier life no more; the stream is gone.
    LegacyReleased,
    StreamRemoved,
    /// A start went on from a recovery point; there was one that contradicts the file or the WAL.
    RecoveryResumed,
    RecoveryPointRefused,
    /// A shard's file of recovery points gave way to a new one; it writes none any more.
    RecoveryPointsRenewed,
    RecoveryPointsGivenUp,
}

names! {
    /// Every mark.
    Mark:
    ProduceParked ProduceRefused UnwrittenRefused CallBeforeImage DuplicateInFlight ReadStarved DestageStarved ConnectionStarved
    ReadAgain WatchRipe ConnectionHeldBack WrittenEarly BlockPadded SegmentEndedEarly DestagedInPieces CarriedInVain
    ActiveFileCreated DeletedAtWork LegacyReleased StreamRemoved RecoveryResumed RecoveryPointRefused RecoveryPointsRenewed
    RecoveryPointsGivenUp
}

#[cfg(test)]
mod tests {
    use super::{Event, Mark};

    #[test]
    fn names_are_those_of_the_variants() {
        assert_eq!(Event::StorageFull.name(), "StorageFull");
        assert_eq!(Event::Marked(Mark::WatchRipe).name(), "Marked");
        assert!(Event::NAMES.contains(&"Recovered") && Mark::NAMES.contains(&Mark::WatchRipe.name()));
        let all = || Event::NAMES.iter().chain(Mark::NAMES);
        assert!(all().all(|name| all().filter(|other| *other == name).count() == 1), "one name each");
    }
}
