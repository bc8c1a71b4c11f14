//! Fetch, from bytes to bytes: limits, long polls, sessions.

use alloc::vec;
use alloc::vec::Vec;

use super::{CONN, World, batch, body, request};
use crate::id::{Offset, TopicId};
use crate::replica::PartitionError;
use crate::shard::{CloseReason, Timer};
use crate::time::Duration;
use crate::wire::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic, ForgottenTopic};
use crate::wire::messages::fetch_response::FetchResponse;
use crate::wire::{ApiKey, Reader};

#[derive(Clone)]
struct Ask {
    version: i16,
    topic: TopicId,
    max_wait_ms: i32,
    min_bytes: i32,
    max_bytes: i32,
    session: (i32, i32),
    /// Index, offset and byte limit.
    parts: Vec<(i32, i64, i32)>,
    forgotten: Vec<i32>,
    isolation_level: i8,
    replica_id: i32,
}

impl Ask {
    fn new(world: &World, version: i16) -> Self {
        Self {
            version,
            topic: world.partition("t", 0).topic,
            max_wait_ms: 500,
            min_bytes: 1,
            max_bytes: 1 << 20,
            session: (0, -1),
            parts: vec![(0, 0, 1 << 20), (1, 0, 1 << 20)],
            forgotten: Vec::new(),
            isolation_level: 0,
            replica_id: -1,
        }
    }

    fn frame(&self) -> Vec<u8> {
        let (name, id) = if self.version >= 13 { ("", self.topic.0) } else { ("t", Default::default()) };
        let partitions = self.parts.iter().map(|&(partition, fetch_offset, partition_max_bytes)| {
            FetchPartition { partition, fetch_offset, partition_max_bytes, ..FetchPartition::default() }
        });
        let topics = vec![FetchTopic {
            topic: name,
            topic_id: id,
            partitions: partitions.collect(),
            ..Default::default()
        }];
        let forgotten = vec![ForgottenTopic {
            topic: name,
            topic_id: id,
            partitions: self.forgotten.clone(),
            ..ForgottenTopic::default()
        }];
        let fetch = FetchRequest {
            replica_id: self.replica_id,
            max_wait_ms: self.max_wait_ms,
            min_bytes: self.min_bytes,
            max_bytes: self.max_bytes,
            isolation_level: self.isolation_level,
            session_id: self.session.0,
            session_epoch: self.session.1,
            topics: if self.parts.is_empty() { Vec::new() } else { topics },
            forgotten_topics_data: if self.forgotten.is_empty() { Vec::new() } else { forgotten },
            ..FetchRequest::default()
        };
        request(ApiKey::Fetch, self.version, 5, &body(|writer| fetch.encode(self.version, writer)))
    }

    fn send(&self, world: &mut World) {
        assert_eq!(world.send(CONN, &self.frame()), 0);
    }

    fn answer(&self, world: &mut World) -> Option<Answer> {
        world.read(ApiKey::Fetch, self.version, 5, |reader| Answer::read(self.version, reader))
    }

    fn run(&self, world: &mut World) -> Answer {
        self.send(world);
        self.answer(world).expect("an answer at once")
    }
}

#[derive(Debug, PartialEq)]
struct Answer {
    code: i16,
    session_id: i32,
    /// Index, error, bytes of records, high watermark.
    parts: Vec<(i32, i16, usize, i64)>,
}

impl Answer {
    fn read(version: i16, reader: &mut Reader<'_>) -> Self {
        let response = FetchResponse::decode(version, reader).expect("a response");
        let parts = response.responses.iter().flat_map(|topic| &topic.partitions).map(|part| {
            let bytes = part.records.as_ref().map_or(0, crate::wire::Records::len);
            (part.partition_index, part.error_code, bytes, part.high_watermark)
        });
        Self { code: response.error_code, session_id: response.session_id, parts: parts.collect() }
    }
}

/// Appends a batch behind the home's back, as another connection would.
fn append(world: &mut World, index: i32, bytes: usize) -> usize {
    let batch = batch(1, bytes);
    world.log(index).append(&batch);
    let partition = world.partition("t", index);
    world.wake(partition);
    world.run();
    batch.len()
}

#[test]
fn every_version_reads_what_is_there() {
    for version in 4..=18 {
        let mut world = World::with_topic();
        let len = append(&mut world, 0, 10);
        append(&mut world, 0, 10);
        let answer = Ask::new(&world, version).run(&mut world);
        assert_eq!(answer.parts, [(0, 0, 2 * len, 2), (1, 0, 0, 0)], "version {version}");
        assert_eq!((answer.code, answer.session_id), (0, 0));
        assert_eq!(world.unwatched, 1, "the partition without records was watched");
        assert!(world.logs.values().all(|log| log.watches.is_empty()), "and is not any more");
    }
}

