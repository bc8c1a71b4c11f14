//! What a coordinator has in memory is what its log says: it comes from replaying its records and from nothing else, also across
//! crashes, and after compaction. The records are folded here from the frames that took them to the disk, across all lives of a node, and
//! held against looks into it.

use std::collections::BTreeMap;

use highwater_core::coordinator::Machine;
use highwater_core::group::groups::{Groups, GroupsView};
use highwater_core::group::record::GroupRecord;
use highwater_core::id::{Offset, PartitionId};
use highwater_core::shard::{CoordinatorView, Event};

use super::{Checker, Look, Rules};
use crate::history::{Fact, Kept};
use crate::report::Violation;

const NAME: &str = "coordinator_matches_log";

/// All batches of a coordinator's partition that no crash took back, and what they come to.
#[derive(Debug, Default)]
pub(super) struct Fold {
    batches: Vec<Kept>,
    /// After the first so many of them.
    groups: Groups,
    replayed: usize,
}

impl Clone for Fold {
    fn clone(&self) -> Self {
        Self { batches: self.batches.clone(), ..Self::default() }
    }
}

impl Fold {
    pub(super) fn end(&self) -> Offset {
        self.batches.last().map_or(Offset::ZERO, |batch| batch.end)
    }

    pub(super) fn cut(&mut self, log_end: Offset) {
        self.batches.truncate(self.batches.partition_point(|batch| batch.base < log_end));
        if self.replayed > self.batches.len() {
            (self.groups, self.replayed) = (Groups::default(), 0);
        }
    }

    /// What was written before comes again where the WAL carries it forward.
    pub(super) fn push(&mut self, batch: &Kept) {
        if batch.base >= self.end() {
            self.batches.push(batch.clone());
        }
    }

    pub(super) fn view(&mut self) -> GroupsView {
        for batch in &self.batches[self.replayed..] {
            batch.records.iter().for_each(|record| self.groups.replay(record.clone()));
        }
        self.replayed = self.batches.len();
        self.groups.view()
    }
}

/// What of a coordinator does not follow from its log.
fn contradiction(fold: &mut Fold, view: &CoordinatorView) -> Option<String> {
    let is_told = |record: &&GroupRecord| match record {
        GroupRecord::Classic { group, .. } => !view.groups.rebalancing.contains(group),
        GroupRecord::Offset { .. }
        | GroupRecord::Consumer { .. }
        | GroupRecord::Member { .. }
        | GroupRecord::TargetEpoch { .. }
        | GroupRecord::TargetMember { .. }
        | GroupRecord::CurrentMember { .. }
        | GroupRecord::Regex { .. } => true,
    };
    let by_log = fold.view();
    let by_log: Vec<&GroupRecord> = by_log.records.iter().filter(is_told).collect();
    let has: Vec<&GroupRecord> = view.groups.records.iter().collect();
    let extra = has.iter().find(|record| !by_log.contains(record));
    let lacking = by_log.iter().find(|record| !has.contains(record));
    (extra.is_some() || lacking.is_some()).then(|| format!("has {extra:?}, its log says {lacking:?}"))
}

#[derive(Debug, Clone, Default)]
pub(super) struct CoordinatorMatchesLog {
    /// Bits rot: a coordinator may not be able to read what was written.
    rot: bool,
    folds: BTreeMap<PartitionId, Fold>,
}

impl CoordinatorMatchesLog {
    pub(super) fn new(rules: &Rules) -> Self {
        Self { rot: rules.rot, ..Self::default() }
    }
}

impl Checker for CoordinatorMatchesLog {
    #[expect(clippy::wildcard_enum_match_arm, reason = "nothing else tells of coordinators")]
    fn on_fact(&mut self, fact: &Fact) -> Result<(), Violation> {
        match fact {
            Fact::Kept { batch, .. } => self.folds.entry(batch.partition).or_default().push(batch),
            Fact::Core { event: Event::Recovered { partition, log_end, .. }, .. } => {
                if let Some(fold) = self.folds.get_mut(partition) {
                    fold.cut(*log_end);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn on_look(&mut self, look: &Look) -> Result<(), Violation> {
        for view in look.coordinators.iter().filter(|_| !self.rot) {
            let fold = self.folds.entry(view.partition).or_default();
            // What is appended is written a little later.
            if fold.end() != view.log_end {
                continue;
            }
            if let Some(what) = contradiction(fold, view) {
                let story = format!("node {} {}: {what}", look.node, view.partition);
                return Err(Violation::new(NAME, story));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
