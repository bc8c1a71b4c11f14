//! Groups with members: what a coordinator is asked, and what its answers become, from bytes to bytes in every version.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::groups::{topic_id, versions, world};
use super::{CONN, World, body, request};
use crate::group::command::{
    Client, ConsumerAssigned, ConsumerDescribed, ConsumerDescribedMember, ConsumerHeartbeat, Described,
    DescribedMember, GroupCommand, GroupError, GroupKind, GroupReply, GroupState, Heartbeat, Join, Joined,
    JoinedMember, Leave, Leaving, Sync, Synced, TopicPartitions,
};
use crate::id::{ConnId, TopicId, Uuid};
use crate::limits::{DESCRIBE_GROUPS_ASKS_MAX, DESCRIBE_GROUPS_MAX};
use crate::shard::CloseReason;
use crate::time::Duration;
use crate::wire::messages::consumer_group_describe_request::ConsumerGroupDescribeRequest;
use crate::wire::messages::consumer_group_describe_response::ConsumerGroupDescribeResponse;
use crate::wire::messages::consumer_group_heartbeat_request::{self, ConsumerGroupHeartbeatRequest};
use crate::wire::messages::consumer_group_heartbeat_response::ConsumerGroupHeartbeatResponse;
use crate::wire::messages::describe_groups_request::DescribeGroupsRequest;
use crate::wire::messages::describe_groups_response::DescribeGroupsResponse;
use crate::wire::messages::heartbeat_request::HeartbeatRequest;
use crate::wire::messages::heartbeat_response::HeartbeatResponse;
use crate::wire::messages::join_group_request::{JoinGroupRequest, JoinGroupRequestProtocol};
use crate::wire::messages::join_group_response::JoinGroupResponse;
use crate::wire::messages::leave_group_request::{LeaveGroupRequest, MemberIdentity};
use crate::wire::messages::leave_group_response::LeaveGroupResponse;
use crate::wire::messages::sync_group_request::{SyncGroupRequest, SyncGroupRequestAssignment};
use crate::wire::messages::sync_group_response::SyncGroupResponse;
use crate::wire::{ApiKey, RequestHeader};

/// Gives `reply` to the next question; the question that was asked, and what `read` makes of the answer to the client.
macro_rules! exchange {
    ($world:expr, $key:ident, $version:expr, $request:expr, $response:ident, $reply:expr, |$answer:ident| $read:expr) => {{
        $world.group_replies.push_back($reply);
        let told = ask!($world, $key, $version, $request, $response, |$answer| $read);
        let [command] =
            <[GroupCommand; 1]>::try_from(core::mem::take(&mut $world.group_commands)).expect("one");
        (command, told)
    }};
}

/// What `read` makes of the answer to a request.
macro_rules! ask {
    ($world:expr, $key:ident, $version:expr, $request:expr, $response:ident, |$answer:ident| $read:expr) => {{
        let bytes = body(|writer| $request.encode($version, writer));
        $world.ask(ApiKey::$key, $version, &bytes, |reader| {
            let $answer = $response::decode($version, reader).expect("a response");
            $read
        })
    }};
}

fn client() -> Client {
    Client { id: "test".into(), host: "/10.1.2.3".into() }
}

fn join(version: i16) -> JoinGroupRequest<'static> {
    let range = JoinGroupRequestProtocol { name: "range", metadata: b"\x00r", ..Default::default() };
    let sticky = JoinGroupRequestProtocol { name: "sticky", metadata: b"s", ..Default::default() };
    JoinGroupRequest {
        group_id: "g",
        session_timeout_ms: 30_000,
        rebalance_timeout_ms: 60_000,
        member_id: "me",
        group_instance_id: (version >= 5).then_some("i"),
        protocol_type: "consumer",
        protocols: vec![range, sticky],
        reason: (version >= 8).then_some("why"),
        ..JoinGroupRequest::default()
    }
}

fn joined() -> Joined {
    let member = |id: &str, instance: Option<&str>| JoinedMember {
        id: id.into(),
        instance: instance.map(String::from),
        metadata: b"meta".into(),
    };
    Joined {
        generation: 7,
        protocol_type: "consumer".into(),
        protocol: "range".into(),
        leader: "me".into(),
        skip_assignment: true,
        member: "me".into(),
        members: vec![member("me", Some("i")), member("you", None)],
    }
}

