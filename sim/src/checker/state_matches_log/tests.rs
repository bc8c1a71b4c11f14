use std::collections::VecDeque;

use highwater_core::id::{LeaderEpoch, Offset, PartitionId, ProducerEpoch, ProducerId};
use highwater_core::log::{
    EpochStart, IndexEntry, LogView, Producer, RetainedBatch, SegmentName, SegmentView,
};
use highwater_core::shard::{Event, Sequenced};
use highwater_core::time::Timestamp;

use super::super::samples::look;
use super::{Checker, StateMatchesLog};
use crate::history::{Deed, Ending, Fact, Ruled};

const P: PartitionId = PartitionId::METADATA;

/// Two batches of two records and 100 bytes each, by one producer.
fn appended(n: i64) -> Fact {
    let base = Offset(2 * n);
    let first = i32::try_from(2 * n).unwrap();
    let (id, epoch) = (ProducerId(7), ProducerEpoch(0));
    let event = Event::Appended {
        partition: P,
        base,
        last: base.plus(1),
        epoch: LeaderEpoch(0),
        bytes: 100,
        segment_base: Offset::ZERO,
        position: u32::try_from(n).unwrap() * 100,
        max_timestamp: Timestamp(10 - n),
        producer: Some(Sequenced { id, epoch, first, last: first + 1 }),
    };
    Fact::Core { node: 0, event }
}

/// What a log of two such batches derives.
fn sound() -> LogView {
    let retained = |n: i32| RetainedBatch {
        first_sequence: 2 * n,
        last_sequence: 2 * n + 1,
        base: Offset(i64::from(2 * n)),
        last: Offset(i64::from(2 * n + 1)),
        timestamp: Timestamp(10),
    };
    let batches = VecDeque::from([retained(0), retained(1)]);
    let producer = Producer { epoch: ProducerEpoch(0), last: Offset(3), batches };
    let entry = IndexEntry { offset_delta: 2, position: 100, timestamp_max_before: Timestamp(10) };
    let segment = SegmentView {
        name: SegmentName::written(Offset(0)),
        base: Offset::ZERO,
        end: Offset(4),
        len: 200,
        index: vec![entry],
        by_offset: vec![(Offset(1), 0), (Offset(3), 100)],
        by_time: vec![(Timestamp(10), 0), (Timestamp(11), 100)],
    };
    LogView {
        epochs: vec![EpochStart { epoch: LeaderEpoch(0), start: Offset::ZERO }],
        producers: vec![(ProducerId(7), producer)],
        segments: vec![segment],
        ..look(0, [0, 4, 4, 4]).partitions.remove(0).log
    }
}

fn finds(change: impl FnOnce(&mut LogView)) -> bool {
    let mut checker = StateMatchesLog::default();
    for fact in [appended(0), appended(1)] {
        assert!(checker.on_fact(&fact).is_ok());
    }
    let mut look = look(0, [0, 4, 4, 4]);
    look.partitions[0].log = sound();
    change(&mut look.partitions[0].log);
    checker.on_look(&look).is_err()
}

#[test]
fn state_that_follows_from_the_batches_is_fine() {
    assert!(!finds(|_| {}));
}

#[test]
fn state_that_does_not_is_found() {
    assert!(finds(|log| log.log_end = Offset(5)), "end");
    assert!(finds(|log| log.epochs[0].start = Offset(1)), "epoch");
    assert!(finds(|log| log.producers.clear()), "forgotten producer");
    assert!(finds(|log| log.producers[0].1.batches.truncate(1)), "forgotten batch");
    assert!(finds(|log| log.producers[0].1.epoch = ProducerEpoch(1)), "epoch of a producer");
    assert!(finds(|log| log.producers[0].0 = ProducerId(8)), "invented producer");
    assert!(finds(|log| log.segments[0].len = 201), "length");
    assert!(finds(|log| log.segments[0].index[0].position = 101), "index entry");
    assert!(finds(|log| log.segments[0].index[0].timestamp_max_before = Timestamp(9)), "time of an entry");
    assert!(finds(|log| log.segments[0].by_offset[0].1 = 100), "look-up by offset");
    assert!(finds(|log| log.segments[0].by_time[0].1 = 100), "look-up by time");
}

