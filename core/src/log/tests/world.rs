//! A disk and a WAL in memory, as much of storage as a log needs to live.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::cell::Cell;

use crate::buf::Slice;
use crate::id::{Offset, PartitionId};
use crate::limits::{BLOCK_BYTES, FOOTER_CRC_BYTES};
use crate::log::footer;
use crate::log::recovery::{Chosen, Found, WalState, choose};
use crate::log::{
    CreateFile, Destage, DiskRead, Ending, FootersLeft, Intact, Leftover, Log, LogConfig, LogRecovery,
    RecoveryPoint, RecoveryReport, SegmentFile, SegmentName, WalBatch,
};
use crate::prng::Prng;

#[derive(Debug, Default, Clone)]
pub(in crate::log) struct Disk {
    pub(in crate::log) segments: BTreeMap<Offset, Vec<u8>>,
    pub(in crate::log) footers: BTreeMap<Offset, Vec<u8>>,
    /// Segments that compaction made.
    pub(in crate::log) cleaned: BTreeMap<SegmentName, Vec<u8>>,
    /// Entries in the order of the WAL; the last `volatile` are not durable yet.
    pub(in crate::log) wal: Vec<WalBatch>,
    pub(in crate::log) volatile: usize,
    pub(in crate::log) wal_file: u64,
    pub(in crate::log) pins: BTreeMap<u64, i64>,
    /// Frames of the WAL have rotted, nobody knows of which logs.
    pub(in crate::log) lacks: Option<WalState>,
    /// Recovery points, and where the log must be durable to before they are written.
    pub(in crate::log) points: Vec<(Offset, Vec<u8>)>,
    pub(in crate::log) points_written_to: Offset,
    /// No bit has rotted.
    pub(in crate::log) sound: bool,
    /// Bytes that the last recovery read.
    pub(in crate::log) recovery_bytes: Cell<usize>,
    /// What is written down of the log's start.
    pub(in crate::log) log_start: Option<Offset>,
}

/// How far a step of storage comes before the node dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::log) enum Until {
    Done,
    Write,
}

impl Disk {
    pub(in crate::log) fn log(&mut self, entry: WalBatch) {
        *self.pins.entry(entry.wal_file).or_default() += 1;
        self.wal.push(entry);
        self.volatile += 1;
    }

    pub(in crate::log) fn unpin(&mut self, file: u64) {
        let pins = self.pins.get_mut(&file).expect("a released file was pinned");
        *pins -= 1;
        assert!(*pins >= 0, "a file is released as often as it was pinned");
        // Files are recycled from the oldest on, never the current one.
        while let Some((&oldest, &pins)) = self.pins.first_key_value() {
            if pins > 0 || oldest >= self.wal_file {
                break;
            }
            self.pins.remove(&oldest);
            let volatile = self.wal.len() - self.volatile;
            assert!(
                self.wal[volatile..].iter().all(|entry| entry.wal_file != oldest),
                "only durable files go"
            );
            self.wal.retain(|entry| entry.wal_file != oldest);
        }
    }

    /// Carries one destaging write out. `Until::Write` stops before the log is told.
    pub(in crate::log) fn destage(&mut self, log: &mut Log, mode: Destage, until: Until) -> bool {
        let Some(plan) = log.destage_plan(mode) else { return false };
        if plan.create == CreateFile::Yes {
            assert!(self.segments.insert(plan.segment_base, Vec::new()).is_none(), "files are created once");
            log.on_file_created(plan.segment_base);
        }
        let file = self.segments.get_mut(&plan.segment_base).expect("the file exists");
        let at = usize::try_from(plan.at).expect("short");
        let mut bytes: Vec<u8> = plan.bytes.iter().flat_map(|slice| slice.iter().copied()).collect();
        assert_eq!(bytes.len() as u64, plan.until - plan.at, "a plan has the bytes that it says");
        assert_eq!(at % BLOCK_BYTES, 0);
        bytes.resize(bytes.len().next_multiple_of(BLOCK_BYTES), 0);
        if file.len() < at + bytes.len() {
            file.resize(at + bytes.len(), 0);
        }
        file[at..at + bytes.len()].copy_from_slice(&bytes);
        if until == Until::Done {
            if plan.ending == Ending::Cut {
                file.truncate(usize::try_from(plan.until).expect("short"));
            }
            for file in log.on_destaged(plan.segment_base, plan.until, plan.ending) {
                self.unpin(file);
            }
        }
        true
    }

