//! `OffsetCommit` (8): how far a group has read.

use alloc::string::String;
use alloc::vec::Vec;

use super::group::{code_of, owned, place_of};
use super::topic::{Naming, TopicKey};
use super::{Ask, Beginning, Begun, Context, Done, Head, Work, decode_body, respond};
use crate::group::command::{
    CommitOffsets, Committing, GroupCommand, GroupError, GroupReply, TopicPartition,
};
use crate::id::TopicId;
use crate::limits::OFFSETS_PER_REQUEST_MAX;
use crate::time::Duration;
use crate::wire::messages::offset_commit_request::{OffsetCommitRequest, OffsetCommitRequestPartition};
use crate::wire::messages::offset_commit_response::{
    OffsetCommitResponse, OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use crate::wire::{ErrorCode, Reader};

/// How long a coordinator may take, as in Kafka: `offsets.commit.timeout.ms`.
pub(super) const WAIT: Duration = Duration::from_secs(5);

/// Since this version a commit names the epoch of a member of the consumer protocol, or the generation of one of the classic.
const MEMBER_EPOCHS_FROM: i16 = 9;

/// A request in work: its answer, to which the coordinator's results are put.
#[derive(Debug)]
pub(crate) struct OffsetCommit {
    pub(super) head: Head,
    topics: Vec<(TopicKey, Vec<OffsetCommitResponsePartition>)>,
    /// Where the results stand: topic and partition within `topics`.
    places: Vec<(usize, usize)>,
}

pub(super) fn begin(context: &mut Context<'_>, head: Head, reader: Reader<'_>) -> Beginning {
    let request = decode_body!(OffsetCommitRequest<'_>, head, reader);
    let naming = if head.version >= 10 { Naming::ById } else { Naming::ByName };
    let mut work = OffsetCommit { head, topics: Vec::new(), places: Vec::new() };
    let mut offsets = Vec::new();
    for topic in &request.topics {
        let key = TopicKey::new(naming, topic.name, topic.topic_id);
        let image = key.find(context.image);
        let mut answers = Vec::with_capacity(topic.partitions.len());
        for partition in &topic.partitions {
            let index = partition.partition_index;
            let mut answer = OffsetCommitResponsePartition {
                partition_index: index,
                ..OffsetCommitResponsePartition::default()
            };
            match image {
                Some(_) if offsets.len() >= OFFSETS_PER_REQUEST_MAX => {
                    answer.error_code = ErrorCode::InvalidCommitOffsetSize.code();
                }
                Some(image) if image.partition(index).is_some() => {
                    work.places.push((work.topics.len(), answers.len()));
                    let partition = committing(partition, image.id);
                    offsets.push((
                        TopicPartition { topic: String::from(&*image.name), partition: index },
                        partition,
                    ));
                }
                Some(_) => answer.error_code = ErrorCode::UnknownTopicOrPartition.code(),
                None => answer.error_code = key.unknown().code(),
            }
            answers.push(answer);
        }
        work.topics.push((key, answers));
    }
    if offsets.is_empty() {
        return Ok(Begun::Done { head, done: work.answer() });
    }
    let Some(partition) = place_of(context, request.group_id) else {
        return Ok(Begun::Done { head, done: work.failed(ErrorCode::NotCoordinator) });
    };
    let retention = u64::try_from(request.retention_time_ms).ok().map(Duration::from_millis);
    let command = GroupCommand::CommitOffsets(CommitOffsets {
        group: String::from(request.group_id),
        generation: request.generation_id_or_member_epoch,
        member: String::from(request.member_id),
        instance: owned(request.group_instance_id),
        knows_member_epochs: head.version >= MEMBER_EPOCHS_FROM,
        retention,
        offsets,
    });
    context.asks.push(Ask::Group { part: 0, partition, command });
    Ok(Begun::Working { work: Work::OffsetCommit(work), wait: Some(WAIT) })
}

/// The topic's id says of which one it is, should another take its name.
fn committing(partition: &OffsetCommitRequestPartition<'_>, topic: TopicId) -> Committing {
    let epoch = partition.committed_leader_epoch;
    Committing {
        topic: Some(topic),
        offset: partition.committed_offset,
        leader_epoch: (epoch >= 0).then_some(epoch),
        metadata: String::from(partition.committed_metadata.unwrap_or_default()),
    }
}

impl OffsetCommit {
    #[expect(clippy::wildcard_enum_match_arm, reason = "a request knows the replies to its own questions")]
    pub(super) fn on_reply(&mut self, reply: GroupReply) -> Done {
        match reply {
            GroupReply::Committed(results) => {
                for (&(topic, partition), result) in self.places.iter().zip(results) {
                    let code = result.as_ref().err().map(code_of).unwrap_or_default();
                    self.topics[topic].1[partition].error_code = code.code();
                }
                self.answer()
            }
            // A member of the consumer protocol has to use a version that knows its errors.
            GroupReply::Failed(GroupError::StaleMemberEpoch) if self.head.version < MEMBER_EPOCHS_FROM => {
                self.failed(ErrorCode::UnsupportedVersion)
            }
            GroupReply::Failed(error) => self.failed(code_of(&error)),
            other => panic!("{other:?} does not answer OffsetCommit"),
        }
    }

    /// It is not known whether it will be committed.
    pub(super) fn on_deadline(&mut self) -> Done {
        self.failed(ErrorCode::CoordinatorNotAvailable)
    }

    fn failed(&mut self, error: ErrorCode) -> Done {
        for &(topic, partition) in &self.places {
            self.topics[topic].1[partition].error_code = error.code();
        }
        self.answer()
    }

    fn answer(&mut self) -> Done {
        let topics = self.topics.iter_mut().map(|(key, partitions)| OffsetCommitResponseTopic {
            name: key.name(),
            topic_id: key.id(),
            partitions: core::mem::take(partitions),
            ..OffsetCommitResponseTopic::default()
        });
        let response = OffsetCommitResponse { topics: topics.collect(), ..OffsetCommitResponse::default() };
        respond(self.head, |version, writer| response.encode(version, writer))
    }
}
