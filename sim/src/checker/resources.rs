//! What a shard holds is bounded by its configuration at all times, and nothing once nobody wants anything of it: no page, no
//! request, no watch and no connection is lost.

use highwater_core::limits::{CONNECTION_REQUESTS_MAX, DESTAGE_JOBS_MAX, RETIRE_JOBS_MAX};
use highwater_core::shard::Usage;

use super::{Checker, Look, When};
use crate::history::Fact;
use crate::report::Violation;

const NAME: &str = "resources";

#[derive(Debug, Clone)]
pub(super) struct Resources;

/// What is broken of the bounds that always hold.
fn beyond(usage: &Usage) -> Option<&'static str> {
    let Usage { connections, requests, deadlines, .. } = *usage;
    if requests > connections * CONNECTION_REQUESTS_MAX {
        Some("more requests than connections may have")
    } else if deadlines > requests {
        Some("deadlines of requests that are over")
    } else if usage.keep_jobs > DESTAGE_JOBS_MAX + RETIRE_JOBS_MAX {
        Some("more jobs than may be at work")
    } else {
        None
    }
}

/// What is left of a shard that nobody wants anything of.
fn left(usage: &Usage) -> Vec<(&'static str, usize)> {
    let Usage { connections, requests, deadlines, starved, request_bytes, read_bytes, destage_bytes, .. } =
        *usage;
    let Usage { acks, parked, early, watches, keep_jobs, doomed, .. } = *usage;
    let all = [
        ("connections", connections),
        ("requests", requests),
        ("deadlines", deadlines),
        ("starved", starved),
        ("bytes of request pages", request_bytes),
        ("bytes of read pages", read_bytes),
        ("bytes of destaging pages", destage_bytes),
        ("bytes of WAL pages beyond cache and tails", usage.wal_bytes.saturating_sub(usage.wal_bytes_due)),
        ("acks", acks),
        ("parked", parked),
        ("early", early),
        ("askers", usage.askers),
        ("watches", watches),
        ("jobs", keep_jobs),
        ("doomed", doomed),
    ];
    all.into_iter().filter(|(_, count)| *count > 0).collect()
}

impl Checker for Resources {
    fn on_fact(&mut self, _: &Fact) -> Result<(), Violation> {
        Ok(())
    }

    fn on_look(&mut self, look: &Look) -> Result<(), Violation> {
        let Look { node, shard, usage, .. } = look;
        if let Some(what) = beyond(usage) {
            return Err(Violation::new(NAME, format!("node {node} shard {shard}: {what}: {usage:?}")));
        }
        // On more shards the request may live on another one than the watch; one whose time is over ends with its last read.
        let is_reading = usage.read_bytes > 0 || usage.starved > 0;
        if look.when == When::AtWork
            && look.shards == 1
            && usage.watches > 0
            && usage.deadlines == 0
            && !is_reading
        {
            let story = format!("node {node}: nothing ends the wait of a reader: {usage:?}");
            return Err(Violation::new(NAME, story));
        }
        let left = left(usage);
        if look.when == When::Quiet && !left.is_empty() {
            return Err(Violation::new(NAME, format!("node {node} shard {shard} keeps {left:?}")));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use highwater_core::limits::{DESTAGE_JOBS_MAX, RETIRE_JOBS_MAX};
    use highwater_core::shard::Usage;

    use super::super::samples::look;
    use super::{Checker, Look, Resources, When};

    fn run(usage: Usage, when: When) -> bool {
        Resources.on_look(&Look { usage, when, ..look(0, [0; 4]) }).is_ok()
    }

    #[test]
    fn what_is_left_in_silence_is_found() {
        let held = Usage { connections: 1, requests: 2, request_bytes: 1024, ..Usage::default() };
        assert!(run(held, When::AtWork) && !run(held, When::Quiet));
        assert!(run(Usage { wal_bytes: 7, wal_bytes_due: 9, ..Usage::default() }, When::Quiet), "cache");
        assert!(!run(Usage { wal_bytes: 9, wal_bytes_due: 7, ..Usage::default() }, When::Quiet));
        for lost in [
            Usage { destage_bytes: 1, ..Usage::default() },
            Usage { watches: 1, ..Usage::default() },
            Usage { connections: 1, ..Usage::default() },
            Usage { doomed: 1, ..Usage::default() },
        ] {
            assert!(!run(lost, When::Quiet), "{lost:?}");
        }
    }

    #[test]
    fn reader_whose_wait_nothing_ends_is_found() {
        let waits = Usage { connections: 1, requests: 1, watches: 1, ..Usage::default() };
        assert!(run(Usage { deadlines: 1, ..waits }, When::AtWork) && !run(waits, When::AtWork));
        assert!(run(Usage { read_bytes: 512, ..waits }, When::AtWork), "a read ends it");
    }

    #[test]
    fn bounds_hold_at_work_too() {
        assert!(!run(Usage { connections: 1, requests: 65, ..Usage::default() }, When::AtWork));
        assert!(!run(Usage { connections: 1, requests: 1, deadlines: 2, ..Usage::default() }, When::AtWork));
        let jobs = DESTAGE_JOBS_MAX + RETIRE_JOBS_MAX + 2;
        assert!(!run(Usage { keep_jobs: jobs, ..Usage::default() }, When::AtWork));
    }
}
