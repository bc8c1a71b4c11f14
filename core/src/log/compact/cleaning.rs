//! One pass over one log, step by step: says what to read and what to write, and is told what came of it.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::filter::Rules;
use super::hash::Secret;
use super::key_map::KeyMap;
use super::output::CleanedSegment;
use super::{CleanPlan, Source};
use crate::batch::{BatchError, BatchView, Compressor, HEADER_BYTES, Scratch, patch_offset_and_epoch};
use crate::buf::Slice;
use crate::id::Offset;
use crate::limits::CLEAN_RUN_BYTES;
use crate::log::segment::{BLOCK, CleanedName, SegmentName};
use crate::log::{Log, footer};
use crate::mutant::{self, Mutant};
use crate::time::{Duration, Now};

/// What comes next. A step stays the next one until it is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CleanStep {
    /// Answered by [`Cleaning::on_read`].
    Read(CleanRead),
    /// So much of the footer of this segment is wanted. Answered by [`Cleaning::on_footer`].
    ReadFooter {
        base: Offset,
        len: u32,
    },
    /// All others are answered by [`Cleaning::on_done`].
    Create(SegmentName),
    /// Bytes from `at` on, which is at a block. Only the last ones are no whole blocks; the file is cut after them.
    Write {
        name: SegmentName,
        at: u64,
        bytes: Vec<u8>,
    },
    Cut {
        name: SegmentName,
        len: u64,
    },
    Sync(SegmentName),
    /// The footer is to be replaced: the segment is in force once that is done. [`Cleaning::take`] comes before `on_done`.
    Commit {
        base: Offset,
        footer: Vec<u8>,
    },
    Over,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CleanRead {
    pub name: SegmentName,
    pub at: u64,
    pub len: u32,
}

/// A segment that cannot be read, about here: the log is not cleaned until somebody has looked at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unreadable(pub Offset);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Takes down the keys of the dirty part.
    Map,
    /// What comes after the last segment that was made.
    Group,
    Footer,
    Create,
    Copy,
    Cut,
    Sync,
    Commit,
    Over,
}

#[derive(Debug)]
pub struct Cleaning {
    plan: CleanPlan,
    rules: Rules,
    phase: Phase,
    /// What is to be read in this phase.
    sources: VecDeque<Source>,
    /// How far the first of them was gone through.
    place: u32,
    next: Offset,
    /// Bytes that the next batch is known to have.
    needed: u32,
    group_from: Offset,
    target: SegmentName,
    made: Option<CleanedSegment>,
    last_footer: Option<footer::Footer>,
    /// What is read of a footer: more, where the last one was longer.
    footer_len: u32,
    /// What is to be written from `written` on.
    out: Vec<u8>,
    written: u64,
    compressor: Compressor,
    index_interval_bytes: u32,
}

impl Cleaning {
    /// `map_bytes_max` bounds how many keys it takes down; beyond that it cleans what they cover.
    pub fn new(log: &Log, plan: CleanPlan, now: Now, (secret, map_bytes_max): (Secret, usize)) -> Self {
        let records: i64 = plan.sources.iter().map(|source| source.end.since(source.name.base)).sum();
        let records = u64::try_from(records).expect("segments do not end before they begin");
        let config = log.config.compaction.as_ref();
        let delete_retention = config.map_or(Duration::ZERO, |config| config.delete_retention);
        let map = KeyMap::new(secret, records, map_bytes_max);
        let upto = plan.bound.max(plan.from);
        let sources = plan.sources.iter().copied().collect();
        let target = SegmentName::written(Offset::ZERO);
        Self {
            rules: Rules { map, upto, now: now.wall, delete_retention },
            plan,
            phase: Phase::Map,
            sources,
            place: 0,
            next: Offset::ZERO,
            needed: 0,
            group_from: log.first_base(),
            target,
            made: None,
            last_footer: None,
            footer_len: 2 * BLOCK,
            out: Vec::new(),
            written: 0,
            compressor: Compressor::new(),
            index_interval_bytes: log.config.index_interval_bytes,
        }
    }

    /// The segments that it needs as they were.
    pub fn needs(&self) -> impl Iterator<Item = SegmentName> {
        let made = self.made.iter().flat_map(|made| made.sources.iter().copied());
        made.chain(self.sources.iter().map(|source| source.name))
    }

    /// A file that it has begun and that is not in force.
    pub fn unfinished(&self) -> Option<SegmentName> {
        self.made.as_ref().map(|_| self.target)
    }

    /// How far the pass reaches.
    pub fn upto(&self) -> Offset {
        self.rules.upto
    }

