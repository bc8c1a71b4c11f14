//! Requests about groups and their answers, as far as a measurement needs them.

use highwater_core::id::Uuid;
use highwater_core::wire::ApiKey;
use highwater_core::wire::messages::consumer_group_heartbeat_request::{
    ConsumerGroupHeartbeatRequest, TopicPartitions,
};
use highwater_core::wire::messages::consumer_group_heartbeat_response::ConsumerGroupHeartbeatResponse;
use highwater_core::wire::messages::find_coordinator_request::FindCoordinatorRequest;
use highwater_core::wire::messages::find_coordinator_response::FindCoordinatorResponse;
use highwater_core::wire::messages::heartbeat_request::HeartbeatRequest;
use highwater_core::wire::messages::heartbeat_response::HeartbeatResponse;
use highwater_core::wire::messages::join_group_request::{JoinGroupRequest, JoinGroupRequestProtocol};
use highwater_core::wire::messages::join_group_response::JoinGroupResponse;
use highwater_core::wire::messages::leave_group_request::LeaveGroupRequest;
use highwater_core::wire::messages::offset_commit_request::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use highwater_core::wire::messages::offset_commit_response::OffsetCommitResponse;
use highwater_core::wire::messages::offset_fetch_request::OffsetFetchRequest;
use highwater_core::wire::messages::offset_fetch_response::OffsetFetchResponse;
use highwater_core::wire::messages::sync_group_request::{SyncGroupRequest, SyncGroupRequestAssignment};
use highwater_core::wire::messages::sync_group_response::SyncGroupResponse;

use super::Member;
use crate::failure::Failure;
use crate::frame::{answer, begun, whole};

/// The last version in which a member may join without asking for its id first.
const JOIN_VERSION: i16 = 3;
const SYNC_VERSION: i16 = 3;
const HEARTBEAT_VERSION: i16 = 3;
const LEAVE_VERSION: i16 = 2;
const CONSUMER_VERSION: i16 = 1;
const COMMIT_VERSION: i16 = 7;
const OFFSETS_VERSION: i16 = 5;
const FIND_VERSION: i16 = 2;

/// Long enough for a member that is measured for a while and then forgotten.
const SESSION_TIMEOUT_MS: i32 = 600_000;
const REBALANCE_TIMEOUT_MS: i32 = 60_000;

/// The epoch with which a member of a consumer group says that it goes.
pub(crate) const LEAVE_EPOCH: i32 = -1;

/// Partitions of topics, as the consumer protocol tells them.
pub(crate) type Owned = Vec<(Uuid, Vec<i32>)>;

/// Of which request an answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reply {
    Commit,
    Heartbeat,
    ConsumerHeartbeat,
}

#[derive(Debug)]
pub(crate) struct Joined {
    pub(crate) error_code: i16,
    pub(crate) member: String,
    pub(crate) generation: i32,
    pub(crate) leader: String,
    /// All members, if this one leads.
    pub(crate) members: Vec<String>,
}

