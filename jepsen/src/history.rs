//! A history: what clients began, how it ended and what they saw, in the order in which it happened. It judges nothing.
//!
//! An operation is an invocation and its completion, which stand apart since others happen in between. Both are entries; an
//! entry has micro-operations (a record sent, a record read). All micro-operations of a history lie in one vector.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// A partition of a topic, as a small number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(pub(crate) u32);

impl Key {
    #[must_use]
    pub fn index(self) -> usize {
        usize::try_from(self.0).expect("a u32 fits")
    }
}

/// What was written: a number that no other write to the same key has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Value(pub u64);

/// Where a record lies in its partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Offset(pub i64);

/// One producer's and one consumer's life. What follows an operation that ended as [`Type::Info`] is another process's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Process(pub u32);

/// An entry by its place in the history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId(pub u32);

impl EntryId {
    #[must_use]
    pub fn index(self) -> usize {
        usize::try_from(self.0).expect("a u32 fits")
    }
}

/// Which end of an operation an entry is, and what the client knows of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Type {
    Invoke,
    /// It happened.
    Ok,
    /// It did not happen and never will.
    Fail,
    /// It may have happened, or may yet.
    Info,
}

/// What an operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum F {
    /// The consumer reads just these keys from here on.
    Assign,
    /// The consumer shares the topics of these keys with its group from here on.
    Subscribe,
    Poll,
    Send,
    /// Sends and polls that happen together or not at all.
    Txn,
    /// The process ends.
    Crash,
    /// Tells about the cluster and does nothing.
    Debug,
}

/// What the settings of a producer promise for each of its records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Delivery {
    /// Once, and in the order of sending: idempotent, acknowledged by all.
    #[default]
    ExactlyOnce,
    /// Once or more, in any order: sent again when in doubt.
    AtLeastOnce,
    /// Once or not at all: acknowledged before it is safe.
    AtMostOnce,
    /// Sent again when in doubt and acknowledged before it is safe.
    BestEffort,
}

impl Delivery {
    #[must_use]
    pub fn may_repeat(self) -> bool {
        matches!(self, Self::AtLeastOnce | Self::BestEffort)
    }

    #[must_use]
    pub fn may_lose(self) -> bool {
        matches!(self, Self::AtMostOnce | Self::BestEffort)
    }
}

/// A record that is sent; its offset where the broker told it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    pub key: Key,
    pub value: Value,
    pub offset: Option<Offset>,
}

/// A record that a consumer was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Read {
    pub key: Key,
    pub offset: Offset,
    pub value: Value,
}

/// A part of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Micro {
    Send(Sent),
    /// A poll begins; the reads that follow are what it gave.
    Poll,
    Read(Read),
    /// A key of an assignment or a subscription.
    Assigned(Key),
    /// The consumer reads on from here.
    Seek {
        key: Key,
        offset: Offset,
    },
    /// The key came to the consumer or left it while the operation ran.
    Rebalanced(Key),
    /// The broker said that older records are gone for good.
    LogStart {
        key: Key,
        offset: Offset,
    },
}

/// One end of an operation, without its micro-operations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    pub process: Process,
    pub time_ns: u64,
    pub kind: Type,
    pub f: F,
    pub delivery: Delivery,
    /// Which invocation this completes.
    pub completes: Option<EntryId>,
    /// Why it ended so, in words.
    pub error: Option<Box<str>>,
}

/// Begins an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Begin {
    pub process: Process,
    pub time_ns: u64,
    pub f: F,
    pub delivery: Delivery,
}

/// Ends an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    pub of: EntryId,
    pub time_ns: u64,
    pub kind: Type,
}

/// What was written and read, by whom and when.
#[derive(Debug, Clone, Default)]
pub struct History {
    names: Vec<(Box<str>, i32)>,
    keys: BTreeMap<(Box<str>, i32), Key>,
    heads: Vec<Head>,
    /// Where the micro-operations of each entry begin; they end where those of the next begin.
    begins: Vec<u32>,
    micros: Vec<Micro>,
}

