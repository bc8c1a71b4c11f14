//! Produce, from bytes to bytes.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::{CONN, World, batch, body, request};
use crate::batch::{BatchBuilder, BatchHeader, NewRecord};
use crate::id::{ProducerEpoch, ProducerId, TopicId};
use crate::limits::PRODUCE_WAIT_MIN;
use crate::replica::PartitionError;
use crate::shard::{CloseReason, Timer};
use crate::time::Timestamp;
use crate::wire::messages::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use crate::wire::messages::produce_response::ProduceResponse;
use crate::wire::{ApiKey, ErrorCode, Reader, Records};

type Parts<'a> = &'a [(i32, Option<Vec<u8>>)];

fn produce_to(version: i16, acks: i16, topic: (&str, TopicId), parts: Parts<'_>) -> Vec<u8> {
    let partition_data = parts.iter().map(|(index, records)| PartitionProduceData {
        index: *index,
        records: records.as_deref().map(Records::Borrowed),
        ..PartitionProduceData::default()
    });
    let topic_data = vec![TopicProduceData {
        name: topic.0,
        topic_id: topic.1.0,
        partition_data: partition_data.collect(),
        ..TopicProduceData::default()
    }];
    let request = ProduceRequest { acks, timeout_ms: 1_500, topic_data, ..ProduceRequest::default() };
    body(|writer| request.encode(version, writer))
}

/// A request to topic `t`.
pub(super) fn produce(version: i16, acks: i16, parts: Parts<'_>) -> Vec<u8> {
    produce_to(version, acks, ("t", TopicId::default()), parts)
}

/// Code, base offset, message and the record at fault of each partition.
type Outcome = (i16, i64, Option<String>, Option<i32>);

fn outcomes(version: i16) -> impl FnOnce(&mut Reader<'_>) -> Vec<Outcome> {
    move |reader| {
        let response = ProduceResponse::decode(version, reader).expect("a response");
        let parts = response.responses.iter().flat_map(|topic| &topic.partition_responses);
        parts
            .map(|part| {
                let record = part.record_errors.first().map(|error| error.batch_index);
                (part.error_code, part.base_offset, part.error_message.map(String::from), record)
            })
            .collect()
    }
}

fn codes(world: &mut World, version: i16, body: &[u8]) -> Vec<i16> {
    world.ask(ApiKey::Produce, version, body, outcomes(version)).into_iter().map(|(code, ..)| code).collect()
}

#[test]
fn every_version_appends() {
    for version in 3..=13 {
        let mut world = World::with_topic();
        let topic =
            if version >= 13 { ("", world.partition("t", 0).topic) } else { ("t", TopicId::default()) };
        for acks in [1, -1] {
            let parts = [(0, Some(batch(2, 10))), (1, Some(batch(3, 10)))];
            let request = produce_to(version, acks, topic, &parts);
            let found = world.ask(ApiKey::Produce, version, &request, outcomes(version));
            let (base_0, base_1) = if acks == 1 { (0, 0) } else { (2, 3) };
            assert_eq!(found, [(0, base_0, None, None), (0, base_1, None, None)], "version {version}");
        }
        assert_eq!(world.log(0).batches.len(), 2);
    }
}

#[test]
fn versions_below_3_are_advertised_and_close() {
    for version in 0..3 {
        let mut world = World::with_topic();
        world.send(CONN, &request(ApiKey::Produce, version, 1, &[0; 10]));
        assert_eq!(world.closed(), Some(CloseReason::Unsupported));
    }
}

#[test]
fn without_acks_nothing_is_answered_and_errors_close() {
    let mut world = World::with_topic();
    world.send(CONN, &request(ApiKey::Produce, 9, 1, &produce(9, 0, &[(0, Some(batch(1, 10)))])));
    assert_eq!((world.response(CONN), world.closed()), (None, None));
    assert_eq!(world.log(0).batches.len(), 1);
    let next = world.ask(ApiKey::Produce, 9, &produce(9, 1, &[(0, Some(batch(1, 10)))]), outcomes(9));
    assert_eq!(next[0].1, 1, "the connection goes on");
    world.log(1).error = Some(PartitionError::StorageFull);
    world.send(CONN, &request(ApiKey::Produce, 9, 1, &produce(9, 0, &[(1, Some(batch(1, 10)))])));
    assert_eq!(world.closed(), Some(CloseReason::UnacknowledgedFailure));
}

#[test]
fn bad_requests_are_named() {
    let mut world = World::with_topic();
    let good = || Some(batch(1, 10));
    for acks in [2, -2, i16::MAX] {
        assert_eq!(codes(&mut world, 9, &produce(9, acks, &[(0, good())])), [21]);
    }
    assert_eq!(codes(&mut world, 9, &produce(9, 1, &[(2, good()), (-1, good())])), [3, 3]);
    assert_eq!(codes(&mut world, 9, &produce(9, 1, &[(0, None)])), [ErrorCode::InvalidRecord.code()]);
    assert_eq!(codes(&mut world, 9, &produce(9, 1, &[(0, Some(Vec::new()))])), [87]);
    assert_eq!(codes(&mut world, 9, &produce(9, 1, &[(0, good()), (0, good()), (1, good())])), [42, 42, 0]);
    for internal in ["__cluster_metadata", "__consumer_offsets", "__transaction_state"] {
        let request = produce_to(9, 1, (internal, TopicId::default()), &[(0, good())]);
        assert_eq!(codes(&mut world, 9, &request), [17], "{internal}");
    }
    assert_eq!(codes(&mut world, 13, &produce_to(13, 1, ("", TopicId::METADATA), &[(0, good())])), [17]);
    let unknown = produce_to(13, 1, ("", TopicId(crate::id::Uuid([3; 16]))), &[(0, good())]);
    assert_eq!(codes(&mut world, 13, &unknown), [ErrorCode::UnknownTopicId.code()]);
    assert_eq!(world.log(0).batches.len(), 0, "nothing of it was appended");
}

