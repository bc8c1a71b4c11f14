//! The arguments that say which runs are meant: seeds, ranges of seeds, and the options that all of them share. Runs nothing.

use std::str::FromStr;

use clap::Args;
use highwater_core::mutant::Mutant;
use highwater_sim::params::{Options, Profile, Rot, Tier};
use highwater_sim::seed::{SeedString, parse_number};

use super::Usage;

/// What a run is to be like; the same for all seeds of a command.
#[derive(Debug, Clone, Args)]
pub(super) struct OptionArgs {
    /// How much a run does: smoke or default. A seed string may say it too.
    #[arg(long)]
    profile: Option<Profile>,
    /// What stands between the core and the world: t0, nothing, or t1, the real driver.
    #[arg(long, default_value = "t0")]
    tier: Tier,
    /// Let bits rot; loss is legal then, silence is not.
    #[arg(long)]
    rot: bool,
    /// Plant this bug.
    #[cfg(feature = "mutants")]
    #[arg(long, value_parser = named_mutant)]
    mutant: Option<Mutant>,
}

#[cfg(feature = "mutants")]
fn named_mutant(name: &str) -> Result<Mutant, String> {
    Mutant::named(name).ok_or_else(|| {
        let names: Vec<_> = Mutant::ALL.iter().map(|mutant| mutant.name()).collect();
        format!("no mutant is called `{name}`: {}", names.join(", "))
    })
}

impl OptionArgs {
    /// The options for a seed string, which may name its profile.
    pub(super) fn options(&self, seed: Option<&SeedString>) -> Result<Options, Usage> {
        let named = seed.and_then(|seed| seed.profile);
        let profile = match (self.profile, named) {
            (Some(one), Some(other)) if one != other => {
                return Err(Usage(format!("the seed belongs to profile {other}, not to {one}")));
            }
            (one, other) => one.or(other).unwrap_or_default(),
        };
        let rot = if self.rot { Rot::On } else { Rot::Off };
        Ok(Options { profile, tier: self.tier, rot, mutant: self.mutant() })
    }

    #[cfg(feature = "mutants")]
    fn mutant(&self) -> Option<Mutant> {
        self.mutant
    }

    #[cfg(not(feature = "mutants"))]
    #[expect(clippy::unused_self, reason = "the other build has one")]
    fn mutant(&self) -> Option<Mutant> {
        None
    }

    /// The flags that a seed string does not hold, to be said again with it.
    pub(super) fn flags(options: Options) -> String {
        let tier = match options.tier {
            Tier::T0 => "",
            Tier::T1 => " --tier t1",
        };
        let rot = match options.rot {
            Rot::On => " --rot",
            Rot::Off => "",
        };
        let mutant = options.mutant.map_or_else(String::new, |mutant| format!(" --mutant {}", mutant.name()));
        format!("{tier}{rot}{mutant}")
    }
}

/// Seeds A..B, without B.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seeds {
    pub(super) first: u64,
    pub(super) end: u64,
}

impl FromStr for Seeds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (first, end) = text.split_once("..").ok_or("seeds are A..B, without B")?;
        let end = if end.is_empty() { u64::MAX } else { parse_number(end)? };
        let seeds = Self { first: parse_number(first)?, end };
        if seeds.first < seeds.end { Ok(seeds) } else { Err("no seed lies in that range".to_owned()) }
    }
}

impl Seeds {
    pub(super) fn one(seed: u64) -> Result<Self, Usage> {
        let end =
            seed.checked_add(1).ok_or_else(|| Usage("the last of all seeds is not to be had".to_owned()))?;
        Ok(Self { first: seed, end })
    }

    pub(super) fn count(self) -> u64 {
        self.end - self.first
    }
}
