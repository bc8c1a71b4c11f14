//! A home with a world around it that answers: owners that keep batches in memory, a controller, clients that send bytes.

mod admin;
mod api;
mod configs;
mod connections;
mod fetching;
mod groups;
mod members;
mod noise;
mod partitions;
mod producing;

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use super::Home;
use crate::batch::{BatchBuilder, BatchHeader, BatchView, NewRecord, patch_offset_and_epoch};
use crate::buf::{PageMut, Pool, Slice};
use crate::controller::{Command, Controller, CreateTopics, Intent, NewTopic};
use crate::coordinator::{Machine, Token, Turn};
use crate::group::command::{GroupCommand, GroupError, GroupReply};
use crate::group::groups::Groups;
use crate::group::topics::Surroundings;
use crate::id::{ConnId, LeaderEpoch, Offset, PartitionId, ProducerEpoch, ProducerId, ShardId, Uuid};
use crate::prng::Prng;
use crate::replica::{
    ActiveProducer, FetchOp, Minimum, OffsetReply, OffsetTarget, PartitionError, PartitionOp, PartitionReply,
    ProduceReply, ReadReply,
};
use crate::shard::coordinators::Around;
use crate::shard::message::CallId;
use crate::shard::{CloseReason, Config, Effect, ShardMessage, placement};
use crate::time::{Duration, Instant, Now, Timestamp};
use crate::wire::{ApiKey, EncodeError, Reader, RequestHeader, ResponseHeader, Writer};

const CONN: ConnId = ConnId { slot: 0, generation: 0 };

#[derive(Debug, Default)]
struct FakeLog {
    batches: Vec<(Offset, Offset, Slice)>,
    watches: Vec<(CallId, Offset)>,
    start: Offset,
    error: Option<PartitionError>,
}

impl FakeLog {
    fn end(&self) -> Offset {
        self.batches.last().map_or(Offset::ZERO, |(_, last, _)| last.next())
    }

    fn bytes(&self) -> u64 {
        self.batches.iter().map(|(_, _, batch)| batch.len() as u64).sum()
    }

    fn delete(&mut self, upto: Option<Offset>) -> PartitionReply {
        let upto = upto.unwrap_or(self.end());
        if upto > self.end() {
            return PartitionReply::Failed(PartitionError::OffsetOutOfRange);
        }
        self.start = self.start.max(upto);
        PartitionReply::Deleted(self.start)
    }

    fn append(&mut self, batch: &[u8]) -> Offset {
        let base = self.end();
        let mut bytes = batch.to_vec();
        patch_offset_and_epoch(&mut bytes, base, LeaderEpoch(0));
        let (view, _) = BatchView::parse(&bytes).expect("homes check batches");
        let last = view.last_offset();
        self.batches.push((base, last, Slice::from_vec(bytes)));
        base
    }

    fn read(&mut self, call: CallId, op: &FetchOp) -> PartitionReply {
        if op.offset > self.end() {
            return PartitionReply::Failed(PartitionError::OffsetOutOfRange);
        }
        let mut reply = ReadReply {
            records: Vec::new(),
            next: op.offset,
            high_watermark: self.end(),
            last_stable_offset: self.end(),
            log_start_offset: Offset::ZERO,
            more: false,
            watched: false,
        };
        let mut bytes = 0;
        for (_, last, batch) in self.batches.iter().filter(|(_, last, _)| *last >= op.offset) {
            let forced = reply.records.is_empty() && op.minimum == Minimum::AtLeastOne;
            if bytes + batch.len() > op.bytes_max as usize && !forced {
                reply.more = true;
                break;
            }
            bytes += batch.len();
            reply.records.push(batch.clone());
            reply.next = last.next();
        }
        if !reply.more && bytes < op.watch_below as usize {
            reply.watched = true;
            self.watches.push((call, reply.next));
        }
        PartitionReply::Read(reply)
    }
}

/// What came back on one connection.
#[derive(Debug, Default)]
struct Client {
    lent: Option<(PageMut, usize)>,
    received: Vec<u8>,
    closed: Option<CloseReason>,
    unsent: usize,
}

struct World {
    home: Home,
    pool: Pool,
    now: Now,
    config: Arc<Config>,
    clients: BTreeMap<ConnId, Client>,
    controller: Controller,
    prng: Prng,
    next: Offset,
    logs: BTreeMap<PartitionId, FakeLog>,
    groups: BTreeMap<PartitionId, Groups>,
    group_error: Option<GroupError>,
    /// What the next questions to coordinators are answered, whatever they are.
    group_replies: VecDeque<GroupReply>,
    /// What coordinators were asked and told to answer.
    group_commands: Vec<GroupCommand>,
    /// Questions that nobody answered yet, while `holds`.
    held: VecDeque<(ShardId, ShardMessage)>,
    holds: bool,
    /// Whether the kernel takes what is sent.
    sends: bool,
    unwatched: usize,
}

