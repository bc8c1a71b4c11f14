//! Tests of the whole of `batch`, against bytes that other implementations wrote.

mod compressing;
mod decoding;
mod hostile;
mod reading;

use alloc::vec::Vec;

use super::view::seal;
use super::{
    BatchBuilder, BatchError, BatchHeader, Codec, HEADER_BYTES, KeyPolicy, NewHeader, NewRecord,
    ProducePolicy, ProducedBatch, Scratch, TimestampWindow, Validation, ZstdPolicy, validate_produced,
};
use crate::id::{LeaderEpoch, ProducerEpoch, ProducerId};
use crate::time::Timestamp;

/// Three records, written by kafka-python 3.0.12: producer 77, epoch 3, sequence 9.
const PYTHON_NONE: &str = "0000000000000000000000730000000002fa358b560000000000020000018bcfe568000000018bcfe5680500000000000000\
     4d0003000000090000000350000000046b304076616c7565207a65726f2076616c7565207a65726f2076616c7565207a6572\
     6f0022000a020100060268023102680232026e010c000604000100";
const PYTHON_GZIP: &str = "000000000000000000000072000000000233a5759c0001000000020000018bcfe568000000018bcfe5680500000000000000\
     4d000300000009000000031f8b08008778016b02ff0b60606060c93670284bcc294d55a84a2dca57c0ca645062e062626460\
     63ca6032046223a63c461e063616064606005363e7fb42000000";
const PYTHON_ZSTD: &str = "00000000000000000000006e00000000028d3ce6760004000000020000018bcfe568000000018bcfe5680500000000000000\
     4d0003000000090000000328b52ffd2042a50100d40250000000046b304076616c7565207a65726f200022000a0201000602\
     68023102680232026e010c0006040001000100fd9530";

const BASE_TIMESTAMP: i64 = 1_700_000_000_000;

const RECORDS: [NewRecord<'static>; 3] = [
    NewRecord {
        timestamp: Timestamp(BASE_TIMESTAMP),
        key: Some(b"k0"),
        value: Some(b"value zero value zero value zero"),
        headers: &[],
    },
    NewRecord {
        timestamp: Timestamp(BASE_TIMESTAMP + 5),
        key: None,
        value: Some(b""),
        headers: &[
            NewHeader { key: b"h", value: Some(b"1") },
            NewHeader { key: b"h", value: Some(b"2") },
            NewHeader { key: b"n", value: None },
        ],
    },
    NewRecord { timestamp: Timestamp(BASE_TIMESTAMP + 3), key: Some(b""), value: None, headers: &[] },
];

const POLICY: ProducePolicy = ProducePolicy {
    expanded_bytes_max: usize::MAX,
    batch_bytes_max: 1 << 20,
    zstd: ZstdPolicy::Accept,
    timestamps: TimestampWindow::ANY,
    key: KeyPolicy::Optional,
    validation: Validation::Records,
};

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .chars()
        .filter(|c| !c.is_whitespace())
        .map(|c| u8::try_from(c.to_digit(16).expect("a hexadecimal digit")).expect("below 16"))
        .collect();
    assert!(digits.len().is_multiple_of(2), "two digits are a byte");
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn idempotent() -> BatchHeader {
    BatchHeader {
        leader_epoch: LeaderEpoch(0),
        producer_id: ProducerId(77),
        producer_epoch: ProducerEpoch(3),
        base_sequence: 9,
        ..BatchHeader::default()
    }
}

fn built(header: BatchHeader) -> Vec<u8> {
    let mut builder = BatchBuilder::new(header);
    for record in &RECORDS {
        let promised = builder.len_with(record);
        builder.push(record);
        assert_eq!(builder.len(), promised);
    }
    builder.build()
}

/// The three records' header around another payload.
fn with_payload(codec: Codec, payload: &[u8]) -> Vec<u8> {
    let mut batch = built(idempotent());
    batch.truncate(HEADER_BYTES);
    batch.extend_from_slice(payload);
    let counted = i32::try_from(batch.len() - 12).unwrap();
    batch[8..12].copy_from_slice(&counted.to_be_bytes());
    batch[22] = codec.id();
    seal(&mut batch);
    batch
}

fn validate(batch: &[u8]) -> Result<ProducedBatch, BatchError> {
    validate_produced(batch, &POLICY, &mut Scratch::new())
}
