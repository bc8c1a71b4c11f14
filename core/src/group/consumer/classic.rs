//! Members that speak the classic protocol in a group of the consumer protocol: what they join with is taken for a heartbeat that says
//! all, their generation is their epoch, and they are told to join again wherever a heartbeat would have led them on.

use alloc::collections::BTreeSet;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::ConsumerGroup;
use super::heartbeat::{Said, Seat, new_member_id};
use crate::coordinator::{Token, When};
use crate::group::classic::CONSUMER_PROTOCOL_TYPE;
use crate::group::classic::protocols::{bytes_of, without_repetition};
use crate::group::classic::subscription::{Subscription, write_assignment};
use crate::group::command::{
    GroupError, GroupReply, Heartbeat, Join, Joined, Leave, Leaving, Sync, Synced, TopicPartitions,
};
use crate::group::out::{Out, Reason};
use crate::group::record::{ClassicOfMember, CurrentValue, EpochPartitions, MemberState, MemberValue};
use crate::group::topics::Surroundings;
use crate::limits::GROUP_METADATA_BYTES_MAX;
use crate::mutant::{self, Mutant};

impl ConsumerGroup {
    /// Takes a join that was [checked](crate::group::classic::ClassicGroup::check_join), into a group that has members.
    pub fn join(&mut self, out: &mut Out<'_>, topics: &dyn Surroundings, from: Token, mut join: Join) {
        without_repetition(&mut join.protocols);
        let (seat, subscription) = match self.check_join(out, &mut join) {
            Ok(checked) => checked,
            Err(error) => return out.fail(from, error),
        };
        if join.member.is_empty() && join.instance.is_none() && join.known_member_required {
            return out.answer(from, GroupReply::MemberIdRequired(seat.id), When::AtOnce);
        }
        if let Some(former) = &seat.replaced
            && let Some(mut successor) = self.downgraded(out, topics, &BTreeSet::from([former.clone()]))
        {
            join.member.clear();
            successor.join(out, from, join);
            return self.give_way(successor);
        }
        let reply = self.seat(out, topics, &seat, Joining { join, subscription });
        out.answer(from, GroupReply::Joined(reply), When::Committed);
    }

    /// Whether a member may join, and which id it has from now on.
    fn check_join(&self, out: &mut Out<'_>, join: &mut Join) -> Result<(Seat, Subscription), GroupError> {
        let is_new = join.member.is_empty();
        let id = if is_new { new_member_id(out.prng) } else { join.member.clone() };
        let known = join.instance.as_ref().map(|instance| self.kept.instances.get(instance));
        let replaced = match known {
            Some(Some(member)) if is_new => Some(member.clone()),
            Some(Some(member)) if *member != id => return Err(GroupError::FencedInstance),
            Some(None) if !is_new => return Err(GroupError::UnknownMember),
            Some(_) | None => None,
        };
        let is_member = replaced.is_some() || self.kept.members.contains_key(&id);
        if !is_member && self.kept.members.len() >= out.settings.consumer.size_max {
            return Err(GroupError::MaxSizeReached);
        }
        if !self.supports(join) {
            return Err(GroupError::InconsistentProtocol);
        }
        let others = self.classic_members().filter(|(other, _)| **other != id);
        let said: usize = others.map(|(_, classic)| bytes_of(&classic.protocols)).sum();
        if said + bytes_of(&join.protocols) > GROUP_METADATA_BYTES_MAX {
            return Err(GroupError::MaxSizeReached);
        }
        // All protocols of a consumer say the same of it.
        let subscription =
            Subscription::read(&join.protocols[0].1).ok_or(GroupError::InconsistentProtocol)?;
        Ok((Seat { id, replaced }, subscription))
    }

    fn classic_members(&self) -> impl Iterator<Item = (&String, &ClassicOfMember)> {
        self.kept.members.iter().filter_map(|(id, member)| Some((id, member.classic.as_ref()?)))
    }

    /// Whether one of the protocols is known to all members that have any.
    fn supports(&self, join: &Join) -> bool {
        let mut common: Vec<&str> = join.protocols.iter().map(|(name, _)| name.as_str()).collect();
        for (_, classic) in self.classic_members() {
            common.retain(|name| classic.protocols.iter().any(|(known, _)| known == name));
        }
        join.protocol_type == CONSUMER_PROTOCOL_TYPE && !common.is_empty()
    }

