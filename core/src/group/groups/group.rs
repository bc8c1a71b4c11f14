//! A group of either protocol, as its coordinator keeps it. Knows no other group and no offset.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;

use crate::group::classic::ClassicGroup;
use crate::group::command::{
    CommitOffsets, Described, FetchOffsets, GroupError, GroupKind, GroupState, Listed,
};
use crate::group::consumer::ConsumerGroup;
use crate::group::offsets::Aging;
use crate::group::record::GroupRecord;
use crate::group::topics::Surroundings;
use crate::time::{Instant, Now};

/// A group and its timer.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) group: Group,
    timer: Option<Instant>,
}

/// A group, by how its members agree.
#[derive(Debug)]
pub(super) enum Group {
    /// It has committed offsets and never had members. It is there as long as they are.
    Simple,
    Classic(Box<ClassicGroup>),
    Consumer(Box<ConsumerGroup>),
}

impl Seat {
    pub(super) fn new(group: Group) -> Self {
        Self { group, timer: None }
    }

    /// Notes when the group wants to be told the time. Usually that is as before.
    pub(super) fn settle(&mut self, name: &str, timers: &mut BTreeSet<(Instant, String)>) {
        let deadline = match &self.group {
            Group::Simple => None,
            Group::Classic(group) => group.deadline(),
            Group::Consumer(group) => group.deadline(),
        };
        if deadline == self.timer {
            return;
        }
        let name = String::from(name);
        if let Some(before) = self.timer {
            let before = (before, name);
            timers.remove(&before);
            timers.extend(deadline.map(|at| (at, before.1)));
        } else {
            timers.extend(deadline.map(|at| (at, name)));
        }
        self.timer = deadline;
    }
}

impl Group {
    /// Whether these offsets may be committed; that they are is a sign of life of their member.
    pub(super) fn on_commit(
        &mut self,
        now: Now,
        topics: &dyn Surroundings,
        commit: &CommitOffsets,
    ) -> Result<(), GroupError> {
        match self {
            Self::Simple if commit.generation < 0 => Ok(()),
            Self::Simple => Err(GroupError::UnknownMember),
            Self::Classic(group) => {
                group.check_commit(commit)?;
                group.touch(now, &commit.member);
                Ok(())
            }
            Self::Consumer(group) => group.check_commit(topics, commit),
        }
    }

    pub(super) fn check_fetch(&self, fetch: &FetchOffsets) -> Result<(), GroupError> {
        match self {
            Self::Simple | Self::Classic(_) => Ok(()),
            Self::Consumer(group) => group.check_fetch(fetch),
        }
    }

    pub(super) fn check_delete_offsets(&self) -> Result<(), GroupError> {
        match self {
            Self::Simple | Self::Consumer(_) => Ok(()),
            Self::Classic(group) => group.check_delete_offsets(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Simple => true,
            Self::Classic(group) => group.is_empty(),
            Self::Consumer(group) => group.is_empty(),
        }
    }

    /// Whether it has given out ids with which nobody has joined yet.
    pub(super) fn expects_members(&self) -> bool {
        match self {
            Self::Simple | Self::Consumer(_) => false,
            Self::Classic(group) => group.expects_members(),
        }
    }

    pub(super) fn members(&self) -> usize {
        match self {
            Self::Simple => 0,
            Self::Classic(group) => group.members(),
            Self::Consumer(group) => group.members(),
        }
    }

    pub(super) fn owed(&self) -> usize {
        match self {
            Self::Simple | Self::Consumer(_) => 0,
            Self::Classic(group) => group.owed(),
        }
    }

    pub(super) fn is_subscribed(&self, topic: &str) -> bool {
        match self {
            Self::Simple => false,
            Self::Classic(group) => group.is_subscribed(topic),
            Self::Consumer(group) => group.is_subscribed(topic),
        }
    }

    pub(super) fn aging(&self) -> Aging {
        match self {
            Self::Simple | Self::Consumer(_) => Aging::SinceCommit,
            Self::Classic(group) => group.aging(),
        }
    }

    /// What makes the group gone, beside its offsets.
    pub(super) fn bury(&self, name: &str, records: &mut Vec<GroupRecord>) {
        match self {
            Self::Simple => {}
            Self::Classic(_) => {
                records.push(GroupRecord::Classic { group: String::from(name), value: None });
            }
            Self::Consumer(group) => group.bury(records),
        }
    }

    pub(super) fn listed(&self, name: &str) -> Listed {
        let group = String::from(name);
        match self {
            Self::Simple => Listed {
                group,
                protocol_type: String::new(),
                state: GroupState::Empty,
                kind: GroupKind::Classic,
            },
            Self::Classic(group) => group.listed(),
            Self::Consumer(members) => Listed {
                group,
                protocol_type: String::from("consumer"),
                state: members.state(),
                kind: GroupKind::Consumer,
            },
        }
    }

    /// As the classic protocol describes it.
    pub(super) fn described(&self) -> Result<Described, GroupError> {
        match self {
            Self::Simple => Ok(Described {
                state: GroupState::Empty,
                protocol_type: String::new(),
                protocol: String::new(),
                members: Vec::new(),
            }),
            Self::Classic(group) => Ok(group.described()),
            Self::Consumer(_) => Err(GroupError::NotClassic),
        }
    }
}
