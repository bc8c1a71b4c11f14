//! The mesh in production: one ring for each ordered pair of shards, messages in order, a wake-up per target and turn.
//!
//! The rings are `rtrb`: wait-free, one producer and one consumer, tested under Miri and thread sanitizers by its authors. What
//! this file adds is the sleep. Two flags decide it, both used in the same way: who is about to wait stores the flag, fences, and
//! looks once more; who has made progress fences and then looks at the flag. With sequentially consistent fences at least one of
//! both sees the other, so no wake-up is lost.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};

use highwater_core::id::ShardId;
use highwater_core::shard::ShardMessage;
use rtrb::{Consumer, Producer, RingBuffer};

use super::Mesh;
use crate::bell::Bell;

/// Messages of one ring.
pub const RING_MESSAGES_MAX: usize = 1024;

/// Messages that wait for full rings before the shard is polled no further.
pub const OVERFLOW_MESSAGES_MAX: usize = 4096;

/// Looks at the rings before a shard with recent messages parks: some microseconds, below the price of a wake-up.
const SPINS: u32 = 200;

#[derive(Debug)]
struct Peer {
    sleeping: AtomicBool,
    bell: Arc<Bell>,
}

impl Peer {
    /// Rings if the peer sleeps. The caller has fenced after what the peer shall see.
    fn wake(&self) {
        if self.sleeping.load(Ordering::Relaxed) && self.sleeping.swap(false, Ordering::Relaxed) {
            self.bell.ring();
        }
    }
}

/// To one other shard.
#[derive(Debug)]
struct Outgoing<T> {
    ring: Producer<T>,
    overflow: VecDeque<T>,
    /// Raised while the overflow waits for room; the receiver lowers it and wakes.
    waits: Arc<AtomicBool>,
    touched: bool,
}

/// From one other shard.
#[derive(Debug)]
struct Incoming<T> {
    ring: Consumer<T>,
    waits: Arc<AtomicBool>,
    popped: bool,
}

/// One shard's end of the mesh. Dropping it lets the others send to it without effect.
#[derive(Debug)]
pub struct Node<T> {
    id: usize,
    peers: Arc<[Peer]>,
    /// By shard; `None` for this one.
    outgoing: Vec<Option<Outgoing<T>>>,
    incoming: Vec<Option<Incoming<T>>>,
    overflow_len: usize,
    next: usize,
    active: bool,
}

/// The ends of a new mesh, by shard, each to be woken by its bell.
pub fn mesh<T>(bells: &[Arc<Bell>], ring_messages: usize) -> Vec<Node<T>> {
    let count = bells.len();
    let peers: Arc<[Peer]> =
        bells.iter().map(|bell| Peer { sleeping: AtomicBool::new(false), bell: Arc::clone(bell) }).collect();
    let mut nodes: Vec<Node<T>> = (0..count)
        .map(|id| Node {
            id,
            peers: Arc::clone(&peers),
            outgoing: (0..count).map(|_| None).collect(),
            incoming: (0..count).map(|_| None).collect(),
            overflow_len: 0,
            next: 0,
            active: false,
        })
        .collect();
    for from in 0..count {
        for to in (0..count).filter(|&to| to != from) {
            let (producer, consumer) = RingBuffer::new(ring_messages);
            let waits = Arc::new(AtomicBool::new(false));
            nodes[to].incoming[from] =
                Some(Incoming { ring: consumer, waits: Arc::clone(&waits), popped: false });
            nodes[from].outgoing[to] =
                Some(Outgoing { ring: producer, overflow: VecDeque::new(), waits, touched: false });
        }
    }
    nodes
}

impl<T> Outgoing<T> {
    /// Moves what waits into the ring as far as there is room; says how many went.
    fn refill(&mut self) -> usize {
        let before = self.overflow.len();
        if before > 0 && self.ring.is_abandoned() {
            self.overflow.clear();
        }
        while let Some(message) = self.overflow.pop_front() {
            if let Err(rtrb::PushError::Full(message)) = self.ring.push(message) {
                self.overflow.push_front(message);
                break;
            }
            self.touched = true;
        }
        before - self.overflow.len()
    }
}

