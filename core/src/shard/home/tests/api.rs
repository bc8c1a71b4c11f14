//! The other APIs, from bytes to bytes.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::{CONN, World, body, request};
use crate::api::SERVED;
use crate::id::Uuid;
use crate::limits::PRODUCER_ID_BLOCK;
use crate::replica::PartitionError;
use crate::shard::{CloseReason, Config};
use crate::wire::messages::api_versions_request::ApiVersionsRequest;
use crate::wire::messages::api_versions_response::ApiVersionsResponse;
use crate::wire::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
};
use crate::wire::messages::create_topics_response::CreateTopicsResponse;
use crate::wire::messages::delete_topics_request::{DeleteTopicState, DeleteTopicsRequest};
use crate::wire::messages::delete_topics_response::DeleteTopicsResponse;
use crate::wire::messages::init_producer_id_request::InitProducerIdRequest;
use crate::wire::messages::init_producer_id_response::InitProducerIdResponse;
use crate::wire::messages::list_offsets_request::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use crate::wire::messages::list_offsets_response::ListOffsetsResponse;
use crate::wire::messages::metadata_request::{MetadataRequest, MetadataRequestTopic};
use crate::wire::messages::metadata_response::MetadataResponse;
use crate::wire::{ApiKey, ErrorCode};

fn versions(world: &mut World, version: i16, name: &str) -> (i16, usize) {
    let request = ApiVersionsRequest {
        client_software_name: name,
        client_software_version: "1.2",
        ..ApiVersionsRequest::default()
    };
    let bytes = body(|writer| request.encode(version, writer));
    world.ask(ApiKey::ApiVersions, version, &bytes, |reader| {
        let response = ApiVersionsResponse::decode(version, reader).expect("a response");
        assert!(response.finalized_features.is_empty(), "nothing is switched on");
        (response.error_code, response.api_keys.len())
    })
}

#[test]
fn api_versions_lists_what_is_served() {
    let mut world = World::new();
    for version in 0..=4 {
        assert_eq!(
            versions(&mut world, version, "apache-kafka-java"),
            (0, SERVED.len()),
            "version {version}"
        );
    }
    for bad in ["", "-a", "a.", "a b", "a_b"] {
        assert_eq!(versions(&mut world, 3, bad), (42, 0), "{bad:?}");
    }
}

#[test]
fn api_versions_answers_any_version_in_version_0() {
    for version in [5, 127, i16::MAX, -1, i16::MIN] {
        let mut world = World::new();
        world.send(CONN, &request(ApiKey::ApiVersions, version, 5, &[0xff; 9]));
        let read = world.read(ApiKey::ApiVersions, 0, 5, |reader| {
            let response = ApiVersionsResponse::decode(0, reader).expect("in version 0");
            assert_eq!(
                (response.error_code, response.api_keys.len()),
                (35, SERVED.len()),
                "version {version}"
            );
            let produce = response.api_keys.iter().find(|key| key.api_key == 0).expect("listed");
            assert_eq!((produce.min_version, produce.max_version), (0, 13), "KAFKA-18659");
        });
        assert!(read.is_some());
    }
}

#[test]
fn other_keys_and_versions_close() {
    for (key, version) in [(4, 0), (-1, 0), (999, 0), (3, 14), (3, -1), (1, 3), (1, 19), (18 + 256, 0)] {
        let mut world = World::new();
        let mut frame = 11_i32.to_be_bytes().to_vec();
        frame.extend(i16::to_be_bytes(key));
        frame.extend(i16::to_be_bytes(version));
        // No client id, and the empty tags of a flexible header.
        frame.extend([0, 0, 0, 1, 0xff, 0xff, 0]);
        world.send(CONN, &frame);
        let closed = world.closed();
        assert!(matches!(closed, Some(CloseReason::Unsupported)), "{key} {version}: {closed:?}");
    }
}

fn metadata(version: i16, topics: Option<&[&str]>) -> Vec<u8> {
    let named = |name| MetadataRequestTopic { name: Some(name), ..MetadataRequestTopic::default() };
    let topics = topics.map(|topics| topics.iter().copied().map(named).collect());
    let request = MetadataRequest { topics, ..MetadataRequest::default() };
    body(|writer| request.encode(version, writer))
}