#[test]
fn joins_are_asked_and_answered_in_every_version() {
    for version in versions(ApiKey::JoinGroup) {
        let mut world = world();
        let reply = GroupReply::Joined(joined());
        let (command, members) =
            exchange!(world, JoinGroup, version, join(version), JoinGroupResponse, reply, |answer| {
                assert_eq!((answer.error_code, answer.generation_id), (0, 7));
                assert_eq!((answer.leader, answer.member_id), ("me", "me"));
                assert_eq!(answer.protocol_name, Some("range"));
                assert_eq!(answer.protocol_type, (version >= 7).then_some("consumer"));
                assert_eq!(answer.skip_assignment, version >= 9);
                let members = answer.members.iter();
                members
                    .map(|member| (member.member_id.into(), member.group_instance_id.map(String::from)))
                    .collect::<Vec<(String, _)>>()
            });
        let instance = (version >= 5).then(|| "i".into());
        assert_eq!(members, [("me".into(), instance.clone()), ("you".into(), None)]);
        let expected = Join {
            group: "g".into(),
            member: "me".into(),
            instance,
            client: client(),
            session_timeout: Duration::from_secs(30),
            rebalance_timeout: Duration::from_secs(if version == 0 { 30 } else { 60 }),
            protocol_type: "consumer".into(),
            protocols: vec![("range".into(), b"\x00r".into()), ("sticky".into(), b"s".into())],
            known_member_required: version >= 4,
            can_skip_assignment: version >= 9,
            reason: (version >= 8).then(|| "why".into()),
        };
        assert_eq!(command, GroupCommand::Join(expected), "version {version}");
    }
}

/// Error, generation, protocol and member.
fn refused_join(
    world: &mut World,
    version: i16,
    request: &JoinGroupRequest<'_>,
) -> (i16, i32, Option<String>, String) {
    ask!(world, JoinGroup, version, request, JoinGroupResponse, |answer| {
        assert_eq!((answer.leader, answer.protocol_type, answer.members.len()), ("", None, 0));
        let protocol = answer.protocol_name.map(String::from);
        (answer.error_code, answer.generation_id, protocol, answer.member_id.into())
    })
}

#[test]
fn refused_joins_name_the_member() {
    for version in versions(ApiKey::JoinGroup) {
        let mut world = world();
        let protocol = (version < 7).then(String::new);
        let told = |error, member: &str| (error, -1, protocol.clone(), String::from(member));
        world.group_replies.push_back(GroupReply::MemberIdRequired("new".into()));
        assert_eq!(refused_join(&mut world, version, &join(version)), told(79, "new"));
        world.group_replies.push_back(GroupReply::Failed(GroupError::InconsistentProtocol));
        assert_eq!(refused_join(&mut world, version, &join(version)), told(23, "me"));
        let nameless = JoinGroupRequest { group_id: "", ..join(version) };
        assert_eq!(refused_join(&mut world, version, &nameless), told(24, "me"));
        if version >= 5 {
            let instance = "i".repeat(1_025);
            let long = JoinGroupRequest { group_instance_id: Some(&instance), ..join(version) };
            assert_eq!(refused_join(&mut world, version, &long), told(42, "me"));
        }
        assert_eq!(refused_join(&mut World::with_topic(), version, &join(version)), told(16, "me"));
    }
}

/// The members of a group may say more, all together, than one answer holds.
#[test]
fn a_leader_is_told_no_more_than_fits_an_answer() {
    let mut world = world();
    let mut large = joined();
    large.members.iter_mut().for_each(|member| member.metadata = vec![7; 70 * 1024 * 1024]);
    let (_, error) =
        exchange!(world, JoinGroup, 9, join(9), JoinGroupResponse, GroupReply::Joined(large), |answer| {
            (answer.error_code, answer.members.len())
        });
    assert_eq!(error, (81, 0));
}

