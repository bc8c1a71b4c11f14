//! Several clients, the fake broker with its coordinator, and the wires between. Each client writes down what it is told, and each record
//! that anybody is handed is known here.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::fake::{Fake, Reply, Twist};
use crate::batch::{BatchBuilder, BatchHeader, NewRecord, Scratch};
use crate::client::{
    Client, ClientConfig, ClientEffect, ClientEvent, ClientInput, GroupConfig, MemberEvent, TopicPartition,
};
use crate::id::ConnId;
use crate::time::{Duration, Instant, Now, Timestamp};
use crate::wire::ApiKey;

struct Wire {
    node: i32,
    up: Vec<u8>,
    /// A broker takes nothing from a connection while it owes it an answer.
    owed: Option<u64>,
    /// What comes back, and when.
    down: VecDeque<(Instant, Vec<u8>)>,
}

pub(super) struct Guest {
    pub(super) client: Client,
    wires: BTreeMap<ConnId, Wire>,
    pub(super) told: Vec<MemberEvent>,
    /// Records by partition and offset, as they were handed out.
    pub(super) read: Vec<(TopicPartition, i64)>,
    /// What is its own, as far as it was told.
    pub(super) mine: Vec<TopicPartition>,
    /// Whether it takes events.
    pub(super) attentive: bool,
    pub(super) alive: bool,
}

pub(super) struct Party {
    pub(super) fake: Fake,
    pub(super) now: Now,
    pub(super) guests: Vec<Guest>,
    pub(super) down: Vec<i32>,
}

const STEPS_MAX: usize = 200_000;

impl Party {
    pub(super) fn new(nodes: i32) -> Self {
        let now = Now { mono: Instant::from_nanos(1_000_000_000), wall: Timestamp(1_700_000_000_000) };
        Self { fake: Fake::new(nodes), now, guests: Vec::new(), down: Vec::new() }
    }

    /// A client joins; its place among the guests.
    pub(super) fn join(&mut self, config: GroupConfig) -> usize {
        let mut client = ClientConfig::new(self.fake.nodes.values().cloned().collect());
        client.metadata_age_max = Duration::from_secs(5);
        let seed = u64::try_from(self.guests.len()).unwrap();
        let mut client = Client::new(&client, seed, self.now);
        client.join_group(self.now, config);
        self.guests.push(Guest {
            client,
            wires: BTreeMap::new(),
            told: Vec::new(),
            read: Vec::new(),
            mine: Vec::new(),
            attentive: true,
            alive: true,
        });
        self.guests.len() - 1
    }

    pub(super) fn twist(&mut self, key: ApiKey, twist: Twist) {
        self.fake.script.push_back((key, twist));
    }

    /// Is gone without a word.
    pub(super) fn kill(&mut self, place: usize) {
        self.guests[place].alive = false;
        self.guests[place].wires.clear();
        self.guests[place].mine.clear();
    }

    pub(super) fn fill(&mut self, topic: &str, index: usize, count: i64) {
        for _ in 0..count {
            let mut builder = BatchBuilder::new(BatchHeader::default());
            let value = Some(b"v".as_slice());
            builder.push(&NewRecord { timestamp: Timestamp(1), key: None, value, headers: &[] });
            self.fake.log(topic, index).append(&builder.build()).unwrap();
        }
    }

    pub(super) fn run(&mut self, patience: Duration, mut done: impl FnMut(&Self) -> bool) -> bool {
        let end = self.now.mono + patience;
        for _ in 0..STEPS_MAX {
            self.fake.tick(self.now);
            let mut busy = false;
            for place in 0..self.guests.len() {
                busy |= self.guests[place].alive && self.act(place);
            }
            self.hand_out();
            self.check_owners();
            if done(self) {
                return true;
            }
            if busy || self.deliver() {
                continue;
            }
            let clients = self.guests.iter().filter(|guest| guest.alive);
            let clients = clients.filter_map(|guest| guest.client.deadline());
            let next = clients.chain(self.fake.deadline()).chain(self.arrival()).min();
            let Some(next) = next.filter(|&next| next <= end) else {
                self.now.mono = end;
                return false;
            };
            self.now.mono = next.max(self.now.mono);
        }
        panic!("no end after {STEPS_MAX} steps");
    }

    /// When the next answer is there.
    fn arrival(&self) -> Option<Instant> {
        let wires = self.guests.iter().flat_map(|guest| guest.wires.values());
        wires.filter_map(|wire| wire.down.front().map(|(at, _)| *at)).min()
    }

    pub(super) fn run_for(&mut self, time: Duration) {
        assert!(!self.run(time, |_| false));
    }

    /// One client's turn; whether anything happened.
    fn act(&mut self, place: usize) -> bool {
        let mut busy = false;
        while let Some(effect) = self.guests[place].client.poll(self.now) {
            self.obey(place, effect);
            busy = true;
        }
        if !self.guests[place].attentive {
            return busy;
        }
        while let Some(event) = self.guests[place].client.poll_event() {
            self.take(place, event);
            busy = true;
        }
        busy
    }