#[test]
fn a_long_poll_ends_when_records_come() {
    let mut world = World::with_topic();
    let ask = Ask::new(&world, 12);
    ask.send(&mut world);
    assert_eq!(ask.answer(&mut world), None);
    assert_eq!(world.home.deadline(), Some((world.now.mono + Duration::from_millis(500), Timer::Fetch)));
    world.pass(Duration::from_millis(499));
    assert_eq!(ask.answer(&mut world), None);
    let len = append(&mut world, 1, 10);
    assert_eq!(ask.answer(&mut world).expect("woken").parts, [(0, 0, 0, 0), (1, 0, len, 1)]);
    assert!(world.logs.values().all(|log| log.watches.is_empty()));
    assert_eq!(world.home.deadline(), None);
}

#[test]
fn a_long_poll_ends_when_its_time_is_over() {
    let mut world = World::with_topic();
    let ask = Ask::new(&world, 12);
    ask.send(&mut world);
    world.pass(Duration::from_millis(500));
    assert_eq!(ask.answer(&mut world).expect("late").parts, [(0, 0, 0, 0), (1, 0, 0, 0)]);
    assert_eq!(world.unwatched, 2);
    assert_eq!(append(&mut world, 0, 10), batch(1, 10).len());
    assert_eq!(world.response(CONN), None);
}

#[test]
fn a_long_poll_waits_for_its_bytes_and_reads_each_batch_once() {
    let mut world = World::with_topic();
    let len = append(&mut world, 0, 10);
    let ask = Ask { min_bytes: i32::try_from(3 * len).expect("fits"), ..Ask::new(&world, 12) };
    ask.send(&mut world);
    assert_eq!(ask.answer(&mut world), None);
    append(&mut world, 1, 10);
    assert_eq!(ask.answer(&mut world), None, "two batches of three");
    append(&mut world, 0, 10);
    assert_eq!(ask.answer(&mut world).expect("enough").parts, [(0, 0, 2 * len, 2), (1, 0, len, 1)]);
}

#[test]
fn no_wait_means_no_watch() {
    let mut world = World::with_topic();
    for (max_wait_ms, min_bytes) in [(0, 1), (500, 0), (-1, 1)] {
        let answer = Ask { max_wait_ms, min_bytes, ..Ask::new(&world, 12) }.run(&mut world);
        assert_eq!(answer.parts, [(0, 0, 0, 0), (1, 0, 0, 0)]);
        assert_eq!(world.unwatched, 0);
    }
}

#[test]
fn the_first_batch_is_served_whatever_its_size() {
    let mut world = World::with_topic();
    let large = append(&mut world, 0, 5_000);
    append(&mut world, 0, 5_000);
    append(&mut world, 1, 5_000);
    let limited = Ask { max_bytes: 100, ..Ask::new(&world, 12) };
    assert_eq!(limited.run(&mut world).parts, [(0, 0, large, 2), (1, 0, 0, 1)]);
    let parts = vec![(0, 0, 100), (1, 0, 1 << 20)];
    let one = Ask { parts, ..Ask::new(&world, 12) };
    assert_eq!(one.run(&mut world).parts, [(0, 0, large, 2), (1, 0, large, 1)]);
    // The first partition with records is not the first one.
    let parts = vec![(0, 2, 100), (1, 0, 100)];
    let later = Ask { parts, ..Ask::new(&world, 12) };
    assert_eq!(later.run(&mut world).parts, [(0, 0, 0, 2), (1, 0, large, 1)]);
    let nothing = Ask { max_bytes: 0, ..Ask::new(&world, 12) };
    assert_eq!(nothing.run(&mut world).parts, [(0, 0, large, 2), (1, 0, 0, 1)]);
}

#[test]
fn the_response_keeps_its_limit_over_many_partitions() {
    let mut world = World::new();
    world.create("t", 40, &[]);
    let len = (0..40).map(|index| append(&mut world, index, 1_000)).max().expect("forty");
    let max_bytes = i32::try_from(10 * len + 10).expect("fits");
    let parts: Vec<_> = (0..40).map(|index| (index, 0, 1 << 20)).collect();
    let answer = Ask { max_bytes, parts, ..Ask::new(&world, 12) }.run(&mut world);
    let served: Vec<i32> = answer.parts.iter().filter(|part| part.2 > 0).map(|part| part.0).collect();
    assert_eq!(served, (0..10).collect::<Vec<_>>());
    assert_eq!(answer.parts.len(), 40, "the others are answered without records");
}

