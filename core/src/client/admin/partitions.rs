//! What only the leader of a partition can answer, asked for many partitions at once: split by leader, sent, put together again.
//! All of it may be asked twice without harm, so a lost question is asked again until its time is over.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use super::AdminAnswer;
use crate::buf::Slice;
use crate::client::client::Call;
use crate::client::cluster::{Cluster, Leader};
use crate::client::links::{Lane, Links, Peer, Readiness, Sending};
use crate::client::{Address, ClientConfig, ClientError, ClientEvent, Token, TopicPartition};
use crate::id::Offset;
use crate::time::{Duration, Instant, Timestamp};
use crate::wire::messages::delete_records_request::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
};
use crate::wire::messages::delete_records_response::DeleteRecordsResponse;
use crate::wire::messages::describe_producers_request::{DescribeProducersRequest, TopicRequest};
use crate::wire::messages::describe_producers_response::{DescribeProducersResponse, ProducerState};
use crate::wire::messages::list_offsets_request::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use crate::wire::messages::list_offsets_response::ListOffsetsResponse;
use crate::wire::{ApiKey, DecodeError, EncodeError, ErrorCode, Reader, Writer};

/// What the leaders of partitions can be asked. No partition may be named twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PartitionCall {
    ListOffsets {
        partitions: Vec<TopicPartition>,
        at: OffsetAt,
    },
    /// Deletes all records before these offsets; −1 is the high watermark.
    DeleteRecords(Vec<(TopicPartition, Offset)>),
    DescribeProducers(Vec<TopicPartition>),
}

/// Which offset of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OffsetAt {
    Earliest,
    /// After the last record that can be read.
    Latest,
    /// That of the record with the highest timestamp.
    MaxTimestamp,
    /// That of the first record with this timestamp or a later one.
    Time(Timestamp),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListedOffset {
    /// `None` where no record is meant.
    pub offset: Option<Offset>,
    /// The record's, where a record was asked for.
    pub timestamp: Option<Timestamp>,
}

/// A producer that the leader remembers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActiveProducer {
    pub producer_id: i64,
    pub producer_epoch: i32,
    pub last_sequence: i32,
    pub last_timestamp: Timestamp,
    /// Where its open transaction begins.
    pub transaction_start: Option<Offset>,
}

/// A question that was sent: of which call, and for which partitions.
#[derive(Debug, Clone)]
pub(in crate::client) struct Asked {
    serial: u64,
    partitions: Vec<TopicPartition>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Offsets,
    Trim,
    Producers,
}

#[derive(Debug, Clone)]
enum Found {
    Offset(ListedOffset),
    LogStart(Offset),
    Producers(Vec<ActiveProducer>),
}

#[derive(Debug)]
enum State {
    /// Not before `at`; `last` is why it was not answered before.
    Waiting {
        at: Instant,
        last: ClientError,
    },
    Asked,
    Done(Result<Found, ClientError>),
}

#[derive(Debug)]
struct Part {
    /// A timestamp or an offset, as the request has it.
    query: i64,
    state: State,
}

#[derive(Debug)]
struct Scattered {
    token: Token,
    kind: Kind,
    deadline: Instant,
    parts: BTreeMap<TopicPartition, Part>,
}

#[derive(Debug)]
pub(in crate::client) struct Partitions {
    timeout: Duration,
    backoff: Duration,
    serial_next: u64,
    calls: BTreeMap<u64, Scattered>,
}

impl Partitions {
    pub(in crate::client) fn new(config: &ClientConfig) -> Self {
        Self {
            timeout: config.request_timeout,
            backoff: config.retry_backoff,
            serial_next: 0,
            calls: BTreeMap::new(),
        }
    }

    pub(in crate::client) fn len(&self) -> usize {
        self.calls.len()
    }

