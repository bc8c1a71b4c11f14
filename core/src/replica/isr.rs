//! The in-sync replicas as the leader knows them, and how far each one's disk has come in this epoch.

use alloc::collections::{BTreeMap, BTreeSet};

use crate::id::{NodeId, Offset};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Isr {
    members: BTreeSet<NodeId>,
    min_insync: u16,
    /// Reports of this epoch, of members and of those who are catching up.
    durable_ends: BTreeMap<NodeId, Offset>,
}

impl Isr {
    pub(super) fn new(members: BTreeSet<NodeId>, min_insync: u16) -> Self {
        Self { members, min_insync, durable_ends: BTreeMap::new() }
    }

    pub(super) fn set_members(&mut self, members: BTreeSet<NodeId>) {
        self.members = members;
    }

    pub(super) fn set_min_insync(&mut self, min_insync: u16) {
        self.min_insync = min_insync;
    }

    pub fn members(&self) -> &BTreeSet<NodeId> {
        &self.members
    }

    pub fn contains(&self, node: NodeId) -> bool {
        self.members.contains(&node)
    }

    /// Whether acks=all may be promised.
    pub fn is_enough(&self) -> bool {
        self.members.len() >= usize::from(self.min_insync)
    }

    /// Takes a report; an older one that comes late changes nothing.
    pub(super) fn on_durable(&mut self, node: NodeId, end: Offset) {
        let known = self.durable_ends.entry(node).or_insert(end);
        *known = (*known).max(end);
    }

    /// How far a replica's disk has come; zero while it has not said in this epoch.
    pub fn durable_end_of(&self, node: NodeId) -> Offset {
        self.durable_ends.get(&node).copied().unwrap_or_default()
    }

    /// What every member has on disk.
    pub fn durable_end(&self) -> Option<Offset> {
        self.members.iter().map(|node| self.durable_end_of(*node)).min()
    }
}
