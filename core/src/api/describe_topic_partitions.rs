//! `DescribeTopicPartitions` (75): topics and their partitions, a page at a time.

use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::topic::TOPIC_OPERATIONS;
use super::{Beginning, Context, Head, answered, decode_body};
use crate::controller::{TopicImage, check_name};
use crate::group::topics::is_internal;
use crate::id::NodeId;
use crate::limits::DESCRIBE_PARTITIONS_MAX;
use crate::wire::messages::describe_topic_partitions_request::DescribeTopicPartitionsRequest;
use crate::wire::messages::describe_topic_partitions_response::{
    Cursor, DescribeTopicPartitionsResponse, DescribeTopicPartitionsResponsePartition,
    DescribeTopicPartitionsResponseTopic,
};
use crate::wire::{ErrorCode, Reader};

pub(super) fn begin(context: &Context<'_>, head: Head, reader: Reader<'_>) -> Beginning {
    let request = decode_body!(DescribeTopicPartitionsRequest<'_>, head, reader);
    let (from, first) = match &request.cursor {
        Some(cursor) => (cursor.topic_name, usize::try_from(cursor.partition_index).ok()),
        None => ("", Some(0)),
    };
    // In the order of their names, each once: that is what makes a cursor a place to go on from.
    let names: BTreeSet<&str> = if request.topics.is_empty() {
        context.image.topics().map(|topic| &*topic.name).filter(|name| *name >= from).collect()
    } else {
        request.topics.iter().map(|topic| topic.name).filter(|name| *name >= from).collect()
    };
    let mut page = Page {
        topics: Vec::new(),
        left: usize::try_from(request.response_partition_limit)
            .unwrap_or(0)
            .clamp(1, DESCRIBE_PARTITIONS_MAX),
        next: None,
    };
    for name in names {
        let Some(first) = first else {
            page.topics.push(failed(name, ErrorCode::InvalidRequest));
            continue;
        };
        page.describe(name, context.image.topic(name), if name == from { first } else { 0 });
        if page.next.is_some() {
            break;
        }
    }
    let response = DescribeTopicPartitionsResponse {
        topics: page.topics,
        next_cursor: page.next,
        ..DescribeTopicPartitionsResponse::default()
    };
    answered(head, |version, writer| response.encode(version, writer))
}

struct Page<'a> {
    topics: Vec<DescribeTopicPartitionsResponseTopic<'a>>,
    /// Partitions for which there is room.
    left: usize,
    next: Option<Cursor<'a>>,
}

impl<'a> Page<'a> {
    fn describe(&mut self, name: &'a str, topic: Option<&'a Arc<TopicImage>>, first: usize) {
        let cursor = |partition: usize| Cursor {
            topic_name: name,
            partition_index: i32::try_from(partition).expect("an index of a topic has 31 bits"),
            ..Cursor::default()
        };
        if self.left == 0 {
            self.next = Some(cursor(first));
            return;
        }
        let Some(topic) = topic else {
            let legal = check_name(name).is_ok() || is_internal(name);
            let code =
                if legal { ErrorCode::UnknownTopicOrPartition } else { ErrorCode::InvalidTopicException };
            self.topics.push(failed(name, code));
            return;
        };
        let partitions: Vec<_> = partitions(topic, first).take(self.left).collect();
        self.left -= partitions.len();
        let end = first.saturating_add(partitions.len());
        if end < topic.partitions.len() {
            self.next = Some(cursor(end));
        }
        self.topics.push(DescribeTopicPartitionsResponseTopic {
            name: Some(&topic.name),
            topic_id: topic.id.0,
            is_internal: is_internal(&topic.name),
            partitions,
            topic_authorized_operations: TOPIC_OPERATIONS,
            ..DescribeTopicPartitionsResponseTopic::default()
        });
    }
}

fn failed(name: &str, code: ErrorCode) -> DescribeTopicPartitionsResponseTopic<'_> {
    DescribeTopicPartitionsResponseTopic {
        error_code: code.code(),
        name: Some(name),
        ..DescribeTopicPartitionsResponseTopic::default()
    }
}

fn partitions(
    topic: &TopicImage,
    first: usize,
) -> impl Iterator<Item = DescribeTopicPartitionsResponsePartition> {
    let ids = |nodes: &[NodeId]| nodes.iter().map(|node| node.0).collect();
    topic.partitions().skip(first).map(move |(id, partition)| {
        let error = if partition.leader.is_some() { ErrorCode::None } else { ErrorCode::LeaderNotAvailable };
        DescribeTopicPartitionsResponsePartition {
            error_code: error.code(),
            partition_index: id.index,
            leader_id: partition.leader.map_or(-1, |node| node.0),
            leader_epoch: partition.leader_epoch.0,
            replica_nodes: ids(&partition.replicas),
            isr_nodes: ids(&partition.isr),
            eligible_leader_replicas: Some(Vec::new()),
            last_known_elr: Some(Vec::new()),
            ..DescribeTopicPartitionsResponsePartition::default()
        }
    })
}
