//! The frame of the write-ahead log: its layout, making one in a page, and reading one back from untrusted bytes.
//!
//! ```text
//! frame  = header entry* zeroes                       a multiple of 4 KiB, at a multiple of 4 KiB of its file
//! header = magic version kind reserved stream lsn proven_durable_lsn prev_header_crc frame_len entries body_len header_crc
//! entry  = partition segment_base position len base_offset last_offset leader_epoch batch_crc, then the batch itself
//! ```
//! All integers are little-endian. `header_crc` is CRC-32 over the header and every entry's fixed part; the batches carry their own
//! CRC-32C, checked where they came in. What CRC-32C leaves out of a batch (base offset, length, epoch, magic, the CRC itself)
//! stands in the entry too. `prev_header_crc` chains frame to frame; `proven_durable_lsn` says which frame was known to be on disk
//! when this one was written, and so tells rot from a torn tail.

use crate::batch::BatchView;
use crate::buf::{PageMut, Slice};
use crate::id::{LeaderEpoch, Offset, PartitionId, StreamId, TopicId, Uuid};
use crate::limits::{BLOCK_BYTES, WAL_FRAME_BYTES_MAX};
use crate::log::recovery::is_stand_in;
use crate::log::{FRAME_LEN_AT, FRAME_MAGIC};
use crate::mutant::{self, Mutant};

pub const HEADER_BYTES: usize = 64;
pub const ENTRY_BYTES: usize = 64;
const VERSION: u8 = 1;
const CRC_AT: usize = 56;
/// Where a batch has its CRC.
const BATCH_CRC_AT: usize = 17;

/// What a frame says. Numbers are on disk: they never change their meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameKind {
    /// Batches, verbatim.
    Inline,
    /// Nothing, but that all frames before it are on disk. Written when the log falls silent.
    Seal,
}

impl FrameKind {
    const fn code(self) -> u8 {
        match self {
            Self::Inline => 1,
            Self::Seal => 7,
        }
    }

    const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Inline),
            7 => Some(Self::Seal),
            _ => None,
        }
    }
}

/// A log sequence number: the place of a frame in its stream. The first frame has number 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Lsn(pub u64);

impl Lsn {
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// Where a batch belongs: physical redo for one range of one segment file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    pub partition: PartitionId,
    pub segment_base: Offset,
    /// The batch's first byte in its segment file.
    pub position: u32,
    pub len: u32,
    pub base: Offset,
    pub last: Offset,
    pub leader_epoch: LeaderEpoch,
    /// The batch's CRC-32C.
    pub crc: u32,
}

/// The fixed part of a frame, without magic and CRC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHeader {
    pub kind: FrameKind,
    pub stream: StreamId,
    pub lsn: Lsn,
    pub proven_durable: Lsn,
    pub prev_crc: u32,
    /// Bytes of the whole frame, padding included.
    pub frame_len: u32,
    pub entries: u32,
    /// Bytes after the header that hold entries.
    pub body_len: u32,
}

/// What closing a frame needs to know of its place in the stream.
#[derive(Debug, Clone, Copy)]
pub struct FramePlace {
    pub stream: StreamId,
    pub lsn: Lsn,
    pub proven_durable: Lsn,
    pub prev_crc: u32,
}

/// Why bytes are no frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameError {
    /// No frame begins here: the magic is missing.
    Blank,
    /// The frame is longer than the bytes at hand; it needs this many.
    Incomplete { needed: usize },
    /// A field has no meaning, or header and entries do not match their CRC.
    Corrupt,
}

/// Bytes that a frame needs for a batch of `len` bytes.
pub const fn entry_bytes(len: usize) -> usize {
    ENTRY_BYTES + len
}

/// Adds entries to the page that will be a frame.
#[derive(Debug)]
pub struct FrameBuilder {
    page: PageMut,
    used: usize,
    entries: u32,
}

impl FrameBuilder {
    pub fn new(page: PageMut) -> Self {
        assert!(
            page.len() >= BLOCK_BYTES && page.len().is_multiple_of(BLOCK_BYTES),
            "a frame is made of blocks"
        );
        Self { page, used: HEADER_BYTES, entries: 0 }
    }

