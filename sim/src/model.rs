//! An abstract model of the replication rules: one partition, two to four replicas, a controller, ISR changes in flight,
//! crashes that lose what is not durable, and disks that rot. It is searched exhaustively where it is small and walked at
//! random where it is not. Must not know how the core implements the rules.
//!
//! What it leaves out. The controller itself never fails: the metadata quorum is another model. A fetch and its answer are
//! one step, and so are a report of a durable end and its arrival: within one leader epoch both only grow once the logs are
//! proven to agree, so a late one says less than one that was not sent. A broker learns the newest state of the
//! controller or stays where it is. A partition without leader keeps its epoch until the next leader is elected. One topic of
//! class fsync; no log start, no transactions, no reassignment.

mod action;
mod broker;
mod controller;
mod follower;
mod invariant;
mod key;
mod leader;
mod log;
mod process;
pub mod rule;
pub mod search;
mod state;
#[cfg(test)]
mod tests;
pub mod walk;
mod words;

use std::fmt;

pub use invariant::Invariant;
use rule::Rule;

/// The most replicas that the model has room for.
pub const REPLICAS_MAX: u8 = 4;
/// The most records that the model has room for.
pub const RECORDS_MAX: u8 = 4;

/// How large a model is: what may happen at most so often in one run of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    pub replicas: u8,
    pub min_insync_replicas: u8,
    pub records: u8,
    pub crashes: u8,
    /// Brokers that are fenced though they live. A dead one is fenced for nothing.
    pub fences: u8,
    /// AlterPartition requests that leaders send, repetitions included.
    pub alters: u8,
    /// Leaders that the controller moves without need.
    pub moves: u8,
    /// Crashes that take something which was durable.
    pub rots: u8,
    /// Whether a crash may tear the last write, so that nobody can tell what was lost.
    pub doubt: Doubt,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    Never,
    Possible,
}

impl Bounds {
    /// What is searched whenever nothing else is asked for: together a minute's work.
    pub const USUAL: [Self; 5] = [
        Self::SMALL,
        Self { alters: 2, ..Self::SMALL },
        Self { crashes: 2, ..Self::SMALL },
        Self { rots: 1, doubt: Doubt::Possible, ..Self::SMALL },
        Self { replicas: 2, records: 2, crashes: 2, fences: 2, alters: 2, ..Self::SMALL },
    ];

    /// What is walked whenever nothing else is asked for.
    pub const WIDE: Self = Self {
        replicas: 4,
        min_insync_replicas: 2,
        records: 4,
        crashes: 6,
        fences: 6,
        alters: 12,
        moves: 3,
        rots: 1,
        doubt: Doubt::Possible,
    };

    const SMALL: Self = Self {
        replicas: 3,
        min_insync_replicas: 2,
        records: 1,
        crashes: 1,
        fences: 1,
        alters: 1,
        moves: 0,
        rots: 0,
        doubt: Doubt::Never,
    };
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { replicas, min_insync_replicas, records, crashes, fences, alters, moves, rots, doubt } =
            self;
        write!(
            f,
            "{replicas} replicas (min ISR {min_insync_replicas}), {records} records, {crashes} crashes, "
        )?;
        write!(f, "{fences} fences, {alters} alters, {moves} moves, {rots} rots")?;
        match doubt {
            Doubt::Never => Ok(()),
            Doubt::Possible => write!(f, ", torn writes"),
        }
    }
}

/// What is searched: the rules, or the rules with one of them broken, within bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Model {
    pub rule: Option<Rule>,
    pub bounds: Bounds,
}

impl Model {
    fn breaks(&self, rule: Rule) -> bool {
        self.rule == Some(rule)
    }
}

/// A run that ends in a broken invariant, told in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Story {
    pub broken: Invariant,
    /// What happened, in order, and how things stood after it.
    pub lines: Vec<String>,
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, line) in (1..).zip(&self.lines) {
            writeln!(f, "{number:3}. {line}")?;
        }
        write!(f, "     {} does not hold: {}", self.broken, self.broken.sentence())
    }
}
