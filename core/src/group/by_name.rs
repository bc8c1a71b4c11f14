//! A map by name that takes little where it holds little: most groups have a member or two, and there are many groups.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Index;

/// In the order of names. Values are boxed, so that thousands of entries move fast where one comes between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ByName<V> {
    entries: Vec<(String, Box<V>)>,
}

impl<V> Default for ByName<V> {
    fn default() -> Self {
        Self { entries: Vec::new() }
    }
}

impl<V> ByName<V> {
    fn find(&self, name: &str) -> Result<usize, usize> {
        // What is replayed or copied comes in order.
        match self.entries.last() {
            Some((last, _)) if last.as_str() < name => Err(self.entries.len()),
            _ => self.entries.binary_search_by(|(known, _)| known.as_str().cmp(name)),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn contains_key(&self, name: &str) -> bool {
        self.find(name).is_ok()
    }

    pub(super) fn get(&self, name: &str) -> Option<&V> {
        self.find(name).ok().map(|place| &*self.entries[place].1)
    }

    pub(super) fn get_mut(&mut self, name: &str) -> Option<&mut V> {
        let place = self.find(name).ok()?;
        Some(&mut *self.entries[place].1)
    }

    pub(super) fn insert(&mut self, name: String, value: V) {
        match self.find(&name) {
            Ok(place) => *self.entries[place].1 = value,
            Err(place) => {
                if self.entries.is_empty() {
                    self.entries.reserve_exact(1);
                }
                self.entries.insert(place, (name, Box::new(value)));
            }
        }
    }

    pub(super) fn remove(&mut self, name: &str) -> Option<V> {
        let place = self.find(name).ok()?;
        let (_, value) = self.entries.remove(place);
        if self.entries.is_empty() {
            self.entries = Vec::new();
        }
        Some(*value)
    }

    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = (&String, &V)> {
        self.entries.iter().map(|(name, value)| (name, &**value))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (&String, &mut V)> {
        self.entries.iter_mut().map(|(name, value)| (&*name, &mut **value))
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &String> {
        self.iter().map(|(name, _)| name)
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.iter_mut().map(|(_, value)| value)
    }

    /// All entries, in order.
    pub(super) fn into_entries(self) -> impl Iterator<Item = (String, V)> {
        self.entries.into_iter().map(|(name, value)| (name, *value))
    }
}

impl<V> Index<&str> for ByName<V> {
    type Output = V;

    fn index(&self, name: &str) -> &V {
        self.get(name).expect("who indexes has made sure of it")
    }
}

impl<V> FromIterator<(String, V)> for ByName<V> {
    fn from_iter<I: IntoIterator<Item = (String, V)>>(entries: I) -> Self {
        let mut map = Self::default();
        entries.into_iter().for_each(|(name, value)| map.insert(name, value));
        map
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeMap;
    use alloc::format;
    use alloc::string::String;
    use alloc::vec::Vec;

    use super::ByName;
    use crate::prng::Prng;

    #[test]
    fn it_holds_what_a_map_holds() {
        let mut prng = Prng::new(1);
        let (mut map, mut twin) = (ByName::default(), BTreeMap::<String, u64>::new());
        for step in 0..5_000 {
            let name = format!("{}", prng.below(60));
            if prng.below(2) == 0 {
                map.insert(name.clone(), step);
                twin.insert(name.clone(), step);
            } else {
                assert_eq!(map.remove(&name), twin.remove(&name));
            }
            assert_eq!(map.get(&name), twin.get(&name));
            assert_eq!((map.len(), map.is_empty()), (twin.len(), twin.is_empty()));
        }
        assert!(map.iter().eq(twin.iter()));
        assert!(map.keys().eq(twin.keys()) && map.values().eq(twin.values()));
        if let Some(value) = map.get_mut("7") {
            *value += 1;
        }
        let copy: ByName<u64> = twin.clone().into_iter().rev().collect();
        assert!(copy.iter().eq(twin.iter()));
        assert_eq!(copy.into_entries().collect::<Vec<_>>(), twin.into_iter().collect::<Vec<_>>());
    }
}