#[test]
fn negative_times_are_none() {
    let mut world = world();
    let request = JoinGroupRequest { session_timeout_ms: -1, rebalance_timeout_ms: i32::MIN, ..join(9) };
    let reply = GroupReply::Failed(GroupError::InvalidSessionTimeout);
    let (command, error) =
        exchange!(world, JoinGroup, 9, request, JoinGroupResponse, reply, |answer| answer.error_code);
    let GroupCommand::Join(join) = command else { panic!("{command:?}") };
    assert_eq!((join.session_timeout, join.rebalance_timeout), (Duration::ZERO, Duration::ZERO));
    assert_eq!(error, 26);
}

/// A member's id is made of the client's, and has to fit an answer and a record.
#[test]
fn long_client_ids_are_cut() {
    let mut world = world();
    let id = format!("x{}", "é".repeat(16_000));
    let header = RequestHeader {
        api_key: ApiKey::JoinGroup.code(),
        api_version: 3,
        correlation_id: 5,
        client_id: Some(&id),
        ..RequestHeader::default()
    };
    let mut frame = body(|writer| header.encode(writer));
    frame.extend(body(|writer| join(3).encode(3, writer)));
    let len = i32::try_from(frame.len()).expect("fits");
    world.group_replies.push_back(GroupReply::Failed(GroupError::MaxSizeReached));
    world.send(CONN, &[len.to_be_bytes().to_vec(), frame].concat());
    let [GroupCommand::Join(join)] = world.group_commands.as_slice() else { panic!() };
    assert_eq!(join.client.id, id[..1_023], "whole characters of it");
}

/// However long the others take; and nobody is told anything once the connection is gone.
#[test]
fn joins_and_syncs_wait() {
    let mut world = world();
    let sync = SyncGroupRequest { group_id: "g", member_id: "me", ..SyncGroupRequest::default() };
    world.holds = true;
    world.send(CONN, &request(ApiKey::JoinGroup, 3, 5, &body(|writer| join(3).encode(3, writer))));
    world.send(CONN, &request(ApiKey::SyncGroup, 3, 6, &body(|writer| sync.encode(3, writer))));
    let gone = ConnId { slot: 1, generation: 0 };
    world.accept(gone);
    world.send(gone, &request(ApiKey::JoinGroup, 3, 5, &body(|writer| join(3).encode(3, writer))));
    world.home.on_closed(gone, None);
    world.pass(Duration::from_secs(3_600));
    assert!(world.response(CONN).is_none() && world.closed().is_none());
    world.group_replies.push_back(GroupReply::Joined(joined()));
    let failed = GroupReply::Failed(GroupError::RebalanceInProgress);
    world.group_replies.extend([failed.clone(), failed]);
    world.release();
    let joined = world.read(ApiKey::JoinGroup, 3, 5, |reader| {
        JoinGroupResponse::decode(3, reader).expect("a response").generation_id
    });
    let synced = world.read(ApiKey::SyncGroup, 3, 6, |reader| {
        SyncGroupResponse::decode(3, reader).expect("a response").error_code
    });
    assert_eq!((joined, synced), (Some(7), Some(27)));
}

#[test]
fn syncs_are_asked_and_answered_in_every_version() {
    for version in versions(ApiKey::SyncGroup) {
        let mut world = world();
        let names = version >= 5;
        let to_you =
            SyncGroupRequestAssignment { member_id: "you", assignment: b"given", ..Default::default() };
        let request = SyncGroupRequest {
            group_id: "g",
            generation_id: 7,
            member_id: "me",
            group_instance_id: (version >= 3).then_some("i"),
            protocol_type: names.then_some("consumer"),
            protocol_name: names.then_some("range"),
            assignments: vec![to_you],
            ..SyncGroupRequest::default()
        };
        let reply = GroupReply::Synced(Synced {
            protocol_type: "consumer".into(),
            protocol: "range".into(),
            assignment: b"mine".into(),
        });
        let (command, ()) =
            exchange!(world, SyncGroup, version, request, SyncGroupResponse, reply, |answer| {
                assert_eq!((answer.error_code, answer.assignment), (0, b"mine".as_slice()));
                assert_eq!(answer.protocol_type, names.then_some("consumer"));
                assert_eq!(answer.protocol_name, names.then_some("range"));
            });
        let expected = Sync {
            group: "g".into(),
            generation: 7,
            member: "me".into(),
            instance: (version >= 3).then(|| "i".into()),
            protocol_type: names.then(|| "consumer".into()),
            protocol: names.then(|| "range".into()),
            assignments: vec![("you".into(), b"given".into())],
        };
        assert_eq!(command, GroupCommand::Sync(expected), "version {version}");
        let error = |world: &mut World, request: SyncGroupRequest<'_>| {
            ask!(world, SyncGroup, version, request, SyncGroupResponse, |answer| {
                assert_eq!((answer.protocol_type, answer.protocol_name), (None, None));
                assert!(answer.assignment.is_empty());
                answer.error_code
            })
        };
        world.group_replies.push_back(GroupReply::Failed(GroupError::IllegalGeneration));
        assert_eq!(error(&mut world, request.clone()), 22);
        assert_eq!(error(&mut World::with_topic(), request.clone()), 16);
        assert_eq!(error(&mut world, SyncGroupRequest { group_id: "", ..request.clone() }), 24);
        if names {
            let untyped = SyncGroupRequest { protocol_type: None, ..request.clone() };
            assert_eq!(error(&mut world, untyped), 23, "KIP-559");
            let unnamed = SyncGroupRequest { protocol_name: None, ..request };
            assert_eq!(error(&mut world, unnamed), 23, "KIP-559");
        }
    }
}

