//! Histories of damage, and what may come of it.

use std::ops::Range;

use highwater_core::id::{FileId, LeaderEpoch, Offset, PartitionId, StreamId, TopicId, Uuid};
use highwater_core::shard::Event;
use highwater_core::time::Timestamp;

use super::super::Rules;
use super::super::samples::{PLACE, acked, fetched, read_to_end, rules, sent};
use super::{Checker, RotIsTold};
use crate::disk::Strike;
use crate::history::{DiskNote, Ending, Fact, Frame, Logging, Promise, Value};

const P: PartitionId = PartitionId { topic: TopicId(Uuid([7; 16])), index: 0 };
const STREAM: StreamId = StreamId(Uuid([3; 16]));
const WAL: FileId = FileId::Wal { stream: STREAM, number: 0 };
const SEGMENT: FileId = FileId::Segment { partition: P, base: Offset::ZERO };

fn core(event: Event) -> Fact {
    Fact::Core { node: 0, event }
}

fn disk(note: DiskNote) -> Fact {
    Fact::Disk { node: 0, note }
}

fn struck(strike: Strike, file: FileId, bytes: Range<u64>) -> Fact {
    disk(DiskNote::Struck { strike, file, bytes })
}

fn appended(offset: u32) -> Fact {
    core(Event::Appended {
        partition: P,
        base: Offset(offset.into()),
        last: Offset(offset.into()),
        epoch: LeaderEpoch(0),
        bytes: 100,
        segment_base: Offset::ZERO,
        position: offset * 100,
        max_timestamp: Timestamp(0),
        producer: None,
    })
}

/// A record in a batch of 100 B and a frame of its own, from its sending to its durability.
fn write(offset: u32) -> Vec<Fact> {
    let (base, lsn, value) = (i64::from(offset), u64::from(offset) + 1, u64::from(offset) + 1);
    let at = u64::from(offset) * 4096;
    let batches = vec![Logging { partition: P, base, last: base, values: vec![(base, Some(Value(value)))] }];
    let (stream, proves, bytes) = (STREAM, lsn - 1, at..at + 4096);
    let frame = Frame { stream, lsn, proves, file: WAL, bytes, batches };
    vec![
        sent(value, Promise::Once),
        appended(offset),
        disk(DiskNote::Logging(frame)),
        disk(DiskNote::Logged { file: WAL, bytes: at..at + 4096 }),
        core(Event::DurableAdvanced { partition: P, durable_end: Offset(base + 1) }),
        acked(value, base),
    ]
}

fn ended() -> Fact {
    Fact::Ended { node: 0, how: Ending::PowerOff }
}

fn rot(first: u64, last: u64) -> Fact {
    core(Event::Rot { stream: STREAM, first, last })
}

fn faulty(base: i64, last: i64) -> Fact {
    core(Event::Faulty { partition: P, base: Offset(base), last: Offset(last) })
}

fn recovered(end: i64) -> Fact {
    core(Event::Recovered { partition: P, log_start: Offset::ZERO, log_end: Offset(end) })
}

/// All logs were read.
fn metadata() -> Fact {
    let (log_start, log_end) = (Offset::ZERO, Offset::ZERO);
    core(Event::Recovered { partition: PartitionId::METADATA, log_start, log_end })
}

fn unreadable(offset: i64) -> Fact {
    Fact::Unreadable { place: PLACE, offset }
}

/// Three records are acknowledged, then this happens, then the values are read from the start on.
fn run(then: Vec<Fact>, values: &[u64]) -> bool {
    let mut checker = RotIsTold::new(&Rules { rot: true, ..rules() });
    let before = (0..3).flat_map(write);
    let after = [Fact::FinalReadBegan, fetched(0, values), read_to_end(3)];
    before.chain(then).chain(after).all(|fact| checker.on_fact(&fact).is_ok())
}

#[test]
fn what_is_whole_is_to_be_read() {
    assert!(run(vec![], &[1, 2, 3]));
    assert!(!run(vec![], &[1, 2]), "silence");
    assert!(!run(vec![unreadable(2)], &[1, 2]), "nothing touched it");
    assert!(!run(vec![faulty(2, 2), unreadable(2)], &[1, 2]), "nothing touched it");
    assert!(!run(vec![], &[1, 2, 9]), "another value");
}

#[test]
fn a_rotten_batch_of_a_segment_is_lost_alone() {
    let payload = || struck(Strike::Rot, SEGMENT, 250..251);
    assert!(run(vec![payload(), unreadable(2)], &[1, 2]));
    assert!(!run(vec![payload()], &[1, 2]), "nobody was told");
    assert!(!run(vec![payload(), unreadable(1), unreadable(2)], &[1]), "it was not touched");
    let framing = struck(Strike::Rot, SEGMENT, 110..111);
    assert!(run(vec![framing, unreadable(1), unreadable(2)], &[1]), "the next one is not found");
}

