//! Why bytes are not a message, and why a message has no bytes. A peer's fault and a caller's fault; neither is ours.

use core::fmt;

/// Why a frame does not hold the message that it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecodeError {
    /// The frame ends within the message, or a length points behind its end.
    Truncated,
    /// Bytes are left over behind the message.
    TrailingBytes,
    /// A length is out of the range of its type.
    InvalidLength,
    /// A varint does not end in time.
    InvalidVarint,
    InvalidUtf8,
    /// A field is null that may not be in this version.
    UnexpectedNull,
    /// A tagged field's value does not take the bytes that it says, or the tags do not ascend.
    InvalidTag,
    /// The message would take more memory than its bytes justify.
    OverBudget,
    /// We have no such version of the message.
    UnsupportedVersion,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Truncated => "the frame ends within the message",
            Self::TrailingBytes => "bytes are left over behind the message",
            Self::InvalidLength => "a length is out of range",
            Self::InvalidVarint => "a varint does not end",
            Self::InvalidUtf8 => "a string is not UTF-8",
            Self::UnexpectedNull => "a field is null that may not be",
            Self::InvalidTag => "a tagged field is out of order or does not fill its size",
            Self::OverBudget => "the message would take more memory than its bytes justify",
            Self::UnsupportedVersion => "the version is not supported",
        })
    }
}

impl core::error::Error for DecodeError {}

/// Why a message cannot be written in a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EncodeError {
    /// A field is null that may not be in this version.
    UnexpectedNull,
    /// A string, an array or the whole is longer than its length field can say.
    TooLong,
    /// We have no such version of the message.
    UnsupportedVersion,
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnexpectedNull => "a field is null that may not be",
            Self::TooLong => "a value is longer than its length can say",
            Self::UnsupportedVersion => "the version is not supported",
        })
    }
}

impl core::error::Error for EncodeError {}
