//! A cleaned segment in the making: what its footer and the log will know of it, taken down as its batches come by.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::batch::BatchView;
use crate::id::{FileId, Offset, PartitionId};
use crate::log::footer::{self, Footer};
use crate::log::segment::{Cleaned, Entry, File, Seal, Segment, SegmentName, len_of};
use crate::log::{EpochStart, Extent};
use crate::mutant::{self, Mutant};
use crate::time::Timestamp;

/// A segment that takes the place of others, once its footer is on disk.
#[derive(Debug)]
pub struct CleanedSegment {
    pub(in crate::log) segment: Segment,
    /// Those whose place it takes, in order.
    pub(in crate::log) sources: Vec<SegmentName>,
}

impl CleanedSegment {
    pub(super) fn new(name: SegmentName, sources: Vec<SegmentName>) -> Self {
        Self { segment: Segment { file: File::Present, ..Segment::new(name.base) }, sources }
    }

    /// Takes in what stays of a batch. `None` if a segment cannot be that long.
    pub(super) fn push(
        &mut self,
        batch: &[u8],
        delete_horizon: Option<Timestamp>,
        index_interval_bytes: u32,
    ) -> Option<()> {
        let (view, _) = BatchView::parse(batch).ok()?;
        let len = len_of(batch);
        self.segment.len.checked_add(len).filter(|len| i32::try_from(*len).is_ok())?;
        let (base, last) = (view.base_offset(), view.last_offset());
        // The header of an emptied batch knows a time that no record has.
        let timestamp_max = if view.count() == 0 { Timestamp(i64::MIN) } else { view.max_timestamp() };
        self.segment.add(Entry { base, last, len, timestamp_max }, index_interval_bytes);
        self.segment.crcs.feed(batch);
        let horizon = &mut self.segment.cleaned.get_or_insert_default().delete_horizon;
        *horizon = [*horizon, delete_horizon].into_iter().flatten().min();
        Some(())
    }

    /// All batches were taken in. `last` is the footer of the last source; the map of this pass reached to `upto`.
    pub(super) fn end(&mut self, name: SegmentName, upto: Offset, last: Footer) {
        let cleaned = name.cleaned.expect("a cleaned segment is called one");
        let segment = &mut self.segment;
        segment.end = cleaned.end;
        segment.destaged = segment.len;
        segment.timestamp_max_evicted = segment.timestamp_max;
        segment.producers =
            Some(last.producers.snapshot()).filter(|_| !mutant::on(Mutant::ProducersNotCarried));
        let delete_horizon = segment.cleaned.take().and_then(|cleaned| cleaned.delete_horizon);
        let generation = cleaned.generation;
        segment.cleaned = Some(Cleaned { generation, upto, delete_horizon, crcs: segment.crcs.all() });
    }

    pub fn base(&self) -> Offset {
        self.segment.base
    }

    /// Where the log goes on behind it.
    pub fn end_offset(&self) -> Offset {
        self.segment.end
    }

    /// Bytes of the file.
    pub fn bytes(&self) -> u32 {
        self.segment.len
    }

    pub(super) fn footer(&self, epochs: &[EpochStart]) -> Vec<u8> {
        footer::encode(&self.segment, epochs, &[] as &[Extent])
    }

    /// What goes once the footer is on disk: each source and, but for the first, whose name this one has, its footer.
    pub(in crate::log) fn settle(mut self) -> (Segment, VecDeque<Leftover>) {
        let base = self.segment.base;
        assert!(self.segment.seal == Seal::Open, "it is sealed once");
        self.segment.on_sealed();
        let footer = |name: &SegmentName| (name.base != base).then_some(Leftover::Footer(name.base));
        let left = self.sources.iter().flat_map(|name| [Some(Leftover::Segment(*name)), footer(name)]);
        (self.segment, left.flatten().collect())
    }
}

/// A file that a log needs no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leftover {
    Segment(SegmentName),
    Footer(Offset),
}

impl Leftover {
    pub const fn file(self, partition: PartitionId) -> FileId {
        match self {
            Self::Segment(name) => name.file(partition),
            Self::Footer(base) => FileId::Footer { partition, base },
        }
    }
}