impl World {
    fn new() -> Self {
        Self::with(Config { shards: 3, ..Config::default() })
    }

    fn with(config: Config) -> Self {
        let config = Arc::new(config);
        let mut world = Self {
            home: Home::new(Arc::clone(&config), ShardId(1), 42),
            pool: Pool::new(config.memory_bytes),
            now: Now { mono: Instant::from_nanos(1_000), wall: Timestamp(1_700_000_000_000) },
            clients: BTreeMap::new(),
            controller: Controller::new(Arc::clone(&config)),
            config,
            prng: Prng::new(9),
            next: Offset::ZERO,
            logs: BTreeMap::new(),
            groups: BTreeMap::new(),
            group_error: None,
            group_replies: VecDeque::new(),
            group_commands: Vec::new(),
            held: VecDeque::new(),
            holds: false,
            sends: true,
            unwatched: 0,
        };
        world.commit(Controller::bootstrap(Uuid([1; 16])));
        world.accept(CONN);
        world
    }

    /// A world with a topic `t` of two partitions.
    fn with_topic() -> Self {
        let mut world = Self::new();
        world.create("t", 2, &[]);
        world
    }

    fn create(&mut self, name: &str, partitions: i32, configs: &[(&str, &str)]) {
        let topic = NewTopic {
            name: name.into(),
            partitions,
            replication_factor: 1,
            assignments: Vec::new(),
            configs: configs.iter().map(|(name, value)| ((*name).into(), Some((*value).into()))).collect(),
        };
        let create = CreateTopics { topics: vec![topic], intent: Intent::Apply };
        let (records, _) = self.controller.handle(Command::CreateTopics(create), &mut self.prng);
        self.commit(records);
    }

    fn commit(&mut self, records: Vec<crate::controller::MetadataRecord>) {
        for record in records {
            self.controller.replay(self.next, record);
            self.next = self.next.next();
        }
        self.controller.on_committed(self.next);
        self.home.on_image(self.controller.image());
    }

    fn partition(&self, topic: &str, index: i32) -> PartitionId {
        PartitionId { topic: self.controller.image().topic(topic).expect("it exists").id, index }
    }

    fn log(&mut self, index: i32) -> &mut FakeLog {
        let id = self.partition("t", index);
        self.logs.entry(id).or_default()
    }

    fn accept(&mut self, conn: ConnId) {
        self.clients.insert(conn, Client::default());
        let local = "127.0.0.1:9092".parse().expect("an address");
        self.home.on_accepted(self.now, conn, local, "10.1.2.3".parse().expect("an address"));
        self.run();
    }

    fn pass(&mut self, time: Duration) {
        self.now.mono = self.now.mono + time;
        self.run();
    }

    /// Lets the home work until it has nothing to do.
    fn run(&mut self) {
        while let Some(effect) = self.home.poll(self.now, &mut self.pool) {
            match effect {
                Effect::Recv { conn, into, at } => {
                    let before =
                        self.clients.get_mut(&conn).expect("known").lent.replace((into, at as usize));
                    assert!(before.is_none(), "one read at a time");
                }
                Effect::Send { conn, parts } => {
                    let client = self.clients.get_mut(&conn).expect("known");
                    assert!(client.closed.is_none(), "nothing is sent after a close");
                    parts.iter().for_each(|part| client.received.extend(part.iter()));
                    client.unsent += 1;
                    self.take_sends(conn);
                }
                Effect::Close { conn, reason } => self.on_close(conn, reason),
                Effect::Shard { to, message } => self.on_message(to, message),
                Effect::Write { .. }
                | Effect::Sync { .. }
                | Effect::Read { .. }
                | Effect::File { .. }
                | Effect::Halt(_) => panic!("a home does not order {effect:?}"),
            }
            self.home.audit();
        }
    }

    fn take_sends(&mut self, conn: ConnId) {
        let client = self.clients.get_mut(&conn).expect("known");
        if self.sends {
            for _ in 0..core::mem::take(&mut client.unsent) {
                self.home.on_sent(self.now, conn);
            }
        }
    }

