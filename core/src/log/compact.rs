//! Compaction: of each key the newest value stays. Which part of a log is cleaned when, and what a cleaning leaves behind in the log.
//! As with destaging and recovery, nothing here does I/O.
//!
//! A pass takes down the newest offset of each key in the dirty part, as far as memory reaches, then goes through the log from its
//! start. Neighbouring segments that fit into one are written to a file of their own, beside those that they come from. The footer,
//! which is replaced at once, names the file that is in force: with it the new one takes the place of the old ones, and those
//! are removed, lowest offset first. Passes go upwards, and a tombstone goes in a later pass than the records that it deletes: at no
//! moment does a deleted value come back.

mod cleaning;
mod filter;
mod hash;
mod key_map;
mod output;

use alloc::collections::VecDeque;
use alloc::vec::Vec;

pub use cleaning::{CleanRead, CleanStep, Cleaning, Unreadable};
pub use hash::Secret;
pub use output::{CleanedSegment, Leftover};

use crate::id::Offset;
use crate::log::Log;
use crate::log::segment::{Seal, Segment, SegmentName};
use crate::time::{Duration, Now, Timestamp};

/// What of a topic's configuration concerns compaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompactionConfig {
    /// `delete.retention.ms`
    pub delete_retention: Duration,
    /// `min.compaction.lag.ms`
    pub lag_min: Duration,
    /// `max.compaction.lag.ms`
    pub lag_max: Option<Duration>,
    /// `min.cleanable.dirty.ratio`, in millionths.
    pub dirty_ratio_min_ppm: u32,
}

/// Why a segment may not be cleaned yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Barred {
    /// It is written to, not on disk or not committed.
    Unready,
    /// A part of it, or what is next to it, cannot be read.
    Lost,
    /// Its newest record is younger than `min.compaction.lag.ms` until then.
    Young { until: Timestamp },
}

/// What a pass is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CleanPlan {
    /// Where the dirty part begins.
    pub from: Offset,
    /// Nothing at or above may be touched.
    pub bound: Offset,
    /// Of what may be cleaned, how much is dirty: the dirtiest log goes first.
    pub dirty_ppm: u32,
    /// The segments of the dirty part, and how long they are.
    sources: Vec<Source>,
}

/// A segment that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Source {
    name: SegmentName,
    end: Offset,
    len: u32,
}

