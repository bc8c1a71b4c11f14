//! The plan of faults: data, drawn from the seed before the run, one stream per kind, so that a kind that is taken away leaves
//! the others as they were. Each seed switches whole kinds off. Delivers nothing itself.

use highwater_core::prng::Prng;
use highwater_core::time::Duration;
use serde::{Deserialize, Serialize};

use crate::draw::{Draw, Stream};
use crate::history::Ending;
use crate::network::{Peers, Stretch, Trouble, Way};
use crate::params::{Options, Rot};
use crate::plan::millis;

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
    /// The node goes down while the next operation of this kind is in flight.
    CrashDuring {
        moment: Moment,
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
    /// A shard gets no turn for a while.
    Pause {
        #[serde(rename = "lasting_ms", with = "millis")]
        lasting: Duration,
    },
    /// Links of the node ail for a while.
    Link {
        stretch: Stretch,
        trouble: Trouble,
        #[serde(rename = "lasting_ms", with = "millis")]
        lasting: Duration,
    },
    /// The wall clock jumps.
    ClockJump {
        millis: i64,
    },
    Rot,
}

/// Where a crash hurts most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Moment {
    DurableWrite,
    CachedWrite,
    Sync,
    Change,
    /// Recovery is reading.
    Boot,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorKind {
    Write,
    Sync,
    Read,
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

/// The kinds that a seed switches on or off as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Kill,
    PowerOff,
    Stop,
    Trigger,
    DiskErrors,
    DiskFull,
    DiskSlow,
    Reset,
    Loss,
    Delay,
    Reorder,
    Duplicate,
    Clog,
    Cut,
    Pause,
    ClockJump,
    Rot,
}

/// Kind, its chance to be switched on in a million, and at most how many a run.
const KINDS: [(Kind, u64, u64); 17] = [
    (Kind::Kill, 400_000, 3),
    (Kind::PowerOff, 500_000, 3),
    (Kind::Stop, 200_000, 2),
    (Kind::Trigger, 500_000, 4),
    (Kind::DiskErrors, 150_000, 2),
    (Kind::DiskFull, 200_000, 2),
    (Kind::DiskSlow, 300_000, 3),
    (Kind::Reset, 400_000, 10),
    (Kind::Loss, 250_000, 3),
    (Kind::Delay, 200_000, 3),
    (Kind::Reorder, 200_000, 3),
    (Kind::Duplicate, 250_000, 3),
    (Kind::Clog, 200_000, 3),
    (Kind::Cut, 250_000, 3),
    (Kind::Pause, 300_000, 5),
    (Kind::ClockJump, 200_000, 3),
    (Kind::Rot, 1_000_000, 4),
];

/// What the plan of a run is drawn from.
#[derive(Debug, Clone, Copy)]
pub struct Sketch {
    pub seed: u64,
    pub options: Options,
    pub nodes: usize,
    pub until: Duration,
}

/// Draws the faults of a run, in order of time.
pub fn draw_plan(sketch: Sketch) -> Vec<Planned> {
    let mut plan = Vec::new();
    for node in 0..sketch.nodes {
        for (index, (kind, chance, most)) in (0..).zip(KINDS) {
            if kind == Kind::Rot && sketch.options.rot == Rot::Off {
                continue;
            }
            let mut prng = Stream::Faults { node, kind: index }.of(sketch.seed);
            if !prng.chance(chance) {
                continue;
            }
            for nth in 0..prng.between(1, most) {
                let number = (node as u64) << 16 | index << 8 | nth;
                let at = Duration::from_nanos(prng.below(sketch.until.as_nanos()));
                plan.push(Planned { number, at, node, fault: draw(kind, &mut prng) });
            }
        }
    }
    plan.sort_by_key(|planned| planned.at);
    plan
}

fn draw(kind: Kind, prng: &mut Prng) -> Fault {
    let down = prng.micros(500, 500_000);
    let lasting = prng.micros(1_000, 1_000_000);
    match kind {
        Kind::Kill => Fault::Crash { how: Ending::Killed, down },
        Kind::PowerOff => Fault::Crash { how: Ending::PowerOff, down },
        Kind::Stop => Fault::Crash { how: Ending::Stopped, down },
        Kind::Trigger => Fault::CrashDuring {
            moment: prng.pick(&[
                Moment::DurableWrite,
                Moment::CachedWrite,
                Moment::Sync,
                Moment::Change,
                Moment::Change,
                Moment::Boot,
            ]),
            how: prng.pick(&[Ending::Killed, Ending::PowerOff, Ending::PowerOff]),
            down,
        },
        Kind::DiskErrors => Fault::DiskErrors {
            kind: prng.pick(&[ErrorKind::Write, ErrorKind::Sync, ErrorKind::Read]),
            per_million: prng.scaled(1_000, 300_000),
            lasting,
        },
        Kind::DiskFull => Fault::DiskFull { room: prng.scaled(4_096, 1 << 20), lasting },
        Kind::DiskSlow => Fault::DiskSlow { factor: prng.between(3, 50), lasting },
        Kind::Reset => Fault::Reset,
        Kind::Loss => link(prng, lasting, |prng| Trouble::Loss { per_million: prng.scaled(1_000, 500_000) }),
        Kind::Delay => link(prng, lasting, |prng| Trouble::Delay { micros: prng.scaled(100, 300_000) }),
        Kind::Reorder => {
            link(prng, lasting, |prng| Trouble::Reorder { per_million: prng.scaled(10_000, 500_000) })
        }
        Kind::Duplicate => {
            link(prng, lasting, |prng| Trouble::Duplicate { per_million: prng.scaled(10_000, 500_000) })
        }
        Kind::Clog => link(prng, lasting, |_| Trouble::Clog),
        Kind::Cut => {
            let lasting = if prng.chance(200_000) { prng.micros(1_000_000, 12_000_000) } else { lasting };
            link(prng, lasting, |_| Trouble::Cut)
        }
        Kind::Pause => Fault::Pause { lasting },
        Kind::ClockJump => {
            let jump = i64::try_from(prng.scaled(1, 100_000_000)).expect("small");
            Fault::ClockJump { millis: if prng.coin() { jump } else { -jump } }
        }
        Kind::Rot => Fault::Rot,
    }
}

/// Draws which links ail: one way or both, of all peers or of some.
fn link(prng: &mut Prng, lasting: Duration, trouble: impl Fn(&mut Prng) -> Trouble) -> Fault {
    let way = prng.pick(&[Way::In, Way::Out, Way::Both]);
    let peers = match prng.between(1, 3) {
        1 => Peers::All,
        _ => Peers::OneIn { count: prng.place(4) + 2, from: prng.place(5) },
    };
    Fault::Link { stretch: Stretch { way, peers }, trouble: trouble(prng), lasting }
}
