//! The judges: each folds the facts of a run and speaks up when its invariant is broken. One file each, named after the
//! invariant. Must not know how the facts came about.

mod acked_is_durable;
mod disk_oracle;
mod liveness;
mod no_silent_gap;
mod producer_state;
mod repeatable_read;

use crate::history::Fact;
use crate::report::Violation;

/// What a topic of the run promises.
#[derive(Debug, Clone)]
pub struct TopicRule {
    pub name: String,
    /// It may be deleted and made again, so offsets mean nothing for long.
    pub churns: bool,
    /// Old segments may go.
    pub retains_less: bool,
}

/// What the run as a whole promises.
#[derive(Debug, Clone)]
pub struct Rules {
    pub topics: Vec<TopicRule>,
    /// Bits rot, and there is no second copy: loss is legal as long as it is said.
    pub rot: bool,
}

/// One invariant over the history.
trait Checker {
    fn on_fact(&mut self, fact: &Fact) -> Result<(), Violation>;
}

/// All invariants.
pub struct Checkers(Vec<Box<dyn Checker>>);

impl std::fmt::Debug for Checkers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Checkers({})", self.0.len())
    }
}

impl Checkers {
    pub fn new(rules: &Rules) -> Self {
        Self(vec![
            Box::new(acked_is_durable::AckedIsDurable::new(rules)),
            Box::new(disk_oracle::DiskOracle::new(rules)),
            Box::new(liveness::Liveness),
            Box::new(no_silent_gap::NoSilentGap::new(rules)),
            Box::new(producer_state::ProducerState::new(rules)),
            Box::new(repeatable_read::RepeatableRead::new(rules)),
        ])
    }

    pub fn on_fact(&mut self, fact: &Fact) -> Result<(), Violation> {
        self.0.iter_mut().try_for_each(|checker| checker.on_fact(fact))
    }
}

/// Histories for the tests of the checkers.
#[cfg(test)]
mod samples {
    use super::{Rules, TopicRule};
    use crate::history::{Acked, BatchId, Delivered, Fact, Place, Sequence};

    pub(super) const PLACE: Place = Place { topic: 0, index: 0 };

    pub(super) fn rules() -> Rules {
        Rules { topics: vec![TopicRule { name: "t".into(), churns: false, retains_less: false }], rot: false }
    }

    pub(super) fn acked(id: u64, base: i64) -> Fact {
        Fact::Acked(Acked { id: BatchId(id), place: PLACE, records: 2, base: Some(base) })
    }

    pub(super) fn batch(id: u64, base: i64) -> Delivered {
        let crc = u32::try_from(id).unwrap();
        Delivered {
            place: PLACE,
            base,
            records: 2,
            crc,
            crc_computed: crc,
            id: Some(BatchId(id)),
            sequence: None,
        }
    }

    pub(super) fn delivered(id: u64, base: i64) -> Fact {
        Fact::Delivered(batch(id, base))
    }

    pub(super) fn sequenced(id: u64, base: i64, first: i32) -> Fact {
        let sequence = Some(Sequence { producer: 1, epoch: 0, first });
        Fact::Delivered(Delivered { sequence, ..batch(id, base) })
    }

    pub(super) fn read_to_end(end: i64) -> Fact {
        Fact::ReadToEnd { place: PLACE, log_start: 0, end }
    }
}
