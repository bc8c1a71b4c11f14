//! The records of a batch, borrowed from it or from the scratch that it was decompressed into.

use super::codec::Scratch;
use super::error::{BatchError, RecordFault};
use super::varint::Cursor;
use super::view::{BatchView, TimestampType};
use crate::id::Offset;
use crate::mutant::{self, Mutant};
use crate::time::Timestamp;

/// One record. Key and value tell null from empty: a null value is a tombstone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    pub offset: Offset,
    pub timestamp: Timestamp,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    pub headers: Headers<'a>,
}

/// The headers of a record, in order. Keys are arbitrary bytes and may be repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Headers<'a> {
    count: u32,
    /// Walked once already: reading it again cannot fail.
    bytes: &'a [u8],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header<'a> {
    pub key: &'a [u8],
    pub value: Option<&'a [u8]>,
}

impl<'a> Headers<'a> {
    pub const fn len(&self) -> usize {
        self.count as usize
    }

    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub fn iter(&self) -> impl Iterator<Item = Header<'a>> + use<'a> {
        let mut cursor = Cursor::new(self.bytes);
        (0..self.count).map(move |_| read_header(&mut cursor).expect("the headers were walked before"))
    }
}

fn read_header<'a>(cursor: &mut Cursor<'a>) -> Result<Header<'a>, RecordFault> {
    let key = cursor.nullable_bytes()?.ok_or(RecordFault::NegativeLength)?;
    Ok(Header { key, value: cursor.nullable_bytes()? })
}

/// A record as it lies: deltas instead of places.
#[derive(Debug, Clone, Copy)]
pub(super) struct RawRecord<'a> {
    pub(super) attributes: u8,
    pub(super) timestamp_delta: i64,
    pub(super) offset_delta: i32,
    pub(super) key: Option<&'a [u8]>,
    pub(super) value: Option<&'a [u8]>,
    pub(super) headers: Headers<'a>,
}

impl<'a> RawRecord<'a> {
    /// Reads one record, all of it and no more than its length says.
    pub(super) fn read(cursor: &mut Cursor<'a>) -> Result<Self, RecordFault> {
        let len = cursor.varint()?;
        let len = usize::try_from(len).map_err(|_| RecordFault::NegativeLength)?;
        let mut body = Cursor::new(cursor.take(len)?);
        let record = Self::read_body(&mut body).map_err(|fault| {
            // All bytes of the record's length were there, so it is that length which is wrong.
            if fault == RecordFault::Truncated { RecordFault::Length } else { fault }
        })?;
        if body.is_empty() { Ok(record) } else { Err(RecordFault::Length) }
    }

    #[inline]
    fn read_body(body: &mut Cursor<'a>) -> Result<Self, RecordFault> {
        let attributes = body.byte()?;
        let timestamp_delta = body.varlong()?;
        let offset_delta = body.varint()?;
        let key = body.nullable_bytes()?;
        let value = body.nullable_bytes()?;
        let count = u32::try_from(body.varint()?).map_err(|_| RecordFault::HeaderCount)?;
        let start = body.rest();
        // A header has two bytes at least.
        if count as usize > start.len() / 2 {
            return Err(RecordFault::HeaderCount);
        }
        for _ in 0..count {
            read_header(body)?;
        }
        let headers = Headers { count, bytes: &start[..start.len() - body.rest().len()] };
        Ok(Self { attributes, timestamp_delta, offset_delta, key, value, headers })
    }
}

/// Walks the records of a batch. Ends after the first error; as many records as the header claims, and nothing behind them.
#[derive(Debug, Clone)]
pub struct Records<'a> {
    cursor: Cursor<'a>,
    base_offset: Offset,
    last_offset: Offset,
    base_timestamp: Timestamp,
    /// Log append time is one for all records.
    append_timestamp: Option<Timestamp>,
    index: u32,
    count: u32,
}

impl<'a> BatchView<'a> {
    /// The records, decompressed into `scratch` if need be. The CRC is not looked at.
    pub fn records<'s>(&self, scratch: &'s mut Scratch) -> Result<Records<'s>, BatchError>
    where
        'a: 's,
    {
        Ok(self.records_of(scratch.decompress(self.codec()?, self.payload())?))
    }

    /// The records in `payload`, which is what this batch has decompressed.
    pub(super) fn records_of<'s>(&self, payload: &'s [u8]) -> Records<'s> {
        Records {
            cursor: Cursor::new(payload),
            base_offset: self.base_offset(),
            last_offset: self.last_offset(),
            base_timestamp: self.base_timestamp(),
            append_timestamp: match self.timestamp_type() {
                TimestampType::CreateTime => None,
                TimestampType::LogAppendTime => Some(self.max_timestamp()),
            },
            index: 0,
            count: u32::try_from(self.count()).expect("a parsed count is not negative"),
        }
    }

    /// The first record at or behind `from` whose timestamp is not before `timestamp`: its offset and its own timestamp.
    pub fn first_record_at_or_after(
        &self,
        from: Offset,
        timestamp: Timestamp,
        scratch: &mut Scratch,
    ) -> Result<Option<(Offset, Timestamp)>, BatchError> {
        if self.max_timestamp() < timestamp {
            return Ok(None);
        }
        for record in self.records(scratch)? {
            let record = record?;
            let found = record.timestamp >= timestamp || mutant::on(Mutant::TimeFoundByBatch);
            if found && record.offset >= from {
                let off = i64::from(mutant::on(Mutant::TimeOffByOne));
                return Ok(Some((record.offset.plus(off), record.timestamp)));
            }
        }
        Ok(None)
    }

    /// The newest record at or behind `from`, the first of several: its offset and its timestamp.
    pub fn newest_record(
        &self,
        from: Offset,
        scratch: &mut Scratch,
    ) -> Result<Option<(Offset, Timestamp)>, BatchError> {
        let mut newest = None;
        for record in self.records(scratch)? {
            let record = record?;
            let is_newer = newest.is_none_or(|(_, timestamp)| record.timestamp > timestamp);
            if record.offset >= from && is_newer {
                newest = Some((record.offset, record.timestamp));
            }
        }
        Ok(newest)
    }
}

impl<'a> Records<'a> {
    fn read(&mut self) -> Result<Record<'a>, RecordFault> {
        let raw = RawRecord::read(&mut self.cursor)?;
        let offset = self.base_offset.0.checked_add(i64::from(raw.offset_delta)).map(Offset);
        let offset = offset.filter(|&offset| offset >= self.base_offset && offset <= self.last_offset);
        let timestamp = match self.append_timestamp {
            Some(timestamp) => timestamp,
            None => {
                let sum = self.base_timestamp.0.checked_add(raw.timestamp_delta);
                Timestamp(sum.ok_or(RecordFault::TimestampOverflow)?)
            }
        };
        let offset = offset.ok_or(RecordFault::OffsetDelta)?;
        Ok(Record { offset, timestamp, key: raw.key, value: raw.value, headers: raw.headers })
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.index == self.count {
            if self.cursor.is_empty() {
                return None;
            }
            self.cursor = Cursor::new(&[]);
            return Some(Err(BatchError::TrailingBytes));
        }
        let index = self.index;
        match self.read() {
            Ok(record) => {
                self.index += 1;
                Some(Ok(record))
            }
            Err(fault) => {
                self.count = index;
                self.cursor = Cursor::new(&[]);
                Some(Err(BatchError::Record { index, fault }))
            }
        }
    }
}
