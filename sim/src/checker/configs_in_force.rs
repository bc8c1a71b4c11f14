//! A setting that was acknowledged is told by every later question until it is altered again, over restarts too, and what was
//! refused or only validated is never seen. The largest batch that a topic takes is what its settings say.

use std::collections::BTreeMap;

use super::settings::{Settings, of_brokers};
use super::{Checker, Rules};
use crate::history::{Deed, Fact, Fate, Ruled};
use crate::report::Violation;

const NAME: &str = "configs_in_force";

/// The largest batch where nothing says otherwise.
const BATCH_BYTES_MAX: u64 = 1_048_588;
/// What a batch of one record has beside its value, at most.
const ENVELOPE_BYTES_MAX: u64 = 300;

#[derive(Debug, Clone)]
pub(super) struct ConfigsInForce {
    rot: bool,
    settings: Settings,
    /// What was told of settings while nobody had set them.
    defaults: BTreeMap<(Ruled, &'static str), Option<String>>,
}

impl ConfigsInForce {
    pub(super) fn new(rules: &Rules) -> Self {
        Self { rot: rules.rot, settings: Settings::default(), defaults: BTreeMap::new() }
    }

    fn on_deed(&mut self, deed: &Deed) -> Result<(), Violation> {
        self.settings.on_deed(deed);
        match deed {
            Deed::Described { ruled, values } => {
                values.iter().try_for_each(|(name, told)| self.on_told(*ruled, name, told))
            }
            Deed::Weighed { value_bytes, fate } => self.on_weighed(*value_bytes, *fate),
            Deed::Altering { .. }
            | Deed::Altered(_)
            | Deed::Owns { .. }
            | Deed::Storing
            | Deed::Stored { .. }
            | Deed::Asking
            | Deed::Answered { .. } => Ok(()),
        }
    }

    fn on_told(&mut self, ruled: Ruled, name: &'static str, told: &Option<String>) -> Result<(), Violation> {
        let expected = match ruled {
            Ruled::Topic => self.settings.in_force(name),
            Ruled::Brokers => self.settings.set(ruled, name),
        };
        if expected.len() == 1 && expected.contains(&None) {
            self.defaults.entry((ruled, name)).or_insert_with(|| told.clone());
        }
        let default = self.defaults.get(&(ruled, name));
        let by_default = default.is_none_or(|default| default == told);
        let fits = |value: &Option<String>| if value.is_none() { by_default } else { value == told };
        if !expected.iter().any(fits) {
            let story =
                format!("{name} of {ruled:?} is told as {told:?} and may be {expected:?}, {default:?}");
            return Err(Violation::new(NAME, story));
        }
        let inherited = self.settings.set(Ruled::Brokers, of_brokers(name));
        self.settings.on_seen(ruled, name, |own| match (own, ruled) {
            (None, Ruled::Topic) => inherited.iter().any(fits),
            (None, Ruled::Brokers) | (Some(_), _) => fits(own),
        });
        Ok(())
    }

    fn on_weighed(&self, value_bytes: u64, fate: Fate) -> Result<(), Violation> {
        let values = self.settings.in_force("max.message.bytes");
        let number = |value: &Option<String>| {
            value.as_ref().map_or(BATCH_BYTES_MAX, |value| value.parse().expect("the steward set it"))
        };
        let fits = match fate {
            Fate::Done => values.iter().any(|value| value_bytes <= number(value)),
            Fate::Refused => values.iter().any(|value| value_bytes + ENVELOPE_BYTES_MAX > number(value)),
            Fate::Unknown => true,
        };
        if fits {
            return Ok(());
        }
        let story =
            format!("a value of {value_bytes} bytes: {fate:?}, and the largest batch may be {values:?}");
        Err(Violation::new(NAME, story))
    }
}

impl Checker for ConfigsInForce {
    #[expect(clippy::wildcard_enum_match_arm, reason = "only stewards tell of settings")]
    fn on_fact(&mut self, fact: &Fact) -> Result<(), Violation> {
        match fact {
            Fact::Steward { deed, .. } if !self.rot => return self.on_deed(deed),
            Fact::Ended { .. } | Fact::DiskReplaced { .. } => self.settings.on_ended(),
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::rules;
    use super::{Checker, ConfigsInForce};
    use crate::history::{Deed, Ending, Fact, Fate, Ruled};

    fn run(deeds: &[Deed]) -> bool {
        let mut checker = ConfigsInForce::new(&rules());
        deeds.iter().all(|deed| checker.on_fact(&Fact::Steward { node: 0, deed: deed.clone() }).is_ok())
    }

    fn altering(value: &str) -> Deed {
        Deed::Altering { ruled: Ruled::Topic, changes: vec![("max.message.bytes", Some(value.to_owned()))] }
    }

    fn told(value: &str) -> Deed {
        Deed::Described { ruled: Ruled::Topic, values: vec![("max.message.bytes", Some(value.to_owned()))] }
    }

    fn weighed(value_bytes: u64, fate: Fate) -> Deed {
        Deed::Weighed { value_bytes, fate }
    }

    #[test]
    fn setting_that_is_not_told_is_found() {
        let done = Deed::Altered(Fate::Done);
        assert!(run(&[told("7"), altering("2000"), done.clone(), told("2000")]));
        assert!(!run(&[told("7"), altering("2000"), done.clone(), told("7")]));
        assert!(!run(&[told("7"), told("8")]));
        assert!(!run(&[altering("2000"), Deed::Altered(Fate::Refused), told("7"), told("2000")]));
        assert!(!run(&[altering("2000"), done.clone(), weighed(2_001, Fate::Done)]));
        assert!(!run(&[altering("2000"), done.clone(), weighed(1_000, Fate::Refused)]));
        assert!(run(&[altering("2000"), done, weighed(1_900, Fate::Refused), weighed(1_900, Fate::Done)]));
    }

    #[test]
    fn change_without_an_answer_is_there_or_not_but_does_not_come_and_go() {
        let mut checker = ConfigsInForce::new(&rules());
        let mut sound = |deed| checker.on_fact(&Fact::Steward { node: 0, deed }).is_ok();
        assert!(sound(told("7")) && sound(altering("2000")) && sound(Deed::Altered(Fate::Unknown)));
        assert!(sound(told("7")) && sound(told("2000")) && sound(told("7")), "it may come at any time");
        checker.on_fact(&Fact::Ended { node: 0, how: Ending::Killed }).unwrap();
        let mut sound = |deed| checker.on_fact(&Fact::Steward { node: 0, deed }).is_ok();
        assert!(sound(told("2000")) && !sound(told("7")));
    }
}
