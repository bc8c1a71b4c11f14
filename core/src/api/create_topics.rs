//! `CreateTopics` (19).

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use super::error::{self, Failure};
use super::{Ask, Beginning, Begun, Context, Done, Head, Work, decode_body, respond};
use crate::controller::{
    Command, ConfigResource, ControllerReply, CreateTopics as Creation, CreatedTopic, Described, Intent,
    NewTopic, configs,
};
use crate::id::{NodeId, Uuid};
use crate::wire::messages::create_topics_request::{CreatableTopic, CreateTopicsRequest};
use crate::wire::messages::create_topics_response::{
    CreatableTopicConfigs, CreatableTopicResult, CreateTopicsResponse,
};
use crate::wire::{ErrorCode, Reader};

/// A request that waits for the controller.
#[derive(Debug)]
pub(crate) struct CreateTopics {
    pub(super) head: Head,
    intent: Intent,
    /// By name, and why the controller was not asked.
    topics: Vec<(String, Option<Failure>)>,
}

pub(super) fn begin(context: &mut Context<'_>, head: Head, reader: Reader<'_>) -> Beginning {
    let request = decode_body!(CreateTopicsRequest<'_>, head, reader);
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    for topic in &request.topics {
        *counts.entry(topic.name).or_default() += 1;
    }
    let intent = if request.validate_only { Intent::ValidateOnly } else { Intent::Apply };
    let mut work = CreateTopics { head, intent, topics: Vec::with_capacity(request.topics.len()) };
    let mut wanted = Vec::new();
    for topic in &request.topics {
        let failure = judge(counts.get(topic.name).copied().unwrap_or_default()).err();
        if failure.is_none() {
            wanted.push(new_topic(topic));
        }
        work.topics.push((String::from(topic.name), failure));
    }
    if wanted.is_empty() {
        return Ok(Begun::Done { head, done: work.answer(context, &[]) });
    }
    let command = Command::CreateTopics(Creation { topics: wanted, intent });
    context.asks.push(Ask::Controller { command });
    Ok(Begun::Working { work: Work::CreateTopics(work), wait: None })
}

/// What only this request can get wrong; the rest is the controller's to judge.
fn judge(times: u32) -> Result<(), Failure> {
    if times > 1 {
        return Err(Failure::new(ErrorCode::InvalidRequest, "the topic is named twice"));
    }
    Ok(())
}

fn new_topic(topic: &CreatableTopic<'_>) -> NewTopic {
    let assignments = topic.assignments.iter().map(|assignment| {
        (assignment.partition_index, assignment.broker_ids.iter().copied().map(NodeId).collect())
    });
    let configs =
        topic.configs.iter().map(|config| (String::from(config.name), config.value.map(String::from)));
    NewTopic {
        name: String::from(topic.name),
        partitions: topic.num_partitions,
        replication_factor: topic.replication_factor,
        assignments: assignments.collect(),
        configs: configs.collect(),
    }
}

impl CreateTopics {
    pub(super) fn on_reply(&mut self, context: &Context<'_>, reply: ControllerReply) -> Done {
        let ControllerReply::CreateTopics(results) = reply else {
            panic!("{reply:?} does not answer CreateTopics")
        };
        let mut results = results.into_iter();
        let mut created: Vec<Option<CreatedTopic>> = Vec::with_capacity(self.topics.len());
        for (_, failure) in &mut self.topics {
            if failure.is_some() {
                created.push(None);
                continue;
            }
            match results.next().expect("the controller answers for each topic") {
                Ok(topic) => created.push(Some(topic)),
                Err(failed) => {
                    *failure = Some(error::of_create(&failed));
                    created.push(None);
                }
            }
        }
        self.answer(context, &created)
    }

    fn answer(&self, context: &Context<'_>, created: &[Option<CreatedTopic>]) -> Done {
        let settings: Vec<Vec<Described>> = (0..self.topics.len())
            .map(|place| match created.get(place) {
                Some(Some(topic)) if self.head.version >= 5 => {
                    let resource = ConfigResource::Topic(self.topics[place].0.clone());
                    configs::describe(context.config, context.image, &resource, &topic.configs, &|_| true)
                }
                _ => Vec::new(),
            })
            .collect();
        let topics =
            self.topics.iter().zip(&settings).enumerate().map(|(place, ((name, failure), settings))| {
                let topic = created.get(place).and_then(Option::as_ref);
                let applied = topic.filter(|_| self.intent == Intent::Apply);
                CreatableTopicResult {
                    name,
                    topic_id: applied.map_or(Uuid::ZERO, |topic| topic.id.0),
                    error_code: failure.as_ref().map_or(ErrorCode::None, |failure| failure.code).code(),
                    error_message: failure.as_ref().map(|failure| failure.message.as_str()),
                    num_partitions: topic.map_or(-1, |topic| topic.partitions),
                    replication_factor: topic.map_or(-1, |topic| topic.replication_factor),
                    configs: Some(settings.iter().map(config).collect()),
                    ..CreatableTopicResult::default()
                }
            });
        let response = CreateTopicsResponse { topics: topics.collect(), ..CreateTopicsResponse::default() };
        respond(self.head, |version, writer| response.encode(version, writer))
    }
}

fn config(described: &Described) -> CreatableTopicConfigs<'_> {
    CreatableTopicConfigs {
        name: described.definition.name,
        value: described.value.as_deref(),
        read_only: false,
        config_source: described.source as i8,
        is_sensitive: false,
        ..CreatableTopicConfigs::default()
    }
}
