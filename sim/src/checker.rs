//! The judges: each folds the facts of a run and speaks up when its invariant is broken. One file each, named after the
//! invariant. Must not know how the facts came about.

mod acked_is_durable;
mod anomalies;
mod commits_stand;
mod compaction_equals_fold;
mod configs_in_force;
mod coordinator_matches_log;
mod disk_oracle;
mod high_watermark_told;
mod hw_monotone;
mod late_commits_refused;
mod liveness;
mod log_start_monotone;
mod look;
mod no_silent_gap;
mod nothing_skipped;
mod offsets_by_time;
mod offsets_expire_in_time;
mod one_owner;
mod producer_state;
mod repeatable_read;
mod resources;
mod retention_in_bounds;
mod rot_is_told;
mod settings;
mod state_matches_log;

use highwater_core::time::{Duration, Instant, Timestamp};
pub use late_commits_refused::Committer;
pub use look::{Look, When};

use crate::history::Fact;
use crate::report::Violation;

/// What a topic of the run promises.
#[derive(Debug, Clone)]
pub struct TopicRule {
    pub name: String,
    /// It may be deleted and made again, so offsets mean nothing for long.
    pub churns: bool,
    /// Old segments may go.
    pub retains_less: bool,
    /// Of each key the newest record stays.
    pub compacts: bool,
    /// Tombstones may go within a run.
    pub tombstones_go: bool,
}

/// What the run as a whole promises.
#[derive(Debug, Clone)]
pub struct Rules {
    pub topics: Vec<TopicRule>,
    /// Bits rot, and there is no second copy: loss is legal as long as it is said.
    pub rot: bool,
    /// How long offsets of groups are kept, and how often coordinators look at them; the same on all nodes.
    pub offsets: Option<(Duration, Duration)>,
}

/// One invariant over the history of a node.
trait Checker: Copied {
    /// What clocks show before the next fact or look: the true one, and the node's on the wall.
    fn on_clock(&mut self, _now: Instant, _wall: Timestamp) {}

    fn on_fact(&mut self, fact: &Fact) -> Result<(), Violation>;

    fn on_look(&mut self, _: &Look) -> Result<(), Violation> {
        Ok(())
    }

    /// The final read of everything has ended.
    fn on_end(&mut self) -> Result<(), Violation> {
        Ok(())
    }
}

/// What knows what it knew: a checker goes back with its node's disk.
trait Copied {
    fn copied(&self) -> Box<dyn Checker>;
}

impl<T: Checker + Clone + 'static> Copied for T {
    fn copied(&self) -> Box<dyn Checker> {
        Box::new(self.clone())
    }
}

impl Clone for Checkers {
    fn clone(&self) -> Self {
        Self(self.0.iter().map(|checker| checker.copied()).collect())
    }
}

/// All invariants of one node.
pub struct Checkers(Vec<Box<dyn Checker>>);

impl std::fmt::Debug for Checkers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Checkers({})", self.0.len())
    }
}

impl Checkers {
    pub fn new(rules: &Rules) -> Self {
        Self(vec![
            Box::new(acked_is_durable::AckedIsDurable::new(rules)),
            Box::new(anomalies::Anomalies::new(rules)),
            Box::new(commits_stand::CommitsStand::new(rules)),
            Box::new(compaction_equals_fold::CompactionEqualsFold::new(rules)),
            Box::new(configs_in_force::ConfigsInForce::new(rules)),
            Box::new(coordinator_matches_log::CoordinatorMatchesLog::new(rules)),
            Box::new(disk_oracle::DiskOracle::new(rules)),
            Box::new(high_watermark_told::HighWatermarkTold::new(rules)),
            Box::new(hw_monotone::HwMonotone::new(rules)),
            Box::new(late_commits_refused::LateCommitsRefused::default()),
            Box::new(liveness::Liveness),
            Box::new(log_start_monotone::LogStartMonotone::new(rules)),
            Box::new(no_silent_gap::NoSilentGap::new(rules)),
            Box::new(nothing_skipped::NothingSkipped::default()),
            Box::new(offsets_by_time::OffsetsByTime::new(rules)),
            Box::new(offsets_expire_in_time::OffsetsExpireInTime::new(rules)),
            Box::new(one_owner::OneOwner::default()),
            Box::new(producer_state::ProducerState::new(rules)),
            Box::new(repeatable_read::RepeatableRead::new(rules)),
            Box::new(resources::Resources),
            Box::new(retention_in_bounds::RetentionInBounds::new(rules)),
            Box::new(rot_is_told::RotIsTold::new(rules)),
            Box::new(state_matches_log::StateMatchesLog::new(rules)),
        ])
    }

