//! The world over the core: equal runs are equal, and the faults and operations that it promises do happen. That it finds what is
//! wrong is for the mutants to show.

use super::World;
use crate::params::{Options, Params, Profile, Tier};
use crate::report::Report;

fn run(seed: u64, tier: Tier) -> Report {
    let options = Options { profile: Profile::Smoke, tier, ..Options::default() };
    let mut world = World::new(Params::draw(seed, options));
    world.run();
    world.report()
}

#[test]
fn same_seed_same_fingerprint() {
    for tier in [Tier::T0, Tier::T1] {
        let mut distinct = std::collections::BTreeSet::new();
        for seed in 1..6 {
            let (one, two) = (run(seed, tier), run(seed, tier));
            assert_eq!((one.fingerprint, one.steps), (two.fingerprint, two.steps), "{tier:?} seed {seed}");
            distinct.insert(one.fingerprint);
        }
        assert_eq!(distinct.len(), 5);
    }
}

#[test]
fn world_delivers_what_it_promises_and_finds_nothing() {
    let mut sum = Report::default();
    for seed in 0..30 {
        let report = run(seed, Tier::T0);
        assert_eq!(report.violation, None, "seed {seed}\n{report}");
        sum.merge(&report);
    }
    for fault in ["kill", "power-off", "stop", "crash-at-moment", "reset", "half-open", "sector-lost"] {
        assert!(sum.faults.of(fault) > 0, "{fault} is never delivered\n{sum}");
    }
    for operation in ["produce", "fetch", "list-offsets", "batch-read", "init-producer-id", "closed"] {
        assert!(sum.operations.of(operation) > 0, "{operation} never happens\n{sum}");
    }
}
