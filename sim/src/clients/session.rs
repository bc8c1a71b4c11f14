//! The real client with something to do: hands it what is heard, performs what it wants, and lets its task call it. A client
//! may end and another begin in its place, as when a process crashes. Must not know what the task is.

use std::collections::BTreeMap;

use highwater_core::batch::Scratch;
use highwater_core::client::{Acks, Client, ClientConfig, ClientEffect, ClientEvent, ClientInput};
use highwater_core::id::ConnId;
use highwater_core::prng::Prng;
use highwater_core::time::{Duration, Instant};

use super::tap::{Seen, Tap};
use super::{Act, Desk, Heard};
use crate::history::Process;

/// What a task may use when it has a turn.
#[derive(Debug)]
pub(super) struct Turn<'a, 'b> {
    pub(super) client: &'a mut Client,
    pub(super) process: Process,
    pub(super) prng: &'a mut Prng,
    pub(super) scratch: &'a mut Scratch,
    pub(super) seen: &'a Seen,
    pub(super) desk: &'a mut Desk<'b>,
}

/// What a task wants next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    At(Instant),
    /// Nothing before there is an event.
    Idle,
    /// The process ends here, and another begins.
    Crash,
    /// What it sends on the connections that it has comes late, and it loses them before. It goes on at once.
    Delay {
        cut: Duration,
        /// From then on.
        late: Duration,
    },
}

/// What a client is there for.
pub(super) trait Task: std::fmt::Debug {
    fn go_on(&mut self, turn: &mut Turn<'_, '_>) -> Next;
    fn on_event(&mut self, event: ClientEvent, turn: &mut Turn<'_, '_>);
    /// What is open will have no answer.
    fn on_crash(&mut self, process: Process, desk: &mut Desk<'_>);
    /// What is still to be done before the run may end.
    fn unfinished(&self) -> Option<String>;

    /// Until when the process stands still: it hears nothing, and does nothing.
    fn stalled_until(&self) -> Instant {
        Instant::default()
    }
}

#[derive(Debug)]
struct Life {
    client: Client,
    process: Process,
    /// The connection that the client calls 0 is this one outside.
    first_slot: u32,
    taps: BTreeMap<ConnId, Tap>,
}

#[derive(Debug)]
pub(super) struct Session {
    config: ClientConfig,
    task: Box<dyn Task>,
    life: Option<Life>,
    /// Connections of all lives.
    slots: u32,
    seen: Seen,
    scratch: Scratch,
    /// What came while the process stood still.
    unheard: Vec<Heard>,
}

impl Session {
    pub(super) fn new((config, node): (ClientConfig, usize), task: Box<dyn Task>) -> Self {
        let (seen, scratch) = (Seen::new(node), Scratch::new());
        Self { config, task, life: None, slots: 0, seen, scratch, unheard: Vec::new() }
    }

    pub(super) fn unfinished(&self) -> Option<String> {
        self.task.unfinished()
    }

    /// Takes one fact; when to be woken.
    pub(super) fn hear(&mut self, heard: Heard, desk: &mut Desk<'_>, prng: &mut Prng) -> Option<Instant> {
        let stalled_until = self.task.stalled_until();
        if stalled_until > desk.now {
            self.unheard.push(heard);
            return Some(stalled_until);
        }
        let mut wake = None;
        for heard in std::mem::take(&mut self.unheard).into_iter().chain([heard]) {
            wake = self.take(heard, desk, prng);
        }
        wake
    }

    fn take(&mut self, heard: Heard, desk: &mut Desk<'_>, prng: &mut Prng) -> Option<Instant> {
        let life = self.life.get_or_insert_with(|| Life {
            client: Client::new(&self.config, prng.next_u64(), desk.clocks()),
            process: desk.history.new_process(),
            first_slot: self.slots,
            taps: BTreeMap::new(),
        });
        self.seen.process = life.process;
        match heard {
            Heard::Connected { conn } => {
                if let Some(conn) = life.known(conn) {
                    life.client.handle(desk.clocks(), ClientInput::Connected { conn });
                }
            }
            Heard::Closed { conn } => {
                if let Some(conn) = life.known(conn) {
                    life.taps.remove(&conn);
                    life.client.handle(desk.clocks(), ClientInput::Closed { conn });
                }
            }
            Heard::Bytes { conn, bytes } => {
                if let Some(conn) = life.known(conn) {
                    let tap = life.taps.get_mut(&conn).expect("known by its tap");
                    tap.on_bytes(&bytes, &mut self.seen, desk);
                    life.client.handle(desk.clocks(), ClientInput::Received { conn, bytes: &bytes });
                }
            }
            Heard::Wake => {}
        }
        self.go_on(desk, prng)
    }