    pub const fn used(&self) -> usize {
        self.used
    }

    pub fn page_bytes(&self) -> usize {
        self.page.len()
    }

    pub const fn entries(&self) -> u32 {
        self.entries
    }

    pub fn has_room(&self, batch_len: usize) -> bool {
        self.used + entry_bytes(batch_len) <= self.page.len()
    }

    /// Copies a batch in, lets `patch` change the copy, and writes the entry for what it is then. Returns where the batch
    /// stands in the frame.
    pub fn push(&mut self, mut entry: Entry, batch: &[u8], patch: impl FnOnce(&mut [u8])) -> (usize, usize) {
        assert!(self.has_room(batch.len()), "the caller checked for room");
        assert!(batch.len() == entry.len as usize, "an entry describes its batch");
        let from = self.used + ENTRY_BYTES;
        let to = from + batch.len();
        let page = self.page.as_mut_slice();
        page[from..to].copy_from_slice(batch);
        patch(&mut page[from..to]);
        entry.crc = u32::from_be_bytes(array(&page[from + BATCH_CRC_AT..]));
        write_entry(&mut page[self.used..from], &entry);
        self.used = to;
        self.entries += 1;
        (from, to)
    }

    /// Writes the header and pads to whole blocks. Returns the page, the frame's length and its header CRC.
    pub fn close(mut self, kind: FrameKind, place: FramePlace) -> (PageMut, u32, u32) {
        let len = self.used.next_multiple_of(BLOCK_BYTES);
        let page = self.page.as_mut_slice();
        page[self.used..len].fill(0);
        let header = FrameHeader {
            kind,
            stream: place.stream,
            lsn: place.lsn,
            proven_durable: place.proven_durable,
            prev_crc: place.prev_crc,
            frame_len: u32::try_from(len).expect("a page is below 4 GiB"),
            entries: self.entries,
            body_len: u32::try_from(self.used - HEADER_BYTES).expect("a page is below 4 GiB"),
        };
        write_header(&mut page[..HEADER_BYTES], &header);
        let crc = checksum(page, &header).expect("the builder's entries lie within its frame");
        page[CRC_AT..CRC_AT + 4].copy_from_slice(&crc.to_le_bytes());
        (self.page, header.frame_len, crc)
    }
}

/// One entry of a frame that was read back.
#[derive(Debug, Clone)]
pub struct ReadEntry {
    pub entry: Entry,
    /// The bytes that stand where the batch should.
    pub bytes: Slice,
    pub content: Content,
}

/// Whether bytes are the batch that an entry describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    Sound,
    Broken,
    /// What stands for bytes that were lost before: it is as it was written.
    StandIn,
}

/// A frame that was read back: header and entry table match their CRC.
#[derive(Debug, Clone, Copy)]
pub struct ReadFrame {
    pub header: FrameHeader,
    pub crc: u32,
}

impl ReadFrame {
    /// Reads the frame at the start of `bytes`. Trusts nothing: lengths are checked before use, the CRC before meaning.
    pub fn parse(bytes: &[u8]) -> Result<Self, FrameError> {
        let Some(head) = bytes.get(..HEADER_BYTES) else {
            return Err(FrameError::Incomplete { needed: HEADER_BYTES });
        };
        if head[..4] != FRAME_MAGIC {
            return Err(FrameError::Blank);
        }
        let header = read_header(head).ok_or(FrameError::Corrupt)?;
        let frame_len = header.frame_len as usize;
        if bytes.len() < frame_len {
            return Err(FrameError::Incomplete { needed: frame_len });
        }
        let crc = checksum(bytes, &header).ok_or(FrameError::Corrupt)?;
        if crc != u32::from_le_bytes(array(&head[CRC_AT..])) {
            return Err(FrameError::Corrupt);
        }
        Ok(Self { header, crc })
    }

