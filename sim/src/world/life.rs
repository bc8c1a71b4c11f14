//! How nodes start and end, and the delivery of faults. Must not know what runs on them.

use highwater_core::shard::Input;
use highwater_core::time::Duration;

use super::node::Armed;
use super::{Calm, Occurrence, Phase, World};
use crate::checker::When;
use crate::disk::Aim;
use crate::draw::{Draw, Stream};
use crate::fault::{ErrorKind, Fault, Planned};
use crate::history::{Ending, Fact};
use crate::network::{ClientEnd, Link, Seat};

/// An orderly stop that takes longer than this is stuck.
const STOP_PATIENCE: Duration = Duration::from_secs(30);

impl World {
    pub(super) fn on_start(&mut self, node: usize) {
        let now = self.now();
        if !self.nodes[node].cores.is_empty() {
            return;
        }
        self.nodes[node].start(now);
        self.recorder.started(now, node, self.nodes[node].life, &self.nodes[node].disk.list());
        self.plan_turn(node, 0, now);
    }

    /// Ends the life of a node in the given way.
    pub(super) fn end(&mut self, node: usize, how: Ending, down: Duration) {
        let now = self.now();
        let target = &mut self.nodes[node];
        if target.cores.is_empty() {
            return;
        }
        let how = if how == Ending::Stopped && target.booting { Ending::Killed } else { how };
        if how != Ending::Stopped {
            return self.die(node, how, down);
        }
        if target.stopping.is_some() {
            return;
        }
        target.stopping = Some(down);
        let life = target.life;
        let shards = u16::try_from(target.cores.len()).expect("few shards");
        for shard in 0..shards {
            self.give(node, life, shard, Input::Stop);
        }
        let how = Ending::Stopped;
        self.heap.at(now + STOP_PATIENCE, Occurrence::End { node, life, how, down });
    }

    /// An end that was planned for one life of the node.
    pub(super) fn on_end(&mut self, node: usize, life: u32, how: Ending, down: Duration) {
        if self.nodes[node].life != life || self.nodes[node].cores.is_empty() {
            return;
        }
        if how == Ending::Stopped {
            let what = format!("an orderly stop took more than {} ms", STOP_PATIENCE.as_millis());
            self.history.record(Fact::Overdue { what });
        }
        self.faults.add("crash-at-moment");
        self.die(node, how, down);
    }

    /// The process is gone from now on.
    pub(super) fn die(&mut self, node: usize, how: Ending, down: Duration) {
        let now = self.now();
        let target = &mut self.nodes[node];
        self.faults.add(match how {
            Ending::Stopped => "stop",
            Ending::Killed => "kill",
            Ending::PowerOff => "power-off",
        });
        target.cores.iter().for_each(|core| core.machine.audit());
        self.look_at_node(node, When::Dying);
        let target = &mut self.nodes[node];
        target.cores.clear();
        target.mesh.clear();
        target.booting = false;
        target.stopping = None;
        match how {
            Ending::Stopped | Ending::Killed => {
                target.disk.kill();
                self.network.process_died(node, now);
            }
            Ending::PowerOff => {
                target.powered = false;
                target.disk.power_off();
                self.network.power_lost(node);
            }
        }
        self.history.record(Fact::Ended { node, how });
        self.heap.at(now + down, Occurrence::Start { node });
    }

    /// A client's wish for a connection has reached the machine.
    pub(super) fn on_knock(&mut self, end: ClientEnd, link: Link, node: usize) {
        let now = self.now();
        let target = &mut self.nodes[node];
        if !target.is_up() || matches!(self.phase, Phase::Leaving { .. }) {
            return self.network.refuse(link, now);
        }
        let shard = self.network.prng(link).place(target.cores.len());
        let id = target.cores[shard].new_conn();
        let seat = Seat { node, life: target.life, shard: u16::try_from(shard).expect("few shards") };
        self.network.accept(link, seat, id, now);
        self.recorder.connects(now, end, seat, id);
        let port = 10_000 + u16::try_from(end.client).expect("few clients");
        let input = Input::Accepted {
            conn: id,
            local: std::net::SocketAddr::from(([127, 0, 0, 1], 9092)),
            peer: std::net::SocketAddr::from(([127, 0, 0, 2], port)),
        };
        self.give(node, seat.life, seat.shard, input);
    }

