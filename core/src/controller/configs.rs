//! Settings that change while the cluster runs: judging what shall be altered, as one record for each resource. All of a resource
//! is altered or nothing of it.

mod describe;
mod layers;

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;

pub use self::describe::{Described, Source, Synonym, describe, value};
pub(super) use self::layers::Layers;
use super::command::Intent;
use super::image::Image;
use super::record::{AlteredResource, ConfigsAltered, MetadataRecord};
use super::topic_config::{self, ConfigError, Configs};
use crate::config::registry::{self, Definition, Kind, Scope, Update};
use crate::config::{Config, LogLevel};
use crate::id::NodeId;
use crate::limits::{CLIENT_METRICS_MAX, GROUP_CONFIGS_MAX, RESOURCE_NAME_BYTES_MAX};

/// What settings belong to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConfigResource {
    Topic(String),
    /// One broker, or what holds for all that set nothing themselves.
    Broker(Option<NodeId>),
    Group(String),
    /// A subscription to metrics of clients.
    ClientMetrics(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlterConfigs {
    pub changes: Vec<ConfigsChange>,
    /// Levels of loggers, which are remembered until the node ends; one without follows the root.
    pub loggers: Vec<(&'static str, Option<LogLevel>)>,
    pub intent: Intent,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigsChange {
    pub resource: ConfigResource,
    pub edit: ConfigsEdit,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigsEdit {
    /// These and nothing else are set.
    Replace(Configs),
    Each(Vec<(String, ConfigOp)>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigOp {
    Set(String),
    Delete,
    /// Elements that a list shall have, too.
    Append(String),
    /// Elements that a list shall have no more.
    Subtract(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AlterConfigsError {
    UnknownTopic,
    /// The request comes to more than the metadata log takes at once.
    TooLarge,
    Name,
    /// As many resources of the type have settings as may.
    TooMany {
        max: usize,
    },
    /// Elements are put in or taken out of what is no list.
    NotAList {
        definition: &'static Definition,
    },
    ReadOnly {
        definition: &'static Definition,
    },
    /// It cannot be the default of all brokers.
    PerBroker {
        definition: &'static Definition,
    },
    Config(ConfigError),
}

impl ConfigResource {
    pub fn scope(&self) -> Scope {
        match self {
            Self::Topic(_) => Scope::Topic,
            Self::Broker(_) => Scope::Broker,
            Self::Group(_) => Scope::Group,
            Self::ClientMetrics(_) => Scope::ClientMetrics,
        }
    }

    /// What is set for it; nothing for a topic that does not exist.
    pub fn configs<'a>(&self, image: &'a Image) -> Option<&'a Configs> {
        match self {
            Self::Topic(name) => image.topic(name).map(|topic| &topic.configs),
            Self::Broker(node) => image.broker_configs(*node),
            Self::Group(name) => image.group_configs(name),
            Self::ClientMetrics(name) => image.client_metrics_configs(name),
        }
    }
}

/// How many more there may be of what exists by having settings.
struct Room {
    groups: usize,
    client_metrics: usize,
}

impl Room {
    fn of(&mut self, resource: &ConfigResource) -> Option<&mut usize> {
        match resource {
            ConfigResource::Topic(_) | ConfigResource::Broker(_) => None,
            ConfigResource::Group(_) => Some(&mut self.groups),
            ConfigResource::ClientMetrics(_) => Some(&mut self.client_metrics),
        }
    }
}

/// Judges changes of resources, each named once; the record that makes a change, if it makes a difference.
pub(super) fn alter(
    config: &Config,
    image: &Image,
    changes: &[ConfigsChange],
) -> Vec<Result<Option<MetadataRecord>, AlterConfigsError>> {
    let mut room = Room {
        groups: GROUP_CONFIGS_MAX.saturating_sub(image.groups().count()),
        client_metrics: CLIENT_METRICS_MAX.saturating_sub(image.client_metrics().count()),
    };
    let judge = |change: &ConfigsChange| {
        let judged = alter_one(config, image, change, &mut room);
        let is_fresh = change.resource.configs(image).is_none();
        if let (Ok(Some(_)), true, Some(room)) = (&judged, is_fresh, room.of(&change.resource)) {
            *room -= 1;
        }
        judged
    };
    changes.iter().map(judge).collect()
}

fn alter_one(
    config: &Config,
    image: &Image,
    change: &ConfigsChange,
    room: &mut Room,
) -> Result<Option<MetadataRecord>, AlterConfigsError> {
    let resource = find(image, &change.resource, room)?;
    let empty = Configs::new();
    let before = change.resource.configs(image).unwrap_or(&empty);
    let after = match &change.edit {
        ConfigsEdit::Replace(configs) => configs.clone(),
        ConfigsEdit::Each(edits) => edited(config, image, change, edits)?,
    };
    let scope = change.resource.scope();
    let touched: BTreeSet<&String> =
        before.keys().chain(after.keys()).filter(|name| before.get(*name) != after.get(*name)).collect();
    for (name, value) in after.iter().filter(|(name, _)| touched.contains(name)) {
        let definition = topic_config::check(scope, name, value).map_err(AlterConfigsError::Config)?;
        let cluster_wide = change.resource == ConfigResource::Broker(None);
        match definition.update {
            Update::ReadOnly => return Err(AlterConfigsError::ReadOnly { definition }),
            Update::PerBroker if cluster_wide => return Err(AlterConfigsError::PerBroker { definition }),
            Update::PerBroker | Update::ClusterWide => {}
        }
        check_bounds(config, image, definition, value).map_err(AlterConfigsError::Config)?;
    }
    if scope == Scope::Group && !touched.is_empty() {
        check_sessions(config, image, &after).map_err(AlterConfigsError::Config)?;
    }
    if scope == Scope::Topic {
        topic_config::check_together(&after).map_err(AlterConfigsError::Config)?;
    }
    if touched.is_empty() {
        return Ok(None);
    }
    let changes = touched.into_iter().map(|name| (name.clone(), after.get(name).cloned())).collect();
    Ok(Some(MetadataRecord::ConfigsAltered(ConfigsAltered { resource, changes })))
}

fn find(
    image: &Image,
    resource: &ConfigResource,
    room: &mut Room,
) -> Result<AlteredResource, AlterConfigsError> {
    let is_full = resource.configs(image).is_none() && room.of(resource).is_some_and(|room| *room == 0);
    match resource {
        ConfigResource::Topic(name) => {
            let topic = image.topic(name).ok_or(AlterConfigsError::UnknownTopic)?;
            Ok(AlteredResource::Topic(topic.id))
        }
        ConfigResource::Broker(node) => Ok(AlteredResource::Broker(*node)),
        ConfigResource::Group(name) => {
            check_name(name)?;
            let max = GROUP_CONFIGS_MAX;
            if is_full {
                Err(AlterConfigsError::TooMany { max })
            } else {
                Ok(AlteredResource::Group(name.clone()))
            }
        }
        ConfigResource::ClientMetrics(name) => {
            check_name(name)?;
            let max = CLIENT_METRICS_MAX;
            if is_full {
                Err(AlterConfigsError::TooMany { max })
            } else {
                Ok(AlteredResource::ClientMetrics(name.clone()))
            }
        }
    }
}

/// Judges the name of what exists by having settings.
fn check_name(name: &str) -> Result<(), AlterConfigsError> {
    if name.is_empty() || name.len() > RESOURCE_NAME_BYTES_MAX {
        Err(AlterConfigsError::Name)
    } else {
        Ok(())
    }
}

/// Whether the broker lets a group set this, or be so where it sets nothing.
fn check_bounds(
    config: &Config,
    image: &Image,
    definition: &'static Definition,
    value: &str,
) -> Result<(), ConfigError> {
    let Ok(number) = value.trim().parse::<i64>() else { return Ok(()) };
    let of_group = definition.name.strip_prefix("group.").unwrap_or(definition.name);
    if registry::find(Scope::Group, of_group).is_none() {
        return Ok(());
    }
    for (bound, allowed) in registry::bounds_of(of_group) {
        let limit = number_of_broker(config, image, bound);
        if !allowed.contains(&number.cmp(&limit)) {
            let value = String::from(value);
            return Err(ConfigError::OutOfBounds { definition, value, bound, limit });
        }
    }
    Ok(())
}

/// Whether members of a group are told to report before their sessions end.
fn check_sessions(config: &Config, image: &Image, configs: &Configs) -> Result<(), ConfigError> {
    let number = |known: &'static Definition| {
        let own = configs.get(known.name).and_then(|own| own.trim().parse().ok());
        let default = registry::defaults_of(Scope::Group, known.name).first();
        let default = default.and_then(|name| registry::find(Scope::Broker, name));
        own.or_else(|| default.map(|default| number_of_broker(config, image, default))).unwrap_or_default()
    };
    let Some(clash) = registry::sessions_too_short(number) else { return Ok(()) };
    Err(ConfigError::Clash { clash, values: [clash.definition, clash.other].map(number) })
}

fn number_of_broker(config: &Config, image: &Image, definition: &'static Definition) -> i64 {
    let broker = ConfigResource::Broker(Some(config.node));
    let value = describe::value_of(config, image, &broker, definition);
    value.trim().parse().expect("it is a number, which was checked when it was set")
}

/// What a resource sets after `edits`, which name each setting once.
fn edited(
    config: &Config,
    image: &Image,
    change: &ConfigsChange,
    edits: &[(String, ConfigOp)],
) -> Result<Configs, AlterConfigsError> {
    let scope = change.resource.scope();
    let mut after = change.resource.configs(image).cloned().unwrap_or_default();
    let mut named = BTreeSet::new();
    for (name, op) in edits {
        if !named.insert(name) {
            return Err(AlterConfigsError::Config(ConfigError::Repeated { name: name.clone() }));
        }
        let known = registry::find(scope, name);
        match (known, op) {
            // What is not set, and what nobody knows, can be taken away, as in Kafka.
            (_, ConfigOp::Delete) => {
                after.remove(name);
            }
            (None, _) => {
                let name = name.clone();
                return Err(AlterConfigsError::Config(ConfigError::UnknownName { scope, name }));
            }
            (Some(_), ConfigOp::Set(value)) => {
                after.insert(name.clone(), value.clone());
            }
            (Some(definition), ConfigOp::Append(_) | ConfigOp::Subtract(_))
                if definition.kind != Kind::List =>
            {
                return Err(AlterConfigsError::NotAList { definition });
            }
            (Some(definition), ConfigOp::Append(elements)) => {
                let before = describe::value_of(config, image, &change.resource, definition);
                let mut list: Vec<&str> = registry::parse_list(&before).collect();
                for element in registry::parse_list(elements) {
                    if !list.contains(&element) {
                        list.push(element);
                    }
                }
                after.insert(name.clone(), list.join(","));
            }
            (Some(definition), ConfigOp::Subtract(elements)) => {
                let before = describe::value_of(config, image, &change.resource, definition);
                let gone: Vec<&str> = registry::parse_list(elements).collect();
                let list: Vec<&str> =
                    registry::parse_list(&before).filter(|element| !gone.contains(element)).collect();
                after.insert(name.clone(), list.join(","));
            }
        }
    }
    Ok(after)
}

#[cfg(test)]
mod tests;
