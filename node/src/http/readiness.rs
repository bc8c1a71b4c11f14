//! Whether the node serves, and why not: the observer's conditions and what the shards say. Text, one condition a line.

use crate::observer::{Check, Observer, Phase};
use crate::survey::View;

/// All conditions of readiness. `view` is what the shards say now.
pub(crate) fn checks(observer: &Observer, view: &View) -> Vec<Check> {
    let mut checks = observer.checks();
    // Before they run and once they end they cannot answer, and the phase says so.
    if observer.phase() == Phase::Serving {
        checks.extend([answers(view), metadata(view), memory(view)]);
    }
    checks
}

fn answers(view: &View) -> Check {
    let (silent, count) = (view.silent(), view.shards.len());
    let reason = match silent.first() {
        None => format!("{count} of {count} shards answer"),
        Some(first) => format!("{} of {count} shards do not answer, shard {first} among them", silent.len()),
    };
    Check { name: "responsive", ok: silent.is_empty(), reason }
}

fn metadata(view: &View) -> Check {
    let lacking = view.reports().filter(|report| report.image.version == 0).count();
    let reason = match (lacking, view.image()) {
        (0, Some(image)) => format!("{} topics, {} partitions", image.topic_count(), image.partition_count()),
        _ => format!("{lacking} shards wait for the cluster's metadata"),
    };
    Check { name: "metadata", ok: lacking == 0, reason }
}

/// Never makes a node unready: to hold clients back is how it lives within its memory. It tells why they wait.
fn memory(view: &View) -> Check {
    let sum = |of: fn(&highwater_core::shard::ShardReport) -> usize| view.reports().map(of).sum::<usize>();
    let connections = sum(|report| report.connections_starved);
    let produces = sum(|report| report.produces_parked);
    let reads = sum(|report| report.reads_starved);
    let in_use = sum(|report| report.pools.iter().map(|pool| pool.bytes_in_use).sum());
    let limit = sum(|report| report.pools.iter().map(|pool| pool.bytes_max).sum());
    let waiting = if connections + produces + reads == 0 {
        "nobody waits".to_owned()
    } else {
        format!("{connections} connections, {produces} produces and {reads} reads wait for memory or room")
    };
    let reason = format!("{waiting}; {in_use} of {limit} bytes of pages are in use");
    Check { name: "memory", ok: true, reason }
}

/// Which checks are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Detail {
    All,
    Failed,
}

pub(super) fn text(checks: &[Check], detail: Detail) -> String {
    let mut text = String::new();
    for check in checks.iter().filter(|check| !check.ok || detail == Detail::All) {
        let mark = if check.ok { '+' } else { '-' };
        text.push_str(&format!("[{mark}] {}: {}\n", check.name, check.reason));
    }
    text.push_str(if checks.iter().all(|check| check.ok) { "ready\n" } else { "not ready\n" });
    text
}
