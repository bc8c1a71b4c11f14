//! A member of a group of the consumer protocol (KIP-848): all it says and hears is in its heartbeats. Brings what it has to what it
//! is to have, and tells what it has.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::classic::millis;
use super::coordinator::is_passing;
use super::{Attempt, Member, Outcome, Question, Role, Turn};
use crate::client::links::Sending;
use crate::client::{ClientError, TopicPartition};
use crate::id::Uuid;
use crate::time::{Duration, Instant};
use crate::wire::messages::consumer_group_heartbeat_request::{
    ConsumerGroupHeartbeatRequest, TopicPartitions,
};
use crate::wire::messages::consumer_group_heartbeat_response::ConsumerGroupHeartbeatResponse;
use crate::wire::{ApiKey, ErrorCode, Reader};

/// Of a member that leaves for good, and of a static one that will be back.
const LEAVE_EPOCH: i32 = -1;
const LEAVE_STATIC_EPOCH: i32 = -2;

/// Before the coordinator tells how often.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct Reconciler {
    /// What it is to have; partitions by the id of their topic.
    target: Option<BTreeSet<(Uuid, i32)>>,
    /// Topics by id, of the target.
    names: BTreeMap<Uuid, Arc<str>>,
    interval: Duration,
    at: Instant,
    heartbeat: Option<Attempt>,
    /// What it last told that it has; `None` if the next heartbeat is to tell everything.
    told: Option<BTreeMap<TopicPartition, Uuid>>,
    /// The coordinator has told a target and has not heard that it is reached.
    owes: bool,
    stale: bool,
}

impl Reconciler {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            target: None,
            names: BTreeMap::new(),
            interval: HEARTBEAT_INTERVAL,
            at: now,
            heartbeat: None,
            told: None,
            owes: false,
            stale: false,
        }
    }

    pub(super) fn restart(&mut self, now: Instant) {
        *self = Self { names: core::mem::take(&mut self.names), interval: self.interval, ..Self::new(now) };
    }

    pub(super) fn retire(&mut self) {
        self.stale = true;
        (self.heartbeat, self.target) = (None, None);
    }

    pub(super) fn is_stale(&self) -> bool {
        self.stale
    }

    pub(super) fn deadlines(&self) -> [Option<Instant>; 2] {
        [(!self.stale && self.heartbeat.is_none()).then_some(self.at), None]
    }
}

impl Member {
    fn reconciler(&mut self) -> &mut Reconciler {
        match &mut self.role {
            Role::Consumer(reconciler) => reconciler,
            Role::Classic(_) => panic!("only members of groups of the consumer protocol come here"),
        }
    }

    pub(super) fn consumer_turn(&mut self, turn: &mut Turn<'_>) {
        if self.leaving.is_none() {
            self.reconcile(turn);
        } else if self.leaving.as_ref().is_some_and(|leaving| leaving.told) {
            return;
        }
        self.consumer_beat(turn);
    }

    /// Gives up what it is not to have; once that is through, takes what it is.
    fn reconcile(&mut self, turn: &mut Turn<'_>) {
        if self.revocation.is_some() || self.epoch <= 0 {
            return;
        }
        let reconciler = self.reconciler();
        let Some(target) = &reconciler.target else { return };
        let mut wanted = BTreeMap::new();
        let mut unknown = false;
        for &(id, index) in target {
            let name = match reconciler.names.get(&id) {
                Some(name) => Some(Arc::clone(name)),
                None => turn.cluster.name_of(turn.now, id),
            };
            unknown |= name.is_none();
            if let Some(topic) = name {
                reconciler.names.insert(id, Arc::clone(&topic));
                wanted.insert(TopicPartition { topic, index }, id);
            }
        }
        let revoked: BTreeSet<TopicPartition> = self
            .owned
            .iter()
            .filter(|&(key, id)| wanted.get(key) != Some(id))
            .map(|(key, _)| key.clone())
            .collect();
        if !revoked.is_empty() {
            self.begin_revocation(turn, revoked);
            return;
        }
        wanted.retain(|key, _| !self.owned.contains_key(key));
        let reconciler = self.reconciler();
        // A heartbeat under way may say that it has none of these: then they are given to others before its answer tells.
        if !wanted.is_empty() && reconciler.heartbeat.is_some() {
            return;
        }
        if !unknown {
            reconciler.target = None;
        }
        if !wanted.is_empty() || !unknown {
            self.take_over(turn, wanted);
        }
    }

