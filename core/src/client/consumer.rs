//! Consuming assigned partitions: where to start, fetch sessions (KIP-227), offsets out of range. No groups.

mod session;

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;

use self::session::Session;
use super::client::Call;
use super::cluster::{Cluster, Leader};
use super::links::{Lane, Links, Outcome, Peer, Readiness, Sending};
use super::{
    Address, ClientConfig, ClientError, ClientEvent, ConsumerConfig, Fetched, ResetPolicy, TopicPartition,
};
use crate::batch::Batches;
use crate::buf::Slice;
use crate::id::{Offset, Uuid};
use crate::limits::{CLIENT_EVENTS_MAX, CLIENT_LINKS_MAX};
use crate::time::{Duration, Instant, Timestamp};
use crate::wire::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic, ForgottenTopic};
use crate::wire::messages::fetch_response::{FetchResponse, PartitionData};
use crate::wire::messages::list_offsets_request::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use crate::wire::messages::list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsResponse};
use crate::wire::{ApiKey, ErrorCode, Reader};

/// Where to begin to read a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartAt {
    Earliest,
    /// After the last record that can be read.
    Latest,
    /// At the first record with this timestamp or a later one, else as `Latest`.
    Timestamp(Timestamp),
    Offset(Offset),
}

impl StartAt {
    fn query(self) -> i64 {
        match self {
            Self::Earliest => -2,
            Self::Latest => -1,
            Self::Timestamp(timestamp) => timestamp.0,
            Self::Offset(_) => unreachable!("an offset needs no question"),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Position {
    Unknown(StartAt),
    Asking(StartAt),
    At(Offset),
    /// Out of range, and nobody said where else.
    Stopped,
}

impl Position {
    fn known(self) -> Option<Offset> {
        match self {
            Self::At(offset) => Some(offset),
            Self::Unknown(_) | Self::Asking(_) | Self::Stopped => None,
        }
    }
}

#[derive(Debug)]
struct Partition {
    position: Position,
    /// The first offset that nobody has taken, once it is known where reading begins.
    taken: Option<Offset>,
    generation: u64,
    retry_at: Instant,
}

/// A question for offsets: the partitions, and which assignment of them it was for.
pub(super) type Asked = Vec<(TopicPartition, u64)>;

#[derive(Debug)]
pub(super) struct Consumer {
    config: ConsumerConfig,
    backoff: Duration,
    partitions: BTreeMap<TopicPartition, Partition>,
    sessions: BTreeMap<Address, Session>,
    generation: u64,
    /// Fetched bytes in events that nobody has taken.
    bytes: usize,
}

impl Consumer {
    pub(super) fn new(config: &ClientConfig) -> Self {
        Self {
            config: config.consumer.clone(),
            backoff: config.retry_backoff,
            partitions: BTreeMap::new(),
            sessions: BTreeMap::new(),
            generation: 0,
            bytes: 0,
        }
    }

    /// Reads a partition from `start` on, wherever it was read before.
    pub(super) fn assign(&mut self, now: Instant, partition: TopicPartition, start: StartAt) {
        self.generation += 1;
        let position = match start {
            StartAt::Offset(offset) => Position::At(offset),
            StartAt::Earliest | StartAt::Latest | StartAt::Timestamp(_) => Position::Unknown(start),
        };
        let generation = self.generation;
        self.partitions
            .insert(partition, Partition { position, taken: position.known(), generation, retry_at: now });
    }

    pub(super) fn unassign(&mut self, partition: &TopicPartition) {
        self.partitions.remove(partition);
    }

    /// The next offset to be fetched, once it is known.
    pub(super) fn position(&self, partition: &TopicPartition) -> Option<Offset> {
        self.partitions.get(partition)?.position.known()
    }

    /// An event is being taken: whether it is still for the present assignment.
    pub(super) fn on_taken(&mut self, fetched: &Fetched) -> bool {
        self.bytes -= fetched.batches.len();
        let partition = self.partitions.get_mut(&fetched.partition);
        let Some(partition) = partition.filter(|p| p.generation == fetched.generation) else { return false };
        // Data from before it was reset to another offset do not tell how far one is from there.
        if partition.taken == Some(fetched.from) {
            partition.taken = Some(fetched.next);
        }
        true
    }

    /// The first offset of which no event was taken, once it is known where reading begins.
    pub(super) fn taken(&self, partition: &TopicPartition) -> Option<Offset> {
        self.partitions.get(partition)?.taken
    }

    pub(super) fn reset_to(&mut self, policy: ResetPolicy) {
        self.config.out_of_range = policy;
    }

    pub(super) fn deadlines(&self) -> impl Iterator<Item = Instant> {
        self.partitions.values().filter(|p| p.position != Position::Stopped).map(|p| p.retry_at)
    }

    pub(super) fn turn(
        &mut self,
        now: Instant,
        links: &mut Links<Call>,
        cluster: &mut Cluster,
        events: &VecDeque<ClientEvent>,
    ) {
        let mut asked: BTreeMap<Address, Vec<(TopicPartition, Leader)>> = BTreeMap::new();
        let mut fetched: BTreeMap<Address, Vec<(TopicPartition, Leader)>> = BTreeMap::new();
        for (key, partition) in &self.partitions {
            if partition.retry_at > now {
                continue;
            }
            let targets = match partition.position {
                Position::Unknown(_) => &mut asked,
                Position::At(_) => &mut fetched,
                Position::Asking(_) | Position::Stopped => continue,
            };
            if let Some(leader) = cluster.leader(now, key) {
                targets.entry(leader.address.clone()).or_default().push((key.clone(), leader));
            }
        }
        for (address, partitions) in asked {
            let peer = Peer { address, lane: Lane::Main };
            if links.want(now, &peer) == Readiness::Ready {
                self.ask(now, links, &peer, partitions);
            }
        }
        if self.bytes >= self.config.buffer_bytes || events.len() >= CLIENT_EVENTS_MAX {
            return;
        }
        if self.sessions.len() > CLIENT_LINKS_MAX {
            self.sessions.retain(|address, session| session.busy || fetched.contains_key(address));
        }
        for (address, partitions) in fetched {
            if self.sessions.get(&address).is_some_and(|session| session.busy) {
                continue;
            }
            let peer = Peer { address, lane: Lane::Fetch };
            if links.want(now, &peer) == Readiness::Ready {
                self.fetch(now, links, &peer, partitions);
            }
        }
    }

    fn ask(
        &mut self,
        now: Instant,
        links: &mut Links<Call>,
        peer: &Peer,
        partitions: Vec<(TopicPartition, Leader)>,
    ) {
        let mut queries: Vec<(TopicPartition, ListOffsetsPartition)> = Vec::new();
        let mut asked = Vec::new();
        for (key, leader) in partitions {
            let partition = self.partitions.get_mut(&key).expect("it is assigned");
            let Position::Unknown(start) = partition.position else { continue };
            partition.position = Position::Asking(start);
            asked.push((key.clone(), partition.generation));
            let query = ListOffsetsPartition {
                partition_index: key.index,
                current_leader_epoch: leader.epoch,
                timestamp: start.query(),
                ..ListOffsetsPartition::default()
            };
            queries.push((key, query));
        }
        let timeout_ms = i32::try_from(self.config.wait_max.as_millis()).unwrap_or(i32::MAX);
        let sending = Sending::new(ApiKey::ListOffsets);
        links.send(now, (peer, sending), Call::ListOffsets(asked), |version, writer| {
            let topics = queries
                .chunk_by(|a, b| a.0.topic == b.0.topic)
                .map(|chunk| ListOffsetsTopic {
                    name: &chunk[0].0.topic,
                    partitions: chunk.iter().map(|(_, query)| query.clone()).collect(),
                    ..ListOffsetsTopic::default()
                })
                .collect();
            let request = ListOffsetsRequest { replica_id: -1, topics, timeout_ms, ..Default::default() };
            request.encode(version, writer)
        });
    }

    /// Takes the offsets that were asked for; whether the cluster is not as it was thought to be.
    pub(super) fn on_offsets(&mut self, now: Instant, asked: Asked, answer: Option<(i16, &Slice)>) -> bool {
        let response = answer
            .and_then(|(version, body)| ListOffsetsResponse::decode(version, &mut Reader::new(body)).ok());
        let mut answers: BTreeMap<(&str, i32), &ListOffsetsPartitionResponse> = BTreeMap::new();
        for topic in response.iter().flat_map(|response| &response.topics) {
            answers.extend(topic.partitions.iter().map(|p| ((topic.name, p.partition_index), p)));
        }
        let mut stale = false;
        for (key, generation) in asked {
            let Some(partition) = self.partitions.get_mut(&key) else { continue };
            let Position::Asking(start) = partition.position else { continue };
            if partition.generation != generation {
                continue;
            }
            partition.position = match answers.get(&(&*key.topic, key.index)) {
                Some(answer) if answer.error_code == 0 && answer.offset >= 0 => {
                    Position::At(Offset(answer.offset))
                }
                // No record is as late as that.
                Some(answer) if answer.error_code == 0 => Position::Unknown(StartAt::Latest),
                Some(_) | None => {
                    stale = true;
                    partition.retry_at = now + self.backoff;
                    Position::Unknown(start)
                }
            };
            partition.taken = partition.position.known().or(partition.taken);
        }
        stale
    }

    fn fetch(
        &mut self,
        now: Instant,
        links: &mut Links<Call>,
        peer: &Peer,
        partitions: Vec<(TopicPartition, Leader)>,
    ) {
        let with_ids = partitions.iter().all(|(_, leader)| !leader.topic.is_zero());
        let version_max = if with_ids { i16::MAX } else { 12 };
        let session = self.sessions.entry(peer.address.clone()).or_default();
        let wanted = partitions.into_iter().map(|(key, leader)| {
            let partition = &self.partitions[&key];
            let Position::At(offset) = partition.position else { panic!("only known positions are fetched") };
            (key, session::Member { offset, epoch: leader.epoch, topic: leader.topic })
        });
        let plan = session.plan(wanted.collect());
        let config = &self.config;
        let wait_max = config.wait_max;
        let sending = Sending { version_max, patience: wait_max, ..Sending::new(ApiKey::Fetch) };
        let call = Call::Fetch(peer.address.clone());
        links.send(now, (peer, sending), call, |version, writer| {
            let request = FetchRequest {
                max_wait_ms: i32::try_from(wait_max.as_millis()).unwrap_or(i32::MAX),
                min_bytes: config.bytes_min,
                max_bytes: config.bytes_max,
                session_id: plan.id,
                session_epoch: plan.epoch,
                topics: plan
                    .changed
                    .chunk_by(|a, b| a.0.topic == b.0.topic)
                    .map(|chunk| fetch_topic(chunk, config.partition_bytes_max))
                    .collect(),
                forgotten_topics_data: plan
                    .forgotten
                    .chunk_by(|a, b| a.0.topic == b.0.topic)
                    .map(|chunk| ForgottenTopic {
                        topic: &chunk[0].0.topic,
                        topic_id: chunk[0].1,
                        partitions: chunk.iter().map(|(key, _)| key.index).collect(),
                        ..ForgottenTopic::default()
                    })
                    .collect(),
                ..FetchRequest::default()
            };
            request.encode(version, writer)
        });
    }

    /// Takes what a fetch brought; whether the cluster is not as it was thought to be.
    pub(super) fn on_fetched(
        &mut self,
        now: Instant,
        address: &Address,
        outcome: &Outcome<Call>,
        events: &mut VecDeque<ClientEvent>,
    ) -> bool {
        let Some(session) = self.sessions.get_mut(address) else { return false };
        session.busy = false;
        let response = outcome.as_ref().ok().and_then(|answer| {
            let response = FetchResponse::decode(answer.version, &mut Reader::new(&answer.body)).ok()?;
            Some((response, &answer.body))
        });
        let Some((response, body)) = response else {
            session.reset();
            self.pause_all(now, address);
            return true;
        };
        if response.error_code != 0 {
            session.reset();
            let lost =
                [ErrorCode::FetchSessionIdNotFound, ErrorCode::InvalidFetchSessionEpoch].map(ErrorCode::code);
            if !lost.contains(&response.error_code) {
                self.pause_all(now, address);
            }
            return true;
        }
        session.on_answer(response.session_id);
        let members = session.keys_by_name_or_id();
        let mut stale = false;
        for topic in &response.responses {
            for data in &topic.partitions {
                let key = members.get(&(topic.topic_id, Arc::from(topic.topic), data.partition_index));
                let Some((key, offset)) = key else { continue };
                stale |= self.on_partition(now, (key, *offset), data, body, events);
            }
        }
        stale
    }

    fn pause_all(&mut self, now: Instant, address: &Address) {
        let keys: Vec<TopicPartition> = self.sessions.get(address).map(Session::keys).unwrap_or_default();
        for key in keys {
            if let Some(partition) = self.partitions.get_mut(&key) {
                partition.retry_at = now + self.backoff;
            }
        }
    }

    fn on_partition(
        &mut self,
        now: Instant,
        asked: (&TopicPartition, Offset),
        data: &PartitionData<'_>,
        body: &Slice,
        events: &mut VecDeque<ClientEvent>,
    ) -> bool {
        let (key, from) = asked;
        let Some(partition) = self.partitions.get_mut(key) else { return false };
        // It was sought elsewhere meanwhile.
        if partition.position != Position::At(from) {
            return false;
        }
        let fetched = match ClientError::from_code(data.error_code) {
            Some(error) => Err(error),
            None => read(key, from, data, body),
        };
        match fetched {
            Ok(None) => false,
            Ok(Some(fetched)) => {
                partition.position = Position::At(fetched.next);
                self.bytes += fetched.batches.len();
                let generation = partition.generation;
                events.push_back(ClientEvent::Fetched(Box::new(Fetched { generation, ..fetched })));
                false
            }
            Err(error) => {
                partition.retry_at = now + self.backoff;
                if error == ClientError::Broker(ErrorCode::OffsetOutOfRange) {
                    partition.position = match self.config.out_of_range {
                        ResetPolicy::Earliest => Position::Unknown(StartAt::Earliest),
                        ResetPolicy::Latest => Position::Unknown(StartAt::Latest),
                        ResetPolicy::Fail => Position::Stopped,
                    };
                }
                events.push_back(ClientEvent::FetchFailed { partition: key.clone(), error });
                error.is_retriable()
            }
        }
    }
}

fn fetch_topic(chunk: &[(TopicPartition, session::Member)], partition_max_bytes: i32) -> FetchTopic<'_> {
    let (key, member) = &chunk[0];
    let partitions = chunk
        .iter()
        .map(|(key, member)| FetchPartition {
            partition: key.index,
            current_leader_epoch: member.epoch,
            fetch_offset: member.offset.0,
            partition_max_bytes,
            ..FetchPartition::default()
        })
        .collect();
    FetchTopic { topic: &key.topic, topic_id: member.topic, partitions, ..FetchTopic::default() }
}

/// The whole batches of an answer that have offsets from `from` on; `None` if there is nothing.
fn read(
    key: &TopicPartition,
    from: Offset,
    data: &PartitionData<'_>,
    body: &Slice,
) -> Result<Option<Fetched>, ClientError> {
    let bytes = data.records.as_ref().and_then(|records| records.borrowed()).unwrap_or_default();
    let (mut start, mut end, mut next) = (None, 0, from);
    let mut error = None;
    let mut batches = Batches::new(bytes);
    loop {
        let at = bytes.len() - batches.rest().len();
        let Some(batch) = batches.next() else { break };
        let Ok(batch) = batch.and_then(|batch| batch.check_crc().map(|()| batch)) else {
            error = Some(ClientError::CorruptBatch);
            break;
        };
        if batch.end_offset() > next {
            start.get_or_insert(at);
            next = batch.end_offset();
        } else if start.is_some() {
            // Offsets that go back would be shown twice.
            error = Some(ClientError::CorruptBatch);
            break;
        }
        end = at + batch.len();
    }
    let Some(start) = start else {
        let too_large = batches.is_incomplete().then_some(ClientError::BatchTooLarge);
        return error.or(too_large).map_or(Ok(None), Err);
    };
    Ok(Some(Fetched {
        partition: key.clone(),
        from,
        next,
        high_watermark: Offset(data.high_watermark),
        log_start: Offset(data.log_start_offset),
        batches: body.cut_to(&bytes[start..end]),
        generation: 0,
    }))
}

/// The name in versions that have names, the id in those that have ids.
type TopicKey = (Uuid, Arc<str>, i32);
