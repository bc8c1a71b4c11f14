//! A history: every write with its outcome, every read. It judges nothing.

use std::fmt;

/// A partition of a topic, both as numbers; whoever makes the history knows the names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    pub topic: u32,
    pub partition: i32,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "t{}/{}", self.topic, self.partition)
    }
}

/// What was written: a number that no other write of the history has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Value(pub u64);

/// Where a record lies in its partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Offset(pub i64);

/// One producer's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Process(pub u32);

/// What a producer was promised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Promise {
    /// Once, and in the order of sending: an idempotent producer.
    ExactlyOnce,
    /// Once or more, in any order.
    AtLeastOnce,
}

/// What a producer learned of its write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is in the log, at this offset where the broker told it.
    Ok(Option<Offset>),
    /// It may be in the log or not.
    Unknown,
    /// It is not in the log.
    Failed,
}

/// A write. The writes of a process stand in a history in the order in which it sent them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Write {
    pub key: Key,
    pub value: Value,
    pub process: Process,
    pub promise: Promise,
    pub outcome: Outcome,
}

/// A record that a consumer was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Read {
    pub key: Key,
    pub offset: Offset,
    pub value: Value,
}

/// All writes, and reads that cover each partition to its end after the last write had its outcome.
#[derive(Debug, Clone, Default)]
pub struct History {
    pub writes: Vec<Write>,
    pub reads: Vec<Read>,
}

impl History {
    /// Takes over what another history has.
    pub fn append(&mut self, other: &mut Self) {
        self.writes.append(&mut other.writes);
        self.reads.append(&mut other.reads);
    }
}
