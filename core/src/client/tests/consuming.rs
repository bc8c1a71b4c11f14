//! Consuming: where it starts, that nothing is skipped or repeated, sessions.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::fake::Twist;
use super::world::{World, broker};
use crate::batch::{BatchBuilder, BatchHeader, NewRecord};
use crate::client::{ClientError, ResetPolicy, StartAt, TopicPartition};
use crate::id::Offset;
use crate::time::{Duration, Timestamp};
use crate::wire::{ApiKey, ErrorCode};

const SOON: Duration = Duration::from_secs(30);

/// Batches of three records, with timestamps of ten times their offset.
fn fill(world: &mut World, index: usize, batches: i64) {
    for _ in 0..batches {
        let mut builder = BatchBuilder::new(BatchHeader::default());
        let end = world.fake.log("t", index).end;
        for offset in end..end + 3 {
            let value = format!("{index}/{offset}");
            let timestamp = Timestamp(offset * 10);
            builder.push(&NewRecord { timestamp, key: None, value: Some(value.as_bytes()), headers: &[] });
        }
        let log = world.fake.log("t", index);
        log.append(&builder.build()).unwrap();
    }
}

fn read_from(world: &mut World, start: StartAt, count: usize) -> Vec<i64> {
    world.client.assign(world.now, TopicPartition::new("t", 0), start);
    assert!(world.run(SOON, |world| world.values().len() >= count), "only {:?}", world.values());
    world.run_for(Duration::from_secs(2));
    world.values().into_iter().map(|(offset, _)| offset).collect()
}

#[test]
fn a_partition_is_read_from_where_it_was_told() {
    let read = |start, count| {
        let mut world = World::new(1, |_| {});
        world.fake.topic("t", 1);
        fill(&mut world, 0, 5);
        read_from(&mut world, start, count)
    };
    assert_eq!(read(StartAt::Earliest, 15), Vec::from_iter(0..15));
    assert_eq!(read(StartAt::Offset(Offset(7)), 8), Vec::from_iter(7..15));
    assert_eq!(read(StartAt::Timestamp(Timestamp(101)), 4), Vec::from_iter(11..15));
    assert_eq!(read(StartAt::Timestamp(Timestamp(999)), 0), Vec::<i64>::new());
    assert_eq!(read(StartAt::Latest, 0), Vec::<i64>::new());
}

#[test]
fn new_records_follow_without_gap_and_by_increments() {
    let mut world = World::new(1, |_| {});
    world.fake.topic("t", 2);
    world.client.assign(world.now, TopicPartition::new("t", 0), StartAt::Earliest);
    world.client.assign(world.now, TopicPartition::new("t", 1), StartAt::Earliest);
    for round in 1..=4 {
        fill(&mut world, 0, 2);
        assert!(world.run(SOON, |world| world.values().len() == round * 6));
    }
    let values: Vec<i64> = world.values().into_iter().map(|(offset, _)| offset).collect();
    assert_eq!(values, Vec::from_iter(0..24));
    // One fetch tells both partitions and makes the session, later ones tell only what moved.
    let fetches = world.fake.fetches.clone();
    assert_eq!(fetches[0], (0, 0, 2, 0));
    assert!(
        fetches[1..].iter().zip(1..).all(|(&(id, epoch, told, _), n)| id == 101 && epoch == n && told <= 1)
    );
}

#[test]
fn without_sessions_everything_is_told_each_time() {
    let mut world = World::new(1, |_| {});
    world.fake.topic("t", 2);
    world.fake.sessions = false;
    fill(&mut world, 1, 4);
    world.client.assign(world.now, TopicPartition::new("t", 0), StartAt::Earliest);
    world.client.assign(world.now, TopicPartition::new("t", 1), StartAt::Earliest);
    assert!(world.run(SOON, |world| world.values().len() == 12));
    world.run_for(Duration::from_secs(2));
    assert!(world.fake.fetches.iter().all(|&fetch| fetch == (0, 0, 2, 0)));
}

