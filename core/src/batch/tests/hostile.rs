//! What a broker must refuse, and that it refuses it without harm.

use alloc::vec;
use alloc::vec::Vec;

use super::{
    POLICY, PYTHON_GZIP, PYTHON_NONE, PYTHON_ZSTD, RECORDS, built, hex, idempotent, validate, with_payload,
};
use crate::batch::error::{BatchError, ErrorKind, RecordFault, StreamFault};
use crate::batch::varint::put_varlong;
use crate::batch::view::seal;
use crate::batch::{
    BatchView, Codec, HEADER_BYTES, KeyPolicy, ProducePolicy, Scratch, TimestampWindow, Validation,
    ZstdPolicy, fuzz, validate_produced,
};
use crate::prng::Prng;
use crate::time::Timestamp;

#[test]
fn each_flipped_bit_is_refused_unless_it_is_outside_of_the_crc() {
    for text in [PYTHON_NONE, PYTHON_GZIP, PYTHON_ZSTD] {
        let batch = hex(text);
        for bit in 0..batch.len() * 8 {
            let mut flipped = batch.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let result = validate(&flipped);
            match bit / 8 {
                0 if bit % 8 == 7 => assert_eq!(result, Err(BatchError::Header)),
                0..8 | 12..16 => assert!(result.is_ok(), "byte {} is not under the CRC", bit / 8),
                _ => assert!(result.is_err(), "bit {bit}"),
            }
        }
    }
}

#[test]
fn each_cut_is_incomplete() {
    let batch = built(idempotent());
    for len in 1..batch.len() {
        let error = validate(&batch[..len]).unwrap_err();
        assert!(matches!(error, BatchError::Incomplete { .. }), "{len} bytes: {error:?}");
        assert_eq!(error.kind(), ErrorKind::Invalid);
    }
    assert_eq!(validate(&[]), Err(BatchError::Empty));
    let two = [&batch[..], &batch[..]].concat();
    assert_eq!(validate(&two), Err(BatchError::MoreThanOne));
    assert_eq!(validate(&[&batch[..], &[0]].concat()), Err(BatchError::MoreThanOne));
}

/// Writes `bytes` at `at` and makes the CRC right again.
fn forged(at: usize, bytes: &[u8]) -> Result<(), BatchError> {
    let mut batch = built(idempotent());
    batch[at..at + bytes.len()].copy_from_slice(bytes);
    seal(&mut batch);
    validate(&batch).map(|_| ())
}

#[test]
fn headers_that_only_a_liar_writes_are_refused() {
    assert_eq!(forged(21, &[0, 0]), Ok(()));
    assert_eq!(forged(21, &[0, 0x80]), Err(BatchError::Attributes(0x80)));
    assert_eq!(forged(21, &[0x80, 0]), Err(BatchError::Attributes(i16::MIN)));
    assert_eq!(forged(21, &[0, 0x20]), Err(BatchError::Reserved));
    assert_eq!(forged(21, &[0, 0x40]), Err(BatchError::Reserved));
    assert_eq!(forged(21, &[0, 0x08]), Err(BatchError::LogAppendTime));
    assert_eq!(forged(21, &[0, 0x10]), Ok(()));
    for codec in 5..8 {
        assert_eq!(forged(21, &[0, codec]), Err(BatchError::Codec(codec)));
    }
    assert_eq!(forged(23, &3_i32.to_be_bytes()), Err(BatchError::Count));
    assert_eq!(forged(23, &(-1_i32).to_be_bytes()), Err(BatchError::Header));
    assert_eq!(forged(57, &2_i32.to_be_bytes()), Err(BatchError::Count));
    assert_eq!(forged(57, &0_i32.to_be_bytes()), Err(BatchError::Empty));
    assert_eq!(forged(57, &(-3_i32).to_be_bytes()), Err(BatchError::Header));
    assert_eq!(forged(43, &(-2_i64).to_be_bytes()), Err(BatchError::Producer));
    assert_eq!(forged(51, &(-1_i16).to_be_bytes()), Err(BatchError::Producer));
    assert_eq!(forged(53, &(-1_i32).to_be_bytes()), Err(BatchError::Producer));
    assert_eq!(forged(43, &(-1_i64).to_be_bytes()), Ok(()));
    assert_eq!(forged(16, &[1]), Err(BatchError::Magic(1)));
    assert_eq!(forged(0, &(i64::MAX - 2).to_be_bytes()), Err(BatchError::Header));
    assert_eq!(forged(8, &(-1_i32).to_be_bytes()), Err(BatchError::Length(-1)));
    assert_eq!(forged(8, &i32::MAX.to_be_bytes()), Err(BatchError::Length(i32::MAX)));
    assert_eq!(forged(8, &48_i32.to_be_bytes()), Err(BatchError::Length(48)));
}

