//! A log after a crash: put together from what segments hold and what the WAL still has. A state machine: it says what to read.

use alloc::vec::Vec;

use crate::buf::Slice;
use crate::id::{LeaderEpoch, Offset};
use crate::log::{Extent, Log, LogConfig};

/// A segment file as it stands in the directory.
#[derive(Debug, Clone)]
pub struct SegmentFile {
    pub base: Offset,
    pub len: u64,
    /// The content of its footer file, whatever it is.
    pub footer: Option<Slice>,
}

/// Whether the bytes of a WAL entry are those that its entry and their own CRC describe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intact {
    Yes,
    Faulty,
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
    pub segment_base: Offset,
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
    /// Files to cut before anything is written to them.
    pub truncate: Vec<Cut>,
}

#[derive(Debug)]
pub struct LogRecovery {
    log: Log,
    report: RecoveryReport,
}

impl LogRecovery {
    /// `wal` in the order of the WAL. Entries of one batch may repeat; the later one keeps its WAL file.
    pub fn new(config: LogConfig, _files: Vec<SegmentFile>, _wal: Vec<WalBatch>) -> Self {
        Self { log: Log::new(config, Offset::ZERO), report: RecoveryReport::default() }
    }

    /// The next read; `None` once all is known. Stays the same until it is answered.
    pub fn next_read(&self) -> Option<RecoveryRead> {
        None
    }

    /// Answers [`Self::next_read`]: what stands in the file, less than asked at its end. Nothing means that it cannot be read.
    pub fn on_read(&mut self, _bytes: &Slice) {}

    pub fn finish(self) -> (Log, RecoveryReport) {
        (self.log, self.report)
    }
}
