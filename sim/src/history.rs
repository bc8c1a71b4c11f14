//! What happened, as the clients and the core's events tell it: a stream of facts for the checkers. Judges nothing.

mod deed;
mod membership;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use highwater_core::client::{ClientError, Written};
use highwater_core::group::record::GroupRecord;
use highwater_core::id::{FileId, Offset, PartitionId, StreamId};
use highwater_core::shard::Event;
use highwater_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::disk::Strike;
pub use deed::{Change, Deed, Fate, Ruled};
pub use membership::{Act, Member, Share};

/// A partition of a topic of this run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub topic: usize,
    pub index: i32,
}

/// One life of a client. What it had open when it ended has no known fate, and its successor has another number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Process(pub u32);

/// What a record holds: a number that no other record of the run has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Value(pub u64);

/// Keys of the records in compacted topics.
pub const KEYS: u64 = 20;

impl Value {
    /// The key of the record, where the topic is compacted.
    pub fn key(self) -> u64 {
        self.0 % KEYS
    }

    /// Whether it deletes its key there.
    pub fn is_tombstone(self) -> bool {
        (self.0 / KEYS).is_multiple_of(5)
    }
}

/// Where an idempotent batch stands among those of its producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sequence {
    pub producer: i64,
    pub epoch: i16,
    pub first: i32,
}

/// How often a producer's record may be in the log, as its settings say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Promise {
    /// Once, and in the order of sending: an idempotent producer.
    InOrderOnce,
    /// Once at most: it is never sent again.
    Once,
    /// Again and again: it is sent again when in doubt.
    Repeated,
    /// Never: its producer wrote in a newer epoch before.
    Fenced,
}

/// A record is about to be sent.
#[derive(Debug, Clone)]
pub struct Sent {
    pub process: Process,
    pub place: Place,
    pub value: Value,
    pub promise: Promise,
}

/// A record was acknowledged.
#[derive(Debug, Clone)]
pub struct Acked {
    pub process: Process,
    pub place: Place,
    pub value: Value,
    /// `None` where the broker says that it has the record and no longer knows where.
    pub offset: Option<i64>,
}

/// A record will not be acknowledged.
#[derive(Debug, Clone)]
pub struct Unacked {
    pub process: Process,
    pub place: Place,
    pub value: Value,
    pub written: Written,
    /// `None` where nobody was to acknowledge it, or where nobody was left to hear of it.
    pub error: Option<ClientError>,
}

/// A batch as it was fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    pub base: i64,
    pub end: i64,
    /// As the batch claims and as its bytes say.
    pub crc: u32,
    pub crc_computed: u32,
    pub sequence: Option<Sequence>,
}

/// What a fetch brought of a partition.
#[derive(Debug, Clone)]
pub struct Fetched {
    pub process: Process,
    pub place: Place,
    pub asked: i64,
    pub batches: Vec<Batch>,
    /// Offsets from `asked` on, and what they hold; `None` is nothing that any client writes.
    pub records: Vec<(i64, Option<Value>)>,
    pub log_start: i64,
    pub high_watermark: i64,
    /// What clients knew to exist when this was asked.
    pub end_known: i64,
}

/// What any answer says of where a log begins and may be read to.
#[derive(Debug, Clone)]
pub struct Told {
    pub place: Place,
    pub log_start: i64,
    pub high_watermark: i64,
    pub end_known: i64,
}

#[derive(Debug, Clone)]
pub struct OutOfRange {
    pub place: Place,
    pub asked: i64,
    /// Where the answer says it.
    pub log_start: Option<i64>,
    pub end_known: i64,
}

/// A client that had records deleted is told where the log begins.
#[derive(Debug, Clone)]
pub struct Trimmed {
    pub place: Place,
    /// Nothing before it may be read any more, ever.
    pub floor: i64,
    /// The floor that this client knew before, and what this answer says instead.
    pub floor_known: i64,
    pub told: i64,
}

