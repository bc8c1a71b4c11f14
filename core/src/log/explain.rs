//! Why each segment of a log is still there, and when it goes: for those who look after a cluster. Decides nothing.

use alloc::vec::Vec;

use crate::id::Offset;
use crate::log::Log;
use crate::log::segment::{Seal, Segment};
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

impl Log {
    /// All segments in order.
    pub fn explain_retention(&self, now: Now, high_watermark: Offset) -> Vec<SegmentFate> {
        let mut behind = self.size_bytes();
        let mut older = false;
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
            fates.push(SegmentFate {
                base: segment.base,
                end: segment.end,
                bytes: u64::from(segment.len),
                newest: segment.timestamp_max,
                state,
                kept,
            });
        }
        fates
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
    use super::{Kept, SegmentState};
    use crate::id::Offset;
    use crate::log::Destage;
    use crate::log::tests::model::{Model, Sent, config, now};
    use crate::log::tests::world::Until;
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
        let unbounded = model(|_| {});
        assert_eq!(kept(&unbounded, 9_000)[0].1, [Kept::Unbounded]);
    }
}
