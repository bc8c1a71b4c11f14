//! One segment gone through from its first byte to its last, each batch from the WAL or else from the disk. It works on the log's
//! newest segment: where that ends is how far it has come.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::hole::holes;
use super::{Cut, Intact, RecoveryRead, RecoveryReport, Source, WalBatch};
use crate::batch::{BatchError, BatchInfo, BatchView, HEADER_BYTES, NO_PRODUCER};
use crate::buf::Slice;
use crate::id::{LeaderEpoch, Offset};
use crate::limits::SEGMENT_READ_BYTES_MAX;
use crate::log::segment::{BLOCK, BlockCrcs, File, Segment, len_of};
use crate::log::{Extent, Log, TailBatch};
use crate::mutant::{self, Mutant};
use crate::time::Timestamp;

/// What comes next.
pub(super) enum Step {
    Read(RecoveryRead),
    GoOn,
    Ended,
}

/// The segment before the run of rotten batches at its present end.
#[derive(Debug)]
struct Good {
    len: u32,
    end: Offset,
    crcs: BlockCrcs,
}

#[derive(Debug)]
pub(super) struct Rebuild {
    base: Offset,
    /// The base of the next segment; this is the last one if there is none.
    limit: Option<Offset>,
    file_len: u32,
    /// Where nothing more is to be read from the file.
    scan_end: u32,
    wal: BTreeMap<u32, WalBatch>,
    /// All before is on disk.
    disk_end: u32,
    /// The newest timestamp before `disk_end`.
    disk_timestamp_max: Option<Timestamp>,
    /// What came from the WAL since.
    staged: Vec<TailBatch>,
    /// The batches on disk that reach into the block in which `disk_end` lies.
    block_tail: Vec<TailBatch>,
    good: Option<Good>,
    /// Bytes that the next batch is known to have.
    needed: usize,
}

impl Rebuild {
    pub(super) fn begin(log: &mut Log, source: Source, limit: Option<Offset>) -> Self {
        let mut segment = Segment::new(source.base);
        if source.file.is_some() {
            segment.file = File::Present;
        }
        log.segments.push_back(segment);
        let file_len = source.file.map_or(0, |file| u32::try_from(file.len).unwrap_or(u32::MAX));
        Self {
            base: source.base,
            limit,
            file_len,
            scan_end: file_len,
            wal: source.wal,
            disk_end: 0,
            disk_timestamp_max: None,
            staged: Vec::new(),
            block_tail: Vec::new(),
            good: None,
            needed: 0,
        }
    }

    fn next_wal(&self, place: u32) -> Option<u32> {
        self.wal.range(place..).next().map(|(position, _)| *position)
    }

    /// How far the file may be read from `place` on.
    fn bound(&self, place: u32) -> u32 {
        self.next_wal(place).unwrap_or(self.scan_end).min(self.scan_end)
    }

    pub(super) fn step(&mut self, log: &mut Log) -> Step {
        let place = log.active().len;
        if let Some(batch) = self.wal.remove(&place) {
            // Of a batch that is rotten in the WAL the disk may have a good copy.
            let elsewhere = place.checked_add(len_of(&batch.bytes)).is_some_and(|end| end <= self.scan_end);
            let believed = batch.intact == Intact::Yes && !mutant::on(Mutant::SegmentsBelieved);
            if believed || !elsewhere {
                self.take_wal(log, batch);
            }
            return Step::GoOn;
        }
        let bound = self.bound(place);
        if place < bound {
            let at = place - place % BLOCK;
            let needed = u32::try_from(self.needed).unwrap_or(u32::MAX).saturating_add(place - at);
            let len = needed.max(SEGMENT_READ_BYTES_MAX).min(bound - at);
            return Step::Read(RecoveryRead { segment_base: self.base, at: u64::from(at), len });
        }
        match self.next_wal(place) {
            Some(next) => {
                self.lose_until_wal(log, next);
                Step::GoOn
            }
            None => Step::Ended,
        }
    }

