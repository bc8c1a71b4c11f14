//! Asks for the edges of logs, and for offsets by time, as a consumer does that begins to read. Must not know who writes them.

use std::collections::BTreeMap;

use highwater_core::client::{ClientEvent, StartAt};
use highwater_core::time::{Instant, Timestamp};

use super::Desk;
use super::consumer::start_of;
use super::fetching::{Partitions, take_fetched};
use super::session::{Next, Task, Turn};
use crate::draw::Draw;
use crate::history::{Edge, Fact, Listed, Place, Process, Sought};
use crate::params::TopicParams;

/// The one that asks where logs begin and end.
#[derive(Debug)]
pub(super) struct Lister {
    partitions: Partitions,
    /// What was asked for and is not answered; `None` is an offset by time.
    asking: BTreeMap<Place, Option<Edge>>,
    next_at: Instant,
}

impl Lister {
    pub(super) fn new(places: &[Place], topics: &[TopicParams]) -> Self {
        Self {
            partitions: Partitions::new(places, topics),
            asking: BTreeMap::new(),
            next_at: Instant::default(),
        }
    }

    fn ask(&mut self, turn: &mut Turn<'_, '_>) {
        for (place, partition) in self.partitions.iter() {
            let edge = match turn.prng.below(3) {
                0 => None,
                1 => Some(Edge::Earliest),
                _ => Some(Edge::Latest),
            };
            let back = i64::try_from(turn.prng.below(3_000)).expect("small");
            let by_time = StartAt::Timestamp(Timestamp(turn.desk.wall_millis - back));
            let start = edge.map_or(by_time, start_of);
            turn.client.assign(turn.desk.clocks(), partition.clone(), start);
            turn.desk.history.record(Fact::Sought(Sought { process: turn.process, place }));
            self.asking.insert(place, edge);
        }
    }
}

/// Writes down the edge of a log, if the client knows it by now: it is the client's first position.
pub(super) fn listed(place: Place, edge: Edge, offset: i64, turn: &mut Turn<'_, '_>) {
    let end_known = turn.desk.history.end_known_at(place, turn.seen.list_mark);
    turn.desk.history.record(Fact::Listed(Listed { place, edge, offset, end_known }));
}

impl Task for Lister {
    fn go_on(&mut self, turn: &mut Turn<'_, '_>) -> Next {
        for (place, partition) in self.partitions.iter() {
            if let Some(edge) = self.asking.get(&place).copied()
                && let Some(offset) = turn.client.position(partition)
            {
                self.asking.remove(&place);
                turn.client.unassign(partition);
                if let Some(edge) = edge {
                    listed(place, edge, offset.0, turn);
                }
            }
        }
        if turn.desk.draining {
            self.partitions.iter().for_each(|(_, partition)| turn.client.unassign(partition));
            self.asking.clear();
            return Next::Idle;
        }
        if !self.asking.is_empty() {
            return Next::Idle;
        }
        if turn.desk.now < self.next_at {
            return Next::At(self.next_at);
        }
        self.next_at = turn.desk.after(turn.prng.micros(1_000, 300_000));
        self.ask(turn);
        Next::Idle
    }

    fn on_event(&mut self, event: ClientEvent, turn: &mut Turn<'_, '_>) {
        if let ClientEvent::Fetched(fetched) = &event
            && let Some(place) = self.partitions.place(&fetched.partition)
        {
            take_fetched(place, fetched, turn);
        }
    }

    fn on_crash(&mut self, _process: Process, _desk: &mut Desk<'_>) {
        self.asking.clear();
    }

    fn unfinished(&self) -> Option<String> {
        None
    }
}
