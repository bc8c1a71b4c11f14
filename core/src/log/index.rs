//! The sparse index of a segment: offsets and times to file positions, in one table. Knows no bytes.

use alloc::vec::Vec;

use crate::id::Offset;
use crate::limits::INDEX_INTERVAL_BYTES_MAX;
use crate::mutant::{self, Mutant};
use crate::time::Timestamp;

/// Where a batch begins, and the newest timestamp of all batches of the segment before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndexEntry {
    /// The base offset of the batch less the base offset of the segment.
    pub offset_delta: u32,
    pub position: u32,
    pub timestamp_max_before: Timestamp,
}

/// Entries with rising offsets and positions, and timestamps that never fall. The batch at position 0 has no entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    base: Offset,
    entries: Vec<IndexEntry>,
}

impl Index {
    pub fn new(base: Offset) -> Self {
        Self { base, entries: Vec::new() }
    }

    /// Entries as a footer gave them; `None` if they contradict themselves or reach `len`.
    pub fn from_entries(base: Offset, entries: Vec<IndexEntry>, len: u32) -> Option<Self> {
        let index = Self { base, entries };
        let bounded = index.entries.last().is_none_or(|entry| entry.position < len);
        (bounded && index.is_monotone()).then_some(index)
    }

    pub fn entries(&self) -> &[IndexEntry] {
        &self.entries
    }

    /// Notes the batch at `entry` if the last entry lies at least `interval_bytes` before it.
    pub fn offer(&mut self, entry: IndexEntry, interval_bytes: u32) {
        let last = self.entries.last().map_or(0, |entry| entry.position);
        if entry.position - last >= interval_bytes.clamp(1, INDEX_INTERVAL_BYTES_MAX) {
            self.entries.push(entry);
        }
    }

    /// A position at or before the batch that holds `offset`, as near as the index knows.
    pub fn position_of_offset(&self, offset: Offset) -> u32 {
        let delta = offset.since(self.base);
        let count = self.entries.partition_point(|entry| i64::from(entry.offset_delta) <= delta);
        let off = usize::from(mutant::on(Mutant::IndexOffByOne) && count < self.entries.len());
        (count + off).checked_sub(1).map_or(0, |place| self.entries[place].position)
    }

    /// The base offset of the batch at a position that a lookup gave.
    pub fn base_at(&self, position: u32) -> Offset {
        let found = self.entries.binary_search_by_key(&position, |entry| entry.position);
        found.map_or(self.base, |place| self.base.plus(i64::from(self.entries[place].offset_delta)))
    }

    /// A position with no timestamp at or after `timestamp` before it, as far on as the index knows.
    pub fn position_of_timestamp(&self, timestamp: Timestamp) -> u32 {
        let count = self.entries.partition_point(|entry| entry.timestamp_max_before < timestamp);
        let off = usize::from(mutant::on(Mutant::TimeIndexOffByOne) && count < self.entries.len());
        (count + off).checked_sub(1).map_or(0, |place| self.entries[place].position)
    }

    /// Keeps entries at the widest interval only: a sealed segment is read rarely, and its footer holds the full table.
    pub fn thin(&mut self) {
        let mut kept = Self::new(self.base);
        for entry in &self.entries {
            kept.offer(*entry, INDEX_INTERVAL_BYTES_MAX);
        }
        kept.entries.shrink_to_fit();
        *self = kept;
    }

    pub fn is_monotone(&self) -> bool {
        self.entries.first().is_none_or(|entry| entry.position > 0 && entry.offset_delta > 0)
            && self.entries.windows(2).all(|pair| {
                pair[0].offset_delta < pair[1].offset_delta
                    && pair[0].position < pair[1].position
                    && pair[0].timestamp_max_before <= pair[1].timestamp_max_before
            })
    }
}

#[cfg(test)]
mod tests {
    use super::{Index, IndexEntry};
    use crate::id::Offset;
    use crate::time::Timestamp;

    fn entry(offset_delta: u32, position: u32, timestamp: i64) -> IndexEntry {
        IndexEntry { offset_delta, position, timestamp_max_before: Timestamp(timestamp) }
    }

    #[test]
    fn lookups_stay_at_or_before_the_target() {
        let mut index = Index::new(Offset(100));
        for item in [entry(10, 50, 5), entry(20, 150, 5), entry(30, 300, 9)] {
            index.offer(item, 100);
        }
        assert_eq!(index.entries(), [entry(20, 150, 5), entry(30, 300, 9)]);
        assert_eq!(index.position_of_offset(Offset(119)), 0);
        assert_eq!(index.position_of_offset(Offset(120)), 150);
        assert_eq!(index.position_of_offset(Offset(1000)), 300);
        assert_eq!(index.position_of_timestamp(Timestamp(5)), 0);
        assert_eq!(index.position_of_timestamp(Timestamp(6)), 150);
        assert_eq!(index.position_of_timestamp(Timestamp(10)), 300);
    }

    #[test]
    fn entries_that_fall_are_refused() {
        let base = Offset(0);
        assert!(Index::from_entries(base, alloc::vec![entry(5, 10, 0), entry(4, 20, 0)], 100).is_none());
        assert!(Index::from_entries(base, alloc::vec![entry(5, 10, 0), entry(6, 100, 0)], 100).is_none());
        assert!(Index::from_entries(base, alloc::vec![entry(5, 10, 0), entry(6, 99, 0)], 100).is_some());
    }
}
