//! `OffsetDelete` (47): forgetting how far a group has read.

use alloc::string::String;
use alloc::vec::Vec;

use super::group::{code_of, partition, place_of};
use super::offset_commit::WAIT;
use super::{Ask, Beginning, Begun, Context, Done, Head, Work, decode_body, respond};
use crate::group::command::{DeleteOffsets, GroupCommand, GroupReply};
use crate::limits::OFFSETS_PER_REQUEST_MAX;
use crate::wire::messages::offset_delete_request::OffsetDeleteRequest;
use crate::wire::messages::offset_delete_response::{
    OffsetDeleteResponse, OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};
use crate::wire::{ErrorCode, Reader};

/// A request in work: its answer, to which the coordinator's results are put.
#[derive(Debug)]
pub(crate) struct OffsetDelete {
    pub(super) head: Head,
    topics: Vec<(String, Vec<OffsetDeleteResponsePartition>)>,
    /// Where the results stand: topic and partition within `topics`.
    places: Vec<(usize, usize)>,
}

pub(super) fn begin(context: &mut Context<'_>, head: Head, reader: Reader<'_>) -> Beginning {
    let request = decode_body!(OffsetDeleteRequest<'_>, head, reader);
    let mut work = OffsetDelete { head, topics: Vec::new(), places: Vec::new() };
    let mut partitions = Vec::new();
    for topic in &request.topics {
        let image = context.image.topic(topic.name);
        let mut answers = Vec::with_capacity(topic.partitions.len());
        for asked in &topic.partitions {
            let index = asked.partition_index;
            let mut answer = OffsetDeleteResponsePartition { partition_index: index, error_code: 0 };
            if partitions.len() >= OFFSETS_PER_REQUEST_MAX {
                answer.error_code = ErrorCode::InvalidRequest.code();
            } else if image.is_some_and(|image| image.partition(index).is_some()) {
                work.places.push((work.topics.len(), answers.len()));
                partitions.push(partition(topic.name, index));
            } else {
                answer.error_code = ErrorCode::UnknownTopicOrPartition.code();
            }
            answers.push(answer);
        }
        work.topics.push((String::from(topic.name), answers));
    }
    let refused = if request.group_id.is_empty() { Some(ErrorCode::InvalidGroupId) } else { None };
    if let Some(code) = refused {
        return Ok(Begun::Done { head, done: work.failed(code) });
    }
    let Some(partition) = place_of(context, request.group_id) else {
        return Ok(Begun::Done { head, done: work.failed(ErrorCode::NotCoordinator) });
    };
    let delete = DeleteOffsets { group: String::from(request.group_id), partitions };
    context.asks.push(Ask::Group { part: 0, partition, command: GroupCommand::DeleteOffsets(delete) });
    Ok(Begun::Working { work: Work::OffsetDelete(work), wait: Some(WAIT) })
}

impl OffsetDelete {
    #[expect(clippy::wildcard_enum_match_arm, reason = "a request knows the replies to its own questions")]
    pub(super) fn on_reply(&mut self, reply: GroupReply) -> Done {
        match reply {
            GroupReply::Deleted(results) => {
                for (&(topic, partition), result) in self.places.iter().zip(results) {
                    let code = result.as_ref().err().map(code_of).unwrap_or_default();
                    self.topics[topic].1[partition].error_code = code.code();
                }
                self.answer(ErrorCode::None)
            }
            GroupReply::Failed(error) => self.failed(code_of(&error)),
            other => panic!("{other:?} does not answer OffsetDelete"),
        }
    }

    pub(super) fn on_deadline(&mut self) -> Done {
        self.failed(ErrorCode::CoordinatorNotAvailable)
    }

    /// Nothing is said of topics then.
    fn failed(&mut self, error: ErrorCode) -> Done {
        self.topics.clear();
        self.answer(error)
    }

    fn answer(&mut self, error: ErrorCode) -> Done {
        let topics = self.topics.iter_mut().map(|(name, partitions)| OffsetDeleteResponseTopic {
            name,
            partitions: core::mem::take(partitions),
        });
        let response =
            OffsetDeleteResponse { error_code: error.code(), throttle_time_ms: 0, topics: topics.collect() };
        respond(self.head, |version, writer| response.encode(version, writer))
    }
}
