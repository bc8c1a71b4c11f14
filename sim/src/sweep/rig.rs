//! One node on one disk, driven step by step on a clock of its own, with connections that lose nothing. Whoever needs links that
//! fail, several nodes or checkers that watch a whole run takes the world. It keeps a tape of what its disk would leave behind
//! at each operation. Must not know what it is used for.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use highwater_core::buf::PageMut;
use highwater_core::id::{ConnId, ShardId};
use highwater_core::shard::{Boot, Config, Effect, Event, Halt, Input, Shard, ShardMessage};
use highwater_core::time::{Duration, Instant, Now, Timestamp};

use crate::bytes::joined;
use crate::disk::{Disk, Owner, Request, Ticket};

/// The wall clock when the first run begins.
const WALL_MILLIS: i64 = 1_780_000_000_000;
const WIRE: Duration = Duration::from_micros(20);
const MESH: Duration = Duration::from_micros(3);

/// What stands on the disk just before it changes again, and how many notes had been taken by then.
#[derive(Debug)]
pub(super) struct Cut {
    pub(super) disk: Disk,
    pub(super) notes: usize,
}

#[derive(Debug)]
enum Todo {
    Disk(Ticket),
    Input(u16, Input),
    Message {
        from: u16,
        to: u16,
        message: ShardMessage,
    },
    /// Bytes for the client at this end.
    Heard(u32, Vec<u8>),
    Wake,
}

#[derive(Debug)]
enum Machine {
    Boot(Box<Boot>),
    Shards(Vec<Shard>),
}

/// A connection: what the shard has not read yet, and the page that it lent to be read into.
#[derive(Debug)]
struct Wire {
    shard: u16,
    id: ConnId,
    arrived: VecDeque<u8>,
    lent: Option<(PageMut, u32)>,
}

/// What happened to the node.
#[derive(Debug, Clone)]
pub(super) enum Note {
    Event(Event),
    /// A request reached the node, or an answer left it: the connection and the frame without its length.
    Asked(u32, Arc<[u8]>),
    Answered(u32, Arc<[u8]>),
}

/// When a rig begins, and with what luck.
#[derive(Debug, Clone, Copy)]
pub(super) struct Start {
    pub(super) at: Instant,
    pub(super) seed: u64,
}

#[derive(Debug)]
pub(super) struct Rig {
    pub(super) disk: Disk,
    config: Arc<Config>,
    now: Instant,
    queue: BTreeMap<(Instant, u64), Todo>,
    planned: u64,
    machine: Machine,
    wires: Vec<Wire>,
    pub(super) heard: VecDeque<(u32, Vec<u8>)>,
    pub(super) halted: Option<Halt>,
    /// What happened, in order.
    pub(super) notes: Vec<Note>,
    pub(super) tape: Vec<Cut>,
    /// Operations that changed what the disk holds or may lose.
    pub(super) operations: u64,
}

impl Rig {
    pub(super) fn new(config: Arc<Config>, mut disk: Disk, start: Start) -> Self {
        let now = clocks(start.at);
        let boot = Boot::new(Arc::clone(&config), start.seed, disk.list(), now);
        Self {
            disk,
            config,
            now: start.at,
            queue: BTreeMap::new(),
            planned: 0,
            machine: Machine::Boot(Box::new(boot)),
            wires: Vec::new(),
            heard: VecDeque::new(),
            halted: None,
            notes: Vec::new(),
            tape: Vec::new(),
            operations: 0,
        }
    }

    pub(super) fn now(&self) -> Instant {
        self.now
    }

    pub(super) fn clocks(&self) -> Now {
        clocks(self.now)
    }

    pub(super) fn is_up(&self) -> bool {
        matches!(self.machine, Machine::Shards(_))
    }

    fn plan(&mut self, at: Instant, todo: Todo) {
        self.planned += 1;
        self.queue.insert((at.max(self.now), self.planned), todo);
    }

