//! lost-write: whoever reads as far as some offset has been given all that must have happened before it.

use super::Anomaly;
use crate::history::Offset;
use crate::version_order::{Index, Life};

pub(super) fn check(index: &Index<'_>, anomalies: &mut Vec<Anomaly>) {
    let mut read_to: Vec<Option<Offset>> = vec![None; index.logs.len()];
    for life in index.values.iter().filter(|life| life.read_by.is_some()) {
        let read_to = &mut read_to[life.key.index()];
        *read_to = (*read_to).max(life.first);
    }
    let liable = |life: &&Life| life.is_committed && life.read_by.is_none() && life.must_stay();
    for life in index.values.iter().filter(liable) {
        let (Some(offset), Some(sent_by)) = (life.last, life.sent_by) else { continue };
        if Some(offset) <= read_to[life.key.index()] && !index.log(life.key).is_past(offset) {
            anomalies.push(Anomaly::LostWrite { key: life.key, value: life.value, offset, sent_by });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{A, B, Script, found};
    use super::super::{Anomaly, Kind};
    use crate::history::{Delivery, EntryId, F, Offset, Type, Value};

    fn found_here(tell: impl FnOnce(&mut Script)) -> Vec<Anomaly> {
        found(tell).into_iter().filter(|anomaly| anomaly.kind() == Kind::LostWrite).collect()
    }

    fn lost(value: u64, offset: i64, sent_by: EntryId) -> Anomaly {
        Anomaly::LostWrite { key: A, value: Value(value), offset: Offset(offset), sent_by }
    }

    #[test]
    fn write_that_readers_passed_by_is_found() {
        let mut by = None;
        let anomalies = found_here(|s| {
            s.sends(0, Type::Ok, &[(A, 1, 0)]);
            by = Some(s.sends(0, Type::Ok, &[(A, 2, 1)]));
            s.sends(0, Type::Ok, &[(A, 3, 2)]);
            s.sends(0, Type::Ok, &[(A, 4, 3)]);
            s.polls(1, Type::Ok, &[(A, 1, 0)]);
            s.polls(2, Type::Ok, &[(A, 3, 2)]);
        });
        assert_eq!(anomalies, [lost(2, 1, by.unwrap())], "and nobody read as far as value 4");
    }

    #[test]
    fn write_that_anyone_read_is_not_lost() {
        let of = |kind| {
            found_here(|s| {
                s.sends(0, Type::Ok, &[(A, 1, 0), (A, 2, 1), (B, 1, 0)]);
                s.polls(1, kind, &[(A, 1, 0)]);
                s.polls(2, Type::Ok, &[(A, 2, 1)]);
            })
        };
        assert_eq!(of(Type::Ok), []);
        assert_eq!(of(Type::Fail).len(), 1, "only reads that are ok count");
    }

    #[test]
    fn write_at_an_offset_that_has_another_value_is_lost() {
        let mut by = None;
        let anomalies = found_here(|s| {
            by = Some(s.sends(0, Type::Ok, &[(A, 1, 0)]));
            s.sends(1, Type::Ok, &[(A, 2, 0)]);
            s.polls(2, Type::Ok, &[(A, 2, 0)]);
        });
        assert_eq!(anomalies, [lost(1, 0, by.unwrap())]);
    }

    #[test]
    fn transaction_is_liable_as_a_whole() {
        let of = |f| {
            found_here(|s| {
                let records = [(A, 1, 0), (B, 1, 0)].map(super::super::samples::send);
                let invoke = s.invoke(0, f, &records);
                s.complete(invoke, Type::Info, &records);
                s.sends(1, Type::Ok, &[(A, 2, 1)]);
                s.polls(2, Type::Ok, &[(A, 2, 1), (B, 1, 0)]);
            })
        };
        assert_eq!(of(F::Txn), [lost(1, 0, EntryId(0))]);
        assert_eq!(of(F::Send), []);
    }

    #[test]
    fn retention_and_weak_acknowledgements_may_lose() {
        let of = |delivery, log_start| {
            found_here(|s| {
                s.delivery = delivery;
                s.sends(0, Type::Ok, &[(A, 1, 0), (A, 2, 1)]);
                s.polls(2, Type::Ok, &[(A, 2, 1)]);
                s.log_start(A, log_start);
            })
        };
        assert_eq!(of(Delivery::ExactlyOnce, 0), [lost(1, 0, EntryId(0))]);
        assert_eq!(of(Delivery::ExactlyOnce, 1), []);
        assert_eq!(of(Delivery::AtMostOnce, 0), []);
    }
}
