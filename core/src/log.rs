//! One partition's log as metadata and its tail in memory: where a batch goes, what a reader gets and from where, what is to be
//! written to segments, what may be deleted, and how all of it comes back after a crash. Decides and never does I/O: storage
//! carries the plans out and reports. Knows nothing of the WAL but the numbers of its files, and nothing of replication.

mod age;
mod compact;
mod destage;
mod explain;
pub mod footer;
mod index;
mod leader_epoch_cache;
mod producer_state;
mod read;
pub mod recovery;
mod recovery_point;
mod resync;
mod retention;
mod segment;
mod tail;
#[cfg(test)]
mod tests;
mod view;

use alloc::collections::VecDeque;
use alloc::vec::Vec;

pub use compact::{
    Barred, CleanPlan, CleanRead, CleanStep, CleanedSegment, Cleaning, CompactionConfig, Leftover, Secret,
    Unreadable,
};
pub use destage::{CreateFile, Destage, DestagePlan, Ending, SealPlan};
pub use explain::{CleanFate, Kept, SegmentFate, SegmentState};
pub use index::IndexEntry;
pub use leader_epoch_cache::{EpochStart, LeaderEpochCache};
pub use producer_state::{Producer, ProducerState, RetainedBatch};
pub use read::{
    DiskRead, Minimum, ReadPlan, Selected, Sought, TimestampOffset, TimestampPlan, TimestampQuery,
    TimestampScan, Wanted,
};
pub use recovery::{
    Cut, FootersLeft, Intact, LogRecovery, RecoveryRead, RecoveryReport, SegmentFile, WalBatch,
};
pub use recovery_point::RecoveryPoint;
pub use resync::{FRAME_LEN_AT, FRAME_MAGIC};
pub use segment::{CleanedName, SegmentName};
pub use tail::TailBatch;
pub use view::{LogView, SegmentView};

use crate::batch::BatchInfo;
use crate::buf::Slice;
use crate::id::{LeaderEpoch, Offset, ProducerEpoch};
use crate::mutant::{self, Mutant};
use crate::time::{Duration, Now, Timestamp};
use producer_state::{History, Verdict};
use segment::{Entry, Seal, Segment};
use tail::Tail;

/// What of a topic's configuration concerns its logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogConfig {
    pub segment_bytes: u32,
    pub segment_age_max: Duration,
    /// Whether age and size delete segments; without it, both bounds are none.
    pub deletes: bool,
    /// `None` keeps for ever.
    pub retention: Option<Duration>,
    /// `None` is without bound.
    pub retention_bytes: Option<u64>,
    pub index_interval_bytes: u32,
    /// `None` keeps all values of a key.
    pub compaction: Option<CompactionConfig>,
}

/// A range of offsets, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Extent {
    pub base: Offset,
    pub last: Offset,
}

/// Where a batch goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placement {
    pub base: Offset,
    pub last: Offset,
    pub segment_base: Offset,
    /// Where the batch begins in its segment.
    pub position: u32,
    /// The base of the segment that just stopped being active, if this batch opened a new one.
    pub rolled: Option<Offset>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placed {
    New(Placement),
    /// The log holds the batch already, perhaps not durably yet; nothing was appended. `append_time` is its maximal timestamp.
    Duplicate {
        base: Offset,
        last: Offset,
        append_time: Timestamp,
    },
}

/// Why a batch was not appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppendError {
    /// Longer than a whole segment.
    TooLarge,
    /// A newer incarnation of the producer has written.
    InvalidProducerEpoch { current: ProducerEpoch, found: ProducerEpoch },
    /// The sequence neither continues nor repeats.
    OutOfOrderSequence { expected: i32, found: i32 },
    /// The producer has never written here, and yet its sequence does not begin at 0.
    UnknownProducerId,
}

/// A partition's log. `log_start ≤ durable_end ≤ log_end`; the last segment is the active one. The start lies within the first
/// segment or behind it: segments that are wholly below go when retention is looked after.
#[derive(Debug)]
pub struct Log {
    config: LogConfig,
    log_start: Offset,
    durable_end: Offset,
    /// Batches before it are in memory only until a segment holds them.
    evicted_to: Offset,
    segments: VecDeque<Segment>,
    tail: Tail,
    epochs: LeaderEpochCache,
    producers: ProducerState,
    /// Offsets that are lost here, in order.
    faulty: Vec<Extent>,
    /// Bases of deleted segments whose footers are still on disk, oldest first. The newest tells of the producers where the log
    /// starts: until another segment is sealed, nothing else on disk does.
    footers_left: VecDeque<Offset>,
}

