//! What nodes and clients of one run share: disks, history, checkers. Tasks of madsim nodes can be given nothing that is not fit
//! for threads, so they find it on theirs. Must not know what runs on a node.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use highwater_core::id::ConnId;
use highwater_core::prng::Prng;
use highwater_core::shard::{DiskError, Durability, Event, Halt};
use highwater_core::time::{Duration, Instant};
use highwater_io::driver::Remote;

use super::rt::{Sock, elapsed};
use crate::checker::{Checkers, Rules};
use crate::clients::Client;
use crate::disk::{Disk, Owner, Request, Ticket};
use crate::draw::{Draw, Stream};
use crate::fault::Moment;
use crate::fingerprint::Fingerprint;
use crate::history::{Ending, Fact, History};
use crate::params::{Params, Rot};
use crate::report::{Counts, Report, Violation, variant_name};

thread_local! {
    static STAGE: RefCell<Option<Stage>> = const { RefCell::new(None) };
}

/// Where a node stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Down { until: Instant },
    Booting,
    Up,
    Stopping { down: Duration, since: Instant },
}

/// A crash that waits for its moment.
#[derive(Debug)]
pub(super) struct Armed {
    pub(super) moment: Moment,
    /// So many of them pass before.
    pub(super) after: u64,
    pub(super) how: Ending,
    pub(super) down: Duration,
    pub(super) prng: Prng,
}

/// A crash that was decided.
#[derive(Debug, Clone, Copy)]
pub(super) struct Doomed {
    pub(super) at: Instant,
    pub(super) life: u32,
    pub(super) how: Ending,
    pub(super) down: Duration,
}

/// A node beyond its process.
#[derive(Debug)]
pub(super) struct NodeState {
    pub(super) disk: Disk,
    pub(super) life: u32,
    pub(super) standing: Standing,
    pub(super) shards: u16,
    pub(super) remotes: Vec<Remote>,
    pub(super) armed: Vec<Armed>,
    pub(super) doomed: Option<Doomed>,
    pub(super) errors_before: u64,
    pub(super) skew_millis: Rc<Cell<i64>>,
    pub(super) boots: Prng,
}

/// The shared state of one run.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) params: Params,
    pub(super) nodes: Vec<NodeState>,
    pub(super) clients: Vec<Client>,
    pub(super) socks: BTreeMap<(usize, ConnId), Rc<Sock>>,
    pub(super) draining: bool,
    pub(super) history: History,
    pub(super) checkers: Checkers,
    pub(super) operations: Counts,
    pub(super) faults: Counts,
    pub(super) coverage: Counts,
    pub(super) violation: Option<Violation>,
    pub(super) fingerprint: Fingerprint,
    pub(super) steps: u64,
    /// Requests that clients sent.
    pub(super) requests: u64,
}

/// Uses the stage of this thread. Whoever is called in between must not.
pub(super) fn with<T>(act: impl FnOnce(&mut Stage) -> T) -> T {
    STAGE.with_borrow_mut(|stage| act(stage.as_mut().expect("a run has a stage")))
}

/// Sets the stage for a run.
pub(super) fn set(params: Params) {
    STAGE.set(Some(Stage::new(params)));
}

/// Ends the run of this thread.
pub(super) fn take() -> Stage {
    STAGE.take().expect("a run has a stage")
}

impl Stage {
    fn new(params: Params) -> Self {
        let topics = params.topics.iter().map(crate::params::TopicParams::rule).collect();
        // What is written is not told here record by record, and so neither what has to expire.
        let rules = Rules { topics, rot: params.options.rot == Rot::On, offsets: None };
        let node = |index: usize| NodeState {
            disk: Disk::new(Stream::Disk(index).of(params.seed), params.nodes[index].disk.clone()),
            life: 0,
            standing: Standing::Booting,
            shards: params.nodes[index].config.shards,
            remotes: Vec::new(),
            armed: Vec::new(),
            doomed: None,
            errors_before: 0,
            skew_millis: Rc::default(),
            boots: Stream::Boots(index).of(params.seed),
        };
        Self {
            nodes: (0..params.nodes.len()).map(node).collect(),
            clients: Vec::new(),
            socks: BTreeMap::new(),
            draining: false,
            history: History::default(),
            checkers: Checkers::new(&rules),
            operations: Counts::default(),
            faults: Counts::default(),
            coverage: Counts::default(),
            violation: None,
            fingerprint: Fingerprint::default(),
            steps: 0,
            requests: 0,
            params,
        }
    }

