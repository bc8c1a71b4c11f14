//! The groups of all shards: counted all, and of so many the first by name with what they have committed.

use std::collections::BTreeMap;

use highwater_core::group::command::{GroupKind, GroupState, TopicPartition};
use highwater_core::group::groups::{GroupReport, OffsetReport};
use highwater_core::id::PartitionId;

use super::Visible;

/// Groups, members and offsets that a shard looks at in one turn.
const SLICE: usize = 1024;

/// How much is told of single groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct GroupLimits {
    pub(crate) groups_max: usize,
    /// Offsets of all groups together; those of a group are all there or none.
    pub(crate) offsets_max: usize,
}

/// Groups of one protocol in one state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct GroupSum {
    pub(crate) kind: GroupKind,
    pub(crate) state: GroupState,
    pub(crate) groups: usize,
    pub(crate) members: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GroupShown {
    coordinator: PartitionId,
    pub(crate) members: usize,
    /// In the order of topics and partitions; `None` where all the groups have more than is told.
    pub(crate) offsets: Option<Vec<OffsetReport>>,
}

#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct GroupsView {
    pub(crate) sums: Vec<GroupSum>,
    /// By name.
    pub(crate) shown: BTreeMap<String, GroupShown>,
}

impl GroupsView {
    pub(crate) fn count(&self) -> usize {
        self.sums.iter().map(|sum| sum.groups).sum()
    }

    fn add(&mut self, coordinator: PartitionId, report: GroupReport, groups_max: usize) {
        let GroupReport { group, kind, state, members } = report;
        self.add_sum(GroupSum { kind, state, groups: 1, members });
        self.shown.insert(group, GroupShown { coordinator, members, offsets: None });
        if self.shown.len() > groups_max {
            self.shown.pop_last();
        }
    }

    fn add_sum(&mut self, more: GroupSum) {
        match self.sums.iter_mut().find(|sum| (sum.kind, sum.state) == (more.kind, more.state)) {
            Some(sum) => {
                sum.groups += more.groups;
                sum.members += more.members;
            }
            None => self.sums.push(more),
        }
    }

    /// What another shard has.
    pub(super) fn merge(&mut self, other: Self) {
        other.sums.into_iter().for_each(|sum| self.add_sum(sum));
        self.shown.extend(other.shown);
    }

    /// As much as may be told, when all shards are in it.
    pub(super) fn cut(&mut self, limits: GroupLimits) {
        while self.shown.len() > limits.groups_max {
            self.shown.pop_last();
        }
        let mut left = limits.offsets_max;
        for group in self.shown.values_mut() {
            match left.checked_sub(group.offsets.as_ref().map_or(0, Vec::len)) {
                Some(rest) => left = rest,
                None => group.offsets = None,
            }
        }
    }
}

/// One shard on its way through its groups.
#[derive(Debug, Default)]
pub(super) struct Walk {
    view: GroupsView,
    /// The last group that was looked at.
    after: Option<(PartitionId, String)>,
    counted: bool,
    /// The group whose offsets are read, and those that are.
    group: Option<String>,
    offsets: Vec<OffsetReport>,
    told: usize,
}

impl Walk {
    pub(super) fn view(&mut self) -> GroupsView {
        std::mem::take(&mut self.view)
    }

    /// Goes on, and says whether that was all.
    pub(super) fn turn(&mut self, machine: &impl Visible, limits: GroupLimits) -> bool {
        if self.counted {
            return self.read(machine, limits);
        }
        let after = self.after.as_ref().map(|(coordinator, group)| (*coordinator, group.as_str()));
        match machine.groups(after, SLICE) {
            Some((coordinator, reports)) => {
                self.after = reports.last().map(|last| (coordinator, last.group.clone()));
                for report in reports {
                    self.view.add(coordinator, report, limits.groups_max);
                }
            }
            None => {
                self.counted = true;
                self.group = self.view.shown.keys().next().cloned();
            }
        }
        self.counted && self.group.is_none()
    }

    fn read(&mut self, machine: &impl Visible, limits: GroupLimits) -> bool {
        let mut left = SLICE;
        while let Some(name) = &self.group
            && left > 0
        {
            let group = self.view.shown.get_mut(name).expect("groups are cut before their offsets are read");
            let after: Option<&TopicPartition> = self.offsets.last().map(|last| &last.partition);
            let slice = machine.offsets((group.coordinator, name), after, left);
            let is_last = slice.len() < left;
            // A group costs a look, whether it has offsets or not.
            left -= slice.len().max(1);
            self.offsets.extend(slice);
            let is_much = self.told + self.offsets.len() > limits.offsets_max;
            if is_last || is_much {
                let offsets = std::mem::take(&mut self.offsets);
                if !is_much {
                    self.told += offsets.len();
                    group.offsets = Some(offsets);
                }
                let behind = (std::ops::Bound::Excluded(name.as_str()), std::ops::Bound::Unbounded);
                self.group = self.view.shown.range::<str, _>(behind).next().map(|(name, _)| name.clone());
            }
        }
        self.group.is_none()
    }
}
