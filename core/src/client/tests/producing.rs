//! Producing, and what becomes of it when things go wrong.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::fake::Twist;
use super::world::{World, broker};
use crate::batch::{Batches, Codec, Scratch};
use crate::client::{
    Acks, ClientConfig, ClientError, Idempotence, ProduceError, ProduceFailure, Receipt, Retries, StartAt,
    TopicPartition, Written,
};
use crate::id::{Offset, ProducerEpoch};
use crate::time::Duration;
use crate::wire::{ApiKey, ErrorCode};

/// The values in a log, in order.
fn log_values(world: &mut World, index: usize) -> Vec<String> {
    let mut values = Vec::new();
    for bytes in &world.fake.log("t", index).batches {
        let batch = Batches::new(bytes).next().unwrap().unwrap();
        for record in batch.records(&mut Scratch::new()).unwrap() {
            values.push(String::from_utf8(record.unwrap().value.unwrap().to_vec()).unwrap());
        }
    }
    values
}

fn small_batches(config: &mut ClientConfig) {
    // Two records a batch.
    config.producer.batch_bytes = 90;
}

/// Produces so many records to partition 0.
fn produce(world: &mut World, count: usize) -> Vec<String> {
    let values: Vec<String> = (0..count).map(|i| format!("value {i}")).collect();
    for value in &values {
        world.produce("t", 0, value).unwrap();
    }
    values
}

#[test]
fn records_come_to_their_partition_in_order_with_their_offsets() {
    let mut world = World::new(3, small_batches);
    world.fake.topic("t", 3);
    for round in 0..20 {
        for index in 0..3 {
            world.produce("t", index, &format!("{round} of {index}")).unwrap();
        }
    }
    world.settle(60);
    for index in 0..3 {
        let expected: Vec<String> = (0..20).map(|round| format!("{round} of {index}")).collect();
        assert_eq!(log_values(&mut world, index), expected);
    }
    for (token, result) in world.produced() {
        let place = i64::try_from(token.0 / 3).unwrap();
        assert_eq!(result, Ok(Receipt { offset: Some(Offset(place)), append_time: None }));
    }
    assert_eq!(world.client.unacknowledged_bytes(), 0);
    assert_eq!(world.count(ApiKey::InitProducerId), 1);
}

#[test]
fn records_that_wait_share_a_batch() {
    let mut world = World::new(1, |_| {});
    world.fake.topic("t", 1);
    produce(&mut world, 100);
    world.settle(100);
    assert_eq!(world.fake.log("t", 0).batches.len(), 1);
}

#[test]
fn retriable_errors_and_lost_answers_neither_lose_nor_repeat_nor_reorder() {
    let twists = [
        Twist::Error(ErrorCode::NotLeaderOrFollower),
        Twist::Error(ErrorCode::NotEnoughReplicas),
        Twist::Error(ErrorCode::CorruptMessage),
        Twist::DoneBut(ErrorCode::NotEnoughReplicasAfterAppend),
        Twist::DoneBut(ErrorCode::RequestTimedOut),
        Twist::DoneBut(ErrorCode::KafkaStorageError),
        Twist::CloseBefore,
        Twist::CloseAfter,
        Twist::Mute,
        Twist::Garbage,
    ];
    let mut prng = crate::prng::Prng::new(99);
    for round in 0..200 {
        let mut world = World::new(1, |config| {
            small_batches(config);
            // Longer than all connections that fall silent take together.
            config.producer.delivery_timeout = Duration::from_secs(3000);
        });
        world.fake.topic("t", 1);
        for _ in 0..prng.between(1, 6) {
            let twist = twists[usize::try_from(prng.below(twists.len() as u64)).unwrap()];
            world.twist(ApiKey::Produce, twist);
        }
        let values = produce(&mut world, 30);
        world.settle(30);
        assert_eq!(log_values(&mut world, 0), values, "round {round}");
        for (token, result) in world.produced() {
            assert_eq!(
                result.unwrap().offset,
                Some(Offset(i64::try_from(token.0).unwrap())),
                "round {round}"
            );
        }
    }
}

#[test]
fn a_leader_that_moves_is_followed() {
    let mut world = World::new(2, |_| {});
    world.fake.topic("t", 1);
    produce(&mut world, 1);
    world.settle(1);
    world.fake.log("t", 0).leader = 2;
    produce(&mut world, 1);
    world.settle(2);
    assert!(world.produced()[1].1.is_ok());
}

#[test]
fn a_lost_sequence_begins_a_new_epoch_with_all_that_waits() {
    let mut world = World::new(1, small_batches);
    world.fake.topic("t", 1);
    produce(&mut world, 4);
    world.settle(4);
    // The broker expects sequence 0 of what it takes for a new producer.
    world.fake.log("t", 0).forget_producers();
    produce(&mut world, 10);
    world.settle(14);
    assert!(world.produced().iter().all(|(_, result)| result.is_ok()));
    assert_eq!(world.fake.log("t", 0).end, 14);
    let last = world.fake.log("t", 0).batches.last().unwrap().clone();
    assert_eq!(Batches::new(&last).next().unwrap().unwrap().producer_epoch(), ProducerEpoch(1));
}

