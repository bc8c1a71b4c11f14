//! Reading: which bytes answer a fetch or a question for a time, from memory or from a segment, and what of a page that was read back
//! may be served. Checks the CRC of every batch from disk before a byte of it is served.

use alloc::vec::Vec;

use crate::batch::{BatchError, BatchView, Batches, HEADER_BYTES, Scratch};
use crate::buf::Slice;
use crate::id::Offset;
use crate::limits::{BATCH_BYTES_MAX, INDEX_INTERVAL_BYTES_MAX, SEGMENT_READ_BYTES_MAX};
use crate::log::resync::next_whole;
use crate::log::segment::{BLOCK, STRETCH, Segment, SegmentName};
use crate::log::{Log, TailBatch};
use crate::mutant::{self, Mutant};
use crate::time::Timestamp;

/// The longest read: one batch of the largest size, from the stretch that it begins in to the end of its last.
#[expect(clippy::cast_possible_truncation, reason = "64 MiB and two stretches fit 32 bits")]
const DISK_READ_BYTES_MAX: u32 = BATCH_BYTES_MAX as u32 + 2 * STRETCH;

/// What a read returns when the first batch does not fit into `bytes_max`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Minimum {
    /// That batch nevertheless, so that a consumer gets on (KIP-74).
    AtLeastOne,
    /// Nothing.
    UpTo,
}

/// What a fetch asks for: whole batches from the one that holds `from`, all below `upto`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    pub from: Offset,
    /// The first offset that must not be returned: the high watermark.
    pub upto: Offset,
    pub bytes_max: usize,
    pub minimum: Minimum,
}

/// How a fetch is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadPlan {
    /// Nothing there yet, or not within the bytes.
    Empty,
    Tail(Vec<Slice>),
    Disk(DiskRead),
    /// Before the log's start or behind its end.
    OutOfRange,
    /// The offset is lost on this node.
    Faulty,
}

/// A read of a segment file: `len` bytes from `at`, which is at a block. The batches begin `skip` bytes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskRead {
    pub name: SegmentName,
    pub at: u64,
    pub skip: u32,
    /// The base offset of the first batch: no CRC covers the offsets in a batch, so that they are held to one another.
    pub base: Offset,
    pub len: u32,
    /// With less than this many bytes it tells nothing.
    pub needed: u32,
    /// Bytes of the file that may be read; behind it a write may be under way.
    pub file_end: u64,
}

/// What of a page may be served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selected {
    /// Whole batches in a row.
    Batches(Slice),
    Empty,
    /// The segment holds nothing from there on: ask the log again from this offset on.
    GoOn(Offset),
    /// The page ends too early: read on from where its last whole batch ends.
    NeedMore(DiskRead),
    Faulty,
}

/// A record's timestamp and offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimestampOffset {
    pub timestamp: Timestamp,
    pub offset: Offset,
}

/// How a question for a time is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TimestampPlan {
    Found(TimestampOffset),
    NotFound,
    /// What the page is to be asked.
    Disk(DiskRead, TimestampQuery),
    Faulty,
}

/// What a page says to a question for a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimestampScan {
    Found(TimestampOffset),
    /// The answer is not here: ask the log this.
    GoOn(TimestampQuery),
    NeedMore(DiskRead),
    /// The batch with this offset cannot be read.
    Faulty(Offset),
}

/// Which record answers a question for a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sought {
    /// The first at or after it.
    First,
    /// The same, where the time is that of the newest batch; should that record be deleted, the newest of those that are left.
    Newest,
    /// The newest at or after it, the first of several: the best so far.
    Climb(Option<TimestampOffset>),
}

/// A question for a record at or after a time, among the batches that end above `from` and below `upto`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimestampQuery {
    pub timestamp: Timestamp,
    pub from: Offset,
    pub upto: Offset,
    pub sought: Sought,
}

impl TimestampQuery {
    /// The record that answers, if a batch has it.
    fn meet(
        &mut self,
        batch: &BatchView<'_>,
        scratch: &mut Scratch,
    ) -> Result<Option<TimestampOffset>, BatchError> {
        let Sought::Climb(best) = &mut self.sought else {
            let found = batch.first_record_at_or_after(self.from, self.timestamp, scratch)?;
            return Ok(found.map(|(offset, timestamp)| TimestampOffset { timestamp, offset }));
        };
        if let Some((offset, timestamp)) = batch.newest_record(self.from, scratch)?
            && timestamp >= self.timestamp
            && best.is_none_or(|best| timestamp > best.timestamp)
        {
            *best = Some(TimestampOffset { timestamp, offset });
            self.timestamp = Timestamp(timestamp.0.saturating_add(1));
        }
        Ok(None)
    }
}