/// A consumer reads a partition from elsewhere on.
#[derive(Debug, Clone)]
pub struct Sought {
    pub process: Process,
    pub place: Place,
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

/// A batch as it goes to a write-ahead log, and what its records hold.
#[derive(Debug, Clone)]
pub struct Logging {
    pub partition: PartitionId,
    pub base: i64,
    pub last: i64,
    pub values: Vec<(i64, Option<Value>)>,
}

/// A frame of a write-ahead log on its way to the disk.
#[derive(Debug, Clone)]
pub struct Frame {
    pub stream: StreamId,
    pub lsn: u64,
    /// It says that all up to this frame is on disk.
    pub proves: u64,
    pub file: FileId,
    pub bytes: Range<u64>,
    pub batches: Vec<Logging>,
}

/// A batch of a coordinator's records as it goes to a write-ahead log.
#[derive(Debug, Clone)]
pub struct Kept {
    pub partition: PartitionId,
    pub base: Offset,
    pub end: Offset,
    pub at: Timestamp,
    pub records: Vec<GroupRecord>,
}

/// What is known of a disk that damages what it holds.
#[derive(Debug, Clone)]
pub enum DiskNote {
    Logging(Frame),
    /// What a write put there is on disk.
    Logged {
        file: FileId,
        bytes: Range<u64>,
    },
    Struck {
        strike: Strike,
        file: FileId,
        bytes: Range<u64>,
    },
}

/// One thing that happened.
#[derive(Debug, Clone)]
pub enum Fact {
    Sent(Sent),
    Acked(Acked),
    Unacked(Unacked),
    Fetched(Fetched),
    Told(Told),
    OutOfRange(OutOfRange),
    /// A batch was served that is damaged, or that goes back.
    Damaged {
        place: Place,
    },
    Sought(Sought),
    Listed(Listed),
    Trimmed(Trimmed),
    Core {
        node: usize,
        event: Event,
    },
    Ended {
        node: usize,
        how: Ending,
    },
    /// The node goes on with an older disk or an empty one; what its checkers know has gone back with it.
    DiskReplaced {
        node: usize,
    },
    /// Faults have ended and all operations too: what is fetched from here on is the last word.
    FinalReadBegan,
    /// The final read of this partition saw everything from `log_start` to `end`.
    ReadToEnd {
        place: Place,
        log_start: i64,
        end: i64,
    },
    /// A batch that follows what was acknowledged was refused for its sequence.
    RefusedInSequence {
        process: Process,
        place: Place,
    },
    /// The last reader was told that this cannot be read.
    Unreadable {
        place: Place,
        offset: i64,
    },
    /// Only where bits rot.
    Disk {
        node: usize,
        note: DiskNote,
    },
    /// Only where there are groups.
    Kept {
        node: usize,
        batch: Kept,
    },
    Steward {
        node: usize,
        deed: Deed,
    },
    Member(Member),
    /// Something that must have ended by now has not.
    Overdue {
        what: String,
    },
}

/// A point in the history, to ask later what was known then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Mark(u64);

/// Ends as clients were told of them.
pub type Ends = BTreeMap<Place, Vec<(Mark, i64)>>;

/// Facts that wait for the checkers, and what clients share.
#[derive(Debug, Default)]
pub struct History {
    /// New facts, in order; the world hands them to the checkers.
    pub fresh: Vec<Fact>,
    /// Ends as clients were told of them, ascending, each with the mark from which on it was known.
    ends: Ends,
    mark: Mark,
    values: u64,
    processes: u32,
    questions: u64,
    /// Topics that somebody was told of that they stand.
    made: BTreeSet<usize>,
    /// What members have, as far as they know.
    shares: BTreeMap<Process, Share>,
}

impl Fact {
    /// The partition that it is about.
    pub fn place(&self) -> Option<Place> {
        match self {
            Self::Sent(of) => Some(of.place),
            Self::Acked(of) => Some(of.place),
            Self::Unacked(of) => Some(of.place),
            Self::Fetched(of) => Some(of.place),
            Self::Told(of) => Some(of.place),
            Self::OutOfRange(of) => Some(of.place),
            Self::Sought(of) => Some(of.place),
            Self::Listed(of) => Some(of.place),
            Self::Trimmed(of) => Some(of.place),
            Self::Damaged { place }
            | Self::ReadToEnd { place, .. }
            | Self::RefusedInSequence { place, .. }
            | Self::Unreadable { place, .. } => Some(*place),
            Self::Core { .. }
            | Self::Disk { .. }
            | Self::Kept { .. }
            | Self::Steward { .. }
            | Self::Member(_)
            | Self::Ended { .. }
            | Self::DiskReplaced { .. }
            | Self::FinalReadBegan
            | Self::Overdue { .. } => None,
        }
    }
}

impl History {
    pub fn new_value(&mut self) -> Value {
        self.values += 1;
        Value(self.values)
    }

    pub fn new_process(&mut self) -> Process {
        self.processes += 1;
        Process(self.processes)
    }

    /// A number that no other request about a group has.
    pub fn new_question(&mut self) -> u64 {
        self.questions += 1;
        self.questions
    }

    pub fn topic_made(&mut self, topic: usize) {
        self.made.insert(topic);
    }