#[test]
fn errors_are_named_and_end_the_wait() {
    let mut world = World::with_topic();
    let parts = vec![(0, 7, 100), (1, 0, 100)];
    let answer = Ask { parts, ..Ask::new(&world, 12) }.run(&mut world);
    assert_eq!(answer.parts, [(0, 1, 0, -1), (1, 0, 0, 0)]);
    let unknown = Ask { parts: vec![(9, 0, 100), (-1, 0, 100)], ..Ask::new(&world, 12) };
    assert_eq!(unknown.run(&mut world).parts, [(9, 3, 0, -1), (-1, 3, 0, -1)]);
    let unknown = Ask { topic: TopicId(crate::id::Uuid([4; 16])), ..Ask::new(&world, 13) };
    assert_eq!(unknown.run(&mut world).parts, [(0, 100, 0, -1), (1, 100, 0, -1)]);
    let follower = Ask { replica_id: 2, ..Ask::new(&world, 12) };
    assert_eq!(follower.run(&mut world).parts, [(0, 6, 0, -1), (1, 6, 0, -1)]);
    let level = Ask { isolation_level: 7, ..Ask::new(&world, 12) };
    assert_eq!(level.run(&mut world), Answer { code: 42, session_id: 0, parts: Vec::new() });
    let ask = Ask::new(&world, 12);
    ask.send(&mut world);
    world.log(1).error = Some(PartitionError::NotLeader);
    let watch = world.log(1).watches.pop().expect("watched");
    let owner = crate::shard::placement::owner(world.partition("t", 1), 3);
    world.home.on_message(world.now, owner, crate::shard::ShardMessage::Woken { call: watch.0 });
    world.run();
    assert_eq!(ask.answer(&mut world).expect("woken by an error").parts, [(0, 0, 0, 0), (1, 6, 0, -1)]);
}

#[test]
fn an_unknown_topic_does_not_end_the_wait_of_the_others() {
    let mut world = World::with_topic();
    let ask = Ask { parts: vec![(9, 0, 100), (1, 0, 100)], ..Ask::new(&world, 12) };
    ask.send(&mut world);
    assert_eq!(ask.answer(&mut world), None, "or a client with a stale topic would spin");
    let len = append(&mut world, 1, 10);
    assert_eq!(ask.answer(&mut world).expect("woken").parts, [(9, 3, 0, -1), (1, 0, len, 1)]);
}

#[test]
fn a_session_answers_only_what_is_new() {
    for version in [7, 12, 13, 18] {
        let mut world = World::with_topic();
        let ask = Ask { session: (0, 0), max_wait_ms: 0, ..Ask::new(&world, version) };
        let first = ask.run(&mut world);
        assert_eq!(first.parts.len(), 2, "all of it at first");
        let next = |epoch, parts| Ask { session: (first.session_id, epoch), parts, ..ask.clone() };
        assert_eq!(next(1, Vec::new()).run(&mut world).parts, [], "nothing is new");
        let len = append(&mut world, 1, 10);
        let answer = next(2, Vec::new()).run(&mut world);
        assert_eq!((answer.session_id, answer.parts), (first.session_id, vec![(1, 0, len, 1)]));
        let answer = next(3, vec![(1, 1, 1_000)]).run(&mut world);
        assert_eq!(answer.parts, [], "read to its end, and the high watermark is known");
        let gone = Ask { forgotten: vec![1], ..next(4, Vec::new()) };
        gone.run(&mut world);
        append(&mut world, 1, 10);
        assert_eq!(next(5, Vec::new()).run(&mut world).parts, [], "forgotten");
        assert_eq!(next(5, Vec::new()).run(&mut world).code, 71, "that epoch was used");
        assert_eq!(Ask { session: (first.session_id ^ 1, 1), ..ask.clone() }.run(&mut world).code, 70);
    }
}

#[test]
fn partitions_of_a_session_take_turns() {
    let mut world = World::with_topic();
    let len = append(&mut world, 0, 1_000);
    append(&mut world, 1, 1_000);
    let max_bytes = i32::try_from(len + 10).expect("fits");
    let ask = Ask { session: (0, 0), max_bytes, ..Ask::new(&world, 12) };
    let first = ask.run(&mut world);
    assert_eq!(first.parts, [(0, 0, len, 1), (1, 0, 0, 1)]);
    let second = Ask { session: (first.session_id, 1), parts: Vec::new(), ..ask }.run(&mut world);
    assert_eq!(second.parts, [(1, 0, len, 1)], "the other one comes first now");
}

