//! The driver of one shard: feeds a state machine what happened and carries out what it orders, turn by turn. Owns connections,
//! the sleep between turns and the orderly end; decides nothing, and knows neither sockets nor files nor threads.

mod conn;

use std::collections::VecDeque;
use std::rc::Rc;

use highwater_core::mutant::{self, Mutant};
use highwater_core::shard::{Boot, CloseReason, Effect, Event, Halt, Input, Shard};
use highwater_core::time::{Duration, Instant, Now};

pub use crate::driver::conn::Room;
use crate::driver::conn::{Conns, Inbox};
use crate::mesh::Mesh;
use crate::rt::{Rt, yield_now};
use crate::storage::{Disk, Order, OrderKind};

/// How long a connection may take to send what is left after its end was ordered.
pub const LINGER_MAX: Duration = Duration::from_secs(5);

/// The same when the shard itself ends.
pub const LINGER_AT_STOP_MAX: Duration = Duration::from_millis(200);

/// A state machine behind the boundary of the core.
pub trait Machine {
    fn handle(&mut self, now: Now, input: Input);
    fn poll(&mut self, now: Now) -> Option<Effect>;
    fn deadline(&self) -> Option<Instant>;
    fn poll_event(&mut self) -> Option<Event>;
    /// Whether it ended by itself, without a halt.
    fn is_done(&self) -> bool;
}

impl Machine for Shard {
    fn handle(&mut self, now: Now, input: Input) {
        Self::handle(self, now, input);
    }

    fn poll(&mut self, now: Now) -> Option<Effect> {
        Self::poll(self, now)
    }

    fn deadline(&self) -> Option<Instant> {
        Self::deadline(self).map(|(at, _)| at)
    }

    fn poll_event(&mut self) -> Option<Event> {
        Self::poll_event(self)
    }

    fn is_done(&self) -> bool {
        false
    }
}

impl Machine for Boot {
    fn handle(&mut self, now: Now, input: Input) {
        Self::handle(self, now, input);
    }

    fn poll(&mut self, now: Now) -> Option<Effect> {
        Self::poll(self, now)
    }

    fn deadline(&self) -> Option<Instant> {
        Self::deadline(self)
    }

    fn poll_event(&mut self) -> Option<Event> {
        Self::poll_event(self)
    }

    fn is_done(&self) -> bool {
        Self::is_done(self)
    }
}

/// Why a drive ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The machine is done, as a boot is.
    Done,
    Halted(Halt),
}

/// What a driver needs beside its runtime.
pub struct Parts<R: Rt, A, D, M> {
    pub machine: A,
    pub disk: D,
    pub mesh: M,
    /// `None` for a machine that serves nobody.
    pub listener: Option<R::Listener>,
    /// Where there is none left, connections are refused.
    pub room: Room,
    /// Sees every event of the machine.
    pub tap: Box<dyn FnMut(Event)>,
}

/// Reaches a driver from tasks of the same thread.
#[derive(Debug, Clone)]
pub struct Remote(Rc<Inbox>);

impl Remote {
    /// Asks the machine to end in order.
    pub fn stop(&self) {
        self.0.push(Input::Stop);
    }

    /// The disk or the mesh may have something.
    pub fn notify(&self) -> crate::rt::Notify {
        self.0.notify.clone()
    }
}

/// Drives one machine.
pub struct Driver<R: Rt, A, D, M> {
    rt: R,
    machine: A,
    disk: D,
    mesh: M,
    conns: Rc<Conns<R>>,
    inbox: Rc<Inbox>,
    tap: Box<dyn FnMut(Event)>,
    listener: Option<Rc<R::Listener>>,
    /// The last turn ended because the mesh was full.
    cut_short: bool,
}

impl<R: Rt, A: Machine, D: Disk, M: Mesh> Driver<R, A, D, M> {
    pub fn new(rt: R, parts: Parts<R, A, D, M>) -> Self {
        let inbox = Rc::new(Inbox::default());
        let conns = Rc::new(Conns::new(rt.clone(), Rc::clone(&inbox), parts.room));
        Self {
            rt,
            machine: parts.machine,
            disk: parts.disk,
            mesh: parts.mesh,
            conns,
            inbox,
            tap: parts.tap,
            listener: parts.listener.map(Rc::new),
            cut_short: false,
        }
    }

    pub fn remote(&self) -> Remote {
        Remote(Rc::clone(&self.inbox))
    }

