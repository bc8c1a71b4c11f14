//! Settings, the cluster, and what is asked of the leaders of partitions.

use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;

use super::fake::Twist;
use super::world::{World, broker};
use crate::client::{
    AdminAnswer, AdminCall, ClientError, ClientEvent, ConfigChange, ConfigEdit, ConfigKind, ConfigOperation,
    ConfigQuery, ConfigResource, ConfigSource, Destination, Mode, Mutability, OffsetAt, PartitionCall,
    PartitionCount, ResourceKind, Token, TopicPartition,
};
use crate::id::{NodeId, Offset};
use crate::time::Duration;
use crate::wire::{ApiKey, ErrorCode};

fn answered(world: &mut World) -> AdminAnswer {
    world.events.clear();
    assert!(world.run(Duration::from_secs(120), |world| !world.events.is_empty()));
    let ClientEvent::Answered { token, answer } = world.events.pop().unwrap() else { panic!("an answer") };
    assert_eq!(token, Token(9));
    answer
}

fn ask(world: &mut World, call: AdminCall) -> AdminAnswer {
    assert!(world.client.admin(world.now, Token(9), call, Destination::AnyBroker));
    answered(world)
}

fn ask_leaders(world: &mut World, call: PartitionCall) -> AdminAnswer {
    assert!(world.client.partition_admin(world.now, Token(9), call));
    answered(world)
}

fn change(key: &str, operation: ConfigOperation) -> ConfigChange {
    let resource = ConfigResource { kind: ResourceKind::Topic, name: "a".into() };
    ConfigChange { resource, edits: vec![ConfigEdit { key: key.into(), operation }] }
}

fn alter(world: &mut World, change: ConfigChange, mode: Mode) -> Option<ClientError> {
    let AdminAnswer::Altered(results) = ask(world, AdminCall::AlterConfigs { changes: vec![change], mode })
    else {
        panic!("altered")
    };
    assert_eq!(results[0].resource.kind, ResourceKind::Topic);
    assert_eq!(results[0].error.is_some(), results[0].message.is_some());
    results[0].error
}

fn values(
    world: &mut World,
    keys: Option<&[&str]>,
) -> Vec<(alloc::string::String, Option<alloc::string::String>)> {
    let resources = vec![ConfigResource { kind: ResourceKind::Topic, name: "a".into() }];
    let keys = keys.map(|keys| keys.iter().map(ToString::to_string).collect());
    let query = ConfigQuery { resources, keys };
    let AdminAnswer::Configs(configs) = ask(world, AdminCall::DescribeConfigs(query)) else {
        panic!("configs")
    };
    let entries = &configs[0].entries;
    assert!(entries.iter().all(|e| e.source == ConfigSource::DynamicTopic && e.kind == ConfigKind::Long));
    assert!(entries.iter().all(|e| e.synonyms.len() == 1 && e.documentation.is_some()));
    assert!(entries.iter().all(|e| (e.mutability == Mutability::ReadOnly) == (e.key == "fixed")));
    entries.iter().map(|entry| (entry.key.clone(), entry.value.clone())).collect()
}

#[test]
fn configs_are_set_appended_deleted_and_described() {
    let mut world = World::new(1, |_| {});
    assert_eq!(alter(&mut world, change("x", ConfigOperation::Set("1".into())), Mode::Validate), None);
    assert!(values(&mut world, None).is_empty());
    for key in ["x", "fixed"] {
        assert_eq!(alter(&mut world, change(key, ConfigOperation::Set("1".into())), Mode::Do), None);
    }
    assert_eq!(alter(&mut world, change("x", ConfigOperation::Append("2".into())), Mode::Do), None);
    assert_eq!(
        values(&mut world, None),
        [("fixed".into(), Some("1".into())), ("x".into(), Some("1,2".into()))]
    );
    assert_eq!(values(&mut world, Some(&["x"])), [("x".into(), Some("1,2".into()))]);
    assert_eq!(alter(&mut world, change("x", ConfigOperation::Delete), Mode::Do), None);
    assert_eq!(values(&mut world, None).len(), 1);
    let refused = alter(&mut world, change("nonsense", ConfigOperation::Set("1".into())), Mode::Do);
    assert_eq!(refused, Some(broker(ErrorCode::InvalidConfig)));
    let kinds = vec![ResourceKind::Topic];
    let AdminAnswer::Resources(resources) = ask(&mut world, AdminCall::ListConfigResources(kinds)) else {
        panic!("resources")
    };
    assert_eq!(resources, [ConfigResource { kind: ResourceKind::Topic, name: "a".into() }]);
}