impl Log {
    fn is_faulty(&self, offset: Offset) -> bool {
        let count = self.faulty.partition_point(|extent| extent.base <= offset);
        count.checked_sub(1).is_some_and(|place| self.faulty[place].last >= offset)
    }

    /// As much of batches that were read from disk as bears the epochs of this log: no CRC covers those.
    pub fn vouch(&self, batches: &Slice) -> Slice {
        let mut end = 0;
        for batch in Batches::new(batches) {
            let Ok(batch) = batch else { break };
            let base = batch.base_offset();
            let base = if mutant::on(Mutant::TakenWhileRead) { base } else { base.max(self.first_base()) };
            if self.epochs.epoch_of(base) != Some(batch.leader_epoch()) {
                break;
            }
            end += batch.len();
        }
        batches.cut(0, end)
    }

    /// How to answer a fetch.
    pub fn read(&self, wanted: Wanted) -> ReadPlan {
        let Wanted { from, upto, .. } = wanted;
        let at_end = mutant::on(Mutant::EndOutOfRange) && from == self.log_end();
        if from < self.log_start || from > self.log_end() || at_end {
            return ReadPlan::OutOfRange;
        }
        let attached = self.tail.first_unattached().unwrap_or(self.log_end());
        let upto = if mutant::on(Mutant::ReadBeyondDurable) { attached } else { upto.min(self.durable_end) };
        if from >= upto {
            return ReadPlan::Empty;
        }
        if self.is_faulty(from) {
            return ReadPlan::Faulty;
        }
        if self.tail.starting_at(from).next().is_some_and(|batch| batch.base <= from) {
            return self.read_tail(Wanted { upto, ..wanted });
        }
        let segment = self.segment_of(from);
        let position = segment.index.position_of_offset(from);
        if segment.cleaned.is_some() && position >= segment.len {
            return self.read(Wanted { from: segment.end, ..wanted });
        }
        let len =
            u32::try_from(wanted.bytes_max).unwrap_or(u32::MAX).saturating_add(INDEX_INTERVAL_BYTES_MAX);
        DiskRead::plan(segment, position, len).map_or(ReadPlan::Faulty, ReadPlan::Disk)
    }

    fn read_tail(&self, wanted: Wanted) -> ReadPlan {
        let mut batches = Vec::new();
        let mut left = wanted.bytes_max;
        let mut next = None;
        let skips = |batch: &&TailBatch| mutant::on(Mutant::ReadSkipsMidBatch) && batch.base < wanted.from;
        for batch in self.tail.starting_at(wanted.from).skip_while(skips) {
            if next.is_some_and(|next| batch.base != next) {
                break;
            }
            next = Some(batch.last.next());
            let first = batches.is_empty() && wanted.minimum == Minimum::AtLeastOne;
            let fits = batch.len as usize <= left || first;
            if !fits || batch.last >= wanted.upto || self.is_faulty(batch.base) {
                break;
            }
            left = left.saturating_sub(batch.len as usize);
            batches.push(batch.slice().clone());
        }
        if batches.is_empty() { ReadPlan::Empty } else { ReadPlan::Tail(batches) }
    }

    /// As much of a page, which was read from `at` on, as the CRCs of a cleaned segment vouch for; all of it from any other, whose
    /// batches are held to one another. `None` if the log has that file no more.
    pub fn sound_part(&self, (name, at): (SegmentName, u64), page: &Slice) -> Option<Slice> {
        let segment = self.segment_named(name)?;
        let Some(cleaned) = &segment.cleaned else { return Some(page.clone()) };
        let first = usize::try_from(at / u64::from(STRETCH)).ok()?;
        let there = u64::from(segment.len).checked_sub(at).and_then(|there| usize::try_from(there).ok())?;
        let whole = |stretch: &&[u8]| stretch.len() == STRETCH as usize;
        let page = page.cut(0, page.len().min(there));
        let mut end = 0;
        for (stretch, crc) in page.chunks(STRETCH as usize).zip(cleaned.crcs.get(first..)?) {
            let is_last = end + stretch.len() == there;
            if !(whole(&stretch) || is_last) || crc32fast::hash(stretch) != *crc {
                break;
            }
            end += stretch.len();
        }
        Some(page.cut(0, end))
    }

