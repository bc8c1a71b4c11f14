//! What goes before a run, one request at a time: topics are made, their leaders looked for. Measures nothing.

mod configs;

use std::io::{Read, Write};
use std::mem;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::thread;
use std::time::{Duration, Instant};

use highwater_core::wire::messages::api_versions_request::ApiVersionsRequest;
use highwater_core::wire::messages::api_versions_response::ApiVersionsResponse;
use highwater_core::wire::messages::create_topics_request::{
    CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
};
use highwater_core::wire::messages::create_topics_response::CreateTopicsResponse;
use highwater_core::wire::messages::delete_topics_request::DeleteTopicsRequest;
use highwater_core::wire::messages::delete_topics_response::DeleteTopicsResponse;
use highwater_core::wire::messages::list_offsets_request::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use highwater_core::wire::messages::list_offsets_response::ListOffsetsResponse;
use highwater_core::wire::messages::metadata_request::{MetadataRequest, MetadataRequestTopic};
use highwater_core::wire::messages::metadata_response::MetadataResponse;
use highwater_core::wire::{ApiKey, ErrorCode, Writer};

use crate::failure::Failure;
use crate::frame::{LENGTH_BYTES, answer, begun, produced, whole};
use crate::groups::succeeded;

pub(crate) const GREET_VERSION: i16 = 2;
pub(crate) const CREATE_VERSION: i16 = 5;
const DELETE_VERSION: i16 = 3;
pub(crate) const METADATA_VERSION: i16 = 8;
pub(crate) const LIST_OFFSETS_VERSION: i16 = 5;

/// How long a broker may take to be reachable, or to have what was just made.
const PATIENCE: Duration = Duration::from_secs(60);
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);

/// An answer longer than this is no answer to what is asked here.
const ANSWER_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Requests that are under way at once, and batches.
const WINDOW: usize = 100;
const BATCHES_WINDOW: usize = 16;

/// A connection that asks and waits.
#[derive(Debug)]
pub(crate) struct Setup {
    socket: TcpStream,
}

/// A topic and who leads each of its partitions.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) topic: String,
    pub(crate) leaders: Vec<SocketAddr>,
    /// Whether all copies are in sync.
    pub(crate) is_whole: bool,
}

/// What a topic is to be.
#[derive(Debug, Clone)]
pub(crate) struct NewTopic<'a> {
    pub(crate) name: &'a str,
    pub(crate) partitions: i32,
    pub(crate) replication_factor: i16,
    pub(crate) configs: Vec<(&'static str, &'static str)>,
}

