//! What one step of a group works with, and where it puts what the step comes to. Decides nothing.

use alloc::string::String;
use alloc::vec::Vec;

use super::command::{GroupError, GroupReply, GroupState};
use super::record::GroupRecord;
use super::settings::GroupSettings;
use crate::coordinator::{Answer, Decision, Token, When};
use crate::prng::Prng;
use crate::time::Now;

#[derive(Debug)]
pub struct Out<'a> {
    pub now: Now,
    pub prng: &'a mut Prng,
    pub settings: &'a GroupSettings,
    pub decision: &'a mut Decision<GroupRecord, GroupReply>,
    pub events: &'a mut Vec<GroupEvent>,
}

impl Out<'_> {
    pub fn answer(&mut self, to: Token, reply: GroupReply, when: When) {
        self.decision.answers.push(Answer { to, reply, when });
    }

    /// A refusal says nothing that a crash could take back.
    pub fn fail(&mut self, to: Token, error: GroupError) {
        self.answer(to, GroupReply::Failed(error), When::AtOnce);
    }
}

/// A group came to another state: to be logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupEvent {
    pub group: String,
    pub generation: i32,
    pub from: GroupState,
    pub to: GroupState,
    pub reason: Reason,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    MemberJoined(Arrival),
    /// The leader, or a member with other metadata than before.
    MemberRejoined(Arrival),
    /// A static member under a new id.
    MemberReplaced(Arrival),
    /// Each with what it said of it.
    MembersLeft(Vec<(String, Option<String>)>),
    MemberExpired(String),
    /// A static member left for a while.
    MemberAway(String),
    /// It did not give back in time what it was asked for.
    MemberDidNotRevoke(String),
    SubscriptionChanged(String),
    /// Those that the group is subscribed to.
    TopicsChanged,
    /// By this assignor of the broker.
    Computed(String),
    /// They joined a generation and did not ask for their assignments in time.
    MembersDidNotSync(Vec<String>),
    /// All members came, or those named here did not in time.
    JoinEnded(Vec<String>),
    /// By this leader.
    Assigned(String),
    /// What this leader assigned does not fit into a record.
    AssignmentTooLarge(String),
    /// What was decided last could not be written.
    NotWritten,
    /// It was loaded with more members than it may have by now.
    OverCapacity,
    /// A member of the consumer protocol joined, and the group is of that protocol from now on.
    Upgraded,
    /// The last members of the consumer protocol went, and the group is of the classic one from now on. Who they were is not known
    /// where it was loaded.
    Downgraded(Vec<String>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    pub member: String,
    pub instance: Option<String>,
    /// KIP-800.
    pub client_reason: Option<String>,
}
