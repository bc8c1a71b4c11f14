//! The APIs of administration that ask partitions or add some, from bytes to bytes.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::{World, batch, body};
use crate::api::SERVED;
use crate::replica::PartitionError;
use crate::shard::{Config, FileSystem};
use crate::wire::ApiKey;
use crate::wire::messages::alter_replica_log_dirs_request::{
    AlterReplicaLogDir, AlterReplicaLogDirTopic, AlterReplicaLogDirsRequest,
};
use crate::wire::messages::alter_replica_log_dirs_response::AlterReplicaLogDirsResponse;
use crate::wire::messages::create_partitions_request::{
    CreatePartitionsAssignment, CreatePartitionsRequest, CreatePartitionsTopic,
};
use crate::wire::messages::create_partitions_response::CreatePartitionsResponse;
use crate::wire::messages::delete_records_request::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
};
use crate::wire::messages::delete_records_response::DeleteRecordsResponse;
use crate::wire::messages::describe_log_dirs_request::{DescribableLogDirTopic, DescribeLogDirsRequest};
use crate::wire::messages::describe_log_dirs_response::DescribeLogDirsResponse;
use crate::wire::messages::describe_producers_request::{DescribeProducersRequest, TopicRequest};
use crate::wire::messages::describe_producers_response::DescribeProducersResponse;
use crate::wire::messages::offset_for_leader_epoch_request::{
    OffsetForLeaderEpochRequest, OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use crate::wire::messages::offset_for_leader_epoch_response::OffsetForLeaderEpochResponse;

fn versions(key: ApiKey) -> core::ops::RangeInclusive<i16> {
    let (_, min, max) = SERVED.iter().find(|(served, _, _)| *served == key).expect("served");
    *min..=*max
}

fn more(name: &str, count: i32) -> CreatePartitionsTopic<'_> {
    CreatePartitionsTopic { name, count, assignments: None, ..CreatePartitionsTopic::default() }
}

/// Error and message of each topic.
fn create(
    world: &mut World,
    version: i16,
    request: &CreatePartitionsRequest<'_>,
) -> Vec<(i16, Option<String>)> {
    let bytes = body(|writer| request.encode(version, writer));
    world.ask(ApiKey::CreatePartitions, version, &bytes, |reader| {
        let answer = CreatePartitionsResponse::decode(version, reader).expect("a response");
        answer.results.iter().map(|topic| (topic.error_code, topic.error_message.map(String::from))).collect()
    })
}

#[test]
fn create_partitions_adds_in_every_version() {
    for version in versions(ApiKey::CreatePartitions) {
        let mut world = World::with_topic();
        let count = |world: &World| world.controller.image().topic("t").expect("there").partitions.len();
        let mut request = CreatePartitionsRequest { topics: vec![more("t", 5)], ..Default::default() };
        request.validate_only = true;
        assert_eq!((create(&mut world, version, &request), count(&world)), (vec![(0, None)], 2));
        request.validate_only = false;
        assert_eq!((create(&mut world, version, &request), count(&world)), (vec![(0, None)], 5));
        let id = world.partition("t", 4);
        assert!(world.controller.image().partition(id).is_some_and(|partition| partition.leader.is_some()));
    }
}

