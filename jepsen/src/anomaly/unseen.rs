//! unseen: in the end, all that was acknowledged has been read.

use super::Anomaly;
use crate::history::{Key, Type, Value};
use crate::version_order::{Index, Life};

pub(super) fn check(index: &Index<'_>, anomalies: &mut Vec<Anomaly>) {
    let mut unseen: Vec<Option<(Key, Vec<Value>)>> = vec![None; index.logs.len()];
    for life in index.values.iter().filter(|life| is_unseen(index, life)) {
        unseen[life.key.index()].get_or_insert((life.key, Vec::new())).1.push(life.value);
    }
    let found = unseen.into_iter().flatten();
    anomalies.extend(found.map(|(key, values)| Anomaly::Unseen { key, values }));
}

fn is_unseen(index: &Index<'_>, life: &Life) -> bool {
    let log = index.log(life.key);
    // Where it was is not always told; then it may have been among what is gone.
    let is_past = life.acked.map_or(log.start.is_some_and(|start| start.0 > 0), |acked| log.is_past(acked));
    life.outcome == Type::Ok && life.read_by.is_none() && life.must_stay() && !is_past
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::super::samples::{A, B, found};
    use super::*;
    use crate::history::Delivery;

    #[test]
    fn acknowledged_values_that_nobody_read_are_found() {
        let anomalies = found(|s| {
            s.sends(0, Type::Ok, &[(A, 1, 0), (A, 2, 1), (A, 3, -1), (B, 1, 0)]);
            s.polls(1, Type::Ok, &[(A, 1, 0)]);
            s.polls(1, Type::Info, &[(A, 2, 1), (B, 1, 0)]);
        });
        let of = |key, values: &[u64]| Anomaly::Unseen {
            key,
            values: values.iter().copied().map(Value).collect(),
        };
        assert_eq!(anomalies, [of(A, &[2, 3]), of(B, &[1])]);
        assert_eq!(Verdict::STRICT.errors(&anomalies).count(), 2);
        assert_eq!(Verdict::STRICT.without_final_polls().errors(&anomalies).count(), 0);
    }

    #[test]
    fn what_is_gone_or_may_be_need_not_be_seen() {
        let of = |delivery, kind, log_start| {
            found(|s| {
                s.delivery = delivery;
                s.sends(0, kind, &[(A, 1, 0), (A, 2, -1)]);
                s.log_start(A, log_start);
            })
        };
        assert_eq!(of(Delivery::ExactlyOnce, Type::Ok, 0).len(), 1);
        assert_eq!(of(Delivery::ExactlyOnce, Type::Ok, 1), []);
        assert_eq!(of(Delivery::AtMostOnce, Type::Ok, 0), []);
        assert_eq!(of(Delivery::ExactlyOnce, Type::Info, 0), []);
        assert_eq!(of(Delivery::ExactlyOnce, Type::Fail, 0), []);
    }
}