#[test]
fn heartbeats_are_asked_and_answered_in_every_version() {
    for version in versions(ApiKey::Heartbeat) {
        let mut world = world();
        let request = HeartbeatRequest {
            group_id: "g",
            generation_id: 7,
            member_id: "me",
            group_instance_id: (version >= 3).then_some("i"),
            ..HeartbeatRequest::default()
        };
        let expected = GroupCommand::Heartbeat(Heartbeat {
            group: "g".into(),
            generation: 7,
            member: "me".into(),
            instance: (version >= 3).then(|| "i".into()),
        });
        let told = [
            (GroupReply::Done, 0),
            (GroupReply::Failed(GroupError::Loading), 0),
            (GroupReply::Failed(GroupError::RebalanceInProgress), 27),
            (GroupReply::Failed(GroupError::UnknownMember), 25),
            (GroupReply::Failed(GroupError::FencedInstance), 82),
            (GroupReply::Failed(GroupError::NotCoordinator), 16),
        ];
        for (reply, error) in told {
            let told =
                exchange!(world, Heartbeat, version, request, HeartbeatResponse, reply, |answer| answer
                    .error_code);
            assert_eq!(told, (expected.clone(), error));
        }
        let error = |world: &mut World, request: HeartbeatRequest<'_>| {
            ask!(world, Heartbeat, version, request, HeartbeatResponse, |answer| answer.error_code)
        };
        assert_eq!(error(&mut World::with_topic(), request.clone()), 16);
        assert_eq!(error(&mut world, HeartbeatRequest { group_id: "", ..request }), 24);
    }
}

fn leave(version: i16) -> LeaveGroupRequest<'static> {
    if version < 3 {
        return LeaveGroupRequest { group_id: "g", member_id: "me", ..LeaveGroupRequest::default() };
    }
    let member = |member_id, group_instance_id| MemberIdentity {
        member_id,
        group_instance_id,
        reason: (version >= 5).then_some("why"),
        ..MemberIdentity::default()
    };
    let members = vec![member("me", None), member("", Some("i"))];
    LeaveGroupRequest { group_id: "g", members, ..LeaveGroupRequest::default() }
}

/// The error of the whole, and instance and error of each member.
type Left = (i16, Vec<(String, Option<String>, i16)>);

fn left(world: &mut World, version: i16, request: &LeaveGroupRequest<'_>) -> Left {
    ask!(world, LeaveGroup, version, request, LeaveGroupResponse, |answer| {
        let members = answer.members.iter().map(|member| {
            (member.member_id.into(), member.group_instance_id.map(String::from), member.error_code)
        });
        (answer.error_code, members.collect())
    })
}

