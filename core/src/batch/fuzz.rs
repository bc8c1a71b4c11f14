//! Entry points for fuzzing: each takes any bytes, must return, and must not use memory beyond the named limits.

use super::view::seal;
use super::{
    BatchView, Batches, Codec, HEADER_BYTES, KeyPolicy, ProducePolicy, Scratch, TimestampWindow, Validation,
    ZstdPolicy, validate_produced,
};
use crate::id::Offset;
use crate::limits::BATCH_BYTES_MAX;
use crate::time::Timestamp;

/// Bytes that a decoder may write for one input of a fuzzer.
const FUZZ_LIMIT: usize = 1024 * 1024;

/// The bytes as what a client sends for a partition, as they are and with the CRC that makes them whole.
pub fn produced(data: &[u8]) {
    judged(data);
    if data.len() >= HEADER_BYTES {
        let mut sealed = data.to_vec();
        seal(&mut sealed);
        judged(&sealed);
    }
}

fn judged(data: &[u8]) {
    let mut scratch = Scratch::new();
    let policy = ProducePolicy {
        expanded_bytes_max: usize::MAX,
        batch_bytes_max: u32::try_from(BATCH_BYTES_MAX).expect("the limit is below 4 GiB"),
        zstd: ZstdPolicy::Accept,
        timestamps: TimestampWindow::ANY,
        key: KeyPolicy::Optional,
        validation: Validation::Records,
    };
    let Ok(produced) = validate_produced(data, &policy, &mut scratch) else { return };
    let (batch, rest) = BatchView::parse(data).expect("an accepted batch parses");
    assert!(rest.is_empty(), "an accepted batch is alone");
    let mut records = 0;
    for record in batch.records(&mut scratch).expect("an accepted batch decompresses") {
        let record = record.expect("the records of an accepted batch can be read");
        assert!(record.timestamp <= produced.max_timestamp, "no record is later than the maximum");
        assert!(record.headers.iter().count() == record.headers.len(), "all headers can be read");
        records += 1;
    }
    assert!(records == produced.info.count, "an accepted batch has as many records as it says");
}

/// The bytes as a segment, or as an answer to a fetch; CRCs do not matter.
pub fn stored(data: &[u8]) {
    let mut scratch = Scratch::new();
    for batch in Batches::new(data).map_while(Result::ok) {
        assert!(batch.end_offset() > batch.base_offset());
        let _ = (batch.info(), batch.delete_horizon(), batch.leader_epoch());
        if let Ok(records) = batch.records(&mut scratch) {
            let walked = records.map_while(Result::ok).take_while(|r| r.headers.iter().count() < 9).count();
            assert!(walked <= usize::try_from(batch.count()).expect("not negative"));
        }
        let _ = batch.first_record_at_or_after(Offset::ZERO, Timestamp(0), &mut scratch);
    }
}

fn decoder(codec: Codec, data: &[u8]) {
    let mut scratch = Scratch::new();
    // Twice, so that the second run meets what the first left behind.
    let first = scratch.decompress_within(codec, data, FUZZ_LIMIT).map(<[u8]>::to_vec);
    let second = scratch.decompress_within(codec, data, FUZZ_LIMIT).map(<[u8]>::to_vec);
    assert!(first == second, "a decoder that is used again decodes the same");
    assert!(first.is_ok_and(|bytes| bytes.len() <= FUZZ_LIMIT) || second.is_err());
}

/// The bytes as a gzip stream.
pub fn gzip(data: &[u8]) {
    decoder(Codec::Gzip, data);
}

/// The bytes as snappy, raw or in xerial's framing.
pub fn snappy(data: &[u8]) {
    decoder(Codec::Snappy, data);
}

/// The bytes as an LZ4 frame.
pub fn lz4(data: &[u8]) {
    decoder(Codec::Lz4, data);
}

/// The bytes as a zstd frame.
pub fn zstd(data: &[u8]) {
    decoder(Codec::Zstd, data);
}
