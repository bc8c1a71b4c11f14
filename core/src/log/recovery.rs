//! A log after a crash: put together from what segments hold and what the WAL still has. A state machine that says what to read and
//! does no I/O. A sealed segment with a good footer is taken as it is; any other is gone through batch by batch, where the WAL is
//! believed before the disk. What is lost keeps its offsets and is marked faulty: nothing is ever numbered anew.

mod choose;
mod fuzz;
mod hole;
mod rebuild;
mod resume;

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use crate::buf::Slice;
use crate::id::{LeaderEpoch, Offset};
use crate::log::footer::{self, Footer};
use crate::log::segment::{BlockCrcs, File, Padding, Seal, Segment, SegmentName};
use crate::log::{Extent, Log, LogConfig, RecoveryPoint};
use crate::mutant::{self, Mutant};
pub use choose::{Chosen, Found, choose};
pub use fuzz::fuzz;
pub use hole::is_stand_in;
use rebuild::{Rebuild, Step};
use resume::Resume;

/// A segment file as it stands in the directory.
#[derive(Debug, Clone)]
pub struct SegmentFile {
    pub name: SegmentName,
    pub len: u64,
    /// The content of its footer file, whatever it is.
    pub footer: Option<Slice>,
}

/// The footers without a segment below the first segment file: of segments that were deleted.
#[derive(Debug, Clone, Default)]
pub struct FootersLeft {
    /// In order.
    pub bases: VecDeque<Offset>,
    /// The content of the last one, whatever it is.
    pub newest: Option<Slice>,
}

/// Whether the bytes of a WAL entry are those that its entry and their own CRC describe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intact {
    Yes,
    Faulty,
}

/// Whether the WAL still has all that it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WalState {
    Whole,
    /// Frames have rotted, with batches that nothing else names. What is to be known of this at the next start as well keeps
    /// this file, which lacks them.
    Lacking {
        wal_file: u64,
    },
}

/// One entry of the WAL.
#[derive(Debug, Clone)]
pub struct WalBatch {
    pub segment_base: Offset,
    pub position: u32,
    pub base: Offset,
    pub last: Offset,
    pub epoch: LeaderEpoch,
    pub bytes: Slice,
    pub wal_file: u64,
    pub intact: Intact,
}

/// A read that recovery needs: `len` bytes from `at`, which is at a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecoveryRead {
    pub name: SegmentName,
    pub at: u64,
    pub len: u32,
}

/// A segment file that is longer than what it may be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    pub segment_base: Offset,
    pub len: u64,
}

/// What recovery found, beyond the log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    /// Segments that had a file and no good footer, and are not the active one: they are to be sealed again.
    pub rebuilt_footers: Vec<Offset>,
    /// Offsets that are lost here.
    pub faulty: Vec<Extent>,
    /// Files to cut to the end of the log before anything is written to them.
    pub truncate: Vec<Cut>,
    /// Nothing tells any more of the producers whose batches were deleted.
    pub producers: ProducersOfDeleted,
    pub points: Points,
}

/// What became of recovery points.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Points {
    /// Segments that were gone on with behind one.
    pub taken: u32,
    /// Those whose point contradicts the file or the WAL, and which were read from their start.
    pub refused: u32,
}

/// What the footer says of producers that the last deleted segment left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ProducersOfDeleted {
    /// All that is to be known, or there never was such a footer.
    #[default]
    Known,
    /// The footer is there and cannot be read.
    Lost,
}

/// What is known of one segment before it is gone through.
#[derive(Debug)]
struct Source {
    base: Offset,
    file: Option<SegmentFile>,
    /// By position.
    wal: BTreeMap<u32, WalBatch>,
}

/// Recovery of one log.
#[derive(Debug)]
pub struct LogRecovery {
    log: Log,
    report: RecoveryReport,
    ahead: VecDeque<Source>,
    current: Option<Rebuild>,
    /// A recovery point that lacks the start of the block it ends in.
    headless: Option<(Source, Resume)>,
    read: Option<RecoveryRead>,
    /// The end of all that the WAL names: offsets below it were given away.
    seen_end: Offset,
    newest_epoch: Option<LeaderEpoch>,
    wal_state: WalState,
    points: BTreeMap<Offset, RecoveryPoint>,
    /// All before was deleted.
    start: Offset,
}

impl LogRecovery {
    /// `wal` in the order of the WAL. Entries of one batch may repeat; the later one keeps its WAL file.
    pub fn new(
        config: LogConfig,
        files: Vec<SegmentFile>,
        left: FootersLeft,
        (wal, wal_state): (Vec<WalBatch>, WalState),
    ) -> Self {
        let mut log = Log::new(config, Offset::ZERO);
        log.segments.clear();
        let (ahead, seen_end) = sources(files, wal);
        let mut report = RecoveryReport::default();
        match ahead.front().and_then(|first| footer_before(first.base, &left)) {
            Some(footer) => log.producers = footer.producers,
            None if left.newest.as_ref().is_some_and(|bytes| footer::decode(bytes).is_none()) => {
                report.producers = ProducersOfDeleted::Lost;
            }
            None => {}
        }
        log.footers_left = left.bases;
        Self {
            log,
            report,
            ahead,
            current: None,
            headless: None,
            read: None,
            seen_end,
            newest_epoch: None,
            wal_state,
            points: BTreeMap::new(),
            start: Offset::ZERO,
        }
    }

