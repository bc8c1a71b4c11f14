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

    /// Whether the shard sleeps although there is room for what waits; it must be woken then.
    pub(super) fn must_wake(&self) -> bool {
        self.parked.get() && self.room_for_waiting() && self.parked.replace(false)
    }

    fn room_for_waiting(&self) -> bool {
        let has_room = |to: u16| self.lanes.has_room((self.shard, to), self.host.rough.ring_messages);
        self.overflow.borrow().iter().any(|(to, _)| has_room(to.0))
    }

    fn try_send(&self, to: ShardId, message: ShardMessage) -> Result<(), ShardMessage> {
        let pair = (self.shard, to.0);
        if self.lanes.has_left(to.0) {
            return Ok(());
        }
        if !self.lanes.has_room(pair, self.host.rough.ring_messages) {
            return Err(message);
        }
        *self.lanes.fill.borrow_mut().entry(pair).or_default() += 1;
        self.sent.borrow_mut().push_back((to, message));
        Ok(())
    }

    fn refill(&self) {
        let mut full = BTreeSet::new();
        for (to, message) in self.overflow.take() {
            let kept = if full.contains(&to) { Err(message) } else { self.try_send(to, message) };
            if let Err(message) = kept {
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
        let kept = if waits { Err(message) } else { self.0.try_send(to, message) };
        if let Err(message) = kept {
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
        self.0.overflow.borrow().len() >= self.0.host.rough.overflow_messages
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
