//! The simulated world: the event heap and all that hangs on it. Whoever reads a clock, a disk or a socket in production reads
//! this here. Must not know what the core decides, nor what the checkers make of it.

mod clock;
mod damage;
mod kept;
mod life;
mod look;
mod machine;
mod moment;
mod node;
mod record;
mod replace;
#[cfg(test)]
mod tests;
mod turn;

use std::collections::{BTreeMap, BTreeSet};

use highwater_core::batch::Scratch;
use highwater_core::client::Address;
use highwater_core::id::{Offset, PartitionId};
use highwater_core::time::{Duration, Instant};

use crate::checker::{Checkers, Rules, When};
use crate::clients::{Act, Client, Desk, Heard};
use crate::draw::{Draw, Stream};
use crate::fault::{Fault, Planned, Replacement};
use crate::heap::Heap;
use crate::history::{Ending, Fact, History, Member};
use crate::marks;
use crate::network::{Arrival, ClientEnd, Delivery, Network};
use crate::params::{ClientParams, PORT, Params, Role, Rot, host};
use crate::profile::Stewards;
use crate::report::{Counts, Report, Violation};
use crate::tape::Tape;
use node::Node;
use record::Recorder;
use replace::Copy;

/// Virtual time that the world gives operations, and then the final read, to end once the faults have.
const PATIENCE: Duration = Duration::from_secs(60);
/// Virtual time that each of them gets at most, however steadily it makes progress.
const PROGRESS_MAX: Duration = Duration::from_secs(600);
/// Until a client knows that a name is nobody's.
const UNKNOWN_HOST: Duration = Duration::from_millis(1);
/// The wall clock when a run begins.
const WALL_MILLIS: i64 = 1_780_000_000_000;

/// What may be planned.
#[derive(Debug)]
enum Occurrence {
    Turn {
        node: usize,
        life: u32,
        shard: u16,
    },
    Disk {
        node: usize,
        life: u32,
        ticket: u64,
    },
    Mesh {
        node: usize,
        life: u32,
        pair: (u16, u16),
    },
    Wire(Arrival),
    Client {
        client: usize,
        heard: Heard,
    },
    Fault(Planned),
    /// The end of a fault that lasts.
    Calm {
        node: usize,
        calm: Calm,
    },
    /// The end of one life of a node, decided earlier.
    End {
        node: usize,
        life: u32,
        how: Ending,
        down: Duration,
    },
    Start {
        node: usize,
    },
    /// A copy of a node's disk is made for the fault of that number.
    CopyDisk {
        node: usize,
        number: u64,
    },
    /// All faults end.
    Heal,
    /// Looks whether the phase is over.
    Watch,
}

#[derive(Debug, Clone, Copy)]
enum Calm {
    Errors,
    Full,
    Slow,
    /// The trouble of that number.
    Link(u64),
    Clock(u64),
}

/// Where the run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Faults,
    /// Clients finish what is open until then, or until later as long as records are acknowledged.
    Draining {
        until: Instant,
        last: Instant,
        acked: u64,
    },
    /// The node is on its last restart.
    Restarting {
        until: Instant,
    },
    /// The same as long as batches are read.
    FinalRead {
        until: Instant,
        last: Instant,
        read: u64,
    },
    /// The clients have gone, and the nodes come to rest.
    Leaving {
        until: Instant,
    },
    /// Only time passes, until then. The last look was taken at that time.
    Lingering {
        until: Instant,
        looked: Instant,
    },
    Over,
}

/// A run.
#[derive(Debug)]
pub struct World {
    params: Params,
    heap: Heap<Occurrence>,
    nodes: Vec<Node>,
    network: Network,
    clients: Vec<Client>,
    /// The first client that reads at the end.
    readers_from: usize,
    history: History,
    /// One set for each node.
    checkers: Vec<Checkers>,
    rules: Rules,
    copies: BTreeMap<u64, Copy>,
    /// Up to where the metadata of each node are durable.
    metadata_ends: Vec<Offset>,
    /// How often the clients of each node began anew.
    restarts: Vec<u64>,
    /// Members of groups are about; partitions that are none of coordinators.
    has_groups: bool,
    of_clients: BTreeSet<PartitionId>,
    scratch: Scratch,
    operations: Counts,
    faults: Counts,
    coverage: Counts,
    violation: Option<Violation>,
    phase: Phase,
    recorder: Recorder,
    steps: u64,
    /// What clients have sent.
    requests: u64,
}

