//! What those who run a node may see of groups, in slices, so that nobody waits for long while they are looked at.

use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Bound;

use super::Groups;
use crate::group::command::{GroupKind, GroupState, Listed, TopicPartition};
use crate::id::Offset;

/// One group at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupReport {
    pub group: String,
    pub kind: GroupKind,
    pub state: GroupState,
    pub members: usize,
}

/// Where a group goes on in one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetReport {
    pub partition: TopicPartition,
    pub offset: Offset,
}

impl Groups {
    /// Groups behind `after` in the order of their names: so many that they and their members come to `work_max`, and one at least.
    pub fn report(&self, after: Option<&str>, work_max: usize) -> Vec<GroupReport> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut reports = Vec::new();
        let mut work = 0;
        for (name, seat) in self.groups.range::<str, _>((from, Bound::Unbounded)) {
            let Listed { group, state, kind, .. } = seat.group.listed(name);
            let members = seat.group.members();
            work += 1 + members;
            if work > work_max && !reports.is_empty() {
                break;
            }
            reports.push(GroupReport { group, kind, state, members });
        }
        reports
    }

    /// Up to `count_max` of what a group has committed, in the order of topics and partitions, those behind `after`.
    pub fn report_offsets(
        &self,
        group: &str,
        after: Option<&TopicPartition>,
        count_max: usize,
    ) -> Vec<OffsetReport> {
        let offsets = self.offsets.of_group(group, after).take(count_max);
        offsets.map(|(partition, value)| OffsetReport { partition, offset: Offset(value.offset) }).collect()
    }
}
