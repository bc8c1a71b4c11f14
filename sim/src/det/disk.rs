//! The disk as the driver sees it, over the simulated one of the world. Must not know files.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use highwater_core::id::OpId;
use highwater_core::shard::{Effect, Outcome};
use highwater_io::storage::{Disk, Order, OrderKind};

use super::host::Host;

/// What has ended; filled by the world.
#[derive(Debug, Default)]
pub(super) struct Completions {
    ended: RefCell<VecDeque<(OpId, Outcome)>>,
    in_flight: Cell<usize>,
}

impl Completions {
    pub(super) fn push(&self, op: OpId, outcome: Outcome) {
        self.ended.borrow_mut().push_back((op, outcome));
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.get()
    }
}

#[derive(Debug)]
pub(super) struct DetDisk {
    host: Rc<Host>,
    completions: Rc<Completions>,
    /// Not under way before the turn ends.
    submitted: Vec<Order>,
}

impl DetDisk {
    pub(super) fn new(host: Rc<Host>, completions: Rc<Completions>) -> Self {
        Self { host, completions, submitted: Vec::new() }
    }
}

impl Disk for DetDisk {
    fn submit(&mut self, order: Order) {
        self.completions.in_flight.set(self.completions.in_flight.get() + 1);
        self.submitted.push(order);
    }

    fn flush(&mut self) {
        for Order { op, file, kind } in self.submitted.drain(..) {
            self.host.order(match kind {
                OrderKind::Write { at, parts, durability } => {
                    Effect::Write { op, file, at, parts, durability }
                }
                OrderKind::Sync => Effect::Sync { op, file },
                OrderKind::Read { at, into } => Effect::Read { op, file, at, into },
                OrderKind::Change(change) => Effect::File { op, file, change },
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
            || self.host.chance(self.host.rough.false_completions_per_million)
    }

    fn in_flight(&self) -> usize {
        self.completions.in_flight.get()
    }
}
