//! Judges a history. Each anomaly has its own file under Jepsen's name for it; a checker knows only the index of the history.

mod aborted_read;
mod duplicate;
mod inconsistent_offsets;
mod lost_write;
mod nonmonotonic_send;
mod phantom;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::writes::{History, Key, Offset, Process, Value, Write};

/// What must not happen, with what a reader needs to find it in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Anomaly {
    /// A write that was acknowledged is not in the log, or not where the acknowledgement said.
    LostWrite(Write),
    /// One offset held different values at different times.
    InconsistentOffsets { key: Key, offset: Offset, values: BTreeSet<Value> },
    /// A write that was promised once is there more often.
    Duplicate { key: Key, value: Value, offsets: BTreeSet<Offset> },
    /// A process sent `first` before `second`, and the log has them the other way round.
    NonmonotonicSend { key: Key, process: Process, first: (Value, Offset), second: (Value, Offset) },
    /// A write that failed for certain was read.
    AbortedRead { write: Write, offset: Offset },
    /// A value was read that nobody wrote to this partition.
    Phantom { key: Key, offset: Offset, value: Value },
}

impl Anomaly {
    /// Jepsen's name of the kind.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::LostWrite(_) => "lost-write",
            Self::InconsistentOffsets { .. } => "inconsistent-offsets",
            Self::Duplicate { .. } => "duplicate",
            Self::NonmonotonicSend { .. } => "nonmonotonic-send",
            Self::AbortedRead { .. } => "G1a",
            Self::Phantom { .. } => "phantom",
        }
    }

    /// The values whose lives tell the story.
    #[must_use]
    pub fn values(&self) -> Vec<Value> {
        match self {
            Self::LostWrite(write) | Self::AbortedRead { write, .. } => vec![write.value],
            Self::InconsistentOffsets { values, .. } => values.iter().copied().collect(),
            Self::Duplicate { value, .. } | Self::Phantom { value, .. } => vec![*value],
            Self::NonmonotonicSend { first, second, .. } => vec![first.0, second.0],
        }
    }
}

impl fmt::Display for Anomaly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.name())?;
        match self {
            Self::LostWrite(write) => {
                write!(
                    f,
                    "value {} to {} with outcome {:?} is not there",
                    write.value.0, write.key, write.outcome
                )
            }
            Self::InconsistentOffsets { key, offset, values } => {
                write!(f, "offset {} of {key} held {values:?}", offset.0)
            }
            Self::Duplicate { key, value, offsets } => {
                write!(f, "value {} of {key} is at {offsets:?}", value.0)
            }
            Self::NonmonotonicSend { key, process, first, second } => write!(
                f,
                "process {} sent {} before {} to {key}, which lie at {} and {}",
                process.0, first.0.0, second.0.0, first.1.0, second.1.0
            ),
            Self::AbortedRead { write, offset } => {
                write!(f, "value {} of {} failed and is at {}", write.value.0, write.key, offset.0)
            }
            Self::Phantom { key, offset, value } => {
                write!(f, "value {} at {} of {key} was never written there", value.0, offset.0)
            }
        }
    }
}

/// A history by partition, offset and value.
struct Index<'a> {
    history: &'a History,
    /// What was seen at each offset, in reads and in acknowledgements.
    seen: BTreeMap<Key, BTreeMap<Offset, BTreeSet<Value>>>,
    /// Where each value was read.
    offsets: BTreeMap<(Key, Value), BTreeSet<Offset>>,
    writes: BTreeMap<(Key, Value), &'a Write>,
}

impl<'a> Index<'a> {
    fn of(history: &'a History) -> Self {
        let mut index =
            Self { history, seen: BTreeMap::new(), offsets: BTreeMap::new(), writes: BTreeMap::new() };
        for read in &history.reads {
            index.seen.entry(read.key).or_default().entry(read.offset).or_default().insert(read.value);
            index.offsets.entry((read.key, read.value)).or_default().insert(read.offset);
        }
        for write in &history.writes {
            let before = index.writes.insert((write.key, write.value), write);
            assert!(before.is_none(), "each write of a history has a value of its own: {write:?}");
        }
        index
    }
}