    fn seat(
        &mut self,
        out: &mut Out<'_>,
        topics: &dyn Surroundings,
        seat: &Seat,
        joining: Joining,
    ) -> Joined {
        let Joining { join, subscription } = joining;
        let before = self.kept.members.get(seat.was());
        let mut names = subscription.topics;
        names.sort_unstable();
        names.dedup();
        let protocol = join.protocols[0].0.clone();
        let value = MemberValue {
            instance: join.instance,
            rack: subscription.rack.or_else(|| before?.rack.clone()),
            client: join.client,
            topics: names,
            regex: None,
            rebalance_timeout: join.rebalance_timeout,
            assignor: None,
            classic: Some(ClassicOfMember {
                session_timeout: join.session_timeout,
                protocols: join.protocols,
            }),
        };
        let owned = by_id(subscription.owned, topics);
        let old = self.kept.current(seat.was()).clone();
        let current = self.change(out, topics, seat, Said { value, owned: Some(&owned), regex: None });
        if let Some(replaced) = &seat.replaced {
            self.timers.remove(replaced);
        }
        self.timers.on_heartbeat(&seat.id, out.now.mono + join.session_timeout);
        self.timers.on_join(&seat.id, out.now.mono + join.rebalance_timeout);
        if current != old {
            self.await_revocation(out, &seat.id, &current, join.rebalance_timeout);
        }
        Joined {
            generation: current.epoch,
            protocol_type: String::from(CONSUMER_PROTOCOL_TYPE),
            protocol,
            // Nobody leads: the broker assigns.
            leader: String::new(),
            skip_assignment: false,
            member: seat.id.clone(),
            members: Vec::new(),
        }
    }

    pub fn sync(&mut self, out: &mut Out<'_>, topics: &dyn Surroundings, from: Token, sync: &Sync) {
        match self.synced(out, topics, sync) {
            Ok(synced) => out.answer(from, GroupReply::Synced(synced), When::Committed),
            Err(error) => out.fail(from, error),
        }
    }

    fn synced(
        &mut self,
        out: &Out<'_>,
        topics: &dyn Surroundings,
        sync: &Sync,
    ) -> Result<Synced, GroupError> {
        let id = &sync.member;
        let (member, classic) = self.classic_member(id, sync.instance.as_deref())?;
        let current = self.kept.current(id);
        if sync.generation != current.epoch {
            return Err(GroupError::IllegalGeneration);
        }
        let (protocol, metadata) = classic.protocols.first().ok_or(GroupError::InconsistentProtocol)?;
        let differs = |told: &Option<String>, known: &str| told.as_ref().is_some_and(|told| told != known);
        if differs(&sync.protocol_type, CONSUMER_PROTOCOL_TYPE) || differs(&sync.protocol, protocol) {
            return Err(GroupError::InconsistentProtocol);
        }
        if self.leads_on(out, current) && current.state != MemberState::UnrevokedPartitions {
            self.timers.on_join_owed(id, out.now.mono + member.rebalance_timeout);
            return Err(GroupError::RebalanceInProgress);
        }
        let session_ends = out.now.mono + classic.session_timeout;
        let assigned = current.assigned.iter().map(EpochPartitions::without_epochs);
        let synced = Synced {
            protocol_type: String::from(CONSUMER_PROTOCOL_TYPE),
            protocol: protocol.clone(),
            assignment: assignment(assigned, topics, metadata),
        };
        self.timers.on_sync(id);
        self.timers.on_heartbeat(id, session_ends);
        Ok(synced)
    }

    pub fn classic_heartbeat(&mut self, out: &mut Out<'_>, from: Token, heartbeat: &Heartbeat) {
        match self.beaten(out, heartbeat) {
            Ok(()) => out.answer(from, GroupReply::Done, When::AtOnce),
            Err(error) => out.fail(from, error),
        }
    }

    fn beaten(&mut self, out: &Out<'_>, heartbeat: &Heartbeat) -> Result<(), GroupError> {
        let id = &heartbeat.member;
        let (member, classic) = self.classic_member(id, heartbeat.instance.as_deref())?;
        let current = self.kept.current(id);
        if heartbeat.generation != current.epoch {
            return Err(GroupError::IllegalGeneration);
        }
        let must_join = self.leads_on(out, current)
            || match current.state {
                MemberState::Stable | MemberState::Unknown => false,
                MemberState::UnrevokedPartitions => true,
                MemberState::UnreleasedPartitions => !self.waits_for_others(id),
            };
        let (session_timeout, rebalance_timeout) = (classic.session_timeout, member.rebalance_timeout);
        self.timers.on_heartbeat(id, out.now.mono + session_timeout);
        if must_join && !mutant::on(Mutant::RejoinNotAsked) {
            self.timers.on_join_owed(id, out.now.mono + rebalance_timeout);
            return Err(GroupError::RebalanceInProgress);
        }
        Ok(())
    }

