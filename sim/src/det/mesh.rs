//! The mesh as the driver sees it: small rings that are full now and then, and a bell for those who sleep and for nobody else.
//! Must not know what is said.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

use highwater_core::id::ShardId;
use highwater_core::shard::{Effect, ShardMessage};
use highwater_io::mesh::Mesh;

use super::host::Host;

/// What the shards of one life of a node know of each other's rings.
#[derive(Debug, Default)]
pub(crate) struct Lanes {
    /// Messages of a pair that are in its ring.
    fill: RefCell<BTreeMap<(u16, u16), usize>>,
    /// Shards that receive no more.
    left: RefCell<BTreeSet<u16>>,
}

impl Lanes {
    fn has_room(&self, pair: (u16, u16), ring_messages: usize) -> bool {
        self.has_left(pair.1) || self.fill.borrow().get(&pair).copied().unwrap_or(0) < ring_messages
    }

    fn has_left(&self, shard: u16) -> bool {
        self.left.borrow().contains(&shard)
    }
}

/// One shard's end of the mesh.
#[derive(Debug)]
pub(super) struct Post {
    host: Rc<Host>,
    lanes: Rc<Lanes>,
    shard: u16,
    incoming: RefCell<VecDeque<(ShardId, ShardMessage)>>,
    /// Not on their way before the turn ends.
    sent: RefCell<VecDeque<(ShardId, ShardMessage)>>,
    /// Waits for room, in order.
    overflow: RefCell<VecDeque<(ShardId, ShardMessage)>>,
    parked: Cell<bool>,
}

impl Post {
    pub(super) fn new(host: Rc<Host>, lanes: Rc<Lanes>, shard: u16) -> Self {
        Self {
            host,
            lanes,
            shard,
            incoming: RefCell::default(),
            sent: RefCell::default(),
            overflow: RefCell::default(),
            parked: Cell::new(false),
        }
    }

    /// A message arrives; says whether the shard must be woken.
    pub(super) fn push(&self, from: ShardId, message: ShardMessage) -> bool {
        self.incoming.borrow_mut().push_back((from, message));
        self.parked.replace(false)
    }

    /// Whether messages wait for room.
    pub(super) fn is_waiting(&self) -> bool {
        !self.overflow.borrow().is_empty()
    }

    /// Whether so much waits that the machine is not polled.
    pub(super) fn is_full(&self) -> bool {
        self.overflow.borrow().len() >= self.host.rough.overflow_messages
    }

    /// Whether the shard sleeps although there is room for what waits; it must be woken then.
    pub(super) fn must_wake(&self) -> bool {
        self.parked.get() && self.room_for_waiting() && self.parked.replace(false)
    }

    fn room_for_waiting(&self) -> bool {
        self.overflow.borrow().iter().any(|&(to, _)| self.has_room(to))
    }

    fn has_room(&self, to: ShardId) -> bool {
        self.lanes.has_room((self.shard, to.0), self.host.rough.ring_messages)
    }

    /// Puts a message into a ring that has room.
    fn put(&self, to: ShardId, message: ShardMessage) {
        if !self.lanes.has_left(to.0) {
            *self.lanes.fill.borrow_mut().entry((self.shard, to.0)).or_default() += 1;
            self.sent.borrow_mut().push_back((to, message));
        }
    }

    fn refill(&self) {
        let mut full = BTreeSet::new();
        for (to, message) in self.overflow.take() {
            if !full.contains(&to) && self.has_room(to) {
                self.put(to, message);
            } else {
                full.insert(to);
                self.overflow.borrow_mut().push_back((to, message));
            }
        }
    }
}

/// [`Mesh`] over a [`Post`].
#[derive(Debug)]
pub(super) struct DetMesh(pub(super) Rc<Post>);

impl Mesh for DetMesh {
    fn send(&mut self, to: ShardId, message: ShardMessage) {
        assert!(to.0 != self.0.shard, "a shard sends to others only");
        let waits = self.0.overflow.borrow().iter().any(|(other, _)| *other == to);
        if !waits && self.0.has_room(to) {
            self.0.put(to, message);
        } else {
            self.0.overflow.borrow_mut().push_back((to, message));
        }
    }

    fn receive(&mut self) -> Option<(ShardId, ShardMessage)> {
        let (from, message) = self.0.incoming.borrow_mut().pop_front()?;
        let pair = (from.0, self.0.shard);
        *self.0.lanes.fill.borrow_mut().get_mut(&pair).expect("it came through this ring") -= 1;
        Some((from, message))
    }

    fn has_message(&self) -> bool {
        !self.0.incoming.borrow().is_empty()
    }

    fn flush(&mut self) {
        self.0.refill();
        for (to, message) in self.0.sent.take() {
            self.0.host.order(Effect::Shard { to, message });
        }
    }

    fn is_full(&self) -> bool {
        self.0.is_full()
    }

    fn spins(&self) -> u32 {
        0
    }

    fn park(&mut self) -> bool {
        self.0.parked.set(true);
        !self.0.room_for_waiting() && !self.has_message()
    }

    fn unpark(&mut self) {
        self.0.parked.set(false);
    }
}

impl Drop for DetMesh {
    fn drop(&mut self) {
        if let Ok(mut left) = self.0.lanes.left.try_borrow_mut() {
            left.insert(self.0.shard);
        }
    }
}
