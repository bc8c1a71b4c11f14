//! What a broker's settings about groups must be to each other, which no range of one of them says.

use core::cmp::Ordering;

use super::{Definition, Scope, all, bounds_of, defaults_of, find};

/// Two settings that do not go together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clash {
    pub definition: &'static Definition,
    /// What it must be to the other.
    pub must_be: &'static str,
    pub other: &'static Definition,
}

/// The kinds of groups that have sessions, by the beginning of the names of their settings.
const KINDS: [[&str; 2]; 3] = [
    ["consumer.session.timeout.ms", "consumer.heartbeat.interval.ms"],
    ["share.session.timeout.ms", "share.heartbeat.interval.ms"],
    ["streams.session.timeout.ms", "streams.heartbeat.interval.ms"],
];

/// The first of the settings of a group whose session is not longer than the time between two heartbeats.
pub fn sessions_too_short(value: impl Fn(&'static Definition) -> i64) -> Option<Clash> {
    KINDS.into_iter().find_map(|names| {
        let [definition, other] = names.map(|name| find(Scope::Group, name).expect("it is a setting"));
        let is_too_short = value(definition) <= value(other);
        is_too_short.then_some(Clash { definition, must_be: "greater than", other })
    })
}

/// The first of the broker's settings about groups that does not fit another.
pub fn clash_of_groups(value: impl Fn(&'static Definition) -> i64) -> Option<Clash> {
    let of_broker = |group: &Definition| {
        let name = defaults_of(Scope::Group, group.name).first()?;
        find(Scope::Broker, name)
    };
    for group in all(Scope::Group) {
        let Some(default) = of_broker(group) else { continue };
        let mut least = None;
        for (bound, allowed) in bounds_of(group.name) {
            let is_least = allowed.contains(&Ordering::Greater);
            let must_be = if is_least { "greater than or equal to" } else { "less than or equal to" };
            if !allowed.contains(&value(default).cmp(&value(bound))) {
                return Some(Clash { definition: default, must_be, other: bound });
            }
            match least {
                _ if is_least => least = Some(bound),
                Some(least) if value(bound) < value(least) => {
                    return Some(Clash {
                        definition: bound,
                        must_be: "greater than or equal to",
                        other: least,
                    });
                }
                Some(_) | None => {}
            }
        }
    }
    let clash = sessions_too_short(|group| of_broker(group).map_or(i64::MAX, &value))?;
    let [definition, other] = [clash.definition, clash.other].map(of_broker);
    Some(Clash { definition: definition?, other: other?, ..clash })
}
