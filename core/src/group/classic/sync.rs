//! What members do within a generation: ask for their assignments, tell that they live, and leave.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use super::member::Waiting;
use super::{ClassicGroup, Phase};
use crate::coordinator::{Token, When};
use crate::group::command::{
    Client, GroupError, GroupReply, GroupState, Heartbeat, Leave, Leaving, Sync, Synced,
};
use crate::group::out::{GroupEvent, Out, Reason};
use crate::group::record::{ClassicMember, ClassicValue};
use crate::limits::GROUP_RECORD_BYTES_MAX;
use crate::mutant::{self, Mutant};

impl ClassicGroup {
    pub fn sync(&mut self, out: &mut Out<'_>, from: Token, sync: Sync) {
        if let Err(error) = self.check_sync(&sync) {
            return out.fail(from, error);
        }
        match self.phase {
            Phase::Empty => out.fail(from, GroupError::UnknownMember),
            Phase::Preparing(_) => out.fail(from, GroupError::RebalanceInProgress),
            Phase::Completing => {
                self.owe_sync_no_more(&sync.member);
                let member = self.members.get_mut(&sync.member).expect("it was checked");
                if let Some(earlier) = member.sync.replace(Waiting::new(from)) {
                    earlier.fail(out, GroupError::RebalanceInProgress);
                }
                if self.is_leader(&sync.member) {
                    self.assign(out, sync);
                }
            }
            Phase::Stable => {
                self.owe_sync_no_more(&sync.member);
                let synced = self.synced(&self.members[&sync.member].assignment);
                out.answer(from, GroupReply::Synced(synced), When::Committed);
                self.restart_session(out.now, &sync.member);
            }
        }
    }

    fn check_sync(&self, sync: &Sync) -> Result<(), GroupError> {
        self.check_member(&sync.member, sync.instance.as_deref())?;
        if sync.generation != self.generation {
            return Err(GroupError::IllegalGeneration);
        }
        let differs = |told: &Option<String>, known: &Option<String>| {
            told.is_some() && known.is_some() && told != known
        };
        if differs(&sync.protocol_type, &self.protocol_type) || differs(&sync.protocol, &self.protocol) {
            return Err(GroupError::InconsistentProtocol);
        }
        Ok(())
    }

    fn owe_sync_no_more(&mut self, member: &str) {
        let member = self.members.get_mut(member).expect("it was checked");
        self.unsynced -= usize::from(core::mem::take(&mut member.owes_sync));
        if self.unsynced == 0 {
            self.sync_until = None;
        }
    }

    /// The leader's word: the group is stable once it is replayed, and told to those who wait once it is committed.
    fn assign(&mut self, out: &mut Out<'_>, sync: Sync) {
        let mut assignments: BTreeMap<String, Vec<u8>> = sync.assignments.into_iter().collect();
        let mut value = self.value();
        for member in &mut value.members {
            member.assignment = assignments.remove(&member.id).unwrap_or_default();
        }
        if !fits(&value) {
            self.refuse_syncs(out, &GroupError::NotAvailable);
            return self.rebalance(out, Reason::AssignmentTooLarge(sync.member));
        }
        for member in &value.members {
            let known = self.members.get_mut(&member.id).expect("the value is of these members");
            if let Some(waiting) = known.sync.take() {
                let former = known.assignment.clone();
                let is_former = mutant::on(Mutant::FormerAssignmentTold) && !former.is_empty();
                let synced = self.synced(if is_former { &former } else { &member.assignment });
                waiting.answer(out, GroupReply::Synced(synced), When::Committed);
                self.restart_session(out.now, &member.id);
            }
        }
        let (from, to) = (self.state(), GroupState::Stable);
        let reason = Reason::Assigned(sync.member);
        out.events.push(GroupEvent { group: self.id.clone(), generation: self.generation, from, to, reason });
        self.write(out, value);
    }

    fn synced(&self, assignment: &[u8]) -> Synced {
        Synced {
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            protocol: self.protocol.clone().unwrap_or_default(),
            assignment: assignment.to_vec(),
        }
    }

    pub fn heartbeat(&mut self, out: &mut Out<'_>, from: Token, heartbeat: &Heartbeat) {
        let checked = self.check_member(&heartbeat.member, heartbeat.instance.as_deref());
        if let Err(error) = checked {
            return out.fail(from, error);
        }
        if heartbeat.generation != self.generation {
            return out.fail(from, GroupError::IllegalGeneration);
        }
        self.restart_session(out.now, &heartbeat.member);
        match self.phase {
            Phase::Preparing(_) => out.fail(from, GroupError::RebalanceInProgress),
            Phase::Empty | Phase::Completing | Phase::Stable => {
                out.answer(from, GroupReply::Done, When::AtOnce);
            }
        }
    }

    pub fn leave(&mut self, out: &mut Out<'_>, from: Token, leave: Leave) {
        let mut left = Vec::new();
        let mut answers = Vec::with_capacity(leave.members.len());
        for leaving in leave.members {
            let answer = self.leave_one(out, &leaving);
            answers.push(answer.map(|member| left.push((member, leaving.reason))));
        }
        if !left.is_empty() && !self.is_empty() {
            self.rebalance(out, Reason::MembersLeft(left));
        }
        out.answer(from, GroupReply::Left(answers), When::Committed);
    }

    fn leave_one(&mut self, out: &mut Out<'_>, leaving: &Leaving) -> Result<String, GroupError> {
        let instance = leaving.instance.as_deref();
        let member = if leaving.member.is_empty() {
            let known = instance.and_then(|instance| self.instances.get(instance));
            known.ok_or(GroupError::UnknownMember)?.clone()
        } else {
            leaving.member.clone()
        };
        if !self.pending_gone(&member) {
            self.check_member(&member, instance)?;
            self.remove(out, &member);
        }
        Ok(member)
    }
}

/// Whether a log takes it, as one record.
pub(super) fn fits(value: &ClassicValue) -> bool {
    let bytes = |member: &ClassicMember| {
        let Client { id, host } = &member.client;
        let instance = member.instance.as_ref().map_or(0, String::len);
        member.id.len()
            + instance
            + id.len()
            + host.len()
            + member.subscription.len()
            + member.assignment.len()
    };
    value.members.iter().map(bytes).sum::<usize>() <= GROUP_RECORD_BYTES_MAX
}
