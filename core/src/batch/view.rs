//! The header of a batch where it lies: typed reads, the few patches that a broker makes, and the walk over batches in a row.

use super::codec::Codec;
use super::crc::crc32c;
use super::error::BatchError;
use super::retain::Part;
use crate::id::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};
use crate::limits::BATCH_BYTES_MAX;
use crate::time::Timestamp;

/// Bytes of a header, up to and with the count of records.
pub const HEADER_BYTES: usize = 61;

/// No producer id: the batch is not idempotent.
pub const NO_PRODUCER: ProducerId = ProducerId(-1);

/// No sequence, in a batch without a producer id.
pub const NO_SEQUENCE: i32 = -1;

/// A record without a timestamp.
pub const NO_TIMESTAMP: Timestamp = Timestamp(-1);

/// Base offset and length: what stands before the counted bytes.
pub(super) const PREFIX_BYTES: usize = 12;
const EPOCH: usize = 12;
const MAGIC: usize = 16;
const CRC: usize = 17;
/// The CRC covers all from here on.
pub(super) const ATTRIBUTES: usize = 21;
const LAST_OFFSET_DELTA: usize = 23;
const BASE_TIMESTAMP: usize = 27;
const MAX_TIMESTAMP: usize = 35;
const PRODUCER_ID: usize = 43;
const PRODUCER_EPOCH: usize = 51;
const BASE_SEQUENCE: usize = 53;
const COUNT: usize = 57;

const CODEC_MASK: i16 = 0x07;
pub(super) const LOG_APPEND_TIME: i16 = 0x08;
pub(super) const TRANSACTIONAL: i16 = 0x10;
pub(super) const CONTROL: i16 = 0x20;
pub(super) const DELETE_HORIZON: i16 = 0x40;
pub(super) const DEFINED: i16 = 0x7f;

/// `message.timestamp.type`: whose clock the timestamps of a batch are from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimestampType {
    CreateTime,
    LogAppendTime,
}

/// One batch, borrowed. Its length is right, its magic is 2, its offsets do not overflow; its CRC and records are not looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchView<'a> {
    /// Exactly the batch.
    bytes: &'a [u8],
}

/// What a log keeps in mind of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchInfo {
    pub count: i32,
    pub last_offset_delta: i32,
    pub base_timestamp: Timestamp,
    pub max_timestamp: Timestamp,
    /// [`NO_PRODUCER`] if there is none; epoch and sequence are −1 then, whatever the header says.
    pub producer_id: ProducerId,
    pub producer_epoch: ProducerEpoch,
    pub base_sequence: i32,
    pub transactional: bool,
    pub control: bool,
    pub crc: u32,
    /// Bytes of the whole batch.
    pub len: u32,
    pub codec: Codec,
}

impl BatchInfo {
    /// The sequence of the last record: sequences go from 2³¹−1 to 0.
    pub const fn last_sequence(&self) -> i32 {
        if self.producer_id.0 == NO_PRODUCER.0 {
            return NO_SEQUENCE;
        }
        self.base_sequence.wrapping_add(self.last_offset_delta) & i32::MAX
    }
}

/// `N` bytes at `at`. The header was checked to be there.
fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[at..at + N]);
    out
}

impl<'a> BatchView<'a> {
    /// The batch at the front of `bytes`, and what follows it.
    pub fn parse(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), BatchError> {
        if bytes.len() < PREFIX_BYTES {
            return Err(BatchError::Incomplete { needed: PREFIX_BYTES });
        }
        let claim = i32::from_be_bytes(field(bytes, 8));
        let len = usize::try_from(claim).map_err(|_| BatchError::Length(claim))? + PREFIX_BYTES;
        // Older formats have shorter headers: their magic is the better answer.
        if len <= MAGIC || len > BATCH_BYTES_MAX {
            return Err(BatchError::Length(claim));
        }
        if let Some(&magic) = bytes.get(MAGIC)
            && magic != 2
        {
            return Err(BatchError::Magic(magic.cast_signed()));
        }
        if len < HEADER_BYTES {
            return Err(BatchError::Length(claim));
        }
        let Some((bytes, rest)) = bytes.split_at_checked(len) else {
            return Err(BatchError::Incomplete { needed: len });
        };
        let view = Self { bytes };
        let base = i64::from_be_bytes(field(bytes, 0));
        let delta = view.last_offset_delta();
        // One less than the last offset, so that the end offset exists too.
        let in_range = base.checked_add(i64::from(delta)).is_some_and(|last| last < i64::MAX);
        if base < 0 || delta < 0 || view.count() < 0 || !in_range {
            return Err(BatchError::Header);
        }
        Ok((view, rest))
    }

    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    pub const fn len(&self) -> usize {
        self.bytes.len()
    }

    /// A batch has a header at least.
    pub const fn is_empty(&self) -> bool {
        false
    }

    pub fn base_offset(&self) -> Offset {
        Offset(i64::from_be_bytes(field(self.bytes, 0)))
    }

