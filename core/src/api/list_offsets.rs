//! `ListOffsets` (2): where a partition begins and ends, and which offset belongs to a time.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use super::{Ask, Beginning, Begun, Context, Done, Head, Work, decode_body, error, respond};
use crate::id::{LeaderEpoch, PartitionId};
use crate::replica::{Isolation, ListOffsetsOp, OffsetTarget, PartitionOp, PartitionReply};
use crate::time::Timestamp;
use crate::wire::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsRequest};
use crate::wire::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsResponse, ListOffsetsTopicResponse,
};
use crate::wire::{ErrorCode, Reader};

/// A request in work: its answer, filled as the partitions reply.
#[derive(Debug)]
pub(crate) struct ListOffsets {
    pub(super) head: Head,
    topics: Vec<(String, Vec<ListOffsetsPartitionResponse>)>,
    /// Topic and partition within `topics`, by part.
    places: Vec<(usize, usize)>,
    outstanding: usize,
}

/// What a timestamp asks for.
enum Meant {
    Ask(OffsetTarget),
    /// What only tiered storage has: no offset.
    Nothing,
    Unsupported,
}

/// Negative timestamps have a meaning each, from some version on.
fn meant(timestamp: i64, version: i16) -> Meant {
    match timestamp {
        0.. => Meant::Ask(OffsetTarget::At(Timestamp(timestamp))),
        -1 => Meant::Ask(OffsetTarget::Latest),
        -2 => Meant::Ask(OffsetTarget::Earliest),
        -3 if version >= 7 => Meant::Ask(OffsetTarget::MaxTimestamp),
        // The earliest local offset is the earliest: nothing is elsewhere.
        -4 if version >= 8 => Meant::Ask(OffsetTarget::Earliest),
        -5 if version >= 9 => Meant::Nothing,
        -6 if version >= 11 => Meant::Nothing,
        _ => Meant::Unsupported,
    }
}

pub(super) fn begin(context: &mut Context<'_>, head: Head, reader: Reader<'_>) -> Beginning {
    let request = decode_body!(ListOffsetsRequest<'_>, head, reader);
    let isolation = match request.isolation_level {
        0 => Some(Isolation::ReadUncommitted),
        1 => Some(Isolation::ReadCommitted),
        _ => None,
    };
    let mut named: BTreeMap<(&str, i32), u32> = BTreeMap::new();
    for topic in &request.topics {
        for partition in &topic.partitions {
            *named.entry((topic.name, partition.partition_index)).or_default() += 1;
        }
    }
    let mut work = ListOffsets { head, topics: Vec::new(), places: Vec::new(), outstanding: 0 };
    for topic in &request.topics {
        let mut answers = Vec::with_capacity(topic.partitions.len());
        for partition in &topic.partitions {
            let op = if named.get(&(topic.name, partition.partition_index)) == Some(&1) {
                judge(context, head, topic.name, partition, isolation)
            } else {
                Err(ErrorCode::InvalidRequest)
            };
            answers.push(ListOffsetsPartitionResponse {
                partition_index: partition.partition_index,
                error_code: op.as_ref().err().copied().unwrap_or(ErrorCode::None).code(),
                ..ListOffsetsPartitionResponse::default()
            });
            if let Ok(Some(op)) = op {
                let part = u32::try_from(work.places.len()).expect("a frame holds fewer partitions");
                work.places.push((work.topics.len(), answers.len() - 1));
                context.asks.push(Ask::Partition { part, op: PartitionOp::ListOffsets(op) });
            }
        }
        work.topics.push((String::from(topic.name), answers));
    }
    work.outstanding = work.places.len();
    if work.outstanding == 0 {
        return Ok(Begun::Done { head, done: work.answer() });
    }
    Ok(Begun::Working { work: Work::ListOffsets(work), wait: None })
}

/// What to ask the partition; `None` where the answer is that there is no offset.
fn judge(
    context: &Context<'_>,
    head: Head,
    topic: &str,
    partition: &ListOffsetsPartition,
    isolation: Option<Isolation>,
) -> Result<Option<ListOffsetsOp>, ErrorCode> {
    let isolation = isolation.ok_or(ErrorCode::InvalidRequest)?;
    let target = match meant(partition.timestamp, head.version) {
        Meant::Ask(target) => Some(target),
        Meant::Nothing => None,
        Meant::Unsupported => return Err(ErrorCode::UnsupportedVersion),
    };
    let index = partition.partition_index;
    let topic = context.image.topic(topic).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    topic.partition(index).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let epoch = partition.current_leader_epoch;
    Ok(target.map(|target| ListOffsetsOp {
        partition: PartitionId { topic: topic.id, index },
        current_leader_epoch: (epoch >= 0).then_some(LeaderEpoch(epoch)),
        isolation,
        target,
    }))
}

impl ListOffsets {
    #[expect(clippy::wildcard_enum_match_arm, reason = "a request knows the replies to its own questions")]
    pub(super) fn on_reply(&mut self, part: u32, reply: PartitionReply) -> Option<Done> {
        let place = usize::try_from(part).ok().and_then(|part| self.places.get(part));
        let &(topic, partition) = place.expect("replies are to parts that were asked");
        let answer = &mut self.topics[topic].1[partition];
        match reply {
            PartitionReply::Offset(found) => {
                answer.timestamp = found.timestamp.map_or(-1, |timestamp| timestamp.0);
                answer.offset = found.offset.map_or(-1, |offset| offset.0);
                answer.leader_epoch = found.leader_epoch.map_or(-1, |epoch| epoch.0);
            }
            PartitionReply::Failed(failed) => {
                let mut code = error::of_partition(failed).code;
                // Clients of that age do not know the code (KIP-207).
                if code == ErrorCode::OffsetNotAvailable && self.head.version < 5 {
                    code = ErrorCode::LeaderNotAvailable;
                }
                answer.error_code = code.code();
            }
            other => panic!("{other:?} does not answer ListOffsets"),
        }
        self.outstanding -= 1;
        (self.outstanding == 0).then(|| self.answer())
    }

    fn answer(&mut self) -> Done {
        let topics = self.topics.iter_mut().map(|(name, partitions)| ListOffsetsTopicResponse {
            name,
            partitions: core::mem::take(partitions),
            ..ListOffsetsTopicResponse::default()
        });
        let response = ListOffsetsResponse { topics: topics.collect(), ..ListOffsetsResponse::default() };
        respond(self.head, |version, writer| response.encode(version, writer))
    }
}
