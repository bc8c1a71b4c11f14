//! int-nonmonotonic-poll: within an operation, polls of a key go forward.

use super::{Anomaly, Step};

pub(super) fn judge(step: &Step, anomalies: &mut Vec<Anomaly>) {
    if step.offset < step.due {
        anomalies.push(Anomaly::IntNonmonotonicPoll(*step));
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{A, B, Script, found, read};
    use super::super::{Anomaly, Kind, Membership, Step};
    use crate::history::{F, Key, Micro, Offset, Type, Value};

    fn of(reads: &[(Key, u64, i64)], rebalanced: &[Micro]) -> Vec<Anomaly> {
        let tell = |s: &mut Script| {
            s.sends(0, Type::Ok, &[(A, 1, 0), (A, 2, 1), (B, 1, 0), (B, 2, 1)]);
            let invoke = s.invoke(1, F::Poll, &[]);
            let micros: Vec<Micro> =
                reads.iter().copied().map(read).chain(rebalanced.iter().copied()).collect();
            s.complete(invoke, Type::Info, &micros);
        };
        found(tell).into_iter().filter(|anomaly| anomaly.kind() == Kind::IntNonmonotonicPoll).collect()
    }

    #[test]
    fn poll_that_goes_back_or_repeats_is_found() {
        let anomalies = of(&[(A, 2, 1), (B, 1, 0), (A, 1, 0)], &[]);
        let step = Step {
            key: A,
            entry: crate::history::EntryId(3),
            membership: Membership::Assigned,
            before: Some(Value(2)),
            due: Offset(2),
            value: Value(1),
            offset: Offset(0),
        };
        assert_eq!(anomalies, [Anomaly::IntNonmonotonicPoll(step)]);
        assert_eq!(of(&[(A, 1, 0), (A, 1, 0)], &[]).len(), 1);
    }

    #[test]
    fn rebalance_excuses_its_own_key() {
        let back = [(A, 2, 1), (A, 1, 0)];
        assert_eq!(of(&back, &[Micro::Rebalanced(A)]), []);
        assert_eq!(of(&back, &[Micro::Rebalanced(B)]).len(), 1);
        assert_eq!(of(&[(A, 1, 0), (B, 1, 0), (A, 2, 1), (B, 2, 1)], &[]), []);
    }
}