impl Log {
    /// An empty log that begins at `start`.
    pub fn new(config: LogConfig, start: Offset) -> Self {
        Self {
            config,
            log_start: start,
            durable_end: start,
            evicted_to: start,
            segments: VecDeque::from([Segment::new(start)]),
            tail: Tail::default(),
            epochs: LeaderEpochCache::default(),
            producers: ProducerState::default(),
            faulty: Vec::new(),
            footers_left: VecDeque::new(),
        }
    }

    pub fn configure(&mut self, config: LogConfig) {
        let LogConfig { retention, retention_bytes, .. } = self.config;
        self.config = if mutant::on(Mutant::RetentionOfOld) {
            LogConfig { retention, retention_bytes, ..config }
        } else {
            config
        };
    }

    pub fn log_start(&self) -> Offset {
        self.log_start
    }

    /// The offset that the next record gets.
    pub fn log_end(&self) -> Offset {
        self.active().end
    }

    /// All below is on this node's disk, in the WAL or in a segment.
    pub fn durable_end(&self) -> Offset {
        self.durable_end
    }

    pub fn last_epoch(&self) -> Option<LeaderEpoch> {
        self.epochs.last_epoch()
    }

    pub fn epochs(&self) -> &LeaderEpochCache {
        &self.epochs
    }

    pub fn producers(&self) -> &ProducerState {
        &self.producers
    }

    pub fn faulty(&self) -> &[Extent] {
        &self.faulty
    }

    /// The first batch that was not given to the disk yet.
    pub fn first_unwritten(&self) -> Option<Offset> {
        self.tail.first_unattached()
    }

    /// Bytes of all segments, the active one included.
    pub fn size_bytes(&self) -> u64 {
        self.segments.iter().map(|segment| u64::from(segment.len)).sum()
    }

    /// Bytes of batches that are held in memory.
    pub fn tail_bytes(&self) -> usize {
        self.tail.bytes()
    }

    /// The base of the oldest segment, at or below the log's start.
    pub fn first_base(&self) -> Offset {
        self.segments.front().expect("a log has an active segment").base
    }

    fn active(&self) -> &Segment {
        self.segments.back().expect("a log has an active segment")
    }

    fn active_mut(&mut self) -> &mut Segment {
        self.segments.back_mut().expect("a log has an active segment")
    }

    /// The segment that holds `offset`, which is not below the log's start.
    fn segment_of(&self, offset: Offset) -> &Segment {
        let count = self.segments.partition_point(|segment| segment.base <= offset);
        &self.segments[count.checked_sub(1).expect("the first segment begins at or below the log's start")]
    }

    /// Gives a batch its place, or finds it there already. What is placed must be attached and is in the log from now on.
    pub fn append(&mut self, now: Now, info: &BatchInfo, epoch: LeaderEpoch) -> Result<Placed, AppendError> {
        let history = if self.log_start == Offset::ZERO { History::Whole } else { History::Trimmed };
        if let Verdict::Duplicate(batch) = self.producers.check(info, history)? {
            return Ok(Placed::Duplicate {
                base: batch.base,
                last: batch.last,
                append_time: batch.timestamp,
            });
        }
        if info.len > self.config.segment_bytes {
            return Err(AppendError::TooLarge);
        }
        let rolled = if self.must_roll_before(now, info) { self.roll() } else { None };
        let base = self.log_end();
        let last = base.plus(i64::from(info.last_offset_delta));
        let segment = self.active();
        let (segment_base, position) = (segment.base, segment.len);
        self.tail.push(TailBatch {
            base,
            last,
            segment_base,
            position,
            len: info.len,
            epoch,
            timestamp_max: info.max_timestamp,
            bytes: None,
            wal_file: 0,
        });
        self.take_in(info, Extent { base, last }, epoch);
        let segment = self.active_mut();
        segment.opened = segment.opened.or(Some(now.wall));
        Ok(Placed::New(Placement { base, last, segment_base, position, rolled }))
    }

    /// Folds a batch at the end of the log into all that is derived from batches.
    fn take_in(&mut self, info: &BatchInfo, extent: Extent, epoch: LeaderEpoch) {
        let interval_bytes = self.config.index_interval_bytes;
        let start = if mutant::on(Mutant::EpochStartsLate) { extent.last } else { extent.base };
        self.epochs.assign(EpochStart { epoch, start });
        self.producers.apply(info, extent);
        let entry =
            Entry { base: extent.base, last: extent.last, len: info.len, timestamp_max: info.max_timestamp };
        self.active_mut().add(entry, interval_bytes);
    }

