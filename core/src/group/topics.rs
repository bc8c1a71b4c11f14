//! What groups know of topics. The host answers from the cluster's metadata.

use alloc::string::String;
use alloc::vec::Vec;

use super::OFFSETS_TOPIC;
use super::settings::GroupSettings;
use crate::id::TopicId;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    pub id: TopicId,
    /// They are 0 to one less than this.
    pub partitions: i32,
    /// Where each partition has replicas, if nodes tell their racks.
    pub racks: Vec<Vec<String>>,
}

/// The node around a coordinator of groups, as it is now.
pub trait Surroundings: core::fmt::Debug {
    fn topic(&self, name: &str) -> Option<Topic>;

    fn name_of(&self, id: TopicId) -> Option<&str>;

    /// In order.
    fn names(&self) -> Vec<&str>;

    /// Grows with each change of a topic.
    fn version(&self) -> u64;

    /// Of a group: what is set for it, and for the broker.
    fn settings(&self, group: &str) -> GroupSettings;
}

/// The broker's own topics: clients may read them and may not write, create or delete them, and no regular expression means them.
pub fn is_internal(name: &str) -> bool {
    ["__cluster_metadata", OFFSETS_TOPIC, "__transaction_state", "__share_group_state"].contains(&name)
}
