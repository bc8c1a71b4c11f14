//! Every acknowledged batch is read back at its offset by the final read, whatever crashed in between.

use std::collections::{BTreeMap, BTreeSet};

use super::{Checker, Rules};
use crate::history::{Acked, BatchId, Edge, Fact, Place};
use crate::report::Violation;

const NAME: &str = "acked_is_durable";

#[derive(Debug)]
struct Kept {
    id: BatchId,
    end: i64,
}

#[derive(Debug)]
pub(super) struct AckedIsDurable {
    churns: Vec<bool>,
    rot: bool,
    acked: BTreeMap<Place, BTreeMap<i64, Kept>>,
    /// Acknowledged without an offset.
    acked_somewhere: BTreeMap<Place, BTreeSet<BatchId>>,
    read: Option<BTreeMap<Place, BTreeMap<i64, Option<BatchId>>>>,
}

impl AckedIsDurable {
    pub(super) fn new(rules: &Rules) -> Self {
        Self {
            churns: rules.topics.iter().map(|topic| topic.churns).collect(),
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
        let Some(base) = acked.base else {
            self.acked_somewhere.entry(acked.place).or_default().insert(acked.id);
            return Ok(());
        };
        let end = base + i64::from(acked.records);
        let of_place = self.acked.entry(acked.place).or_default();
        if let Some((other_base, other)) = of_place.range(..end).next_back()
            && other.end > base
            && other.id != acked.id
        {
            return Err(Violation::new(
                NAME,
                format!("{:?}: {:?} and {acked:?} share offsets from {other_base}", acked.place, other.id),
            ));
        }
        of_place.insert(base, Kept { id: acked.id, end });
        Ok(())
    }

    fn on_read_to_end(&self, place: Place, log_start: i64) -> Result<(), Violation> {
        if self.rot || self.churns[place.topic] {
            return Ok(());
        }
        let nothing = BTreeMap::new();
        let read = self.read.as_ref().and_then(|read| read.get(&place)).unwrap_or(&nothing);
        for (base, kept) in self.acked.get(&place).into_iter().flatten() {
            if kept.end <= log_start {
                continue;
            }
            let found = read.get(base);
            if found != Some(&Some(kept.id)) {
                let story = format!(
                    "{place:?}: {:?} was acknowledged at {base}, the final read has {found:?}",
                    kept.id
                );
                return Err(Violation::new(NAME, story));
            }
        }
        for id in self.acked_somewhere.get(&place).into_iter().flatten() {
            if log_start == 0 && !read.values().any(|found| *found == Some(*id)) {
                return Err(Violation::new(
                    NAME,
                    format!("{place:?}: {id:?} was called a duplicate and is nowhere"),
                ));
            }
        }
        Ok(())
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
            Fact::Delivered(delivered) => {
                if let Some(read) = &mut self.read {
                    read.entry(delivered.place).or_default().insert(delivered.base, delivered.id);
                }
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
            | Fact::Fetched(_)
            | Fact::OutOfRange(_)
            | Fact::RefusedInSequence { .. }
            | Fact::Core { .. }
            | Fact::Ended { .. }
            | Fact::Overdue { .. } => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{PLACE, acked, delivered, read_to_end, rules};
    use super::{AckedIsDurable, Checker};
    use crate::history::{Edge, Fact, Listed};

    fn run(facts: &[Fact]) -> bool {
        let mut checker = AckedIsDurable::new(&rules());
        facts.iter().all(|fact| checker.on_fact(fact).is_ok())
    }

    #[test]
    fn read_back_is_fine() {
        assert!(run(&[acked(1, 0), Fact::FinalReadBegan, delivered(1, 0), read_to_end(2)]));
    }

    #[test]
    fn lost_batch_is_found() {
        assert!(!run(&[acked(1, 0), acked(2, 2), Fact::FinalReadBegan, delivered(1, 0), read_to_end(2)]));
    }

    #[test]
    fn moved_batch_is_found() {
        assert!(!run(&[acked(1, 0), Fact::FinalReadBegan, delivered(2, 0), delivered(1, 2), read_to_end(4)]));
    }

    #[test]
    fn read_before_the_end_does_not_count() {
        assert!(!run(&[acked(1, 0), delivered(1, 0), Fact::FinalReadBegan, read_to_end(0)]));
    }

    #[test]
    fn offset_acknowledged_twice_is_found() {
        assert!(!run(&[acked(1, 0), acked(2, 1)]));
        assert!(run(&[acked(1, 0), acked(1, 0)]));
    }

    #[test]
    fn short_log_is_found() {
        let listed = |offset| Fact::Listed(Listed { place: PLACE, edge: Edge::Latest, offset, end_known: 4 });
        assert!(run(&[listed(4)]) && !run(&[listed(3)]));
    }
}
