//! The newest offset of each key in the dirty part of a log. Of one size from the beginning on, whatever the log has: open addressing
//! over a table whose length follows from a limit. Holds no key, only its hash.

use alloc::vec;
use alloc::vec::Vec;

use super::hash::{Secret, hash};
use crate::id::Offset;
use crate::limits::CLEAN_SLOT_BYTES;

/// No offset is negative.
const VACANT: i64 = -1;

#[derive(Debug, Clone, Copy)]
struct Slot {
    hash: (u64, u64),
    offset: i64,
}

const _: () = assert!(size_of::<Slot>() == CLEAN_SLOT_BYTES, "a slot is as large as its limit says");

/// There is no room for another key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Full;

#[derive(Debug)]
pub(super) struct KeyMap {
    secret: Secret,
    slots: Vec<Slot>,
    keys: usize,
}

impl KeyMap {
    /// Room for `records` keys, or for as many as fit into `bytes_max`.
    pub(super) fn new(secret: Secret, records: u64, bytes_max: usize) -> Self {
        let most = (bytes_max / CLEAN_SLOT_BYTES).max(4);
        let most = 1 << most.ilog2();
        let wanted = usize::try_from(records.saturating_add(records / 2).saturating_add(1)).unwrap_or(most);
        let len = wanted.min(most).next_power_of_two().max(4);
        let slots = if records == 0 { Vec::new() } else { vec![Slot { hash: (0, 0), offset: VACANT }; len] };
        Self { secret, slots, keys: 0 }
    }

    /// Keys that have room: a table that is fuller is slow.
    fn keys_max(&self) -> usize {
        self.slots.len() / 4 * 3
    }

    /// Where the key is, or would be.
    fn place_of(&self, hash: (u64, u64)) -> usize {
        let mask = self.slots.len() - 1;
        let mut place = usize::try_from(hash.0 & mask as u64).expect("masked to the table");
        while self.slots[place].offset != VACANT && self.slots[place].hash != hash {
            place = (place + 1) & mask;
        }
        place
    }

    /// The record at `offset` is the newest one of its key so far.
    pub(super) fn insert(&mut self, key: &[u8], offset: Offset) -> Result<(), Full> {
        let hash = hash(self.secret, key);
        if self.slots.is_empty() {
            return Err(Full);
        }
        let place = self.place_of(hash);
        if self.slots[place].offset == VACANT {
            if self.keys == self.keys_max() {
                return Err(Full);
            }
            self.keys += 1;
        }
        self.slots[place] = Slot { hash, offset: offset.0 };
        Ok(())
    }

    /// The newest record of the key, if there is one in the dirty part.
    pub(super) fn newest(&self, key: &[u8]) -> Option<Offset> {
        if self.keys == 0 {
            return None;
        }
        let slot = self.slots[self.place_of(hash(self.secret, key))];
        (slot.offset != VACANT).then_some(Offset(slot.offset))
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeMap;

    use super::{Full, KeyMap, Secret};
    use crate::id::Offset;
    use crate::limits::CLEAN_SLOT_BYTES;
    use crate::prng::Prng;

    #[test]
    fn map_does_as_an_ordered_one() {
        let mut prng = Prng::new(5);
        let (mut map, mut twin) = (KeyMap::new(Secret(3, 4), 700, 1 << 20), BTreeMap::new());
        for offset in 0..5_000 {
            let key = prng.below(700).to_be_bytes();
            assert_eq!(map.insert(&key, Offset(offset)), Ok(()));
            twin.insert(key, Offset(offset));
            let asked = prng.below(1_400).to_be_bytes();
            assert_eq!(map.newest(&asked), twin.get(&asked).copied());
        }
    }

    #[test]
    fn full_map_takes_known_keys_only() {
        let mut map = KeyMap::new(Secret(1, 1), u64::MAX, 8 * CLEAN_SLOT_BYTES);
        for key in 0..6_u8 {
            assert_eq!(map.insert(&[key], Offset(i64::from(key))), Ok(()));
        }
        assert_eq!(map.insert(b"another", Offset(9)), Err(Full));
        assert_eq!(map.insert(&[3], Offset(10)), Ok(()));
        assert_eq!((map.newest(&[3]), map.newest(b"another")), (Some(Offset(10)), None));
    }

    #[test]
    fn map_for_nothing_takes_nothing() {
        let mut map = KeyMap::new(Secret(1, 1), 0, 1 << 20);
        assert_eq!((map.insert(b"a", Offset(0)), map.newest(b"a")), (Err(Full), None));
    }
}