    pub(in crate::log) fn seal(&mut self, log: &mut Log, until: Until) -> bool {
        let Some(plan) = log.seal_plan() else { return false };
        let len = usize::try_from(plan.len).expect("short");
        let told = footer::decode(&plan.footer).expect("it was just made").crcs;
        if let Some(file) = self.segments.get(&plan.segment_base).filter(|_| self.sound) {
            let stretches = file[..len].chunks(FOOTER_CRC_BYTES).map(footer::stretch_crc);
            assert!(stretches.eq(told), "a footer has the CRCs of its file");
        }
        match self.segments.get_mut(&plan.segment_base) {
            Some(file) => file.truncate(len),
            None => {
                assert!(self.cleaned.keys().any(|name| name.base == plan.segment_base), "the file exists")
            }
        }
        if until == Until::Done {
            self.footers.insert(plan.segment_base, plan.footer);
            log.on_sealed(plan.segment_base);
        }
        true
    }

    /// Footers of segments that are gone.
    pub(in crate::log) fn footers_left(&self) -> impl Iterator<Item = Offset> {
        let first = self.segments.keys().copied().chain(self.cleaned.keys().map(|name| name.base)).min();
        self.footers.keys().copied().take_while(move |base| first.is_some_and(|first| *base < first))
    }

    /// Removes the file of a segment whose deletion began, then the footers that may go.
    pub(in crate::log) fn remove(&mut self, log: &mut Log, base: Offset, until: Until) {
        self.segments.remove(&base);
        if until == Until::Done {
            while let Some(base) = log.pop_footer_left() {
                self.footers.remove(&base);
            }
        }
    }

    /// Logs the oldest batch again in the current file.
    pub(in crate::log) fn carry_forward(&mut self, log: &mut Log) {
        let Some(batch) = log.undestaged().next().filter(|batch| batch.last < log.durable_end()).cloned()
        else {
            return;
        };
        assert_eq!(self.volatile, 0, "carried when all is durable");
        let entry = WalBatch {
            segment_base: batch.segment_base,
            position: batch.position,
            base: batch.base,
            last: batch.last,
            epoch: batch.epoch,
            bytes: Slice::from_vec(batch.slice().to_vec()),
            wal_file: self.wal_file,
            intact: Intact::Yes,
        };
        let bytes = entry.bytes.clone();
        self.log(entry);
        self.volatile = 0;
        let old = log.recopy(batch.base, bytes, self.wal_file).expect("it was not destaged");
        self.unpin(old);
    }

    pub(in crate::log) fn remove_leftover(&mut self, file: Leftover) {
        match file {
            Leftover::Segment(SegmentName { base, cleaned: None }) => drop(self.segments.remove(&base)),
            Leftover::Segment(name) => drop(self.cleaned.remove(&name)),
            Leftover::Footer(base) => drop(self.footers.remove(&base)),
        }
    }

    pub(in crate::log) fn page(&self, name: SegmentName, at: u64, len: usize, slack: usize) -> Slice {
        let written = if name.cleaned.is_none() { self.segments.get(&name.base) } else { None };
        let file = written.or(self.cleaned.get(&name)).map_or(&[][..], |file| &file[..]);
        let at = usize::try_from(at).expect("short").min(file.len());
        Slice::from_vec(file[at..(at + len + slack).min(file.len())].to_vec())
    }

    pub(in crate::log) fn read(&self, read: &DiskRead, slack: usize) -> Slice {
        assert_eq!(read.at % BLOCK_BYTES as u64, 0);
        self.page(read.name, read.at, read.len as usize, slack)
    }

