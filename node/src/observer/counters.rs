//! What one shard counts, and under which names. Owns no meaning: events are told apart by the observer.

use std::array;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use highwater_core::shard::{CloseReason, Mark};
use highwater_core::time::Duration;
use highwater_core::wire::ErrorCode;

use super::histogram::{BYTES, COUNTS, Histogram, LATENCY_NANOS};
use crate::metrics::{Family, Kind};

macro_rules! counts {
    ($($variant:ident $name:literal $help:literal;)*) => {
        /// What is counted. Its number is its place in a shard's table.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Count { $($variant,)* }

        impl Count {
            pub(crate) const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The families of all, in the order of [`Self::ALL`].
            pub(crate) const FAMILIES: &'static [Family] = &[$(
                Family { name: concat!("highwater_", $name, "_total"), kind: Kind::Counter, labels: &[], help: $help },
            )*];
        }
    };
}

counts! {
    ConnectionsAccepted "connections_accepted" "Connections that were accepted, those that were refused at once included";
    TopicsCreated "topics_created" "Topics that were created";
    TopicsDeleted "topics_deleted" "Topics that were deleted";
    GroupRebalances "group_rebalances" "Rebalances of groups: those of the classic protocol that began, and assignments that the broker computed";
    BatchesAppended "appended_batches" "Record batches appended, those of the cluster's metadata included";
    RecordsAppended "appended_records" "Records appended, those of the cluster's metadata included";
    BytesAppended "appended_bytes" "Bytes of record batches appended, those of the cluster's metadata included";
    BatchesDuplicate "duplicate_batches" "Batches answered as duplicates of earlier ones";
    WalSeals "wal_seals" "Seal frames written to the write-ahead log";
    WalFilesCreated "wal_files_created" "Write-ahead files created";
    WalFilesRecycled "wal_files_recycled" "Write-ahead files used again";
    Checkpoints "checkpoints" "Checkpoints written";
    BatchesCarriedForward "carried_forward_batches" "Batches copied forward in the write-ahead log";
    BytesDestaged "destaged_bytes" "Bytes written from the write-ahead log to segments";
    SegmentsRolled "segments_rolled" "Segments begun";
    SegmentsSealed "segments_sealed" "Segments sealed with a footer";
    SegmentsDeleted "segments_deleted" "Segments deleted";
    PartitionsRecovered "recovered_partitions" "Partitions read back at the start";
    TornTails "recovery_torn_tails" "Torn ends of write-ahead logs found at the start";
    Rots "recovery_rotten_ranges" "Ranges of damaged durable frames found in write-ahead logs";
    RangesFaulty "faulty_ranges_found" "Ranges of offsets found that cannot be read any more";
    FootersRebuilt "footers_rebuilt" "Segment footers made again";
    SuperblocksRepaired "superblocks_repaired" "Superblocks with a damaged or old copy, written again";
    CheckpointsLost "checkpoints_lost" "Checkpoints of the write-ahead log that could not be read";
    ProducersLost "producers_lost" "Partitions that forgot the producers of deleted records";
    LogStartsLost "log_starts_lost" "Partitions that forgot which records were deleted on request";
    StorageFull "storage_full" "Times that a shard found its disk full";
}

/// Why connections end that the node ends.
pub(crate) const REASONS: [CloseReason; 8] = [
    CloseReason::FrameLength,
    CloseReason::Malformed,
    CloseReason::Unsupported,
    CloseReason::UnacknowledgedFailure,
    CloseReason::TooMany,
    CloseReason::Dripping,
    CloseReason::SlowReader,
    CloseReason::Stopping,
];

/// Marks that tell of back-pressure, with the label of each.
pub(crate) const PRESSURES: [(Mark, &str); 7] = [
    (Mark::ProduceParked, "produce_parked"),
    (Mark::ProduceRefused, "produce_refused"),
    (Mark::UnwrittenRefused, "unwritten_refused"),
    (Mark::ReadStarved, "read_starved"),
    (Mark::DestageStarved, "destage_starved"),
    (Mark::ConnectionStarved, "connection_starved"),
    (Mark::ConnectionHeldBack, "connection_held_back"),
];

/// Kafka's keys end far below. Requests with other keys are closed, not answered.
pub(crate) const API_KEYS: usize = 128;

/// Requests of one API.
#[derive(Debug, Default)]
pub(crate) struct ApiCounters {
    pub(crate) took: Histogram,
    pub(crate) request_bytes: AtomicU64,
    pub(crate) response_bytes: AtomicU64,
    pub(crate) good: AtomicU64,
    /// By the place of the code in [`ErrorCode::ALL`]; made when the first error is answered.
    errors: OnceLock<Box<[AtomicU64]>>,
}

/// An answered request, as far as it is counted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answered {
    pub(crate) error: i16,
    pub(crate) request_bytes: u32,
    pub(crate) response_bytes: u32,
    pub(crate) took: Duration,
}

