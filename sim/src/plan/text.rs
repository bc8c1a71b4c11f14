//! The file form of a plan: TOML that a person can edit. Must not know what the faults mean.

use toml::{Table, Value};

use super::{NotAPlan, Plan};

const HEAD: &str = "\
# A plan of Highwater's simulator. Run it with `highwater-sim replay FILE`; edit it freely.
# Times are milliseconds of virtual time. Each [[fault]] happens at `at_ms`; its `number` names its own stream of draws, so
# that a fault may be taken away and all others stay as they were. A fault that you add takes a number that is free.
";

impl Plan {
    /// The plan as a file; `about` becomes a comment at its head.
    pub fn to_text(&self, about: &str) -> String {
        let mut text = HEAD.to_owned();
        for line in about.lines() {
            text.push_str(if line.is_empty() { "#" } else { "# " });
            text.push_str(line);
            text.push('\n');
        }
        text.push('\n');
        text.push_str(&toml::to_string(self).expect("a plan is made of tables, numbers and words"));
        text
    }

    /// Reads a plan. A key that means nothing is an error, so that a slip of the pen does not go unseen.
    pub fn from_text(text: &str) -> Result<Self, NotAPlan> {
        let plan: Self = toml::from_str(text).map_err(|error| NotAPlan(error.to_string()))?;
        let given: Table = toml::from_str(text).map_err(|error| NotAPlan(error.to_string()))?;
        let known = Table::try_from(&plan).expect("a plan is made of tables, numbers and words");
        match unknown_key(&Value::Table(given), &Value::Table(known)) {
            Some(key) => Err(NotAPlan(format!("nothing in a plan is called `{key}`"))),
            None => Ok(plan),
        }
    }
}

/// The path of the first key of `given` that `known` lacks although it was read from it; empty arrays and the like are
/// nothing.
fn unknown_key(given: &Value, known: &Value) -> Option<String> {
    match (given, known) {
        (Value::Table(given), Value::Table(known)) => given.iter().find_map(|(key, value)| {
            let empty = value.as_array().is_some_and(Vec::is_empty);
            match known.get(key) {
                Some(known) => unknown_key(value, known).map(|rest| format!("{key}.{rest}")),
                None => (!empty).then(|| key.clone()),
            }
        }),
        (Value::Array(given), Value::Array(known)) => {
            given.iter().zip(known).enumerate().find_map(|(index, (given, known))| {
                unknown_key(given, known).map(|rest| format!("{index}.{rest}"))
            })
        }
        _ => None,
    }
}

/// Seeds: the upper half of them is no TOML integer, so they are text.
pub(super) mod seed {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use crate::seed::parse_number;

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Seed {
        Number(u64),
        Text(String),
    }

    pub(in crate::plan) fn serialize<S: Serializer>(seed: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&seed.to_string())
    }

    pub(in crate::plan) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        match Seed::deserialize(deserializer)? {
            Seed::Number(seed) => Ok(seed),
            Seed::Text(text) => parse_number(&text).map_err(Error::custom),
        }
    }
}

/// Lengths of time: milliseconds with as many decimals as it takes.
pub(crate) mod millis {
    use highwater_core::time::Duration;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// Up to here a double holds every nanosecond.
    const NANOS_MAX: u64 = 1 << 53;

    pub(crate) fn serialize<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        #[expect(clippy::cast_precision_loss, reason = "runs are shorter than NANOS_MAX")]
        let millis = time.as_nanos() as f64 / 1e6;
        serializer.serialize_f64(millis)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let nanos = (f64::deserialize(deserializer)? * 1e6).round();
        #[expect(clippy::cast_precision_loss, reason = "a power of two")]
        let fits = (0.0..NANOS_MAX as f64).contains(&nanos);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to fit")]
        let nanos = fits.then_some(nanos as u64);
        nanos
            .map(Duration::from_nanos)
            .ok_or_else(|| D::Error::custom("a time is 0 to 100 days of milliseconds"))
    }
}

#[cfg(test)]
mod tests {
    use crate::params::{Options, Rot};
    use crate::plan::Plan;

    fn options() -> Options {
        Options { rot: Rot::On, ..Options::default() }
    }

    #[test]
    fn plans_survive_their_text() {
        for seed in (0..300).chain([u64::MAX, 1 << 63]) {
            let mut plan = Plan::draw(seed, options());
            if seed % 2 == 0 {
                plan.operations_max = Some(seed / 2);
                plan.without_clients.extend([1, 3]);
            }
            let text = plan.to_text("about\n\nit");
            assert_eq!(Plan::from_text(&text).as_ref(), Ok(&plan), "{text}");
        }
    }

    #[test]
    fn edits_by_hand_are_understood() {
        let head = "seed = \"0x10\"\ncommit = \"c\"\n[options]\nprofile = \"smoke\"\nrot = \"off\"\n";
        let plan =
            Plan::from_text(&format!("{head}[[fault]]\nat_ms = 3\nnumber = 9\nfault = \"reset\"\n")).unwrap();
        assert_eq!((plan.seed, plan.faults[0].at.as_nanos()), (16, 3_000_000));
        assert!(Plan::from_text(&head.replace("\"0x10\"", "16")).is_ok());
    }

    #[test]
    fn slips_of_the_pen_are_refused() {
        let text = Plan::draw(3, options()).to_text("");
        for (from, to) in [
            ("at_ms =", "att_ms ="),
            ("profile", "profil"),
            ("seed = ", "seeds = "),
            ("at_ms = ", "at_ms = -"),
        ] {
            assert!(text.contains(from));
            assert!(Plan::from_text(&text.replacen(from, to, 1)).is_err(), "{to}");
        }
        let more = text.replacen("at_ms =", "extra = 1\nat_ms =", 1);
        let error = Plan::from_text(&more).unwrap_err();
        assert!(error.to_string().contains("extra"), "{error}");
    }
}