/// Error, name and partitions of each topic.
fn topics(world: &mut World, version: i16, body: &[u8]) -> Vec<(i16, Option<String>, usize)> {
    world.ask(ApiKey::Metadata, version, body, |reader| {
        let response = MetadataResponse::decode(version, reader).expect("a response");
        assert_eq!(response.brokers.len(), 1);
        assert_eq!((response.brokers[0].host, response.brokers[0].port), ("127.0.0.1", 9092));
        let topics = response.topics.iter();
        topics.map(|topic| (topic.error_code, topic.name.map(String::from), topic.partitions.len())).collect()
    })
}

#[test]
fn metadata_tells_all_none_or_some() {
    let t = (0, Some(String::from("t")), 2);
    for version in 0..=13 {
        let mut world = World::with_topic();
        let all = if version == 0 { Some(&[][..]) } else { None };
        assert_eq!(
            topics(&mut world, version, &metadata(version, all)),
            core::slice::from_ref(&t),
            "all in {version}"
        );
        if version > 0 {
            assert_eq!(topics(&mut world, version, &metadata(version, Some(&[]))), [], "none in {version}");
        }
        let some = topics(&mut world, version, &metadata(version, Some(&["t", "bad name", "t"])));
        assert_eq!(some, [t.clone(), (17, Some(String::from("bad name")), 0)], "some in {version}");
    }
}

#[test]
fn metadata_finds_topics_by_id() {
    let mut world = World::with_topic();
    let id = world.partition("t", 0).topic.0;
    let ask = |topics| {
        let request = MetadataRequest { topics: Some(topics), ..MetadataRequest::default() };
        body(|writer| request.encode(12, writer))
    };
    let topic = |topic_id, name| MetadataRequestTopic { topic_id, name, ..MetadataRequestTopic::default() };
    let found = topics(&mut world, 12, &ask(vec![topic(id, None), topic(Uuid([5; 16]), None)]));
    assert_eq!(found, [(0, Some(String::from("t")), 2), (100, None, 0)]);
    let found = topics(&mut world, 12, &ask(vec![topic(id, Some("")), topic(Uuid::ZERO, Some(""))]));
    assert_eq!(found, [(0, Some(String::from("t")), 2), (17, Some(String::new()), 0)]);
    let found = topics(&mut world, 12, &ask(vec![topic(id, Some("t")), topic(Uuid::ZERO, None)]));
    assert_eq!(found, [(42, Some(String::from("t")), 0), (42, None, 0)]);
}

#[test]
fn metadata_creates_topics_where_both_sides_allow_it() {
    let mut world = World::new();
    let created = topics(&mut world, 9, &metadata(9, Some(&["new", "__consumer_offsets", "a", "b"])));
    let named = |error, name, count| (error, Some(String::from(name)), count);
    assert_eq!(created[0], named(0, "new", 1), "answered once it exists");
    assert_eq!(created[1], named(3, "__consumer_offsets", 0));
    assert_eq!(world.controller.image().topic_count(), 3);
    let request = MetadataRequest {
        topics: Some(vec![MetadataRequestTopic { name: Some("other"), ..MetadataRequestTopic::default() }]),
        allow_auto_topic_creation: false,
        ..MetadataRequest::default()
    };
    let bytes = body(|writer| request.encode(9, writer));
    assert_eq!(topics(&mut world, 9, &bytes), [named(3, "other", 0)]);
    let mut world = World::with(Config { auto_create_topics: false, ..Config::default() });
    assert_eq!(topics(&mut world, 9, &metadata(9, Some(&["new"]))), [named(3, "new", 0)]);
    assert_eq!(world.controller.image().topic_count(), 0);
}

fn creatable<'a>(
    name: &'a str,
    partitions: i32,
    configs: &[(&'a str, Option<&'a str>)],
) -> CreatableTopic<'a> {
    let configs =
        configs.iter().map(|&(name, value)| CreatableTopicConfig { name, value, ..Default::default() });
    CreatableTopic {
        name,
        num_partitions: partitions,
        replication_factor: 1,
        configs: configs.collect(),
        ..CreatableTopic::default()
    }
}

