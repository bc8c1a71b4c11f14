//! poll-skip: an operation reads on where the process's last ok one ended, and leaves out nothing that others know of.

use super::steps::skip;
use super::{Anomaly, Step};
use crate::version_order::Index;

pub(super) fn judge(index: &Index<'_>, step: &Step, anomalies: &mut Vec<Anomaly>) {
    anomalies.extend(skip(index, step).map(Anomaly::PollSkip));
}

#[cfg(test)]
mod tests {
    use super::super::samples::{A, B, Script, found};
    use super::super::{Anomaly, Kind, Membership, Skip, Step, Verdict};
    use crate::history::{EntryId, F, Micro, Offset, Type, Value};

    fn of(tell: impl FnOnce(&mut Script)) -> Vec<Anomaly> {
        let mut anomalies = found(|s| {
            s.sends(0, Type::Ok, &[(A, 1, 0), (A, 2, 1), (A, 3, 2), (A, 4, 3)]);
            tell(s);
        });
        anomalies.retain(|anomaly| anomaly.kind() == Kind::PollSkip);
        anomalies
    }

    #[test]
    fn poll_that_does_not_read_on_is_found() {
        let step = Step {
            key: A,
            entry: EntryId(5),
            membership: Membership::Assigned,
            before: Some(Value(1)),
            due: Offset(1),
            value: Value(4),
            offset: Offset(3),
        };
        let skip = Anomaly::PollSkip(Skip { step, skipped: (Offset(1), Value(2)), count: 2 });
        for kind in [Type::Ok, Type::Info, Type::Fail] {
            let anomalies = of(|s| {
                s.polls(1, Type::Ok, &[(A, 1, 0)]);
                s.polls(1, kind, &[(A, 4, 3)]);
            });
            assert_eq!(anomalies, std::slice::from_ref(&skip));
        }
        assert!(!Verdict::STRICT.allows(&skip));
    }

    #[test]
    fn operation_that_failed_is_read_again() {
        let of = |kind| {
            of(|s| {
                s.polls(1, Type::Ok, &[(A, 1, 0)]);
                s.polls(1, kind, &[(A, 2, 1)]);
                s.polls(1, Type::Ok, &[(A, 3, 2)]);
            })
        };
        assert_eq!(of(Type::Fail).len(), 1);
        assert_eq!(of(Type::Ok), []);
    }

    #[test]
    fn new_assignment_forgets_what_is_not_in_it() {
        let of = |f, keys: &[Micro]| {
            of(|s| {
                s.polls(1, Type::Ok, &[(A, 1, 0)]);
                s.assigns(1, f, keys);
                s.polls(1, Type::Ok, &[(A, 3, 2)]);
            })
        };
        assert_eq!(of(F::Assign, &[Micro::Assigned(A), Micro::Assigned(B)]).len(), 1);
        assert_eq!(of(F::Assign, &[Micro::Assigned(B)]), []);
        let seek = Micro::Seek { key: A, offset: Offset(2) };
        assert_eq!(of(F::Assign, &[Micro::Assigned(A), seek]), []);
        let subscribed = of(F::Subscribe, &[Micro::Assigned(A)]);
        assert!(Verdict::STRICT.allows(&subscribed[0]), "its group may have read on");
    }

    #[test]
    fn seek_says_where_to_read_on() {
        let anomalies = of(|s| {
            s.assigns(1, F::Assign, &[Micro::Assigned(A), Micro::Seek { key: A, offset: Offset(1) }]);
            s.polls(1, Type::Ok, &[(A, 3, 2)]);
            s.polls(2, Type::Ok, &[(A, 3, 2)]);
        });
        let [Anomaly::PollSkip(Skip { step, skipped, .. })] = &anomalies[..] else { panic!("{anomalies:?}") };
        assert_eq!((step.before, *skipped), (None, (Offset(1), Value(2))));
    }
}