    pub(in crate::client) fn call(&mut self, now: Instant, token: Token, call: PartitionCall) {
        let kind = call.kind();
        let part = |query| Part { query, state: State::Waiting { at: now, last: ClientError::TimedOut } };
        let parts = match call {
            PartitionCall::ListOffsets { partitions, at } => {
                partitions.into_iter().map(|partition| (partition, part(at.query()))).collect()
            }
            PartitionCall::DeleteRecords(before) => {
                before.into_iter().map(|(partition, offset)| (partition, part(offset.0))).collect()
            }
            PartitionCall::DescribeProducers(partitions) => {
                partitions.into_iter().map(|partition| (partition, part(0))).collect()
            }
        };
        let scattered = Scattered { token, kind, deadline: now + self.timeout, parts };
        self.calls.insert(self.serial_next, scattered);
        self.serial_next += 1;
    }

    pub(in crate::client) fn deadlines(&self) -> impl Iterator<Item = Instant> {
        self.calls.values().flat_map(|call| {
            let retries = call.parts.values().filter_map(|part| match part.state {
                State::Waiting { at, .. } => Some(at),
                State::Asked | State::Done(_) => None,
            });
            retries.chain([call.deadline])
        })
    }

    pub(in crate::client) fn turn(
        &mut self,
        now: Instant,
        links: &mut Links<Call>,
        cluster: &mut Cluster,
        events: &mut VecDeque<ClientEvent>,
    ) {
        let timeout_ms = i32::try_from(self.timeout.as_millis()).unwrap_or(i32::MAX);
        for (&serial, call) in &mut self.calls {
            for (address, partitions) in call.due(now, cluster) {
                let peer = Peer { address, lane: Lane::Main };
                if links.want(now, &peer) != Readiness::Ready {
                    continue;
                }
                let queries: Vec<Query> =
                    partitions.into_iter().map(|(key, leader)| call.ask(key, &leader)).collect();
                let partitions = queries.iter().map(|query| query.partition.clone()).collect();
                let asked = Call::Partitions(Asked { serial, partitions });
                let sending = Sending { patience: self.timeout, ..Sending::new(call.kind.api_key()) };
                links.send(now, (&peer, sending), asked, |version, writer| {
                    call.kind.encode(&queries, timeout_ms, version, writer)
                });
            }
        }
        self.calls.retain(|_, call| {
            let over = call.deadline <= now || call.parts.values().all(|p| matches!(p.state, State::Done(_)));
            if over {
                let answer = call.kind.answer(core::mem::take(&mut call.parts));
                events.push_back(ClientEvent::Answered { token: call.token, answer });
            }
            !over
        });
    }

    /// Takes an answer, or why there is none; whether the cluster is not as it was thought to be.
    pub(in crate::client) fn on_outcome(
        &mut self,
        now: Instant,
        asked: Asked,
        outcome: Result<(i16, &Slice), ClientError>,
    ) -> bool {
        let Some(call) = self.calls.get_mut(&asked.serial) else { return false };
        let found = outcome
            .and_then(|(version, body)| call.kind.decode(version, body).map_err(|_| ClientError::Malformed));
        let mut stale = false;
        for key in asked.partitions {
            let Some(part) = call.parts.get_mut(&key) else { continue };
            let result = match &found {
                Ok(found) => found.get(&key).cloned().unwrap_or(Err(ClientError::Malformed)),
                Err(error) => Err(*error),
            };
            part.state = match result {
                Err(last) if is_passing(last) => {
                    stale = true;
                    State::Waiting { at: now + self.backoff, last }
                }
                Ok(_) | Err(_) => State::Done(result),
            };
        }
        stale
    }
}

/// Whether another leader, or the same one later, may answer.
fn is_passing(error: ClientError) -> bool {
    match error {
        ClientError::Broker(code) => [
            ErrorCode::NotLeaderOrFollower,
            ErrorCode::LeaderNotAvailable,
            ErrorCode::FencedLeaderEpoch,
            ErrorCode::UnknownLeaderEpoch,
            ErrorCode::OffsetNotAvailable,
        ]
        .contains(&code),
        ClientError::Disconnected => true,
        ClientError::UnknownCode(_)
        | ClientError::TimedOut
        | ClientError::Malformed
        | ClientError::CorruptBatch
        | ClientError::BatchTooLarge
        | ClientError::UnsupportedVersion
        | ClientError::EpochExhausted
        | ClientError::NoOffset => false,
    }
}

