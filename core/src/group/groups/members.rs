//! What members ask of groups: brings it to the group, and makes groups that are not there yet or are of the other protocol.

use alloc::boxed::Box;
use alloc::string::String;
use core::mem;

use super::Groups;
use super::group::{Group, Seat};
use crate::coordinator::{Token, When};
use crate::group::classic::ClassicGroup;
use crate::group::command::{ConsumerHeartbeat, GroupError, GroupReply, Heartbeat, Join, Leave, Sync};
use crate::group::consumer::ConsumerGroup;
use crate::group::out::Out;
use crate::group::settings::GroupSettings;
use crate::group::topics::Surroundings;

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
        seat.settle(name, &mut self.timers);
        Some(done)
    }

    /// What is decided of a new group is found by those who come before it is replayed.
    fn put(&mut self, name: String, group: Group) {
        let seat = self.groups.entry(name.clone()).or_insert_with(|| Seat::new(Group::Simple));
        seat.group = group;
        seat.settle(&name, &mut self.timers);
    }

    pub(super) fn join(&mut self, out: &mut Out<'_>, from: Token, join: Join) {
        if let Err(error) = ClassicGroup::check_join(&join, out.settings) {
            return out.fail(from, error);
        }
        let name = join.group.clone();
        match self.group(&name) {
            Some(Group::Classic(_)) => {
                self.classic(&name, |group| group.join(out, from, join));
            }
            Some(Group::Consumer(group)) if !group.is_empty() => {
                out.fail(from, GroupError::InconsistentProtocol);
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

    pub(super) fn sync(&mut self, out: &mut Out<'_>, from: Token, mut sync: Sync) {
        let name = mem::take(&mut sync.group);
        if self.classic(&name, |group| group.sync(out, from, sync)).is_none() {
            out.fail(from, GroupError::UnknownMember);
        }
    }

    pub(super) fn heartbeat(&mut self, out: &mut Out<'_>, from: Token, heartbeat: &Heartbeat) {
        if self.classic(&heartbeat.group, |group| group.heartbeat(out, from, heartbeat)).is_none() {
            out.fail(from, GroupError::UnknownMember);
        }
    }

    pub(super) fn leave(&mut self, out: &mut Out<'_>, from: Token, mut leave: Leave) {
        let name = mem::take(&mut leave.group);
        let unknown = leave.members.iter().map(|_| Err(GroupError::UnknownMember)).collect();
        if self.classic(&name, |group| group.leave(out, from, leave)).is_none() {
            out.answer(from, GroupReply::Left(unknown), When::AtOnce);
        }
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
            Some(Group::Classic(group)) if !group.is_empty() => out.fail(from, GroupError::GroupNotFound),
            Some(Group::Simple | Group::Classic(_)) | None if heartbeat.member_epoch != 0 => {
                out.fail(from, GroupError::GroupNotFound);
            }
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
            Some(Group::Simple | Group::Classic(_)) | None => Err(GroupError::GroupNotFound),
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