    pub fn is_made(&self, topic: usize) -> bool {
        self.made.contains(&topic)
    }

    /// The number of the last such request.
    pub fn last_question(&self) -> u64 {
        self.questions
    }

    /// What the members of a group have.
    pub fn shares<'a>(&'a self, group: &'a str) -> impl Iterator<Item = &'a Share> {
        self.shares.values().filter(move |share| share.group == group)
    }

    /// Now.
    pub fn mark(&self) -> Mark {
        self.mark
    }

    /// One past the last offset that some client is told of.
    pub fn end_known(&self, place: Place) -> i64 {
        self.ends.get(&place).and_then(|ends| ends.last()).map_or(0, |&(_, end)| end)
    }

    /// One past the last offset that some client was told of then.
    pub fn end_known_at(&self, place: Place, then: Mark) -> i64 {
        let Some(ends) = self.ends.get(&place) else { return 0 };
        let known = ends.partition_point(|&(from, _)| from <= then);
        known.checked_sub(1).map_or(0, |last| ends[last].1)
    }

    /// What clients knew of these partitions, to be given back to `go_back`.
    pub fn ends_of(&self, topics: impl Fn(usize) -> bool) -> Ends {
        self.ends
            .iter()
            .filter(|(place, _)| topics(place.topic))
            .map(|(&place, ends)| (place, ends.clone()))
            .collect()
    }

    /// Of these topics clients know no more than this.
    pub fn go_back(&mut self, topics: impl Fn(usize) -> bool, ends: Ends) {
        self.made.retain(|topic| !topics(*topic));
        self.ends.retain(|place, _| !topics(place.topic));
        self.ends.extend(ends);
    }

    pub fn record(&mut self, fact: Fact) {
        if let Fact::Member(member) = &fact {
            self.note_share(member);
        }
        match &fact {
            Fact::Acked(Acked { place, offset: Some(offset), .. }) => {
                self.learn(*place, offset.saturating_add(1))
            }
            Fact::Fetched(Fetched { place, batches, .. }) => {
                if let Some(last) = batches.last() {
                    self.learn(*place, last.end);
                }
            }
            Fact::Told(Told { place, high_watermark, .. }) => self.learn(*place, *high_watermark),
            Fact::Listed(Listed { place, edge: Edge::Latest, offset, .. }) => self.learn(*place, *offset),
            Fact::Acked(_)
            | Fact::Sent(_)
            | Fact::Unacked(_)
            | Fact::OutOfRange(_)
            | Fact::Damaged { .. }
            | Fact::Sought(_)
            | Fact::Listed(_)
            | Fact::Core { .. }
            | Fact::Ended { .. }
            | Fact::FinalReadBegan
            | Fact::ReadToEnd { .. }
            | Fact::RefusedInSequence { .. }
            | Fact::Trimmed(_)
            | Fact::Unreadable { .. }
            | Fact::Disk { .. }
            | Fact::Kept { .. }
            | Fact::Steward { .. }
            | Fact::Member(_)
            | Fact::DiskReplaced { .. }
            | Fact::Overdue { .. } => {}
        }
        self.fresh.push(fact);
    }

    fn note_share(&mut self, member: &Member) {
        match &member.act {
            Act::Has { share, .. } => {
                self.shares.insert(member.process, share.clone());
            }
            Act::Gone => {
                self.shares.remove(&member.process);
            }
            Act::Heard { .. }
            | Act::Commits { .. }
            | Act::Committed { .. }
            | Act::LogStarts { .. }
            | Act::Finds { .. } => {}
        }
    }

    fn learn(&mut self, place: Place, end: i64) {
        let ends = self.ends.entry(place).or_default();
        if ends.last().is_none_or(|&(_, before)| before < end) {
            self.mark.0 += 1;
            ends.push((self.mark, end));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Acked, Fact, History, Place, Process, Value};

    #[test]
    fn what_was_known_is_told_as_of_then() {
        let place = Place { topic: 0, index: 0 };
        let mut history = History::default();
        let mut ack = |offset| {
            let before = history.mark();
            let (process, value) = (Process(1), Value(1));
            history.record(Fact::Acked(Acked { process, place, value, offset: Some(offset) }));
            (before, history.end_known_at(place, before), history.end_known(place))
        };
        let (first, ..) = ack(4);
        assert_eq!(ack(9), (super::Mark(1), 5, 10));
        assert_eq!(ack(2), (super::Mark(2), 10, 10), "what is known stays known");
        assert_eq!(history.end_known_at(place, first), 0);
        assert_eq!(history.end_known_at(Place { topic: 1, index: 0 }, first), 0);
    }
}
