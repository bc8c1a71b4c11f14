//! What is set, where it comes from, and what would hold without it.

use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use super::layers::in_finest_unit;
use super::{ConfigResource, Layers};
use crate::config::Config;
use crate::config::registry::{self, Definition, Scope, Update};
use crate::controller::image::Image;
use crate::controller::topic_config::{self, Configs};

/// Where a value comes from, with the number that Kafka has for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    Topic = 1,
    Broker = 2,
    ClusterDefault = 3,
    Static = 4,
    Default = 5,
    Logger = 6,
    ClientMetrics = 7,
    Group = 8,
}

/// A place where a setting has a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Synonym {
    pub name: &'static str,
    pub value: Option<String>,
    pub source: Source,
}

/// A setting of a resource as it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    pub definition: &'static Definition,
    /// Nothing for null and for what must not be shown.
    pub value: Option<String>,
    pub source: Source,
    pub read_only: bool,
    /// What holds first in front.
    pub synonyms: Vec<Synonym>,
}

/// The settings of a resource that sets `own`, those whose names are `wanted`.
pub fn describe(
    config: &Config,
    image: &Image,
    resource: &ConfigResource,
    own: &Configs,
    wanted: &dyn Fn(&str) -> bool,
) -> Vec<Described> {
    let layers = image.layers(config);
    let scope = resource.scope();
    let set_here = |name: &str| *resource != ConfigResource::Broker(None) || own.contains_key(name);
    let definitions = registry::all(scope).filter(|known| wanted(known.name) && set_here(known.name));
    let described = definitions.map(|definition| match resource {
        ConfigResource::Broker(None) => {
            let value = own.get(definition.name).cloned();
            let source = Source::ClusterDefault;
            let synonyms = vec![Synonym { name: definition.name, value: value.clone(), source }];
            Found { value, synonyms }.described(definition)
        }
        ConfigResource::Broker(Some(_)) => of_broker(&layers, definition).described(definition),
        ConfigResource::Topic(_) | ConfigResource::Group(_) | ConfigResource::ClientMetrics(_) => {
            of_other(&layers, scope, definition, own).described(definition)
        }
    });
    // Kafka shows these while they are set.
    described.filter(|found| found.value.is_some() || !registry::is_throttle(found.definition.name)).collect()
}

/// What holds for a setting by its name; empty for null, and for a name that nothing has.
pub fn value(config: &Config, image: &Image, resource: &ConfigResource, name: &str) -> String {
    let definition = registry::find(resource.scope(), name);
    definition.map(|definition| value_of(config, image, resource, definition)).unwrap_or_default()
}

/// What holds for one setting; empty for null.
pub(super) fn value_of(
    config: &Config,
    image: &Image,
    resource: &ConfigResource,
    definition: &'static Definition,
) -> String {
    let empty = Configs::new();
    let own = resource.configs(image).unwrap_or(&empty);
    if let Some(value) = own.get(definition.name) {
        return value.clone();
    }
    let layers = image.layers(config);
    let found = match resource {
        ConfigResource::Broker(_) => of_broker(&layers, definition),
        ConfigResource::Topic(_) | ConfigResource::Group(_) | ConfigResource::ClientMetrics(_) => {
            of_other(&layers, resource.scope(), definition, own)
        }
    };
    found.value.unwrap_or_default()
}

struct Found {
    value: Option<String>,
    synonyms: Vec<Synonym>,
}

impl Found {
    fn described(mut self, definition: &'static Definition) -> Described {
        if definition.is_sensitive() {
            self.value = None;
            for synonym in &mut self.synonyms {
                synonym.value = None;
            }
        }
        Described {
            definition,
            value: self.value.map(|value| value.trim().to_string()),
            source: self.synonyms.first().map_or(Source::Default, |first| first.source),
            read_only: definition.update == Update::ReadOnly,
            synonyms: self.synonyms,
        }
    }
}

fn of_broker(layers: &Layers<'_>, definition: &'static Definition) -> Found {
    let units = registry::units_of(definition.name);
    let names = if units.is_empty() { core::slice::from_ref(&definition.name) } else { units };
    // A coarser unit does not hold before it: what stands in front is of finer ones.
    let all = layers.synonyms(names);
    let synonyms: Vec<Synonym> = all.into_iter().skip_while(|found| found.name != definition.name).collect();
    let value = synonyms.first().and_then(|first| first.value.clone());
    Found { value, synonyms }
}

fn of_other(layers: &Layers<'_>, scope: Scope, definition: &'static Definition, own: &Configs) -> Found {
    let names = registry::defaults_of(scope, definition.name);
    let mut synonyms = layers.synonyms(names);
    // Kafka does not call the default of a coarser unit a synonym.
    if synonyms.first().is_some_and(|first| first.source == Source::Default && first.name != names[0]) {
        synonyms.clear();
    }
    let set = synonyms.first().filter(|first| first.source != Source::Default);
    let mut value = set.and_then(|first| Some(in_finest_unit(first.name, first.value.as_ref()?)));
    if value.is_none() && scope == Scope::Topic {
        value = topic_config::node_default(&layers.config.topic_defaults, definition.name);
    }
    let mut value = value.or_else(|| definition.default.map(String::from));
    let source = match scope {
        Scope::Topic => Source::Topic,
        Scope::Group => Source::Group,
        Scope::ClientMetrics => Source::ClientMetrics,
        Scope::Broker => unreachable!("a broker's own layers are looked at elsewhere"),
    };
    // What no setting of the broker is behind is a default of its own, which Kafka shows for all but topics.
    if names.is_empty() && scope != Scope::Topic {
        synonyms.push(Synonym { name: definition.name, value: value.clone(), source: Source::Default });
    }
    if let Some(set) = own.get(definition.name) {
        synonyms.insert(0, Synonym { name: definition.name, value: Some(set.clone()), source });
        value = Some(set.clone());
    }
    Found { value, synonyms }
}