#[test]
fn create_partitions_names_what_is_wrong() {
    let mut world = World::with_topic();
    world.create("u", 1, &[]);
    let assigned = |count, nodes: &[&[i32]]| CreatePartitionsTopic {
        assignments: Some(
            nodes
                .iter()
                .map(|ids| CreatePartitionsAssignment { broker_ids: ids.to_vec(), ..Default::default() })
                .collect(),
        ),
        ..more("t", count)
    };
    let wrong = [
        (more("t", 2), 37, "the topic has 2 partitions already"),
        (more("t", 1), 37, "topic 't' has 2 partitions, and partitions are only ever added: 1 are fewer"),
        (more("t", -1), 37, "topic 't' has 2 partitions, and partitions are only ever added: -1 are fewer"),
        (more("t", i32::MAX), 37, "2147483645 further partitions: one request may create at most 10000"),
        (more("none", 2), 3, "no topic has this name"),
        (assigned(4, &[&[1]]), 39, "2 further partitions need an assignment each, and 1 are given"),
        (assigned(3, &[&[]]), 39, "an assignment names no broker"),
        (assigned(3, &[&[2]]), 39, "an assignment names broker 2, which the cluster does not have"),
        (assigned(3, &[&[1, 1]]), 39, "an assignment names broker 1 twice"),
    ];
    for (topic, code, message) in wrong {
        let request = CreatePartitionsRequest { topics: vec![topic], ..Default::default() };
        assert_eq!(create(&mut world, 3, &request), [(code, Some(String::from(message)))]);
    }
    let topics = vec![more("t", 3), more("u", 3), more("t", 4)];
    let request = CreatePartitionsRequest { topics, ..CreatePartitionsRequest::default() };
    let told = create(&mut world, 3, &request);
    assert_eq!(told, [(42, Some(String::from("the topic is named twice"))), (0, None)]);
    let image = world.controller.image();
    assert_eq!((image.partition_count(), image.topic("t").expect("there").partitions.len()), (5, 2));
    let request = CreatePartitionsRequest { topics: vec![assigned(3, &[&[1]])], ..Default::default() };
    assert_eq!(create(&mut world, 3, &request), [(0, None)]);
}

#[test]
fn create_partitions_is_bounded_over_a_whole_request() {
    let mut world = World::new();
    for name in ["a", "b"] {
        world.create(name, 1, &[]);
    }
    let topics = vec![more("a", 9_001), more("b", 1_002)];
    let request = CreatePartitionsRequest { topics, ..CreatePartitionsRequest::default() };
    let codes: Vec<i16> = create(&mut world, 3, &request).iter().map(|(code, _)| *code).collect();
    assert_eq!(codes, [0, 37]);
}

fn delete(world: &mut World, version: i16, topic: &str, parts: &[(i32, i64)]) -> Vec<(i16, i64)> {
    let partition = |&(partition_index, offset): &(i32, i64)| DeleteRecordsPartition {
        partition_index,
        offset,
        ..DeleteRecordsPartition::default()
    };
    let partitions = parts.iter().map(partition).collect();
    let topics = vec![DeleteRecordsTopic { name: topic, partitions, ..DeleteRecordsTopic::default() }];
    let request = DeleteRecordsRequest { topics, ..DeleteRecordsRequest::default() };
    let bytes = body(|writer| request.encode(version, writer));
    world.ask(ApiKey::DeleteRecords, version, &bytes, |reader| {
        let answer = DeleteRecordsResponse::decode(version, reader).expect("a response");
        answer.topics[0].partitions.iter().map(|p| (p.error_code, p.low_watermark)).collect()
    })
}

#[test]
fn delete_records_answers_the_low_watermark() {
    for version in versions(ApiKey::DeleteRecords) {
        let mut world = World::with_topic();
        world.log(0).append(&batch(10, 1));
        assert_eq!(delete(&mut world, version, "t", &[(0, 4), (1, -1), (2, 0)]), [(0, 4), (0, 0), (3, -1)]);
        assert_eq!(delete(&mut world, version, "t", &[(0, 2)]), [(0, 4)], "it does not go back");
        assert_eq!(delete(&mut world, version, "t", &[(0, 11), (0, -2)]), [(1, -1), (1, -1)]);
        assert_eq!(delete(&mut world, version, "t", &[(0, -1)]), [(0, 10)]);
        assert_eq!(delete(&mut world, version, "none", &[(0, -1)]), [(3, -1)]);
    }
}

#[test]
fn delete_records_keeps_to_the_cleanup_policy() {
    let mut world = World::new();
    let policies = [("a", "", 0), ("b", "delete", 0), ("c", "compact,delete", 0), ("d", "compact", 44)];
    for (name, policy, code) in policies {
        world.create(name, 1, &[("cleanup.policy", policy)]);
        assert_eq!(delete(&mut world, 2, name, &[(0, 0)])[0].0, code, "{policy}");
    }
    world.create("__consumer_offsets", 1, &[]);
    assert_eq!(delete(&mut world, 2, "__consumer_offsets", &[(0, 0)]), [(17, -1)]);
}

