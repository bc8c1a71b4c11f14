//! Turns: hands a machine its inputs, takes its effects, and performs them as late as the seed says. Must not know what they
//! are for.

use highwater_core::shard::{DiskError, Effect, Halt, Input, ShardMessage};
use highwater_core::time::{Duration, Instant};

use super::look::LOOK_EVERY;
use super::node::AUDIT_EVERY;
use super::{Occurrence, Phase, World, moment};
use crate::checker::When;
use crate::disk::{Owner, Request};
use crate::draw::Draw;
use crate::fault::Moment;
use crate::history::{Ending, Fact};
use crate::network::Seat;

/// Turns in a row in which a deadline may have passed and nothing come of it.
const SPINS_MAX: u32 = 100;

impl World {
    /// Puts an input before a shard, if it is still that life of its node.
    pub(super) fn give(&mut self, node: usize, life: u32, shard: u16, input: Input) {
        let now = self.now();
        let micros = self.params.speeds.turn_micros;
        let target = &mut self.nodes[node];
        if target.life != life {
            return;
        }
        let Some(core) = target.cores.get_mut(usize::from(shard)) else { return };
        if core.halted {
            return;
        }
        core.inbox.push_back(input);
        let wait = core.prng.micros(1, micros.max(1));
        self.plan_turn(node, shard, now + wait);
    }

    /// Makes sure that a core gets a turn at the latest at that time.
    pub(super) fn plan_turn(&mut self, node: usize, shard: u16, at: Instant) {
        let now = self.now();
        let target = &mut self.nodes[node];
        let core = &mut target.cores[usize::from(shard)];
        let at = at.max(now).max(core.paused_until);
        if core.turn_at.is_none_or(|planned| at < planned) {
            core.turn_at = Some(at);
            self.heap.at(at, Occurrence::Turn { node, life: target.life, shard });
        }
    }

    pub(super) fn on_turn(&mut self, node: usize, life: u32, shard: u16) {
        let now = self.now();
        let target = &mut self.nodes[node];
        if target.life != life {
            return;
        }
        let Some(core) = target.cores.get_mut(usize::from(shard)) else { return };
        if core.turn_at != Some(now) || core.halted {
            return;
        }
        core.turn_at = None;
        if core.paused_until > now {
            let until = core.paused_until;
            return self.plan_turn(node, shard, until);
        }
        core.spins = if core.inbox.is_empty() { core.spins + 1 } else { 0 };
        self.hand_over(node, shard);
        let more = self.take_effects(node, shard);
        self.after_turn(node, life, shard, more);
    }

    fn hand_over(&mut self, node: usize, shard: u16) {
        let now = self.now();
        let clocks = self.nodes[node].clocks(now);
        let core = &mut self.nodes[node].cores[usize::from(shard)];
        if core.inbox.is_empty() {
            core.machine.handle(clocks, Input::Tick);
        }
        while let Some(input) = core.inbox.pop_front() {
            self.recorder.input(now, (node, shard), &input);
            if let Input::Closed { conn, .. } = &input {
                core.free_conn(*conn);
            }
            core.machine.handle(clocks, input);
        }
    }

    /// Polls until there is no effect, or the driver is full: then true.
    fn take_effects(&mut self, node: usize, shard: u16) -> bool {
        let now = self.now();
        let life = self.nodes[node].life;
        for _ in 0..self.params.speeds.effects_per_turn {
            let clocks = self.nodes[node].clocks(now);
            if self.nodes[node].life != life {
                return false;
            }
            let Some(core) = self.nodes[node].cores.get_mut(usize::from(shard)) else { return false };
            if core.halted {
                return false;
            }
            let Some(effect) = core.machine.poll(clocks) else { return false };
            core.spins = 0;
            self.take_events(node, shard);
            if self.nodes[node].cores.is_empty() {
                return false;
            }
            self.recorder.effect(now, (node, shard), &effect);
            self.perform(node, shard, effect);
        }
        true
    }

