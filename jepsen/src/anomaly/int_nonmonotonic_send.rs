//! int-nonmonotonic-send: within an operation, sends of a key go forward.

use super::{Anomaly, Step};

pub(super) fn judge(step: &Step, anomalies: &mut Vec<Anomaly>) {
    if step.offset < step.due {
        anomalies.push(Anomaly::IntNonmonotonicSend(*step));
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{A, B, found};
    use super::super::{Anomaly, Kind, Membership, Step};
    use crate::history::{Delivery, EntryId, Key, Offset, Type, Value};

    fn of(delivery: Delivery, records: &[(Key, u64, i64)]) -> Vec<Anomaly> {
        let mut anomalies = found(|s| {
            s.delivery = delivery;
            s.sends(1, Type::Ok, records);
        });
        anomalies.retain(|anomaly| anomaly.kind() == Kind::IntNonmonotonicSend);
        anomalies
    }

    #[test]
    fn send_that_goes_back_is_found() {
        let step = Step {
            key: A,
            entry: EntryId(0),
            membership: Membership::Assigned,
            before: Some(Value(1)),
            due: Offset(5),
            value: Value(3),
            offset: Offset(3),
        };
        let records = [(A, 1, 4), (A, 2, -1), (B, 1, 0), (A, 3, 3)];
        assert_eq!(of(Delivery::ExactlyOnce, &records), [Anomaly::IntNonmonotonicSend(step)]);
        assert_eq!(of(Delivery::ExactlyOnce, &[(A, 1, 4), (A, 2, 4)]).len(), 1, "or stays");
    }

    #[test]
    fn no_order_is_kept_that_was_not_promised() {
        assert_eq!(of(Delivery::AtLeastOnce, &[(A, 1, 4), (A, 2, 3)]), []);
        assert_eq!(of(Delivery::ExactlyOnce, &[(A, 1, 4), (B, 2, 3)]), []);
    }
}