/// A batch whose predecessor expires while both are in the log and neither is acknowledged.
fn in_doubt_behind_an_expired_batch() -> World {
    let mut world = World::new(1, |config| {
        small_batches(config);
        config.producer.delivery_timeout = Duration::from_secs(100);
    });
    world.fake.topic("t", 1);
    produce(&mut world, 2);
    world.settle(2);
    world.down = Vec::from([1]);
    world.cut();
    produce(&mut world, 2);
    world.run_for(Duration::from_secs(60));
    produce(&mut world, 2);
    world.down.clear();
    assert!(world.run(Duration::from_secs(10), |world| world.count(ApiKey::Produce) == 3));
    assert_eq!(world.fake.log("t", 0).end, 6);
    world.down = Vec::from([1]);
    world.cut();
    world.run_for(Duration::from_secs(60));
    let expired = ProduceFailure { error: ClientError::TimedOut, written: Written::Perhaps };
    let failed: Vec<_> = world.produced().into_iter().filter(|(_, result)| result.is_err()).collect();
    assert_eq!(failed.len(), 2, "{failed:?}");
    assert!(failed.iter().all(|(_, result)| *result == Err(expired)));
    world.down.clear();
    world
}

#[test]
fn what_may_be_in_the_log_is_not_sent_under_another_sequence() {
    let mut world = in_doubt_behind_an_expired_batch();
    world.settle(6);
    assert_eq!(world.fake.log("t", 0).end, 6, "nothing is there twice");
    assert_eq!(world.produced()[5].1.unwrap().offset, Some(Offset(5)));
    produce(&mut world, 2);
    world.settle(8);
    assert_eq!(world.fake.log("t", 0).end, 8);
    let last = world.fake.log("t", 0).batches.last().unwrap().clone();
    assert_eq!(Batches::new(&last).next().unwrap().unwrap().producer_epoch(), ProducerEpoch(1));
}

#[test]
fn what_may_be_in_the_log_and_is_out_of_sequence_stays_in_doubt() {
    let mut world = in_doubt_behind_an_expired_batch();
    world.fake.log("t", 0).forget_producers();
    world.settle(6);
    let error = broker(ErrorCode::OutOfOrderSequenceNumber);
    let failure = ProduceFailure { error, written: Written::Perhaps };
    assert_eq!(world.produced()[5].1, Err(failure));
    assert_eq!(world.fake.log("t", 0).end, 6, "nothing is there twice");
}

#[test]
fn a_batch_that_is_refused_for_good_fails_alone() {
    let mut world = World::new(1, small_batches);
    world.fake.topic("t", 1);
    world.twist(ApiKey::Produce, Twist::Error(ErrorCode::MessageTooLarge));
    let values = produce(&mut world, 10);
    world.settle(10);
    let failure = ProduceFailure { error: broker(ErrorCode::MessageTooLarge), written: Written::No };
    let (failed, fine) = world.produced().into_iter().partition::<Vec<_>, _>(|(_, result)| result.is_err());
    assert_eq!(failed.iter().map(|(token, _)| token.0).collect::<Vec<_>>(), [0, 1]);
    assert!(failed.iter().all(|(_, result)| *result == Err(failure)));
    assert_eq!(fine.len(), 8);
    assert_eq!(log_values(&mut world, 0), values[2..]);
}

#[test]
fn a_duplicate_is_success_without_an_offset() {
    let mut world = World::new(1, |_| {});
    world.fake.topic("t", 1);
    world.twist(ApiKey::Produce, Twist::DoneBut(ErrorCode::DuplicateSequenceNumber));
    produce(&mut world, 1);
    world.settle(1);
    assert_eq!(world.produced()[0].1, Ok(Receipt { offset: None, append_time: None }));
}

#[test]
fn without_retries_an_unknown_outcome_is_told_as_such() {
    let outcome = |twist| {
        let mut world = World::new(1, |config| {
            config.producer.retries = Retries::Never;
            config.producer.idempotence = Idempotence::Off;
            config.producer.acks = Acks::Leader;
        });
        world.fake.topic("t", 1);
        world.twist(ApiKey::Produce, twist);
        produce(&mut world, 1);
        world.settle(1);
        assert_eq!(world.count(ApiKey::InitProducerId), 0);
        world.produced()[0].1.unwrap_err()
    };
    let failure = |error, written| ProduceFailure { error, written };
    assert_eq!(outcome(Twist::CloseAfter), failure(ClientError::Disconnected, Written::Perhaps));
    assert_eq!(outcome(Twist::CloseBefore), failure(ClientError::Disconnected, Written::Perhaps));
    assert_eq!(outcome(Twist::Mute), failure(ClientError::TimedOut, Written::Perhaps));
    let refused = ErrorCode::NotEnoughReplicas;
    assert_eq!(outcome(Twist::Error(refused)), failure(broker(refused), Written::No));
    let late = ErrorCode::NotEnoughReplicasAfterAppend;
    assert_eq!(outcome(Twist::DoneBut(late)), failure(broker(late), Written::Perhaps));
}

