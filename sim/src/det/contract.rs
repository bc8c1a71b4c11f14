//! What a driver owes its machine: an answer to each order, once, and nothing about what is over. Wraps the machine and panics
//! where the driver breaks its word. Must not know the driver.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use highwater_core::id::{ConnId, OpId};
use highwater_core::shard::{Effect, Event, Input};
use highwater_core::time::{Instant, Now};
use highwater_io::driver::Machine;

use super::Inner;

#[derive(Debug, Default)]
struct Owed {
    page: bool,
    sends: u32,
}

/// What a driver that sleeps must have seen to.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    due: Cell<Option<Instant>>,
    unsent: Cell<usize>,
}

impl Ledger {
    /// When the machine wants to be polled.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due.get()
    }

    /// Connections with sends that were not told of.
    pub(super) fn unsent(&self) -> usize {
        self.unsent.get()
    }
}

/// A machine under watch.
#[derive(Debug)]
pub(crate) struct Watched<A> {
    pub(crate) inner: A,
    ledger: Rc<Ledger>,
    conns: BTreeMap<ConnId, Owed>,
    ops: BTreeSet<OpId>,
    turns: u32,
    halted: bool,
}

impl<A> Watched<A> {
    pub(crate) fn new(inner: A, ledger: Rc<Ledger>) -> Self {
        Self { inner, ledger, conns: BTreeMap::new(), ops: BTreeSet::new(), turns: 0, halted: false }
    }

    fn conn(&mut self, conn: ConnId) -> &mut Owed {
        self.conns.get_mut(&conn).unwrap_or_else(|| panic!("driver: {conn:?} is not open"))
    }

    fn on_input(&mut self, input: &Input) {
        match input {
            Input::Accepted { conn, .. } => {
                let before = self.conns.insert(*conn, Owed::default());
                assert!(before.is_none(), "driver: {conn:?} is accepted twice");
            }
            Input::Received { conn, len, .. } => {
                let owed = self.conn(*conn);
                assert!(std::mem::take(&mut owed.page), "driver: {conn:?} was not read");
                assert!(*len > 0, "driver: an end of stream of {conn:?} is told as bytes");
            }
            Input::Sent { conn } => {
                let owed = self.conn(*conn);
                owed.sends = owed.sends.checked_sub(1).expect("driver: a send is told twice");
            }
            Input::Closed { conn, page } => {
                let owed =
                    self.conns.remove(conn).unwrap_or_else(|| panic!("driver: {conn:?} is closed twice"));
                assert!(owed.page == page.is_some(), "driver: the page of {conn:?} is lost or made up");
            }
            Input::Disk { op, .. } => {
                assert!(self.ops.remove(op), "driver: {op:?} ends twice, or was never asked for");
            }
            Input::Shard { .. }
            | Input::FileSystem(_)
            | Input::LogLevel { .. }
            | Input::Tick
            | Input::Stop => {}
        }
    }

    fn on_effect(&mut self, effect: &Effect) {
        match effect {
            Effect::Recv { conn, .. } => {
                let owed = self.conns.get_mut(conn).expect("contract: a Recv names a living connection");
                assert!(!std::mem::replace(&mut owed.page, true), "contract: one Recv at a time");
            }
            Effect::Send { conn, .. } => {
                // The connection may have gone while the order waited.
                if let Some(owed) = self.conns.get_mut(conn) {
                    owed.sends += 1;
                }
            }
            Effect::Write { op, .. }
            | Effect::Sync { op, .. }
            | Effect::Read { op, .. }
            | Effect::File { op, .. } => {
                assert!(self.ops.insert(*op), "contract: {op:?} names one operation at a time");
            }
            Effect::Close { .. } | Effect::Shard { .. } => {}
            Effect::Halt(_) => self.halted = true,
        }
    }

    fn note(&self)
    where
        A: Inner,
    {
        // A machine that has ended waits for nothing.
        let open = !self.halted && !self.inner.is_done();
        self.ledger.due.set(self.inner.deadline().filter(|_| open));
        self.ledger.unsent.set(self.conns.values().filter(|owed| open && owed.sends > 0).count());
    }

    fn examine(&mut self)
    where
        A: Inner,
    {
        self.inner.invariants();
        self.turns += 1;
        if self.turns.is_multiple_of(A::AUDIT_EVERY) {
            self.inner.audit();
        }
    }
}

impl<A: Inner> Machine for Watched<A> {
    fn handle(&mut self, now: Now, input: Input) {
        self.on_input(&input);
        self.inner.handle(now, input);
        self.note();
    }

    fn poll(&mut self, now: Now) -> Option<Effect> {
        let effect = self.inner.poll(now);
        match &effect {
            Some(effect) => self.on_effect(effect),
            None => self.examine(),
        }
        self.note();
        effect
    }

    fn deadline(&self) -> Option<Instant> {
        self.inner.deadline()
    }

    fn poll_event(&mut self) -> Option<Event> {
        self.inner.poll_event()
    }

    fn is_done(&self) -> bool {
        self.inner.is_done()
    }
}
