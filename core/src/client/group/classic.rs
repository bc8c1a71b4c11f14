//! A member of a classic group: joins, assigns if it leads, asks for what it is given, and says that it is there. Knows no
//! assignor's rules.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::assign::{self, Assigned, Joined};
use super::coordinator::is_passing;
use super::subscription::{self, Subscription};
use super::{Assignor, Attempt, Member, MemberProtocol, NO_EPOCH, Outcome, Question, Role, Turn};
use crate::client::links::Sending;
use crate::client::{ClientError, TopicPartition};
use crate::id::Uuid;
use crate::time::{Duration, Instant};
use crate::wire::messages::heartbeat_request::HeartbeatRequest;
use crate::wire::messages::heartbeat_response::HeartbeatResponse;
use crate::wire::messages::join_group_request::{JoinGroupRequest, JoinGroupRequestProtocol};
use crate::wire::messages::join_group_response::JoinGroupResponse;
use crate::wire::messages::leave_group_request::{LeaveGroupRequest, MemberIdentity};
use crate::wire::messages::sync_group_request::{SyncGroupRequest, SyncGroupRequestAssignment};
use crate::wire::messages::sync_group_response::SyncGroupResponse;
use crate::wire::{ApiKey, ErrorCode, Reader};

/// The protocol type of consumers.
const PROTOCOL_TYPE: &str = "consumer";

#[derive(Debug)]
pub(super) struct Classic {
    phase: Phase,
    protocol: Option<Assignor>,
    /// As the leader it is told to leave the assignment as it is (KIP-814): then it only has to see where topics change.
    keeps_assignment: bool,
    /// How many partitions each topic had when this member assigned them, or began to lead who had assigned them.
    counted: BTreeMap<Arc<str>, usize>,
    heartbeat_at: Instant,
    heartbeat: Option<Attempt>,
}

#[derive(Debug)]
enum Phase {
    /// To join, not before this, and not before all is given up that has to be.
    Unjoined(Instant),
    Joining,
    /// It leads, and has to know the topics.
    Assigning(Vec<Joined>),
    /// To sync, with what it has assigned.
    Unsynced(Vec<(String, Vec<u8>)>),
    Syncing,
    Stable,
    /// Its application is gone.
    Stale,
}

impl Classic {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            phase: Phase::Unjoined(now),
            protocol: None,
            keeps_assignment: false,
            counted: BTreeMap::new(),
            heartbeat_at: now,
            heartbeat: None,
        }
    }

    pub(super) fn restart(&mut self, now: Instant) {
        self.phase = Phase::Unjoined(now);
    }

    pub(super) fn retire(&mut self) {
        self.phase = Phase::Stale;
        self.heartbeat = None;
    }

    pub(super) fn is_stale(&self) -> bool {
        matches!(self.phase, Phase::Stale)
    }

    /// While it is in the round of joining and syncing, its generation is no longer or not yet in force.
    pub(super) fn may_commit(&self) -> bool {
        matches!(self.phase, Phase::Unjoined(_) | Phase::Stable)
    }

    /// Whether nothing else tells the coordinator that it is there.
    fn has_to_beat(&self) -> bool {
        match self.phase {
            Phase::Unjoined(_) | Phase::Assigning(_) | Phase::Unsynced(_) | Phase::Stable => true,
            Phase::Joining | Phase::Syncing | Phase::Stale => false,
        }
    }

    pub(super) fn deadlines(&self) -> [Option<Instant>; 2] {
        let join = if let Phase::Unjoined(at) = self.phase { Some(at) } else { None };
        let beats = self.has_to_beat() && self.heartbeat.is_none();
        [join, beats.then_some(self.heartbeat_at)]
    }
}

impl Member {
    fn classic(&mut self) -> &mut Classic {
        match &mut self.role {
            Role::Classic(classic) => classic,
            Role::Consumer(_) => panic!("only members of classic groups come here"),
        }
    }

    fn is_cooperative(&self) -> bool {
        self.config.protocol == MemberProtocol::ClassicCooperative
    }

    pub(super) fn classic_turn(&mut self, turn: &mut Turn<'_>) {
        self.beat(turn);
        if self.leaving.is_some() {
            return;
        }
        self.watch_topics(turn);
        match &self.classic().phase {
            Phase::Unjoined(at) if *at <= turn.now => {
                if self.revocation.is_none() && self.commits.is_empty() {
                    self.join(turn);
                }
            }
            Phase::Assigning(_) => self.assign(turn),
            Phase::Unjoined(_) | Phase::Unsynced(_) | Phase::Joining | Phase::Syncing | Phase::Stable => {}
            Phase::Stale => {}
        }
        self.sync(turn);
    }

