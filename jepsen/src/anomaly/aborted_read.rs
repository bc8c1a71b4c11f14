//! G1a: what failed for certain is never read by an operation that is ok.

use super::Anomaly;
use crate::history::Type;
use crate::version_order::Index;

pub(super) fn check(index: &Index<'_>, anomalies: &mut Vec<Anomaly>) {
    for life in index.values.iter().filter(|life| life.outcome == Type::Fail) {
        if let (Some(sent_by), Some(read_by)) = (life.sent_by, life.read_by) {
            anomalies.push(Anomaly::AbortedRead { key: life.key, value: life.value, sent_by, read_by });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{A, found};
    use super::*;
    use crate::history::Value;

    #[test]
    fn failed_write_that_is_read_is_found() {
        let mut at = None;
        let anomalies = found(|s| {
            let sent_by = s.sends(0, Type::Fail, &[(A, 1, -1)]);
            at = Some((sent_by, s.polls(1, Type::Ok, &[(A, 1, 0)])));
        });
        let (sent_by, read_by) = at.unwrap();
        assert_eq!(anomalies, [Anomaly::AbortedRead { key: A, value: Value(1), sent_by, read_by }]);
    }

    #[test]
    fn what_may_have_happened_may_be_read() {
        let of = |sent, polled| {
            found(|s| {
                s.sends(0, sent, &[(A, 1, -1)]);
                s.polls(1, polled, &[(A, 1, 0)]);
            })
        };
        assert_eq!(of(Type::Info, Type::Ok), []);
        assert_eq!(of(Type::Fail, Type::Info), [], "Jepsen counts the reads of operations that are ok");
    }
}