    /// Whether the batch cannot or shall not go into the active segment.
    fn must_roll_before(&self, now: Now, info: &BatchInfo) -> bool {
        let active = self.active();
        let last_delta = active.end.since(active.base) + i64::from(info.last_offset_delta);
        !active.is_empty()
            && (u64::from(active.len) + u64::from(info.len) > u64::from(self.config.segment_bytes)
                || last_delta > i64::from(i32::MAX)
                || self.is_aged(now))
    }

    fn is_aged(&self, now: Now) -> bool {
        // What shall be compacted by some time must have left the active segment by then.
        let lag_max = self.config.compaction.as_ref().and_then(|compaction| compaction.lag_max);
        let age_max = lag_max.into_iter().chain([self.config.segment_age_max]).min();
        let age_max = age_max.and_then(|age| i64::try_from(age.as_millis()).ok()).unwrap_or(i64::MAX);
        self.active().opened.is_some_and(|opened| now.wall.0.saturating_sub(opened.0) >= age_max)
    }

    /// Ends the active segment and opens the next. Gives the base of the one that ended; an empty one does not end.
    fn roll(&mut self) -> Option<Offset> {
        if self.active().is_empty() {
            return None;
        }
        let producers = self.producers.snapshot();
        let active = self.active_mut();
        active.producers = Some(producers);
        let (rolled, end) = (active.base, active.end);
        self.segments.push_back(Segment::new(end));
        Some(rolled)
    }

    /// Gives the oldest batch without bytes its bytes, which lie in the WAL file `wal_file`.
    pub fn attach(&mut self, base: Offset, bytes: Slice, wal_file: u64) {
        let count = self.segments.partition_point(|segment| segment.base <= base);
        self.segments[count - 1].crcs.feed(&bytes);
        self.tail.attach(base, bytes, wal_file);
    }

    /// All batches below `end` are durable. Never goes back.
    pub fn on_durable(&mut self, end: Offset) {
        assert!(end >= self.durable_end, "what is durable stays durable");
        assert!(
            self.tail.first_unattached().is_none_or(|base| end <= base),
            "only attached bytes are durable"
        );
        assert!(end <= self.log_end(), "only what is in the log is durable");
        self.durable_end = end;
    }

    /// The log begins at `start` from now on, at the latest. What is below is read no more and goes with its segment.
    pub fn advance_start(&mut self, start: Offset) {
        assert!(start <= self.durable_end, "the log starts within what is durable");
        self.log_start = self.log_start.max(start);
    }

    /// The bases of all segments, whether or not they have files.
    pub fn segment_bases(&self) -> impl Iterator<Item = Offset> {
        self.segments.iter().map(|segment| segment.base)
    }

    /// The files of all segments, whether or not they are there already.
    pub fn segment_names(&self) -> impl Iterator<Item = SegmentName> {
        self.segments.iter().map(Segment::name)
    }

    /// The file of the segment that begins there.
    pub fn segment_name(&self, base: Offset) -> Option<SegmentName> {
        self.segment_names().find(|name| name.base == base)
    }

    /// Panics where the log's ends contradict one another; cheap enough for every turn.
    pub fn invariants(&self) {
        assert!(self.log_start <= self.durable_end, "the log starts within what is durable");
        assert!(self.durable_end <= self.log_end(), "only what is in the log is durable");
        assert!(self.first_base() <= self.log_start, "the log starts within its segments");
        assert!(self.active().seal == Seal::Open, "the active segment is open");
        assert!(self.tail.last().is_none_or(|batch| batch.last < self.log_end()), "the tail is of the log");
    }

    /// Panics where the log contradicts itself anywhere; walks all of it.
    pub fn audit(&self) {
        self.invariants();
        for (one, two) in self.segments.iter().zip(self.segments.iter().skip(1)) {
            assert!(one.end <= two.base, "segments do not overlap");
            let lost =
                self.faulty.iter().any(|extent| extent.base <= one.end && extent.last.next() >= two.base);
            assert!(one.end == two.base || lost, "segments follow one another");
        }
        for segment in &self.segments {
            segment.audit();
        }
        self.tail.audit();
        assert!(
            self.faulty.windows(2).all(|pair| pair[0].last < pair[1].base),
            "faulty extents are in order"
        );
        self.producers.audit();
        self.audit_destaging();
    }
}
