//! Groups without members: who has them, what they have committed, from bytes to bytes in every version.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::{CONN, World, body, request};
use crate::api::SERVED;
use crate::config::Cleanup;
use crate::group::OFFSETS_TOPIC;
use crate::group::command::GroupError;
use crate::id::Uuid;
use crate::limits::{GROUPS_PER_REQUEST_MAX, OFFSETS_PER_REQUEST_MAX};
use crate::time::Duration;
use crate::wire::ApiKey;
use crate::wire::messages::delete_groups_request::DeleteGroupsRequest;
use crate::wire::messages::delete_groups_response::DeleteGroupsResponse;
use crate::wire::messages::find_coordinator_request::FindCoordinatorRequest;
use crate::wire::messages::find_coordinator_response::FindCoordinatorResponse;
use crate::wire::messages::list_groups_request::ListGroupsRequest;
use crate::wire::messages::list_groups_response::ListGroupsResponse;
use crate::wire::messages::offset_commit_request::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use crate::wire::messages::offset_commit_response::OffsetCommitResponse;
use crate::wire::messages::offset_delete_request::{
    OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use crate::wire::messages::offset_delete_response::OffsetDeleteResponse;
use crate::wire::messages::offset_fetch_request::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use crate::wire::messages::offset_fetch_response::OffsetFetchResponse;

pub(super) fn versions(key: ApiKey) -> core::ops::RangeInclusive<i16> {
    let (_, min, max) = SERVED.iter().find(|(served, _, _)| *served == key).expect("served");
    *min..=*max
}

/// Error, node and port of each key.
fn find(world: &mut World, version: i16, key_type: i8, keys: &[&str]) -> Vec<(i16, i32, i32)> {
    let request = FindCoordinatorRequest {
        key: keys[0],
        key_type,
        coordinator_keys: keys.to_vec(),
        ..FindCoordinatorRequest::default()
    };
    let bytes = body(|writer| request.encode(version, writer));
    world.ask(ApiKey::FindCoordinator, version, &bytes, |reader| {
        let answer = FindCoordinatorResponse::decode(version, reader).expect("a response");
        if version < 4 {
            return vec![(answer.error_code, answer.node_id, answer.port)];
        }
        answer.coordinators.iter().map(|found| (found.error_code, found.node_id, found.port)).collect()
    })
}

/// A world with a topic `t` of two partitions and the one of groups.
pub(super) fn world() -> World {
    let mut world = World::with_topic();
    find(&mut world, 4, 0, &["g"]);
    world
}

pub(super) fn topic_id(world: &World) -> Uuid {
    world.controller.image().topic("t").map_or(Uuid([9; 16]), |topic| topic.id.0)
}

fn commit_request<'a>(
    group: &'a str,
    topic: (&'static str, Uuid),
    partitions: &[(i32, i64)],
) -> OffsetCommitRequest<'a> {
    OffsetCommitRequest {
        group_id: group,
        topics: vec![commit_topic(topic, partitions)],
        ..Default::default()
    }
}

fn commit_topic(
    (name, topic_id): (&'static str, Uuid),
    partitions: &[(i32, i64)],
) -> OffsetCommitRequestTopic<'static> {
    let partitions = partitions.iter().map(|(partition, offset)| OffsetCommitRequestPartition {
        partition_index: *partition,
        committed_offset: *offset,
        committed_leader_epoch: 3,
        committed_metadata: Some("here"),
        ..OffsetCommitRequestPartition::default()
    });
    OffsetCommitRequestTopic {
        name,
        topic_id,
        partitions: partitions.collect(),
        ..OffsetCommitRequestTopic::default()
    }
}

/// The error of each partition.
fn commit(world: &mut World, version: i16, request: &OffsetCommitRequest<'_>) -> Vec<i16> {
    let mut request = request.clone();
    if version < 7 {
        request.group_instance_id = None;
    }
    let bytes = body(|writer| request.encode(version, writer));
    world.ask(ApiKey::OffsetCommit, version, &bytes, |reader| {
        let answer = OffsetCommitResponse::decode(version, reader).expect("a response");
        let partitions = answer.topics.iter().flat_map(|topic| &topic.partitions);
        partitions.map(|partition| partition.error_code).collect()
    })
}

/// The error of the group, and partition, offset, epoch, metadata and error of each of its partitions.
type FetchedGroup = (i16, Vec<(i32, i64, i32, String, i16)>);

