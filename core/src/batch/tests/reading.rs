//! Reading, patching and building what is right.

use alloc::vec::Vec;

use super::{
    BASE_TIMESTAMP, POLICY, PYTHON_GZIP, PYTHON_NONE, PYTHON_ZSTD, RECORDS, built, hex, idempotent, validate,
    with_payload,
};
use crate::batch::{
    BatchBuilder, BatchHeader, BatchView, Batches, Codec, HEADER_BYTES, Header, NewRecord, Scratch,
    TimestampType, patch_max_timestamp, patch_offset_and_epoch, validate_produced,
};
use crate::id::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};
use crate::time::Timestamp;

fn assert_records(batch: &[u8], base: i64) {
    let (view, rest) = BatchView::parse(batch).unwrap();
    assert!(rest.is_empty());
    view.check_crc().unwrap();
    let mut scratch = Scratch::new();
    let records: Vec<_> = view.records(&mut scratch).unwrap().map(Result::unwrap).collect();
    assert_eq!(records.len(), RECORDS.len());
    for (index, (record, expected)) in records.iter().zip(&RECORDS).enumerate() {
        assert_eq!(record.offset, Offset(base + i64::try_from(index).unwrap()));
        assert_eq!(record.timestamp, expected.timestamp);
        assert_eq!((record.key, record.value), (expected.key, expected.value));
        assert_eq!(record.headers.iter().collect::<Vec<Header<'_>>>(), expected.headers);
    }
}

#[test]
fn builder_writes_what_kafka_python_writes() {
    assert_eq!(built(idempotent()), hex(PYTHON_NONE));
}

#[test]
fn view_reads_what_kafka_python_wrote() {
    let batch = hex(PYTHON_NONE);
    let info = validate(&batch).unwrap().info;
    assert_eq!((info.count, info.last_offset_delta, info.base_sequence), (3, 2, 9));
    assert_eq!((info.producer_id, info.producer_epoch), (ProducerId(77), ProducerEpoch(3)));
    assert_eq!(info.base_timestamp, Timestamp(BASE_TIMESTAMP));
    assert_eq!(info.max_timestamp, Timestamp(BASE_TIMESTAMP + 5));
    assert_eq!((info.crc, info.len as usize, info.codec), (0xfa35_8b56, batch.len(), Codec::None));
    assert_eq!(info.last_sequence(), 11);
    assert!(!info.transactional && !info.control);
    let (view, _) = BatchView::parse(&batch).unwrap();
    assert_eq!((view.last_offset(), view.end_offset()), (Offset(2), Offset(3)));
    assert_eq!((view.leader_epoch(), view.delete_horizon()), (LeaderEpoch(0), None));
}

#[test]
fn compressed_batches_of_others_have_the_same_records() {
    for (text, codec) in [(PYTHON_NONE, Codec::None), (PYTHON_GZIP, Codec::Gzip), (PYTHON_ZSTD, Codec::Zstd)]
    {
        let mut batch = hex(text);
        assert_eq!(validate(&batch).unwrap().info.codec, codec);
        patch_offset_and_epoch(&mut batch, Offset(1000), LeaderEpoch(4));
        assert_records(&batch, 1000);
        assert_eq!(BatchView::parse(&batch).unwrap().0.leader_epoch(), LeaderEpoch(4));
    }
}

#[test]
fn a_client_without_producer_id_may_leave_epoch_and_sequence_at_zero() {
    let header = BatchHeader { producer_epoch: ProducerEpoch(0), base_sequence: 0, ..BatchHeader::default() };
    let info = validate(&built(header)).unwrap().info;
    assert_eq!((info.producer_id.0, info.producer_epoch.0, info.base_sequence), (-1, -1, -1));
    assert_eq!(info.last_sequence(), -1);
}

#[test]
fn last_sequence_wraps_to_zero() {
    let info = validate(&built(BatchHeader { base_sequence: i32::MAX - 1, ..idempotent() })).unwrap().info;
    assert_eq!(info.last_sequence(), 0);
}

#[test]
fn log_append_time_changes_all_timestamps_and_the_crc() {
    let mut batch = built(idempotent());
    let crc = patch_max_timestamp(&mut batch, Timestamp(42), TimestampType::LogAppendTime);
    let (view, _) = BatchView::parse(&batch).unwrap();
    view.check_crc().unwrap();
    assert_eq!(view.crc(), crc);
    assert_eq!(view.timestamp_type(), TimestampType::LogAppendTime);
    let mut scratch = Scratch::new();
    assert!(view.records(&mut scratch).unwrap().all(|record| record.unwrap().timestamp == Timestamp(42)));
    let found = view.first_record_at_or_after(Offset::ZERO, Timestamp(42), &mut scratch).unwrap();
    assert_eq!(found, Some((Offset(0), Timestamp(42))));
}

#[test]
fn a_wrong_max_timestamp_is_found_and_put_right() {
    let mut batch = built(idempotent());
    patch_max_timestamp(&mut batch, Timestamp(BASE_TIMESTAMP + 999), TimestampType::CreateTime);
    let produced = validate(&batch).unwrap();
    assert_eq!(produced.info.max_timestamp, Timestamp(BASE_TIMESTAMP + 999));
    assert_eq!(produced.max_timestamp, Timestamp(BASE_TIMESTAMP + 5));
    patch_max_timestamp(&mut batch, produced.max_timestamp, TimestampType::CreateTime);
    assert_eq!(batch, built(idempotent()));
}

#[test]
fn the_first_record_at_a_timestamp_is_found_inside_the_batch() {
    for text in [PYTHON_NONE, PYTHON_GZIP, PYTHON_ZSTD] {
        let mut batch = hex(text);
        patch_offset_and_epoch(&mut batch, Offset(50), LeaderEpoch(0));
        let (view, _) = BatchView::parse(&batch).unwrap();
        let mut scratch = Scratch::new();
        let mut at = |delta| {
            let found =
                view.first_record_at_or_after(Offset::ZERO, Timestamp(BASE_TIMESTAMP + delta), &mut scratch);
            found.unwrap().map(|(offset, timestamp)| (offset.0, timestamp.0 - BASE_TIMESTAMP))
        };
        assert_eq!(at(-9), Some((50, 0)));
        assert_eq!(at(0), Some((50, 0)));
        assert_eq!(at(1), Some((51, 5)));
        assert_eq!(at(4), Some((51, 5)));
        assert_eq!(at(6), None);
    }
}

#[test]
fn batches_tell_the_clean_end_from_a_cut_and_from_rot() {
    let one = built(idempotent());
    let two = [one.clone(), one.clone()].concat();
    for len in 0..=two.len() {
        let mut batches = Batches::new(&two[..len]);
        let whole = batches.by_ref().map(Result::unwrap).count();
        assert_eq!(whole, len / one.len());
        assert_eq!(batches.is_incomplete(), !len.is_multiple_of(one.len()));
        assert_eq!(batches.rest().len(), len % one.len());
    }
    let mut rotten = two;
    rotten[one.len() + 8] = 0x80;
    let mut batches = Batches::new(&rotten);
    assert!(batches.next().unwrap().is_ok());
    assert!(batches.next().unwrap().is_err());
    assert!(batches.next().is_none());
    assert!(!batches.is_incomplete());
    assert_eq!(batches.rest().len(), one.len());
}

#[test]
fn a_compacted_batch_can_be_read() {
    // Offsets 0..=2 of which the middle one is gone, and one of which nothing is left.
    let two = hex(
        "50000000046b304076616c7565207a65726f2076616c7565207a65726f2076616c7565207a65726f000c000604000100",
    );
    let mut batch = with_payload(Codec::None, &two);
    batch[57..61].copy_from_slice(&2_i32.to_be_bytes());
    let (view, _) = BatchView::parse(&batch).unwrap();
    let mut scratch = Scratch::new();
    let offsets: Vec<i64> = view.records(&mut scratch).unwrap().map(|r| r.unwrap().offset.0).collect();
    assert_eq!(offsets, [0, 2]);
    let mut batch = with_payload(Codec::None, &[]);
    batch[57..61].copy_from_slice(&0_i32.to_be_bytes());
    let (view, _) = BatchView::parse(&batch).unwrap();
    assert_eq!(view.records(&mut scratch).unwrap().count(), 0);
    assert_eq!(view.last_offset(), Offset(2));
}

#[test]
fn builder_takes_over_the_memory_it_is_given() {
    let buffer = Vec::with_capacity(4096);
    let at = buffer.as_ptr();
    let mut builder = BatchBuilder::with_buffer(BatchHeader::default(), buffer);
    for index in 0..100_u8 {
        let key = [index];
        builder.push(&NewRecord { timestamp: Timestamp(7), key: Some(&key), value: None, headers: &[] });
    }
    let batch = builder.build();
    assert_eq!(batch.as_ptr(), at);
    let produced = validate_produced(&batch, &POLICY, &mut Scratch::new()).unwrap();
    assert_eq!((produced.info.count, produced.max_timestamp), (100, Timestamp(7)));
    assert!(batch.len() > HEADER_BYTES);
}