impl World {
    pub fn new(params: Params) -> Self {
        let rules = Rules {
            topics: params.topics.iter().map(crate::params::TopicParams::rule).collect(),
            rot: params.options.rot == Rot::On,
            offsets: params.offsets,
        };
        let mut world = Self {
            heap: Heap::default(),
            nodes: (0..params.nodes.len()).map(|node| Node::new(node, &params)).collect(),
            network: Network::new(params.seed, params.speeds.link.clone()),
            clients: Vec::new(),
            readers_from: usize::MAX,
            history: History::default(),
            checkers: params.nodes.iter().map(|_| Checkers::new(&rules)).collect(),
            rules,
            copies: BTreeMap::new(),
            metadata_ends: vec![Offset::ZERO; params.nodes.len()],
            restarts: vec![0; params.nodes.len()],
            has_groups: params.clients.iter().any(|client| matches!(client.role, Role::Member(_))),
            of_clients: BTreeSet::new(),
            scratch: Scratch::default(),
            operations: Counts::default(),
            faults: Counts::default(),
            coverage: Counts::default(),
            violation: None,
            phase: Phase::Faults,
            recorder: Recorder::default(),
            steps: 0,
            requests: 0,
            params,
        };
        if world.rules.rot {
            world.nodes.iter_mut().for_each(|node| node.disk.notes = Some(Vec::new()));
        }
        world.plan();
        world
    }

    /// Writes what happens from here on.
    pub fn record_on(&mut self, tape: Option<Tape>) {
        self.recorder.tape = tape;
    }

    fn plan(&mut self) {
        for node in 0..self.nodes.len() {
            self.heap.after(Duration::ZERO, Occurrence::Start { node });
        }
        for client in self.params.clients.clone() {
            self.add_client(&client);
        }
        for &planned in &self.params.faults {
            let Planned { node, number, at, fault } = planned;
            if let Fault::ReplaceDisk { with: Replacement::Older { copied_at }, .. } = fault {
                self.heap.after(copied_at, Occurrence::CopyDisk { node, number });
            }
            self.heap.after(at, Occurrence::Fault(planned));
        }
        self.heap.after(self.params.faults_end, Occurrence::Heal);
    }

    fn add_client(&mut self, params: &ClientParams) {
        let client = self.clients.len();
        let prng = Stream::Client(client as u64).of(self.params.seed);
        self.clients.push(Client::new(params, &self.params.topics, prng));
        if !self.params.without_clients.contains(&client) {
            self.heap.after(Duration::from_micros(10), Occurrence::Client { client, heard: Heard::Wake });
        }
    }

    /// Runs to the end, or to the first violation.
    pub fn run(&mut self) {
        while self.phase != Phase::Over && self.violation.is_none() {
            let Some(occurrence) = self.heap.pop() else { break };
            self.steps += 1;
            if self.steps > self.params.steps_max {
                self.fail("budget", format!("more than {} steps", self.params.steps_max));
            }
            self.occur(occurrence);
            self.settle();
        }
    }

    pub fn report(mut self) -> Report {
        for node in &self.nodes {
            self.faults.merge(&node.disk.delivered);
        }
        self.faults.merge(&self.network.counts());
        if let Some(violation) = &self.violation {
            self.recorder.violation(self.heap.now(), violation);
        }
        Report {
            virtual_time: self.heap.now(),
            steps: self.steps,
            requests: self.requests,
            operations: self.operations,
            faults: self.faults,
            coverage: self.coverage,
            fingerprint: self.recorder.fingerprint(),
            violation: self.violation,
        }
    }

    /// Ends the run with a panic of the core as its violation.
    pub fn on_panic(&mut self, story: String) {
        self.violation.get_or_insert(Violation::new("panic", story));
    }

    fn fail(&mut self, invariant: &'static str, story: String) {
        self.violation.get_or_insert(Violation::new(invariant, story));
    }

    fn now(&self) -> Instant {
        self.heap.now()
    }

    fn occur(&mut self, occurrence: Occurrence) {
        match occurrence {
            Occurrence::Turn { node, life, shard } => self.on_turn(node, life, shard),
            Occurrence::Disk { node, life, ticket } => self.on_disk(node, life, ticket),
            Occurrence::Mesh { node, life, pair } => self.on_mesh(node, life, pair),
            Occurrence::Wire(arrival) => self.on_arrival(arrival),
            Occurrence::Client { client, heard } => self.tell(client, heard),
            Occurrence::Fault(planned) => self.on_fault(planned),
            Occurrence::Calm { node, calm } => self.on_calm(node, calm),
            Occurrence::End { node, life, how, down } => self.on_end(node, life, how, down),
            Occurrence::Start { node } => self.on_start(node),
            Occurrence::CopyDisk { node, number } => self.on_copy_disk(node, number),
            Occurrence::Heal => self.on_heal(),
            Occurrence::Watch => self.on_watch(),
        }
    }

