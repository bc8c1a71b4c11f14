//! Load on a broker: sources that send on time whatever the broker does, on as many threads as are asked for. Knows the requests by their
//! roles, and neither the command line nor what becomes of the figures.

mod connection;
mod role;
mod worker;

use std::thread;

pub(crate) use self::role::{Calling, Consuming, Heads, Producing, Role};
use self::worker::Worker;
use crate::clock::{SECOND_NANOS, now_nanos};
use crate::failure::Failure;
use crate::measure::{Latencies, Stage, empty};
use crate::progress::{Progress, Shown};

/// How long after the end answers are waited for.
const DRAIN_NANOS: u64 = 10 * SECOND_NANOS;

/// The time between the making of all connections and the first request.
const LEAD_NANOS: u64 = SECOND_NANOS / 10;

/// When a run begins, counts, and ends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    pub(crate) start_nanos: u64,
    pub(crate) warm_nanos: u64,
    pub(crate) end_nanos: u64,
}

impl Times {
    fn are_measured(self, at_nanos: u64) -> bool {
        (self.warm_nanos..self.end_nanos).contains(&at_nanos)
    }
}

/// One connection and what it does.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) address: std::net::SocketAddr,
    pub(crate) depth: usize,
    pub(crate) role: Role,
}

/// Which answers are shown while they come: not both kinds, they are unlike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Watched {
    Writes,
    Reads,
}

/// What is done for how long.
#[derive(Debug)]
pub(crate) struct Load {
    pub(crate) sources: Vec<Source>,
    pub(crate) threads: usize,
    /// Requests per second of all together that do not read; as many as are answered, if it is not said.
    pub(crate) rate: Option<f64>,
    pub(crate) warmup_nanos: u64,
    pub(crate) duration_nanos: u64,
    pub(crate) follow: Follow,
    pub(crate) shown: Shown,
}

/// Whether batches are followed from who sends them to who reads them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Follow {
    Batches,
    Nothing,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) produce: Stage,
    pub(crate) fetch: Stage,
    pub(crate) end_to_end: Stage,
    pub(crate) call: Stage,
    /// How late a request was sent although its connection had room: the fault of the load, not of the broker.
    pub(crate) late: Latencies,
    /// Requests that do not read and were answered between the warm-up and the end, whenever they were due.
    pub(crate) in_time: u64,
    pub(crate) refused: u64,
    /// Requests that were due and had no room before the end.
    pub(crate) unsent: u64,
    pub(crate) unanswered: u64,
}

impl Outcome {
    fn new() -> Self {
        Self {
            produce: Stage::new(),
            fetch: Stage::new(),
            end_to_end: Stage::new(),
            call: Stage::new(),
            late: empty(),
            in_time: 0,
            refused: 0,
            unsent: 0,
            unanswered: 0,
        }
    }

    fn merge(&mut self, other: &Self) {
        self.produce.merge(&other.produce);
        self.fetch.merge(&other.fetch);
        self.end_to_end.merge(&other.end_to_end);
        self.call.merge(&other.call);
        self.late.add(&other.late).expect("the bounds are the same");
        self.in_time += other.in_time;
        self.refused += other.refused;
        self.unsent += other.unsent;
        self.unanswered += other.unanswered;
    }
}

impl Load {
    /// `at_warm` and `at_end` are called when the warm-up and the run are over, for what is read from outside.
    pub(crate) fn run(self, at_warm: impl FnOnce(), at_end: impl FnOnce()) -> Result<Outcome, Failure> {
        let Self { sources, threads, rate, warmup_nanos, duration_nanos, follow, shown } = self;
        let mut progress = Progress::new(shown);
        let paced = sources.iter().filter(|source| !source.role.is_consumer()).count();
        let watched = if paced > 0 { Watched::Writes } else { Watched::Reads };
        let mut workers: Vec<Worker> = (0..threads.max(1))
            .map(|_| Worker::new(follow, watched, progress.part()))
            .collect::<Result<_, _>>()?;
        let count = workers.len();
        let mut nth_paced = 0;
        for (nth, source) in sources.into_iter().enumerate() {
            let turn = rate.filter(|_| !source.role.is_consumer()).map(|rate| (rate, nth_paced, paced));
            nth_paced += usize::from(turn.is_some());
            // Both ends of a partition are on one thread, which knows when its records were meant to be sent.
            let worker = source.role.partition().map_or(nth, |partition| partition) % count;
            workers[worker].add(source, turn)?;
        }
        let start_nanos = now_nanos() + LEAD_NANOS;
        let warm_nanos = start_nanos + warmup_nanos;
        let times = Times { start_nanos, warm_nanos, end_nanos: warm_nanos + duration_nanos };
        let running: Vec<_> =
            workers.into_iter().map(|worker| thread::spawn(move || worker.run(times))).collect();
        progress.begin(start_nanos, times.end_nanos);
        progress.sleep_until(times.warm_nanos);
        at_warm();
        progress.sleep_until(times.end_nanos);
        at_end();
        progress.end();
        let mut outcome = Outcome::new();
        for worker in running {
            let part = worker.join().map_err(|_| Failure("a thread of the load panicked".into()))??;
            outcome.merge(&part);
        }
        Ok(outcome)
    }
}