/// One partition of a question.
#[derive(Debug)]
struct Query {
    partition: TopicPartition,
    epoch: i32,
    value: i64,
}

impl Scattered {
    /// What can be asked now, by who is to be asked. What no leader will ever answer is done.
    fn due(
        &mut self,
        now: Instant,
        cluster: &mut Cluster,
    ) -> BTreeMap<Address, Vec<(TopicPartition, Leader)>> {
        let mut due: BTreeMap<Address, Vec<(TopicPartition, Leader)>> = BTreeMap::new();
        for (key, part) in &mut self.parts {
            let State::Waiting { at, .. } = part.state else { continue };
            if at > now {
                continue;
            }
            if let Some(error) = cluster.lacks(key) {
                part.state = State::Done(Err(error));
            } else if let Some(leader) = cluster.leader(now, key) {
                due.entry(leader.address.clone()).or_default().push((key.clone(), leader));
            }
        }
        due
    }

    fn ask(&mut self, partition: TopicPartition, leader: &Leader) -> Query {
        let part = self.parts.get_mut(&partition).expect("only its own partitions are asked for");
        part.state = State::Asked;
        Query { partition, epoch: leader.epoch, value: part.query }
    }
}

impl PartitionCall {
    /// The request that asks it.
    pub fn api_key(&self) -> ApiKey {
        self.kind().api_key()
    }

    fn kind(&self) -> Kind {
        match self {
            Self::ListOffsets { .. } => Kind::Offsets,
            Self::DeleteRecords(_) => Kind::Trim,
            Self::DescribeProducers(_) => Kind::Producers,
        }
    }
}

impl OffsetAt {
    fn query(self) -> i64 {
        match self {
            Self::Latest => -1,
            Self::Earliest => -2,
            Self::MaxTimestamp => MAX_TIMESTAMP,
            // Negative times mean other things; nothing was written before 1970.
            Self::Time(time) => time.0.max(0),
        }
    }
}

/// Asks for the record with the highest timestamp, from version 7 on.
const MAX_TIMESTAMP: i64 = -3;

type FoundParts = BTreeMap<TopicPartition, Result<Found, ClientError>>;

impl Kind {
    fn api_key(self) -> ApiKey {
        match self {
            Self::Offsets => ApiKey::ListOffsets,
            Self::Trim => ApiKey::DeleteRecords,
            Self::Producers => ApiKey::DescribeProducers,
        }
    }

    fn encode(
        self,
        queries: &[Query],
        timeout_ms: i32,
        version: i16,
        writer: &mut Writer,
    ) -> Result<(), EncodeError> {
        let chunks = queries.chunk_by(|a, b| a.partition.topic == b.partition.topic);
        match self {
            Self::Offsets => {
                if version < 7 && queries.iter().any(|query| query.value == MAX_TIMESTAMP) {
                    return Err(EncodeError::UnsupportedVersion);
                }
                let topics = chunks.map(offsets_topic).collect();
                let request = ListOffsetsRequest { replica_id: -1, topics, timeout_ms, ..Default::default() };
                request.encode(version, writer)
            }
            Self::Trim => {
                let topics = chunks.map(trim_topic).collect();
                DeleteRecordsRequest { topics, timeout_ms, ..Default::default() }.encode(version, writer)
            }
            Self::Producers => {
                let topics = chunks
                    .map(|chunk| TopicRequest {
                        name: &chunk[0].partition.topic,
                        partition_indexes: chunk.iter().map(|query| query.partition.index).collect(),
                        ..TopicRequest::default()
                    })
                    .collect();
                DescribeProducersRequest { topics, ..Default::default() }.encode(version, writer)
            }
        }
    }

