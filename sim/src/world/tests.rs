//! The simulator over the toy broker: nothing is found where nothing is wrong, and every planted bug is found.

use super::World;
use super::toy::Mutant;
use crate::fault::Fault;
use crate::params::{Options, Params, Profile};
use crate::report::Report;

/// One seed over the toy, without the faults that the toy does not claim to survive.
fn run(seed: u64, mutant: Mutant) -> Report {
    let options = Options { profile: Profile::Smoke, ..Options::default() };
    let mut params = Params::draw(seed, options);
    for node in &mut params.nodes {
        node.reshards = false;
        node.config.shards = 1;
    }
    params
        .faults
        .retain(|planned| !matches!(planned.fault, Fault::DiskErrors { .. } | Fault::DiskFull { .. }));
    let mut world = World::new(params);
    world.nodes.iter_mut().for_each(|node| node.toy = Some(mutant));
    world.run();
    world.report()
}

/// The first invariants that break, and how many seeds it took.
fn hunt(mutant: Mutant, seeds: u64) -> Option<(u64, &'static str)> {
    (0..seeds).find_map(|seed| run(seed, mutant).violation.map(|violation| (seed + 1, violation.invariant)))
}

#[test]
fn nothing_is_found_where_nothing_is_wrong() {
    let mut sum = Report::default();
    for seed in 0..150 {
        let report = run(seed, Mutant::None);
        assert_eq!(report.violation, None, "seed {seed}\n{report}");
        sum.merge(&report);
    }
    println!("{sum}");
    for fault in ["kill", "power-off", "stop", "crash-at-moment", "reset", "half-open", "sector-lost"] {
        assert!(sum.faults.of(fault) > 0, "{fault} is never delivered\n{sum}");
    }
    for operation in ["produce", "fetch", "list-offsets", "batch-read", "init-producer-id", "closed"] {
        assert!(sum.operations.of(operation) > 0, "{operation} never happens\n{sum}");
    }
}

#[test]
fn same_seed_same_fingerprint() {
    let mut distinct = std::collections::BTreeSet::new();
    for seed in 0..20 {
        let (one, two) = (run(seed, Mutant::None), run(seed, Mutant::None));
        assert_eq!((one.fingerprint, one.steps), (two.fingerprint, two.steps), "seed {seed}");
        distinct.insert(one.fingerprint);
    }
    assert_eq!(distinct.len(), 20);
}

#[test]
fn every_planted_bug_is_found() {
    // What is lost may be a record, a producer, or the topic itself, without which the final read cannot end.
    let lost = ["acked_is_durable", "repeatable_read", "high_watermark_told", "producer_state", "liveness"];
    let bugs: [(Mutant, &[&str]); 7] = [
        (Mutant::AckBeforeWrite, &lost),
        (Mutant::RunningSync, &lost),
        (Mutant::BelievesTorn, &["disk_oracle", "wire", "repeatable_read", "acked_is_durable"]),
        (Mutant::NoSyncAfterKill, &lost),
        (Mutant::ForgetsProducers, &["producer_state"]),
        (Mutant::ReadsEarly, &["repeatable_read", "high_watermark_told", "acked_is_durable"]),
        (Mutant::Stuck, &["liveness"]),
    ];
    for (mutant, by) in bugs {
        let found = hunt(mutant, 1_000);
        println!("{mutant:?} {found:?}");
        let (_, invariant) = found.expect("a planted bug is found");
        assert!(by.contains(&invariant), "{mutant:?} by {invariant}");
    }
}