    /// Plans what the network wants and lets the checkers see what is new.
    fn settle(&mut self) {
        for (at, arrival) in std::mem::take(&mut self.network.plan) {
            self.heap.at(at, Occurrence::Wire(arrival));
        }
        self.take_notes();
        for fact in std::mem::take(&mut self.history.fresh) {
            self.recorder.fact(self.heap.now(), &fact);
            if let Fact::Core { node, event } = &fact {
                self.coverage.add(marks::name(event));
                self.notice_metadata(*node, event);
            }
            self.judge(&fact);
        }
        self.recorder.speaker = None;
    }

    /// Lets the checkers of the node that the fact is about see it, or all of them.
    fn judge(&mut self, fact: &Fact) {
        let node = match fact {
            Fact::Core { node, .. }
            | Fact::Ended { node, .. }
            | Fact::DiskReplaced { node }
            | Fact::Disk { node, .. }
            | Fact::Kept { node, .. }
            | Fact::Member(Member { node, .. })
            | Fact::Steward { node, .. } => Some(*node),
            Fact::Sent(_)
            | Fact::Acked(_)
            | Fact::Unacked(_)
            | Fact::Fetched(_)
            | Fact::Told(_)
            | Fact::OutOfRange(_)
            | Fact::Damaged { .. }
            | Fact::Sought(_)
            | Fact::Listed(_)
            | Fact::FinalReadBegan
            | Fact::ReadToEnd { .. }
            | Fact::RefusedInSequence { .. }
            | Fact::Trimmed(_)
            | Fact::Unreadable { .. }
            | Fact::Overdue { .. } => fact.place().map(|place| self.params.topics[place.topic].node),
        };
        let now = self.heap.now();
        for (of, checkers) in self.checkers.iter_mut().enumerate() {
            if self.params.stewards == Stewards::OneEach {
                checkers.on_clock(now, self.nodes[of].clocks(now).wall);
            }
            if node.is_none_or(|node| node == of)
                && let Err(violation) = checkers.on_fact(fact)
            {
                self.violation.get_or_insert(violation);
            }
        }
    }

    fn on_arrival(&mut self, arrival: Arrival) {
        let nodes = &self.nodes;
        match self.network.arrive(arrival, self.heap.now(), |node| nodes[node].powered) {
            Delivery::Nothing => {}
            Delivery::Knock { end, link, node } => self.on_knock(end, link, node),
            Delivery::Connected { client, conn } => self.tell(client, Heard::Connected { conn }),
            Delivery::Shard { seat, input } => self.give(seat.node, seat.life, seat.shard, input),
            Delivery::Bytes { client, conn, bytes } => self.tell(client, Heard::Bytes { conn, bytes }),
            Delivery::Lost { client, conn } => self.tell(client, Heard::Closed { conn }),
        }
    }

    /// Tells a client something, and does what it wants in return.
    fn tell(&mut self, client: usize, heard: Heard) {
        if matches!(self.phase, Phase::Leaving { .. } | Phase::Lingering { .. }) {
            return;
        }
        let now = self.now();
        self.recorder.client(now, client, &heard);
        let mut desk = Desk {
            now,
            wall_millis: WALL_MILLIS + i64::try_from(now.as_nanos() / 1_000_000).expect("a run is short"),
            topics: &self.params.topics,
            draining: self.phase != Phase::Faults
                || self.params.operations_max.is_some_and(|most| self.requests >= most),
            closing: matches!(self.phase, Phase::Restarting { .. } | Phase::FinalRead { .. }),
            rest_factor: self.params.rest_factor,
            history: &mut self.history,
            operations: &mut self.operations,
            violation: &mut self.violation,
            acts: Vec::new(),
        };
        self.clients[client].hear(heard, &mut desk);
        for act in desk.acts {
            self.act(client, act);
        }
    }

    fn act(&mut self, client: usize, act: Act) {
        let now = self.now();
        match act {
            Act::Connect { conn, address } => self.connect(ClientEnd { client, conn }, &address),
            Act::Send { conn, parts } => {
                self.requests += 1;
                self.recorder.client_sends(now, ClientEnd { client, conn }, &parts);
                self.network.client_sends(ClientEnd { client, conn }, &parts, now);
            }
            Act::Close { conn } => self.network.client_closes(ClientEnd { client, conn }, now),
            Act::Delay { conn, cut_at, held_until } => {
                self.network.delay(ClientEnd { client, conn }, cut_at, held_until);
            }
            Act::Wake { at } => self.heap.at(at, Occurrence::Client { client, heard: Heard::Wake }),
        }
    }

