//! What runs on a core: a bare machine, or one in the hands of the real driver. Must not know the world around it.

use std::rc::Rc;

use highwater_core::prng::Prng;
use highwater_core::shard::{Boot, Effect, Event, Input, Shard, Timer};
use highwater_core::time::{Instant, Now};

use super::node::AUDIT_EVERY;
use crate::det::{Driven, Inner, Lanes, Listener, Setup};
use crate::params::Tier;

/// How a node runs its machines.
#[derive(Debug)]
pub(super) enum Backend {
    Bare,
    /// By the driver of `highwater-io`; the mesh is that of the present life.
    Driver(Rc<Lanes>),
}

impl Backend {
    pub(super) fn new(tier: Tier) -> Self {
        match tier {
            Tier::T0 => Self::Bare,
            Tier::T1 => Self::Driver(Rc::default()),
        }
    }

    pub(super) fn begin_life(&mut self) {
        if let Self::Driver(lanes) = self {
            *lanes = Rc::default();
        }
    }

    /// Makes a machine ready to run on its core.
    pub(super) fn place(&self, machine: Machine, shard: u16, core: &Prng) -> Machine {
        let Self::Driver(lanes) = self else { return machine };
        let listener = match &machine {
            Machine::Boot(_) | Machine::Driven(_) => None,
            Machine::Shard(_) => Some(Listener),
        };
        let prng = Prng::keyed(core.clone().next_u64(), 1);
        let lanes = match &machine {
            // The rings belong to the shards.
            Machine::Boot(_) => Rc::default(),
            Machine::Shard(_) | Machine::Driven(_) => Rc::clone(lanes),
        };
        Machine::Driven(Box::new(Driven::new(machine, Setup { prng, shard, lanes, listener })))
    }
}

/// What runs on a core of the node.
#[derive(Debug)]
pub(super) enum Machine {
    Boot(Box<Boot>),
    Shard(Box<Shard>),
    Driven(Box<Driven<Self>>),
}

impl Machine {
    pub(super) fn handle(&mut self, now: Now, input: Input) {
        match self {
            Self::Boot(boot) => boot.handle(now, input),
            Self::Shard(shard) => shard.handle(now, input),
            Self::Driven(driven) => driven.handle(now, input),
        }
    }

    pub(super) fn poll(&mut self, now: Now) -> Option<Effect> {
        match self {
            Self::Boot(boot) => boot.poll(now),
            Self::Shard(shard) => shard.poll(now),
            Self::Driven(driven) => driven.poll(now),
        }
    }

    pub(super) fn poll_event(&mut self) -> Option<Event> {
        match self {
            Self::Boot(boot) => boot.poll_event(),
            Self::Shard(shard) => shard.poll_event(),
            Self::Driven(driven) => driven.poll_event(),
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Boot(boot) => boot.deadline(),
            Self::Shard(shard) => shard.deadline().map(|(at, _)| at),
            Self::Driven(driven) => driven.deadline(),
        }
    }

    /// What the deadline is for, where that is known.
    pub(super) fn timer(&self) -> Option<Timer> {
        match self {
            Self::Shard(shard) => shard.deadline().map(|(_, timer)| timer),
            Self::Boot(_) | Self::Driven(_) => None,
        }
    }

    pub(super) fn invariants(&self) {
        match self {
            // The wrapper in the driver looks after the turns that it sees.
            Self::Boot(_) | Self::Driven(_) => {}
            Self::Shard(shard) => shard.invariants(),
        }
    }

    pub(super) fn audit(&self) {
        match self {
            Self::Boot(_) | Self::Driven(_) => {}
            Self::Shard(shard) => shard.audit(),
        }
    }

    /// Whether it has done what it was for, as a boot does.
    pub(super) fn is_done(&self) -> bool {
        match self {
            Self::Boot(boot) => boot.is_done(),
            Self::Driven(driven) => driven.is_done(),
            Self::Shard(_) => false,
        }
    }

    /// The boot that is done.
    pub(super) fn into_boot(self) -> Boot {
        match self {
            Self::Boot(boot) => *boot,
            Self::Driven(driven) => driven.into_machine().into_boot(),
            Self::Shard(_) => panic!("only a boot comes before the shards"),
        }
    }
}

impl highwater_io::driver::Machine for Machine {
    fn handle(&mut self, now: Now, input: Input) {
        self.handle(now, input);
    }

    fn poll(&mut self, now: Now) -> Option<Effect> {
        self.poll(now)
    }

    fn deadline(&self) -> Option<Instant> {
        self.deadline()
    }

    fn poll_event(&mut self) -> Option<Event> {
        self.poll_event()
    }

    fn is_done(&self) -> bool {
        self.is_done()
    }
}

impl Inner for Machine {
    const AUDIT_EVERY: u32 = AUDIT_EVERY;

    fn invariants(&self) {
        self.invariants();
    }

    fn audit(&self) {
        self.audit();
    }
}