    /// Passes on what the machine says of itself. A crash that waits for one of its events comes before the effects behind it.
    fn take_events(&mut self, node: usize, shard: u16) {
        let target = &mut self.nodes[node];
        let mut crash = None;
        while let Some(event) = target.cores[usize::from(shard)].machine.poll_event() {
            if !target.armed.is_empty() && crash.is_none() {
                crash = target.at_moment(|moment| moment::is_at(moment, &event));
            }
            self.history.record(Fact::Core { node, event });
        }
        if let Some(mut armed) = crash {
            let life = target.life;
            // Whoever sent it again is to hear of it first.
            let is_late = armed.moment == Moment::DuplicateInFlight;
            if !is_late && (armed.moment == Moment::AckOwed || armed.prng.coin()) {
                return self.on_end(node, life, armed.how, armed.down);
            }
            let wait = armed.prng.micros(1, 3_000);
            self.heap.after(wait, Occurrence::End { node, life, how: armed.how, down: armed.down });
        }
    }

    fn after_turn(&mut self, node: usize, life: u32, shard: u16, more: bool) {
        let now = self.now();
        if self.nodes[node].life != life || self.nodes[node].cores.is_empty() {
            return;
        }
        self.take_events(node, shard);
        if self.nodes[node].cores.is_empty() {
            return;
        }
        let core = &mut self.nodes[node].cores[usize::from(shard)];
        if core.halted {
            return;
        }
        core.machine.invariants();
        core.audit_in -= 1;
        if core.audit_in == 0 {
            core.audit_in = AUDIT_EVERY;
            core.machine.audit();
            core.look_in = core.look_in.saturating_sub(1);
        }
        // Amid a turn some of it is on its way from one part of a shard to another.
        if core.look_in == 0 && !more {
            core.look_in = LOOK_EVERY;
            self.look(node, shard, When::AtWork);
        }
        if more {
            return self.plan_turn(node, shard, now + Duration::from_micros(1));
        }
        let core = &mut self.nodes[node].cores[usize::from(shard)];
        if core.machine.is_done() {
            self.nodes[node].run_shards(now);
            let shards = u16::try_from(self.nodes[node].cores.len()).expect("few shards");
            for shard in 0..shards {
                self.plan_turn(node, shard, now);
            }
            return;
        }
        if let Some(deadline) = core.machine.deadline() {
            let at = self.nodes[node].clock.virtual_time(deadline);
            let core = &mut self.nodes[node].cores[usize::from(shard)];
            if at > now {
                core.spins = 0;
            } else if core.spins > SPINS_MAX {
                let timer = core.machine.timer();
                let story = format!("node {node} shard {shard}: {timer:?} is due for ever");
                self.fail("liveness", story);
                return;
            }
            self.plan_turn(node, shard, at.max(now + Duration::from_micros(1)));
        }
    }

    fn perform(&mut self, node: usize, shard: u16, effect: Effect) {
        let now = self.now();
        let seat = Seat { node, life: self.nodes[node].life, shard };
        match effect {
            Effect::Recv { conn, into, at } => self.network.shard_receives(seat, conn, into, at, now),
            // A driver that was full may take a send or a close after the connection has gone; a page must not go with it.
            Effect::Send { conn, .. } | Effect::Close { conn, .. } if !self.network.is_known(seat, conn) => {}
            Effect::Send { conn, parts } => self.network.shard_sends(seat, conn, &parts, now),
            Effect::Close { conn, .. } => self.network.shard_closes(seat, conn, now),
            Effect::Write { op, file, at, parts, durability } => {
                self.notice_write(seat.node, file, &parts);
                let request = Request::Write { file, at, parts, durability };
                self.submit(seat, Owner { shard, op }, request);
            }
            Effect::Sync { op, file } => {
                self.submit(seat, Owner { shard, op }, Request::Sync { file });
            }
            Effect::Read { op, file, at, into } => {
                self.submit(seat, Owner { shard, op }, Request::Read { file, at, into });
            }
            Effect::File { op, file, change } => {
                self.submit(seat, Owner { shard, op }, Request::Change { file, change });
            }
            Effect::Shard { to, message } => self.pass_on(seat, to.0, message),
            Effect::Halt(halt) => self.on_halt(seat, halt),
        }
    }

