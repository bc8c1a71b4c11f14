//! `DeleteTopics` (20).

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use super::error::{self, Failure};
use super::{Ask, Beginning, Begun, Context, Done, Head, Work, decode_body, respond};
use crate::controller::{Command, ControllerReply, DeletedTopic, TopicRef};
use crate::group::topics::is_internal;
use crate::id::{TopicId, Uuid};
use crate::wire::messages::delete_topics_request::DeleteTopicsRequest;
use crate::wire::messages::delete_topics_response::{DeletableTopicResult, DeleteTopicsResponse};
use crate::wire::{ErrorCode, Reader};

/// A request that waits for the controller.
#[derive(Debug)]
pub(crate) struct DeleteTopics {
    pub(super) head: Head,
    topics: Vec<Wanted>,
}

#[derive(Debug)]
struct Wanted {
    name: Option<String>,
    id: TopicId,
    failure: Option<Failure>,
}

pub(super) fn begin(context: &mut Context<'_>, head: Head, reader: Reader<'_>) -> Beginning {
    let request = decode_body!(DeleteTopicsRequest<'_>, head, reader);
    let by_name = request.topic_names.iter().map(|name| (Some(*name), Uuid::ZERO));
    let by_either = request.topics.iter().map(|topic| (topic.name, topic.topic_id));
    let named: Vec<(Option<&str>, Uuid)> = by_name.chain(by_either).collect();
    let mut counts: BTreeMap<(Option<&str>, Uuid), u32> = BTreeMap::new();
    for topic in &named {
        *counts.entry(*topic).or_default() += 1;
    }
    let mut topics = Vec::with_capacity(named.len());
    let mut refs = Vec::new();
    for topic in &named {
        let found = judge(context, *topic, counts.get(topic).copied().unwrap_or_default());
        topics.push(Wanted {
            name: topic.0.map(String::from),
            id: TopicId(topic.1),
            failure: found.as_ref().err().cloned(),
        });
        refs.extend(found);
    }
    let work = DeleteTopics { head, topics };
    if refs.is_empty() {
        return Ok(Begun::Done { head, done: work.answer(&[]) });
    }
    context.asks.push(Ask::Controller { command: Command::DeleteTopics(refs) });
    Ok(Begun::Working { work: Work::DeleteTopics(work), wait: None })
}

fn judge(context: &Context<'_>, (name, id): (Option<&str>, Uuid), times: u32) -> Result<TopicRef, Failure> {
    let invalid = |message| Err(Failure::new(ErrorCode::InvalidRequest, message));
    if times > 1 {
        return invalid("the topic is named twice");
    }
    let by_id = context.image.topic_by_id(TopicId(id)).map(|topic| &*topic.name);
    if name.or(by_id).is_some_and(is_internal) {
        return Err(error::of_delete(&crate::controller::DeleteTopicError::Internal));
    }
    match name {
        Some(_) if !id.is_zero() => invalid("a topic has either a name or an id"),
        Some(name) => Ok(TopicRef::Name(String::from(name))),
        None if id.is_zero() => invalid("a topic needs a name or an id"),
        None => Ok(TopicRef::Id(TopicId(id))),
    }
}

impl DeleteTopics {
    pub(super) fn on_reply(&mut self, reply: ControllerReply) -> Done {
        let ControllerReply::DeleteTopics(results) = reply else {
            panic!("{reply:?} does not answer DeleteTopics")
        };
        let mut names: Vec<Option<DeletedTopic>> = Vec::with_capacity(results.len());
        let mut results = results.into_iter();
        for topic in &mut self.topics {
            if topic.failure.is_some() {
                names.push(None);
                continue;
            }
            match results.next().expect("the controller answers for each topic") {
                Ok(deleted) => names.push(Some(deleted)),
                Err(failed) => {
                    topic.failure = Some(error::of_delete(&failed));
                    names.push(None);
                }
            }
        }
        self.answer(&names)
    }

    fn answer(&self, deleted: &[Option<DeletedTopic>]) -> Done {
        let responses = self.topics.iter().enumerate().map(|(place, topic)| {
            let found = deleted.get(place).and_then(Option::as_ref);
            let name: Option<&str> = found.map(|found: &DeletedTopic| -> &str { &found.name });
            DeletableTopicResult {
                name: name.or(topic.name.as_deref()),
                topic_id: found.map_or(topic.id, |found| found.id).0,
                error_code: topic.failure.as_ref().map_or(ErrorCode::None, |failure| failure.code).code(),
                error_message: topic.failure.as_ref().map(|failure| failure.message.as_str()),
                ..DeletableTopicResult::default()
            }
        });
        let response =
            DeleteTopicsResponse { responses: responses.collect(), ..DeleteTopicsResponse::default() };
        respond(self.head, |version, writer| response.encode(version, writer))
    }
}
