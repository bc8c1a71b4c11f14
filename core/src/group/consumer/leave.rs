//! How members go: on their own, for a while, or because they were not heard of.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use super::target::View;
use super::timers::Overdue;
use super::{AWAY_EPOCH, ConsumerGroup};
use crate::group::command::{ConsumerAssigned, ConsumerHeartbeat, GroupError, GroupState};
use crate::group::out::{Out, Reason};
use crate::group::record::{ConsumerValue, CurrentValue, GroupRecord, TargetEpochValue};
use crate::group::topics::Surroundings;
use crate::mutant::{self, Mutant};
use crate::time::Duration;

impl ConsumerGroup {
    /// A heartbeat that says goodbye.
    pub(super) fn leave(
        &mut self,
        out: &mut Out<'_>,
        topics: &dyn Surroundings,
        heartbeat: ConsumerHeartbeat,
    ) -> Result<ConsumerAssigned, GroupError> {
        let id = heartbeat.member;
        match &heartbeat.instance {
            None if !self.kept.members.contains_key(&id) => return Err(GroupError::UnknownMember),
            None => {}
            Some(instance) => match self.kept.instances.get(instance) {
                None => return Err(GroupError::UnknownMember),
                Some(member) if *member != id => return Err(GroupError::FencedInstance),
                Some(_) => {}
            },
        }
        if heartbeat.member_epoch == AWAY_EPOCH {
            // What it has stays its own until its session ends or its instance comes back.
            let current = self.kept.current(&id);
            let away = CurrentValue { epoch: AWAY_EPOCH, revoking: Vec::new(), ..current.clone() };
            self.timers.on_revocation(&id, None);
            self.tell(out, self.kept.epoch, [self.state(); 2], Reason::MemberAway(id.clone()));
            out.decision.records.push(GroupRecord::CurrentMember {
                group: self.id.clone(),
                member: id.clone(),
                value: Some(away),
            });
        } else {
            let left = Reason::MembersLeft(Vec::from([(id.clone(), None)]));
            self.remove(out, topics, &BTreeSet::from([id.clone()]), [left]);
        }
        Ok(ConsumerAssigned {
            member: id,
            member_epoch: heartbeat.member_epoch,
            heartbeat_interval: Duration::ZERO,
            assignment: None,
        })
    }

    /// Members whose sessions have ended, or who have not given back in time what they were asked for, are members no more.
    pub fn on_deadline(&mut self, out: &mut Out<'_>, topics: &dyn Surroundings) {
        let mut gone = BTreeMap::new();
        for (member, overdue) in self.timers.due(out.now.mono) {
            if !self.kept.members.contains_key(&member) || mutant::on(Mutant::ConsumerSessionNotEnded) {
                self.timers.remove(&member);
                continue;
            }
            let id = member.clone();
            gone.insert(
                member,
                match overdue {
                    Overdue::Heartbeat => Reason::MemberExpired(id),
                    Overdue::Revocation => Reason::MemberDidNotRevoke(id),
                    Overdue::Join => Reason::JoinEnded(Vec::from([id])),
                    Overdue::Sync => Reason::MembersDidNotSync(Vec::from([id])),
                },
            );
        }
        if !gone.is_empty() {
            let members = gone.keys().cloned().collect();
            self.remove(out, topics, &members, gone.into_values());
        }
    }

    /// What they had is free at once; the next heartbeat of another member hands it out.
    pub(super) fn remove(
        &mut self,
        out: &mut Out<'_>,
        topics: &dyn Surroundings,
        gone: &BTreeSet<String>,
        why: impl IntoIterator<Item = Reason>,
    ) {
        if self.downgrade_without(out, topics, gone) {
            return;
        }
        let group = || self.id.clone();
        for member in gone {
            self.timers.remove(member);
            self.bury_member(out, member);
        }
        let view = View { kept: &self.kept, gone, seated: None, regexes: BTreeMap::new() };
        let left = view.regexes();
        let dropped = self.kept.regexes.keys().filter(|regex| !left.contains(regex.as_str()));
        let records = &mut out.decision.records;
        records.extend(dropped.map(|regex| GroupRecord::Regex {
            group: group(),
            regex: regex.clone(),
            value: None,
        }));
        let epoch = self.kept.epoch.saturating_add(1);
        let value = Some(ConsumerValue { epoch, metadata_hash: view.metadata_hash(topics) });
        records.push(GroupRecord::Consumer { group: group(), value });
        let mut to = GroupState::Assigning;
        if view.members().next().is_none() {
            // Nobody is left to have anything assigned.
            to = GroupState::Empty;
            let value = Some(TargetEpochValue { epoch, assigned_at: Some(out.now.wall) });
            records.push(GroupRecord::TargetEpoch { group: group(), value });
        }
        let from = self.state();
        why.into_iter().for_each(|reason| self.tell(out, epoch, [from, to], reason));
    }

    /// Tombstones of a member, in the order in which its records hang on each other.
    pub(super) fn bury_member(&self, out: &mut Out<'_>, member: &str) {
        let (group, member) = (|| self.id.clone(), || String::from(member));
        let records = &mut out.decision.records;
        records.push(GroupRecord::CurrentMember { group: group(), member: member(), value: None });
        records.push(GroupRecord::TargetMember { group: group(), member: member(), value: None });
        records.push(GroupRecord::Member { group: group(), member: member(), value: None });
    }
}
