//! What a checker may see of a shard: its partitions as copies, and what it holds of everything that is bounded. No broker needs
//! it: metrics are made of events and of `report`.

use crate::group::groups::GroupsView;
use crate::id::{Offset, PartitionId};
use crate::log::LogView;

/// One partition at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionView {
    pub partition: PartitionId,
    pub high_watermark: Offset,
    pub log: LogView,
}

/// One coordinator that serves, while no decision of it waits for room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CoordinatorView {
    pub partition: PartitionId,
    /// All before it is replayed.
    pub log_end: Offset,
    pub groups: GroupsView,
}

/// What a shard holds. All but the pages of the WAL, which serve as cache, is nothing while nobody wants anything of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    pub connections: usize,
    /// Requests in work, and those of them that have a deadline.
    pub requests: usize,
    pub deadlines: usize,
    /// Connections and calls that wait for memory.
    pub starved: usize,
    /// Bytes of pages that are lent, by pool.
    pub request_bytes: usize,
    pub read_bytes: usize,
    pub destage_bytes: usize,
    pub wal_bytes: usize,
    /// Bytes of the WAL's pages that have a reason: tail cache, batches that no segment holds, frames that are not written.
    pub wal_bytes_due: usize,
    /// Produces that wait for durability, for room, and calls that wait for metadata.
    pub acks: usize,
    pub parked: usize,
    pub early: usize,
    /// Commands that coordinators have not answered.
    pub askers: usize,
    /// Partitions' memory of readers that wait.
    pub watches: usize,
    /// Jobs on segment files, and files of deleted partitions that wait for one.
    pub keep_jobs: usize,
    pub doomed: usize,
}
