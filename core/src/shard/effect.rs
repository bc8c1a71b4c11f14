//! All that a shard may ask of the world.

use alloc::vec::Vec;

use crate::buf::{PageMut, Slice};
use crate::id::{ConnId, FileId, Offset, OpId, ShardId};
use crate::shard::message::ShardMessage;

/// One order to the driver. It has no precondition: to carry it out at once is always right. Only the sends of one connection
/// and the messages between one pair of shards keep their order; where any other order matters, the core waits for the
/// completion first.
#[derive(Debug)]
pub enum Effect {
    /// Read once from the connection, into `into` from byte `at` on. At most one is outstanding per connection.
    Recv { conn: ConnId, into: PageMut, at: u32 },
    /// Write all parts, in order, as one. Answered by `Sent`, or by `Closed`.
    Send { conn: ConnId, parts: Vec<Slice> },
    /// End the connection after the sends before it. Answered by `Closed`.
    Close { conn: ConnId, reason: CloseReason },
    /// Write the parts one after the other from byte `at` on.
    Write { op: OpId, file: FileId, at: u64, parts: Vec<Slice>, durability: Durability },
    /// Make durable all writes of this file that had completed when this effect was issued (fdatasync).
    Sync { op: OpId, file: FileId },
    /// Read up to the length of `into` from byte `at` on.
    Read { op: OpId, file: FileId, at: u64, into: PageMut },
    /// Change what files there are. When it is done, it is durable.
    File { op: OpId, file: FileId, change: FileChange },
    /// Deliver a message to another shard of this node.
    Shard { to: ShardId, message: ShardMessage },
    /// Stop driving this shard. The last effect.
    Halt(Halt),
}

/// Whether a write is durable when it completes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// No: a later `Sync` makes it so.
    Cached,
    /// Yes, as by O_DIRECT with RWF_DSYNC. `at` and the sum of the parts are multiples of a block, and every part begins at an
    /// aligned address and has a length that is a multiple of a block.
    Durable,
}

/// A change of the set of files. Each is durable when it completes, directory entries included, and after a crash before its
/// completion it has happened or it has not.
#[derive(Debug)]
pub enum FileChange {
    /// Create the file with `len` zero bytes, written, not just reserved. A file that exists is replaced.
    Create { len: u64 },
    /// Cut the file to `len` bytes.
    Truncate { len: u64 },
    /// Give the file another name; the content stays. For recycling of WAL files.
    Rename { to: FileId },
    /// Make `bytes` the whole content of the file, at once: a temporary file, fsync, rename, fsync of the directory.
    Replace { bytes: Slice },
    /// Remove the file. One that does not exist is removed already.
    Delete,
}

/// Why the core ends a connection; for the log and the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CloseReason {
    /// A frame with a length outside `0..=REQUEST_BYTES_MAX`.
    FrameLength,
    /// The frame's body is not what its key and version say.
    Malformed,
    /// A key or version that this broker does not serve, as Kafka answers it.
    Unsupported,
    /// A produce with acks=0 failed, as Kafka answers it.
    UnacknowledgedFailure,
    /// More connections than the limit.
    TooMany,
    /// A frame stayed incomplete for too long.
    Dripping,
    /// It took nothing of its answers while they held memory that was short.
    SlowReader,
    /// The node stops.
    Stopping,
}

/// Why a shard ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Halt {
    /// It was asked to, and all that was accepted is on disk.
    Stopped,
    /// A write or a sync failed: what is on disk is unknown, and only a restart may find out. Never retried.
    DiskFailed { file: FileId, error: DiskErrorAt },
    /// The superblock cannot be read or names another cluster, node or format.
    ForeignDirectory,
    /// The metadata log cannot be read at this offset: without it no partition can be served.
    MetadataUnreadable { at: Offset },
}

/// The operation that a disk refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskErrorAt {
    pub error: super::DiskError,
    pub during: DiskStep,
}

/// What was being done to the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskStep {
    Write,
    Sync,
    Read,
    Create,
    Change,
}
