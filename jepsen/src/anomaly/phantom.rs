//! phantom: what is read was written, and to this key.

use super::Anomaly;
use crate::version_order::Index;

pub(super) fn check(index: &Index<'_>, anomalies: &mut Vec<Anomaly>) {
    for life in index.values.iter().filter(|life| life.sent_by.is_none()) {
        let offset = life.first.expect("a value that nobody sent is known from a read");
        anomalies.push(Anomaly::Phantom { key: life.key, value: life.value, offset });
    }
}

#[cfg(test)]
mod tests {
    use super::super::Anomaly;
    use super::super::samples::{A, B, found};
    use crate::history::{F, Offset, Type, Value};

    #[test]
    fn value_that_nobody_wrote_there_is_found() {
        let anomalies = found(|s| {
            s.sends(0, Type::Ok, &[(A, 1, 0)]);
            s.polls(1, Type::Info, &[(A, 1, 0), (B, 1, 3)]);
            s.polls(1, Type::Ok, &[(A, 1, 0)]);
        });
        assert_eq!(anomalies, [Anomaly::Phantom { key: B, value: Value(1), offset: Offset(3) }]);
    }

    #[test]
    fn value_whose_sending_has_not_ended_was_written() {
        let anomalies = found(|s| {
            s.invoke(0, F::Send, &[super::super::samples::send((A, 1, -1))]);
            s.polls(1, Type::Ok, &[(A, 1, 0)]);
        });
        assert_eq!(anomalies, []);
    }
}
