//! Which records of a batch stay when a log is cleaned, as Kafka's cleaner decides it. Sees one batch at a time; knows no file.

use super::key_map::KeyMap;
use crate::batch::{
    BatchError, BatchView, Compressor, NO_PRODUCER, Record, Retained, Scratch, emptied, retain,
};
use crate::id::Offset;
use crate::log::ProducerState;
use crate::mutant::{self, Mutant};
use crate::time::{Duration, Timestamp};

/// What a pass knows.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) map: KeyMap,
    /// The map tells of all records below.
    pub(super) upto: Offset,
    pub(super) now: Timestamp,
    pub(super) delete_retention: Duration,
}

impl Rules {
    /// What stays of `batch`; `None` if it goes.
    pub(super) fn filter(
        &self,
        batch: &BatchView<'_>,
        producers: &ProducerState,
        tools: (&mut Scratch, &mut Compressor),
    ) -> Result<Option<Retained>, BatchError> {
        let as_it_is = Retained { bytes: None, delete_horizon: None };
        // Markers stay: nothing tells yet whether the data of their transactions is gone.
        if batch.is_control() {
            return Ok(Some(as_it_is));
        }
        let millis = i64::try_from(self.delete_retention.as_millis()).unwrap_or(i64::MAX);
        let horizon = Timestamp(self.now.0.saturating_add(millis));
        let is_past = match batch.delete_horizon() {
            Some(horizon) => self.now >= horizon && !mutant::on(Mutant::TombstoneForEver),
            None => mutant::on(Mutant::TombstoneGoesAtOnce),
        };
        let left = retain(batch, tools, horizon, |record| self.keeps(record, is_past))?;
        if left.is_some() || !self.keeps_empty(batch, producers) {
            return Ok(left);
        }
        if batch.count() == 0 {
            return Ok(Some(as_it_is));
        }
        Ok(Some(Retained { bytes: Some(emptied(batch)), ..as_it_is }))
    }

    fn keeps(&self, record: &Record<'_>, tombstones_go: bool) -> bool {
        if record.offset >= self.upto {
            return true;
        }
        // Without a key it stems from a time when the topic was not compacted, and nothing says that it is wanted.
        let Some(key) = record.key else { return false };
        let newest = self.map.newest(key);
        let superseded = match newest {
            Some(newest) if mutant::on(Mutant::FirstValueKept) => newest == record.offset,
            Some(newest) => newest > record.offset,
            None => false,
        };
        !superseded && (record.value.is_some() || !tombstones_go)
    }

    /// Whether the batch stays without a record: it has the last sequence of its producer, or it is the last one of the pass, and
    /// tells where the log ends.
    fn keeps_empty(&self, batch: &BatchView<'_>, producers: &ProducerState) -> bool {
        let last = producers.last_data_offset(batch.producer_id());
        let is_last = batch.producer_id() != NO_PRODUCER && last == Some(batch.last_offset());
        is_last || batch.end_offset() == self.upto
    }
}