/// Name, error and partitions of each topic; and how many settings were told.
fn create(
    world: &mut World,
    version: i16,
    request: &CreateTopicsRequest<'_>,
) -> Vec<(i16, Option<String>, i32, usize)> {
    let bytes = body(|writer| request.encode(version, writer));
    world.ask(ApiKey::CreateTopics, version, &bytes, |reader| {
        let response = CreateTopicsResponse::decode(version, reader).expect("a response");
        let topics = response.topics.iter().map(|topic| {
            let message = topic.error_message.map(String::from);
            (topic.error_code, message, topic.num_partitions, topic.configs.as_ref().map_or(0, Vec::len))
        });
        topics.collect()
    })
}

#[test]
fn create_topics_creates_in_every_version() {
    for version in 2..=7 {
        let mut world = World::new();
        let request = CreateTopicsRequest {
            topics: vec![creatable("a", 4, &[("retention.ms", Some("5"))])],
            ..CreateTopicsRequest::default()
        };
        let told = if version >= 5 { (0, None, 4, 34) } else { (0, None, -1, 0) };
        assert_eq!(create(&mut world, version, &request), [told], "version {version}");
        let image = world.controller.image();
        assert_eq!(image.topic("a").expect("created").partitions.len(), 4);
        let again = create(&mut world, version, &request);
        assert_eq!((again[0].0, again[0].1.as_deref()), (36, Some("a topic of this name exists")));
    }
}

#[test]
fn create_topics_names_what_is_wrong() {
    let mut world = World::new();
    let many = vec![("retention.ms", Some("1")); 10_000];
    let assigned = CreatableTopic {
        assignments: vec![CreatableReplicaAssignment {
            partition_index: 0,
            broker_ids: vec![1],
            ..CreatableReplicaAssignment::default()
        }],
        ..creatable("assigned", 1, &[])
    };
    let topics = vec![
        creatable("twice", 1, &[]),
        creatable("good", 1, &[]),
        creatable("twice", 1, &[]),
        creatable("zero", 0, &[]),
        creatable("huge", i32::MAX, &[]),
        creatable("config", 1, &[("no.such", Some("1"))]),
        creatable("many", 1, &many),
        creatable("bad/name", 1, &[]),
        CreatableTopic { replication_factor: 3, ..creatable("rf", 1, &[]) },
        assigned,
    ];
    let request = CreateTopicsRequest { topics, ..CreateTopicsRequest::default() };
    let codes: Vec<i16> = create(&mut world, 7, &request).iter().map(|topic| topic.0).collect();
    assert_eq!(codes, [42, 0, 42, 37, 44, 40, 42, 17, 38, 42]);
    assert_eq!(world.controller.image().topic_count(), 1);
    let dry = CreateTopicsRequest {
        topics: vec![creatable("dry", -1, &[])],
        validate_only: true,
        ..CreateTopicsRequest::default()
    };
    assert_eq!(create(&mut world, 7, &dry), [(0, None, 1, 34)]);
    assert_eq!(world.controller.image().topic_count(), 1, "only validated");
    let old = CreateTopicsRequest { topics: vec![creatable("old", -1, &[])], ..Default::default() };
    assert_eq!(create(&mut world, 3, &old)[0].0, 0, "kafkajs asks for the defaults before version 4, too");
}

#[test]
fn delete_topics_by_name_and_id() {
    for version in 1..=6 {
        let mut world = World::with_topic();
        let id = world.partition("t", 0).topic.0;
        let state = |name, topic_id| DeleteTopicState { name, topic_id, ..DeleteTopicState::default() };
        let (topic_names, topics) = if version < 6 {
            (vec!["t", "none", "none", "__consumer_offsets"], Vec::new())
        } else {
            let none = || state(Some("none"), Uuid::ZERO);
            (Vec::new(), vec![state(None, id), none(), none(), state(Some("__consumer_offsets"), Uuid::ZERO)])
        };
        let request = DeleteTopicsRequest { topic_names, topics, ..DeleteTopicsRequest::default() };
        let bytes = body(|writer| request.encode(version, writer));
        let codes: Vec<i16> = world.ask(ApiKey::DeleteTopics, version, &bytes, |reader| {
            let response = DeleteTopicsResponse::decode(version, reader).expect("a response");
            assert_eq!(response.responses[0].name, Some("t"));
            response.responses.iter().map(|topic| topic.error_code).collect()
        });
        assert_eq!(codes, [0, 42, 42, 17], "version {version}");
        assert_eq!(world.controller.image().topic_count(), 0);
    }
}

