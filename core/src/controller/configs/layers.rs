//! Where a setting of the broker may be set, one layer over the other.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::describe::{Source, Synonym};
use crate::config::Config;
use crate::config::registry::{self, Definition, Scope};
use crate::controller::topic_config::Configs;
use crate::id::{NodeId, Uuid};

/// What is set for the broker: while it runs for this one, for all, and before it started.
pub(in crate::controller) struct Layers<'a> {
    pub(in crate::controller) config: &'a Config,
    pub(in crate::controller) cluster: Uuid,
    pub(in crate::controller) altered: &'a BTreeMap<Option<NodeId>, Configs>,
}

impl<'a> Layers<'a> {
    /// Each place where one of `names` is set, what holds first in front, Kafka's defaults last.
    pub(super) fn synonyms(&self, names: &[&'static str]) -> Vec<Synonym> {
        let mut found = Vec::new();
        for (configs, source) in self.set() {
            for name in names {
                let value = configs.and_then(|configs| configs.get(*name));
                found.extend(value.map(|value| Synonym { name, value: Some(value.clone()), source }));
            }
        }
        for name in names {
            let definition = registry::find(Scope::Broker, name).expect("names are of the registry");
            if let Some(value) = self.unset(definition) {
                found.push(Synonym { name, value: Some(value), source: Source::Default });
            }
        }
        found
    }

    fn set(&self) -> [(Option<&'a Configs>, Source); 3] {
        [
            (self.altered.get(&Some(self.config.node)), Source::Broker),
            (self.altered.get(&None), Source::ClusterDefault),
            (Some(&self.config.statics), Source::Static),
        ]
    }

    /// What topics are that set nothing, as far as the broker sets anything, under the topics' names.
    pub(in crate::controller) fn topic_defaults(&self) -> Configs {
        let mut defaults = Configs::new();
        for definition in registry::all(Scope::Topic) {
            let names = registry::defaults_of(Scope::Topic, definition.name);
            let set = self
                .set()
                .into_iter()
                .find_map(|(configs, _)| names.iter().find_map(|name| Some((*name, configs?.get(*name)?))));
            if let Some((name, value)) = set {
                defaults.insert(definition.name.to_string(), in_finest_unit(name, value));
            }
        }
        defaults
    }

    /// What holds for a setting of the broker that nobody sets.
    fn unset(&self, definition: &Definition) -> Option<String> {
        let config = self.config;
        Some(match definition.name {
            "cluster.id" => self.cluster.to_string(),
            "num.partitions" => config.partitions_default.to_string(),
            "auto.create.topics.enable" => config.auto_create_topics.to_string(),
            "log.retention.check.interval.ms" => config.retention_check_interval.as_millis().to_string(),
            "memory.bytes" => config.memory_bytes.to_string(),
            "shards" => config.shards.to_string(),
            "wal.bytes.max" => config.wal.bytes_max.to_string(),
            "wal.file.bytes.max" => config.wal.file_bytes_max.to_string(),
            "wal.file.bytes.min" => config.wal.file_bytes_min.to_string(),
            "wal.destage.interval.ms" => config.wal.destage_interval.as_millis().to_string(),
            "wal.seal.after.ms" => config.wal.seal_after.as_millis().to_string(),
            _ => definition.default?.to_string(),
        })
    }
}

/// The value of a broker's setting in the unit of the topic's.
pub(super) fn in_finest_unit(name: &str, value: &str) -> String {
    let millis = match name {
        "log.retention.hours" | "log.roll.hours" | "log.roll.jitter.hours" => 3_600_000,
        "log.retention.minutes" => 60_000,
        _ => return value.to_string(),
    };
    match value.trim().parse::<i64>() {
        Ok(count) if count >= 0 => format!("{}", count.saturating_mul(millis)),
        Ok(_) | Err(_) => value.to_string(),
    }
}
