//! Joins: new members, known ones that come again, and static ones that take the place of their former selves.

use alloc::string::String;
use alloc::vec::Vec;

use super::member::{Member, Waiting, new_id};
use super::sync::fits;
use super::{ClassicGroup, Pending, Phase, protocols};
use crate::coordinator::{Token, When};
use crate::group::command::{GroupError, GroupReply, Join, Joined, JoinedMember};
use crate::group::out::{Arrival, Out, Reason};
use crate::group::settings::GroupSettings;
use crate::limits::{GROUP_NEW_MEMBER_WAIT, GROUP_PENDING_MEMBERS_MAX};
use crate::mutant::{self, Mutant};

impl ClassicGroup {
    /// What is wrong with a join whatever the group: to be asked before a group is made for it.
    pub fn check_join(join: &Join, settings: &GroupSettings) -> Result<(), GroupError> {
        let (min, max) = settings.session_timeout;
        if join.group.is_empty() {
            return Err(GroupError::InvalidGroupId);
        }
        if join.session_timeout < min || join.session_timeout > max {
            return Err(GroupError::InvalidSessionTimeout);
        }
        Ok(())
    }

    /// Makes a group for a join of a member without an id, which has been [checked](Self::check_join). It is there from now on,
    /// whatever comes of the join.
    pub fn create(out: &mut Out<'_>, from: Token, join: Join) -> Self {
        let mut group = Self::new(join.group.clone(), out.now);
        let (record, before) = (group.value(), out.decision.records.len());
        group.join(out, from, join);
        if out.decision.records.len() == before {
            group.write(out, record);
        }
        group
    }

    pub fn join(&mut self, out: &mut Out<'_>, from: Token, mut join: Join) {
        if let Err(error) = Self::check_join(&join, out.settings) {
            return out.fail(from, error);
        }
        if !self.has_room(&join.member, out.settings) {
            self.pending_gone(&join.member);
            self.remove(out, &join.member);
            return out.fail(from, GroupError::MaxSizeReached);
        }
        protocols::without_repetition(&mut join.protocols);
        if !self.supported.has_room(&join.protocols, self.members.get(&join.member)) {
            return out.fail(from, GroupError::MaxSizeReached);
        }
        if !self.supports(&join.protocol_type, &join.protocols) {
            return out.fail(from, GroupError::InconsistentProtocol);
        }
        if join.member.is_empty() {
            self.join_new(out, from, join);
        } else {
            self.join_known(out, from, join);
        }
    }

    /// In a rebalance those who have joined it count, so that the last ones go where there are too many.
    fn has_room(&self, member: &str, settings: &GroupSettings) -> bool {
        let known = self.members.get(member);
        match self.phase {
            Phase::Empty => true,
            Phase::Preparing(_) => {
                known.is_some_and(|member| member.join.is_some()) || self.joining < settings.size_max
            }
            Phase::Completing | Phase::Stable => known.is_some() || self.members.len() < settings.size_max,
        }
    }

    fn join_new(&mut self, out: &mut Out<'_>, from: Token, join: Join) {
        let id = new_id(out.prng, &join);
        let former = join.instance.as_ref().and_then(|instance| self.instances.get(instance));
        if let Some(former) = former.cloned() {
            return self.replace(out, from, Replacement { former, id, join });
        }
        if join.instance.is_some() || !join.known_member_required {
            return self.add(out, from, id, join);
        }
        if self.pending.len() >= GROUP_PENDING_MEMBERS_MAX {
            // Who was told the oldest one had the most time to come back with it.
            let oldest = self.pending.iter().min_by_key(|(_, pending)| pending.number);
            let oldest = oldest.expect("there are many").0.clone();
            self.pending_gone(&oldest);
        }
        let expires_at = out.now.mono + join.session_timeout;
        self.sessions.insert((expires_at, id.clone()));
        let number = self.handed_out;
        self.handed_out += 1;
        self.pending.insert(id.clone(), Pending { number, expires_at });
        out.answer(from, GroupReply::MemberIdRequired(id), When::AtOnce);
    }

    fn join_known(&mut self, out: &mut Out<'_>, from: Token, join: Join) {
        if join.instance.is_none() && self.pending.contains_key(&join.member) {
            self.pending_gone(&join.member);
            let id = join.member.clone();
            return self.add(out, from, id, join);
        }
        if let Err(error) = self.check_member(&join.member, join.instance.as_deref()) {
            return out.fail(from, error);
        }
        let is_same = self.members[&join.member].protocols == join.protocols;
        let knows_all = match self.phase {
            Phase::Empty | Phase::Preparing(_) => false,
            Phase::Completing => is_same,
            // The leader may see a change that is in no member's metadata.
            Phase::Stable => is_same && !self.is_leader(&join.member),
        };
        if knows_all {
            // It has not got the answer to its last join.
            let joined = self.joined(&join.member);
            return out.answer(from, GroupReply::Joined(joined), When::Committed);
        }
        let reason = Reason::MemberRejoined(arrival(&join.member, &join));
        self.update(out, from, join);
        self.rebalance(out, reason);
    }