    fn decode(self, version: i16, body: &Slice) -> Result<FoundParts, DecodeError> {
        let reader = &mut Reader::new(body);
        let mut found = FoundParts::new();
        match self {
            Self::Offsets => {
                for topic in &ListOffsetsResponse::decode(version, reader)?.topics {
                    found.extend(topic.partitions.iter().map(|p| {
                        let offset = ListedOffset {
                            offset: (p.offset >= 0).then_some(Offset(p.offset)),
                            timestamp: (p.timestamp >= 0).then_some(Timestamp(p.timestamp)),
                        };
                        entry((topic.name, p.partition_index), p.error_code, Found::Offset(offset))
                    }));
                }
            }
            Self::Trim => {
                for topic in &DeleteRecordsResponse::decode(version, reader)?.topics {
                    found.extend(topic.partitions.iter().map(|p| {
                        let start = Found::LogStart(Offset(p.low_watermark));
                        entry((topic.name, p.partition_index), p.error_code, start)
                    }));
                }
            }
            Self::Producers => {
                for topic in &DescribeProducersResponse::decode(version, reader)?.topics {
                    found.extend(topic.partitions.iter().map(|p| {
                        let producers = p.active_producers.iter().map(producer).collect();
                        entry((topic.name, p.partition_index), p.error_code, Found::Producers(producers))
                    }));
                }
            }
        }
        Ok(found)
    }

    /// All parts put together; those that are not done have failed.
    fn answer(self, parts: BTreeMap<TopicPartition, Part>) -> AdminAnswer {
        let mut offsets = Vec::new();
        let mut trimmed = Vec::new();
        let mut producers = Vec::new();
        for (key, part) in parts {
            let result = match part.state {
                State::Done(result) => result,
                State::Waiting { last, .. } => Err(last),
                State::Asked => Err(ClientError::TimedOut),
            };
            match (self, result) {
                (_, Ok(Found::Offset(offset))) => offsets.push((key, Ok(offset))),
                (_, Ok(Found::LogStart(start))) => trimmed.push((key, Ok(start))),
                (_, Ok(Found::Producers(active))) => producers.push((key, Ok(active))),
                (Self::Offsets, Err(error)) => offsets.push((key, Err(error))),
                (Self::Trim, Err(error)) => trimmed.push((key, Err(error))),
                (Self::Producers, Err(error)) => producers.push((key, Err(error))),
            }
        }
        match self {
            Self::Offsets => AdminAnswer::Offsets(offsets),
            Self::Trim => AdminAnswer::Trimmed(trimmed),
            Self::Producers => AdminAnswer::Producers(producers),
        }
    }
}

fn entry(
    (topic, index): (&str, i32),
    error_code: i16,
    found: Found,
) -> (TopicPartition, Result<Found, ClientError>) {
    (TopicPartition::new(topic, index), ClientError::from_code(error_code).map_or(Ok(found), Err))
}

fn offsets_topic(chunk: &[Query]) -> ListOffsetsTopic<'_> {
    let partitions = chunk.iter().map(|query| ListOffsetsPartition {
        partition_index: query.partition.index,
        current_leader_epoch: query.epoch,
        timestamp: query.value,
        ..ListOffsetsPartition::default()
    });
    ListOffsetsTopic {
        name: &chunk[0].partition.topic,
        partitions: partitions.collect(),
        ..ListOffsetsTopic::default()
    }
}

fn trim_topic(chunk: &[Query]) -> DeleteRecordsTopic<'_> {
    let partitions = chunk.iter().map(|query| DeleteRecordsPartition {
        partition_index: query.partition.index,
        offset: query.value,
        ..DeleteRecordsPartition::default()
    });
    DeleteRecordsTopic {
        name: &chunk[0].partition.topic,
        partitions: partitions.collect(),
        ..DeleteRecordsTopic::default()
    }
}

fn producer(state: &ProducerState) -> ActiveProducer {
    ActiveProducer {
        producer_id: state.producer_id,
        producer_epoch: state.producer_epoch,
        last_sequence: state.last_sequence,
        last_timestamp: Timestamp(state.last_timestamp),
        transaction_start: (state.current_txn_start_offset >= 0)
            .then_some(Offset(state.current_txn_start_offset)),
    }
}