fn fetch(world: &mut World, version: i16, group: &str, partitions: Option<&[i32]>) -> FetchedGroup {
    let topic_id = topic_id(world);
    let topics = partitions.map(|partitions| partitions.to_vec());
    let old = topics.clone().map(|partition_indexes| {
        vec![OffsetFetchRequestTopic { name: "t", partition_indexes, ..Default::default() }]
    });
    let new = topics.map(|partition_indexes| {
        let name = if version < 10 { "t" } else { "" };
        vec![OffsetFetchRequestTopics { name, topic_id, partition_indexes, ..Default::default() }]
    });
    let asked = OffsetFetchRequestGroup { group_id: group, topics: new, ..Default::default() };
    let request = if version < 8 {
        OffsetFetchRequest { group_id: group, topics: old, ..Default::default() }
    } else {
        OffsetFetchRequest { groups: vec![asked], ..Default::default() }
    };
    let bytes = body(|writer| request.encode(version, writer));
    world.ask(ApiKey::OffsetFetch, version, &bytes, |reader| {
        let answer = OffsetFetchResponse::decode(version, reader).expect("a response");
        let owned = |text: Option<&str>| String::from(text.expect("never null"));
        if version < 8 {
            let partitions = answer.topics.iter().flat_map(|topic| &topic.partitions).map(|found| {
                let epoch = found.committed_leader_epoch;
                (
                    found.partition_index,
                    found.committed_offset,
                    epoch,
                    owned(found.metadata),
                    found.error_code,
                )
            });
            return (answer.error_code, partitions.collect());
        }
        let [group] = answer.groups.as_slice() else { panic!("{answer:?}") };
        let partitions = group.topics.iter().flat_map(|topic| &topic.partitions).map(|found| {
            let epoch = found.committed_leader_epoch;
            (found.partition_index, found.committed_offset, epoch, owned(found.metadata), found.error_code)
        });
        (group.error_code, partitions.collect())
    })
}

fn delete_offsets(world: &mut World, group: &str, topic: &str, partition: i32) -> (i16, Vec<i16>) {
    let partitions = vec![OffsetDeleteRequestPartition { partition_index: partition }];
    let topics = vec![OffsetDeleteRequestTopic { name: topic, partitions }];
    let bytes = body(|writer| OffsetDeleteRequest { group_id: group, topics }.encode(0, writer));
    world.ask(ApiKey::OffsetDelete, 0, &bytes, |reader| {
        let answer = OffsetDeleteResponse::decode(0, reader).expect("a response");
        let partitions = answer.topics.iter().flat_map(|topic| &topic.partitions);
        (answer.error_code, partitions.map(|partition| partition.error_code).collect())
    })
}

fn list(
    world: &mut World,
    version: i16,
    request: &ListGroupsRequest<'_>,
) -> (i16, Vec<(String, String, String)>) {
    let bytes = body(|writer| request.encode(version, writer));
    world.ask(ApiKey::ListGroups, version, &bytes, |reader| {
        let answer = ListGroupsResponse::decode(version, reader).expect("a response");
        let groups = answer.groups.iter();
        let groups = groups.map(|group| {
            (group.group_id.into(), String::from(group.group_state), String::from(group.group_type))
        });
        (answer.error_code, groups.collect())
    })
}

fn delete_groups(world: &mut World, version: i16, names: &[&str]) -> Vec<i16> {
    let request = DeleteGroupsRequest { groups_names: names.to_vec(), ..DeleteGroupsRequest::default() };
    let bytes = body(|writer| request.encode(version, writer));
    world.ask(ApiKey::DeleteGroups, version, &bytes, |reader| {
        let answer = DeleteGroupsResponse::decode(version, reader).expect("a response");
        answer.results.iter().map(|group| group.error_code).collect()
    })
}

#[test]
fn find_coordinator_makes_the_topic_and_answers_at_once() {
    for version in versions(ApiKey::FindCoordinator) {
        let mut world = World::new();
        assert_eq!(find(&mut world, version, 0, &["g"]), [(0, 1, 9092)]);
        let image = world.controller.image();
        let topic = image.topic(OFFSETS_TOPIC).expect("made");
        assert_eq!((topic.partitions.len(), topic.config.cleanup), (50, Cleanup::Compact));
        assert_eq!(topic.configs["segment.bytes"], "104857600");
        assert_eq!(find(&mut world, version, 0, &["another"]), [(0, 1, 9092)], "it is there already");
        if version >= 1 {
            assert_eq!(find(&mut world, version, 1, &["t"]), [(42, -1, -1)], "no transactions");
            assert_eq!(find(&mut world, version, 7, &["t"]), [(42, -1, -1)]);
        }
        if version >= 4 {
            assert_eq!(find(&mut world, version, 0, &["g", "h"]).len(), 2);
        }
    }
}

