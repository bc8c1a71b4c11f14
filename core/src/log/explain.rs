//! Why each segment of a log is still there, and when it goes: for those who look after a cluster. Decides nothing.

use alloc::vec::Vec;

use crate::id::Offset;
use crate::log::compact::{Barred, CompactionConfig, overdue_at};
use crate::log::segment::{Seal, Segment};
use crate::log::{CleanPlan, Log};
use crate::time::{Now, Timestamp};

/// One segment and what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentFate {
    pub base: Offset,
    /// The offset after its last record.
    pub end: Offset,
    pub bytes: u64,
    /// The newest timestamp of its records.
    pub newest: Option<Timestamp>,
    pub state: SegmentState,
    /// All reasons why it stays; without any, it goes when retention is next looked after.
    pub kept: Vec<Kept>,
    /// `None` where no key is looked at.
    pub clean: Option<CleanFate>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SegmentState {
    /// It is written to.
    Active,
    /// It has ended, and not all of it is in its file.
    Ended,
    Sealed,
    /// Compaction made it: no record in it has a newer one of its key below `upto`.
    Cleaned {
        upto: Offset,
    },
}

/// Why a segment stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// The active segment is never deleted.
    Active,
    /// The write-ahead log has a part of it still.
    NotOnDisk,
    NotCommitted,
    /// `cleanup.policy` does not have `delete`.
    NeverDeleted,
    /// `retention.ms` and `retention.bytes` are without bound.
    Unbounded,
    /// Its newest record is younger than `retention.ms` until then. Together with [`Kept::Small`], either lets it go.
    Young {
        until: Timestamp,
    },
    /// Without it the log has less than `retention.bytes`, until it has grown by so many bytes.
    Small {
        bytes_lacking: u64,
    },
    /// An older segment stays, and a log has no holes.
    Older,
}

/// What compaction does with a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CleanFate {
    /// Nothing: no record in it has a newer one of its key in what was cleaned.
    Clean,
    /// It is clean, and a pass after then takes tombstones out of it.
    Tombstones {
        until: Timestamp,
    },
    /// It is cleaned in the next passes.
    Due,
    /// It is cleaned once more than `dirty_ratio_min_ppm` millionths of what may be cleaned are dirty, or at the latest at a time
    /// that `max.compaction.lag.ms` sets.
    Waits {
        dirty_ppm: u32,
        dirty_ratio_min_ppm: u32,
        until: Option<Timestamp>,
    },
    Barred(Barred),
    /// An older segment is barred.
    Behind,
}

/// The passes to come over a log.
struct Passes<'c> {
    config: &'c CompactionConfig,
    plan: CleanPlan,
    due: bool,
    /// When a pass comes at the latest, for what is dirty now.
    until: Option<Timestamp>,
}

impl Log {
    /// All segments in order.
    pub fn explain_retention(&self, now: Now, high_watermark: Offset) -> Vec<SegmentFate> {
        let mut behind = self.size_bytes();
        let mut older = false;
        let cleaner = self.config.compaction.as_ref().map(|config| self.passes(config, now, high_watermark));
        let mut fates = Vec::new();
        for segment in &self.segments {
            behind -= u64::from(segment.len);
            let state = self.state_of(segment);
            let mut kept = match state {
                SegmentState::Active => alloc::vec![Kept::Active],
                SegmentState::Ended => alloc::vec![Kept::NotOnDisk],
                SegmentState::Sealed | SegmentState::Cleaned { .. } => Vec::new(),
            };
            if segment.end > high_watermark {
                kept.push(Kept::NotCommitted);
            }
            kept.extend(self.bounds(segment, now, behind));
            if older {
                kept.push(Kept::Older);
            }
            older |= !kept.is_empty();
            let clean = cleaner.as_ref().map(|passes| self.clean_fate(segment, now, high_watermark, passes));
            fates.push(SegmentFate {
                base: segment.base,
                end: segment.end,
                bytes: u64::from(segment.len),
                newest: segment.timestamp_max,
                state,
                kept,
                clean,
            });
        }
        fates
    }

