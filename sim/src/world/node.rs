//! A simulated node: its disk, its clocks, and in each life its shards or its recovery. Must not know the clients.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use highwater_core::id::ConnId;
use highwater_core::prng::Prng;
use highwater_core::shard::{Boot, Config, Input, ShardMessage};
use highwater_core::time::{Duration, Instant, Now};

use super::clock::Clock;
use super::look::LOOK_EVERY;
use super::machine::{Backend, Machine};
use crate::disk::{Disk, DiskFaults};
use crate::draw::{Draw, Stream};
use crate::fault::Moment;
use crate::history::Ending;
use crate::params::Params;

/// Turns of a core from one audit of its whole state to the next.
pub(super) const AUDIT_EVERY: u32 = 32;

/// One core with its machine.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) machine: Machine,
    pub(super) inbox: VecDeque<Input>,
    pub(super) turn_at: Option<Instant>,
    pub(super) paused_until: Instant,
    pub(super) halted: bool,
    /// Turns until its state is audited.
    pub(super) audit_in: u32,
    /// Audits until the checkers look into it.
    pub(super) look_in: u32,
    /// Turns in a row that it wanted at once, was told nothing in and did nothing in.
    pub(super) spins: u32,
    /// Generation of the next connection of each slot, and the slots that are free.
    generations: Vec<u32>,
    free: Vec<u32>,
    pub(super) prng: Prng,
}

impl Core {
    fn new(machine: Machine, prng: Prng) -> Self {
        Self {
            machine,
            inbox: VecDeque::new(),
            turn_at: None,
            paused_until: Instant::default(),
            halted: false,
            audit_in: AUDIT_EVERY,
            look_in: LOOK_EVERY,
            spins: 0,
            generations: Vec::new(),
            free: Vec::new(),
            prng,
        }
    }

    /// Names a new connection: a free slot in its next generation, or a new one.
    pub(super) fn new_conn(&mut self) -> ConnId {
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => {
                self.generations.push(0);
                u32::try_from(self.generations.len() - 1).expect("few connections")
            }
        };
        let generation = &mut self.generations[slot as usize];
        *generation += 1;
        ConnId { slot, generation: *generation }
    }

    /// Takes the slot of a connection back, once its shard has heard that it is closed.
    pub(super) fn free_conn(&mut self, conn: ConnId) {
        self.free.push(conn.slot);
    }
}

/// Messages on their way from one shard to another.
#[derive(Debug)]
pub(super) struct Pipe {
    pub(super) messages: VecDeque<ShardMessage>,
    pub(super) until: Instant,
    pub(super) prng: Prng,
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

/// A node.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) seed: u64,
    index: usize,
    /// Counts the starts of its process.
    pub(super) life: u32,
    pub(super) disk: Disk,
    /// One per shard; one with the boot while it recovers; none while it is down.
    pub(super) cores: Vec<Core>,
    pub(super) booting: bool,
    backend: Backend,
    /// The machine has power, whether or not the process runs.
    pub(super) powered: bool,
    /// An orderly stop is under way, and how long the node stays down then.
    pub(super) stopping: Option<Duration>,
    pub(super) armed: Vec<Armed>,
    pub(super) mesh: BTreeMap<(u16, u16), Pipe>,
    pub(super) config: Config,
    pub(super) reshards: bool,
    /// Errors that the disk had delivered when this life began.
    pub(super) errors_before: u64,
    pub(super) boots: Prng,
    pub(super) clock: Clock,
}

impl Node {
    pub(super) fn new(index: usize, params: &Params) -> Self {
        let seed = params.seed;
        let drawn = &params.nodes[index];
        Self {
            seed,
            index,
            life: 0,
            disk: Disk::new(Stream::Disk(index).of(seed), drawn.disk.clone()),
            cores: Vec::new(),
            booting: false,
            backend: Backend::new(params.options.tier),
            powered: true,
            stopping: None,
            armed: Vec::new(),
            mesh: BTreeMap::new(),
            config: drawn.config.clone(),
            reshards: drawn.reshards,
            errors_before: 0,
            boots: Stream::Boots(index).of(seed),
            clock: Clock::new(drawn.drift_per_million),
        }
    }

    /// Whether its shards run.
    pub(super) fn is_up(&self) -> bool {
        !self.cores.is_empty() && !self.booting && self.stopping.is_none()
    }

    /// The node's clocks at a virtual time.
    pub(super) fn clocks(&self, at: Instant) -> Now {
        self.clock.at(at)
    }

    /// The crash that waited for this moment, if its time has come.
    pub(super) fn at_moment(&mut self, is_it: impl Fn(Moment) -> bool) -> Option<Armed> {
        let mut due = None;
        for (place, armed) in self.armed.iter_mut().enumerate().filter(|(_, armed)| is_it(armed.moment)) {
            match armed.after.checked_sub(1) {
                Some(left) => armed.after = left,
                None => due = due.or(Some(place)),
            }
        }
        due.map(|place| self.armed.remove(place))
    }

    /// Starts a process over what is on the disk.
    pub(super) fn start(&mut self, now: Instant) {
        assert!(self.cores.is_empty(), "one process at a time");
        self.life += 1;
        self.powered = true;
        self.booting = true;
        self.errors_before = self.disk.errors();
        self.backend.begin_life();
        self.clock.start(now, self.boots.below(1 << 50));
        if self.reshards && self.life > 1 {
            self.config.shards = self.boots.pick(&[1, 2, 3, 4]);
        }
        let config = Arc::new(self.config.clone());
        let boot = Boot::new(config, self.boots.next_u64(), self.disk.list(), self.clocks(now));
        let prng = self.turns(0);
        let machine = self.backend.place(Machine::Boot(Box::new(boot)), 0, &prng);
        self.cores.push(Core::new(machine, prng));
    }

    /// Recovery is over: one core per shard from now on.
    pub(super) fn run_shards(&mut self, now: Instant) {
        assert!(self.disk.in_flight() == 0, "contract: boot is done while operations are in flight");
        let core = self.cores.pop().expect("the one with the boot");
        let shards = core.machine.into_boot().into_shards(self.clocks(now));
        assert!(shards.len() == usize::from(self.config.shards), "contract: one shard per configured shard");
        for (number, shard) in (0_u16..).zip(shards) {
            assert!(shard.id().0 == number, "contract: shards come in the order of their ids");
            let prng = self.turns(number + 1);
            let machine = self.backend.place(Machine::Shard(Box::new(shard)), number, &prng);
            self.cores.push(Core::new(machine, prng));
        }
        self.booting = false;
    }

    fn turns(&self, core: u16) -> Prng {
        Stream::Turns { node: self.index, life: self.life, core }.of(self.seed)
    }

    pub(super) fn heal(&mut self) {
        self.disk.faults = DiskFaults::default();
        self.disk.speed.factor = 1;
        self.armed.clear();
        self.clock.heal();
        for core in &mut self.cores {
            core.paused_until = Instant::default();
        }
    }

    /// The pipe of a pair of shards.
    pub(super) fn pipe(&mut self, pair: (u16, u16)) -> &mut Pipe {
        let (seed, stream) = (self.seed, Stream::Mesh { node: self.index, life: self.life, pair });
        self.mesh.entry(pair).or_insert_with(|| Pipe {
            messages: VecDeque::new(),
            until: Instant::default(),
            prng: stream.of(seed),
        })
    }
}