    fn consumer_beat(&mut self, turn: &mut Turn<'_>) {
        let Role::Consumer(reconciler) = &self.role else { return };
        // To say that it has nothing while it still looks for names would be to give back what it is about to take.
        let is_reconciled = self.revocation.is_none() && reconciler.target.is_none();
        if reconciler.stale || reconciler.heartbeat.is_some() || self.epoch < 0 {
            return;
        }
        let has_changed = reconciler.told.as_ref().is_some_and(|told| *told != self.owned);
        let tells_now = self.epoch > 0 && (has_changed || (reconciler.owes && is_reconciled));
        if !tells_now && reconciler.at > turn.now {
            return;
        }
        let is_full = reconciler.told.is_none() || self.epoch == 0;
        let owes = reconciler.owes && !is_reconciled;
        let Some(peer) = self.coordinator_peer(turn) else { return };
        let attempt = self.attempt();
        let owned = (is_full || tells_now).then(|| partitions(&self.owned));
        let told = self.owned.clone();
        let reconciler = self.reconciler();
        (reconciler.heartbeat, reconciler.owes) = (Some(attempt), owes);
        reconciler.at = turn.now + reconciler.interval;
        if owned.is_some() {
            reconciler.told = Some(told);
        }
        let config = &self.config;
        let call = self.asked(Question::Heartbeat(attempt));
        let sending = Sending::new(ApiKey::ConsumerGroupHeartbeat);
        turn.links.send(turn.now, (&peer, sending), call, |version, writer| {
            let mut request = ConsumerGroupHeartbeatRequest {
                group_id: &config.group,
                member_id: &self.id,
                member_epoch: self.epoch,
                instance_id: config.instance.as_deref(),
                rebalance_timeout_ms: -1,
                topic_partitions: owned,
                ..ConsumerGroupHeartbeatRequest::default()
            };
            if is_full {
                request.rack_id = config.rack.as_deref();
                request.rebalance_timeout_ms = millis(config.rebalance_timeout);
                request.subscribed_topic_names = Some(config.topics.iter().map(|name| &**name).collect());
                request.subscribed_topic_regex = config.regex.as_deref();
                request.server_assignor = config.remote_assignor.as_deref();
            }
            request.encode(version, writer)
        });
    }

    pub(super) fn on_consumer_heartbeat(
        &mut self,
        turn: &mut Turn<'_>,
        attempt: Attempt,
        outcome: Outcome<'_>,
    ) {
        if self.reconciler().heartbeat != Some(attempt) {
            return;
        }
        self.reconciler().heartbeat = None;
        let decoded = outcome.and_then(|(version, body)| {
            let response = ConsumerGroupHeartbeatResponse::decode(version, &mut Reader::new(body));
            response.map_err(|_| ClientError::Malformed)
        });
        let answered = decoded.and_then(|response| match ClientError::from_code(response.error_code) {
            Some(error) => Err(error),
            None => Ok(response),
        });
        let response = match answered {
            Ok(response) => response,
            Err(error) => return self.on_consumer_refused(turn, error),
        };
        if let Some(id) = response.member_id.filter(|id| !id.is_empty()) {
            self.id = id.into();
        }
        self.epoch = response.member_epoch;
        let reconciler = self.reconciler();
        if let Ok(millis @ 1..) = u64::try_from(response.heartbeat_interval_ms) {
            reconciler.interval = Duration::from_millis(millis);
        }
        reconciler.at = turn.now + reconciler.interval;
        if let Some(assignment) = response.assignment {
            let topics = assignment.topic_partitions.iter();
            let pairs =
                topics.flat_map(|topic| topic.partitions.iter().map(|&index| (topic.topic_id, index)));
            let target: BTreeSet<(Uuid, i32)> = pairs.collect();
            reconciler.names.retain(|id, _| target.iter().any(|(wanted, _)| wanted == id));
            reconciler.target = Some(target);
            reconciler.owes = true;
        }
    }

    fn on_consumer_refused(&mut self, turn: &mut Turn<'_>, error: ClientError) {
        let soon = turn.now + self.timing.backoff;
        let reconciler = self.reconciler();
        // Whether the coordinator has heard what was told is not known.
        reconciler.told = None;
        reconciler.at = soon;
        let fenced = [ErrorCode::FencedMemberEpoch, ErrorCode::UnknownMemberId].map(ClientError::Broker);
        if fenced.contains(&error) {
            self.lose(turn);
            self.epoch = 0;
            self.reconciler().restart(turn.now);
        } else if is_passing(error) || error == ClientError::Broker(ErrorCode::TopicAuthorizationFailed) {
            self.doubt_coordinator(turn.now, error);
        } else {
            self.fatal = Some(error);
        }
    }

    /// Whether the coordinator was told.
    pub(super) fn leave_consumer(&mut self, turn: &mut Turn<'_>, question: Question) -> bool {
        let Some(peer) = self.coordinator_peer(turn) else { return false };
        let member_epoch = if self.is_static() { LEAVE_STATIC_EPOCH } else { LEAVE_EPOCH };
        let call = self.asked(question);
        let sending = Sending::new(ApiKey::ConsumerGroupHeartbeat);
        turn.links.send(turn.now, (&peer, sending), call, |version, writer| {
            let request = ConsumerGroupHeartbeatRequest {
                group_id: &self.config.group,
                member_id: &self.id,
                member_epoch,
                instance_id: self.config.instance.as_deref(),
                rebalance_timeout_ms: -1,
                topic_partitions: None,
                ..ConsumerGroupHeartbeatRequest::default()
            };
            request.encode(version, writer)
        });
        true
    }
}

fn partitions(owned: &BTreeMap<TopicPartition, Uuid>) -> Vec<TopicPartitions> {
    let mut topics: BTreeMap<Uuid, Vec<i32>> = BTreeMap::new();
    for (key, &id) in owned {
        topics.entry(id).or_default().push(key.index);
    }
    let topic = |(topic_id, partitions)| TopicPartitions { topic_id, partitions, ..Default::default() };
    topics.into_iter().map(topic).collect()
}
