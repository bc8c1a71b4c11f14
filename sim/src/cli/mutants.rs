//! `mutants`: hunts planted bugs. One that is not found is a hole in the simulator.

use clap::Args;
use highwater_core::mutant::Mutant;
use highwater_sim::mutants::{Bounds, Ground, Summary, Trial, hunt};
use highwater_sim::run::catch_panics;
use serde_json::{Value, json};

use super::output::{Case, Format, Output};
use super::run::{Budget, cpu_time};
use super::{Exit, Usage};

/// Plant one bug after the other and run seeds until it is found. Exit 1 if one survives.
#[derive(Debug, Clone, Args)]
pub(super) struct Mutants {
    /// Only these: mutants, or areas.
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Say what each of them breaks, and run nothing.
    #[arg(long)]
    list: bool,
    /// Seeds for each mutant, of all profiles together.
    #[arg(long, default_value_t = 2_000)]
    seeds_max: u64,
    /// CPU time for each mutant: 60s, 5m.
    #[arg(long, value_name = "TIME", default_value = "120s")]
    budget: Budget,
    /// Profiles to take in turn, each with or without +rot.
    #[arg(long, value_delimiter = ',', value_name = "LIST")]
    profiles: Vec<Ground>,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

impl Mutants {
    pub(super) fn run(self) -> Result<Exit, Usage> {
        let chosen = self.chosen()?;
        let mut output = Output::new(self.format, "mutants");
        if self.list {
            chosen.iter().for_each(|mutant| output.case(listed(*mutant)));
            output.end();
            return Ok(Exit::Clean);
        }
        if !cfg!(feature = "mutants") {
            return Err(Usage("this build has no mutants: cargo sim, or --features mutants, has".to_owned()));
        }
        catch_panics(|seed, what| println!("seed {seed}: {what}; build with --profile sim to go on"));
        let bounds = Bounds {
            seeds_max: self.seeds_max,
            millis_max: u64::try_from(self.budget.0.as_millis()).unwrap_or(u64::MAX),
            grounds: if self.profiles.is_empty() { Ground::ALL.to_vec() } else { self.profiles },
        };
        let cpu_millis = || cpu_time().unwrap_or_default();
        let mut trials = Vec::new();
        for mutant in chosen {
            output.progress(|| format!("{}: {} seeds at most", mutant.name(), bounds.seeds_max));
            let trial = hunt(mutant, &bounds, cpu_millis);
            output.case(case(&trial));
            trials.push(trial);
        }
        let summary = Summary::of(&trials);
        output.say(&summary.to_string());
        output.end();
        Ok(if summary.survivors.is_empty() { Exit::Clean } else { Exit::Failed })
    }

    fn chosen(&self) -> Result<Vec<Mutant>, Usage> {
        let is = |mutant: &Mutant, name: &String| mutant.name() == name || mutant.area().name() == name;
        if let Some(name) = self.only.iter().find(|name| !Mutant::ALL.iter().any(|mutant| is(mutant, name))) {
            return Err(Usage(format!("no mutant and no area is called `{name}`; see --list")));
        }
        let wanted = |mutant: &&Mutant| self.only.is_empty() || self.only.iter().any(|name| is(mutant, name));
        Ok(Mutant::ALL.iter().filter(wanted).copied().collect())
    }
}

fn listed(mutant: Mutant) -> Case {
    let (name, area, breaks) = (mutant.name(), mutant.area().name(), mutant.breaks());
    Case {
        name: name.to_owned(),
        failure: None,
        seconds: 0.0,
        text: format!("{name:<28} {area:<11} {breaks}"),
        json: json!({ "mutant": name, "area": area, "breaks": breaks }),
    }
}

fn case(trial: &Trial) -> Case {
    let mutant = trial.mutant;
    let survived = || ("survived".to_owned(), format!("{} seeds; {}", trial.seeds, mutant.breaks()));
    let catch = trial.catch.as_ref().map_or(Value::Null, |catch| {
        json!({
            "invariant": catch.violation.invariant,
            "story": catch.violation.story,
            "profile": catch.ground.to_string(),
            "seed": catch.seed,
        })
    });
    #[expect(clippy::cast_precision_loss, reason = "seconds for people")]
    let seconds = trial.cpu_millis as f64 / 1_000.0;
    Case {
        name: mutant.name().to_owned(),
        failure: trial.catch.is_none().then(survived),
        seconds,
        text: trial.to_string(),
        json: json!({
            "mutant": mutant.name(),
            "area": mutant.area().name(),
            "caught": catch,
            "seeds": trial.seeds,
            "cpu_seconds": seconds,
        }),
    }
}
