//! What is to be written to segments: whole blocks of the active one and, where room is needed, its last block padded; all of those before
//! it, and their footers. Owns the release of WAL files and the eviction of what is on disk.

use alloc::vec::Vec;

use crate::buf::Slice;
use crate::id::Offset;
use crate::limits::DESTAGE_BYTES_MAX;
use crate::log::segment::{BLOCK, File, Padding, Seal, Segment, len_of};
use crate::log::{Extent, Log, TailBatch, footer};
use crate::mutant::{self, Mutant};

/// How eagerly the active segment is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destage {
    /// Only runs of so many bytes and more.
    Runs(u64),
    /// Every whole block.
    Blocks,
    /// All that is durable: the last block is padded, and written again once there is more of it. So nothing is held in memory or in
    /// the WAL for the sake of a part of a block.
    All,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CreateFile {
    Yes,
    No,
}

/// Whether the file ends with what is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It is cut to its length, after a last block that had to be padded.
    Cut,
    Open,
}

/// One write to a segment. The bytes are `at..until`; `at` is at a block; storage pads the last block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DestagePlan {
    pub segment_base: Offset,
    pub create: CreateFile,
    pub at: u64,
    pub until: u64,
    pub ending: Ending,
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
        let head = (!segment.head.is_empty()).then(|| Slice::from_vec(segment.head.clone()));
        let uneven = !until.is_multiple_of(BLOCK) || segment.padding == Padding::ToBlock;
        let ends = until == segment.len && !self.is_active(segment) && uneven;
        Some(DestagePlan {
            segment_base: segment.base,
            create: if segment.file == File::Absent { CreateFile::Yes } else { CreateFile::No },
            at: u64::from(segment.destaged - segment.destaged % BLOCK),
            until: u64::from(until),
            ending: if ends { Ending::Cut } else { Ending::Open },
            bytes: head.into_iter().chain(self.bytes_of(segment, until)).collect(),
        })
    }

    /// Whether there is something to write in this mode. Costs little, however many batches it is.
    pub fn can_destage(&self, mode: Destage) -> bool {
        self.destage_range(mode).is_some()
    }

    fn destage_range(&self, mode: Destage) -> Option<(&Segment, u32)> {
        let lacks = |segment: &&Segment| {
            let uncut = segment.padding == Padding::ToBlock && !self.is_active(segment);
            segment.destaged < segment.len || uncut
        };
        let segment = self.segments.iter().find(lacks)?;
        let ended = !self.is_active(segment);
        let durable = self.durable_position(segment);
        if ended && durable == segment.destaged && durable == segment.len {
            return Some((segment, durable));
        }
        let all = mode == Destage::All || (ended && durable == segment.len);
        let whole = if all { durable } else { durable - durable % BLOCK };
        let bytes_max = u32::try_from(DESTAGE_BYTES_MAX).expect("a plan fits a segment");
        let start = segment.destaged - segment.destaged % BLOCK;
        let until = whole.min(start.saturating_add(bytes_max));
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

    /// What stands before `until` in the block that it lies in.
    fn head_of(&self, segment: &Segment, until: u32) -> Vec<u8> {
        let start = until - until % BLOCK;
        let old = if start == segment.destaged - segment.destaged % BLOCK { &segment.head[..] } else { &[] };
        let mut head = old.to_vec();
        let from = start + len_of(&head);
        for batch in self.tail.undestaged().skip_while(|batch| batch.segment_base < segment.base) {
            if batch.segment_base != segment.base || batch.position >= until {
                break;
            }
            let (first, end) = (from.max(batch.position), until.min(batch.end_position()));
            if first < end {
                head.extend_from_slice(
                    &batch.slice()[(first - batch.position) as usize..(end - batch.position) as usize],
                );
            }
        }
        head
    }

    /// Bytes that are held for the sake of blocks that are not full.
    pub fn head_bytes(&self) -> usize {
        let open = self.segments.iter().rev().take_while(|segment| segment.seal == Seal::Open);
        open.map(|segment| segment.head.len()).sum()
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
    pub fn on_destaged(&mut self, segment_base: Offset, until: u64, ending: Ending) -> Vec<u64> {
        let until = u32::try_from(until).expect("a segment's length fits 32 bits");
        let head = self.head_of(self.segment_of(segment_base), until);
        let segment = self.segment_at_mut(segment_base);
        assert!(
            until >= segment.destaged && until <= segment.len,
            "destaging goes forward within the segment"
        );
        segment.destaged = until;
        segment.head = head;
        if ending == Ending::Cut {
            segment.padding = Padding::None;
        } else if !until.is_multiple_of(BLOCK) {
            segment.padding = Padding::ToBlock;
        }
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
        let uncut = segment.padding == Padding::ToBlock;
        if self.is_active(segment) || segment.destaged < segment.len || uncut {
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
            let ended = segment.destaged == segment.len && !self.is_active(segment);
            let held = segment.head.len() == (segment.destaged % BLOCK) as usize;
            assert!(ended || held, "what is on disk of a block that is not full is in memory");
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
