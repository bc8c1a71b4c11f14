//! Producer state is a fold of the batches: an idempotent producer's records stand in the log once each and in sequence, and a
//! duplicate is answered with the offset of the original. No batch at all stands in the log twice: no client sends one twice but
//! idempotently.

use std::collections::BTreeMap;

use super::{Checker, Rules};
use crate::history::{Acked, BatchId, Delivered, Fact, Place, Sequence};
use crate::report::Violation;

const NAME: &str = "producer_state";

#[derive(Debug)]
pub(super) struct ProducerState {
    churns: Vec<bool>,
    base_of: BTreeMap<BatchId, (Place, i64)>,
    sequences: BTreeMap<Place, BTreeMap<i64, (Sequence, i32)>>,
}

impl ProducerState {
    pub(super) fn new(rules: &Rules) -> Self {
        Self {
            churns: rules.topics.iter().map(|topic| topic.churns).collect(),
            base_of: BTreeMap::new(),
            sequences: BTreeMap::new(),
        }
    }

    fn on_base(&mut self, id: BatchId, place: Place, base: i64) -> Result<(), Violation> {
        let first = *self.base_of.entry(id).or_insert((place, base));
        if first != (place, base) {
            let story = format!("{id:?} stands at {first:?} and at {:?}", (place, base));
            return Err(Violation::new(NAME, story));
        }
        Ok(())
    }

    fn on_acked(&mut self, acked: &Acked) -> Result<(), Violation> {
        match acked.base {
            Some(base) => self.on_base(acked.id, acked.place, base),
            None => Ok(()),
        }
    }

    fn on_delivered(&mut self, delivered: &Delivered) -> Result<(), Violation> {
        if let Some(sequence) = delivered.sequence {
            let of_place = self.sequences.entry(delivered.place).or_default();
            of_place.insert(delivered.base, (sequence, delivered.records));
        }
        match delivered.id {
            Some(id) => self.on_base(id, delivered.place, delivered.base),
            None => Ok(()),
        }
    }

    /// Everything of this partition was delivered: fold it.
    fn on_read_to_end(&self, place: Place, log_start: i64) -> Result<(), Violation> {
        let mut next = BTreeMap::new();
        for (base, (sequence, records)) in self.sequences.get(&place).into_iter().flatten() {
            let Sequence { producer, epoch, first } = *sequence;
            let expected = next.insert((producer, epoch), first + records);
            let fits = match expected {
                Some(expected) => expected == first,
                None => first == 0 || log_start > 0,
            };
            if !fits {
                let story = format!("{place:?} offset {base}: {sequence:?} where {expected:?} was due");
                return Err(Violation::new(NAME, story));
            }
        }
        Ok(())
    }
}

impl Checker for ProducerState {
    fn on_fact(&mut self, fact: &Fact) -> Result<(), Violation> {
        match fact {
            Fact::Acked(acked) if !self.churns[acked.place.topic] => self.on_acked(acked),
            Fact::Delivered(delivered) if !self.churns[delivered.place.topic] => self.on_delivered(delivered),
            Fact::ReadToEnd { place, log_start, .. } if !self.churns[place.topic] => {
                self.on_read_to_end(*place, *log_start)
            }
            Fact::RefusedInSequence { id, place } if !self.churns[place.topic] => Err(Violation::new(
                NAME,
                format!("{place:?}: {id:?} follows what was acknowledged and was refused"),
            )),
            Fact::Acked(_)
            | Fact::Delivered(_)
            | Fact::ReadToEnd { .. }
            | Fact::RefusedInSequence { .. }
            | Fact::Fetched(_)
            | Fact::OutOfRange(_)
            | Fact::Sent(_)
            | Fact::Listed(_)
            | Fact::Core { .. }
            | Fact::Ended { .. }
            | Fact::FinalReadBegan
            | Fact::Overdue { .. } => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{PLACE, acked, delivered, read_to_end, rules, sequenced};
    use super::{Checker, ProducerState};
    use crate::history::{BatchId, Fact};

    fn run(facts: &[Fact]) -> bool {
        let mut checker = ProducerState::new(&rules());
        facts.iter().all(|fact| checker.on_fact(fact).is_ok())
    }

    #[test]
    fn sequence_without_holes_is_fine() {
        assert!(run(&[sequenced(1, 0, 0), delivered(9, 2), sequenced(2, 4, 2), read_to_end(6)]));
    }

    #[test]
    fn holes_and_repeats_are_found() {
        assert!(!run(&[sequenced(1, 0, 0), sequenced(2, 2, 4), read_to_end(4)]), "hole");
        assert!(!run(&[sequenced(1, 0, 0), sequenced(2, 2, 0), read_to_end(4)]), "repeat");
        assert!(!run(&[sequenced(2, 0, 2), read_to_end(2)]), "no beginning");
    }

    #[test]
    fn batch_that_stands_twice_is_found() {
        assert!(!run(&[delivered(1, 0), delivered(1, 2)]));
        assert!(!run(&[acked(1, 0), delivered(1, 2)]));
        assert!(!run(&[acked(1, 0), acked(1, 2)]), "a duplicate answered with another offset");
    }

    #[test]
    fn refusal_in_sequence_is_found() {
        assert!(!run(&[Fact::RefusedInSequence { id: BatchId(1), place: PLACE }]));
    }
}
