//! Which batches of which producers a partition holds, so that each is appended once and in order (KIP-98, KIP-360). A fold of
//! the batches in log order and of nothing else: a replica, a recovery and a leader must come to the same state.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use crate::batch::{BatchInfo, NO_PRODUCER};
use crate::id::{Offset, ProducerEpoch, ProducerId};
use crate::limits::{PRODUCER_BATCHES_RETAINED, PRODUCERS_PER_PARTITION_MAX};
use crate::log::{AppendError, Extent};
use crate::mutant::{self, Mutant};
use crate::time::Timestamp;

/// A batch that is remembered to recognise its duplicate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetainedBatch {
    pub first_sequence: i32,
    pub last_sequence: i32,
    pub base: Offset,
    pub last: Offset,
    pub timestamp: Timestamp,
}

/// What is known of one producer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Producer {
    pub epoch: ProducerEpoch,
    /// The end of the log after this producer's last write; unique, so it also orders producers by age.
    pub last: Offset,
    /// The newest batches of this epoch, oldest first.
    pub batches: VecDeque<RetainedBatch>,
}

/// Answer to whether a batch may be appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    New,
    Duplicate(RetainedBatch),
}

/// Whether the log still holds all that was ever written to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum History {
    /// It does: a producer that is not known has never written here.
    Whole,
    /// It does not: what an unknown producer wrote may be gone (KIP-360).
    Trimmed,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProducerState {
    producers: BTreeMap<ProducerId, Producer>,
    by_age: BTreeMap<Offset, ProducerId>,
}

fn in_order(info: &BatchInfo, expected: i32) -> Result<Verdict, AppendError> {
    let found = info.base_sequence;
    if found == expected || (found > expected && mutant::on(Mutant::SequenceGapAccepted)) {
        Ok(Verdict::New)
    } else {
        Err(AppendError::OutOfOrderSequence { expected, found })
    }
}

impl ProducerState {
    /// Whether `info` continues its producer's sequence, repeats one of its last batches, or must be refused.
    pub fn check(&self, info: &BatchInfo, history: History) -> Result<Verdict, AppendError> {
        if info.producer_id == NO_PRODUCER {
            return Ok(Verdict::New);
        }
        let Some(producer) = self.producers.get(&info.producer_id) else {
            let free = mutant::on(Mutant::FirstSequenceFree) && !self.producers.is_empty();
            return match history {
                History::Whole if free => Ok(Verdict::New),
                // Its topic was deleted and made again, or the id is from nowhere. Clients begin again.
                History::Whole
                    if self.producers.len() < PRODUCERS_PER_PARTITION_MAX && info.base_sequence != 0 =>
                {
                    Err(AppendError::UnknownProducerId)
                }
                History::Whole | History::Trimmed => Ok(Verdict::New),
            };
        };
        if info.producer_epoch < producer.epoch && !mutant::on(Mutant::EpochFencingIgnored) {
            let (current, found) = (producer.epoch, info.producer_epoch);
            return Err(AppendError::InvalidProducerEpoch { current, found });
        }
        if info.producer_epoch == producer.epoch {
            let last_sequence = info.last_sequence();
            let forgotten = producer.batches.len().saturating_sub(1);
            let forgotten = if mutant::on(Mutant::DedupWindowTooSmall) { forgotten } else { 0 };
            let repeated = producer.batches.iter().skip(forgotten).find(|batch| {
                batch.first_sequence == info.base_sequence && batch.last_sequence == last_sequence
            });
            if let Some(batch) = repeated {
                if mutant::on(Mutant::DuplicateAppended) {
                    return Ok(Verdict::New);
                }
                return Ok(Verdict::Duplicate(*batch));
            }
        }
        let expected = match producer.batches.back() {
            Some(last) if info.producer_epoch == producer.epoch => {
                last.last_sequence.wrapping_add(1) & i32::MAX
            }
            Some(_) | None => 0,
        };
        in_order(info, expected)
    }

    /// Takes in a batch that is in the log at `extent`, whether it was checked here or by another leader.
    pub fn apply(&mut self, info: &BatchInfo, extent: Extent) {
        let id = info.producer_id;
        if id == NO_PRODUCER {
            return;
        }
        let producer = self.producers.entry(id).or_insert_with(|| Producer {
            epoch: info.producer_epoch,
            last: extent.last,
            batches: VecDeque::new(),
        });
        self.by_age.remove(&producer.last);
        self.by_age.insert(extent.last, id);
        producer.last = extent.last;
        if producer.epoch != info.producer_epoch {
            producer.epoch = info.producer_epoch;
            producer.batches.clear();
        }
        if !info.control {
            if producer.batches.len() == PRODUCER_BATCHES_RETAINED {
                producer.batches.pop_front();
            }
            producer.batches.push_back(RetainedBatch {
                first_sequence: info.base_sequence,
                last_sequence: info.last_sequence(),
                base: extent.base,
                last: extent.last,
                timestamp: info.max_timestamp,
            });
        }
        if self.producers.len() > PRODUCERS_PER_PARTITION_MAX {
            let (_, oldest) = self.by_age.pop_first().expect("every producer has an age");
            self.producers.remove(&oldest);
        }
    }

    /// Where the newest batch with records of a producer ends.
    pub fn last_data_offset(&self, id: ProducerId) -> Option<Offset> {
        self.producers.get(&id)?.batches.back().map(|batch| batch.last)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&ProducerId, &Producer)> {
        self.producers.iter()
    }

    pub fn snapshot(&self) -> Vec<(ProducerId, Producer)> {
        self.producers.iter().map(|(id, producer)| (*id, producer.clone())).collect()
    }

    /// The state that [`Self::snapshot`] gave; `None` if it contradicts itself.
    pub fn from_snapshot(snapshot: Vec<(ProducerId, Producer)>) -> Option<Self> {
        if snapshot.len() > PRODUCERS_PER_PARTITION_MAX {
            return None;
        }
        let count = snapshot.len();
        let by_age: BTreeMap<_, _> = snapshot.iter().map(|(id, producer)| (producer.last, *id)).collect();
        let bounded =
            snapshot.iter().all(|(_, producer)| producer.batches.len() <= PRODUCER_BATCHES_RETAINED);
        let producers: BTreeMap<_, _> = snapshot.into_iter().collect();
        (bounded && by_age.len() == count && producers.len() == count).then_some(Self { producers, by_age })
    }

    pub fn len(&self) -> usize {
        self.producers.len()
    }

    pub fn is_empty(&self) -> bool {
        self.producers.is_empty()
    }

    pub fn audit(&self) {
        assert!(self.producers.len() == self.by_age.len(), "every producer has one age");
        assert!(self.producers.len() <= PRODUCERS_PER_PARTITION_MAX, "producers are bounded");
        for (id, producer) in &self.producers {
            assert!(self.by_age.get(&producer.last) == Some(id), "the ages are those of the producers");
            assert!(producer.batches.len() <= PRODUCER_BATCHES_RETAINED, "retained batches are bounded");
        }
    }
}
