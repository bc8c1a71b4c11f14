//! `pin`: makes a regression test of a seed or a plan.

use std::fs;
use std::path::PathBuf;

use clap::Args;
use highwater_sim::run::{catch_panics, run_plan};

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
}

impl Pin {
    pub(super) fn run(self) -> Result<Exit, Usage> {
        let plan = self.target.plan(&self.options)?;
        if let Some(mutant) = plan.options.mutant {
            return Err(Usage(format!(
                "the failure is that of the planted bug {}: it is no regression",
                mutant.name()
            )));
        }
        catch_panics(|_, what| println!("panic: {what}"));
        let report = run_plan(&plan);
        let name = match (&self.name, &report.violation) {
            (Some(name), _) => name.clone(),
            (None, Some(violation)) => format!("{}_{}", violation.invariant, plan.seed),
            (None, None) => format!("clean_{}", plan.seed),
        };
        if name.is_empty()
            || !name.chars().all(|letter| letter.is_ascii_alphanumeric() || "_-".contains(letter))
        {
            return Err(Usage(format!("`{name}` is no name of a file: letters, digits, _ and -")));
        }
        let path = self.dir.join(format!("{name}.toml"));
        let about = match &report.violation {
            Some(_) => format!("\nWhat it once showed, at build {}:\n{}", plan.commit, story(&plan)),
            None => format!("\nIt is clean at build {}.", plan.commit),
        };
        fs::create_dir_all(&self.dir)
            .and_then(|()| fs::File::create_new(&path))
            .and_then(|_| fs::write(&path, plan.to_text(&about)))
            .map_err(|error| format!("{}: {error}", path.display()))?;
        println!("{}\n  cargo test -p highwater-sim --test pinned", path.display());
        Ok(Exit::Clean)
    }
}
