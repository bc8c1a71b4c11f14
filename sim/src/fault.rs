//! Faults as data. Delivers nothing itself.

mod draw;

use highwater_core::time::Duration;
use serde::{Deserialize, Serialize};

use crate::disk::Lie;
use crate::history::Ending;
use crate::network::{Stretch, Trouble};
use crate::plan::millis;
pub use draw::{Sketch, draw_plan};

/// One fault. In the file of a plan `fault` is its name here, and every time is in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "kebab-case")]
pub enum Fault {
    /// The node goes down at once, and comes back after a while.
    Crash {
        how: Ending,
        #[serde(rename = "down_ms", with = "millis")]
        down: Duration,
    },
    /// The node goes down at a moment that hurts.
    CrashDuring {
        moment: Moment,
        /// So many of them pass before.
        #[serde(default)]
        after: u64,
        how: Ending,
        #[serde(rename = "down_ms", with = "millis")]
        down: Duration,
    },
    /// Operations fail with EIO at these rates for a while.
    DiskErrors {
        kind: ErrorKind,
        per_million: u64,
        #[serde(rename = "lasting_ms", with = "millis")]
        lasting: Duration,
    },
    /// The disk has only this much room left for a while.
    DiskFull {
        room: u64,
        #[serde(rename = "lasting_ms", with = "millis")]
        lasting: Duration,
    },
    DiskSlow {
        factor: u64,
        #[serde(rename = "lasting_ms", with = "millis")]
        lasting: Duration,
    },
    /// A connection is reset.
    Reset,
    /// The process is stopped and goes on after a while; its kernel and its disk do not stop.
    PauseAll {
        #[serde(rename = "lasting_ms", with = "millis")]
        lasting: Duration,
    },
    /// A shard gets no turn for a while.
    Pause {
        #[serde(rename = "lasting_ms", with = "millis")]
        lasting: Duration,
    },
    /// The machine loses power and comes back with another disk.
    ReplaceDisk {
        with: Replacement,
        #[serde(rename = "down_ms", with = "millis")]
        down: Duration,
    },
    /// Links of the node ail for a while.
    Link {
        stretch: Stretch,
        trouble: Trouble,
        #[serde(rename = "lasting_ms", with = "millis")]
        lasting: Duration,
    },
    /// The wall clock jumps.
    ClockJump { millis: i64 },
    /// The wall clock departs from the truth for a while.
    Clock {
        shape: Shape,
        /// How far at most.
        millis: i64,
        #[serde(rename = "lasting_ms", with = "millis")]
        lasting: Duration,
    },
    /// A bit rots where a good copy remains.
    RotOfCopy,
    /// A bit rots anywhere.
    Rot,
    /// The disk does once what it does not say.
    DiskLies { lie: Lie },
}

/// Where a crash hurts most: while such an operation is in flight, or as the core says that this happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Moment {
    DurableWrite,
    CachedWrite,
    Sync,
    Change,
    /// An operation of a recovery.
    Boot,
    /// A batch is durable and its producer does not know.
    AckOwed,
    WalCreated,
    WalRecycled,
    Checkpoint,
    /// A part of a segment is written, or made durable.
    Segment,
    Footer,
    Seal,
    CarryForward,
    /// A file of the WAL goes.
    Release,
    /// The file of a segment gets its name.
    SegmentCreated,
    /// A file of a segment goes.
    Removal,
    /// A topic is made or deleted, or a producer gets its id.
    Metadata,
    /// A read of a running node.
    Read,
    /// A durable write of more than one part.
    WideWrite,
    /// A partition has been read back.
    Recovered,
    /// A stream of an earlier life is gone.
    StreamRemoved,
    /// A batch is sent again before it is durable.
    DuplicateInFlight,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorKind {
    Write,
    Sync,
    Read,
    /// Only of files that are to go.
    Removal,
}

/// What stands in the place of a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Replacement {
    /// A copy of itself, as a power cut would have left it then.
    Older {
        #[serde(rename = "copied_at_ms", with = "millis")]
        copied_at: Duration,
    },
    Wiped,
}

/// How a wall clock departs from the truth, beside a jump.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    Step,
    Drift,
    Sine,
    /// A random walk around the truth.
    Walk,
}

/// A fault, its place and its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planned {
    #[serde(rename = "at_ms", with = "millis")]
    pub at: Duration,
    #[serde(default)]
    pub node: usize,
    /// Its name among the faults of the seed: what it draws when it is delivered is keyed by it, so that the others stay as they
    /// were when it is taken away.
    pub number: u64,
    #[serde(flatten)]
    pub fault: Fault,
}