    pub fn next_step(&mut self, log: &Log) -> CleanStep {
        loop {
            match self.phase {
                Phase::Map => match self.next_read() {
                    Some(read) => return CleanStep::Read(read),
                    None => self.phase = Phase::Group,
                },
                Phase::Group => self.begin_group(log),
                Phase::Footer => {
                    let last = self.sources.back().expect("a group has a segment");
                    return CleanStep::ReadFooter { base: last.name.base, len: self.footer_len };
                }
                Phase::Create => return CleanStep::Create(self.target),
                Phase::Copy => {
                    if self.out.len() < CLEAN_RUN_BYTES as usize
                        && let Some(read) = self.next_read()
                    {
                        return CleanStep::Read(read);
                    }
                    if !self.out.is_empty() {
                        let (name, at, bytes) = (self.target, self.written, self.run().to_vec());
                        return CleanStep::Write { name, at, bytes };
                    }
                    self.phase = Phase::Cut;
                }
                Phase::Cut if self.written.is_multiple_of(u64::from(BLOCK)) => self.phase = Phase::Sync,
                Phase::Cut => return CleanStep::Cut { name: self.target, len: self.written },
                Phase::Sync if mutant::on(Mutant::CleanedUnsynced) => self.phase = Phase::Commit,
                Phase::Sync => return CleanStep::Sync(self.target),
                Phase::Commit => return self.commit(log),
                Phase::Over => return CleanStep::Over,
            }
        }
    }

    /// What of the output is written at once: whole blocks, until all was read.
    fn run(&self) -> &[u8] {
        let whole = self.out.len() - self.out.len() % BLOCK as usize;
        if self.sources.is_empty() && self.out.len() <= CLEAN_RUN_BYTES as usize {
            &self.out
        } else {
            &self.out[..whole.min(CLEAN_RUN_BYTES as usize)]
        }
    }

    fn next_read(&mut self) -> Option<CleanRead> {
        while let Some(source) = self.sources.front()
            && self.place >= source.len
        {
            self.sources.pop_front();
            (self.place, self.needed) = (0, 0);
        }
        let source = self.sources.front()?;
        if self.place == 0 {
            self.next = source.name.base;
        }
        let grain = source.name.grain();
        let at = self.place - self.place % grain;
        let until = self.place.saturating_add(self.needed).max(at.saturating_add(CLEAN_RUN_BYTES));
        let until = until.checked_next_multiple_of(grain).unwrap_or(u32::MAX).min(source.len);
        Some(CleanRead { name: source.name, at: u64::from(at), len: until - at })
    }

    /// What stands in the file, less than asked at its end.
    pub fn on_read(&mut self, log: &Log, page: &Slice, scratch: &mut Scratch) -> Result<(), Unreadable> {
        let Some(read) = self.next_read() else { return Ok(()) };
        let source = self.sources[0];
        let page = page.cut(0, page.len().min(read.len as usize));
        let page = log.sound_part((read.name, read.at), &page).ok_or(Unreadable(self.next))?;
        let at = u32::try_from(read.at).expect("a read lies within a segment");
        let before = self.place;
        while self.place < source.len && !self.sources.is_empty() {
            let rest = page.get((self.place - at) as usize..).unwrap_or_default();
            match BatchView::parse(rest) {
                Ok((view, _)) if self.fits(log, source, &view) => self.on_batch(log, &view, scratch)?,
                Err(BatchError::Incomplete { needed }) => {
                    let needed = u32::try_from(needed.max(HEADER_BYTES)).unwrap_or(u32::MAX);
                    if self.place == before && (rest.len() >= needed as usize || needed <= self.needed) {
                        return Err(Unreadable(self.next));
                    }
                    self.needed = needed;
                    return Ok(());
                }
                Ok(_) | Err(_) => return Err(Unreadable(self.next)),
            }
        }
        Ok(())
    }

    /// Whether the batch can be the next one of its segment, and is what was written.
    fn fits(&self, log: &Log, source: Source, view: &BatchView<'_>) -> bool {
        let base = view.base_offset();
        let joins = if source.name.cleaned.is_some() { base >= self.next } else { base == self.next };
        joins
            && view.end_offset() <= source.end
            && log.epochs.epoch_of(base.max(log.log_start)) == Some(view.leader_epoch())
            && view.check_crc().is_ok()
    }