impl ApiCounters {
    fn add(&self, answered: Answered) {
        self.took.add(&LATENCY_NANOS, answered.took.as_nanos());
        self.request_bytes.fetch_add(u64::from(answered.request_bytes), Ordering::Relaxed);
        self.response_bytes.fetch_add(u64::from(answered.response_bytes), Ordering::Relaxed);
        if answered.error == 0 {
            self.good.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let errors = self.errors.get_or_init(|| ErrorCode::ALL.iter().map(|_| AtomicU64::new(0)).collect());
        if let Some(place) = ErrorCode::ALL.iter().position(|code| code.code() == answered.error) {
            errors[place].fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Requests that were answered with the code at that place of [`ErrorCode::ALL`].
    pub(crate) fn failed(&self, place: usize) -> u64 {
        self.errors.get().map_or(0, |errors| errors[place].load(Ordering::Relaxed))
    }
}

/// What a disk is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DiskOperation {
    Write,
    /// Durable when it is done.
    DurableWrite,
    Sync,
    Read,
    /// Of what files there are.
    Change,
}

impl DiskOperation {
    pub(crate) const ALL: [Self; 5] = [Self::Write, Self::DurableWrite, Self::Sync, Self::Read, Self::Change];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Write => "write",
            Self::DurableWrite => "durable_write",
            Self::Sync => "sync",
            Self::Read => "read",
            Self::Change => "change",
        }
    }
}

/// Operations of one kind on the disk.
#[derive(Debug, Default)]
pub(crate) struct DiskCounters {
    pub(crate) took: Histogram,
    pub(crate) bytes: AtomicU64,
    pub(crate) failed: AtomicU64,
}

/// The counters of one shard, on cache lines of their own.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct ShardCounters {
    counts: [AtomicU64; Count::ALL.len()],
    pub(crate) closed_by_peer: AtomicU64,
    closed: [AtomicU64; REASONS.len()],
    pressures: [AtomicU64; PRESSURES.len()],
    apis: [ApiCounters; API_KEYS],
    pub(crate) disk: [DiskCounters; DiskOperation::ALL.len()],
    pub(crate) commit_took: Histogram,
    pub(crate) group_bytes: Histogram,
    pub(crate) group_batches: Histogram,
    pub(crate) full: AtomicBool,
}

impl ShardCounters {
    pub(crate) fn new() -> Self {
        Self {
            counts: array::from_fn(|_| AtomicU64::new(0)),
            closed_by_peer: AtomicU64::new(0),
            closed: array::from_fn(|_| AtomicU64::new(0)),
            pressures: array::from_fn(|_| AtomicU64::new(0)),
            apis: array::from_fn(|_| ApiCounters::default()),
            disk: array::from_fn(|_| DiskCounters::default()),
            commit_took: Histogram::default(),
            group_bytes: Histogram::default(),
            group_batches: Histogram::default(),
            full: AtomicBool::new(false),
        }
    }

    pub(crate) fn add(&self, count: Count, by: u64) {
        self.counts[count as usize].fetch_add(by, Ordering::Relaxed);
    }

    pub(crate) fn count(&self, count: Count) -> u64 {
        self.counts[count as usize].load(Ordering::Relaxed)
    }

    pub(crate) fn add_closed(&self, reason: Option<CloseReason>) {
        let counter = match reason {
            Some(reason) => &self.closed[place_of(reason)],
            None => &self.closed_by_peer,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn closed(&self, reason: CloseReason) -> u64 {
        self.closed[place_of(reason)].load(Ordering::Relaxed)
    }

    pub(crate) fn add_mark(&self, mark: Mark) {
        if let Some(place) = PRESSURES.iter().position(|(pressure, _)| *pressure == mark) {
            self.pressures[place].fetch_add(1, Ordering::Relaxed);
        }
    }

    /// By the place of the mark in [`PRESSURES`].
    pub(crate) fn pressure(&self, place: usize) -> u64 {
        self.pressures[place].load(Ordering::Relaxed)
    }

    pub(crate) fn add_answered(&self, key: i16, answered: Answered) {
        if let Some(api) = usize::try_from(key).ok().and_then(|key| self.apis.get(key)) {
            api.add(answered);
        }
    }

    pub(crate) fn api(&self, key: i16) -> Option<&ApiCounters> {
        self.apis.get(usize::try_from(key).ok()?)
    }

    pub(crate) fn add_group(&self, bytes: u32, batches: u32) {
        self.group_bytes.add(&BYTES, u64::from(bytes));
        self.group_batches.add(&COUNTS, u64::from(batches));
    }
}

fn place_of(reason: CloseReason) -> usize {
    REASONS.iter().position(|&r| r == reason).expect("the list names every reason")
}

#[cfg(test)]
mod tests {
    use highwater_core::wire::ApiKey;

    use super::*;

    #[test]
    fn counters_have_their_places() {
        assert!(ApiKey::ALL.iter().all(|api| usize::try_from(api.code()).unwrap() < API_KEYS));
        for (place, count) in Count::ALL.iter().enumerate() {
            assert_eq!(place, *count as usize);
        }
        for (place, operation) in DiskOperation::ALL.iter().enumerate() {
            assert_eq!(place, *operation as usize);
        }
    }

    #[test]
    fn errors_are_counted_by_their_codes() {
        let counters = ShardCounters::new();
        for error in [0, 3, 3, -1] {
            let took = Duration::from_millis(1);
            counters.add_answered(3, Answered { error, request_bytes: 5, response_bytes: 7, took });
        }
        let api = counters.api(3).unwrap();
        let failed =
            |code: ErrorCode| api.failed(ErrorCode::ALL.iter().position(|other| *other == code).unwrap());
        assert_eq!(api.good.load(Ordering::Relaxed), 1);
        assert_eq!(failed(ErrorCode::UnknownTopicOrPartition), 2);
        assert_eq!(failed(ErrorCode::UnknownServerError), 1);
        assert_eq!(api.request_bytes.load(Ordering::Relaxed), 20);
    }
}
