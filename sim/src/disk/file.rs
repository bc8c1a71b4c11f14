//! One file: what the platter holds, what reads show, and the writes between the two. Draws nothing itself.

use std::collections::BTreeSet;

/// The unit that a disk writes whole, or tears when it may.
pub(super) const SECTOR_BYTES: usize = 512;

/// The part of a write that falls into one sector.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extent {
    pub(super) sector: u64,
    pub(super) at_in_write: usize,
    pub(super) len: usize,
}

/// The extents of the first `len` bytes of a write to `at`.
pub(super) fn extents(at: u64, len: usize) -> impl Iterator<Item = Extent> {
    let mut done = 0;
    std::iter::from_fn(move || {
        if done == len {
            return None;
        }
        let place = at + done as u64;
        let room = SECTOR_BYTES - index(place % SECTOR_BYTES as u64);
        let extent =
            Extent { sector: place / SECTOR_BYTES as u64, at_in_write: done, len: room.min(len - done) };
        done += extent.len;
        Some(extent)
    })
}

#[derive(Debug, Clone)]
struct Unsynced {
    completed: u64,
    at: u64,
    bytes: Vec<u8>,
    /// Sectors that a later durable write or a failed sync has settled.
    settled: BTreeSet<u64>,
}

/// A file on the simulated disk.
#[derive(Debug, Clone)]
pub(super) struct File {
    durable: Vec<u8>,
    cached: Vec<u8>,
    /// In order of completion.
    unsynced: Vec<Unsynced>,
    /// A sync failed: reads show what the platter may not hold.
    lies: bool,
}

impl File {
    pub(super) fn with_content(content: Vec<u8>) -> Self {
        Self { durable: content.clone(), cached: content, unsynced: Vec::new(), lies: false }
    }

    pub(super) fn len(&self) -> u64 {
        self.cached.len() as u64
    }

    pub(super) fn read(&self, at: u64, into: &mut [u8]) -> usize {
        let from = index(at).min(self.cached.len());
        let len = into.len().min(self.cached.len() - from);
        into[..len].copy_from_slice(&self.cached[from..from + len]);
        len
    }

    pub(super) fn write_durable(&mut self, at: u64, bytes: &[u8]) {
        put(&mut self.cached, at, bytes);
        put(&mut self.durable, at, bytes);
        let end = at + bytes.len() as u64;
        for write in &mut self.unsynced {
            if write.at < end && at < write.at + write.bytes.len() as u64 {
                let first = at.max(write.at) / SECTOR_BYTES as u64;
                let last = end.div_ceil(SECTOR_BYTES as u64);
                write.settled.extend(first..last);
            }
        }
    }

    pub(super) fn write_cached(&mut self, at: u64, bytes: Vec<u8>, completed: u64) {
        put(&mut self.cached, at, &bytes);
        self.unsynced.push(Unsynced { completed, at, bytes, settled: BTreeSet::new() });
    }

    /// Makes durable what had completed when the sync was issued, and no more.
    pub(super) fn sync(&mut self, issued_after: u64) {
        let covered = self.unsynced.partition_point(|write| write.completed <= issued_after);
        for write in self.unsynced.drain(..covered) {
            for extent in extents(write.at, write.bytes.len()) {
                if !write.settled.contains(&extent.sector) {
                    put_extent(&mut self.durable, &write, extent, extent.len);
                }
            }
        }
    }

    /// The pages count as clean from now on; only those that `keep` says were written.
    pub(super) fn sync_failed(&mut self, issued_after: u64, keep: &mut dyn FnMut(Extent) -> Option<usize>) {
        let covered = self.unsynced.partition_point(|write| write.completed <= issued_after);
        let writes: Vec<Unsynced> = self.unsynced.drain(..covered).collect();
        self.lies = true;
        self.keep_some(&writes, keep);
    }

    /// Whether a power failure changes nothing.
    pub(super) fn is_settled(&self) -> bool {
        self.unsynced.is_empty() && !self.lies
    }

    /// Ends all doubt after a power failure.
    pub(super) fn settle(&mut self, keep: &mut dyn FnMut(Extent) -> Option<usize>) {
        let writes = core::mem::take(&mut self.unsynced);
        self.keep_some(&writes, keep);
        self.cached.clone_from(&self.durable);
        self.lies = false;
    }

    fn keep_some(&mut self, writes: &[Unsynced], keep: &mut dyn FnMut(Extent) -> Option<usize>) {
        for write in writes {
            for extent in extents(write.at, write.bytes.len()) {
                if write.settled.contains(&extent.sector) {
                    continue;
                }
                if let Some(len) = keep(extent) {
                    put_extent(&mut self.durable, write, extent, len);
                }
            }
        }
    }

    /// Sets the length, on the platter too.
    pub(super) fn truncate(&mut self, len: u64) {
        let len = index(len);
        self.cached.resize(len, 0);
        self.durable.resize(len, 0);
        for write in &mut self.unsynced {
            let left = len.saturating_sub(index(write.at));
            write.bytes.truncate(left);
        }
        self.unsynced.retain(|write| !write.bytes.is_empty());
    }

    /// The last byte that is not zero.
    pub(super) fn last_written(&self) -> Option<u64> {
        self.cached.iter().rposition(|byte| *byte != 0).map(|at| at as u64)
    }

    pub(super) fn flip(&mut self, at: u64, mask: u8) {
        let at = index(at);
        self.cached[at] ^= mask;
        if let Some(byte) = self.durable.get_mut(at) {
            *byte ^= mask;
        }
    }
}

fn put(image: &mut Vec<u8>, at: u64, bytes: &[u8]) {
    let from = index(at);
    let end = from + bytes.len();
    if image.len() < end {
        image.resize(end, 0);
    }
    image[from..end].copy_from_slice(bytes);
}

fn put_extent(image: &mut Vec<u8>, write: &Unsynced, extent: Extent, len: usize) {
    let from = extent.at_in_write;
    put(image, write.at + from as u64, &write.bytes[from..from + len]);
}

fn index(at: u64) -> usize {
    usize::try_from(at).expect("a simulated file fits memory")
}
