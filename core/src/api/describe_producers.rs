//! `DescribeProducers` (61): the idempotent producers that partitions remember.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::error::Failure;
use super::spread::Spread;
use super::{Beginning, Begun, Context, Done, Head, Work, decode_body, error, respond};
use crate::controller::check_name;
use crate::id::PartitionId;
use crate::replica::{PartitionOp, PartitionReply};
use crate::wire::messages::describe_producers_request::DescribeProducersRequest;
use crate::wire::messages::describe_producers_response::{
    DescribeProducersResponse, PartitionResponse, ProducerState, TopicResponse,
};
use crate::wire::{ErrorCode, Reader};

/// A request in work.
#[derive(Debug)]
pub(crate) struct DescribeProducers {
    pub(super) head: Head,
    answers: Spread<Answer>,
}

#[derive(Debug)]
struct Answer {
    index: i32,
    failure: Option<Failure>,
    producers: Vec<ProducerState>,
}

pub(super) fn begin(context: &mut Context<'_>, head: Head, reader: Reader<'_>) -> Beginning {
    let request = decode_body!(DescribeProducersRequest<'_>, head, reader);
    let mut work = DescribeProducers { head, answers: Spread::new() };
    // What a partition remembers is far larger than its name: nobody gets it twice in one answer.
    let mut seen = BTreeSet::new();
    for topic in &request.topics {
        work.answers.topic(topic.name);
        for &index in &topic.partition_indexes {
            let judged = if seen.insert((topic.name, index)) {
                judge(context, topic.name, index)
            } else {
                Err(Failure::new(ErrorCode::InvalidRequest, "the partition is named twice"))
            };
            let answer = Answer { index, failure: judged.as_ref().err().cloned(), producers: Vec::new() };
            work.answers.add(context, answer, judged.ok().map(PartitionOp::Producers));
        }
    }
    if work.answers.is_complete() {
        return Ok(Begun::Done { head, done: work.answer() });
    }
    Ok(Begun::Working { work: Work::DescribeProducers(work), wait: None })
}

fn judge(context: &Context<'_>, name: &str, index: i32) -> Result<PartitionId, Failure> {
    let Some(topic) = context.image.topic(name) else {
        return Err(match check_name(name) {
            Err(wrong) => error::of_create(&wrong),
            Ok(()) => Failure::new(ErrorCode::UnknownTopicOrPartition, "no topic has this name"),
        });
    };
    match topic.partition(index) {
        Some(_) => Ok(PartitionId { topic: topic.id, index }),
        None => {
            Err(Failure::new(ErrorCode::UnknownTopicOrPartition, "the topic has no partition of this index"))
        }
    }
}

impl DescribeProducers {
    #[expect(clippy::wildcard_enum_match_arm, reason = "a request knows the replies to its own questions")]
    pub(super) fn on_reply(&mut self, part: u32, reply: PartitionReply) -> Option<Done> {
        let answer = self.answers.replied(part);
        match reply {
            PartitionReply::Producers(producers) => {
                let states = producers.iter().map(|producer| ProducerState {
                    producer_id: producer.id.0,
                    producer_epoch: i32::from(producer.epoch.0),
                    last_sequence: producer.last_sequence.unwrap_or(-1),
                    last_timestamp: producer.last_timestamp.map_or(-1, |timestamp| timestamp.0),
                    coordinator_epoch: -1,
                    current_txn_start_offset: -1,
                    ..ProducerState::default()
                });
                answer.producers = states.collect();
            }
            PartitionReply::Failed(failed) => answer.failure = Some(error::of_partition(failed)),
            other => panic!("{other:?} does not answer DescribeProducers"),
        }
        self.answers.is_complete().then(|| self.answer())
    }

    fn answer(&self) -> Done {
        let topics = self.answers.topics().iter().map(|(name, partitions)| {
            let partitions = partitions.iter().map(|answer| PartitionResponse {
                partition_index: answer.index,
                error_code: answer.failure.as_ref().map_or(ErrorCode::None, |failure| failure.code).code(),
                error_message: answer.failure.as_ref().map(|failure| failure.message.as_str()),
                active_producers: answer.producers.clone(),
                ..PartitionResponse::default()
            });
            TopicResponse { name, partitions: partitions.collect(), ..TopicResponse::default() }
        });
        let response =
            DescribeProducersResponse { topics: topics.collect(), ..DescribeProducersResponse::default() };
        respond(self.head, |version, writer| response.encode(version, writer))
    }
}
