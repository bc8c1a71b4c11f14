//! What compaction leaves of a batch. Offsets, sequences and the last offset delta stay those of the whole batch, so that a reader's
//! place and a producer's sequence are what they were. Must not know which records are to stay.

use alloc::vec::Vec;

use super::codec::{Codec, Compressor, Scratch};
use super::compress::{Encoding, recompress};
use super::error::BatchError;
use super::records::{RawRecord, Record};
use super::varint::{Cursor, put_varlong, varlong_len};
use super::view::{BatchView, HEADER_BYTES, TimestampType, patch_empty, patch_part};
use crate::limits::BATCH_BYTES_MAX;
use crate::time::Timestamp;

/// What is left of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retained {
    /// `None`: the batch as it is.
    pub bytes: Option<Vec<u8>>,
    /// When the tombstones in it may go; `None` without any.
    pub delete_horizon: Option<Timestamp>,
}

/// The header fields of a batch that lost records.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    pub(super) count: i32,
    pub(super) base_timestamp: Timestamp,
    pub(super) max_timestamp: Timestamp,
    pub(super) delete_horizon: Option<Timestamp>,
}

/// A record that stays: where it lies, and its own time.
struct Kept<'a> {
    bytes: &'a [u8],
    timestamp: Timestamp,
}

/// `batch` with the records that `keep` wants; `None` if it wants none of them. Tombstones that stay get `horizon` as the time from
/// which on they may go, unless their batch has one already (KIP-534): the base timestamp then is that time.
pub fn retain(
    batch: &BatchView<'_>,
    (scratch, compressor): (&mut Scratch, &mut Compressor),
    horizon: Timestamp,
    mut keep: impl FnMut(&Record<'_>) -> bool,
) -> Result<Option<Retained>, BatchError> {
    let codec = batch.codec()?;
    let payload = scratch.decompress(codec, batch.payload())?;
    let mut kept = Vec::new();
    let mut tombstones = false;
    let mut cursor = Cursor::new(payload);
    for record in batch.records_of(payload) {
        let record = record?;
        let before = cursor.rest();
        RawRecord::read(&mut cursor).expect("it was just read");
        if keep(&record) {
            tombstones |= record.value.is_none();
            let bytes = &before[..before.len() - cursor.rest().len()];
            kept.push(Kept { bytes, timestamp: record.timestamp });
        }
    }
    if kept.is_empty() {
        return Ok(None);
    }
    let horizon = tombstones.then(|| batch.delete_horizon().unwrap_or(horizon));
    let as_it_is = Ok(Some(Retained { bytes: None, delete_horizon: batch.delete_horizon().and(horizon) }));
    let is_whole = i64::try_from(kept.len()) == Ok(i64::from(batch.count()));
    if is_whole && (horizon.is_none() || batch.delete_horizon().is_some()) {
        return as_it_is;
    }
    // A longer batch than may be, or times that are ages apart: the records stay where they are, tombstones for good.
    let Some(bytes) = part(batch, &kept, horizon, compressor) else { return as_it_is };
    Ok(Some(Retained { bytes: Some(bytes), delete_horizon: horizon }))
}

fn part(
    batch: &BatchView<'_>,
    kept: &[Kept<'_>],
    horizon: Option<Timestamp>,
    compressor: &mut Compressor,
) -> Option<Vec<u8>> {
    let horizon = batch.delete_horizon().or(horizon);
    let base_timestamp = horizon.unwrap_or(batch.base_timestamp());
    let shift = batch.base_timestamp().0.checked_sub(base_timestamp.0)?;
    let mut records = Vec::new();
    for record in kept {
        put_shifted(&mut records, record.bytes, shift)?;
    }
    let codec = batch.codec().ok()?;
    let mut bytes = recompress(batch, &records, Encoding::from(codec), compressor);
    if bytes.len() > BATCH_BYTES_MAX {
        return None;
    }
    let max_timestamp = match batch.timestamp_type() {
        TimestampType::CreateTime => kept.iter().map(|record| record.timestamp).max()?,
        TimestampType::LogAppendTime => batch.max_timestamp(),
    };
    let count = i32::try_from(kept.len()).expect("no more than the batch had");
    patch_part(&mut bytes, Part { count, base_timestamp, max_timestamp, delete_horizon: horizon });
    Some(bytes)
}

/// Appends a record whose timestamp delta is `shift` more. `None` if that is no number.
fn put_shifted(out: &mut Vec<u8>, record: &[u8], shift: i64) -> Option<()> {
    if shift == 0 {
        out.extend_from_slice(record);
        return Some(());
    }
    let mut cursor = Cursor::new(record);
    let walked = "the record was read before";
    cursor.varint().expect(walked);
    let attributes = cursor.byte().expect(walked);
    let delta = cursor.varlong().expect(walked).checked_add(shift)?;
    let rest = cursor.rest();
    put_varlong(out, i64::try_from(1 + varlong_len(delta) + rest.len()).expect("a record is bounded"));
    out.push(attributes);
    put_varlong(out, delta);
    out.extend_from_slice(rest);
    Some(())
}

/// The header of `batch` without a record: it tells of the offsets, and of the producer's last sequence.
#[must_use]
pub fn emptied(batch: &BatchView<'_>) -> Vec<u8> {
    let mut bytes = batch.bytes()[..HEADER_BYTES].to_vec();
    patch_empty(&mut bytes, Codec::None);
    bytes
}
