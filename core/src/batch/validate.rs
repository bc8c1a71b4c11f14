//! What a client may write: every rule that makes an accepted batch readable by every client, for ever.

use super::codec::{Codec, Scratch};
use super::error::{BatchError, RecordFault};
use super::records::RawRecord;
use super::varint::Cursor;
use super::view::{
    BatchInfo, BatchView, CONTROL, DEFINED, DELETE_HORIZON, LOG_APPEND_TIME, NO_PRODUCER, NO_TIMESTAMP,
};
use crate::id::ProducerId;
use crate::time::Timestamp;

/// What a topic and a request allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducePolicy {
    /// `max.message.bytes`
    pub batch_bytes_max: u32,
    /// What its records may be at most once decompressed.
    pub expanded_bytes_max: usize,
    pub zstd: ZstdPolicy,
    pub timestamps: TimestampWindow,
    pub key: KeyPolicy,
    pub validation: Validation,
}

/// Whether the version of the request knows zstd (KIP-110: Produce 7 and later).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ZstdPolicy {
    Accept,
    Refuse,
}

/// Compacted topics need a key on each record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyPolicy {
    Optional,
    Required,
}

/// How far a batch is looked into (`batch.validation`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Validation {
    /// Every record is walked, compressed or not.
    Records,
    /// Header and CRC only, for those who trust their producers. A wrong `max_timestamp` stays.
    Crc,
}

/// Timestamps that a topic accepts, both ends included (KIP-937). [`NO_TIMESTAMP`] always passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimestampWindow {
    pub earliest: Timestamp,
    pub latest: Timestamp,
}

impl TimestampWindow {
    pub const ANY: Self = Self { earliest: Timestamp(i64::MIN), latest: Timestamp(i64::MAX) };

    fn accepts(&self, timestamp: Timestamp) -> bool {
        timestamp == NO_TIMESTAMP || (self.earliest <= timestamp && timestamp <= self.latest)
    }
}

/// A batch that may be appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducedBatch {
    pub info: BatchInfo,
    /// The latest timestamp of the records. Where `info.max_timestamp` differs the client was wrong, and
    /// [`super::patch_max_timestamp`] puts it right.
    pub max_timestamp: Timestamp,
}

/// Checks what a client sent for one partition: exactly one batch, and all of it as it must be.
pub fn validate_produced(
    bytes: &[u8],
    policy: &ProducePolicy,
    scratch: &mut Scratch,
) -> Result<ProducedBatch, BatchError> {
    if bytes.is_empty() {
        return Err(BatchError::Empty);
    }
    let (batch, rest) = BatchView::parse(bytes)?;
    if !rest.is_empty() {
        return Err(BatchError::MoreThanOne);
    }
    if batch.len() > policy.batch_bytes_max as usize {
        return Err(BatchError::TooLarge { len: batch.len() });
    }
    batch.check_crc()?;
    let codec = check_header(&batch)?;
    if codec == Codec::Zstd && policy.zstd == ZstdPolicy::Refuse {
        return Err(BatchError::ZstdRefused);
    }
    let max_timestamp = match policy.validation {
        Validation::Records => {
            let payload = scratch.decompress_at_most(codec, batch.payload(), policy.expanded_bytes_max)?;
            walk(&batch, payload, policy)?
        }
        Validation::Crc => batch.max_timestamp(),
    };
    Ok(ProducedBatch { info: batch.info()?, max_timestamp })
}

fn check_header(batch: &BatchView<'_>) -> Result<Codec, BatchError> {
    let attributes = batch.attributes();
    if attributes & !DEFINED != 0 {
        return Err(BatchError::Attributes(attributes & !DEFINED));
    }
    if attributes & (CONTROL | DELETE_HORIZON) != 0 {
        return Err(BatchError::Reserved);
    }
    if attributes & LOG_APPEND_TIME != 0 {
        return Err(BatchError::LogAppendTime);
    }
    if batch.count() == 0 {
        return Err(BatchError::Empty);
    }
    if batch.last_offset_delta() != batch.count() - 1 {
        return Err(BatchError::Count);
    }
    // Some clients leave epoch and sequence at 0 when they have no producer id; then both mean nothing.
    let producer = batch.producer_id();
    let belongs = if producer == NO_PRODUCER {
        !batch.is_transactional()
    } else {
        producer >= ProducerId(0) && batch.producer_epoch().0 >= 0 && batch.base_sequence() >= 0
    };
    if !belongs {
        return Err(BatchError::Producer);
    }
    batch.codec()
}

/// Walks all records; returns their latest timestamp.
fn walk(batch: &BatchView<'_>, payload: &[u8], policy: &ProducePolicy) -> Result<Timestamp, BatchError> {
    let mut cursor = Cursor::new(payload);
    let base = batch.base_timestamp();
    let mut max = NO_TIMESTAMP;
    for place in 0..batch.count() {
        let at = |fault| BatchError::Record { index: place.cast_unsigned(), fault };
        let record = RawRecord::read(&mut cursor).map_err(at)?;
        if record.attributes != 0 {
            return Err(at(RecordFault::Attributes));
        }
        if record.offset_delta != place {
            return Err(at(RecordFault::OffsetDelta));
        }
        if record.key.is_none() && policy.key == KeyPolicy::Required {
            return Err(at(RecordFault::KeyMissing));
        }
        let timestamp = base.0.checked_add(record.timestamp_delta).map(Timestamp);
        let timestamp = timestamp.ok_or(at(RecordFault::TimestampOverflow))?;
        if !policy.timestamps.accepts(timestamp) {
            return Err(at(RecordFault::TimestampWindow { timestamp }));
        }
        max = max.max(timestamp);
    }
    if cursor.is_empty() { Ok(max) } else { Err(BatchError::TrailingBytes) }
}