    /// Takes part in a new round. What has to be given up before is.
    fn rejoin(&mut self, turn: &mut Turn<'_>) {
        self.classic().phase = Phase::Unjoined(turn.now);
        if self.revocation.is_some() || self.owned.is_empty() {
            return;
        }
        if self.is_cooperative() {
            if self.config.auto_commit.is_some() {
                self.commit_taken(turn.now, self.taken(turn));
            }
        } else {
            let all = self.owned.keys().cloned().collect();
            self.begin_revocation(turn, all);
        }
    }

    /// The coordinator does not know it in this generation.
    fn expelled(&mut self, turn: &mut Turn<'_>, at: Instant) {
        self.lose(turn);
        let classic = self.classic();
        classic.phase = Phase::Unjoined(at);
        classic.heartbeat = None;
    }

    /// The leader assigns anew when there are other partitions than it thought.
    fn watch_topics(&mut self, turn: &mut Turn<'_>) {
        let classic = self.classic();
        if !matches!(classic.phase, Phase::Stable) {
            return;
        }
        let changed = classic
            .counted
            .iter()
            .any(|(topic, count)| turn.cluster.count(turn.now, topic).is_some_and(|now| now != *count));
        if changed {
            self.rejoin(turn);
        }
    }

    fn join(&mut self, turn: &mut Turn<'_>) {
        let Some(peer) = self.coordinator_peer(turn) else { return };
        let attempt = self.attempt();
        let subscription = Subscription {
            topics: self.config.topics.clone(),
            owned: self.owned.keys().cloned().collect(),
            generation: self.epoch,
            rack: self.config.rack.clone(),
            user_data: Vec::new(),
        };
        let classic = self.classic();
        classic.phase = Phase::Joining;
        classic.heartbeat = None;
        let protocols: Vec<(Assignor, Vec<u8>)> = self
            .config
            .assignors
            .iter()
            .map(|&assignor| (assignor, subscription::encode_subscription(assignor, &subscription)))
            .collect();
        let config = &self.config;
        let (session, rebalance) = (config.session_timeout, config.rebalance_timeout);
        let id = self.id.as_str();
        let call = self.asked(Question::Member(attempt));
        let sending = Sending { patience: rebalance, ..Sending::new(ApiKey::JoinGroup) };
        turn.links.send(turn.now, (&peer, sending), call, |version, writer| {
            let protocols = protocols.iter().map(|(assignor, metadata)| JoinGroupRequestProtocol {
                name: assignor.name(),
                metadata,
                ..JoinGroupRequestProtocol::default()
            });
            let request = JoinGroupRequest {
                group_id: &config.group,
                session_timeout_ms: millis(session),
                rebalance_timeout_ms: millis(rebalance),
                member_id: id,
                group_instance_id: config.instance.as_deref(),
                protocol_type: PROTOCOL_TYPE,
                protocols: protocols.collect(),
                ..JoinGroupRequest::default()
            };
            request.encode(version, writer)
        });
    }

    pub(super) fn on_classic_answer(&mut self, turn: &mut Turn<'_>, outcome: Outcome<'_>) {
        match self.classic().phase {
            Phase::Joining => self.on_joined(turn, outcome),
            Phase::Syncing => self.on_synced(turn, outcome),
            Phase::Unjoined(_) | Phase::Assigning(_) | Phase::Unsynced(_) | Phase::Stable | Phase::Stale => {}
        }
    }

    fn on_joined(&mut self, turn: &mut Turn<'_>, outcome: Outcome<'_>) {
        let decoded = outcome.and_then(|(version, body)| {
            JoinGroupResponse::decode(version, &mut Reader::new(body)).map_err(|_| ClientError::Malformed)
        });
        let response = match decoded {
            Ok(response) => response,
            Err(error) => return self.on_round_failed(turn, error),
        };
        if response.error_code == ErrorCode::MemberIdRequired.code() {
            self.id = String::from(response.member_id);
            self.classic().phase = Phase::Unjoined(turn.now);
            return;
        }
        if let Some(error) = ClientError::from_code(response.error_code) {
            return self.on_round_failed(turn, error);
        }
        let name = response.protocol_name.unwrap_or_default();
        let Some(assignor) = self.config.assignors.iter().copied().find(|known| known.name() == name) else {
            self.fatal = Some(ClientError::Broker(ErrorCode::InconsistentGroupProtocol));
            return;
        };
        self.id = String::from(response.member_id);
        self.epoch = response.generation_id;
        let leads = response.leader == response.member_id;
        let keeps_assignment = leads && response.skip_assignment;
        let joined = response.members.iter().map(|member| Joined {
            id: String::from(member.member_id),
            instance: member.group_instance_id.map(String::from),
            subscription: subscription::decode_subscription(member.metadata).unwrap_or_default(),
        });
        let joined = joined.collect();
        let heartbeat_at = turn.now + self.config.heartbeat_interval;
        let classic = self.classic();
        classic.protocol = Some(assignor);
        classic.heartbeat_at = heartbeat_at;
        classic.keeps_assignment = keeps_assignment;
        classic.counted.clear();
        classic.phase = if leads { Phase::Assigning(joined) } else { Phase::Unsynced(Vec::new()) };
    }

