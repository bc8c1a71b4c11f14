//! `FindCoordinator` (10): who has a group. The first question makes the topic that groups are kept in.

use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use super::error::Failure;
use super::group::place_of;
use super::topic::address;
use super::{Ask, Beginning, Begun, Context, Done, Head, Work, decode_body, respond};
use crate::controller::{Command, ConfigResource, CreateTopics, Intent, NewTopic, configs};
use crate::group::OFFSETS_TOPIC;
use crate::wire::messages::find_coordinator_request::FindCoordinatorRequest;
use crate::wire::messages::find_coordinator_response::{Coordinator, FindCoordinatorResponse};
use crate::wire::{ErrorCode, Reader};

const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;

/// A request that waits for the topic.
#[derive(Debug)]
pub(crate) struct FindCoordinator {
    pub(super) head: Head,
    keys: Vec<String>,
}

pub(super) fn begin(context: &mut Context<'_>, head: Head, reader: Reader<'_>) -> Beginning {
    let request = decode_body!(FindCoordinatorRequest<'_>, head, reader);
    let keys = if head.version >= 4 { request.coordinator_keys } else { vec![request.key] };
    let work = FindCoordinator { head, keys: keys.into_iter().map(String::from).collect() };
    let failure = match request.key_type {
        GROUP if context.image.topic(OFFSETS_TOPIC).is_some() || work.keys.is_empty() => None,
        GROUP => {
            let create = CreateTopics { topics: vec![offsets_topic(context)], intent: Intent::Apply };
            context.asks.push(Ask::Controller { command: Command::CreateTopics(create) });
            return Ok(Begun::Working { work: Work::FindCoordinator(work), wait: None });
        }
        TRANSACTION => Some(Failure::new(ErrorCode::InvalidRequest, "this broker has no transactions")),
        _ => Some(Failure::new(ErrorCode::InvalidRequest, "this broker has no coordinator of that type")),
    };
    Ok(Begun::Done { head, done: work.answer(context, failure.as_ref()) })
}

/// As Kafka makes it, but for the replicas, which are as many as a topic has here.
fn offsets_topic(context: &Context<'_>) -> NewTopic {
    let broker = ConfigResource::Broker(Some(context.config.node));
    let setting = |name: &str| configs::value(context.config, context.image, &broker, name);
    let own = [
        ("cleanup.policy", "compact".to_string()),
        ("compression.type", "producer".to_string()),
        ("segment.bytes", setting("offsets.topic.segment.bytes")),
    ];
    NewTopic {
        name: OFFSETS_TOPIC.to_string(),
        partitions: setting("offsets.topic.num.partitions").trim().parse().unwrap_or(-1),
        replication_factor: -1,
        assignments: Vec::new(),
        configs: own.into_iter().map(|(name, value)| (name.to_string(), Some(value))).collect(),
    }
}

impl FindCoordinator {
    /// The topic is there, whoever has made it, or it cannot be made.
    pub(super) fn on_reply(&self, context: &Context<'_>) -> Done {
        self.answer(context, None)
    }

    fn answer(&self, context: &Context<'_>, failure: Option<&Failure>) -> Done {
        let (host, port) = address(context);
        let answer = |key: &String| match (failure, place_of(context, key)) {
            (Some(failure), _) => (failure.code, Some(failure.message.as_str())),
            (None, Some(_)) => (ErrorCode::None, None),
            (None, None) => (ErrorCode::CoordinatorNotAvailable, None),
        };
        let coordinators = self.keys.iter().map(|key| {
            let (code, message) = answer(key);
            let found = code == ErrorCode::None;
            Coordinator {
                key,
                node_id: if found { context.config.node.0 } else { -1 },
                host: if found { &host } else { "" },
                port: if found { port } else { -1 },
                error_code: code.code(),
                error_message: message,
                ..Coordinator::default()
            }
        });
        let coordinators: Vec<Coordinator<'_>> = coordinators.collect();
        let mut response = FindCoordinatorResponse::default();
        if self.head.version >= 4 {
            response.coordinators = coordinators;
        } else if let Some(one) = coordinators.first() {
            response.error_code = one.error_code;
            response.error_message = one.error_message;
            (response.node_id, response.host, response.port) = (one.node_id, one.host, one.port);
        }
        respond(self.head, |version, writer| response.encode(version, writer))
    }
}
