//! The coordinator of the fake broker: the real machine of groups behind the fake's wire. Nothing of it is lost or delayed here; that
//! is what twists are for.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use super::{Fake, Topic, bytes_of};
use crate::coordinator::{Decision, Machine, Token, Turn};
use crate::group::command::{
    Client, CommitOffsets, Committing, ConsumerHeartbeat, FetchOffsets, Fetched, GroupCommand, GroupError,
    GroupReply, Heartbeat, Join, Leave, Leaving, Sync, TopicPartition, TopicPartitions,
};
use crate::group::groups::Groups;
use crate::group::record::GroupRecord;
use crate::group::settings::GroupSettings;
use crate::group::topics::{self, Surroundings};
use crate::id::TopicId;
use crate::prng::Prng;
use crate::time::{Duration, Instant, Now};
use crate::wire::messages::consumer_group_heartbeat_request::ConsumerGroupHeartbeatRequest;
use crate::wire::messages::consumer_group_heartbeat_response::{
    Assignment, ConsumerGroupHeartbeatResponse, TopicPartitions as WirePartitions,
};
use crate::wire::messages::find_coordinator_request::FindCoordinatorRequest;
use crate::wire::messages::find_coordinator_response::{Coordinator, FindCoordinatorResponse};
use crate::wire::messages::heartbeat_request::HeartbeatRequest;
use crate::wire::messages::heartbeat_response::HeartbeatResponse;
use crate::wire::messages::join_group_request::JoinGroupRequest;
use crate::wire::messages::join_group_response::{JoinGroupResponse, JoinGroupResponseMember};
use crate::wire::messages::leave_group_request::LeaveGroupRequest;
use crate::wire::messages::leave_group_response::LeaveGroupResponse;
use crate::wire::messages::offset_commit_request::OffsetCommitRequest;
use crate::wire::messages::offset_commit_response::{
    OffsetCommitResponse, OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use crate::wire::messages::offset_fetch_request::OffsetFetchRequest;
use crate::wire::messages::offset_fetch_response::{
    OffsetFetchResponse, OffsetFetchResponseGroup, OffsetFetchResponsePartition,
    OffsetFetchResponsePartitions, OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use crate::wire::messages::sync_group_request::SyncGroupRequest;
use crate::wire::messages::sync_group_response::SyncGroupResponse;
use crate::wire::{ApiKey, ErrorCode, Reader, ResponseHeader, Writer};

/// A request that the coordinator has and has not answered.
#[derive(Debug)]
struct Open {
    key: ApiKey,
    version: i16,
    correlation_id: i32,
    /// Of commits, in their order.
    partitions: Vec<TopicPartition>,
    /// What it is answered instead of the truth.
    instead: Option<ErrorCode>,
}

#[derive(Debug)]
pub(in crate::client::tests) struct Coordinating {
    /// The node that has the group; others send away.
    pub(in crate::client::tests) node: i32,
    pub(in crate::client::tests) settings: GroupSettings,
    groups: Groups,
    prng: Prng,
    next: u64,
    open: BTreeMap<u64, Open>,
    answered: Vec<(u64, Vec<u8>)>,
}

impl Coordinating {
    pub(super) fn new() -> Self {
        let mut settings =
            GroupSettings { initial_rebalance_delay: Duration::ZERO, ..GroupSettings::default() };
        settings.consumer.assignment_interval = Duration::ZERO;
        Self {
            node: 1,
            settings,
            groups: Groups::default(),
            prng: Prng::new(7),
            next: 0,
            open: BTreeMap::new(),
            answered: Vec::new(),
        }
    }
}

/// The fake's topics, as they are at one moment.
#[derive(Debug)]
struct Around {
    topics: BTreeMap<String, topics::Topic>,
    settings: GroupSettings,
}

impl Around {
    fn new(topics: &BTreeMap<String, Topic>, settings: &GroupSettings) -> Self {
        let topic = |(name, topic): (&String, &Topic)| {
            let partitions = i32::try_from(topic.logs.len()).unwrap();
            (name.clone(), topics::Topic { id: TopicId(topic.id), partitions, racks: Vec::new() })
        };
        Self { topics: topics.iter().map(topic).collect(), settings: settings.clone() }
    }
}

impl Surroundings for Around {
    fn topic(&self, name: &str) -> Option<topics::Topic> {
        self.topics.get(name).cloned()
    }

    fn name_of(&self, id: TopicId) -> Option<&str> {
        self.topics.iter().find(|(_, topic)| topic.id == id).map(|(name, _)| name.as_str())
    }

    fn names(&self) -> Vec<&str> {
        self.topics.keys().map(String::as_str).collect()
    }

    /// Topics only ever grow here.
    fn version(&self) -> u64 {
        self.topics.values().map(|topic| u64::from(topic.partitions.unsigned_abs()) + 1).sum()
    }

    fn settings(&self, _group: &str) -> GroupSettings {
        self.settings.clone()
    }
}

fn partition(topic: &str, partition: i32) -> TopicPartition {
    TopicPartition { topic: topic.to_string(), partition }
}

fn text(text: Option<&str>) -> Option<String> {
    text.map(ToString::to_string)
}

fn millis(millis: i32) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap())
}