    fn take(&mut self, place: usize, event: ClientEvent) {
        let guest = &mut self.guests[place];
        match event {
            ClientEvent::Fetched(fetched) => {
                let mut offsets = Vec::new();
                fetched.visit(&mut Scratch::new(), |record| offsets.push(record.offset.0)).unwrap();
                assert!(guest.mine.contains(&fetched.partition), "{place} reads what is not its own");
                guest.read.extend(offsets.into_iter().map(|offset| (fetched.partition.clone(), offset)));
            }
            ClientEvent::Member(event) => {
                match &event {
                    MemberEvent::Assigned { partitions, .. } => guest.mine.extend(partitions.iter().cloned()),
                    MemberEvent::Revoked { partitions, .. } | MemberEvent::Lost { partitions, .. } => {
                        guest.mine.retain(|key| !partitions.contains(key));
                    }
                    MemberEvent::Committed { .. } | MemberEvent::Failed { .. } | MemberEvent::Left => {}
                }
                guest.told.push(event);
            }
            ClientEvent::FetchFailed { .. } | ClientEvent::Produced { .. } | ClientEvent::Answered { .. } => {
            }
        }
    }

    /// Nobody has what another has.
    fn check_owners(&self) {
        let mut all: Vec<&TopicPartition> = self.guests.iter().flat_map(|guest| &guest.mine).collect();
        all.sort();
        let count = all.len();
        all.dedup();
        assert_eq!(all.len(), count, "two owners: {}", self.shown());
    }

    fn obey(&mut self, place: usize, effect: ClientEffect) {
        let now = self.now;
        match effect {
            ClientEffect::Connect { conn, address } => {
                let node =
                    self.fake.nodes.iter().find(|(_, known)| **known == address).map(|(&node, _)| node);
                let guest = &mut self.guests[place];
                match node.filter(|node| !self.down.contains(node)) {
                    Some(node) => {
                        let wire = Wire { node, up: Vec::new(), owed: None, down: VecDeque::new() };
                        guest.wires.insert(conn, wire);
                        guest.client.handle(now, ClientInput::Connected { conn });
                    }
                    None => guest.client.handle(now, ClientInput::Closed { conn }),
                }
            }
            ClientEffect::Send { conn, parts } => {
                let Some(wire) = self.guests[place].wires.get_mut(&conn) else { return };
                wire.up.extend(parts.iter().flat_map(|part| part.to_vec()));
                self.serve(place, conn);
            }
            ClientEffect::Close { conn } => {
                self.guests[place].wires.remove(&conn);
            }
        }
    }

    fn serve(&mut self, place: usize, conn: ConnId) {
        while let Some(wire) = self.guests[place].wires.get_mut(&conn) {
            let Some(head) = wire.up.first_chunk::<4>().filter(|_| wire.owed.is_none()) else { return };
            let len = usize::try_from(i32::from_be_bytes(*head)).unwrap();
            let frame: Vec<u8> = wire.up.drain(..4 + len).skip(4).collect();
            match self.fake.answer(wire.node, &frame) {
                Reply::Bytes(bytes, wait) => wire.down.push_back((self.now.mono + wait, bytes)),
                Reply::Later(number) => wire.owed = Some(number),
                Reply::Nothing => {}
                Reply::Silence => wire.owed = Some(u64::MAX),
                Reply::Close => self.cut(place, conn),
            }
        }
    }

    fn cut(&mut self, place: usize, conn: ConnId) {
        let guest = &mut self.guests[place];
        guest.wires.remove(&conn);
        guest.client.handle(self.now, ClientInput::Closed { conn });
    }

    /// A node is not there any more.
    pub(super) fn stop_node(&mut self, node: i32) {
        self.down.push(node);
        for place in 0..self.guests.len() {
            let wires = self.guests[place].wires.iter().filter(|(_, wire)| wire.node == node);
            for conn in wires.map(|(&conn, _)| conn).collect::<Vec<_>>() {
                self.cut(place, conn);
            }
        }
    }

    /// The coordinator's answers go to who waits for them.
    fn hand_out(&mut self) {
        for (number, bytes) in self.fake.answers() {
            for place in 0..self.guests.len() {
                let mut wires = self.guests[place].wires.iter_mut();
                let Some((&conn, wire)) = wires.find(|(_, wire)| wire.owed == Some(number)) else { continue };
                wire.owed = None;
                wire.down.push_back((self.now.mono, bytes.clone()));
                self.serve(place, conn);
            }
        }
    }

    /// One answer of one connection.
    fn deliver(&mut self) -> bool {
        for guest in &mut self.guests {
            for (&conn, wire) in &mut guest.wires {
                if let Some((_, bytes)) = wire.down.pop_front_if(|(at, _)| *at <= self.now.mono) {
                    guest.client.handle(self.now, ClientInput::Received { conn, bytes: &bytes });
                    return true;
                }
            }
        }
        false
    }

    /// Who has what, to be compared.
    pub(super) fn shown(&self) -> String {
        let guests = self.guests.iter().map(|guest| {
            let mut mine: Vec<String> =
                guest.mine.iter().map(|p| format!("{}{}", p.topic, p.index)).collect();
            mine.sort();
            mine.join(" ")
        });
        guests.collect::<Vec<String>>().join(" | ")
    }
}
