//! `CreatePartitions` (37).

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use super::error::{self, Failure};
use super::{Ask, Beginning, Begun, Context, Done, Head, Work, decode_body, respond};
use crate::controller::{Command, ControllerReply, CreatePartitions as Addition, Intent, MorePartitions};
use crate::group::topics::is_internal;
use crate::id::NodeId;
use crate::wire::messages::create_partitions_request::{CreatePartitionsRequest, CreatePartitionsTopic};
use crate::wire::messages::create_partitions_response::{
    CreatePartitionsResponse, CreatePartitionsTopicResult,
};
use crate::wire::{ErrorCode, Reader};

/// A request that waits for the controller.
#[derive(Debug)]
pub(crate) struct CreatePartitions {
    pub(super) head: Head,
    /// By name, and why the controller was not asked.
    topics: Vec<(String, Option<Failure>)>,
}

pub(super) fn begin(context: &mut Context<'_>, head: Head, reader: Reader<'_>) -> Beginning {
    let request = decode_body!(CreatePartitionsRequest<'_>, head, reader);
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    for topic in &request.topics {
        *counts.entry(topic.name).or_default() += 1;
    }
    let intent = if request.validate_only { Intent::ValidateOnly } else { Intent::Apply };
    let mut work = CreatePartitions { head, topics: Vec::with_capacity(counts.len()) };
    let mut wanted = Vec::new();
    for topic in &request.topics {
        let Some(times) = counts.remove(topic.name) else { continue };
        let failure = if times > 1 {
            Some(Failure::new(ErrorCode::InvalidRequest, "the topic is named twice"))
        } else if is_internal(topic.name) && context.image.topic(topic.name).is_some() {
            let message = "a topic of the broker itself gets no further partitions";
            Some(Failure::new(ErrorCode::InvalidTopicException, message))
        } else {
            wanted.push(more_partitions(topic));
            None
        };
        work.topics.push((String::from(topic.name), failure));
    }
    if wanted.is_empty() {
        return Ok(Begun::Done { head, done: work.answer() });
    }
    let command = Command::CreatePartitions(Addition { topics: wanted, intent });
    context.asks.push(Ask::Controller { command });
    Ok(Begun::Working { work: Work::CreatePartitions(work), wait: None })
}

fn more_partitions(topic: &CreatePartitionsTopic<'_>) -> MorePartitions {
    let nodes = |ids: &[i32]| ids.iter().copied().map(NodeId).collect();
    let assignments = topic.assignments.as_ref();
    MorePartitions {
        name: String::from(topic.name),
        count: topic.count,
        assignments: assignments
            .map(|assignments| assignments.iter().map(|one| nodes(&one.broker_ids)).collect()),
    }
}

impl CreatePartitions {
    pub(super) fn on_reply(&mut self, reply: ControllerReply) -> Done {
        let ControllerReply::CreatePartitions(results) = reply else {
            panic!("{reply:?} does not answer CreatePartitions")
        };
        let mut results = results.into_iter();
        for (_, failure) in self.topics.iter_mut().filter(|(_, failure)| failure.is_none()) {
            let result = results.next().expect("the controller answers for each topic");
            *failure = result.err().map(|failed| error::of_create_partitions(&failed));
        }
        self.answer()
    }

    fn answer(&self) -> Done {
        let results = self.topics.iter().map(|(name, failure)| CreatePartitionsTopicResult {
            name,
            error_code: failure.as_ref().map_or(ErrorCode::None, |failure| failure.code).code(),
            error_message: failure.as_ref().map(|failure| failure.message.as_str()),
            ..CreatePartitionsTopicResult::default()
        });
        let response =
            CreatePartitionsResponse { results: results.collect(), ..CreatePartitionsResponse::default() };
        respond(self.head, |version, writer| response.encode(version, writer))
    }
}
