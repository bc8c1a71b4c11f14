//! What the core says it does, as counters, health and log lines. Each shard writes counters of its own; they meet at a scrape.

use std::array;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::Instant;

use highwater_core::id::ShardId;
use highwater_core::shard::{CloseReason, Event, Halt};
use highwater_core::wire::ApiKey;

use crate::words;

/// What is counted. The place of a count in [`Count::ALL`] is its place in a shard's table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Count {
    ConnectionsOpened,
    ConnectionsClosed,
    TopicsCreated,
    TopicsDeleted,
    BatchesAppended,
    RecordsAppended,
    BytesAppended,
    BatchesDuplicate,
    WalGroups,
    WalGroupBatches,
    WalBytes,
    WalSeals,
    WalFilesCreated,
    WalFilesRecycled,
    Checkpoints,
    BatchesCarriedForward,
    BytesDestaged,
    SegmentsRolled,
    SegmentsSealed,
    SegmentsDeleted,
    PartitionsRecovered,
    TornTails,
    Rots,
    RangesFaulty,
    FootersRebuilt,
    SuperblocksRepaired,
    CheckpointsLost,
    ProducersLost,
}

impl Count {
    pub(crate) const ALL: [Self; 28] = [
        Self::ConnectionsOpened,
        Self::ConnectionsClosed,
        Self::TopicsCreated,
        Self::TopicsDeleted,
        Self::BatchesAppended,
        Self::RecordsAppended,
        Self::BytesAppended,
        Self::BatchesDuplicate,
        Self::WalGroups,
        Self::WalGroupBatches,
        Self::WalBytes,
        Self::WalSeals,
        Self::WalFilesCreated,
        Self::WalFilesRecycled,
        Self::Checkpoints,
        Self::BatchesCarriedForward,
        Self::BytesDestaged,
        Self::SegmentsRolled,
        Self::SegmentsSealed,
        Self::SegmentsDeleted,
        Self::PartitionsRecovered,
        Self::TornTails,
        Self::Rots,
        Self::RangesFaulty,
        Self::FootersRebuilt,
        Self::SuperblocksRepaired,
        Self::CheckpointsLost,
        Self::ProducersLost,
    ];
}

pub(crate) const REASONS: [CloseReason; 7] = [
    CloseReason::FrameLength,
    CloseReason::Malformed,
    CloseReason::Unsupported,
    CloseReason::UnacknowledgedFailure,
    CloseReason::TooMany,
    CloseReason::Dripping,
    CloseReason::Stopping,
];

/// Kafka's keys end far below. Requests with other keys are closed, not answered.
const API_KEYS: usize = 128;

/// The counters of one shard, on cache lines of their own.
#[derive(Debug)]
#[repr(align(128))]
struct ShardCounters {
    counts: [AtomicU64; Count::ALL.len()],
    refused: [AtomicU64; REASONS.len()],
    answered: [AtomicU64; API_KEYS],
    full: AtomicBool,
}

impl ShardCounters {
    fn new() -> Self {
        Self {
            counts: array::from_fn(|_| AtomicU64::new(0)),
            refused: array::from_fn(|_| AtomicU64::new(0)),
            answered: array::from_fn(|_| AtomicU64::new(0)),
            full: AtomicBool::new(false),
        }
    }

    fn add(&self, count: Count, by: u64) {
        self.counts[count as usize].fetch_add(by, Ordering::Relaxed);
    }
}

/// Where the node is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Starting,
    Serving,
    Stopping,
}

/// One condition of readiness, with its reason.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Check {
    pub(crate) name: &'static str,
    pub(crate) ok: bool,
    pub(crate) reason: String,
}

/// Watches all shards of a node. Shared by their threads and the HTTP thread.
#[derive(Debug)]
pub(crate) struct Observer {
    shards: Box<[ShardCounters]>,
    phase: AtomicU8,
    halted: Mutex<Vec<(ShardId, Halt)>>,
    started: Instant,
    /// Second of the last refusal that was logged: a hostile peer shall not fill the log.
    refusal_logged: AtomicU64,
}

impl Observer {
    pub(crate) fn new(shards: u16) -> Self {
        Self {
            shards: (0..shards).map(|_| ShardCounters::new()).collect(),
            phase: AtomicU8::new(Phase::Starting as u8),
            halted: Mutex::new(Vec::new()),
            started: Instant::now(),
            refusal_logged: AtomicU64::new(0),
        }
    }

