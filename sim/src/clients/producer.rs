//! Produces records through the real client, in bursts, and writes down what it says became of each. Must not know who reads
//! them, nor what batches they came in.

use std::collections::{BTreeMap, BTreeSet};

use highwater_core::batch::NewHeader;
use highwater_core::client::{
    Acks, ClientEvent, ProduceError, ProduceFailure, ProduceRecord, Receipt, Token, TopicPartition, Written,
};
use highwater_core::prng::Prng;
use highwater_core::time::{Instant, Timestamp};

use super::Desk;
use super::fetching::Partitions;
use super::record::{self, NUMBER_BYTES, content};
use super::session::{Next, Task, Turn};
use crate::draw::Draw;
use crate::history::{Acked, Fact, Place, Process, Sent, Unacked, Value};
use crate::params::{ProducerSpec, TopicParams};

/// A producer.
#[derive(Debug)]
pub(super) struct Producer {
    spec: ProducerSpec,
    partitions: Partitions,
    /// Topics whose records have keys that others have too.
    compacted: BTreeSet<usize>,
    /// Records without a known fate, by their numbers.
    open: BTreeMap<u64, Place>,
    bursts_left: u64,
    next_at: Instant,
}

impl Producer {
    pub(super) fn new(spec: ProducerSpec, topics: &[TopicParams]) -> Self {
        Self {
            partitions: Partitions::new(&spec.places, topics),
            compacted: (0..topics.len()).filter(|topic| topics[*topic].compacts()).collect(),
            open: BTreeMap::new(),
            bursts_left: spec.bursts,
            next_at: Instant::default(),
            spec,
        }
    }

    fn burst(&mut self, turn: &mut Turn<'_, '_>) {
        let mut place = turn.prng.pick(&self.spec.places);
        for _ in 0..turn.prng.scaled(1, self.spec.records_max) {
            if turn.prng.chance(100_000) {
                place = turn.prng.pick(&self.spec.places);
            }
            let partition = self.partitions.partition(place);
            if self.produce(place, partition, turn) == Err(ProduceError::Full) {
                turn.desk.operations.add("buffer-full");
                return;
            }
        }
    }

    fn produce(
        &mut self,
        place: Place,
        partition: TopicPartition,
        turn: &mut Turn<'_, '_>,
    ) -> Result<(), ProduceError> {
        let number = turn.desk.history.new_value();
        let (key, mut value) = draw_record(&self.spec, number, turn.prng);
        let compacts = self.compacted.contains(&place.topic);
        let key = if compacts { Some(record::shared_key(number)) } else { key };
        if compacts {
            let len = value.map_or(0, |value| value.len());
            value = (!number.is_tombstone()).then(|| content(number, len));
        }
        let bytes = number.0.to_be_bytes();
        let header = match compacts {
            true => [NewHeader { key: record::NUMBER_HEADER, value: Some(&bytes) }],
            false => [NewHeader { key: b"h", value: None }],
        };
        let record = ProduceRecord {
            partition,
            timestamp: Timestamp(turn.desk.wall_millis),
            key: key.as_deref(),
            value: value.as_deref(),
            headers: if turn.prng.chance(50_000) || compacts { &header } else { &[] },
        };
        turn.client.produce(turn.desk.clocks(), Token(number.0), &record)?;
        self.open.insert(number.0, place);
        let (process, promise) = (turn.process, self.spec.promise());
        turn.desk.history.record(Fact::Sent(Sent { process, place, value: number, promise }));
        Ok(())
    }

    fn on_produced(
        &mut self,
        token: Token,
        result: Result<Receipt, ProduceFailure>,
        process: Process,
        desk: &mut Desk<'_>,
    ) {
        let value = Value(token.0);
        let Some(place) = self.open.remove(&token.0) else {
            return desk.complain("client", format!("two fates of {value:?}, one is {result:?}"));
        };
        let unacked = |written, error| Fact::Unacked(Unacked { process, place, value, written, error });
        desk.history.record(match result {
            Ok(_) if self.spec.acks == Acks::None => unacked(Written::Perhaps, None),
            Ok(Receipt { offset, .. }) => {
                desk.operations.add("acked");
                let offset = offset.map(|offset| offset.0);
                Fact::Acked(Acked { process, place, value, offset })
            }
            Err(ProduceFailure { error, written }) => {
                desk.operations.add(match written {
                    Written::No => "failed",
                    Written::Perhaps => "unknown",
                });
                unacked(written, Some(error))
            }
        });
    }
}

/// Key and value. Mostly small values, some of a few KiB, rarely a huge one; some empty, some null. Where there is no key, the
/// value has the number.
fn draw_record(spec: &ProducerSpec, number: Value, prng: &mut Prng) -> (Option<Vec<u8>>, Option<Vec<u8>>) {
    let len = match prng.below(1_000) {
        0..=29 => None,
        30..=59 => Some(0),
        60 => Some(prng.scaled(1, spec.value_bytes_huge)),
        61..=160 => Some(prng.scaled(1, spec.value_bytes_max.saturating_mul(10).min(spec.value_bytes_huge))),
        _ => Some(prng.scaled(1, spec.value_bytes_max)),
    };
    let len = len.map(|len| usize::try_from(len).expect("a value is small"));
    let has_key = prng.chance(900_000);
    let len = if has_key { len } else { Some(len.unwrap_or(0).max(NUMBER_BYTES)) };
    (has_key.then(|| content(number, NUMBER_BYTES)), len.map(|len| content(number, len)))
}

impl Task for Producer {
    fn go_on(&mut self, turn: &mut Turn<'_, '_>) -> Next {
        if turn.desk.draining || self.bursts_left == 0 {
            return Next::Idle;
        }
        if turn.desk.now < self.next_at {
            return Next::At(self.next_at);
        }
        self.bursts_left -= 1;
        self.next_at = turn.desk.after(turn.prng.micros(50, self.spec.pause_micros_max));
        self.burst(turn);
        if turn.prng.chance(self.spec.crash_per_million) { Next::Crash } else { Next::At(self.next_at) }
    }

    fn on_event(&mut self, event: ClientEvent, turn: &mut Turn<'_, '_>) {
        match event {
            ClientEvent::Produced { token, result } => {
                self.on_produced(token, result, turn.process, turn.desk);
            }
            ClientEvent::Fetched(_)
            | ClientEvent::FetchFailed { .. }
            | ClientEvent::Answered { .. }
            | ClientEvent::Member(_) => {
                turn.desk.complain("client", format!("a producer is told {event:?}"));
            }
        }
    }

    fn on_crash(&mut self, process: Process, desk: &mut Desk<'_>) {
        for (number, place) in std::mem::take(&mut self.open) {
            let (value, written) = (Value(number), Written::Perhaps);
            desk.history.record(Fact::Unacked(Unacked { process, place, value, written, error: None }));
        }
    }

    fn unfinished(&self) -> Option<String> {
        let (number, place) = self.open.first_key_value()?;
        Some(format!("{} records without a known fate, first {number} to {place:?}", self.open.len()))
    }
}
