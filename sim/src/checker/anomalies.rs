//! What clients did and saw as a history of operations, for the anomalies of the Kafka workload: lost and moved writes, duplicates,
//! reads of what failed, polls and sends out of order, and the rest of them. They are judged when the final read has ended.

use std::collections::{BTreeMap, BTreeSet};

use highwater_core::client::Written;
use highwater_jepsen::anomaly::{self, Anomaly, Verdict};
use highwater_jepsen::history::{Begin, Delivery, End, EntryId, F, History, Key, Micro, Offset, Read, Type};
use highwater_jepsen::history::{Process, Sent, Value};

use super::{Checker, Rules};
use crate::history::{Fact, Fetched, Place, Promise};
use crate::report::Violation;

/// Anomalies that a story tells; more of them tell nothing new.
const TOLD_MAX: usize = 5;

#[derive(Debug, Clone)]
pub(super) struct Anomalies {
    rules: Rules,
    history: History,
    /// Sends that have not ended.
    open: BTreeMap<crate::history::Value, EntryId>,
    assigned: BTreeMap<Process, BTreeSet<Key>>,
    log_starts: BTreeMap<Place, i64>,
}

fn delivery_of(promise: Promise) -> Delivery {
    match promise {
        Promise::InOrderOnce => Delivery::ExactlyOnce,
        Promise::Once | Promise::Fenced => Delivery::AtMostOnce,
        Promise::Repeated => Delivery::AtLeastOnce,
    }
}

fn process_of(process: crate::history::Process) -> Process {
    Process(process.0)
}

impl Anomalies {
    pub(super) fn new(rules: &Rules) -> Self {
        Self {
            rules: rules.clone(),
            history: History::new(),
            open: BTreeMap::new(),
            assigned: BTreeMap::new(),
            log_starts: BTreeMap::new(),
        }
    }

    fn key(&mut self, place: Place) -> Key {
        self.history.key(&self.rules.topics[place.topic].name, place.index)
    }

    /// Facts stand in their order; how long they took makes no difference.
    fn time_ns(&self) -> u64 {
        self.history.len() as u64
    }

    /// An operation that ends as it begins.
    fn at_once(&mut self, process: Process, f: F, micros: impl IntoIterator<Item = Micro>) {
        let time_ns = self.time_ns();
        let of = self.history.invoke(Begin { process, time_ns, f, delivery: Delivery::default() }).id();
        let mut entry = self.history.complete(End { of, time_ns, kind: Type::Ok });
        for micro in micros {
            entry.micro(micro);
        }
    }

    fn on_sent(&mut self, sent: &crate::history::Sent) {
        let (key, time_ns) = (self.key(sent.place), self.time_ns());
        let (process, delivery) = (process_of(sent.process), delivery_of(sent.promise));
        let mut entry = self.history.invoke(Begin { process, time_ns, f: F::Send, delivery });
        entry.send(Sent { key, value: Value(sent.value.0), offset: None });
        let id = entry.id();
        self.open.insert(sent.value, id);
    }

    /// How a send ended. What is acknowledged again has ended before.
    fn on_end_of(&mut self, value: crate::history::Value, place: Place, kind: Type, offset: Option<i64>) {
        let Some(of) = self.open.remove(&value) else { return };
        let (key, time_ns) = (self.key(place), self.time_ns());
        let sent = Sent { key, value: Value(value.0), offset: offset.map(Offset) };
        self.history.complete(End { of, time_ns, kind }).send(sent);
    }

    /// Forgets where the consumer was in this partition, and in no other.
    fn on_sought(&mut self, process: Process, place: Place) {
        let key = self.key(place);
        let assigned = self.assigned.entry(process).or_default();
        assigned.remove(&key);
        let others: Vec<Key> = assigned.iter().copied().collect();
        assigned.insert(key);
        self.at_once(process, F::Assign, others.into_iter().map(Micro::Assigned));
    }

    fn on_fetched(&mut self, fetched: &Fetched) {
        let key = self.key(fetched.place);
        let reads = fetched.records.iter().filter_map(|&(offset, value)| {
            let value = Value(value?.0);
            Some(Micro::Read(Read { key, offset: Offset(offset), value }))
        });
        self.at_once(process_of(fetched.process), F::Poll, [Micro::Poll].into_iter().chain(reads));
    }

    fn on_log_start(&mut self, place: Place, log_start: i64) {
        let known = self.log_starts.entry(place).or_insert(0);
        if log_start > *known && self.rules.topics[place.topic].retains_less {
            *known = log_start;
            let micro = Micro::LogStart { key: self.key(place), offset: Offset(log_start) };
            self.at_once(Process(0), F::Debug, [micro]);
        }
    }
}

