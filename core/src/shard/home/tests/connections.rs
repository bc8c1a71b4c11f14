//! Frames, order, back-pressure, timers, the end.

use alloc::vec::Vec;

use super::{CONN, World, batch, request};
use crate::id::ConnId;
use crate::limits::{
    CONNECTION_REQUESTS_MAX, FRAME_STALL_MAX, MEMORY_RETRY, RECEIVE_PAGE_BYTES_MIN, REQUEST_BYTES_MAX,
    SEND_STALL_MAX,
};
use crate::replica::PartitionError;
use crate::shard::home::tests::producing::produce;
use crate::shard::{CloseReason, Config, Event, Timer};
use crate::time::Duration;
use crate::wire::messages::api_versions_response::ApiVersionsResponse;
use crate::wire::{ApiKey, ErrorCode};

fn api_versions(correlation_id: i32) -> Vec<u8> {
    request(ApiKey::ApiVersions, 0, correlation_id, &[])
}

#[test]
fn requests_split_anywhere_are_answered() {
    let stream: Vec<u8> = (0..3).flat_map(api_versions).collect();
    for at in 0..stream.len() {
        let mut world = World::new();
        world.send(CONN, &stream[..at]);
        world.send(CONN, &stream[at..]);
        for correlation_id in 0..3 {
            let decode =
                |reader: &mut crate::wire::Reader<'_>| ApiVersionsResponse::decode(0, reader).map(|_| ());
            let read = world.read(ApiKey::ApiVersions, 0, correlation_id, decode);
            assert_eq!(read, Some(Ok(())), "split at {at}");
        }
    }
}

#[test]
fn bad_lengths_close() {
    for len in [-1, i32::MIN, i32::try_from(REQUEST_BYTES_MAX).expect("fits") + 1] {
        let mut world = World::new();
        world.send(CONN, &len.to_be_bytes());
        assert_eq!(world.closed(), Some(CloseReason::FrameLength), "{len}");
    }
    let mut world = World::new();
    world.send(CONN, &[0; 4]);
    assert_eq!(world.closed(), Some(CloseReason::Malformed), "a frame without a header");
}

#[test]
fn each_answer_is_told_with_its_error_and_its_time() {
    let mut world = World::with_topic();
    world.holds = true;
    world.log(0).error = Some(PartitionError::Faulty);
    let parts = [(1, Some(batch(1, 10))), (0, Some(batch(1, 10)))];
    let slow = request(ApiKey::Produce, 9, 1, &produce(9, -1, &parts));
    world.send(CONN, &slow[..9]);
    world.pass(Duration::from_millis(100));
    world.send(CONN, &[&slow[9..], &api_versions(2)].concat());
    world.pass(Duration::from_millis(30));
    world.release();
    let bytes: Vec<u32> = [1, 2]
        .map(|_| u32::try_from(world.response(CONN).expect("answered").len() + 4).expect("fits"))
        .into();
    let told: Vec<Event> = core::iter::from_fn(|| world.home.poll_event())
        .filter(|event| matches!(event, Event::Answered { .. }))
        .collect();
    // The second one was ready at once and had to wait for the first.
    let took = Duration::from_millis(30);
    let error = ErrorCode::KafkaStorageError.code();
    let [first, second] =
        [(0, 9, error, body_bytes(&slow), bytes[0]), (18, 0, 0, body_bytes(&api_versions(2)), bytes[1])].map(
            |(key, version, error, request_bytes, response_bytes)| Event::Answered {
                key,
                version,
                error,
                request_bytes,
                response_bytes,
                took,
            },
        );
    assert_eq!(told, [first, second]);
}

/// Bytes of the frame behind its length.
fn body_bytes(frame: &[u8]) -> u32 {
    u32::try_from(frame.len() - 4).expect("fits")
}

