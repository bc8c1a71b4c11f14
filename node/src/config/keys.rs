//! The table of settings: name, aliases, meaning, and how a value is read. Owns the allowed ranges.

use std::path::PathBuf;

use highwater_core::id::{NodeId, Uuid};
use highwater_core::limits::{BATCH_BYTES_MAX, BLOCK_BYTES, PAGE_BYTES_MAX};
use highwater_core::shard::TimestampType;
use highwater_core::time::Duration;

use super::{HostPort, IoDriver, Settings};

/// Shards of one node. More than any machine of today has cores.
pub(super) const SHARDS_MAX: u16 = 256;

const PARTITIONS_MAX: i32 = 100_000;
const MEBIBYTE: u64 = 1 << 20;
const WAL_BYTES_MAX: u64 = 1 << 40;

/// One setting.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) aliases: &'static [&'static str],
    pub(super) meaning: &'static str,
    /// Reads a value into the settings, or says what it expects.
    pub(super) set: fn(&mut Settings, &str) -> Result<(), Expected>,
}

/// What a key expects instead of the value that it was given.
pub(super) type Expected = String;

impl Key {
    pub(super) fn named(name: &str) -> Option<&'static Self> {
        KEYS.iter().find(|key| key.name == name || key.aliases.contains(&name))
    }
}

