//! The boundary of the core: what comes in, what goes out, and the turn between.

pub mod boot;
mod connection;
mod coordinators;
pub mod effect;
pub mod event;
mod home;
pub mod input;
pub mod message;
mod owner;
pub mod placement;
pub mod report;
mod seat;
#[expect(clippy::module_inception, reason = "the file of the type that gives the module its name")]
pub mod shard;
pub mod view;

pub use crate::api::FileSystem;
pub use crate::config::{
    self, BatchValidation, Cleanup, Compression, Config, TimestampType, TopicConfig, WalConfig,
};
pub use boot::{Boot, Progress, fuzz_recovery_points};
pub use connection::fuzz as fuzz_connection;
pub use effect::{CloseReason, DiskErrorAt, DiskStep, Durability, Effect, FileChange, Halt};
pub use event::{Event, Mark, Sequenced};
pub use input::{DiskError, FileMeta, Input, Outcome};
pub use message::ShardMessage;
pub use report::{PartitionReport, PoolReport, RetentionReport, ShardReport};
pub use shard::{Shard, Timer};
pub use view::{CoordinatorView, PartitionView, Usage};
