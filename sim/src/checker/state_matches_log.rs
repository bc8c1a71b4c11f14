//! What a partition derives from its batches is what they say: the leader epochs, the producers' sequences, the index of each
//! segment. The batches are folded here from the events that told of them, across all lives of a node, and held against looks
//! into it. Where bits have rotted and a loss was told, nothing is known.

use std::collections::BTreeMap;

use highwater_core::id::{LeaderEpoch, Offset, PartitionId, ProducerId, TopicId};
use highwater_core::limits::PRODUCER_BATCHES_RETAINED;
use highwater_core::log::{EpochStart, LogView, Producer, SegmentView};
use highwater_core::shard::{Event, Sequenced};
use highwater_core::time::Timestamp;

use super::{Checker, Look, Rules};
use crate::history::{Deed, Fact};
use crate::report::Violation;

const NAME: &str = "state_matches_log";

#[derive(Debug, Clone, Copy)]
struct Batch {
    base: Offset,
    last: Offset,
    bytes: u32,
    segment_base: Offset,
    position: u32,
    epoch: LeaderEpoch,
    max_timestamp: Timestamp,
    producer: Option<Sequenced>,
}

/// The last batch that a producer wrote, where it ended, and the newest batches of its epoch by their sequences.
type Written = (Sequenced, Offset, Vec<(i32, i32, Offset)>);

/// All batches that a partition was ever given and that no crash took back.
#[derive(Debug, Default, Clone)]
struct Fold {
    batches: Vec<Batch>,
    /// What the last start did not find, and nothing has taken the place of yet. A disk that answered with other bytes has it still.
    beyond: Vec<Batch>,
    /// What stood where batches were given that are not durable: such a disk has it still if they never come there.
    displaced: Vec<Batch>,
    /// Something was lost and told: what is derived need not match any more.
    lossy: bool,
    /// Compaction took batches: a footer that is made anew from what is left knows less than the one before.
    cleaned: bool,
    /// The node ended since: how much was kept is not known yet.
    unsure: bool,
    /// Records were deleted on request, however much is left.
    trimmed: bool,
    /// The base of the newest segment that is known to be deleted.
    deleted: Option<Offset>,
    /// As the last look said, if nothing was altered since.
    kept_bytes: Option<u64>,
}

impl Fold {
    /// Batches are given from there on.
    fn cut(&mut self, base: Offset) {
        let mut replaced = self.batches.split_off(self.batches.partition_point(|batch| batch.base < base));
        replaced.append(&mut self.beyond);
        if self.displaced.is_empty() {
            self.displaced = replaced;
        }
        self.unsure = false;
    }

    /// What was given up to there is on disk.
    fn durable(&mut self, end: Offset) {
        if self.displaced.first().is_some_and(|first| first.base < end) {
            self.displaced.clear();
        }
    }

    /// A start found the log to end there. Only where bits rot it may find more than the start before.
    fn found(&mut self, log_end: Offset, rot: bool) {
        let mut all = std::mem::take(&mut self.batches);
        all.append(&mut self.beyond);
        let ends_there = |batches: &[Batch]| batches.iter().any(|batch| batch.last.next() == log_end);
        if rot && !ends_there(&all) && ends_there(&self.displaced) {
            all.truncate(all.partition_point(|batch| batch.base < self.displaced[0].base));
            all.append(&mut self.displaced);
        }
        self.beyond = all.split_off(all.partition_point(|batch| batch.base < log_end));
        self.batches = all;
        if !rot {
            self.beyond.clear();
            self.displaced.clear();
        }
        self.unsure = false;
    }

    fn end(&self) -> Offset {
        self.batches.last().map_or(Offset::ZERO, |batch| batch.last.next())
    }

    fn epochs(&self, log: &LogView) -> Vec<EpochStart> {
        let mut epochs: Vec<EpochStart> = Vec::new();
        for batch in &self.batches {
            if epochs.last().is_none_or(|last| last.epoch < batch.epoch) {
                epochs.push(EpochStart { epoch: batch.epoch, start: batch.base });
            }
        }
        let dead = epochs.partition_point(|epoch| epoch.start <= log.log_start).saturating_sub(1);
        epochs.drain(..dead);
        if let Some(first) = epochs.first_mut() {
            first.start = first.start.max(log.log_start);
        }
        epochs
    }