    /// Notes that something happened, for the fingerprint.
    pub(super) fn stamp(&mut self, kind: u64) {
        self.steps += 1;
        self.fingerprint.word(elapsed().as_nanos());
        self.fingerprint.word(kind);
    }

    /// Lets the checkers see what is new.
    pub(super) fn settle(&mut self) {
        for fact in std::mem::take(&mut self.history.fresh) {
            if let Fact::Core { event, .. } = &fact {
                self.coverage.add(&variant_name(event));
            }
            if let Err(violation) = self.checkers.on_fact(&fact) {
                self.violation.get_or_insert(violation);
            }
        }
    }

    pub(super) fn fail(&mut self, invariant: &'static str, story: String) {
        self.violation.get_or_insert(Violation::new(invariant, story));
    }

    pub(super) fn on_event(&mut self, node: usize, event: Event) {
        self.stamp(0x100 | node as u64);
        self.history.record(Fact::Core { node, event });
        self.settle();
    }

    /// Takes a disk operation; it ends after the time given back.
    pub(super) fn submit(&mut self, node: usize, owner: Owner, request: Request) -> (Ticket, Duration) {
        self.stamp(0x200 | node as u64);
        let moment = match &request {
            Request::Write { durability: Durability::Durable, .. } => Some(Moment::DurableWrite),
            Request::Write { durability: Durability::Cached, .. } => Some(Moment::CachedWrite),
            Request::Sync { .. } => Some(Moment::Sync),
            Request::Change { .. } => Some(Moment::Change),
            Request::Read { .. } => None,
        };
        let target = &mut self.nodes[node];
        let (ticket, latency) = target.disk.submit(owner, request);
        let armed = target.armed.iter_mut().enumerate().find(|(_, armed)| Some(armed.moment) == moment);
        if let Some((place, armed)) = armed
            && target.doomed.is_none()
        {
            if armed.after > 0 {
                armed.after -= 1;
                return (ticket, latency);
            }
            let wait = Duration::from_nanos(armed.prng.below(latency.as_nanos().max(1)));
            let Armed { how, down, .. } = target.armed.remove(place);
            target.doomed = Some(Doomed { at: elapsed() + wait, life: target.life, how, down });
        }
        (ticket, latency)
    }

    /// A machine of a node ended; says whether it may.
    pub(super) fn on_halt(&mut self, node: usize, halt: Halt) {
        let target = &mut self.nodes[node];
        let errors = target.disk.errors() - target.errors_before;
        let full = target.disk.delivered.of("enospc") > 0;
        let legal = match halt {
            Halt::Stopped => true,
            Halt::DiskFailed { error, .. } => match error.error {
                DiskError::Io => errors > 0,
                DiskError::Full => full && target.standing == Standing::Booting,
                DiskError::ReadOnly | DiskError::NotFound => false,
            },
            Halt::ForeignDirectory | Halt::MetadataUnreadable { .. } => self.params.options.rot == Rot::On,
        };
        if !legal {
            self.fail("contract", format!("node {node} halts without cause: {halt:?}"));
        }
    }

    pub(super) fn report(self, at: Instant) -> Report {
        let mut faults = self.faults;
        for node in &self.nodes {
            faults.merge(&node.disk.delivered);
        }
        Report {
            virtual_time: at,
            steps: self.steps,
            requests: self.requests,
            operations: self.operations,
            faults,
            coverage: self.coverage,
            fingerprint: self.fingerprint.value(),
            violation: self.violation,
        }
    }
}

/// The shard count of the next life.
pub(super) fn shards_of(params: &Params, node: usize, state: &mut NodeState) -> u16 {
    if params.nodes[node].reshards && state.life > 1 { state.boots.pick(&[1, 2, 3, 4]) } else { state.shards }
}
