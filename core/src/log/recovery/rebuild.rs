//! One segment gone through from its first byte to its last, each batch from the WAL or else from the disk. It works on the log's
//! newest segment: where that ends is how far it has come.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::hole::{COUNT, LAST_OFFSET_DELTA, holes, is_stand_in};
use super::{Cut, Intact, RecoveryRead, RecoveryReport, Source, WalBatch, WalState};
use crate::batch::{BatchError, BatchInfo, BatchView, HEADER_BYTES, NO_PRODUCER};
use crate::buf::Slice;
use crate::id::{LeaderEpoch, Offset};
use crate::limits::SEGMENT_READ_BYTES_MAX;
use crate::log::resync::{is_followed, is_told_twice, next_whole};
use crate::log::segment::{BLOCK, Cleaned, File, Padding, Segment, SegmentName, len_of};
use crate::log::{EpochStart, Extent, Log, TailBatch, footer};
use crate::mutant::{self, Mutant};
use crate::time::Timestamp;

/// What comes next.
pub(super) enum Step {
    Read(RecoveryRead),
    GoOn,
    Ended,
}

#[derive(Debug)]
pub(super) struct Rebuild {
    name: SegmentName,
    /// The base of the next segment; this is the last one if there is none.
    next: Option<Offset>,
    /// Where it ends at the latest: there, or where its name says.
    limit: Option<Offset>,
    file_len: u32,
    /// As long as a footer of this file says, whether or not the file is.
    told_len: u32,
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
    wal_state: WalState,
    /// What stands on disk before the place from which it was gone on, in the block that it lies in.
    head: Vec<u8>,
    head_end: u32,
    /// Where the disk may have a copy of what is rotten in this file of the WAL. It says nothing of what the WAL has before it.
    copy_of: Option<(u32, u64)>,
    /// Bytes that the next batch is known to have.
    needed: usize,
}

impl Rebuild {
    pub(super) fn begin(
        log: &mut Log,
        source: Source,
        (next, wal_state): (Option<Offset>, WalState),
    ) -> Self {
        let mut segment = Segment::new(source.base);
        let name = source.file.as_ref().map_or(SegmentName::written(source.base), |file| file.name);
        if source.file.is_some() {
            segment.file = File::Present;
        }
        log.segments.push_back(segment);
        let footer = source.file.as_ref().and_then(|file| footer::decode(file.footer.as_ref()?));
        let told_len = footer.filter(|footer| footer.name() == name).map_or(0, |footer| footer.len);
        let file_len = source.file.map_or(0, |file| u32::try_from(file.len).unwrap_or(u32::MAX));
        Self {
            name,
            next,
            limit: name.cleaned.map(|cleaned| cleaned.end).into_iter().chain(next).min(),
            file_len,
            told_len,
            scan_end: file_len,
            wal: source.wal,
            disk_end: 0,
            disk_timestamp_max: None,
            staged: Vec::new(),
            block_tail: Vec::new(),
            wal_state,
            head: Vec::new(),
            head_end: 0,
            copy_of: None,
            needed: 0,
        }
    }

