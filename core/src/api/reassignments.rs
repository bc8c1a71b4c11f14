//! `AlterPartitionReassignments` (45), `ListPartitionReassignments` (46): with one broker there is one assignment, which is in
//! force already.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::error::{Failure, shown};
use super::{Beginning, Context, Head, answered, decode_body};
use crate::wire::messages::alter_partition_reassignments_request::{
    AlterPartitionReassignmentsRequest, ReassignablePartition,
};
use crate::wire::messages::alter_partition_reassignments_response::{
    AlterPartitionReassignmentsResponse, ReassignablePartitionResponse, ReassignableTopicResponse,
};
use crate::wire::messages::list_partition_reassignments_request::ListPartitionReassignmentsRequest;
use crate::wire::messages::list_partition_reassignments_response::ListPartitionReassignmentsResponse;
use crate::wire::{ErrorCode, Reader};

/// What is wrong with each partition, by index.
type Judged = Vec<(i32, Option<Failure>)>;

pub(super) fn alter(context: &Context<'_>, head: Head, reader: Reader<'_>) -> Beginning {
    let request = decode_body!(AlterPartitionReassignmentsRequest<'_>, head, reader);
    let judged: Vec<(&str, Judged)> = request
        .topics
        .iter()
        .map(|topic| {
            let judged = topic.partitions.iter();
            let judged =
                judged.map(|wanted| (wanted.partition_index, judge(context, topic.name, wanted).err()));
            (topic.name, judged.collect())
        })
        .collect();
    let responses = judged.iter().map(|(name, partitions)| {
        let partitions = partitions.iter().map(|(index, failure)| ReassignablePartitionResponse {
            partition_index: *index,
            error_code: failure.as_ref().map_or(ErrorCode::None, |failure| failure.code).code(),
            error_message: failure.as_ref().map(|failure| failure.message.as_str()),
            ..ReassignablePartitionResponse::default()
        });
        ReassignableTopicResponse {
            name,
            partitions: partitions.collect(),
            ..ReassignableTopicResponse::default()
        }
    });
    let response = AlterPartitionReassignmentsResponse {
        allow_replication_factor_change: request.allow_replication_factor_change,
        responses: responses.collect(),
        ..AlterPartitionReassignmentsResponse::default()
    };
    answered(head, |version, writer| response.encode(version, writer))
}

fn judge(context: &Context<'_>, topic: &str, wanted: &ReassignablePartition) -> Result<(), Failure> {
    let index = wanted.partition_index;
    let unknown = |message| Failure { code: ErrorCode::UnknownTopicOrPartition, message };
    let found = context.image.topic(topic);
    let found = found.ok_or_else(|| unknown(format!("no topic has the name '{}'", shown(topic))))?;
    found.partition(index).ok_or_else(|| unknown(format!("topic '{topic}' has no partition {index}")))?;
    let invalid = |message| Err(Failure { code: ErrorCode::InvalidReplicaAssignment, message });
    let node = context.config.node.0;
    match wanted.replicas.as_deref() {
        None => {
            Err(Failure::new(ErrorCode::NoReassignmentInProgress, "the partition is not being reassigned"))
        }
        Some([]) => invalid(String::from("the assignment names no broker")),
        Some(replicas) => match replicas.iter().find(|replica| **replica != node) {
            Some(other) => {
                invalid(format!("the assignment names broker {other}, which the cluster does not have"))
            }
            None if replicas.len() > 1 => invalid(format!("the assignment names broker {node} twice")),
            None => Ok(()),
        },
    }
}

pub(super) fn list(head: Head, reader: Reader<'_>) -> Beginning {
    let _ = decode_body!(ListPartitionReassignmentsRequest<'_>, head, reader);
    let response = ListPartitionReassignmentsResponse::default();
    answered(head, |version, writer| response.encode(version, writer))
}
