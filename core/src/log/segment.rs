//! One segment of a log: what its file holds or will hold, and how much of it the disk has. Knows no I/O and no other segment.

use alloc::vec::Vec;

use crate::id::{FileId, Offset, PartitionId, ProducerId};
use crate::limits::{BLOCK_BYTES, FOOTER_CRC_BYTES};
use crate::log::index::{Index, IndexEntry};
use crate::log::producer_state::Producer;
use crate::mutant::{self, Mutant};
use crate::time::Timestamp;

/// A block, as positions in segments count.
pub(super) const BLOCK: u32 = 4096;
const _: () = assert!(BLOCK as usize == BLOCK_BYTES, "blocks are blocks");

/// A stretch under one CRC of a footer, likewise.
pub(super) const STRETCH: u32 = 64 * 1024;
const _: () = assert!(STRETCH as usize == FOOTER_CRC_BYTES && STRETCH.is_multiple_of(BLOCK));

/// The length of bytes that are to stand in a segment.
pub(super) fn len_of(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).expect("a slice of a page is below 4 GiB")
}

/// Which file holds a segment: the one that it was written to, or one that compaction made of it and others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SegmentName {
    pub base: Offset,
    pub cleaned: Option<CleanedName>,
}

/// What tells the file of a cleaned segment from others that begin where it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct CleanedName {
    /// Higher than that of each segment whose place it took.
    pub generation: u32,
    /// Where the log goes on behind it.
    pub end: Offset,
}

impl SegmentName {
    /// The file that batches are destaged to.
    pub const fn written(base: Offset) -> Self {
        Self { base, cleaned: None }
    }

    pub const fn file(self, partition: PartitionId) -> FileId {
        let base = self.base;
        match self.cleaned {
            None => FileId::Segment { partition, base },
            Some(CleanedName { end, generation }) => FileId::Cleaned { partition, base, end, generation },
        }
    }

    pub fn generation(self) -> u32 {
        self.cleaned.map_or(0, |cleaned| cleaned.generation)
    }

    /// Reads begin at a multiple of this and cover whole stretches of it, or what there is of the last. The batches of a cleaned
    /// segment do not join, so that only the CRCs of its stretches vouch for their offsets.
    pub(super) const fn grain(self) -> u32 {
        if self.cleaned.is_some() { STRETCH } else { BLOCK }
    }
}

/// What compaction has made of a segment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Cleaned {
    pub(super) generation: u32,
    /// No record in it has a newer one of its key below this offset.
    pub(super) upto: Offset,
    /// When the first of its tombstones may go.
    pub(super) delete_horizon: Option<Timestamp>,
    /// Of each stretch of its file.
    pub(super) crcs: Vec<u32>,
}

/// Whether the segment's file exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum File {
    Absent,
    Present,
}

/// Whether the segment is finished on disk, footer included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seal {
    Open,
    Sealed,
}

/// Whether the file may go on behind what is destaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Padding {
    None,
    /// To the end of a block, or with what recovery did not believe. Cut off before the segment is sealed.
    ToBlock,
}

#[derive(Debug)]
pub(super) struct Segment {
    pub(super) base: Offset,
    /// The offset after the last batch; the base while there is none.
    pub(super) end: Offset,
    /// Bytes of all placed batches.
    pub(super) len: u32,
    /// Bytes from the start that the file holds durably.
    pub(super) destaged: u32,
    pub(super) file: File,
    /// What the file holds of the block that `destaged` lies in: blocks are written as a whole.
    pub(super) head: Vec<u8>,
    pub(super) padding: Padding,
    pub(super) seal: Seal,
    /// Wall clock when the first batch came.
    pub(super) opened: Option<Timestamp>,
    pub(super) timestamp_max: Option<Timestamp>,
    /// The newest timestamp of the batches that are not in memory.
    pub(super) timestamp_max_evicted: Option<Timestamp>,
    pub(super) index: Index,
    pub(super) crcs: BlockCrcs,
    /// The producers as they were when the segment stopped being active; taken by its footer.
    pub(super) producers: Option<Vec<(ProducerId, Producer)>>,
    /// `None` as long as its file is the one that it was written to.
    pub(super) cleaned: Option<Cleaned>,
}

