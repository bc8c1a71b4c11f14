//! `ConsumerGroupHeartbeat` (68): all that a member of the consumer protocol (KIP-848) says, and is told.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::error::Failure;
use super::group::{client, code_of, message_of, owned, place_of};
use super::offset_commit::WAIT;
use super::{Ask, Beginning, Begun, Context, Done, Head, Work, decode_body, respond};
use crate::group::command::{ConsumerAssigned, ConsumerHeartbeat, GroupCommand, GroupReply, TopicPartitions};
use crate::id::TopicId;
use crate::time::Duration;
use crate::wire::messages::consumer_group_heartbeat_request::{
    self as request, ConsumerGroupHeartbeatRequest,
};
use crate::wire::messages::consumer_group_heartbeat_response::{
    self as response, ConsumerGroupHeartbeatResponse,
};
use crate::wire::{ErrorCode, Reader};

/// Since this version members make their ids themselves (KIP-1082).
const OWN_MEMBER_ID_FROM: i16 = 1;

/// A request that waits for the coordinator.
#[derive(Debug)]
pub(crate) struct ConsumerGroupHeartbeat {
    pub(super) head: Head,
}

pub(super) fn begin(context: &mut Context<'_>, head: Head, client_id: &str, reader: Reader<'_>) -> Beginning {
    let request = decode_body!(ConsumerGroupHeartbeatRequest<'_>, head, reader);
    let work = ConsumerGroupHeartbeat { head };
    let failure = if head.version >= OWN_MEMBER_ID_FROM && request.member_id.is_empty() {
        Some(Failure::new(ErrorCode::InvalidRequest, "the member id is empty"))
    } else if request.group_id.is_empty() {
        Some(Failure::new(ErrorCode::InvalidRequest, "the group id is empty"))
    } else {
        None
    };
    if let Some(failure) = failure {
        return Ok(Begun::Done { head, done: work.failed(&failure) });
    }
    let Some(partition) = place_of(context, request.group_id) else {
        let failure = Failure::new(ErrorCode::NotCoordinator, "the topic of groups does not exist yet");
        return Ok(Begun::Done { head, done: work.failed(&failure) });
    };
    let texts = |texts: Vec<&str>| texts.into_iter().map(String::from).collect();
    let rebalance_timeout = u64::try_from(request.rebalance_timeout_ms).ok();
    let command = GroupCommand::ConsumerHeartbeat(ConsumerHeartbeat {
        group: request.group_id.to_string(),
        member: request.member_id.to_string(),
        member_epoch: request.member_epoch,
        instance: owned(request.instance_id),
        client: client(context, client_id),
        rack: owned(request.rack_id),
        rebalance_timeout: rebalance_timeout.map(Duration::from_millis),
        topics: request.subscribed_topic_names.map(texts),
        regex: owned(request.subscribed_topic_regex),
        assignor: owned(request.server_assignor),
        owned: request.topic_partitions.map(in_order),
    });
    context.asks.push(Ask::Group { part: 0, partition, command });
    Ok(Begun::Working { work: Work::ConsumerGroupHeartbeat(work), wait: Some(WAIT) })
}

fn in_order(topics: Vec<request::TopicPartitions>) -> Vec<TopicPartitions> {
    let topics = topics.into_iter().map(|request::TopicPartitions { topic_id, mut partitions, .. }| {
        partitions.sort_unstable();
        TopicPartitions { topic: TopicId(topic_id), partitions }
    });
    let mut topics: Vec<TopicPartitions> = topics.collect();
    topics.sort_unstable();
    topics
}

impl ConsumerGroupHeartbeat {
    #[expect(clippy::wildcard_enum_match_arm, reason = "a request knows the replies to its own questions")]
    pub(super) fn on_reply(&self, reply: GroupReply) -> Done {
        match reply {
            GroupReply::ConsumerHeartbeat(assigned) => self.assigned(assigned),
            GroupReply::Failed(error) => {
                self.failed(&Failure { code: code_of(&error), message: message_of(&error) })
            }
            other => panic!("{other:?} does not answer ConsumerGroupHeartbeat"),
        }
    }

    /// It is not known whether what was said will be in force.
    pub(super) fn on_deadline(&self) -> Done {
        let message = "the heartbeat was not written in time";
        self.failed(&Failure::new(ErrorCode::CoordinatorNotAvailable, message))
    }

    fn assigned(&self, assigned: ConsumerAssigned) -> Done {
        let partitions = |topic: TopicPartitions| response::TopicPartitions {
            topic_id: topic.topic.0,
            partitions: topic.partitions,
            ..response::TopicPartitions::default()
        };
        let assignment = assigned.assignment.map(|topics| response::Assignment {
            topic_partitions: topics.into_iter().map(partitions).collect(),
            ..response::Assignment::default()
        });
        let interval = i32::try_from(assigned.heartbeat_interval.as_millis());
        self.answer(&ConsumerGroupHeartbeatResponse {
            member_id: Some(&assigned.member),
            member_epoch: assigned.member_epoch,
            heartbeat_interval_ms: interval.unwrap_or(i32::MAX),
            assignment,
            ..ConsumerGroupHeartbeatResponse::default()
        })
    }

    fn failed(&self, failure: &Failure) -> Done {
        self.answer(&ConsumerGroupHeartbeatResponse {
            error_code: failure.code.code(),
            error_message: Some(&failure.message),
            ..ConsumerGroupHeartbeatResponse::default()
        })
    }

    fn answer(&self, response: &ConsumerGroupHeartbeatResponse<'_>) -> Done {
        respond(self.head, |version, writer| response.encode(version, writer))
    }
}