    /// Whether a batch can stand at the end of the log, in this segment.
    fn fits(&self, log: &Log, extent: Extent, len: usize) -> bool {
        let len = u32::try_from(len).ok().and_then(|len| log.active().len.checked_add(len));
        extent.base >= log.log_end()
            && extent.last >= extent.base
            && extent.last.since(self.base) <= i64::from(i32::MAX)
            && self.limit.is_none_or(|limit| extent.last < limit)
            && len.is_some()
    }

    fn take_wal(&mut self, log: &mut Log, batch: WalBatch) {
        let extent = Extent { base: batch.base, last: batch.last };
        if !self.fits(log, extent, batch.bytes.len()) || batch.bytes.is_empty() {
            return;
        }
        if extent.base > log.log_end() {
            log.lose(Extent { base: log.log_end(), last: Offset(extent.base.0 - 1) });
        }
        self.good = None;
        let info = match batch.intact {
            Intact::Yes => info_of(&batch.bytes, extent),
            Intact::Faulty => None,
        };
        match info {
            Some(info) => {
                let staged = staged(log.active(), extent, &info, batch.epoch, batch.bytes);
                log.recover(&info, extent, &staged);
                self.staged.push(TailBatch { wal_file: batch.wal_file, ..staged });
            }
            None => self.lose_in_tail(
                log,
                Lost { extent, len: len_of(&batch.bytes), epoch: batch.epoch, wal_file: batch.wal_file },
            ),
        }
    }

    /// All from here to the next WAL batch is lost.
    fn lose_until_wal(&mut self, log: &mut Log, next: u32) {
        let place = log.active().len;
        let batch = &self.wal[&next];
        let extent = Extent { base: log.log_end(), last: Offset(batch.base.0 - 1) };
        if batch.base <= log.log_end() || !self.fits(log, extent, (next - place) as usize) {
            // The entry contradicts what is before it.
            self.wal.remove(&next);
            return;
        }
        let lost = Lost { extent, len: next - place, epoch: batch.epoch, wal_file: batch.wal_file };
        if next <= self.file_len { self.lose_on_disk(log, lost) } else { self.lose_in_tail(log, lost) }
    }

    fn lose_in_tail(&mut self, log: &mut Log, lost: Lost) {
        log.lose(lost.extent);
        let wal_file = lost.wal_file;
        for batch in lost.stand_ins(log.active()) {
            let segment = log.active_mut();
            segment.crcs.feed(batch.slice());
            segment.len += batch.len;
            segment.end = batch.last.next();
            self.staged.push(TailBatch { wal_file, ..batch });
        }
    }

    fn lose_on_disk(&mut self, log: &mut Log, lost: Lost) {
        log.lose(lost.extent);
        let stand_ins = lost.stand_ins(log.active());
        let segment = log.active_mut();
        for batch in &stand_ins {
            segment.crcs.feed(batch.slice());
            segment.len += batch.len;
            segment.end = batch.last.next();
        }
        self.on_disk(segment, stand_ins);
    }

    /// All up to the present end of the segment is on disk, last of all `found`: what the WAL had before it was destaged too.
    fn on_disk(&mut self, segment: &Segment, found: impl IntoIterator<Item = TailBatch>) {
        let end = segment.len;
        self.block_tail.append(&mut self.staged);
        self.block_tail.extend(found);
        self.disk_end = end;
        self.disk_timestamp_max = segment.timestamp_max;
        self.block_tail.retain(|batch| batch.end_position() > end - end % BLOCK);
    }

