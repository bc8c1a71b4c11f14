//! moved-write: in the end, a value that is read at all is read where the broker said that it is.

use super::Anomaly;
use crate::history::Type;
use crate::version_order::Index;

pub(super) fn check(index: &Index<'_>, anomalies: &mut Vec<Anomaly>) {
    for life in &index.values {
        let (Some(acked), Some(found), Some(_)) = (life.acked, life.first, life.read_by) else { continue };
        let is_moved = life.outcome == Type::Ok && !life.is_read_where_acked && life.must_stay();
        if is_moved && !index.log(life.key).is_past(acked) {
            let found = if found == acked { life.last.unwrap_or(found) } else { found };
            anomalies.push(Anomaly::MovedWrite { key: life.key, value: life.value, acked, found });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{A, found};
    use super::super::{Anomaly, Verdict};
    use crate::history::{Delivery, Key, Offset, Type, Value};

    fn of(reads: &[(Key, u64, i64)]) -> Vec<Anomaly> {
        with(Delivery::AtLeastOnce, reads)
    }

    fn with(delivery: Delivery, reads: &[(Key, u64, i64)]) -> Vec<Anomaly> {
        found(|s| {
            s.delivery = delivery;
            s.sends(0, Type::Ok, &[(A, 1, 4)]);
            s.polls(1, Type::Ok, reads);
        })
    }

    #[test]
    fn value_that_is_only_read_elsewhere_is_found() {
        let (key, value, acked) = (A, Value(1), Offset(4));
        let moved = Anomaly::MovedWrite { key, value, acked, found: Offset(2) };
        assert_eq!(of(&[(A, 1, 2)]), std::slice::from_ref(&moved));
        assert!(!Verdict::STRICT.allows(&moved) && Verdict::STRICT.without_final_polls().allows(&moved));
        assert_eq!(of(&[(A, 1, 5)]), [Anomaly::MovedWrite { key, value, acked, found: Offset(5) }]);
    }

    #[test]
    fn second_copy_of_a_value_does_not_move_it() {
        assert_eq!(of(&[(A, 1, 3), (A, 1, 4)]), []);
        assert_eq!(
            with(Delivery::BestEffort, &[(A, 1, 3)]),
            [],
            "the copy that was acknowledged may be lost"
        );
    }
}
