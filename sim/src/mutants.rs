//! The hunt for planted bugs: runs seeds with one mutant at a time until a checker or a panic catches it. A mutant that survives
//! is a hole in the simulator. Must not know how a run works, nor what the command line makes of the results.

use std::fmt;
use std::str::FromStr;

use highwater_core::mutant::{Area, Mutant};

use crate::params::{Options, Profile, Rot, Tier};
use crate::report::Violation;
use crate::run::run;

/// Where a hunt looks: what a seed is run with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ground {
    pub profile: Profile,
    pub rot: Rot,
}

impl Ground {
    /// Cheapest first.
    pub const ALL: [Self; 11] = [
        Self { profile: Profile::Smoke, rot: Rot::Off },
        Self { profile: Profile::Disk, rot: Rot::Off },
        Self { profile: Profile::Power, rot: Rot::Off },
        Self { profile: Profile::Smoke, rot: Rot::On },
        Self { profile: Profile::Disk, rot: Rot::On },
        Self { profile: Profile::Power, rot: Rot::On },
        Self { profile: Profile::Load, rot: Rot::Off },
        Self { profile: Profile::Default, rot: Rot::Off },
        Self { profile: Profile::Compact, rot: Rot::Off },
        Self { profile: Profile::Days, rot: Rot::Off },
        Self { profile: Profile::Groups, rot: Rot::Off },
    ];

    /// How many rounds it takes until it gets a seed: those that take long, or excuse much, have fewer. What is old enough to go is
    /// rare where runs are short, and memory is short where the load is.
    fn rounds(self, area: Area) -> u64 {
        match (self.profile, self.rot) {
            (Profile::Groups, _) if area == Area::Groups => 1,
            // There are no groups elsewhere.
            (_, _) if area == Area::Groups => 1_000,
            (Profile::Groups, _) => 100,
            (Profile::Compact, _) if area == Area::Compaction => 1,
            (_, _) if area == Area::Compaction => 100,
            (Profile::Load | Profile::Default, Rot::Off)
                if matches!(area, Area::Retention | Area::Resources) =>
            {
                1
            }
            // There and nowhere else are settings altered, and offsets asked for by time held against the records.
            (Profile::Days, _) if matches!(area, Area::Configs | Area::Index) => 1,
            (_, _) if area == Area::Configs => 100,
            (Profile::Days, _) if area == Area::Retention => 4,
            (Profile::Days, _) => 10,
            (Profile::Smoke | Profile::Disk | Profile::Power, Rot::Off) => 1,
            (Profile::Power, Rot::On) if area == Area::Recovery => 1,
            (Profile::Load | Profile::Default | Profile::Calm, _) | (_, Rot::On) => 3,
            (Profile::Compact, Rot::Off) => 100,
        }
    }
}

impl fmt::Display for Ground {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let profile = self.profile;
        let rot = match self.rot {
            Rot::Off => "",
            Rot::On => "+rot",
        };
        write!(f, "{profile}{rot}")
    }
}

impl FromStr for Ground {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (profile, rot) = match text.strip_suffix("+rot") {
            Some(profile) => (profile, Rot::On),
            None => (text, Rot::Off),
        };
        Ok(Self { profile: profile.parse()?, rot })
    }
}

/// How long to look, and where.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// Seeds of all grounds together, for each mutant.
    pub seeds_max: u64,
    /// CPU time for each mutant.
    pub millis_max: u64,
    pub grounds: Vec<Ground>,
}

/// What caught a mutant.
#[derive(Debug, Clone)]
pub struct Catch {
    pub ground: Ground,
    pub seed: u64,
    pub violation: Violation,
}

/// The end of one hunt.
#[derive(Debug, Clone)]
pub struct Trial {
    pub mutant: Mutant,
    pub catch: Option<Catch>,
    /// Seeds that were run, the last one included.
    pub seeds: u64,
    pub cpu_millis: u64,
}

/// A bare machine has no driver.
fn tier_of(mutant: Mutant) -> Tier {
    if mutant.area() == Area::Driver { Tier::T1 } else { Tier::T0 }
}

