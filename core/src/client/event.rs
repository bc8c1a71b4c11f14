//! What comes of calls, and why they fail.

use alloc::boxed::Box;

use super::{AdminAnswer, Fetched, TopicPartition};
use crate::id::Offset;
use crate::time::Timestamp;
use crate::wire::ErrorCode;

/// Names a call in its outcome. The caller's choice; the client never looks at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub u64);

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientEvent {
    /// What became of one record.
    Produced { token: Token, result: Result<Receipt, ProduceFailure> },
    /// Records of a partition, in order, without a gap to those before.
    Fetched(Box<Fetched>),
    /// A partition cannot be read at present. It is tried again, unless the offset is out of range and
    /// [`super::ResetPolicy::Fail`] stops it.
    FetchFailed { partition: TopicPartition, error: ClientError },
    /// What became of an admin call.
    Answered { token: Token, answer: AdminAnswer },
}

/// A record's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// `None` without acknowledgement, and where the broker knew the batch but not its place any more.
    pub offset: Option<Offset>,
    /// The broker's, under log append time.
    pub append_time: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProduceFailure {
    pub error: ClientError,
    pub written: Written,
}

/// Whether something that failed may yet have happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    No,
    /// It may be in the log, or come there later.
    Perhaps,
}

/// Why a call failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientError {
    Broker(ErrorCode),
    /// An error code that we do not know.
    UnknownCode(i16),
    /// Time ran out, in which the broker was not found or did not answer.
    TimedOut,
    /// The connection broke before the answer.
    Disconnected,
    /// The broker's bytes are not an answer.
    Malformed,
    /// A batch that was fetched is damaged.
    CorruptBatch,
    /// A batch did not fit the bytes that one fetch may have.
    BatchTooLarge,
    /// Client and broker have no version of a request in common.
    UnsupportedVersion,
    /// The producer's epochs are used up.
    EpochExhausted,
}

impl ClientError {
    /// The error behind a code, if it is one.
    pub fn from_code(code: i16) -> Option<Self> {
        match ErrorCode::from_code(code) {
            None => Some(Self::UnknownCode(code)),
            Some(ErrorCode::None) => None,
            Some(error) => Some(Self::Broker(error)),
        }
    }

    pub fn is_retriable(self) -> bool {
        match self {
            Self::Broker(code) => code.retriable(),
            Self::TimedOut | Self::Disconnected | Self::Malformed | Self::CorruptBatch => true,
            Self::UnknownCode(_) | Self::BatchTooLarge | Self::UnsupportedVersion | Self::EpochExhausted => {
                false
            }
        }
    }
}

/// Why a record was not taken. Nothing of it is kept, and no event follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProduceError {
    /// As much waits as may: try again after an event.
    Full,
    /// The record alone is larger than any batch.
    TooLarge,
}