#[test]
fn a_closed_connection_leaves_no_watch() {
    let mut world = World::with_topic();
    Ask::new(&world, 12).send(&mut world);
    assert_eq!(world.logs.values().map(|log| log.watches.len()).sum::<usize>(), 2);
    world.send(CONN, &(-1_i32).to_be_bytes());
    assert_eq!(world.closed(), Some(CloseReason::FrameLength));
    assert_eq!(world.unwatched, 2);
    let mut world = World::with_topic();
    world.holds = true;
    Ask { max_bytes: 1 << 22, ..Ask::new(&world, 12) }.send(&mut world);
    assert_eq!(world.held.len(), 2, "both are asked at once");
    world.send(CONN, &(-1_i32).to_be_bytes());
    world.release();
    assert_eq!(world.unwatched, 2, "watches that begin after the end are taken down too");
}

#[test]
fn stopping_ends_long_polls() {
    let mut world = World::with_topic();
    let ask = Ask::new(&world, 12);
    ask.send(&mut world);
    world.home.on_stop(world.now);
    world.run();
    assert!(ask.answer(&mut world).is_some());
    assert_eq!(world.closed(), Some(CloseReason::Stopping));
}

#[test]
fn a_fetch_of_too_many_partitions_is_refused() {
    let mut world = World::with_topic();
    let parts: Vec<_> = (0..100_000).map(|index| (index, 0, 1)).collect();
    let ask = Ask { parts, ..Ask::new(&world, 12) };
    assert_eq!(ask.run(&mut world).code, 42);
    Ask { version: 4, ..ask }.send(&mut world);
    assert_eq!(world.closed(), Some(CloseReason::Malformed), "there is no field for the error");
}

#[test]
fn what_no_client_means_has_a_code_of_its_own() {
    for version in 4..=18 {
        let mut world = World::with_topic();
        let ask = Ask { isolation_level: 7, ..Ask::new(&world, version) };
        let answer = ask.run(&mut world);
        if version < 7 {
            assert_eq!(answer.parts, [(0, 42, 0, -1), (1, 42, 0, -1)], "version {version}");
            continue;
        }
        assert_eq!((answer.code, answer.parts), (42, vec![]), "version {version}");
        let created = Ask { session: (0, 0), max_wait_ms: 0, ..Ask::new(&world, version) }.run(&mut world);
        let sessions = [
            (created.session_id, i32::MIN, 71),
            (created.session_id, i32::MAX, 71),
            (created.session_id, -2, 71),
            (i32::MIN, 1, 70),
            (-1, 1, 70),
            (0, 5, 70),
        ];
        for (id, epoch, code) in sessions {
            let ask = Ask { session: (id, epoch), parts: Vec::new(), ..Ask::new(&world, version) };
            assert_eq!(ask.run(&mut world).code, code, "version {version}, session {id}, epoch {epoch}");
        }
    }
}

#[test]
fn a_topic_that_was_made_again_is_another() {
    for version in [12, 13, 18] {
        let mut world = World::with_topic();
        let ask = Ask { session: (0, 0), max_wait_ms: 0, ..Ask::new(&world, version) };
        let session = (ask.run(&mut world).session_id, 1);
        let id = world.partition("t", 0).topic;
        world.commit(vec![crate::controller::MetadataRecord::TopicDeleted { id }]);
        world.create("t", 2, &[]);
        append(&mut world, 0, 10);
        let answer = Ask { session, parts: Vec::new(), ..ask.clone() }.run(&mut world);
        if version < 13 {
            assert_eq!(answer.parts[0].1, 0, "by name the new one is found");
        } else {
            assert_eq!(answer.parts, [(0, 100, 0, -1), (1, 100, 0, -1)]);
        }
        assert_eq!(Ask::new(&world, version).run(&mut world).parts[0].1, 0);
    }
}

#[test]
fn reads_begin_where_they_are_asked_to() {
    let mut world = World::with_topic();
    let len = (0..3).map(|_| append(&mut world, 0, 10)).max().expect("three");
    let answer = Ask { parts: vec![(0, 2, 1_000)], ..Ask::new(&world, 12) }.run(&mut world);
    assert_eq!(answer.parts, [(0, 0, len, 3)]);
    assert_eq!(world.log(0).end(), Offset(3));
}