    /// Whether a member would come to another epoch if it joined again.
    fn leads_on(&self, out: &Out<'_>, current: &CurrentValue) -> bool {
        current.epoch < self.kept.target_epoch || self.is_assignment_due(out)
    }

    /// Whether others still have what a member is to get.
    fn waits_for_others(&self, member: &str) -> bool {
        self.kept.target(member).iter().any(|topic| {
            topic.partitions.iter().any(|partition| {
                let owner = self.kept.owners.get(&(topic.topic, *partition));
                owner.is_some_and(|owner| **owner != *member)
            })
        })
    }

    pub fn classic_leave(
        &mut self,
        out: &mut Out<'_>,
        topics: &dyn Surroundings,
        from: Token,
        leave: &Leave,
    ) {
        let leaving: Vec<Result<String, GroupError>> =
            leave.members.iter().map(|leaving| self.leaving(leaving)).collect();
        let gone: BTreeSet<String> = leaving.iter().flatten().cloned().collect();
        if !gone.is_empty() {
            let reasons = leave.members.iter().map(|leaving| leaving.reason.clone());
            let left = leaving.iter().zip(reasons).filter_map(|(id, why)| Some((id.clone().ok()?, why)));
            let left = Reason::MembersLeft(left.collect());
            self.remove(out, topics, &gone, [left]);
        }
        let left = leaving.into_iter().map(|leaving| leaving.map(|_| ())).collect();
        out.answer(from, GroupReply::Left(left), When::Committed);
    }

    /// Who is meant; by its instance alone it may be named too.
    fn leaving(&self, leaving: &Leaving) -> Result<String, GroupError> {
        let instance = leaving.instance.as_ref().and_then(|instance| self.kept.instances.get(instance));
        let id = instance.filter(|_| leaving.member.is_empty()).unwrap_or(&leaving.member);
        self.classic_member(id, leaving.instance.as_deref())?;
        Ok(id.clone())
    }

    fn classic_member(
        &self,
        id: &str,
        instance: Option<&str>,
    ) -> Result<(&MemberValue, &ClassicOfMember), GroupError> {
        match instance.map(|instance| self.kept.instances.get(instance)) {
            Some(None) => return Err(GroupError::UnknownMember),
            Some(Some(member)) if member != id => return Err(GroupError::FencedInstance),
            Some(Some(_)) | None => {}
        }
        let member = self.kept.members.get(id).ok_or(GroupError::UnknownMember)?;
        let classic = member.classic.as_ref().ok_or(GroupError::UnknownMember)?;
        Ok((member, classic))
    }
}

/// A join, and what its member says in it.
struct Joining {
    join: Join,
    subscription: Subscription,
}

/// Partitions of topics that are there, topics and partitions in order.
pub(super) fn by_id(named: Vec<(String, Vec<i32>)>, topics: &dyn Surroundings) -> Vec<TopicPartitions> {
    let mut found: Vec<TopicPartitions> = Vec::new();
    for (name, partitions) in named {
        let Some(topic) = topics.topic(&name) else { continue };
        found.push(TopicPartitions { topic: topic.id, partitions });
    }
    found.sort_unstable();
    found.dedup_by(|next, before| {
        let is_same = next.topic == before.topic;
        if is_same {
            before.partitions.append(&mut next.partitions);
        }
        is_same
    });
    for topic in &mut found {
        topic.partitions.sort_unstable();
        topic.partitions.dedup();
    }
    found
}

/// What a member of the classic protocol is told to have.
pub(super) fn assignment(
    partitions: impl Iterator<Item = TopicPartitions>,
    topics: &dyn Surroundings,
    metadata: &[u8],
) -> Vec<u8> {
    let named: Vec<(String, Vec<i32>)> = partitions
        .filter_map(|topic| Some((topics.name_of(topic.topic)?.to_string(), topic.partitions)))
        .collect();
    let named: Vec<(&str, &[i32])> =
        named.iter().map(|(name, partitions)| (name.as_str(), partitions.as_slice())).collect();
    write_assignment(&named, metadata)
}
