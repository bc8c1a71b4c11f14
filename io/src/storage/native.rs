//! The disk of one shard in production. Owns the choice between O_DIRECT and buffered writes, and between the ring and the flusher
//! threads; knows nothing of what is written.

mod blocking;
mod fds;
mod flusher;
mod probe;
mod ring;

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::fs::File;
use std::io;
use std::sync::Arc;

use highwater_core::buf::Slice;
use highwater_core::id::{FileId, OpId};
use highwater_core::limits::BLOCK_BYTES;
use highwater_core::shard::{DiskError, Durability, FileChange, Outcome};

use super::{Disk, Order, OrderKind};
use crate::bell::Bell;
use crate::files::Layout;
use crate::storage::native::fds::{Access, FdKey, Fds};
use crate::storage::native::flusher::{Done, Flusher, Job, Lane};
use crate::storage::native::ring::Ring;

pub use crate::storage::native::fds::FDS_MAX;
pub use crate::storage::native::probe::probe;

/// How writes become durable in this directory; for the banner and the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StorageMode {
    pub cache: CacheMode,
    pub engine: Engine,
}

/// What the file system offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheMode {
    /// O_DIRECT, and each durable write carries RWF_DSYNC.
    DirectDsync,
    /// O_DIRECT, then fdatasync.
    DirectSync,
    /// The page cache, then fdatasync.
    Buffered,
}

/// Who carries orders out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    Ring,
    Flusher,
}

impl fmt::Display for StorageMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cache = match self.cache {
            CacheMode::DirectDsync => "O_DIRECT + RWF_DSYNC",
            CacheMode::DirectSync => "O_DIRECT + fdatasync",
            CacheMode::Buffered => "buffered + fdatasync",
        };
        let engine = match self.engine {
            Engine::Ring => "io_uring",
            Engine::Flusher => "flusher threads",
        };
        write!(f, "{cache} on {engine}")
    }
}

/// An order on an open file.
#[derive(Debug)]
struct Task {
    order: Order,
    file: Arc<File>,
    access: Access,
    /// For a sync: the buffered writes of the file that it covers.
    covers: u64,
}

/// The disk of one shard.
#[derive(Debug)]
pub struct Storage {
    layout: Layout,
    mode: StorageMode,
    fds: Fds,
    ring: Option<Ring>,
    flusher: Flusher,
    /// Orders whose file is being opened.
    opening: BTreeMap<FdKey, Vec<Order>>,
    done: VecDeque<(OpId, Outcome)>,
    in_flight: usize,
}

/// What a disk is made of.
#[derive(Debug)]
pub struct Options {
    pub layout: Layout,
    pub mode: StorageMode,
    /// Descriptors of idle files to keep, at most.
    pub fds_max: usize,
    /// Rung when an outcome is there.
    pub bell: Arc<Bell>,
    /// Of the threads.
    pub name: String,
}

impl Storage {
    pub fn new(options: Options) -> io::Result<Self> {
        let ring = match options.mode.engine {
            Engine::Ring => Some(Ring::new(&options.bell)?),
            Engine::Flusher => None,
        };
        Ok(Self {
            flusher: Flusher::new(options.layout.clone(), options.bell, options.name),
            layout: options.layout,
            mode: options.mode,
            fds: Fds::new(options.fds_max),
            ring,
            opening: BTreeMap::new(),
            done: VecDeque::new(),
            in_flight: 0,
        })
    }

    pub fn mode(&self) -> StorageMode {
        self.mode
    }

    /// Descriptors that are kept open.
    pub fn fds(&self) -> usize {
        self.fds.len()
    }

    fn route(&mut self, order: Order) {
        let access = match &order.kind {
            OrderKind::Change(change) => {
                self.forget(order.file, change);
                return self.flusher.push(Lane::Change(order.file), Job::Change(order));
            }
            OrderKind::Write { at, parts, .. } => {
                let direct = self.mode.cache != CacheMode::Buffered && is_aligned(*at, parts);
                if direct { Access::Direct } else { Access::Buffered }
            }
            OrderKind::Sync => self.fds.access_of_sync(order.file),
            OrderKind::Read { .. } => Access::Buffered,
        };
        self.route_with(order, access);
    }

    fn route_with(&mut self, order: Order, access: Access) {
        let key = FdKey { file: order.file, access };
        if let Some((file, access)) = self.fds.find(key) {
            return self.start(order, file, access);
        }
        let waiting = self.opening.entry(key).or_default();
        waiting.push(order);
        if waiting.len() == 1 {
            let path = self.layout.path(key.file);
            self.flusher.push(Lane::Read, Job::Open { key, path });
        }
    }

    fn start(&mut self, order: Order, file: Arc<File>, access: Access) {
        let mut covers = 0;
        let (lane, by_ring) = match &order.kind {
            OrderKind::Write { durability: Durability::Durable, .. } => {
                let by_ring = access == Access::Direct && self.mode.cache == CacheMode::DirectDsync;
                (Lane::Durable, by_ring)
            }
            OrderKind::Write { durability: Durability::Cached, .. } => {
                if access == Access::Buffered {
                    self.fds.note_write(order.file);
                }
                (Lane::Cached, access == Access::Direct)
            }
            OrderKind::Sync => {
                covers = self.fds.writes_of(order.file);
                (Lane::Cached, true)
            }
            OrderKind::Read { .. } => (Lane::Read, true),
            OrderKind::Change(_) => unreachable!("a change needs no open file"),
        };
        let task = Task { order, file, access, covers };
        match &mut self.ring {
            Some(ring) if by_ring => ring.push(task),
            Some(_) | None => self.flusher.push(lane, Job::Task(task, self.mode.cache)),
        }
    }

