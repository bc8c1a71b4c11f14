//! Asks for the edges of logs, and for offsets by time. Must not know who writes them.

use std::collections::BTreeMap;

use highwater_core::prng::Prng;
use highwater_core::time::Instant;

use super::codec::{LIST_OFFSETS, Malformed};
use super::fetching::{ends_known, list_body, take_listed, timestamp_of};
use super::{Ask, Desk, Next, Workload};
use crate::draw::Draw;
use crate::history::{Edge, Place};

#[derive(Debug)]
struct Asking {
    edges: BTreeMap<Place, Edge>,
    ends: BTreeMap<Place, i64>,
}

/// The one that asks where logs begin and end.
#[derive(Debug)]
pub(super) struct Lister {
    places: Vec<Place>,
    asking: Option<Asking>,
    next_at: Instant,
}

impl Lister {
    pub(super) fn new(places: Vec<Place>) -> Self {
        Self { places, asking: None, next_at: Instant::default() }
    }
}

impl Workload for Lister {
    fn next(&mut self, desk: &mut Desk<'_>, prng: &mut Prng) -> Next {
        if self.asking.is_some() || desk.draining {
            return Next::Idle;
        }
        if desk.now < self.next_at {
            return Next::Wait(self.next_at);
        }
        self.next_at = desk.now + prng.micros(1_000, 300_000);
        let (mut edges, mut timestamps) = (BTreeMap::new(), BTreeMap::new());
        for &place in &self.places {
            match prng.below(3) {
                0 => {
                    let back = i64::try_from(prng.below(3_000)).expect("small");
                    timestamps.insert(place, desk.wall_millis - back);
                }
                n => {
                    let edge = if n == 1 { Edge::Earliest } else { Edge::Latest };
                    edges.insert(place, edge);
                    timestamps.insert(place, timestamp_of(edge));
                }
            }
        }
        let body = list_body(&timestamps, desk);
        let ends = ends_known(self.places.iter().copied(), desk);
        self.asking = Some(Asking { edges, ends });
        Next::Ask(Ask { api: LIST_OFFSETS, body, tag: 0, answered: true })
    }

    fn on_answer(&mut self, _tag: u64, body: &[u8], desk: &mut Desk<'_>) -> Result<(), Malformed> {
        let asking = self.asking.take().ok_or(Malformed("not asked"))?;
        take_listed(body, &asking.edges, &asking.ends, desk).map(drop)
    }

    fn on_lost(&mut self, _tag: u64, _desk: &mut Desk<'_>) {
        self.asking = None;
    }

    fn unfinished(&self) -> Option<String> {
        None
    }
}
