//! How old what a reader has not read yet is, as far as memory knows: nobody waits for a disk to be told.

use crate::batch::{BatchView, TimestampType};
use crate::id::Offset;
use crate::log::Log;
use crate::log::segment::Segment;
use crate::time::Timestamp;

impl Log {
    /// The time of the first record at or behind `offset` and below `upto`: the first of its batch where that is in memory, else the
    /// newest of its stretch of the segment, as the index divides it.
    pub fn timestamp_about(&self, offset: Offset, upto: Offset) -> Option<Timestamp> {
        let from = offset.max(self.log_start);
        if from >= upto.min(self.durable_end) {
            return None;
        }
        let first = self.segments.partition_point(|segment| segment.end <= from);
        let segment = self.segments.range(first..).find(|segment| !segment.is_empty())?;
        let Some(batch) = self.tail.starting_at(from).next() else { return segment.timestamp_about(from) };
        if batch.segment_base != segment.base || batch.base > from {
            return segment.timestamp_about(from);
        }
        let (batch, _) = BatchView::parse(batch.bytes.as_ref()?).ok()?;
        Some(match batch.timestamp_type() {
            TimestampType::CreateTime => batch.base_timestamp(),
            TimestampType::LogAppendTime => batch.max_timestamp(),
        })
    }
}

impl Segment {
    fn timestamp_about(&self, offset: Offset) -> Option<Timestamp> {
        let delta = offset.since(self.base);
        let entries = self.index.entries();
        let count = entries.partition_point(|entry| i64::from(entry.offset_delta) <= delta);
        entries.get(count).map(|entry| entry.timestamp_max_before).or(self.timestamp_max)
    }
}

#[cfg(test)]
mod tests {
    use crate::id::Offset;
    use crate::log::tests::model::{Model, Sent, config};
    use crate::log::tests::world::Until;
    use crate::log::{Destage, LogConfig};
    use crate::time::Timestamp;

    #[test]
    fn times_come_from_batches_in_memory_and_from_the_index_of_what_is_not() {
        let mut model = Model::new(LogConfig { index_interval_bytes: 1, ..config() });
        for timestamps in [[10, 20], [30, 40], [50, 60]] {
            model.append_durably(&Sent::plain(&timestamps, 10)).unwrap();
        }
        let at = |model: &Model, offset| {
            model.log.timestamp_about(Offset(offset), model.high_watermark).map(|timestamp| timestamp.0)
        };
        let of_batches = [Some(10), Some(10), Some(30), Some(30), Some(50), Some(50), None];
        assert_eq!([0, 1, 2, 3, 4, 5, 6].map(|offset| at(&model, offset)), of_batches);
        assert_eq!(model.log.timestamp_about(Offset(2), Offset(2)), None, "nobody may read it yet");
        assert!(model.log.end_segment().is_some());
        while model.disk.destage(&mut model.log, Destage::Blocks, Until::Done) {}
        assert!(model.log.evict(Offset(4)) > 0);
        let of_index = [Some(20), Some(20), Some(40), Some(40), Some(50), Some(50), None];
        assert_eq!([0, 1, 2, 3, 4, 5, 6].map(|offset| at(&model, offset)), of_index);
        model.log.advance_start(Offset(3));
        assert_eq!(
            model.log.timestamp_about(Offset(0), Offset(6)),
            Some(Timestamp(40)),
            "where the log begins"
        );
    }
}
