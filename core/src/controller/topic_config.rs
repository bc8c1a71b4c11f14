//! What texts make of a topic: settings under Kafka's names become values. Knows no topics.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};

use crate::config::registry::{self, Clash, Definition, Scope};
use crate::config::{BatchValidation, Cleanup, Compression, TimestampType, TopicConfig};
use crate::time::Duration;

/// Settings as they were set, under Kafka's names.
pub type Configs = BTreeMap<String, String>;

/// Why a setting is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigError {
    UnknownName {
        scope: Scope,
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
        scope: Scope,
        definition: &'static Definition,
        value: String,
    },
    /// Beyond what the broker's setting `bound` lets a group set.
    OutOfBounds {
        definition: &'static Definition,
        value: String,
        bound: &'static Definition,
        limit: i64,
    },
    /// Two settings of a group that do not go together, with what they are.
    Clash {
        clash: Clash,
        values: [i64; 2],
    },
    /// `min.compaction.lag.ms` is more than `max.compaction.lag.ms`.
    LagsCross {
        min: i64,
        max: i64,
    },
}

/// Finds a setting and checks a value for it, on its own.
pub fn check(scope: Scope, name: &str, value: &str) -> Result<&'static Definition, ConfigError> {
    let unknown = || ConfigError::UnknownName { scope, name: String::from(name) };
    let definition = registry::find(scope, name).ok_or_else(unknown)?;
    if registry::check(definition, value) {
        return Ok(definition);
    }
    // The value goes back to the client in a message: a long one is cut.
    Err(ConfigError::Invalid { scope, definition, value: value.chars().take(64).collect() })
}

/// Checks what each setting of a topic alone cannot say.
pub fn check_together(configs: &Configs) -> Result<(), ConfigError> {
    let lag = |name: &str| configs.get(name).and_then(|value| value.trim().parse::<i64>().ok());
    match (lag("min.compaction.lag.ms"), lag("max.compaction.lag.ms")) {
        (Some(min), Some(max)) if min > max => Err(ConfigError::LagsCross { min, max }),
        _ => Ok(()),
    }
}

/// The default of a setting that the node has a default of its own for.
pub(super) fn node_default(defaults: &TopicConfig, name: &str) -> Option<String> {
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
pub fn resolve(defaults: &TopicConfig, configs: &Configs) -> TopicConfig {
    let mut config = defaults.clone();
    let valid = |name: &str| configs.get(name).filter(|value| check(Scope::Topic, name, value).is_ok());
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

    use super::{ConfigError, check, check_together, cleanup, millionths, resolve};
    use crate::config::registry::{self, Scope, Standing};
    use crate::config::{BatchValidation, Cleanup, Compression, TimestampType, TopicConfig};
    use crate::time::Duration;

    /// A setting says of itself that it is in force exactly if some value of it makes another topic.
    #[test]
    fn setting_in_force_is_read() {
        const VALUES: [&str; 9] =
            ["1", "7", "1048577", "0.25", "true", "compact", "lz4", "LogAppendTime", "crc"];
        let settings = |pairs: &[(&str, &str)]| {
            let pairs = pairs.iter().map(|(name, value)| (String::from(*name), String::from(*value)));
            resolve(&TopicConfig::default(), &pairs.collect::<BTreeMap<_, _>>())
        };
        for definition in registry::all(Scope::Topic) {
            let gzip = ("compression.type", "gzip");
            let moves = VALUES.iter().any(|value| {
                let own = (definition.name, *value);
                settings(&[own]) != settings(&[]) || settings(&[gzip, own]) != settings(&[gzip])
            });
            let in_force = matches!(definition.standing, Standing::InForce(_));
            assert_eq!(moves, in_force, "{}", definition.name);
        }
    }

    #[test]
    fn check_says_what_is_wrong() {
        assert!(check(Scope::Topic, "segment.bytes", "1048576").is_ok());
        let wrong = check(Scope::Topic, "segment.bytes", "7").unwrap_err();
        let ConfigError::Invalid { scope: Scope::Topic, definition, value } = wrong else {
            panic!("{wrong:?}")
        };
        assert_eq!((definition.name, value.as_str()), ("segment.bytes", "7"));
        assert!(matches!(check(Scope::Topic, "retention", "1"), Err(ConfigError::UnknownName { .. })));
        assert!(matches!(check(Scope::Topic, "log.dirs", "1"), Err(ConfigError::UnknownName { .. })));
    }

    #[test]
    fn lags_must_not_cross() {
        let lags = |min: &str, max: &str| {
            let pairs = [("min.compaction.lag.ms", min), ("max.compaction.lag.ms", max)];
            pairs.iter().map(|(name, value)| (String::from(*name), String::from(*value))).collect()
        };
        assert_eq!(check_together(&lags("5", "5")), Ok(()));
        assert_eq!(check_together(&lags("6", "5")), Err(ConfigError::LagsCross { min: 6, max: 5 }));
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
            assert!(check(Scope::Topic, "min.cleanable.dirty.ratio", text).is_ok());
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
