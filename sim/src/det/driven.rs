//! One machine with its driver, its tasks and its sockets, as one thing that takes inputs and gives effects. Must not know the
//! world.

use std::cell::RefCell;
use std::rc::Rc;

use highwater_core::limits::CONNECTIONS_MAX;
use highwater_core::prng::Prng;
use highwater_core::shard::{Effect, Event, Input};
use highwater_core::time::{Duration, Instant, Now};
use highwater_io::driver::{Driver, End, Machine, Parts, Remote, Room};

use super::contract::{Ledger, Watched};
use super::disk::{Completions, DetDisk};
use super::executor::Executor;
use super::host::Host;
use super::mesh::{DetMesh, Lanes, Post};
use super::rt::{DetRt, Listener};

/// Steps of one turn after which the driver counts as a loop without end.
const STEPS_MAX: u32 = 1_000_000;

/// How long until a full ring is looked at again.
const RING_LOOK: Duration = Duration::from_micros(5);

/// A machine that can be looked into.
pub(crate) trait Inner: Machine + 'static {
    /// Turns from one audit to the next.
    const AUDIT_EVERY: u32;
    fn invariants(&self);
    fn audit(&self);
}

/// What a machine is driven with.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) prng: Prng,
    pub(crate) shard: u16,
    pub(crate) lanes: Rc<Lanes>,
    /// `None` for a machine that serves nobody.
    pub(crate) listener: Option<Listener>,
}

type Ended<A> = Rc<RefCell<Option<(Watched<A>, End)>>>;

/// A machine in the hands of its driver.
pub(crate) struct Driven<A> {
    host: Rc<Host>,
    executor: Executor,
    remote: Remote,
    completions: Rc<Completions>,
    post: Rc<Post>,
    ledger: Rc<Ledger>,
    ended: Ended<A>,
    halt_told: bool,
    steps: u32,
}

impl<A: Inner> Driven<A> {
    pub(crate) fn new(machine: A, mut setup: Setup) -> Self {
        let mut executor = Executor::new(Prng::new(setup.prng.next_u64()));
        let host = Rc::new(Host::new(setup.prng));
        let completions = Rc::new(Completions::default());
        let post = Rc::new(Post::new(Rc::clone(&host), setup.lanes, setup.shard));
        let events = Rc::clone(&host);
        let ledger = Rc::new(Ledger::default());
        let parts = Parts {
            machine: Watched::new(machine, Rc::clone(&ledger)),
            disk: DetDisk::new(Rc::clone(&host), Rc::clone(&completions)),
            mesh: DetMesh(Rc::clone(&post)),
            listener: setup.listener,
            room: Room::of(CONNECTIONS_MAX),
            tap: Box::new(move |event| events.events.borrow_mut().push_back(event)),
        };
        let driver = Driver::new(DetRt(Rc::clone(&host)), parts);
        let remote = driver.remote();
        let ended = Ended::default();
        let result = Rc::clone(&ended);
        executor.spawn(Box::pin(async move {
            let end = driver.run().await;
            *result.borrow_mut() = Some(end);
        }));
        Self { host, executor, remote, completions, post, ledger, ended, halt_told: false, steps: 0 }
    }

    /// Takes one fact from the world.
    pub(crate) fn handle(&mut self, now: Now, input: Input) {
        self.host.now.set(now);
        match input {
            Input::Accepted { conn, local, peer } => self.host.on_accepted(conn, local, peer),
            Input::Received { conn, page, len } => self.host.on_received(conn, page, len),
            Input::Sent { conn } => self.host.on_sent(conn),
            Input::Closed { conn, page } => self.host.on_closed(conn, page),
            Input::Disk { op, outcome } => {
                self.completions.push(op, outcome);
                self.remote.notify().notify();
            }
            Input::Shard { from, message } => {
                if self.post.push(from, message) {
                    self.remote.notify().notify();
                }
            }
            Input::Tick => {}
            Input::Stop => self.remote.stop(),
            Input::FileSystem(_) | Input::LogLevel { .. } => {
                unreachable!("only who runs a node tells of these")
            }
        }
    }

    /// Runs tasks until one of them wants something of the world, or all sleep.
    pub(crate) fn poll(&mut self, now: Now) -> Option<Effect> {
        self.host.now.set(now);
        self.host.fire_timers();
        if self.post.must_wake() {
            self.remote.notify().notify();
        }
        loop {
            if let Some(effect) = self.host.effects.borrow_mut().pop_front() {
                return Some(effect);
            }
            for task in self.host.spawned.take() {
                self.executor.spawn(task);
            }
            if !self.executor.run_one() {
                self.steps = 0;
                if self.ended.borrow().is_none() {
                    self.check_sleep();
                }
                return self.halt();
            }
            self.steps += 1;
            assert!(self.steps < STEPS_MAX, "driver: {} tasks spin", self.executor.len());
        }
    }

    /// All tasks sleep: whatever the machine waits for must be under way.
    fn check_sleep(&self) {
        let unsent = self.ledger.unsent();
        assert!(unsent <= self.host.sending(), "driver: a send is neither told of nor under way");
        let Some(due) = self.ledger.due() else { return };
        let wakes = self.deadline().is_some_and(|at| at <= due);
        assert!(wakes || self.post.is_full(), "driver: sleeps beyond the deadline of its machine");
    }

    fn halt(&mut self) -> Option<Effect> {
        match *self.ended.borrow() {
            Some((_, End::Halted(halt))) if !std::mem::replace(&mut self.halt_told, true) => {
                assert!(self.executor.len() == 0, "driver: {} tasks outlive it", self.executor.len());
                assert!(self.completions.in_flight() == 0, "driver: a disk operation outlives it");
                Some(Effect::Halt(halt))
            }
            Some(_) | None => None,
        }
    }

    /// Whether the machine has done what it was for.
    pub(crate) fn is_done(&self) -> bool {
        matches!(*self.ended.borrow(), Some((_, End::Done)))
    }

    /// The machine of a drive that is done.
    pub(crate) fn into_machine(self) -> A {
        let (machine, _) = self.ended.take().expect("the drive is done");
        machine.inner
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        let timer = self.host.timers.borrow().first_key_value().map(|(&(at, _), _)| at);
        let ring = self.post.is_waiting().then(|| self.host.now.get().mono + RING_LOOK);
        [timer, ring].into_iter().flatten().min()
    }

    pub(crate) fn poll_event(&mut self) -> Option<Event> {
        self.host.events.borrow_mut().pop_front()
    }
}

impl<A> Drop for Driven<A> {
    /// Tasks hold the host, and the host may hold tasks.
    fn drop(&mut self) {
        self.host.spawned.take();
        self.host.door.queue.take();
    }
}

impl<A> std::fmt::Debug for Driven<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Driven({:?}, {} tasks)", self.host, self.executor.len())
    }
}
