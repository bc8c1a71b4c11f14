//! Time and wires between a client and the fake broker.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::fake::{Fake, Reply, Twist};
use crate::batch::Scratch;
use crate::client::{
    Client, ClientConfig, ClientEffect, ClientEvent, ClientInput, Fetched, ProduceError, ProduceFailure,
    ProduceRecord, Receipt, Token, TopicPartition,
};
use crate::id::ConnId;
use crate::time::{Duration, Instant, Now, Timestamp};
use crate::wire::{ApiKey, ErrorCode};

struct Wire {
    node: i32,
    silent: bool,
    up: Vec<u8>,
    /// What comes back, and when.
    down: VecDeque<(Instant, Vec<u8>)>,
}

pub(super) struct World {
    pub(super) fake: Fake,
    pub(super) client: Client,
    pub(super) now: Now,
    /// Bytes of one read.
    pub(super) chunk: usize,
    /// Nodes that refuse connections.
    pub(super) down: Vec<i32>,
    pub(super) events: Vec<ClientEvent>,
    /// Every effect in short, to compare two runs.
    pub(super) trace: Vec<String>,
    /// Changes a byte of the answer with this number: (answer, what to add, which byte).
    pub(super) mangle: Option<(u64, u8, u64)>,
    wires: BTreeMap<ConnId, Wire>,
    token_next: u64,
    answers: u64,
}

const STEPS_MAX: usize = 20_000;

impl World {
    pub(super) fn new(nodes: i32, configure: impl FnOnce(&mut ClientConfig)) -> Self {
        let fake = Fake::new(nodes);
        let mut config = ClientConfig::new(fake.nodes.values().take(1).cloned().collect());
        configure(&mut config);
        let now = Now { mono: Instant::from_nanos(1_000_000_000), wall: Timestamp(1_700_000_000_000) };
        Self {
            fake,
            client: Client::new(&config, 42, now),
            now,
            chunk: usize::MAX,
            down: Vec::new(),
            events: Vec::new(),
            trace: Vec::new(),
            mangle: None,
            wires: BTreeMap::new(),
            token_next: 0,
            answers: 0,
        }
    }

    pub(super) fn twist(&mut self, key: ApiKey, twist: Twist) {
        self.fake.script.push_back((key, twist));
    }

    pub(super) fn produce(&mut self, topic: &str, index: i32, value: &str) -> Result<Token, ProduceError> {
        let token = Token(self.token_next);
        let record = ProduceRecord {
            partition: TopicPartition::new(topic, index),
            timestamp: self.now.wall,
            key: None,
            value: Some(value.as_bytes()),
            headers: &[],
        };
        self.client.produce(self.now, token, &record)?;
        self.token_next += 1;
        Ok(token)
    }

    /// Runs until `done`, or until nothing can happen any more within `Duration` of time.
    pub(super) fn run(&mut self, patience: Duration, mut done: impl FnMut(&Self) -> bool) -> bool {
        let end = self.now.mono + patience;
        for _ in 0..STEPS_MAX {
            self.act();
            while let Some(event) = self.client.poll_event() {
                self.events.push(event);
            }
            if done(self) {
                return true;
            }
            if self.deliver() {
                continue;
            }
            // `poll_event` may have made room for more.
            if let Some(effect) = self.client.poll(self.now) {
                self.obey(effect);
                continue;
            }
            let arrival = self.wires.values().filter_map(|wire| wire.down.front().map(|(at, _)| *at)).min();
            let next = arrival.into_iter().chain(self.client.deadline()).min();
            let Some(next) = next.filter(|&next| next <= end) else { return false };
            assert!(next > self.now.mono, "the client wants to be polled for nothing");
            self.now.mono = next;
        }
        panic!("no end after {STEPS_MAX} steps");
    }

    pub(super) fn run_for(&mut self, time: Duration) {
        assert!(!self.run(time, |_| false));
    }

    /// One thing happens, and nobody takes events.
    pub(super) fn step(&mut self) {
        self.act();
        if !self.deliver() {
            let arrival = self.wires.values().filter_map(|wire| wire.down.front().map(|(at, _)| *at)).min();
            let next = arrival.into_iter().chain(self.client.deadline()).min();
            self.now.mono = next.unwrap_or(self.now.mono);
        }
    }

    fn act(&mut self) {
        while let Some(effect) = self.client.poll(self.now) {
            self.obey(effect);
        }
    }

    fn obey(&mut self, effect: ClientEffect) {
        self.trace.push(format!("{:?} {effect:?}", self.now.mono));
        match effect {
            ClientEffect::Connect { conn, address } => {
                let node =
                    self.fake.nodes.iter().find(|(_, known)| **known == address).map(|(&node, _)| node);
                match node.filter(|node| !self.down.contains(node)) {
                    Some(node) => {
                        self.wires.insert(
                            conn,
                            Wire { node, silent: false, up: Vec::new(), down: VecDeque::new() },
                        );
                        self.client.handle(self.now, ClientInput::Connected { conn });
                    }
                    None => self.client.handle(self.now, ClientInput::Closed { conn }),
                }
            }
            ClientEffect::Send { conn, parts } => {
                let Some(wire) = self.wires.get_mut(&conn) else { return };
                wire.up.extend(parts.iter().flat_map(|part| part.to_vec()));
                self.serve(conn);
            }
            ClientEffect::Close { conn } => {
                self.wires.remove(&conn);
            }
        }
    }