    /// Runs until the machine ends; then every task and every disk operation has ended too. Must be a task of its own: it
    /// yields to the others between turns.
    pub async fn run(mut self) -> (A, End) {
        if let Some(listener) = &self.listener {
            Conns::accept_all(&self.conns, Rc::clone(listener));
        }
        let end = loop {
            let worked = self.take_inputs();
            let end = self.poll_machine();
            self.mesh.flush();
            self.disk.flush();
            while let Some(event) = self.machine.poll_event() {
                (self.tap)(event);
            }
            if let Some(end) = end {
                break end;
            }
            let cut_short = self.cut_short && !self.mesh.is_full();
            // What goes out must not wait while this spins. Without that, to sleep is what sends it: one system call does both.
            let spins_next = worked && self.mesh.spins() > 0;
            if cut_short || spins_next { yield_now().await } else { self.sleep().await }
        };
        let Self { rt, machine, mut disk, mesh, conns, inbox, listener, .. } = self;
        // The other shards must not wait for this one any more.
        drop(mesh);
        if let Some(listener) = listener {
            rt.unbind(&listener);
        }
        conns.close_all(rt.now().mono + LINGER_AT_STOP_MAX);
        // Nothing of this driver outlives it: every task and every disk operation ends first.
        let of_disk = |in_flight| if mutant::on(Mutant::StopLeavesDisk) { 0 } else { in_flight };
        while conns.tasks() > 0 || of_disk(disk.in_flight()) > 0 {
            inbox.notify.clear();
            while disk.complete().is_some() {}
            disk.flush();
            conns.end_lingering(rt.now().mono);
            if disk.has_completion() || (conns.tasks() == 0 && of_disk(disk.in_flight()) == 0) {
                continue;
            }
            inbox.notify.notified_until(&rt, conns.linger_until()).await;
        }
        drop(inbox.take());
        (machine, end)
    }

    /// Hands over all that arrived; says whether there was anything.
    fn take_inputs(&mut self) -> bool {
        self.inbox.notify.clear();
        let now = self.rt.now();
        let mut worked = false;
        while let Some((from, message)) = self.mesh.receive() {
            self.machine.handle(now, Input::Shard { from, message });
            worked = true;
        }
        while let Some((op, outcome)) = self.disk.complete() {
            self.machine.handle(now, Input::Disk { op, outcome });
            worked = true;
        }
        let arrived = self.inbox.take();
        for input in arrived {
            self.machine.handle(now, input);
            worked = true;
        }
        self.conns.end_lingering(now.mono);
        if self.machine_deadline().is_some_and(|at| at <= now.mono) {
            self.machine.handle(now, Input::Tick);
            worked = true;
        }
        worked
    }

    /// When the machine wants to be polled. While the mesh is full it is not, however late it gets: room in the mesh rings.
    fn machine_deadline(&self) -> Option<Instant> {
        let is_full = self.mesh.is_full() && !mutant::on(Mutant::LateTimerSpins);
        if is_full || mutant::on(Mutant::TimerIgnored) { None } else { self.machine.deadline() }
    }

    /// Carries effects out until there are none, or until the mesh is full: what the others sent is taken first then.
    fn poll_machine(&mut self) -> Option<End> {
        let now = self.rt.now();
        loop {
            self.cut_short = self.mesh.is_full();
            if self.cut_short {
                if mutant::on(Mutant::EffectDropped) {
                    drop(self.machine.poll(now));
                }
                break;
            }
            let Some(effect) = self.machine.poll(now) else { break };
            if let Some(halt) = self.carry_out(effect, now) {
                return Some(End::Halted(halt));
            }
        }
        self.machine.is_done().then_some(End::Done)
    }

    fn carry_out(&mut self, effect: Effect, now: Now) -> Option<Halt> {
        match effect {
            Effect::Recv { conn, into, at } => self.conns.grant(conn, into, at),
            Effect::Send { conn, parts } => Conns::send(&self.conns, conn, parts),
            // What it does not take is not waited for.
            Effect::Close { conn, reason: CloseReason::SlowReader } => self.conns.end_now(conn),
            Effect::Close { conn, .. } => self.conns.close(conn, now.mono + LINGER_MAX),
            Effect::Write { op, file, at, parts, durability } => {
                self.disk.submit(Order { op, file, kind: OrderKind::Write { at, parts, durability } });
            }
            Effect::Sync { op, file } => self.disk.submit(Order { op, file, kind: OrderKind::Sync }),
            Effect::Read { op, file, at, into } => {
                self.disk.submit(Order { op, file, kind: OrderKind::Read { at, into } });
            }
            Effect::File { op, file, change } => {
                self.disk.submit(Order { op, file, kind: OrderKind::Change(change) });
            }
            Effect::Shard { to, message } => self.mesh.send(to, message),
            Effect::Halt(halt) => return Some(halt),
        }
        None
    }

    async fn sleep(&mut self) {
        for _ in 0..self.mesh.spins() {
            if self.mesh.has_message() || self.disk.has_completion() {
                return;
            }
            std::hint::spin_loop();
        }
        let until = [self.machine_deadline(), self.conns.linger_until()].into_iter().flatten().min();
        let is_due = until.is_some_and(|at| at <= self.rt.now().mono);
        if is_due || self.disk.has_completion() || !self.mesh.park() {
            self.mesh.unpark();
            yield_now().await;
            return;
        }
        self.inbox.notify.notified_until(&self.rt, until).await;
        self.mesh.unpark();
    }
}

impl<R: Rt, A, D, M> std::fmt::Debug for Driver<R, A, D, M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Driver({} connections)", self.conns.len())
    }
}

impl<R: Rt, A, D, M> std::fmt::Debug for Parts<R, A, D, M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Parts")
    }
}

pub(crate) type Inputs = VecDeque<Input>;