/// A batch that a segment takes in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) base: Offset,
    pub(super) last: Offset,
    pub(super) len: u32,
    pub(super) timestamp_max: Timestamp,
}

impl Segment {
    pub(super) fn new(base: Offset) -> Self {
        Self {
            base,
            end: base,
            len: 0,
            destaged: 0,
            file: File::Absent,
            head: Vec::new(),
            padding: Padding::None,
            seal: Seal::Open,
            opened: None,
            timestamp_max: None,
            timestamp_max_evicted: None,
            index: Index::new(base),
            crcs: BlockCrcs::default(),
            producers: None,
            cleaned: None,
        }
    }

    pub(super) fn name(&self) -> SegmentName {
        let (generation, end) = (self.cleaned.as_ref().map(|cleaned| cleaned.generation), self.end);
        SegmentName { base: self.base, cleaned: generation.map(|generation| CleanedName { generation, end }) }
    }

    /// No record has a newer one of its key between this segment and that offset.
    pub(super) fn clean_upto(&self) -> Offset {
        self.cleaned.as_ref().map_or(self.base, |cleaned| cleaned.upto)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.end == self.base
    }

    /// Takes a batch in at the end of the segment.
    pub(super) fn add(&mut self, entry: Entry, index_interval_bytes: u32) {
        assert!(entry.base >= self.end && entry.last >= entry.base, "offsets rise");
        let offset_delta = u32::try_from(entry.base.since(self.base)).expect("the segment rolled before");
        if let Some(timestamp_max_before) = self.timestamp_max {
            let low = mutant::on(Mutant::IndexTimeTooLow);
            let timestamp_max_before = if low { entry.timestamp_max } else { timestamp_max_before };
            let entry = IndexEntry { offset_delta, position: self.len, timestamp_max_before };
            self.index.offer(entry, index_interval_bytes);
        }
        self.timestamp_max = self.timestamp_max.max(Some(entry.timestamp_max));
        self.len += entry.len;
        self.end = entry.last.next();
    }

    pub(super) fn on_sealed(&mut self) {
        self.seal = Seal::Sealed;
        self.head = Vec::new();
        self.index.thin();
        self.crcs = BlockCrcs::default();
        self.producers = None;
    }

    pub(super) fn audit(&self) {
        assert!(self.base <= self.end, "a segment does not end before its base");
        assert!(self.destaged <= self.len, "only what was placed is on disk");
        assert!(self.destaged == 0 || self.file == File::Present, "bytes on disk are in a file");
        assert!(self.index.is_monotone(), "the index is monotone");
        assert!(
            self.index.entries().last().is_none_or(|entry| entry.position < self.len),
            "the index stays within"
        );
        assert!(self.seal == Seal::Open || self.destaged == self.len, "a sealed segment is on disk");
    }
}

/// CRCs of a segment's stretches of [`FOOTER_CRC_BYTES`], built as its bytes come by.
#[derive(Debug, Clone, Default)]
pub(super) struct BlockCrcs {
    done: Vec<u32>,
    hasher: crc32fast::Hasher,
    hashed: usize,
}

impl BlockCrcs {
    /// Goes on where [`Self::all`] was taken of the first `len` bytes.
    pub(super) fn resume(mut all: Vec<u32>, len: u32) -> Self {
        let hashed = len as usize % FOOTER_CRC_BYTES;
        let unfinished = if hashed > 0 { all.pop() } else { None };
        let hasher = unfinished.map_or_else(crc32fast::Hasher::new, crc32fast::Hasher::new_with_initial);
        Self { done: all, hasher, hashed }
    }

    pub(super) fn feed(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let take = bytes.len().min(FOOTER_CRC_BYTES - self.hashed);
            self.hasher.update(&bytes[..take]);
            self.hashed += take;
            bytes = &bytes[take..];
            if self.hashed == FOOTER_CRC_BYTES {
                self.done.push(self.hasher.clone().finalize());
                self.hasher.reset();
                self.hashed = 0;
            }
        }
    }

    /// The CRC of each stretch, the last one of what there is of it.
    pub(super) fn all(&self) -> Vec<u32> {
        let mut all = self.done.clone();
        if self.hashed > 0 {
            all.push(self.hasher.clone().finalize());
        }
        all
    }
}
