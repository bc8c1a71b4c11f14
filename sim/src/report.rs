//! What a run counts and says of itself. Decides nothing.

use std::collections::BTreeMap;
use std::fmt;

use highwater_core::time::Instant;
use serde::{Deserialize, Serialize};

/// Counters by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts(BTreeMap<String, u64>);

impl Counts {
    pub fn add(&mut self, name: &str) {
        self.add_many(name, 1);
    }

    pub fn add_many(&mut self, name: &str, count: u64) {
        if count == 0 {
            return;
        }
        match self.0.get_mut(name) {
            Some(sum) => *sum += count,
            None => {
                self.0.insert(name.to_owned(), count);
            }
        }
    }

    pub fn merge(&mut self, other: &Self) {
        for (name, count) in &other.0 {
            self.add_many(name, *count);
        }
    }

    pub fn sum(&self) -> u64 {
        self.0.values().sum()
    }

    pub fn of(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or(0)
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (name, count)) in self.0.iter().enumerate() {
            let gap = if place == 0 { "" } else { " " };
            write!(f, "{gap}{name}={count}")?;
        }
        Ok(())
    }
}

/// What was broken, and how it showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The invariant, after its checker's file; `contract`, `panic` or `budget` for what has none.
    pub invariant: &'static str,
    pub story: String,
}

impl Violation {
    pub fn new(invariant: &'static str, story: String) -> Self {
        Self { invariant, story }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant, self.story)
    }
}

/// The end of a run.
#[derive(Debug, Clone, Default)]
pub struct Report {
    pub virtual_time: Instant,
    pub steps: u64,
    /// Requests that clients sent.
    pub requests: u64,
    pub operations: Counts,
    pub faults: Counts,
    /// Events of the core by kind.
    pub coverage: Counts,
    pub fingerprint: u64,
    pub violation: Option<Violation>,
}

impl Report {
    /// Adds another run to a sum of runs; fingerprints are folded.
    pub fn merge(&mut self, other: &Self) {
        self.virtual_time = self.virtual_time + other.virtual_time.since(Instant::default());
        self.steps += other.steps;
        self.operations.merge(&other.operations);
        self.faults.merge(&other.faults);
        self.coverage.merge(&other.coverage);
        self.fingerprint = self.fingerprint.rotate_left(7) ^ other.fingerprint;
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.virtual_time.as_nanos() / 1_000_000;
        writeln!(f, "  virtual time {}.{:03} s, {} steps", millis / 1000, millis % 1000, self.steps)?;
        writeln!(f, "  operations   {}", self.operations)?;
        writeln!(f, "  faults       {}", self.faults)?;
        writeln!(f, "  events       {}", self.coverage)?;
        write!(f, "  fingerprint  {:016x}", self.fingerprint)
    }
}

/// The name of an enum's variant, from its `Debug` text, without formatting the rest.
pub fn variant_name(value: &impl fmt::Debug) -> String {
    struct Head(String);
    impl fmt::Write for Head {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            match text.find(|c: char| !c.is_alphanumeric()) {
                Some(end) => {
                    self.0.push_str(&text[..end]);
                    Err(fmt::Error)
                }
                None => {
                    self.0.push_str(text);
                    Ok(())
                }
            }
        }
    }
    let mut head = Head(String::new());
    // The error only says that the name has ended.
    let _ended = fmt::write(&mut head, format_args!("{value:?}"));
    head.0
}

#[cfg(test)]
mod tests {
    use highwater_core::id::ConnId;
    use highwater_core::shard::Event;

    use super::variant_name;

    #[test]
    fn variant_name_stops_after_the_name() {
        let conn = ConnId { slot: 1, generation: 2 };
        assert_eq!(variant_name(&Event::Connected { conn }), "Connected");
        assert_eq!(variant_name(&Event::StorageFull), "StorageFull");
    }
}
