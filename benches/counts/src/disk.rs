//! A disk in memory, if anybody reads it: does what it is told at once, and says so when it is asked. Knows no faults.

use std::collections::{BTreeMap, VecDeque};

use highwater_core::buf::{PageMut, Slice};
use highwater_core::id::{FileId, OpId};
use highwater_core::shard::{DiskError, FileChange, Outcome};
use highwater_core::time::{Duration, Instant};

/// How long an operation takes that nobody waits for.
const LATENCY: Duration = Duration::from_millis(1);

/// What a disk has to remember. To copy what nobody reads would be most of the work of a replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keeps {
    /// All but write-ahead logs, which only a start reads.
    Content,
    Nothing,
}

#[derive(Debug)]
pub(crate) struct Disk {
    keeps: Keeps,
    files: BTreeMap<FileId, Vec<u8>>,
    done: VecDeque<(Instant, OpId, Outcome)>,
    pub(crate) reads: u64,
    pub(crate) writes: u64,
}

impl Disk {
    pub(crate) fn new(keeps: Keeps) -> Self {
        Self { keeps, files: BTreeMap::new(), done: VecDeque::new(), reads: 0, writes: 0 }
    }

    /// When the next operation ends that has not.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.done.front().map(|(at, _, _)| *at)
    }

    pub(crate) fn complete(&mut self) -> Option<(OpId, Outcome)> {
        self.done.pop_front().map(|(_, op, outcome)| (op, outcome))
    }

    pub(crate) fn finish(&mut self, now: Instant, op: OpId, outcome: Outcome) {
        self.done.push_back((now + LATENCY, op, outcome));
    }

    pub(crate) fn write(&mut self, file: FileId, at: u64, parts: &[Slice]) {
        self.writes += 1;
        if self.keeps == Keeps::Nothing || matches!(file, FileId::Wal { .. }) {
            return;
        }
        let content = self.files.entry(file).or_default();
        let mut at = place(at);
        for part in parts {
            let end = at + part.len();
            if content.len() < end {
                content.resize(end, 0);
            }
            content[at..end].copy_from_slice(part);
            at = end;
        }
    }

    pub(crate) fn read(&mut self, file: FileId, at: u64, mut into: PageMut) -> Outcome {
        self.reads += 1;
        let Some(content) = self.files.get(&file) else {
            return Outcome::Failed { error: DiskError::NotFound, page: Some(into) };
        };
        let rest = content.get(place(at)..).unwrap_or_default();
        let len = rest.len().min(into.len());
        into.as_mut_slice()[..len].copy_from_slice(&rest[..len]);
        Outcome::Read { page: into, len: u32::try_from(len).expect("a page is below 4 GiB") }
    }

    pub(crate) fn change(&mut self, file: FileId, change: FileChange) {
        match change {
            // Written from its beginning on; a write-ahead log stays without content.
            FileChange::Create { .. } => drop(self.files.insert(file, Vec::new())),
            FileChange::Truncate { len } => {
                let content = self.files.entry(file).or_default();
                content.resize(place(len), 0);
            }
            FileChange::Rename { to } => {
                let content = self.files.remove(&file).unwrap_or_default();
                self.files.insert(to, content);
            }
            FileChange::Replace { bytes } => drop(self.files.insert(file, bytes.to_vec())),
            FileChange::Delete => drop(self.files.remove(&file)),
        }
    }
}

fn place(at: u64) -> usize {
    usize::try_from(at).expect("a file in memory")
}
