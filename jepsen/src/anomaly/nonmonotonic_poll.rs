//! nonmonotonic-poll: an operation reads nothing that is before where the process's last ok one ended.

use super::{Anomaly, Step};

pub(super) fn judge(step: &Step, anomalies: &mut Vec<Anomaly>) {
    if step.offset < step.due {
        anomalies.push(Anomaly::NonmonotonicPoll(*step));
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{A, B, Script, found};
    use super::super::{Anomaly, Kind, Membership, Step, Verdict};
    use crate::history::{EntryId, F, Micro, Offset, Type, Value};

    fn of(tell: impl FnOnce(&mut Script)) -> Vec<Anomaly> {
        let mut anomalies = found(|s| {
            s.sends(0, Type::Ok, &[(A, 1, 0), (A, 2, 1)]);
            tell(s);
        });
        anomalies.retain(|anomaly| anomaly.kind() == Kind::NonmonotonicPoll);
        anomalies
    }

    #[test]
    fn poll_that_goes_back_is_found() {
        let anomalies = of(|s| {
            s.polls(1, Type::Ok, &[(A, 1, 0), (A, 2, 1)]);
            s.polls(2, Type::Ok, &[(A, 1, 0)]);
            s.polls(1, Type::Info, &[(A, 2, 1)]);
        });
        let step = Step {
            key: A,
            entry: EntryId(7),
            membership: Membership::Assigned,
            before: Some(Value(2)),
            due: Offset(2),
            value: Value(2),
            offset: Offset(1),
        };
        assert_eq!(anomalies, [Anomaly::NonmonotonicPoll(step)]);
    }

    #[test]
    fn who_is_assigned_anew_or_seeks_may_go_back() {
        let of = |f, keys: &[Micro]| {
            of(|s| {
                s.polls(1, Type::Ok, &[(A, 2, 1)]);
                s.assigns(1, f, keys);
                s.polls(1, Type::Ok, &[(A, 1, 0)]);
            })
        };
        assert_eq!(of(F::Assign, &[Micro::Assigned(A)]).len(), 1);
        assert_eq!(of(F::Assign, &[Micro::Assigned(B)]), []);
        assert_eq!(of(F::Assign, &[Micro::Assigned(A), Micro::Seek { key: A, offset: Offset(0) }]), []);
        assert!(Verdict::STRICT.allows(&of(F::Subscribe, &[Micro::Assigned(A)])[0]));
    }

    #[test]
    fn what_failed_is_read_again() {
        let anomalies = of(|s| {
            s.polls(1, Type::Ok, &[(A, 1, 0)]);
            s.polls(1, Type::Fail, &[(A, 2, 1)]);
            s.polls(1, Type::Ok, &[(A, 2, 1)]);
        });
        assert_eq!(anomalies, []);
    }
}