impl Checker for Anomalies {
    fn on_fact(&mut self, fact: &Fact) -> Result<(), Violation> {
        // A record that compaction takes looks as if it was lost.
        let topics = &self.rules.topics;
        let lasts = |place: Place| !topics[place.topic].churns && !topics[place.topic].compacts;
        match fact {
            Fact::Sent(sent) if lasts(sent.place) => self.on_sent(sent),
            Fact::Acked(acked) if lasts(acked.place) => {
                self.on_end_of(acked.value, acked.place, Type::Ok, acked.offset);
            }
            Fact::Unacked(unacked) if lasts(unacked.place) => {
                let kind = match unacked.written {
                    Written::No => Type::Fail,
                    Written::Perhaps => Type::Info,
                };
                self.on_end_of(unacked.value, unacked.place, kind, None);
            }
            Fact::Sought(sought) if lasts(sought.place) => {
                self.on_sought(process_of(sought.process), sought.place);
            }
            Fact::Fetched(fetched) if lasts(fetched.place) => self.on_fetched(fetched),
            Fact::Told(told) if lasts(told.place) => self.on_log_start(told.place, told.log_start),
            Fact::ReadToEnd { place, log_start, .. } if lasts(*place) => {
                self.on_log_start(*place, *log_start);
            }
            Fact::Sent(_)
            | Fact::Acked(_)
            | Fact::Unacked(_)
            | Fact::Sought(_)
            | Fact::Member(_)
            | Fact::Fetched(_)
            | Fact::Told(_)
            | Fact::OutOfRange(_)
            | Fact::Damaged { .. }
            | Fact::Listed(_)
            | Fact::RefusedInSequence { .. }
            | Fact::Trimmed(_)
            | Fact::Unreadable { .. }
            | Fact::Disk { .. }
            | Fact::Kept { .. }
            | Fact::Steward { .. }
            | Fact::Core { .. }
            | Fact::Ended { .. }
            | Fact::DiskReplaced { .. }
            | Fact::FinalReadBegan
            | Fact::ReadToEnd { .. }
            | Fact::Overdue { .. } => {}
        }
        Ok(())
    }

    fn on_end(&mut self) -> Result<(), Violation> {
        if self.rules.rot {
            return Ok(());
        }
        let wrong = |story: String| Err(Violation::new("anomalies", story));
        let anomalies = match anomaly::check(&self.history) {
            Ok(anomalies) => anomalies,
            Err(twice) => return wrong(twice.to_string()),
        };
        let errors: Vec<&Anomaly> = Verdict::STRICT.errors(&anomalies).collect();
        if errors.is_empty() {
            return Ok(());
        }
        let told: Vec<String> =
            errors.iter().take(TOLD_MAX).map(|anomaly| anomaly.told(&self.history).to_string()).collect();
        wrong(format!("{} anomalies: {}", errors.len(), told.join("; ")))
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{PLACE, acked, fetched, rules, sent, unacked};
    use super::{Anomalies, Checker};
    use crate::history::{Fact, Process, Promise, Sought, Told};

    fn run_under(rules: &super::Rules, facts: &[Fact]) -> bool {
        let mut checker = Anomalies::new(rules);
        let all = (1..6).map(|value| sent(value, Promise::InOrderOnce));
        assert!(all.chain(facts.iter().cloned()).all(|fact| checker.on_fact(&fact).is_ok()));
        checker.on_end().is_ok()
    }

    fn run(facts: &[Fact]) -> bool {
        run_under(&rules(), facts)
    }

    #[test]
    fn log_that_keeps_its_records_is_fine() {
        assert!(run(&[acked(1, 0), acked(2, 1), unacked(3), fetched(0, &[1, 2]), acked(1, 0)]));
        assert!(run(&[acked(1, 0), unacked(2), fetched(0, &[1]), fetched(1, &[2])]), "in doubt and there");
    }

    #[test]
    fn lost_duplicate_and_reordered_records_are_found() {
        assert!(!run(&[acked(1, 0), acked(2, 1), fetched(0, &[1])]), "unseen");
        assert!(!run(&[acked(1, 0), fetched(0, &[1, 1])]), "duplicate");
        assert!(!run(&[acked(2, 0), acked(1, 1), fetched(0, &[2, 1])]), "sends out of order");
    }

    #[test]
    fn poll_goes_back_only_after_a_seek() {
        let all = [acked(1, 0), acked(2, 1), fetched(0, &[1, 2])];
        let again = |between: &[Fact]| run(&[&all[..], between, &[fetched(0, &[1])]].concat());
        assert!(!again(&[]));
        assert!(again(&[Fact::Sought(Sought { process: Process(1), place: PLACE })]));
    }

    #[test]
    fn what_retention_took_is_not_lost() {
        let told = Fact::Told(Told { place: PLACE, log_start: 1, high_watermark: 2, end_known: 0 });
        let facts = [acked(1, 0), acked(2, 1), told, fetched(1, &[2])];
        let mut retains_less = rules();
        retains_less.topics[0].retains_less = true;
        assert!(run_under(&retains_less, &facts) && !run(&facts));
    }
}
