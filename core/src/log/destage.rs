//! What is to be written to segments: whole blocks of the active one, all of those before it, and their footers. Owns the release of
//! WAL files and the eviction of what is on disk.

use alloc::vec::Vec;

use crate::buf::Slice;
use crate::id::Offset;
use crate::limits::DESTAGE_BYTES_MAX;
use crate::log::segment::{BLOCK, File, Seal, Segment};
use crate::log::{Extent, Log, TailBatch, footer};
use crate::mutant::{self, Mutant};

/// How eagerly the active segment is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destage {
    /// Only runs of so many bytes and more.
    Runs(u64),
    /// Every whole block.
    Blocks,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CreateFile {
    Yes,
    No,
}

/// One write to a segment. The bytes are `at..until`; `at` is at a block, `until` too unless it ends a segment that is no longer
/// active, where storage pads the last block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DestagePlan {
    pub segment_base: Offset,
    pub create: CreateFile,
    pub at: u64,
    pub until: u64,
    pub bytes: Vec<Slice>,
}

/// A segment to finish: cut its file to `len`, sync, write the footer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealPlan {
    pub segment_base: Offset,
    pub len: u64,
    pub footer: Vec<u8>,
}

impl Log {
    fn is_active(&self, segment: &Segment) -> bool {
        segment.base == self.active().base
    }

    /// The next write, of the oldest segment that lacks bytes. Only durable batches are written.
    pub fn destage_plan(&self, mode: Destage) -> Option<DestagePlan> {
        let (segment, until) = self.destage_range(mode)?;
        Some(DestagePlan {
            segment_base: segment.base,
            create: if segment.file == File::Absent { CreateFile::Yes } else { CreateFile::No },
            at: u64::from(segment.destaged),
            until: u64::from(until),
            bytes: self.bytes_of(segment, until),
        })
    }

    /// Whether there is something to write in this mode. Costs little, however many batches it is.
    pub fn can_destage(&self, mode: Destage) -> bool {
        self.destage_range(mode).is_some()
    }

    fn destage_range(&self, mode: Destage) -> Option<(&Segment, u32)> {
        let segment = self.segments.iter().find(|segment| segment.destaged < segment.len)?;
        let ended = !self.is_active(segment);
        let durable = self.durable_position(segment);
        let whole = if ended && durable == segment.len { durable } else { durable - durable % BLOCK };
        let bytes_max = u32::try_from(DESTAGE_BYTES_MAX).expect("a plan fits a segment");
        let until = whole.min(segment.destaged.saturating_add(bytes_max));
        if until <= segment.destaged {
            return None;
        }
        if let Destage::Runs(bytes_min) = mode
            && !ended
            && u64::from(until - segment.destaged) < bytes_min
        {
            return None;
        }
        Some((segment, until))
    }

    /// Where the durable batches of a segment end in it.
    fn durable_position(&self, segment: &Segment) -> u32 {
        if segment.end <= self.durable_end {
            return segment.len;
        }
        let first = self.tail.starting_at(self.durable_end).next();
        first.filter(|batch| batch.segment_base == segment.base).map_or(0, |batch| batch.position)
    }

    /// The bytes from the segment's destaged end to `until`.
    fn bytes_of(&self, segment: &Segment, until: u32) -> Vec<Slice> {
        let from = segment.destaged;
        self.tail
            .undestaged()
            .skip_while(|batch| batch.segment_base < segment.base)
            .take_while(|batch| batch.segment_base == segment.base && batch.position < until)
            .map(|batch| {
                let first = from.saturating_sub(batch.position);
                let end = batch.len.min(until - batch.position);
                batch.slice().cut(first as usize, end as usize)
            })
            .collect()
    }

    fn segment_at_mut(&mut self, base: Offset) -> &mut Segment {
        let place = self.segments.binary_search_by_key(&base, |segment| segment.base);
        &mut self.segments[place.expect("storage names a segment of the log")]
    }

    /// The file of the segment exists, and will after a crash.
    pub fn on_file_created(&mut self, segment_base: Offset) {
        self.segment_at_mut(segment_base).file = File::Present;
    }

