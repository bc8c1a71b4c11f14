//! The log of a replica: the numbers of its records, four bits each, the oldest in the lowest bits.

use crate::model::RECORDS_MAX;

/// A record. Numbers begin at 1 and are given in the order of production, whoever produces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Record(pub(super) u8);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub(super) struct Log(u16);

impl Log {
    pub(super) const EMPTY: Self = Self(0);

    pub(super) fn end(self) -> u8 {
        let bits = u16::BITS - self.0.leading_zeros();
        u8::try_from(bits.div_ceil(4)).expect("sixteen bits hold four records")
    }

    pub(super) fn bits(self) -> u16 {
        self.0
    }

    pub(super) fn at(self, offset: u8) -> Option<Record> {
        let shifted = self.0.checked_shr(4 * u32::from(offset)).unwrap_or(0);
        let number = u8::try_from(shifted & 15).expect("four bits");
        (number != 0).then_some(Record(number))
    }

    pub(super) fn last(self) -> Option<Record> {
        self.end().checked_sub(1).and_then(|offset| self.at(offset))
    }

    pub(super) fn push(&mut self, record: Record) {
        let end = self.end();
        assert!(end < RECORDS_MAX, "a log has room for {RECORDS_MAX} records");
        self.0 |= u16::from(record.0) << (4 * end);
    }

    /// The records below `end`.
    pub(super) fn until(self, end: u8) -> Self {
        if end >= RECORDS_MAX { self } else { Self(self.0 & ((1 << (4 * end)) - 1)) }
    }

    pub(super) fn begins_with(self, prefix: Self) -> bool {
        self.until(prefix.end()) == prefix
    }

    pub(super) fn records(self) -> impl Iterator<Item = Record> {
        (0..RECORDS_MAX).map_while(move |offset| self.at(offset))
    }
}
