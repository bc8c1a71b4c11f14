//! One shard's write-ahead log while it is written: group commit, files, pins, seals, checkpoints. Gives orders and is told of
//! their ends; holds no operation ids and knows nothing of what a batch means.
//!
//! What is appended while a write is in flight is the next group, so batching adapts by itself. A long group does not wait for that write:
//! a few are in flight at once, and frames become durable in their order, whichever write ends first. A group is one or more frames, each
//! in a page of its own, because the pages become the tail cache of the partitions.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use super::checkpoint::Checkpoint;
use super::frame::{Entry, FrameBuilder, FrameKind, FramePlace, HEADER_BYTES, Lsn, entry_bytes};
use crate::buf::{Pool, Slice};
use crate::id::{Offset, PartitionId, StreamId};
use crate::limits::{
    BLOCK_BYTES, WAL_FRAME_BYTES_MAX, WAL_FRAME_BYTES_USUAL, WAL_WAITING_BYTES_MAX, WAL_WRITE_BYTES_MAX,
    WAL_WRITES_AT_ONCE_MAX,
};
use crate::mutant::{self, Mutant};
use crate::time::{Duration, Instant};

/// Sizes and times of a stream.
#[derive(Debug, Clone)]
pub struct WalSizes {
    pub file_bytes_min: u64,
    pub file_bytes_max: u64,
    pub bytes_max: u64,
    /// So much is written while other writes are in flight.
    pub beside_bytes_min: usize,
    pub seal_after: Duration,
}

/// What the log wants done. At most one of each kind is in flight, of writes [`WAL_WRITES_AT_ONCE_MAX`].
#[derive(Debug)]
pub enum WalOrder {
    /// Write durably. The frames' batches are told with it.
    Write {
        file: u64,
        at: u64,
        parts: Vec<Slice>,
        frames: Vec<FrozenFrame>,
    },
    Create {
        file: u64,
        len: u64,
    },
    Recycle {
        from: u64,
        to: u64,
    },
    Remove {
        file: u64,
    },
    Checkpoint(Checkpoint),
}

/// The end of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WalDone {
    /// The write that ends with this frame.
    Written(Lsn),
    /// A file was created, recycled or removed.
    Changed,
    Checkpointed,
}

/// A frame on its way to disk, with the batches in it.
#[derive(Debug)]
pub struct FrozenFrame {
    pub lsn: Lsn,
    pub batches: Vec<FrozenBatch>,
    /// Bytes of memory that the frame's page takes.
    pub page_bytes: usize,
}

/// A batch in the page that is being written.
#[derive(Debug, Clone)]
pub struct FrozenBatch {
    pub partition: PartitionId,
    pub base: Offset,
    pub last: Offset,
    pub bytes: Slice,
    pub reason: Append,
}

/// Why a batch is written to the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Append {
    New,
    /// It is there already, in a frame that shall be let go.
    CarriedForward,
}

/// Why a batch cannot be pushed now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoRoom {
    /// The log is as long as it may be: older batches must be destaged or carried forward.
    Log,
    /// Too much waits for the write that is under way.
    Write,
    /// The pool has no page: others must come home.
    Memory,
    /// Not even all of the pool would do.
    Ever,
}

#[derive(Debug)]
struct Group {
    builder: FrameBuilder,
    pushed: Vec<Pushed>,
}

#[derive(Debug)]
struct Pushed {
    partition: PartitionId,
    base: Offset,
    last: Offset,
    from: usize,
    to: usize,
    reason: Append,
}

#[derive(Debug, Clone, Copy)]
struct WalFile {
    number: u64,
    len: u64,
    /// Where the next frame goes.
    at: u64,
}

/// A frame that was given to the disk and whose batches may be nowhere else yet.
#[derive(Debug)]
struct FrameRecord {
    file: u64,
    at: u64,
    pins: u32,
    /// Bytes of the entries that are still pinned, if all are alike.
    pinned_bytes: u64,
}