impl Fake {
    /// Takes a request to a coordinator: the number under which it is answered later, or `None` if it is none.
    pub(super) fn coordinate(
        &mut self,
        (key, version, node, correlation_id): (ApiKey, i16, i32, i32),
        body: &mut Reader<'_>,
        (error, instead): (Option<ErrorCode>, Option<ErrorCode>),
    ) -> Option<u64> {
        let (command, partitions) = command(key, version, body)?;
        let at = &mut self.coordinating;
        at.next += 1;
        let number = at.next;
        at.open.insert(number, Open { key, version, correlation_id, partitions, instead });
        let elsewhere = (node != at.node).then_some(GroupError::NotCoordinator);
        if let Some(error) = error {
            at.open.get_mut(&number).unwrap().instead = Some(error);
        }
        match elsewhere {
            Some(error) => at.answer(number, GroupReply::Failed(error)),
            None if error.is_some() => at.answer(number, GroupReply::Done),
            None => self.step(|groups, turn| groups.handle(turn, Token(number), command)),
        }
        Some(number)
    }

    pub(super) fn find_coordinator(
        &self,
        body: &mut Reader<'_>,
        (version, error): (i16, Option<ErrorCode>),
        out: &mut Writer,
    ) {
        let request = FindCoordinatorRequest::decode(version, body).unwrap();
        let address = &self.nodes[&self.coordinating.node];
        let (node_id, port) = (self.coordinating.node, i32::from(address.port));
        let error_code = error.map_or(0, ErrorCode::code);
        let coordinator = |key| Coordinator {
            key,
            node_id,
            host: &address.host,
            port,
            error_code,
            ..Coordinator::default()
        };
        let response = FindCoordinatorResponse {
            node_id,
            host: &address.host,
            port,
            error_code,
            coordinators: request.coordinator_keys.iter().copied().map(coordinator).collect(),
            ..FindCoordinatorResponse::default()
        };
        response.encode(version, out).unwrap();
    }

    /// The answers that are there now.
    pub(in crate::client::tests) fn answers(&mut self) -> Vec<(u64, Vec<u8>)> {
        core::mem::take(&mut self.coordinating.answered)
    }

    pub(in crate::client::tests) fn deadline(&self) -> Option<Instant> {
        self.coordinating.groups.deadline()
    }

    pub(in crate::client::tests) fn tick(&mut self, now: Now) {
        self.now = now;
        if self.deadline().is_some_and(|at| at <= now.mono) {
            self.step(|groups, turn| groups.on_deadline(turn));
        }
    }