#[test]
fn members_leave_in_every_version() {
    for version in versions(ApiKey::LeaveGroup) {
        let mut world = world();
        let both = |one, two| vec![("me".into(), None, one), (String::new(), Some("i".into()), two)];
        let failed = |error| GroupReply::Failed(error);
        let results = if version < 3 {
            vec![Err(GroupError::UnknownMember)]
        } else {
            vec![Ok(()), Err(GroupError::FencedInstance)]
        };
        world.group_replies.extend([
            GroupReply::Left(results),
            failed(GroupError::UnknownMember),
            failed(GroupError::Loading),
        ]);
        let told = |told: Left, one: i16| if version < 3 { (one, vec![]) } else { told };
        assert_eq!(left(&mut world, version, &leave(version)), told((0, both(0, 82)), 25));
        let reason = || (version >= 5).then(|| String::from("why"));
        let mut members = vec![Leaving { member: "me".into(), instance: None, reason: reason() }];
        if version >= 3 {
            members.push(Leaving { member: String::new(), instance: Some("i".into()), reason: reason() });
        }
        let expected = GroupCommand::Leave(Leave { group: "g".into(), members });
        assert_eq!(core::mem::take(&mut world.group_commands), [expected]);
        assert_eq!(left(&mut world, version, &leave(version)), told((0, both(25, 25)), 25), "no group");
        assert_eq!(left(&mut world, version, &leave(version)), (14, vec![]));
        assert_eq!(left(&mut World::with_topic(), version, &leave(version)), (16, vec![]));
        let nameless = LeaveGroupRequest { group_id: "", ..leave(version) };
        assert_eq!(left(&mut world, version, &nameless), (24, vec![]));
    }
}

/// What changes a group is waited for as long as a commit.
#[test]
fn what_takes_too_long_to_write_is_answered() {
    let mut world = world();
    world.holds = true;
    world.send(CONN, &request(ApiKey::LeaveGroup, 2, 5, &body(|writer| leave(2).encode(2, writer))));
    let beat = body(|writer| heartbeat(1).encode(1, writer));
    world.send(CONN, &request(ApiKey::ConsumerGroupHeartbeat, 1, 6, &beat));
    world.pass(Duration::from_millis(4_999));
    assert!(world.response(CONN).is_none());
    world.pass(Duration::from_millis(1));
    let left = world.read(ApiKey::LeaveGroup, 2, 5, |reader| {
        LeaveGroupResponse::decode(2, reader).expect("a response").error_code
    });
    let beaten = world.read(ApiKey::ConsumerGroupHeartbeat, 1, 6, |reader| {
        ConsumerGroupHeartbeatResponse::decode(1, reader).expect("a response").error_code
    });
    assert_eq!((left, beaten), (Some(15), Some(15)));
}

fn described() -> Described {
    let member = |id: &str, instance: Option<&str>| DescribedMember {
        id: id.into(),
        instance: instance.map(String::from),
        client: client(),
        metadata: b"meta".into(),
        assignment: b"given".into(),
    };
    Described {
        state: GroupState::Stable,
        protocol_type: "consumer".into(),
        protocol: "range".into(),
        members: vec![member("me", Some("i")), member("you", None)],
    }
}