    /// Points of open segments, each by the base of its segment. Those that make no sense are passed over.
    pub fn resume_at(&mut self, points: BTreeMap<Offset, RecoveryPoint>) {
        self.points = points;
    }

    /// No batch is of a newer epoch than this one. No CRC covers the epoch of a batch on disk, so that one which cannot be is taken
    /// for rot; an older one than the last may be right, and the last one wrong.
    pub fn limit_epochs(&mut self, newest: Option<LeaderEpoch>) {
        self.newest_epoch = newest;
    }

    /// The log begins at `start` at the earliest, however much of what is before still stands. What was deleted was committed:
    /// those offsets were given away.
    pub fn begin_at(&mut self, start: Offset) {
        self.start = start;
        self.seen_end = self.seen_end.max(start);
    }

    /// The next read; `None` once all is known. Stays the same until it is answered. All that is told of the log comes before.
    pub fn next_read(&mut self) -> Option<RecoveryRead> {
        self.run();
        self.read
    }

    /// Answers [`Self::next_read`]: what stands in the file, less than asked at its end. Nothing means that it cannot be read.
    pub fn on_read(&mut self, bytes: &Slice) {
        let Some(read) = self.read.take() else { return };
        if let Some((source, resume)) = self.headless.take() {
            // A block that cannot be read is one to find out about.
            let head = bytes.get(..read.len as usize).map(<[u8]>::to_vec);
            self.resume(source, head.map(|head| (resume, head)));
        } else if let Some(current) = &mut self.current {
            current.on_read(&mut self.log, (read, self.newest_epoch), bytes);
        }
    }

    /// The log, once there is nothing left to read.
    pub fn finish(mut self) -> (Log, RecoveryReport) {
        let is_over =
            self.read.is_none() && self.current.is_none() && self.headless.is_none() && self.ahead.is_empty();
        assert!(is_over, "recovery ends when all is read");
        let log = &mut self.log;
        if log.segments.back().is_none_or(|last| last.seal == Seal::Sealed) {
            let end = log.segments.back().map_or(Offset::ZERO, |last| last.end);
            log.segments.push_back(Segment::new(end));
        }
        if self.seen_end > log.log_end() {
            log.lose(Extent { base: log.log_end(), last: Offset(self.seen_end.0 - 1) });
            if log.active().is_empty() && log.active().file == File::Absent {
                log.segments.pop_back();
            } else {
                // Its footer keeps what the WAL will not name for ever.
                log.active_mut().end = self.seen_end;
                log.end_active();
            }
            log.segments.push_back(Segment::new(self.seen_end));
        }
        log.log_start = log.first_base().max(self.start);
        log.durable_end = log.log_end();
        self.report.faulty.clone_from(&log.faulty);
        (self.log, self.report)
    }

    /// Goes on until a read is needed or all is known.
    fn run(&mut self) {
        while self.read.is_none() {
            let Some(current) = &mut self.current else {
                let Some(source) = self.ahead.pop_front() else { return };
                self.begin(source);
                continue;
            };
            match current.step(&mut self.log) {
                Step::Read(read) => self.read = Some(read),
                Step::GoOn => {}
                Step::Ended => {
                    let current = self.current.take().expect("it was just stepped");
                    current.end(&mut self.log, &mut self.report);
                }
            }
        }
    }

    fn begin(&mut self, source: Source) {
        let limit = self.ahead.front().map(|next| next.base);
        if let Some(footer) = good_footer(&source, limit) {
            return self.log.take_sealed(footer, limit);
        }
        let Some(point) = self.points.remove(&source.base) else {
            self.current = Some(Rebuild::begin(&mut self.log, source, (limit, self.wal_state)));
            return;
        };
        let possible = self.newest_epoch.is_none_or(|newest| point.last_epoch() <= Some(newest));
        let resume = possible.then(|| Resume::new(&source, point, (limit, self.wal_state))).flatten();
        match resume {
            Some(resume) if resume.head_read().is_some() => {
                self.read = resume.head_read();
                self.headless = Some((source, resume));
            }
            resume => self.resume(source, resume.map(|resume| (resume, Vec::new()))),
        }
    }

    /// Goes on behind a point, or from the start of its segment if it is not to be believed.
    fn resume(&mut self, source: Source, resume: Option<(Resume, Vec<u8>)>) {
        let around = (self.ahead.front().map(|next| next.base), self.wal_state);
        self.current = Some(match resume {
            Some((resume, head)) => {
                self.report.points.taken += 1;
                resume.apply(&mut self.log, (source, head), around)
            }
            None => {
                self.report.points.refused += 1;
                Rebuild::begin(&mut self.log, source, around)
            }
        });
    }
}

