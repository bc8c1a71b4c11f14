//! The calls into the core whose instructions count: callgrind collects while one of these runs, and at no other time. Nothing else
//! belongs here.

use highwater_core::buf::Slice;
use highwater_core::shard::{Effect, Input, Shard};
use highwater_core::time::Now;

/// The pattern of the names of these functions, for callgrind.
pub(crate) const FUNCTIONS: &str = "highwater_counts::counted::*";

#[inline(never)]
pub(crate) fn handle(shard: &mut Shard, now: Now, input: Input) {
    shard.handle(now, input);
}

#[inline(never)]
pub(crate) fn poll(shard: &mut Shard, now: Now) -> Option<Effect> {
    shard.poll(now)
}

#[inline(never)]
pub(crate) fn take_events(shard: &mut Shard) {
    while shard.poll_event().is_some() {}
}

/// What was written or sent goes back to where it came from.
#[inline(never)]
pub(crate) fn release(parts: Vec<Slice>) {
    drop(parts);
}