/// Coarse units stand before fine ones: the later one wins.
pub(super) static KEYS: &[Key] = &[
    Key {
        name: "node.id",
        aliases: &["broker.id"],
        meaning: "the number of this node in its cluster",
        set: |s, text| whole(text, 0..=i32::MAX).map(|id| s.core.node = NodeId(id)),
    },
    Key {
        name: "cluster.id",
        aliases: &[],
        meaning: "the cluster that the data directory must belong to; unset takes the one that it has",
        set: |s, text| match Uuid::parse(text) {
            Some(id) => {
                s.core.cluster = Some(id);
                Ok(())
            }
            None => Err("an id of 22 characters, such as MkU3OEVBNTcwNTJENDM2Qg".into()),
        },
    },
    Key {
        name: "listeners",
        aliases: &[],
        meaning: "the address that Kafka clients connect to; port 0 picks a free one",
        set: |s, text| listener(text).map(|listen| s.listen = listen),
    },
    Key {
        name: "advertised.listeners",
        aliases: &[],
        meaning: "the address that clients are told to use; unset means the one that they dialled",
        set: |s, text| {
            let at = listener(text)?;
            if at.port == 0 || at.host == "0.0.0.0" || at.host == "::" {
                return Err(
                    "an address that clients can dial, such as PLAINTEXT://broker.example:9092".into()
                );
            }
            s.core.advertised = Some((at.host, at.port));
            Ok(())
        },
    },
    Key {
        name: "http.listen",
        aliases: &[],
        meaning: "the address of /metrics, /livez and /readyz",
        set: |s, text| host_port(text).map(|http| s.http = http),
    },
    Key {
        name: "log.dirs",
        aliases: &["log.dir"],
        meaning: "the directory of all data",
        set: |s, text| {
            if text.is_empty() || text.contains(',') {
                return Err("one directory: all shards of a node share it".into());
            }
            s.data_dir = PathBuf::from(text);
            Ok(())
        },
    },
    Key {
        name: "shards",
        aliases: &[],
        meaning: "shards of this node, each with a thread of its own",
        set: |s, text| whole(text, 1..=SHARDS_MAX).map(|shards| s.core.shards = shards),
    },
    Key {
        name: "io",
        aliases: &[],
        meaning: "how to talk to the kernel",
        set: |s, text| {
            s.io = match text {
                "auto" => IoDriver::Auto,
                "uring" => IoDriver::Uring,
                "epoll" => IoDriver::Epoll,
                _ => return Err("auto, uring or epoll".into()),
            };
            Ok(())
        },
    },
    Key {
        name: "num.partitions",
        aliases: &[],
        meaning: "partitions of a topic that does not say how many",
        set: |s, text| whole(text, 1..=PARTITIONS_MAX).map(|count| s.core.partitions_default = count),
    },
    Key {
        name: "auto.create.topics.enable",
        aliases: &[],
        meaning: "whether a topic that a client asks for is created",
        set: |s, text| {
            s.core.auto_create_topics = match text {
                "true" => true,
                "false" => false,
                _ => return Err("true or false".into()),
            };
            Ok(())
        },
    },
    Key {
        name: "min.insync.replicas",
        aliases: &[],
        meaning: "replicas that must hold a record before acks=all is answered",
        set: |s, text| whole(text, 1..=64).map(|n| s.core.topic_defaults.min_insync_replicas = n),
    },
    Key {
        name: "message.max.bytes",
        aliases: &["max.message.bytes"],
        meaning: "the largest record batch, as compressed by the producer",
        set: |s, text| {
            let max = u32::try_from(BATCH_BYTES_MAX).expect("the largest batch is far below 4 GiB");
            whole(text, 1..=max).map(|bytes| s.core.topic_defaults.batch_bytes_max = bytes)
        },
    },
    Key {
        name: "log.message.timestamp.type",
        aliases: &["message.timestamp.type"],
        meaning: "whose clock stamps a record",
        set: |s, text| {
            s.core.topic_defaults.timestamp = match text {
                "CreateTime" => TimestampType::CreateTime,
                "LogAppendTime" => TimestampType::LogAppendTime,
                _ => return Err("CreateTime or LogAppendTime".into()),
            };
            Ok(())
        },
    },
    Key {
        name: "log.segment.bytes",
        aliases: &["segment.bytes"],
        meaning: "the size at which a segment is closed and the next begun",
        set: |s, text| {
            whole(text, 1 << 20..=0x7fff_ffff).map(|bytes| s.core.topic_defaults.segment_bytes = bytes)
        },
    },
    Key {
        name: "log.roll.hours",
        aliases: &[],
        meaning: "the age at which a segment is closed and the next begun",
        set: |s, text| roll(s, text, 3_600_000),
    },
    Key {
        name: "log.roll.ms",
        aliases: &["segment.ms"],
        meaning: "the age at which a segment is closed and the next begun",
        set: |s, text| roll(s, text, 1),
    },
    Key {
        name: "log.retention.hours",
        aliases: &[],
        meaning: "how long records are kept; -1 is for ever",
        set: |s, text| retention(s, text, 3_600_000),
    },
    Key {
        name: "log.retention.minutes",
        aliases: &[],
        meaning: "how long records are kept; -1 is for ever",
        set: |s, text| retention(s, text, 60_000),
    },
    Key {
        name: "log.retention.ms",
        aliases: &["retention.ms"],
        meaning: "how long records are kept; -1 is for ever",
        set: |s, text| retention(s, text, 1),
    },
    Key {
        name: "log.retention.bytes",
        aliases: &["retention.bytes"],
        meaning: "bytes of a partition that are kept; -1 is without bound",
        set: |s, text| {
            whole(text, -1..=i64::MAX)
                .map(|bytes| s.core.topic_defaults.retention_bytes = u64::try_from(bytes).ok())
        },
    },
    Key {
        name: "log.retention.check.interval.ms",
        aliases: &[],
        meaning: "how often segments are looked at for their age and size",
        set: |s, text| millis(text, 1..=86_400_000).map(|time| s.core.retention_check_interval = time),
    },
    Key {
        name: "memory.bytes",
        aliases: &[],
        meaning: "memory of each shard for requests, groups on their way to disk, and reads",
        set: |s, text| whole(text, PAGE_BYTES_MAX..=1 << 40).map(|bytes| s.core.memory_bytes = bytes),
    },
    Key {
        name: "wal.file.bytes.min",
        aliases: &[],
        meaning: "length of the first write-ahead file of a shard; each next one doubles",
        set: |s, text| wal_bytes(text).map(|bytes| s.core.wal.file_bytes_min = bytes),
    },
    Key {
        name: "wal.file.bytes.max",
        aliases: &[],
        meaning: "length of a write-ahead file at most",
        set: |s, text| wal_bytes(text).map(|bytes| s.core.wal.file_bytes_max = bytes),
    },
    Key {
        name: "wal.bytes.max",
        aliases: &[],
        meaning: "length of all write-ahead files of a shard; when it is reached, produce waits",
        set: |s, text| wal_bytes(text).map(|bytes| s.core.wal.bytes_max = bytes),
    },
    Key {
        name: "wal.destage.interval.ms",
        aliases: &[],
        meaning: "how long a record may stand in the write-ahead log alone before it goes to its segment",
        set: |s, text| millis(text, 1..=3_600_000).map(|time| s.core.wal.destage_interval = time),
    },
    Key {
        name: "wal.seal.after.ms",
        aliases: &[],
        meaning: "silence after which the write-ahead log is sealed",
        set: |s, text| millis(text, 1..=60_000).map(|time| s.core.wal.seal_after = time),
    },
];

