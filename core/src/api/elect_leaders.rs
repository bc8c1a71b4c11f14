//! `ElectLeaders` (43): the one broker leads everything, so that no election is ever needed.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::error::{Failure, shown};
use super::{Beginning, Context, Head, answered, decode_body};
use crate::wire::messages::elect_leaders_request::ElectLeadersRequest;
use crate::wire::messages::elect_leaders_response::{
    ElectLeadersResponse, PartitionResult, ReplicaElectionResult,
};
use crate::wire::{ErrorCode, Reader};

/// Preferred and unclean elections (KIP-460).
const ELECTION_TYPES: [i8; 2] = [0, 1];

pub(super) fn begin(context: &Context<'_>, head: Head, reader: Reader<'_>) -> Beginning {
    let request = decode_body!(ElectLeadersRequest<'_>, head, reader);
    if !ELECTION_TYPES.contains(&request.election_type) {
        let error_code = ErrorCode::InvalidRequest.code();
        let response = ElectLeadersResponse { error_code, ..ElectLeadersResponse::default() };
        return answered(head, |version, writer| response.encode(version, writer));
    }
    // Where all partitions are meant, those that have their leader are not told of.
    let wanted = request.topic_partitions.unwrap_or_default();
    let judged: Vec<(&str, Vec<(i32, Failure)>)> = wanted
        .iter()
        .map(|topic| {
            let judged = topic.partitions.iter().map(|&index| (index, judge(context, topic.topic, index)));
            (topic.topic, judged.collect())
        })
        .collect();
    let results = judged.iter().map(|(topic, partitions)| {
        let partitions = partitions.iter().map(|(index, failure)| PartitionResult {
            partition_id: *index,
            error_code: failure.code.code(),
            error_message: Some(&failure.message),
            ..PartitionResult::default()
        });
        ReplicaElectionResult {
            topic,
            partition_result: partitions.collect(),
            ..ReplicaElectionResult::default()
        }
    });
    let response = ElectLeadersResponse {
        replica_election_results: results.collect(),
        ..ElectLeadersResponse::default()
    };
    answered(head, |version, writer| response.encode(version, writer))
}

fn judge(context: &Context<'_>, topic: &str, index: i32) -> Failure {
    let unknown = |message| Failure { code: ErrorCode::UnknownTopicOrPartition, message };
    let Some(found) = context.image.topic(topic) else {
        return unknown(format!("no topic has the name '{}'", shown(topic)));
    };
    if found.partition(index).is_none() {
        return unknown(format!("topic '{topic}' has no partition {index}"));
    }
    let message = String::from("the partition has the leader that the election would give it");
    Failure { code: ErrorCode::ElectionNotNeeded, message }
}
