//! duplicate: what was promised once is in the log once.

use std::collections::BTreeMap;

use super::Anomaly;
use crate::history::Offset;
use crate::version_order::{Index, ValueId};

pub(super) fn check(index: &Index<'_>, anomalies: &mut Vec<Anomaly>) {
    let mut offsets: BTreeMap<ValueId, Vec<Offset>> = BTreeMap::new();
    for (offset, id) in index.logs.iter().flat_map(|log| &log.records) {
        let life = index.life(*id);
        if life.first != life.last && life.sent_by.is_some() && !life.delivery.may_repeat() {
            offsets.entry(*id).or_default().push(*offset);
        }
    }
    for (id, offsets) in offsets {
        let life = index.life(id);
        anomalies.push(Anomaly::Duplicate { key: life.key, value: life.value, offsets });
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{A, B, found};
    use super::*;
    use crate::history::{Delivery, Type, Value};

    fn of(delivery: Delivery) -> Vec<Anomaly> {
        found(|s| {
            s.delivery = delivery;
            s.sends(0, Type::Ok, &[(A, 1, 0), (B, 1, 9)]);
            s.polls(1, Type::Info, &[(A, 1, 0), (A, 1, 1)]);
            s.polls(2, Type::Ok, &[(A, 1, 0), (A, 1, 1), (B, 1, 9)]);
        })
    }

    #[test]
    fn value_at_two_offsets_is_found() {
        let offsets = vec![Offset(0), Offset(1)];
        assert_eq!(of(Delivery::ExactlyOnce), [Anomaly::Duplicate { key: A, value: Value(1), offsets }]);
        assert_eq!(of(Delivery::AtMostOnce).len(), 1);
    }

    #[test]
    fn who_sends_again_may_repeat() {
        assert_eq!(of(Delivery::AtLeastOnce), []);
    }

    #[test]
    fn acknowledgement_counts_as_a_look() {
        let anomalies = found(|s| {
            s.sends(0, Type::Ok, &[(A, 1, 7)]);
            s.polls(1, Type::Ok, &[(A, 1, 3)]);
        });
        let offsets = vec![Offset(3), Offset(7)];
        assert_eq!(anomalies[0], Anomaly::Duplicate { key: A, value: Value(1), offsets });
    }
}