/// All anomalies of a history.
#[must_use]
pub fn check(history: &History) -> Vec<Anomaly> {
    let index = Index::of(history);
    let mut anomalies = Vec::new();
    lost_write::check(&index, &mut anomalies);
    inconsistent_offsets::check(&index, &mut anomalies);
    duplicate::check(&index, &mut anomalies);
    nonmonotonic_send::check(&index, &mut anomalies);
    aborted_read::check(&index, &mut anomalies);
    phantom::check(&index, &mut anomalies);
    anomalies
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::writes::{Outcome, Promise, Read};

    const A: Key = Key { topic: 0, partition: 0 };
    const B: Key = Key { topic: 0, partition: 1 };

    fn write(key: Key, value: u64, outcome: Outcome) -> Write {
        Write { key, value: Value(value), process: Process(0), promise: Promise::ExactlyOnce, outcome }
    }

    fn ok(offset: i64) -> Outcome {
        Outcome::Ok(Some(Offset(offset)))
    }

    fn read(key: Key, offset: i64, value: u64) -> Read {
        Read { key, offset: Offset(offset), value: Value(value) }
    }

    #[track_caller]
    fn names(writes: &[Write], reads: &[Read]) -> Vec<&'static str> {
        let history = History { writes: writes.to_vec(), reads: reads.to_vec() };
        check(&history).iter().map(Anomaly::name).collect()
    }

    #[test]
    fn history_without_anomaly_passes() {
        let writes = [
            write(A, 1, ok(0)),
            write(B, 2, ok(0)),
            write(A, 3, Outcome::Unknown),
            write(A, 4, Outcome::Ok(None)),
            write(A, 5, Outcome::Unknown),
            write(A, 6, Outcome::Failed),
        ];
        let reads = [read(A, 0, 1), read(A, 1, 3), read(A, 2, 4), read(B, 0, 2), read(A, 0, 1)];
        assert_eq!(names(&writes, &reads), [""; 0]);
    }

    #[test]
    fn acknowledged_write_that_nobody_reads_is_lost() {
        assert_eq!(names(&[write(A, 1, ok(0)), write(A, 2, ok(1))], &[read(A, 0, 1)]), ["lost-write"]);
        assert_eq!(names(&[write(A, 1, Outcome::Ok(None))], &[]), ["lost-write"]);
        assert_eq!(names(&[write(A, 1, ok(0))], &[read(B, 0, 1)]), ["lost-write", "phantom"]);
    }

    #[test]
    fn acknowledged_write_at_another_offset_is_lost_from_its_own() {
        assert_eq!(names(&[write(A, 1, ok(7))], &[read(A, 0, 1)]), ["lost-write"]);
    }

    #[test]
    fn offset_with_two_values_is_inconsistent() {
        let unknown = [1, 2].map(|n| Write { process: Process(n), ..write(A, n.into(), Outcome::Unknown) });
        assert_eq!(names(&unknown, &[read(A, 0, 1), read(A, 0, 2)]), ["inconsistent-offsets"]);
        let acknowledged = [write(A, 1, ok(0)), write(A, 2, Outcome::Unknown)];
        let found = names(&acknowledged, &[read(A, 0, 2)]);
        assert_eq!(found, ["lost-write", "inconsistent-offsets"]);
    }

    #[test]
    fn value_promised_once_and_there_twice_is_a_duplicate() {
        let mut once = write(A, 1, ok(0));
        let reads = [read(A, 0, 1), read(A, 1, 1)];
        assert_eq!(names(&[once], &reads), ["duplicate"]);
        once.promise = Promise::AtLeastOnce;
        assert_eq!(names(&[once], &reads), [""; 0]);
    }

    #[test]
    fn log_against_the_order_of_sending_is_nonmonotonic() {
        let mut writes = [write(A, 1, ok(1)), write(A, 2, ok(0))];
        let reads = [read(A, 0, 2), read(A, 1, 1)];
        assert_eq!(names(&writes, &reads), ["nonmonotonic-send"]);
        writes[1].process = Process(1);
        assert_eq!(names(&writes, &reads), [""; 0], "two processes have no order");
        let unordered =
            writes.map(|write| Write { process: Process(0), promise: Promise::AtLeastOnce, ..write });
        assert_eq!(names(&unordered, &reads), [""; 0], "no order was promised");
    }

    #[test]
    fn failed_write_that_is_read_is_an_aborted_read() {
        assert_eq!(names(&[write(A, 1, Outcome::Failed)], &[read(A, 0, 1)]), ["G1a"]);
    }

    #[test]
    fn value_that_nobody_wrote_is_a_phantom() {
        assert_eq!(names(&[], &[read(A, 0, 1)]), ["phantom"]);
    }
}
