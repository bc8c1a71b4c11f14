//! Judges a history. Each anomaly has its own file under Jepsen's name for it; a file knows only the index of the history.
//!
//! Those that need groups, transactions or cycles find their place here: a file, a [`Kind`], a case of [`Anomaly`].

mod aborted_read;
mod ack_order;
mod duplicate;
mod inconsistent_offsets;
mod int_nonmonotonic_poll;
mod int_nonmonotonic_send;
mod int_poll_skip;
mod int_send_skip;
mod lost_write;
mod moved_write;
mod nonmonotonic_poll;
mod nonmonotonic_send;
mod phantom;
mod poll_skip;
mod steps;
mod told;
mod unseen;

#[cfg(test)]
mod random_tests;
#[cfg(test)]
mod samples;

use crate::history::{EntryId, History, Key, Offset, Value};
use crate::version_order::{Index, SentTwice};

pub use told::Told;

/// The kinds of anomaly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    AbortedRead,
    AckOrder,
    Duplicate,
    InconsistentOffsets,
    IntNonmonotonicPoll,
    IntNonmonotonicSend,
    IntPollSkip,
    IntSendSkip,
    LostWrite,
    MovedWrite,
    NonmonotonicPoll,
    NonmonotonicSend,
    Phantom,
    PollSkip,
    Unseen,
}

impl Kind {
    pub const ALL: [Self; 15] = [
        Self::AbortedRead,
        Self::AckOrder,
        Self::Duplicate,
        Self::InconsistentOffsets,
        Self::IntNonmonotonicPoll,
        Self::IntNonmonotonicSend,
        Self::IntPollSkip,
        Self::IntSendSkip,
        Self::LostWrite,
        Self::MovedWrite,
        Self::NonmonotonicPoll,
        Self::NonmonotonicSend,
        Self::Phantom,
        Self::PollSkip,
        Self::Unseen,
    ];

    /// Jepsen's name where it has one.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AbortedRead => "G1a",
            Self::AckOrder => "ack-order",
            Self::Duplicate => "duplicate",
            Self::InconsistentOffsets => "inconsistent-offsets",
            Self::IntNonmonotonicPoll => "int-nonmonotonic-poll",
            Self::IntNonmonotonicSend => "int-nonmonotonic-send",
            Self::IntPollSkip => "int-poll-skip",
            Self::IntSendSkip => "int-send-skip",
            Self::LostWrite => "lost-write",
            Self::MovedWrite => "moved-write",
            Self::NonmonotonicPoll => "nonmonotonic-poll",
            Self::NonmonotonicSend => "nonmonotonic-send",
            Self::Phantom => "phantom",
            Self::PollSkip => "poll-skip",
            Self::Unseen => "unseen",
        }
    }
}

/// How a consumer came to its keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Membership {
    Assigned,
    /// Its group may take a key away between two polls and give it back.
    Subscribed,
}

/// From one record of a process to its next of the same key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    pub key: Key,
    /// The completion of the operation that has the next record; of a send its invocation.
    pub entry: EntryId,
    pub membership: Membership,
    /// The record before; none after a seek.
    pub before: Option<Value>,
    /// Where the next record may be at the least.
    pub due: Offset,
    pub value: Value,
    pub offset: Offset,
}

/// A step over records that others know of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Skip {
    pub step: Step,
    /// The first of them.
    pub skipped: (Offset, Value),
    pub count: usize,
}

/// What must not happen, with what a reader needs to find it in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Anomaly {
    /// A write that failed for certain was read.
    AbortedRead {
        key: Key,
        value: Value,
        sent_by: EntryId,
        read_by: EntryId,
    },
    /// A record is not behind what was known to be in the log before it was sent.
    AckOrder {
        key: Key,
        value: Value,
        offset: Offset,
        sent_by: EntryId,
        behind: (Offset, Value),
    },
    /// A value that was promised once is at several offsets.
    Duplicate {
        key: Key,
        value: Value,
        offsets: Vec<Offset>,
    },
    /// One offset has different values.
    InconsistentOffsets {
        key: Key,
        offset: Offset,
        values: Vec<Value>,
    },
    IntNonmonotonicPoll(Step),
    IntNonmonotonicSend(Step),
    IntPollSkip(Skip),
    IntSendSkip(Skip),
    /// Nobody read a value and somebody read what is behind it.
    LostWrite {
        key: Key,
        value: Value,
        offset: Offset,
        sent_by: EntryId,
    },
    /// A value was read, but not where the broker said that it is.
    MovedWrite {
        key: Key,
        value: Value,
        acked: Offset,
        found: Offset,
    },
    NonmonotonicPoll(Step),
    NonmonotonicSend(Step),
    /// A value was read that nobody wrote to this key.
    Phantom {
        key: Key,
        value: Value,
        offset: Offset,
    },
    PollSkip(Skip),
    /// What was acknowledged and not read to the end of the history.
    Unseen {
        key: Key,
        values: Vec<Value>,
    },
}