    /// Sends a client's first packet to the node of that name; a name that nobody has is refused.
    fn connect(&mut self, end: ClientEnd, address: &Address) {
        let now = self.now();
        let named = (0..self.nodes.len()).find(|&node| *address.host == *host(node));
        match named.filter(|_| address.port == PORT) {
            Some(node) => self.network.connect(end, node, now),
            None => {
                let ClientEnd { client, conn } = end;
                self.heap.after(UNKNOWN_HOST, Occurrence::Client { client, heard: Heard::Closed { conn } });
            }
        }
    }

    fn on_heal(&mut self) {
        let until = self.now() + PATIENCE;
        let last = self.now() + PROGRESS_MAX;
        self.phase = Phase::Draining { until, last, acked: self.operations.of("acked") };
        for node in &mut self.nodes {
            node.heal();
        }
        self.network.heal(self.heap.now());
        for client in 0..self.clients.len() {
            if !self.params.without_clients.contains(&client) {
                self.tell(client, Heard::Wake);
            }
        }
        self.heap.after(Duration::ZERO, Occurrence::Watch);
    }

    fn on_watch(&mut self) {
        let now = self.now();
        match self.phase {
            Phase::Draining { until, last, acked } => match self.unfinished() {
                None => self.begin_last_restart(),
                // Slow is not stuck.
                Some(_) if now >= until && now < last && self.operations.of("acked") > acked => {
                    let until = last.min(now + PATIENCE);
                    self.phase = Phase::Draining { until, last, acked: self.operations.of("acked") };
                }
                Some(what) => self.overdue(until, what),
            },
            Phase::Restarting { until } => {
                if self.nodes.iter().all(Node::is_up) {
                    self.begin_final_read();
                } else {
                    self.overdue(until, "the last restart does not end".to_owned());
                }
            }
            Phase::FinalRead { until, last, read } => match self.unread() {
                None => {
                    self.phase = Phase::Leaving { until: now + PATIENCE };
                    self.send_clients_away();
                    self.judge_end();
                }
                Some(_) if now >= until && now < last && self.operations.of("batch-read") > read => {
                    let until = last.min(now + PATIENCE);
                    self.phase = Phase::FinalRead { until, last, read: self.operations.of("batch-read") };
                }
                Some(what) => self.overdue(until, what),
            },
            Phase::Leaving { until } => {
                if self.unsettled().is_none() || now >= until {
                    (0..self.nodes.len()).for_each(|node| self.look_at_node(node, When::Quiet));
                    self.phase = Phase::Lingering { until: now + self.params.linger, looked: now };
                    return self.on_watch();
                }
            }
            Phase::Lingering { until, looked } => self.linger(until, looked),
            Phase::Faults | Phase::Over => {}
        }
        self.heap.at(now + Duration::from_millis(10), Occurrence::Watch);
    }

    /// Everything was read: the judges have all that they will have of clients.
    fn judge_end(&mut self) {
        for checkers in &mut self.checkers {
            if let Err(violation) = checkers.on_end() {
                self.violation.get_or_insert(violation);
            }
        }
    }

    fn unfinished(&self) -> Option<String> {
        let nodes = self.nodes.iter().any(|node| !node.is_up()).then(|| "a node is not up".to_owned());
        nodes.or_else(|| {
            let open =
                |(n, client): (usize, &Client)| client.unfinished().map(|what| format!("client {n}: {what}"));
            let absent = &self.params.without_clients;
            self.clients.iter().enumerate().filter(|(n, _)| !absent.contains(n)).find_map(open)
        })
    }

    fn unread(&self) -> Option<String> {
        self.clients[self.readers_from..].iter().find_map(Client::unfinished)
    }

    fn overdue(&mut self, until: Instant, what: String) {
        if self.now() < until {
            return;
        }
        // Clients of a topic that is lost do not end.
        if self.rules.rot && self.faults.of("metadata-lost") > 0 {
            self.faults.add("lost-by-rot");
            self.phase = Phase::Over;
        } else {
            self.history.record(Fact::Overdue { what });
        }
    }

    fn begin_last_restart(&mut self) {
        self.phase = Phase::Restarting { until: self.now() + PATIENCE };
        for node in 0..self.nodes.len() {
            let mut prng = Stream::LastEnd(node).of(self.params.seed);
            let how = prng.pick(&[Ending::Stopped, Ending::Killed, Ending::PowerOff]);
            self.end(node, how, Duration::from_millis(1));
        }
    }

    fn begin_final_read(&mut self) {
        let (until, last) = (self.now() + PATIENCE, self.now() + PROGRESS_MAX);
        self.phase = Phase::FinalRead { until, last, read: self.operations.of("batch-read") };
        self.history.record(Fact::FinalReadBegan);
        self.readers_from = self.clients.len();
        for node in 0..self.nodes.len() {
            self.add_client(&ClientParams::final_reader(node, self.params.lasting_places(node)));
        }
        for member in self.params.last_members() {
            self.add_client(&member);
        }
    }
}
