//! The power-cut sweep: a small recorded workload is cut at every disk operation, with every fate of what was not durable or a
//! sample of them; what is left is recovered and checked, and that recovery is cut in the same way. Owns which cuts are made;
//! must not know what a right recovery is.

mod check;
mod oracle;
mod rig;
#[cfg(test)]
mod tests;
mod workload;

use std::fmt;
use std::sync::Arc;

use highwater_core::prng::Prng;
use highwater_core::shard::Config;
use highwater_core::time::Duration;

use self::check::{Check, Depth, may_after};
use self::oracle::{Contents, Keyed, Oracle};
use self::rig::{Cut, Note, Rig, Start};
use self::workload::Workload;
use crate::disk::{Doubt, Verdict};
use crate::draw::Draw;
use crate::report::Counts;
use crate::run::caught;

/// How much is swept.
#[derive(Debug, Clone, Copy)]
pub struct SweepOptions {
    pub workload: u64,
    /// Fates that are tried of each cut where there are more; all of them where there are no more.
    pub subsets: u64,
    /// Every cut whose number is a multiple of this, plus `offset`.
    pub every: u64,
    pub offset: u64,
    /// Cuts that are made in each recovery; all if there are no more.
    pub recuts: u64,
}

impl Default for SweepOptions {
    fn default() -> Self {
        Self { workload: 0, subsets: 12, every: 1, offset: 0, recuts: 8 }
    }
}

/// Which cut of which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct CutName {
    pub cut: u64,
    pub fate: u64,
    pub recut: Option<(u64, u64)>,
}

impl fmt::Display for CutName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cut {} fate {}", self.cut, self.fate)?;
        match self.recut {
            Some((cut, fate)) => write!(f, ", then cut {cut} fate {fate} of its recovery"),
            None => Ok(()),
        }
    }
}

/// What a sweep came to.
#[derive(Debug, Default)]
pub struct SweepReport {
    pub operations: u64,
    pub cuts: u64,
    pub recuts: u64,
    pub recoveries: u64,
    /// Events of the core by kind, of the workload and of the recoveries.
    pub workload_events: Counts,
    pub recovery_events: Counts,
    pub failures: Vec<(CutName, String)>,
}

/// Failures after which a sweep has seen enough.
const FAILURES_MAX: usize = 10;

/// Sweeps one workload. An error means that the workload did not run as it should.
pub fn sweep(options: &SweepOptions) -> Result<SweepReport, String> {
    let workload = Workload::new(options.workload);
    let recorded = caught(|| workload.run())??;
    let (may, keyed) = whole_contents(&recorded.notes);
    let mut sweep = Sweep {
        keyed,
        options: *options,
        config: workload.config(),
        report: SweepReport { operations: recorded.operations, ..SweepReport::default() },
    };
    count_events(&mut sweep.report.workload_events, &recorded.notes);
    let mut oracle = Oracle::default();
    let mut folded = 0;
    for (number, cut) in (0..).zip(&recorded.tape) {
        recorded.notes[folded..cut.notes].iter().for_each(|note| oracle.on_note(note));
        folded = cut.notes;
        if number % options.every == options.offset % options.every {
            sweep.report.cuts += 1;
            sweep.cut(number, cut, &oracle, &may);
        }
        if sweep.report.failures.len() >= FAILURES_MAX {
            break;
        }
    }
    Ok(sweep.report)
}

/// What the uncut run has in its logs: what may stand where in any run that was cut.
fn whole_contents(notes: &[Note]) -> (Arc<Contents>, Keyed) {
    let mut oracle = Oracle::default();
    notes.iter().for_each(|note| oracle.on_note(note));
    (Arc::new(oracle.acked), oracle.keyed)
}

fn count_events(counts: &mut Counts, notes: &[Note]) {
    for note in notes {
        if let Note::Event(event) = note {
            counts.add(crate::marks::name(event));
        }
    }
}

#[derive(Debug)]
struct Sweep {
    keyed: Keyed,
    options: SweepOptions,
    config: Arc<Config>,
    report: SweepReport,
}

impl Sweep {
    fn cut(&mut self, number: u64, cut: &Cut, oracle: &Oracle, may: &Arc<Contents>) {
        let mut oracle = oracle.clone();
        oracle.on_cut();
        for (fate, disk) in fates(cut, self.options.subsets, Prng::keyed(number, 3)) {
            let name = CutName { cut: number, fate, recut: None };
            let seed = (number << 8) | fate;
            match self.recover(disk, seed, (&oracle, may), Depth::Produce) {
                Ok((rig, back)) => self.recut(name, &rig, &back, (&oracle, may)),
                Err(story) => self.report.failures.push((name, story)),
            }
            if self.report.failures.len() >= FAILURES_MAX {
                return;
            }
        }
    }

