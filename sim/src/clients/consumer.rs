//! Reads its partitions for ever, from wherever the seed says, with and without fetch sessions. Must not know who writes them.

use std::collections::BTreeMap;

use highwater_core::prng::Prng;
use highwater_core::time::Instant;

use super::codec::{FETCH, LIST_OFFSETS, Malformed, code, read_fetched};
use super::fetching::{
    FetchShape, Outcome, Question, ends_known, fetch_body, list_body, place_of, take_listed, take_partition,
    timestamp_of,
};
use super::{Ask, Desk, Next, Workload};
use crate::draw::Draw;
use crate::history::{Edge, Place};
use crate::params::ConsumerSpec;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Position {
    Edge(Edge),
    At(i64),
}

#[derive(Debug)]
enum Asking {
    List { edges: BTreeMap<Place, Edge> },
    Fetch,
}

/// A consumer with assigned partitions.
#[derive(Debug)]
pub(super) struct Consumer {
    spec: ConsumerSpec,
    positions: BTreeMap<Place, Position>,
    asking: Option<Asking>,
    /// What was known when the request in flight was sent.
    ends: BTreeMap<Place, i64>,
    /// What the broker was told, which is all that it is told in a session.
    told: BTreeMap<Place, i64>,
    session: i32,
    session_epoch: i32,
    next_at: Instant,
}

impl Consumer {
    pub(super) fn new(spec: ConsumerSpec) -> Self {
        let positions = spec.places.iter().map(|&place| (place, Position::Edge(spec.from))).collect();
        Self {
            spec,
            positions,
            asking: None,
            ends: BTreeMap::new(),
            told: BTreeMap::new(),
            session: 0,
            session_epoch: 0,
            next_at: Instant::default(),
        }
    }

    /// Now and then jumps: into the middle of a batch, to the start, to the end.
    fn jump(&mut self, desk: &Desk<'_>, prng: &mut Prng) {
        for (place, position) in &mut self.positions {
            if !prng.chance(self.spec.jump_per_million) {
                continue;
            }
            let end = u64::try_from(desk.history.end_known(*place)).expect("offsets are not negative");
            *position = match prng.below(4) {
                0 => Position::Edge(Edge::Earliest),
                1 => Position::Edge(Edge::Latest),
                _ => Position::At(i64::try_from(prng.between(0, end)).expect("as small as the end")),
            };
        }
    }

    fn ask_list(&mut self, desk: &Desk<'_>) -> Option<Ask> {
        let edges: BTreeMap<Place, Edge> = self
            .positions
            .iter()
            .filter_map(|(&place, position)| match position {
                Position::Edge(edge) => Some((place, *edge)),
                Position::At(_) => None,
            })
            .collect();
        if edges.is_empty() {
            return None;
        }
        let timestamps = edges.iter().map(|(&place, &edge)| (place, timestamp_of(edge))).collect();
        let body = list_body(&timestamps, desk);
        self.asking = Some(Asking::List { edges });
        Some(Ask { api: LIST_OFFSETS, body, tag: 0, answered: true })
    }

    fn ask_fetch(&mut self, desk: &Desk<'_>, prng: &mut Prng) -> Ask {
        let wanted: BTreeMap<Place, i64> = self
            .positions
            .iter()
            .filter_map(|(&place, position)| match position {
                Position::At(offset) => Some((place, *offset)),
                Position::Edge(_) => None,
            })
            .collect();
        let in_session = self.spec.sessions && self.session_epoch > 0;
        let news = if in_session {
            wanted
                .iter()
                .filter(|(place, offset)| self.told.get(place) != Some(offset))
                .map(|(&p, &o)| (p, o))
                .collect()
        } else {
            wanted.clone()
        };
        let shape = FetchShape {
            wait_millis: self.spec.wait_millis,
            bytes_min: prng.pick(&[0, 1, 1, 5_000]),
            bytes_max: self.spec.bytes_max,
            partition_bytes_max: self.spec.partition_bytes_max,
            session: if in_session { self.session } else { 0 },
            session_epoch: if self.spec.sessions { self.session_epoch } else { -1 },
        };
        self.told = wanted;
        self.asking = Some(Asking::Fetch);
        Ask { api: FETCH, body: fetch_body(&shape, &news, desk), tag: 0, answered: true }
    }

    fn end_session(&mut self) {
        self.session = 0;
        self.session_epoch = 0;
        self.told.clear();
    }

    fn on_fetched(&mut self, body: &[u8], desk: &mut Desk<'_>) -> Result<(), Malformed> {
        let answer = read_fetched(body)?;
        if answer.error != code::NONE {
            desk.count("fetch-session", answer.error);
            let of_session = [code::FETCH_SESSION_ID_NOT_FOUND, code::INVALID_FETCH_SESSION_EPOCH];
            if of_session.contains(&answer.error) && !self.spec.sessions {
                return Err(Malformed("a session error without a session"));
            }
            self.end_session();
            return Ok(());
        }
        if self.spec.sessions && answer.session != 0 {
            self.session = answer.session;
            self.session_epoch += 1;
        } else if self.spec.sessions {
            self.session_epoch = 0;
        }
        for partition in &answer.partitions {
            let place = place_of(partition.topic, partition.index, desk)?;
            let asked = *self.told.get(&place).ok_or(Malformed("a partition that was not asked for"))?;
            let end_known = self.ends.get(&place).copied().unwrap_or(0);
            let outcome = take_partition(&Question { place, asked, end_known }, partition, desk)?;
            let position = match outcome {
                Outcome::Next { position, .. } => Position::At(position),
                Outcome::OutOfRange => Position::Edge(Edge::Earliest),
                Outcome::Failed => Position::At(asked),
            };
            self.positions.insert(place, position);
        }
        Ok(())
    }
}

impl Workload for Consumer {
    fn next(&mut self, desk: &mut Desk<'_>, prng: &mut Prng) -> Next {
        if self.asking.is_some() || desk.draining {
            return Next::Idle;
        }
        if desk.now < self.next_at {
            return Next::Wait(self.next_at);
        }
        self.next_at = desk.now + prng.micros(100, self.spec.pause_micros_max);
        self.jump(desk, prng);
        self.ends = ends_known(self.positions.keys().copied(), desk);
        Next::Ask(match self.ask_list(desk) {
            Some(ask) => ask,
            None => self.ask_fetch(desk, prng),
        })
    }

    fn on_answer(&mut self, _tag: u64, body: &[u8], desk: &mut Desk<'_>) -> Result<(), Malformed> {
        match self.asking.take().ok_or(Malformed("not asked"))? {
            Asking::Fetch => self.on_fetched(body, desk),
            Asking::List { edges } => {
                for (place, offset) in take_listed(body, &edges, &self.ends, desk)? {
                    self.positions.insert(place, Position::At(offset));
                }
                Ok(())
            }
        }
    }

    fn on_lost(&mut self, _tag: u64, _desk: &mut Desk<'_>) {
        self.asking = None;
        self.end_session();
    }

    fn unfinished(&self) -> Option<String> {
        None
    }
}
