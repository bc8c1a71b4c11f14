//! A committed offset goes by its age neither early nor late (KIP-211): not while its group has members, and not before its time; and once
//! its time has passed, at one of the next looks that a coordinator takes. All by the clock of the node, as its records tell it.

use std::collections::BTreeMap;

use highwater_core::group::command::TopicPartition;
use highwater_core::group::record::{GroupRecord, OffsetValue};
use highwater_core::id::PartitionId;
use highwater_core::shard::Event;
use highwater_core::time::{Duration, Instant, Timestamp};

use super::coordinator_matches_log::Fold;
use super::{Checker, Look, Rules};
use crate::history::{Fact, Kept};
use crate::report::Violation;

const NAME: &str = "offsets_expire_in_time";

/// How much later than its next look a coordinator may come to it: clocks drift, and nodes pause.
const DELAY_MAX: Duration = Duration::from_secs(8);

/// An offset: whose, and of what.
type Key = (String, TopicPartition);

/// What the age of a group's offsets hangs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Age {
    Members,
    SinceCommit,
    Since(Timestamp),
}

/// What a coordinator's records say: its groups that have more than offsets, and its offsets.
#[derive(Debug, Default)]
struct Said {
    ages: BTreeMap<String, Age>,
    offsets: BTreeMap<Key, OffsetValue>,
}

impl Said {
    fn by(records: Vec<GroupRecord>) -> Self {
        let mut said = Self::default();
        for record in records {
            match record {
                GroupRecord::Offset { group, partition, value: Some(value) } => {
                    said.offsets.insert((group, partition), value);
                }
                GroupRecord::Classic { group, value: Some(value) } => {
                    let age = match value.since {
                        _ if !value.members.is_empty() => Age::Members,
                        Some(since) if !value.protocol_type.is_empty() => Age::Since(since),
                        Some(_) | None => Age::SinceCommit,
                    };
                    said.ages.insert(group, age);
                }
                GroupRecord::Member { group, .. } => {
                    said.ages.insert(group, Age::Members);
                }
                GroupRecord::Offset { .. }
                | GroupRecord::Classic { .. }
                | GroupRecord::Consumer { .. }
                | GroupRecord::TargetEpoch { .. }
                | GroupRecord::TargetMember { .. }
                | GroupRecord::CurrentMember { .. }
                | GroupRecord::Regex { .. } => {}
            }
        }
        said
    }

    /// From when on an offset is too old.
    fn due(&self, key: &Key, retention: Duration) -> Option<Timestamp> {
        let since = match self.ages.get(&key.0).copied().unwrap_or(Age::SinceCommit) {
            Age::Members => return None,
            Age::SinceCommit => self.offsets.get(key)?.committed_at,
            Age::Since(since) => since,
        };
        let millis = i64::try_from(retention.as_millis()).expect("a retention is short");
        Some(Timestamp(since.0.saturating_add(millis)))
    }
}

#[derive(Debug, Clone, Default)]
pub(super) struct OffsetsExpireInTime {
    /// How long offsets are kept, and how often coordinators look.
    times: Option<(Duration, Duration)>,
    folds: BTreeMap<PartitionId, Fold>,
    /// Since when offsets have been seen that are too old.
    overdue: BTreeMap<(PartitionId, Key), Instant>,
    now: Instant,
    wall: Timestamp,
}

impl OffsetsExpireInTime {
    pub(super) fn new(rules: &Rules) -> Self {
        Self { times: rules.offsets.filter(|_| !rules.rot), ..Self::default() }
    }

    fn on_kept(&mut self, retention: Duration, batch: &Kept) -> Result<(), Violation> {
        let fold = self.folds.entry(batch.partition).or_default();
        if batch.base < fold.end() {
            return Ok(());
        }
        let gone = batch.records.iter().filter_map(|record| match record {
            GroupRecord::Offset { group, partition, value: None } => Some((group.clone(), partition.clone())),
            GroupRecord::Offset { .. }
            | GroupRecord::Classic { .. }
            | GroupRecord::Consumer { .. }
            | GroupRecord::Member { .. }
            | GroupRecord::TargetEpoch { .. }
            | GroupRecord::TargetMember { .. }
            | GroupRecord::CurrentMember { .. }
            | GroupRecord::Regex { .. } => None,
        });
        let gone: Vec<Key> = gone.collect();
        let said = if gone.is_empty() { Said::default() } else { Said::by(fold.view().records) };
        fold.push(batch);
        for key in gone.iter().filter(|key| said.offsets.contains_key(*key)) {
            let due = said.due(key, retention);
            if due.is_none_or(|due| batch.at < due) {
                let (age, value) = (said.ages.get(&key.0), &said.offsets[key]);
                let story = format!("{key:?} goes at {:?}, due at {due:?}: {age:?}, {value:?}", batch.at);
                return Err(Violation::new(NAME, story));
            }
        }
        Ok(())
    }
}

impl Checker for OffsetsExpireInTime {
    fn on_clock(&mut self, now: Instant, wall: Timestamp) {
        (self.now, self.wall) = (now, wall);
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "nothing else tells of coordinators")]
    fn on_fact(&mut self, fact: &Fact) -> Result<(), Violation> {
        let Some((retention, _)) = self.times else { return Ok(()) };
        match fact {
            Fact::Kept { batch, .. } => return self.on_kept(retention, batch),
            Fact::Core { event: Event::Recovered { partition, log_end, .. }, .. } => {
                if let Some(fold) = self.folds.get_mut(partition) {
                    fold.cut(*log_end);
                }
            }
            // A start begins to count anew.
            Fact::Ended { .. } | Fact::DiskReplaced { .. } => self.overdue.clear(),
            _ => {}
        }
        Ok(())
    }

    fn on_look(&mut self, look: &Look) -> Result<(), Violation> {
        let Some((retention, interval)) = self.times else { return Ok(()) };
        for view in &look.coordinators {
            let said = Said::by(view.groups.records.clone());
            for key in said.offsets.keys() {
                let place = (view.partition, key.clone());
                let is_old = said.due(key, retention).is_some_and(|due| due <= self.wall);
                if !is_old || view.groups.rebalancing.contains(&key.0) {
                    self.overdue.remove(&place);
                    continue;
                }
                let since = *self.overdue.entry(place).or_insert(self.now);
                if since + interval + DELAY_MAX < self.now {
                    let age = said.ages.get(&key.0);
                    let story = format!("{key:?} is there since {since:?}, too old by {age:?}");
                    return Err(Violation::new(NAME, story));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