    /// The header at the start of `bytes`, if it looks like one; nothing is checked against the CRC.
    pub fn peek(bytes: &[u8]) -> Option<FrameHeader> {
        let head = bytes.get(..HEADER_BYTES)?;
        if head[..4] != FRAME_MAGIC {
            return None;
        }
        read_header(head)
    }

    /// The entries of this frame, read from the slice that it was parsed from; each batch is checked against its entry.
    pub fn entries(self, frame: &Slice) -> impl Iterator<Item = ReadEntry> {
        let mut at = HEADER_BYTES;
        let frame = frame.clone();
        (0..self.header.entries).map(move |_| {
            let entry = read_entry(&frame[at..at + ENTRY_BYTES]).expect("the CRC was checked");
            let from = at + ENTRY_BYTES;
            at = from + entry.len as usize;
            let bytes = frame.cut(from, at);
            let content = content_of(&bytes, &entry);
            ReadEntry { entry, bytes, content }
        })
    }
}

fn content_of(bytes: &[u8], entry: &Entry) -> Content {
    let crc = bytes.get(BATCH_CRC_AT..BATCH_CRC_AT + 4);
    if is_stand_in(bytes) && crc.is_none_or(|crc| u32::from_be_bytes(array(crc)) == entry.crc) {
        return Content::StandIn;
    }
    let Ok((view, rest)) = BatchView::parse(bytes) else { return Content::Broken };
    let is_whole = rest.is_empty()
        && view.base_offset() == entry.base
        && view.last_offset() == entry.last
        && view.leader_epoch() == entry.leader_epoch
        && view.crc() == entry.crc
        && (view.check_crc().is_ok() || mutant::on(Mutant::TornBatchAccepted));
    if is_whole { Content::Sound } else { Content::Broken }
}

fn write_header(out: &mut [u8], header: &FrameHeader) {
    out.fill(0);
    out[..4].copy_from_slice(&FRAME_MAGIC);
    out[4] = VERSION;
    out[5] = header.kind.code();
    out[8..24].copy_from_slice(&header.stream.0.0);
    out[24..32].copy_from_slice(&header.lsn.0.to_le_bytes());
    out[32..40].copy_from_slice(&header.proven_durable.0.to_le_bytes());
    out[40..44].copy_from_slice(&header.prev_crc.to_le_bytes());
    out[FRAME_LEN_AT..48].copy_from_slice(&header.frame_len.to_le_bytes());
    out[48..52].copy_from_slice(&header.entries.to_le_bytes());
    out[52..56].copy_from_slice(&header.body_len.to_le_bytes());
}

fn read_header(head: &[u8]) -> Option<FrameHeader> {
    if head[4] != VERSION {
        return None;
    }
    let header = FrameHeader {
        kind: FrameKind::from_code(head[5])?,
        stream: StreamId(Uuid(array(&head[8..]))),
        lsn: Lsn(u64::from_le_bytes(array(&head[24..]))),
        proven_durable: Lsn(u64::from_le_bytes(array(&head[32..]))),
        prev_crc: u32::from_le_bytes(array(&head[40..])),
        frame_len: u32::from_le_bytes(array(&head[FRAME_LEN_AT..])),
        entries: u32::from_le_bytes(array(&head[48..])),
        body_len: u32::from_le_bytes(array(&head[52..])),
    };
    let len = header.frame_len as usize;
    let sound = len.is_multiple_of(BLOCK_BYTES)
        && (BLOCK_BYTES..=WAL_FRAME_BYTES_MAX).contains(&len)
        && header.body_len as usize <= len - HEADER_BYTES
        && header.entries as usize <= header.body_len as usize / ENTRY_BYTES
        && header.lsn.0 > 0
        && header.lsn.0 < u64::MAX
        && header.proven_durable < header.lsn;
    sound.then_some(header)
}

fn write_entry(out: &mut [u8], entry: &Entry) {
    out.fill(0);
    out[..16].copy_from_slice(&entry.partition.topic.0.0);
    out[16..20].copy_from_slice(&entry.partition.index.to_le_bytes());
    out[20..24].copy_from_slice(&entry.position.to_le_bytes());
    out[24..32].copy_from_slice(&entry.segment_base.0.to_le_bytes());
    out[32..40].copy_from_slice(&entry.base.0.to_le_bytes());
    out[40..48].copy_from_slice(&entry.last.0.to_le_bytes());
    out[48..52].copy_from_slice(&entry.leader_epoch.0.to_le_bytes());
    out[52..56].copy_from_slice(&entry.len.to_le_bytes());
    out[56..60].copy_from_slice(&entry.crc.to_le_bytes());
}

