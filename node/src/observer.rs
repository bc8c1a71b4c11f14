//! What the core says it does, as counters, health and log lines. Each shard writes counters of its own; they meet at a scrape.

mod counters;
mod disk;
mod histogram;
mod log;

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use highwater_core::group::command::GroupState;
use highwater_core::group::out::Reason;
use highwater_core::id::ShardId;
use highwater_core::shard::{CloseReason, Event, Halt, Progress};

pub(crate) use self::counters::{
    Answered, ApiCounters, Count, DiskOperation, PRESSURES, REASONS, ShardCounters,
};
pub(crate) use self::disk::DiskWatch;
pub(crate) use self::histogram::{BYTES, COUNTS, LATENCY_NANOS, Unit, add_up};
use crate::logs::{CONNECTION, Loggers};
use crate::words;

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
    recovery: Mutex<Recovery>,
    /// Whose levels follow what the core is told; none in tests.
    loggers: OnceLock<Arc<Loggers>>,
    started: Instant,
    /// Second of the last refusal that was logged: a hostile peer shall not fill the log.
    refusal_logged: AtomicU64,
}

/// How the data directory is, or was, read back.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Recovery {
    pub(crate) progress: Progress,
    began: Option<Instant>,
    pub(crate) took: Option<Duration>,
}

impl Observer {
    pub(crate) fn new(shards: u16) -> Self {
        Self {
            shards: (0..shards).map(|_| ShardCounters::new()).collect(),
            phase: AtomicU8::new(Phase::Starting as u8),
            halted: Mutex::new(Vec::new()),
            recovery: Mutex::default(),
            loggers: OnceLock::new(),
            started: Instant::now(),
            refusal_logged: AtomicU64::new(0),
        }
    }

    /// From now on these loggers take the levels that clients of the broker set.
    pub(crate) fn attach(&self, loggers: Arc<Loggers>) {
        assert!(self.loggers.set(loggers).is_ok(), "a process has one set of loggers");
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

    pub(crate) fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    pub(crate) fn shards(&self) -> &[ShardCounters] {
        &self.shards
    }

    pub(crate) fn shard(&self, shard: ShardId) -> &ShardCounters {
        &self.shards[usize::from(shard.0)]
    }

    pub(crate) fn sum(&self, of: impl Fn(&ShardCounters) -> u64) -> u64 {
        self.shards.iter().map(of).sum()
    }

    pub(crate) fn shards_full(&self) -> usize {
        self.shards.iter().filter(|shard| shard.full.load(Ordering::Relaxed)).count()
    }

    pub(crate) fn on_progress(&self, progress: Progress) {
        let mut recovery = self.recovery.lock().expect("no thread panics while it holds this");
        recovery.began.get_or_insert_with(Instant::now);
        recovery.progress = progress;
    }

    pub(crate) fn on_read_back(&self) {
        let mut recovery = self.recovery.lock().expect("no thread panics while it holds this");
        recovery.took = recovery.began.map(|began| began.elapsed());
    }

    pub(crate) fn recovery(&self) -> Recovery {
        *self.recovery.lock().expect("no thread panics while it holds this")
    }

    /// Shards that ended for a reason other than being asked to.
    pub(crate) fn failed(&self) -> Vec<(ShardId, Halt)> {
        let halted = self.halted.lock().expect("no thread panics while it holds the list");
        halted.iter().filter(|(_, halt)| *halt != Halt::Stopped).copied().collect()
    }

    /// The conditions of readiness that need no word of the shards, met or not.
    pub(crate) fn checks(&self) -> Vec<Check> {
        let phase = self.phase();
        let failed = self.failed();
        let (count, full) = (self.shards.len(), self.shards_full());
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
            self.recovery().check(),
            Check {
                name: "shards",
                ok: failed.is_empty(),
                reason: match failed.first() {
                    None => format!("{count} of {count} run"),
                    Some((shard, halt)) => format!("shard {} ended: {}", shard.0, words::halt(*halt).why),
                },
            },
            Check {
                name: "storage",
                ok: full == 0,
                reason: if full == 0 {
                    "has room".into()
                } else {
                    format!("full for {full} of {count} shards: produce is refused until there is room")
                },
            },
        ]
    }

    /// Takes one event of one shard, on that shard's thread. Cheap for all that happens often.
    pub(crate) fn on_event(&self, shard: ShardId, event: &Event) {
        count(self.shard(shard), event);
        if let Event::Halted(halt) = event {
            self.halted.lock().expect("no thread panics while it holds the list").push((shard, *halt));
        }
        if let Event::ConnectionRefused { reason, .. } = event
            && self.may_log_refusal()
        {
            let reason = words::close_reason(*reason);
            tracing::info!(target: CONNECTION, shard = shard.0, reason, "connection refused");
        }
        if let (Event::LogLevelSet { logger, level }, Some(loggers)) = (event, self.loggers.get()) {
            loggers.set(logger, *level);
        }
        log::log(shard, event);
    }

    /// At most one in a second; the metric counts them all.
    fn may_log_refusal(&self) -> bool {
        let second = self.started.elapsed().as_secs() + 1;
        self.refusal_logged.swap(second, Ordering::Relaxed) != second
    }
}

impl Recovery {
    fn check(&self) -> Check {
        let Progress { streams, streams_read, partitions, partitions_read } = self.progress;
        let done = format!(
            "{streams_read} of {streams} write-ahead logs and {partitions_read} of {partitions} partitions with data are read"
        );
        match self.took {
            Some(took) => {
                let reason = format!("{done}, in {:.3} s", took.as_secs_f64());
                Check { name: "recovery", ok: true, reason }
            }
            None => Check { name: "recovery", ok: false, reason: done },
        }
    }
}

