//! Topics by call.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::fake::Twist;
use super::world::{World, broker};
use crate::client::{AdminAnswer, ClientError, ClientEvent, NewTopic, Token, TopicDescription};
use crate::id::NodeId;
use crate::limits::CLIENT_CALLS_MAX;
use crate::time::Duration;
use crate::wire::{ApiKey, ErrorCode};

fn new_topic(name: &str, partitions: i32) -> NewTopic {
    NewTopic { name: name.into(), partitions, replication_factor: 1, configs: Vec::new() }
}

fn answer(world: &mut World) -> AdminAnswer {
    world.events.clear();
    assert!(world.run(Duration::from_secs(120), |world| !world.events.is_empty()));
    let ClientEvent::Answered { token, answer } = world.events.pop().unwrap() else { panic!("an answer") };
    assert_eq!(token, Token(5));
    answer
}

fn topics(world: &mut World) -> Vec<TopicDescription> {
    assert!(world.client.list_topics(world.now, Token(5)));
    let AdminAnswer::Topics(topics) = answer(world) else { panic!("topics") };
    topics
}

#[test]
fn topics_are_created_described_listed_and_deleted() {
    let mut world = World::new(2, |_| {});
    let wanted = alloc::vec![new_topic("a", 3), new_topic("b", 1)];
    assert!(world.client.create_topics(world.now, Token(5), wanted.clone()));
    let AdminAnswer::Created(created) = answer(&mut world) else { panic!("created") };
    assert!(created.iter().all(|topic| topic.error.is_none() && !topic.id.0.is_zero()));
    assert!(world.client.create_topics(world.now, Token(5), wanted));
    let AdminAnswer::Created(again) = answer(&mut world) else { panic!("created") };
    assert_eq!(again[1].error, Some(broker(ErrorCode::TopicAlreadyExists)));
    assert_eq!(again[1].message, Some("it is there".to_string()));
    let listed = topics(&mut world);
    let names: Vec<(&str, usize)> = listed.iter().map(|t| (t.name.as_str(), t.partitions.len())).collect();
    assert_eq!(names, [("a", 3), ("b", 1)]);
    assert_eq!(listed[0].partitions[1].leader, Some(NodeId(2)));
    assert!(world.client.describe_topics(world.now, Token(5), alloc::vec!["b".into(), "c".into()]));
    let AdminAnswer::Topics(described) = answer(&mut world) else { panic!("topics") };
    assert_eq!(described[0].id, listed[1].id);
    assert_eq!(described[1].error, Some(broker(ErrorCode::UnknownTopicOrPartition)));
    let gone: Vec<String> = alloc::vec!["a".into(), "x".into()];
    for _ in 0..2 {
        assert!(world.client.delete_topics(world.now, Token(5), gone.clone()));
        let AdminAnswer::Deleted(deleted) = answer(&mut world) else { panic!("deleted") };
        assert_eq!(deleted[1].error, Some(broker(ErrorCode::UnknownTopicOrPartition)));
    }
    assert_eq!(topics(&mut world).len(), 1);
}

#[test]
fn a_lost_call_fails_and_is_not_repeated() {
    let mut world = World::new(1, |_| {});
    world.twist(ApiKey::CreateTopics, Twist::CloseAfter);
    assert!(world.client.create_topics(world.now, Token(5), alloc::vec![new_topic("a", 1)]));
    assert_eq!(answer(&mut world), AdminAnswer::Failed(ClientError::Disconnected));
    assert_eq!(world.count(ApiKey::CreateTopics), 1);
    assert_eq!(topics(&mut world).len(), 1);
}

#[test]
fn calls_that_find_no_broker_fail_in_time_and_are_bounded() {
    let mut world = World::new(1, |_| {});
    world.down = alloc::vec![1];
    for _ in 0..CLIENT_CALLS_MAX {
        assert!(world.client.list_topics(world.now, Token(5)));
    }
    assert!(!world.client.list_topics(world.now, Token(5)));
    assert!(world.run(Duration::from_secs(60), |world| world.events.len() == CLIENT_CALLS_MAX));
    let failed = AdminAnswer::Failed(ClientError::TimedOut);
    assert!(
        world.events.iter().all(|e| matches!(e, ClientEvent::Answered { answer, .. } if *answer == failed))
    );
}