#[test]
fn groups_are_described_in_every_version() {
    for version in versions(ApiKey::DescribeGroups) {
        let mut world = world();
        for include_authorized_operations in [false, version >= 3] {
            let request = DescribeGroupsRequest {
                groups: vec!["g", "gone", "h", "g"],
                include_authorized_operations,
                ..DescribeGroupsRequest::default()
            };
            world.group_replies.extend([
                GroupReply::Described(described()),
                GroupReply::Failed(GroupError::GroupNotFound),
                GroupReply::Failed(GroupError::Loading),
                GroupReply::Described(Described { state: GroupState::Empty, members: vec![], ..described() }),
            ]);
            ask!(world, DescribeGroups, version, request, DescribeGroupsResponse, |answer| {
                let told = answer.groups.iter().map(|group| {
                    (
                        group.group_id,
                        group.error_code,
                        group.group_state,
                        group.protocol_type,
                        group.protocol_data,
                    )
                });
                let not_found = if version >= 6 { 69 } else { 0 };
                let expected = [
                    ("g", 0, "Stable", "consumer", "range"),
                    ("gone", not_found, "Dead", "", ""),
                    ("h", 14, "", "", ""),
                    ("g", 0, "Empty", "consumer", "range"),
                ];
                assert_eq!(told.collect::<Vec<_>>(), expected, "version {version}");
                let message = (version >= 6).then_some("Group gone not found.");
                let messages: Vec<_> = answer.groups.iter().map(|group| group.error_message).collect();
                assert_eq!(messages, [None, message, None, None]);
                let all = if include_authorized_operations { 3_400 } else { i32::MIN };
                let dead = if version >= 6 { i32::MIN } else { all };
                let operations: Vec<_> =
                    answer.groups.iter().map(|group| group.authorized_operations).collect();
                assert_eq!(operations, [all, dead, i32::MIN, all]);
                let [me, you] = answer.groups[0].members.as_slice() else { panic!("{answer:?}") };
                assert_eq!((me.member_id, me.client_id, me.client_host), ("me", "test", "/10.1.2.3"));
                assert_eq!((me.member_metadata, me.member_assignment), (&b"meta"[..], &b"given"[..]));
                assert_eq!(me.group_instance_id, (version >= 4).then_some("i"));
                assert_eq!((you.member_id, you.group_instance_id), ("you", None));
            });
            let asked = ["g", "gone", "h", "g"].map(|group| GroupCommand::Describe(group.into()));
            assert_eq!(core::mem::take(&mut world.group_commands), asked);
        }
        let request = DescribeGroupsRequest { groups: vec!["g", ""], ..DescribeGroupsRequest::default() };
        ask!(World::with_topic(), DescribeGroups, version, request, DescribeGroupsResponse, |answer| {
            let errors: Vec<_> = answer.groups.iter().map(|group| group.error_code).collect();
            assert_eq!(errors, [16, 16]);
        });
    }
}

/// A group that is named again and again is described for as long as there is room.
#[test]
fn descriptions_are_bounded() {
    let mut world = world();
    let large = || {
        let mut group = described();
        group.members[0].metadata = vec![7; 4 * 1024 * 1024];
        GroupReply::Described(group)
    };
    world.holds = true;
    let request_of = |count| {
        let named = DescribeGroupsRequest { groups: vec!["g"; count], ..DescribeGroupsRequest::default() };
        request(ApiKey::DescribeGroups, 5, 5, &body(|writer| named.encode(5, writer)))
    };
    world.send(CONN, &request_of(100));
    assert_eq!(world.held.len(), DESCRIBE_GROUPS_ASKS_MAX);
    world.group_replies.extend((0..100).map(|_| large()));
    world.release();
    let errors = world.read(ApiKey::DescribeGroups, 5, 5, |reader| {
        let answer = DescribeGroupsResponse::decode(5, reader).expect("a response");
        answer.groups.iter().map(|group| group.error_code).collect::<Vec<_>>()
    });
    let errors = errors.expect("an answer");
    let told = |code| errors.iter().filter(|error| **error == code).count();
    assert_eq!((told(0), told(15)), (15, 85), "four MiB each, and a little");
    // An answer repeats names, and could not hold these.
    let long = "x".repeat(32_767);
    let named = DescribeGroupsRequest { groups: vec![&long; 1_100], ..DescribeGroupsRequest::default() };
    let frame = request(ApiKey::DescribeGroups, 6, 5, &body(|writer| named.encode(6, writer)));
    let other = ConnId { slot: 1, generation: 0 };
    world.accept(other);
    world.send(other, &frame);
    assert!(matches!(world.clients[&other].closed, Some(CloseReason::Malformed)));
    world.send(CONN, &request_of(DESCRIBE_GROUPS_MAX + 1));
    assert!(matches!(world.closed(), Some(CloseReason::Malformed)));
}

fn heartbeat(version: i16) -> ConsumerGroupHeartbeatRequest<'static> {
    let owned = |id, partitions| consumer_group_heartbeat_request::TopicPartitions {
        topic_id: Uuid([id; 16]),
        partitions,
        ..Default::default()
    };
    ConsumerGroupHeartbeatRequest {
        group_id: "g",
        member_id: if version == 0 { "" } else { "me" },
        member_epoch: 4,
        instance_id: Some("i"),
        rack_id: Some("r"),
        rebalance_timeout_ms: 60_000,
        subscribed_topic_names: Some(vec!["t", "u"]),
        subscribed_topic_regex: (version >= 1).then_some("a.*"),
        server_assignor: Some("range"),
        topic_partitions: Some(vec![owned(2, vec![3, 1]), owned(1, vec![0])]),
        ..ConsumerGroupHeartbeatRequest::default()
    }
}

