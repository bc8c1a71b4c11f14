//! Reading one partition back: the footers of its segments and the last one before them, then what recovery of its log asks for, then cutting what is not to be
//! believed.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use super::inventory::PartitionFiles;
use super::{Disk, Step};
use crate::buf::Slice;
use crate::id::{FileId, LeaderEpoch, Offset, PartitionId};
use crate::limits::FOOTER_BYTES_MAX;
use crate::log::footer;
use crate::log::recovery::{
    Cut, FootersLeft, Found, Intact, LogRecovery, RecoveryReport, SegmentFile, WalBatch, WalState, choose,
};
use crate::log::{Leftover, Log, LogConfig, RecoveryPoint, SegmentName};
use crate::mutant::{self, Mutant};
use crate::shard::FileChange;
use crate::shard::owner::Pin;
use crate::storage::frame::Content;
use crate::storage::log_start::{self, LOG_START_BYTES_MAX};
use crate::storage::walk::WalkedEntry;

#[derive(Debug)]
pub(super) struct PartitionBoot {
    pub(super) partition: PartitionId,
    config: LogConfig,
    /// As the metadata has it.
    newest_epoch: Option<LeaderEpoch>,
    files: PartitionFiles,
    footers: BTreeMap<Offset, Slice>,
    /// The files in force.
    names: Vec<SegmentName>,
    /// Footers of which one copy was damaged, with what their files are to be instead.
    repairs: VecDeque<(Offset, Slice)>,
    repaired: Vec<Offset>,
    wal: Vec<WalBatch>,
    wal_state: WalState,
    points: BTreeMap<Offset, RecoveryPoint>,
    at: At,
    start: Start,
}

/// What came of the file that tells where the log begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    NoFile,
    Unread {
        len: u64,
    },
    Kept(Offset),
    /// The file cannot be read: the log begins with its first segment.
    Lost,
}

/// A partition that was read back.
#[derive(Debug)]
pub(super) struct Recovered {
    pub(super) partition: PartitionId,
    pub(super) log: Log,
    pub(super) report: RecoveryReport,
    pub(super) start: Start,
}

#[derive(Debug)]
enum At {
    /// Footers that are not read yet.
    Footers(VecDeque<Offset>),
    /// Files that a cleaning has replaced, or has not finished.
    Remove(VecDeque<Leftover>),
    Recover(Box<LogRecovery>),
    Cut(VecDeque<Cut>, Box<Log>, RecoveryReport),
    /// Segments without a footer: what was read of them may have been on its way to the disk.
    Sync(VecDeque<SegmentName>, Box<Log>, RecoveryReport),
    Moving,
}

impl PartitionBoot {
    pub(super) fn new(
        partition: PartitionId,
        config: LogConfig,
        (files, entries, wal_state): (PartitionFiles, Vec<(u32, WalkedEntry)>, WalState),
        (points, newest_epoch): (BTreeMap<Offset, RecoveryPoint>, Option<LeaderEpoch>),
    ) -> Self {
        let wal = entries.into_iter().map(|(stream, walked)| wal_batch(stream, walked)).collect();
        let has_segment = |base: &Offset| files.segments.keys().any(|name| name.base == *base);
        let of_segments = files.footers.keys().copied().filter(has_segment);
        let at = At::Footers(files.footers_left().last().into_iter().chain(of_segments).collect());
        let start = files.log_start.filter(|_| !mutant::on(Mutant::LogStartNotRead));
        let start = start.map_or(Start::NoFile, |len| Start::Unread { len });
        Self {
            partition,
            config,
            newest_epoch,
            files,
            footers: BTreeMap::new(),
            names: Vec::new(),
            repairs: VecDeque::new(),
            repaired: Vec::new(),
            wal,
            wal_state,
            points,
            at,
            start,
        }
    }

    pub(super) fn next(&mut self) -> Step {
        if let Start::Unread { len } = self.start {
            let len = usize::try_from(len).unwrap_or(usize::MAX).min(LOG_START_BYTES_MAX);
            return Step::Do(Disk::Read { file: FileId::LogStart { partition: self.partition }, at: 0, len });
        }
        loop {
            match &mut self.at {
                At::Footers(left) => match left.front() {
                    Some(&base) => return Step::Do(self.read_footer(base)),
                    None => match self.repairs.pop_front() {
                        Some((base, bytes)) => {
                            self.repaired.push(base);
                            let file = FileId::Footer { partition: self.partition, base };
                            let change = FileChange::Replace { bytes };
                            return Step::Do(Disk::Change { file, change });
                        }
                        None => self.choose(),
                    },
                },
                At::Remove(left) => match left.pop_front() {
                    Some(file) => {
                        let file = file.file(self.partition);
                        return Step::Do(Disk::Change { file, change: FileChange::Delete });
                    }
                    None => self.start_recovery(),
                },
                At::Recover(recovery) => match recovery.next_read() {
                    Some(read) => {
                        let file = read.name.file(self.partition);
                        return Step::Do(Disk::Read { file, at: read.at, len: read.len as usize });
                    }
                    None => self.finish_recovery(),
                },
                At::Cut(cuts, ..) => match cuts.pop_front() {
                    Some(cut) => {
                        let file = FileId::Segment { partition: self.partition, base: cut.segment_base };
                        let change = FileChange::Truncate { len: cut.len };
                        return Step::Do(Disk::Change { file, change });
                    }
                    None => self.start_sync(),
                },
                At::Sync(left, ..) => {
                    let Some(name) = left.pop_front() else { return Step::Over };
                    return Step::Do(Disk::Sync { file: name.file(self.partition) });
                }
                At::Moving => unreachable!("no step ends between two states"),
            }
        }
    }

