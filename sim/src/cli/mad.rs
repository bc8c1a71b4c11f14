//! `mad`: seeds on madsim, with its tasks, its time and its network instead of ours.

use clap::Args;

use super::run::BatchArgs;
use super::{Exit, Usage};

/// Run seeds on madsim, each twice: its two fingerprints must be the same. For the build of `cargo mad`.
#[derive(Debug, Clone, Args)]
pub(super) struct Mad {
    #[command(flatten)]
    batch: BatchArgs,
}

impl Mad {
    #[cfg(not(madsim))]
    pub(super) fn run(self) -> Result<Exit, Usage> {
        let Self { batch: _ } = self;
        Err(Usage("this build has no madsim: cargo mad mad --seeds A..B".to_owned()))
    }

    #[cfg(madsim)]
    pub(super) fn run(self) -> Result<Exit, Usage> {
        use highwater_sim::mad::run;
        use highwater_sim::outcome::Outcome;

        self.batch.run("mad", |plan| {
            let (one, two) = (run(plan), run(plan));
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
