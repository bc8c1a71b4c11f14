//! Reads its partitions through the real client, from wherever the seed says, and jumps about. Must not know who writes them.

use std::collections::BTreeMap;

use highwater_core::client::{ClientError, ClientEvent, StartAt, TopicPartition};
use highwater_core::id::Offset;
use highwater_core::prng::Prng;
use highwater_core::time::{Instant, Timestamp};
use highwater_core::wire::ErrorCode;

use super::Desk;
use super::fetching::{Partitions, take_fetched};
use super::session::{Next, Task, Turn};
use crate::draw::Draw;
use crate::history::{Edge, Fact, OutOfRange, Place, Process, Sought};
use crate::params::{ConsumerSpec, TopicParams};

/// A consumer with assigned partitions.
#[derive(Debug)]
pub(super) struct Consumer {
    spec: ConsumerSpec,
    partitions: Partitions,
    /// What it reads, and the next offset where that is known.
    assigned: BTreeMap<Place, Option<i64>>,
    begun: bool,
    next_at: Instant,
}

pub(super) fn start_of(edge: Edge) -> StartAt {
    match edge {
        Edge::Earliest => StartAt::Earliest,
        Edge::Latest => StartAt::Latest,
    }
}

impl Consumer {
    pub(super) fn new(spec: ConsumerSpec, topics: &[TopicParams]) -> Self {
        Self {
            partitions: Partitions::new(&spec.places, topics),
            assigned: BTreeMap::new(),
            begun: false,
            next_at: Instant::default(),
            spec,
        }
    }

    fn assign(&mut self, place: Place, start: StartAt, turn: &mut Turn<'_, '_>) {
        let known = match start {
            StartAt::Offset(offset) => Some(offset.0),
            StartAt::Earliest | StartAt::Latest | StartAt::Timestamp(_) => None,
        };
        self.assigned.insert(place, known);
        turn.client.assign(turn.desk.clocks(), self.partitions.partition(place), start);
        turn.desk.history.record(Fact::Sought(Sought { process: turn.process, place }));
    }

    /// Now and then jumps: into the middle of a batch, to the start, to the end; or leaves for a while.
    fn jump(&mut self, turn: &mut Turn<'_, '_>) {
        for place in self.spec.places.clone() {
            if !turn.prng.chance(self.spec.jump_per_million) {
                continue;
            }
            match draw_start(place, turn.desk, turn.prng) {
                Some(start) => self.assign(place, start, turn),
                None => {
                    self.assigned.remove(&place);
                    turn.client.unassign(&self.partitions.partition(place));
                }
            }
        }
    }

    fn on_failed(&mut self, partition: &TopicPartition, error: ClientError, turn: &mut Turn<'_, '_>) {
        let Some(place) = self.partitions.place(partition) else {
            return turn.desk.complain("client", format!("{partition:?} was never assigned"));
        };
        if error == ClientError::Broker(ErrorCode::OffsetOutOfRange) {
            if let Some(Some(asked)) = self.assigned.get(&place).copied() {
                let end_known = turn.desk.history.end_known_at(place, turn.seen.fetch_mark);
                let out = OutOfRange { place, asked, log_start: None, end_known };
                turn.desk.history.record(Fact::OutOfRange(out));
            }
            // Where the client has not stopped, it seeks by itself; seeking again does no harm.
            self.assign(place, StartAt::Earliest, turn);
        } else {
            on_fetch_failed(place, error, turn.desk);
        }
    }
}

fn draw_start(place: Place, desk: &Desk<'_>, prng: &mut Prng) -> Option<StartAt> {
    let end = u64::try_from(desk.history.end_known(place)).unwrap_or(0);
    match prng.below(8) {
        0 => None,
        1 => Some(StartAt::Earliest),
        2 => Some(StartAt::Latest),
        3 => {
            let back = i64::try_from(prng.below(3_000)).expect("small");
            Some(StartAt::Timestamp(Timestamp(desk.wall_millis - back)))
        }
        _ => {
            let offset = prng.between(0, end.saturating_add(1));
            Some(StartAt::Offset(Offset(i64::try_from(offset).expect("as small as the end"))))
        }
    }
}

/// A failure that is not about the offset.
pub(super) fn on_fetch_failed(place: Place, error: ClientError, desk: &mut Desk<'_>) {
    match error {
        ClientError::CorruptBatch => desk.history.record(Fact::Damaged { place }),
        ClientError::BatchTooLarge => desk.operations.add("batch-too-large"),
        ClientError::Broker(_)
        | ClientError::UnknownCode(_)
        | ClientError::TimedOut
        | ClientError::Disconnected
        | ClientError::Malformed
        | ClientError::UnsupportedVersion
        | ClientError::EpochExhausted
        | ClientError::NoOffset => desk.operations.add("fetch-failed"),
    }
}

impl Task for Consumer {
    fn go_on(&mut self, turn: &mut Turn<'_, '_>) -> Next {
        if turn.desk.draining {
            for place in std::mem::take(&mut self.assigned).into_keys() {
                turn.client.unassign(&self.partitions.partition(place));
            }
            return Next::Idle;
        }
        if !self.begun {
            self.begun = true;
            for place in self.spec.places.clone() {
                self.assign(place, start_of(self.spec.from), turn);
            }
        }
        if turn.desk.now < self.next_at {
            return Next::At(self.next_at);
        }
        self.next_at = turn.desk.after(turn.prng.micros(1_000, self.spec.pause_micros_max));
        self.jump(turn);
        if turn.prng.chance(self.spec.crash_per_million) { Next::Crash } else { Next::At(self.next_at) }
    }

    fn on_event(&mut self, event: ClientEvent, turn: &mut Turn<'_, '_>) {
        match event {
            ClientEvent::Fetched(fetched) => match self.partitions.place(&fetched.partition) {
                Some(place) => {
                    if let Some(Some(expected)) = self.assigned.insert(place, Some(fetched.next.0))
                        && expected != fetched.from.0
                    {
                        turn.desk.complain("client", format!("{fetched:?} where {expected} was next"));
                    }
                    take_fetched(place, &fetched, turn);
                }
                None => turn.desk.complain("client", format!("{fetched:?} was never assigned")),
            },
            ClientEvent::FetchFailed { partition, error } => self.on_failed(&partition, error, turn),
            ClientEvent::Produced { .. } | ClientEvent::Answered { .. } | ClientEvent::Member(_) => {
                turn.desk.complain("client", format!("a consumer is told {event:?}"));
            }
        }
    }

    fn on_crash(&mut self, _process: Process, _desk: &mut Desk<'_>) {
        self.assigned.clear();
        self.begun = false;
    }

    fn unfinished(&self) -> Option<String> {
        None
    }
}