#[test]
fn a_lost_session_is_begun_again() {
    for twist in [
        Twist::Error(ErrorCode::FetchSessionIdNotFound),
        Twist::Error(ErrorCode::InvalidFetchSessionEpoch),
        Twist::Error(ErrorCode::UnknownServerError),
        Twist::CloseBefore,
        Twist::CloseAfter,
        Twist::Garbage,
        Twist::Mute,
    ] {
        let mut world = World::new(1, |_| {});
        world.fake.topic("t", 1);
        fill(&mut world, 0, 2);
        world.client.assign(world.now, TopicPartition::new("t", 0), StartAt::Earliest);
        assert!(world.run(SOON, |world| world.values().len() == 6));
        world.twist(ApiKey::Fetch, twist);
        world.run_for(Duration::from_secs(60));
        fill(&mut world, 0, 2);
        assert!(world.run(SOON, |world| world.values().len() == 12), "{twist:?}");
        let sessions = world.fake.fetches.iter().filter(|(_, epoch, ..)| *epoch == 0).count();
        assert_eq!(sessions, 2, "{twist:?}");
    }
}

#[test]
fn seeking_and_leaving_drop_what_was_under_way() {
    let mut world = World::new(1, |_| {});
    world.fake.topic("t", 2);
    fill(&mut world, 0, 3);
    fill(&mut world, 1, 3);
    assert_eq!(read_from(&mut world, StartAt::Earliest, 9), Vec::from_iter(0..9));
    world.events.clear();
    // A fetch waits at the broker; its answer is for the old place.
    let again = read_from(&mut world, StartAt::Offset(Offset(4)), 5);
    assert_eq!(again, Vec::from_iter(4..9));
    world.events.clear();
    world.client.assign(world.now, TopicPartition::new("t", 1), StartAt::Earliest);
    world.client.unassign(&TopicPartition::new("t", 0));
    fill(&mut world, 0, 1);
    assert!(world.run(SOON, |world| world.values().len() == 9));
    world.run_for(Duration::from_secs(2));
    assert!(world.values().iter().all(|(_, value)| value.starts_with("1/")));
    assert!(world.fake.fetches.iter().any(|&(_, _, told, forgotten)| told == 1 && forgotten == 1));
}

#[test]
fn events_of_an_old_assignment_are_not_shown() {
    let mut world = World::new(1, |_| {});
    world.fake.topic("t", 1);
    fill(&mut world, 0, 3);
    let partition = TopicPartition::new("t", 0);
    world.client.assign(world.now, partition.clone(), StartAt::Earliest);
    assert!(world.run(SOON, |world| world.client.position(&partition) == Some(Offset(9))));
    world.events.clear();
    fill(&mut world, 0, 1);
    // Fetched, but not taken when the seek comes.
    while world.client.position(&partition) == Some(Offset(9)) {
        world.step();
    }
    world.client.assign(world.now, partition, StartAt::Offset(Offset(0)));
    assert!(world.run(SOON, |world| world.values().len() >= 12));
    let offsets: Vec<i64> = world.values().into_iter().map(|(offset, _)| offset).collect();
    assert_eq!(offsets, Vec::from_iter(0..12));
}

#[test]
fn an_offset_out_of_range_is_answered_by_policy() {
    let read = |policy, count| {
        let mut world = World::new(1, |config| config.consumer.out_of_range = policy);
        world.fake.topic("t", 1);
        fill(&mut world, 0, 3);
        world.fake.log("t", 0).start = 3;
        world.fake.log("t", 0).batches.remove(0);
        let offsets = read_from(&mut world, StartAt::Offset(Offset(99)), count);
        assert_eq!(world.failures(), [broker(ErrorCode::OffsetOutOfRange)]);
        let position = world.client.position(&TopicPartition::new("t", 0));
        (offsets, position)
    };
    assert_eq!(read(ResetPolicy::Earliest, 6), (Vec::from_iter(3..9), Some(Offset(9))));
    assert_eq!(read(ResetPolicy::Latest, 0), (Vec::new(), Some(Offset(9))));
    assert_eq!(read(ResetPolicy::Fail, 0), (Vec::new(), None));
}

