//! Topics: create, delete, list, describe. Each call is sent once: whether to repeat one that was lost is the caller's to say.

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;

use super::client::Call;
use super::cluster::Cluster;
use super::links::{Links, Sending};
use super::{ClientConfig, ClientError, ClientEvent, Token};
use crate::buf::Slice;
use crate::id::{NodeId, TopicId, Uuid};
use crate::time::{Duration, Instant};
use crate::wire::messages::create_topics_request::{
    CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
};
use crate::wire::messages::create_topics_response::CreateTopicsResponse;
use crate::wire::messages::delete_topics_request::{DeleteTopicState, DeleteTopicsRequest};
use crate::wire::messages::delete_topics_response::DeleteTopicsResponse;
use crate::wire::messages::metadata_request::{MetadataRequest, MetadataRequestTopic};
use crate::wire::messages::metadata_response::{MetadataResponse, MetadataResponseTopic};
use crate::wire::{ApiKey, DecodeError, EncodeError, Reader, Writer};

/// A topic to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTopic {
    pub name: String,
    /// −1 takes the broker's default.
    pub partitions: i32,
    /// −1 takes the broker's default.
    pub replication_factor: i16,
    pub configs: Vec<(String, String)>,
}

/// What an admin call came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AdminAnswer {
    Created(Vec<TopicResult>),
    Deleted(Vec<TopicResult>),
    Topics(Vec<TopicDescription>),
    /// There is no answer. What was asked for may have been done unless the error is a missing version.
    Failed(ClientError),
}

/// What became of one topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicResult {
    pub name: String,
    pub id: TopicId,
    pub error: Option<ClientError>,
    /// The broker's words.
    pub message: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicDescription {
    pub name: String,
    pub id: TopicId,
    pub internal: bool,
    pub error: Option<ClientError>,
    /// In the order of their index.
    pub partitions: Vec<PartitionDescription>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionDescription {
    pub index: i32,
    pub leader: Option<NodeId>,
    pub leader_epoch: i32,
    pub replicas: Vec<NodeId>,
    pub isr: Vec<NodeId>,
    pub error: Option<ClientError>,
}

#[derive(Debug, Clone)]
pub(super) enum Order {
    Create(Vec<NewTopic>),
    Delete(Vec<String>),
    /// `None` is all.
    Describe(Option<Vec<String>>),
}

/// An admin call that was sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sent {
    token: Token,
    key: ApiKey,
}

#[derive(Debug)]
struct Waiting {
    token: Token,
    order: Order,
    deadline: Instant,
}

#[derive(Debug)]
pub(super) struct Admin {
    timeout: Duration,
    waiting: VecDeque<Waiting>,
}

