//! Recovery points at a start: all files are read, and once the logs are back one new file takes their place. So no point outlives the
//! batches that it was taken of, and a start finds few files however often a node was killed.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use super::{Disk, Step};
use crate::buf::Slice;
use crate::id::{FileId, Offset, PartitionId};
use crate::limits::{BLOCK_BYTES, RECOVERY_READ_BYTES};
use crate::log::{Log, RecoveryPoint};
use crate::shard::{DiskStep, FileChange};
use crate::storage::points;

/// Of each open segment the point that covers most of it.
pub(super) type Found = BTreeMap<PartitionId, BTreeMap<Offset, RecoveryPoint>>;

#[derive(Debug)]
pub(super) struct PointsRead {
    /// Files and their lengths.
    left: VecDeque<(u64, u64)>,
    at: u64,
    found: Found,
}

impl PointsRead {
    pub(super) fn new(files: &BTreeMap<u64, u64>) -> Self {
        let left = files.iter().map(|(number, len)| (*number, *len)).collect();
        Self { left, at: 0, found: Found::new() }
    }

    pub(super) fn next(&mut self) -> Step {
        while self.left.front().is_some_and(|(_, len)| self.at >= *len) {
            self.left.pop_front();
            self.at = 0;
        }
        let Some(&(number, file_len)) = self.left.front() else { return Step::Over };
        let at = self.read_at();
        let len = usize::try_from(file_len - at).unwrap_or(usize::MAX).min(RECOVERY_READ_BYTES);
        Step::Do(Disk::Read { file: FileId::RecoveryPoints { number }, at, len })
    }

    fn read_at(&self) -> u64 {
        self.at - self.at % BLOCK_BYTES as u64
    }

    /// Less than was asked for is the end of the file, and so is nothing at all, which is what a disk gives that cannot read it.
    pub(super) fn on_read(&mut self, bytes: &[u8]) {
        let Some((_, file_len)) = self.left.front_mut() else { return };
        let from = self.at - self.at % BLOCK_BYTES as u64;
        let skip = usize::try_from(self.at - from).expect("below a block");
        let end = from + bytes.len() as u64;
        if bytes.len() < RECOVERY_READ_BYTES {
            *file_len = end;
        }
        let found = &mut self.found;
        let place = points::scan(bytes, skip, end >= *file_len, |archive| {
            let Some(point) = RecoveryPoint::decode(archive) else { return };
            let of_partition = found.entry(point.partition).or_default();
            if of_partition.get(&point.base()).is_none_or(|old| old.covered() < point.covered()) {
                of_partition.insert(point.base(), point);
            }
        });
        self.at = from + place.max(skip) as u64;
    }

    pub(super) fn finish(self) -> Found {
        self.found
    }
}

/// Takes any bytes as a file of recovery points, and as a point without the guard of its CRC.
pub fn fuzz(data: &[u8]) {
    let mut read = PointsRead::new(&BTreeMap::from([(0, data.len() as u64)]));
    while let Step::Do(Disk::Read { at, len, .. }) = read.next() {
        let from = usize::try_from(at).unwrap_or(usize::MAX).min(data.len());
        read.on_read(&data[from..from.saturating_add(len).min(data.len())]);
    }
    drop((read.finish(), RecoveryPoint::decode(data)));
}

/// Writes the points of all logs into a file, then removes all older ones.
#[derive(Debug)]
pub(super) struct PointsWrite {
    number: u64,
    left: VecDeque<PartitionId>,
    at: u64,
    step: WriteStep,
    older: Vec<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WriteStep {
    Create,
    Write,
    Sync,
    Remove,
}

impl PointsWrite {
    pub(super) fn new(files: &BTreeMap<u64, u64>, logs: &BTreeMap<PartitionId, Log>) -> Self {
        let with_point = logs.iter().filter(|(_, log)| log.recovery_point_len().is_some());
        let left: VecDeque<PartitionId> = with_point.map(|(id, _)| *id).collect();
        let number = files.keys().next_back().map_or(0, |last| last.saturating_add(1));
        let step = if left.is_empty() { WriteStep::Remove } else { WriteStep::Create };
        Self { number, left, at: 0, step, older: files.keys().copied().collect() }
    }

    pub(super) fn next(&mut self, logs: &BTreeMap<PartitionId, Log>) -> Step {
        let file = FileId::RecoveryPoints { number: self.number };
        match self.step {
            WriteStep::Create => {
                self.step = WriteStep::Write;
                Step::Do(Disk::Change { file, change: FileChange::Create { len: 0 } })
            }
            WriteStep::Write => {
                let bytes = self.some_points(logs);
                if bytes.is_empty() {
                    self.step = WriteStep::Sync;
                    return self.next(logs);
                }
                let at = self.at;
                self.at += bytes.len() as u64;
                Step::Do(Disk::Write { file, at, bytes })
            }
            WriteStep::Sync => {
                self.step = WriteStep::Remove;
                Step::Do(Disk::Sync { file })
            }
            WriteStep::Remove => match self.older.pop() {
                Some(number) => {
                    let file = FileId::RecoveryPoints { number };
                    Step::Do(Disk::Change { file, change: FileChange::Delete })
                }
                None => Step::Over,
            },
        }
    }

    /// As many as one write takes.
    fn some_points(&mut self, logs: &BTreeMap<PartitionId, Log>) -> Slice {
        let (mut sealed, mut bytes) = (Vec::new(), 0);
        while bytes < RECOVERY_READ_BYTES
            && let Some(id) = self.left.pop_front()
        {
            if let Some(point) = logs[&id].recovery_point(id).and_then(|point| points::seal(&point)) {
                bytes += point.len();
                sealed.push(point);
            }
        }
        points::joined(&sealed)
    }

    /// The file is given up: the next start reads more. `false` if an older one cannot be removed, which would be believed then.
    pub(super) fn on_failed(&mut self, during: DiskStep) -> bool {
        if self.step == WriteStep::Remove && during == DiskStep::Change {
            return false;
        }
        self.left.clear();
        self.older.push(self.number);
        self.step = WriteStep::Remove;
        true
    }
}