    /// The producers after the batches from `from` on.
    fn producers(&self, from: Offset) -> BTreeMap<ProducerId, Written> {
        let mut producers = BTreeMap::new();
        for batch in self.batches.iter().filter(|batch| batch.last >= from) {
            let Some(written) = batch.producer else { continue };
            let known = producers.entry(written.id).or_insert((written, batch.last, Vec::new()));
            if known.0.epoch != written.epoch {
                known.2.clear();
            }
            if known.2.len() == PRODUCER_BATCHES_RETAINED {
                known.2.remove(0);
            }
            known.2.push((written.first, written.last, batch.base));
            (known.0, known.1) = (written, batch.last);
        }
        producers
    }
}

/// What of the log does not follow from the fold.
fn contradiction(fold: &Fold, log: &LogView) -> Option<String> {
    if fold.end() != log.log_end {
        return Some(format!("batches end at {}, the log at {}", fold.end(), log.log_end));
    }
    let (epochs, known): (Vec<_>, Vec<_>) = (fold.epochs(log), log.epochs.clone());
    // A log without a batch may remember the last epoch or not.
    if log.log_start < log.log_end && epochs != known {
        return Some(format!("epochs {known:?}, by the batches {epochs:?}"));
    }
    producers(fold, log).or_else(|| log.segments.iter().find_map(|segment| index(fold, segment)))
}

/// All producers are known, and nothing but what batches said of them. Of those whose batches retention took, as much as a footer
/// kept.
fn producers(fold: &Fold, log: &LogView) -> Option<String> {
    let (all, kept) = (fold.producers(Offset::ZERO), fold.producers(log.log_start));
    let known: BTreeMap<ProducerId, &Producer> =
        log.producers.iter().map(|(id, known)| (*id, known)).collect();
    let missing = all.keys().find(|id| !known.contains_key(id));
    if let Some(id) = missing {
        let there = if kept.contains_key(id) { "are there" } else { "were there" };
        return Some(format!("producer {} is not known, and its batches {there}", id.0));
    }
    known.iter().find_map(|(id, known)| {
        let batches = known.batches.iter();
        let batches: Vec<_> = batches.map(|b| (b.first_sequence, b.last_sequence, b.base)).collect();
        let least = kept.get(id).map_or(0, |kept| kept.2.len());
        let fits = all.get(id).is_some_and(|(written, last, all)| {
            written.epoch == known.epoch && *last == known.last && all.ends_with(&batches)
        });
        let fits = fits && batches.len() >= least;
        (!fits).then(|| format!("producer {} is {known:?}, by the batches {:?}", id.0, all.get(id)))
    })
}

fn index(fold: &Fold, segment: &SegmentView) -> Option<String> {
    // What stands in it is not what was appended.
    if segment.name.cleaned.is_some() {
        return None;
    }
    let from = fold.batches.partition_point(|batch| batch.base < segment.base);
    let until = fold.batches.partition_point(|batch| batch.base < segment.end);
    let batches = &fold.batches[from..until];
    let wrong = |what: String| Some(format!("segment {}: {what}", segment.base));
    let bytes: u32 = batches.iter().map(|batch| batch.bytes).sum();
    if bytes != segment.len || batches.iter().any(|batch| batch.segment_base != segment.base) {
        return wrong(format!("{} bytes, by the batches {bytes}", segment.len));
    }
    let newest_before =
        |position: u32| batches.iter().filter(|b| b.position < position).map(|b| b.max_timestamp).max();
    for entry in &segment.index {
        let base = segment.base.plus(i64::from(entry.offset_delta));
        let found = batches.binary_search_by_key(&base, |batch| batch.base).ok();
        if found.is_none_or(|found| batches[found].position != entry.position)
            || newest_before(entry.position) != Some(entry.timestamp_max_before)
        {
            return wrong(format!("{entry:?} matches no batch"));
        }
    }
    let begins = |position: u32| {
        batches.is_empty() || batches.binary_search_by_key(&position, |batch| batch.position).is_ok()
    };
    for &(offset, position) in &segment.by_offset {
        let holder = batches[..batches.partition_point(|batch| batch.base <= offset)].last();
        if !begins(position) || holder.is_none_or(|holder| position > holder.position) {
            return wrong(format!("offset {offset} is looked for from {position} on"));
        }
    }
    for &(time, position) in &segment.by_time {
        if !begins(position) || newest_before(position).is_some_and(|newest| newest >= time) {
            return wrong(format!("{time:?} is looked for from {position} on"));
        }
    }
    None
}