    pub(crate) fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Starting,
            1 => Phase::Serving,
            _ => Phase::Stopping,
        }
    }

    pub(crate) fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Release);
    }

    pub(crate) fn total(&self, count: Count) -> u64 {
        self.sum(|shard| &shard.counts[count as usize])
    }

    pub(crate) fn refused(&self, reason: CloseReason) -> u64 {
        self.sum(|shard| &shard.refused[place_of(reason)])
    }

    pub(crate) fn answered(&self, api: ApiKey) -> u64 {
        let key = usize::try_from(api.code()).expect("Kafka's keys count from 0");
        self.sum(|shard| &shard.answered[key])
    }

    pub(crate) fn shards_full(&self) -> usize {
        self.shards.iter().filter(|shard| shard.full.load(Ordering::Relaxed)).count()
    }

    pub(crate) fn shards(&self) -> usize {
        self.shards.len()
    }

    /// Shards that ended for a reason other than being asked to.
    pub(crate) fn failed(&self) -> Vec<(ShardId, Halt)> {
        let halted = self.halted.lock().expect("no thread panics while it holds the list");
        halted.iter().filter(|(_, halt)| *halt != Halt::Stopped).copied().collect()
    }

    fn sum(&self, counter: impl Fn(&ShardCounters) -> &AtomicU64) -> u64 {
        self.shards.iter().map(|shard| counter(shard).load(Ordering::Relaxed)).sum()
    }

    /// Every condition of readiness, met or not.
    pub(crate) fn checks(&self) -> Vec<Check> {
        let phase = self.phase();
        let failed = self.failed();
        let full = self.shards_full();
        vec![
            Check {
                name: "phase",
                ok: phase == Phase::Serving,
                reason: match phase {
                    Phase::Starting => "starting: reading the data directory back".into(),
                    Phase::Serving => "serving".into(),
                    Phase::Stopping => "stopping: it was asked to".into(),
                },
            },
            Check {
                name: "shards",
                ok: failed.is_empty(),
                reason: match failed.first() {
                    None => format!("{} of {} run", self.shards(), self.shards()),
                    Some((shard, halt)) => format!("shard {} ended: {}", shard.0, words::halt(*halt).why),
                },
            },
            Check {
                name: "storage",
                ok: full == 0,
                reason: if full == 0 {
                    "has room".into()
                } else {
                    format!(
                        "full for {full} of {} shards: produce is refused until there is room",
                        self.shards()
                    )
                },
            },
        ]
    }

    /// Takes one event of one shard, on that shard's thread. Cheap for all that happens often.
    pub(crate) fn on_event(&self, shard: ShardId, event: &Event) {
        let counters = &self.shards[usize::from(shard.0)];
        count(counters, event);
        if let Event::Halted(halt) = event {
            self.halted.lock().expect("no thread panics while it holds the list").push((shard, *halt));
        }
        if let Event::ConnectionRefused { reason, .. } = event
            && self.may_log_refusal()
        {
            tracing::info!(shard = shard.0, reason = words::close_reason(*reason), "connection refused");
        }
        log(shard, event);
    }

    /// At most one in a second; the metric counts them all.
    fn may_log_refusal(&self) -> bool {
        let second = self.started.elapsed().as_secs() + 1;
        self.refusal_logged.swap(second, Ordering::Relaxed) != second
    }
}

fn place_of(reason: CloseReason) -> usize {
    REASONS.iter().position(|&r| r == reason).expect("the list names every reason")
}