impl History {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The key of a partition, the same whenever asked.
    pub fn key(&mut self, topic: &str, partition: i32) -> Key {
        let next = Key(u32::try_from(self.names.len()).expect("fewer than 2^32 partitions"));
        let name = (Box::from(topic), partition);
        *self.keys.entry(name.clone()).or_insert_with(|| {
            self.names.push(name);
            next
        })
    }

    /// An operation begins.
    pub fn invoke(&mut self, begin: Begin) -> Entry<'_> {
        let Begin { process, time_ns, f, delivery } = begin;
        let kind = Type::Invoke;
        self.push(Head { process, time_ns, kind, f, delivery, completes: None, error: None })
    }

    /// An operation ends. Operations of a process may overlap; it sends in the order of their invocations.
    pub fn complete(&mut self, end: End) -> Entry<'_> {
        assert!(end.kind != Type::Invoke, "an invocation completes nothing");
        let begin = &self.heads[end.of.index()];
        assert!(begin.kind == Type::Invoke, "what ends was begun: {begin:?}");
        let Head { process, f, delivery, .. } = *begin;
        let End { of, time_ns, kind } = end;
        self.push(Head { process, time_ns, kind, f, delivery, completes: Some(of), error: None })
    }

    pub(crate) fn push(&mut self, head: Head) -> Entry<'_> {
        let id = EntryId(u32::try_from(self.heads.len()).expect("fewer than 2^32 entries"));
        self.begins.push(u32::try_from(self.micros.len()).expect("fewer than 2^32 micro-operations"));
        self.heads.push(head);
        Entry { history: self, id }
    }

    /// All entries, oldest first.
    pub fn entries(&self) -> impl Iterator<Item = (EntryId, &Head)> {
        (0..).map(EntryId).zip(&self.heads)
    }

    #[must_use]
    pub fn head(&self, id: EntryId) -> &Head {
        &self.heads[id.index()]
    }

    #[must_use]
    pub fn micros(&self, id: EntryId) -> &[Micro] {
        &self.micros[self.range(id)]
    }

    /// Where the micro-operations of an entry lie among those of all.
    pub(crate) fn range(&self, id: EntryId) -> std::ops::Range<usize> {
        let at =
            |index: usize| self.begins.get(index).map(|begin| usize::try_from(*begin).expect("a u32 fits"));
        at(id.index()).expect("an id is of an entry")..at(id.index() + 1).unwrap_or(self.micros.len())
    }

    pub(crate) fn all_micros(&self) -> &[Micro] {
        &self.micros
    }

    #[must_use]
    pub fn micros_len(&self) -> usize {
        self.micros.len()
    }

    #[must_use]
    pub fn keys_len(&self) -> usize {
        self.names.len()
    }

    #[must_use]
    pub fn name(&self, key: Key) -> Name<'_> {
        let (topic, partition) = &self.names[key.index()];
        Name { topic, partition: *partition }
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.heads.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.heads.is_empty()
    }
}

/// What a key is called outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Name<'a> {
    pub topic: &'a str,
    pub partition: i32,
}

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.topic, self.partition)
    }
}

/// The newest entry of a history, which takes micro-operations until there is a newer one.
#[derive(Debug)]
pub struct Entry<'a> {
    history: &'a mut History,
    id: EntryId,
}

impl Entry<'_> {
    #[must_use]
    pub fn id(&self) -> EntryId {
        self.id
    }

    pub fn micro(&mut self, micro: Micro) -> &mut Self {
        self.history.micros.push(micro);
        self
    }

    pub fn send(&mut self, sent: Sent) -> &mut Self {
        self.micro(Micro::Send(sent))
    }

    pub fn poll(&mut self, reads: impl IntoIterator<Item = Read>) -> &mut Self {
        self.micro(Micro::Poll);
        self.history.micros.extend(reads.into_iter().map(Micro::Read));
        self
    }

    pub fn assigned(&mut self, keys: impl IntoIterator<Item = Key>) -> &mut Self {
        self.history.micros.extend(keys.into_iter().map(Micro::Assigned));
        self
    }

    pub fn error(&mut self, words: &str) -> &mut Self {
        self.history.heads[self.id.index()].error = Some(words.into());
        self
    }
}