#[test]
fn consumer_heartbeats_are_asked_and_answered_in_every_version() {
    for version in versions(ApiKey::ConsumerGroupHeartbeat) {
        let mut world = world();
        let of = |id, partitions| TopicPartitions { topic: TopicId(Uuid([id; 16])), partitions };
        for assignment in [None, Some(vec![]), Some(vec![of(3, vec![0, 2])])] {
            let reply = GroupReply::ConsumerHeartbeat(ConsumerAssigned {
                member: "me".into(),
                member_epoch: 5,
                heartbeat_interval: Duration::from_secs(5),
                assignment: assignment.clone(),
            });
            let (command, told) = exchange!(
                world,
                ConsumerGroupHeartbeat,
                version,
                heartbeat(version),
                ConsumerGroupHeartbeatResponse,
                reply,
                |answer| {
                    assert_eq!((answer.error_code, answer.error_message), (0, None));
                    assert_eq!((answer.member_id, answer.member_epoch), (Some("me"), 5));
                    assert_eq!(answer.heartbeat_interval_ms, 5_000);
                    answer.assignment.map(|assignment| {
                        let topics = assignment.topic_partitions.into_iter();
                        topics.map(|topic| (topic.topic_id, topic.partitions)).collect::<Vec<_>>()
                    })
                }
            );
            let topics = assignment
                .map(|topics| topics.into_iter().map(|topic| (topic.topic.0, topic.partitions)).collect());
            assert_eq!(told, topics);
            let expected = ConsumerHeartbeat {
                group: "g".into(),
                member: heartbeat(version).member_id.into(),
                member_epoch: 4,
                instance: Some("i".into()),
                client: client(),
                rack: Some("r".into()),
                rebalance_timeout: Some(Duration::from_secs(60)),
                topics: Some(vec!["t".into(), "u".into()]),
                regex: (version >= 1).then(|| "a.*".into()),
                assignor: Some("range".into()),
                owned: Some(vec![of(1, vec![0]), of(2, vec![1, 3])]),
            };
            assert_eq!(command, GroupCommand::ConsumerHeartbeat(expected), "version {version}");
        }
    }
}

#[test]
fn consumer_heartbeats_without_news_say_nothing() {
    let mut world = world();
    let request = ConsumerGroupHeartbeatRequest {
        group_id: "g",
        member_id: "me",
        member_epoch: 4,
        rebalance_timeout_ms: -1,
        subscribed_topic_names: None,
        topic_partitions: None,
        ..ConsumerGroupHeartbeatRequest::default()
    };
    let reply = GroupReply::Failed(GroupError::FencedMemberEpoch);
    let (command, told) = exchange!(
        world,
        ConsumerGroupHeartbeat,
        1,
        request,
        ConsumerGroupHeartbeatResponse,
        reply,
        |answer| {
            assert!(answer.error_message.is_some_and(|message| !message.is_empty()));
            (answer.error_code, answer.member_id.is_some(), answer.member_epoch, answer.assignment.is_some())
        }
    );
    assert_eq!(told, (110, false, 0, false));
    let GroupCommand::ConsumerHeartbeat(beat) = command else { panic!("{command:?}") };
    let said = (beat.rebalance_timeout, beat.topics, beat.regex, beat.assignor, beat.owned);
    assert_eq!(said, (None, None, None, None, None));
}

