//! Kafka's topic settings: which names there are, what values they take, and what they come to. Knows no topics.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::config::{BatchValidation, Cleanup, Compression, TimestampType, TopicConfig};
use crate::limits::{BATCH_BYTES_MAX, CONFIG_VALUE_BYTES_MAX};
use crate::time::Duration;

/// Why a setting is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigError {
    UnknownName {
        name: String,
    },
    /// A name that the request holds twice.
    Repeated {
        name: String,
    },
    NullValue {
        name: String,
    },
    Invalid {
        name: String,
        value: String,
        /// What the value must be, as the end of a sentence that begins with "must be".
        must_be: &'static str,
    },
}

/// What a value must look like.
#[derive(Clone, Copy)]
enum Kind {
    Integer { min: i64, max: i64, must_be: &'static str },
    Boolean,
    Fraction,
    OneOf { values: &'static [&'static str], must_be: &'static str },
    Any,
}

const INT: Kind = Kind::Integer { min: 0, max: i32::MAX as i64, must_be: "an integer of at least 0" };
const LONG: Kind = Kind::Integer { min: 0, max: i64::MAX, must_be: "an integer of at least 0" };
const LONG_MINUS_1: Kind = Kind::Integer { min: -1, max: i64::MAX, must_be: "an integer of at least -1" };
const LONG_MINUS_2: Kind = Kind::Integer { min: -2, max: i64::MAX, must_be: "an integer of at least -2" };
const LONG_1: Kind = Kind::Integer { min: 1, max: i64::MAX, must_be: "an integer of at least 1" };
const SEGMENT_BYTES: Kind =
    Kind::Integer { min: 1 << 20, max: i32::MAX as i64, must_be: "between 1048576 and 2147483647" };
const BATCH_BYTES: Kind =
    Kind::Integer { min: 0, max: BATCH_BYTES_MAX as i64, must_be: "between 0 and 67108864" };
const REPLICAS: Kind = Kind::Integer { min: 1, max: i16::MAX as i64, must_be: "between 1 and 32767" };
const LEVEL: Kind = Kind::Integer { min: i32::MIN as i64, max: i32::MAX as i64, must_be: "an integer" };
const CLEANUP: Kind = Kind::OneOf {
    values: &["delete", ""],
    must_be: "\"delete\" or empty: compaction is not served by this version",
};
const CODEC: Kind = Kind::OneOf {
    values: &["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"],
    must_be: "one of uncompressed, zstd, lz4, snappy, gzip, producer",
};
const VALIDATION: Kind = Kind::OneOf { values: &["full", "crc"], must_be: "full or crc" };
const TIMESTAMP: Kind =
    Kind::OneOf { values: &["CreateTime", "LogAppendTime"], must_be: "one of CreateTime, LogAppendTime" };

/// Every topic setting of Kafka 4.3 and `batch.validation`, which is ours, with its default, in the order of names.
const SETTINGS: [(&str, Kind, &str); 34] = [
    ("batch.validation", VALIDATION, "full"),
    ("cleanup.policy", CLEANUP, "delete"),
    ("compression.gzip.level", LEVEL, "-1"),
    ("compression.lz4.level", LEVEL, "9"),
    ("compression.type", CODEC, "producer"),
    ("compression.zstd.level", LEVEL, "3"),
    ("delete.retention.ms", LONG, "86400000"),
    ("file.delete.delay.ms", LONG, "60000"),
    ("flush.messages", LONG_1, "9223372036854775807"),
    ("flush.ms", LONG, "9223372036854775807"),
    ("follower.replication.throttled.replicas", Kind::Any, ""),
    ("index.interval.bytes", INT, "4096"),
    ("leader.replication.throttled.replicas", Kind::Any, ""),
    ("local.retention.bytes", LONG_MINUS_2, "-2"),
    ("local.retention.ms", LONG_MINUS_2, "-2"),
    ("max.compaction.lag.ms", LONG_1, "9223372036854775807"),
    ("max.message.bytes", BATCH_BYTES, "1048588"),
    ("message.timestamp.after.max.ms", LONG, "3600000"),
    ("message.timestamp.before.max.ms", LONG, "9223372036854775807"),
    ("message.timestamp.type", TIMESTAMP, "CreateTime"),
    ("min.cleanable.dirty.ratio", Kind::Fraction, "0.5"),
    ("min.compaction.lag.ms", LONG, "0"),
    ("min.insync.replicas", REPLICAS, "1"),
    ("preallocate", Kind::Boolean, "false"),
    ("remote.log.copy.disable", Kind::Boolean, "false"),
    ("remote.log.delete.on.disable", Kind::Boolean, "false"),
    ("remote.storage.enable", Kind::Boolean, "false"),
    ("retention.bytes", LONG_MINUS_1, "-1"),
    ("retention.ms", LONG_MINUS_1, "604800000"),
    ("segment.bytes", SEGMENT_BYTES, "1073741824"),
    ("segment.index.bytes", INT, "10485760"),
    ("segment.jitter.ms", LONG, "0"),
    ("segment.ms", LONG_1, "604800000"),
    ("unclean.leader.election.enable", Kind::Boolean, "false"),
];

/// Checks one setting on its own.
pub fn check(name: &str, value: &str) -> Result<(), ConfigError> {
    let Ok(place) = SETTINGS.binary_search_by(|(known, _, _)| (*known).cmp(name)) else {
        return Err(ConfigError::UnknownName { name: String::from(name) });
    };
    let must_be = match violation(SETTINGS[place].1, value) {
        None if value.len() > CONFIG_VALUE_BYTES_MAX => "shorter than 32768 bytes",
        None => return Ok(()),
        Some(must_be) => must_be,
    };
    // The value goes back to the client in a message: a long one is cut.
    let shown = value.chars().take(64).collect();
    Err(ConfigError::Invalid { name: String::from(name), value: shown, must_be })
}

fn violation(kind: Kind, value: &str) -> Option<&'static str> {
    let value = value.trim();
    let (holds, must_be) = match kind {
        Kind::Integer { min, max, must_be } => {
            (value.parse::<i64>().is_ok_and(|number| (min..=max).contains(&number)), must_be)
        }
        Kind::Boolean => {
            let holds = value.eq_ignore_ascii_case("true") || value.eq_ignore_ascii_case("false");
            (holds, "true or false")
        }
        Kind::Fraction => (is_fraction(value), "between 0 and 1"),
        Kind::OneOf { values, must_be } => (values.contains(&value), must_be),
        Kind::Any => (true, ""),
    };
    (!holds).then_some(must_be)
}

