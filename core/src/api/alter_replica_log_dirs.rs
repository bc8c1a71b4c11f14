//! `AlterReplicaLogDirs` (34): there is one directory, where every replica is already.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::{Beginning, Context, Head, answered, decode_body};
use crate::wire::messages::alter_replica_log_dirs_request::AlterReplicaLogDirsRequest;
use crate::wire::messages::alter_replica_log_dirs_response::{
    AlterReplicaLogDirPartitionResult, AlterReplicaLogDirTopicResult, AlterReplicaLogDirsResponse,
};
use crate::wire::{ErrorCode, Reader};

pub(super) fn begin(context: &Context<'_>, head: Head, reader: Reader<'_>) -> Beginning {
    let request = decode_body!(AlterReplicaLogDirsRequest<'_>, head, reader);
    // The last directory that a partition is sent to counts, as in Kafka.
    let mut wanted: BTreeMap<(&str, i32), &str> = BTreeMap::new();
    for dir in &request.dirs {
        for topic in &dir.topics {
            wanted.extend(topic.partitions.iter().map(|&index| ((topic.name, index), dir.path)));
        }
    }
    let mut results: Vec<AlterReplicaLogDirTopicResult<'_>> = Vec::new();
    for ((topic, partition_index), path) in wanted {
        if results.last().is_none_or(|last| last.topic_name != topic) {
            let result = AlterReplicaLogDirTopicResult { topic_name: topic, ..Default::default() };
            results.push(result);
        }
        let error_code = judge(context, (topic, partition_index), path).code();
        let result = AlterReplicaLogDirPartitionResult { partition_index, error_code, ..Default::default() };
        results.last_mut().expect("pushed above").partitions.push(result);
    }
    let response = AlterReplicaLogDirsResponse { results, ..AlterReplicaLogDirsResponse::default() };
    answered(head, |version, writer| response.encode(version, writer))
}

fn judge(context: &Context<'_>, (topic, index): (&str, i32), path: &str) -> ErrorCode {
    if path != context.config.log_dir {
        return ErrorCode::LogDirNotFound;
    }
    let found = context.image.topic(topic).and_then(|topic| topic.partition(index));
    if found.is_some() { ErrorCode::None } else { ErrorCode::ReplicaNotAvailable }
}
