//! nonmonotonic-send: a log has what a process sent in the order of the operations that sent it.

use super::{Anomaly, Step};

pub(super) fn judge(step: &Step, anomalies: &mut Vec<Anomaly>) {
    if step.offset < step.due {
        anomalies.push(Anomaly::NonmonotonicSend(*step));
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{A, B, Script, found, send};
    use super::super::{Anomaly, Kind, Membership, Step};
    use crate::history::{Delivery, EntryId, F, Micro, Offset, Type, Value};

    fn of(tell: impl FnOnce(&mut Script)) -> Vec<Anomaly> {
        let mut anomalies = found(tell);
        anomalies.retain(|anomaly| anomaly.kind() == Kind::NonmonotonicSend);
        anomalies
    }

    fn two(first: i64, second: i64) -> Vec<Anomaly> {
        of(|s| {
            s.sends(1, Type::Ok, &[(A, 1, first)]);
            s.assigns(1, F::Assign, &[Micro::Assigned(B)]);
            s.sends(1, Type::Ok, &[(A, 2, second)]);
        })
    }

    #[test]
    fn log_against_the_order_of_sending_is_found() {
        let step = Step {
            key: A,
            entry: EntryId(4),
            membership: Membership::Assigned,
            before: Some(Value(1)),
            due: Offset(8),
            value: Value(2),
            offset: Offset(3),
        };
        assert_eq!(two(7, 3), [Anomaly::NonmonotonicSend(step)]);
        assert_eq!(two(3, 7), []);
    }

    #[test]
    fn order_is_that_of_invocations() {
        let overlapping = |offsets: [i64; 2]| {
            of(|s| {
                let open = [1, 2].map(|value| s.invoke(1, F::Send, &[send((A, value, -1))]));
                s.complete(open[1], Type::Ok, &[send((A, 2, offsets[1]))]);
                s.complete(open[0], Type::Ok, &[send((A, 1, offsets[0]))]);
            })
        };
        assert_eq!(overlapping([3, 4]), []);
        assert_eq!(overlapping([4, 3]).len(), 1);
    }

    #[test]
    fn write_in_doubt_has_its_place_from_who_read_it() {
        let of = |kind| {
            of(|s| {
                s.sends(1, Type::Ok, &[(A, 1, 4)]);
                s.sends(1, kind, &[(A, 2, -1)]);
                s.polls(2, Type::Ok, &[(A, 2, 3), (A, 1, 4)]);
            })
        };
        assert_eq!(of(Type::Info).len(), 1);
        assert_eq!(of(Type::Fail), []);
    }

    #[test]
    fn two_processes_and_who_sends_again_have_no_order() {
        let processes = of(|s| {
            s.sends(1, Type::Ok, &[(A, 1, 4)]);
            s.sends(2, Type::Ok, &[(A, 2, 3)]);
        });
        assert_eq!(processes, []);
        let again = of(|s| {
            s.delivery = Delivery::AtLeastOnce;
            s.sends(1, Type::Ok, &[(A, 1, 4)]);
            s.sends(1, Type::Ok, &[(A, 2, 3)]);
        });
        assert_eq!(again, []);
    }
}