    /// Lets everything happen that happens at this instant.
    pub(super) fn settle(&mut self) {
        let clocks = self.clocks();
        loop {
            match &mut self.machine {
                Machine::Boot(boot) => {
                    let effect = boot.poll(clocks);
                    while let Some(event) = boot.poll_event() {
                        self.notes.push(Note::Event(event));
                    }
                    match effect {
                        Some(effect) => self.perform(0, effect),
                        None if self.is_recovered() => self.start_shards(),
                        None => return,
                    }
                }
                Machine::Shards(_) => {
                    if !self.turn_shards() {
                        return;
                    }
                }
            }
        }
    }

    fn is_recovered(&self) -> bool {
        matches!(&self.machine, Machine::Boot(boot) if boot.is_done())
    }

    fn start_shards(&mut self) {
        let clocks = self.clocks();
        let machine = std::mem::replace(&mut self.machine, Machine::Shards(Vec::new()));
        let Machine::Boot(boot) = machine else { panic!("shards come after their boot") };
        self.machine = Machine::Shards(boot.into_shards(clocks));
    }

    /// True if a shard wanted anything.
    fn turn_shards(&mut self) -> bool {
        let clocks = self.clocks();
        let mut busy = false;
        for shard in 0..self.config.shards {
            while self.halted.is_none() {
                let Machine::Shards(shards) = &mut self.machine else { panic!("only shards have turns") };
                let Some(effect) = shards[usize::from(shard)].poll(clocks) else { break };
                busy = true;
                self.perform(shard, effect);
            }
            let Machine::Shards(shards) = &mut self.machine else { panic!("only shards have turns") };
            while let Some(event) = shards[usize::from(shard)].poll_event() {
                self.notes.push(Note::Event(event));
            }
            shards[usize::from(shard)].invariants();
        }
        busy
    }

    fn perform(&mut self, shard: u16, effect: Effect) {
        match effect {
            Effect::Recv { conn, into, at } => {
                let wire = self.wires.iter_mut().find(|wire| wire.shard == shard && wire.id == conn);
                wire.expect("the connection lives").lent = Some((into, at));
                self.read(conn.slot);
            }
            Effect::Send { conn, parts } => {
                let at = self.now + WIRE;
                let bytes = joined(&parts);
                self.note_answers(conn.slot, &bytes);
                self.plan(at, Todo::Heard(conn.slot, bytes));
                self.plan(at, Todo::Input(shard, Input::Sent { conn }));
            }
            Effect::Close { conn, .. } => {
                let page = self.wires[conn.slot as usize].lent.take().map(|(page, _)| page);
                self.plan(self.now + WIRE, Todo::Input(shard, Input::Closed { conn, page }));
            }
            Effect::Write { op, file, at, parts, durability } => {
                self.submit(Owner { shard, op }, Request::Write { file, at, parts, durability });
            }
            Effect::Sync { op, file } => self.submit(Owner { shard, op }, Request::Sync { file }),
            Effect::Read { op, file, at, into } => {
                self.submit(Owner { shard, op }, Request::Read { file, at, into });
            }
            Effect::File { op, file, change } => {
                self.submit(Owner { shard, op }, Request::Change { file, change });
            }
            Effect::Shard { to, message } => {
                self.plan(self.now + MESH, Todo::Message { from: shard, to: to.0, message });
            }
            Effect::Halt(halt) => self.halted = Some(halt),
        }
    }

    /// One send may hold several answers.
    fn note_answers(&mut self, slot: u32, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some((head, after)) = rest.split_first_chunk::<4>() {
            let len = usize::try_from(i32::from_be_bytes(*head)).expect("an answer has a length");
            let (frame, after) = after.split_at(len);
            self.notes.push(Note::Answered(slot, Arc::from(frame)));
            rest = after;
        }
    }

    fn submit(&mut self, owner: Owner, request: Request) {
        if matches!(request, Request::Write { .. } | Request::Change { .. }) {
            self.cut();
        }
        let (ticket, wait) = self.disk.submit(owner, request);
        self.plan(self.now + wait, Todo::Disk(ticket));
    }

