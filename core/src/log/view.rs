//! What a checker may see of a log, as a copy: what is derived from its batches, so that it can be held against the batches. No
//! broker needs it.

use alloc::vec::Vec;

use crate::id::{Offset, ProducerId};
use crate::log::segment::Segment;
use crate::log::{EpochStart, Extent, IndexEntry, Log, Producer, SegmentName};
use crate::time::Timestamp;

/// Look-ups of each segment that a view holds.
const SAMPLES: i64 = 5;

/// One log at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogView {
    pub log_start: Offset,
    pub durable_end: Offset,
    pub log_end: Offset,
    pub epochs: Vec<EpochStart>,
    pub producers: Vec<(ProducerId, Producer)>,
    pub faulty: Vec<Extent>,
    /// What is kept at least, where size alone decides.
    pub kept_bytes: Option<u64>,
    pub segments: Vec<SegmentView>,
}

/// One segment, and what its index says to some questions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentView {
    pub base: Offset,
    pub name: SegmentName,
    pub end: Offset,
    pub len: u32,
    pub index: Vec<IndexEntry>,
    /// Offsets of the segment, and where the index lets a reader begin.
    pub by_offset: Vec<(Offset, u32)>,
    pub by_time: Vec<(Timestamp, u32)>,
}

impl Log {
    pub fn view(&self) -> LogView {
        let mut epochs = self.epochs.clone();
        epochs.on_log_start(self.log_start);
        LogView {
            log_start: self.log_start,
            durable_end: self.durable_end,
            log_end: self.log_end(),
            epochs: epochs.entries().to_vec(),
            producers: self.producers.snapshot(),
            faulty: self.faulty.clone(),
            kept_bytes: self.config.retention_bytes.filter(|_| self.config.retention.is_none()),
            segments: self.segments.iter().map(Segment::view).collect(),
        }
    }
}

impl Segment {
    fn view(&self) -> SegmentView {
        let offsets = self.end.since(self.base);
        let by_offset = (0..SAMPLES.min(offsets)).map(|place| {
            let offset = self.base.plus(place * offsets / SAMPLES.min(offsets));
            (offset, self.index.position_of_offset(offset))
        });
        let stride = (self.index.entries().len() / 4).max(1);
        let times = self.index.entries().iter().step_by(stride).map(|entry| entry.timestamp_max_before);
        let times = times.flat_map(|time| [time, Timestamp(time.0.saturating_add(1))]);
        SegmentView {
            base: self.base,
            name: self.name(),
            end: self.end,
            len: self.len,
            index: self.index.entries().to_vec(),
            by_offset: by_offset.collect(),
            by_time: times.map(|time| (time, self.index.position_of_timestamp(time))).collect(),
        }
    }
}
