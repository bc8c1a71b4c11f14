//! What a group hands over when it becomes one of the other protocol, and what it takes over from one.

use alloc::string::String;
use alloc::vec::Vec;

use super::member::Member;
use super::sync::fits;
use super::{CONSUMER_PROTOCOL_TYPE, ClassicGroup, Phase};
use crate::group::out::Out;
use crate::group::record::{ClassicOfMember, MemberValue};
use crate::time::Now;

/// A member that goes over to the consumer protocol with its group.
#[derive(Debug)]
pub struct Migrant {
    pub id: String,
    /// All of it but what is in its metadata.
    pub value: MemberValue,
    /// What it says in the protocol of its group.
    pub metadata: Vec<u8>,
    pub assignment: Vec<u8>,
}

impl ClassicGroup {
    /// All members, if they are consumers.
    pub fn migrants(&self) -> Option<Vec<Migrant>> {
        if !self.has_consumers() {
            return None;
        }
        // Before the first generation there is no protocol, but one that will be.
        let protocol = self.protocol.as_deref().or_else(|| self.vote())?;
        let migrant = |(id, member): (&String, &Member)| Migrant {
            id: id.clone(),
            value: MemberValue {
                instance: member.instance.clone(),
                rack: None,
                client: member.client.clone(),
                topics: Vec::new(),
                regex: None,
                rebalance_timeout: member.rebalance_timeout,
                assignor: None,
                classic: Some(ClassicOfMember {
                    session_timeout: member.session_timeout,
                    protocols: member.protocols.clone(),
                }),
            },
            metadata: member.metadata(protocol).to_vec(),
            assignment: member.assignment.clone(),
        };
        Some(self.members.iter().map(migrant).collect())
    }

    pub fn members(&self) -> usize {
        self.members.len()
    }

    /// A stable group of these members, which nobody leads yet, each with what `assign` gives to it. `None` where they have no protocol in common, or are more
    /// than a record holds.
    pub fn of_migrants(
        now: Now,
        id: &str,
        generation: i32,
        migrants: impl Iterator<Item = (String, MemberValue)>,
        assign: impl Fn(&String, &[u8]) -> Vec<u8>,
    ) -> Option<Self> {
        let mut group = Self::new(String::from(id), now);
        (group.generation, group.protocol_type) = (generation, Some(String::from(CONSUMER_PROTOCOL_TYPE)));
        for (id, value) in migrants {
            let classic = value.classic?;
            let member = Member {
                instance: value.instance,
                client: value.client,
                rebalance_timeout: value.rebalance_timeout,
                session_timeout: classic.session_timeout,
                protocols: classic.protocols,
                ..Member::default()
            };
            group.members.insert(id, member);
        }
        group.recount();
        if !group.members.is_empty() {
            let protocol = String::from(group.vote()?);
            for (id, member) in group.members.iter_mut() {
                member.assignment = assign(id, member.metadata(&protocol));
            }
            group.protocol = Some(protocol);
            group.phase = Phase::Stable;
            group.recount();
        }
        let ids: Vec<String> = group.members.keys().cloned().collect();
        ids.iter().for_each(|id| group.restart_session(now, id));
        fits(&group.value()).then_some(group)
    }

    /// Writes a group that was not there before.
    pub fn found(&self, out: &mut Out<'_>) {
        self.write(out, self.value());
    }
}