#[test]
fn answers_keep_the_order_of_requests() {
    let mut world = World::with_topic();
    world.holds = true;
    let bytes = [
        request(ApiKey::Produce, 9, 1, &produce(9, -1, &[(0, Some(batch(1, 10)))])),
        api_versions(2),
        request(ApiKey::Produce, 9, 3, &produce(9, -1, &[(1, Some(batch(1, 10)))])),
    ];
    world.send(CONN, &bytes.concat());
    assert_eq!(world.response(CONN), None, "the first one is not answered yet");
    assert_eq!(world.held.len(), 2, "both produces are in work at once");
    // The owner of the third answers first.
    world.held.swap(0, 1);
    world.release();
    let ids: Vec<i32> = core::iter::from_fn(|| world.response(CONN))
        .map(|frame| i32::from_be_bytes(*frame.first_chunk().expect("a header")))
        .collect();
    assert_eq!(ids, [1, 2, 3]);
}

#[test]
fn requests_in_work_are_bounded() {
    let mut world = World::with_topic();
    world.holds = true;
    let one = request(ApiKey::Produce, 9, 1, &produce(9, 1, &[(0, Some(batch(1, 1)))]));
    let count = 3 * CONNECTION_REQUESTS_MAX;
    let stream: Vec<u8> = core::iter::repeat_n(one, count).flatten().collect();
    let left = world.send(CONN, &stream);
    assert_eq!(world.held.len(), CONNECTION_REQUESTS_MAX);
    assert!(left > 0 && world.clients[&CONN].lent.is_none(), "nothing more is read");
    world.release();
    world.send(CONN, &stream[stream.len() - left..]);
    assert_eq!(core::iter::from_fn(|| world.response(CONN)).count(), count, "none is lost");
}

#[test]
fn a_client_that_does_not_read_is_not_read() {
    let mut world = World::new();
    world.create("many", 10_000, &[]);
    world.sends = false;
    let one = request(ApiKey::Metadata, 0, 1, &[0, 0, 0, 0]);
    let stream: Vec<u8> = core::iter::repeat_n(one, 2_000).flatten().collect();
    let left = world.send(CONN, &stream);
    let waiting = world.clients[&CONN].received.len();
    assert!(waiting < 20 << 20, "{waiting} bytes wait");
    assert!(left > 0 || world.clients[&CONN].lent.is_none(), "nothing more is read");
    world.sends = true;
    world.take_sends(CONN);
    world.run();
    assert!(world.clients[&CONN].received.len() > waiting, "it goes on once the kernel took it");
}

#[test]
fn who_takes_nothing_is_closed_once_answers_hold_too_much() {
    let mut world = World::with(Config { memory_bytes: 16 << 20, shards: 3, ..Config::default() });
    world.create("many", 1_000, &[]);
    let (idle, metadata) =
        (ConnId { slot: 7, generation: 0 }, request(ApiKey::Metadata, 0, 1, &[0, 0, 0, 0]));
    world.accept(idle);
    world.sends = false;
    world.send(CONN, &metadata);
    assert_eq!(world.home.deadline(), None, "what is held is little");
    world.pass(Duration::from_secs(60));
    assert_eq!(world.closed(), None, "memory is not short");
    world.send(CONN, &metadata.repeat(30));
    let due = world.now.mono + SEND_STALL_MAX;
    assert_eq!(world.home.deadline(), Some((due, Timer::SlowReader)));
    // A reader that takes a part of it may have the rest as well.
    world.pass(Duration::from_secs(1));
    world.clients.get_mut(&CONN).expect("known").unsent -= 1;
    world.home.on_sent(world.now, CONN);
    world.pass(Duration::from_secs(1));
    assert_eq!(world.closed(), None);
    world.pass(Duration::from_secs(1));
    assert_eq!(world.closed(), Some(CloseReason::SlowReader));
    assert_eq!(world.clients[&idle].closed, None, "who holds nothing stays");
    assert_eq!(world.home.deadline(), None);
}