    pub fn last_offset(&self) -> Offset {
        self.base_offset().plus(i64::from(self.last_offset_delta()))
    }

    /// The offset after the last one.
    pub fn end_offset(&self) -> Offset {
        self.last_offset().next()
    }

    pub fn leader_epoch(&self) -> LeaderEpoch {
        LeaderEpoch(i32::from_be_bytes(field(self.bytes, EPOCH)))
    }

    /// The stored CRC-32C.
    pub fn crc(&self) -> u32 {
        u32::from_be_bytes(field(self.bytes, CRC))
    }

    /// Whether the bytes are those that the CRC was made of.
    pub fn check_crc(&self) -> Result<(), BatchError> {
        let (stored, computed) = (self.crc(), crc32c(&self.bytes[ATTRIBUTES..]));
        if stored == computed { Ok(()) } else { Err(BatchError::Crc { stored, computed }) }
    }

    pub(super) fn attributes(&self) -> i16 {
        i16::from_be_bytes(field(self.bytes, ATTRIBUTES))
    }

    pub fn codec(&self) -> Result<Codec, BatchError> {
        Codec::from_id(u8::try_from(self.attributes() & CODEC_MASK).expect("three bits fit a byte"))
    }

    pub fn timestamp_type(&self) -> TimestampType {
        if self.attributes() & LOG_APPEND_TIME == 0 {
            TimestampType::CreateTime
        } else {
            TimestampType::LogAppendTime
        }
    }

    pub fn is_transactional(&self) -> bool {
        self.attributes() & TRANSACTIONAL != 0
    }

    pub fn is_control(&self) -> bool {
        self.attributes() & CONTROL != 0
    }

    /// When compaction may drop the tombstones of this batch, if a first pass has decided it (KIP-534).
    pub fn delete_horizon(&self) -> Option<Timestamp> {
        (self.attributes() & DELETE_HORIZON != 0).then(|| self.base_timestamp())
    }

    pub fn last_offset_delta(&self) -> i32 {
        i32::from_be_bytes(field(self.bytes, LAST_OFFSET_DELTA))
    }

    /// What the timestamps of the records count from.
    pub fn base_timestamp(&self) -> Timestamp {
        Timestamp(i64::from_be_bytes(field(self.bytes, BASE_TIMESTAMP)))
    }

    pub fn max_timestamp(&self) -> Timestamp {
        Timestamp(i64::from_be_bytes(field(self.bytes, MAX_TIMESTAMP)))
    }

    pub fn producer_id(&self) -> ProducerId {
        ProducerId(i64::from_be_bytes(field(self.bytes, PRODUCER_ID)))
    }

    pub fn producer_epoch(&self) -> ProducerEpoch {
        ProducerEpoch(i16::from_be_bytes(field(self.bytes, PRODUCER_EPOCH)))
    }

    pub fn base_sequence(&self) -> i32 {
        i32::from_be_bytes(field(self.bytes, BASE_SEQUENCE))
    }

    /// Records that the header claims; fewer than offsets after compaction.
    pub fn count(&self) -> i32 {
        i32::from_be_bytes(field(self.bytes, COUNT))
    }

    pub fn info(&self) -> Result<BatchInfo, BatchError> {
        let producer_id = self.producer_id();
        let (producer_epoch, base_sequence) = if producer_id == NO_PRODUCER {
            (ProducerEpoch(-1), NO_SEQUENCE)
        } else {
            (self.producer_epoch(), self.base_sequence())
        };
        Ok(BatchInfo {
            count: self.count(),
            last_offset_delta: self.last_offset_delta(),
            base_timestamp: self.base_timestamp(),
            max_timestamp: self.max_timestamp(),
            producer_id,
            producer_epoch,
            base_sequence,
            transactional: self.is_transactional(),
            control: self.is_control(),
            crc: self.crc(),
            len: u32::try_from(self.len()).expect("a batch is below 4 GiB"),
            codec: self.codec()?,
        })
    }

    /// The records as they lie, compressed or not.
    pub(super) fn payload(&self) -> &'a [u8] {
        &self.bytes[HEADER_BYTES..]
    }
}

/// Gives a batch its place in the log. Neither field is under the CRC. Panics if `batch` is shorter than a header.
pub fn patch_offset_and_epoch(batch: &mut [u8], base: Offset, epoch: LeaderEpoch) {
    assert!(batch.len() >= HEADER_BYTES, "only a parsed batch is patched");
    batch[..8].copy_from_slice(&base.0.to_be_bytes());
    batch[EPOCH..MAGIC].copy_from_slice(&epoch.0.to_be_bytes());
}

/// Sets the maximal timestamp and whose clock it is from, and the CRC anew, which is returned. Panics if `batch` is shorter than
/// a header.
pub fn patch_max_timestamp(batch: &mut [u8], max: Timestamp, clock: TimestampType) -> u32 {
    assert!(batch.len() >= HEADER_BYTES, "only a parsed batch is patched");
    let attributes = i16::from_be_bytes(field(batch, ATTRIBUTES));
    let attributes = match clock {
        TimestampType::CreateTime => attributes & !LOG_APPEND_TIME,
        TimestampType::LogAppendTime => attributes | LOG_APPEND_TIME,
    };
    batch[ATTRIBUTES..LAST_OFFSET_DELTA].copy_from_slice(&attributes.to_be_bytes());
    batch[MAX_TIMESTAMP..PRODUCER_ID].copy_from_slice(&max.0.to_be_bytes());
    seal(batch)
}

