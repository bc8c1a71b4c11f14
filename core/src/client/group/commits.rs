//! Commits of a member: one after the other, so that one that is repeated never undoes a later one, and each until its time is over.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::coordinator::is_passing;
use super::offsets::NAMES_VERSION_MAX;
use super::{Member, Outcome, Question, Role, Turn};
use crate::client::links::Sending;
use crate::client::{ClientError, ClientEvent, MemberEvent, Token, TopicPartition};
use crate::id::Offset;
use crate::time::Instant;
use crate::wire::messages::offset_commit_request::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use crate::wire::messages::offset_commit_response::OffsetCommitResponse;
use crate::wire::{ApiKey, ErrorCode, Reader};

/// Where a group goes on with a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetToCommit {
    pub partition: TopicPartition,
    /// Of the first record that is not consumed.
    pub offset: Offset,
    /// Of the last record that is, if known.
    pub leader_epoch: Option<i32>,
    pub metadata: String,
}

impl OffsetToCommit {
    pub fn new(partition: TopicPartition, offset: Offset) -> Self {
        Self { partition, offset, leader_epoch: None, metadata: String::new() }
    }
}

/// What became of each partition of a commit.
pub(in crate::client) type Results = Vec<(TopicPartition, Result<(), ClientError>)>;

/// Who commits: one that is no member has no id and epoch −1.
#[derive(Debug, Clone, Copy)]
pub(in crate::client) struct Committer<'a> {
    pub(in crate::client) group: &'a str,
    pub(in crate::client) member: &'a str,
    pub(in crate::client) instance: Option<&'a str>,
    pub(in crate::client) epoch: i32,
}

#[derive(Debug)]
struct Commit {
    /// `None` is the member's own.
    token: Option<Token>,
    offsets: Vec<OffsetToCommit>,
    deadline: Instant,
    serial: u64,
}

#[derive(Debug)]
pub(super) struct Commits {
    queue: VecDeque<Commit>,
    serial: u64,
    /// The first was sent.
    asking: bool,
    /// The first is not sent again before this.
    at: Option<Instant>,
    auto_at: Option<Instant>,
    /// What the coordinator has, as far as known.
    known: BTreeMap<TopicPartition, Offset>,
}

impl Commits {
    pub(super) fn new(auto_at: Option<Instant>) -> Self {
        Self { queue: VecDeque::new(), serial: 0, asking: false, at: None, auto_at, known: BTreeMap::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub(super) fn on_known(&mut self, key: &TopicPartition, offset: Offset) {
        self.known.insert(key.clone(), offset);
    }

    pub(super) fn forget(&mut self, key: &TopicPartition) {
        self.known.remove(key);
    }

    pub(super) fn deadlines(&self) -> impl Iterator<Item = Instant> {
        let first = self.queue.front().filter(|_| !self.asking);
        let retry = first.and(self.at);
        [self.auto_at, retry, first.map(|commit| commit.deadline)].into_iter().flatten()
    }

    /// None of those that wait will be sent, and the answer to one that was comes too late.
    pub(super) fn fail(&mut self, error: ClientError, events: &mut VecDeque<ClientEvent>) {
        for commit in core::mem::take(&mut self.queue) {
            tell(commit.token, refuse(&commit.offsets, error), events);
        }
        (self.asking, self.at) = (false, None);
        self.known.clear();
    }
}

fn refuse(offsets: &[OffsetToCommit], error: ClientError) -> Results {
    offsets.iter().map(|committing| (committing.partition.clone(), Err(error))).collect()
}

/// The answer to a commit that is not sent.
pub(super) fn refused(token: Token, offsets: &[OffsetToCommit], error: ClientError) -> ClientEvent {
    ClientEvent::Member(MemberEvent::Committed { token, results: refuse(offsets, error) })
}

fn tell(token: Option<Token>, results: Results, events: &mut VecDeque<ClientEvent>) {
    if let Some(token) = token {
        events.push_back(ClientEvent::Member(MemberEvent::Committed { token, results }));
    }
}

/// The request in every version that names topics.
pub(in crate::client) fn request<'a>(
    committer: Committer<'a>,
    offsets: &'a [OffsetToCommit],
) -> OffsetCommitRequest<'a> {
    let mut topics: BTreeMap<&Arc<str>, Vec<OffsetCommitRequestPartition<'_>>> = BTreeMap::new();
    for committing in offsets {
        topics.entry(&committing.partition.topic).or_default().push(OffsetCommitRequestPartition {
            partition_index: committing.partition.index,
            committed_offset: committing.offset.0,
            committed_leader_epoch: committing.leader_epoch.unwrap_or(-1),
            committed_metadata: Some(&committing.metadata),
            ..OffsetCommitRequestPartition::default()
        });
    }
    let topic = |(name, partitions): (&'a Arc<str>, _)| OffsetCommitRequestTopic {
        name,
        partitions,
        ..OffsetCommitRequestTopic::default()
    };
    OffsetCommitRequest {
        group_id: committer.group,
        generation_id_or_member_epoch: committer.epoch,
        member_id: committer.member,
        group_instance_id: committer.instance,
        topics: topics.into_iter().map(topic).collect(),
        ..OffsetCommitRequest::default()
    }
}