    /// Takes a recovery point, as it would be written once the log is durable.
    pub(in crate::log) fn take_point(&mut self, log: &Log) {
        if log.recovery_point_len().is_some() {
            let point = log.recovery_point(PartitionId::METADATA);
            self.points.extend(point.map(|point| (log.log_end(), point)));
        }
    }

    /// Points that were written: of each segment the one that covers most.
    fn written_points(&self, durable: Offset) -> BTreeMap<Offset, RecoveryPoint> {
        let written = self.points.iter().filter(|(end, _)| *end <= durable);
        let decoded = written.map(|(_, point)| RecoveryPoint::decode(point).expect("it was just made"));
        let mut points: BTreeMap<Offset, RecoveryPoint> = BTreeMap::new();
        for point in decoded {
            if points.get(&point.base()).is_none_or(|old| old.covered() < point.covered()) {
                points.insert(point.base(), point);
            }
        }
        points
    }

    /// Loses what is not durable, but for a part that made it, and puts the log together again.
    pub(in crate::log) fn crash(&mut self, config: &LogConfig, prng: &mut Prng) -> (Log, RecoveryReport) {
        let lost = prng.below(self.volatile as u64 + 1);
        self.wal.truncate(self.wal.len() - usize::try_from(lost).expect("short"));
        self.volatile = 0;
        for file in self.chosen().left {
            self.remove_leftover(file);
        }
        let (log, report) = self.recover(config);
        // A start leaves its own.
        self.points.clear();
        if prng.chance(500_000) {
            self.take_point(&log);
            self.points_written_to = log.log_end();
        }
        for cut in &report.truncate {
            let file = self.segments.get_mut(&cut.segment_base).expect("only files are cut");
            file.truncate(usize::try_from(cut.len).expect("short"));
        }
        self.pins = self.wal.iter().map(|entry| (entry.wal_file, 0)).collect();
        self.wal_file += 1;
        for batch in log.undestaged() {
            *self.pins.get_mut(&batch.wal_file).expect("a pin is of a file that is there") += 1;
        }
        (log, report)
    }

    fn chosen(&self) -> Chosen {
        let written = self.segments.iter().map(|(base, bytes)| (SegmentName::written(*base), bytes));
        let cleaned = self.cleaned.iter().map(|(name, bytes)| (*name, bytes));
        let segments = written.chain(cleaned).map(|(name, bytes)| (name, bytes.len() as u64)).collect();
        let footer = |bytes: &Vec<u8>| Some(Slice::from_vec(bytes.clone()));
        let footers = self.footers.iter().map(|(base, bytes)| (*base, footer(bytes))).collect();
        choose(&Found { segments, footers })
    }

    pub(in crate::log) fn recover(&self, config: &LogConfig) -> (Log, RecoveryReport) {
        let footer = |base| self.footers.get(&base).map(|bytes| Slice::from_vec(bytes.clone()));
        let files = self.chosen().segments.into_iter().map(|name| SegmentFile {
            name,
            len: self.page(name, 0, usize::MAX / 2, 0).len() as u64,
            footer: footer(name.base),
        });
        let bases = self.footers_left().collect();
        let left = FootersLeft { bases, newest: self.footers_left().last().and_then(footer) };
        let wal = (self.wal.clone(), self.lacks.unwrap_or(WalState::Whole));
        let mut recovery = LogRecovery::new(config.clone(), files.collect(), left, wal);
        recovery.resume_at(self.written_points(self.points_written_to));
        if let Some(start) = self.log_start {
            recovery.begin_at(start);
        }
        let mut reads = 0;
        self.recovery_bytes.set(0);
        while let Some(read) = recovery.next_read() {
            reads += 1;
            assert!(reads < 10_000, "recovery gets on with every read");
            let page = self.page(read.name, read.at, read.len as usize, 0);
            self.recovery_bytes.update(|bytes| bytes + page.len());
            recovery.on_read(&page);
        }
        recovery.finish()
    }
}