#[test]
fn delete_records_tells_why_a_partition_refuses() {
    let mut world = World::with_topic();
    world.log(1).error = Some(PartitionError::StorageFull);
    assert_eq!(delete(&mut world, 2, "t", &[(0, 0), (1, 0)]), [(0, 0), (56, -1)]);
}

#[test]
fn epochs_end_where_the_partition_says() {
    let mut world = World::with_topic();
    world.log(0).append(&batch(3, 1));
    world.log(1).error = Some(PartitionError::FencedLeaderEpoch);
    let wanted = |partition, leader_epoch| OffsetForLeaderPartition {
        partition,
        leader_epoch,
        ..OffsetForLeaderPartition::default()
    };
    let topic = |topic, partitions| OffsetForLeaderTopic { topic, partitions, ..Default::default() };
    let request = OffsetForLeaderEpochRequest {
        replica_id: -1,
        topics: vec![
            topic("t", vec![wanted(0, 0), wanted(0, 1), wanted(1, 0), wanted(2, 0)]),
            topic("none", vec![wanted(0, 0)]),
        ],
        ..OffsetForLeaderEpochRequest::default()
    };
    for version in versions(ApiKey::OffsetForLeaderEpoch) {
        let bytes = body(|writer| request.encode(version, writer));
        world.ask(ApiKey::OffsetForLeaderEpoch, version, &bytes, |reader| {
            let answer = OffsetForLeaderEpochResponse::decode(version, reader).expect("a response");
            let partitions = answer.topics.iter().flat_map(|topic| &topic.partitions);
            let told: Vec<_> = partitions.map(|p| (p.error_code, p.leader_epoch, p.end_offset)).collect();
            assert_eq!(told, [(0, 0, 3), (0, -1, -1), (74, -1, -1), (3, -1, -1), (3, -1, -1)]);
        });
    }
}

#[test]
fn producers_are_told_as_the_partition_knows_them() {
    let mut world = World::with_topic();
    world.log(1).error = Some(PartitionError::Unknown);
    let topic = |name, indexes: &[i32]| TopicRequest {
        name,
        partition_indexes: indexes.to_vec(),
        ..TopicRequest::default()
    };
    let topics = vec![topic("t", &[0, 1, 9, 0]), topic("none", &[0]), topic("bad name", &[0])];
    let request = DescribeProducersRequest { topics, ..DescribeProducersRequest::default() };
    let bytes = body(|writer| request.encode(0, writer));
    world.ask(ApiKey::DescribeProducers, 0, &bytes, |reader| {
        let answer = DescribeProducersResponse::decode(0, reader).expect("a response");
        let codes: Vec<Vec<i16>> =
            answer.topics.iter().map(|t| t.partitions.iter().map(|p| p.error_code).collect()).collect();
        assert_eq!(codes, [vec![0, 3, 3, 42], vec![3], vec![17]]);
        let state = &answer.topics[0].partitions[0].active_producers[0];
        let told = (state.producer_id, state.producer_epoch, state.last_sequence, state.last_timestamp);
        assert_eq!(told, (7, 2, 41, -1));
        assert_eq!((state.coordinator_epoch, state.current_txn_start_offset), (-1, -1));
    });
}

/// Topics with the sizes of their partitions, by index.
type Sizes = Vec<(String, Vec<(i32, i64)>)>;

fn log_dirs(world: &mut World, version: i16, topics: Option<&[(&str, &[i32])]>) -> Sizes {
    let topic = |&(topic, partitions): &(_, &[i32])| DescribableLogDirTopic {
        topic,
        partitions: partitions.to_vec(),
        ..DescribableLogDirTopic::default()
    };
    let topics = topics.map(|topics| topics.iter().map(topic).collect());
    let request = DescribeLogDirsRequest { topics, ..DescribeLogDirsRequest::default() };
    let bytes = body(|writer| request.encode(version, writer));
    world.ask(ApiKey::DescribeLogDirs, version, &bytes, |reader| {
        let answer = DescribeLogDirsResponse::decode(version, reader).expect("a response");
        assert_eq!((answer.error_code, answer.results.len()), (0, 1));
        let dir = &answer.results[0];
        assert_eq!((dir.log_dir, dir.error_code, dir.is_cordoned), ("/data", 0, false));
        let topics = dir.topics.iter().map(|topic| {
            let sizes = topic.partitions.iter().map(|p| (p.partition_index, p.partition_size));
            (String::from(topic.name), sizes.collect())
        });
        topics.collect()
    })
}

