//! What members ask of groups: brings it to the group, and makes groups that are not there yet or are of the other protocol.

use alloc::boxed::Box;
use alloc::collections::btree_map::Entry;
use alloc::string::String;
use core::mem;

use super::Groups;
use super::group::{Group, Seat};
use crate::coordinator::{KeyedRecord, Token, Turn, When};
use crate::group::classic::ClassicGroup;
use crate::group::command::{
    ConsumerHeartbeat, GroupError, GroupReply, GroupState, Heartbeat, Join, Leave, Sync,
};
use crate::group::consumer::ConsumerGroup;
use crate::group::out::{GroupEvent, Out, Reason};
use crate::group::record::GroupRecord;
use crate::group::settings::GroupSettings;
use crate::group::topics::Surroundings;
use crate::limits::GROUP_RECORD_BYTES_MAX;

/// A heartbeat that joins a group of the classic protocol.
struct Upgrade {
    name: String,
    heartbeat: ConsumerHeartbeat,
}

fn bytes_of(records: &[GroupRecord]) -> usize {
    let bytes = |record: &GroupRecord| {
        let KeyedRecord { key, value } = record.encode();
        key.len() + value.map_or(0, |value| value.len())
    };
    records.iter().map(bytes).sum()
}

impl Groups {
    /// Lets a group of the classic protocol act, if it is one.
    fn classic<R>(&mut self, name: &str, act: impl FnOnce(&mut ClassicGroup) -> R) -> Option<R> {
        let seat = self.groups.get_mut(name)?;
        let Group::Classic(group) = &mut seat.group else { return None };
        let done = act(group);
        seat.settle(name, &mut self.timers);
        Some(done)
    }

    /// Lets a group of the consumer protocol act, if it is one.
    fn consumer<R>(&mut self, name: &str, act: impl FnOnce(&mut ConsumerGroup) -> R) -> Option<R> {
        let seat = self.groups.get_mut(name)?;
        let Group::Consumer(group) = &mut seat.group else { return None };
        let done = act(group);
        if let Some(successor) = group.take_successor() {
            seat.group = Group::Classic(successor);
        }
        seat.settle(name, &mut self.timers);
        Some(done)
    }

    /// What is decided of a new group is found by those who come before it is replayed.
    fn put(&mut self, name: String, group: Group) {
        let seat = match self.groups.entry(name.clone()) {
            Entry::Occupied(entry) => {
                let seat = entry.into_mut();
                self.replaced = Some((name.clone(), Some(mem::replace(&mut seat.group, group))));
                seat
            }
            Entry::Vacant(entry) => {
                self.replaced = Some((name.clone(), None));
                entry.insert(Seat::new(group))
            }
        };
        seat.settle(&name, &mut self.timers);
    }

    /// What took the place of a group comes to nothing. One of the classic protocol goes on, for its members wait in it: it is written
    /// with its next generation.
    pub(super) fn restore(&mut self, name: &str, former: Option<Group>) {
        let seat = self.groups.get_mut(name).expect("it has just been put there");
        if matches!(seat.group, Group::Classic(_)) {
            return;
        }
        let is_gone = former.is_none();
        seat.group = former.unwrap_or(Group::Simple);
        seat.settle(name, &mut self.timers);
        if is_gone {
            self.groups.remove(name);
        }
    }

    /// A record of the group was refused.
    pub(super) fn refused(&mut self, turn: &Turn<'_, dyn Surroundings>, name: &str) {
        match self.group(name) {
            Some(Group::Classic(_)) => self.classic(name, ClassicGroup::on_refused),
            Some(Group::Consumer(_)) => {
                let settings = turn.surroundings.settings(name);
                self.consumer(name, |group| group.on_refused(turn.now, &settings))
            }
            Some(Group::Simple) | None => None,
        };
    }

    pub(super) fn join(&mut self, out: &mut Out<'_>, topics: &dyn Surroundings, from: Token, join: Join) {
        if let Err(error) = ClassicGroup::check_join(&join, out.settings) {
            return out.fail(from, error);
        }
        let name = join.group.clone();
        match self.group(&name) {
            Some(Group::Classic(_)) => {
                self.classic(&name, |group| group.join(out, from, join));
            }
            Some(Group::Consumer(group)) if !group.is_empty() => {
                self.consumer(&name, |group| group.join(out, topics, from, join));
            }
            Some(Group::Simple | Group::Consumer(_)) | None if !join.member.is_empty() => {
                out.fail(from, GroupError::UnknownMember);
            }
            former @ (Some(Group::Simple | Group::Consumer(_)) | None) => {
                if let Some(former) = former {
                    former.bury(&name, &mut out.decision.records);
                }
                let group = ClassicGroup::create(out, from, join);
                self.put(name, Group::Classic(Box::new(group)));
            }
        }
    }

    pub(super) fn sync(&mut self, out: &mut Out<'_>, topics: &dyn Surroundings, from: Token, mut sync: Sync) {
        let name = mem::take(&mut sync.group);
        match self.group(&name) {
            Some(Group::Classic(_)) => self.classic(&name, |group| group.sync(out, from, sync)),
            Some(Group::Consumer(_)) => self.consumer(&name, |group| group.sync(out, topics, from, &sync)),
            Some(Group::Simple) | None => {
                out.fail(from, GroupError::UnknownMember);
                None
            }
        };
    }

    pub(super) fn heartbeat(&mut self, out: &mut Out<'_>, from: Token, heartbeat: &Heartbeat) {
        let name = &heartbeat.group;
        match self.group(name) {
            Some(Group::Classic(_)) => self.classic(name, |group| group.heartbeat(out, from, heartbeat)),
            Some(Group::Consumer(_)) => {
                self.consumer(name, |group| group.classic_heartbeat(out, from, heartbeat))
            }
            Some(Group::Simple) | None => {
                out.fail(from, GroupError::UnknownMember);
                None
            }
        };
    }