fn count(counters: &ShardCounters, event: &Event) {
    match event {
        Event::Connected { .. } => counters.add(Count::ConnectionsAccepted, 1),
        Event::Disconnected { reason, .. } => counters.add_closed(*reason),
        Event::ConnectionRefused { reason, .. } => {
            // It was accepted by the system and never told as connected.
            if *reason == CloseReason::TooMany {
                counters.add(Count::ConnectionsAccepted, 1);
            }
        }
        Event::Answered { key, error, request_bytes, response_bytes, took, .. } => {
            let answered = Answered {
                error: *error,
                request_bytes: *request_bytes,
                response_bytes: *response_bytes,
                took: *took,
            };
            counters.add_answered(*key, answered);
        }
        Event::TopicCreated { .. } => counters.add(Count::TopicsCreated, 1),
        Event::TopicDeleted => counters.add(Count::TopicsDeleted, 1),
        Event::GroupChanged(event) => {
            // Where the broker assigns, nobody has to join again: what is computed is what goes on.
            let computed = matches!(event.reason, Reason::Computed(_));
            let begins = event.to == GroupState::PreparingRebalance;
            counters.add(Count::GroupRebalances, u64::from(begins || computed));
        }
        Event::Appended { base, last, bytes, .. } => {
            counters.add(Count::BatchesAppended, 1);
            counters.add(Count::RecordsAppended, u64::try_from(last.since(*base)).map_or(0, |n| n + 1));
            counters.add(Count::BytesAppended, u64::from(*bytes));
        }
        Event::DuplicateAnswered { .. } => counters.add(Count::BatchesDuplicate, 1),
        Event::GroupCommitted { bytes, batches, .. } => counters.add_group(*bytes, *batches),
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
        Event::LogStartLost { .. } => counters.add(Count::LogStartsLost, 1),
        Event::StorageFull => {
            counters.add(Count::StorageFull, 1);
            counters.full.store(true, Ordering::Relaxed);
        }
        Event::StorageRoomAgain => counters.full.store(false, Ordering::Relaxed),
        Event::Marked(mark) => counters.add_mark(*mark),
        Event::DurableAdvanced { .. }
        | Event::HighWatermarkAdvanced { .. }
        | Event::LogStartMoved { .. }
        | Event::SegmentCleaned { .. }
        | Event::LogCleaned { .. }
        | Event::CleaningGivenUp { .. }
        | Event::GroupsUnreadable { .. }
        | Event::LogLevelSet { .. }
        | Event::Halted(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use highwater_core::config::LogLevel;
    use highwater_core::id::{ConnId, LeaderEpoch, Offset, PartitionId};
    use highwater_core::shard::Mark;
    use highwater_core::time::Timestamp;

    use super::*;

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
        assert_eq!(observer.sum(|shard| shard.count(Count::RecordsAppended)), 10);
        assert_eq!(observer.sum(|shard| shard.count(Count::BytesAppended)), 200);
        observer.on_event(ShardId(1), &Event::Marked(Mark::ReadStarved));
        observer.on_event(ShardId(1), &Event::Marked(Mark::WatchRipe));
        let of = |mark| PRESSURES.iter().position(|(pressure, _)| *pressure == mark).unwrap();
        assert_eq!(observer.sum(|shard| shard.pressure(of(Mark::ReadStarved))), 1);
        assert_eq!(observer.sum(|shard| shard.pressure(of(Mark::ProduceParked))), 0);
    }

    #[test]
    fn connections_are_told_apart_by_who_ended_them() {
        let observer = Observer::new(1);
        let conn = ConnId { slot: 0, generation: 0 };
        let reason = Some(CloseReason::Dripping);
        let counters = observer.shard(ShardId(0));
        observer.on_event(ShardId(0), &Event::Connected { conn });
        observer.on_event(ShardId(0), &Event::ConnectionRefused { conn, reason: CloseReason::Dripping });
        assert_eq!(counters.closed(CloseReason::Dripping), 0, "it is not closed yet");
        observer.on_event(ShardId(0), &Event::Disconnected { conn, reason });
        observer.on_event(ShardId(0), &Event::ConnectionRefused { conn, reason: CloseReason::TooMany });
        observer.on_event(ShardId(0), &Event::Disconnected { conn, reason: None });
        assert_eq!((counters.closed(CloseReason::Dripping), counters.closed(CloseReason::TooMany)), (1, 0));
        assert_eq!(counters.closed_by_peer.load(Ordering::Relaxed), 1);
        assert_eq!(counters.count(Count::ConnectionsAccepted), 2);
    }

    #[test]
    fn level_that_a_client_sets_is_in_force() {
        let observer = Observer::new(1);
        let loggers = crate::logs::Logs::detached().loggers;
        observer.attach(Arc::clone(&loggers));
        let logger = highwater_core::config::LOGGERS[1];
        observer.on_event(ShardId(0), &Event::LogLevelSet { logger, level: LogLevel::Trace });
        assert_eq!(loggers.levels()[1], (logger, LogLevel::Trace));
    }

    fn failing(observer: &Observer) -> Vec<&'static str> {
        observer.checks().into_iter().filter(|check| !check.ok).map(|check| check.name).collect()
    }

    #[test]
    fn readiness_follows_phase_room_and_halts() {
        let observer = Observer::new(2);
        assert_eq!(failing(&observer), ["phase", "recovery"]);
        observer.on_progress(Progress { streams: 2, streams_read: 1, partitions: 0, partitions_read: 0 });
        assert!(observer.checks()[1].reason.starts_with("1 of 2 write-ahead logs"));
        observer.on_read_back();
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