#[test]
fn a_request_that_the_broker_lacks_fails_by_its_version() {
    let mut world = World::new(1, |_| {});
    world.fake.topic("a", 1);
    world.fake.versions.remove(&ApiKey::DescribeConfigs);
    world.fake.versions.insert(ApiKey::ListConfigResources, (0, 0));
    world.fake.versions.insert(ApiKey::ListOffsets, (1, 6));
    let missing = AdminAnswer::Failed(ClientError::UnsupportedVersion);
    let query = ConfigQuery { resources: Vec::new(), keys: None };
    assert_eq!(ask(&mut world, AdminCall::DescribeConfigs(query)), missing);
    // Version 0 knows no kind of resource but one, and could only answer another question.
    assert_eq!(ask(&mut world, AdminCall::ListConfigResources(vec![ResourceKind::Group])), missing);
    let partitions = vec![TopicPartition::new("a", 0)];
    let call = PartitionCall::ListOffsets { partitions: partitions.clone(), at: OffsetAt::MaxTimestamp };
    let AdminAnswer::Offsets(offsets) = ask_leaders(&mut world, call) else { panic!("offsets") };
    assert_eq!(offsets[0].1, Err(ClientError::UnsupportedVersion));
    let call = PartitionCall::ListOffsets { partitions, at: OffsetAt::Latest };
    let AdminAnswer::Offsets(offsets) = ask_leaders(&mut world, call) else { panic!("offsets") };
    assert!(offsets[0].1.is_ok());
}

#[test]
fn partitions_are_added_and_never_taken() {
    let mut world = World::new(1, |_| {});
    world.fake.topic("a", 2);
    for (count, mode, error, after) in [
        (3, Mode::Validate, None, 2),
        (3, Mode::Do, None, 3),
        (2, Mode::Do, Some(broker(ErrorCode::InvalidPartitions)), 3),
    ] {
        let counts = vec![PartitionCount { topic: "a".into(), count }];
        let AdminAnswer::Partitioned(results) = ask(&mut world, AdminCall::CreatePartitions { counts, mode })
        else {
            panic!("partitioned")
        };
        assert_eq!((results[0].error, world.fake.topics["a"].logs.len()), (error, after));
        assert_eq!(results[0].message.is_some(), error.is_some());
    }
}

#[test]
fn the_cluster_its_versions_and_its_disks_are_described() {
    let mut world = World::new(2, |_| {});
    world.fake.topic("a", 2);
    let AdminAnswer::Cluster(cluster) = ask(&mut world, AdminCall::DescribeCluster) else {
        panic!("cluster")
    };
    assert_eq!((cluster.cluster_id.as_str(), cluster.controller), ("fake", Some(NodeId(1))));
    assert_eq!(cluster.nodes.iter().map(|node| node.id.0).collect::<Vec<_>>(), [1, 2]);
    for (node, index) in [(0, 0), (1, 1)] {
        let call = AdminCall::DescribeLogDirs(None);
        let to = Destination::Broker(cluster.nodes[node].address.clone());
        assert!(world.client.admin(world.now, Token(9), call, to));
        let AdminAnswer::LogDirs(dirs) = answered(&mut world) else { panic!("log dirs") };
        assert_eq!(dirs[0].replicas[0].partition, TopicPartition::new("a", index));
        assert_eq!((dirs[0].total_bytes, dirs[0].usable_bytes), (Some(1000), None));
    }
    let AdminAnswer::Versions(versions) = ask(&mut world, AdminCall::DescribeVersions) else {
        panic!("versions")
    };
    assert_eq!(versions.apis.len(), ApiKey::ALL.len());
}

