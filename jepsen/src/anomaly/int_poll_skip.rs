//! int-poll-skip: within an operation, polls of a key leave out nothing that others know of.

use super::steps::skip;
use super::{Anomaly, Step};
use crate::version_order::Index;

pub(super) fn judge(index: &Index<'_>, step: &Step, anomalies: &mut Vec<Anomaly>) {
    anomalies.extend(skip(index, step).map(Anomaly::IntPollSkip));
}

#[cfg(test)]
mod tests {
    use super::super::samples::{A, Script, found, read};
    use super::super::{Anomaly, Kind, Membership, Skip, Step};
    use crate::history::{EntryId, F, Micro, Offset, Type, Value};

    fn of(log_start: i64, more: &[Micro]) -> Vec<Anomaly> {
        let tell = |s: &mut Script| {
            s.sends(0, Type::Ok, &[(A, 1, 0), (A, 2, 3), (A, 3, 5), (A, 4, 8)]);
            s.log_start(A, log_start);
            let invoke = s.invoke(1, F::Poll, &[]);
            s.complete(invoke, Type::Ok, &[&[(A, 1, 0), (A, 4, 8)].map(read)[..], more].concat());
        };
        found(tell).into_iter().filter(|anomaly| anomaly.kind() == Kind::IntPollSkip).collect()
    }

    #[test]
    fn poll_that_leaves_out_what_others_know_is_found() {
        let step = Step {
            key: A,
            entry: EntryId(5),
            membership: Membership::Assigned,
            before: Some(Value(1)),
            due: Offset(1),
            value: Value(4),
            offset: Offset(8),
        };
        let all = Skip { step, skipped: (Offset(3), Value(2)), count: 2 };
        assert_eq!(of(3, &[]), [Anomaly::IntPollSkip(all)]);
        let rest = Skip { step, skipped: (Offset(5), Value(3)), count: 1 };
        assert_eq!(of(4, &[]), [Anomaly::IntPollSkip(rest)], "retention took what was before 4");
    }

    #[test]
    fn retention_and_rebalance_excuse() {
        assert_eq!(of(6, &[]), []);
        assert_eq!(of(0, &[Micro::Rebalanced(A)]), []);
    }

    #[test]
    fn offset_that_nobody_knows_is_not_left_out() {
        let anomalies = found(|s| {
            s.sends(0, Type::Ok, &[(A, 1, 0), (A, 2, 7)]);
            s.polls(1, Type::Ok, &[(A, 1, 0), (A, 2, 7)]);
        });
        assert_eq!(anomalies, []);
    }
}
