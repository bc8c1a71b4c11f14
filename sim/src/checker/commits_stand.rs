//! What a group finds committed is what was acknowledged last, or something in doubt that was asked for since: nothing older, also
//! after a crash. And what is acknowledged does not go back.

use std::collections::BTreeMap;

use highwater_core::group::record::GroupRecord;
use highwater_core::wire::ErrorCode;

use super::{Checker, Rules};
use crate::history::{Act, Fact, Member, Place};
use crate::report::Violation;

const NAME: &str = "commits_stand";

#[derive(Debug, Clone, Copy)]
struct Commit {
    question: u64,
    offset: i64,
    /// When it was certain to have happened, or to happen never.
    settled: Option<u64>,
    acked: bool,
}

#[derive(Debug, Clone, Default)]
pub(super) struct CommitsStand {
    topics: Vec<String>,
    commits: BTreeMap<(String, Place), Vec<Commit>>,
    groups: BTreeMap<u64, String>,
    /// The number of the last question: what is asked later has a higher one.
    newest: u64,
}

impl CommitsStand {
    pub(super) fn new(rules: &Rules) -> Self {
        Self { topics: rules.topics.iter().map(|topic| topic.name.clone()).collect(), ..Self::default() }
    }

    /// What was committed grows old and goes, unless that comes to nothing. Another checker says whether it was time.
    fn on_kept(&mut self, record: &GroupRecord) {
        let GroupRecord::Offset { group, partition, value: None } = record else { return };
        let Some(topic) = self.topics.iter().position(|topic| *topic == partition.topic) else { return };
        let key = (group.clone(), Place { topic, index: partition.partition });
        self.commits.get_mut(&key).into_iter().flatten().for_each(|commit| commit.acked = false);
    }

    fn on_committed(
        &mut self,
        (question, until): (u64, u64),
        results: &[(Place, i16)],
    ) -> Result<(), Violation> {
        let Some(group) = self.groups.remove(&question) else { return Ok(()) };
        for &(place, error) in results {
            let Some(commits) = self.commits.get_mut(&(group.clone(), place)) else { continue };
            let Some(at) = commits.iter().position(|commit| commit.question == question) else { continue };
            if error == ErrorCode::RequestTimedOut.code() {
                continue;
            }
            if error != ErrorCode::None.code() {
                commits.remove(at);
                continue;
            }
            (commits[at].settled, commits[at].acked) = (Some(until), true);
            let own = commits[at];
            let before = commits.iter().filter(|c| c.acked && c.settled.is_some_and(|end| end < question));
            if let Some(higher) = before.max_by_key(|c| c.offset).filter(|c| c.offset > own.offset) {
                let story = format!("{group} goes back at {place:?}: {own:?} after {higher:?}");
                return Err(Violation::new(NAME, story));
            }
        }
        Ok(())
    }

    fn on_found(&mut self, group: &str, asked: u64, found: &[(Place, Option<i64>)]) -> Result<(), Violation> {
        for &(place, offset) in found {
            let key = (group.to_owned(), place);
            let commits = self.commits.get(&key).map(Vec::as_slice).unwrap_or_default();
            let certain: Vec<&Commit> =
                commits.iter().filter(|c| c.acked && c.settled.is_some_and(|end| end < asked)).collect();
            let is_undone =
                |c: &Commit| c.settled.is_some_and(|end| certain.iter().any(|later| later.question > end));
            let stands = match offset {
                None => certain.is_empty(),
                Some(offset) => commits.iter().any(|c| c.offset == offset && !is_undone(c)),
            };
            if !stands {
                let last = &commits[commits.len().saturating_sub(5)..];
                let story = format!("{group} finds {offset:?} at {place:?}, asked as {asked}: {last:?}");
                return Err(Violation::new(NAME, story));
            }
        }
        Ok(())
    }
}

