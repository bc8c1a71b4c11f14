//! What a steward did and was told: it alone administers and writes its topics. Judges nothing.

use highwater_core::client::OffsetAt;
use highwater_core::id::TopicId;

/// What has settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ruled {
    /// The topic whose settings change.
    Topic,
    /// What holds for all topics that set nothing themselves.
    Brokers,
}

/// A setting under Kafka's name and what it shall be; `None` is what it is by default.
pub type Change = (&'static str, Option<String>);

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Done,
    Refused,
    /// There is no answer: it may be done now, later or never.
    Unknown,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    /// The topic whose settings change has this id.
    Owns {
        ruled: TopicId,
    },
    /// Settings shall change from here on.
    Altering {
        ruled: Ruled,
        changes: Vec<Change>,
    },
    /// What became of the last change.
    Altered(Fate),
    Described {
        ruled: Ruled,
        values: Vec<(&'static str, Option<String>)>,
    },
    /// A batch with a value of this size was taken in, or was too large.
    Weighed {
        value_bytes: u64,
        fate: Fate,
    },
    /// Records shall be written to the topic with times.
    Storing,
    /// One of them is at `offset`.
    Stored {
        offset: i64,
        timestamp: i64,
    },
    /// Which offset is meant?
    Asking,
    /// The answer to that, and where the log began after it was given.
    Answered {
        at: OffsetAt,
        offset: Option<i64>,
        timestamp: Option<i64>,
        log_start: i64,
    },
}