fn count(counters: &ShardCounters, event: &Event) {
    match event {
        Event::Connected { .. } => counters.add(Count::ConnectionsOpened, 1),
        Event::Disconnected { .. } => counters.add(Count::ConnectionsClosed, 1),
        Event::ConnectionRefused { reason, .. } => {
            counters.refused[place_of(*reason)].fetch_add(1, Ordering::Relaxed);
        }
        Event::Answered { key, .. } => {
            if let Some(counter) = usize::try_from(*key).ok().and_then(|key| counters.answered.get(key)) {
                counter.fetch_add(1, Ordering::Relaxed);
            }
        }
        Event::TopicCreated { .. } => counters.add(Count::TopicsCreated, 1),
        Event::TopicDeleted => counters.add(Count::TopicsDeleted, 1),
        Event::Appended { base, last, bytes, .. } => {
            counters.add(Count::BatchesAppended, 1);
            counters.add(Count::RecordsAppended, u64::try_from(last.since(*base)).map_or(0, |n| n + 1));
            counters.add(Count::BytesAppended, u64::from(*bytes));
        }
        Event::DuplicateAnswered { .. } => counters.add(Count::BatchesDuplicate, 1),
        Event::GroupCommitted { bytes, batches, .. } => {
            counters.add(Count::WalGroups, 1);
            counters.add(Count::WalGroupBatches, u64::from(*batches));
            counters.add(Count::WalBytes, u64::from(*bytes));
        }
        Event::SealWritten { .. } => counters.add(Count::WalSeals, 1),
        Event::WalFileCreated { .. } => counters.add(Count::WalFilesCreated, 1),
        Event::WalFileRecycled { .. } => counters.add(Count::WalFilesRecycled, 1),
        Event::Checkpointed { .. } => counters.add(Count::Checkpoints, 1),
        Event::CarriedForward { .. } => counters.add(Count::BatchesCarriedForward, 1),
        Event::Destaged { bytes, .. } => counters.add(Count::BytesDestaged, *bytes),
        Event::SegmentRolled { .. } => counters.add(Count::SegmentsRolled, 1),
        Event::SegmentSealed { .. } => counters.add(Count::SegmentsSealed, 1),
        Event::SegmentDeleted { .. } => counters.add(Count::SegmentsDeleted, 1),
        Event::Recovered { .. } => counters.add(Count::PartitionsRecovered, 1),
        Event::TornTail { .. } => counters.add(Count::TornTails, 1),
        Event::Rot { .. } => counters.add(Count::Rots, 1),
        Event::Faulty { .. } => counters.add(Count::RangesFaulty, 1),
        Event::FooterRebuilt { .. } => counters.add(Count::FootersRebuilt, 1),
        Event::SuperblockRepaired => counters.add(Count::SuperblocksRepaired, 1),
        Event::CheckpointLost { .. } => counters.add(Count::CheckpointsLost, 1),
        Event::ProducersLost { .. } => counters.add(Count::ProducersLost, 1),
        Event::StorageFull => counters.full.store(true, Ordering::Relaxed),
        Event::StorageRoomAgain => counters.full.store(false, Ordering::Relaxed),
        Event::DurableAdvanced { .. }
        | Event::HighWatermarkAdvanced { .. }
        | Event::Marked(_)
        | Event::LogLevelSet { .. }
        | Event::Halted(_) => {}
    }
}

/// The level says who should read it: error calls for a person, warn is damage that was repaired, info is rare and ordinary.
fn log(shard: ShardId, event: &Event) {
    let shard = shard.0;
    match event {
        Event::TopicCreated { partitions } => tracing::info!(shard, partitions, "topic created"),
        Event::TopicDeleted => tracing::info!(shard, "topic deleted"),
        Event::LogLevelSet { logger, level } => {
            tracing::info!(shard, logger, level = level.name(), "log level set");
        }
        Event::TornTail { stream, lsn } => {
            tracing::warn!(shard, stream = %stream.0, lsn, "the write-ahead log ends in a torn write; nothing acknowledged is lost");
        }
        Event::Rot { stream, first, last } => {
            tracing::error!(shard, stream = %stream.0, first, last, "the write-ahead log is damaged where it was durable");
        }
        Event::Faulty { partition, base, last } => {
            tracing::error!(shard, %partition, base = base.0, last = last.0, "offsets cannot be read any more");
        }
        Event::FooterRebuilt { partition, base } => {
            tracing::warn!(shard, %partition, base = base.0, "a segment's footer was damaged and is made again");
        }
        Event::SuperblockRepaired => {
            tracing::warn!(shard, "one copy of the superblock was damaged or old; both are written again");
        }
        Event::CheckpointLost { stream } => {
            tracing::error!(shard, stream = %stream.0, "a checkpoint is damaged: the write-ahead log is read from its start");
        }
        Event::ProducersLost { partition } => {
            tracing::error!(shard, %partition, "the producers of deleted records are forgotten: batches sent again may be doubled or refused");
        }
        Event::StorageFull => {
            tracing::error!(shard, "the disk is full: produce is refused until there is room")
        }
        Event::StorageRoomAgain => tracing::info!(shard, "the disk has room again"),
        Event::Halted(Halt::Stopped) => tracing::debug!(shard, "shard stopped"),
        Event::Halted(halt) => {
            let failure = words::halt(*halt);
            tracing::error!(
                shard,
                place = failure.place,
                why = failure.why,
                fix = failure.fix,
                "{}",
                failure.what
            );
        }
        Event::Connected { .. } | Event::Disconnected { .. } | Event::ConnectionRefused { .. } => {
            tracing::debug!(shard, ?event);
        }
        Event::Marked(_)
        | Event::WalFileCreated { .. }
        | Event::WalFileRecycled { .. }
        | Event::Checkpointed { .. }
        | Event::SegmentRolled { .. }
        | Event::SegmentSealed { .. }
        | Event::SegmentDeleted { .. }
        | Event::CarriedForward { .. }
        | Event::Recovered { .. } => tracing::debug!(shard, ?event),
        Event::Answered { .. }
        | Event::Appended { .. }
        | Event::DuplicateAnswered { .. }
        | Event::GroupCommitted { .. }
        | Event::DurableAdvanced { .. }
        | Event::HighWatermarkAdvanced { .. }
        | Event::Destaged { .. }
        | Event::SealWritten { .. } => tracing::trace!(shard, ?event),
    }
}

