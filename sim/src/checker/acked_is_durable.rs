//! Every acknowledged record is read back at its offset by the final read, whatever crashed in between.

use std::collections::{BTreeMap, BTreeSet};

use super::{Checker, Rules};
use crate::history::{Acked, Edge, Fact, Fetched, Place, Value};
use crate::report::Violation;

const NAME: &str = "acked_is_durable";

#[derive(Debug, Clone)]
pub(super) struct AckedIsDurable {
    churns: Vec<bool>,
    rot: bool,
    acked: BTreeMap<Place, BTreeMap<i64, Value>>,
    /// Acknowledged without an offset.
    acked_somewhere: BTreeMap<Place, BTreeSet<Value>>,
    read: Option<BTreeMap<Place, BTreeMap<i64, Option<Value>>>>,
}

impl AckedIsDurable {
    pub(super) fn new(rules: &Rules) -> Self {
        Self {
            // What compaction takes is judged by another.
            churns: rules.topics.iter().map(|topic| topic.churns || topic.compacts).collect(),
            rot: rules.rot,
            acked: BTreeMap::new(),
            acked_somewhere: BTreeMap::new(),
            read: None,
        }
    }

    fn on_acked(&mut self, acked: &Acked) -> Result<(), Violation> {
        if self.churns[acked.place.topic] {
            return Ok(());
        }
        let Some(offset) = acked.offset else {
            self.acked_somewhere.entry(acked.place).or_default().insert(acked.value);
            return Ok(());
        };
        let before = self.acked.entry(acked.place).or_default().insert(offset, acked.value);
        match before.filter(|before| *before != acked.value && !self.rot) {
            Some(before) => {
                Err(Violation::new(NAME, format!("{acked:?} at an offset that {before:?} was given")))
            }
            None => Ok(()),
        }
    }

    fn on_fetched(&mut self, fetched: &Fetched) {
        if let Some(read) = &mut self.read {
            read.entry(fetched.place).or_default().extend(fetched.records.iter().copied());
        }
    }

    fn on_read_to_end(&self, place: Place, log_start: i64) -> Result<(), Violation> {
        if self.rot || self.churns[place.topic] {
            return Ok(());
        }
        let nothing = BTreeMap::new();
        let read = self.read.as_ref().and_then(|read| read.get(&place)).unwrap_or(&nothing);
        let acked = self.acked.get(&place).into_iter().flat_map(|acked| acked.range(log_start..));
        for (offset, value) in acked {
            let found = read.get(offset);
            if found != Some(&Some(*value)) {
                let story = format!(
                    "{place:?}: {value:?} was acknowledged at {offset}, the final read has {found:?}"
                );
                return Err(Violation::new(NAME, story));
            }
        }
        let somewhere = self.acked_somewhere.get(&place).filter(|_| log_start == 0);
        let read: BTreeSet<Value> = match somewhere {
            Some(_) => read.values().copied().flatten().collect(),
            None => BTreeSet::new(),
        };
        match somewhere.into_iter().flatten().find(|value| !read.contains(value)) {
            Some(value) => {
                let story = format!("{place:?}: {value:?} was called a duplicate and is nowhere");
                Err(Violation::new(NAME, story))
            }
            None => Ok(()),
        }
    }
}

impl Checker for AckedIsDurable {
    fn on_fact(&mut self, fact: &Fact) -> Result<(), Violation> {
        match fact {
            Fact::Acked(acked) => self.on_acked(acked),
            Fact::FinalReadBegan => {
                self.read = Some(BTreeMap::new());
                Ok(())
            }
            Fact::Fetched(fetched) => {
                self.on_fetched(fetched);
                Ok(())
            }
            Fact::ReadToEnd { place, log_start, .. } => self.on_read_to_end(*place, *log_start),
            Fact::Listed(listed)
                if listed.edge == Edge::Latest
                    && listed.offset < listed.end_known
                    && !self.churns[listed.place.topic]
                    && !self.rot =>
            {
                let story = format!("the log ends before what clients were told of: {listed:?}");
                Err(Violation::new(NAME, story))
            }
            Fact::Listed(_)
            | Fact::Sent(_)
            | Fact::Unacked(_)
            | Fact::Told(_)
            | Fact::OutOfRange(_)
            | Fact::Damaged { .. }
            | Fact::Sought(_)
            | Fact::Member(_)
            | Fact::RefusedInSequence { .. }
            | Fact::Trimmed(_)
            | Fact::Unreadable { .. }
            | Fact::Disk { .. }
            | Fact::Kept { .. }
            | Fact::Steward { .. }
            | Fact::Core { .. }
            | Fact::Ended { .. }
            | Fact::DiskReplaced { .. }
            | Fact::Overdue { .. } => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{PLACE, acked, fetched, read_to_end, rules};
    use super::{AckedIsDurable, Checker};
    use crate::history::{Acked, Edge, Fact, Listed, Process, Value};

    fn run(facts: &[Fact]) -> bool {
        let mut checker = AckedIsDurable::new(&rules());
        facts.iter().all(|fact| checker.on_fact(fact).is_ok())
    }

    #[test]
    fn read_back_is_fine() {
        assert!(run(&[acked(1, 0), acked(2, 1), Fact::FinalReadBegan, fetched(0, &[1, 2]), read_to_end(2)]));
    }

    #[test]
    fn lost_record_is_found() {
        assert!(!run(&[acked(1, 0), acked(2, 1), Fact::FinalReadBegan, fetched(0, &[1]), read_to_end(1)]));
    }

    #[test]
    fn moved_record_is_found() {
        assert!(!run(&[acked(1, 0), Fact::FinalReadBegan, fetched(0, &[2, 1]), read_to_end(2)]));
    }

    #[test]
    fn read_before_the_end_does_not_count() {
        assert!(!run(&[acked(1, 0), fetched(0, &[1]), Fact::FinalReadBegan, read_to_end(0)]));
    }

    #[test]
    fn offset_acknowledged_twice_is_found() {
        assert!(!run(&[acked(1, 0), acked(2, 0)]));
        assert!(run(&[acked(1, 0), acked(1, 0)]));
    }

    #[test]
    fn duplicate_must_be_somewhere() {
        let duplicate =
            Fact::Acked(Acked { process: Process(1), place: PLACE, value: Value(1), offset: None });
        let read =
            |value| run(&[duplicate.clone(), Fact::FinalReadBegan, fetched(0, &[value]), read_to_end(1)]);
        assert!(read(1) && !read(2));
    }

    #[test]
    fn short_log_is_found() {
        let listed = |offset| Fact::Listed(Listed { place: PLACE, edge: Edge::Latest, offset, end_known: 4 });
        assert!(run(&[listed(4)]) && !run(&[listed(3)]));
    }
}