    fn on_batch(&mut self, log: &Log, view: &BatchView<'_>, scratch: &mut Scratch) -> Result<(), Unreadable> {
        let unreadable = Unreadable(view.base_offset());
        match self.phase {
            Phase::Map => self.take_keys(view, scratch).map_err(|_| unreadable)?,
            Phase::Copy => {
                let tools = (scratch, &mut self.compressor);
                let left = self.rules.filter(view, &log.producers, tools).map_err(|_| unreadable)?;
                if let (Some(left), Some(made)) = (left, &mut self.made) {
                    let mut left = left;
                    if let Some(bytes) = left.bytes.as_mut().filter(|_| mutant::on(Mutant::CleanedMoves)) {
                        patch_offset_and_epoch(bytes, view.base_offset().next(), view.leader_epoch());
                    }
                    let bytes = left.bytes.as_deref().unwrap_or(view.bytes());
                    let pushed = made.push(bytes, left.delete_horizon, self.index_interval_bytes);
                    pushed.ok_or(unreadable)?;
                    self.out.extend_from_slice(bytes);
                }
            }
            Phase::Group
            | Phase::Footer
            | Phase::Create
            | Phase::Cut
            | Phase::Sync
            | Phase::Commit
            | Phase::Over => unreachable!("nothing is read then"),
        }
        self.needed = 0;
        self.next = view.end_offset();
        self.place += u32::try_from(view.len()).expect("a batch is below 4 GiB");
        Ok(())
    }

    /// Takes down the newest offsets of its keys. Where no further one fits, the pass ends before its record.
    fn take_keys(&mut self, view: &BatchView<'_>, scratch: &mut Scratch) -> Result<(), BatchError> {
        if view.is_control() {
            return Ok(());
        }
        for record in view.records(scratch)? {
            let record = record?;
            let Some(key) = record.key.filter(|_| record.offset >= self.plan.from) else { continue };
            if self.rules.map.insert(key, record.offset).is_err() {
                self.rules.upto = record.offset;
                self.sources.clear();
                break;
            }
        }
        Ok(())
    }

    fn begin_group(&mut self, log: &Log) {
        let group =
            log.clean_group(self.group_from, self.plan.bound.min(self.rules.upto.max(self.plan.from)));
        let (Some(first), Some(last)) = (group.first(), group.last()) else {
            log.assert_cleaned(self.group_from.min(self.rules.upto), self.rules.now);
            self.phase = Phase::Over;
            return;
        };
        let newest = group.iter().map(|source| source.name.generation()).max().unwrap_or(0);
        let cleaned = CleanedName { generation: newest + 1, end: last.end };
        self.target = SegmentName { base: first.name.base, cleaned: Some(cleaned) };
        self.group_from = last.end;
        let names = group.iter().map(|source| source.name).collect();
        self.made = Some(CleanedSegment::new(self.target, names));
        self.sources = group.into();
        (self.place, self.needed, self.written) = (0, 0, 0);
        self.phase = Phase::Footer;
    }

    /// The footer of the last segment of the group tells of the producers at its end.
    pub fn on_footer(&mut self, bytes: &Slice) -> Result<(), Unreadable> {
        let last = self.sources.back().expect("a group has a segment");
        let len = footer::file_len(bytes).filter(|len| *len > self.footer_len);
        if let Some(len) = len.filter(|_| bytes.len() >= self.footer_len as usize) {
            self.footer_len = len;
            return Ok(());
        }
        let footer = footer::decode(bytes).filter(|footer| footer.name() == last.name);
        self.last_footer = Some(footer.ok_or(Unreadable(last.name.base))?);
        self.phase = Phase::Create;
        Ok(())
    }

    fn commit(&mut self, log: &Log) -> CleanStep {
        let made = self.made.as_mut().expect("it is under way");
        if let Some(footer) = self.last_footer.take() {
            made.end(self.target, self.rules.upto.max(self.plan.from), footer);
        }
        let epochs = log.epochs.between(self.target.base, self.group_from);
        CleanStep::Commit { base: self.target.base, footer: made.footer(&epochs) }
    }

    /// The segment whose footer was written.
    pub fn take(&mut self) -> CleanedSegment {
        assert!(self.phase == Phase::Commit, "a segment is taken once it is in force");
        self.made.take().expect("it is under way")
    }

    /// The step is done.
    pub fn on_done(&mut self) {
        match self.phase {
            Phase::Create => self.phase = Phase::Copy,
            Phase::Copy => {
                let written = self.run().len();
                self.out.drain(..written);
                self.written += written as u64;
            }
            Phase::Cut => self.phase = Phase::Sync,
            Phase::Sync => self.phase = Phase::Commit,
            Phase::Commit => self.phase = Phase::Group,
            Phase::Map | Phase::Group | Phase::Footer | Phase::Over => {}
        }
    }
}