/// A write to the log.
#[derive(Debug, Clone, Copy)]
struct Writing {
    last: Lsn,
    is_done: bool,
}

#[derive(Debug, Clone, Copy)]
enum Change {
    Create { number: u64, len: u64 },
    Recycle { from: u64, to: u64 },
    Remove { number: u64 },
}

/// The log of one shard.
///
/// Invariants: `records` holds the frames `first_record..next_lsn` without a hole; a file is recycled or removed only when the
/// durable checkpoint lies behind it.
#[derive(Debug)]
pub struct Wal {
    sizes: WalSizes,
    stream: StreamId,
    open: Option<Group>,
    full: VecDeque<Group>,
    waiting_bytes: usize,
    /// The usual length of the next frame's page; follows demand.
    page_bytes: usize,
    next_lsn: Lsn,
    durable: Lsn,
    prev_crc: u32,
    /// The writes in flight, and those that ended before an older one.
    writing: VecDeque<Writing>,
    current: Option<WalFile>,
    next: Option<WalFile>,
    change: Option<Change>,
    /// Every file of the stream and its length.
    files: BTreeMap<u64, u64>,
    next_number: u64,
    records: VecDeque<FrameRecord>,
    first_record: Lsn,
    /// Bytes of all pinned entries, as far as the records know.
    pinned_bytes: u64,
    /// The newest checkpoint on disk, and whether a newer one is on its way.
    checkpoint: Option<Checkpoint>,
    checkpointing: Option<Checkpoint>,
    /// When the log falls silent for long enough, if its last frame is not a seal.
    seal_at: Option<Instant>,
    sealing: bool,
    /// The disk had no room for another file.
    full_disk: bool,
}

impl Wal {
    pub fn new(sizes: WalSizes, stream: StreamId) -> Self {
        assert!(sizes.file_bytes_min >= 2 * BLOCK_BYTES as u64, "a file holds a frame");
        Self {
            sizes,
            stream,
            open: None,
            full: VecDeque::new(),
            waiting_bytes: 0,
            page_bytes: 4 * BLOCK_BYTES,
            next_lsn: Lsn(1),
            durable: Lsn(0),
            prev_crc: 0,
            writing: VecDeque::new(),
            current: None,
            next: None,
            change: None,
            files: BTreeMap::new(),
            next_number: 0,
            records: VecDeque::new(),
            first_record: Lsn(1),
            pinned_bytes: 0,
            checkpoint: None,
            checkpointing: None,
            seal_at: None,
            sealing: false,
            full_disk: false,
        }
    }

    pub const fn stream(&self) -> StreamId {
        self.stream
    }

    /// The newest frame that is known to be on disk.
    pub const fn durable(&self) -> Lsn {
        self.durable
    }

    /// Makes sure that a batch of `len` bytes can be pushed now. What is carried forward sets older files free, so the bound on the
    /// log's size holds for new batches only.
    pub fn reserve(&mut self, pool: &mut Pool, len: usize, reason: Append) -> Result<(), NoRoom> {
        assert!(entry_bytes(len) + HEADER_BYTES <= WAL_FRAME_BYTES_MAX, "a batch is bounded");
        let needed = (HEADER_BYTES + entry_bytes(len)).next_multiple_of(BLOCK_BYTES);
        if needed > pool.page_bytes_max() {
            return Err(NoRoom::Ever);
        }
        if reason == Append::New && self.is_full() {
            return Err(NoRoom::Log);
        }
        if self.waiting_bytes + len > WAL_WAITING_BYTES_MAX && self.waiting_bytes > 0 {
            return Err(NoRoom::Write);
        }
        if self.open.as_ref().is_some_and(|group| group.builder.has_room(len)) {
            return Ok(());
        }
        let least = if mutant::on(Mutant::MemoryNotMade) { needed.max(self.page_bytes) } else { needed };
        let page = pool.alloc(needed.max(self.page_bytes)).or_else(|| pool.alloc(least));
        let page = page.ok_or(NoRoom::Memory)?;
        if let Some(group) = self.open.take() {
            self.full.push_back(group);
            self.page_bytes = (self.page_bytes * 2).min(WAL_FRAME_BYTES_USUAL);
        }
        self.open = Some(Group { builder: FrameBuilder::new(page), pushed: Vec::new() });
        Ok(())
    }

