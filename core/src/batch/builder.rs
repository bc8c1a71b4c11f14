//! Writes an uncompressed batch, record by record, into one buffer.

use alloc::vec::Vec;

use super::records::Header;
use super::varint::{put_varlong, varlong_len};
use super::view::{
    ATTRIBUTES, CONTROL, HEADER_BYTES, LOG_APPEND_TIME, NO_PRODUCER, NO_SEQUENCE, NO_TIMESTAMP, PREFIX_BYTES,
    ProducerState, TRANSACTIONAL, TimestampType, seal,
};
use crate::id::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};
use crate::limits::BATCH_BYTES_MAX;
use crate::time::Timestamp;

/// What the header of a new batch says beyond what follows from its records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchHeader {
    pub base_offset: Offset,
    pub leader_epoch: LeaderEpoch,
    pub timestamp_type: TimestampType,
    pub producer_id: ProducerId,
    pub producer_epoch: ProducerEpoch,
    pub base_sequence: i32,
    pub transactional: bool,
    pub control: bool,
}

impl Default for BatchHeader {
    /// As a client without idempotence sends it.
    fn default() -> Self {
        Self {
            base_offset: Offset::ZERO,
            leader_epoch: LeaderEpoch(-1),
            timestamp_type: TimestampType::CreateTime,
            producer_id: NO_PRODUCER,
            producer_epoch: ProducerEpoch(-1),
            base_sequence: NO_SEQUENCE,
            transactional: false,
            control: false,
        }
    }
}

/// A record to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewRecord<'a> {
    pub timestamp: Timestamp,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    pub headers: &'a [NewHeader<'a>],
}

/// A header to be written.
pub type NewHeader<'a> = Header<'a>;

/// A batch in the making. One buffer, no allocation for a record but that buffer's growth.
#[derive(Debug)]
pub struct BatchBuilder {
    header: BatchHeader,
    buffer: Vec<u8>,
    count: i32,
    base_timestamp: Timestamp,
    max_timestamp: Timestamp,
}

impl BatchBuilder {
    pub fn new(header: BatchHeader) -> Self {
        Self::with_buffer(header, Vec::new())
    }

    /// Builds into `buffer`, whose content is dropped and whose memory is used.
    pub fn with_buffer(header: BatchHeader, mut buffer: Vec<u8>) -> Self {
        buffer.clear();
        buffer.resize(HEADER_BYTES, 0);
        Self { header, buffer, count: 0, base_timestamp: NO_TIMESTAMP, max_timestamp: NO_TIMESTAMP }
    }

    pub const fn count(&self) -> i32 {
        self.count
    }

    /// Bytes of the batch so far.
    pub const fn len(&self) -> usize {
        self.buffer.len()
    }

    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whose batch it will be, where that was not known at the beginning.
    pub const fn set_producer(&mut self, producer: ProducerState) {
        self.header.producer_id = producer.id;
        self.header.producer_epoch = producer.epoch;
        self.header.base_sequence = producer.base_sequence;
    }

    /// Bytes that the batch would have with `record` too.
    pub fn len_with(&self, record: &NewRecord<'_>) -> usize {
        let body = self.body_len(record);
        self.buffer.len() + varlong_len(body_len_as_long(body)) + body
    }

    /// Appends a record. Panics where the batch would pass [`BATCH_BYTES_MAX`]: ask [`Self::len_with`] first.
    pub fn push(&mut self, record: &NewRecord<'_>) {
        if self.count == 0 {
            self.base_timestamp = record.timestamp;
        }
        assert!(self.len_with(record) <= BATCH_BYTES_MAX, "a batch is bounded");
        let body = self.body_len(record);
        let timestamp_delta = self.timestamp_delta(record);
        let out = &mut self.buffer;
        put_varlong(out, body_len_as_long(body));
        let start = out.len();
        out.push(0);
        put_varlong(out, timestamp_delta);
        put_varlong(out, i64::from(self.count));
        put_nullable(out, record.key);
        put_nullable(out, record.value);
        put_varlong(out, body_len_as_long(record.headers.len()));
        for header in record.headers {
            put_nullable(out, Some(header.key));
            put_nullable(out, header.value);
        }
        assert!(out.len() == start + body, "a record is as long as computed");
        self.max_timestamp = self.max_timestamp.max(record.timestamp);
        self.count += 1;
    }

    /// The whole batch, sealed. Panics without a record.
    #[must_use]
    pub fn build(self) -> Vec<u8> {
        assert!(self.count > 0, "a batch has a record");
        let Self { header, mut buffer, count, base_timestamp, max_timestamp } = self;
        let counted = i32::try_from(buffer.len() - PREFIX_BYTES).expect("a batch is bounded");
        let mut attributes = 0;
        if header.timestamp_type == TimestampType::LogAppendTime {
            attributes |= LOG_APPEND_TIME;
        }
        if header.transactional {
            attributes |= TRANSACTIONAL;
        }
        if header.control {
            attributes |= CONTROL;
        }
        buffer[..8].copy_from_slice(&header.base_offset.0.to_be_bytes());
        buffer[8..12].copy_from_slice(&counted.to_be_bytes());
        buffer[12..16].copy_from_slice(&header.leader_epoch.0.to_be_bytes());
        buffer[16] = 2;
        let fields = &mut buffer[ATTRIBUTES..HEADER_BYTES];
        fields[..2].copy_from_slice(&attributes.to_be_bytes());
        fields[2..6].copy_from_slice(&(count - 1).to_be_bytes());
        fields[6..14].copy_from_slice(&base_timestamp.0.to_be_bytes());
        fields[14..22].copy_from_slice(&max_timestamp.0.to_be_bytes());
        fields[22..30].copy_from_slice(&header.producer_id.0.to_be_bytes());
        fields[30..32].copy_from_slice(&header.producer_epoch.0.to_be_bytes());
        fields[32..36].copy_from_slice(&header.base_sequence.to_be_bytes());
        fields[36..].copy_from_slice(&count.to_be_bytes());
        seal(&mut buffer);
        buffer
    }

    /// Panics where two timestamps are 2⁶³ milliseconds apart: writers take theirs from clocks.
    fn timestamp_delta(&self, record: &NewRecord<'_>) -> i64 {
        let base = if self.count == 0 { record.timestamp } else { self.base_timestamp };
        record.timestamp.0.checked_sub(base.0).expect("timestamps are of one age")
    }

    fn body_len(&self, record: &NewRecord<'_>) -> usize {
        let headers: usize =
            record.headers.iter().map(|h| nullable_len(Some(h.key)) + nullable_len(h.value)).sum();
        1 + varlong_len(self.timestamp_delta(record))
            + varlong_len(i64::from(self.count))
            + nullable_len(record.key)
            + nullable_len(record.value)
            + varlong_len(body_len_as_long(record.headers.len()))
            + headers
    }
}

fn body_len_as_long(len: usize) -> i64 {
    i64::try_from(len).expect("a length fits 63 bits")
}

fn nullable_len(bytes: Option<&[u8]>) -> usize {
    bytes.map_or(1, |bytes| varlong_len(body_len_as_long(bytes.len())) + bytes.len())
}

fn put_nullable(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        None => put_varlong(out, -1),
        Some(bytes) => {
            put_varlong(out, body_len_as_long(bytes.len()));
            out.extend_from_slice(bytes);
        }
    }
}
