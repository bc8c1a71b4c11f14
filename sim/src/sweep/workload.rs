//! What is done to the node whose disk is cut: a small load through real clients in which every kind of disk work occurs. The
//! same number gives the same operations, byte for byte. Must not know that anything is cut.

use std::collections::BTreeMap;
use std::sync::Arc;

use highwater_core::client::{
    Acks, Address, Client, ClientConfig, ClientEffect, ClientEvent, ClientInput, Idempotence, NewTopic,
    ProduceRecord, Token, TopicPartition,
};
use highwater_core::id::ConnId;
use highwater_core::prng::Prng;
use highwater_core::shard::{Config, TopicConfig, WalConfig};
use highwater_core::time::{Duration, Instant};

use super::rig::{Rig, Start};
use crate::disk::{Disk, DiskSpeed};
use crate::draw::Draw;

/// Records that each producer sends.
const ROUNDS: u64 = 90;

/// Workloads from this number on have a compacted topic, which is cleaned again and again.
pub(super) const CLEANING_FROM: u64 = 8;

/// The compacted topic, and how many keys it has.
pub(super) const COMPACTED: &str = "kappa";
const KEYS: u64 = 7;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Workload {
    pub(super) number: u64,
    pub(super) rounds: u64,
}

impl Workload {
    pub(super) fn new(number: u64) -> Self {
        Self { number, rounds: ROUNDS }
    }

    pub(super) fn config(self) -> Arc<Config> {
        let file_bytes_min = 32 << 10;
        Arc::new(Config {
            shards: if self.number.is_multiple_of(3) { 1 } else { 2 },
            memory_bytes: 16 << 20,
            auto_create_topics: false,
            retention_check_interval: Duration::from_millis(11),
            topic_defaults: TopicConfig {
                segment_bytes: 12 << 10,
                retention: None,
                ..TopicConfig::default()
            },
            wal: WalConfig {
                file_bytes_min,
                file_bytes_max: file_bytes_min << (self.number % 2),
                bytes_max: 5 * (file_bytes_min << (self.number % 2)),
                destage_interval: Duration::from_millis(7),
                seal_after: Duration::from_millis(2),
                ..WalConfig::default()
            },
            ..Config::default()
        })
    }

    pub(super) fn disk(self) -> Disk {
        let speed = DiskSpeed { write_micros: 100, sync_micros: 300, read_micros: 50, factor: 1 };
        Disk::new(Prng::keyed(self.number, 1), speed)
    }

    /// Runs it to its end, on a disk that is empty.
    pub(super) fn run(self) -> Result<Rig, String> {
        let rig = Rig::new(self.config(), self.disk(), Start { at: Instant::default(), seed: self.number });
        let mut load = Load::new(self, rig);
        load.run()?;
        Ok(load.rig)
    }
}

/// What a client is on the way of doing.
#[derive(Debug)]
struct Driven {
    client: Client,
    /// Its names of connections, and ours.
    conns: BTreeMap<u32, ConnId>,
}

#[derive(Debug)]
struct Load {
    workload: Workload,
    rig: Rig,
    prng: Prng,
    clients: Vec<Driven>,
    waiting: usize,
    failed: Option<String>,
}

impl Load {
    fn new(workload: Workload, rig: Rig) -> Self {
        let client = |idempotence| {
            let mut config = ClientConfig::new(vec![Address::new("node", 9092)]);
            config.producer.idempotence = idempotence;
            config.producer.acks = if idempotence == Idempotence::On { Acks::All } else { Acks::Leader };
            // What was acknowledged last stays among the five that a broker remembers.
            config.producer.in_flight_max = 2;
            config.producer.batch_bytes = 4 << 10;
            let client = Client::new(&config, workload.number, rig.clocks());
            Driven { client, conns: BTreeMap::new() }
        };
        let clients = vec![client(Idempotence::On), client(Idempotence::Off)];
        let prng = Prng::keyed(workload.number, 2);
        Self { workload, rig, prng, clients, waiting: 0, failed: None }
    }

    fn run(&mut self) -> Result<(), String> {
        self.create("alpha", 2, &[])?;
        self.create("beta", 1, &[("retention.bytes", "9000")])?;
        if self.workload.number >= CLEANING_FROM {
            let settings = [("cleanup.policy", "compact"), ("min.cleanable.dirty.ratio", "0")];
            self.create(COMPACTED, 1, &settings)?;
        }
        let rounds = self.workload.rounds;
        for round in 0..rounds {
            if round == rounds / 3 {
                self.create("gamma", 2, &[])?;
            }
            if round == rounds * 2 / 3 {
                let now = self.rig.clocks();
                assert!(self.clients[0].client.delete_topics(now, Token(0), vec!["gamma".to_owned()]));
                self.wait(1)?;
                self.create("delta", 1, &[])?;
            }
            self.round(round)?;
        }
        self.wait(usize::MAX)?;
        self.pause(Duration::from_millis(40))?;
        self.rig.end_tape();
        Ok(())
    }

    fn create(&mut self, name: &str, partitions: i32, configs: &[(&str, &str)]) -> Result<(), String> {
        let configs = configs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        let topic = NewTopic { name: name.to_owned(), partitions, replication_factor: 1, configs };
        let now = self.rig.clocks();
        assert!(self.clients[0].client.create_topics(now, Token(0), vec![topic]), "one call at a time");
        self.wait(1)
    }