    /// Takes what a read found, as far as it is whole.
    pub(super) fn on_read(
        &mut self,
        log: &mut Log,
        (read, newest): (RecoveryRead, Option<LeaderEpoch>),
        bytes: &Slice,
    ) {
        let page = bytes.cut(0, bytes.len().min(read.len as usize));
        let at = u32::try_from(read.at).expect("a read lies within a segment");
        let page_end = at.saturating_add(len_of(&page));
        if page.len() < read.len as usize {
            self.scan_end = self.scan_end.min(page_end);
        }
        self.needed = 0;
        loop {
            let place = log.active().len;
            let bound = self.bound(place);
            if place >= bound || place >= page_end {
                return;
            }
            let first = (place - at) as usize;
            match BatchView::parse(&page[first..]) {
                Ok((view, _)) if self.continues(log, &view, bound) => {
                    let possible = newest.is_none_or(|newest| view.leader_epoch() <= newest);
                    let whole = possible && view.check_crc().is_ok();
                    self.take_disk(log, &page, &view, view.info().ok().filter(|_| whole));
                }
                Err(BatchError::Incomplete { needed })
                    if (bound - place) as usize >= needed && page.len() - first < needed =>
                {
                    self.needed = needed.max(HEADER_BYTES);
                    return;
                }
                Ok(_) | Err(_) => {
                    self.give_up(log);
                    return;
                }
            }
        }
    }

    /// Whether a batch from disk is the next one. Its bytes may be rotten.
    fn continues(&self, log: &Log, view: &BatchView<'_>, bound: u32) -> bool {
        let extent = Extent { base: view.base_offset(), last: view.last_offset() };
        extent.base == log.log_end()
            && self.fits(log, extent, view.len())
            && (bound - log.active().len) as usize >= view.len()
    }

    /// Without `info`, the batch is lost.
    fn take_disk(&mut self, log: &mut Log, page: &Slice, view: &BatchView<'_>, info: Option<BatchInfo>) {
        let extent = Extent { base: view.base_offset(), last: view.last_offset() };
        let bytes = page.cut_to(view.bytes());
        let batch = match info {
            Some(info) => {
                self.good = None;
                let batch = staged(log.active(), extent, &info, view.leader_epoch(), bytes);
                log.recover(&info, extent, &batch);
                batch
            }
            None => {
                let lost =
                    Lost { extent, len: len_of(view.bytes()), epoch: view.leader_epoch(), wal_file: 0 };
                let segment = log.active();
                self.good.get_or_insert_with(|| Good {
                    len: segment.len,
                    end: segment.end,
                    crcs: segment.crcs.clone(),
                });
                let batch = lost.batch(segment, bytes);
                log.lose(extent);
                let segment = log.active_mut();
                segment.crcs.feed(batch.slice());
                segment.len += batch.len;
                segment.end = extent.last.next();
                batch
            }
        };
        self.on_disk(log.active(), [batch]);
    }

    /// The file holds no batch here. What the WAL or the next segment proves to have been here is lost.
    fn give_up(&mut self, log: &mut Log) {
        let place = log.active().len;
        if let Some(next) = self.next_wal(place) {
            self.lose_until_wal(log, next);
            return;
        }
        self.scan_end = place;
        if let Some(limit) = self.limit.filter(|limit| *limit > log.log_end()) {
            let extent = Extent { base: log.log_end(), last: Offset(limit.0 - 1) };
            log.lose(extent);
            let segment = log.active_mut();
            segment.len = self.file_len;
            segment.end = limit;
            self.scan_end = self.file_len;
            self.good = None;
            self.on_disk(segment, []);
        }
    }

    /// Undoes the rotten batches at the end of the last segment, which nothing after them proves.
    fn forget_rotten_end(&mut self, log: &mut Log) {
        let Some(good) = self.good.take() else { return };
        let segment = log.active_mut();
        segment.len = good.len;
        segment.end = good.end;
        segment.crcs = good.crcs;
        log.faulty.retain_mut(|extent| {
            extent.last = extent.last.min(Offset(good.end.0 - 1));
            extent.base <= extent.last
        });
        self.on_disk(log.active(), []);
    }

