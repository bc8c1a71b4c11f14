//! Topics: what is asked and answered of them.

use alloc::string::String;
use alloc::vec::Vec;

use super::Mode;
use crate::client::ClientError;
use crate::id::{NodeId, TopicId, Uuid};
use crate::wire::messages::create_partitions_request::{CreatePartitionsRequest, CreatePartitionsTopic};
use crate::wire::messages::create_partitions_response::CreatePartitionsResponse;
use crate::wire::messages::create_topics_request::{
    CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
};
use crate::wire::messages::create_topics_response::CreateTopicsResponse;
use crate::wire::messages::delete_topics_request::{DeleteTopicState, DeleteTopicsRequest};
use crate::wire::messages::delete_topics_response::DeleteTopicsResponse;
use crate::wire::messages::metadata_request::{MetadataRequest, MetadataRequestTopic};
use crate::wire::messages::metadata_response::{MetadataResponse, MetadataResponseTopic};
use crate::wire::{DecodeError, EncodeError, Reader, Writer};

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

/// How many partitions a topic is to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionCount {
    pub topic: String,
    pub count: i32,
}

/// What became of one topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicResult {
    pub name: String,
    /// Zero where the answer has none.
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

/// The version of a request and how long the broker may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ask {
    pub(super) version: i16,
    pub(super) timeout_ms: i32,
}

pub(super) fn encode_create(
    topics: &[NewTopic],
    mode: Mode,
    ask: Ask,
    writer: &mut Writer,
) -> Result<(), EncodeError> {
    let topics = topics.iter().map(creatable).collect();
    let validate_only = mode == Mode::Validate;
    let request =
        CreateTopicsRequest { topics, timeout_ms: ask.timeout_ms, validate_only, ..Default::default() };
    request.encode(ask.version, writer)
}

pub(super) fn encode_delete(names: &[String], ask: Ask, writer: &mut Writer) -> Result<(), EncodeError> {
    let state = |name| DeleteTopicState { name: Some(name), ..DeleteTopicState::default() };
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let topics = names.iter().copied().map(state).collect();
    let timeout_ms = ask.timeout_ms;
    let request = DeleteTopicsRequest { topic_names: names, topics, timeout_ms, ..Default::default() };
    request.encode(ask.version, writer)
}

/// No names are all topics.
pub(super) fn encode_describe(
    names: Option<&[String]>,
    ask: Ask,
    writer: &mut Writer,
) -> Result<(), EncodeError> {
    let topic = |name| MetadataRequestTopic { name: Some(name), ..Default::default() };
    let topics = names.map(|names| names.iter().map(String::as_str).map(topic).collect());
    let request = MetadataRequest { topics, allow_auto_topic_creation: false, ..Default::default() };
    request.encode(ask.version, writer)
}

pub(super) fn encode_partitions(
    counts: &[PartitionCount],
    mode: Mode,
    ask: Ask,
    writer: &mut Writer,
) -> Result<(), EncodeError> {
    let topics = counts
        .iter()
        .map(|wanted| CreatePartitionsTopic {
            name: &wanted.topic,
            count: wanted.count,
            // Null leaves them to the broker; an empty list would assign none.
            assignments: None,
            ..CreatePartitionsTopic::default()
        })
        .collect();
    let validate_only = mode == Mode::Validate;
    let request =
        CreatePartitionsRequest { topics, timeout_ms: ask.timeout_ms, validate_only, ..Default::default() };
    request.encode(ask.version, writer)
}

pub(super) fn decode_create(version: i16, reader: &mut Reader<'_>) -> Result<Vec<TopicResult>, DecodeError> {
    let response = CreateTopicsResponse::decode(version, reader)?;
    let topics = response.topics.iter();
    Ok(topics.map(|t| topic_result(t.name, t.topic_id, t.error_code, t.error_message)).collect())
}

pub(super) fn decode_delete(version: i16, reader: &mut Reader<'_>) -> Result<Vec<TopicResult>, DecodeError> {
    let response = DeleteTopicsResponse::decode(version, reader)?;
    let topics = response.responses.iter();
    let result =
        topics.map(|t| topic_result(t.name.unwrap_or(""), t.topic_id, t.error_code, t.error_message));
    Ok(result.collect())
}

pub(super) fn decode_partitions(
    version: i16,
    reader: &mut Reader<'_>,
) -> Result<Vec<TopicResult>, DecodeError> {
    let response = CreatePartitionsResponse::decode(version, reader)?;
    let topics = response.results.iter();
    Ok(topics.map(|t| topic_result(t.name, Uuid::default(), t.error_code, t.error_message)).collect())
}

pub(super) fn decode_describe(
    version: i16,
    reader: &mut Reader<'_>,
) -> Result<Result<Vec<TopicDescription>, ClientError>, DecodeError> {
    let response = MetadataResponse::decode(version, reader)?;
    Ok(match ClientError::from_code(response.error_code) {
        Some(error) => Err(error),
        None => Ok(response.topics.iter().map(description).collect()),
    })
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