#[test]
fn committed_offsets_are_fetched_in_every_version() {
    for version in versions(ApiKey::OffsetCommit) {
        let mut world = world();
        let topic = ("t", topic_id(&world));
        assert_eq!(commit(&mut world, version, &commit_request("g", topic, &[(0, 7), (1, 8)])), [0, 0]);
        let epoch = if version >= 6 { 3 } else { -1 };
        for fetching in versions(ApiKey::OffsetFetch) {
            let told = if fetching >= 5 { epoch } else { -1 };
            let found = |partition, offset| (partition, offset, told, String::from("here"), 0);
            let none = (2, -1, -1, String::new(), 0);
            assert_eq!(fetch(&mut world, fetching, "g", Some(&[1, 2])), (0, vec![found(1, 8), none]));
            if fetching >= 2 {
                assert_eq!(fetch(&mut world, fetching, "g", None), (0, vec![found(0, 7), found(1, 8)]));
                assert_eq!(fetch(&mut world, fetching, "h", None), (0, vec![]));
            }
        }
    }
}

#[test]
fn commits_of_unknown_partitions_and_members_are_refused() {
    for version in versions(ApiKey::OffsetCommit) {
        let mut world = world();
        let known = ("t", topic_id(&world));
        assert_eq!(commit(&mut world, version, &commit_request("g", known, &[(0, 7), (2, 8)])), [0, 3]);
        let unknown = if version >= 10 { 100 } else { 3 };
        let odd = ("odd", Uuid([5; 16]));
        let mut request = commit_request("g", odd, &[(0, 7)]);
        assert_eq!(commit(&mut world, version, &request), [unknown], "nobody is asked");
        request.topics.push(commit_topic(known, &[(1, 7)]));
        assert_eq!(commit(&mut world, version, &request), [unknown, 0]);
        let member = OffsetCommitRequest { generation_id_or_member_epoch: 4, ..request.clone() };
        assert_eq!(commit(&mut world, version, &member), [unknown, 25]);
        let absent = OffsetCommitRequest { group_id: "absent", ..member };
        let not_found = if version >= 9 { 69 } else { 22 };
        assert_eq!(commit(&mut world, version, &absent), [unknown, not_found]);
    }
}

#[test]
fn coordinators_errors_are_told() {
    let mut world = world();
    let topic = ("t", topic_id(&world));
    world.group_error = Some(GroupError::Loading);
    for version in versions(ApiKey::OffsetCommit) {
        assert_eq!(commit(&mut world, version, &commit_request("g", topic, &[(0, 7), (1, 8)])), [14, 14]);
    }
    for version in versions(ApiKey::OffsetFetch) {
        let (error, partitions) = fetch(&mut world, version, "g", Some(&[0]));
        let expected = if version < 2 { (0, vec![14]) } else { (14, vec![]) };
        assert_eq!((error, partitions.iter().map(|partition| partition.4).collect()), expected);
    }
    assert_eq!(delete_offsets(&mut world, "g", "t", 0), (14, vec![]));
    assert_eq!(list(&mut world, 5, &ListGroupsRequest::default()), (14, vec![]));
    assert_eq!(delete_groups(&mut world, 2, &["g"]), [14]);
}

/// A member of the consumer protocol has to use a version that knows its errors.
#[test]
fn stale_member_epochs_are_told_to_who_knows_them() {
    let mut world = world();
    let topic = ("t", topic_id(&world));
    world.group_error = Some(GroupError::StaleMemberEpoch);
    for version in versions(ApiKey::OffsetCommit) {
        let error = if version >= 9 { 113 } else { 35 };
        assert_eq!(commit(&mut world, version, &commit_request("g", topic, &[(0, 7)])), [error]);
    }
}