#[test]
fn what_is_not_delivered_in_time_fails() {
    let mut world = World::new(1, |_| {});
    produce(&mut world, 1);
    world.settle(1);
    let failure = ProduceFailure { error: broker(ErrorCode::UnknownTopicOrPartition), written: Written::No };
    assert_eq!(world.produced()[0].1, Err(failure));
    let mut world = World::new(1, |_| {});
    world.fake.topic("t", 1);
    for _ in 0..5_000 {
        world.twist(ApiKey::Produce, Twist::CloseAfter);
    }
    produce(&mut world, 1);
    world.settle(1);
    let failure = ProduceFailure { error: ClientError::TimedOut, written: Written::Perhaps };
    assert_eq!(world.produced()[0].1, Err(failure));
    assert_eq!(world.fake.log("t", 0).end, 1);
}

#[test]
fn without_acknowledgement_sending_is_all() {
    let mut world = World::new(1, |config| {
        config.producer.acks = Acks::None;
        config.producer.idempotence = Idempotence::Off;
    });
    world.fake.topic("t", 1);
    let values = produce(&mut world, 10);
    world.settle(10);
    assert!(world.produced().iter().all(|(_, result)| result.is_ok_and(|r| r.offset.is_none())));
    assert_eq!(log_values(&mut world, 0), values);
}

#[test]
fn a_full_buffer_pushes_back_and_empties() {
    let mut world = World::new(1, |config| config.producer.buffer_bytes = 1000);
    world.fake.topic("t", 1);
    let mut taken = 0;
    let error = loop {
        match world.produce("t", 0, "some value of some length") {
            Ok(_) => taken += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error, ProduceError::Full);
    assert!((10..40).contains(&taken), "{taken} records");
    world.settle(taken);
    world.produce("t", 0, "again").unwrap();
    world.settle(taken + 1);
    let huge = "x".repeat(65 << 20);
    assert_eq!(world.produce("t", 0, &huge), Err(ProduceError::TooLarge));
}

#[test]
fn no_more_than_five_batches_are_under_way() {
    let mut world = World::new(1, small_batches);
    world.fake.topic("t", 1);
    for _ in 0..100 {
        world.twist(ApiKey::Produce, Twist::Mute);
    }
    produce(&mut world, 40);
    world.run_for(Duration::from_secs(20));
    assert_eq!(world.count(ApiKey::Produce), 5);
}

#[test]
fn what_is_sent_again_is_sent_alone() {
    let mut world = World::new(1, small_batches);
    world.fake.topic("t", 1);
    world.twist(ApiKey::Produce, Twist::CloseBefore);
    for _ in 0..100 {
        world.twist(ApiKey::Produce, Twist::Mute);
    }
    produce(&mut world, 40);
    world.run_for(Duration::from_secs(20));
    assert_eq!(world.count(ApiKey::Produce), 2);
}

#[test]
fn a_failed_batch_costs_the_next_no_refusal() {
    let mut world = World::new(1, |_| {});
    world.fake.topic("t", 1);
    world.twist(ApiKey::Produce, Twist::Error(ErrorCode::MessageTooLarge));
    produce(&mut world, 1);
    world.settle(1);
    produce(&mut world, 1);
    world.settle(2);
    assert!(world.produced()[1].1.is_ok());
    assert_eq!(world.count(ApiKey::Produce), 2);
}

#[test]
fn batches_are_compressed_unless_that_makes_them_larger() {
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let mut world = World::new(1, |config| config.producer.compression = codec);
        world.fake.topic("a", 1);
        let long = "word ".repeat(1000);
        world.produce("a", 0, &long).unwrap();
        world.settle(1);
        world.produce("a", 0, "x").unwrap();
        world.settle(2);
        let codecs = world.fake.log("a", 0).batches.clone();
        let codecs = codecs.iter().map(|bytes| Batches::new(bytes).next().unwrap().unwrap().codec().unwrap());
        assert_eq!(codecs.collect::<Vec<_>>(), [codec, Codec::None]);
        world.client.assign(world.now, TopicPartition::new("a", 0), StartAt::Earliest);
        assert!(world.run(Duration::from_secs(10), |world| world.values().len() == 2));
        assert_eq!(world.values(), [(0, long), (1, "x".into())]);
    }
}
