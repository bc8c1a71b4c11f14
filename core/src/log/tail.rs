//! The batches at the end of a log that are held in memory: all that are not yet on disk in a segment, and before them as many as
//! the cache keeps. Knows where each is to stand in its segment, not what is on disk.

use alloc::collections::VecDeque;

use crate::buf::Slice;
use crate::id::{LeaderEpoch, Offset};
use crate::time::Timestamp;

/// One batch in memory, and where its segment will hold it.
#[derive(Debug, Clone)]
pub struct TailBatch {
    pub base: Offset,
    pub last: Offset,
    pub segment_base: Offset,
    pub position: u32,
    pub len: u32,
    pub epoch: LeaderEpoch,
    pub timestamp_max: Timestamp,
    /// `None` from the placement until storage attaches the bytes of its WAL page.
    pub bytes: Option<Slice>,
    /// The WAL file that must stay until the segment holds the batch. Meaningful with bytes only.
    pub wal_file: u64,
}

impl TailBatch {
    pub fn end_position(&self) -> u32 {
        self.position + self.len
    }

    /// The batch as it stands on disk. Panics before it is attached.
    pub fn slice(&self) -> &Slice {
        self.bytes.as_ref().expect("a batch is attached before it is durable, and read once it is durable")
    }
}

/// Batches in log order. The first `released` are on disk in their segments and may be dropped.
#[derive(Debug, Default)]
pub(super) struct Tail {
    batches: VecDeque<TailBatch>,
    released: usize,
    attached: usize,
    /// Bytes of the batches, whether attached or not.
    bytes: usize,
}

impl Tail {
    pub(super) fn push(&mut self, batch: TailBatch) {
        assert!(self.batches.back().is_none_or(|last| last.last < batch.base), "batches come in log order");
        self.bytes += batch.len as usize;
        if batch.bytes.is_some() {
            assert!(self.attached == self.batches.len(), "bytes come in log order");
            self.attached += 1;
        }
        self.batches.push_back(batch);
    }

    /// Gives the oldest batch without bytes its bytes.
    pub(super) fn attach(&mut self, base: Offset, bytes: Slice, wal_file: u64) {
        let batch = self.batches.get_mut(self.attached).expect("a placed batch waits for its bytes");
        assert!(batch.base == base, "bytes come in log order");
        assert!(bytes.len() == batch.len as usize, "the bytes are those of the placed batch");
        batch.bytes = Some(bytes);
        batch.wal_file = wal_file;
        self.attached += 1;
    }

    pub(super) fn first_unattached(&self) -> Option<Offset> {
        self.batches.get(self.attached).map(|batch| batch.base)
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &TailBatch> {
        self.batches.iter()
    }

    /// The batches from the one that holds `offset`, or else the first after it.
    pub(super) fn starting_at(&self, offset: Offset) -> impl DoubleEndedIterator<Item = &TailBatch> {
        let first = self.batches.partition_point(|batch| batch.last < offset);
        self.batches.range(first..)
    }

    pub(super) fn last(&self) -> Option<&TailBatch> {
        self.batches.back()
    }

    /// The batches that no segment holds yet.
    pub(super) fn undestaged(&self) -> impl Iterator<Item = &TailBatch> {
        self.batches.range(self.released..)
    }

    /// Counts the next batch as held by its segment, if it is in `segment_base` and ends by `until`.
    pub(super) fn release_next(&mut self, segment_base: Offset, until: u64) -> Option<&TailBatch> {
        let batch = self.batches.get(self.released)?;
        if batch.segment_base != segment_base || u64::from(batch.end_position()) > until {
            return None;
        }
        self.released += 1;
        Some(batch)
    }

    /// The batch at `base` if no segment holds it yet.
    pub(super) fn undestaged_mut(&mut self, base: Offset) -> Option<&mut TailBatch> {
        let place = self.batches.binary_search_by_key(&base, |batch| batch.base).ok()?;
        if place < self.released { None } else { self.batches.get_mut(place) }
    }

    /// Drops the oldest batch if a segment holds it and it ends at or before `end`.
    pub(super) fn evict_next(&mut self, end: Offset) -> Option<TailBatch> {
        if self.released == 0 || self.batches.front()?.last >= end {
            return None;
        }
        let batch = self.batches.pop_front()?;
        self.released -= 1;
        self.attached -= 1;
        self.bytes -= batch.len as usize;
        Some(batch)
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn audit(&self) {
        assert!(
            self.released <= self.attached && self.attached <= self.batches.len(),
            "released, then attached"
        );
        assert!(
            self.batches.iter().map(|batch| batch.len as usize).sum::<usize>() == self.bytes,
            "bytes are counted"
        );
        for (place, batch) in self.batches.iter().enumerate() {
            assert!(batch.bytes.is_some() == (place < self.attached), "batches are attached in order");
        }
        for (one, two) in self.batches.iter().zip(self.batches.iter().skip(1)) {
            assert!(one.last < two.base, "offsets rise");
            let together = one.segment_base == two.segment_base;
            assert!(together || one.segment_base < two.segment_base, "segments follow one another");
            assert!(!together || one.end_position() == two.position, "bytes of a segment are contiguous");
        }
    }
}
