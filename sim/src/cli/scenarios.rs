//! `scenarios`: runs every pinned plan, clean as it must be and then with the bug that it names.

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use highwater_sim::run::catch_panics;
use highwater_sim::scenario::{self, Outcome, Scenario};
use serde_json::json;

use super::output::{Case, Format, Output};
use super::{Exit, Usage};

/// Run every pinned plan, which must be clean, and once more with the bug that it names, which must be found. Exit 1 if not.
#[derive(Debug, Clone, Args)]
pub(super) struct Scenarios {
    /// Where the plans are.
    #[arg(long, value_name = "DIR", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/pinned"))]
    dir: PathBuf,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

impl Scenarios {
    pub(super) fn run(self) -> Result<Exit, Usage> {
        if !cfg!(feature = "mutants") {
            return Err(Usage("this build has no mutants: cargo sim, or --features mutants, has".to_owned()));
        }
        let scenarios =
            scenario::read(&self.dir).map_err(|error| format!("{}: {error}", self.dir.display()))?;
        catch_panics(|seed, what| println!("seed {seed}: {what}; build with --profile sim to go on"));
        let mut output = Output::new(self.format, "scenarios");
        let mut failed = false;
        for scenario in &scenarios {
            let case = case(scenario);
            failed |= case.failure.is_some();
            output.case(case);
        }
        output.say(&format!("{} scenarios", scenarios.len()));
        output.end();
        Ok(if failed || scenarios.is_empty() { Exit::Failed } else { Exit::Clean })
    }
}

fn case(scenario: &Scenario) -> Case {
    let Scenario { name, plan } = scenario;
    let began = Instant::now();
    let outcome = scenario::judge(plan);
    let mutant = plan.options.mutant.map(|mutant| mutant.name());
    let (how, failure) = match &outcome {
        Outcome::Clean => ("clean".to_owned(), None),
        Outcome::Found => {
            let found = format!("{} is found", mutant.unwrap_or_default());
            (format!("clean, and {found}"), None)
        }
        Outcome::Failed(why) => (format!("FAILED  {why}"), Some(("scenario".to_owned(), why.clone()))),
    };
    Case {
        name: name.clone(),
        seconds: began.elapsed().as_secs_f64(),
        text: format!("{name:<48} {how}"),
        json: json!({
            "scenario": name,
            "seed": plan.seed,
            "mutant": mutant,
            "breaks": plan.breaks,
            "outcome": if failure.is_some() { "failed" } else { "clean" },
            "why": failure.as_ref().map(|(_, why)| why),
        }),
        failure,
    }
}
