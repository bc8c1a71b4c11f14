//! `DescribeQuorum` (55): the one voter of the metadata log, and how far it is.

use alloc::vec;
use alloc::vec::Vec;

use super::topic::address;
use super::{Beginning, Context, Head, answered, decode_body};
use crate::controller::METADATA_TOPIC;
use crate::wire::messages::describe_quorum_request::DescribeQuorumRequest;
use crate::wire::messages::describe_quorum_response::{
    DescribeQuorumResponse, Listener, Node, PartitionData, ReplicaState, TopicData,
};
use crate::wire::{ErrorCode, Reader};

pub(super) fn begin(context: &Context<'_>, head: Head, reader: Reader<'_>) -> Beginning {
    let request = decode_body!(DescribeQuorumRequest<'_>, head, reader);
    let known = match &request.topics[..] {
        [topic] => {
            topic.topic_name == METADATA_TOPIC
                && matches!(&topic.partitions[..], [partition] if partition.partition_index == 0)
        }
        _ => false,
    };
    let topics = request.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            if known {
                quorum(context)
            } else {
                PartitionData {
                    partition_index: partition.partition_index,
                    error_code: ErrorCode::UnknownTopicOrPartition.code(),
                    ..PartitionData::default()
                }
            }
        });
        TopicData { topic_name: topic.topic_name, partitions: partitions.collect(), ..TopicData::default() }
    });
    let (host, port) = address(context);
    let port = u16::try_from(port).expect("a port has 16 bits");
    let listener = Listener { name: "PLAINTEXT", host: &host, port, ..Listener::default() };
    let node = Node { node_id: context.config.node.0, listeners: vec![listener], ..Node::default() };
    let response = DescribeQuorumResponse {
        topics: topics.collect(),
        nodes: if known { vec![node] } else { Vec::new() },
        ..DescribeQuorumResponse::default()
    };
    answered(head, |version, writer| response.encode(version, writer))
}

/// The image tells how far the log is committed; a log with one voter has no other end that anybody could see.
fn quorum(context: &Context<'_>) -> PartitionData<'static> {
    let node = context.config.node.0;
    let end = i64::try_from(context.image.version).expect("offsets are below 2^63");
    let now = context.now.wall.0;
    let voter = ReplicaState {
        replica_id: node,
        replica_directory_id: context.shared.directory,
        log_end_offset: end,
        last_fetch_timestamp: now,
        last_caught_up_timestamp: now,
        ..ReplicaState::default()
    };
    PartitionData {
        leader_id: node,
        leader_epoch: 0,
        high_watermark: end,
        current_voters: vec![voter],
        ..PartitionData::default()
    }
}