/// Each partition that the answer tells of.
pub(in crate::client) fn results(outcome: Outcome<'_>) -> Result<Results, ClientError> {
    let (version, body) = outcome?;
    let response = OffsetCommitResponse::decode(version, &mut Reader::new(body));
    let response = response.map_err(|_| ClientError::Malformed)?;
    let mut results = Vec::new();
    for topic in &response.topics {
        for partition in &topic.partitions {
            let key = TopicPartition::new(topic.name, partition.partition_index);
            results.push((key, ClientError::from_code(partition.error_code).map_or(Ok(()), Err)));
        }
    }
    Ok(results)
}

impl Member {
    pub(super) fn commit(&mut self, now: Instant, token: Token, offsets: Vec<OffsetToCommit>) {
        self.push_commit(now, Some(token), offsets);
    }

    /// Commits what was taken of these, as far as the coordinator does not have it yet.
    pub(super) fn commit_taken(&mut self, now: Instant, taken: Vec<(TopicPartition, Offset)>) {
        let offsets: Vec<OffsetToCommit> = taken
            .into_iter()
            .filter(|(key, offset)| self.commits.known.get(key) != Some(offset))
            .map(|(key, offset)| OffsetToCommit::new(key, offset))
            .collect();
        if !offsets.is_empty() {
            self.push_commit(now, None, offsets);
        }
    }

    fn push_commit(&mut self, now: Instant, token: Option<Token>, offsets: Vec<OffsetToCommit>) {
        self.commits.serial += 1;
        let (deadline, serial) = (now + self.timing.request_timeout, self.commits.serial);
        self.commits.queue.push_back(Commit { token, offsets, deadline, serial });
    }

    /// How far everything that it has was taken.
    pub(super) fn taken(&self, turn: &Turn<'_>) -> Vec<(TopicPartition, Offset)> {
        let taken = |key: &TopicPartition| Some((key.clone(), turn.consumer.taken(key)?));
        self.owned.keys().filter_map(taken).collect()
    }

    pub(super) fn auto_commit(&mut self, turn: &mut Turn<'_>) {
        let (Some(interval), Some(at)) = (self.config.auto_commit, self.commits.auto_at) else { return };
        if at > turn.now {
            return;
        }
        self.commits.auto_at = Some(turn.now + interval);
        let is_busy = self.commits.queue.iter().any(|commit| commit.token.is_none());
        if self.may_commit() && self.revocation.is_none() && !is_busy {
            self.commit_taken(turn.now, self.taken(turn));
        }
    }

    pub(super) fn send_commit(&mut self, turn: &mut Turn<'_>) {
        if self.commits.asking {
            return;
        }
        let is_late = |commit: &mut Commit| commit.deadline <= turn.now;
        while let Some(late) = self.commits.queue.pop_front_if(is_late) {
            tell(late.token, refuse(&late.offsets, ClientError::TimedOut), turn.events);
        }
        if self.commits.is_empty() || self.commits.at.is_some_and(|at| at > turn.now) || !self.may_commit() {
            return;
        }
        let Some(peer) = self.coordinator_peer(turn) else { return };
        let Some(commit) = self.commits.queue.front() else { return };
        let committer = Committer {
            group: &self.config.group,
            member: &self.id,
            instance: self.config.instance.as_deref(),
            epoch: self.epoch,
        };
        self.commits.asking = true;
        let call = self.asked(Question::Commit(commit.serial));
        let sending = Sending { version_max: NAMES_VERSION_MAX, ..Sending::new(ApiKey::OffsetCommit) };
        turn.links.send(turn.now, (&peer, sending), call, |version, writer| {
            request(committer, &commit.offsets).encode(version, writer)
        });
    }

    pub(super) fn on_commit(&mut self, turn: &mut Turn<'_>, serial: u64, outcome: Outcome<'_>) {
        if self.commits.queue.front().is_none_or(|commit| commit.serial != serial) {
            return;
        }
        self.commits.asking = false;
        let results = results(outcome);
        let error = match &results {
            Ok(results) => results.iter().find_map(|(_, result)| result.err()),
            Err(error) => Some(*error),
        };
        if let Some(error) = error
            && self.is_worth_repeating(error)
        {
            self.doubt_coordinator(turn.now, error);
            self.commits.at = Some(turn.now + self.timing.backoff);
            return;
        }
        self.commits.at = None;
        let Some(commit) = self.commits.queue.pop_front() else { return };
        let results = results.unwrap_or_else(|error| refuse(&commit.offsets, error));
        for committing in &commit.offsets {
            let key = &committing.partition;
            if self.owned.contains_key(key) && results.iter().any(|(of, result)| of == key && result.is_ok())
            {
                self.commits.on_known(key, committing.offset);
            }
        }
        tell(commit.token, results, turn.events);
        if let Some(ClientError::Broker(code)) = error {
            self.on_commit_refused(turn, code);
        }
    }

    fn is_worth_repeating(&self, error: ClientError) -> bool {
        let stale = error == ClientError::Broker(ErrorCode::StaleMemberEpoch);
        let has_all = || {
            let first = self.commits.queue.front();
            first.is_some_and(|commit| commit.offsets.iter().all(|c| self.owned.contains_key(&c.partition)))
        };
        is_passing(error)
            || error == ClientError::Broker(ErrorCode::RequestTimedOut)
            || (stale && matches!(self.role, Role::Consumer(_)) && has_all())
    }

    fn on_commit_refused(&mut self, turn: &mut Turn<'_>, code: ErrorCode) {
        match self.role {
            Role::Classic(_) => self.on_classic_refused(turn, code),
            // The next heartbeat tells.
            Role::Consumer(_) if code == ErrorCode::FencedInstanceId => {
                self.fatal = Some(ClientError::Broker(code));
            }
            Role::Consumer(_) => {}
        }
    }
}