    fn cut(&mut self) {
        self.operations += 1;
        self.tape.push(Cut { disk: self.disk.image(), notes: self.notes.len() });
    }

    /// The last moment that the tape holds is the present one.
    pub(super) fn end_tape(&mut self) {
        self.cut();
    }

    /// Goes on to the next thing that is planned, at most until `limit`. False if that was reached.
    pub(super) fn advance(&mut self, limit: Instant) -> bool {
        if let Some(at) = self.deadline().filter(|at| *at < limit) {
            self.plan(at, Todo::Wake);
        }
        let Some(entry) = self.queue.first_entry().filter(|entry| entry.key().0 < limit) else {
            self.now = limit;
            self.give_all(|| Input::Tick);
            return false;
        };
        self.now = entry.key().0;
        match entry.remove() {
            Todo::Disk(ticket) => {
                if self.disk.changes_at_completion(ticket) {
                    self.cut();
                }
                let completion = self.disk.complete(ticket);
                let Owner { shard, op } = completion.owner;
                self.give(shard, Input::Disk { op, outcome: completion.outcome });
            }
            Todo::Input(shard, input) => self.give(shard, input),
            Todo::Message { from, to, message } => {
                self.give(to, Input::Shard { from: ShardId(from), message });
            }
            Todo::Heard(slot, bytes) => self.heard.push_back((slot, bytes)),
            Todo::Wake => self.give_all(|| Input::Tick),
        }
        true
    }

    fn deadline(&self) -> Option<Instant> {
        let Machine::Shards(shards) = &self.machine else { return None };
        shards.iter().filter_map(|shard| shard.deadline().map(|(at, _)| at)).min()
    }

    fn give(&mut self, shard: u16, input: Input) {
        let clocks = self.clocks();
        match &mut self.machine {
            Machine::Boot(boot) => boot.handle(clocks, input),
            Machine::Shards(shards) => shards[usize::from(shard)].handle(clocks, input),
        }
    }

    fn give_all(&mut self, input: impl Fn() -> Input) {
        if self.is_up() {
            (0..self.config.shards).for_each(|shard| self.give(shard, input()));
        }
    }

    /// Opens a connection; its number.
    pub(super) fn connect(&mut self) -> u32 {
        let slot = u32::try_from(self.wires.len()).expect("few connections");
        let id = ConnId { slot, generation: 1 };
        let shard = u16::try_from(slot % u32::from(self.config.shards)).expect("few shards");
        self.wires.push(Wire { shard, id, arrived: VecDeque::new(), lent: None });
        let local = std::net::SocketAddr::from(([127, 0, 0, 1], 9092));
        let peer = std::net::SocketAddr::from(([127, 0, 0, 2], 10_000));
        self.give(shard, Input::Accepted { conn: id, local, peer });
        slot
    }

    /// Sends one frame.
    pub(super) fn send(&mut self, slot: u32, bytes: &[u8]) {
        self.notes.push(Note::Asked(slot, Arc::from(&bytes[4..])));
        self.wires[slot as usize].arrived.extend(bytes);
        self.read(slot);
    }

    fn read(&mut self, slot: u32) {
        let wire = &mut self.wires[slot as usize];
        if wire.arrived.is_empty() {
            return;
        }
        let Some((mut page, at)) = wire.lent.take() else { return };
        let room = &mut page.as_mut_slice()[at as usize..];
        let len = room.len().min(wire.arrived.len());
        for (place, byte) in room.iter_mut().zip(wire.arrived.drain(..len)) {
            *place = byte;
        }
        let (shard, conn) = (wire.shard, wire.id);
        let len = u32::try_from(len).expect("a page is small");
        self.plan(self.now + WIRE, Todo::Input(shard, Input::Received { conn, page, len }));
    }
}

fn clocks(at: Instant) -> Now {
    let millis = i64::try_from(at.as_nanos() / 1_000_000).expect("a run is short");
    Now { mono: at, wall: Timestamp(WALL_MILLIS + millis) }
}
