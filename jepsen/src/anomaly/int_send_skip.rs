//! int-send-skip: within an operation, no record of another lies between two sends of a key. Writes are not isolated, so this is
//! always legal and tells only how much they interleave.

use super::steps::skip;
use super::{Anomaly, Step};
use crate::version_order::Index;

pub(super) fn judge(index: &Index<'_>, step: &Step, anomalies: &mut Vec<Anomaly>) {
    anomalies.extend(skip(index, step).map(Anomaly::IntSendSkip));
}

#[cfg(test)]
mod tests {
    use super::super::samples::{A, found};
    use super::super::{Anomaly, Kind, Verdict};
    use crate::history::{Delivery, Key, Offset, Type, Value};

    fn of(delivery: Delivery, records: &[(Key, u64, i64)]) -> Vec<Anomaly> {
        let mut anomalies = found(|s| {
            s.sends(0, Type::Ok, &[(A, 1, 1)]);
            s.delivery = delivery;
            s.sends(1, Type::Ok, records);
        });
        anomalies.retain(|anomaly| matches!(anomaly.kind(), Kind::IntSendSkip | Kind::IntNonmonotonicSend));
        anomalies
    }

    #[test]
    fn record_of_another_in_between_is_told_and_legal() {
        let anomalies = of(Delivery::ExactlyOnce, &[(A, 2, 0), (A, 3, 2)]);
        let [Anomaly::IntSendSkip(skip)] = &anomalies[..] else { panic!("{anomalies:?}") };
        assert_eq!((skip.skipped, skip.count), ((Offset(1), Value(1)), 1));
        assert!(Verdict::STRICT.allows(&anomalies[0]));
    }

    #[test]
    fn where_offsets_are_unknown_nothing_is_told() {
        assert_eq!(of(Delivery::ExactlyOnce, &[(A, 2, 0), (A, 3, -1), (A, 4, 3)]), []);
        assert_eq!(of(Delivery::ExactlyOnce, &[(A, 2, 2), (A, 3, 4)]), []);
        assert_eq!(of(Delivery::AtLeastOnce, &[(A, 2, 0), (A, 3, 2)]), []);
    }
}
