//! What shards of one node tell each other over the mesh. Opaque to the driver.
//!
//! The home of a connection asks (`Call`, `Control`), the owner of a partition answers. The same messages serve where home and
//! owner are one shard. Messages from one shard to another arrive in the order in which they were sent: two
//! produces of one connection to one partition keep their order by it.

use alloc::boxed::Box;
use alloc::sync::Arc;

use crate::controller::{Command, ControllerReply, Image};
use crate::group::command::{GroupCommand, GroupReply};
use crate::id::{PartitionId, StreamId};
use crate::replica::{PartitionOp, PartitionReply};

/// A part of a request in work, named by its home. It says nothing to the owner but whom to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId {
    /// Slot and generation of the request.
    pub slot: u32,
    pub generation: u32,
    /// The part within the request.
    pub part: u32,
}

/// A message between two shards.
#[derive(Debug)]
pub enum ShardMessage {
    /// Ask a partition. `image_version` is what the home knew: an owner that knows less waits until it knows as much.
    Call { call: CallId, image_version: u64, op: PartitionOp },
    /// The one answer to a `Call`.
    Reply { call: CallId, reply: PartitionReply },
    /// A call whose last read said `watched`: there is more to read now, or an error. The watch is gone.
    Woken { call: CallId },
    /// Forget the watch of this call, if there is one. No answer.
    Unwatch { call: CallId },
    /// Ask the controller, on shard 0.
    Control { call: CallId, command: Command },
    /// The one answer to a `Control`, sent after its records are committed and after the `Image` that shows them.
    ControlReply { call: CallId, reply: ControllerReply },
    /// Ask the coordinator that has its records in this partition. `image_version` as with `Call`.
    Coordinate { call: CallId, image_version: u64, partition: PartitionId, command: Box<GroupCommand> },
    /// The one answer to a `Coordinate`.
    Coordinated { call: CallId, reply: Box<GroupReply> },
    /// What is committed of the cluster's metadata, from shard 0 to all.
    Image(Arc<Image>),
    /// To shard 0: the sender holds nothing of this WAL stream of an earlier life any more.
    StreamReleased { stream: StreamId },
}
