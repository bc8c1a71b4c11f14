//! The process of a node: recovery in the hands of one driver, then each shard in its own, all on one madsim node. Must not know
//! the clients.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use highwater_core::id::{OpId, ShardId};
use highwater_core::limits::CONNECTIONS_MAX;
use highwater_core::shard::{Boot, Config, Halt, Outcome, Shard, ShardMessage};
use highwater_io::driver::{Driver, End, Parts, Room};
use highwater_io::mesh::Mesh;
use highwater_io::rt::{Notify, Rt as _};
use highwater_io::storage::{Disk, Order, OrderKind};
use madsim::net::TcpListener;

use super::rt::{Door, MadRt, sleep, start};
use super::stage::{Standing, shards_of, with};
use crate::det::{Inner, Ledger, Watched};
use crate::disk::{Owner, Request};
use crate::history::Fact;

/// Where nodes listen.
pub(super) const PORT: u16 = 9092;

/// Until a port of a process that is going may be bound.
const BIND_PAUSE: highwater_core::time::Duration = highwater_core::time::Duration::from_millis(1);

#[derive(Debug, Default)]
struct Completions {
    ended: RefCell<VecDeque<(OpId, Outcome)>>,
    in_flight: Cell<usize>,
    notify: RefCell<Option<Notify>>,
}

/// The disk of one shard, over that of its node.
#[derive(Debug)]
struct MadDisk {
    node: usize,
    shard: u16,
    completions: Rc<Completions>,
    submitted: Vec<Order>,
}

impl Disk for MadDisk {
    fn submit(&mut self, order: Order) {
        self.completions.in_flight.set(self.completions.in_flight.get() + 1);
        self.submitted.push(order);
    }

    fn flush(&mut self) {
        for Order { op, file, kind } in self.submitted.drain(..) {
            let request = match kind {
                OrderKind::Write { at, parts, durability } => Request::Write { file, at, parts, durability },
                OrderKind::Sync => Request::Sync { file },
                OrderKind::Read { at, into } => Request::Read { file, at, into },
                OrderKind::Change(change) => Request::Change { file, change },
            };
            let (node, owner) = (self.node, Owner { shard: self.shard, op });
            let (ticket, latency) = with(|stage| stage.submit(node, owner, request));
            let completions = Rc::clone(&self.completions);
            start(async move {
                sleep(latency).await;
                let completion = with(|stage| stage.nodes[node].disk.complete(ticket));
                completions.ended.borrow_mut().push_back((completion.owner.op, completion.outcome));
                completions.notify.borrow().as_ref().expect("a driver has one").notify();
            });
        }
    }

    fn complete(&mut self) -> Option<(OpId, Outcome)> {
        let ended = self.completions.ended.borrow_mut().pop_front()?;
        self.completions.in_flight.set(self.completions.in_flight.get() - 1);
        Some(ended)
    }

    fn has_completion(&self) -> bool {
        !self.completions.ended.borrow().is_empty()
    }

    fn in_flight(&self) -> usize {
        self.completions.in_flight.get()
    }
}

#[derive(Debug, Default)]
struct Post {
    incoming: RefCell<VecDeque<(ShardId, ShardMessage)>>,
    notify: RefCell<Option<Notify>>,
}

/// A mesh without bounds and delays.
#[derive(Debug)]
struct MadMesh {
    shard: ShardId,
    posts: Rc<Vec<Post>>,
    touched: Vec<usize>,
}

impl Mesh for MadMesh {
    fn send(&mut self, to: ShardId, message: ShardMessage) {
        self.posts[usize::from(to.0)].incoming.borrow_mut().push_back((self.shard, message));
        self.touched.push(usize::from(to.0));
    }

    fn receive(&mut self) -> Option<(ShardId, ShardMessage)> {
        self.posts[usize::from(self.shard.0)].incoming.borrow_mut().pop_front()
    }

    fn has_message(&self) -> bool {
        !self.posts[usize::from(self.shard.0)].incoming.borrow().is_empty()
    }

    fn flush(&mut self) {
        for to in self.touched.drain(..) {
            if let Some(notify) = &*self.posts[to].notify.borrow() {
                notify.notify();
            }
        }
    }

    fn is_full(&self) -> bool {
        false
    }