    /// What a member is told of its generation.
    pub(super) fn joined(&self, member: &str) -> Joined {
        let protocol = self.protocol.clone().unwrap_or_default();
        let joined = |(id, member): (&String, &Member)| JoinedMember {
            id: id.clone(),
            instance: member.instance.clone(),
            metadata: member.metadata(&protocol).to_vec(),
        };
        let members = match self.is_leader(member) && !mutant::on(Mutant::MembersNotTold) {
            true => self.members.iter().map(joined).collect(),
            false => Vec::new(),
        };
        Joined {
            generation: self.generation,
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            protocol,
            leader: self.leader.clone().unwrap_or_default(),
            skip_assignment: false,
            member: String::from(member),
            members,
        }
    }

    fn add(&mut self, out: &mut Out<'_>, from: Token, id: String, mut join: Join) {
        let reason = Reason::MemberJoined(arrival(&id, &join));
        let mut member = Member::new(&mut join);
        member.join = Some(Waiting::new(from));
        self.joining += 1;
        self.supported.add(&member);
        if let Phase::Preparing(preparing) = &mut self.phase
            && let Some(initial) = &mut preparing.initial
        {
            initial.joined = true;
        }
        if self.members.is_empty() {
            self.protocol_type = Some(join.protocol_type);
        }
        if let Some(instance) = join.instance {
            self.instances.insert(instance, id.clone());
        }
        self.leader.get_or_insert_with(|| id.clone());
        self.members.insert(id.clone(), member);
        self.watch(&id, out.now.mono + GROUP_NEW_MEMBER_WAIT);
        self.rebalance(out, reason);
    }

    /// A known member waits for the next generation, with what it says of itself now.
    fn update(&mut self, out: &mut Out<'_>, from: Token, join: Join) {
        let member = self.members.get_mut(&join.member).expect("it was looked up");
        self.supported.subtract(member);
        member.protocols = join.protocols;
        member.rebalance_timeout = join.rebalance_timeout;
        member.session_timeout = join.session_timeout;
        self.supported.add(member);
        match member.join.replace(Waiting::new(from)) {
            Some(earlier) => earlier.fail(out, GroupError::RebalanceInProgress),
            None => self.joining += 1,
        }
    }

    /// A static member came back without its id: it gets another one, and who uses the former is fenced.
    fn replace(&mut self, out: &mut Out<'_>, from: Token, replacement: Replacement) {
        let Replacement { former, id, mut join } = replacement;
        let reason = Reason::MemberReplaced(arrival(&id, &join));
        let can_skip_assignment = join.can_skip_assignment;
        self.rename(out, &former, &id);
        join.member.clone_from(&id);
        self.update(out, from, join);
        self.restart_session(out.now, &id);
        match self.phase {
            Phase::Stable if self.vote() == self.protocol.as_deref() && fits(&self.value()) => {
                let mut joined = self.joined(&id);
                if can_skip_assignment {
                    joined.skip_assignment = self.is_leader(&id);
                } else if self.is_leader(&id) {
                    // A leader that cannot be told to keep the assignment must not take itself for the leader.
                    joined.leader = former;
                    joined.members = Vec::new();
                }
                let member = self.members.get_mut(&id).expect("it was just renamed");
                let waiting = member.join.take().expect("it has just joined");
                self.joining -= 1;
                waiting.answer(out, GroupReply::Joined(joined), When::Committed);
                if !mutant::on(Mutant::ReplacementNotWritten) {
                    self.write(out, self.value());
                }
            }
            Phase::Empty | Phase::Preparing(_) | Phase::Completing | Phase::Stable => {
                self.rebalance(out, reason)
            }
        }
    }

    fn rename(&mut self, out: &mut Out<'_>, former: &str, id: &str) {
        let mut member = self.members.remove(former).expect("an instance has a member");
        self.unwatch(former, &member);
        member.watched_at = None;
        member.is_new = false;
        if let Some(waiting) = member.join.take() {
            self.joining -= 1;
            waiting.fail(out, GroupError::FencedInstance);
        }
        if let Some(waiting) = member.sync.take() {
            waiting.fail(out, GroupError::FencedInstance);
        }
        if self.is_leader(former) {
            self.leader = Some(String::from(id));
        }
        let instance = member.instance.clone().expect("only static members are renamed");
        self.instances.insert(instance, String::from(id));
        self.members.insert(String::from(id), member);
    }
}

struct Replacement {
    former: String,
    id: String,
    join: Join,
}

fn arrival(member: &str, join: &Join) -> Arrival {
    Arrival {
        member: String::from(member),
        instance: join.instance.clone(),
        client_reason: join.reason.clone(),
    }
}
