//! ack-order: a record lies behind all that somebody knew to be in its log before it was sent. So a log that lost its end shows
//! as soon as it grows again, before anyone reads it.

use super::Anomaly;
use crate::history::{Micro, Offset, Type};
use crate::version_order::{Index, ValueId};

pub(super) fn check(index: &Index<'_>, anomalies: &mut Vec<Anomaly>) {
    // The furthest that is known of each key, and what was known of it when each value was sent.
    let mut furthest: Vec<Option<(Offset, ValueId)>> = vec![None; index.logs.len()];
    let mut before: Vec<Option<(Offset, ValueId)>> = vec![None; index.values.len()];
    for (id, head) in index.history.entries() {
        for (micro, value) in index.micros(id) {
            let known = match micro {
                Micro::Send(sent) if head.kind == Type::Invoke => {
                    before[value.index()] = furthest[sent.key.index()];
                    continue;
                }
                Micro::Send(sent) if head.kind == Type::Ok => sent.offset,
                Micro::Read(read) => Some(read.offset),
                Micro::Send(_)
                | Micro::Poll
                | Micro::Assigned(_)
                | Micro::Seek { .. }
                | Micro::Rebalanced(_)
                | Micro::LogStart { .. } => continue,
            };
            let life = index.life(value);
            if let (Some(offset), true) = (known, life.must_stay()) {
                let furthest = &mut furthest[life.key.index()];
                *furthest = (*furthest).max(Some((offset, value)));
            }
        }
    }
    for (life, before) in index.values.iter().zip(&before) {
        // What may be lost stands in no log, but it had its place when it was acknowledged.
        let offset = life.first.or(life.acked.filter(|_| life.outcome == Type::Ok));
        if let (Some(offset), Some(before), Some(sent_by)) = (offset, before, life.sent_by)
            && offset <= before.0
        {
            let behind = (before.0, index.life(before.1).value);
            anomalies.push(Anomaly::AckOrder { key: life.key, value: life.value, offset, sent_by, behind });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{A, B, found, send};
    use super::super::{Kind, Verdict};
    use super::*;
    use crate::history::{Delivery, F, Value};

    fn found_here(tell: impl FnOnce(&mut super::super::samples::Script)) -> Vec<Anomaly> {
        found(tell).into_iter().filter(|anomaly| anomaly.kind() == Kind::AckOrder).collect()
    }

    #[test]
    fn log_that_grows_below_its_known_end_is_found() {
        let mut by = None;
        let anomalies = found_here(|s| {
            s.sends(0, Type::Ok, &[(A, 1, 5), (B, 2, 0)]);
            by = Some(s.sends(1, Type::Ok, &[(A, 3, 4), (B, 4, 1)]));
        });
        let (offset, behind) = (Offset(4), (Offset(5), Value(1)));
        let sent_by = by.unwrap();
        assert_eq!(anomalies, [Anomaly::AckOrder { key: A, value: Value(3), offset, sent_by, behind }]);
        assert!(!Verdict::STRICT.allows(&anomalies[0]));
    }

    #[test]
    fn what_was_read_counts_as_known() {
        let anomalies = found_here(|s| {
            let open = s.invoke(0, F::Send, &[send((A, 1, -1))]);
            s.polls(1, Type::Info, &[(A, 1, 5)]);
            s.sends(2, Type::Ok, &[(A, 2, 5)]);
            s.complete(open, Type::Ok, &[send((A, 1, 5))]);
        });
        assert_eq!(anomalies.len(), 1);
    }

    #[test]
    fn operations_that_overlap_have_no_order() {
        let anomalies = found_here(|s| {
            let open = s.invoke(0, F::Send, &[send((A, 1, -1))]);
            s.sends(1, Type::Ok, &[(A, 2, 5)]);
            s.complete(open, Type::Ok, &[send((A, 1, 4))]);
        });
        assert_eq!(anomalies, []);
    }

    #[test]
    fn what_may_be_lost_may_leave_its_place() {
        let of = |delivery| {
            found_here(|s| {
                s.delivery = delivery;
                s.sends(0, Type::Ok, &[(A, 1, 5)]);
                s.delivery = Delivery::ExactlyOnce;
                s.sends(1, Type::Ok, &[(A, 2, 5)]);
            })
        };
        assert_eq!(of(Delivery::AtMostOnce), []);
        assert_eq!(of(Delivery::AtLeastOnce).len(), 1);
    }
}
