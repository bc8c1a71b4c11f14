//! Producer state is a fold of the batches: an idempotent producer's records stand in the log once each and in sequence, and a
//! duplicate is answered with the offset of the original. A record that is never sent again stands there once at most; one that
//! is sent again when in doubt may stand there more often. Nothing stands there that nobody wrote, nor what an older epoch sent.

use std::collections::{BTreeMap, BTreeSet};

use highwater_core::id::PartitionId;
use highwater_core::shard::Event;

use super::{Checker, Rules};
use crate::history::{Fact, Fetched, Place, Process, Promise, Sequence, Value};
use crate::report::Violation;

const NAME: &str = "producer_state";

#[derive(Debug, Clone)]
struct Written {
    process: Process,
    place: Place,
    promise: Promise,
    offset: Option<i64>,
}

#[derive(Debug, Clone)]
struct Sequenced {
    sequence: Sequence,
    records: i32,
    /// Who wrote it, where its first record is known.
    process: Option<Process>,
}

#[derive(Debug, Clone)]
pub(super) struct ProducerState {
    rules: Rules,
    written: BTreeMap<Value, Written>,
    sequences: BTreeMap<Place, BTreeMap<i64, Sequenced>>,
    /// Who has a producer id: all topics of a cluster have theirs from one source.
    owners: BTreeMap<(usize, i64), BTreeSet<Process>>,
    /// The end of the metadata, which say what ids are given.
    metadata_end: i64,
    /// How often rot took some of them. Each time an id may go to one process more.
    metadata_losses: usize,
    /// Where a process had a record that was not acknowledged.
    in_doubt: BTreeSet<(Process, Place)>,
}

fn wrong(story: String) -> Result<(), Violation> {
    Err(Violation::new(NAME, story))
}

impl ProducerState {
    pub(super) fn new(rules: &Rules) -> Self {
        Self {
            rules: rules.clone(),
            written: BTreeMap::new(),
            sequences: BTreeMap::new(),
            owners: BTreeMap::new(),
            metadata_end: 0,
            metadata_losses: 0,
            in_doubt: BTreeSet::new(),
        }
    }

    /// Whether nothing of this partition's log may go.
    fn keeps_all(&self, place: Place) -> bool {
        !self.rules.topics[place.topic].retains_less && !self.rules.rot
    }

    fn on_offset(&mut self, value: Value, place: Place, offset: i64) -> Result<(), Violation> {
        let Some(written) = self.written.get_mut(&value).filter(|written| written.place == place) else {
            return wrong(format!("{value:?} stands at {offset} of {place:?}, where nobody wrote it"));
        };
        if written.promise == Promise::Fenced {
            return wrong(format!(
                "{value:?}, of an older epoch than its producer's, stands at {offset} of {place:?}"
            ));
        }
        let before = *written.offset.get_or_insert(offset);
        if before != offset && written.promise != Promise::Repeated && !self.rules.rot {
            return wrong(format!("{value:?} stands at {before} and at {offset}: {written:?}"));
        }
        Ok(())
    }

    fn on_fetched(&mut self, fetched: &Fetched) -> Result<(), Violation> {
        let place = fetched.place;
        for &(offset, value) in &fetched.records {
            match value {
                Some(value) => self.on_offset(value, place, offset)?,
                None => return wrong(format!("no client wrote what stands at {offset} of {place:?}")),
            }
        }
        let sequences = self.sequences.entry(place).or_default();
        for batch in &fetched.batches {
            let Some(sequence) = batch.sequence else { continue };
            let at = fetched.records.partition_point(|&(offset, _)| offset < batch.base);
            let first = fetched.records.get(at).filter(|(offset, _)| *offset == batch.base);
            let value = first.and_then(|&(_, value)| value);
            let process = value.and_then(|value| self.written.get(&value)).map(|written| written.process);
            if let Some(process) = process {
                let owners = self.owners.entry((place.topic, sequence.producer)).or_default();
                owners.insert(process);
                if owners.len() > 1 + self.metadata_losses {
                    return wrong(format!("producer id {} was given to {owners:?}", sequence.producer));
                }
            }
            let records = i32::try_from(batch.end - batch.base).expect("the batch counts them in 32 bits");
            let entry = sequences.entry(batch.base).or_insert(Sequenced { sequence, records, process });
            entry.process = entry.process.or(process);
        }
        Ok(())
    }

