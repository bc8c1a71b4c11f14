//! Kafka's record batch, version 2: reading, checking, patching, building. Knows bytes only: not whose batch it is, not where it
//! is stored, not what an error is called on the wire.
//!
//! Two degrees of trust. [`BatchView`] reads what this broker has accepted once: it checks lengths, never panics, and tolerates what
//! compaction leaves behind. [`validate_produced`] is for what a client sent: it walks each record, so that an accepted batch can
//! be read by every client for ever.

mod builder;
mod codec;
mod compress;
mod crc;
mod error;
pub mod fuzz;
mod records;
mod retain;
mod validate;
mod varint;
mod view;

pub use builder::{BatchBuilder, BatchHeader, NewHeader, NewRecord};
pub use codec::{Codec, Compressor, Scratch};
pub use compress::{Encoding, recompress};
pub use crc::crc32c;
pub use error::{BatchError, ErrorKind, RecordFault, StreamFault};
pub use records::{Header, Headers, Record, Records};
pub use retain::{Retained, emptied, retain};
pub use validate::{
    KeyPolicy, ProducePolicy, ProducedBatch, TimestampWindow, Validation, ZstdPolicy, validate_produced,
};
pub use view::{
    BatchInfo, BatchView, Batches, HEADER_BYTES, NO_PRODUCER, NO_SEQUENCE, NO_TIMESTAMP, ProducerState,
    TimestampType, patch_max_timestamp, patch_offset_and_epoch, patch_producer,
};

#[cfg(test)]
mod tests;