#[test]
fn log_dirs_tell_of_the_file_system_once_it_is_known() {
    let mut world = World::new();
    let mut space = |file_system: Option<FileSystem>, version: i16| {
        file_system.into_iter().for_each(|found| world.home.on_file_system(found));
        let bytes = body(|writer| DescribeLogDirsRequest::default().encode(version, writer));
        world.ask(ApiKey::DescribeLogDirs, version, &bytes, |reader| {
            let answer = DescribeLogDirsResponse::decode(version, reader).expect("a response");
            (answer.results[0].total_bytes, answer.results[0].usable_bytes)
        })
    };
    assert_eq!(space(None, 5), (-1, -1));
    let told = FileSystem { total_bytes: u64::MAX, usable_bytes: 300 };
    assert_eq!((space(Some(told), 4), space(None, 5)), ((i64::MAX, 300), (i64::MAX, 300)));
    assert_eq!(space(None, 3), (-1, -1), "older versions do not have it");
}

#[test]
fn log_dirs_tell_the_bytes_of_partitions() {
    let mut world = World::with(Config { shards: 3, log_dir: "/data".into(), ..Config::default() });
    world.create("t", 2, &[]);
    world.create("u", 1, &[]);
    world.log(1).append(&batch(1, 9));
    let size = i64::try_from(batch(1, 9).len()).expect("fits");
    let t = (String::from("t"), vec![(0, 0), (1, size)]);
    let u = (String::from("u"), vec![(0, 0)]);
    for version in versions(ApiKey::DescribeLogDirs) {
        assert_eq!(log_dirs(&mut world, version, None), [t.clone(), u.clone()]);
        assert_eq!(log_dirs(&mut world, version, Some(&[])), []);
        let some: &[(&str, &[i32])] = &[("t", &[1, 1, 7]), ("none", &[0]), ("t", &[1])];
        assert_eq!(log_dirs(&mut world, version, Some(some)), [(String::from("t"), vec![(1, size)])]);
    }
    world.log(1).error = Some(PartitionError::Unknown);
    assert_eq!(log_dirs(&mut world, 5, None), [(String::from("t"), vec![(0, 0)]), u], "it was just deleted");
}

#[test]
fn replicas_stay_in_the_one_directory() {
    let mut world = World::with(Config { shards: 3, log_dir: "/data".into(), ..Config::default() });
    world.create("t", 2, &[]);
    let dir = |path, name, partitions: &[i32]| AlterReplicaLogDir {
        path,
        topics: vec![AlterReplicaLogDirTopic { name, partitions: partitions.to_vec(), ..Default::default() }],
        ..AlterReplicaLogDir::default()
    };
    let dirs = vec![dir("/data", "t", &[0, 1, 5]), dir("/other", "t", &[1]), dir("/data", "none", &[0])];
    let request = AlterReplicaLogDirsRequest { dirs, ..AlterReplicaLogDirsRequest::default() };
    for version in versions(ApiKey::AlterReplicaLogDirs) {
        let bytes = body(|writer| request.encode(version, writer));
        world.ask(ApiKey::AlterReplicaLogDirs, version, &bytes, |reader| {
            let answer = AlterReplicaLogDirsResponse::decode(version, reader).expect("a response");
            let told: Vec<(&str, Vec<(i32, i16)>)> = answer
                .results
                .iter()
                .map(|topic| {
                    let partitions = topic.partitions.iter().map(|p| (p.partition_index, p.error_code));
                    (topic.topic_name, partitions.collect())
                })
                .collect();
            assert_eq!(told, [("none", vec![(0, 9)]), ("t", vec![(0, 0), (1, 57), (5, 9)])]);
        });
    }
}
