//! Which protocols the members of a group support, how much they say in them, and which one they vote for.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use super::member::Member;
use super::{ClassicGroup, Phase};
use crate::group::by_name::ByName;
use crate::limits::GROUP_METADATA_BYTES_MAX;

/// The protocols of all members.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Supported {
    /// How many members support each.
    counts: ByName<usize>,
    /// Of names and metadata.
    bytes: usize,
}

impl Supported {
    pub(super) fn of<'a>(members: impl Iterator<Item = &'a Member>) -> Self {
        let mut supported = Self::default();
        members.for_each(|member| supported.add(member));
        supported
    }

    pub(super) fn add(&mut self, member: &Member) {
        self.bytes += bytes_of(&member.protocols);
        for (name, _) in &member.protocols {
            match self.counts.get_mut(name) {
                Some(count) => *count += 1,
                None => {
                    self.counts.insert(name.clone(), 1);
                }
            }
        }
    }

    pub(super) fn subtract(&mut self, member: &Member) {
        self.bytes -= bytes_of(&member.protocols);
        for (name, _) in &member.protocols {
            let count = self.counts.get_mut(name).expect("all protocols of all members are counted");
            *count -= 1;
            if *count == 0 {
                self.counts.remove(name);
            }
        }
    }

    /// Whether there is room for a member that says this, and for what `known` says no more.
    pub(super) fn has_room(&self, said: &Protocols, known: Option<&Member>) -> bool {
        let before = known.map_or(0, |member| bytes_of(&member.protocols));
        self.bytes - before + bytes_of(said) <= GROUP_METADATA_BYTES_MAX
    }
}

type Protocols = [(String, Vec<u8>)];

pub(in crate::group) fn bytes_of(protocols: &Protocols) -> usize {
    protocols.iter().map(|(name, metadata)| name.len() + metadata.len()).sum()
}

/// A protocol counts once for each member: the first one of a name stands.
pub(in crate::group) fn without_repetition(protocols: &mut Vec<(String, Vec<u8>)>) {
    let mut seen = BTreeSet::new();
    let keep: Vec<bool> = protocols.iter().map(|(name, _)| seen.insert(name.as_str())).collect();
    if seen.len() < protocols.len() {
        let mut keep = keep.into_iter();
        protocols.retain(|_| keep.next().unwrap_or_default());
    }
}

/// Where Kafka breaks a tie, it is by the order of Java's hash map, of 16 buckets as long as few protocols are voted for.
fn java_bucket(name: &str) -> u32 {
    let hash =
        name.encode_utf16().fold(0_u32, |hash, unit| hash.wrapping_mul(31).wrapping_add(u32::from(unit)));
    (hash ^ (hash >> 16)) % 16
}

impl ClassicGroup {
    /// Whether a member of this protocol type and these protocols gets along with all the others.
    pub(super) fn supports(&self, protocol_type: &str, protocols: &[(String, Vec<u8>)]) -> bool {
        match self.phase {
            Phase::Empty => !protocol_type.is_empty() && !protocols.is_empty(),
            Phase::Preparing(_) | Phase::Completing | Phase::Stable => {
                self.protocol_type() == Some(protocol_type)
                    && protocols.iter().any(|(name, _)| self.supporters(name) == self.members.len())
            }
        }
    }

    fn supporters(&self, protocol: &str) -> usize {
        self.supported.counts.get(protocol).copied().unwrap_or_default()
    }

    /// Of the protocols that all members support, the one that most of them prefer to the others.
    pub(super) fn vote(&self) -> Option<&str> {
        let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
        for member in self.members.values() {
            let is_common = |name: &&String| self.supporters(name) == self.members.len();
            let choice = member.protocols.iter().map(|(name, _)| name).find(is_common)?;
            *votes.entry(choice).or_default() += 1;
        }
        let order = |(name, votes): &(&str, usize)| (*votes, core::cmp::Reverse(java_bucket(name)));
        votes.into_iter().max_by_key(order).map(|(name, _)| name)
    }
}