    fn spins(&self) -> u32 {
        0
    }

    fn park(&mut self) -> bool {
        !self.has_message()
    }

    fn unpark(&mut self) {}
}

impl Inner for Boot {
    const AUDIT_EVERY: u32 = u32::MAX;
    fn invariants(&self) {}
    fn audit(&self) {}
}

impl Inner for Shard {
    const AUDIT_EVERY: u32 = 32;

    fn invariants(&self) {
        self.invariants();
    }

    fn audit(&self) {
        self.audit();
    }
}

/// A driver that is ready to run.
type Drive<A> = Driver<MadRt, Watched<A>, MadDisk, MadMesh>;

/// What the machines of one life of a node share.
struct Process {
    node: usize,
    rt: MadRt,
    posts: Rc<Vec<Post>>,
}

impl Process {
    fn drive<A: Inner>(&self, machine: A, shard: u16, listener: Option<Door>) -> Drive<A> {
        let completions = Rc::new(Completions::default());
        let node = self.node;
        let parts = Parts {
            machine: Watched::new(machine, Rc::new(Ledger::default())),
            disk: MadDisk { node, shard, completions: Rc::clone(&completions), submitted: Vec::new() },
            mesh: MadMesh { shard: ShardId(shard), posts: Rc::clone(&self.posts), touched: Vec::new() },
            listener,
            room: Room::of(CONNECTIONS_MAX),
            tap: Box::new(move |event| with(|stage| stage.on_event(node, event))),
        };
        let driver = Driver::new(self.rt.clone(), parts);
        *completions.notify.borrow_mut() = Some(driver.remote().notify());
        *self.posts[usize::from(shard)].notify.borrow_mut() = Some(driver.remote().notify());
        driver
    }
}

/// One life of a node; returns when its process has ended by itself.
pub(super) async fn live(node: usize) {
    let (config, seed, files, rt) = with(|stage| {
        let state = &mut stage.nodes[node];
        state.life += 1;
        state.standing = Standing::Booting;
        state.errors_before = state.disk.errors();
        state.remotes.clear();
        let shards = shards_of(&stage.params, node, state);
        state.shards = shards;
        let config = Config { shards, ..stage.params.nodes[node].config.clone() };
        let rt = MadRt { skew_millis: Rc::clone(&state.skew_millis) };
        (config, state.boots.next_u64(), state.disk.list(), rt)
    });
    let posts = Rc::new((0..config.shards.max(1)).map(|_| Post::default()).collect());
    let process = Process { node, rt, posts };
    let boot = Boot::new(Arc::new(config), seed, files, process.rt.now());
    let (boot, end) = process.drive(boot, 0, None).run().await;
    match end {
        End::Done => {}
        End::Halted(halt) => return with(|stage| stage.on_halt(node, halt)),
    }
    let listener = loop {
        match TcpListener::bind(("0.0.0.0", PORT)).await {
            Ok(listener) => break Rc::new(listener),
            Err(_) => sleep(BIND_PAUSE).await,
        }
    };
    let shards = boot.inner.into_shards(process.rt.now());
    let (running, ended) = (Rc::new(Cell::new(shards.len())), Notify::default());
    for (number, shard) in (0_u16..).zip(shards) {
        let driver = process.drive(shard, number, Some(Door::new(Rc::clone(&listener))));
        let remote = driver.remote();
        with(|stage| stage.nodes[node].remotes.push(remote));
        let (running, ended) = (Rc::clone(&running), ended.clone());
        start(async move {
            let (_, end) = driver.run().await;
            let End::Halted(halt) = end else { unreachable!("a shard ends by a halt") };
            let remotes = with(|stage| {
                stage.on_halt(node, halt);
                stage.nodes[node].remotes.clone()
            });
            if halt != Halt::Stopped {
                // As in production, one shard takes the others along.
                remotes.iter().for_each(highwater_io::driver::Remote::stop);
            }
            running.set(running.get() - 1);
            ended.notify();
        });
    }
    with(|stage| stage.nodes[node].standing = Standing::Up);
    while running.get() > 0 {
        ended.notified().await;
    }
    with(|stage| {
        stage.stamp(0x300 | node as u64);
        stage.history.record(Fact::Ended { node, how: crate::history::Ending::Stopped });
        stage.settle();
    });
}