fn init(world: &mut World, version: i16, request: &InitProducerIdRequest<'_>) -> (i16, i64, i16) {
    let bytes = body(|writer| request.encode(version, writer));
    world.ask(ApiKey::InitProducerId, version, &bytes, |reader| {
        let response = InitProducerIdResponse::decode(version, reader).expect("a response");
        (response.error_code, response.producer_id, response.producer_epoch)
    })
}

#[test]
fn producer_ids_are_unique_over_blocks() {
    let mut world = World::new();
    let plain = InitProducerIdRequest { transactional_id: None, ..InitProducerIdRequest::default() };
    let count = i64::from(PRODUCER_ID_BLOCK) + 10;
    for id in 0..count {
        let version = i16::try_from(id % 6).expect("small");
        assert_eq!(init(&mut world, version, &plain), (0, id, 0));
    }
    let mut transactional = InitProducerIdRequest { transactional_id: Some("x"), ..Default::default() };
    assert_eq!(init(&mut world, 5, &transactional), (ErrorCode::CoordinatorNotAvailable.code(), -1, -1));
    transactional.transactional_id = Some("");
    assert_eq!(init(&mut world, 5, &transactional).0, 42);
    let half = InitProducerIdRequest { producer_id: 5, ..plain };
    assert_eq!(init(&mut world, 5, &half).0, 42);
}

/// Error, timestamp and offset of each partition.
fn offsets(world: &mut World, version: i16, parts: &[(i32, i64)]) -> Vec<(i16, i64, i64)> {
    let partitions = parts.iter().map(|&(partition_index, timestamp)| ListOffsetsPartition {
        partition_index,
        timestamp,
        ..ListOffsetsPartition::default()
    });
    let topics = vec![ListOffsetsTopic { name: "t", partitions: partitions.collect(), ..Default::default() }];
    let request = ListOffsetsRequest { topics, ..ListOffsetsRequest::default() };
    let bytes = body(|writer| request.encode(version, writer));
    world.ask(ApiKey::ListOffsets, version, &bytes, |reader| {
        let response = ListOffsetsResponse::decode(version, reader).expect("a response");
        let parts = response.topics.iter().flat_map(|topic| &topic.partitions);
        parts.map(|part| (part.error_code, part.timestamp, part.offset)).collect()
    })
}

#[test]
fn list_offsets_answers_every_kind_of_question() {
    for version in 1..=11 {
        let mut world = World::with_topic();
        world.log(0).append(&super::batch(4, 1));
        assert_eq!(offsets(&mut world, version, &[(0, -1), (1, -2)]), [(0, -1, 4), (0, -1, 0)]);
        assert_eq!(offsets(&mut world, version, &[(0, 123)]), [(0, -1, -1)]);
        for (timestamp, since, answer) in
            [(-3, 7, (0, 77, 7)), (-4, 8, (0, -1, 0)), (-5, 9, (0, -1, -1)), (-6, 11, (0, -1, -1))]
        {
            let expected = if version >= since { answer } else { (35, -1, -1) };
            assert_eq!(
                offsets(&mut world, version, &[(0, timestamp)]),
                [expected],
                "{timestamp} in {version}"
            );
        }
        assert_eq!(offsets(&mut world, version, &[(0, -7), (5, -1)]), [(35, -1, -1), (3, -1, -1)]);
        assert_eq!(offsets(&mut world, version, &[(0, -1), (0, -2)]), [(42, -1, -1), (42, -1, -1)]);
        world.log(0).error = Some(PartitionError::OffsetNotAvailable);
        let code = if version >= 5 { 78 } else { 5 };
        assert_eq!(offsets(&mut world, version, &[(0, -1)])[0].0, code, "version {version}");
    }
}
