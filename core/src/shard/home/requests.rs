//! The table of requests in work: slots with generations, so that a late reply is recognised.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use crate::api::Work;
use crate::id::ConnId;
use crate::shard::Timer;
use crate::shard::connection::Place;
use crate::shard::message::CallId;
use crate::time::Instant;

/// A request that waits for replies.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) conn: ConnId,
    pub(super) place: Place,
    pub(super) work: Work,
    pub(super) deadline: Option<Instant>,
}

#[derive(Debug)]
struct Slot {
    generation: u32,
    request: Option<Request>,
}

#[derive(Debug)]
pub(super) struct Requests {
    slots: Vec<Slot>,
    free: Vec<u32>,
    of: BTreeSet<(ConnId, CallId)>,
}

impl Requests {
    pub(super) fn new() -> Self {
        Self { slots: Vec::new(), free: Vec::new(), of: BTreeSet::new() }
    }

    /// The name that the next request will have.
    pub(super) fn next_call(&self) -> CallId {
        let Some(&slot) = self.free.last() else {
            let slot =
                u32::try_from(self.slots.len()).expect("requests are bounded by those of all connections");
            return CallId { slot, generation: 0, part: 0 };
        };
        CallId { slot, generation: self.slots[index(slot)].generation, part: 0 }
    }

    /// Keeps the request under the name that [`Self::next_call`] gave.
    pub(super) fn insert(&mut self, call: CallId, request: Request) {
        self.of.insert((request.conn, call));
        if self.free.pop().is_none() {
            self.slots.push(Slot { generation: 0, request: None });
        }
        let slot = &mut self.slots[index(call.slot)];
        assert!(slot.request.is_none() && slot.generation == call.generation, "the slot is free");
        slot.request = Some(request);
    }

    /// The request that `call` is a part of, if it is still in work.
    pub(super) fn find(&mut self, call: CallId) -> Option<&mut Request> {
        let slot = self.slots.get_mut(index(call.slot))?;
        if slot.generation == call.generation { slot.request.as_mut() } else { None }
    }

    /// Requests in work.
    pub(super) fn len(&self) -> usize {
        self.of.len()
    }

    pub(super) fn contains(&self, call: CallId) -> bool {
        let slot = self.slots.get(index(call.slot));
        slot.is_some_and(|slot| slot.generation == call.generation && slot.request.is_some())
    }

    pub(super) fn remove(&mut self, call: CallId) -> Option<Request> {
        let call = CallId { part: 0, ..call };
        let slot = self.slots.get_mut(index(call.slot))?;
        if slot.generation != call.generation {
            return None;
        }
        let request = slot.request.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(call.slot);
        self.of.remove(&(request.conn, call));
        Some(request)
    }

    /// Takes out all requests of one connection.
    pub(super) fn remove_of(&mut self, conn: ConnId) -> Vec<(CallId, Request)> {
        let first = CallId { slot: 0, generation: 0, part: 0 };
        let last = CallId { slot: u32::MAX, generation: u32::MAX, part: u32::MAX };
        let calls: Vec<CallId> = self.of.range((conn, first)..=(conn, last)).map(|(_, call)| *call).collect();
        calls.into_iter().filter_map(|call| Some((call, self.remove(call)?))).collect()
    }

    /// What a request with a deadline waits for.
    pub(super) fn timer(&self, call: CallId) -> Timer {
        let request = self.slots.get(index(call.slot)).and_then(|slot| slot.request.as_ref());
        match request.map(|request| &request.work) {
            Some(Work::Produce(_)) => Timer::Produce,
            Some(
                Work::OffsetCommit(_)
                | Work::OffsetDelete(_)
                | Work::DeleteGroups(_)
                | Work::LeaveGroup(_)
                | Work::ConsumerGroupHeartbeat(_),
            ) => Timer::Coordinator,
            _ => Timer::Fetch,
        }
    }
}

fn index(slot: u32) -> usize {
    usize::try_from(slot).expect("32 bits fit a usize")
}