/// Whether this is a decimal number in 0..=1, found without floating point.
fn is_fraction(value: &str) -> bool {
    let (whole, part) = value.split_once('.').unwrap_or((value, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(part) {
        return false;
    }
    match whole.trim_start_matches('0') {
        "" => true,
        "1" => part.bytes().all(|byte| byte == b'0'),
        _ => false,
    }
}

/// Where the value of a setting comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// It is set for the topic.
    Topic,
    /// It is the node's or Kafka's default.
    Default,
}

/// A setting as it applies to a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    pub name: &'static str,
    pub value: String,
    pub source: Source,
}

/// Every setting of a topic that sets `configs`, in the order of names.
pub fn describe(defaults: &TopicConfig, configs: &BTreeMap<String, String>) -> Vec<Setting> {
    let setting = |&(name, _, default): &(&'static str, Kind, &str)| match configs.get(name) {
        Some(value) => Setting { name, value: value.clone(), source: Source::Topic },
        None => {
            let value = node_default(defaults, name).unwrap_or_else(|| String::from(default));
            Setting { name, value, source: Source::Default }
        }
    };
    SETTINGS.iter().map(setting).collect()
}

/// The default of a setting that the node has a default of its own for.
fn node_default(defaults: &TopicConfig, name: &str) -> Option<String> {
    let or_minus_1 = |bound: Option<u64>| bound.map_or_else(|| String::from("-1"), |bound| bound.to_string());
    Some(match name {
        "segment.bytes" => defaults.segment_bytes.to_string(),
        "segment.ms" => defaults.segment_age_max.as_millis().to_string(),
        "retention.ms" => or_minus_1(defaults.retention.map(Duration::as_millis)),
        "retention.bytes" => or_minus_1(defaults.retention_bytes),
        "max.message.bytes" => defaults.batch_bytes_max.to_string(),
        "min.insync.replicas" => defaults.min_insync_replicas.to_string(),
        "message.timestamp.type" => match defaults.timestamp {
            TimestampType::CreateTime => String::from("CreateTime"),
            TimestampType::LogAppendTime => String::from("LogAppendTime"),
        },
        _ => return None,
    })
}

