//! What the world shows of a running node beside the facts: copies of its state, taken now and then.

use highwater_core::shard::{CoordinatorView, PartitionView, Usage};

/// One look into one shard.
#[derive(Debug, Clone)]
pub struct Look {
    pub node: usize,
    pub shards: usize,
    pub shard: u16,
    pub partitions: Vec<PartitionView>,
    pub coordinators: Vec<CoordinatorView>,
    pub usage: Usage,
    pub when: When,
}

/// What may be expected of what a shard holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    AtWork,
    /// Perhaps amid a turn: what is on its way from one part of the shard to another counts nowhere.
    Dying,
    /// All clients have left and all is destaged: nothing is wanted of it any more.
    Quiet,
}