#[test]
fn offsets_of_many_partitions_come_from_all_their_leaders() {
    let mut world = World::new(3, |_| {});
    world.fake.topic("a", 5);
    for index in 0..5_usize {
        for value in 0..=index {
            world.produce("a", i32::try_from(index).unwrap(), &value.to_string()).unwrap();
        }
    }
    world.settle(15);
    let partitions: Vec<_> = (0..5).map(|index| TopicPartition::new("a", index)).collect();
    let expected: Vec<_> = (1..=5).map(|end| Some(Offset(end))).collect();
    // A partition that moves after the client has learnt where it is must be found again.
    world.fake.log("a", 4).leader = 1;
    let call = PartitionCall::ListOffsets { partitions, at: OffsetAt::Latest };
    let AdminAnswer::Offsets(offsets) = ask_leaders(&mut world, call) else { panic!("offsets") };
    let found: Vec<_> = offsets.iter().map(|(_, offset)| offset.unwrap().offset).collect();
    assert_eq!(found, expected);
}

#[test]
fn records_are_deleted_by_their_leaders_even_if_the_first_question_is_lost() {
    let mut world = World::new(2, |_| {});
    world.fake.topic("a", 2);
    for index in [0, 0, 1] {
        world.produce("a", index, "v").unwrap();
    }
    world.settle(3);
    world.twist(ApiKey::DeleteRecords, Twist::CloseAfter);
    let before = [(0, 1), (1, -1), (7, 0)];
    let before = before.map(|(index, offset)| (TopicPartition::new("a", index), Offset(offset)));
    let AdminAnswer::Trimmed(trimmed) =
        ask_leaders(&mut world, PartitionCall::DeleteRecords(before.to_vec()))
    else {
        panic!("trimmed")
    };
    let starts: Vec<_> = trimmed.iter().map(|(_, start)| *start).collect();
    let unknown = Err(broker(ErrorCode::UnknownTopicOrPartition));
    assert_eq!(starts, [Ok(Offset(1)), Ok(Offset(1)), unknown]);
    let beyond = vec![(TopicPartition::new("a", 0), Offset(9))];
    let AdminAnswer::Trimmed(refused) = ask_leaders(&mut world, PartitionCall::DeleteRecords(beyond)) else {
        panic!("trimmed")
    };
    assert_eq!(refused[0].1, Err(broker(ErrorCode::OffsetOutOfRange)));
    let partitions = vec![TopicPartition::new("a", 1)];
    let AdminAnswer::Producers(producers) =
        ask_leaders(&mut world, PartitionCall::DescribeProducers(partitions))
    else {
        panic!("producers")
    };
    assert_eq!(producers[0].1.as_ref().unwrap()[0].producer_id, 1);
}

#[test]
fn partitions_without_a_leader_or_a_broker_fail_in_time() {
    let mut world = World::new(2, |_| {});
    world.fake.topic("a", 2);
    world.fake.log("a", 1).leader = -1;
    let partitions: Vec<_> =
        [("a", 0), ("a", 1), ("b", 0)].map(|(topic, index)| TopicPartition::new(topic, index)).to_vec();
    let call = PartitionCall::ListOffsets { partitions, at: OffsetAt::Earliest };
    let AdminAnswer::Offsets(offsets) = ask_leaders(&mut world, call.clone()) else { panic!("offsets") };
    let errors: Vec<_> = offsets.iter().map(|(_, offset)| offset.err()).collect();
    let unknown = Some(broker(ErrorCode::UnknownTopicOrPartition));
    assert_eq!(errors, [None, Some(ClientError::TimedOut), unknown]);
    let mut world = World::new(1, |_| {});
    world.down = vec![1];
    let AdminAnswer::Offsets(offsets) = ask_leaders(&mut world, call) else { panic!("offsets") };
    assert!(offsets.iter().all(|(_, offset)| *offset == Err(ClientError::TimedOut)));
}
