//! The batches of one partition that are not acknowledged: in order, with the sequences that let a broker know them again.
//!
//! Invariant: batches are sent in the order in which they were made, and one that is sent again is sent alone. So a sequence
//! never overtakes an earlier one, whatever was lost. And a batch that may be in the log keeps its sequence, by which the broker
//! knows it again: under another it might be there twice.

use alloc::collections::{BTreeSet, VecDeque};
use alloc::vec::Vec;

use super::{ClientError, Token, Written};
use crate::batch::{
    BatchBuilder, BatchHeader, BatchView, Codec, Compressor, HEADER_BYTES, NewRecord, ProducerState,
    patch_producer, recompress,
};
use crate::buf::Slice;
use crate::id::{ProducerEpoch, ProducerId};
use crate::time::{Duration, Instant};

#[derive(Debug)]
enum Body {
    /// Takes further records while it is the last.
    Open(BatchBuilder),
    Built(Slice),
}

/// Records that are sent, acknowledged and failed together.
#[derive(Debug)]
pub(super) struct Batch {
    order: u64,
    body: Body,
    pub(super) tokens: Vec<Token>,
    /// Bytes of records, as they count for the buffer.
    pub(super) bytes: usize,
    created: Instant,
    retry_at: Instant,
    attempts: u32,
    /// What earlier attempts may have done.
    pub(super) written: Written,
    sequence: Option<i32>,
}

impl Batch {
    /// Whether the broker may know it by its sequence.
    fn is_doubtful(&self) -> bool {
        self.sequence.is_some() && self.written == Written::Perhaps
    }