#[cfg(test)]
mod tests {
    use highwater_core::id::{ConnId, LeaderEpoch, Offset, PartitionId};
    use highwater_core::time::Timestamp;

    use super::*;

    #[test]
    fn counters_have_their_places() {
        assert!(ApiKey::ALL.iter().all(|api| usize::try_from(api.code()).unwrap() < API_KEYS));
        for (place, count) in Count::ALL.iter().enumerate() {
            assert_eq!(place, *count as usize);
        }
    }

    fn answered(key: i16) -> Event {
        let took = highwater_core::time::Duration::from_millis(1);
        Event::Answered { key, version: 0, error: 0, request_bytes: 10, response_bytes: 20, took }
    }

    #[test]
    fn observer_adds_up_the_shards() {
        let observer = Observer::new(2);
        let event = Event::Appended {
            partition: PartitionId::METADATA,
            base: Offset(10),
            last: Offset(14),
            epoch: LeaderEpoch(0),
            bytes: 100,
            segment_base: Offset(0),
            position: 0,
            max_timestamp: Timestamp(0),
            producer: None,
        };
        observer.on_event(ShardId(0), &event);
        observer.on_event(ShardId(1), &event);
        assert_eq!(observer.total(Count::RecordsAppended), 10);
        assert_eq!(observer.total(Count::BytesAppended), 200);
        observer.on_event(ShardId(1), &answered(-7));
        observer.on_event(ShardId(1), &answered(3));
        assert_eq!((observer.answered(ApiKey::Metadata), observer.answered(ApiKey::Produce)), (1, 0));
        let conn = ConnId { slot: 0, generation: 0 };
        observer.on_event(ShardId(0), &Event::ConnectionRefused { conn, reason: CloseReason::Dripping });
        assert_eq!((observer.refused(CloseReason::Dripping), observer.refused(CloseReason::TooMany)), (1, 0));
    }

    fn failing(observer: &Observer) -> Vec<&'static str> {
        observer.checks().into_iter().filter(|check| !check.ok).map(|check| check.name).collect()
    }

    #[test]
    fn readiness_follows_phase_room_and_halts() {
        let observer = Observer::new(2);
        assert_eq!(failing(&observer), ["phase"]);
        observer.enter(Phase::Serving);
        assert!(failing(&observer).is_empty());
        observer.on_event(ShardId(1), &Event::StorageFull);
        assert_eq!(failing(&observer), ["storage"]);
        observer.on_event(ShardId(1), &Event::StorageRoomAgain);
        observer.on_event(ShardId(0), &Event::Halted(Halt::Stopped));
        assert!(failing(&observer).is_empty());
        observer.on_event(ShardId(0), &Event::Halted(Halt::ForeignDirectory));
        assert_eq!(failing(&observer), ["shards"]);
        observer.enter(Phase::Stopping);
        assert_eq!(failing(&observer), ["phase", "shards"]);
    }
}
