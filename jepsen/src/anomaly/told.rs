//! Anomalies in words.

use std::fmt;

use super::{Anomaly, Skip, Step};
use crate::history::{EntryId, Head, History};

/// An anomaly with its history, for people.
#[derive(Debug, Clone, Copy)]
pub struct Told<'a> {
    pub(super) anomaly: &'a Anomaly,
    pub(super) history: &'a History,
}

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = self.history.name(self.anomaly.key());
        write!(f, "{} in {key}: ", self.anomaly.kind().name())?;
        match self.anomaly {
            Anomaly::AbortedRead { value, sent_by, read_by, .. } => {
                let (sent_by, read_by) = (self.entry(*sent_by), self.entry(*read_by));
                write!(f, "value {} of {sent_by} failed and {read_by} has it", value.0)
            }
            Anomaly::AckOrder { value, offset, sent_by, behind, .. } => write!(
                f,
                "value {} of {} is at {}, and value {} was known at {} before",
                value.0,
                self.entry(*sent_by),
                offset.0,
                behind.1.0,
                behind.0.0
            ),
            Anomaly::Duplicate { value, offsets, .. } => {
                let offsets: Vec<i64> = offsets.iter().map(|offset| offset.0).collect();
                write!(f, "value {} is at {offsets:?}", value.0)
            }
            Anomaly::InconsistentOffsets { offset, values, .. } => {
                let values: Vec<u64> = values.iter().map(|value| value.0).collect();
                write!(f, "offset {} has the values {values:?}", offset.0)
            }
            Anomaly::LostWrite { value, offset, sent_by, .. } => {
                let sent_by = self.entry(*sent_by);
                write!(f, "value {} of {sent_by} at {} was passed by and never read", value.0, offset.0)
            }
            Anomaly::MovedWrite { value, acked, found, .. } => {
                write!(f, "value {} was acknowledged at {} and found at {}", value.0, acked.0, found.0)
            }
            Anomaly::Phantom { value, offset, .. } => {
                write!(f, "value {} at {} was never written there", value.0, offset.0)
            }
            Anomaly::Unseen { values, .. } => {
                let some: Vec<u64> = values.iter().take(5).map(|value| value.0).collect();
                write!(f, "{} acknowledged values were never read, {some:?} first", values.len())
            }
            Anomaly::IntNonmonotonicPoll(step)
            | Anomaly::IntNonmonotonicSend(step)
            | Anomaly::NonmonotonicPoll(step)
            | Anomaly::NonmonotonicSend(step) => self.step(f, step),
            Anomaly::IntPollSkip(skip) | Anomaly::IntSendSkip(skip) | Anomaly::PollSkip(skip) => {
                let Skip { step, skipped, count } = skip;
                self.step(f, step)?;
                write!(f, " over {count} records, the first is value {} at {}", skipped.1.0, skipped.0.0)
            }
        }
    }
}

impl Told<'_> {
    fn entry(&self, id: EntryId) -> impl fmt::Display {
        let Head { process, f, .. } = self.history.head(id);
        format!("entry {} (process {}, {f:?})", id.0, process.0)
    }

    fn step(&self, f: &mut fmt::Formatter<'_>, step: &Step) -> fmt::Result {
        write!(f, "{} goes ", self.entry(step.entry))?;
        match step.before {
            Some(before) => write!(f, "from value {} at {}", before.0, step.due.0 - 1)?,
            None => write!(f, "from a seek to {}", step.due.0)?,
        }
        write!(f, " to value {} at {}", step.value.0, step.offset.0)
    }
}