    /// The bytes to send.
    pub(super) fn slice(&self) -> Slice {
        match &self.body {
            Body::Open(_) => panic!("a batch is built before it is sent"),
            Body::Built(slice) => slice.clone(),
        }
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) struct QueueLimits {
    pub(super) compression: Codec,
    pub(super) batch_bytes: usize,
    pub(super) in_flight_max: usize,
    pub(super) delivery_timeout: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sequences {
    Going,
    /// A gap may be in them: once nothing is under way and nothing in doubt, they begin again under the next epoch.
    Broken,
}

#[derive(Debug)]
pub(super) struct PartitionQueue {
    /// Ascending in `order`.
    waiting: VecDeque<Batch>,
    in_flight: BTreeSet<u64>,
    order_next: u64,
    producer: Option<(ProducerId, ProducerEpoch)>,
    sequence_next: i32,
    sequences: Sequences,
}

impl PartitionQueue {
    pub(super) fn new() -> Self {
        Self {
            waiting: VecDeque::new(),
            in_flight: BTreeSet::new(),
            order_next: 0,
            producer: None,
            sequence_next: 0,
            sequences: Sequences::Going,
        }
    }

    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Appends a record to the last batch, or to a new one; returns the bytes that it takes.
    pub(super) fn push(
        &mut self,
        now: Instant,
        limits: &QueueLimits,
        token: Token,
        record: &NewRecord<'_>,
    ) -> usize {
        if let Some(batch) = self.waiting.back_mut()
            && let Body::Open(builder) = &mut batch.body
            && builder.len_with(record) <= limits.batch_bytes
        {
            let before = builder.len();
            builder.push(record);
            let grown = builder.len() - before;
            batch.bytes += grown;
            batch.tokens.push(token);
            return grown;
        }
        let mut builder = BatchBuilder::new(BatchHeader::default());
        builder.push(record);
        let bytes = builder.len() - HEADER_BYTES;
        self.waiting.push_back(Batch {
            order: self.order_next,
            body: Body::Open(builder),
            tokens: Vec::from([token]),
            bytes,
            created: now,
            retry_at: now,
            attempts: 0,
            written: Written::No,
            sequence: None,
        });
        self.order_next += 1;
        bytes
    }

    /// Whether [`Self::take`] would give a batch.
    pub(super) fn can_send(&self, now: Instant, limits: &QueueLimits) -> bool {
        let Some(next) = self.waiting.get(self.next()) else { return false };
        let alone = next.attempts > 0 || self.sequences == Sequences::Broken;
        let room =
            if alone { self.in_flight.is_empty() } else { self.in_flight.len() < limits.in_flight_max };
        room && next.retry_at <= now
    }

    /// The place of the batch that is sent next: before a new epoch, those in doubt have their last chance in the old one.
    fn next(&self) -> usize {
        let doubtful = match self.sequences {
            Sequences::Going => None,
            Sequences::Broken => self.waiting.iter().position(Batch::is_doubtful),
        };
        doubtful.unwrap_or(0)
    }

    /// The next batch to send, built and, with a producer id, numbered.
    pub(super) fn take(
        &mut self,
        id: Option<(ProducerId, ProducerEpoch)>,
        limits: &QueueLimits,
    ) -> Result<Batch, ClientError> {
        assert!(self.is_waiting(), "only a queue that can send is taken from");
        let next = self.next();
        if let Some((id, epoch)) = id {
            if self.sequences == Sequences::Broken && !self.waiting[next].is_doubtful() {
                self.begin_epoch()?;
            }
            self.producer.get_or_insert((id, epoch));
        }
        let mut batch = self.waiting.remove(next).expect("asserted above");
        self.build(&mut batch, limits.compression);
        batch.attempts += 1;
        self.in_flight.insert(batch.order);
        Ok(batch)
    }

    /// All that waits gets new sequences under the next epoch. Nothing is under way, so no old sequence can come after.
    fn begin_epoch(&mut self) -> Result<(), ClientError> {
        assert!(self.in_flight.is_empty(), "an epoch ends when all of its batches are answered");
        if let Some((_, epoch)) = &mut self.producer {
            epoch.0 = epoch.0.checked_add(1).ok_or(ClientError::EpochExhausted)?;
        }
        self.sequence_next = 0;
        self.sequences = Sequences::Going;
        for batch in &mut self.waiting {
            batch.sequence = None;
        }
        Ok(())
    }

    fn build(&mut self, batch: &mut Batch, codec: Codec) {
        let state = match self.producer {
            Some((id, epoch)) if batch.sequence.is_none() => {
                let base_sequence = self.sequence_next;
                let count = i32::try_from(batch.tokens.len()).expect("a batch's count fits its header");
                self.sequence_next = base_sequence.wrapping_add(count) & i32::MAX;
                batch.sequence = Some(base_sequence);
                Some(ProducerState { id, epoch, base_sequence })
            }
            Some(_) | None => None,
        };
        let body = core::mem::replace(&mut batch.body, Body::Built(Slice::from_vec(Vec::new())));
        batch.body = match (body, state) {
            (Body::Open(mut builder), state) => {
                if let Some(state) = state {
                    builder.set_producer(state);
                }
                Body::Built(Slice::from_vec(compressed(builder.build(), codec)))
            }
            (Body::Built(slice), Some(state)) => {
                let mut bytes = slice.to_vec();
                patch_producer(&mut bytes, state);
                Body::Built(Slice::from_vec(bytes))
            }
            (built @ Body::Built(_), None) => built,
        };
    }

    /// A batch that was taken is answered for good.
    pub(super) fn on_settled(&mut self, batch: &Batch) {
        let known = self.in_flight.remove(&batch.order);
        assert!(known, "a batch is settled once");
    }

    /// A batch that was taken shall be sent again.
    pub(super) fn give_back(&mut self, mut batch: Batch, retry_at: Instant) {
        self.on_settled(&batch);
        batch.retry_at = retry_at;
        let place = self.waiting.partition_point(|other| other.order < batch.order);
        self.waiting.insert(place, batch);
    }

    /// Whether no earlier batch is still to come.
    fn is_first(&self, batch: &Batch) -> bool {
        let earlier = self.in_flight.first().is_some_and(|&order| order < batch.order);
        !earlier && self.waiting.front().is_none_or(|front| front.order > batch.order)
    }

    /// Whether the broker refuses this batch for its sequence whatever is still to come.
    pub(super) fn is_out_of_sequence(&self, batch: &Batch) -> bool {
        self.sequences == Sequences::Broken || self.is_first(batch)
    }

    /// The broker will not see the sequences that it expects.
    pub(super) fn break_sequences(&mut self) {
        if self.producer.is_some() {
            self.sequences = Sequences::Broken;
        }
    }

    /// Takes out a batch that waited for too long.
    pub(super) fn expire(&mut self, now: Instant, limits: &QueueLimits) -> Option<Batch> {
        let front = self.waiting.front()?;
        if front.created + limits.delivery_timeout > now {
            return None;
        }
        self.take_failed()
    }

    /// Takes out the first batch, because it will not be sent.
    pub(super) fn take_failed(&mut self) -> Option<Batch> {
        let batch = self.waiting.pop_front()?;
        if batch.sequence.is_some() {
            self.break_sequences();
        }
        Some(batch)
    }

    /// When the first batch may be sent or has waited for too long.
    pub(super) fn deadlines(&self, limits: &QueueLimits) -> Option<[Instant; 2]> {
        let front = self.waiting.front()?;
        Some([self.waiting[self.next()].retry_at, front.created + limits.delivery_timeout])
    }
}

/// The batch with its records compressed, or as it is if that is no longer.
fn compressed(batch: Vec<u8>, codec: Codec) -> Vec<u8> {
    if codec == Codec::None {
        return batch;
    }
    let (view, _) = BatchView::parse(&batch).expect("we have just built it");
    let smaller = recompress(&view, &batch[HEADER_BYTES..], codec.into(), &mut Compressor::new());
    if smaller.len() < batch.len() { smaller } else { batch }
}
