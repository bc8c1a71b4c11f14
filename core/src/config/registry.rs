//! Every setting that Kafka 4.3 knows and those that are ours: type, default, allowed values, who may change it when, and what it
//! means here. Owns the words and the ranges; knows no topics and no nodes.

mod client_metrics;
mod group;
mod groups;
mod ours;
mod quorum;
mod security;
mod server;
mod storage;
mod throttles;
mod together;
mod topic;
mod value;

use alloc::format;
use alloc::string::String;
use core::cmp::Ordering;

pub use together::{Clash, clash_of_groups, sessions_too_short};
pub use value::{check, parse_list};

/// What a setting belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    Topic,
    Broker,
    Group,
    ClientMetrics,
}

/// Kafka's types of settings, with the numbers that DescribeConfigs has for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Boolean = 1,
    String = 2,
    Int = 3,
    Short = 4,
    Long = 5,
    Double = 6,
    List = 7,
    Class = 8,
    Password = 9,
}

/// When a setting of a broker may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Update {
    /// Only by a restart.
    ReadOnly,
    /// At any time, for one broker only.
    PerBroker,
    /// At any time, for one broker or as the default of all.
    ClusterWide,
}

/// Which values of the type are allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Valid {
    Any,
    AtLeast(i64),
    Within(i64, i64),
    /// −1, or at least this much.
    OffOrWithin(i64, i64),
    /// A decimal number from 0 to 1.
    Ratio,
    OneOf(&'static [&'static str]),
    /// Each element is one of these, and none stands twice.
    Among(&'static [&'static str]),
    /// Each element is one of these, `=` and a pattern.
    Patterns(&'static [&'static str]),
}

/// Whether a setting does anything here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It does; and this is when to change it.
    InForce(&'static str),
    /// It is accepted and changes nothing, because ...
    NoEffect(&'static str),
}

/// All that is known of a setting.
#[derive(Debug, PartialEq, Eq)]
pub struct Definition {
    pub name: &'static str,
    pub kind: Kind,
    /// `None` is null: what holds then is said by `about`, or by another setting.
    pub default: Option<&'static str>,
    pub update: Update,
    pub valid: Valid,
    /// What it is about, in a sentence.
    pub about: &'static str,
    pub standing: Standing,
}

/// Settings that belong together.
#[derive(Debug)]
pub struct Area {
    pub title: &'static str,
    pub scope: Scope,
    /// In the order of names.
    pub definitions: &'static [Definition],
}

/// One row: name, type, default, update mode, allowed values, what it is about, whether it is in force.
macro_rules! definitions {
    ($($name:literal $kind:ident $default:tt $update:ident ($valid:expr) $about:literal $standing:ident($note:expr);)*) => {
        &[$(Definition {
            name: $name,
            kind: Kind::$kind,
            default: definitions!(@ $default),
            update: Update::$update,
            valid: $valid,
            about: $about,
            standing: Standing::$standing($note),
        }),*]
    };
    (@ null) => { None };
    (@ $default:literal) => { Some($default) };
}
use definitions;

/// All settings by what they are about.
pub static AREAS: [Area; 10] = [
    Area { title: "topics", scope: Scope::Topic, definitions: topic::DEFINITIONS },
    Area { title: "broker: Highwater's own", scope: Scope::Broker, definitions: ours::DEFINITIONS },
    Area {
        title: "broker: logs and topic defaults",
        scope: Scope::Broker,
        definitions: storage::DEFINITIONS,
    },
    Area {
        title: "broker: node, network and requests",
        scope: Scope::Broker,
        definitions: server::DEFINITIONS,
    },
    Area { title: "broker: groups and transactions", scope: Scope::Broker, definitions: groups::DEFINITIONS },
    Area {
        title: "broker: replication, quorum and tiered storage",
        scope: Scope::Broker,
        definitions: quorum::DEFINITIONS,
    },
    Area {
        title: "broker: throttles of replication",
        scope: Scope::Broker,
        definitions: throttles::DEFINITIONS,
    },
    Area { title: "broker: security", scope: Scope::Broker, definitions: security::DEFINITIONS },
    Area { title: "groups", scope: Scope::Group, definitions: group::DEFINITIONS },
    Area {
        title: "subscriptions to metrics of clients",
        scope: Scope::ClientMetrics,
        definitions: client_metrics::DEFINITIONS,
    },
];

/// Every setting of a scope, area by area.
pub fn all(scope: Scope) -> impl Iterator<Item = &'static Definition> {
    AREAS.iter().filter(move |area| area.scope == scope).flat_map(|area| area.definitions)
}

