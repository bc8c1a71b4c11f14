//! The offset that belongs to a time is that of the first record that is as new, record by record and not batch by batch; the highest
//! time is that of a record that no other surpasses. Records that a steward wrote and knows the places of are held against the
//! answers; others may be between them.

use std::collections::BTreeMap;

use highwater_core::client::OffsetAt;

use super::{Checker, Rules};
use crate::history::{Deed, Fact};
use crate::report::Violation;

const NAME: &str = "offsets_by_time";

/// An answer, and where the log began after it was given.
#[derive(Debug, Clone, Copy)]
struct Answer {
    at: OffsetAt,
    offset: Option<i64>,
    timestamp: Option<i64>,
    log_start: i64,
}

#[derive(Debug, Clone)]
pub(super) struct OffsetsByTime {
    rot: bool,
    /// Times of records by their offsets.
    known: BTreeMap<i64, i64>,
    /// The node has not ended since records were sent, or since the question.
    storing: bool,
    asking: bool,
}

impl OffsetsByTime {
    pub(super) fn new(rules: &Rules) -> Self {
        Self { rot: rules.rot, known: BTreeMap::new(), storing: false, asking: false }
    }

    /// What is wrong with an answer.
    fn wrong(&self, answer: Answer) -> Option<String> {
        let Answer { at, offset, timestamp, log_start } = answer;
        let visible = || self.known.range(log_start..);
        let told = offset.and_then(|offset| self.known.get(&offset));
        match at {
            OffsetAt::Earliest => {
                (offset.is_none_or(|offset| offset > log_start)).then(|| "it goes back".to_owned())
            }
            OffsetAt::Latest => {
                let last = self.known.keys().next_back().copied().unwrap_or(-1);
                offset.is_none_or(|offset| offset <= last).then(|| format!("there is a record at {last}"))
            }
            OffsetAt::Time(_) | OffsetAt::MaxTimestamp
                if told.is_some_and(|told| Some(*told) != timestamp) =>
            {
                Some(format!("the record there is of {told:?}"))
            }
            OffsetAt::Time(wanted) => {
                if timestamp.is_some_and(|timestamp| timestamp < wanted.0) {
                    return Some("the record is older".to_owned());
                }
                let before = offset.unwrap_or(i64::MAX);
                let mut sooner = visible().take_while(|(at, _)| **at < before);
                let sooner = sooner.find(|(_, time)| **time >= wanted.0);
                sooner.map(|(at, time)| format!("record {at} is of {time}"))
            }
            OffsetAt::MaxTimestamp => {
                let newest = visible().map(|(_, time)| *time).max();
                (newest > timestamp).then(|| format!("there is a record of {newest:?}"))
            }
        }
    }
}

impl Checker for OffsetsByTime {
    #[expect(clippy::wildcard_enum_match_arm, reason = "only stewards tell of times")]
    fn on_fact(&mut self, fact: &Fact) -> Result<(), Violation> {
        match fact {
            Fact::Ended { .. } | Fact::DiskReplaced { .. } => (self.storing, self.asking) = (false, false),
            Fact::Steward { deed: Deed::Storing, .. } => self.storing = true,
            Fact::Steward { deed: Deed::Stored { offset, timestamp }, .. } if self.storing => {
                self.known.insert(*offset, *timestamp);
            }
            Fact::Steward { deed: Deed::Asking, .. } => self.asking = true,
            &Fact::Steward { deed: Deed::Answered { at, offset, timestamp, log_start }, .. }
                if self.asking && !self.rot =>
            {
                let answer = Answer { at, offset, timestamp, log_start };
                if let Some(what) = self.wrong(answer) {
                    return Err(Violation::new(NAME, format!("{answer:?}: {what}")));
                }
            }
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use highwater_core::client::OffsetAt;
    use highwater_core::time::Timestamp;

    use super::super::samples::rules;
    use super::{Checker, OffsetsByTime};
    use crate::history::{Deed, Fact};

    /// Whether an answer about records of the times 10, 30, 20 at 3, 4 and 5 passes.
    fn passes(at: OffsetAt, offset: Option<i64>, timestamp: Option<i64>, log_start: i64) -> bool {
        let mut checker = OffsetsByTime::new(&rules());
        let mut sound = |deed| checker.on_fact(&Fact::Steward { node: 0, deed }).is_ok();
        assert!(sound(Deed::Storing));
        for (offset, timestamp) in [(3, 10), (4, 30), (5, 20)] {
            assert!(sound(Deed::Stored { offset, timestamp }));
        }
        assert!(sound(Deed::Asking));
        sound(Deed::Answered { at, offset, timestamp, log_start })
    }

    #[test]
    fn answer_by_time_is_the_first_record_that_is_as_new() {
        let at = |time| OffsetAt::Time(Timestamp(time));
        assert!(passes(at(15), Some(4), Some(30), 0));
        assert!(!passes(at(15), Some(5), Some(20), 0), "off by one");
        assert!(!passes(at(15), Some(3), Some(10), 0), "by the batch");
        assert!(!passes(at(15), None, None, 0));
        assert!(passes(at(15), Some(5), Some(20), 5), "the log begins there");
        assert!(passes(at(15), Some(2), Some(16), 0), "a record that nobody knows");
        assert!(passes(at(31), None, None, 0));
        assert!(!passes(at(15), Some(4), Some(29), 0));
    }

    #[test]
    fn edges_and_the_highest_time_are_held_against_the_records() {
        assert!(passes(OffsetAt::MaxTimestamp, Some(4), Some(30), 0));
        assert!(!passes(OffsetAt::MaxTimestamp, Some(5), Some(20), 0));
        assert!(passes(OffsetAt::MaxTimestamp, Some(5), Some(20), 5));
        assert!(passes(OffsetAt::Latest, Some(6), None, 0) && !passes(OffsetAt::Latest, Some(5), None, 0));
        assert!(
            passes(OffsetAt::Earliest, Some(2), None, 3) && !passes(OffsetAt::Earliest, Some(4), None, 3)
        );
    }
}