    /// The question for the newest record below `upto`, the first of several; `None` if there is no batch.
    pub fn newest(&self, upto: Offset) -> Option<TimestampQuery> {
        let below = self.segments.iter().take_while(|segment| segment.base < upto);
        let below = below.filter(|segment| segment.end > self.log_start);
        let times = below.filter_map(|segment| self.timestamp_max_of(segment, upto));
        let newest = if mutant::on(Mutant::MaxTimestampOfLast) { times.last() } else { times.max() };
        let query =
            |timestamp| TimestampQuery { timestamp, from: self.log_start, upto, sought: Sought::Newest };
        newest.map(query)
    }

    /// The same where the newest record of the segment in which the log begins is deleted. The records of that segment have to be
    /// looked through; those that are not as new as the segments behind it need not.
    fn newest_left(&self, upto: Offset) -> TimestampQuery {
        let whole = self.segments.iter().filter(|segment| (self.log_start..upto).contains(&segment.base));
        let newest = whole.filter_map(|segment| self.timestamp_max_of(segment, upto)).max();
        let timestamp = newest.unwrap_or(Timestamp(i64::MIN));
        TimestampQuery { timestamp, from: self.log_start, upto, sought: Sought::Climb(None) }
    }

    /// Exact as long as no batch at or above `upto` was evicted.
    fn timestamp_max_of(&self, segment: &Segment, upto: Offset) -> Option<Timestamp> {
        if segment.end <= upto {
            return segment.timestamp_max;
        }
        let in_tail =
            self.tail.iter().filter(|batch| batch.segment_base == segment.base && batch.last < upto);
        in_tail.map(|batch| batch.timestamp_max).max().max(segment.timestamp_max_evicted)
    }

    /// The record that answers `query`, or where it is looked for.
    pub fn find_timestamp(&self, mut query: TimestampQuery, scratch: &mut Scratch) -> TimestampPlan {
        let upto = query.upto.min(self.durable_end);
        let mut from = query.from.max(self.log_start);
        let first = self.segments.partition_point(|segment| segment.end <= from);
        for segment in self.segments.range(first..) {
            from = from.max(segment.base);
            if from >= upto {
                break;
            }
            if segment.timestamp_max.is_none_or(|newest| newest < query.timestamp) {
                continue;
            }
            let (held, held_position) = self.held_from(segment);
            let by_time = segment.index.position_of_timestamp(query.timestamp);
            let position = by_time.max(segment.index.position_of_offset(from));
            if segment.cleaned.is_some() && position >= segment.len {
                continue;
            }
            if from < held && position < held_position {
                let read = DiskRead::plan(segment, position, SEGMENT_READ_BYTES_MAX);
                return read.map_or(TimestampPlan::Faulty, |read| TimestampPlan::Disk(read, query));
            }
            query = TimestampQuery { from, upto, ..query };
            let found = self.find_in_tail(segment, &mut query, scratch);
            if found != TimestampPlan::NotFound {
                return found;
            }
        }
        match query.sought {
            Sought::First => TimestampPlan::NotFound,
            Sought::Newest => self.find_timestamp(self.newest_left(upto), scratch),
            Sought::Climb(best) => best.map_or(TimestampPlan::NotFound, TimestampPlan::Found),
        }
    }

    /// Where the batches of a segment begin that are in memory.
    fn held_from(&self, segment: &Segment) -> (Offset, u32) {
        let first = self.tail.starting_at(segment.base).next();
        let first = first.filter(|batch| batch.segment_base == segment.base);
        first.map_or((segment.end, segment.len), |batch| (batch.base, batch.position))
    }