pub fn find(scope: Scope, name: &str) -> Option<&'static Definition> {
    AREAS.iter().filter(|area| area.scope == scope).find_map(|area| {
        let place = area.definitions.binary_search_by(|known| known.name.cmp(name)).ok()?;
        Some(&area.definitions[place])
    })
}

/// The broker's settings that are the default of a topic's or group's, those that hold first in front.
pub fn defaults_of(scope: Scope, name: &str) -> &'static [&'static str] {
    let table: &[(&str, &[&str])] = match scope {
        Scope::Topic => &topic::DEFAULTS,
        Scope::Group => &group::DEFAULTS,
        Scope::Broker | Scope::ClientMetrics => return &[],
    };
    table.binary_search_by(|(known, _)| (*known).cmp(name)).map_or(&[], |place| table[place].1)
}

/// The broker's settings that bound what a group may set, and how its value may compare with each.
pub fn bounds_of(group: &str) -> impl Iterator<Item = (&'static Definition, [Ordering; 2])> {
    let (kind, rest) = group.split_once('.').unwrap_or((group, ""));
    let rest = rest.trim_start_matches("num.");
    let bound = |side: &str| find(Scope::Broker, &format!("group.{kind}.{side}.{rest}"));
    let least = bound("min").map(|min| (min, [Ordering::Equal, Ordering::Greater]));
    let most = bound("max").map(|max| (max, [Ordering::Equal, Ordering::Less]));
    least.into_iter().chain(most)
}

/// Whether it is one of the settings that exist while they are set.
pub fn is_throttle(broker: &str) -> bool {
    throttles::DEFINITIONS.iter().any(|known| known.name == broker)
}

/// The topic's setting that a broker's setting of the finest unit is the default of.
pub fn topic_setting_of(broker: &str) -> Option<&'static str> {
    topic::DEFAULTS.iter().find(|(_, names)| names.first() == Some(&broker)).map(|(topic, _)| *topic)
}

/// The names of one thing in several units, the finest first; most settings have one name.
pub fn units_of(broker: &'static str) -> &'static [&'static str] {
    const UNITS: [&[&str]; 4] = [
        &["log.retention.ms", "log.retention.minutes", "log.retention.hours"],
        &["log.roll.ms", "log.roll.hours"],
        &["log.roll.jitter.ms", "log.roll.jitter.hours"],
        &["log.flush.interval.ms", "log.flush.scheduler.interval.ms"],
    ];
    UNITS.into_iter().find(|names| names.contains(&broker)).unwrap_or(&[])
}

/// The name of the scope that is most like `name`, if any is.
pub fn nearest(scope: Scope, name: &str) -> Option<&'static str> {
    let name = name.get(..64).unwrap_or(name);
    let (distance, nearest) = all(scope).map(|known| (distance(name, known.name), known.name)).min()?;
    (distance <= nearest.len() / 3).then_some(nearest)
}

/// How many bytes must be put in, taken out or changed to make one name of the other.
pub fn distance(one: &str, other: &str) -> usize {
    let mut row: [usize; NAME_BYTES_MAX + 1] = core::array::from_fn(|place| place);
    let other = &other.as_bytes()[..other.len().min(NAME_BYTES_MAX)];
    for (count, a) in one.bytes().enumerate() {
        let mut diagonal = core::mem::replace(&mut row[0], count + 1);
        for (place, b) in other.iter().enumerate() {
            let changed = diagonal + usize::from(a != *b);
            diagonal = row[place + 1];
            row[place + 1] = changed.min(diagonal + 1).min(row[place] + 1);
        }
    }
    row[other.len()]
}

/// Longer than every name of the registry.
const NAME_BYTES_MAX: usize = 80;

impl Definition {
    /// Whether its value must not be shown.
    pub fn is_sensitive(&self) -> bool {
        self.kind == Kind::Password
    }

    /// What DescribeConfigs answers as documentation.
    pub fn documentation(&self) -> String {
        match self.standing {
            Standing::InForce(change) => format!("{} {change}", self.about),
            Standing::NoEffect(why) => format!("{} Has no effect here: {why}.", self.about),
        }
    }
}

#[cfg(test)]
mod tests;
