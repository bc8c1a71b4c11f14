//! The settings that the node itself reads: name, aliases, and how a value is read. What all settings mean, and which values
//! they take, is in the core's registry.

use std::path::PathBuf;

use highwater_core::id::{NodeId, Uuid};
use highwater_core::limits::{BLOCK_BYTES, PAGE_BYTES_MAX};
use highwater_core::time::Duration;

use super::{HostPort, IoDriver, Settings};

/// Shards of one node. More than any machine of today has cores.
pub(super) const SHARDS_MAX: u16 = 256;

const PARTITIONS_MAX: i32 = 100_000;
/// Topics, partitions, groups or offsets with metrics of their own: a page of some hundred megabytes.
const METRICS_MAX: usize = 1_000_000;
const MEBIBYTE: u64 = 1 << 20;
const WAL_BYTES_MAX: u64 = 1 << 40;

/// One setting.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) aliases: &'static [&'static str],
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

/// All others of the registry go to the core as they are written.
pub(super) static KEYS: &[Key] = &[
    Key {
        name: "node.id",
        aliases: &["broker.id"],
        set: |s, text| whole(text, 0..=i32::MAX).map(|id| s.core.node = NodeId(id)),
    },
    Key {
        name: "cluster.id",
        aliases: &[],
        set: |s, text| match Uuid::parse(text) {
            Some(id) => {
                s.core.cluster = Some(id);
                Ok(())
            }
            None => Err("an id of 22 characters, such as MkU3OEVBNTcwNTJENDM2Qg".into()),
        },
    },
    Key { name: "listeners", aliases: &[], set: |s, text| listener(text).map(|listen| s.listen = listen) },
    Key {
        name: "advertised.listeners",
        aliases: &[],
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
    Key { name: "http.listen", aliases: &[], set: |s, text| host_port(text).map(|http| s.http = http) },
    Key {
        name: "log.dirs",
        aliases: &["log.dir"],
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
        set: |s, text| whole(text, 1..=SHARDS_MAX).map(|shards| s.core.shards = shards),
    },
    Key {
        name: "io",
        aliases: &[],
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
        set: |s, text| whole(text, 1..=PARTITIONS_MAX).map(|count| s.core.partitions_default = count),
    },
    Key {
        name: "auto.create.topics.enable",
        aliases: &[],
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
        name: "log.retention.check.interval.ms",
        aliases: &[],
        set: |s, text| millis(text, 1..=86_400_000).map(|time| s.core.retention_check_interval = time),
    },
    Key {
        name: "memory.bytes",
        aliases: &[],
        set: |s, text| whole(text, PAGE_BYTES_MAX..=1 << 40).map(|bytes| s.core.memory_bytes = bytes),
    },
    Key {
        name: "metrics.topics.max",
        aliases: &[],
        set: |s, text| whole(text, 0..=METRICS_MAX).map(|max| s.metrics.topics_max = max),
    },
    Key {
        name: "metrics.partitions.max",
        aliases: &[],
        set: |s, text| whole(text, 0..=METRICS_MAX).map(|max| s.metrics.partitions_max = max),
    },
    Key {
        name: "metrics.groups.max",
        aliases: &[],
        set: |s, text| whole(text, 0..=METRICS_MAX).map(|max| s.metrics.groups.groups_max = max),
    },
    Key {
        name: "metrics.group.offsets.max",
        aliases: &[],
        set: |s, text| whole(text, 0..=METRICS_MAX).map(|max| s.metrics.groups.offsets_max = max),
    },
    Key {
        name: "wal.file.bytes.min",
        aliases: &[],
        set: |s, text| wal_bytes(text).map(|bytes| s.core.wal.file_bytes_min = bytes),
    },
    Key {
        name: "wal.file.bytes.max",
        aliases: &[],
        set: |s, text| wal_bytes(text).map(|bytes| s.core.wal.file_bytes_max = bytes),
    },
    Key {
        name: "wal.bytes.max",
        aliases: &[],
        set: |s, text| wal_bytes(text).map(|bytes| s.core.wal.bytes_max = bytes),
    },
    Key {
        name: "wal.destage.interval.ms",
        aliases: &[],
        set: |s, text| millis(text, 1..=3_600_000).map(|time| s.core.wal.destage_interval = time),
    },
    Key {
        name: "wal.seal.after.ms",
        aliases: &[],
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

fn wal_bytes(text: &str) -> Result<u64, Expected> {
    let bytes = whole(text, MEBIBYTE..=WAL_BYTES_MAX)?;
    if !bytes.is_multiple_of(BLOCK_BYTES as u64) {
        return Err(format!("a multiple of {BLOCK_BYTES}"));
    }
    Ok(bytes)
}

/// `HOST:PORT`, or `PLAINTEXT://HOST:PORT` as Kafka writes it.
pub(super) fn listener(text: &str) -> Result<HostPort, Expected> {
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