impl Setup {
    /// The first address that answers; tried again until [`PATIENCE`] is over.
    pub(crate) fn connect(bootstrap: &str) -> Result<Self, Failure> {
        let until = Instant::now() + PATIENCE;
        loop {
            let failure = match Self::try_connect(bootstrap, PATIENCE) {
                Ok(setup) => return Ok(setup),
                Err(failure) => failure,
            };
            if Instant::now() >= until {
                return Err(failure);
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Once, and waits no longer than that for each answer.
    pub(crate) fn try_connect(bootstrap: &str, patience: Duration) -> Result<Self, Failure> {
        Ok(Self { socket: try_all(bootstrap, patience)? })
    }

    /// What every client does first: both sides tell which requests they know.
    pub(crate) fn greet(&mut self) -> Result<(), Failure> {
        let mut writer = begun(ApiKey::ApiVersions, GREET_VERSION)?;
        ApiVersionsRequest::default().encode(GREET_VERSION, &mut writer)?;
        let frame = self.ask(writer)?;
        let mut reader = answer(ApiKey::ApiVersions, GREET_VERSION, &frame)?;
        succeeded("a greeting", ApiVersionsResponse::decode(GREET_VERSION, &mut reader)?.error_code)
    }

    fn ask(&mut self, writer: Writer) -> Result<Vec<u8>, Failure> {
        self.exchange(&whole(writer))
    }

    /// Asks all, a window of them at a time, and tells of each answer by the place of its request.
    pub(crate) fn exchange_all(
        &mut self,
        requests: &[Vec<u8>],
        mut tell: impl FnMut(usize, &[u8]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        for (nth, window) in requests.chunks(WINDOW).enumerate() {
            self.socket.write_all(&window.concat())?;
            for at in 0..window.len() {
                let frame = self.receive()?;
                tell(nth * WINDOW + at, &frame)?;
            }
        }
        Ok(())
    }

    pub(crate) fn exchange(&mut self, request: &[u8]) -> Result<Vec<u8>, Failure> {
        self.socket.write_all(request)?;
        self.receive()
    }

    fn receive(&mut self) -> Result<Vec<u8>, Failure> {
        let mut length = [0; LENGTH_BYTES];
        self.socket.read_exact(&mut length)?;
        let length = usize::try_from(i32::from_be_bytes(length)).unwrap_or(usize::MAX);
        if length > ANSWER_BYTES_MAX {
            return Err(Failure(format!("an answer of {length} bytes")));
        }
        let mut frame = vec![0; length];
        self.socket.read_exact(&mut frame)?;
        Ok(frame)
    }

    /// Writes a batch so many times, with one head after the other, a few at once.
    pub(crate) fn produce(&mut self, heads: &[Vec<u8>], batch: &[u8], times: u64) -> Result<(), Failure> {
        let mut under_way = 0;
        for head in heads.iter().cycle().take(usize::try_from(times).unwrap_or(usize::MAX)) {
            if under_way == BATCHES_WINDOW {
                self.acknowledged()?;
                under_way -= 1;
            }
            self.socket.write_all(head)?;
            self.socket.write_all(batch)?;
            under_way += 1;
        }
        (0..under_way).try_for_each(|_| self.acknowledged())
    }

    /// Each of these until it is acknowledged.
    pub(crate) fn produce_each(
        &mut self,
        mut requests: Vec<Vec<u8>>,
        patience: Duration,
    ) -> Result<(), Failure> {
        let until = Instant::now() + patience;
        loop {
            let mut refused: Vec<usize> = Vec::new();
            let mut error = 0;
            self.exchange_all(&requests, |nth, frame| {
                let code = produced(frame)?.error_code;
                if code != 0 {
                    error = code;
                    refused.push(nth);
                }
                Ok(())
            })?;
            requests = refused.into_iter().map(|nth| mem::take(&mut requests[nth])).collect();
            if requests.is_empty() || Instant::now() > until {
                return succeeded("a batch", error);
            }
            thread::sleep(Duration::from_millis(1));
        }
    }

    fn acknowledged(&mut self) -> Result<(), Failure> {
        let frame = self.receive()?;
        succeeded("a batch", produced(&frame)?.error_code)
    }

    /// One that is there already stays as it is.
    pub(crate) fn create(&mut self, topic: &NewTopic<'_>) -> Result<(), Failure> {
        self.create_all(std::slice::from_ref(topic))
    }

    /// In one request.
    pub(crate) fn create_all(&mut self, topics: &[NewTopic<'_>]) -> Result<(), Failure> {
        let config = |(name, value): &(&'static str, &'static str)| CreatableTopicConfig {
            name,
            value: Some(value),
            ..CreatableTopicConfig::default()
        };
        let new = topics.iter().map(|topic| CreatableTopic {
            name: topic.name,
            num_partitions: topic.partitions,
            replication_factor: topic.replication_factor,
            configs: topic.configs.iter().map(config).collect(),
            ..CreatableTopic::default()
        });
        let request = CreateTopicsRequest { topics: new.collect(), ..CreateTopicsRequest::default() };
        let mut writer = begun(ApiKey::CreateTopics, CREATE_VERSION)?;
        request.encode(CREATE_VERSION, &mut writer)?;
        let frame = self.ask(writer)?;
        let mut reader = answer(ApiKey::CreateTopics, CREATE_VERSION, &frame)?;
        let response = CreateTopicsResponse::decode(CREATE_VERSION, &mut reader)?;
        if response.topics.len() != topics.len() {
            return Err(Failure("not all topics are in the answer".into()));
        }
        for result in &response.topics {
            if result.error_code != 0 && result.error_code != ErrorCode::TopicAlreadyExists.code() {
                let message = result.error_message.unwrap_or_default();
                return Err(Failure(format!(
                    "cannot create {}: error {}: {message}",
                    result.name, result.error_code
                )));
            }
        }
        Ok(())
    }

    /// One that is not there is no failure.
    pub(crate) fn delete(&mut self, topic: &str) -> Result<(), Failure> {
        let timeout_ms = 30_000;
        let request =
            DeleteTopicsRequest { topic_names: vec![topic], timeout_ms, ..DeleteTopicsRequest::default() };
        let mut writer = begun(ApiKey::DeleteTopics, DELETE_VERSION)?;
        request.encode(DELETE_VERSION, &mut writer)?;
        let frame = self.ask(writer)?;
        let mut reader = answer(ApiKey::DeleteTopics, DELETE_VERSION, &frame)?;
        let response = DeleteTopicsResponse::decode(DELETE_VERSION, &mut reader)?;
        let codes = response.responses.iter().map(|result| result.error_code);
        let bad =
            codes.into_iter().find(|&code| code != 0 && code != ErrorCode::UnknownTopicOrPartition.code());
        bad.map_or(Ok(()), |code| Err(Failure(format!("cannot delete {topic}: error {code}"))))
    }

    /// Waits until all partitions have a leader.
    pub(crate) fn target(&mut self, topic: &str) -> Result<Target, Failure> {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(target) = self.find(topic)? {
                return Ok(target);
            }
            if Instant::now() >= until {
                return Err(Failure(format!("not all partitions of {topic} got a leader")));
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// `None` as long as a partition has no leader.
    pub(crate) fn find(&mut self, topic: &str) -> Result<Option<Target>, Failure> {
        let named = MetadataRequestTopic { name: Some(topic), ..MetadataRequestTopic::default() };
        let request = MetadataRequest {
            topics: Some(vec![named]),
            allow_auto_topic_creation: false,
            ..MetadataRequest::default()
        };
        let mut writer = begun(ApiKey::Metadata, METADATA_VERSION)?;
        request.encode(METADATA_VERSION, &mut writer)?;
        let frame = self.ask(writer)?;
        let mut reader = answer(ApiKey::Metadata, METADATA_VERSION, &frame)?;
        let response = MetadataResponse::decode(METADATA_VERSION, &mut reader)?;
        let Some(found) = response.topics.first() else { return Ok(None) };
        let mut leaders = vec![None; found.partitions.len()];
        let mut is_whole = true;
        for partition in &found.partitions {
            is_whole &= partition.isr_nodes.len() == partition.replica_nodes.len();
            let broker = response.brokers.iter().find(|broker| broker.node_id == partition.leader_id);
            let place = usize::try_from(partition.partition_index).ok().and_then(|at| leaders.get_mut(at));
            if let (Some(broker), Some(place)) = (broker, place) {
                let port = u16::try_from(broker.port).unwrap_or_default();
                *place = (broker.host, port).to_socket_addrs()?.next();
            }
        }
        let leaders: Option<Vec<SocketAddr>> = leaders.into_iter().collect();
        Ok(leaders.filter(|leaders| !leaders.is_empty()).map(|leaders| Target {
            topic: topic.into(),
            leaders,
            is_whole,
        }))
    }

    /// The offset of a partition at one of Kafka's special times: -1 for the end, -2 for the start.
    pub(crate) fn offset(&mut self, topic: &str, partition: i32, timestamp: i64) -> Result<i64, Failure> {
        let partition =
            ListOffsetsPartition { partition_index: partition, timestamp, ..ListOffsetsPartition::default() };
        let topic =
            ListOffsetsTopic { name: topic, partitions: vec![partition], ..ListOffsetsTopic::default() };
        let request = ListOffsetsRequest { topics: vec![topic], ..ListOffsetsRequest::default() };
        let mut writer = begun(ApiKey::ListOffsets, LIST_OFFSETS_VERSION)?;
        request.encode(LIST_OFFSETS_VERSION, &mut writer)?;
        let frame = self.ask(writer)?;
        let mut reader = answer(ApiKey::ListOffsets, LIST_OFFSETS_VERSION, &frame)?;
        let response = ListOffsetsResponse::decode(LIST_OFFSETS_VERSION, &mut reader)?;
        let found = response.topics.first().and_then(|topic| topic.partitions.first());
        let found = found.ok_or_else(|| Failure("no partition in the answer".into()))?;
        match found.error_code {
            0 => Ok(found.offset),
            code => Err(Failure(format!("offsets are answered with error {code}"))),
        }
    }
}

fn try_all(bootstrap: &str, patience: Duration) -> Result<TcpStream, Failure> {
    let mut failure = Failure(format!("{bootstrap} names no address"));
    for address in bootstrap.split(',') {
        let found = address.to_socket_addrs().map_err(|error| Failure(format!("{address}: {error}")))?;
        for address in found {
            match TcpStream::connect_timeout(&address, patience.min(CONNECT_PATIENCE)) {
                Ok(socket) => {
                    socket.set_read_timeout(Some(patience))?;
                    socket.set_nodelay(true)?;
                    return Ok(socket);
                }
                Err(error) => failure = Failure(format!("{address}: {error}")),
            }
        }
    }
    Err(failure)
}
