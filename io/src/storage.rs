//! The disk of one shard as the driver sees it: takes orders, gives each exactly one outcome. Implemented for real files behind the
//! feature `production`, and by the simulator.

#[cfg(feature = "production")]
mod native;

use highwater_core::buf::{PageMut, Slice};
use highwater_core::id::{FileId, OpId};
use highwater_core::shard::{Durability, FileChange, Outcome};

#[cfg(feature = "production")]
pub use native::{CacheMode, Engine, FDS_MAX, Options, Storage, StorageMode, probe};

/// What a driver needs of a disk.
pub trait Disk {
    fn submit(&mut self, order: Order);
    /// Ends a turn: what was submitted is under way.
    fn flush(&mut self);
    /// The outcome of one order, in any order.
    fn complete(&mut self) -> Option<(OpId, Outcome)>;
    /// Whether `complete` may have one; may be wrong in both directions, since the bell rings for each.
    fn has_completion(&self) -> bool;
    /// Orders without an outcome yet.
    fn in_flight(&self) -> usize;
}

/// One disk effect of the core.
#[derive(Debug)]
pub struct Order {
    pub op: OpId,
    pub file: FileId,
    pub kind: OrderKind,
}

#[derive(Debug)]
pub enum OrderKind {
    Write { at: u64, parts: Vec<Slice>, durability: Durability },
    Sync,
    Read { at: u64, into: PageMut },
    Change(FileChange),
}
