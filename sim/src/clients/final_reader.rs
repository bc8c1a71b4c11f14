//! After all faults and all work: reads every partition once from its start to its end. What it sees is the last word. Must not
//! know what was written.

use std::collections::BTreeMap;

use highwater_core::prng::Prng;
use highwater_core::time::{Duration, Instant};

use super::codec::{FETCH, LIST_OFFSETS, Malformed, code, read_fetched};
use super::fetching::{
    FetchShape, Outcome, Question, ends_known, fetch_body, list_body, place_of, take_listed, take_partition,
    timestamp_of,
};
use super::{Ask, Desk, Next, Workload};
use crate::history::{Edge, Fact, Place};

#[derive(Debug, Default)]
struct Progress {
    end: Option<i64>,
    position: Option<i64>,
    log_start: i64,
    done: bool,
}

#[derive(Debug)]
enum Asking {
    List { edge: Edge },
    Fetch,
}

/// The last reader.
#[derive(Debug)]
pub(super) struct FinalReader {
    progress: BTreeMap<Place, Progress>,
    asking: Option<Asking>,
    asked: BTreeMap<Place, i64>,
    ends: BTreeMap<Place, i64>,
    next_at: Instant,
}

impl FinalReader {
    pub(super) fn new(places: &[Place]) -> Self {
        Self {
            progress: places.iter().map(|&place| (place, Progress::default())).collect(),
            asking: None,
            asked: BTreeMap::new(),
            ends: BTreeMap::new(),
            next_at: Instant::default(),
        }
    }

    fn lacking(&self, lacks: impl Fn(&Progress) -> bool) -> Vec<Place> {
        self.progress.iter().filter(|(_, p)| lacks(p)).map(|(&place, _)| place).collect()
    }

    fn choose(&mut self, desk: &Desk<'_>) -> Option<Ask> {
        self.ends = ends_known(self.progress.keys().copied(), desk);
        for (edge, places) in [
            (Edge::Latest, self.lacking(|p| p.end.is_none())),
            (Edge::Earliest, self.lacking(|p| p.position.is_none())),
        ] {
            if !places.is_empty() {
                let timestamps = places.into_iter().map(|place| (place, timestamp_of(edge))).collect();
                self.asking = Some(Asking::List { edge });
                let body = list_body(&timestamps, desk);
                return Some(Ask { api: LIST_OFFSETS, body, tag: 0, answered: true });
            }
        }
        self.asked = self
            .progress
            .iter()
            .filter(|(_, p)| !p.done)
            .filter_map(|(&place, p)| p.position.map(|position| (place, position)))
            .collect();
        if self.asked.is_empty() {
            return None;
        }
        self.asking = Some(Asking::Fetch);
        let shape = FetchShape {
            wait_millis: 100,
            bytes_min: 1,
            bytes_max: 1 << 20,
            partition_bytes_max: 1 << 18,
            session: 0,
            session_epoch: -1,
        };
        Some(Ask { api: FETCH, body: fetch_body(&shape, &self.asked, desk), tag: 0, answered: true })
    }

    fn on_fetched(&mut self, body: &[u8], desk: &mut Desk<'_>) -> Result<(), Malformed> {
        let answer = read_fetched(body)?;
        if answer.error != code::NONE {
            desk.count("final-fetch", answer.error);
            return Ok(());
        }
        for partition in &answer.partitions {
            let place = place_of(partition.topic, partition.index, desk)?;
            let asked = *self.asked.get(&place).ok_or(Malformed("a partition that was not asked for"))?;
            let end_known = self.ends.get(&place).copied().unwrap_or(0);
            let outcome = take_partition(&Question { place, asked, end_known }, partition, desk)?;
            let progress = self.progress.get_mut(&place).ok_or(Malformed("not among the partitions"))?;
            match outcome {
                Outcome::Next { position, log_start } => {
                    progress.position = Some(position);
                    progress.log_start = log_start.max(progress.log_start);
                }
                Outcome::OutOfRange => progress.position = None,
                Outcome::Failed => {}
            }
        }
        self.finish(desk);
        Ok(())
    }

    fn finish(&mut self, desk: &mut Desk<'_>) {
        for (&place, progress) in &mut self.progress {
            if let (Some(end), Some(position)) = (progress.end, progress.position)
                && position >= end
                && !progress.done
            {
                progress.done = true;
                desk.history.record(Fact::ReadToEnd { place, log_start: progress.log_start, end });
            }
        }
    }
}

impl Workload for FinalReader {
    fn next(&mut self, desk: &mut Desk<'_>, _prng: &mut Prng) -> Next {
        if self.asking.is_some() {
            return Next::Idle;
        }
        if desk.now < self.next_at {
            return Next::Wait(self.next_at);
        }
        self.next_at = desk.now + Duration::from_micros(200);
        match self.choose(desk) {
            Some(ask) => Next::Ask(ask),
            None => Next::Idle,
        }
    }

    fn on_answer(&mut self, _tag: u64, body: &[u8], desk: &mut Desk<'_>) -> Result<(), Malformed> {
        match self.asking.take().ok_or(Malformed("not asked"))? {
            Asking::Fetch => self.on_fetched(body, desk),
            Asking::List { edge } => {
                let edges = self.progress.keys().map(|&place| (place, edge)).collect();
                let offsets = take_listed(body, &edges, &self.ends, desk)?;
                for (place, offset) in offsets {
                    let progress =
                        self.progress.get_mut(&place).ok_or(Malformed("not among the partitions"))?;
                    match edge {
                        Edge::Latest => progress.end = Some(offset),
                        Edge::Earliest => {
                            progress.position = Some(offset);
                            progress.log_start = offset.max(progress.log_start);
                        }
                    }
                }
                self.finish(desk);
                Ok(())
            }
        }
    }

    fn on_lost(&mut self, _tag: u64, _desk: &mut Desk<'_>) {
        self.asking = None;
    }

    fn unfinished(&self) -> Option<String> {
        let open: Vec<String> = self
            .progress
            .iter()
            .filter(|(_, p)| !p.done)
            .map(|(place, p)| format!("{place:?} {p:?}"))
            .collect();
        (!open.is_empty()).then(|| format!("final read lacks {}", open.join(", ")))
    }
}