    /// Cuts a recovery.
    fn recut(&mut self, name: CutName, rig: &Rig, back: &Contents, (oracle, may): (&Oracle, &Arc<Contents>)) {
        let mut prng = Prng::keyed((name.cut << 8) | name.fate, 4);
        let count = rig.tape.len() as u64;
        let chosen: Vec<u64> = if count <= self.options.recuts {
            (0..count).collect()
        } else {
            (0..self.options.recuts).map(|_| prng.below(count)).collect()
        };
        let mut since = Oracle::default();
        rig.notes.iter().for_each(|note| since.on_note(note));
        let may = if back.is_empty() { Arc::clone(may) } else { may_after(back, &since.acked) };
        for number in chosen {
            let cut = &rig.tape[usize::try_from(number).expect("a small tape")];
            let mut oracle = oracle.clone();
            rig.notes[..cut.notes].iter().for_each(|note| oracle.on_note(note));
            oracle.on_cut();
            self.report.recuts += 1;
            for (fate, disk) in fates(cut, 2, prng.clone()) {
                let name = CutName { recut: Some((number, fate)), ..name };
                let seed = prng.next_u64();
                if let Err(story) = self.recover(disk, seed, (&oracle, &may), Depth::Read) {
                    self.report.failures.push((name, story));
                }
            }
        }
    }

    fn recover(
        &mut self,
        disk: crate::disk::Disk,
        seed: u64,
        (oracle, may): (&Oracle, &Arc<Contents>),
        depth: Depth,
    ) -> Result<(Rig, Contents), String> {
        self.report.recoveries += 1;
        let at = highwater_core::time::Instant::default() + Duration::from_secs(100);
        let (config, keyed) = (Arc::clone(&self.config), &self.keyed);
        let (rig, result) = caught(|| {
            let mut rig = Rig::new(config, disk, Start { at, seed: seed ^ 0x5eed });
            let result = Check::new(&mut rig, oracle, (may, keyed)).run(depth);
            (rig, result)
        })?;
        count_events(&mut self.report.recovery_events, &rig.notes);
        Ok((rig, result?))
    }
}

/// What the disk may be after this cut: every fate of what was in doubt if there are no more than `most`, else all of it kept, all
/// lost, and a sample in between.
fn fates(cut: &Cut, most: u64, mut prng: Prng) -> Vec<(u64, crate::disk::Disk)> {
    let doubts = cut.disk.doubts();
    let all = u32::try_from(doubts).ok().and_then(|doubts| 1_u64.checked_shl(doubts));
    if let Some(all) = all.filter(|all| *all <= most) {
        let fate = |mask: u64| {
            let mut place = 0;
            cut.disk.after_cut(&mut |_| {
                place += 1;
                if mask >> (place - 1) & 1 == 1 { Verdict::Kept } else { Verdict::Lost }
            })
        };
        return (0..all).map(|mask| (mask, fate(mask))).collect();
    }
    let shape = |number: u64, prng: &mut Prng| match number {
        0 => Shape::Some { kept_per_million: 0 },
        1 => Shape::Some { kept_per_million: 1_000_000 },
        _ => prng.pick(&[
            Shape::Some { kept_per_million: 500_000 },
            Shape::Some { kept_per_million: 900_000 },
            Shape::Prefix,
            Shape::Suffix,
            Shape::AllButOne,
            Shape::Torn,
        ]),
    };
    (0..most)
        .map(|number| {
            let shape = shape(number, &mut prng);
            let at = prng.place(doubts);
            let mut place = 0;
            let disk = cut.disk.after_cut(&mut |doubt| {
                place += 1;
                shape.verdict(&mut prng, doubt, (place - 1).cmp(&at))
            });
            (number, disk)
        })
        .collect()
}

/// Which of the sectors in doubt are kept, relative to one of them.
#[derive(Debug, Clone, Copy)]
enum Shape {
    Some {
        kept_per_million: u64,
    },
    Prefix,
    Suffix,
    AllButOne,
    /// The one is torn, those before it are kept.
    Torn,
}

impl Shape {
    fn verdict(self, prng: &mut Prng, doubt: Doubt, place: std::cmp::Ordering) -> Verdict {
        let kept = match self {
            Self::Some { kept_per_million } => prng.chance(kept_per_million),
            Self::Prefix => place.is_lt(),
            Self::Suffix => place.is_ge(),
            Self::AllButOne => place.is_ne(),
            Self::Torn => place.is_le(),
        };
        match (self, doubt) {
            (Self::Torn, Doubt::Sector { bytes }) if place.is_eq() => Verdict::Torn(prng.place(bytes + 1)),
            _ if kept => Verdict::Kept,
            _ => Verdict::Lost,
        }
    }
}

impl fmt::Display for SweepReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} disk operations, {} cuts, {} cuts of recoveries, {} recoveries, {} failed",
            self.operations,
            self.cuts,
            self.recuts,
            self.recoveries,
            self.failures.len()
        )?;
        writeln!(f, "  workload     {}", self.workload_events)?;
        write!(f, "  recoveries   {}", self.recovery_events)
    }
}