    fn submit(&mut self, seat: Seat, owner: Owner, request: Request) {
        let Seat { node, life, .. } = seat;
        let target = &mut self.nodes[node];
        let booting = target.booting;
        let armed = target.at_moment(|moment| moment::is_during(moment, &request, booting));
        let (ticket, latency) = target.disk.submit(owner, request);
        self.heap.after(latency, Occurrence::Disk { node, life, ticket });
        if let Some(mut armed) = armed {
            if armed.how == Ending::Stopped {
                return self.end(node, armed.how, armed.down);
            }
            let wait = Duration::from_nanos(armed.prng.below(latency.as_nanos().max(1)));
            self.heap.after(wait, Occurrence::End { node, life, how: armed.how, down: armed.down });
        }
    }

    pub(super) fn on_disk(&mut self, node: usize, life: u32, ticket: u64) {
        if self.nodes[node].life != life || self.nodes[node].cores.is_empty() {
            return;
        }
        let completion = self.nodes[node].disk.complete(ticket);
        let Owner { shard, op } = completion.owner;
        self.give(node, life, shard, Input::Disk { op, outcome: completion.outcome });
    }

    fn pass_on(&mut self, seat: Seat, to: u16, message: ShardMessage) {
        let now = self.now();
        let pair = (seat.shard, to);
        let target = &mut self.nodes[seat.node];
        assert!(usize::from(to) < target.cores.len(), "contract: messages go to shards of this node");
        let micros = self.params.speeds.mesh_micros;
        let pipe = target.pipe(pair);
        pipe.messages.push_back(message);
        let wait = pipe.prng.micros(1, micros.max(1));
        pipe.until = pipe.until.max(now + wait);
        let until = pipe.until;
        self.heap.at(until, Occurrence::Mesh { node: seat.node, life: seat.life, pair });
    }

    pub(super) fn on_mesh(&mut self, node: usize, life: u32, pair: (u16, u16)) {
        if self.nodes[node].life != life {
            return;
        }
        let Some(pipe) = self.nodes[node].mesh.get_mut(&pair) else { return };
        let Some(message) = pipe.messages.pop_front() else { return };
        let from = highwater_core::id::ShardId(pair.0);
        self.give(node, life, pair.1, Input::Shard { from, message });
    }

    fn on_halt(&mut self, seat: Seat, halt: Halt) {
        let rotten = self.rules.rot && self.nodes[seat.node].disk.damage() > 0;
        let target = &mut self.nodes[seat.node];
        target.cores[usize::from(seat.shard)].halted = true;
        let (errors, booting) = (target.disk.errors() - target.errors_before, target.booting);
        let legal = match halt {
            Halt::Stopped => target.stopping.is_some(),
            Halt::DiskFailed { error, .. } => match error.error {
                DiskError::Io => errors > 0,
                DiskError::Full => booting && target.disk.delivered.of("enospc") > 0,
                DiskError::ReadOnly | DiskError::NotFound => false,
            },
            Halt::ForeignDirectory | Halt::MetadataUnreadable { .. } => false,
        };
        if rotten && matches!(halt, Halt::ForeignDirectory | Halt::MetadataUnreadable { .. }) {
            self.faults.add("halted-by-rot");
            self.phase = Phase::Over;
            return;
        }
        if !legal {
            return self.fail("contract", format!("shard {} halts without cause: {halt:?}", seat.shard));
        }
        if halt != Halt::Stopped {
            self.faults.add("halted-by-disk");
            let prng = &mut target.cores[usize::from(seat.shard)].prng;
            let wait = prng.micros(1, 2_000);
            let down = prng.micros(1_000, 50_000);
            let how = prng.pick(&[Ending::Killed, Ending::PowerOff]);
            let Seat { node, life, .. } = seat;
            self.heap.after(wait, Occurrence::End { node, life, how, down });
        } else if target.cores.iter().all(|core| core.halted)
            && let Some(down) = target.stopping
        {
            // What a stopped shard left in flight is cut short like any other; the checkers say whether it mattered.
            self.die(seat.node, Ending::Stopped, down);
        }
    }
}
