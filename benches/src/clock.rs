//! Nanoseconds since the process began: one scale for all threads of a run.

use std::sync::OnceLock;
use std::time::Instant;

pub(crate) const SECOND_NANOS: u64 = 1_000_000_000;

/// Nanoseconds since the first call.
pub(crate) fn now_nanos() -> u64 {
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    let elapsed = ORIGIN.get_or_init(Instant::now).elapsed();
    u64::try_from(elapsed.as_nanos()).expect("a run is shorter than 584 years")
}
