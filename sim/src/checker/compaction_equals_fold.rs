//! A compacted partition reads as the fold of what was written: offsets rise, each has the record that was written there, and one
//! that is missing has a newer one of its key behind it, or is a tombstone that may have gone.

use std::collections::{BTreeMap, BTreeSet};

use highwater_core::client::Written;

use super::{Checker, Rules};
use crate::history::{Acked, Fact, Fetched, Place, Value};
use crate::report::Violation;

const NAME: &str = "compaction_equals_fold";

/// What is known of one partition.
#[derive(Debug, Clone, Default)]
struct Known {
    /// What stands or stood where, as acknowledgements and reads tell.
    records: BTreeMap<i64, Value>,
    acked: BTreeMap<i64, Value>,
    /// Keys of tombstones that may stand nobody knows where.
    doubtful: BTreeSet<u64>,
    /// What the final read found.
    last: BTreeMap<i64, Value>,
}

#[derive(Debug, Clone)]
pub(super) struct CompactionEqualsFold {
    rules: Rules,
    places: BTreeMap<Place, Known>,
    is_final: bool,
}

fn wrong(story: String) -> Result<(), Violation> {
    Err(Violation::new(NAME, story))
}

impl CompactionEqualsFold {
    pub(super) fn new(rules: &Rules) -> Self {
        Self { rules: rules.clone(), places: BTreeMap::new(), is_final: false }
    }

    fn on_record(&mut self, place: Place, offset: i64, value: Value) -> Result<(), Violation> {
        let known = self.places.entry(place).or_default();
        let before = *known.records.entry(offset).or_insert(value);
        if before != value {
            return wrong(format!("{place:?} offset {offset} held {before:?} and is now {value:?}"));
        }
        Ok(())
    }

    fn on_acked(&mut self, acked: &Acked) -> Result<(), Violation> {
        let Some(offset) = acked.offset else {
            self.doubt(acked.place, acked.value);
            return Ok(());
        };
        self.places.entry(acked.place).or_default().acked.insert(offset, acked.value);
        self.on_record(acked.place, offset, acked.value)
    }

    fn doubt(&mut self, place: Place, value: Value) {
        if value.is_tombstone() {
            self.places.entry(place).or_default().doubtful.insert(value.key());
        }
    }

    fn on_fetched(&mut self, fetched: &Fetched) -> Result<(), Violation> {
        let place = fetched.place;
        for &(offset, value) in &fetched.records {
            let Some(value) = value else {
                return wrong(format!("no client wrote what stands at {offset} of {place:?}"));
            };
            self.on_record(place, offset, value)?;
            if self.is_final {
                self.places.entry(place).or_default().last.insert(offset, value);
            }
        }
        Ok(())
    }

    fn on_read_to_end(&self, place: Place, log_start: i64) -> Result<(), Violation> {
        let nothing = Known::default();
        let known = self.places.get(&place).unwrap_or(&nothing);
        let mut newest: BTreeMap<u64, i64> = BTreeMap::new();
        for (&offset, value) in &known.last {
            newest.insert(value.key(), offset);
        }
        let tombstones_go = self.rules.topics[place.topic].tombstones_go;
        for (&offset, value) in known.acked.range(log_start..) {
            let is_there = known.last.contains_key(&offset);
            let newer = newest.get(&value.key()).is_some_and(|newest| *newest > offset);
            // A tombstone that came behind it and has gone itself.
            let buried = tombstones_go && self.is_buried(known, (offset, *value));
            if !is_there && !newer && !buried {
                let story =
                    format!("{place:?}: {value:?} was acknowledged at {offset} as the newest of its key");
                return wrong(format!("{story}, and the final read does not have it"));
            }
        }
        Ok(())
    }

    /// Whether the record may have gone with a tombstone: it is one, or one stood behind it.
    fn is_buried(&self, known: &Known, (offset, value): (i64, Value)) -> bool {
        if known.doubtful.contains(&value.key()) {
            return true;
        }
        let behind = known.records.range(offset..);
        behind.filter(|(_, other)| other.key() == value.key()).any(|(_, other)| other.is_tombstone())
    }
}