    fn read_footer(&self, base: Offset) -> Disk {
        let len = self.files.footers.get(&base).copied().unwrap_or(0);
        let len = usize::try_from(len).unwrap_or(usize::MAX).min(2 * FOOTER_BYTES_MAX);
        Disk::Read { file: FileId::Footer { partition: self.partition, base }, at: 0, len }
    }

    /// Finds out which files count.
    fn choose(&mut self) {
        let (segments, footers) = (self.files.segments.clone(), self.files.footers.keys());
        let footers = footers.map(|base| (*base, self.footers.get(base).cloned())).collect();
        let chosen = choose(&Found { segments, footers });
        for file in &chosen.left {
            match file {
                Leftover::Segment(name) => drop(self.files.segments.remove(name)),
                Leftover::Footer(base) => {
                    self.files.footers.remove(base);
                    self.footers.remove(base);
                }
            }
        }
        self.names = chosen.segments;
        self.at = At::Remove(chosen.left.into());
    }

    fn start_recovery(&mut self) {
        let bases: VecDeque<Offset> = self.files.footers_left().collect();
        let newest = bases.back().and_then(|base| self.footers.remove(base));
        let left = FootersLeft { bases, newest };
        let footers = &mut self.footers;
        let len = |name| self.files.segments.get(name).copied().unwrap_or(0);
        let files = self.names.iter().map(|name| SegmentFile {
            name: *name,
            len: len(name),
            footer: footers.remove(&name.base),
        });
        let files = files.collect();
        let wal = core::mem::take(&mut self.wal);
        let mut recovery = LogRecovery::new(self.config.clone(), files, left, (wal, self.wal_state));
        recovery.limit_epochs(self.newest_epoch);
        recovery.resume_at(core::mem::take(&mut self.points));
        if let Start::Kept(start) = self.start {
            recovery.begin_at(start);
        }
        self.at = At::Recover(Box::new(recovery));
    }

    fn finish_recovery(&mut self) {
        let At::Recover(recovery) = core::mem::replace(&mut self.at, At::Moving) else { return };
        let (log, report) = recovery.finish();
        self.at = At::Cut(report.truncate.iter().copied().collect(), Box::new(log), report);
    }

    fn start_sync(&mut self) {
        let At::Cut(_, log, report) = core::mem::replace(&mut self.at, At::Moving) else { return };
        let trusted = |name: &SegmentName| {
            self.files.footers.contains_key(&name.base) || mutant::on(Mutant::SegmentsBelieved)
        };
        let open = self.names.iter().copied().filter(|name| !trusted(name)).collect();
        self.at = At::Sync(open, log, report);
    }

    pub(super) fn on_read(&mut self, bytes: Slice) {
        if matches!(self.start, Start::Unread { .. }) {
            self.start = log_start::decode(&bytes, self.partition).map_or(Start::Lost, Start::Kept);
            return;
        }
        match &mut self.at {
            At::Footers(left) => {
                if let Some(base) = left.pop_front() {
                    self.repairs.extend(footer::repaired(&bytes).map(|good| (base, Slice::from_vec(good))));
                    self.footers.insert(base, bytes);
                }
            }
            At::Recover(recovery) => recovery.on_read(&bytes),
            At::Remove(_) | At::Cut(..) | At::Sync(..) | At::Moving => unreachable!("nothing was to be read"),
        }
    }

    pub(super) fn finish(self) -> Recovered {
        let At::Sync(_, log, mut report) = self.at else { unreachable!("the partition was read to its end") };
        report.rebuilt_footers.extend(self.repaired);
        Recovered { partition: self.partition, log: *log, report, start: self.start }
    }
}

fn wal_batch(stream: u32, walked: WalkedEntry) -> WalBatch {
    let WalkedEntry { entry, bytes, content, .. } = walked;
    WalBatch {
        segment_base: entry.segment_base,
        position: entry.position,
        base: entry.base,
        last: entry.last,
        epoch: entry.leader_epoch,
        bytes,
        wal_file: Pin::Legacy(stream).encode(),
        intact: match content {
            Content::Sound => Intact::Yes,
            Content::Broken | Content::StandIn => Intact::Faulty,
        },
    }
}