impl Checker for CommitsStand {
    #[expect(clippy::wildcard_enum_match_arm, reason = "only members commit")]
    fn on_fact(&mut self, fact: &Fact) -> Result<(), Violation> {
        match fact {
            Fact::Member(Member { act, .. }) => match act {
                Act::Commits { group, question, offsets } => {
                    self.newest = *question;
                    self.groups.insert(*question, group.clone());
                    for &(place, offset) in offsets {
                        let commit = Commit { question: *question, offset, settled: None, acked: false };
                        self.commits.entry((group.clone(), place)).or_default().push(commit);
                    }
                }
                Act::Committed { question, until, results } => {
                    return self.on_committed((*question, *until), results);
                }
                Act::Finds { group, asked, offsets } => return self.on_found(group, *asked, offsets),
                Act::Has { .. } | Act::Gone | Act::Heard { .. } | Act::LogStarts { .. } => {}
            },
            Fact::Kept { batch, .. } => batch.records.iter().for_each(|record| self.on_kept(record)),
            // Nothing that was asked of this life of the node happens any more.
            Fact::Ended { .. } => {
                self.groups.clear();
                let open = self.commits.values_mut().flatten().filter(|commit| commit.settled.is_none());
                open.for_each(|commit| commit.settled = Some(self.newest));
            }
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Checker, CommitsStand};
    use crate::checker::samples::PLACE;
    use crate::history::{Act, Ending, Fact, Member, Process};

    fn member(act: Act) -> Fact {
        Fact::Member(Member { node: 0, process: Process(1), act })
    }

    fn asks(question: u64, offset: i64) -> Fact {
        member(Act::Commits { group: "g".into(), question, offsets: vec![(PLACE, offset)] })
    }

    fn acked(question: u64) -> Fact {
        member(Act::Committed { question, until: question, results: vec![(PLACE, 0)] })
    }

    fn refused(question: u64) -> Fact {
        member(Act::Committed { question, until: question, results: vec![(PLACE, 25)] })
    }

    fn finds(asked: u64, offset: Option<i64>) -> Fact {
        member(Act::Finds { group: "g".into(), asked, offsets: vec![(PLACE, offset)] })
    }

    fn judge(facts: &[Fact]) -> bool {
        let mut checker = CommitsStand::default();
        facts.iter().all(|fact| checker.on_fact(fact).is_ok())
    }

    #[test]
    fn acknowledged_commit_is_found() {
        assert!(judge(&[finds(1, None), asks(2, 10), acked(2), finds(3, Some(10))]));
        assert!(!judge(&[asks(2, 10), acked(2), finds(3, None)]));
        assert!(!judge(&[asks(1, 5), acked(1), asks(2, 10), acked(2), finds(3, Some(5))]));
        assert!(!judge(&[asks(1, 5), acked(1), finds(2, Some(7))]));
    }

    #[test]
    fn commit_in_doubt_may_be_found_or_not() {
        for offset in [5, 10] {
            assert!(judge(&[asks(1, 5), acked(1), asks(2, 10), finds(3, Some(offset))]));
        }
        assert!(!judge(&[asks(1, 5), acked(1), asks(2, 10), refused(2), finds(3, Some(10))]));
    }

    #[test]
    fn commit_in_doubt_is_over_with_the_life_of_the_node() {
        let ended = Fact::Ended { node: 0, how: Ending::PowerOff };
        let facts = |end: &[Fact]| {
            let mut facts = vec![asks(1, 5)];
            facts.extend_from_slice(end);
            facts.extend([asks(2, 10), acked(2), finds(3, Some(5))]);
            facts
        };
        assert!(judge(&facts(&[])) && !judge(&facts(&[ended])));
    }

    #[test]
    fn acknowledged_commit_does_not_go_back() {
        assert!(!judge(&[asks(1, 10), acked(1), asks(2, 5), acked(2)]));
        let under_way = member(Act::Committed { question: 1, until: 2, results: vec![(PLACE, 0)] });
        assert!(judge(&[asks(1, 10), asks(2, 5), under_way, acked(2)]), "both were under way");
    }
}