    /// Assigns once all topics are known.
    fn assign(&mut self, turn: &mut Turn<'_>) {
        let classic = self.classic();
        let (Phase::Assigning(members), Some(assignor)) = (&classic.phase, classic.protocol) else { return };
        let topics: BTreeSet<&String> = members.iter().flat_map(|m| &m.subscription.topics).collect();
        let count = |topic: &String| {
            let topic: Arc<str> = Arc::from(topic.as_str());
            turn.cluster.count(turn.now, &topic).map(|count| (topic, count))
        };
        // All are asked for, and not only up to the first that is unknown.
        let counted: Vec<Option<(Arc<str>, usize)>> = topics.into_iter().map(count).collect();
        let Some(counted) = counted.into_iter().collect::<Option<BTreeMap<Arc<str>, usize>>>() else {
            return;
        };
        let assigned = match classic.keeps_assignment {
            true => Assigned::new(),
            false => assign::assign(assignor, &counted, members),
        };
        let encode = |(id, partitions): (String, Vec<TopicPartition>)| {
            (id, subscription::encode_assignment(&partitions))
        };
        let assignments = assigned.into_iter().map(encode).collect();
        classic.counted = counted;
        classic.phase = Phase::Unsynced(assignments);
    }

    fn sync(&mut self, turn: &mut Turn<'_>) {
        if !matches!(self.classic().phase, Phase::Unsynced(_)) {
            return;
        }
        let Some(peer) = self.coordinator_peer(turn) else { return };
        let attempt = self.attempt();
        let classic = self.classic();
        let Phase::Unsynced(assignments) = core::mem::replace(&mut classic.phase, Phase::Syncing) else {
            return;
        };
        classic.heartbeat = None;
        let protocol = classic.protocol.map(Assignor::name);
        let sending = Sending { patience: self.config.rebalance_timeout, ..Sending::new(ApiKey::SyncGroup) };
        let call = self.asked(Question::Member(attempt));
        turn.links.send(turn.now, (&peer, sending), call, |version, writer| {
            let assignments = assignments.iter().map(|(id, bytes)| SyncGroupRequestAssignment {
                member_id: id,
                assignment: bytes,
                ..SyncGroupRequestAssignment::default()
            });
            let request = SyncGroupRequest {
                group_id: &self.config.group,
                generation_id: self.epoch,
                member_id: &self.id,
                group_instance_id: self.config.instance.as_deref(),
                protocol_type: Some(PROTOCOL_TYPE),
                protocol_name: protocol,
                assignments: assignments.collect(),
                ..SyncGroupRequest::default()
            };
            request.encode(version, writer)
        });
    }

    fn on_synced(&mut self, turn: &mut Turn<'_>, outcome: Outcome<'_>) {
        let decoded = outcome.and_then(|(version, body)| {
            SyncGroupResponse::decode(version, &mut Reader::new(body)).map_err(|_| ClientError::Malformed)
        });
        let response = match decoded {
            Ok(response) => response,
            Err(error) => return self.on_round_failed(turn, error),
        };
        if response.error_code == ErrorCode::RebalanceInProgress.code() {
            self.classic().phase = Phase::Unjoined(turn.now);
            return;
        }
        if let Some(error) = ClientError::from_code(response.error_code) {
            return self.on_round_failed(turn, error);
        }
        let is_leaving = self.leaving.is_some();
        let classic = self.classic();
        classic.phase = Phase::Stable;
        if is_leaving {
            // It has begun to give up all that it has, and takes nothing more.
            return;
        }
        let name = classic.protocol.map(Assignor::name);
        if response.protocol_name.is_some() && response.protocol_name != name {
            self.fatal = Some(ClientError::Broker(ErrorCode::InconsistentGroupProtocol));
            return;
        }
        // Nothing at all is what a member gets that its leader did not name.
        let assigned = subscription::decode_assignment(response.assignment).unwrap_or_default();
        let assigned: BTreeSet<TopicPartition> = assigned.into_iter().collect();
        let revoked: BTreeSet<TopicPartition> =
            self.owned.keys().filter(|key| !assigned.contains(*key)).cloned().collect();
        let added = assigned.into_iter().filter(|key| !self.owned.contains_key(key));
        let added = added.map(|key| (key, Uuid::ZERO)).collect();
        if !revoked.is_empty() {
            // Whoever is to have them gets them in the round after this one.
            self.begin_revocation(turn, revoked);
            self.classic().phase = Phase::Unjoined(turn.now);
        }
        self.take_over(turn, added);
    }