    /// Adds a batch to the group; room was reserved. `patch` may change the copy before its entry is written.
    pub fn push(&mut self, entry: Entry, batch: &[u8], reason: Append, patch: impl FnOnce(&mut [u8])) {
        let group = self.open.as_mut().expect("room was reserved");
        let (from, to) = group.builder.push(entry, batch, patch);
        let Entry { partition, base, last, .. } = entry;
        group.pushed.push(Pushed { partition, base, last, from, to, reason });
        self.waiting_bytes += batch.len();
    }

    /// Whether anything waits to be written or is being written.
    pub fn is_idle(&self) -> bool {
        self.open.is_none() && self.full.is_empty() && self.writing.is_empty()
    }

    /// Bytes of the pages of groups that are not on their way to the disk yet.
    pub fn bytes_unwritten(&self) -> usize {
        self.full.iter().chain(&self.open).map(|group| group.builder.page_bytes()).sum()
    }

    /// Whether the log takes no new batch before older ones are let go.
    pub fn is_full(&self) -> bool {
        self.live_bytes() >= self.sizes.bytes_max / 4 * 3
    }

    /// Whether the log grows faster than it is let go: what holds it up should be destaged or carried forward.
    pub fn is_pressed(&self) -> bool {
        self.full_disk || self.live_bytes() >= self.sizes.bytes_max / 2
    }

    /// Whether carrying forward sets more free than it writes.
    pub fn carrying_pays(&self) -> bool {
        self.live_bytes() >= 2 * self.pinned_bytes
    }

    /// Whether the disk refused another file of the log.
    pub const fn is_disk_full(&self) -> bool {
        self.full_disk
    }

    /// Whether what waits to be written waits for a file that a full disk refused.
    pub fn is_stuck(&self) -> bool {
        let needed = self.needed_bytes();
        let fits = |file: &WalFile| file.len - file.at >= needed;
        let has_file = self.current.iter().chain(&self.next).any(fits);
        self.full_disk && self.writing.is_empty() && !self.is_idle() && self.change.is_none() && !has_file
    }

    /// Frames up to this one should lose their pins for the log to shrink: the older half of what is live.
    pub fn carry_until(&self) -> Lsn {
        let live = self.next_lsn.0 - self.first_live().0;
        Lsn(self.first_live().0 + live / 2)
    }

    /// Whether so much was written since the log was to lose its frames up to `until` that there is more to lose by now.
    pub fn has_aged(&self, until: Lsn) -> bool {
        let live = self.next_lsn.0 - self.first_live().0;
        self.carry_until().0 >= until.0 + (live / 8).max(1)
    }

    pub fn live_bytes(&self) -> u64 {
        let Some(first) = self.records.iter().find(|r| r.pins > 0).map(|r| r.file) else { return 0 };
        let current = self.current.map_or(first, |file| file.number);
        self.files.range(first..=current).map(|(_, len)| len).sum()
    }

    /// The next thing to do, or `None` until an order ends or something is appended.
    pub fn next_order(&mut self, now: Instant, pool: &mut Pool) -> Option<WalOrder> {
        if self.may_write()
            && let Some(order) = self.next_write(now, pool)
        {
            return Some(order);
        }
        if self.change.is_none()
            && let Some(order) = self.next_change()
        {
            return Some(order);
        }
        self.next_checkpoint()
    }

    /// When the log wants to be asked again without an order's end.
    pub fn deadline(&self) -> Option<Instant> {
        self.seal_at.filter(|_| self.is_idle())
    }