/// Whose batch it is, and which one in their row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducerState {
    pub id: ProducerId,
    pub epoch: ProducerEpoch,
    pub base_sequence: i32,
}

/// Gives a batch another producer and sequence, and the CRC anew. Panics if `batch` is shorter than a header.
pub fn patch_producer(batch: &mut [u8], producer: ProducerState) -> u32 {
    assert!(batch.len() >= HEADER_BYTES, "only a parsed batch is patched");
    batch[PRODUCER_ID..PRODUCER_EPOCH].copy_from_slice(&producer.id.0.to_be_bytes());
    batch[PRODUCER_EPOCH..BASE_SEQUENCE].copy_from_slice(&producer.epoch.0.to_be_bytes());
    batch[BASE_SEQUENCE..COUNT].copy_from_slice(&producer.base_sequence.to_be_bytes());
    seal(batch)
}

/// Tells a batch how its records are compressed and how long it has become, and sets the CRC anew. Panics if `batch` is shorter than a
/// header.
pub(super) fn patch_codec_and_length(batch: &mut [u8], codec: Codec) -> u32 {
    assert!(batch.len() >= HEADER_BYTES, "only a parsed batch is patched");
    let counted = i32::try_from(batch.len() - PREFIX_BYTES).expect("decompressed records are bounded");
    batch[8..PREFIX_BYTES].copy_from_slice(&counted.to_be_bytes());
    let attributes = i16::from_be_bytes(field(batch, ATTRIBUTES)) & !CODEC_MASK | i16::from(codec.id());
    batch[ATTRIBUTES..LAST_OFFSET_DELTA].copy_from_slice(&attributes.to_be_bytes());
    seal(batch)
}

/// Makes the header of a batch that of some of its records.
pub(super) fn patch_part(batch: &mut [u8], part: Part) {
    let attributes = i16::from_be_bytes(field(batch, ATTRIBUTES)) & !DELETE_HORIZON;
    let attributes = attributes | if part.delete_horizon.is_some() { DELETE_HORIZON } else { 0 };
    batch[ATTRIBUTES..LAST_OFFSET_DELTA].copy_from_slice(&attributes.to_be_bytes());
    batch[BASE_TIMESTAMP..MAX_TIMESTAMP].copy_from_slice(&part.base_timestamp.0.to_be_bytes());
    batch[MAX_TIMESTAMP..PRODUCER_ID].copy_from_slice(&part.max_timestamp.0.to_be_bytes());
    batch[COUNT..HEADER_BYTES].copy_from_slice(&part.count.to_be_bytes());
    seal(batch);
}

/// Makes a header alone a batch without records, of the same offsets, producer and maximal timestamp.
pub(super) fn patch_empty(header: &mut [u8], codec: Codec) {
    let max_timestamp = Timestamp(i64::from_be_bytes(field(header, MAX_TIMESTAMP)));
    let (base_timestamp, delete_horizon) = (NO_TIMESTAMP, None);
    patch_codec_and_length(header, codec);
    patch_part(header, Part { count: 0, base_timestamp, max_timestamp, delete_horizon });
}

/// Writes the CRC of a batch whose other bytes are final.
pub(super) fn seal(batch: &mut [u8]) -> u32 {
    let crc = crc32c(&batch[ATTRIBUTES..]);
    batch[CRC..ATTRIBUTES].copy_from_slice(&crc.to_be_bytes());
    crc
}

/// Batches in a row, as in a segment or the answer to a fetch. Ends after the first error.
#[derive(Debug, Clone)]
pub struct Batches<'a> {
    rest: &'a [u8],
    walk: Walk,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Walk {
    Open,
    Incomplete,
    Wrong,
}

impl<'a> Batches<'a> {
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, walk: Walk::Open }
    }

    /// What was not walked: nothing at a clean end, else it begins at the batch that is incomplete or wrong.
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Whether the walk ended at a batch of which bytes are missing. A fetch may cut its last batch so; a torn segment too.
    pub fn is_incomplete(&self) -> bool {
        self.walk == Walk::Incomplete
    }
}

impl<'a> Iterator for Batches<'a> {
    type Item = Result<BatchView<'a>, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() || self.walk != Walk::Open {
            return None;
        }
        match BatchView::parse(self.rest) {
            Ok((view, rest)) => {
                self.rest = rest;
                Some(Ok(view))
            }
            Err(BatchError::Incomplete { .. }) => {
                self.walk = Walk::Incomplete;
                None
            }
            Err(error) => {
                self.walk = Walk::Wrong;
                Some(Err(error))
            }
        }
    }
}