#[test]
fn without_the_topic_nobody_coordinates() {
    let mut world = World::with_topic();
    let topic = ("t", topic_id(&world));
    assert_eq!(commit(&mut world, 8, &commit_request("g", topic, &[(0, 7)])), [16]);
    assert_eq!(fetch(&mut world, 8, "g", Some(&[0])), (16, vec![]));
    assert_eq!(delete_offsets(&mut world, "g", "t", 0), (16, vec![]));
    assert_eq!(delete_groups(&mut world, 2, &["g"]), [16]);
    assert_eq!(list(&mut world, 5, &ListGroupsRequest::default()), (0, vec![]));
}

#[test]
fn a_commit_that_takes_too_long_is_answered() {
    let mut world = world();
    let topic = ("t", topic_id(&world));
    world.holds = true;
    let bytes = body(|writer| commit_request("g", topic, &[(0, 7)]).encode(8, writer));
    world.send(CONN, &request(ApiKey::OffsetCommit, 8, 5, &bytes));
    world.pass(Duration::from_millis(4_999));
    assert!(world.response(CONN).is_none());
    world.pass(Duration::from_millis(1));
    let error = world.read(ApiKey::OffsetCommit, 8, 5, |reader| {
        OffsetCommitResponse::decode(8, reader).expect("a response").topics[0].partitions[0].error_code
    });
    assert_eq!(error, Some(15));
    world.release();
    assert!(world.response(CONN).is_none(), "answered once");
}

#[test]
fn offsets_and_groups_are_listed_and_deleted() {
    for version in versions(ApiKey::DeleteGroups) {
        let mut world = world();
        let topic = ("t", topic_id(&world));
        for group in ["g", "h", "i"] {
            assert_eq!(commit(&mut world, 8, &commit_request(group, topic, &[(0, 7)])), [0]);
        }
        assert_eq!(delete_groups(&mut world, version, &["h", "absent", "h"]), [0, 69, 69]);
        let names = |world: &mut World| {
            let (error, mut groups) = list(world, 5, &ListGroupsRequest::default());
            groups.sort();
            (error, groups.into_iter().map(|(name, ..)| name).collect::<Vec<_>>())
        };
        assert_eq!(names(&mut world), (0, vec!["g".into(), "i".into()]));
        assert_eq!(delete_offsets(&mut world, "g", "t", 9), (0, vec![3]));
        assert_eq!(delete_offsets(&mut world, "absent", "t", 0), (69, vec![]));
        assert_eq!(delete_offsets(&mut world, "", "t", 0), (24, vec![]));
        assert_eq!(delete_offsets(&mut world, "g", "t", 0), (0, vec![0]));
        assert_eq!(names(&mut world), (0, vec!["i".into()]));
    }
}

#[test]
fn list_groups_filters_by_state_and_type() {
    let mut world = world();
    let topic = ("t", topic_id(&world));
    commit(&mut world, 8, &commit_request("g", topic, &[(0, 7)]));
    for version in versions(ApiKey::ListGroups) {
        let state = if version >= 4 { "Empty" } else { "" };
        let kind = if version >= 5 { "classic" } else { "" };
        let all = (0, vec![("g".into(), state.into(), kind.into())]);
        assert_eq!(list(&mut world, version, &ListGroupsRequest::default()), all);
        if version >= 4 {
            let states = |states_filter| ListGroupsRequest { states_filter, ..Default::default() };
            assert_eq!(list(&mut world, version, &states(vec!["Stable", "empty"])), all);
            assert_eq!(list(&mut world, version, &states(vec!["Stable"])), (0, vec![]));
        }
        if version >= 5 {
            let types = |types_filter| ListGroupsRequest { types_filter, ..Default::default() };
            assert_eq!(list(&mut world, version, &types(vec!["Classic"])), all);
            assert_eq!(list(&mut world, version, &types(vec!["consumer"])), (0, vec![]));
        }
    }
}

#[test]
fn requests_name_no_more_than_their_answers_cost() {
    let mut world = world();
    let names = vec!["g"; GROUPS_PER_REQUEST_MAX + 1];
    let results = delete_groups(&mut world, 2, &names);
    assert_eq!((results[GROUPS_PER_REQUEST_MAX - 1], results[GROUPS_PER_REQUEST_MAX]), (69, 42));
    let (topic, many) = (("t", topic_id(&world)), vec![(0, 7); OFFSETS_PER_REQUEST_MAX + 1]);
    let results = commit(&mut world, 8, &commit_request("g", topic, &many));
    assert_eq!(results[OFFSETS_PER_REQUEST_MAX], 28);
}