impl Anomaly {
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::AbortedRead { .. } => Kind::AbortedRead,
            Self::AckOrder { .. } => Kind::AckOrder,
            Self::Duplicate { .. } => Kind::Duplicate,
            Self::InconsistentOffsets { .. } => Kind::InconsistentOffsets,
            Self::IntNonmonotonicPoll(_) => Kind::IntNonmonotonicPoll,
            Self::IntNonmonotonicSend(_) => Kind::IntNonmonotonicSend,
            Self::IntPollSkip(_) => Kind::IntPollSkip,
            Self::IntSendSkip(_) => Kind::IntSendSkip,
            Self::LostWrite { .. } => Kind::LostWrite,
            Self::MovedWrite { .. } => Kind::MovedWrite,
            Self::NonmonotonicPoll(_) => Kind::NonmonotonicPoll,
            Self::NonmonotonicSend(_) => Kind::NonmonotonicSend,
            Self::Phantom { .. } => Kind::Phantom,
            Self::PollSkip(_) => Kind::PollSkip,
            Self::Unseen { .. } => Kind::Unseen,
        }
    }

    #[must_use]
    pub const fn key(&self) -> Key {
        match self {
            Self::AbortedRead { key, .. }
            | Self::AckOrder { key, .. }
            | Self::Duplicate { key, .. }
            | Self::InconsistentOffsets { key, .. }
            | Self::LostWrite { key, .. }
            | Self::MovedWrite { key, .. }
            | Self::Phantom { key, .. }
            | Self::Unseen { key, .. } => *key,
            Self::IntNonmonotonicPoll(step)
            | Self::IntNonmonotonicSend(step)
            | Self::NonmonotonicPoll(step)
            | Self::NonmonotonicSend(step) => step.key,
            Self::IntPollSkip(skip) | Self::IntSendSkip(skip) | Self::PollSkip(skip) => skip.step.key,
        }
    }

    /// The values whose lives tell the story.
    #[must_use]
    pub fn values(&self) -> Vec<Value> {
        let of_step = |step: &Step| step.before.into_iter().chain([step.value]).collect();
        match self {
            Self::AbortedRead { value, .. }
            | Self::Duplicate { value, .. }
            | Self::LostWrite { value, .. }
            | Self::MovedWrite { value, .. }
            | Self::Phantom { value, .. } => vec![*value],
            Self::AckOrder { value, behind, .. } => vec![behind.1, *value],
            Self::InconsistentOffsets { values, .. } | Self::Unseen { values, .. } => values.clone(),
            Self::IntNonmonotonicPoll(step)
            | Self::IntNonmonotonicSend(step)
            | Self::NonmonotonicPoll(step)
            | Self::NonmonotonicSend(step) => of_step(step),
            Self::IntPollSkip(skip) | Self::IntSendSkip(skip) | Self::PollSkip(skip) => {
                vec![skip.skipped.1, skip.step.value]
            }
        }
    }

    /// It in words, with the names that its history has.
    #[must_use]
    pub fn told<'a>(&'a self, history: &'a History) -> Told<'a> {
        Told { anomaly: self, history }
    }
}

/// What a workload makes legal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// A bit for each kind.
    allowed: u32,
}

impl Verdict {
    /// For a workload that deletes nothing unsaid and whose consumers read everything in the end. Writes are not isolated, so
    /// others may come in between.
    pub const STRICT: Self = Self { allowed: 0 }.allowing(Kind::IntSendSkip);

    #[must_use]
    pub const fn allowing(self, kind: Kind) -> Self {
        Self { allowed: self.allowed | 1 << kind as u32 }
    }

    /// For a history that ends before everything was read.
    #[must_use]
    pub const fn without_final_polls(self) -> Self {
        self.allowing(Kind::Unseen).allowing(Kind::MovedWrite)
    }

    #[must_use]
    pub const fn allows(self, anomaly: &Anomaly) -> bool {
        let step = match anomaly {
            Anomaly::NonmonotonicPoll(step) => Some(step),
            Anomaly::PollSkip(skip) => Some(&skip.step),
            Anomaly::AbortedRead { .. }
            | Anomaly::AckOrder { .. }
            | Anomaly::Duplicate { .. }
            | Anomaly::InconsistentOffsets { .. }
            | Anomaly::IntNonmonotonicPoll(_)
            | Anomaly::IntNonmonotonicSend(_)
            | Anomaly::IntPollSkip(_)
            | Anomaly::IntSendSkip(_)
            | Anomaly::LostWrite { .. }
            | Anomaly::MovedWrite { .. }
            | Anomaly::NonmonotonicSend(_)
            | Anomaly::Phantom { .. }
            | Anomaly::Unseen { .. } => None,
        };
        let is_of_group = matches!(step, Some(Step { membership: Membership::Subscribed, .. }));
        is_of_group || self.allowed & (1 << anomaly.kind() as u32) != 0
    }

    /// Those that it does not allow.
    pub fn errors(self, anomalies: &[Anomaly]) -> impl Iterator<Item = &Anomaly> {
        anomalies.iter().filter(move |anomaly| !self.allows(anomaly))
    }
}

/// All anomalies of a history, legal or not, in the order of their kinds' files. What [`crate::history::Delivery`] and
/// [`crate::history::Micro::LogStart`] make legal is none.
pub fn check(history: &History) -> Result<Vec<Anomaly>, SentTwice> {
    let index = Index::of(history)?;
    let mut anomalies = Vec::new();
    aborted_read::check(&index, &mut anomalies);
    ack_order::check(&index, &mut anomalies);
    duplicate::check(&index, &mut anomalies);
    inconsistent_offsets::check(&index, &mut anomalies);
    lost_write::check(&index, &mut anomalies);
    moved_write::check(&index, &mut anomalies);
    phantom::check(&index, &mut anomalies);
    unseen::check(&index, &mut anomalies);
    steps::of_polls(&index, &mut anomalies);
    steps::of_sends(&index, &mut anomalies);
    Ok(anomalies)
}
