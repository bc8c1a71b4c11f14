//! Names that a process gave, took or changed without living to sync their directory: they show at once, and the next power
//! failure takes each back or not. Whoever lists the data directory syncs it first. Must not know what the files hold.

use std::sync::Arc;

use highwater_core::id::{FileId, PartitionId, StreamId};
use highwater_core::shard::FileChange;

use super::damage::Twin;
use super::file::File;
use super::{Disk, Doubt, Verdict};

/// A change of names that shows and may not last.
#[derive(Debug, Clone)]
pub(super) enum Loose {
    /// On the platter the name still stands for this, or for nothing. `struck` is the copy in it that has rotted.
    Put { file: FileId, before: Option<Arc<File>>, struck: Option<Twin> },
    /// On the platter the file still has its old name.
    Moved { from: FileId, to: FileId, before: Option<Arc<File>> },
}

impl Loose {
    fn touches(&self, directory: Directory) -> bool {
        match self {
            Self::Put { file, .. } => Directory::of(*file) == directory,
            Self::Moved { from, to, .. } => {
                Directory::of(*from) == directory || Directory::of(*to) == directory
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Directory {
    Root,
    Stream(StreamId),
    Partition(PartitionId),
}

impl Directory {
    fn of(file: FileId) -> Self {
        match file {
            FileId::Superblock | FileId::RecoveryPoints { .. } => Self::Root,
            FileId::Wal { stream, .. } | FileId::Checkpoint { stream } => Self::Stream(stream),
            FileId::Segment { partition, .. }
            | FileId::Cleaned { partition, .. }
            | FileId::Footer { partition, .. }
            | FileId::LogStart { partition } => Self::Partition(partition),
        }
    }
}

impl Disk {
    /// The directory of the file is synced.
    pub(super) fn sync_names(&mut self, file: FileId) {
        let directory = Directory::of(file);
        self.loose.retain(|loose| !loose.touches(directory));
    }

    /// Does what a process did that ended before it synced the directory.
    pub(super) fn change_loosely(&mut self, file: FileId, change: FileChange) {
        let (before, struck) = (self.files.get(&file).cloned(), self.struck.get(&file).copied());
        let loose = match change {
            FileChange::Create { .. } | FileChange::Replace { .. } => {
                Some(Loose::Put { file, before, struck })
            }
            FileChange::Delete => before.map(|before| Loose::Put { file, before: Some(before), struck }),
            FileChange::Rename { to } => {
                before.map(|_| Loose::Moved { from: file, to, before: self.files.get(&to).cloned() })
            }
            // No name changes, and the length is synced with the file.
            FileChange::Truncate { .. } => None,
        };
        let _happened = self.carry_out(file, change);
        self.loose.extend(loose);
    }

    /// The power goes: newest first, each loose change of names lasts or not.
    pub(super) fn cut_names(&mut self, judge: &mut dyn FnMut(Doubt) -> Verdict) {
        while let Some(loose) = self.loose.pop() {
            if judge(Doubt::Name) == Verdict::Lost {
                self.take_back(loose);
            }
        }
    }

    fn take_back(&mut self, loose: Loose) {
        let (file, before) = match loose {
            Loose::Put { file, before, struck } => {
                self.struck.remove(&file);
                self.struck.extend(struck.map(|struck| (file, struck)));
                (file, before)
            }
            Loose::Moved { from, to, before } => {
                let moved = self.files.remove(&to);
                self.files.extend(moved.map(|moved| (from, moved)));
                (to, before)
            }
        };
        match before {
            Some(before) => self.files.insert(file, before),
            None => self.files.remove(&file),
        };
    }
}