#[test]
fn crash_takes_batches_back_and_loss_excuses() {
    let mut checker = StateMatchesLog::default();
    let ended = Fact::Ended { node: 0, how: Ending::Killed };
    for fact in [appended(0), appended(1), appended(2), ended] {
        assert!(checker.on_fact(&fact).is_ok());
    }
    let mut look = look(0, [0, 4, 4, 4]);
    look.partitions[0].log = sound();
    assert!(checker.on_look(&look).is_ok(), "the third batch was not kept");
    let event = Event::Faulty { partition: P, base: Offset(0), last: Offset(1) };
    assert!(checker.on_fact(&Fact::Core { node: 0, event }).is_ok());
    look.partitions[0].log.producers.clear();
    assert!(checker.on_look(&look).is_ok());
}

#[test]
fn a_batch_that_a_start_did_not_find_comes_back_only_where_disks_lie_and_nothing_took_its_place() {
    let recovered = |end: i64| {
        let (log_start, log_end) = (Offset::ZERO, Offset(end));
        Fact::Core { node: 0, event: Event::Recovered { partition: P, log_start, log_end } }
    };
    let finds = |rot: bool, between: &[Fact]| {
        let mut checker = StateMatchesLog { rot, ..StateMatchesLog::default() };
        let facts = [appended(0), appended(1)].into_iter().chain(between.iter().cloned());
        assert!(facts.chain([recovered(4)]).all(|fact| checker.on_fact(&fact).is_ok()));
        let mut look = look(0, [0, 4, 4, 4]);
        look.partitions[0].log = sound();
        checker.on_look(&look).is_err()
    };
    let event = Event::DurableAdvanced { partition: P, durable_end: Offset(2) };
    let durable = Fact::Core { node: 0, event };
    assert!(!finds(true, &[recovered(0)]));
    assert!(!finds(true, &[recovered(0), appended(0)]), "what was given these offsets did not come to disk");
    assert!(finds(true, &[recovered(0), appended(0), durable]), "something else stands there");
    assert!(finds(false, &[recovered(0)]), "what is gone is gone");
    assert!(finds(false, &[appended(0)]), "and so is what an append cut off");
}

#[test]
fn deletion_that_leaves_too_little_is_found() {
    let finds = |least: u64| {
        let mut checker = StateMatchesLog::default();
        assert!([appended(0), appended(1)].iter().all(|fact| checker.on_fact(fact).is_ok()));
        let mut look = look(0, [0, 4, 4, 4]);
        look.partitions[0].log = LogView { kept_bytes: Some(least), ..sound() };
        assert!(checker.on_look(&look).is_ok());
        let event = Event::SegmentDeleted { partition: P, base: Offset(-1) };
        checker.on_fact(&Fact::Core { node: 0, event }).is_err()
    };
    assert!(!finds(200) && finds(201));
}

#[test]
fn deletion_after_a_change_of_what_is_kept_waits_for_the_next_look() {
    let mut checker = StateMatchesLog::default();
    assert!([appended(0), appended(1)].iter().all(|fact| checker.on_fact(fact).is_ok()));
    let mut look = look(0, [0, 4, 4, 4]);
    look.partitions[0].log = LogView { kept_bytes: Some(201), ..sound() };
    assert!(checker.on_look(&look).is_ok());
    let changes = vec![("log.retention.bytes", Some("100".to_owned()))];
    let deed = Deed::Altering { ruled: Ruled::Brokers, changes };
    assert!(checker.on_fact(&Fact::Steward { node: 0, deed }).is_ok());
    let event = Event::SegmentDeleted { partition: P, base: Offset(-1) };
    assert!(checker.on_fact(&Fact::Core { node: 0, event }).is_ok());
}