    fn on_close(&mut self, conn: ConnId, reason: CloseReason) {
        let client = self.clients.get_mut(&conn).expect("known");
        assert!(client.closed.replace(reason).is_none(), "closed once");
        let page = client.lent.take().map(|(page, _)| page);
        self.home.on_closed(conn, page);
    }

    fn on_message(&mut self, to: ShardId, message: ShardMessage) {
        if self.holds {
            self.held.push_back((to, message));
        } else {
            self.answer(to, message);
        }
    }

    /// Answers what was held, in order.
    fn release(&mut self) {
        self.holds = false;
        while let Some((to, message)) = self.held.pop_front() {
            self.answer(to, message);
            self.run();
        }
    }

    fn answer(&mut self, to: ShardId, message: ShardMessage) {
        match message {
            ShardMessage::Call { call, op, .. } => {
                assert_eq!(to, placement::owner(op.partition(), self.config.shards));
                let reply = self.partition_reply(call, op);
                self.home.on_message(self.now, to, ShardMessage::Reply { call, reply });
            }
            ShardMessage::Control { call, command } => {
                assert_eq!(to, ShardId(0));
                let (records, reply) = self.controller.handle(command, &mut self.prng);
                self.commit(records);
                self.home.on_message(self.now, to, ShardMessage::ControlReply { call, reply });
            }
            ShardMessage::Unwatch { call } => {
                let logs = self.logs.values_mut();
                let before: usize = logs
                    .map(|log| {
                        let before = log.watches.len();
                        log.watches.retain(|(watch, _)| *watch != call);
                        before - log.watches.len()
                    })
                    .sum();
                self.unwatched += before;
            }
            ShardMessage::Coordinate { call, partition, command, .. } => {
                assert_eq!(to, placement::owner(partition, self.config.shards));
                let reply = Box::new(self.group_reply(partition, *command));
                self.home.on_message(self.now, to, ShardMessage::Coordinated { call, reply });
            }
            ShardMessage::Reply { .. }
            | ShardMessage::Woken { .. }
            | ShardMessage::ControlReply { .. }
            | ShardMessage::Coordinated { .. }
            | ShardMessage::Image(_)
            | ShardMessage::StreamReleased { .. } => panic!("a home does not send {message:?}"),
        }
    }

    /// A coordinator whose records are committed at once.
    fn group_reply(&mut self, partition: PartitionId, command: GroupCommand) -> GroupReply {
        if let Some(error) = &self.group_error {
            return GroupReply::Failed(error.clone());
        }
        if let Some(reply) = self.group_replies.pop_front() {
            self.group_commands.push(command);
            return reply;
        }
        let image = self.controller.image();
        let version = image.version;
        let around = Around::new(Arc::clone(&self.config), image, version);
        let mut turn =
            Turn { now: self.now, prng: &mut self.prng, surroundings: &around as &dyn Surroundings };
        let groups = self.groups.entry(partition).or_default();
        let mut decision = groups.handle(&mut turn, Token(0), command);
        decision.records.into_iter().for_each(|record| groups.replay(record));
        decision.answers.pop().expect("an answer").reply
    }

    fn partition_reply(&mut self, call: CallId, op: PartitionOp) -> PartitionReply {
        let log = self.logs.entry(op.partition()).or_default();
        if let Some(error) = log.error {
            return PartitionReply::Failed(error);
        }
        match op {
            PartitionOp::Produce(op) => {
                let base_offset = log.append(&op.batch);
                self.wake(op.partition);
                PartitionReply::Produced(ProduceReply {
                    base_offset,
                    log_append_time: None,
                    log_start_offset: Offset::ZERO,
                })
            }
            PartitionOp::Fetch(op) => log.read(call, &op),
            PartitionOp::DeleteRecords(op) => log.delete(op.upto),
            PartitionOp::EpochEnd(op) => {
                PartitionReply::EpochEnd((op.epoch == LeaderEpoch(0)).then_some((LeaderEpoch(0), log.end())))
            }
            PartitionOp::Producers(_) => PartitionReply::Producers(vec![ActiveProducer {
                id: ProducerId(7),
                epoch: ProducerEpoch(2),
                last_sequence: Some(41),
                last_timestamp: None,
            }]),
            PartitionOp::Size(_) => PartitionReply::Size(log.bytes()),
            PartitionOp::ListOffsets(op) => PartitionReply::Offset(match op.target {
                OffsetTarget::Latest => {
                    OffsetReply { timestamp: None, offset: Some(log.end()), leader_epoch: None }
                }
                OffsetTarget::Earliest => OffsetReply {
                    timestamp: None,
                    offset: Some(Offset::ZERO),
                    leader_epoch: Some(LeaderEpoch(0)),
                },
                OffsetTarget::MaxTimestamp => OffsetReply {
                    timestamp: Some(Timestamp(77)),
                    offset: Some(Offset(7)),
                    leader_epoch: None,
                },
                OffsetTarget::At(_) => OffsetReply { timestamp: None, offset: None, leader_epoch: None },
            }),
        }
    }