impl Admin {
    pub(super) fn new(config: &ClientConfig) -> Self {
        Self { timeout: config.request_timeout, waiting: VecDeque::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn call(&mut self, now: Instant, token: Token, order: Order) {
        self.waiting.push_back(Waiting { token, order, deadline: now + self.timeout });
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.waiting.front().map(|waiting| waiting.deadline)
    }

    pub(super) fn turn(
        &mut self,
        now: Instant,
        links: &mut Links<Call>,
        cluster: &Cluster,
        events: &mut VecDeque<ClientEvent>,
    ) {
        while let Some(late) = self.waiting.pop_front_if(|waiting| waiting.deadline <= now) {
            let answer = AdminAnswer::Failed(ClientError::TimedOut);
            events.push_back(ClientEvent::Answered { token: late.token, answer });
        }
        while !self.waiting.is_empty() {
            let Some(peer) = links.want_any(now, &cluster.addresses()) else { return };
            let Some(Waiting { token, order, .. }) = self.waiting.pop_front() else { return };
            let key = order.key();
            let timeout_ms = i32::try_from(self.timeout.as_millis()).unwrap_or(i32::MAX);
            let call = Call::Admin(Sent { token, key });
            let sending = Sending { patience: self.timeout, ..Sending::new(key) };
            links.send(now, (&peer, sending), call, |version, writer| {
                order.encode(timeout_ms, version, writer)
            });
        }
    }
}

impl Sent {
    pub(super) fn on_lost(self, error: ClientError, events: &mut VecDeque<ClientEvent>) {
        events.push_back(ClientEvent::Answered { token: self.token, answer: AdminAnswer::Failed(error) });
    }

    pub(super) fn on_answer(self, version: i16, body: &Slice, events: &mut VecDeque<ClientEvent>) {
        let answer = self.decode(version, body).unwrap_or(AdminAnswer::Failed(ClientError::Malformed));
        events.push_back(ClientEvent::Answered { token: self.token, answer });
    }

    fn decode(self, version: i16, body: &Slice) -> Result<AdminAnswer, DecodeError> {
        let mut reader = Reader::new(body);
        if self.key == ApiKey::CreateTopics {
            let response = CreateTopicsResponse::decode(version, &mut reader)?;
            let topics = response.topics.iter();
            let topics = topics.map(|t| topic_result(t.name, t.topic_id, t.error_code, t.error_message));
            return Ok(AdminAnswer::Created(topics.collect()));
        }
        if self.key == ApiKey::DeleteTopics {
            let response = DeleteTopicsResponse::decode(version, &mut reader)?;
            let topics = response.responses.iter();
            let topics =
                topics.map(|t| topic_result(t.name.unwrap_or(""), t.topic_id, t.error_code, t.error_message));
            return Ok(AdminAnswer::Deleted(topics.collect()));
        }
        let response = MetadataResponse::decode(version, &mut reader)?;
        Ok(match ClientError::from_code(response.error_code) {
            Some(error) => AdminAnswer::Failed(error),
            None => AdminAnswer::Topics(response.topics.iter().map(description).collect()),
        })
    }
}

fn topic_result(name: &str, id: Uuid, error_code: i16, message: Option<&str>) -> TopicResult {
    let error = ClientError::from_code(error_code);
    TopicResult { name: name.into(), id: TopicId(id), error, message: message.map(String::from) }
}

fn description(topic: &MetadataResponseTopic<'_>) -> TopicDescription {
    let nodes = |ids: &[i32]| ids.iter().copied().map(NodeId).collect();
    let mut partitions: Vec<PartitionDescription> = topic
        .partitions
        .iter()
        .map(|p| PartitionDescription {
            index: p.partition_index,
            leader: (p.leader_id >= 0).then_some(NodeId(p.leader_id)),
            leader_epoch: p.leader_epoch,
            replicas: nodes(&p.replica_nodes),
            isr: nodes(&p.isr_nodes),
            error: ClientError::from_code(p.error_code),
        })
        .collect();
    partitions.sort_by_key(|partition| partition.index);
    TopicDescription {
        name: topic.name.unwrap_or("").into(),
        id: TopicId(topic.topic_id),
        internal: topic.is_internal,
        error: ClientError::from_code(topic.error_code),
        partitions,
    }
}

impl Order {
    fn key(&self) -> ApiKey {
        match self {
            Self::Create(_) => ApiKey::CreateTopics,
            Self::Delete(_) => ApiKey::DeleteTopics,
            Self::Describe(_) => ApiKey::Metadata,
        }
    }

    fn encode(&self, timeout_ms: i32, version: i16, writer: &mut Writer) -> Result<(), EncodeError> {
        match self {
            Self::Create(topics) => {
                let topics = topics.iter().map(creatable).collect();
                CreateTopicsRequest { topics, timeout_ms, ..Default::default() }.encode(version, writer)
            }
            Self::Delete(names) => {
                let state = |name| DeleteTopicState { name: Some(name), ..DeleteTopicState::default() };
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                let topics = names.iter().copied().map(state).collect();
                let request =
                    DeleteTopicsRequest { topic_names: names, topics, timeout_ms, ..Default::default() };
                request.encode(version, writer)
            }
            Self::Describe(names) => {
                let topic = |name| MetadataRequestTopic { name: Some(name), ..Default::default() };
                let topics =
                    names.as_ref().map(|names| names.iter().map(String::as_str).map(topic).collect());
                let request =
                    MetadataRequest { topics, allow_auto_topic_creation: false, ..Default::default() };
                request.encode(version, writer)
            }
        }
    }
}

fn creatable(topic: &NewTopic) -> CreatableTopic<'_> {
    CreatableTopic {
        name: &topic.name,
        num_partitions: topic.partitions,
        replication_factor: topic.replication_factor,
        configs: topic
            .configs
            .iter()
            .map(|(name, value)| CreatableTopicConfig {
                name,
                value: Some(value),
                ..CreatableTopicConfig::default()
            })
            .collect(),
        ..CreatableTopic::default()
    }
}