fn whole<N>(text: &str, range: std::ops::RangeInclusive<N>) -> Result<N, Expected>
where
    N: std::str::FromStr + PartialOrd + std::fmt::Display,
{
    match text.parse() {
        Ok(number) if range.contains(&number) => Ok(number),
        Ok(_) | Err(_) => Err(format!("a whole number from {} to {}", range.start(), range.end())),
    }
}

fn millis(text: &str, range: std::ops::RangeInclusive<u64>) -> Result<Duration, Expected> {
    whole(text, range).map(Duration::from_millis)
}

/// The longest time in milliseconds that the core's nanoseconds can hold.
const MILLIS_MAX: i64 = (u64::MAX / 2 / 1_000_000) as i64;

fn retention(settings: &mut Settings, text: &str, unit_millis: i64) -> Result<(), Expected> {
    let count = whole(text, -1..=MILLIS_MAX / unit_millis)?;
    settings.core.topic_defaults.retention =
        u64::try_from(count * unit_millis).ok().filter(|_| count >= 0).map(Duration::from_millis);
    Ok(())
}

fn roll(settings: &mut Settings, text: &str, unit_millis: u64) -> Result<(), Expected> {
    let count = whole(text, 1..=MILLIS_MAX.unsigned_abs() / unit_millis)?;
    settings.core.topic_defaults.segment_age_max = Duration::from_millis(count * unit_millis);
    Ok(())
}

fn wal_bytes(text: &str) -> Result<u64, Expected> {
    let bytes = whole(text, MEBIBYTE..=WAL_BYTES_MAX)?;
    if !bytes.is_multiple_of(BLOCK_BYTES as u64) {
        return Err(format!("a multiple of {BLOCK_BYTES}"));
    }
    Ok(bytes)
}

/// `HOST:PORT`, or `PLAINTEXT://HOST:PORT` as Kafka writes it.
fn listener(text: &str) -> Result<HostPort, Expected> {
    if text.contains(',') {
        return Err("one address: a node has one listener".into());
    }
    match text.split_once("://") {
        Some(("PLAINTEXT", rest)) => host_port(rest),
        Some(_) => {
            Err("a PLAINTEXT address, such as PLAINTEXT://0.0.0.0:9092: TLS and SASL are not served".into())
        }
        None => host_port(text),
    }
}

/// An empty host is every interface, as in Kafka.
fn host_port(text: &str) -> Result<HostPort, Expected> {
    let expected =
        || "HOST:PORT, such as 127.0.0.1:9092 or [::1]:9092, with a port from 0 to 65535".to_owned();
    let (host, port) = text.rsplit_once(':').ok_or_else(expected)?;
    let port = port.parse().map_err(|_| expected())?;
    let host = match host.strip_prefix('[') {
        Some(inner) => inner.strip_suffix(']').ok_or_else(expected)?,
        None if host.contains(':') => return Err(expected()),
        None => host,
    };
    let host = if host.is_empty() { "0.0.0.0" } else { host };
    Ok(HostPort { host: host.into(), port })
}
