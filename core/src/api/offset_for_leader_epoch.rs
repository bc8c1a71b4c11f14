//! `OffsetForLeaderEpoch` (23): where a leader epoch ends in a log, by which a consumer finds out that its position was taken back
//! (KIP-320).

use super::spread::Spread;
use super::{Beginning, Begun, Context, Done, Head, Work, decode_body, error, respond};
use crate::id::{LeaderEpoch, PartitionId};
use crate::replica::{EpochEndOp, PartitionOp, PartitionReply};
use crate::wire::messages::offset_for_leader_epoch_request::{
    OffsetForLeaderEpochRequest, OffsetForLeaderPartition,
};
use crate::wire::messages::offset_for_leader_epoch_response::{
    EpochEndOffset, OffsetForLeaderEpochResponse, OffsetForLeaderTopicResult,
};
use crate::wire::{ErrorCode, Reader};

/// A request in work.
#[derive(Debug)]
pub(crate) struct OffsetForLeaderEpoch {
    pub(super) head: Head,
    answers: Spread<EpochEndOffset>,
}

pub(super) fn begin(context: &mut Context<'_>, head: Head, reader: Reader<'_>) -> Beginning {
    let request = decode_body!(OffsetForLeaderEpochRequest<'_>, head, reader);
    let mut work = OffsetForLeaderEpoch { head, answers: Spread::new() };
    for topic in &request.topics {
        work.answers.topic(topic.topic);
        for partition in &topic.partitions {
            let op = op(context, topic.topic, partition);
            let error = if op.is_some() { ErrorCode::None } else { ErrorCode::UnknownTopicOrPartition };
            let answer = EpochEndOffset {
                error_code: error.code(),
                partition: partition.partition,
                leader_epoch: -1,
                end_offset: -1,
                ..EpochEndOffset::default()
            };
            work.answers.add(context, answer, op.map(PartitionOp::EpochEnd));
        }
    }
    if work.answers.is_complete() {
        return Ok(Begun::Done { head, done: work.answer() });
    }
    Ok(Begun::Working { work: Work::OffsetForLeaderEpoch(work), wait: None })
}

fn op(context: &Context<'_>, name: &str, wanted: &OffsetForLeaderPartition) -> Option<EpochEndOp> {
    let (topic, index) = (context.image.topic(name)?, wanted.partition);
    topic.partition(index)?;
    Some(EpochEndOp {
        partition: PartitionId { topic: topic.id, index },
        current_leader_epoch: (wanted.current_leader_epoch >= 0)
            .then_some(LeaderEpoch(wanted.current_leader_epoch)),
        epoch: LeaderEpoch(wanted.leader_epoch),
    })
}

impl OffsetForLeaderEpoch {
    #[expect(clippy::wildcard_enum_match_arm, reason = "a request knows the replies to its own questions")]
    pub(super) fn on_reply(&mut self, part: u32, reply: &PartitionReply) -> Option<Done> {
        let answer = self.answers.replied(part);
        match reply {
            PartitionReply::EpochEnd(Some((epoch, end))) => {
                answer.leader_epoch = epoch.0;
                answer.end_offset = end.0;
            }
            PartitionReply::EpochEnd(None) => {}
            PartitionReply::Failed(failed) => answer.error_code = error::of_partition(*failed).code.code(),
            other => panic!("{other:?} does not answer OffsetForLeaderEpoch"),
        }
        self.answers.is_complete().then(|| self.answer())
    }

    fn answer(&self) -> Done {
        let topics = self.answers.topics().iter().map(|(topic, partitions)| OffsetForLeaderTopicResult {
            topic,
            partitions: partitions.clone(),
            ..OffsetForLeaderTopicResult::default()
        });
        let response = OffsetForLeaderEpochResponse {
            topics: topics.collect(),
            ..OffsetForLeaderEpochResponse::default()
        };
        respond(self.head, |version, writer| response.encode(version, writer))
    }
}
