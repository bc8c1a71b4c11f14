//! The sweep in small, and that it sweeps what it should.

use super::{SweepOptions, sweep};

#[test]
fn swept_workload_loses_nothing() {
    for workload in 0..2 {
        let options = SweepOptions { workload, subsets: 4, every: 11, offset: workload, recuts: 2 };
        let report = sweep(&options).expect("the workload runs");
        assert!(report.failures.is_empty(), "{report}");
        assert!(report.recoveries > 100, "{report}");
        for kind in [
            "SegmentRolled",
            "SegmentSealed",
            "SegmentDeleted",
            "Destaged",
            "WalFileCreated",
            "WalFileRecycled",
            "Checkpointed",
            "CarriedForward",
            "SealWritten",
            "TopicCreated",
            "TopicDeleted",
        ] {
            assert!(report.workload_events.of(kind) > 0, "{kind} never happens: {report}");
        }
        for kind in ["TornTail", "FooterRebuilt", "Recovered"] {
            assert!(report.recovery_events.of(kind) > 0, "{kind} never happens: {report}");
        }
    }
}

#[test]
fn swept_cleaning_is_a_fold_at_any_moment() {
    let options = SweepOptions { workload: 8, subsets: 4, every: 17, offset: 0, recuts: 2 };
    let report = sweep(&options).expect("the workload runs");
    assert!(report.failures.is_empty(), "{report}");
    assert!(report.workload_events.of("SegmentCleaned") > 5, "{report}");
}