    /// An order is done. Returns the newest durable frame.
    pub fn on_done(&mut self, now: Instant, done: WalDone) -> Lsn {
        match done {
            WalDone::Written(last) => self.on_written(now, last),
            WalDone::Changed => self.on_changed(),
            WalDone::Checkpointed => self.checkpoint = self.checkpointing.take(),
        }
        self.durable
    }

    /// What is in a write is durable once all before it is: a walk after a crash ends at the first frame that is missing.
    fn on_written(&mut self, now: Instant, last: Lsn) {
        let writing = self.writing.iter_mut().find(|writing| writing.last == last);
        writing.expect("the write was in flight").is_done = true;
        while let Some(first) = self.writing.pop_front_if(|writing| writing.is_done) {
            self.durable = first.last;
        }
        if self.writing.is_empty() {
            self.seal_at = (!self.sealing).then(|| now + self.sizes.seal_after);
        }
    }

    /// The disk had no room for the file that was ordered. [`Self::retry_full`] tries again.
    pub fn on_change_full(&mut self) {
        if let Some(Change::Create { number, .. }) = self.change.take() {
            self.files.remove(&number);
            self.next_number = number;
        }
        self.full_disk = true;
    }

    /// The disk had no room for the checkpoint that was ordered.
    pub fn on_checkpoint_full(&mut self) {
        self.checkpointing = None;
        self.full_disk = true;
    }

    pub fn retry_full(&mut self) {
        self.full_disk = false;
    }

    /// One batch of frame `lsn` needs the log no more.
    pub fn release(&mut self, lsn: Lsn) {
        let index = usize::try_from(lsn.0 - self.first_record.0).expect("a pinned frame has a record");
        let record = &mut self.records[index];
        assert!(record.pins > 0, "a pin is released once");
        let released = record.pinned_bytes / u64::from(record.pins);
        record.pins -= 1;
        record.pinned_bytes -= released;
        self.pinned_bytes -= released;
        while self.records.front().is_some_and(|r| r.pins == 0) && self.first_record <= self.durable {
            self.records.pop_front();
            self.first_record = self.first_record.next();
        }
    }

    /// Whether what waits may go to disk: at once if nothing is on its way, and beside it only if it is worth a flush of its own.
    fn may_write(&self) -> bool {
        match self.writing.len() {
            0 => true,
            at_once => at_once < WAL_WRITES_AT_ONCE_MAX && self.waiting_bytes >= self.sizes.beside_bytes_min,
        }
    }

    fn next_write(&mut self, now: Instant, pool: &mut Pool) -> Option<WalOrder> {
        let mut group = self.take_group(now, pool)?;
        let needed = group.builder.used().next_multiple_of(BLOCK_BYTES) as u64;
        if !self.has_file_for(needed) {
            self.put_back(group);
            return None;
        }
        let file = self.current.expect("a file has room for the frame");
        let room = usize::try_from(file.len - file.at).unwrap_or(usize::MAX).min(WAL_WRITE_BYTES_MAX);
        let proven_durable = self.durable;
        let (mut parts, mut frames, mut bytes) = (Vec::new(), Vec::<FrozenFrame>::new(), 0);
        loop {
            let (slice, frame) = self.freeze(group, proven_durable, pool);
            bytes += slice.len();
            parts.push(slice);
            frames.push(frame);
            match self.take_group(now, pool) {
                None => break,
                Some(next) if bytes + next.builder.used().next_multiple_of(BLOCK_BYTES) > room => {
                    self.put_back(next);
                    break;
                }
                Some(next) => group = next,
            }
        }
        self.writing.push_back(Writing { last: Lsn(self.next_lsn.0 - 1), is_done: false });
        self.sealing = frames.last().is_some_and(|frame| frame.batches.is_empty());
        self.seal_at = None;
        Some(WalOrder::Write { file: file.number, at: file.at, parts, frames })
    }