    /// A topic has one more partition than before.
    pub(in crate::client::tests) fn add_partition(&mut self, topic: &str) {
        let log = super::Log { leader: 1, ..super::Log::default() };
        self.topics.get_mut(topic).unwrap().logs.push(log);
        self.step(|groups, turn| groups.on_surroundings(turn));
    }

    fn step(
        &mut self,
        act: impl FnOnce(&mut Groups, &mut Turn<'_, dyn Surroundings>) -> Decision<GroupRecord, GroupReply>,
    ) {
        let at = &mut self.coordinating;
        let around = Around::new(&self.topics, &at.settings);
        let mut turn = Turn { now: self.now, prng: &mut at.prng, surroundings: &around as &dyn Surroundings };
        let decision = act(&mut at.groups, &mut turn);
        for record in decision.records {
            at.groups.replay(record);
        }
        for answer in decision.answers {
            at.answer(answer.to.0, answer.reply);
        }
    }
}

impl Coordinating {
    fn answer(&mut self, number: u64, reply: GroupReply) {
        let Some(open) = self.open.remove(&number) else { return };
        let mut out = Writer::frame();
        ResponseHeader::new(open.correlation_id).encode(open.key, open.version, &mut out).unwrap();
        encode(&open, reply, &mut out);
        self.answered.push((number, bytes_of(out)));
    }
}

fn command(key: ApiKey, version: i16, body: &mut Reader<'_>) -> Option<(GroupCommand, Vec<TopicPartition>)> {
    let mut partitions = Vec::new();
    let command = match key.name() {
        "JoinGroup" => GroupCommand::Join(join(version, &JoinGroupRequest::decode(version, body).unwrap())),
        "SyncGroup" => {
            let request = SyncGroupRequest::decode(version, body).unwrap();
            let assignment =
                |a: &'_ crate::wire::messages::sync_group_request::SyncGroupRequestAssignment<'_>| {
                    (a.member_id.to_string(), a.assignment.to_vec())
                };
            GroupCommand::Sync(Sync {
                group: request.group_id.to_string(),
                generation: request.generation_id,
                member: request.member_id.to_string(),
                instance: text(request.group_instance_id),
                protocol_type: text(request.protocol_type),
                protocol: text(request.protocol_name),
                assignments: request.assignments.iter().map(assignment).collect(),
            })
        }
        "Heartbeat" => {
            let request = HeartbeatRequest::decode(version, body).unwrap();
            GroupCommand::Heartbeat(Heartbeat {
                group: request.group_id.to_string(),
                generation: request.generation_id,
                member: request.member_id.to_string(),
                instance: text(request.group_instance_id),
            })
        }
        "LeaveGroup" => {
            let request = LeaveGroupRequest::decode(version, body).unwrap();
            let leaving = |member: &str| Leaving { member: member.to_string(), instance: None, reason: None };
            let members = match version {
                0..3 => vec![leaving(request.member_id)],
                _ => request.members.iter().map(|member| leaving(member.member_id)).collect(),
            };
            GroupCommand::Leave(Leave { group: request.group_id.to_string(), members })
        }
        "OffsetCommit" => {
            let commit = commit(version, &OffsetCommitRequest::decode(version, body).unwrap());
            partitions = commit.offsets.iter().map(|(key, _)| key.clone()).collect();
            GroupCommand::CommitOffsets(commit)
        }
        "OffsetFetch" => {
            GroupCommand::FetchOffsets(fetch(version, &OffsetFetchRequest::decode(version, body).unwrap()))
        }
        "ConsumerGroupHeartbeat" => {
            let request = ConsumerGroupHeartbeatRequest::decode(version, body).unwrap();
            GroupCommand::ConsumerHeartbeat(consumer_heartbeat(&request))
        }
        _ => return None,
    };
    Some((command, partitions))
}

fn join(version: i16, request: &JoinGroupRequest<'_>) -> Join {
    Join {
        group: request.group_id.to_string(),
        member: request.member_id.to_string(),
        instance: text(request.group_instance_id),
        client: Client::default(),
        session_timeout: millis(request.session_timeout_ms),
        rebalance_timeout: millis(request.rebalance_timeout_ms.max(request.session_timeout_ms)),
        protocol_type: request.protocol_type.to_string(),
        protocols: request.protocols.iter().map(|p| (p.name.to_string(), p.metadata.to_vec())).collect(),
        known_member_required: version >= 4,
        can_skip_assignment: version >= 9,
        reason: text(request.reason),
    }
}

fn commit(version: i16, request: &OffsetCommitRequest<'_>) -> CommitOffsets {
    let mut offsets = Vec::new();
    for topic in &request.topics {
        for p in &topic.partitions {
            let committing = Committing {
                topic: None,
                offset: p.committed_offset,
                leader_epoch: (p.committed_leader_epoch >= 0).then_some(p.committed_leader_epoch),
                metadata: text(p.committed_metadata).unwrap_or_default(),
            };
            offsets.push((partition(topic.name, p.partition_index), committing));
        }
    }
    CommitOffsets {
        group: request.group_id.to_string(),
        generation: request.generation_id_or_member_epoch,
        member: request.member_id.to_string(),
        instance: text(request.group_instance_id),
        knows_member_epochs: version >= 9,
        retention: None,
        offsets,
    }
}

/// Partitions of a topic.
type Indexes<'a> = (&'a str, &'a Vec<i32>);

fn fetch(version: i16, request: &OffsetFetchRequest<'_>) -> FetchOffsets {
    let mut member = None;
    let (group, topics): (&str, Option<Vec<Indexes<'_>>>) = if version < 8 {
        let topics = request.topics.as_ref();
        let topics = topics.map(|all| all.iter().map(|t| (t.name, &t.partition_indexes)).collect());
        (request.group_id, topics)
    } else {
        let group = &request.groups[0];
        member = group.member_id.map(|id| (id.to_string(), group.member_epoch));
        let topics = group.topics.as_ref();
        let topics = topics.map(|all| all.iter().map(|t| (t.name, &t.partition_indexes)).collect());
        (group.group_id, topics)
    };
    let partitions = topics.map(|topics| {
        let each = topics.into_iter().flat_map(|(name, all)| all.iter().map(move |&p| partition(name, p)));
        each.collect()
    });
    FetchOffsets { group: group.to_string(), member, partitions, require_stable: request.require_stable }
}

fn consumer_heartbeat(request: &ConsumerGroupHeartbeatRequest<'_>) -> ConsumerHeartbeat {
    let owned = request.topic_partitions.as_ref().map(|topics| {
        let each = topics.iter();
        each.map(|t| TopicPartitions { topic: TopicId(t.topic_id), partitions: t.partitions.clone() })
            .collect()
    });
    let topics = request.subscribed_topic_names.as_ref();
    ConsumerHeartbeat {
        group: request.group_id.to_string(),
        member: request.member_id.to_string(),
        member_epoch: request.member_epoch,
        instance: text(request.instance_id),
        client: Client::default(),
        rack: text(request.rack_id),
        rebalance_timeout: (request.rebalance_timeout_ms >= 0).then(|| millis(request.rebalance_timeout_ms)),
        topics: topics.map(|names| names.iter().map(ToString::to_string).collect()),
        regex: text(request.subscribed_topic_regex),
        assignor: text(request.server_assignor),
        owned,
    }
}

fn code_of(error: &GroupError) -> ErrorCode {
    match error {
        GroupError::NotCoordinator => ErrorCode::NotCoordinator,
        GroupError::IllegalGeneration => ErrorCode::IllegalGeneration,
        GroupError::InconsistentProtocol => ErrorCode::InconsistentGroupProtocol,
        GroupError::UnknownMember => ErrorCode::UnknownMemberId,
        GroupError::InvalidSessionTimeout => ErrorCode::InvalidSessionTimeout,
        GroupError::RebalanceInProgress => ErrorCode::RebalanceInProgress,
        GroupError::MaxSizeReached => ErrorCode::GroupMaxSizeReached,
        GroupError::FencedInstance => ErrorCode::FencedInstanceId,
        GroupError::GroupNotFound | GroupError::NotClassic | GroupError::NotConsumer => {
            ErrorCode::GroupIdNotFound
        }
        GroupError::StaleMemberEpoch => ErrorCode::StaleMemberEpoch,
        GroupError::FencedMemberEpoch => ErrorCode::FencedMemberEpoch,
        GroupError::UnreleasedInstance => ErrorCode::UnreleasedInstanceId,
        GroupError::UnsupportedAssignor => ErrorCode::UnsupportedAssignor,
        GroupError::InvalidRegularExpression(_) => ErrorCode::InvalidRegularExpression,
        other @ (GroupError::Loading
        | GroupError::NotAvailable
        | GroupError::InvalidGroupId
        | GroupError::MetadataTooLarge
        | GroupError::InvalidCommitSize
        | GroupError::NonEmpty
        | GroupError::SubscribedToTopic
        | GroupError::UnknownTopicOrPartition
        | GroupError::InvalidRequest(_)) => panic!("no test asks for {other:?}"),
    }
}

fn encode(open: &Open, reply: GroupReply, out: &mut Writer) {
    let failed = if let GroupReply::Failed(error) = &reply { Some(code_of(error)) } else { None };
    let error_code = open.instead.or(failed).map_or(0, ErrorCode::code);
    match open.key.name() {
        "JoinGroup" => encode_join(open, &reply, error_code, out),
        "SyncGroup" => {
            let synced = if let GroupReply::Synced(synced) = &reply { Some(synced) } else { None };
            let response = SyncGroupResponse {
                error_code,
                protocol_type: synced.map(|s| s.protocol_type.as_str()),
                protocol_name: synced.map(|s| s.protocol.as_str()),
                assignment: synced.map_or(&[], |s| s.assignment.as_slice()),
                ..SyncGroupResponse::default()
            };
            response.encode(open.version, out).unwrap();
        }
        "Heartbeat" => {
            HeartbeatResponse { error_code, ..Default::default() }.encode(open.version, out).unwrap();
        }
        "LeaveGroup" => {
            LeaveGroupResponse { error_code, ..Default::default() }.encode(open.version, out).unwrap();
        }
        "OffsetCommit" => encode_commit(open, &reply, error_code, out),
        "OffsetFetch" => encode_fetch(open, &reply, error_code, out),
        "ConsumerGroupHeartbeat" => encode_heartbeat(open, &reply, error_code, out),
        name => panic!("{name} is not for coordinators"),
    }
}

fn encode_join(open: &Open, reply: &GroupReply, error_code: i16, out: &mut Writer) {
    let empty = JoinGroupResponse {
        error_code,
        generation_id: -1,
        protocol_name: Some(""),
        ..JoinGroupResponse::default()
    };
    let response = if error_code != 0 {
        empty
    } else if let GroupReply::Joined(joined) = reply {
        JoinGroupResponse {
            generation_id: joined.generation,
            protocol_type: Some(&joined.protocol_type),
            protocol_name: Some(&joined.protocol),
            leader: &joined.leader,
            skip_assignment: joined.skip_assignment,
            member_id: &joined.member,
            members: joined
                .members
                .iter()
                .map(|member| JoinGroupResponseMember {
                    member_id: &member.id,
                    group_instance_id: member.instance.as_deref(),
                    metadata: &member.metadata,
                    ..JoinGroupResponseMember::default()
                })
                .collect(),
            ..empty
        }
    } else if let GroupReply::MemberIdRequired(id) = reply {
        JoinGroupResponse { error_code: ErrorCode::MemberIdRequired.code(), member_id: id, ..empty }
    } else {
        empty
    };
    response.encode(open.version, out).unwrap();
}

fn encode_commit(open: &Open, reply: &GroupReply, error_code: i16, out: &mut Writer) {
    let results = if let GroupReply::Committed(results) = reply { results.as_slice() } else { &[] };
    let mut topics: Vec<OffsetCommitResponseTopic<'_>> = Vec::new();
    for (place, key) in open.partitions.iter().enumerate() {
        let own =
            results.get(place).and_then(|result| result.as_ref().err()).map_or(0, |e| code_of(e).code());
        let error_code = if error_code == 0 { own } else { error_code };
        let partition_index = key.partition;
        let partition = OffsetCommitResponsePartition { partition_index, error_code, ..Default::default() };
        let (name, partitions) = (key.topic.as_str(), vec![partition]);
        topics.push(OffsetCommitResponseTopic { name, partitions, ..Default::default() });
    }
    OffsetCommitResponse { topics, ..Default::default() }.encode(open.version, out).unwrap();
}

fn encode_fetch(open: &Open, reply: &GroupReply, error_code: i16, out: &mut Writer) {
    let found = if let GroupReply::Fetched(found) = reply { found.as_slice() } else { &[] };
    let flat: Vec<(&str, i32, i64, i16)> = found
        .iter()
        .map(|(key, fetched)| {
            let (offset, error) = match fetched {
                Fetched::Offset { offset, .. } => (*offset, ErrorCode::None),
                Fetched::None => (-1, ErrorCode::None),
                Fetched::Unstable => (-1, ErrorCode::UnstableOffsetCommit),
            };
            (key.topic.as_str(), key.partition, offset, error.code())
        })
        .collect();
    let old = flat.iter().map(|&(name, partition_index, committed_offset, error_code)| {
        let metadata = Some("");
        let partition = OffsetFetchResponsePartition {
            partition_index,
            committed_offset,
            metadata,
            error_code,
            ..Default::default()
        };
        OffsetFetchResponseTopic { name, partitions: vec![partition], ..Default::default() }
    });
    let new = flat.iter().map(|&(name, partition_index, committed_offset, error_code)| {
        let metadata = Some("");
        let partition = OffsetFetchResponsePartitions {
            partition_index,
            committed_offset,
            metadata,
            error_code,
            ..Default::default()
        };
        OffsetFetchResponseTopics { name, partitions: vec![partition], ..Default::default() }
    });
    let groups = vec![OffsetFetchResponseGroup { topics: new.collect(), error_code, ..Default::default() }];
    let response =
        OffsetFetchResponse { topics: old.collect(), groups, error_code, ..OffsetFetchResponse::default() };
    response.encode(open.version, out).unwrap();
}

fn encode_heartbeat(open: &Open, reply: &GroupReply, error_code: i16, out: &mut Writer) {
    let response = if let (GroupReply::ConsumerHeartbeat(assigned), 0) = (reply, error_code) {
        ConsumerGroupHeartbeatResponse {
            member_id: Some(&assigned.member),
            member_epoch: assigned.member_epoch,
            heartbeat_interval_ms: i32::try_from(assigned.heartbeat_interval.as_millis()).unwrap(),
            assignment: assigned.assignment.as_ref().map(|topics| Assignment {
                topic_partitions: topics
                    .iter()
                    .map(|t| WirePartitions {
                        topic_id: t.topic.0,
                        partitions: t.partitions.clone(),
                        ..WirePartitions::default()
                    })
                    .collect(),
                ..Assignment::default()
            }),
            ..ConsumerGroupHeartbeatResponse::default()
        }
    } else {
        ConsumerGroupHeartbeatResponse { error_code, ..Default::default() }
    };
    response.encode(open.version, out).unwrap();
}
