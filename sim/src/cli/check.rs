//! `check`: the same seed twice must be the same run.

use clap::Args;
use highwater_sim::outcome::Outcome;
use highwater_sim::run::run_plan;

use super::run::BatchArgs;
use super::{Exit, Usage};

/// Run each seed twice: its two fingerprints must be the same.
#[derive(Debug, Clone, Args)]
pub(super) struct Check {
    #[command(flatten)]
    batch: BatchArgs,
}

impl Check {
    pub(super) fn run(self) -> Result<Exit, Usage> {
        self.batch.run("check", |plan| {
            let (one, two) = (run_plan(plan), run_plan(plan));
            let mut outcome = Outcome::new(plan, &one);
            if (one.fingerprint, one.steps) != (two.fingerprint, two.steps) {
                let story = format!(
                    "one run has fingerprint {:016x} after {} steps, the other {:016x} after {}",
                    one.fingerprint, one.steps, two.fingerprint, two.steps
                );
                outcome.fail("determinism", story);
            }
            outcome
        })
    }
}
