//! The owner's part of what is reported to those who run the node.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Bound;

use super::{Owner, Partition};
use crate::id::{Offset, PartitionId, TopicId};
use crate::shard::{PartitionReport, PoolReport, RetentionReport, ShardReport};
use crate::time::{Now, Timestamp};

impl Owner {
    /// `requests` is the pool of the home, which fills in the rest of its side.
    pub(in crate::shard) fn sums(&mut self, requests: PoolReport) -> ShardReport {
        ShardReport {
            image: Arc::clone(&self.image),
            pools: [
                requests,
                PoolReport::new("wal", &mut self.wal_pool),
                PoolReport::new("reads", &mut self.read_pool),
                PoolReport::new("destage", &mut self.destage_pool),
            ],
            cache_bytes: self.cache_bytes,
            wal_live_bytes: self.wal.live_bytes(),
            wal_live_bytes_max: self.config.wal.bytes_max,
            connections: 0,
            requests: 0,
            connections_starved: 0,
            produces_parked: self.parked.len(),
            reads_starved: self.starved.len(),
            keep_jobs: self.keep_jobs + self.retire_jobs,
            events_dropped: self.events_dropped,
        }
    }

    pub(in crate::shard) fn report_partitions(
        &self,
        after: Option<PartitionId>,
        count_max: usize,
    ) -> Vec<PartitionReport> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.partitions.range((from, Bound::Unbounded)).take(count_max).map(report).collect()
    }

    pub(in crate::shard) fn report_timestamp(
        &self,
        partition: PartitionId,
        offset: Offset,
    ) -> Option<Timestamp> {
        let replica = &self.partitions.get(&partition)?.replica;
        replica.log.timestamp_about(offset, replica.high_watermark())
    }

    /// The first partition of the topic behind `after`, of those that this shard has.
    pub(in crate::shard) fn report_retention(
        &self,
        now: Now,
        topic: TopicId,
        after: Option<PartitionId>,
        segments_max: usize,
    ) -> Option<RetentionReport> {
        let from = after.map_or(Bound::Included(PartitionId { topic, index: 0 }), Bound::Excluded);
        let (id, partition) = self.partitions.range((from, Bound::Unbounded)).next()?;
        if id.topic != topic {
            return None;
        }
        let replica = &partition.replica;
        let mut segments = replica.log.explain_retention(now, replica.high_watermark());
        let count = segments.len();
        segments.truncate(segments_max);
        let until_check = i64::try_from(self.retention_at.since(now.mono).as_millis()).unwrap_or(i64::MAX);
        Some(RetentionReport {
            partition: report((id, partition)),
            now: now.wall,
            next_check: Timestamp(now.wall.0.saturating_add(until_check)),
            cleaning_given_up: partition.uncleanable,
            segments_left_out: count - segments.len(),
            segments,
        })
    }
}

fn report((id, partition): (&PartitionId, &Partition)) -> PartitionReport {
    let (replica, log) = (&partition.replica, &partition.replica.log);
    PartitionReport {
        partition: *id,
        leader_epoch: replica.leader_epoch(),
        log_start: log.log_start(),
        high_watermark: replica.high_watermark(),
        log_end: log.log_end(),
        bytes: log.size_bytes(),
        segments: log.segment_bases().count(),
        faulty_ranges: log.faulty().len(),
    }
}
