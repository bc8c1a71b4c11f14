//! One seed from its draw to its report; a panic of the core is a finding like any other. Must not know what the command line
//! makes of it.

use std::cell::{Cell, RefCell};
use std::panic::{self, AssertUnwindSafe};

use highwater_core::mutant::Mutant;

use crate::params::{Options, Params};
use crate::plan::Plan;
use crate::report::Report;
use crate::tape::Tape;
use crate::world::World;

thread_local! {
    static LAST_PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
    static SEED: Cell<u64> = const { Cell::new(0) };
}

/// Keeps the message of a panic for the report instead of printing it. In a build that aborts on panic there is no report to
/// come: `last_words` are given the seed and the message, and the process ends as after any failure.
pub fn catch_panics(last_words: impl Fn(u64, &str) + Send + Sync + 'static) {
    panic::set_hook(Box::new(move |info| {
        let place = info.location().map_or_else(String::new, |at| format!(" at {}:{}", at.file(), at.line()));
        let what = format!("{}{place}", info.payload_as_str().unwrap_or("(no message)"));
        if cfg!(panic = "abort") {
            last_words(SEED.get(), &what);
            std::process::exit(1);
        }
        LAST_PANIC.set(Some(what));
    }));
}

/// What `run` gives, or the story of its panic.
pub(crate) fn caught<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    // What a panic leaves behind is dropped.
    panic::catch_unwind(AssertUnwindSafe(run))
        .map_err(|_| format!("panic: {}", LAST_PANIC.take().unwrap_or_default()))
}

/// Runs a seed.
pub fn run(seed: u64, options: Options) -> Report {
    run_params(Params::draw(seed, options), None)
}

/// Runs a plan.
pub fn run_plan(plan: &Plan) -> Report {
    run_params(plan.params(), None)
}

/// Runs a plan and writes all that happens on the tape.
pub fn run_taped(plan: &Plan, tape: Tape) -> Report {
    run_params(plan.params(), Some(tape))
}

fn run_params(params: Params, tape: Option<Tape>) -> Report {
    SEED.set(params.seed);
    plant(params.options.mutant);
    let mut world = World::new(params);
    world.record_on(tape);
    // The world is only asked for its counters after a panic.
    let ended = panic::catch_unwind(AssertUnwindSafe(|| world.run()));
    if ended.is_err() {
        world.on_panic(LAST_PANIC.take().unwrap_or_default());
    }
    plant(None);
    world.report()
}

/// Plants a bug in all shards of this process, or takes it away.
#[cfg(feature = "mutants")]
pub(crate) fn plant(mutant: Option<Mutant>) {
    highwater_core::mutant::set(mutant);
}

#[cfg(not(feature = "mutants"))]
pub(crate) fn plant(mutant: Option<Mutant>) {
    assert!(mutant.is_none(), "a build without the feature `mutants` has none to plant");
}
