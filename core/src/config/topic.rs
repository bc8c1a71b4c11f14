//! What a topic is set to, as values. Knows Kafka's names only in its comments; texts are read elsewhere.

pub use crate::batch::TimestampType;
use crate::limits::INDEX_INTERVAL_BYTES;
use crate::time::Duration;

/// Settings of a topic under Kafka's names, with Kafka's defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicConfig {
    /// `segment.bytes`
    pub segment_bytes: u32,
    /// `segment.ms`
    pub segment_age_max: Duration,
    /// `segment.jitter.ms`
    pub segment_jitter: Duration,
    /// `index.interval.bytes`
    pub index_interval_bytes: u32,
    /// `cleanup.policy`
    pub cleanup: Cleanup,
    /// `retention.ms`; `None` keeps for ever.
    pub retention: Option<Duration>,
    /// `retention.bytes` per partition; `None` is without bound.
    pub retention_bytes: Option<u64>,
    /// `delete.retention.ms`
    pub delete_retention: Duration,
    /// `min.compaction.lag.ms`
    pub compaction_lag_min: Duration,
    /// `max.compaction.lag.ms`; `None` is without bound.
    pub compaction_lag_max: Option<Duration>,
    /// `min.cleanable.dirty.ratio`, in millionths.
    pub dirty_ratio_min_ppm: u32,
    /// `max.message.bytes`
    pub batch_bytes_max: u32,
    /// `min.insync.replicas`
    pub min_insync_replicas: u16,
    /// `message.timestamp.type`
    pub timestamp: TimestampType,
    /// `message.timestamp.before.max.ms`
    pub timestamp_before_max: Duration,
    /// `message.timestamp.after.max.ms`
    pub timestamp_after_max: Duration,
    /// `compression.type` with the level of its codec
    pub compression: Compression,
    /// `batch.validation`
    pub validation: BatchValidation,
}

/// What happens to old data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cleanup {
    /// Nothing: it stays.
    Neither,
    Delete,
    Compact,
    CompactAndDelete,
}

impl Cleanup {
    /// Whether age and size delete segments.
    pub const fn deletes(self) -> bool {
        matches!(self, Self::Delete | Self::CompactAndDelete)
    }

    /// Whether the last value of each key is what has to stay.
    pub const fn compacts(self) -> bool {
        matches!(self, Self::Compact | Self::CompactAndDelete)
    }
}

/// How batches are compressed on disk; levels mean what their codec's libraries mean by them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// As the producer did it.
    Producer,
    Uncompressed,
    Gzip {
        level: i32,
    },
    Snappy,
    Lz4 {
        level: i32,
    },
    Zstd {
        level: i32,
    },
}

/// How much of a batch is looked at before it is appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchValidation {
    /// Every record.
    Full,
    /// The header and the checksum.
    Crc,
}

impl Default for TopicConfig {
    fn default() -> Self {
        const WEEK: Duration = Duration::from_secs(7 * 86_400);
        Self {
            segment_bytes: 1 << 30,
            segment_age_max: WEEK,
            segment_jitter: Duration::ZERO,
            index_interval_bytes: INDEX_INTERVAL_BYTES,
            cleanup: Cleanup::Delete,
            retention: Some(WEEK),
            retention_bytes: None,
            delete_retention: Duration::from_secs(86_400),
            compaction_lag_min: Duration::ZERO,
            compaction_lag_max: None,
            dirty_ratio_min_ppm: 500_000,
            batch_bytes_max: 1_048_588,
            min_insync_replicas: 1,
            timestamp: TimestampType::CreateTime,
            timestamp_before_max: Duration::from_millis(u64::MAX),
            timestamp_after_max: Duration::from_secs(3_600),
            compression: Compression::Producer,
            validation: BatchValidation::Full,
        }
    }
}