fn read_entry(bytes: &[u8]) -> Option<Entry> {
    let entry = Entry {
        partition: PartitionId {
            topic: TopicId(Uuid(array(bytes))),
            index: i32::from_le_bytes(array(&bytes[16..])),
        },
        position: u32::from_le_bytes(array(&bytes[20..])),
        segment_base: Offset(i64::from_le_bytes(array(&bytes[24..]))),
        base: Offset(i64::from_le_bytes(array(&bytes[32..]))),
        last: Offset(i64::from_le_bytes(array(&bytes[40..]))),
        leader_epoch: LeaderEpoch(i32::from_le_bytes(array(&bytes[48..]))),
        len: u32::from_le_bytes(array(&bytes[52..])),
        crc: u32::from_le_bytes(array(&bytes[56..])),
    };
    let sound = entry.partition.index >= 0
        && entry.segment_base >= Offset::ZERO
        && entry.segment_base <= entry.base
        && entry.base <= entry.last
        && entry.last.0 < i64::MAX;
    sound.then_some(entry)
}

/// CRC-32 over the header (its own CRC as zero) and the fixed part of every entry; `None` if the entries do not fill the body.
fn checksum(frame: &[u8], header: &FrameHeader) -> Option<u32> {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&frame[..CRC_AT]);
    hasher.update(&[0; HEADER_BYTES - CRC_AT]);
    let end = HEADER_BYTES + header.body_len as usize;
    let mut at = HEADER_BYTES;
    for _ in 0..header.entries {
        let fixed = frame.get(at..at + ENTRY_BYTES)?;
        hasher.update(fixed);
        at = at.checked_add(ENTRY_BYTES)?.checked_add(read_entry(fixed)?.len as usize)?;
        if at > end {
            return None;
        }
    }
    (at == end).then(|| hasher.finalize())
}

fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes[..N].try_into().expect("the caller has N bytes")
}

/// Gives the frame at the start of `bytes` the CRC that makes it whole, if all else of it is sound; for fuzzing.
pub(super) fn reseal(bytes: &mut [u8]) -> Option<u32> {
    let header = ReadFrame::peek(bytes)?;
    let crc = checksum(bytes.get(..header.frame_len as usize)?, &header)?;
    bytes[CRC_AT..CRC_AT + 4].copy_from_slice(&crc.to_le_bytes());
    Some(crc)
}

/// The same for a frame that follows another one.
pub(super) fn rechain(bytes: &mut [u8], prev_crc: u32) -> Option<u32> {
    ReadFrame::peek(bytes)?;
    bytes[40..44].copy_from_slice(&prev_crc.to_le_bytes());
    reseal(bytes)
}

/// Reads any bytes as a frame with all its entries, as they are and with the CRC that makes them whole; for fuzzing. A frame is
/// padded to its blocks, so that an input need not hold the zeroes.
pub fn fuzz(data: &[u8]) {
    let mut bytes = data.to_vec();
    bytes.resize(data.len().next_multiple_of(BLOCK_BYTES), 0);
    let unsealed = read_back(&bytes);
    let resealed = reseal(&mut bytes).is_some();
    assert!(resealed || unsealed.is_none(), "a frame that reads can be sealed again");
    assert!(read_back(&bytes).is_some() == resealed, "a frame with its CRC reads");
}

fn read_back(bytes: &[u8]) -> Option<usize> {
    let frame = ReadFrame::parse(bytes).ok()?;
    let slice = Slice::from_vec(bytes[..frame.header.frame_len as usize].to_vec());
    let entries = frame.entries(&slice).count();
    assert!(entries == frame.header.entries as usize, "a frame has the entries that it names");
    Some(entries)
}