/// What `configs` make of `defaults`. A value that does not check leaves the default: it was accepted by another version.
pub fn resolve(defaults: &TopicConfig, configs: &BTreeMap<String, String>) -> TopicConfig {
    let mut config = defaults.clone();
    let valid = |name: &str| configs.get(name).filter(|value| check(name, value).is_ok());
    for name in configs.keys() {
        if let Some(value) = valid(name) {
            set(&mut config, name, value.trim());
        }
    }
    if let Some(codec) = valid("compression.type") {
        let level =
            |name: &str, default| valid(name).and_then(|value| value.trim().parse().ok()).unwrap_or(default);
        config.compression = match codec.trim() {
            "uncompressed" => Compression::Uncompressed,
            "gzip" => Compression::Gzip { level: level("compression.gzip.level", -1) },
            "snappy" => Compression::Snappy,
            "lz4" => Compression::Lz4 { level: level("compression.lz4.level", 9) },
            "zstd" => Compression::Zstd { level: level("compression.zstd.level", 3) },
            _ => Compression::Producer,
        };
    }
    config
}

/// Takes in one setting that checks and that stands for itself.
fn set(config: &mut TopicConfig, name: &str, value: &str) {
    let number = value.parse::<i64>().unwrap_or(0);
    // What is negative means "without bound".
    let positive = u64::try_from(number).ok();
    let millis = positive.map(Duration::from_millis);
    let bounded = || millis.unwrap_or(Duration::from_millis(u64::MAX));
    match name {
        "segment.bytes" => config.segment_bytes = u32::try_from(number).unwrap_or(config.segment_bytes),
        "segment.ms" => config.segment_age_max = bounded(),
        "segment.jitter.ms" => config.segment_jitter = bounded(),
        "index.interval.bytes" => {
            config.index_interval_bytes = u32::try_from(number).unwrap_or(config.index_interval_bytes);
        }
        "cleanup.policy" => config.cleanup = cleanup(value),
        "retention.ms" => config.retention = millis,
        "retention.bytes" => config.retention_bytes = positive,
        "delete.retention.ms" => config.delete_retention = bounded(),
        "min.compaction.lag.ms" => config.compaction_lag_min = bounded(),
        "max.compaction.lag.ms" => config.compaction_lag_max = millis.filter(|_| number < i64::MAX),
        "min.cleanable.dirty.ratio" => config.dirty_ratio_min_ppm = millionths(value),
        "file.delete.delay.ms" => config.file_delete_delay = bounded(),
        "max.message.bytes" => {
            config.batch_bytes_max = u32::try_from(number).unwrap_or(config.batch_bytes_max);
        }
        "min.insync.replicas" => {
            config.min_insync_replicas = u16::try_from(number).unwrap_or(config.min_insync_replicas);
        }
        "message.timestamp.type" => {
            config.timestamp = match value {
                "LogAppendTime" => TimestampType::LogAppendTime,
                _ => TimestampType::CreateTime,
            };
        }
        "message.timestamp.before.max.ms" => config.timestamp_before_max = bounded(),
        "message.timestamp.after.max.ms" => config.timestamp_after_max = bounded(),
        "batch.validation" => {
            config.validation = if value == "crc" { BatchValidation::Crc } else { BatchValidation::Full };
        }
        _ => {}
    }
}

/// Both policies, in either order, one or none.
fn cleanup(value: &str) -> Cleanup {
    let names = |wanted: &str| value.split(',').any(|name| name.trim() == wanted);
    match (names("compact"), names("delete")) {
        (true, true) => Cleanup::CompactAndDelete,
        (true, false) => Cleanup::Compact,
        (false, true) => Cleanup::Delete,
        (false, false) => Cleanup::Neither,
    }
}

