//! Open files of one shard, least recently used first out. An idle partition holds no descriptor. Knows no path.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::sync::Arc;

use highwater_core::id::FileId;

/// Descriptors that a shard keeps at most, beside those of orders under way and of files with unsynced buffered writes.
pub const FDS_MAX: usize = 1024;

/// How a file is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Access {
    Direct,
    Buffered,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FdKey {
    pub(super) file: FileId,
    /// What was asked for; a file system without O_DIRECT may have given `Buffered`.
    pub(super) access: Access,
}

#[derive(Debug)]
struct Fd {
    file: Arc<File>,
    access: Access,
    used: u64,
}

/// Buffered writes of one file, counted at their begin and at their end, and how many counts are synced. A write-back error is told to descriptors
/// that were open when it happened, so a file stays open until it is clean.
#[derive(Debug, Default)]
struct Unsynced {
    writes: u64,
    synced: u64,
}

#[derive(Debug)]
pub(super) struct Fds {
    fds: BTreeMap<FdKey, Fd>,
    by_use: BTreeSet<(u64, FdKey)>,
    unsynced: BTreeMap<FileId, Unsynced>,
    uses: u64,
    max: usize,
}

impl Fds {
    pub(super) fn new(max: usize) -> Self {
        Self { fds: BTreeMap::new(), by_use: BTreeSet::new(), unsynced: BTreeMap::new(), uses: 0, max }
    }

    pub(super) fn len(&self) -> usize {
        self.fds.len()
    }

    pub(super) fn find(&mut self, key: FdKey) -> Option<(Arc<File>, Access)> {
        let fd = self.fds.get_mut(&key)?;
        self.uses += 1;
        self.by_use.remove(&(fd.used, key));
        fd.used = self.uses;
        self.by_use.insert((fd.used, key));
        Some((Arc::clone(&fd.file), fd.access))
    }

    pub(super) fn insert(&mut self, key: FdKey, file: Arc<File>, access: Access) {
        self.remove(key);
        self.uses += 1;
        self.fds.insert(key, Fd { file, access, used: self.uses });
        self.by_use.insert((self.uses, key));
        if self.fds.len() > self.max {
            let dirty = |key: &FdKey| self.unsynced.contains_key(&key.file);
            let oldest = self.by_use.iter().map(|&(_, key)| key).find(|other| *other != key && !dirty(other));
            if let Some(oldest) = oldest {
                self.remove(oldest);
            }
        }
    }

    fn remove(&mut self, key: FdKey) {
        if let Some(fd) = self.fds.remove(&key) {
            self.by_use.remove(&(fd.used, key));
        }
    }

    pub(super) fn forget(&mut self, file: FileId) {
        self.remove(FdKey { file, access: Access::Direct });
        self.remove(FdKey { file, access: Access::Buffered });
        self.unsynced.remove(&file);
    }

    /// The descriptor to sync by: the one that buffered writes went through, else any that is open.
    pub(super) fn access_of_sync(&self, file: FileId) -> Access {
        let direct_only = self.fds.contains_key(&FdKey { file, access: Access::Direct })
            && !self.fds.contains_key(&FdKey { file, access: Access::Buffered });
        if direct_only { Access::Direct } else { Access::Buffered }
    }

    /// A buffered write has begun, or has ended: only a sync that begins after its end covers it.
    pub(super) fn note_write(&mut self, file: FileId) {
        self.unsynced.entry(file).or_default().writes += 1;
    }

    pub(super) fn writes_of(&self, file: FileId) -> u64 {
        self.unsynced.get(&file).map_or(0, |unsynced| unsynced.writes)
    }

    /// A sync that began when the file had `covered` writes has ended well.
    pub(super) fn note_sync(&mut self, file: FileId, covered: u64) {
        if let Some(unsynced) = self.unsynced.get_mut(&file) {
            unsynced.synced = unsynced.synced.max(covered);
            if unsynced.synced == unsynced.writes {
                self.unsynced.remove(&file);
            }
        }
    }
}
