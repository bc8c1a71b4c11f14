//! inconsistent-offsets: an offset has one value, whoever looks and whenever; an acknowledgement is a look, too.

use super::Anomaly;
use crate::version_order::Index;

pub(super) fn check(index: &Index<'_>, anomalies: &mut Vec<Anomaly>) {
    for same in index.logs.iter().flat_map(|log| log.records.chunk_by(|one, other| one.0 == other.0)) {
        if let [(offset, first), _, ..] = same {
            let values = same.iter().map(|(_, id)| index.life(*id).value).collect();
            let key = index.life(*first).key;
            anomalies.push(Anomaly::InconsistentOffsets { key, offset: *offset, values });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{A, B, found};
    use super::super::{Anomaly, Kind};
    use crate::history::{Offset, Type, Value};

    fn found_here(tell: impl FnOnce(&mut super::super::samples::Script)) -> Vec<Anomaly> {
        found(tell).into_iter().filter(|anomaly| anomaly.kind() == Kind::InconsistentOffsets).collect()
    }

    #[test]
    fn two_values_at_an_offset_are_found() {
        let both =
            [Anomaly::InconsistentOffsets { key: A, offset: Offset(5), values: vec![Value(1), Value(2)] }];
        let read_twice = found_here(|s| {
            s.sends(0, Type::Info, &[(A, 1, -1), (A, 2, -1)]);
            s.polls(1, Type::Ok, &[(A, 1, 5)]);
            s.polls(2, Type::Fail, &[(A, 2, 5)]);
        });
        assert_eq!(read_twice, both);
        let acknowledged_twice = found_here(|s| {
            s.sends(0, Type::Ok, &[(A, 1, 5)]);
            s.sends(1, Type::Ok, &[(A, 2, 5)]);
        });
        assert_eq!(acknowledged_twice, both);
    }

    #[test]
    fn write_in_doubt_counts_when_it_was_read() {
        let of = |is_read: &[(crate::history::Key, u64, i64)]| {
            found_here(|s| {
                s.sends(0, Type::Ok, &[(A, 1, 5)]);
                s.sends(1, Type::Info, &[(A, 2, 5)]);
                s.polls(2, Type::Ok, is_read);
            })
        };
        assert_eq!(of(&[]), []);
        assert_eq!(of(&[(A, 2, 6)]).len(), 1);
    }

    #[test]
    fn offsets_of_two_keys_are_two() {
        let anomalies = found_here(|s| {
            s.sends(0, Type::Ok, &[(A, 1, 5), (B, 2, 5)]);
            s.sends(1, Type::Fail, &[(A, 3, 5)]);
        });
        assert_eq!(anomalies, []);
    }
}