    /// The segment holds all bytes before `until` durably. Gives the WAL file of each batch that no longer needs it.
    pub fn on_destaged(&mut self, segment_base: Offset, until: u64) -> Vec<u64> {
        let segment = self.segment_at_mut(segment_base);
        let until = u32::try_from(until).expect("a segment's length fits 32 bits");
        assert!(
            until >= segment.destaged && until <= segment.len,
            "destaging goes forward within the segment"
        );
        segment.destaged = until;
        let mut released = Vec::new();
        while let Some(batch) = self.tail.release_next(segment_base, u64::from(until)) {
            released.push(batch.wal_file);
        }
        if !mutant::on(Mutant::MemoryNotMade) {
            self.evict(self.evicted_to);
        }
        released
    }

    /// The oldest segment that is ended and wholly on disk, but for its exact length and its footer.
    pub fn seal_plan(&self) -> Option<SealPlan> {
        let segment = self.segments.iter().find(|segment| segment.seal == Seal::Open)?;
        if self.is_active(segment) || segment.destaged < segment.len {
            return None;
        }
        let faulty =
            self.faulty.iter().filter(|extent| extent.last >= segment.base && extent.base < segment.end);
        let faulty: Vec<Extent> = faulty.copied().collect();
        let epochs = self.epochs.between(segment.base, segment.end);
        let footer = footer::encode(segment, &epochs, &faulty);
        Some(SealPlan { segment_base: segment.base, len: u64::from(segment.len), footer })
    }

    /// The file has its exact length and its footer is durable.
    pub fn on_sealed(&mut self, segment_base: Offset) {
        let segment = self.segment_at_mut(segment_base);
        assert!(segment.destaged == segment.len, "a segment is sealed when all of it is on disk");
        segment.on_sealed();
    }

    /// The batches that no segment holds yet, in order.
    pub fn undestaged(&self) -> impl Iterator<Item = &TailBatch> {
        self.tail.undestaged()
    }

    /// The batch at `base` was logged again, in the newer WAL file `wal_file`. Gives the file that it no longer needs, or `None` if a
    /// segment holds it by now and nothing changed.
    pub fn recopy(&mut self, base: Offset, bytes: Slice, wal_file: u64) -> Option<u64> {
        let batch = self.tail.undestaged_mut(base)?;
        assert!(bytes.len() == batch.len as usize, "the copy is of this batch");
        batch.bytes = Some(bytes);
        Some(core::mem::replace(&mut batch.wal_file, wal_file))
    }

    /// Drops batches before `end` from memory, oldest first, as far as segments hold them, and the others as soon as they do. Gives
    /// the bytes that went now. What segments hold is below the high watermark.
    pub fn evict(&mut self, end: Offset) -> usize {
        self.evicted_to = self.evicted_to.max(end);
        let mut freed = 0;
        while let Some(batch) = self.tail.evict_next(end) {
            freed += batch.len as usize;
            let segment = self.segment_at_mut(batch.segment_base);
            segment.timestamp_max_evicted = segment.timestamp_max_evicted.max(Some(batch.timestamp_max));
        }
        freed
    }

    pub(super) fn audit_destaging(&self) {
        for segment in &self.segments {
            let aligned = segment.destaged.is_multiple_of(BLOCK) || segment.destaged == segment.len;
            assert!(aligned, "destaging ends at a block or at the segment's end");
            let aligned = !self.is_active(segment) || segment.destaged.is_multiple_of(BLOCK);
            assert!(aligned, "the active segment has no partial block on disk");
        }
        for batch in self.tail.undestaged() {
            let segment = self.segment_of(batch.base);
            assert!(batch.segment_base == segment.base, "a batch is in the segment of its offset");
            assert!(batch.end_position() > segment.destaged, "released as soon as it is on disk");
        }
        let lacking = self.segments.iter().filter(|segment| segment.destaged < segment.len);
        let lacking: u64 = lacking.map(|segment| u64::from(segment.len - segment.destaged)).sum();
        let held: u64 = self.tail.undestaged().map(|batch| u64::from(batch.len)).sum();
        assert!(held >= lacking, "what no segment holds is in memory");
    }
}
