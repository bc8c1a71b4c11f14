//! What is asked of requests before a group looks at them, and whether a member may do what it asks with the epoch that it names.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::reconcile::{epochs, is_subset};
use super::{AWAY_EPOCH, ConsumerGroup};
use crate::group::assignor::Assignor;
use crate::group::command::{CommitOffsets, ConsumerHeartbeat, FetchOffsets, GroupError};
use crate::group::record::MemberState;
use crate::group::settings::ConsumerSettings;
use crate::group::topics::Surroundings;
use crate::mutant::{self, Mutant};

impl ConsumerGroup {
    /// What is wrong with a heartbeat whatever the state of its group.
    pub fn check_request(
        heartbeat: &ConsumerHeartbeat,
        settings: &ConsumerSettings,
    ) -> Result<(), GroupError> {
        let invalid = |what: &str| Err(GroupError::InvalidRequest(what.to_string()));
        let is_empty = |text: &Option<String>| text.as_ref().is_some_and(|text| text.trim().is_empty());
        if heartbeat.group.trim().is_empty() {
            return invalid("the group id is empty");
        }
        if is_empty(&heartbeat.instance) {
            return invalid("the instance id is empty");
        }
        if is_empty(&heartbeat.rack) {
            return invalid("the rack id is empty");
        }
        if heartbeat.member.is_empty() && heartbeat.member_epoch != 0 {
            return invalid("the member id is empty, which only a member that joins may leave to the broker");
        }
        match heartbeat.member_epoch {
            ..AWAY_EPOCH => return invalid("the member epoch is less than -2"),
            AWAY_EPOCH if heartbeat.instance.is_none() => {
                return invalid("a member leaves for a while without an instance id to come back with");
            }
            0 if heartbeat.rebalance_timeout.is_none() => {
                return invalid("a member joins without a rebalance timeout");
            }
            0 if heartbeat.owned.as_ref().is_none_or(|owned| !owned.is_empty()) => {
                return invalid("a member joins with partitions, or without saying that it has none");
            }
            0 if heartbeat.topics.is_none() && heartbeat.regex.is_none() => {
                return invalid("a member joins with neither topic names nor a regular expression");
            }
            _ => {}
        }
        match &heartbeat.assignor {
            Some(name) if !settings.assignors.contains(name) || Assignor::named(name).is_none() => {
                Err(GroupError::UnsupportedAssignor)
            }
            _ => Ok(()),
        }
    }

    /// Whether a member may go on with the epoch that it names. A join always may: it says that the member has nothing. The epoch before
    /// the last one may as well, if the member has nothing but what it was to have: then an answer was lost.
    pub(super) fn check_epoch(&self, heartbeat: &ConsumerHeartbeat) -> Result<(), GroupError> {
        let current = self.kept.current(&heartbeat.member);
        // A state of a newer version: only a member that has nothing can be led on from there.
        let has_nothing = heartbeat.owned.as_ref().is_some_and(Vec::is_empty);
        if current.state == MemberState::Unknown && !has_nothing {
            return Err(GroupError::FencedMemberEpoch);
        }
        if heartbeat.member_epoch == 0 || heartbeat.member_epoch == current.epoch {
            return Ok(());
        }
        let lost_answer = heartbeat.member_epoch < current.epoch
            && heartbeat.member_epoch == current.previous_epoch
            && heartbeat.owned.as_ref().is_some_and(|owned| is_subset(owned, &current.assigned));
        if lost_answer { Ok(()) } else { Err(GroupError::FencedMemberEpoch) }
    }

    /// Whether these offsets may be committed. A member that has not yet been told its newest epoch may commit what it has had since
    /// before the epoch that it names. Requests older than version 9 know no member epochs, so their refusal is told otherwise.
    pub fn check_commit(&self, topics: &dyn Surroundings, commit: &CommitOffsets) -> Result<(), GroupError> {
        if commit.generation < 0 && self.is_empty() {
            return Ok(());
        }
        if mutant::on(Mutant::CommitOfGoneMember) {
            return Ok(());
        }
        let member = self.kept.members.get(&commit.member).ok_or(GroupError::UnknownMember)?;
        let current = self.kept.current(&commit.member);
        if member.classic.is_some() {
            let is_current = commit.generation == current.epoch;
            return if is_current { Ok(()) } else { Err(GroupError::IllegalGeneration) };
        }
        if !commit.knows_member_epochs || commit.generation > current.epoch {
            return Err(GroupError::StaleMemberEpoch);
        }
        if commit.generation == current.epoch {
            return Ok(());
        }
        let has_since_before = commit.offsets.iter().all(|(partition, committing)| {
            let topic = committing.topic.or_else(|| Some(topics.topic(&partition.topic)?.id));
            let since = topic.and_then(|topic| {
                let of = [&current.assigned, &current.revoking].map(|of| epochs(of, topic));
                let place = |of: &[(i32, Option<i32>)]| {
                    of.binary_search_by_key(&partition.partition, |&(p, _)| p).ok()
                };
                of.into_iter().find_map(|of| of[place(of)?].1)
            });
            since.is_some_and(|since| since <= commit.generation)
        });
        if has_since_before { Ok(()) } else { Err(GroupError::StaleMemberEpoch) }
    }

    /// Whether offsets may be fetched by whom the request names, if anybody.
    pub fn check_fetch(&self, fetch: &FetchOffsets) -> Result<(), GroupError> {
        let Some((member, epoch)) = &fetch.member else { return Ok(()) };
        let value = self.kept.members.get(member).ok_or(GroupError::UnknownMember)?;
        match (*epoch == self.kept.current(member).epoch, &value.classic) {
            (true, _) => Ok(()),
            (false, None) => Err(GroupError::StaleMemberEpoch),
            (false, Some(_)) => Err(GroupError::IllegalGeneration),
        }
    }
}

/// An expression that cannot be taken, and why.
pub(super) fn invalid_regex(regex: &str, why: &str) -> GroupError {
    GroupError::InvalidRegularExpression(format!("`{regex}` cannot be taken as a regular expression: {why}"))
}