#[derive(Debug, Default, Clone)]
pub(super) struct StateMatchesLog {
    /// Bits rot, so that both copies of a footer may.
    rot: bool,
    folds: BTreeMap<(usize, PartitionId), Fold>,
    /// What is kept of this topic changes from one look to the next.
    ruled: Option<TopicId>,
}

impl StateMatchesLog {
    pub(super) fn new(rules: &Rules) -> Self {
        Self { rot: rules.rot, ..Self::default() }
    }

    fn fold(&mut self, node: usize, partition: PartitionId) -> &mut Fold {
        self.folds.entry((node, partition)).or_default()
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "most events tell of no batch")]
    fn on_event(&mut self, node: usize, event: &Event) -> Result<(), Violation> {
        match *event {
            Event::Appended {
                partition,
                base,
                last,
                epoch,
                bytes,
                segment_base,
                position,
                max_timestamp,
                producer,
            } => {
                let fold = self.fold(node, partition);
                fold.cut(base);
                let batch =
                    Batch { base, last, bytes, segment_base, position, epoch, max_timestamp, producer };
                fold.batches.push(batch);
            }
            Event::DurableAdvanced { partition, durable_end } => {
                self.fold(node, partition).durable(durable_end);
            }
            Event::Recovered { partition, log_start, log_end } => {
                let rot = self.rot;
                let fold = self.fold(node, partition);
                fold.found(log_end, rot);
                // A start that nobody was told of: the crash came between the file and the word.
                let mut bases = fold.batches.iter().map(|batch| batch.segment_base);
                fold.trimmed |= bases.any(|base| Some(base) > fold.deleted && base < log_start);
            }
            Event::Faulty { partition, .. } | Event::ProducersLost { partition } => {
                self.fold(node, partition).lossy = true;
            }
            Event::LogStartMoved { partition, .. } => self.fold(node, partition).trimmed = true,
            Event::SegmentCleaned { partition, .. } => self.fold(node, partition).cleaned = true,
            Event::FooterRebuilt { partition, .. } => {
                let rot = self.rot;
                let fold = self.fold(node, partition);
                fold.lossy |= fold.cleaned && rot;
            }
            Event::SegmentDeleted { partition, base } => {
                let ruled = self.ruled == Some(partition.topic);
                let fold = self.fold(node, partition);
                fold.deleted = fold.deleted.max(Some(base));
                let left = fold.batches.iter().filter(|batch| batch.segment_base > base);
                let left: u64 = left.map(|batch| u64::from(batch.bytes)).sum();
                let excused = fold.lossy || fold.trimmed || ruled;
                if fold.kept_bytes.is_some_and(|least| left < least) && !excused {
                    let story = format!(
                        "{partition}: {base} was deleted, {left} bytes are left: {:?}",
                        fold.kept_bytes
                    );
                    return Err(Violation::new(NAME, story));
                }
            }
            _ => {}
        }
        Ok(())
    }
}

impl Checker for StateMatchesLog {
    #[expect(clippy::wildcard_enum_match_arm, reason = "only the core tells of batches")]
    fn on_fact(&mut self, fact: &Fact) -> Result<(), Violation> {
        match fact {
            Fact::Core { node, event } => return self.on_event(*node, event),
            Fact::Steward { deed: Deed::Owns { ruled }, .. } => self.ruled = Some(*ruled),
            // What brokers keep may be what topics keep that say nothing: the next look tells.
            Fact::Steward { deed: Deed::Altering { .. } | Deed::Altered(_), .. } => {
                self.folds.values_mut().for_each(|fold| fold.kept_bytes = None);
            }
            Fact::Ended { node, .. } => {
                let folds = self.folds.iter_mut().filter(|((of, _), _)| of == node);
                folds.for_each(|(_, fold)| fold.unsure = true);
            }
            _ => {}
        }
        Ok(())
    }

    fn on_look(&mut self, look: &Look) -> Result<(), Violation> {
        for view in &look.partitions {
            let rot = self.rot;
            let fold = self.fold(look.node, view.partition);
            if fold.unsure {
                fold.found(view.log.log_end, rot);
            }
            fold.kept_bytes = view.log.kept_bytes;
            if fold.lossy || !view.log.faulty.is_empty() {
                continue;
            }
            if let Some(what) = contradiction(fold, &view.log) {
                let (node, partition) = (look.node, view.partition);
                return Err(Violation::new(NAME, format!("node {node} {partition}: {what}")));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