    /// The segment as it is now becomes part of the log.
    pub(super) fn end(mut self, log: &mut Log, report: &mut RecoveryReport) {
        if self.limit.is_none() {
            self.forget_rotten_end(log);
        }
        let (len, disk_end) = (log.active().len, self.disk_end);
        let block_end = u64::from(disk_end).next_multiple_of(u64::from(BLOCK));
        // Only whole blocks of an active segment are written: the block that the disk's last batch ends in has what follows too.
        let within_block = block_end > u64::from(self.file_len) || block_end > u64::from(len);
        let destaged = if !within_block {
            u32::try_from(block_end).expect("bounded by the segment")
        } else if disk_end == len {
            len
        } else {
            let wal_file = self.staged.first().map_or(0, |batch| batch.wal_file);
            let kept = self.block_tail.drain(..).map(|batch| TailBatch { wal_file, ..batch });
            self.staged.splice(0..0, kept);
            disk_end - disk_end % BLOCK
        };
        let segment = log.segments.back_mut().expect("the segment that was gone through");
        segment.destaged = destaged;
        segment.timestamp_max_evicted = self.disk_timestamp_max;
        for batch in self.staged.drain(..) {
            if batch.end_position() > destaged {
                log.tail.push(batch);
            } else {
                segment.timestamp_max_evicted = segment.timestamp_max_evicted.max(Some(batch.timestamp_max));
            }
        }
        // Such a segment had ended before the crash: its last block holds what is nowhere else, and is not written to again.
        let ended = self.limit.is_some() || within_block;
        let has_file = segment.file == File::Present;
        let end = segment.end;
        if ended {
            log.end_active();
            log.lose_until(self.limit);
            if has_file {
                report.rebuilt_footers.push(self.base);
            }
            if self.limit.is_none() {
                log.segments.push_back(Segment::new(end));
            }
        } else if has_file && self.file_len > len {
            report.truncate.push(Cut { segment_base: self.base, len: u64::from(destaged) });
        }
    }
}

/// Bytes that are lost, and what was there.
struct Lost {
    extent: Extent,
    len: u32,
    epoch: LeaderEpoch,
    wal_file: u64,
}

impl Lost {
    fn stand_ins(&self, segment: &Segment) -> Vec<TailBatch> {
        let mut position = segment.len;
        let holes = holes(self.extent, self.len, self.epoch).into_iter();
        holes
            .map(|hole| {
                let lost = Self { extent: hole.extent, len: len_of(&hole.bytes), ..*self };
                let batch = TailBatch { position, ..lost.batch(segment, hole.bytes) };
                position += batch.len;
                batch
            })
            .collect()
    }

    fn batch(&self, segment: &Segment, bytes: Slice) -> TailBatch {
        TailBatch {
            base: self.extent.base,
            last: self.extent.last,
            segment_base: segment.base,
            position: segment.len,
            len: self.len,
            epoch: self.epoch,
            timestamp_max: Timestamp(i64::MIN),
            bytes: Some(bytes),
            wal_file: self.wal_file,
        }
    }
}

fn staged(
    segment: &Segment,
    extent: Extent,
    info: &BatchInfo,
    epoch: LeaderEpoch,
    bytes: Slice,
) -> TailBatch {
    TailBatch {
        base: extent.base,
        last: extent.last,
        segment_base: segment.base,
        position: segment.len,
        len: info.len,
        epoch,
        timestamp_max: info.max_timestamp,
        bytes: Some(bytes),
        wal_file: 0,
    }
}

/// What the log keeps of a batch, if it is exactly the one that is expected.
fn info_of(bytes: &Slice, extent: Extent) -> Option<BatchInfo> {
    let (view, rest) = BatchView::parse(bytes).ok()?;
    let same = view.base_offset() == extent.base && view.last_offset() == extent.last && rest.is_empty();
    if same { view.info().ok() } else { None }
}

impl Log {
    /// Folds a batch that was found into the newest segment and all that is derived from batches.
    fn recover(&mut self, info: &BatchInfo, extent: Extent, batch: &TailBatch) {
        self.active_mut().crcs.feed(batch.slice());
        let nobody = BatchInfo { producer_id: NO_PRODUCER, ..*info };
        let info = if mutant::on(Mutant::ProducersNotRebuilt) { &nobody } else { info };
        self.take_in(info, extent, batch.epoch);
        let segment = self.active_mut();
        segment.opened = segment.opened.or(Some(info.max_timestamp));
    }
}
