//! Every record below what a group has committed, or goes on from, was handled by one of its members: whoever takes a partition over
//! leaves nothing out. Groups begin at the start of a log.

use std::collections::BTreeMap;

use super::Checker;
use crate::history::{Act, Fact, Fetched, Member, Place, Process};
use crate::report::Violation;

#[derive(Debug, Clone, Default)]
pub(super) struct NothingSkipped {
    groups: BTreeMap<Process, String>,
    /// Up to where a group has handled everything.
    handled: BTreeMap<(String, Place), i64>,
    log_starts: BTreeMap<Place, i64>,
}

impl NothingSkipped {
    fn on_fetched(&mut self, fetched: &Fetched) -> Result<(), Violation> {
        let Fetched { process, place, asked, log_start, .. } = *fetched;
        self.on_log_start(place, log_start);
        let Some(group) = self.groups.get(&process) else { return Ok(()) };
        let handled = self.handled.entry((group.clone(), place)).or_default();
        let begins = self.log_starts[&place].max(*handled);
        if asked > begins {
            let story = format!("{process:?} of {group} reads {place:?} from {asked}, handled is {begins}");
            return Err(Violation::new("nothing_skipped", story));
        }
        *handled = fetched.batches.last().map_or(asked, |last| last.end).max(*handled);
        Ok(())
    }

    fn on_log_start(&mut self, place: Place, log_start: i64) {
        let known = self.log_starts.entry(place).or_default();
        *known = log_start.max(*known);
    }

    fn on_commits(&self, group: &str, offsets: &[(Place, i64)]) -> Result<(), Violation> {
        for &(place, offset) in offsets {
            let log_start = self.log_starts.get(&place).copied().unwrap_or_default();
            let handled = self.handled.get(&(group.to_owned(), place)).copied().unwrap_or_default();
            if offset > handled.max(log_start) {
                let story = format!("{group} has {offset} committed at {place:?}, handled is {handled}");
                return Err(Violation::new("nothing_skipped", story));
            }
        }
        Ok(())
    }
}

impl Checker for NothingSkipped {
    #[expect(clippy::wildcard_enum_match_arm, reason = "only members handle records")]
    fn on_fact(&mut self, fact: &Fact) -> Result<(), Violation> {
        match fact {
            Fact::Fetched(fetched) => return self.on_fetched(fetched),
            Fact::Told(told) => self.on_log_start(told.place, told.log_start),
            Fact::Member(Member { process, act, .. }) => match act {
                Act::Has { share, .. } => {
                    self.groups.insert(*process, share.group.clone());
                }
                Act::LogStarts { offsets } => {
                    offsets.iter().for_each(|&(place, offset)| self.on_log_start(place, offset));
                }
                Act::Commits { group, offsets, .. } => return self.on_commits(group, offsets),
                Act::Finds { group, offsets, .. } => {
                    let found: Vec<(Place, i64)> =
                        offsets.iter().filter_map(|&(place, offset)| Some((place, offset?))).collect();
                    return self.on_commits(group, &found);
                }
                Act::Gone | Act::Heard { .. } | Act::Committed { .. } => {}
            },
            Fact::DiskReplaced { .. } => self.groups.clear(),
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use highwater_core::time::{Duration, Instant};

    use super::{Checker, NothingSkipped};
    use crate::checker::samples::{PLACE, fetched};
    use crate::history::{Act, Fact, Member, Process, Share};

    fn member(act: Act) -> Fact {
        Fact::Member(Member { node: 0, process: Process(1), act })
    }

    fn has() -> Fact {
        let share = Share { group: "g".into(), generation: None, instance: None, places: vec![PLACE] };
        member(Act::Has { at: Instant::default(), session: Duration::from_secs(1), share })
    }

    fn commits(offset: i64) -> Fact {
        member(Act::Commits { group: "g".into(), question: 1, offsets: vec![(PLACE, offset)] })
    }

    fn judge(facts: &[Fact]) -> bool {
        let mut checker = NothingSkipped::default();
        facts.iter().all(|fact| checker.on_fact(fact).is_ok())
    }

    #[test]
    fn record_left_out_is_found() {
        assert!(judge(&[has(), fetched(0, &[1, 2]), fetched(1, &[2, 3])]), "again is not out");
        assert!(!judge(&[has(), fetched(0, &[1, 2]), fetched(3, &[4])]));
        assert!(judge(&[fetched(0, &[1, 2]), fetched(3, &[4])]), "who is in no group reads what it likes");
    }

    #[test]
    fn commit_beyond_what_was_handled_is_found() {
        assert!(judge(&[has(), fetched(0, &[1, 2]), commits(2)]));
        assert!(!judge(&[has(), fetched(0, &[1, 2]), commits(3)]));
        let finds = member(Act::Finds { group: "g".into(), asked: 1, offsets: vec![(PLACE, Some(3))] });
        assert!(!judge(&[has(), fetched(0, &[1, 2]), finds]));
    }
}