    /// What the cleaning of this log is about to do.
    fn passes<'c>(&self, config: &'c CompactionConfig, now: Now, high_watermark: Offset) -> Passes<'c> {
        let due = self.clean_plan(now, high_watermark).is_some();
        let plan = self.dirt(config, now, high_watermark);
        let dirty =
            self.segments.iter().filter(|segment| segment.end > plan.from && segment.end <= plan.bound);
        let until = dirty.filter_map(|segment| overdue_at(segment, config)).min();
        Passes { config, plan, due, until }
    }

    fn clean_fate(
        &self,
        segment: &Segment,
        now: Now,
        high_watermark: Offset,
        passes: &Passes<'_>,
    ) -> CleanFate {
        let Passes { config, plan, due, until } = passes;
        if segment.end > plan.bound {
            let barred = if segment.base == self.active().base {
                Some(Barred::Unready)
            } else {
                self.barred(segment, now, high_watermark, config.lag_min)
            };
            return barred.map_or(CleanFate::Behind, CleanFate::Barred);
        }
        if segment.end > plan.from {
            let (dirty_ppm, dirty_ratio_min_ppm) = (plan.dirty_ppm, config.dirty_ratio_min_ppm);
            let waits = CleanFate::Waits { dirty_ppm, dirty_ratio_min_ppm, until: *until };
            return if *due { CleanFate::Due } else { waits };
        }
        let horizon = segment.cleaned.as_ref().and_then(|cleaned| cleaned.delete_horizon);
        horizon.map_or(CleanFate::Clean, |until| CleanFate::Tombstones { until })
    }

    fn state_of(&self, segment: &Segment) -> SegmentState {
        match (&segment.cleaned, segment.seal) {
            _ if segment.base == self.active().base => SegmentState::Active,
            (Some(cleaned), _) => SegmentState::Cleaned { upto: cleaned.upto },
            (None, Seal::Sealed) => SegmentState::Sealed,
            (None, Seal::Open) => SegmentState::Ended,
        }
    }

    /// What of the configuration keeps a segment with so many bytes behind it.
    fn bounds(&self, segment: &Segment, now: Now, behind: u64) -> Vec<Kept> {
        if segment.end <= self.log_start() {
            return Vec::new();
        }
        if !self.config.deletes {
            return alloc::vec![Kept::NeverDeleted];
        }
        let young = self.config.retention.map(|retention| {
            let millis = i64::try_from(retention.as_millis()).unwrap_or(i64::MAX);
            let newest = segment.timestamp_max.map_or(i64::MIN, |newest| newest.0);
            Timestamp(newest.saturating_add(millis).saturating_add(1))
        });
        let lacking = self.config.retention_bytes.map(|most| most.saturating_sub(behind));
        match (young, lacking) {
            (None, None) => alloc::vec![Kept::Unbounded],
            (Some(until), _) if until <= now.wall => Vec::new(),
            (_, Some(0)) => Vec::new(),
            (young, lacking) => {
                let young = young.map(|until| Kept::Young { until });
                let small = lacking.map(|bytes_lacking| Kept::Small { bytes_lacking });
                young.into_iter().chain(small).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{CleanFate, Kept, SegmentState};
    use crate::id::Offset;
    use crate::log::compact::Barred;
    use crate::log::tests::model::{Model, Sent, config, now};
    use crate::log::tests::world::Until;
    use crate::log::{CompactionConfig, Destage};
    use crate::time::{Duration, Timestamp};

    /// Three batches of about 1,100 bytes, each in a segment of its own; the first two are sealed.
    fn model(change: impl FnOnce(&mut crate::log::LogConfig)) -> Model {
        let mut config = config();
        config.segment_bytes = 1_500;
        change(&mut config);
        let mut model = Model::new(config);
        for time in [1_000, 2_000, 3_000] {
            model.append_durably(&Sent::plain(&[time], 1_000)).unwrap();
        }
        while model.disk.destage(&mut model.log, Destage::Blocks, Until::Done)
            || model.disk.seal(&mut model.log, Until::Done)
        {}
        model
    }

    fn kept(model: &Model, wall: i64) -> alloc::vec::Vec<(SegmentState, alloc::vec::Vec<Kept>)> {
        let fates = model.log.explain_retention(now(wall), model.high_watermark);
        assert!(fates.iter().map(|fate| fate.bytes).sum::<u64>() == model.log.size_bytes());
        fates.into_iter().map(|fate| (fate.state, fate.kept)).collect()
    }

    /// What is said to go now is what retention takes, and nothing else.
    #[test]
    fn fates_are_what_retention_does() {
        let second = Duration::from_millis(1_000);
        for (retention, bytes) in [(Some(second), None), (None, Some(1_200)), (Some(second), Some(2_500))] {
            let model = model(|config| {
                (config.retention, config.retention_bytes) = (retention, bytes);
            });
            for wall in (1_000..5_000).step_by(250) {
                let fates = model.log.explain_retention(now(wall), Offset(9));
                let going = fates.iter().take_while(|fate| fate.kept.is_empty()).map(|fate| fate.base);
                assert!(model.log.due_bases(now(wall), Offset(9)).into_iter().eq(going), "{wall} {fates:?}");
            }
        }
    }

    #[test]
    fn reasons_are_those_of_the_configuration() {
        let by_time = model(|config| config.retention = Some(Duration::from_millis(500)));
        let told = kept(&by_time, 2_100);
        assert_eq!(told[0], (SegmentState::Sealed, alloc::vec![]));
        assert_eq!(told[1].1, [Kept::Young { until: Timestamp(2_501) }]);
        assert_eq!(told[2].0, SegmentState::Active);
        assert_eq!(told[2].1[..1], [Kept::Active]);
        let never = model(|config| config.deletes = false);
        assert_eq!(kept(&never, 9_000)[1].1, [Kept::NeverDeleted, Kept::Older]);
        let mut trimmed = never;
        trimmed.log.advance_start(Offset(1));
        assert_eq!(kept(&trimmed, 9_000)[0].1, []);
        assert_eq!(kept(&trimmed, 9_000)[1].1, [Kept::NeverDeleted]);
        let unbounded = model(|_| {});
        assert_eq!(kept(&unbounded, 9_000)[0].1, [Kept::Unbounded]);
    }

    fn cleaned(change: impl FnOnce(&mut CompactionConfig)) -> Model {
        let mut compaction = CompactionConfig {
            delete_retention: Duration::ZERO,
            lag_min: Duration::ZERO,
            lag_max: None,
            dirty_ratio_min_ppm: 500_000,
        };
        change(&mut compaction);
        model(|config| {
            config.deletes = false;
            config.compaction = Some(compaction);
        })
    }

    fn fates(model: &Model, wall: i64, high_watermark: i64) -> alloc::vec::Vec<CleanFate> {
        let fates = model.log.explain_retention(now(wall), Offset(high_watermark));
        fates.into_iter().map(|fate| fate.clean.unwrap()).collect()
    }

    /// What is said to be cleaned in the next pass is there exactly while there is a plan.
    #[test]
    fn cleaning_is_told_as_it_is_planned() {
        let unready = CleanFate::Barred(Barred::Unready);
        let due = cleaned(|_| {});
        assert!(due.log.clean_plan(now(3_000), Offset(9)).is_some());
        assert_eq!(fates(&due, 3_000, 9), [CleanFate::Due, CleanFate::Due, unready]);
        assert_eq!(fates(&due, 3_000, 1), [CleanFate::Due, unready, unready]);
        let waits = cleaned(|compaction| {
            compaction.dirty_ratio_min_ppm = 1_000_000;
            compaction.lag_max = Some(Duration::from_millis(700));
        });
        let until = Timestamp(1_000 + 700 + 1);
        let waiting =
            CleanFate::Waits { dirty_ppm: 1_000_000, dirty_ratio_min_ppm: 1_000_000, until: Some(until) };
        assert_eq!(fates(&waits, until.0 - 1, 9), [waiting, waiting, unready]);
        assert!(waits.log.clean_plan(now(until.0 - 1), Offset(9)).is_none());
        assert_eq!(fates(&waits, until.0, 9), [CleanFate::Due, CleanFate::Due, unready]);
        assert!(waits.log.clean_plan(now(until.0), Offset(9)).is_some());
    }

    #[test]
    fn young_segment_bars_those_behind_it() {
        let young = cleaned(|compaction| compaction.lag_min = Duration::from_millis(1_500));
        let until = |time| CleanFate::Barred(Barred::Young { until: Timestamp(time) });
        let unready = CleanFate::Barred(Barred::Unready);
        assert_eq!(fates(&young, 2_400, 9), [until(2_500), until(3_500), unready]);
        assert_eq!(fates(&young, 2_500, 9), [CleanFate::Due, until(3_500), unready]);
        assert_eq!(fates(&young, 3_500, 9), [CleanFate::Due, CleanFate::Due, unready]);
    }
}