    fn opened(&mut self, key: FdKey, result: io::Result<(File, Access)>) {
        let orders = self.opening.remove(&key).expect("an open was asked for");
        match result {
            Ok((file, access)) => {
                let file = Arc::new(file);
                self.fds.insert(key, Arc::clone(&file), access);
                for order in orders {
                    self.start(order, Arc::clone(&file), access);
                }
            }
            Err(error) => {
                let error = disk_error(&error);
                self.done.extend(orders.into_iter().map(|order| failed(order, error)));
            }
        }
    }

    /// Lets go of descriptors whose name is about to mean another file, or did until now.
    fn forget(&mut self, file: FileId, change: &FileChange) {
        match change {
            FileChange::Truncate { .. } => return,
            FileChange::Rename { to } => self.fds.forget(*to),
            FileChange::Create { .. } | FileChange::Replace { .. } | FileChange::Delete => {}
        }
        self.fds.forget(file);
    }

    fn task_ended(&mut self, task: Task, result: io::Result<usize>) {
        let Task { order, access, covers, .. } = task;
        let refused = matches!(&result, Err(error) if error.raw_os_error() == Some(libc::EINVAL));
        if refused && access == Access::Direct && matches!(order.kind, OrderKind::Write { .. }) {
            // The file lies where O_DIRECT wants more alignment than a block, or is not there at all.
            return self.route_with(order, Access::Buffered);
        }
        let cached = matches!(order.kind, OrderKind::Write { durability: Durability::Cached, .. });
        if cached && access == Access::Buffered {
            self.fds.note_write(order.file);
        }
        match result {
            Ok(len) => {
                let outcome = match order.kind {
                    OrderKind::Read { into, .. } => {
                        Outcome::Read { page: into, len: u32::try_from(len).expect("a page is below 4 GiB") }
                    }
                    OrderKind::Sync => {
                        self.fds.note_sync(order.file, covers);
                        Outcome::Done
                    }
                    OrderKind::Write { .. } | OrderKind::Change(_) => Outcome::Done,
                };
                self.done.push_back((order.op, outcome));
            }
            Err(error) => self.done.push_back(failed(order, disk_error(&error))),
        }
    }

    fn collect(&mut self) {
        while let Some((task, result)) = self.ring.as_mut().and_then(Ring::complete) {
            self.task_ended(task, result);
        }
        while let Some(done) = self.flusher.complete() {
            match done {
                Done::Opened(key, result) => self.opened(key, result),
                Done::Changed(order, result) => {
                    if let OrderKind::Change(change) = &order.kind {
                        self.forget(order.file, change);
                    }
                    self.done.push_back(match result {
                        Ok(()) => (order.op, Outcome::Done),
                        Err(error) => failed(order, disk_error(&error)),
                    });
                }
                Done::Task(task, result) => self.task_ended(task, result),
            }
        }
    }
}

impl Disk for Storage {
    fn submit(&mut self, order: Order) {
        self.in_flight += 1;
        self.route(order);
    }

    fn flush(&mut self) {
        if let Some(ring) = &mut self.ring {
            ring.flush();
        }
    }

    fn complete(&mut self) -> Option<(OpId, Outcome)> {
        if self.in_flight == 0 {
            return None;
        }
        if self.done.is_empty() {
            self.collect();
        }
        let done = self.done.pop_front()?;
        self.in_flight -= 1;
        Some(done)
    }

    fn has_completion(&self) -> bool {
        !self.done.is_empty() || self.ring.as_ref().is_some_and(Ring::has_completion)
    }

    fn in_flight(&self) -> usize {
        self.in_flight
    }
}

/// Whether a write may go by O_DIRECT.
fn is_aligned(at: u64, parts: &[Slice]) -> bool {
    at.is_multiple_of(BLOCK_BYTES as u64)
        && parts.iter().all(|part| {
            (part.as_slice().as_ptr() as usize).is_multiple_of(BLOCK_BYTES)
                && part.len().is_multiple_of(BLOCK_BYTES)
        })
}

fn failed(order: Order, error: DiskError) -> (OpId, Outcome) {
    let page = match order.kind {
        OrderKind::Read { into, .. } => Some(into),
        OrderKind::Write { .. } | OrderKind::Sync | OrderKind::Change(_) => None,
    };
    (order.op, Outcome::Failed { error, page })
}

fn disk_error(error: &io::Error) -> DiskError {
    match error.raw_os_error() {
        Some(libc::ENOSPC | libc::EDQUOT) => DiskError::Full,
        Some(libc::EROFS | libc::EACCES | libc::EPERM) => DiskError::ReadOnly,
        Some(libc::ENOENT) => DiskError::NotFound,
        Some(_) | None => DiskError::Io,
    }
}

#[cfg(test)]
mod tests {
    use super::disk_error;
    use highwater_core::shard::DiskError;
    use std::io::Error;

    #[test]
    fn disk_error_names_what_the_core_tells_apart() {
        let named = |code| disk_error(&Error::from_raw_os_error(code));
        assert_eq!(named(libc::EIO), DiskError::Io);
        assert_eq!(named(libc::EINVAL), DiskError::Io);
        assert_eq!(named(libc::ENOSPC), DiskError::Full);
        assert_eq!(named(libc::EDQUOT), DiskError::Full);
        assert_eq!(named(libc::EROFS), DiskError::ReadOnly);
        assert_eq!(named(libc::EACCES), DiskError::ReadOnly);
        assert_eq!(named(libc::ENOENT), DiskError::NotFound);
    }
}