#[test]
fn a_topic_without_partitions_is_answered_without_any() {
    let mut world = World::with_topic();
    assert!(codes(&mut world, 9, &produce(9, 1, &[])).is_empty());
    world.send(CONN, &request(ApiKey::Produce, 9, 1, &produce(9, 0, &[])));
    assert_eq!((world.response(CONN), world.closed()), (None, None));
}

#[test]
fn bad_batches_are_named() {
    let mut world = World::with_topic();
    let mut flipped = batch(3, 10);
    let last = flipped.len() - 1;
    flipped[last] ^= 1;
    assert_eq!(codes(&mut world, 9, &produce(9, 1, &[(0, Some(flipped))])), [2]);
    let two = [batch(1, 1), batch(1, 1)].concat();
    assert_eq!(codes(&mut world, 9, &produce(9, 1, &[(0, Some(two))])), [87]);
    let header = BatchHeader { transactional: true, ..transactional() };
    let mut builder = BatchBuilder::new(header);
    builder.push(&record(1_700_000_000_000));
    assert_eq!(codes(&mut world, 9, &produce(9, 1, &[(0, Some(builder.build()))])), [53]);
    let mut builder = BatchBuilder::new(BatchHeader::default());
    builder.push(&record(1_700_000_000_000));
    builder.push(&record(1_700_000_000_000 + 3_600_001));
    let future = world.ask(ApiKey::Produce, 9, &produce(9, 1, &[(0, Some(builder.build()))]), outcomes(9));
    assert_eq!((future[0].0, future[0].3), (32, Some(1)), "the record is named");
    world.create("small", 1, &[("max.message.bytes", "100")]);
    let request = produce_to(9, 1, ("small", TopicId::default()), &[(0, Some(batch(1, 200)))]);
    let large = world.ask(ApiKey::Produce, 9, &request, outcomes(9));
    assert_eq!(large[0].0, 10);
    assert!(large[0].2.as_ref().is_some_and(|message| message.contains("more than the topic allows")));
}

fn transactional() -> BatchHeader {
    BatchHeader {
        producer_id: ProducerId(5),
        producer_epoch: ProducerEpoch(0),
        base_sequence: 0,
        ..BatchHeader::default()
    }
}

fn record(timestamp: i64) -> NewRecord<'static> {
    NewRecord { timestamp: Timestamp(timestamp), key: None, value: Some(b"v"), headers: &[] }
}

#[test]
fn errors_of_partitions_are_theirs_alone() {
    let mut world = World::with_topic();
    world.log(1).error = Some(PartitionError::OutOfOrderSequence { expected: 4, found: 9 });
    let parts = [(0, Some(batch(1, 10))), (1, Some(batch(1, 10)))];
    let found = world.ask(ApiKey::Produce, 9, &produce(9, -1, &parts), outcomes(9));
    assert_eq!(found[0], (0, 0, None, None));
    assert_eq!(found[1], (45, -1, Some(String::from("sequence 9 where 4 is next")), None));
}

#[test]
fn a_produce_times_out() {
    let mut world = World::with_topic();
    world.holds = true;
    let parts = [(0, Some(batch(1, 10))), (1, Some(batch(1, 10)))];
    world.send(CONN, &request(ApiKey::Produce, 9, 5, &produce(9, -1, &parts)));
    let wait = PRODUCE_WAIT_MIN.max(crate::time::Duration::from_millis(1_500));
    assert_eq!(world.home.deadline(), Some((world.now.mono + wait, Timer::Produce)));
    // One of two is answered in time.
    let (to, first) = world.held.pop_front().expect("two were asked");
    world.answer(to, first);
    world.pass(wait);
    let found = world.read(ApiKey::Produce, 9, 5, outcomes(9)).expect("an answer");
    assert_eq!([found[0].0, found[1].0], [0, 7]);
    world.release();
    assert_eq!(world.response(CONN), None, "what comes later is too late");
    assert_eq!(world.home.deadline(), None);
}

#[test]
fn produces_of_one_connection_keep_their_order() {
    let mut world = World::with_topic();
    world.holds = true;
    for count in 1..=5 {
        let parts = [(0, Some(batch(count, 1)))];
        world.send(CONN, &request(ApiKey::Produce, 9, 1, &produce(9, 1, &parts)));
    }
    world.release();
    let counts: Vec<i64> = world.log(0).batches.iter().map(|(base, last, _)| last.since(*base) + 1).collect();
    assert_eq!(counts, [1, 2, 3, 4, 5]);
}

#[test]
fn payload_is_not_copied_on_its_way() {
    let mut world = World::with_topic();
    world.holds = true;
    world.send(CONN, &request(ApiKey::Produce, 9, 1, &produce(9, 1, &[(0, Some(batch(1, 5_000)))])));
    let Some((_, crate::shard::ShardMessage::Call { op: crate::replica::PartitionOp::Produce(op), .. })) =
        world.held.front()
    else {
        panic!("a produce was asked")
    };
    assert!(op.batch.pinned_bytes() >= 8_192, "the batch is a cut of the page that was read into");
    assert_eq!(op.checked.info.count, 1);
}