impl Source {
    fn of(segment: &Segment) -> Self {
        Self { name: segment.name(), end: segment.end, len: segment.len }
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl Log {
    /// All below has no record with a newer one of its key that is below too.
    pub(super) fn first_dirty(&self) -> Offset {
        self.segments.iter().map(Segment::clean_upto).min().expect("a log has a segment")
    }

    /// Where what may be cleaned ends: before the active segment and all that is barred.
    fn clean_bound(&self, now: Now, high_watermark: Offset, lag_min: Duration) -> Offset {
        let may = |segment: &&Segment| self.barred(segment, now, high_watermark, lag_min).is_none();
        let last = self.segments.iter().take(self.segments.len() - 1).take_while(may).last();
        last.map_or(self.first_base(), |segment| segment.end)
    }

    /// Why a segment may not be cleaned, if it may not. The active one never may.
    pub(super) fn barred(
        &self,
        segment: &Segment,
        now: Now,
        high_watermark: Offset,
        lag_min: Duration,
    ) -> Option<Barred> {
        if segment.seal != Seal::Sealed || segment.end > high_watermark {
            return Some(Barred::Unready);
        }
        if self.faulty.iter().any(|e| e.base <= segment.end && e.last.next() >= segment.base) {
            return Some(Barred::Lost);
        }
        let newest = segment.timestamp_max.filter(|_| lag_min > Duration::ZERO)?;
        let young = now.wall.0.saturating_sub(newest.0) < millis(lag_min);
        let until = Timestamp(newest.0.saturating_add(millis(lag_min)));
        (young && segment.clean_upto() < segment.end).then_some(Barred::Young { until })
    }

    /// Whether of each key only the newest value has to stay.
    pub fn compacts(&self) -> bool {
        self.config.compaction.is_some()
    }

    /// What is to be cleaned now, if anything is.
    pub fn clean_plan(&self, now: Now, high_watermark: Offset) -> Option<CleanPlan> {
        let config = self.config.compaction.as_ref()?;
        let plan = self.dirt(config, now, high_watermark);
        let within = || self.segments.iter().take_while(|segment| segment.base < plan.bound);
        let overdue = within()
            .filter(|segment| segment.end > plan.from && segment.end <= plan.bound)
            .any(|segment| overdue_at(segment, config).is_some_and(|at| at <= now.wall));
        let has_dirt = plan.sources.iter().any(|source| source.len > 0);
        let is_dirty = has_dirt && (plan.dirty_ppm > config.dirty_ratio_min_ppm || overdue);
        let is_due = |segment: &Segment| {
            let horizon = segment.cleaned.as_ref().and_then(|cleaned| cleaned.delete_horizon);
            horizon.is_some_and(|horizon| horizon <= now.wall)
        };
        let is_due = is_dirty || within().any(is_due);
        is_due.then_some(plan)
    }

    /// What a pass would do now, were it dirty enough.
    pub(super) fn dirt(&self, config: &CompactionConfig, now: Now, high_watermark: Offset) -> CleanPlan {
        let (from, bound) = (self.first_dirty(), self.clean_bound(now, high_watermark, config.lag_min));
        let (mut clean, mut dirty) = (0_u64, 0_u64);
        let mut sources = Vec::new();
        for segment in self.segments.iter().take_while(|segment| segment.end <= bound) {
            if segment.end <= from {
                clean += u64::from(segment.len);
            } else {
                dirty += u64::from(segment.len);
                sources.push(Source::of(segment));
            }
        }
        let dirty_ppm = (u128::from(dirty) * 1_000_000).checked_div(u128::from(clean + dirty));
        let dirty_ppm = u32::try_from(dirty_ppm.unwrap_or(0)).expect("a part of a million");
        CleanPlan { from, bound, dirty_ppm, sources }
    }

    /// The next segments to be made one: from `from` on, below `upto`, as many as are no longer than one may be.
    fn clean_group(&self, from: Offset, upto: Offset) -> Vec<Source> {
        let first = self.segments.partition_point(|segment| segment.base < from);
        let mut group: Vec<Source> = Vec::new();
        let mut len = 0;
        for segment in self.segments.range(first..) {
            len += u64::from(segment.len);
            let joins = group.first().zip(group.last()).is_none_or(|(first, last)| {
                last.end == segment.base
                    && len <= u64::from(self.config.segment_bytes)
                    && segment.end.since(first.name.base) <= i64::from(i32::MAX)
            });
            if segment.base >= upto || segment.seal != Seal::Sealed || !joins {
                break;
            }
            group.push(Source::of(segment));
        }
        group
    }

    /// Whether the log has these segments still, as they were.
    pub fn holds(&self, names: impl IntoIterator<Item = SegmentName>) -> bool {
        names.into_iter().all(|name| self.segment_named(name).is_some())
    }

    /// A pass at that time leaves no tombstone whose time has passed.
    fn assert_cleaned(&self, upto: Offset, now: Timestamp) {
        for cleaned in self.segments.iter().filter(|segment| segment.end <= upto).flat_map(|s| &s.cleaned) {
            assert!(
                cleaned.delete_horizon.is_none_or(|horizon| horizon > now),
                "a tombstone goes in its time"
            );
        }
    }

    pub(super) fn segment_named(&self, name: SegmentName) -> Option<&Segment> {
        let place = self.segments.binary_search_by_key(&name.base, |segment| segment.base).ok()?;
        Some(&self.segments[place]).filter(|segment| segment.name() == name)
    }

    /// The footer of a cleaned segment is on disk: it takes the place of its sources. Gives the files that go now, in their order.
    pub fn on_cleaned(&mut self, cleaned: CleanedSegment) -> VecDeque<Leftover> {
        assert!(
            self.holds(cleaned.sources.iter().copied()),
            "a segment takes the place of those that are there"
        );
        let count = cleaned.sources.len();
        let (mut segment, left) = cleaned.settle();
        // What is in memory of it is not what is on disk.
        self.evict(segment.end);
        let place = self.segments.partition_point(|other| other.base < segment.base);
        let last = &self.segments[place + count - 1];
        assert!(last.end == segment.end, "a segment ends where the last of its sources does");
        segment.opened = self.segments[place].opened;
        self.segments.drain(place + 1..place + count);
        self.segments[place] = segment;
        left
    }
}

/// When `max.compaction.lag.ms` wants a segment to be cleaned, whatever the rest of the log is like.
pub(super) fn overdue_at(segment: &Segment, config: &CompactionConfig) -> Option<Timestamp> {
    let (most, first) = (config.lag_max?, first_time(segment)?);
    Some(Timestamp(first.0.saturating_add(millis(most)).saturating_add(1)))
}

/// About when the first batch of a segment was written.
fn first_time(segment: &Segment) -> Option<Timestamp> {
    let indexed = segment.index.entries().first().map(|entry| entry.timestamp_max_before);
    segment.opened.or(indexed).or(segment.timestamp_max)
}