    /// The oldest group; a seal if there is none and the log was silent for long enough.
    fn take_group(&mut self, now: Instant, pool: &mut Pool) -> Option<Group> {
        if let Some(group) = self.full.pop_front().or_else(|| self.open.take()) {
            return Some(group);
        }
        self.seal_at.filter(|at| *at <= now)?;
        let page = pool.alloc(BLOCK_BYTES);
        // Without memory it is tried again, but not at once.
        let wait = if mutant::on(Mutant::SealSpins) { Duration::ZERO } else { self.sizes.seal_after };
        self.seal_at = page.is_none().then(|| now + wait);
        let page = page?;
        Some(Group { builder: FrameBuilder::new(page), pushed: Vec::new() })
    }

    fn put_back(&mut self, group: Group) {
        self.full.push_front(group);
    }

    fn freeze(&mut self, group: Group, proven_durable: Lsn, pool: &mut Pool) -> (Slice, FrozenFrame) {
        let lsn = self.next_lsn;
        self.next_lsn = lsn.next();
        let kind = if group.pushed.is_empty() { FrameKind::Seal } else { FrameKind::Inline };
        let before = Lsn(lsn.0 - 1);
        let proven_durable = if mutant::on(Mutant::ProvenTooHigh) { before } else { proven_durable };
        let place = FramePlace { stream: self.stream, lsn, proven_durable, prev_crc: self.prev_crc };
        let used = group.builder.used();
        let (page, len, crc) = group.builder.close(kind, place);
        self.prev_crc = crc;
        if used * 4 < page.len() && self.page_bytes > BLOCK_BYTES {
            self.page_bytes /= 2;
        }
        let page_bytes = page.len();
        let slice = pool.freeze(page).cut(0, len as usize);
        let batches: Vec<FrozenBatch> = group
            .pushed
            .into_iter()
            .map(|p| FrozenBatch {
                partition: p.partition,
                base: p.base,
                last: p.last,
                bytes: slice.cut(p.from, p.to),
                reason: p.reason,
            })
            .collect();
        self.waiting_bytes -= batches.iter().map(|b| b.bytes.len()).sum::<usize>();
        let file = self.current.as_mut().expect("a file was chosen");
        let pins = u32::try_from(batches.len()).expect("a frame is bounded");
        let pinned_bytes = if pins > 0 { used as u64 } else { 0 };
        self.pinned_bytes += pinned_bytes;
        self.records.push_back(FrameRecord { file: file.number, at: file.at, pins, pinned_bytes });
        file.at += u64::from(len);
        assert!(file.at <= file.len, "a frame lies within its file");
        (slice, FrozenFrame { lsn, batches, page_bytes })
    }

    fn has_file_for(&mut self, needed: u64) -> bool {
        let fits = |file: &WalFile| file.len - file.at >= needed;
        if self.current.as_ref().is_some_and(fits) {
            return true;
        }
        if self.next.as_ref().is_some_and(fits) {
            self.current = self.next.take();
            return true;
        }
        false
    }

    /// The frame that waits for a file decides how long the next file must be at least.
    fn needed_bytes(&self) -> u64 {
        let group = self.full.front().or(self.open.as_ref());
        group.map_or(0, |group| group.builder.used().next_multiple_of(BLOCK_BYTES) as u64)
    }

    fn next_change(&mut self) -> Option<WalOrder> {
        let needed = self.needed_bytes();
        let wanted = match (&self.current, &self.next) {
            // A prepared file that is too short for the next frame is made again, longer.
            (_, Some(next)) => next.len < needed,
            (None, None) => true,
            (Some(current), None) => current.at >= current.len / 2 || current.len - current.at < needed,
        };
        let pinned = self.current.map(|file| file.number).filter(|_| mutant::on(Mutant::PinnedFileRecycled));
        let behind = pinned.unwrap_or(self.checkpoint.map_or(0, |c| c.file));
        let spare = self.files.iter().next().map(|(n, len)| (*n, *len)).filter(|(n, _)| *n < behind);
        if wanted && !self.full_disk {
            return self.order_file(needed, spare);
        }
        // Files that cannot be of use again go. Those of full length are kept to be recycled, up to what the log grows to before it
        // is relieved: a new one costs as many bytes as are logged in it.
        let (number, len) = spare?;
        let all: u64 = self.files.values().sum();
        (len < self.sizes.file_bytes_max || self.next.is_some() && all > self.sizes.bytes_max / 2).then(
            || {
                self.change = Some(Change::Remove { number });
                WalOrder::Remove { file: number }
            },
        )
    }

