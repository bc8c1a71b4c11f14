//! `sandbox`: a run inside madsim must be the run outside of it.

use clap::Args;

use super::run::BatchArgs;
use super::{Exit, Usage};

/// Run each seed outside of madsim and inside of it: the two fingerprints must be the same. For the build of `cargo mad`.
#[derive(Debug, Clone, Args)]
pub(super) struct Sandbox {
    #[command(flatten)]
    batch: BatchArgs,
}

impl Sandbox {
    #[cfg(not(madsim))]
    pub(super) fn run(self) -> Result<Exit, Usage> {
        let Self { batch: _ } = self;
        Err(Usage("this build has no madsim: cargo mad sandbox --seeds A..B".to_owned()))
    }

    #[cfg(madsim)]
    pub(super) fn run(self) -> Result<Exit, Usage> {
        use highwater_sim::mad::sandbox::run_inside;
        use highwater_sim::outcome::Outcome;
        use highwater_sim::run::run_plan;

        self.batch.run("sandbox", |plan| {
            let (inside, outside) = (run_inside(plan), run_plan(plan));
            let mut outcome = Outcome::new(plan, &inside);
            if (inside.fingerprint, inside.steps) != (outside.fingerprint, outside.steps) {
                let story = format!(
                    "inside madsim the run has fingerprint {:016x} after {} steps, outside {:016x} after {}",
                    inside.fingerprint, inside.steps, outside.fingerprint, outside.steps
                );
                outcome.fail("sandbox", story);
            }
            outcome
        })
    }
}
