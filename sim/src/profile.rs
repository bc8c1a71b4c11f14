//! What kinds of runs there are: each profile leans on another part of the system. Draws nothing itself.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Where a run leans.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// Seconds of virtual time; for every commit.
    Smoke,
    /// Some of everything, for longer.
    #[default]
    Default,
    /// Many faults of the disk, a small WAL, few clients.
    Disk,
    /// Power cuts and crashes at bad moments; short lives.
    Power,
    /// Many clients and large batches against small limits, and few faults.
    Load,
    /// Three nodes through up to an hour with a request now and then: what only time brings, and how fast time can pass.
    Calm,
    /// Keyed records and tombstones in compacted topics, small segments, faults of every kind.
    Compact,
    /// One node through up to two days, whose topics and settings a steward looks after: retention, offsets by time.
    Days,
    /// Members of groups of both protocols, which come, commit, crash and pause, with short sessions and faults of every kind.
    Groups,
}

/// What the topics of a run are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TopicKind {
    Kept,
    Compacted,
}

/// Whether there is somebody who administers topics of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stewards {
    None,
    OneEach,
}

/// What a profile says about what is drawn.
#[derive(Debug, Clone)]
pub(crate) struct Tuning {
    /// Until the faults end, at most.
    pub(crate) span_micros_max: u64,
    /// At least and at most, of each node.
    pub(crate) producers: (u64, u64),
    pub(crate) consumers: (u64, u64),
    pub(crate) batches_max: u64,
    pub(crate) records_max: [u64; 3],
    /// Of a producer's batch.
    pub(crate) batch_bytes: [usize; 3],
    /// Of most values, at most.
    pub(crate) value_bytes_max: u64,
    pub(crate) pause_micros_max: u64,
    pub(crate) memory_bytes: [usize; 2],
    /// Of the size of a WAL file.
    pub(crate) wal_doublings_max: u64,
    /// How long an empty fetch waits; one is picked.
    pub(crate) wait_millis: [u64; 3],
    /// How many there are; one is picked.
    pub(crate) nodes: &'static [usize],
    /// How many times as long clients rest between requests, and nodes between looks at retention.
    pub(crate) rest_factor: u64,
    pub(crate) topics: TopicKind,
    pub(crate) stewards: Stewards,
    /// Groups of each node at most, and members of each.
    pub(crate) groups_max: u64,
    pub(crate) members: (u64, u64),
}

impl Profile {
    pub const ALL: [Self; 9] = [
        Self::Smoke,
        Self::Default,
        Self::Disk,
        Self::Power,
        Self::Load,
        Self::Calm,
        Self::Compact,
        Self::Days,
        Self::Groups,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Smoke => "smoke",
            Self::Default => "default",
            Self::Disk => "disk",
            Self::Power => "power",
            Self::Load => "load",
            Self::Calm => "calm",
            Self::Compact => "compact",
            Self::Days => "days",
            Self::Groups => "groups",
        }
    }

    pub(crate) fn tuning(self) -> Tuning {
        let smoke = smoke();
        match self {
            Self::Smoke => smoke,
            Self::Default => Tuning { span_micros_max: 12_000_000, batches_max: 800, ..smoke },
            Self::Disk => Tuning {
                span_micros_max: 10_000_000,
                producers: (1, 2),
                consumers: (0, 1),
                batches_max: 800,
                wal_doublings_max: 0,
                ..smoke
            },
            Self::Power => {
                Tuning { span_micros_max: 8_000_000, batches_max: 500, wal_doublings_max: 1, ..smoke }
            }
            Self::Load => Tuning {
                span_micros_max: 3_000_000,
                producers: (3, 6),
                consumers: (2, 4),
                batches_max: 300,
                records_max: [20, 100, 300],
                batch_bytes: [1_000, 16 << 10, 256 << 10],
                value_bytes_max: 16_000,
                pause_micros_max: 3_000,
                memory_bytes: [1 << 20, 16 << 20],
                wal_doublings_max: 2,
                ..smoke
            },
            Self::Compact => Tuning {
                span_micros_max: 8_000_000,
                consumers: (1, 3),
                batches_max: 800,
                value_bytes_max: 300,
                topics: TopicKind::Compacted,
                ..smoke
            },
            Self::Calm => Tuning {
                span_micros_max: 3_600_000_000,
                producers: (1, 2),
                consumers: (0, 1),
                batches_max: 300,
                wait_millis: [500, 500, 500],
                nodes: &[3],
                rest_factor: 100,
                ..smoke
            },
            Self::Days => Tuning {
                span_micros_max: 172_800_000_000,
                producers: (1, 1),
                consumers: (0, 0),
                wait_millis: [500, 500, 500],
                nodes: &[1],
                rest_factor: 4_000,
                stewards: Stewards::OneEach,
                ..smoke
            },
            Self::Groups => Tuning {
                span_micros_max: 8_000_000,
                producers: (1, 2),
                consumers: (0, 1),
                pause_micros_max: 100_000,
                nodes: &[1, 1, 1, 1, 2],
                groups_max: 2,
                members: (2, 5),
                ..smoke
            },
        }
    }
}

fn smoke() -> Tuning {
    Tuning {
        span_micros_max: 3_000_000,
        producers: (1, 4),
        consumers: (0, 3),
        batches_max: 200,
        records_max: [1, 5, 50],
        batch_bytes: [100, 1_000, 16 << 10],
        value_bytes_max: 2_000,
        pause_micros_max: 20_000,
        memory_bytes: [16 << 20, 64 << 20],
        wal_doublings_max: 3,
        wait_millis: [10, 50, 500],
        nodes: &[1, 1, 1, 1, 1, 1, 1, 2, 2, 3],
        rest_factor: 1,
        topics: TopicKind::Kept,
        stewards: Stewards::None,
        groups_max: 0,
        members: (0, 0),
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Profile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let named = Self::ALL.into_iter().find(|profile| profile.name() == text);
        named.ok_or_else(|| format!("`{text}` is no profile: {}", Self::ALL.map(Self::name).join(", ")))
    }
}