    /// Everything of this partition was fetched: fold it.
    fn on_read_to_end(&self, place: Place, log_start: i64) -> Result<(), Violation> {
        let mut next = BTreeMap::new();
        // What retention took may have been seen in part.
        let there = self.sequences.get(&place).into_iter().flat_map(|seen| seen.range(log_start..));
        for (base, sequenced) in there {
            let Sequence { producer, epoch, first } = sequenced.sequence;
            let expected = next.insert((producer, epoch), first + sequenced.records);
            let fits = match expected {
                _ if self.rules.rot => true,
                Some(expected) => expected == first,
                None => first == 0 || log_start > 0,
            };
            if !fits {
                return wrong(format!("{place:?} offset {base}: {sequenced:?} where {expected:?} was due"));
            }
            // A client begins a new epoch only when it lost track of its sequences.
            if epoch > 0
                && self.keeps_all(place)
                && let Some(process) = sequenced.process
                && !self.in_doubt.contains(&(process, place))
            {
                return wrong(format!("{place:?} offset {base}: {sequenced:?} was refused without cause"));
            }
        }
        Ok(())
    }
}

impl ProducerState {
    #[expect(clippy::wildcard_enum_match_arm, reason = "few events tell of the metadata's end")]
    fn on_event(&mut self, event: &Event) {
        match event {
            Event::DurableAdvanced { partition: PartitionId::METADATA, durable_end } => {
                self.metadata_end = durable_end.0;
            }
            Event::Recovered { partition: PartitionId::METADATA, log_end, .. } => {
                let before = std::mem::replace(&mut self.metadata_end, log_end.0);
                self.metadata_losses += usize::from(self.rules.rot && log_end.0 < before);
            }
            _ => {}
        }
    }
}

