//! What happened, as the clients and the core's events tell it: a stream of facts for the checkers. Judges nothing.

use std::collections::BTreeMap;

use highwater_core::shard::Event;
use serde::{Deserialize, Serialize};

/// A partition of a topic of this run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub topic: usize,
    pub index: i32,
}

/// One batch as a producer made it; its number is in its first record's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct BatchId(pub u64);

/// Where an idempotent batch stands among those of its producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sequence {
    pub producer: i64,
    pub epoch: i16,
    pub first: i32,
}

#[derive(Debug, Clone)]
pub struct Sent {
    pub id: BatchId,
    pub place: Place,
    pub records: i32,
    pub crc: u32,
    pub sequence: Option<Sequence>,
}

#[derive(Debug, Clone)]
pub struct Acked {
    pub id: BatchId,
    pub place: Place,
    pub records: i32,
    /// `None` where the broker says that it has the batch and no longer knows where.
    pub base: Option<i64>,
}

#[derive(Debug, Clone)]
pub struct Delivered {
    pub place: Place,
    pub base: i64,
    pub records: i32,
    /// As the batch claims and as its bytes say.
    pub crc: u32,
    pub crc_computed: u32,
    pub id: Option<BatchId>,
    pub sequence: Option<Sequence>,
}

impl Delivered {
    pub fn end(&self) -> i64 {
        self.base + i64::from(self.records)
    }
}

#[derive(Debug, Clone)]
pub struct Fetched {
    pub place: Place,
    pub asked: i64,
    /// First and one past the last offset of each batch.
    pub batches: Vec<(i64, i64)>,
    pub log_start: i64,
    pub high_watermark: i64,
    /// What clients knew to exist when this was asked.
    pub end_known: i64,
}

#[derive(Debug, Clone)]
pub struct OutOfRange {
    pub place: Place,
    pub asked: i64,
    pub log_start: i64,
    pub end_known: i64,
}

#[derive(Debug, Clone)]
pub struct Listed {
    pub place: Place,
    pub edge: Edge,
    pub offset: i64,
    pub end_known: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edge {
    Earliest,
    Latest,
}

/// How a node's process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// In order, with all on disk.
    Stopped,
    /// The process was killed, the machine went on.
    Killed,
    /// The machine lost power.
    PowerOff,
}

/// One thing that happened.
#[derive(Debug, Clone)]
pub enum Fact {
    Sent(Sent),
    Acked(Acked),
    Delivered(Delivered),
    Fetched(Fetched),
    OutOfRange(OutOfRange),
    Listed(Listed),
    /// An idempotent batch was refused although all before it are acknowledged.
    RefusedInSequence {
        id: BatchId,
        place: Place,
    },
    Core {
        node: usize,
        event: Event,
    },
    Ended {
        node: usize,
        how: Ending,
    },
    /// Faults have ended and all operations too: what is delivered from here on is the last word.
    FinalReadBegan,
    /// The final read of this partition saw everything from `log_start` to `end`.
    ReadToEnd {
        place: Place,
        log_start: i64,
        end: i64,
    },
    /// Something that must have ended by now has not.
    Overdue {
        what: String,
    },
}

/// Facts that wait for the checkers, and what clients share.
#[derive(Debug, Default)]
pub struct History {
    /// New facts, in order; the world hands them to the checkers.
    pub fresh: Vec<Fact>,
    end_known: BTreeMap<Place, i64>,
    batches: u64,
}

impl History {
    pub fn new_batch(&mut self) -> BatchId {
        self.batches += 1;
        BatchId(self.batches)
    }

    /// One past the last offset that some client was told of.
    pub fn end_known(&self, place: Place) -> i64 {
        self.end_known.get(&place).copied().unwrap_or(0)
    }

    pub fn record(&mut self, fact: Fact) {
        let known = match &fact {
            Fact::Acked(Acked { place, base: Some(base), records, .. }) => {
                Some((*place, base + i64::from(*records)))
            }
            Fact::Delivered(delivered) => Some((delivered.place, delivered.end())),
            Fact::Acked(_)
            | Fact::Sent(_)
            | Fact::Fetched(_)
            | Fact::OutOfRange(_)
            | Fact::Listed(_)
            | Fact::RefusedInSequence { .. }
            | Fact::Core { .. }
            | Fact::Ended { .. }
            | Fact::FinalReadBegan
            | Fact::ReadToEnd { .. }
            | Fact::Overdue { .. } => None,
        };
        if let Some((place, end)) = known {
            let entry = self.end_known.entry(place).or_insert(0);
            *entry = end.max(*entry);
        }
        self.fresh.push(fact);
    }
}