#[test]
fn a_dripping_frame_ends_its_connection() {
    let mut world = World::new();
    world.send(CONN, &api_versions(1)[..6]);
    assert_eq!(world.home.deadline(), Some((world.now.mono + FRAME_STALL_MAX, Timer::Dripping)));
    world.pass(Duration::from_secs(29));
    world.send(CONN, &api_versions(1)[6..7]);
    assert_eq!(world.closed(), None);
    world.pass(Duration::from_secs(1));
    assert_eq!(world.closed(), Some(CloseReason::Dripping), "a byte in 29 seconds is no progress");
    assert_eq!(world.home.deadline(), None);
    assert_eq!(world.pool.bytes_in_use(), 0);
}

#[test]
fn an_idle_connection_has_no_timer_and_one_small_page() {
    let mut world = World::new();
    for slot in 1..1_000 {
        world.accept(ConnId { slot, generation: 0 });
    }
    assert_eq!(world.home.deadline(), None);
    assert_eq!(world.pool.bytes_in_use(), 1_000 * RECEIVE_PAGE_BYTES_MIN);
}

#[test]
fn connections_wait_for_memory_and_get_it() {
    let mut world = World::with(Config { memory_bytes: 4 * RECEIVE_PAGE_BYTES_MIN, ..Config::default() });
    for slot in 1..6 {
        world.accept(ConnId { slot, generation: 0 });
    }
    let reading = |world: &World| world.clients.values().filter(|client| client.lent.is_some()).count();
    assert_eq!(reading(&world), 4);
    assert_eq!(world.home.deadline(), Some((world.now.mono + MEMORY_RETRY, Timer::Memory)));
    let client = world.clients.get_mut(&CONN).expect("known");
    let page = client.lent.take().map(|(page, _)| page);
    client.closed = Some(CloseReason::Stopping);
    world.home.on_closed(CONN, page);
    world.run();
    assert_eq!(reading(&world), 4, "the page went to one who waited");
    world.pass(MEMORY_RETRY);
    assert_eq!(reading(&world), 4, "and the last one waits on");
}

#[test]
fn others_are_served_while_some_announce_large_frames() {
    let mut world = World::new();
    for slot in 1..=50 {
        let conn = ConnId { slot, generation: 0 };
        world.accept(conn);
        world.send(conn, &[&99_000_000_i32.to_be_bytes()[..], &[1]].concat());
    }
    world.send(CONN, &api_versions(1));
    assert!(world.response(CONN).is_some());
    assert!(world.pool.bytes_in_use() <= 60 * 2 * RECEIVE_PAGE_BYTES_MIN, "memory follows what came");
}

#[test]
fn stopping_answers_what_is_in_work_and_reads_no_more() {
    let mut world = World::with_topic();
    world.holds = true;
    world.send(CONN, &request(ApiKey::Produce, 9, 1, &produce(9, -1, &[(0, Some(batch(1, 10)))])));
    world.home.on_stop(world.now);
    world.run();
    assert_eq!(world.closed(), None, "a produce is in work");
    world.release();
    assert!(world.response(CONN).is_some());
    assert_eq!(world.closed(), Some(CloseReason::Stopping));
    assert!(world.home.is_idle());
    let late = ConnId { slot: 9, generation: 0 };
    world.accept(late);
    assert_eq!(world.clients[&late].closed, Some(CloseReason::Stopping));
}

#[test]
fn replies_to_a_closed_connection_are_ignored() {
    let mut world = World::with_topic();
    world.holds = true;
    world.send(CONN, &request(ApiKey::Produce, 9, 1, &produce(9, -1, &[(0, Some(batch(1, 10)))])));
    world.send(CONN, &(-1_i32).to_be_bytes());
    assert_eq!(world.closed(), Some(CloseReason::FrameLength));
    let next = ConnId { slot: 0, generation: 1 };
    world.accept(next);
    world.release();
    assert_eq!(world.response(next), None, "the slot is another connection now");
}