impl Checker for ProducerState {
    fn on_fact(&mut self, fact: &Fact) -> Result<(), Violation> {
        let lasts = |place: Place| !self.rules.topics[place.topic].churns;
        match fact {
            Fact::Sent(sent) if lasts(sent.place) => {
                let &crate::history::Sent { process, place, value, promise } = sent;
                self.written.insert(value, Written { process, place, promise, offset: None });
                Ok(())
            }
            Fact::Acked(acked) if lasts(acked.place) => match acked.offset {
                Some(offset) => self.on_offset(acked.value, acked.place, offset),
                None => Ok(()),
            },
            Fact::Unacked(unacked) => {
                self.in_doubt.insert((unacked.process, unacked.place));
                Ok(())
            }
            Fact::Fetched(fetched) if lasts(fetched.place) => self.on_fetched(fetched),
            // The batches between may have been cleaned away.
            Fact::ReadToEnd { place, .. } if self.rules.topics[place.topic].compacts => Ok(()),
            Fact::ReadToEnd { place, log_start, .. } if lasts(*place) => {
                self.on_read_to_end(*place, *log_start)
            }
            Fact::RefusedInSequence { place, .. } if lasts(*place) && self.keeps_all(*place) => {
                wrong(format!("{fact:?}: what is due after an acknowledgement was refused"))
            }
            Fact::Core { event, .. } => {
                self.on_event(event);
                Ok(())
            }
            Fact::Sent(_)
            | Fact::Acked(_)
            | Fact::Fetched(_)
            | Fact::Told(_)
            | Fact::OutOfRange(_)
            | Fact::Damaged { .. }
            | Fact::Sought(_)
            | Fact::Member(_)
            | Fact::Listed(_)
            | Fact::RefusedInSequence { .. }
            | Fact::Trimmed(_)
            | Fact::Unreadable { .. }
            | Fact::Disk { .. }
            | Fact::Kept { .. }
            | Fact::Steward { .. }
            | Fact::Ended { .. }
            | Fact::FinalReadBegan
            | Fact::ReadToEnd { .. }
            | Fact::DiskReplaced { .. }
            | Fact::Overdue { .. } => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use highwater_core::id::{Offset, PartitionId};
    use highwater_core::shard::Event;

    use super::super::Rules;
    use super::super::samples::{PLACE, acked, fetched, read_to_end, rules, sent, sequenced, unacked};
    use super::{Checker, ProducerState};
    use crate::history::{Fact, Process, Promise, Value};

    fn run(facts: &[Fact]) -> bool {
        let mut checker = ProducerState::new(&rules());
        let all = (1..10).map(|value| sent(value, Promise::InOrderOnce));
        all.chain(facts.iter().cloned()).all(|fact| checker.on_fact(&fact).is_ok())
    }

    #[test]
    fn sequence_without_holes_is_fine() {
        let facts =
            [sequenced(0, &[1, 2], (0, 0)), fetched(2, &[9]), sequenced(3, &[3], (0, 2)), read_to_end(4)];
        assert!(run(&facts));
    }

    #[test]
    fn holes_and_repeats_are_found() {
        let two = |first| [sequenced(0, &[1, 2], (0, 0)), sequenced(2, &[3], (0, first)), read_to_end(3)];
        assert!(!run(&two(4)), "hole");
        assert!(!run(&two(0)), "repeat");
        assert!(!run(&[sequenced(0, &[1], (0, 2)), read_to_end(1)]), "no beginning");
    }

    #[test]
    fn record_that_stands_twice_is_found() {
        assert!(!run(&[fetched(0, &[1, 1])]));
        assert!(!run(&[acked(1, 0), fetched(0, &[2, 1])]));
        assert!(!run(&[acked(1, 0), acked(1, 2)]), "a duplicate answered with another offset");
        let with = |promise| {
            let mut checker = ProducerState::new(&rules());
            let facts = [sent(1, promise), fetched(0, &[1, 1])];
            facts.iter().all(|fact| checker.on_fact(fact).is_ok())
        };
        assert!(with(Promise::Repeated) && !with(Promise::Once));
    }

    #[test]
    fn record_of_an_older_epoch_is_found() {
        let mut checker = ProducerState::new(&rules());
        assert!(checker.on_fact(&sent(1, Promise::Fenced)).is_ok());
        assert!(checker.on_fact(&acked(1, 0)).is_err());
    }

    #[test]
    fn record_that_nobody_wrote_is_found() {
        assert!(!run(&[fetched(0, &[77])]));
        assert!(!run(&[fetched(0, &[0])]), "nothing that a client writes");
    }

    #[test]
    fn new_epoch_needs_a_cause() {
        let facts = [sequenced(0, &[1], (0, 0)), sequenced(1, &[2], (1, 0)), read_to_end(2)];
        assert!(!run(&facts));
        let with_cause: Vec<Fact> = [unacked(3)].into_iter().chain(facts).collect();
        assert!(run(&with_cause));
    }

    #[test]
    fn producer_id_of_two_processes_is_found() {
        let other = |process: u32, value: u64| {
            let (process, value, promise) = (Process(process), Value(value), Promise::InOrderOnce);
            Fact::Sent(crate::history::Sent { process, place: PLACE, value, promise })
        };
        let two = [other(2, 20), sequenced(0, &[1], (0, 0)), sequenced(1, &[20], (0, 1))];
        assert!(!run(&two));
        let metadata = |end: i64| {
            let (partition, log_start, log_end) = (PartitionId::METADATA, Offset::ZERO, Offset(end));
            Fact::Core { node: 0, event: Event::Recovered { partition, log_start, log_end } }
        };
        let three = || two.iter().cloned().chain([other(3, 30), sequenced(2, &[30], (0, 2))]);
        let with = |rot: bool, ends: [i64; 3], facts: Vec<Fact>| {
            let mut checker = ProducerState::new(&Rules { rot, ..rules() });
            let before = ends.map(metadata).into_iter().chain([sent(1, Promise::InOrderOnce)]);
            before.chain(facts).all(|fact| checker.on_fact(&fact).is_ok())
        };
        assert!(with(true, [2, 1, 1], two.to_vec()), "rot has taken what said that it was given");
        assert!(!with(true, [1, 1, 2], two.to_vec()), "nothing is gone");
        assert!(!with(false, [2, 1, 1], two.to_vec()), "nothing may go");
        assert!(!with(true, [2, 1, 1], three().collect()), "it was taken once");
        assert!(with(true, [3, 2, 1], three().collect()), "it was taken twice");
    }

    #[test]
    fn refusal_in_sequence_is_found() {
        assert!(!run(&[Fact::RefusedInSequence { process: Process(1), place: PLACE }]));
    }
}