    /// Wakes who watches a partition that has grown.
    fn wake(&mut self, partition: PartitionId) {
        let log = self.logs.entry(partition).or_default();
        let end = log.end();
        let woken: Vec<CallId> =
            log.watches.extract_if(.., |(_, from)| *from < end).map(|(call, _)| call).collect();
        let from = placement::owner(partition, self.config.shards);
        for call in woken {
            self.home.on_message(self.now, from, ShardMessage::Woken { call });
        }
    }

    /// Sends bytes on a connection, as far as the home reads them; what is left over.
    fn send(&mut self, conn: ConnId, mut bytes: &[u8]) -> usize {
        while !bytes.is_empty() {
            let client = self.clients.get_mut(&conn).expect("known");
            let Some((mut page, at)) = client.lent.take() else { break };
            let len = bytes.len().min(page.len() - at);
            page.as_mut_slice()[at..at + len].copy_from_slice(&bytes[..len]);
            bytes = &bytes[len..];
            let len = u32::try_from(len).expect("fits");
            self.home.on_received(self.now, conn, page, len);
            self.run();
        }
        bytes.len()
    }

    /// The next whole response of a connection, without its length.
    fn response(&mut self, conn: ConnId) -> Option<Vec<u8>> {
        let received = &mut self.clients.get_mut(&conn).expect("known").received;
        let len = usize::try_from(i32::from_be_bytes(*received.first_chunk()?)).expect("positive");
        let rest = received.split_off(4 + len);
        let frame = core::mem::replace(received, rest);
        Some(frame[4..].to_vec())
    }

    fn closed(&self) -> Option<CloseReason> {
        self.clients[&CONN].closed
    }

    /// Sends a request and gives the body of its answer to `read`.
    fn ask<T>(
        &mut self,
        key: ApiKey,
        version: i16,
        body: &[u8],
        read: impl FnOnce(&mut Reader<'_>) -> T,
    ) -> T {
        assert_eq!(self.send(CONN, &request(key, version, 5, body)), 0);
        self.read(key, version, 5, read).expect("an answer")
    }

    fn read<T>(
        &mut self,
        key: ApiKey,
        version: i16,
        correlation_id: i32,
        read: impl FnOnce(&mut Reader<'_>) -> T,
    ) -> Option<T> {
        let frame = self.response(CONN)?;
        let mut reader = Reader::new(&frame);
        let header = ResponseHeader::decode(key, version, &mut reader).expect("a header");
        assert_eq!(header.correlation_id, correlation_id);
        let value = read(&mut reader);
        reader.finish().expect("nothing behind the response");
        Some(value)
    }
}

/// A whole frame of a request.
fn request(key: ApiKey, version: i16, correlation_id: i32, body: &[u8]) -> Vec<u8> {
    let mut writer = Writer::new();
    let header = RequestHeader {
        api_key: key.code(),
        api_version: version,
        correlation_id,
        client_id: Some("test"),
        ..RequestHeader::default()
    };
    header.encode(&mut writer).expect("a header");
    let mut frame = writer.into_parts().iter().flat_map(|part| part.to_vec()).collect::<Vec<u8>>();
    frame.extend(body);
    let len = i32::try_from(frame.len()).expect("fits");
    [len.to_be_bytes().to_vec(), frame].concat()
}

fn body(encode: impl FnOnce(&mut Writer) -> Result<(), EncodeError>) -> Vec<u8> {
    let mut writer = Writer::new();
    encode(&mut writer).expect("a good request");
    writer.into_parts().iter().flat_map(|part| part.to_vec()).collect()
}

/// A batch of `count` records with values of `bytes` bytes.
fn batch(count: usize, bytes: usize) -> Vec<u8> {
    let mut builder = BatchBuilder::new(BatchHeader::default());
    for _ in 0..count {
        let value = vec![7; bytes];
        builder.push(&NewRecord {
            timestamp: Timestamp(1_700_000_000_000),
            key: None,
            value: Some(&value),
            headers: &[],
        });
    }
    builder.build()
}