    pub fn on_clock(&mut self, now: Instant, wall: Timestamp) {
        self.0.iter_mut().for_each(|checker| checker.on_clock(now, wall));
    }

    pub fn on_fact(&mut self, fact: &Fact) -> Result<(), Violation> {
        self.0.iter_mut().try_for_each(|checker| checker.on_fact(fact))
    }

    pub fn on_look(&mut self, look: &Look) -> Result<(), Violation> {
        self.0.iter_mut().try_for_each(|checker| checker.on_look(look))
    }

    pub fn on_end(&mut self) -> Result<(), Violation> {
        self.0.iter_mut().try_for_each(|checker| checker.on_end())
    }
}

/// Histories for the tests of the checkers.
#[cfg(test)]
mod samples {
    use highwater_core::client::Written;
    use highwater_core::id::{Offset, PartitionId};
    use highwater_core::log::LogView;
    use highwater_core::shard::{PartitionView, Usage};

    use super::{Look, Rules, TopicRule, When};
    use crate::history::{
        Acked, Batch, Fact, Fetched, Place, Process, Promise, Sent, Sequence, Unacked, Value,
    };

    pub(super) const PLACE: Place = Place { topic: 0, index: 0 };
    const PROCESS: Process = Process(1);

    pub(super) fn rules() -> Rules {
        let topic = TopicRule {
            name: "t".into(),
            churns: false,
            retains_less: false,
            compacts: false,
            tombstones_go: false,
        };
        Rules { topics: vec![topic], rot: false, offsets: None }
    }

    pub(super) fn sent(value: u64, promise: Promise) -> Fact {
        Fact::Sent(Sent { process: PROCESS, place: PLACE, value: Value(value), promise })
    }

    pub(super) fn acked(value: u64, offset: i64) -> Fact {
        Fact::Acked(Acked { process: PROCESS, place: PLACE, value: Value(value), offset: Some(offset) })
    }

    pub(super) fn unacked(value: u64) -> Fact {
        let (value, written) = (Value(value), Written::Perhaps);
        Fact::Unacked(Unacked { process: PROCESS, place: PLACE, value, written, error: None })
    }

    /// A batch of one record.
    pub(super) fn batch(base: i64, value: u64) -> Batch {
        let crc = u32::try_from(value).unwrap();
        Batch { base, end: base + 1, crc, crc_computed: crc, sequence: None }
    }

    fn read(base: i64, batches: Vec<Batch>, values: &[u64]) -> Fact {
        let value = |value: &u64| (*value > 0).then_some(Value(*value));
        let records: Vec<(i64, Option<Value>)> = (base..).zip(values.iter().map(value)).collect();
        Fact::Fetched(Fetched {
            process: PROCESS,
            place: PLACE,
            asked: base,
            batches,
            records,
            log_start: 0,
            high_watermark: 100,
            end_known: 0,
        })
    }

    /// Records in batches of their own; 0 is nothing that a client writes.
    pub(super) fn fetched(base: i64, values: &[u64]) -> Fact {
        let batches = (base..).zip(values).map(|(base, value)| batch(base, *value)).collect();
        read(base, batches, values)
    }

    /// One batch of records, with its epoch and its first sequence.
    pub(super) fn sequenced(base: i64, values: &[u64], (epoch, first): (i16, i32)) -> Fact {
        let sequence = Some(Sequence { producer: 1, epoch, first });
        let end = base + i64::try_from(values.len()).unwrap();
        read(base, vec![Batch { end, sequence, ..batch(base, values[0]) }], values)
    }

    /// A look at one partition: its start, high watermark, durable end and end.
    pub(super) fn look(node: usize, [start, high_watermark, durable, end]: [i64; 4]) -> Look {
        let log = LogView {
            log_start: Offset(start),
            durable_end: Offset(durable),
            log_end: Offset(end),
            epochs: Vec::new(),
            producers: Vec::new(),
            faulty: Vec::new(),
            kept_bytes: None,
            segments: Vec::new(),
        };
        let high_watermark = Offset(high_watermark);
        let partitions = vec![PartitionView { partition: PartitionId::METADATA, high_watermark, log }];
        let (coordinators, usage) = (Vec::new(), Usage::default());
        Look { node, shards: 1, shard: 0, partitions, coordinators, usage, when: When::AtWork }
    }

    pub(super) fn read_to_end(end: i64) -> Fact {
        Fact::ReadToEnd { place: PLACE, log_start: 0, end }
    }
}
