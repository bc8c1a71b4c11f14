//! What a node is told before it starts. Read once; the file formats that it comes from are the node's business.

mod loggers;
pub mod registry;
mod topic;

use alloc::collections::BTreeMap;
use alloc::string::String;

pub use self::loggers::{LOGGER_ROOT, LOGGERS, LogLevel};
pub use self::topic::{BatchValidation, Cleanup, Compression, TimestampType, TopicConfig};
use crate::id::{NodeId, Uuid};
use crate::limits::{DESTAGE_BYTES_MAX, DESTAGE_WRITE_BYTES_MAX, WAL_BESIDE_BYTES_MIN};
use crate::time::Duration;

/// The configuration of a node, the same for all its shards.
#[derive(Debug, Clone)]
pub struct Config {
    pub node: NodeId,
    /// The cluster that the data directory must belong to; `None` takes the one that it has.
    pub cluster: Option<Uuid>,
    /// Shards of this node; at least one.
    pub shards: u16,
    /// The address that Metadata answers with; `None` means the one that the client dialled.
    pub advertised: Option<(String, u16)>,
    /// What a topic is before anything is set for it or for the broker.
    pub topic_defaults: TopicConfig,
    /// What was set for the broker before it started, under Kafka's names. Holds after what is set while it runs.
    pub statics: BTreeMap<String, String>,
    /// How much loggers say at first: those that do not follow the root, whose level is `Info` if it is not said.
    pub log_levels: BTreeMap<&'static str, LogLevel>,
    /// The directory that the data lies in, as clients are told (`log.dir`).
    pub log_dir: String,
    /// Partitions of a topic that does not say (`num.partitions`).
    pub partitions_default: i32,
    /// Whether Metadata may create topics (`auto.create.topics.enable`).
    pub auto_create_topics: bool,
    /// Bytes of pages that a shard may hold: requests, WAL groups, tail cache, reads.
    pub memory_bytes: usize,
    /// How often segments are looked at for age and retention (`log.retention.check.interval.ms`).
    pub retention_check_interval: Duration,
    pub wal: WalConfig,
}

/// Sizes of the write-ahead log of a shard.
#[derive(Debug, Clone)]
pub struct WalConfig {
    /// The first file is this long, so that a new node starts at once; each next one doubles up to `file_bytes_max`.
    pub file_bytes_min: u64,
    pub file_bytes_max: u64,
    /// Bytes of all files of a stream. At half of them what holds it up is hurried, at three quarters produce waits.
    pub bytes_max: u64,
    /// A run that goes to a segment without hurry is no longer than this, and as long as this while memory allows.
    pub run_bytes_max: u64,
    /// ... and goes there in pieces of at most this many bytes (whole blocks), one after the other.
    pub write_bytes_max: usize,
    /// A group of at least so many bytes is written while the one before it is being written. A shorter one waits.
    pub beside_bytes_min: usize,
    /// Unsealed data is destaged at the latest after this long.
    pub destage_interval: Duration,
    /// Silence after a group that makes the shard write a `Seal` frame.
    pub seal_after: Duration,
}

impl Default for WalConfig {
    fn default() -> Self {
        Self {
            file_bytes_min: 4 << 20,
            file_bytes_max: 64 << 20,
            bytes_max: 1 << 30,
            run_bytes_max: DESTAGE_BYTES_MAX,
            write_bytes_max: DESTAGE_WRITE_BYTES_MAX,
            beside_bytes_min: WAL_BESIDE_BYTES_MIN,
            destage_interval: Duration::from_secs(5),
            seal_after: Duration::from_millis(10),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            node: NodeId(1),
            cluster: None,
            shards: 1,
            advertised: None,
            topic_defaults: TopicConfig::default(),
            statics: BTreeMap::new(),
            log_levels: BTreeMap::new(),
            log_dir: String::new(),
            partitions_default: 1,
            auto_create_topics: true,
            memory_bytes: 512 << 20,
            retention_check_interval: Duration::from_secs(300),
            wal: WalConfig::default(),
        }
    }
}
