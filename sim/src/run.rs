//! One seed from its draw to its report; a panic of the core is a finding like any other. Must not know what the command line
//! makes of it.

use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe};

use crate::params::{Options, Params};
use crate::report::Report;
use crate::world::World;

thread_local! {
    static LAST_PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Keeps the message of a panic for the report instead of printing it.
pub fn catch_panics() {
    panic::set_hook(Box::new(|info| {
        let place = info.location().map_or_else(String::new, |at| format!(" at {}:{}", at.file(), at.line()));
        let what = info.payload_as_str().unwrap_or("(no message)");
        LAST_PANIC.with_borrow_mut(|last| *last = Some(format!("{what}{place}")));
    }));
}

/// Runs a seed.
pub fn run(seed: u64, options: Options) -> Report {
    let mut world = World::new(Params::draw(seed, options));
    // The world is only asked for its counters after a panic.
    let ended = panic::catch_unwind(AssertUnwindSafe(|| world.run()));
    if ended.is_err() {
        let what = LAST_PANIC.with_borrow_mut(Option::take).unwrap_or_default();
        world.on_panic(what);
    }
    world.report()
}