    fn find_in_tail(
        &self,
        segment: &Segment,
        query: &mut TimestampQuery,
        scratch: &mut Scratch,
    ) -> TimestampPlan {
        for batch in self.tail.starting_at(query.from) {
            if batch.segment_base != segment.base || batch.last >= query.upto {
                break;
            }
            if self.is_faulty(batch.base) {
                return TimestampPlan::Faulty;
            }
            if batch.timestamp_max < query.timestamp {
                continue;
            }
            let Ok((view, _)) = BatchView::parse(batch.slice()) else { return TimestampPlan::Faulty };
            match query.meet(&view, scratch) {
                Ok(Some(found)) => return TimestampPlan::Found(found),
                Ok(None) => {}
                Err(_) => return TimestampPlan::Faulty,
            }
        }
        TimestampPlan::NotFound
    }
}

/// What stands at a place of a page.
enum Step<'a> {
    Batch(BatchView<'a>),
    /// The batch needs the page to be this long.
    Incomplete(u32),
    End,
    Wrong,
}

impl DiskRead {
    /// A read of about `len` bytes behind `position`; `None` if the file holds nothing there.
    fn plan(segment: &Segment, position: u32, len: u32) -> Option<Self> {
        let name = segment.name();
        let at = position - position % name.grain();
        let skip = position - at;
        let there = segment.destaged.checked_sub(at).filter(|there| *there > skip)?;
        let len = len.min(SEGMENT_READ_BYTES_MAX).saturating_add(skip);
        // Less than a stretch tells nothing of a cleaned segment.
        let needed = if name.cleaned.is_some() { STRETCH.min(there) } else { 0 };
        Some(Self {
            name,
            at: u64::from(at),
            skip,
            base: segment.index.base_at(position),
            len: whole_grains(name, len).min(there),
            needed,
            file_end: u64::from(segment.destaged),
        })
    }

    /// The read that goes on with the batch `base` at `place` of this one and reaches to `end`; `None` if the file does not go that
    /// far, or if no batch is that long.
    fn on_from(self, place: usize, base: Offset, end: u32) -> Option<Self> {
        let place = u32::try_from(place).ok()?;
        let passed = place - place % self.name.grain();
        let at = self.at + u64::from(passed);
        let there = u32::try_from(self.file_end.checked_sub(at)?).ok()?;
        let needed = end - passed;
        let needed = whole_grains_within(self.name, needed, there);
        let is_sound = needed <= there && needed <= DISK_READ_BYTES_MAX && (passed > 0 || needed > self.len);
        let len = whole_grains(self.name, self.len).max(needed).min(there);
        is_sound.then_some(Self { at, skip: place - passed, base, len, needed, ..self })
    }

    /// This read, no longer than `most` unless it needs to be.
    #[must_use]
    pub fn at_most(self, most: u32) -> Self {
        Self { len: self.len.min(whole_grains(self.name, most.max(self.needed).max(BLOCK))), ..self }
    }

    /// Whether a batch can stand where the batches before it end at `next`.
    fn joins(&self, base: Offset, next: Offset) -> bool {
        match self.name.cleaned {
            None => base == next,
            Some(_) if mutant::on(Mutant::GapCalledRot) => base == next,
            Some(cleaned) => base >= next && base < cleaned.end,
        }
    }

    /// Where to go on behind the last batch, which ends at `next`.
    fn behind(&self, next: Offset) -> Offset {
        self.name.cleaned.map_or(next, |cleaned| cleaned.end)
    }