    /// A round that came to nothing.
    fn on_round_failed(&mut self, turn: &mut Turn<'_>, error: ClientError) {
        let soon = turn.now + self.timing.backoff;
        self.classic().phase = Phase::Unjoined(soon);
        self.doubt_coordinator(turn.now, error);
        if error == ClientError::Broker(ErrorCode::UnknownMemberId) {
            self.id = String::new();
            self.expelled(turn, soon);
        } else if error == ClientError::Broker(ErrorCode::IllegalGeneration) {
            self.expelled(turn, soon);
        } else if error != ClientError::Broker(ErrorCode::RebalanceInProgress) && !is_passing(error) {
            self.fatal = Some(error);
        }
    }

    fn beat(&mut self, turn: &mut Turn<'_>) {
        let classic = self.classic();
        let is_due = classic.has_to_beat() && classic.heartbeat.is_none() && classic.heartbeat_at <= turn.now;
        if !is_due || self.epoch == NO_EPOCH {
            return;
        }
        let Some(peer) = self.coordinator_peer(turn) else { return };
        let attempt = self.attempt();
        let next = turn.now + self.config.heartbeat_interval;
        let classic = self.classic();
        (classic.heartbeat, classic.heartbeat_at) = (Some(attempt), next);
        let call = self.asked(Question::Heartbeat(attempt));
        turn.links.send(turn.now, (&peer, Sending::new(ApiKey::Heartbeat)), call, |version, writer| {
            let request = HeartbeatRequest {
                group_id: &self.config.group,
                generation_id: self.epoch,
                member_id: &self.id,
                group_instance_id: self.config.instance.as_deref(),
                ..HeartbeatRequest::default()
            };
            request.encode(version, writer)
        });
    }

    pub(super) fn on_classic_heartbeat(
        &mut self,
        turn: &mut Turn<'_>,
        attempt: Attempt,
        outcome: Outcome<'_>,
    ) {
        let classic = self.classic();
        if classic.heartbeat != Some(attempt) {
            return;
        }
        classic.heartbeat = None;
        let error = match outcome {
            Ok((version, body)) => match HeartbeatResponse::decode(version, &mut Reader::new(body)) {
                Ok(response) => ClientError::from_code(response.error_code),
                Err(_) => Some(ClientError::Malformed),
            },
            Err(error) => Some(error),
        };
        let Some(error) = error else { return };
        if is_passing(error) {
            let soon = turn.now + self.timing.backoff;
            self.classic().heartbeat_at = soon;
            self.doubt_coordinator(turn.now, error);
            return;
        }
        if let ClientError::Broker(code) = error {
            self.on_classic_refused(turn, code);
        } else {
            self.fatal = Some(error);
        }
    }

    /// What the coordinator thinks of a member that is not in a round.
    pub(super) fn on_classic_refused(&mut self, turn: &mut Turn<'_>, code: ErrorCode) {
        if code == ErrorCode::RebalanceInProgress {
            if matches!(self.classic().phase, Phase::Stable) {
                self.rejoin(turn);
            }
        } else if code == ErrorCode::UnknownMemberId {
            self.id = String::new();
            self.expelled(turn, turn.now);
        } else if code == ErrorCode::IllegalGeneration {
            self.expelled(turn, turn.now);
        } else if [ErrorCode::FencedInstanceId, ErrorCode::GroupAuthorizationFailed].contains(&code) {
            self.fatal = Some(ClientError::Broker(code));
        }
        // Anything else is of a commit itself.
    }

    /// Whether the coordinator was told, or need not be.
    pub(super) fn leave_classic(&mut self, turn: &mut Turn<'_>, question: Question) -> bool {
        if self.id.is_empty() || self.is_static() {
            return true;
        }
        let Some(peer) = self.coordinator_peer(turn) else { return false };
        let call = self.asked(question);
        turn.links.send(turn.now, (&peer, Sending::new(ApiKey::LeaveGroup)), call, |version, writer| {
            let member = MemberIdentity {
                member_id: &self.id,
                reason: Some("the consumer leaves"),
                ..MemberIdentity::default()
            };
            let request = LeaveGroupRequest {
                group_id: &self.config.group,
                member_id: &self.id,
                members: alloc::vec![member],
                ..LeaveGroupRequest::default()
            };
            request.encode(version, writer)
        });
        true
    }
}

/// As requests have it.
pub(super) fn millis(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}