    pub(super) fn leave(
        &mut self,
        out: &mut Out<'_>,
        topics: &dyn Surroundings,
        from: Token,
        mut leave: Leave,
    ) {
        let name = mem::take(&mut leave.group);
        match self.group(&name) {
            Some(Group::Classic(_)) => self.classic(&name, |group| group.leave(out, from, leave)),
            Some(Group::Consumer(_)) => {
                self.consumer(&name, |group| group.classic_leave(out, topics, from, &leave))
            }
            Some(Group::Simple) | None => {
                let unknown = leave.members.iter().map(|_| Err(GroupError::UnknownMember)).collect();
                out.answer(from, GroupReply::Left(unknown), When::AtOnce);
                None
            }
        };
    }

    pub(super) fn consumer_heartbeat(
        &mut self,
        out: &mut Out<'_>,
        topics: &dyn Surroundings,
        from: Token,
        mut heartbeat: ConsumerHeartbeat,
    ) {
        if let Err(error) = ConsumerGroup::check_request(&heartbeat, &out.settings.consumer) {
            return out.fail(from, error);
        }
        let name = mem::take(&mut heartbeat.group);
        match self.group(&name) {
            Some(Group::Consumer(_)) => {
                self.consumer(&name, |group| group.heartbeat(out, topics, from, heartbeat));
            }
            Some(Group::Classic(group)) if !group.is_empty() => {
                self.upgrade(out, topics, from, Upgrade { name, heartbeat });
            }
            Some(Group::Simple | Group::Classic(_)) if heartbeat.member_epoch != 0 => {
                out.fail(from, GroupError::NotConsumer);
            }
            None if heartbeat.member_epoch != 0 => out.fail(from, GroupError::GroupNotFound),
            former @ (Some(Group::Simple | Group::Classic(_)) | None) => {
                if let Some(former) = former {
                    former.bury(&name, &mut out.decision.records);
                }
                let buried = out.decision.records.len();
                let mut group = ConsumerGroup::new(name.clone());
                group.heartbeat(out, topics, from, heartbeat);
                if out.decision.records.len() > buried {
                    self.put(name, Group::Consumer(Box::new(group)));
                } else {
                    // It is refused: all stays as it was.
                    out.decision.records.clear();
                }
            }
        }
    }

    /// A member of the consumer protocol joins members of the classic one: from now on the group is of the consumer protocol.
    fn upgrade(&mut self, out: &mut Out<'_>, topics: &dyn Surroundings, from: Token, upgrade: Upgrade) {
        let Upgrade { name, heartbeat } = upgrade;
        let Some(Group::Classic(classic)) = self.group(&name) else {
            unreachable!("only a group of the classic protocol is upgraded")
        };
        let settings = &out.settings.consumer;
        let may_be = heartbeat.member_epoch == 0
            && settings.migration.upgrades()
            && classic.members() <= settings.size_max;
        let upgraded = if may_be { ConsumerGroup::upgraded(out, topics, classic) } else { None };
        let Some(mut group) = upgraded else { return out.fail(from, GroupError::NotConsumer) };
        let (state, generation) = (classic.state(), classic.generation());
        let founded = out.decision.records.len();
        group.heartbeat(out, topics, from, heartbeat);
        let is_refused = out.decision.records.len() == founded;
        if is_refused || bytes_of(&out.decision.records) > GROUP_RECORD_BYTES_MAX {
            // All stays as it was.
            out.decision.records.clear();
            if !is_refused {
                out.decision.answers.clear();
                out.fail(from, GroupError::NotConsumer);
            }
            return;
        }
        self.put(name.clone(), Group::Consumer(Box::new(group)));
        if let Some((_, Some(Group::Classic(former)))) = &mut self.replaced {
            former.dismiss(out);
        }
        let (to, reason) = (GroupState::Assigning, Reason::Upgraded);
        out.events.push(GroupEvent { group: name, generation, from: state, to, reason });
    }

    pub(super) fn describe(&self, name: &str) -> Result<GroupReply, GroupError> {
        let group = self.group(name).ok_or(GroupError::GroupNotFound)?;
        group.described().map(GroupReply::Described)
    }

    pub(super) fn describe_consumer(
        &self,
        name: &str,
        settings: &GroupSettings,
    ) -> Result<GroupReply, GroupError> {
        match self.group(name) {
            Some(Group::Consumer(group)) => Ok(GroupReply::ConsumerDescribed(group.describe(settings))),
            Some(Group::Simple | Group::Classic(_)) => Err(GroupError::NotConsumer),
            None => Err(GroupError::GroupNotFound),
        }
    }

    pub(super) fn loaded(&mut self, out: &mut Out<'_>, name: &str) {
        match self.group(name) {
            Some(Group::Classic(_)) => self.classic(name, |group| group.on_loaded(out)),
            Some(Group::Consumer(_)) => self.consumer(name, |group| group.on_loaded(out)),
            Some(Group::Simple) | None => None,
        };
    }

    pub(super) fn due(&mut self, out: &mut Out<'_>, topics: &dyn Surroundings, name: &str) {
        match self.group(name) {
            Some(Group::Classic(_)) => self.classic(name, |group| group.on_deadline(out)),
            Some(Group::Consumer(_)) => self.consumer(name, |group| group.on_deadline(out, topics)),
            Some(Group::Simple) | None => panic!("a timer is that of a group with members"),
        };
    }
}