    /// The batch at `place` of the page, which is cut to what was asked for.
    fn step<'a>(&self, page: &'a [u8], place: usize) -> Step<'a> {
        if self.at + place as u64 >= self.file_end {
            return Step::End;
        }
        match BatchView::parse(page.get(place..).unwrap_or_default()) {
            Ok((view, _)) => Step::Batch(view),
            Err(BatchError::Incomplete { needed }) => {
                let needed = needed.max(HEADER_BYTES) + place;
                u32::try_from(needed).map_or(Step::Wrong, Step::Incomplete)
            }
            Err(_) => Step::Wrong,
        }
    }

    /// What of `page` answers `wanted`. The page begins at the read's `at`; a page that is shorter than asked is as the file is.
    pub fn select(self, page: &Slice, wanted: Wanted) -> Selected {
        let page = page.cut(0, page.len().min(self.len as usize));
        let mut place = self.skip as usize;
        let mut start = None;
        let mut next = self.base;
        let mut before = (place, next);
        loop {
            let view = match self.step(&page, place) {
                Step::Batch(view) if self.joins(view.base_offset(), next) => Some(view),
                Step::Incomplete(needed) if start.is_none() => match self.on_from(place, next, needed) {
                    Some(more) => return Selected::NeedMore(more),
                    None => None,
                },
                Step::End if start.is_none() && self.name.cleaned.is_some() => {
                    return Selected::GoOn(self.behind(next));
                }
                Step::Batch(_) | Step::Incomplete(_) | Step::End | Step::Wrong => None,
            };
            let is_too_much = |view: &BatchView<'_>| {
                start.is_some_and(|start| place + view.len() - start > wanted.bytes_max)
            };
            if view.as_ref().is_some_and(is_too_much) {
                break;
            }
            let is_wanted = |view: &BatchView<'_>| view.last_offset() >= wanted.from;
            let Some(view) = view.filter(|view| !is_wanted(view) || view.check_crc().is_ok()) else {
                if start.is_some() {
                    break;
                }
                // A batch before this one is not what was written there, or this one is not; their lengths cannot be trusted.
                let found = whole_at_or_before(&page, before, wanted.from);
                let Some(found) = found.filter(|_| self.name.cleaned.is_none()) else {
                    return Selected::Faulty;
                };
                (place, next) = found;
                before = found;
                continue;
            };
            before = (place, next);
            next = view.end_offset();
            if is_wanted(&view) {
                if view.last_offset() >= wanted.upto {
                    break;
                }
                let first = *start.get_or_insert(place);
                let one = first == place && wanted.minimum == Minimum::AtLeastOne;
                if !one && place + view.len() - first > wanted.bytes_max {
                    break;
                }
            }
            place += view.len();
        }
        match start {
            Some(start) if start < place => Selected::Batches(page.cut(start, place)),
            Some(_) | None => Selected::Empty,
        }
    }

    /// What `page` says to `query`.
    pub fn scan_timestamp(
        self,
        page: &Slice,
        mut query: TimestampQuery,
        scratch: &mut Scratch,
    ) -> TimestampScan {
        let page = page.cut(0, page.len().min(self.len as usize));
        let mut place = self.skip as usize;
        let mut next = self.base;
        loop {
            let view = match self.step(&page, place) {
                Step::Batch(view) => view,
                Step::Incomplete(needed) => {
                    if next > query.from {
                        return TimestampScan::GoOn(TimestampQuery { from: next, ..query });
                    }
                    let read = self.on_from(place, next, needed);
                    return read.map_or(TimestampScan::Faulty(next), TimestampScan::NeedMore);
                }
                Step::End => {
                    let next = self.behind(next);
                    return if next > query.from {
                        TimestampScan::GoOn(TimestampQuery { from: next, ..query })
                    } else {
                        TimestampScan::Faulty(next)
                    };
                }
                Step::Wrong => return TimestampScan::Faulty(next),
            };
            if !self.joins(view.base_offset(), next) || view.check_crc().is_err() {
                return TimestampScan::Faulty(next);
            }
            if view.last_offset() >= query.upto {
                return TimestampScan::GoOn(TimestampQuery { from: query.upto, ..query });
            }
            if view.last_offset() >= query.from && view.max_timestamp() >= query.timestamp {
                match query.meet(&view, scratch) {
                    Ok(Some(found)) => return TimestampScan::Found(found),
                    Ok(None) => {}
                    Err(_) => return TimestampScan::Faulty(next),
                }
            }
            next = view.end_offset();
            place += view.len();
        }
    }
}

/// So many bytes, to the end of a grain of the file.
fn whole_grains(name: SegmentName, len: u32) -> u32 {
    // A block more or less is no matter where batches vouch for each other.
    if name.cleaned.is_none() { len } else { len.checked_next_multiple_of(name.grain()).unwrap_or(u32::MAX) }
}

/// The same, of a file that has `there` bytes.
fn whole_grains_within(name: SegmentName, len: u32, there: u32) -> u32 {
    if len > there { len } else { whole_grains(name, len).min(there) }
}

/// Where the next whole batch begins behind the last one of which that is known, if it is not behind `wanted`.
fn whole_at_or_before(page: &[u8], before: (usize, Offset), wanted: Offset) -> Option<(usize, Offset)> {
    let (place, view) = next_whole(page, before, |view| view.base_offset() <= wanted)?;
    Some((place, view.base_offset()))
}
