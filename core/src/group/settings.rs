//! The settings that a group lives by, resolved from what is set for it and for the broker. Reads none of them itself.

use alloc::string::String;
use alloc::sync::Arc;

use crate::time::Duration;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupSettings {
    /// `group.min.session.timeout.ms` and `group.max.session.timeout.ms`.
    pub session_timeout: (Duration, Duration),
    /// `group.initial.rebalance.delay.ms`
    pub initial_rebalance_delay: Duration,
    /// `group.max.size`
    pub size_max: usize,
    /// `offset.metadata.max.bytes`
    pub metadata_bytes_max: usize,
    /// `offsets.retention.minutes`
    pub offsets_retention: Duration,
    /// `offsets.retention.check.interval.ms`
    pub offsets_check_interval: Duration,
    pub consumer: ConsumerSettings,
}

/// Of the consumer protocol (KIP-848).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerSettings {
    /// `consumer.session.timeout.ms`
    pub session_timeout: Duration,
    /// `consumer.heartbeat.interval.ms`
    pub heartbeat_interval: Duration,
    /// `consumer.assignment.interval.ms`
    pub assignment_interval: Duration,
    /// `group.consumer.max.size`
    pub size_max: usize,
    /// `group.consumer.assignors`, the default first.
    pub assignors: Arc<[String]>,
    pub migration: Migration,
}

/// `group.consumer.migration.policy`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Migration {
    Disabled,
    Upgrade,
    Downgrade,
    Bidirectional,
}

impl Migration {
    pub fn upgrades(self) -> bool {
        matches!(self, Self::Upgrade | Self::Bidirectional)
    }

    pub fn downgrades(self) -> bool {
        matches!(self, Self::Downgrade | Self::Bidirectional)
    }
}

impl Default for GroupSettings {
    fn default() -> Self {
        Self {
            session_timeout: (Duration::from_secs(6), Duration::from_secs(1_800)),
            initial_rebalance_delay: Duration::from_secs(3),
            size_max: usize::MAX,
            metadata_bytes_max: 4_096,
            offsets_retention: Duration::from_secs(7 * 24 * 3_600),
            offsets_check_interval: Duration::from_secs(600),
            consumer: ConsumerSettings::default(),
        }
    }
}

impl Default for ConsumerSettings {
    fn default() -> Self {
        Self {
            session_timeout: Duration::from_secs(45),
            heartbeat_interval: Duration::from_secs(5),
            assignment_interval: Duration::from_secs(1),
            size_max: usize::MAX,
            assignors: Arc::from(["uniform", "range"].map(String::from)),
            migration: Migration::Bidirectional,
        }
    }
}