#[derive(Debug)]
pub(crate) struct Synced {
    pub(crate) error_code: i16,
    pub(crate) assignment: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct ConsumerBeaten {
    pub(crate) error_code: i16,
    pub(crate) epoch: i32,
    /// What is new.
    pub(crate) assignment: Option<Owned>,
}

pub(crate) fn find(group: &str) -> Result<Vec<u8>, Failure> {
    let mut writer = begun(ApiKey::FindCoordinator, FIND_VERSION)?;
    FindCoordinatorRequest { key: group, ..FindCoordinatorRequest::default() }
        .encode(FIND_VERSION, &mut writer)?;
    Ok(whole(writer))
}

pub(crate) fn found(frame: &[u8]) -> Result<i16, Failure> {
    let mut reader = answer(ApiKey::FindCoordinator, FIND_VERSION, frame)?;
    Ok(FindCoordinatorResponse::decode(FIND_VERSION, &mut reader)?.error_code)
}

/// All offsets of a group.
pub(crate) fn offsets(group: &str) -> Result<Vec<u8>, Failure> {
    let mut writer = begun(ApiKey::OffsetFetch, OFFSETS_VERSION)?;
    OffsetFetchRequest { group_id: group, topics: None, ..OffsetFetchRequest::default() }
        .encode(OFFSETS_VERSION, &mut writer)?;
    Ok(whole(writer))
}

pub(crate) fn offsets_error(frame: &[u8]) -> Result<i16, Failure> {
    Ok(offsets_count(frame)?.0)
}

/// The error, and how many partitions have an offset.
pub(crate) fn offsets_count(frame: &[u8]) -> Result<(i16, usize), Failure> {
    let mut reader = answer(ApiKey::OffsetFetch, OFFSETS_VERSION, frame)?;
    let response = OffsetFetchResponse::decode(OFFSETS_VERSION, &mut reader)?;
    let partitions = response.topics.iter().flat_map(|topic| &topic.partitions);
    Ok((response.error_code, partitions.filter(|partition| partition.committed_offset >= 0).count()))
}

pub(crate) fn join(group: &str, member: &str, metadata: &[u8]) -> Result<Vec<u8>, Failure> {
    let protocol =
        JoinGroupRequestProtocol { name: "bench", metadata, ..JoinGroupRequestProtocol::default() };
    let request = JoinGroupRequest {
        group_id: group,
        session_timeout_ms: SESSION_TIMEOUT_MS,
        rebalance_timeout_ms: REBALANCE_TIMEOUT_MS,
        member_id: member,
        protocol_type: "consumer",
        protocols: vec![protocol],
        ..JoinGroupRequest::default()
    };
    let mut writer = begun(ApiKey::JoinGroup, JOIN_VERSION)?;
    request.encode(JOIN_VERSION, &mut writer)?;
    Ok(whole(writer))
}

pub(crate) fn joined(frame: &[u8]) -> Result<Joined, Failure> {
    let mut reader = answer(ApiKey::JoinGroup, JOIN_VERSION, frame)?;
    let response = JoinGroupResponse::decode(JOIN_VERSION, &mut reader)?;
    Ok(Joined {
        error_code: response.error_code,
        member: response.member_id.into(),
        generation: response.generation_id,
        leader: response.leader.into(),
        members: response.members.iter().map(|member| member.member_id.into()).collect(),
    })
}

pub(crate) fn sync(
    group: &str,
    member: &Member,
    assignments: &[(String, Vec<u8>)],
) -> Result<Vec<u8>, Failure> {
    let assignment = |(member, bytes): &(String, Vec<u8>)| (member.clone(), bytes.clone());
    let kept: Vec<(String, Vec<u8>)> = assignments.iter().map(assignment).collect();
    let request = SyncGroupRequest {
        group_id: group,
        generation_id: member.epoch,
        member_id: &member.id,
        assignments: kept
            .iter()
            .map(|(member, bytes)| SyncGroupRequestAssignment {
                member_id: member,
                assignment: bytes,
                ..SyncGroupRequestAssignment::default()
            })
            .collect(),
        ..SyncGroupRequest::default()
    };
    let mut writer = begun(ApiKey::SyncGroup, SYNC_VERSION)?;
    request.encode(SYNC_VERSION, &mut writer)?;
    Ok(whole(writer))
}

pub(crate) fn synced(frame: &[u8]) -> Result<Synced, Failure> {
    let mut reader = answer(ApiKey::SyncGroup, SYNC_VERSION, frame)?;
    let response = SyncGroupResponse::decode(SYNC_VERSION, &mut reader)?;
    Ok(Synced { error_code: response.error_code, assignment: response.assignment.to_vec() })
}

pub(crate) fn heartbeat(group: &str, member: &Member) -> Result<Vec<u8>, Failure> {
    let mut writer = begun(ApiKey::Heartbeat, HEARTBEAT_VERSION)?;
    HeartbeatRequest {
        group_id: group,
        generation_id: member.epoch,
        member_id: &member.id,
        ..HeartbeatRequest::default()
    }
    .encode(HEARTBEAT_VERSION, &mut writer)?;
    Ok(whole(writer))
}

pub(crate) fn beaten(frame: &[u8]) -> Result<i16, Failure> {
    let mut reader = answer(ApiKey::Heartbeat, HEARTBEAT_VERSION, frame)?;
    Ok(HeartbeatResponse::decode(HEARTBEAT_VERSION, &mut reader)?.error_code)
}

pub(crate) fn leave(group: &str, member: &Member) -> Result<Vec<u8>, Failure> {
    let mut writer = begun(ApiKey::LeaveGroup, LEAVE_VERSION)?;
    LeaveGroupRequest { group_id: group, member_id: &member.id, ..LeaveGroupRequest::default() }
        .encode(LEAVE_VERSION, &mut writer)?;
    Ok(whole(writer))
}

/// Joins a member whose epoch is 0 and which names its topic; tells what it has if there is something to tell.
pub(crate) fn consumer_heartbeat(
    group: &str,
    member: &Member,
    topic: Option<&str>,
    owned: Option<&Owned>,
) -> Result<Vec<u8>, Failure> {
    let partitions = |(topic_id, partitions): &(Uuid, Vec<i32>)| TopicPartitions {
        topic_id: *topic_id,
        partitions: partitions.clone(),
        ..TopicPartitions::default()
    };
    let joins = member.epoch == 0;
    let request = ConsumerGroupHeartbeatRequest {
        group_id: group,
        member_id: &member.id,
        member_epoch: member.epoch,
        rebalance_timeout_ms: if joins { REBALANCE_TIMEOUT_MS } else { -1 },
        subscribed_topic_names: topic.map(|topic| vec![topic]),
        topic_partitions: match owned {
            Some(owned) => Some(owned.iter().map(partitions).collect()),
            None => joins.then(Vec::new),
        },
        ..ConsumerGroupHeartbeatRequest::default()
    };
    let mut writer = begun(ApiKey::ConsumerGroupHeartbeat, CONSUMER_VERSION)?;
    request.encode(CONSUMER_VERSION, &mut writer)?;
    Ok(whole(writer))
}

pub(crate) fn consumer_beaten(frame: &[u8]) -> Result<ConsumerBeaten, Failure> {
    let mut reader = answer(ApiKey::ConsumerGroupHeartbeat, CONSUMER_VERSION, frame)?;
    let response = ConsumerGroupHeartbeatResponse::decode(CONSUMER_VERSION, &mut reader)?;
    let assignment = response.assignment.map(|assignment| {
        assignment.topic_partitions.into_iter().map(|topic| (topic.topic_id, topic.partitions)).collect()
    });
    Ok(ConsumerBeaten { error_code: response.error_code, epoch: response.member_epoch, assignment })
}

pub(crate) fn commit(group: &str, topic: &str, partitions: &[i32], offset: i64) -> Result<Vec<u8>, Failure> {
    let partition = |partition: &i32| OffsetCommitRequestPartition {
        partition_index: *partition,
        committed_offset: offset,
        committed_metadata: Some(""),
        ..OffsetCommitRequestPartition::default()
    };
    let topic = OffsetCommitRequestTopic {
        name: topic,
        partitions: partitions.iter().map(partition).collect(),
        ..OffsetCommitRequestTopic::default()
    };
    let request =
        OffsetCommitRequest { group_id: group, topics: vec![topic], ..OffsetCommitRequest::default() };
    let mut writer = begun(ApiKey::OffsetCommit, COMMIT_VERSION)?;
    request.encode(COMMIT_VERSION, &mut writer)?;
    Ok(whole(writer))
}

pub(crate) fn committed(frame: &[u8]) -> Result<i16, Failure> {
    let mut reader = answer(ApiKey::OffsetCommit, COMMIT_VERSION, frame)?;
    let response = OffsetCommitResponse::decode(COMMIT_VERSION, &mut reader)?;
    let mut codes = response.topics.iter().flat_map(|topic| &topic.partitions).map(|told| told.error_code);
    Ok(codes.find(|code| *code != 0).unwrap_or(0))
}

pub(crate) fn error_of(reply: Reply, frame: &[u8]) -> Result<i16, Failure> {
    match reply {
        Reply::Commit => committed(frame),
        Reply::Heartbeat => beaten(frame),
        Reply::ConsumerHeartbeat => Ok(consumer_beaten(frame)?.error_code),
    }
}
