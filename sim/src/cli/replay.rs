//! `replay`: runs a plan from a file.

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;

use clap::Args;
use highwater_sim::outcome::{Outcome, Verdict};
use highwater_sim::run::{catch_panics, run_plan, run_taped};
use highwater_sim::tape::Print;

use super::output::{Format, Output};
use super::run::{Repro, case, header};
use super::{Exit, Usage, folder, target};

/// Run a plan from a file.
#[derive(Debug, Clone, Args)]
pub(super) struct Replay {
    /// The plan, as a failure leaves it and `shrink` writes it.
    file: PathBuf,
    /// Print every input, effect and fact.
    #[arg(long)]
    trace: bool,
    /// Write all that happens, and a page to look at, into this folder.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

impl Replay {
    pub(super) fn run(self) -> Result<Exit, Usage> {
        let file = if self.file.is_dir() { self.file.join("plan.toml") } else { self.file };
        let plan = target::read(&file)?;
        let repro = Repro { command: "replay", file: Some(&file) };
        let mut output = Output::new(self.format, "replay");
        catch_panics(|_, what| println!("FAILED  panic: {what}"));
        output.say(&header(&plan));
        let mut outcome = match &self.out {
            Some(out) => {
                folder::write(out, &plan, &repro).map_err(|error| format!("{}: {error}", out.display()))?
            }
            None if self.trace => Outcome::new(&plan, &run_taped(&plan, Rc::new(RefCell::new(Print)))),
            None => Outcome::new(&plan, &run_plan(&plan)),
        };
        outcome.repro = Some(repro.command(&plan));
        let failed = outcome.outcome == Verdict::Failed;
        output.case(case(outcome, 0.0));
        if !failed {
            output.say("clean");
        }
        output.end();
        Ok(if failed { Exit::Failed } else { Exit::Clean })
    }
}
