//! What the client believes of the cluster: brokers, topics, leaders. Asks again when it was wrong or is old.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::client::Call;
use super::links::{Links, Outcome, Sending};
use super::{Address, ClientConfig, ClientError, TopicCreation, TopicPartition};
use crate::id::Uuid;
use crate::time::{Duration, Instant};
use crate::wire::messages::metadata_request::{MetadataRequest, MetadataRequestTopic};
use crate::wire::messages::metadata_response::MetadataResponse;
use crate::wire::{ApiKey, ErrorCode, Reader};

/// Where a partition is served.
#[derive(Debug, Clone)]
pub(super) struct Leader {
    pub(super) address: Address,
    pub(super) epoch: i32,
    /// Zero with brokers that have no topic ids.
    pub(super) topic: Uuid,
}

#[derive(Debug)]
struct Topic {
    id: Uuid,
    error: Option<ClientError>,
    /// How many there are, with or without a leader.
    count: usize,
    partitions: BTreeMap<i32, PartitionLeader>,
}

#[derive(Debug, Clone, Copy)]
struct PartitionLeader {
    node: i32,
    epoch: i32,
}

#[derive(Debug, Clone, Copy)]
enum Refresh {
    At(Instant),
    Asking,
}

#[derive(Debug)]
pub(super) struct Cluster {
    bootstrap: Vec<Address>,
    backoff: Duration,
    age_max: Duration,
    creation: TopicCreation,
    brokers: BTreeMap<i32, Address>,
    topics: BTreeMap<Arc<str>, Topic>,
    wanted: BTreeSet<Arc<str>>,
    /// Topics of which only the id is known. Bounded by what a coordinator assigns in one frame.
    wanted_ids: BTreeSet<Uuid>,
    refresh: Refresh,
    /// No question before this, so that a wrong answer is not asked for in a circle.
    earliest: Instant,
}

impl Cluster {
    pub(super) fn new(config: &ClientConfig, now: Instant) -> Self {
        Self {
            bootstrap: config.bootstrap.clone(),
            backoff: config.retry_backoff,
            age_max: config.metadata_age_max,
            creation: config.topic_creation,
            brokers: BTreeMap::new(),
            topics: BTreeMap::new(),
            wanted: BTreeSet::new(),
            wanted_ids: BTreeSet::new(),
            refresh: Refresh::At(now),
            earliest: now,
        }
    }

    /// All addresses to try for what any broker can answer.
    pub(super) fn addresses(&self) -> Vec<Address> {
        let unique: BTreeSet<&Address> = self.brokers.values().chain(&self.bootstrap).collect();
        unique.into_iter().cloned().collect()
    }

    /// Who leads the partition, if that is known. Asks for topics that were never asked for.
    pub(super) fn leader(&mut self, now: Instant, partition: &TopicPartition) -> Option<Leader> {
        let Some(topic) = self.topics.get(&partition.topic) else {
            self.want(now, &partition.topic);
            return None;
        };
        let leader = topic.partitions.get(&partition.index)?;
        let address = self.brokers.get(&leader.node)?.clone();
        Some(Leader { address, epoch: leader.epoch, topic: topic.id })
    }

    /// Why a topic cannot be used, as far as its broker said.
    pub(super) fn error(&self, topic: &str) -> Option<ClientError> {
        self.topics.get(topic)?.error
    }

    /// Why no leader of the partition will be found, however long one waits.
    pub(super) fn lacks(&self, partition: &TopicPartition) -> Option<ClientError> {
        let topic = self.topics.get(&partition.topic)?;
        let missing = usize::try_from(partition.index).map_or(true, |index| index >= topic.count);
        let error = topic.error.filter(|&error| error != ClientError::Broker(ErrorCode::LeaderNotAvailable));
        error.or_else(|| missing.then_some(ClientError::Broker(ErrorCode::UnknownTopicOrPartition)))
    }

    pub(super) fn partitions(&self, topic: &str) -> Option<usize> {
        let count = self.topics.get(topic)?.partitions.len();
        (count > 0).then_some(count)
    }

    /// How many partitions a topic has: none if it does not exist. `None` if that is not known at present. Asks for topics that
    /// were never asked for.
    pub(super) fn count(&mut self, now: Instant, name: &Arc<str>) -> Option<usize> {
        let Some(topic) = self.topics.get(name) else {
            self.want(now, name);
            return None;
        };
        let passes = topic.error == Some(ClientError::Broker(ErrorCode::LeaderNotAvailable));
        if passes && topic.count == 0 { None } else { Some(topic.count) }
    }