#[test]
fn refused_consumer_heartbeats_say_why() {
    let refused = |world: &mut World, version, request: ConsumerGroupHeartbeatRequest<'_>| {
        ask!(world, ConsumerGroupHeartbeat, version, request, ConsumerGroupHeartbeatResponse, |answer| {
            (answer.error_code, String::from(answer.error_message.expect("why")))
        })
    };
    let mut world = world();
    let nobody = ConsumerGroupHeartbeatRequest { member_id: "", ..heartbeat(1) };
    assert_eq!(refused(&mut world, 1, nobody), (42, "the member id is empty".into()), "KIP-1082");
    for version in versions(ApiKey::ConsumerGroupHeartbeat) {
        let nameless = ConsumerGroupHeartbeatRequest { group_id: "", ..heartbeat(version) };
        assert_eq!(refused(&mut world, version, nameless), (42, "the group id is empty".into()));
        let why = || String::from("why");
        for (error, code) in
            [(GroupError::InvalidRequest(why()), 42), (GroupError::InvalidRegularExpression(why()), 128)]
        {
            world.group_replies.push_back(GroupReply::Failed(error));
            assert_eq!(refused(&mut world, version, heartbeat(version)), (code, why()));
        }
        // A message repeats an expression of any length, and more.
        let long = GroupError::InvalidRegularExpression("é".repeat(32_767));
        world.group_replies.push_back(GroupReply::Failed(long));
        assert_eq!(refused(&mut world, version, heartbeat(version)), (128, "é".repeat(1_024)));
        assert_eq!(refused(&mut World::with_topic(), version, heartbeat(version)).0, 16);
    }
}

#[test]
fn consumer_groups_are_described_in_every_version() {
    for version in versions(ApiKey::ConsumerGroupDescribe) {
        let mut world = world();
        let of = |id, partitions| TopicPartitions { topic: TopicId(id), partitions };
        let (here, gone) = (topic_id(&world), Uuid([5; 16]));
        let member = |id: &str, kind| ConsumerDescribedMember {
            id: id.into(),
            instance: Some("i".into()),
            rack: Some("r".into()),
            epoch: 3,
            client: client(),
            topics: vec!["t".into()],
            regex: Some("a.*".into()),
            assignment: vec![of(here, vec![1]), of(gone, vec![0])],
            target: vec![of(here, vec![0, 1])],
            kind,
        };
        let group = ConsumerDescribed {
            state: GroupState::Reconciling,
            epoch: 5,
            assignment_epoch: 4,
            assignor: "uniform".into(),
            members: vec![member("me", GroupKind::Consumer), member("old", GroupKind::Classic)],
        };
        world.group_replies.extend([
            GroupReply::ConsumerDescribed(group),
            GroupReply::Failed(GroupError::GroupNotFound),
            GroupReply::Failed(GroupError::NotCoordinator),
        ]);
        let request = ConsumerGroupDescribeRequest {
            group_ids: vec!["g", "gone", "h"],
            include_authorized_operations: true,
            ..ConsumerGroupDescribeRequest::default()
        };
        ask!(world, ConsumerGroupDescribe, version, request, ConsumerGroupDescribeResponse, |answer| {
            let told = answer.groups.iter().map(|group| {
                (group.group_id, group.error_code, group.error_message, group.authorized_operations)
            });
            let expected = [
                ("g", 0, None, 3_400),
                ("gone", 69, Some("Group gone not found."), i32::MIN),
                ("h", 16, None, i32::MIN),
            ];
            assert_eq!(told.collect::<Vec<_>>(), expected);
            let group = &answer.groups[0];
            assert_eq!((group.group_state, group.assignor_name), ("Reconciling", "uniform"));
            assert_eq!((group.group_epoch, group.assignment_epoch), (5, 4));
            let [me, old] = group.members.as_slice() else { panic!("{answer:?}") };
            assert_eq!((me.member_id, me.instance_id, me.rack_id), ("me", Some("i"), Some("r")));
            assert_eq!((me.client_id, me.client_host, me.member_epoch), ("test", "/10.1.2.3", 3));
            assert_eq!(
                (&me.subscribed_topic_names[..], me.subscribed_topic_regex),
                (&["t"][..], Some("a.*"))
            );
            let [topic] = me.assignment.topic_partitions.as_slice() else { panic!("one is gone") };
            assert_eq!((topic.topic_id, topic.topic_name, &topic.partitions[..]), (here, "t", &[1][..]));
            assert_eq!(me.target_assignment.topic_partitions[0].partitions, [0, 1]);
            let kinds = if version >= 1 { (1, 0) } else { (-1, -1) };
            assert_eq!((me.member_type, old.member_type), kinds);
        });
        let asked = ["g", "gone", "h"].map(|group| GroupCommand::ConsumerDescribe(group.into()));
        assert_eq!(world.group_commands, asked);
    }
}