#[test]
fn a_transaction_needs_a_producer() {
    let mut batch = built(idempotent());
    batch[43..51].copy_from_slice(&(-1_i64).to_be_bytes());
    batch[22] = 0x10;
    seal(&mut batch);
    assert_eq!(validate(&batch), Err(BatchError::Producer));
}

#[test]
fn policies_are_held() {
    let validate = |text: &str, policy: ProducePolicy| {
        validate_produced(&hex(text), &policy, &mut Scratch::new()).map(|produced| produced.info.count)
    };
    let len = hex(PYTHON_NONE).len();
    let fits = u32::try_from(len).unwrap();
    assert_eq!(validate(PYTHON_NONE, ProducePolicy { batch_bytes_max: fits, ..POLICY }), Ok(3));
    let small = ProducePolicy { batch_bytes_max: fits - 1, ..POLICY };
    assert_eq!(validate(PYTHON_NONE, small), Err(BatchError::TooLarge { len }));
    let old = ProducePolicy { zstd: ZstdPolicy::Refuse, ..POLICY };
    assert_eq!(validate(PYTHON_ZSTD, old), Err(BatchError::ZstdRefused));
    assert_eq!(validate(PYTHON_GZIP, old), Ok(3));
    let limit = 10;
    let narrow = ProducePolicy { expanded_bytes_max: limit, ..POLICY };
    assert_eq!(validate(PYTHON_GZIP, narrow), Err(BatchError::Expansion { limit }));
    assert_eq!(validate(PYTHON_NONE, narrow), Ok(3), "it is not compressed");
    let compacted = ProducePolicy { key: KeyPolicy::Required, ..POLICY };
    let error = BatchError::Record { index: 1, fault: RecordFault::KeyMissing };
    assert_eq!(validate(PYTHON_GZIP, compacted), Err(error));
    let [first, second, _] = RECORDS.map(|record| record.timestamp);
    let window =
        |earliest, latest| ProducePolicy { timestamps: TimestampWindow { earliest, latest }, ..POLICY };
    assert_eq!(validate(PYTHON_NONE, window(first, second)), Ok(3));
    let error =
        |index, timestamp| BatchError::Record { index, fault: RecordFault::TimestampWindow { timestamp } };
    assert_eq!(validate(PYTHON_NONE, window(Timestamp(first.0 + 1), second)), Err(error(0, first)));
    assert_eq!(validate(PYTHON_NONE, window(first, Timestamp(second.0 - 1))), Err(error(1, second)));
    assert_eq!(error(0, first).kind(), ErrorKind::InvalidTimestamp);
}

#[test]
fn trusted_producers_are_checked_by_crc_alone() {
    let policy = ProducePolicy { validation: Validation::Crc, ..POLICY };
    let mut batch = with_payload(Codec::Gzip, b"no gzip at all");
    assert!(validate_produced(&batch, &policy, &mut Scratch::new()).is_ok());
    assert!(validate(&batch).is_err());
    batch[HEADER_BYTES] ^= 1;
    assert!(validate_produced(&batch, &policy, &mut Scratch::new()).is_err());
}

