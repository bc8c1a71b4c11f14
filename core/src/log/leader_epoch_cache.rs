//! Which leader epoch wrote which offsets (KIP-101). A fold of the batches' epochs; holds no state of its own.

use alloc::vec::Vec;

use crate::id::{LeaderEpoch, Offset};

/// The first offset that a leader of this epoch wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpochStart {
    pub epoch: LeaderEpoch,
    pub start: Offset,
}

/// Epochs with rising numbers and starts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LeaderEpochCache {
    entries: Vec<EpochStart>,
}

impl LeaderEpochCache {
    pub fn entries(&self) -> &[EpochStart] {
        &self.entries
    }

    pub fn last_epoch(&self) -> Option<LeaderEpoch> {
        self.entries.last().map(|entry| entry.epoch)
    }

    /// Takes note of a batch at `start`; only a newer epoch than all before makes an entry. A lower one is no contradiction to panic
    /// at: no CRC covers the epoch of a batch on disk.
    pub fn assign(&mut self, entry: EpochStart) {
        let newer =
            self.entries.last().is_none_or(|last| entry.epoch > last.epoch && entry.start > last.start);
        if newer {
            self.entries.push(entry);
        }
    }

    /// Where the newest epoch not above `epoch` ends, as OffsetForLeaderEpoch answers; `None` if all known epochs are newer.
    pub fn end_of(&self, epoch: LeaderEpoch, log_end: Offset) -> Option<(LeaderEpoch, Offset)> {
        let count = self.entries.partition_point(|entry| entry.epoch <= epoch);
        let found = self.entries[count.checked_sub(1)?].epoch;
        Some((found, self.entries.get(count).map_or(log_end, |next| next.start)))
    }

    /// The epoch in which the record at `offset` was written; for the end of the log, the newest one.
    pub fn epoch_of(&self, offset: Offset) -> Option<LeaderEpoch> {
        let count = self.entries.partition_point(|entry| entry.start <= offset);
        count.checked_sub(1).map(|place| self.entries[place].epoch)
    }

    /// Forgets epochs that end at or before `log_start`.
    pub fn on_log_start(&mut self, log_start: Offset) {
        let count = self.entries.partition_point(|entry| entry.start <= log_start);
        if let Some(dead) = count.checked_sub(1) {
            self.entries.drain(..dead);
            self.entries[0].start = log_start;
        }
    }

    /// The epochs of the batches in `base..end`, the first with its start moved up to `base`.
    pub fn between(&self, base: Offset, end: Offset) -> Vec<EpochStart> {
        let first = self.entries.partition_point(|entry| entry.start <= base).saturating_sub(1);
        self.entries[first..]
            .iter()
            .take_while(|entry| entry.start < end)
            .map(|entry| EpochStart { epoch: entry.epoch, start: entry.start.max(base) })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{EpochStart, LeaderEpochCache};
    use crate::id::{LeaderEpoch, Offset};

    fn cache() -> LeaderEpochCache {
        let mut cache = LeaderEpochCache::default();
        for (epoch, start) in [(1, 0), (1, 10), (3, 20), (7, 50)] {
            cache.assign(EpochStart { epoch: LeaderEpoch(epoch), start: Offset(start) });
        }
        cache
    }

    #[test]
    fn end_of_an_epoch_is_the_start_of_the_next() {
        let cache = cache();
        let end = |epoch| cache.end_of(LeaderEpoch(epoch), Offset(99));
        assert_eq!(end(0), None);
        assert_eq!(end(1), Some((LeaderEpoch(1), Offset(20))));
        assert_eq!(end(5), Some((LeaderEpoch(3), Offset(50))));
        assert_eq!(end(8), Some((LeaderEpoch(7), Offset(99))));
    }

    #[test]
    fn log_start_cuts_the_front() {
        let mut cache = cache();
        cache.on_log_start(Offset(30));
        assert_eq!(cache.entries()[0], EpochStart { epoch: LeaderEpoch(3), start: Offset(30) });
        assert_eq!(cache.between(Offset(40), Offset(50)).len(), 1);
        assert_eq!(cache.between(Offset(40), Offset(51))[0].start, Offset(40));
    }
}
