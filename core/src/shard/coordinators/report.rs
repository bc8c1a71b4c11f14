//! The coordinators' part of what is reported to those who run the node.

use alloc::vec::Vec;
use core::ops::Bound;

use super::{Coordinators, Phase};
use crate::group::command::TopicPartition;
use crate::group::groups::{GroupReport, OffsetReport};
use crate::id::PartitionId;

impl Coordinators {
    /// Groups of one coordinator, the first behind `after` that has any.
    pub(in crate::shard) fn report(
        &self,
        after: Option<(PartitionId, &str)>,
        work_max: usize,
    ) -> Option<(PartitionId, Vec<GroupReport>)> {
        let from = after.map_or(Bound::Unbounded, |(partition, _)| Bound::Included(partition));
        let hosts = self.hosts.range((from, Bound::Unbounded));
        let loaded = hosts.filter(|(_, host)| host.phase() == Phase::Serving);
        let mut reports = loaded.map(|(partition, host)| {
            let behind = after.filter(|(of, _)| of == partition).map(|(_, group)| group);
            (*partition, host.machine().report(behind, work_max))
        });
        reports.find(|(_, reports)| !reports.is_empty())
    }

    pub(in crate::shard) fn report_offsets(
        &self,
        (partition, group): (PartitionId, &str),
        after: Option<&TopicPartition>,
        count_max: usize,
    ) -> Vec<OffsetReport> {
        let host = self.hosts.get(&partition);
        host.map(|host| host.machine().report_offsets(group, after, count_max)).unwrap_or_default()
    }
}
