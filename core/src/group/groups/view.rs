//! What a coordinator takes to be on disk, for checkers. No broker needs it.

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;

use super::Groups;
use super::group::Group;
use crate::group::record::GroupRecord;

/// What a coordinator takes to be on disk: records that lead to where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupsView {
    pub records: Vec<GroupRecord>,
    /// Groups of the classic protocol whose members are agreeing anew. On disk they are as they were before.
    pub rebalancing: BTreeSet<String>,
}

impl Groups {
    pub fn view(&self) -> GroupsView {
        let (mut records, mut rebalancing) = (Vec::new(), BTreeSet::new());
        for (name, seat) in &self.groups {
            match &seat.group {
                Group::Simple => {}
                Group::Consumer(group) => group.view(&mut records),
                Group::Classic(group) => match group.view() {
                    Some(value) => {
                        records.push(GroupRecord::Classic { group: name.clone(), value: Some(value) });
                    }
                    None => {
                        rebalancing.insert(name.clone());
                    }
                },
            }
        }
        self.offsets.view(&mut records);
        GroupsView { records, rebalancing }
    }
}
