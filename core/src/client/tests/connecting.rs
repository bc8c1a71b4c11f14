//! Framing, versions, metadata, reconnecting.

use alloc::vec::Vec;

use super::fake::Twist;
use super::world::World;
use crate::client::{Acks, ClientEffect, ClientInput, StartAt, TopicPartition};
use crate::time::Duration;
use crate::wire::{ApiKey, ErrorCode};

fn one_record(world: &mut World) {
    world.fake.topic("t", 1);
    world.produce("t", 0, "v").unwrap();
    world.settle(1);
    assert!(world.produced()[0].1.is_ok());
}

#[test]
fn answers_may_come_byte_by_byte() {
    for chunk in [1, 2, 3, 7, 100] {
        let mut world = World::new(1, |_| {});
        world.chunk = chunk;
        one_record(&mut world);
    }
}

#[test]
fn the_highest_common_versions_are_spoken() {
    let mut world = World::new(1, |_| {});
    one_record(&mut world);
    assert!(world.fake.seen.contains(&(ApiKey::ApiVersions, 4)));
    assert!(world.fake.seen.contains(&(ApiKey::Produce, 13)));
    let mut old = World::new(1, |_| {});
    old.fake.versions.insert(ApiKey::Produce, (0, 8));
    old.fake.versions.insert(ApiKey::Metadata, (0, 4));
    old.fake.versions.insert(ApiKey::InitProducerId, (0, 0));
    one_record(&mut old);
    assert!(old.fake.seen.contains(&(ApiKey::Produce, 8)));
    assert!(old.fake.seen.contains(&(ApiKey::Metadata, 4)));
}

#[test]
fn topics_without_ids_are_named() {
    let mut world = World::new(1, |_| {});
    world.fake.versions.insert(ApiKey::Metadata, (0, 9));
    one_record(&mut world);
    assert!(world.fake.seen.contains(&(ApiKey::Produce, 12)));
    world.client.assign(world.now, TopicPartition::new("t", 0), StartAt::Earliest);
    assert!(world.run(Duration::from_secs(5), |world| !world.events[1..].is_empty()));
    assert_eq!(world.values().len(), 1);
    assert!(world.fake.seen.contains(&(ApiKey::Fetch, 12)));
}

#[test]
fn an_old_broker_is_asked_for_its_versions_again() {
    for max in [0, 2, 3] {
        let mut world = World::new(1, |_| {});
        world.fake.versions.insert(ApiKey::ApiVersions, (0, max));
        one_record(&mut world);
        assert_eq!(world.fake.seen[..2], [(ApiKey::ApiVersions, 4), (ApiKey::ApiVersions, max)]);
    }
}

#[test]
fn bytes_that_are_no_answer_cost_the_connection_and_no_more() {
    for key in [ApiKey::ApiVersions, ApiKey::Metadata, ApiKey::InitProducerId, ApiKey::Produce] {
        for twist in [Twist::Garbage, Twist::CloseBefore, Twist::CloseAfter, Twist::Mute] {
            let mut world = World::new(1, |_| {});
            world.twist(key, twist);
            one_record(&mut world);
            assert_eq!(world.fake.log("t", 0).end, 1, "{key:?} {twist:?}");
            let connects = world.trace.iter().filter(|line| line.contains("Connect")).count();
            assert_eq!(connects, 2, "{key:?} {twist:?}");
        }
    }
}

#[test]
fn a_frame_of_impossible_length_is_refused_at_once() {
    for head in [u32::MAX, 0x7fff_ffff, 100 * 1024 * 1024 + 1] {
        let mut world = World::new(1, |_| {});
        world.fake.topic("t", 1);
        world.produce("t", 0, "v").unwrap();
        let Some(ClientEffect::Connect { conn, .. }) = world.client.poll(world.now) else {
            panic!("it connects")
        };
        world.client.handle(world.now, ClientInput::Connected { conn });
        assert!(matches!(world.client.poll(world.now), Some(ClientEffect::Send { .. })));
        world.client.handle(world.now, ClientInput::Received { conn, bytes: &head.to_be_bytes() });
        assert!(matches!(world.client.poll(world.now), Some(ClientEffect::Close { .. })));
    }
}

#[test]
fn random_answers_never_panic() {
    let mut prng = crate::prng::Prng::new(5);
    for round in 0..3_000_u64 {
        let mut world = World::new(1, |_| {});
        world.fake.topic("t", 1);
        world.produce("t", 0, "v").unwrap();
        world.client.assign(world.now, TopicPartition::new("t", 0), StartAt::Earliest);
        // A broken byte somewhere in what the broker says.
        world.mangle = Some((prng.below(40), u8::try_from(prng.below(255) + 1).unwrap(), round));
        world.run(Duration::from_secs(3), |_| false);
    }
}

#[test]
fn reconnecting_slows_down_and_stops_slowing() {
    let mut world = World::new(1, |_| {});
    world.fake.topic("t", 1);
    world.down = alloc::vec![1];
    world.produce("t", 0, "v").unwrap();
    world.run_for(Duration::from_secs(20));
    let connects = world.trace.iter().filter(|line| line.contains("Connect")).count();
    // 50 ms doubled five times, then about one a second.
    assert!((20..=30).contains(&connects), "{connects} attempts");
    world.down.clear();
    world.settle(1);
    assert!(world.produced()[0].1.is_ok());
    // Once it has worked, the next loss is mended quickly.
    world.cut();
    let before = world.now.mono;
    world.produce("t", 0, "v").unwrap();
    world.settle(2);
    assert!(world.now.mono.since(before) < Duration::from_millis(100));
}

#[test]
fn any_bootstrap_address_will_do() {
    let mut world = World::new(3, |config| {
        config.bootstrap = (1..=3).map(|port| crate::client::Address::new("broker", 9000 + port)).collect();
    });
    world.fake.topic("t", 1);
    world.fake.log("t", 0).leader = 3;
    world.down = alloc::vec![1, 2];
    world.produce("t", 0, "v").unwrap();
    world.settle(1);
    assert!(world.produced()[0].1.is_ok());
}

#[test]
fn one_seed_gives_one_run() {
    let run = || {
        let mut world = World::new(3, |config| config.producer.acks = Acks::All);
        world.fake.topic("t", 6);
        world.twist(ApiKey::Produce, Twist::CloseAfter);
        world.twist(ApiKey::Produce, Twist::Error(ErrorCode::NotEnoughReplicas));
        for index in 0..60 {
            world.produce("t", index % 6, "value").unwrap();
        }
        world.settle(60);
        world.trace
    };
    let first: Vec<_> = run();
    assert!(first.len() > 10);
    assert_eq!(first, run());
}