/// A decimal number in 0..=1 in millionths, what is finer cut off.
fn millionths(value: &str) -> u32 {
    let (whole, part) = value.split_once('.').unwrap_or((value, ""));
    let digits = part.bytes().chain(core::iter::repeat(b'0')).take(6);
    let part = digits.fold(0, |sum: u32, digit| sum * 10 + u32::from(digit - b'0'));
    if whole.trim_start_matches('0').is_empty() { part } else { 1_000_000 }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeMap;
    use alloc::string::String;

    use super::{ConfigError, SETTINGS, check, cleanup, millionths, resolve};
    use crate::config::{BatchValidation, Cleanup, Compression, TimestampType, TopicConfig};
    use crate::time::Duration;

    #[test]
    fn settings_are_sorted() {
        assert!(SETTINGS.is_sorted_by(|(a, _, _), (b, _, _)| a < b), "check searches by halves");
    }

    #[test]
    fn check_judges_values() {
        for (name, value) in [
            ("segment.bytes", "1048576"),
            ("retention.ms", "-1"),
            ("retention.bytes", "100"),
            ("min.cleanable.dirty.ratio", "0.5"),
            ("min.cleanable.dirty.ratio", "1"),
            ("preallocate", "TRUE"),
            ("cleanup.policy", "delete"),
            ("compression.type", "producer"),
        ] {
            assert_eq!(check(name, value), Ok(()), "{name}={value}");
        }
        for (name, value) in [
            ("segment.bytes", "1048575"),
            ("segment.bytes", "2147483648"),
            ("retention.ms", "-2"),
            ("retention.ms", "soon"),
            ("max.message.bytes", "67108865"),
            ("min.insync.replicas", "0"),
            ("min.cleanable.dirty.ratio", "1.1"),
            ("min.cleanable.dirty.ratio", ".5"),
            ("preallocate", "yes"),
            ("cleanup.policy", "compact"),
            ("message.timestamp.type", "createtime"),
        ] {
            assert!(matches!(check(name, value), Err(ConfigError::Invalid { .. })), "{name}={value}");
        }
        assert!(matches!(check("retention", "1"), Err(ConfigError::UnknownName { .. })));
    }

    #[test]
    fn resolve_applies_what_is_set() {
        let pairs = [
            ("segment.bytes", "2097152"),
            ("segment.ms", "60000"),
            ("retention.ms", "-1"),
            ("retention.bytes", "4096"),
            ("max.message.bytes", "999"),
            ("min.insync.replicas", "2"),
            ("message.timestamp.type", "LogAppendTime"),
        ];
        let configs: BTreeMap<String, String> =
            pairs.iter().map(|(name, value)| (String::from(*name), String::from(*value))).collect();
        let config = resolve(&TopicConfig::default(), &configs);
        let expected = TopicConfig {
            segment_bytes: 2_097_152,
            segment_age_max: Duration::from_millis(60_000),
            retention: None,
            retention_bytes: Some(4096),
            batch_bytes_max: 999,
            min_insync_replicas: 2,
            timestamp: TimestampType::LogAppendTime,
            ..TopicConfig::default()
        };
        assert_eq!(config, expected);
    }

    #[test]
    fn resolve_reads_every_kind_of_value() {
        let pairs = [
            ("batch.validation", "crc"),
            ("cleanup.policy", ""),
            ("compression.type", "zstd"),
            ("compression.zstd.level", "7"),
            ("max.compaction.lag.ms", "5"),
            ("message.timestamp.after.max.ms", "10"),
            ("message.timestamp.before.max.ms", "9223372036854775807"),
            ("min.cleanable.dirty.ratio", "0.25"),
        ];
        let configs: BTreeMap<String, String> =
            pairs.iter().map(|(name, value)| (String::from(*name), String::from(*value))).collect();
        let expected = TopicConfig {
            validation: BatchValidation::Crc,
            cleanup: Cleanup::Neither,
            compression: Compression::Zstd { level: 7 },
            compaction_lag_max: Some(Duration::from_millis(5)),
            timestamp_after_max: Duration::from_millis(10),
            dirty_ratio_min_ppm: 250_000,
            ..TopicConfig::default()
        };
        assert_eq!(resolve(&TopicConfig::default(), &configs), expected);
    }

    #[test]
    fn millionths_reads_what_checks() {
        for (text, expected) in
            [("0", 0), ("1", 1_000_000), ("1.000", 1_000_000), ("0.5", 500_000), ("00.1234567", 123_456)]
        {
            assert_eq!(check("min.cleanable.dirty.ratio", text), Ok(()));
            assert_eq!(millionths(text), expected, "{text}");
        }
    }

    #[test]
    fn cleanup_takes_both_in_any_order() {
        for (text, expected) in [
            ("delete,compact", Cleanup::CompactAndDelete),
            ("compact, delete", Cleanup::CompactAndDelete),
            ("compact", Cleanup::Compact),
            ("delete", Cleanup::Delete),
            ("", Cleanup::Neither),
        ] {
            assert_eq!(cleanup(text), expected, "{text}");
        }
    }
}
