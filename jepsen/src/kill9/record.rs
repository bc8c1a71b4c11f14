//! The record of a value: all of it follows from the seed and the value, so nothing need be remembered to compare it whole.

use highwater_jepsen::writes::Value;

use super::random::Random;

/// The header that carries the value; the record's own value may be null.
const VALUE_HEADER: &str = "value";

/// What all records of a run follow from. Timestamps are of today, lest retention take the records for old.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin {
    pub(crate) seed: u64,
    /// The timestamp of value 0, in milliseconds since 1970.
    pub(crate) timestamp: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Vec<(String, Option<Vec<u8>>)>,
    pub(crate) timestamp: i64,
}

impl Record {
    /// The record of a value: most are small, some null, empty or large.
    pub(crate) fn of(origin: Origin, value: Value) -> Self {
        let mut random = Random(origin.seed ^ value.0.wrapping_mul(0xd6e8_feb8_6659_fd93));
        let mut headers = vec![(VALUE_HEADER.to_owned(), Some(value.0.to_be_bytes().to_vec()))];
        for _ in 0..random.index(4) {
            let name = ["a", "a", "binary", "null"][random.index(4)];
            let content = (name != "null").then(|| random.index(40)).map(|len| random.bytes(len));
            headers.push((name.to_owned(), content));
        }
        Self {
            key: match random.index(4) {
                0 => None,
                1 => Some(Vec::new()),
                _ => Some(random.bytes(16)),
            },
            value: match random.index(100) {
                0..3 => None,
                3..6 => Some(Vec::new()),
                6..8 => Some(random.bytes(60_000)),
                _ => {
                    let len = random.index(600);
                    Some(random.bytes(len))
                }
            },
            headers,
            timestamp: origin.timestamp + i64::try_from(value.0).expect("fewer than 2^63 values are sent"),
        }
    }

    /// The value that the record says it is of.
    pub(crate) fn said(&self) -> Option<Value> {
        let (name, content) = self.headers.first()?;
        let bytes = content.as_deref()?.try_into().ok()?;
        (name == VALUE_HEADER).then(|| Value(u64::from_be_bytes(bytes)))
    }

    /// What differs from the record that `said` must be, in words.
    pub(crate) fn difference(&self, origin: Origin) -> Result<Value, String> {
        let said = self.said().ok_or("its header does not say which value it is")?;
        let wanted = Self::of(origin, said);
        let parts = [
            ("key", self.key == wanted.key),
            ("value", self.value == wanted.value),
            ("headers", self.headers == wanted.headers),
            ("timestamp", self.timestamp == wanted.timestamp),
        ];
        match parts.iter().find(|(_, is_same)| !is_same) {
            Some((part, _)) => Err(format!("its {part} is not that of value {}", said.0)),
            None => Ok(said),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORIGIN: Origin = Origin { seed: 7, timestamp: 1_000 };

    #[test]
    fn record_is_known_by_its_value_alone() {
        for value in (0..500).map(Value) {
            assert_eq!(Record::of(ORIGIN, value).difference(ORIGIN), Ok(value));
        }
        let other = Origin { seed: 8, ..ORIGIN };
        assert_ne!(Record::of(ORIGIN, Value(1)), Record::of(other, Value(1)));
    }

    #[test]
    fn any_changed_part_is_seen() {
        let good = Record::of(ORIGIN, Value(9));
        let mut changed = [good.clone(), good.clone(), good.clone(), good];
        changed[0].key = Some(b"other".to_vec());
        changed[1].value = Some(b"other".to_vec());
        changed[2].headers.push(("more".into(), None));
        changed[3].timestamp += 1;
        for (record, part) in changed.iter().zip(["key", "value", "headers", "timestamp"]) {
            assert!(record.difference(ORIGIN).unwrap_err().contains(part));
        }
    }
}