    pub(super) fn on_fault(&mut self, planned: Planned) {
        let now = self.now();
        self.recorder.fault(now, &planned);
        let Planned { number, node, fault, .. } = planned;
        let mut prng = Stream::Delivery(number).of(self.params.seed);
        let target = &mut self.nodes[node];
        match fault {
            Fault::Crash { how, down } => self.end(node, how, down),
            Fault::ReplaceDisk { with, down } => self.replace_disk(node, number, with, down),
            Fault::CrashDuring { moment, after, how, down } => {
                target.armed.push(Armed { moment, after, how, down, prng });
            }
            Fault::DiskErrors { kind, per_million, lasting } => {
                match kind {
                    ErrorKind::Write => target.disk.faults.write_per_million = per_million,
                    ErrorKind::Sync => target.disk.faults.sync_per_million = per_million,
                    ErrorKind::Read => target.disk.faults.read_per_million = per_million,
                    ErrorKind::Removal => target.disk.faults.removal_per_million = per_million,
                }
                self.heap.at(now + lasting, Occurrence::Calm { node, calm: Calm::Errors });
            }
            Fault::DiskFull { room, lasting } => {
                target.disk.faults.capacity = Some(target.disk.bytes_used() + room);
                self.heap.at(now + lasting, Occurrence::Calm { node, calm: Calm::Full });
            }
            Fault::DiskSlow { factor, lasting } => {
                target.disk.speed.factor = factor;
                self.faults.add("disk-slow");
                self.heap.at(now + lasting, Occurrence::Calm { node, calm: Calm::Slow });
            }
            Fault::Link { stretch, trouble, lasting } => {
                self.network.ail(number, node, stretch, trouble);
                self.heap.at(now + lasting, Occurrence::Calm { node, calm: Calm::Link(number) });
            }
            Fault::Reset => self.network.reset_one(node, &mut prng, now),
            Fault::Pause { lasting } => {
                if !target.cores.is_empty() {
                    let core = prng.place(target.cores.len());
                    let core = &mut target.cores[core];
                    core.paused_until = core.paused_until.max(now + lasting);
                    self.faults.add("pause");
                }
            }
            Fault::ClockJump { millis } => {
                target.clock.jump(millis);
                self.faults.add("clock-jump");
            }
            Fault::Clock { shape, millis, lasting } => {
                target.clock.skew(now, number, (shape, millis, lasting), &mut prng);
                self.faults.add("clock-skew");
                self.heap.at(now + lasting, Occurrence::Calm { node, calm: Calm::Clock(number) });
            }
            Fault::PauseAll { lasting } => {
                for core in &mut target.cores {
                    core.paused_until = core.paused_until.max(now + lasting);
                    self.faults.add("pause-all");
                }
            }
            Fault::RotOfCopy => target.disk.rot(Aim::Atlas),
            Fault::Rot => target.disk.rot(Aim::Anywhere),
            Fault::DiskLies { lie } => target.disk.lie(lie),
        }
    }

    pub(super) fn on_calm(&mut self, node: usize, calm: Calm) {
        let now = self.now();
        let disk = &mut self.nodes[node].disk;
        match calm {
            Calm::Link(number) => self.network.calm(number, now),
            Calm::Clock(number) => self.nodes[node].clock.calm(number),
            Calm::Errors => {
                disk.faults.write_per_million = 0;
                disk.faults.sync_per_million = 0;
                disk.faults.read_per_million = 0;
                disk.faults.removal_per_million = 0;
            }
            Calm::Full => disk.faults.capacity = None,
            Calm::Slow => disk.speed.factor = 1,
        }
    }
}
