//! `DescribeLogDirs` (35): the one directory, and the bytes of each partition in it.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec;
use alloc::vec::Vec;

use super::spread::Spread;
use super::{Beginning, Begun, Context, Done, Head, Work, decode_body, respond};
use crate::id::PartitionId;
use crate::replica::{PartitionError, PartitionOp, PartitionReply};
use crate::wire::Reader;
use crate::wire::messages::describe_log_dirs_request::DescribeLogDirsRequest;
use crate::wire::messages::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResponse, DescribeLogDirsResult, DescribeLogDirsTopic,
};

/// A request in work. Of a partition that is not there, Kafka says nothing.
#[derive(Debug)]
pub(crate) struct DescribeLogDirs {
    pub(super) head: Head,
    answers: Spread<Option<DescribeLogDirsPartition>>,
}

pub(super) fn begin(context: &mut Context<'_>, head: Head, reader: Reader<'_>) -> Beginning {
    let request = decode_body!(DescribeLogDirsRequest<'_>, head, reader);
    let mut wanted: BTreeMap<&str, BTreeSet<i32>> = BTreeMap::new();
    for topic in request.topics.iter().flatten() {
        wanted.entry(topic.topic).or_default().extend(&topic.partitions);
    }
    let image = context.image.clone();
    let mut work = DescribeLogDirs { head, answers: Spread::new() };
    for topic in image.topics() {
        let named = wanted.get(&*topic.name);
        if request.topics.is_some() && named.is_none() {
            continue;
        }
        work.answers.topic(&topic.name);
        let ids = topic.partitions().map(|(id, _)| id);
        for id in ids.filter(|id| named.is_none_or(|named| named.contains(&id.index))) {
            work.answers.add(context, Some(empty(id)), Some(PartitionOp::Size(id)));
        }
    }
    if work.answers.is_complete() {
        return Ok(Begun::Done { head, done: work.answer(context) });
    }
    Ok(Begun::Working { work: Work::DescribeLogDirs(work), wait: None })
}

/// Kafka too says −1 where it does not know.
fn bytes_or_unknown(bytes: Option<u64>) -> i64 {
    bytes.map_or(-1, |bytes| i64::try_from(bytes).unwrap_or(i64::MAX))
}

fn empty(id: PartitionId) -> DescribeLogDirsPartition {
    DescribeLogDirsPartition { partition_index: id.index, ..DescribeLogDirsPartition::default() }
}

impl DescribeLogDirs {
    pub(super) fn on_reply(
        &mut self,
        context: &Context<'_>,
        part: u32,
        reply: &PartitionReply,
    ) -> Option<Done> {
        let answer = self.answers.replied(part);
        match (reply, &mut *answer) {
            (PartitionReply::Size(bytes), Some(answer)) => {
                answer.partition_size = i64::try_from(*bytes).unwrap_or(i64::MAX);
            }
            (PartitionReply::Failed(PartitionError::Unknown), _) => *answer = None,
            (other, _) => panic!("{other:?} does not answer DescribeLogDirs"),
        }
        self.answers.is_complete().then(|| self.answer(context))
    }

    fn answer(&self, context: &Context<'_>) -> Done {
        let topics = self.answers.topics().iter().map(|(name, partitions)| DescribeLogDirsTopic {
            name,
            partitions: partitions.iter().flatten().cloned().collect(),
            ..DescribeLogDirsTopic::default()
        });
        let topics: Vec<_> = topics.filter(|topic| !topic.partitions.is_empty()).collect();
        let file_system = context.shared.file_system;
        let dir = DescribeLogDirsResult {
            log_dir: &context.config.log_dir,
            topics,
            total_bytes: bytes_or_unknown(file_system.map(|found| found.total_bytes)),
            usable_bytes: bytes_or_unknown(file_system.map(|found| found.usable_bytes)),
            ..DescribeLogDirsResult::default()
        };
        let response = DescribeLogDirsResponse { results: vec![dir], ..DescribeLogDirsResponse::default() };
        respond(self.head, |version, writer| response.encode(version, writer))
    }
}
