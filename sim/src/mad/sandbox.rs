//! Our own tiers inside madsim: it traps the clock, entropy and threads, so whatever a run takes from outside itself shows in its
//! fingerprint.

use madsim::Config;
use madsim::runtime::Runtime;

use crate::plan::Plan;
use crate::report::Report;
use crate::run::run_plan;

/// Runs a plan of the other tiers in a madsim context.
pub fn run_inside(plan: &Plan) -> Report {
    let runtime = Runtime::with_seed_and_config(plan.seed, Config::default());
    runtime.block_on(async { run_plan(plan) })
}
