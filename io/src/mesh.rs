//! The mesh between the shards of a node as a driver sees it. Knows nothing of what is said.

#[cfg(feature = "production")]
mod rings;

use highwater_core::id::ShardId;
use highwater_core::shard::ShardMessage;

#[cfg(feature = "production")]
pub use rings::{Node, OVERFLOW_MESSAGES_MAX, RING_MESSAGES_MAX, mesh};

/// What a driver needs of a mesh.
pub trait Mesh {
    fn send(&mut self, to: ShardId, message: ShardMessage);
    fn receive(&mut self) -> Option<(ShardId, ShardMessage)>;
    fn has_message(&self) -> bool;
    /// Ends a turn: what was sent is visible, and who sleeps is woken.
    fn flush(&mut self);
    /// Whether so much waits that the machine must not be polled.
    fn is_full(&self) -> bool;
    /// How often to look before parking.
    fn spins(&self) -> u32;
    /// From now on a message rings the bell; false if one is there already.
    fn park(&mut self) -> bool;
    fn unpark(&mut self);
}

/// The mesh of a machine that has no peers.
#[derive(Debug)]
pub struct NoMesh;

impl Mesh for NoMesh {
    fn send(&mut self, _to: ShardId, _message: ShardMessage) {
        panic!("a machine without peers sends no messages");
    }

    fn receive(&mut self) -> Option<(ShardId, ShardMessage)> {
        None
    }

    fn has_message(&self) -> bool {
        false
    }

    fn flush(&mut self) {}

    fn is_full(&self) -> bool {
        false
    }

    fn spins(&self) -> u32 {
        0
    }

    fn park(&mut self) -> bool {
        true
    }

    fn unpark(&mut self) {}
}