/// The segments that there are, in order, and the end of what the WAL names. Of a segment without a file below the first file only
/// WAL entries are left: it was deleted, for files are made in the order of segments.
///
/// Compaction writes anew what was on disk as a whole: of what it has made, and of what that replaced, the WAL says nothing.
fn sources(files: Vec<SegmentFile>, wal: Vec<WalBatch>) -> (VecDeque<Source>, Offset) {
    let first_file = files.iter().map(|file| file.name.base).min();
    let cleaned = files.iter().filter_map(|file| Some((file.name.base, file.name.cleaned?.end)));
    let cleaned: Vec<(Offset, Offset)> = cleaned.collect();
    let is_cleaned = |base: Offset| {
        let count = cleaned.partition_point(|(first, _)| *first <= base);
        count.checked_sub(1).is_some_and(|place| base == cleaned[place].0 || base < cleaned[place].1)
    };
    let mut sources: BTreeMap<Offset, Source> = BTreeMap::new();
    let empty = |base| Source { base, file: None, wal: BTreeMap::new() };
    for file in files.into_iter().filter(|file| file.name.base >= Offset::ZERO) {
        let base = file.name.base;
        sources.entry(base).or_insert_with(|| empty(base)).file = Some(file);
    }
    let mut seen_end = Offset::ZERO;
    for batch in wal {
        let sound = Offset::ZERO <= batch.segment_base
            && batch.segment_base <= batch.base
            && batch.base <= batch.last
            && batch.last < Offset(i64::MAX);
        if !sound || first_file.is_some_and(|first| batch.segment_base < first) {
            continue;
        }
        seen_end = seen_end.max(batch.last.next());
        let base = batch.segment_base;
        if is_cleaned(base) && !mutant::on(Mutant::MergedComesBack) {
            continue;
        }
        let wal = &mut sources.entry(base).or_insert_with(|| empty(base)).wal;
        let keep = wal
            .get(&batch.position)
            .is_some_and(|old| old.intact == Intact::Yes && batch.intact == Intact::Faulty);
        if !keep {
            wal.insert(batch.position, batch);
        }
    }
    (sources.into_values().collect(), seen_end)
}

/// The footer of a segment, if it is sound and says what the file and the next segment say.
fn good_footer(source: &Source, limit: Option<Offset>) -> Option<Footer> {
    let file = source.file.as_ref()?;
    let footer = footer::decode(file.footer.as_ref()?)?;
    let fits = footer.name() == file.name
        && u64::from(footer.len) == file.len
        && limit.is_none_or(|limit| footer.end <= limit);
    fits.then_some(footer)
}

/// The footer that the last segment before `first` left when it was deleted, if it is sound.
fn footer_before(first: Offset, left: &FootersLeft) -> Option<Footer> {
    let footer = footer::decode(left.newest.as_ref()?)?;
    (left.bases.back() == Some(&footer.base) && footer.end <= first).then_some(footer)
}

impl Log {
    /// Marks offsets as lost here, merged with what was marked before. Comes in log order.
    pub(super) fn lose(&mut self, extent: Extent) {
        match self.faulty.last_mut() {
            Some(last) if extent.base <= last.last.next() => last.last = last.last.max(extent.last),
            Some(_) | None => self.faulty.push(extent),
        }
    }

    /// Marks what lies between the end of the newest segment and the base of the next.
    fn lose_until(&mut self, limit: Option<Offset>) {
        let end = self.log_end();
        if let Some(limit) = limit.filter(|limit| *limit > end) {
            self.lose(Extent { base: end, last: Offset(limit.0 - 1) });
        }
    }

    /// Makes the active segment one to be sealed.
    fn end_active(&mut self) {
        let producers = self.producers.snapshot();
        self.active_mut().producers = Some(producers);
    }

    /// Takes a sealed segment as its footer describes it.
    fn take_sealed(&mut self, footer: Footer, limit: Option<Offset>) {
        for entry in footer.epochs {
            self.epochs.assign(entry);
        }
        self.producers = footer.producers;
        let mut segment = Segment {
            base: footer.base,
            end: footer.end,
            len: footer.len,
            destaged: footer.len,
            file: File::Present,
            head: Vec::new(),
            padding: Padding::None,
            seal: Seal::Open,
            opened: None,
            timestamp_max: footer.timestamp_max,
            timestamp_max_evicted: footer.timestamp_max,
            index: footer.index,
            crcs: BlockCrcs::default(),
            producers: None,
            cleaned: footer.cleaned,
        };
        segment.on_sealed();
        self.segments.push_back(segment);
        for extent in footer.faulty {
            self.lose(extent);
        }
        self.lose_until(limit);
    }
}
