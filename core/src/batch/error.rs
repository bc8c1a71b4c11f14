//! What can be wrong with a batch. Says what, not what to answer: [`BatchError::kind`] sorts faults for those who answer.

use core::fmt;

use crate::time::Timestamp;

/// Why bytes are not a batch that can be accepted or read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchError {
    /// The bytes end before the batch does. `needed` is the least length that could say more.
    Incomplete { needed: usize },
    /// The length field is below a header's or above [`crate::limits::BATCH_BYTES_MAX`].
    Length(i32),
    /// Not magic 2.
    Magic(i8),
    /// A header field that no writer may set so: a negative offset, delta or count, or a last offset above 2⁶³.
    Header,
    /// CRC-32C does not match.
    Crc { stored: u32, computed: u32 },
    /// Longer than the topic allows.
    TooLarge { len: usize },
    /// Bytes behind the batch, where exactly one batch must be.
    MoreThanOne,
    /// No record at all.
    Empty,
    /// The record count is not the span of offsets.
    Count,
    /// Attribute bits that have no meaning.
    Attributes(i16),
    /// A control batch, or one with a delete horizon, from a client.
    Reserved,
    /// Log append time, which only the broker may set.
    LogAppendTime,
    /// A producer id without an epoch or a sequence, one below −1, or a transaction without a producer id.
    Producer,
    /// A codec that does not exist.
    Codec(u8),
    /// zstd, which this version of the request does not know.
    ZstdRefused,
    /// The compressed bytes are not one whole stream of the codec.
    Stream(StreamFault),
    /// The records expand to more than `limit` bytes.
    Expansion { limit: usize },
    /// The record at this place of the batch is wrong.
    Record { index: u32, fault: RecordFault },
    /// Bytes follow the last record.
    TrailingBytes,
}

/// What is wrong with one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordFault {
    /// It ends before its fields do.
    Truncated,
    /// A number longer than its type.
    Varint,
    /// Its length is not that of its fields.
    Length,
    /// Attribute bits that have no meaning.
    Attributes,
    /// The offset delta is not the record's place.
    OffsetDelta,
    /// A length below −1, or a null where there must be bytes.
    NegativeLength,
    /// More headers than its bytes can hold, or fewer than none.
    HeaderCount,
    /// The timestamp is beyond 64 bits.
    TimestampOverflow,
    /// The timestamp is outside of what the topic accepts.
    TimestampWindow { timestamp: Timestamp },
    /// No key, where the topic is compacted.
    KeyMissing,
}

/// What is wrong with a compressed stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamFault {
    /// It ends too early.
    Truncated,
    /// Its framing is not that of the codec, or uses a feature that consumers cannot read.
    Framing,
    /// Its content does not decode.
    Content,
    /// A checksum or a length inside of it does not match.
    Checksum,
    /// Bytes follow the stream.
    Trailing,
}

/// How a fault shall be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// Damaged on its way: sending it again may help.
    Corrupt,
    /// Made wrong: sending it again will not help.
    Invalid,
    TooLarge,
    UnsupportedCompression,
    InvalidTimestamp,
}

impl BatchError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Length(_) | Self::Crc { .. } => ErrorKind::Corrupt,
            // What was a format once is no damage, but none that this version of the request may have.
            Self::Magic(magic) if !(0..2).contains(magic) => ErrorKind::Corrupt,
            Self::TooLarge { .. } | Self::Expansion { .. } => ErrorKind::TooLarge,
            Self::Codec(_) | Self::ZstdRefused => ErrorKind::UnsupportedCompression,
            Self::LogAppendTime
            | Self::Record {
                fault: RecordFault::TimestampWindow { .. } | RecordFault::TimestampOverflow,
                ..
            } => ErrorKind::InvalidTimestamp,
            Self::Incomplete { .. }
            | Self::Magic(_)
            | Self::Header
            | Self::MoreThanOne
            | Self::Empty
            | Self::Count
            | Self::Attributes(_)
            | Self::Reserved
            | Self::Producer
            | Self::Stream(_)
            | Self::Record { .. }
            | Self::TrailingBytes => ErrorKind::Invalid,
        }
    }
}

impl fmt::Display for BatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Incomplete { needed } => write!(f, "the batch is cut short of {needed} bytes"),
            Self::Length(len) => write!(f, "a batch cannot have the length {len}"),
            Self::Magic(magic) => write!(f, "message format {magic} is not supported, only 2 is"),
            Self::Header => f.write_str("an offset, a delta or a count of the batch header is out of range"),
            Self::Crc { stored, computed } => {
                write!(f, "the batch says CRC-32C {stored:08x}, its bytes {computed:08x}")
            }
            Self::TooLarge { len } => write!(f, "the batch has {len} bytes, more than the topic allows"),
            Self::MoreThanOne => f.write_str("more than one batch for a partition"),
            Self::Empty => f.write_str("a batch without records"),
            Self::Count => f.write_str("the count of records is not the span of offsets"),
            Self::Attributes(bits) => write!(f, "undefined attribute bits {bits:#06x}"),
            Self::Reserved => f.write_str("control batches and delete horizons are not for clients"),
            Self::LogAppendTime => f.write_str("only the broker may set log append time"),
            Self::Producer => f.write_str("producer id, epoch and sequence do not belong together"),
            Self::Codec(codec) => write!(f, "compression type {codec} does not exist"),
            Self::ZstdRefused => f.write_str("zstd needs a newer version of this request"),
            Self::Stream(fault) => write!(f, "the compressed records: {fault}"),
            Self::Expansion { limit } => write!(f, "the records expand to more than {limit} bytes"),
            Self::Record { index, fault } => write!(f, "record {index} of the batch: {fault}"),
            Self::TrailingBytes => f.write_str("bytes follow the last record"),
        }
    }
}

impl fmt::Display for RecordFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("the bytes end before it does"),
            Self::Varint => f.write_str("a number is longer than its type"),
            Self::Length => f.write_str("its length is not that of its fields"),
            Self::Attributes => f.write_str("it has attribute bits that mean nothing"),
            Self::OffsetDelta => f.write_str("its offset delta is not its place in the batch"),
            Self::NegativeLength => f.write_str("a length is negative where it may not be"),
            Self::HeaderCount => f.write_str("it claims a number of headers that its bytes cannot hold"),
            Self::TimestampOverflow => f.write_str("its timestamp is beyond 64 bits"),
            Self::TimestampWindow { timestamp } => write!(
                f,
                "its timestamp {} is further from the broker's clock than message.timestamp.before.max.ms and \
                 message.timestamp.after.max.ms allow",
                timestamp.0
            ),
            Self::KeyMissing => f.write_str("it has no key, and the topic is compacted"),
        }
    }
}

impl fmt::Display for StreamFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Truncated => "the stream ends too early",
            Self::Framing => "the framing is not that of the codec, or not one that all clients read",
            Self::Content => "the stream does not decode",
            Self::Checksum => "a checksum or a length of the stream does not match",
            Self::Trailing => "bytes follow the stream",
        })
    }
}

impl core::error::Error for BatchError {}