#[test]
fn a_damaged_batch_is_not_shown_and_read_again() {
    let mut world = World::new(1, |_| {});
    world.fake.topic("t", 1);
    fill(&mut world, 0, 3);
    world.fake.log("t", 0).batches[1][70] ^= 1;
    let offsets = read_from(&mut world, StartAt::Earliest, 3);
    assert_eq!(offsets, [0, 1, 2]);
    assert!(world.failures().len() > 2, "it is tried again");
    assert!(world.failures().iter().all(|&error| error == ClientError::CorruptBatch));
    world.fake.log("t", 0).batches[1][70] ^= 1;
    assert!(world.run(SOON, |world| world.values().len() == 9));
}

#[test]
fn leaders_are_followed_and_questions_repeated() {
    let mut world = World::new(3, |_| {});
    world.fake.topic("t", 3);
    for index in 0..3 {
        fill(&mut world, index, 2);
    }
    world.twist(ApiKey::ListOffsets, Twist::Error(ErrorCode::NotLeaderOrFollower));
    world.twist(ApiKey::ListOffsets, Twist::CloseBefore);
    for index in 0..3 {
        world.client.assign(world.now, TopicPartition::new("t", index), StartAt::Earliest);
    }
    assert!(world.run(SOON, |world| world.values().len() == 18));
    for index in 0..3 {
        world.fake.log("t", index).leader = 1;
        fill(&mut world, index, 1);
    }
    assert!(world.run(SOON, |world| world.values().len() == 27));
    for index in 0..3 {
        let prefix = format!("{index}/");
        let values: Vec<String> =
            world.values().into_iter().map(|(_, v)| v).filter(|v| v.starts_with(&prefix)).collect();
        let expected: Vec<String> = (0..9).map(|n| prefix.clone() + &n.to_string()).collect();
        assert_eq!(values, expected);
    }
}

#[test]
fn nothing_is_fetched_while_nobody_takes() {
    let mut world = World::new(1, |config| config.consumer.buffer_bytes = 500);
    world.fake.topic("t", 1);
    fill(&mut world, 0, 300);
    world.client.assign(world.now, TopicPartition::new("t", 0), StartAt::Earliest);
    for _ in 0..500 {
        world.step();
    }
    assert!(world.fake.fetches.len() < 6, "{} fetches", world.fake.fetches.len());
    assert!(world.run(SOON, |world| world.values().len() == 900));
}

#[test]
fn a_cut_of_all_wires_repeats_nothing() {
    let mut world = World::new(2, |_| {});
    world.fake.topic("t", 1);
    world.client.assign(world.now, TopicPartition::new("t", 0), StartAt::Earliest);
    for round in 1..=5 {
        fill(&mut world, 0, 4);
        world.run(Duration::from_millis(30), |world| world.values().len() > round * 12 - 6);
        world.cut();
    }
    assert!(world.run(SOON, |world| world.values().len() == 60));
    let offsets: Vec<i64> = world.values().into_iter().map(|(offset, _)| offset).collect();
    assert_eq!(offsets, Vec::from_iter(0..60));
}

#[test]
fn data_under_way_for_the_old_place_is_dropped() {
    let mut world = World::new(1, |_| {});
    world.fake.topic("t", 1);
    fill(&mut world, 0, 3);
    world.client.assign(world.now, TopicPartition::new("t", 0), StartAt::Offset(Offset(0)));
    while world.fake.fetches.is_empty() {
        world.step();
    }
    assert_eq!(read_from(&mut world, StartAt::Offset(Offset(4)), 5), Vec::from_iter(4..9));
}
