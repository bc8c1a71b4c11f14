//! What those who run a node may see of a shard that works: sums, and its partitions in slices, so that nobody waits for long
//! while they are looked at. What happens is told by events; this is what stands.

use crate::buf::Pool;
use crate::controller::Image;
use crate::id::{LeaderEpoch, Offset, PartitionId};
use crate::log::SegmentFate;
use crate::time::Timestamp;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// A pool of pages and how much of it is lent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolReport {
    pub name: &'static str,
    pub bytes_in_use: usize,
    pub bytes_max: usize,
}

impl PoolReport {
    pub(super) fn new(name: &'static str, pool: &mut Pool) -> Self {
        Self { name, bytes_in_use: pool.bytes_in_use(), bytes_max: pool.bytes_max() }
    }
}

/// One shard at one moment.
#[derive(Debug, Clone)]
pub struct ShardReport {
    /// The cluster's metadata as this shard knows them.
    pub image: Arc<Image>,
    pub pools: [PoolReport; 4],
    /// Bytes of the pages that serve as cache of the logs' ends; part of the pool `wal`.
    pub cache_bytes: usize,
    /// Bytes of the write-ahead files that are still needed, and what they may come to.
    pub wal_live_bytes: u64,
    pub wal_live_bytes_max: u64,
    pub connections: usize,
    /// Requests that wait for a partition, the controller or new records.
    pub requests: usize,
    /// Connections that wait for memory, produces that wait for room in the WAL or for memory, reads that wait for memory.
    pub connections_starved: usize,
    pub produces_parked: usize,
    pub reads_starved: usize,
    /// Jobs on segment files.
    pub keep_jobs: usize,
    /// Observations that found no room, of all since the start.
    pub events_dropped: u64,
}

/// One partition at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartitionReport {
    pub partition: PartitionId,
    pub leader_epoch: Option<LeaderEpoch>,
    pub log_start: Offset,
    pub high_watermark: Offset,
    pub log_end: Offset,
    /// Of all segments, the active one included.
    pub bytes: u64,
    pub segments: usize,
    /// Ranges of offsets that cannot be read any more.
    pub faulty_ranges: usize,
}

/// Why one partition has the segments that it has, at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetentionReport {
    pub partition: PartitionReport,
    pub now: Timestamp,
    /// When retention is looked after next.
    pub next_check: Timestamp,
    /// A cleaning met what cannot be read, and there is none until the next start.
    pub cleaning_given_up: bool,
    /// Oldest first.
    pub segments: Vec<SegmentFate>,
    /// How many of the newest are not among them.
    pub segments_left_out: usize,
}