    fn go_on(&mut self, desk: &mut Desk<'_>, prng: &mut Prng) -> Option<Instant> {
        let life = self.life.as_mut()?;
        let answered = if self.config.producer.acks == Acks::None { Answered::No } else { Answered::Yes };
        loop {
            let mut quiet = true;
            self.slots = self.slots.max(life.obey(answered, &self.seen, desk));
            let Life { client, process, .. } = life;
            while let Some(event) = client.poll_event() {
                quiet = false;
                let (seen, scratch) = (&self.seen, &mut self.scratch);
                let mut turn = Turn { client, process: *process, prng, scratch, seen, desk };
                self.task.on_event(event, &mut turn);
            }
            let (seen, scratch) = (&self.seen, &mut self.scratch);
            let next = self.task.go_on(&mut Turn { client, process: *process, prng, scratch, seen, desk });
            let acts = desk.acts.len();
            self.slots = self.slots.max(life.obey(answered, &self.seen, desk));
            if let Next::Delay { cut, late } = next {
                life.delay((desk.now + cut, desk.now + cut + late), desk);
                continue;
            }
            if next == Next::Crash {
                desk.operations.add("client-crash");
                life.end(desk);
                self.task.on_crash(life.process, desk);
                self.life = None;
                return Some(desk.now);
            }
            if quiet && acts == desk.acts.len() {
                let at = match next {
                    Next::At(at) => Some(at),
                    Next::Idle | Next::Crash | Next::Delay { .. } => None,
                };
                return [at, life.client.deadline()].into_iter().flatten().min();
            }
        }
    }
}

/// Whether produce requests have answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answered {
    Yes,
    No,
}

impl Life {
    /// The client's own name of a connection that is open.
    fn known(&self, conn: ConnId) -> Option<ConnId> {
        let own = ConnId { slot: conn.slot.checked_sub(self.first_slot)?, ..conn };
        self.taps.contains_key(&own).then_some(own)
    }

    fn named(&self, own: ConnId) -> ConnId {
        ConnId { slot: own.slot + self.first_slot, ..own }
    }

    /// Performs what the client wants; how many connections there were in all lives.
    fn obey(&mut self, answered: Answered, seen: &Seen, desk: &mut Desk<'_>) -> u32 {
        let mut slots = 0;
        while let Some(effect) = self.client.poll(desk.clocks()) {
            match effect {
                ClientEffect::Connect { conn: own, address } => {
                    self.taps.insert(own, Tap::default());
                    let conn = self.named(own);
                    slots = conn.slot + 1;
                    desk.acts.push(Act::Connect { conn, address });
                }
                ClientEffect::Send { conn: own, parts } => {
                    let Some(tap) = self.taps.get_mut(&own) else { continue };
                    tap.on_sent(&parts, answered, seen, desk);
                    desk.acts.push(Act::Send { conn: self.named(own), parts });
                }
                ClientEffect::Close { conn: own } => {
                    desk.operations.add("closed");
                    self.taps.remove(&own);
                    desk.acts.push(Act::Close { conn: self.named(own) });
                }
            }
        }
        slots
    }

    fn delay(&self, (cut_at, held_until): (Instant, Instant), desk: &mut Desk<'_>) {
        let delay = |own: &ConnId| Act::Delay { conn: self.named(*own), cut_at, held_until };
        desk.acts.extend(self.taps.keys().map(delay));
    }

    fn end(&mut self, desk: &mut Desk<'_>) {
        for own in std::mem::take(&mut self.taps).into_keys() {
            desk.acts.push(Act::Close { conn: self.named(own) });
        }
    }
}
