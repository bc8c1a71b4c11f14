//! Metadata records as record batches: values without keys, so that the metadata log is a log like any other.

use alloc::vec::Vec;

use super::record::{MetadataRecord, RecordError};
use crate::batch::{BatchBuilder, BatchHeader, BatchView, NewRecord, Scratch};
use crate::id::Offset;
use crate::time::Timestamp;

/// Records at their offsets.
pub type PlacedRecords = Vec<(Offset, MetadataRecord)>;

/// One batch of all `records`, at offset 0 and without an epoch: whoever appends it gives it its place. Panics without records.
#[must_use]
pub fn encode_records(records: &[MetadataRecord], timestamp: Timestamp) -> Vec<u8> {
    let mut builder = BatchBuilder::new(BatchHeader::default());
    let mut value = Vec::new();
    for record in records {
        value.clear();
        record.encode(&mut value);
        builder.push(&NewRecord { timestamp, key: None, value: Some(&value), headers: &[] });
    }
    builder.build()
}

/// What the records come to in a batch, but for its header and theirs.
pub fn encoded_bytes(records: &[MetadataRecord]) -> usize {
    let mut value = Vec::new();
    let lens = records.iter().map(|record| {
        value.clear();
        record.encode(&mut value);
        value.len()
    });
    lens.sum()
}

/// The records of the batch at the front of `bytes` with their offsets, and what follows it.
pub fn decode_records<'a>(
    bytes: &'a [u8],
    scratch: &mut Scratch,
) -> Result<(PlacedRecords, &'a [u8]), RecordError> {
    let (batch, rest) = BatchView::parse(bytes).map_err(|_| RecordError::Batch)?;
    batch.check_crc().map_err(|_| RecordError::Batch)?;
    let mut records = Vec::new();
    for record in batch.records(scratch).map_err(|_| RecordError::Batch)? {
        let record = record.map_err(|_| RecordError::Batch)?;
        let value = record.value.ok_or(RecordError::NoValue)?;
        records.push((record.offset, MetadataRecord::decode(value)?));
    }
    Ok((records, rest))
}
