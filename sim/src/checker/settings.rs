//! What the settings of a steward's topic may be at a moment: those that were acknowledged, and others of which nobody knows whether
//! they are in force. Must not know what they are good for.

use std::collections::{BTreeMap, BTreeSet};

use crate::history::{Change, Deed, Fate, Ruled};

/// Values that a setting may have; `None` is not set.
pub(super) type Values = BTreeSet<Option<String>>;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Settings {
    /// What is not here is not set.
    set: BTreeMap<(Ruled, &'static str), Values>,
    /// Changes that may still come about.
    open: Vec<(Ruled, Vec<Change>)>,
    /// The last of them is to be answered.
    asked: bool,
}

impl Settings {
    #[expect(clippy::wildcard_enum_match_arm, reason = "few deeds change settings")]
    pub(super) fn on_deed(&mut self, deed: &Deed) {
        match deed {
            Deed::Altering { ruled, changes } => {
                self.open.push((*ruled, changes.clone()));
                self.asked = true;
            }
            Deed::Altered(fate) if std::mem::take(&mut self.asked) => match fate {
                Fate::Unknown => {}
                Fate::Refused => drop(self.open.pop()),
                Fate::Done => {
                    let (ruled, changes) = self.open.pop().expect("it was asked for");
                    for (name, value) in changes {
                        self.set.insert((ruled, name), BTreeSet::from([value]));
                    }
                }
            },
            _ => {}
        }
    }

    /// Requests that were under way are done by now or will never be.
    pub(super) fn on_ended(&mut self) {
        self.asked = false;
        for (ruled, changes) in std::mem::take(&mut self.open) {
            for (name, value) in changes {
                self.set.entry((ruled, name)).or_insert_with(|| BTreeSet::from([None])).insert(value);
            }
        }
    }

    /// What may be set.
    pub(super) fn set(&self, of: Ruled, name: &'static str) -> Values {
        let mut values = self.set.get(&(of, name)).cloned().unwrap_or_else(|| BTreeSet::from([None]));
        values.extend(self.open_values(of, name).cloned());
        values
    }

    fn open_values(&self, of: Ruled, name: &'static str) -> impl Iterator<Item = &Option<String>> {
        let changes = self.open.iter().filter(move |(ruled, _)| *ruled == of);
        let changes = changes.flat_map(|(_, changes)| changes);
        changes.filter(move |(changed, _)| *changed == name).map(|(_, value)| value)
    }

    /// What may hold for the topic: its own value or that of all brokers. `None` is the node's own default.
    pub(super) fn in_force(&self, name: &'static str) -> Values {
        let mut values = self.set(Ruled::Topic, name);
        if values.remove(&None) {
            values.extend(self.set(Ruled::Brokers, of_brokers(name)));
        }
        values
    }

    /// It was seen that `name` is set to what `fits`.
    pub(super) fn on_seen(&mut self, of: Ruled, name: &'static str, fits: impl Fn(&Option<String>) -> bool) {
        if self.open_values(of, name).next().is_none()
            && let Some(values) = self.set.get_mut(&(of, name))
        {
            values.retain(fits);
        }
    }
}

/// The setting of a broker that is a topic's default.
pub(super) fn of_brokers(name: &'static str) -> &'static str {
    match name {
        "max.message.bytes" => "message.max.bytes",
        "retention.ms" => "log.retention.ms",
        "retention.bytes" => "log.retention.bytes",
        "cleanup.policy" => "log.cleanup.policy",
        "message.timestamp.type" => "log.message.timestamp.type",
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::{Settings, Values};
    use crate::history::{Deed, Fate, Ruled};

    const NAME: &str = "retention.ms";

    fn alter(settings: &mut Settings, value: &str, fate: Fate) {
        let changes = vec![(NAME, Some(value.to_owned()))];
        settings.on_deed(&Deed::Altering { ruled: Ruled::Topic, changes });
        settings.on_deed(&Deed::Altered(fate));
    }

    fn values(values: &[Option<&str>]) -> Values {
        values.iter().map(|value| value.map(str::to_owned)).collect()
    }

    #[test]
    fn change_without_an_answer_may_come_about_until_the_node_ends() {
        let mut settings = Settings::default();
        alter(&mut settings, "1", Fate::Unknown);
        alter(&mut settings, "2", Fate::Done);
        alter(&mut settings, "3", Fate::Refused);
        assert_eq!(settings.in_force(NAME), values(&[Some("1"), Some("2")]));
        settings.on_ended();
        assert_eq!(settings.in_force(NAME), values(&[Some("1"), Some("2")]));
        alter(&mut settings, "4", Fate::Done);
        assert_eq!(settings.in_force(NAME), values(&[Some("4")]));
    }

    #[test]
    fn what_a_topic_does_not_set_brokers_do() {
        let mut settings = Settings::default();
        let changes = vec![("log.retention.ms", Some("9".to_owned()))];
        settings.on_deed(&Deed::Altering { ruled: Ruled::Brokers, changes });
        settings.on_deed(&Deed::Altered(Fate::Done));
        assert_eq!(settings.in_force(NAME), values(&[Some("9")]));
        alter(&mut settings, "1", Fate::Done);
        assert_eq!(settings.in_force(NAME), values(&[Some("1")]));
    }
}