    fn serve(&mut self, conn: ConnId) {
        while let Some(wire) = self.wires.get_mut(&conn) {
            let Some(head) = wire.up.first_chunk::<4>() else { return };
            let len = usize::try_from(i32::from_be_bytes(*head)).unwrap();
            let frame: Vec<u8> = wire.up.drain(..4 + len).skip(4).collect();
            let node = wire.node;
            let silent = wire.silent;
            match self.fake.answer(node, &frame) {
                Reply::Bytes(..) if silent => {}
                Reply::Bytes(mut bytes, wait) => {
                    if let Some((answer, add, at)) = self.mangle
                        && answer == self.answers
                    {
                        let at = usize::try_from(at).unwrap() % bytes.len();
                        bytes[at] = bytes[at].wrapping_add(add);
                    }
                    self.answers += 1;
                    let wire = self.wires.get_mut(&conn).unwrap();
                    // Answers of one connection stay in order.
                    let after = wire.down.back().map_or(self.now.mono, |(at, _)| *at);
                    wire.down.push_back((after.max(self.now.mono + wait), bytes));
                }
                Reply::Nothing => {}
                Reply::Later(_) => panic!("groups are tested with several clients"),
                Reply::Silence => self.wires.get_mut(&conn).unwrap().silent = true,
                Reply::Close => {
                    self.wires.remove(&conn);
                    self.client.handle(self.now, ClientInput::Closed { conn });
                }
            }
        }
    }

    /// Breaks every connection.
    pub(super) fn cut(&mut self) {
        for conn in core::mem::take(&mut self.wires).into_keys() {
            self.client.handle(self.now, ClientInput::Closed { conn });
        }
    }

    /// One read of one connection.
    fn deliver(&mut self) -> bool {
        let due = self
            .wires
            .iter_mut()
            .find(|(_, wire)| wire.down.front().is_some_and(|(at, _)| *at <= self.now.mono));
        let Some((&conn, wire)) = due else { return false };
        let (_, bytes) = wire.down.front_mut().unwrap();
        let len = self.chunk.min(bytes.len());
        let read: Vec<u8> = bytes.drain(..len).collect();
        if bytes.is_empty() {
            wire.down.pop_front();
        }
        self.client.handle(self.now, ClientInput::Received { conn, bytes: &read });
        true
    }

    pub(super) fn produced(&self) -> Vec<(Token, Result<Receipt, ProduceFailure>)> {
        let produced = self.events.iter().filter_map(|event| match event {
            ClientEvent::Produced { token, result } => Some((*token, *result)),
            ClientEvent::Fetched(_)
            | ClientEvent::FetchFailed { .. }
            | ClientEvent::Answered { .. }
            | ClientEvent::Member(_) => None,
        });
        produced.collect()
    }

    /// Waits for so many records to be acknowledged or failed.
    pub(super) fn settle(&mut self, count: usize) {
        let settled = self.run(Duration::from_secs(3600), |world| world.produced().len() == count);
        assert!(settled, "only {:?}", self.produced());
    }

    pub(super) fn fetched(&self) -> Vec<&Fetched> {
        let fetched = self.events.iter().filter_map(|event| match event {
            ClientEvent::Fetched(fetched) => Some(&**fetched),
            ClientEvent::Produced { .. }
            | ClientEvent::FetchFailed { .. }
            | ClientEvent::Answered { .. }
            | ClientEvent::Member(_) => None,
        });
        fetched.collect()
    }

    /// Offsets and values of all that was fetched, in order.
    pub(super) fn values(&self) -> Vec<(i64, String)> {
        let mut values = Vec::new();
        for fetched in self.fetched() {
            let visitor = |record: &crate::batch::Record<'_>| {
                let value = String::from_utf8(record.value.unwrap().to_vec()).unwrap();
                values.push((record.offset.0, value));
            };
            fetched.visit(&mut Scratch::new(), visitor).unwrap();
        }
        values
    }

    pub(super) fn failures(&self) -> Vec<crate::client::ClientError> {
        let failures = self.events.iter().filter_map(|event| match event {
            ClientEvent::FetchFailed { error, .. } => Some(*error),
            ClientEvent::Produced { .. }
            | ClientEvent::Fetched(_)
            | ClientEvent::Answered { .. }
            | ClientEvent::Member(_) => None,
        });
        failures.collect()
    }

    pub(super) fn count(&self, key: ApiKey) -> usize {
        self.fake.seen.iter().filter(|(seen, _)| *seen == key).count()
    }
}

pub(super) fn broker(error: ErrorCode) -> crate::client::ClientError {
    crate::client::ClientError::Broker(error)
}
