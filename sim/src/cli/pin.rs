//! `pin`: makes a regression test of a seed or a plan.

use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use highwater_sim::plan::Plan;
use highwater_sim::report::Report;
use highwater_sim::run::{catch_panics, run_plan};
use highwater_sim::scenario;
use highwater_sim::shrink::{DoesNotFail, shrink};
use serde_json::json;

use super::output::{Case, Format, Output};
use super::run::Budget;
use super::seeds::OptionArgs;
use super::shrink::story;
use super::target::Target;
use super::{Exit, Usage};

/// Write a plan where the tests run it from now on and want it to be clean.
#[derive(Debug, Clone, Args)]
pub(super) struct Pin {
    /// A seed string, or the file of a plan, best a shrunk one.
    #[arg(value_name = "SEED|FILE")]
    target: Target,
    #[command(flatten)]
    options: OptionArgs,
    /// The name of the test, after what went wrong; the invariant and the seed if it is not given.
    #[arg(long)]
    name: Option<String>,
    /// Where the tests look.
    #[arg(long, value_name = "DIR", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/pinned"))]
    dir: PathBuf,
    /// Shrink the plan of a planted bug no longer than this.
    #[arg(long, value_name = "TIME", default_value = "60s")]
    budget: Budget,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

impl Pin {
    pub(super) fn run(self) -> Result<Exit, Usage> {
        let plan = self.target.plan(&self.options)?;
        catch_panics(|_, what| println!("panic: {what}"));
        let (plan, report) = match plan.options.mutant {
            Some(_) => self.smallest(&plan)?,
            None => (plan.clone(), run_plan(&plan)),
        };
        let name = match (&self.name, &report.violation, plan.options.mutant) {
            (Some(name), ..) => name.clone(),
            (None, _, Some(mutant)) => format!("{}_{}", mutant.name(), plan.seed),
            (None, Some(violation), None) => format!("{}_{}", violation.invariant, plan.seed),
            (None, None, None) => format!("clean_{}", plan.seed),
        };
        if name.is_empty()
            || !name.chars().all(|letter| letter.is_ascii_alphanumeric() || "_-".contains(letter))
        {
            return Err(Usage(format!("`{name}` is no name of a file: letters, digits, _ and -")));
        }
        let path = self.dir.join(format!("{name}.toml"));
        let about = match (&report.violation, plan.options.mutant) {
            (Some(_), Some(mutant)) => {
                format!(
                    "\n{} Such a bug shows here, at build {}:\n{}",
                    mutant.breaks(),
                    plan.commit,
                    story(&plan)
                )
            }
            (Some(_), None) => format!("\nWhat it once showed, at build {}:\n{}", plan.commit, story(&plan)),
            (None, _) => format!("\nIt is clean at build {}.", plan.commit),
        };
        fs::create_dir_all(&self.dir)
            .and_then(|()| fs::File::create_new(&path))
            .and_then(|_| fs::write(&path, plan.to_text(&about)))
            .map_err(|error| format!("{}: {error}", path.display()))?;
        let mut output = Output::new(self.format, "pin");
        let path = path.display().to_string();
        output.case(Case {
            name,
            failure: None,
            seconds: 0.0,
            text: format!("{path}\n  cargo test -p highwater-sim --test pinned"),
            json: json!({ "plan": path, "seed": plan.seed_string().to_string(), "breaks": plan.breaks }),
        });
        output.end();
        Ok(Exit::Clean)
    }

    /// The plan that shows a planted bug with as little as it takes, and is clean without it.
    fn smallest(&self, plan: &Plan) -> Result<(Plan, Report), Usage> {
        let began = Instant::now();
        let shrunk = shrink(plan, |_| began.elapsed() < self.budget.0)
            .map_err(|DoesNotFail| format!("{} does not show its planted bug", plan.seed_string()))?;
        if let Some(violation) = run_plan(&scenario::sound(&shrunk.plan)).violation {
            return Err(Usage(format!("it fails without the planted bug too: {violation}")));
        }
        let breaks = shrunk.report.violation.as_ref().map(|violation| violation.invariant.to_owned());
        Ok((Plan { breaks, ..shrunk.plan }, shrunk.report))
    }
}