/// Hunts one mutant over the seeds of all grounds in turn. `cpu_millis` is the CPU time of this process.
pub fn hunt(mutant: Mutant, bounds: &Bounds, cpu_millis: impl Fn() -> u64) -> Trial {
    let began = cpu_millis();
    let mut trial = Trial { mutant, catch: None, seeds: 0, cpu_millis: 0 };
    let grounds = bounds.grounds.iter().copied();
    for (round, ground) in (0_u64..).flat_map(|round| grounds.clone().map(move |ground| (round, ground))) {
        if !round.is_multiple_of(ground.rounds(mutant.area())) {
            continue;
        }
        trial.cpu_millis = cpu_millis() - began;
        if trial.seeds >= bounds.seeds_max || trial.cpu_millis >= bounds.millis_max {
            break;
        }
        trial.seeds += 1;
        // Each ground has seeds of its own: one seed draws the same topics everywhere.
        let seed = trial.seeds;
        let tier = tier_of(mutant);
        let sound = Options { profile: ground.profile, rot: ground.rot, tier, ..Options::default() };
        let planted = Options { mutant: Some(mutant), ..sound };
        // A seed that fails without the mutant too is somebody else's finding.
        if let Some(violation) = run(seed, planted).violation
            && run(seed, sound).violation.is_none()
        {
            trial.catch = Some(Catch { ground, seed, violation });
            trial.cpu_millis = cpu_millis() - began;
            break;
        }
    }
    trial
}

impl fmt::Display for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, area) = (self.mutant.name(), self.mutant.area().name());
        let (seconds, hundredths) = (self.cpu_millis / 1_000, self.cpu_millis % 1_000 / 10);
        let tier = match tier_of(self.mutant) {
            Tier::T0 => "",
            Tier::T1 => " t1",
        };
        let (invariant, place) = match &self.catch {
            Some(catch) => (catch.violation.invariant, format!("{} {}{tier}", catch.ground, catch.seed)),
            None => ("SURVIVED", "-".to_owned()),
        };
        let seeds = self.seeds;
        write!(
            f,
            "{name:<36} {area:<10} {invariant:<18} {place:<18} {seeds:>5} seeds {seconds:>4}.{hundredths:02} CPU-s"
        )
    }
}

/// Seeds and CPU time over all hunts, and who survived.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    pub hunted: usize,
    pub survivors: Vec<&'static str>,
    pub median_seeds: u64,
    pub cpu_millis: u64,
}

impl Summary {
    pub fn of(trials: &[Trial]) -> Self {
        let mut seeds: Vec<u64> = trials.iter().map(|trial| trial.seeds).collect();
        seeds.sort_unstable();
        Self {
            hunted: trials.len(),
            survivors: trials.iter().filter(|t| t.catch.is_none()).map(|t| t.mutant.name()).collect(),
            median_seeds: seeds.get(seeds.len() / 2).copied().unwrap_or(0),
            cpu_millis: trials.iter().map(|trial| trial.cpu_millis).sum(),
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = self.hunted - self.survivors.len();
        let seconds = self.cpu_millis / 1_000;
        write!(f, "{found} of {} found, median {} seeds, {seconds} CPU-s", self.hunted, self.median_seeds)?;
        if !self.survivors.is_empty() {
            write!(f, "\nsurvivors: {}", self.survivors.join(", "))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use highwater_core::mutant::Mutant;

    use super::{Catch, Ground, Summary, Trial};
    use crate::report::Violation;

    #[test]
    fn summary_names_survivors_and_takes_the_median() {
        let violation = Violation::new("panic", String::new());
        let catch = Some(Catch { ground: Ground::ALL[0], seed: 1, violation });
        let trial = |seeds, catch| Trial { mutant: Mutant::ALL[0], catch, seeds, cpu_millis: 2_000 };
        let summary = Summary::of(&[trial(3, catch.clone()), trial(900, None), trial(10, catch)]);
        assert_eq!((summary.median_seeds, summary.cpu_millis), (10, 6_000));
        assert_eq!(summary.survivors, [Mutant::ALL[0].name()]);
    }
}
