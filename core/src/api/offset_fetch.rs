//! `OffsetFetch` (9): how far groups have read.

use alloc::string::String;
use alloc::vec::Vec;

use super::group::{code_of, place_of};
use super::topic::{Naming, TopicKey};
use super::{Ask, Beginning, Begun, Context, Done, Head, Work, decode_body, respond};
use crate::group::command::{FetchOffsets, Fetched, GroupCommand, GroupReply, TopicPartition};
use crate::id::Uuid;
use crate::limits::{GROUPS_PER_REQUEST_MAX, OFFSETS_PER_REQUEST_MAX};
use crate::wire::messages::offset_fetch_request::{OffsetFetchRequest, OffsetFetchRequestGroup};
use crate::wire::messages::offset_fetch_response::{
    OffsetFetchResponse, OffsetFetchResponseGroup, OffsetFetchResponsePartition,
    OffsetFetchResponsePartitions, OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use crate::wire::{ErrorCode, Reader};

/// A request in work: what was asked of each group, and what is known of it.
#[derive(Debug)]
pub(crate) struct OffsetFetch {
    pub(super) head: Head,
    groups: Vec<Group>,
    outstanding: usize,
    /// Partitions that the groups asked so far name.
    named: usize,
}

#[derive(Debug)]
struct Group {
    name: String,
    /// `None` asks for all.
    topics: Option<Vec<Topic>>,
    found: Vec<(TopicKey, Vec<Found>)>,
    error: ErrorCode,
}

#[derive(Debug)]
struct Topic {
    key: TopicKey,
    /// Its name, if there is one for its id.
    name: Option<String>,
    partitions: Vec<i32>,
}

#[derive(Debug)]
struct Found {
    index: i32,
    offset: i64,
    leader_epoch: i32,
    metadata: String,
    error: ErrorCode,
}

impl Found {
    fn new(index: i32, fetched: Fetched) -> Self {
        let none =
            Self { index, offset: -1, leader_epoch: -1, metadata: String::new(), error: ErrorCode::None };
        match fetched {
            Fetched::Offset { offset, leader_epoch, metadata } => {
                Self { offset, leader_epoch: leader_epoch.unwrap_or(-1), metadata, ..none }
            }
            Fetched::None => none,
            Fetched::Unstable => Self { error: ErrorCode::UnstableOffsetCommit, ..none },
        }
    }

    fn failed(index: i32, error: ErrorCode) -> Self {
        Self { error, ..Self::new(index, Fetched::None) }
    }
}

pub(super) fn begin(context: &mut Context<'_>, head: Head, reader: Reader<'_>) -> Beginning {
    let request = decode_body!(OffsetFetchRequest<'_>, head, reader);
    let mut work = OffsetFetch { head, groups: Vec::new(), outstanding: 0, named: 0 };
    if head.version >= 8 {
        for group in &request.groups {
            let asked = group.topics.as_ref().map(|topics| {
                let named = topics.iter().map(|topic| (topic.name, topic.topic_id, &topic.partition_indexes));
                named
                    .map(|(name, id, partitions)| asked_topic(context, head, (name, id), partitions))
                    .collect()
            });
            let member = member(group);
            work.ask(context, group.group_id, asked, member, request.require_stable);
        }
    } else {
        let asked = request.topics.as_ref().map(|topics| {
            let named = topics.iter().map(|topic| (topic.name, &topic.partition_indexes));
            named
                .map(|(name, partitions)| asked_topic(context, head, (name, Uuid::ZERO), partitions))
                .collect()
        });
        work.ask(context, request.group_id, asked, None, request.require_stable);
    }
    if work.outstanding == 0 {
        return Ok(Begun::Done { head, done: work.answer() });
    }
    Ok(Begun::Working { work: Work::OffsetFetch(work), wait: None })
}

/// Who asks, if it says that it is a member.
fn member(group: &OffsetFetchRequestGroup<'_>) -> Option<(String, i32)> {
    let says = group.member_id.is_some_and(|id| !id.is_empty()) || group.member_epoch >= 0;
    says.then(|| (String::from(group.member_id.unwrap_or_default()), group.member_epoch))
}

/// By name, a topic need not be there: what was committed of it is told.
fn asked_topic(context: &Context<'_>, head: Head, named: (&str, Uuid), partitions: &[i32]) -> Topic {
    let naming = if head.version >= 10 { Naming::ById } else { Naming::ByName };
    let key = TopicKey::new(naming, named.0, named.1);
    let name = match &key {
        TopicKey::Name(name) => Some(name.clone()),
        TopicKey::Id(id) => context.image.topic_by_id(*id).map(|topic| String::from(&*topic.name)),
    };
    Topic { key, name, partitions: partitions.to_vec() }
}

impl OffsetFetch {
    fn ask(
        &mut self,
        context: &mut Context<'_>,
        name: &str,
        topics: Option<Vec<Topic>>,
        member: Option<(String, i32)>,
        require_stable: bool,
    ) {
        let asked = topics.as_ref().map(|topics| {
            let known = topics.iter().filter_map(|topic| Some((topic.name.as_ref()?, &topic.partitions)));
            let all = known.flat_map(|(topic, partitions)| {
                partitions
                    .iter()
                    .map(|partition| TopicPartition { topic: topic.clone(), partition: *partition })
            });
            all.take(OFFSETS_PER_REQUEST_MAX + 1).collect::<Vec<_>>()
        });
        let part = u32::try_from(self.groups.len()).expect("a frame holds fewer groups");
        let group = String::from(name);
        let mut known =
            Group { name: group.clone(), topics, found: Vec::new(), error: ErrorCode::NotCoordinator };
        self.named += asked.as_ref().map_or(0, Vec::len);
        if self.named > OFFSETS_PER_REQUEST_MAX || self.outstanding >= GROUPS_PER_REQUEST_MAX {
            known.error = ErrorCode::InvalidRequest;
        } else if let Some(partition) = place_of(context, name) {
            known.error = ErrorCode::None;
            let fetch = FetchOffsets { group, member, partitions: asked, require_stable };
            let command = GroupCommand::FetchOffsets(fetch);
            context.asks.push(Ask::Group { part, partition, command });
            self.outstanding += 1;
        }
        self.groups.push(known);
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "a request knows the replies to its own questions")]
    pub(super) fn on_reply(&mut self, context: &Context<'_>, part: u32, reply: GroupReply) -> Option<Done> {
        let group = usize::try_from(part).ok().and_then(|part| self.groups.get_mut(part));
        let group = group.expect("replies are to parts that were asked");
        match reply {
            GroupReply::Fetched(fetched) if group.topics.is_some() => group.found_some(fetched),
            GroupReply::Fetched(fetched) => group.found_all(context, self.head, fetched),
            GroupReply::Failed(error) => group.error = code_of(&error),
            other => panic!("{other:?} does not answer OffsetFetch"),
        }
        self.outstanding -= 1;
        (self.outstanding == 0).then(|| self.answer())
    }

    fn answer(&self) -> Done {
        let mut response = OffsetFetchResponse::default();
        if self.head.version >= 8 {
            response.groups = self.groups.iter().map(Group::response).collect();
        } else if let Some(group) = self.groups.first() {
            response.error_code = group.error.code();
            response.topics = group.old_topics(self.head.version);
        }
        respond(self.head, |version, writer| response.encode(version, writer))
    }
}

impl Group {
    /// Answers stand in the order of the questions.
    fn found_some(&mut self, fetched: Vec<(TopicPartition, Fetched)>) {
        let mut fetched = fetched.into_iter();
        for topic in self.topics.take().into_iter().flatten() {
            let answers = topic.partitions.into_iter().map(|index| match &topic.name {
                Some(_) => {
                    let (asked, fetched) =
                        fetched.next().expect("the coordinator answers for each partition");
                    assert!(asked.partition == index, "in the order of the question");
                    Found::new(index, fetched)
                }
                None => Found::failed(index, ErrorCode::UnknownTopicId),
            });
            let answers = answers.collect();
            self.found.push((topic.key, answers));
        }
    }

    /// What has no id cannot be told to those who know topics by it.
    fn found_all(&mut self, context: &Context<'_>, head: Head, fetched: Vec<(TopicPartition, Fetched)>) {
        let mut last: Option<String> = None;
        for (TopicPartition { topic, partition }, fetched) in fetched {
            let key = match context.image.topic(&topic) {
                _ if head.version < 10 => TopicKey::Name(topic.clone()),
                Some(image) => TopicKey::Id(image.id),
                None => continue,
            };
            if last.as_ref() != Some(&topic) {
                self.found.push((key, Vec::new()));
                last = Some(topic);
            }
            let (_, partitions) = self.found.last_mut().expect("pushed above");
            partitions.push(Found::new(partition, fetched));
        }
    }

    fn response(&self) -> OffsetFetchResponseGroup<'_> {
        let topics = self.found.iter().map(|(key, partitions)| {
            let partitions = partitions.iter().map(|found| OffsetFetchResponsePartitions {
                partition_index: found.index,
                committed_offset: found.offset,
                committed_leader_epoch: found.leader_epoch,
                metadata: Some(&found.metadata),
                error_code: found.error.code(),
                ..OffsetFetchResponsePartitions::default()
            });
            OffsetFetchResponseTopics {
                name: key.name(),
                topic_id: key.id(),
                partitions: partitions.collect(),
                ..OffsetFetchResponseTopics::default()
            }
        });
        OffsetFetchResponseGroup {
            group_id: &self.name,
            topics: topics.collect(),
            error_code: self.error.code(),
            ..OffsetFetchResponseGroup::default()
        }
    }

    /// Version 1 has no place for an error but with each partition.
    fn old_topics(&self, version: i16) -> Vec<OffsetFetchResponseTopic<'_>> {
        if version < 2 && self.error != ErrorCode::None {
            let failed = |index: &i32| OffsetFetchResponsePartition {
                partition_index: *index,
                committed_offset: -1,
                error_code: self.error.code(),
                ..OffsetFetchResponsePartition::default()
            };
            let topics = self.topics.iter().flatten().map(|topic| OffsetFetchResponseTopic {
                name: topic.key.name(),
                partitions: topic.partitions.iter().map(failed).collect(),
                ..OffsetFetchResponseTopic::default()
            });
            return topics.collect();
        }
        let topics = self.found.iter().map(|(key, partitions)| {
            let partitions = partitions.iter().map(|found| OffsetFetchResponsePartition {
                partition_index: found.index,
                committed_offset: found.offset,
                committed_leader_epoch: found.leader_epoch,
                metadata: Some(&found.metadata),
                error_code: found.error.code(),
                ..OffsetFetchResponsePartition::default()
            });
            OffsetFetchResponseTopic {
                name: key.name(),
                partitions: partitions.collect(),
                ..OffsetFetchResponseTopic::default()
            }
        });
        topics.collect()
    }
}