/// One record as it lies, its fields put in as numbers and bytes.
fn record(fields: &[Field<'_>]) -> Vec<u8> {
    let mut body = vec![0];
    for field in fields {
        match field {
            Field::Number(number) => put_varlong(&mut body, *number),
            Field::Bytes(bytes) => body.extend_from_slice(bytes),
        }
    }
    let mut out = Vec::new();
    put_varlong(&mut out, i64::try_from(body.len()).unwrap());
    out.extend(body);
    out
}

enum Field<'a> {
    Number(i64),
    Bytes(&'a [u8]),
}

/// A batch of one record that has these bytes.
fn one(bytes: &[u8]) -> Result<(), BatchError> {
    let mut batch = with_payload(Codec::None, bytes);
    batch[23..27].copy_from_slice(&0_i32.to_be_bytes());
    batch[57..61].copy_from_slice(&1_i32.to_be_bytes());
    seal(&mut batch);
    let result = validate(&batch).map(|_| ());
    // What is refused must also be read without harm.
    fuzz::stored(&batch);
    result
}

#[test]
fn records_that_lie_are_refused() {
    use Field::{Bytes, Number};
    let fault = |fault| Err(BatchError::Record { index: 0, fault });
    let n = Number;
    // Timestamp delta, offset delta, key length, value length, count of headers.
    assert_eq!(one(&record(&[n(0), n(0), n(-1), n(-1), n(0)])), Ok(()));
    assert_eq!(one(&record(&[n(0), n(0), n(1), Bytes(b"k"), n(1), Bytes(b"v"), n(0)])), Ok(()));
    assert_eq!(one(&record(&[n(0), n(0), n(-2), n(-1), n(0)])), fault(RecordFault::NegativeLength));
    assert_eq!(one(&record(&[n(0), n(0), n(-1), n(-5), n(0)])), fault(RecordFault::NegativeLength));
    assert_eq!(one(&record(&[n(0), n(1), n(-1), n(-1), n(0)])), fault(RecordFault::OffsetDelta));
    assert_eq!(one(&record(&[n(0), n(-1), n(-1), n(-1), n(0)])), fault(RecordFault::OffsetDelta));
    assert_eq!(one(&record(&[n(0), n(0), n(9), Bytes(b"k"), n(-1), n(0)])), fault(RecordFault::Length));
    assert_eq!(one(&record(&[n(0), n(0), n(-1), n(-1), n(0), Bytes(b"x")])), fault(RecordFault::Length));
    assert_eq!(one(&record(&[n(0), n(0), n(-1), n(-1), n(1 << 30)])), fault(RecordFault::HeaderCount));
    assert_eq!(one(&record(&[n(0), n(0), n(-1), n(-1), n(-1)])), fault(RecordFault::HeaderCount));
    let header = |key, value| record(&[n(0), n(0), n(-1), n(-1), n(1), n(key), n(value)]);
    assert_eq!(one(&header(0, -1)), Ok(()));
    assert_eq!(one(&header(0, -2)), fault(RecordFault::NegativeLength));
    assert_eq!(one(&header(-1, 0)), fault(RecordFault::NegativeLength));
    assert_eq!(one(&record(&[n(i64::MAX), n(0), n(-1), n(-1), n(0)])), fault(RecordFault::TimestampOverflow));
    assert_eq!(one(&record(&[n(0), n(1 << 40), n(-1), n(-1), n(0)])), fault(RecordFault::Varint));
    let right = record(&[n(0), n(0), n(-1), n(-1), n(0)]);
    let mut attributes = right.clone();
    attributes[1] = 1;
    assert_eq!(one(&attributes), fault(RecordFault::Attributes));
    let (mut longer, mut shorter) = (right.clone(), right.clone());
    longer[0] += 2;
    shorter[0] -= 2;
    assert_eq!(one(&longer), fault(RecordFault::Truncated));
    assert_eq!(one(&shorter), fault(RecordFault::Length));
    assert_eq!(one(&[&longer[..], b"x"].concat()), fault(RecordFault::Length));
    assert_eq!(one(&[&right[..], b"x"].concat()), Err(BatchError::TrailingBytes));
    assert_eq!(one(&[1]), fault(RecordFault::NegativeLength));
    assert_eq!(one(&[]), fault(RecordFault::Truncated));
}

#[test]
fn a_claimed_count_of_records_allocates_nothing() {
    let claim = 1_i32 << 30;
    let mut batch = built(idempotent());
    batch[23..27].copy_from_slice(&(claim - 1).to_be_bytes());
    batch[57..61].copy_from_slice(&claim.to_be_bytes());
    seal(&mut batch);
    let error = BatchError::Record { index: 3, fault: RecordFault::Truncated };
    assert_eq!(validate(&batch), Err(error));
    let (view, _) = BatchView::parse(&batch).unwrap();
    let mut scratch = Scratch::new();
    let read: Vec<_> = view.records(&mut scratch).unwrap().collect();
    assert_eq!((read.len(), read[3]), (4, Err(error)));
}

#[test]
fn junk_behind_compressed_records_is_refused() {
    let gzip = hex(PYTHON_GZIP);
    let junk = [&gzip[HEADER_BYTES..], b"junk"].concat();
    let error = BatchError::Stream(StreamFault::Trailing);
    assert_eq!(validate(&with_payload(Codec::Gzip, &junk)), Err(error));
    assert_eq!(error.kind(), ErrorKind::Invalid);
    // Junk inside of the stream, behind the records.
    let plain = hex(PYTHON_NONE);
    let mut raw = Vec::new();
    let inner = [&plain[HEADER_BYTES..], b"x"].concat();
    raw.push(u8::try_from(inner.len()).unwrap());
    raw.extend([60 << 2, u8::try_from(inner.len() - 1).unwrap()]);
    raw.extend(&inner);
    assert_eq!(validate(&with_payload(Codec::Snappy, &raw)), Err(BatchError::TrailingBytes));
}

#[test]
fn mutated_batches_never_panic() {
    let mut prng = Prng::new(0xba7c4);
    let all = [PYTHON_NONE, PYTHON_GZIP, PYTHON_ZSTD].map(hex);
    for round in 0..20_000 {
        let mut batch = all[round % all.len()].clone();
        for _ in 0..prng.between(1, 5) {
            let at = usize::try_from(prng.below(batch.len() as u64)).unwrap();
            batch[at] = u8::try_from(prng.below(256)).unwrap();
        }
        fuzz::produced(&batch);
        seal(&mut batch);
        fuzz::produced(&batch);
        fuzz::stored(&batch);
    }
    for len in 0..300 {
        let mut noise = vec![0; len];
        prng.fill(&mut noise);
        fuzz::produced(&noise);
        fuzz::stored(&noise);
    }
}
