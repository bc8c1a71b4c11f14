//! One shard: the turn that takes inputs to effects. One per core, single-threaded.

use alloc::collections::VecDeque;
use alloc::sync::Arc;

use super::{Config, Effect, Event, Halt, Input};
use crate::id::ShardId;
use crate::time::{Instant, Now};

/// Why a shard wants to be polled at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// A fetch has waited long enough.
    Fetch,
    /// The WAL was silent long enough for a seal.
    Seal,
    /// Data was in the WAL alone long enough.
    Destage,
    /// Segments may have passed their retention or age.
    Retention,
    /// A frame was incomplete long enough.
    Dripping,
    /// A full disk may have room again.
    Full,
    /// A produce was not acknowledged in its time.
    Produce,
    /// Memory may be there for a connection that waits for it.
    Memory,
}

/// A shard of a node.
///
/// The contract between a shard and its driver:
/// 1. `now` comes in with every call; `now.mono` never goes back. The core reads no clock, no entropy, no environment.
/// 2. An effect has no precondition: to carry it out at once is always right. Only the sends of one connection and the messages
///    between one pair of shards are kept in order by the driver.
/// 3. Each disk effect gets exactly one completion, in any order, failures included.
/// 4. `handle` any number of times, then `poll` to `None` (or until the driver is full) before sleeping; sleep no longer than
///    until `deadline`.
/// 5. All memory comes from pools and tables bounded in [`crate::limits`]. Full is back-pressure, never an error, never an abort.
/// 6. The same config, seed and inputs give the same effects, byte for byte.
#[derive(Debug)]
pub struct Shard {
    id: ShardId,
    effects: VecDeque<Effect>,
}

impl Shard {
    pub(crate) fn new(_config: Arc<Config>, id: ShardId, _seed: u64, _now: Now) -> Self {
        Self { id, effects: VecDeque::new() }
    }

    pub fn id(&self) -> ShardId {
        self.id
    }

    /// Takes one fact. Cheap: it is noted, and what it touches is marked for a turn.
    pub fn handle(&mut self, _now: Now, input: Input) {
        if matches!(input, Input::Stop) {
            self.effects.push_back(Effect::Halt(Halt::Stopped));
        }
    }

    /// One effect; runs turns of what is marked until there is one or all is done.
    pub fn poll(&mut self, _now: Now) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// When to poll again without an input, and why.
    pub fn deadline(&self) -> Option<(Instant, Timer)> {
        None
    }

    /// What happened, for those who watch.
    pub fn poll_event(&mut self) -> Option<Event> {
        None
    }

    /// Panics where the state contradicts itself. The simulator calls it after every turn.
    pub fn invariants(&self) {}
}
