//! A node before its shards run: reads the data directory back, then hands each shard its part. Lives on one thread.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{Config, Effect, Event, FileMeta, Input, Shard};
use crate::id::ShardId;
use crate::time::{Instant, Now};

/// Recovery of a node as a state machine of its own, driven as a [`Shard`] is, with disk inputs and effects only.
#[derive(Debug)]
pub struct Boot {
    config: Arc<Config>,
    seed: u64,
}

impl Boot {
    /// `files` is what stands in the data directory; an empty one is formatted. `seed` makes ids and nothing else.
    pub fn new(config: Arc<Config>, seed: u64, files: Vec<FileMeta>, _now: Now) -> Self {
        drop(files);
        Self { config, seed }
    }

    pub fn handle(&mut self, _now: Now, _input: Input) {}

    /// The next effect. `None` while [`Self::is_done`] is false means: wait for a completion.
    pub fn poll(&mut self, _now: Now) -> Option<Effect> {
        None
    }

    pub fn poll_event(&mut self) -> Option<Event> {
        None
    }

    /// Whether all is read back and the shards can start. Never after an [`Effect::Halt`].
    pub fn is_done(&self) -> bool {
        true
    }

    /// The shards of this node, in the order of their ids.
    pub fn into_shards(self, now: Now) -> Vec<Shard> {
        (0..self.config.shards)
            .map(|id| Shard::new(Arc::clone(&self.config), ShardId(id), self.seed, now))
            .collect()
    }

    /// When to call [`Self::poll`] again without an input; boot has no timers.
    pub fn deadline(&self) -> Option<Instant> {
        None
    }
}
