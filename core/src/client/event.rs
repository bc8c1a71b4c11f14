//! What comes of calls, and why they fail.

use alloc::boxed::Box;
use alloc::vec::Vec;

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
    /// What the client's membership of a group came to.
    Member(MemberEvent),
    /// What became of an admin call.
    Answered { token: Token, answer: AdminAnswer },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MemberEvent {
    /// The client, in a group, has these beside what it had, and begins to read them. `epoch` is the generation of a classic group.
    Assigned { epoch: i32, partitions: Vec<TopicPartition> },
    /// These are not read any more. They are given up once the client is polled after this event is taken, and what is
    /// committed until then, or was before, is through.
    Revoked { epoch: i32, partitions: Vec<TopicPartition> },
    /// These belong to others by now, perhaps: the client is no member any more. It joins again.
    Lost { epoch: i32, partitions: Vec<TopicPartition> },
    /// What became of a commit, partition by partition.
    Committed { token: Token, results: Vec<(TopicPartition, Result<(), ClientError>)> },
    /// The group will not have this member, however often it asks. It is in no group any more.
    Failed { error: ClientError },
    /// The client is in no group any more, as it was told.
    Left,
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
    /// The group has committed nothing of a partition, and nobody said where else to begin.
    NoOffset,
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
            Self::UnknownCode(_)
            | Self::BatchTooLarge
            | Self::UnsupportedVersion
            | Self::EpochExhausted
            | Self::NoOffset => false,
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