    /// The name of a topic, if it is known. Asks for it otherwise.
    pub(super) fn name_of(&mut self, now: Instant, id: Uuid) -> Option<Arc<str>> {
        let found = self.topics.iter().find(|(_, topic)| topic.id == id).map(|(name, _)| Arc::clone(name));
        if found.is_none() && self.wanted_ids.insert(id) {
            self.stale(now);
        }
        found
    }

    fn want(&mut self, now: Instant, name: &Arc<str>) {
        if self.wanted.insert(Arc::clone(name)) {
            self.earliest = now;
            self.stale(now);
        }
    }

    /// Something said here was wrong: ask again, but not in a hurry.
    pub(super) fn stale(&mut self, now: Instant) {
        if let Refresh::At(at) = self.refresh {
            self.refresh = Refresh::At(at.min(self.earliest.max(now)));
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.refresh {
            Refresh::At(at) if !self.wanted.is_empty() || !self.wanted_ids.is_empty() => Some(at),
            Refresh::At(_) | Refresh::Asking => None,
        }
    }

    pub(super) fn turn(&mut self, now: Instant, links: &mut Links<Call>) {
        let due = matches!(self.refresh, Refresh::At(at) if at <= now);
        if !due || (self.wanted.is_empty() && self.wanted_ids.is_empty()) {
            return;
        }
        let Some(peer) = links.want_any(now, &self.addresses()) else { return };
        // A broker answers for ids or for names, not for both.
        let ids = self.wanted_ids.clone();
        let names: Vec<Arc<str>> =
            if ids.is_empty() { self.wanted.iter().cloned().collect() } else { Vec::new() };
        let create = self.creation == TopicCreation::Automatic;
        self.refresh = Refresh::Asking;
        links.send(now, (&peer, Sending::new(ApiKey::Metadata)), Call::Metadata, |version, writer| {
            let topics = names
                .iter()
                .map(|name| MetadataRequestTopic { name: Some(name), ..MetadataRequestTopic::default() });
            let ids = ids.iter().map(|&topic_id| MetadataRequestTopic {
                topic_id,
                name: None,
                ..MetadataRequestTopic::default()
            });
            let topics = topics.chain(ids).collect();
            let request = MetadataRequest {
                topics: Some(topics),
                allow_auto_topic_creation: create,
                ..MetadataRequest::default()
            };
            request.encode(version, writer)
        });
    }

    pub(super) fn on_outcome(&mut self, now: Instant, outcome: &Outcome<Call>, links: &mut Links<Call>) {
        let response = outcome
            .as_ref()
            .ok()
            .and_then(|answer| MetadataResponse::decode(answer.version, &mut Reader::new(&answer.body)).ok());
        self.earliest = now + self.backoff;
        let complete = response.is_some_and(|response| self.take(&response));
        self.refresh = Refresh::At(now + if complete { self.age_max } else { self.backoff });
        if complete {
            links.retain(now, |address| {
                self.bootstrap.contains(address) || self.brokers.values().any(|broker| broker == address)
            });
        }
    }

    /// Takes an answer over; whether it leaves nothing open.
    fn take(&mut self, response: &MetadataResponse<'_>) -> bool {
        self.brokers = response
            .brokers
            .iter()
            .filter_map(|broker| {
                let port = u16::try_from(broker.port).ok()?;
                Some((broker.node_id, Address { host: Arc::from(broker.host), port }))
            })
            .collect();
        let mut complete = response.error_code == 0;
        for topic in &response.topics {
            let was_wanted = self.wanted_ids.remove(&topic.topic_id);
            if let Some(name) = topic.name.filter(|_| was_wanted) {
                self.wanted.insert(Arc::from(name));
            }
            let Some(name) = topic.name.and_then(|name| self.wanted.get(name)) else { continue };
            let partitions: BTreeMap<i32, PartitionLeader> = topic
                .partitions
                .iter()
                .filter(|partition| partition.leader_id >= 0)
                .map(|p| (p.partition_index, PartitionLeader { node: p.leader_id, epoch: p.leader_epoch }))
                .collect();
            let error = ClientError::from_code(topic.error_code);
            complete &= error.is_none() && partitions.len() == topic.partitions.len();
            let topic = Topic { id: topic.topic_id, error, count: topic.partitions.len(), partitions };
            self.topics.insert(Arc::clone(name), topic);
        }
        complete && self.wanted.iter().all(|name| self.topics.contains_key(name))
    }
}
