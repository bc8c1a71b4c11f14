//! Where a log begins after records were deleted on request never goes back: not for the client that asked, and not over any crash.

use std::collections::BTreeMap;

use super::{Checker, Rules};
use crate::history::{Fact, Place};
use crate::report::Violation;

const NAME: &str = "log_start_monotone";

#[derive(Debug, Clone)]
pub(super) struct LogStartMonotone {
    rules: Rules,
    /// The furthest start that was acknowledged.
    floors: BTreeMap<Place, i64>,
    /// With an older disk all may be older.
    replaced: bool,
}

impl LogStartMonotone {
    pub(super) fn new(rules: &Rules) -> Self {
        Self { rules: rules.clone(), floors: BTreeMap::new(), replaced: false }
    }
}

impl Checker for LogStartMonotone {
    #[expect(clippy::wildcard_enum_match_arm, reason = "few facts tell where a log begins")]
    fn on_fact(&mut self, fact: &Fact) -> Result<(), Violation> {
        let lasts = |place: Place| !self.rules.topics[place.topic].churns && !self.rules.rot;
        match fact {
            Fact::Trimmed(trimmed) if lasts(trimmed.place) => {
                if trimmed.told < trimmed.floor_known && !self.replaced {
                    return Err(Violation::new(NAME, format!("{trimmed:?}")));
                }
                let floor = self.floors.entry(trimmed.place).or_insert(0);
                *floor = trimmed.floor.max(*floor);
            }
            Fact::ReadToEnd { place, log_start, .. } if lasts(*place) => {
                let floor = self.floors.get(place).copied().unwrap_or(0);
                if *log_start < floor {
                    let story = format!(
                        "{place:?}: what is before {floor} was deleted, and it begins at {log_start}"
                    );
                    return Err(Violation::new(NAME, story));
                }
            }
            Fact::DiskReplaced { .. } => {
                self.floors.clear();
                self.replaced = true;
            }
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{PLACE, rules};
    use super::{Checker, LogStartMonotone};
    use crate::history::{Fact, Trimmed};

    fn run(facts: &[Fact]) -> bool {
        let mut checker = LogStartMonotone::new(&rules());
        facts.iter().all(|fact| checker.on_fact(fact).is_ok())
    }

    fn trimmed(floor: i64, floor_known: i64, told: i64) -> Fact {
        Fact::Trimmed(Trimmed { place: PLACE, floor, floor_known, told })
    }

    fn read(log_start: i64) -> Fact {
        Fact::ReadToEnd { place: PLACE, log_start, end: 9 }
    }

    #[test]
    fn start_that_goes_back_is_found() {
        assert!(run(&[trimmed(4, 0, 4), trimmed(4, 4, 6), read(6)]));
        assert!(!run(&[trimmed(4, 0, 4), trimmed(4, 4, 3)]));
        assert!(!run(&[trimmed(4, 0, 4), read(3)]));
        assert!(run(&[trimmed(4, 0, 4), Fact::DiskReplaced { node: 0 }, read(0)]));
    }
}