    /// A few records to a few partitions; now and then silence, so that the log is sealed and destaged.
    fn round(&mut self, round: u64) -> Result<(), String> {
        let rounds = self.workload.rounds;
        let mut places = vec![("alpha", 0), ("beta", 0), ("beta", 0), ("alpha", 0)];
        if self.workload.number >= CLEANING_FROM {
            places.extend([(COMPACTED, 0); 6]);
        }
        // Rarely written: its last bytes hold up the log until they are carried forward.
        if round % 9 == 1 {
            places.push(("alpha", 1));
        }
        if (rounds / 3..rounds * 2 / 3).contains(&round) {
            places.push(("gamma", i32::from(round.is_multiple_of(2))));
        }
        if round >= rounds * 2 / 3 {
            places.push(("delta", 0));
        }
        for producer in 0..self.clients.len() {
            for _ in 0..self.prng.between(1, 3) {
                let (topic, index) = self.prng.pick(&places);
                let most = if self.prng.chance(150_000) { 5_000 } else { 700 };
                let len = self.prng.place(most);
                self.produce(producer, TopicPartition::new(topic, index), len, round);
            }
        }
        if round % 10 == 9 {
            self.wait(usize::MAX)?;
            self.pause(Duration::from_millis(20))
        } else {
            let pause = self.prng.micros(50, 1_500);
            self.pause(pause)
        }
    }

    fn produce(&mut self, producer: usize, partition: TopicPartition, len: usize, round: u64) {
        let now = self.rig.clocks();
        let fill = self.prng.next_u64().to_le_bytes();
        let value: Vec<u8> = fill.iter().copied().cycle().take(len).collect();
        let compacted = &*partition.topic == COMPACTED;
        let key = if compacted { self.prng.below(KEYS) } else { round }.to_be_bytes();
        let is_tombstone = compacted && len.is_multiple_of(5);
        let record = ProduceRecord {
            partition,
            timestamp: now.wall,
            key: Some(&key),
            value: Some(value.as_slice()).filter(|_| !is_tombstone),
            headers: &[],
        };
        let taken = self.clients[producer].client.produce(now, Token(1), &record);
        assert!(taken.is_ok(), "there is room for a small load: {taken:?}");
        self.waiting += 1;
    }

    /// Waits for an admin call, or with `usize::MAX` for every record.
    fn wait(&mut self, calls: usize) -> Result<(), String> {
        let limit = self.rig.now() + Duration::from_secs(60);
        let mut calls = if calls == usize::MAX { 0 } else { calls };
        while calls > 0 || self.waiting > 0 {
            self.step(limit, &mut calls)?;
            if self.rig.now() >= limit {
                return Err(format!("{} records are not answered", self.waiting));
            }
        }
        Ok(())
    }

    fn pause(&mut self, pause: Duration) -> Result<(), String> {
        let until = self.rig.now() + pause;
        while self.rig.now() < until {
            self.step(until, &mut 0)?;
        }
        Ok(())
    }

    fn step(&mut self, limit: Instant, calls: &mut usize) -> Result<(), String> {
        self.rig.settle();
        while let Some((slot, bytes)) = self.rig.heard.pop_front() {
            self.hear(slot, &bytes);
        }
        let now = self.rig.clocks();
        let mut limit = limit;
        for place in 0..self.clients.len() {
            self.turn(place, calls);
            let deadline = self.clients[place].client.deadline();
            limit = deadline.filter(|at| *at > now.mono).map_or(limit, |at| at.min(limit));
        }
        if let Some(halt) = self.rig.halted {
            return Err(format!("the node halts: {halt:?}"));
        }
        if let Some(failed) = self.failed.take() {
            return Err(failed);
        }
        self.rig.settle();
        self.rig.advance(limit);
        Ok(())
    }

    fn hear(&mut self, slot: u32, bytes: &[u8]) {
        let now = self.rig.clocks();
        for driven in &mut self.clients {
            if let Some(&conn) = driven.conns.get(&slot) {
                driven.client.handle(now, ClientInput::Received { conn, bytes });
            }
        }
    }

    fn turn(&mut self, place: usize, calls: &mut usize) {
        let now = self.rig.clocks();
        while let Some(effect) = self.clients[place].client.poll(now) {
            match effect {
                ClientEffect::Connect { conn, .. } if self.rig.is_up() => {
                    let slot = self.rig.connect();
                    self.clients[place].conns.insert(slot, conn);
                    self.clients[place].client.handle(now, ClientInput::Connected { conn });
                }
                ClientEffect::Connect { conn, .. } => {
                    self.clients[place].client.handle(now, ClientInput::Closed { conn });
                }
                ClientEffect::Send { conn, parts } => {
                    let slot = self.clients[place].conns.iter().find(|(_, named)| **named == conn);
                    let slot = *slot.expect("connected before").0;
                    self.rig.send(slot, &crate::bytes::joined(&parts));
                }
                ClientEffect::Close { .. } => {
                    self.failed = Some("a client gives a connection up".to_owned());
                }
            }
        }
        while let Some(event) = self.clients[place].client.poll_event() {
            match event {
                ClientEvent::Produced { result: Ok(_), .. } => self.waiting -= 1,
                ClientEvent::Answered { .. } => *calls = calls.saturating_sub(1),
                other @ (ClientEvent::Produced { .. }
                | ClientEvent::Fetched(_)
                | ClientEvent::FetchFailed { .. }
                | ClientEvent::Member(_)) => {
                    self.failed = Some(format!("the load meets {other:?}"));
                }
            }
        }
    }
}