impl Checker for CompactionEqualsFold {
    fn on_fact(&mut self, fact: &Fact) -> Result<(), Violation> {
        let compacts = |place: Place| {
            let topic = &self.rules.topics[place.topic];
            topic.compacts && !topic.churns && !self.rules.rot
        };
        match fact {
            Fact::Acked(acked) if compacts(acked.place) => self.on_acked(acked),
            Fact::Unacked(unacked) if compacts(unacked.place) && unacked.written == Written::Perhaps => {
                self.doubt(unacked.place, unacked.value);
                Ok(())
            }
            Fact::Fetched(fetched) if compacts(fetched.place) => self.on_fetched(fetched),
            Fact::FinalReadBegan => {
                self.is_final = true;
                Ok(())
            }
            Fact::ReadToEnd { place, log_start, .. } if compacts(*place) => {
                self.on_read_to_end(*place, *log_start)
            }
            Fact::Sent(_)
            | Fact::Acked(_)
            | Fact::Unacked(_)
            | Fact::Fetched(_)
            | Fact::Trimmed(_)
            | Fact::Steward { .. }
            | Fact::Told(_)
            | Fact::OutOfRange(_)
            | Fact::Damaged { .. }
            | Fact::Sought(_)
            | Fact::Member(_)
            | Fact::Listed(_)
            | Fact::RefusedInSequence { .. }
            | Fact::Unreadable { .. }
            | Fact::Disk { .. }
            | Fact::Kept { .. }
            | Fact::Core { .. }
            | Fact::Ended { .. }
            | Fact::ReadToEnd { .. }
            | Fact::DiskReplaced { .. }
            | Fact::Overdue { .. } => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{acked, fetched, read_to_end, rules};
    use super::{Checker, CompactionEqualsFold};
    use crate::history::{Fact, KEYS, Value};

    fn run(tombstones_go: bool, facts: &[Fact]) -> bool {
        let mut rules = rules();
        (rules.topics[0].compacts, rules.topics[0].tombstones_go) = (true, tombstones_go);
        let mut checker = CompactionEqualsFold::new(&rules);
        facts.iter().all(|fact| checker.on_fact(fact).is_ok())
    }

    /// Two values of one key that are no tombstones, a tombstone of it, and one of another key.
    fn values() -> [u64; 4] {
        let of_key = |tombstone: bool| {
            (KEYS..100 * KEYS)
                .step_by(usize::try_from(KEYS).unwrap())
                .filter(move |n| Value(*n).is_tombstone() == tombstone)
        };
        let (mut plain, mut tombstones) = (of_key(false), of_key(true));
        [plain.next().unwrap(), plain.next().unwrap(), tombstones.next().unwrap(), KEYS + 1]
    }

    #[test]
    fn superseded_record_may_go_and_the_newest_may_not() {
        let [old, new, _, other] = values();
        let acks = [acked(old, 0), acked(new, 1), acked(other, 2)];
        let read = |offset: i64, value: u64| [Fact::FinalReadBegan, fetched(offset, &[value])];
        let with = |facts: &[Fact]| run(false, &[&acks[..], facts, &[read_to_end(3)]].concat());
        assert!(with(&[&read(1, new)[..], &read(2, other)].concat()));
        assert!(!with(&read(2, other)), "the newest of its key");
        assert!(!with(&read(1, new)), "the only one of its key");
        assert!(!with(&[&read(0, old)[..], &read(2, other)].concat()), "the older one in its place");
        assert!(!with(&[&read(1, old)[..], &read(2, other)].concat()), "at another's offset");
    }

    #[test]
    fn tombstone_stays_where_its_time_does_not_pass() {
        let [old, _, tombstone, _] = values();
        let facts = [acked(old, 0), acked(tombstone, 1), Fact::FinalReadBegan, read_to_end(2)];
        assert!(run(true, &facts));
        assert!(!run(false, &facts));
    }
}