impl<T> Node<T> {
    pub fn send(&mut self, to: usize, message: T) {
        let out = self.outgoing[to].as_mut().expect("a shard sends to others only");
        self.active = true;
        if out.overflow.is_empty() {
            match out.ring.push(message) {
                Ok(()) => out.touched = true,
                Err(rtrb::PushError::Full(message)) => {
                    out.overflow.push_back(message);
                    self.overflow_len += 1;
                }
            }
        } else {
            out.overflow.push_back(message);
            self.overflow_len += 1;
        }
    }

    /// The next message of any shard, taking turns between them.
    pub fn receive(&mut self) -> Option<(usize, T)> {
        for step in 0..self.incoming.len() {
            let from = (self.next + step) % self.incoming.len();
            let Some(incoming) = &mut self.incoming[from] else { continue };
            if let Ok(message) = incoming.ring.pop() {
                incoming.popped = true;
                self.next = from;
                self.active = true;
                return Some((from, message));
            }
        }
        self.next = (self.next + 1) % self.incoming.len().max(1);
        None
    }

    pub fn has_message(&self) -> bool {
        self.incoming.iter().flatten().any(|incoming| !incoming.ring.is_empty())
    }

    pub fn is_full(&self) -> bool {
        self.overflow_len >= OVERFLOW_MESSAGES_MAX
    }

    pub fn flush(&mut self) {
        self.refill();
        let work = self.outgoing.iter().flatten().any(|out| out.touched)
            || self.incoming.iter().flatten().any(|incoming| incoming.popped);
        if !work {
            return;
        }
        fence(Ordering::SeqCst);
        for (to, out) in self.outgoing.iter_mut().enumerate() {
            if out.as_mut().is_some_and(|out| std::mem::take(&mut out.touched)) {
                self.peers[to].wake();
            }
        }
        for (from, incoming) in self.incoming.iter_mut().enumerate() {
            let Some(incoming) = incoming else { continue };
            let made_room = std::mem::take(&mut incoming.popped);
            if made_room && incoming.waits.load(Ordering::Relaxed) {
                incoming.waits.store(false, Ordering::Relaxed);
                self.peers[from].wake();
            }
        }
    }

    fn refill(&mut self) {
        if self.overflow_len == 0 {
            return;
        }
        for out in self.outgoing.iter_mut().flatten() {
            self.overflow_len -= out.refill();
        }
    }

    pub fn park(&mut self) -> bool {
        self.active = false;
        self.peers[self.id].sleeping.store(true, Ordering::Relaxed);
        for out in self.outgoing.iter().flatten().filter(|out| !out.overflow.is_empty()) {
            out.waits.store(true, Ordering::Relaxed);
        }
        fence(Ordering::SeqCst);
        let room = self
            .outgoing
            .iter()
            .flatten()
            .any(|out| !out.overflow.is_empty() && (!out.ring.is_full() || out.ring.is_abandoned()));
        !room && !self.has_message()
    }

    pub fn unpark(&mut self) {
        self.peers[self.id].sleeping.store(false, Ordering::Relaxed);
    }

    pub fn spins(&self) -> u32 {
        if self.active { SPINS } else { 0 }
    }
}

impl<T> Drop for Node<T> {
    fn drop(&mut self) {
        self.incoming.clear();
        for (id, peer) in self.peers.iter().enumerate() {
            if id != self.id {
                peer.bell.ring();
            }
        }
    }
}

impl Mesh for Node<ShardMessage> {
    fn send(&mut self, to: ShardId, message: ShardMessage) {
        Self::send(self, usize::from(to.0), message);
    }

    fn receive(&mut self) -> Option<(ShardId, ShardMessage)> {
        let (from, message) = Self::receive(self)?;
        Some((ShardId(u16::try_from(from).expect("shards are counted in u16")), message))
    }

    fn has_message(&self) -> bool {
        Self::has_message(self)
    }

    fn flush(&mut self) {
        Self::flush(self);
    }

    fn is_full(&self) -> bool {
        Self::is_full(self)
    }

    fn spins(&self) -> u32 {
        Self::spins(self)
    }

    fn park(&mut self) -> bool {
        Self::park(self)
    }

    fn unpark(&mut self) {
        Self::unpark(self);
    }
}

#[cfg(test)]
mod tests;