#[test]
fn a_log_is_cut_only_where_it_is_damaged_and_with_a_word() {
    let hit = |frame: u64| struck(Strike::Rot, WAL, frame * 4096 + 9..frame * 4096 + 10);
    let mut all = write(3);
    all.extend([hit(1), ended(), rot(2, 2), faulty(1, 1), recovered(4), unreadable(1)]);
    assert!(!run(all, &[1]), "those behind it are not touched");
    assert!(
        !run(vec![ended(), metadata(), hit(2), ended(), recovered(2)], &[1, 2]),
        "a recovery had fenced it"
    );
}

#[test]
fn proven_frames_do_not_go_in_silence() {
    let hit = || struck(Strike::Rot, WAL, 4096..4097);
    let lost = |word: Vec<Fact>| {
        let mut facts = vec![hit(), ended()];
        facts.extend(word);
        facts.extend([recovered(1)]);
        run(facts, &[1])
    };
    assert!(!lost(vec![]), "the third frame proves the second, and is whole");
    assert!(!lost(vec![rot(2, 2)]), "the third frame is not touched");
}

#[test]
fn a_frame_that_is_written_again_proves_nothing_of_those_behind_it() {
    let again = write(1).into_iter().filter(|fact| matches!(fact, Fact::Disk { .. }));
    let in_flight = write(3).into_iter().take(3);
    let hit = struck(Strike::Rot, WAL, 8192..8193);
    let facts = in_flight.chain([hit, ended()]).chain(again).chain([recovered(2)]).collect();
    assert!(run(facts, &[1, 2]), "the fourth frame, which proves the third, was under way");
}

#[test]
fn nothing_is_called_rotten_that_is_whole() {
    assert!(!run(vec![ended(), rot(2, 2), recovered(3)], &[1, 2, 3]));
    let hit = struck(Strike::Rot, WAL, 4096..4097);
    assert!(run(vec![hit, ended(), rot(2, 2), recovered(3)], &[1, 2, 3]), "the segment has it");
    let lost = core(Event::CheckpointLost { stream: STREAM });
    assert!(!run(vec![ended(), lost.clone(), recovered(3)], &[1, 2, 3]));
    let hit = struck(Strike::Rot, FileId::Checkpoint { stream: STREAM }, 0..1);
    assert!(run(vec![hit, ended(), lost, recovered(3)], &[1, 2, 3]));
    let lost = core(Event::ProducersLost { partition: P });
    assert!(!run(vec![ended(), lost.clone(), recovered(3)], &[1, 2, 3]));
    let hit = struck(Strike::Rot, FileId::Footer { partition: P, base: Offset(0) }, 0..1);
    assert!(run(vec![hit, ended(), lost, recovered(3)], &[1, 2, 3]));
}

#[test]
fn what_was_never_there_is_lost_only_where_damage_put_something() {
    let claim = || [ended(), faulty(3, 3), recovered(4), ended(), recovered(3)];
    assert!(!run(claim().to_vec(), &[1, 2, 3]), "nothing is there");
    let mut facts = vec![struck(Strike::Lie, SEGMENT, 4096..8192)];
    facts.extend(claim());
    assert!(run(facts.clone(), &[1, 2, 3]));
    facts.extend([ended(), recovered(2)]);
    assert!(!run(facts, &[1, 2]), "what is before it is not touched");
}

#[test]
fn an_offset_that_is_given_anew_holds_what_it_is_given() {
    let anew = |value: u64| {
        let lie = struck(Strike::Lie, WAL, 2 * 4096..3 * 4096);
        let batches = vec![Logging { partition: P, base: 2, last: 2, values: vec![(2, Some(Value(value)))] }];
        let (file, bytes) = (FileId::Wal { stream: STREAM, number: 1 }, 0..4096);
        let frame = Frame { stream: STREAM, lsn: 9, proves: 8, file, bytes, batches };
        let durable = core(Event::DurableAdvanced { partition: P, durable_end: Offset(3) });
        let again = [
            sent(value, Promise::Once),
            appended(2),
            disk(DiskNote::Logging(frame)),
            durable,
            acked(value, 2),
        ];
        [lie, ended(), recovered(2)].into_iter().chain(again).collect()
    };
    assert!(run(anew(9), &[1, 2, 9]));
    assert!(!run(anew(9), &[1, 2, 3]), "what is lost is back");
    assert!(!run(anew(9), &[1, 2]), "damage excuses once");
}

#[test]
fn what_the_disk_did_not_show_may_come_back_until_its_offsets_are_given_anew() {
    let gone_and_back = |anew: Vec<Fact>| {
        let lie = |at: u64| struck(Strike::Lie, SEGMENT, at..at + 1);
        let mut facts = vec![lie(150), lie(250), ended(), recovered(1), ended()];
        facts.extend(anew);
        facts.extend([recovered(3), faulty(1, 1)]);
        run(facts, &[1, 2, 3])
    };
    assert!(gone_and_back(vec![]));
    assert!(!gone_and_back(vec![appended(1)]), "nothing has touched what is there now");
}

#[test]
fn without_rot_it_is_silent() {
    let mut checker = RotIsTold::new(&rules());
    assert!(write(0).into_iter().chain([read_to_end(1)]).all(|fact| checker.on_fact(&fact).is_ok()));
}
