//! `DeleteRecords` (21): partitions forget what is before an offset.

use super::spread::Spread;
use super::{Beginning, Begun, Context, Done, Head, Work, decode_body, error, respond};
use crate::config::Cleanup;
use crate::group::topics::is_internal;
use crate::id::{Offset, PartitionId};
use crate::replica::{DeleteRecordsOp, PartitionOp, PartitionReply};
use crate::wire::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsRequest};
use crate::wire::messages::delete_records_response::{
    DeleteRecordsPartitionResult, DeleteRecordsResponse, DeleteRecordsTopicResult,
};
use crate::wire::{ErrorCode, Reader};

/// As Kafka: the high watermark is meant.
const HIGH_WATERMARK: i64 = -1;

/// A request in work.
#[derive(Debug)]
pub(crate) struct DeleteRecords {
    pub(super) head: Head,
    answers: Spread<DeleteRecordsPartitionResult>,
}

pub(super) fn begin(context: &mut Context<'_>, head: Head, reader: Reader<'_>) -> Beginning {
    let request = decode_body!(DeleteRecordsRequest<'_>, head, reader);
    let mut work = DeleteRecords { head, answers: Spread::new() };
    for topic in &request.topics {
        work.answers.topic(topic.name);
        for partition in &topic.partitions {
            let judged = judge(context, topic.name, partition);
            let answer = DeleteRecordsPartitionResult {
                partition_index: partition.partition_index,
                low_watermark: -1,
                error_code: judged.as_ref().err().copied().unwrap_or_default().code(),
                ..DeleteRecordsPartitionResult::default()
            };
            work.answers.add(context, answer, judged.ok().map(PartitionOp::DeleteRecords));
        }
    }
    if work.answers.is_complete() {
        return Ok(Begun::Done { head, done: work.answer() });
    }
    Ok(Begun::Working { work: Work::DeleteRecords(work), wait: None })
}

fn judge(
    context: &Context<'_>,
    name: &str,
    wanted: &DeleteRecordsPartition,
) -> Result<DeleteRecordsOp, ErrorCode> {
    let index = wanted.partition_index;
    let topic = context.image.topic(name).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    topic.partition(index).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    if is_internal(name) {
        return Err(ErrorCode::InvalidTopicException);
    }
    // Of a topic that is compacted and nothing else, nothing may go but what a newer record replaces.
    if topic.config.cleanup == Cleanup::Compact {
        return Err(ErrorCode::PolicyViolation);
    }
    let upto = match wanted.offset {
        HIGH_WATERMARK => None,
        ..HIGH_WATERMARK => return Err(ErrorCode::OffsetOutOfRange),
        offset => Some(Offset(offset)),
    };
    Ok(DeleteRecordsOp { partition: PartitionId { topic: topic.id, index }, upto })
}

impl DeleteRecords {
    #[expect(clippy::wildcard_enum_match_arm, reason = "a request knows the replies to its own questions")]
    pub(super) fn on_reply(&mut self, part: u32, reply: &PartitionReply) -> Option<Done> {
        let answer = self.answers.replied(part);
        match reply {
            PartitionReply::Deleted(low_watermark) => answer.low_watermark = low_watermark.0,
            PartitionReply::Failed(failed) => answer.error_code = error::of_partition(*failed).code.code(),
            other => panic!("{other:?} does not answer DeleteRecords"),
        }
        self.answers.is_complete().then(|| self.answer())
    }

    fn answer(&self) -> Done {
        let topics = self.answers.topics().iter().map(|(name, partitions)| DeleteRecordsTopicResult {
            name,
            partitions: partitions.clone(),
            ..DeleteRecordsTopicResult::default()
        });
        let response = DeleteRecordsResponse { topics: topics.collect(), ..DeleteRecordsResponse::default() };
        respond(self.head, |version, writer| response.encode(version, writer))
    }
}