    /// Goes on where the log's newest segment ends. All before `disk_end` is on disk, and `staged` is what the WAL has from there on.
    pub(super) fn resume(
        source: Source,
        (disk_end, disk_timestamp_max, head): (u32, Option<Timestamp>, Vec<u8>),
        staged: Vec<TailBatch>,
        (next, wal_state): (Option<Offset>, WalState),
    ) -> Self {
        let file_len = source.file.map_or(0, |file| u32::try_from(file.len).unwrap_or(u32::MAX));
        Self {
            name: SegmentName::written(source.base),
            next,
            limit: next,
            file_len,
            told_len: 0,
            scan_end: file_len,
            wal: source.wal,
            disk_end,
            disk_timestamp_max,
            staged,
            block_tail: Vec::new(),
            wal_state,
            head,
            head_end: disk_end,
            copy_of: None,
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
            if believed || !elsewhere || is_stand_in(&batch.bytes) {
                self.take_wal(log, batch);
            } else {
                self.copy_of = Some((place, batch.wal_file));
            }
            return Step::GoOn;
        }
        let bound = self.bound(place);
        if place < bound {
            let at = place - place % BLOCK;
            let needed = u32::try_from(self.needed).unwrap_or(u32::MAX).saturating_add(place - at);
            let len = needed.max(SEGMENT_READ_BYTES_MAX).min(bound - at);
            return Step::Read(RecoveryRead { name: self.name, at: u64::from(at), len });
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
            && extent.last.since(self.name.base) <= i64::from(i32::MAX)
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
        // Bytes that nobody can read do not prove that what the WAL has before them is on disk.
        if let Some(wal_file) = self.staged.last().map(|batch| batch.wal_file) {
            return self.lose_in_tail(log, Lost { wal_file, ..lost });
        }
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
    /// Where the WAL lacks batches, the disk may have one of those and yet not what came before it. Until that is destaged nothing
    /// else has it, and a start that finds nothing amiss with the WAL would take it for a proof.
    fn on_disk(&mut self, segment: &Segment, found: impl IntoIterator<Item = TailBatch>) {
        let mut found = found.into_iter().peekable();
        if let WalState::Lacking { wal_file } = self.wal_state
            && found.peek().is_some()
            && !self.staged.is_empty()
        {
            self.staged.extend(found.map(|batch| TailBatch { wal_file, ..batch }));
            return;
        }
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
                    if !whole && !self.is_framed(&view, &page[first + view.len()..]) {
                        return self.give_up(log, &page, first);
                    }
                    self.take_disk(log, &page, &view, view.info().ok().filter(|_| whole));
                }
                Err(BatchError::Incomplete { needed })
                    if (bound - place) as usize >= needed && page.len() - first < needed =>
                {
                    self.needed = needed.max(HEADER_BYTES);
                    return;
                }
                Ok(_) | Err(_) => {
                    self.give_up(log, &page, first);
                    return;
                }
            }
        }
    }

    /// Whether a batch from disk is the next one. Its bytes may be rotten.
    fn continues(&self, log: &Log, view: &BatchView<'_>, bound: u32) -> bool {
        let extent = Extent { base: view.base_offset(), last: view.last_offset() };
        let joins = extent.base == log.log_end() || self.name.cleaned.is_some();
        joins && self.fits(log, extent, view.len()) && (bound - log.active().len) as usize >= view.len()
    }

    /// Whether the frame of a batch that is not whole is: where it ends, and with which offset.
    fn is_framed(&self, view: &BatchView<'_>, rest: &[u8]) -> bool {
        let keeps_count = self.name.cleaned.is_none() && !is_stand_in(view.bytes());
        is_followed(rest, view.last_offset().next()) && (!keeps_count || is_told_twice(view, rest))
    }

    /// Without `info`, the batch is lost.
    fn take_disk(&mut self, log: &mut Log, page: &Slice, view: &BatchView<'_>, info: Option<BatchInfo>) {
        let extent = Extent { base: view.base_offset(), last: view.last_offset() };
        let bytes = page.cut_to(view.bytes());
        let place = log.active().len;
        let copy_of = self.copy_of.take().filter(|(at, _)| *at == place).map(|(_, wal_file)| wal_file);
        let wal_file = copy_of.unwrap_or(0);
        let Some(info) = info else {
            let lost = Lost { extent, len: len_of(view.bytes()), epoch: view.leader_epoch(), wal_file };
            return match copy_of {
                Some(_) => self.lose_in_tail(log, lost),
                None => self.lose_on_disk(log, lost),
            };
        };
        let batch = staged(log.active(), extent, &info, view.leader_epoch(), bytes);
        if self.name.cleaned.is_some() {
            // What compaction took before this batch was of its epoch, as far as anything can tell.
            let start = log.log_end();
            log.epochs.assign(EpochStart { epoch: batch.epoch, start });
        }
        log.recover(&info, extent, &batch);
        match copy_of {
            Some(wal_file) => self.staged.push(TailBatch { wal_file, ..batch }),
            None => self.on_disk(log.active(), [batch]),
        }
    }

    /// The file holds no batch here. What the WAL, a batch behind, or the next segment proves to have been here is lost.
    fn give_up(&mut self, log: &mut Log, page: &[u8], first: usize) {
        let (place, base) = (log.active().len, log.log_end());
        let bound = first + (self.bound(place) - place) as usize;
        let page = &page[..page.len().min(bound)];
        let next_wal = self.next_wal(place);
        let until = next_wal.map(|next| self.wal[&next].base).or(self.limit);
        let fits = |view: &BatchView<'_>| until.is_none_or(|until| view.last_offset() < until);
        if let Some((found, view)) = next_whole(page, (first, base), fits) {
            return self.skip(log, (found - first, view.base_offset(), view.leader_epoch()));
        }
        if let Some(next) = next_wal {
            return self.lose_until_wal(log, next);
        }
        let Some(limit) = self.limit else { return self.lose_rest(log, &page[first..]) };
        self.scan_end = place;
        // Bytes that nobody can read do not prove that what the WAL has before them is on disk: then the segment ends there.
        if limit > base && self.staged.is_empty() {
            log.lose(Extent { base, last: Offset(limit.0 - 1) });
            let segment = log.active_mut();
            segment.len = self.file_len;
            segment.end = limit;
            self.scan_end = self.file_len;
            self.on_disk(segment, []);
        }
    }

    /// Nothing says what was at the end of the log. What no entry of the WAL covers was durable, so that bytes are rot unless they
    /// are the zeros behind the end.
    fn lose_rest(&mut self, log: &mut Log, rest: &[u8]) {
        match rest.iter().rposition(|byte| *byte != 0) {
            Some(last) => {
                // What stands in for it in memory is written again, and has to be known for what it is then.
                let most = if self.staged.is_empty() { rest.len() } else { HEADER_BYTES.max(rest.len()) };
                let len = (last + 1).max(HEADER_BYTES).min(most);
                self.skip(log, (len, end_claimed(rest, log.log_end()), LeaderEpoch(0)));
            }
            None => self.scan_end = log.active().len,
        }
    }

    /// Goes on behind so many bytes, at that later offset.
    fn skip(&mut self, log: &mut Log, (len, next, epoch): (usize, Offset, LeaderEpoch)) {
        let extent = Extent { base: log.log_end(), last: Offset(next.0 - 1) };
        if self.fits(log, extent, len) {
            let len = u32::try_from(len).expect("it fits a segment");
            self.lose_on_disk(log, Lost { extent, len, epoch, wal_file: 0 });
        } else {
            self.scan_end = log.active().len;
        }
    }

    /// What stands before `end` in the block that it lies in. Where nothing was read there, it is lost, and nothing of it is kept.
    fn head_at(&self, end: u32) -> Vec<u8> {
        let start = end - end % BLOCK;
        let mut head = alloc::vec![0; (end - start) as usize];
        let known = if start == self.head_end - self.head_end % BLOCK { &self.head[..] } else { &[] };
        let known = &known[..known.len().min(head.len())];
        head[..known.len()].copy_from_slice(known);
        for batch in &self.block_tail {
            let (first, last) = (start.max(batch.position), end.min(batch.end_position()));
            if first < last {
                let from =
                    &batch.slice()[(first - batch.position) as usize..(last - batch.position) as usize];
                head[(first - start) as usize..(last - start) as usize].copy_from_slice(from);
            }
        }
        head
    }

    /// The segment as it is now becomes part of the log.
    pub(super) fn end(mut self, log: &mut Log, report: &mut RecoveryReport) {
        let (len, destaged) = (log.active().len, self.disk_end);
        let head = self.head_at(destaged);
        let mut lost = None;
        let segment = log.segments.back_mut().expect("the segment that was gone through");
        segment.destaged = destaged;
        segment.head = head;
        segment.timestamp_max_evicted = self.disk_timestamp_max;
        if let Some(name) = self.name.cleaned {
            // Its own footer knew how far it was clean; it is as good as dirty now.
            let (upto, crcs) = (self.name.base, segment.crcs.all());
            if len < self.file_len.max(self.told_len) {
                lost = Some(Extent { base: segment.end, last: Offset(name.end.0 - 1) });
            }
            segment.end = self.limit.unwrap_or(name.end);
            segment.cleaned = Some(Cleaned { generation: name.generation, upto, delete_horizon: None, crcs });
        }
        for batch in self.staged.drain(..) {
            if batch.end_position() > destaged {
                log.tail.push(batch);
            } else {
                segment.timestamp_max_evicted = segment.timestamp_max_evicted.max(Some(batch.timestamp_max));
            }
        }
        // Rest of a batch at the end of a file says that there was one: it is not written over.
        let is_rest = self.block_tail.last().is_some_and(|last| (last.len as usize) < HEADER_BYTES);
        let ended = self.limit.is_some() || (is_rest && destaged == len);
        // What is not sealed is cut at once, and a cleaned segment is never written to.
        if ended && self.name.cleaned.is_none() && self.file_len > destaged {
            segment.padding = Padding::ToBlock;
        }
        let has_file = segment.file == File::Present;
        let end = segment.end;
        if let Some(extent) = lost.filter(|extent| extent.base <= extent.last) {
            log.lose(extent);
        }
        if ended {
            log.end_active();
            log.lose_until(self.next);
            if has_file {
                report.rebuilt_footers.push(self.name.base);
            }
            if self.next.is_none() {
                log.segments.push_back(Segment::new(end));
            }
        } else if has_file && self.file_len > len {
            // Of what is behind `destaged` the disk may have the only copy.
            let len = if mutant::on(Mutant::FoundIsCut) { destaged } else { len };
            report.truncate.push(Cut { segment_base: self.name.base, len: u64::from(len) });
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
    staged_at((segment.base, segment.len), extent, info, epoch, bytes)
}

pub(super) fn staged_at(
    (segment_base, position): (Offset, u32),
    extent: Extent,
    info: &BatchInfo,
    epoch: LeaderEpoch,
    bytes: Slice,
) -> TailBatch {
    TailBatch {
        base: extent.base,
        last: extent.last,
        segment_base,
        position,
        len: info.len,
        epoch,
        timestamp_max: info.max_timestamp,
        bytes: Some(bytes),
        wal_file: 0,
    }
}

/// Where a batch that is lost ended if its header says so, by the later of what it says twice, and behind one offset if not.
fn end_claimed(rest: &[u8], base: Offset) -> Offset {
    let field =
        |at: usize| rest.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map(i32::from_be_bytes);
    let claims = [field(LAST_OFFSET_DELTA).and_then(|delta| delta.checked_add(1)), field(COUNT)];
    let possible =
        claims.into_iter().flatten().filter(|claim| usize::try_from(*claim).is_ok_and(|n| n <= rest.len()));
    Offset(base.0 + i64::from(possible.max().unwrap_or(1).max(1)))
}

/// What the log keeps of a batch, if it is exactly the one that is expected.
pub(super) fn info_of(bytes: &Slice, extent: Extent) -> Option<BatchInfo> {
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
