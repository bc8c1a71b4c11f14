//! All that may happen to a shard.

use core::net::SocketAddr;

use crate::api::FileSystem;
use crate::buf::PageMut;
use crate::config::LogLevel;
use crate::id::{ConnId, FileId, OpId, ShardId};
use crate::shard::message::ShardMessage;

/// One fact for the core. Closed: a driver can tell a shard nothing else.
#[derive(Debug)]
pub enum Input {
    /// A client connected. `local` is the address that it dialled.
    Accepted { conn: ConnId, local: SocketAddr, peer: SocketAddr },
    /// Answers one [`Effect::Recv`](super::Effect::Recv): `len` new bytes stand in `page` from the effect's `at` on. `len` is never
    /// zero: an end of stream is `Closed`.
    Received { conn: ConnId, page: PageMut, len: u32 },
    /// One [`Effect::Send`](super::Effect::Send) of this connection is with the kernel, in order.
    Sent { conn: ConnId },
    /// The connection is gone, whoever ended it. The last input with this id; a page lent to `Recv` comes back in `page`.
    Closed { conn: ConnId, page: Option<PageMut> },
    /// Answers one disk effect.
    Disk { op: OpId, outcome: Outcome },
    /// A message of another shard, in the order in which that shard sent it.
    Shard { from: ShardId, message: ShardMessage },
    /// Time has moved, nothing else.
    Tick,
    /// What the file system of the data directory is like now. May come at any time, or never.
    FileSystem(FileSystem),
    /// Those who run the node want a logger to say more or less; without a level it follows the root, which always has one. To shard 0.
    LogLevel { logger: &'static str, level: Option<LogLevel> },
    /// The node shall end in order: finish what is on its way to disk, then [`Effect::Halt`](super::Effect::Halt).
    Stop,
}

/// How a disk operation ended.
#[derive(Debug)]
pub enum Outcome {
    /// All of it is done, with the durability that was asked for.
    Done,
    /// A read ended: `len` bytes stand at the start of `page`, fewer than asked only at the end of the file.
    Read { page: PageMut, len: u32 },
    /// It failed; how much of it happened is unknown. A page lent to a read comes back.
    Failed { error: DiskError, page: Option<PageMut> },
}

/// Why a disk operation failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskError {
    /// EIO and everything without a better name.
    Io,
    /// ENOSPC or EDQUOT.
    Full,
    /// EROFS, EACCES, EPERM.
    ReadOnly,
    /// The file does not exist.
    NotFound,
}

/// One file that stands in the data directory when a node starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileMeta {
    pub file: FileId,
    /// Bytes of the file.
    pub len: u64,
}
