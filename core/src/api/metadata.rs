//! `Metadata` (3): the broker, the topics and their partitions; creates topics that a client names, if both sides allow it.

use alloc::collections::BTreeSet;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::topic::{CLUSTER_OPERATIONS, NO_OPERATIONS, TOPIC_OPERATIONS, address};
use super::{Ask, Beginning, Begun, Context, Done, Head, Work, decode_body, respond};
use crate::controller::{Command, CreateTopics, Intent, NewTopic, TopicImage, check_name};
use crate::group::topics::is_internal;
use crate::id::{NodeId, TopicId, Uuid};
use crate::wire::messages::metadata_request::{MetadataRequest, MetadataRequestTopic};
use crate::wire::messages::metadata_response::{
    MetadataResponse, MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use crate::wire::{ErrorCode, Reader};

/// A request, perhaps waiting until its topics are created.
#[derive(Debug)]
pub(crate) struct Metadata {
    pub(super) head: Head,
    /// `None` asks for all.
    topics: Option<Vec<Wanted>>,
    cluster_operations: bool,
    topic_operations: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Wanted {
    Name(String),
    Id(TopicId),
    /// Neither, or both where that is not allowed.
    Refused {
        name: Option<String>,
        id: Uuid,
    },
}

pub(super) fn begin(context: &mut Context<'_>, head: Head, reader: Reader<'_>) -> Beginning {
    let request = decode_body!(MetadataRequest<'_>, head, reader);
    let all = request.topics.as_ref().is_none_or(|topics| head.version == 0 && topics.is_empty());
    let topics = request.topics.unwrap_or_default();
    let mut seen = BTreeSet::new();
    let topics = topics.iter().map(|topic| wanted(head, topic)).filter(|topic| seen.insert(topic.clone()));
    let topics: Vec<Wanted> = topics.collect();
    let missing = if request.allow_auto_topic_creation && context.config.auto_create_topics {
        missing(context, &topics)
    } else {
        Vec::new()
    };
    let work = Metadata {
        head,
        topics: (!all).then_some(topics),
        cluster_operations: request.include_cluster_authorized_operations,
        topic_operations: request.include_topic_authorized_operations,
    };
    if missing.is_empty() {
        return Ok(Begun::Done { head, done: work.respond(context) });
    }
    let command = Command::CreateTopics(CreateTopics { topics: missing, intent: Intent::Apply });
    context.asks.push(Ask::Controller { command });
    Ok(Begun::Working { work: Work::Metadata(work), wait: None })
}

fn wanted(head: Head, topic: &MetadataRequestTopic<'_>) -> Wanted {
    match topic.name {
        Some(name) if topic.topic_id.is_zero() => Wanted::Name(String::from(name)),
        // Ids are in the schema since 10 and may be used since 12. Java's admin client sends an empty name along.
        None | Some("") if head.version >= 12 && !topic.topic_id.is_zero() => {
            Wanted::Id(TopicId(topic.topic_id))
        }
        name => Wanted::Refused { name: name.map(String::from), id: topic.topic_id },
    }
}

fn missing(context: &Context<'_>, topics: &[Wanted]) -> Vec<NewTopic> {
    let names = topics.iter().filter_map(|topic| match topic {
        Wanted::Name(name) => Some(name),
        Wanted::Id(_) | Wanted::Refused { .. } => None,
    });
    let missing = names
        .filter(|name| context.image.topic(name).is_none() && check_name(name).is_ok() && !is_internal(name));
    missing
        .map(|name| NewTopic {
            name: name.clone(),
            partitions: -1,
            replication_factor: -1,
            assignments: Vec::new(),
            configs: Vec::new(),
        })
        .collect()
}

impl Metadata {
    /// Answers with what is known now.
    pub(super) fn respond(&self, context: &Context<'_>) -> Done {
        let image = context.image;
        let topics = match &self.topics {
            None => image.topics().map(|topic| self.found(topic)).collect(),
            Some(wanted) => wanted.iter().map(|wanted| self.look_up(context, wanted)).collect(),
        };
        let (host, port) = address(context);
        let node = context.config.node.0;
        let broker = MetadataResponseBroker { node_id: node, host: &host, port, ..Default::default() };
        let cluster_id = image.cluster_id.to_string();
        let response = MetadataResponse {
            brokers: alloc::vec![broker],
            cluster_id: Some(&cluster_id),
            controller_id: node,
            topics,
            cluster_authorized_operations: if self.cluster_operations {
                CLUSTER_OPERATIONS
            } else {
                NO_OPERATIONS
            },
            ..MetadataResponse::default()
        };
        respond(self.head, |version, writer| response.encode(version, writer))
    }

    fn look_up<'a>(&self, context: &Context<'a>, wanted: &'a Wanted) -> MetadataResponseTopic<'a> {
        let failed = |code: ErrorCode, name: Option<&'a str>, id: Uuid| MetadataResponseTopic {
            error_code: code.code(),
            // The name may be null since version 12.
            name: name.or((self.head.version < 12).then_some("")),
            topic_id: id,
            ..MetadataResponseTopic::default()
        };
        match wanted {
            Wanted::Name(name) => match context.image.topic(name) {
                Some(topic) => self.found(topic),
                None if check_name(name).is_err() && !is_internal(name) => {
                    failed(ErrorCode::InvalidTopicException, Some(name), Uuid::ZERO)
                }
                None => failed(ErrorCode::UnknownTopicOrPartition, Some(name), Uuid::ZERO),
            },
            Wanted::Id(id) => match context.image.topic_by_id(*id) {
                Some(topic) => self.found(topic),
                None => failed(ErrorCode::UnknownTopicId, None, id.0),
            },
            Wanted::Refused { name, id } => failed(ErrorCode::InvalidRequest, name.as_deref(), *id),
        }
    }

    fn found<'a>(&self, topic: &'a Arc<TopicImage>) -> MetadataResponseTopic<'a> {
        let ids = |nodes: &[NodeId]| nodes.iter().map(|node| node.0).collect();
        let partitions = topic.partitions().map(|(id, partition)| {
            let error =
                if partition.leader.is_some() { ErrorCode::None } else { ErrorCode::LeaderNotAvailable };
            MetadataResponsePartition {
                error_code: error.code(),
                partition_index: id.index,
                leader_id: partition.leader.map_or(-1, |node| node.0),
                leader_epoch: partition.leader_epoch.0,
                replica_nodes: ids(&partition.replicas),
                isr_nodes: ids(&partition.isr),
                ..MetadataResponsePartition::default()
            }
        });
        MetadataResponseTopic {
            name: Some(&topic.name),
            topic_id: topic.id.0,
            is_internal: is_internal(&topic.name),
            partitions: partitions.collect(),
            topic_authorized_operations: if self.topic_operations { TOPIC_OPERATIONS } else { NO_OPERATIONS },
            ..MetadataResponseTopic::default()
        }
    }
}