    fn order_file(&mut self, needed: u64, spare: Option<(u64, u64)>) -> Option<WalOrder> {
        let number = self.next.map_or(self.next_number, |short| short.number);
        let longest = self.files.values().copied().max().unwrap_or(0);
        let usual = (longest * 2).clamp(self.sizes.file_bytes_min, self.sizes.file_bytes_max);
        let len = usual.max(needed.next_multiple_of(BLOCK_BYTES as u64));
        if let Some((from, spare_len)) = spare
            && spare_len >= len
            && number == self.next_number
        {
            self.next_number = number + 1;
            self.change = Some(Change::Recycle { from, to: number });
            return Some(WalOrder::Recycle { from, to: number });
        }
        self.next = None;
        self.next_number = self.next_number.max(number + 1);
        self.files.insert(number, len);
        self.change = Some(Change::Create { number, len });
        Some(WalOrder::Create { file: number, len })
    }

    fn on_changed(&mut self) {
        match self.change.take().expect("a change was ordered") {
            Change::Create { number, len } => self.on_file_ready(number, len),
            Change::Recycle { from, to } => {
                let len = self.files.remove(&from).expect("a recycled file was known");
                self.on_file_ready(to, len);
            }
            Change::Remove { number } => {
                self.files.remove(&number).expect("a removed file was known");
            }
        }
    }

    fn on_file_ready(&mut self, number: u64, len: u64) {
        self.files.insert(number, len);
        let file = WalFile { number, len, at: 0 };
        if self.current.is_none() { self.current = Some(file) } else { self.next = Some(file) }
    }

    /// The first frame that recovery would need.
    fn first_live(&self) -> Lsn {
        let idle = self.records.iter().take_while(|r| r.pins == 0).count();
        Lsn(self.first_record.0 + idle as u64).min(self.durable.next())
    }

    fn next_checkpoint(&mut self) -> Option<WalOrder> {
        let current = self.current?;
        if self.checkpointing.is_some() {
            return None;
        }
        let newest = mutant::on(Mutant::CheckpointTooNew);
        let lsn = if newest { self.durable.next() } else { self.first_live() };
        let index = usize::try_from(lsn.0 - self.first_record.0).expect("live frames have records");
        let (file, at) = self.records.get(index).map_or((current.number, current.at), |r| (r.file, r.at));
        let newest = self.checkpoint.map_or(0, |c| c.file);
        // A checkpoint costs two fsyncs: one per file that it sets free.
        if file <= newest {
            return None;
        }
        let checkpoint = Checkpoint { file, at, lsn: lsn.0, last_lsn: None };
        self.checkpointing = Some(checkpoint);
        Some(WalOrder::Checkpoint(checkpoint))
    }

    /// Panics where the log contradicts itself.
    pub fn invariants(&self) {
        assert_eq!(self.first_record.0 + self.records.len() as u64, self.next_lsn.0, "records have no hole");
        assert!(self.durable < self.next_lsn, "what is durable was written");
    }

    /// The same, over every record.
    pub fn audit(&self) {
        self.invariants();
        let pinned: u64 = self.records.iter().map(|r| r.pinned_bytes).sum();
        assert_eq!(pinned, self.pinned_bytes, "pinned bytes are counted");
        assert!(self.records.iter().zip(self.records.iter().skip(1)).all(|(a, b)| a.file <= b.file));
        let oldest = self.files.keys().next().copied().unwrap_or(0);
        assert!(self.records.iter().all(|r| r.pins == 0 || r.file >= oldest), "a pinned file exists");
    }
}
