//! A small broker of several nodes in one place, which does what its script says and else the right thing.

mod administered;
mod coordinating;

use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::batch::{
    Batches, KeyPolicy, ProducePolicy, Scratch, TimestampWindow, Validation, ZstdPolicy,
    patch_offset_and_epoch, validate_produced,
};
use crate::buf::Slice;
use crate::client::Address;
use crate::id::{LeaderEpoch, Offset, Uuid};
use crate::time::{Duration, Instant, Now, Timestamp};
use crate::wire::messages::api_versions_response::{ApiVersion, ApiVersionsResponse};
use crate::wire::messages::create_topics_request::CreateTopicsRequest;
use crate::wire::messages::create_topics_response::{CreatableTopicResult, CreateTopicsResponse};
use crate::wire::messages::delete_topics_request::DeleteTopicsRequest;
use crate::wire::messages::delete_topics_response::{DeletableTopicResult, DeleteTopicsResponse};
use crate::wire::messages::fetch_request::FetchRequest;
use crate::wire::messages::fetch_response::{FetchResponse, FetchableTopicResponse, PartitionData};
use crate::wire::messages::init_producer_id_response::InitProducerIdResponse;
use crate::wire::messages::list_offsets_request::ListOffsetsRequest;
use crate::wire::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsResponse, ListOffsetsTopicResponse,
};
use crate::wire::messages::metadata_request::MetadataRequest;
use crate::wire::messages::metadata_response::{
    MetadataResponse, MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use crate::wire::messages::produce_request::ProduceRequest;
use crate::wire::messages::produce_response::{
    PartitionProduceResponse, ProduceResponse, TopicProduceResponse,
};
use crate::wire::{ApiKey, ErrorCode, Reader, Records, RequestHeader, ResponseHeader, Writer};

/// What happens to the next request of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Twist {
    /// Every partition answers with this, and nothing is done.
    Error(ErrorCode),
    /// The connection breaks before anything is done.
    CloseBefore,
    /// The connection breaks after it is done.
    CloseAfter,
    /// It is done and answered with this error.
    DoneBut(ErrorCode),
    /// Never answered, nor anything after it: answers come in order.
    Mute,
    /// Bytes that are no answer.
    Garbage,
}

/// A batch of a producer: its first and last sequence, and where it went.
type Appended = (i32, i32, i64);

#[derive(Debug, Default)]
pub(super) struct Log {
    pub(super) leader: i32,
    pub(super) start: i64,
    pub(super) end: i64,
    pub(super) batches: Vec<Vec<u8>>,
    /// Of each producer id: its epoch, and its batches.
    producers: BTreeMap<i64, (i16, Vec<Appended>)>,
}

#[derive(Debug)]
pub(super) struct Topic {
    pub(super) id: Uuid,
    pub(super) logs: Vec<Log>,
}

#[derive(Debug, Default)]
struct Session {
    id: i32,
    epoch: i32,
    offsets: BTreeMap<(Uuid, String, i32), i64>,
}

/// A fetch as it was asked: session id and epoch, partitions told, partitions forgotten.
pub(super) type FetchSeen = (i32, i32, usize, usize);

#[derive(Debug)]
pub(super) struct Fake {
    pub(super) nodes: BTreeMap<i32, Address>,
    pub(super) topics: BTreeMap<String, Topic>,
    pub(super) versions: BTreeMap<ApiKey, (i16, i16)>,
    pub(super) script: VecDeque<(ApiKey, Twist)>,
    pub(super) seen: Vec<(ApiKey, i16)>,
    pub(super) fetches: Vec<FetchSeen>,
    pub(super) sessions: bool,
    /// What was altered, by kind and name of the resource.
    pub(super) configs: BTreeMap<(i8, String), BTreeMap<String, String>>,
    pub(super) coordinating: coordinating::Coordinating,
    /// The coordinator's time.
    now: Now,
    session: BTreeMap<i32, Session>,
    session_next: i32,
    producer_next: i64,
}

pub(super) enum Reply {
    /// After this long.
    Bytes(Vec<u8>, Duration),
    Nothing,
    /// The coordinator answers under this number, in time; whether the connection breaks then instead.
    Later(u64),
    /// From now on.
    Silence,
    Close,
}

impl Fake {
    pub(super) fn new(nodes: i32) -> Self {
        let port = |node: i32| u16::try_from(9000 + node).unwrap();
        Self {
            nodes: (1..=nodes).map(|node| (node, Address::new("broker", port(node)))).collect(),
            topics: BTreeMap::new(),
            versions: ApiKey::ALL
                .iter()
                .map(|&key| (key, (*key.versions().start(), *key.stable_versions().end())))
                .collect(),
            script: VecDeque::new(),
            seen: Vec::new(),
            fetches: Vec::new(),
            sessions: true,
            configs: BTreeMap::new(),
            coordinating: coordinating::Coordinating::new(),
            now: Now { mono: Instant::from_nanos(0), wall: Timestamp(0) },
            session: BTreeMap::new(),
            session_next: 100,
            producer_next: 1000,
        }
    }

    pub(super) fn topic(&mut self, name: &str, partitions: i32) {
        let nodes = i32::try_from(self.nodes.len()).unwrap();
        let id = Uuid([u8::try_from(self.topics.len() + 1).unwrap(); 16]);
        let logs = (0..partitions).map(|index| Log { leader: 1 + index % nodes, ..Log::default() }).collect();
        self.topics.insert(name.to_string(), Topic { id, logs });
    }

    pub(super) fn log(&mut self, topic: &str, index: usize) -> &mut Log {
        &mut self.topics.get_mut(topic).unwrap().logs[index]
    }

    fn twist(&mut self, key: ApiKey) -> Option<Twist> {
        let at = self.script.iter().position(|(of, _)| *of == key)?;
        self.script.remove(at).map(|(_, twist)| twist)
    }

    /// What a node answers to a frame.
    pub(super) fn answer(&mut self, node: i32, frame: &[u8]) -> Reply {
        let mut reader = Reader::new(frame);
        let header = RequestHeader::decode(&mut reader).unwrap();
        let key = ApiKey::from_code(header.api_key).unwrap();
        let version = header.api_version;
        self.seen.push((key, version));
        let (min, max) = self.versions[&key];
        if key == ApiKey::ApiVersions && version > max {
            let body = self.api_versions(ErrorCode::UnsupportedVersion);
            return respond(key, (header.correlation_id, 0), Duration::ZERO, |w| body.encode(0, w).unwrap());
        }
        assert!((min..=max).contains(&version), "{key:?} in version {version}");
        let twist = self.twist(key);
        let error = match twist {
            Some(Twist::CloseBefore) => return Reply::Close,
            Some(Twist::Mute) => return Reply::Silence,
            Some(Twist::Garbage) => return Reply::Bytes(alloc::vec![0, 0, 0, 2, 9, 9], Duration::ZERO),
            Some(Twist::Error(error)) => Some(error),
            Some(Twist::CloseAfter | Twist::DoneBut(_)) | None => None,
        };
        let mut body = reader;
        let instead = if let Some(Twist::DoneBut(error)) = twist { Some(error) } else { None };
        let what = (key, version, node, header.correlation_id);
        if let Some(number) = self.coordinate(what, &mut body, (error, instead)) {
            body.finish().unwrap();
            return if twist == Some(Twist::CloseAfter) { Reply::Close } else { Reply::Later(number) };
        }
        let mut writer = Writer::frame();
        let response = ResponseHeader::new(header.correlation_id);
        response.encode(key, version, &mut writer).unwrap();
        let done_but = if let Some(Twist::DoneBut(error)) = twist { Some(error) } else { None };
        let wait = self.dispatch((key, version, node), &mut body, (error, done_but), &mut writer);
        body.finish().unwrap();
        let Some(wait) = wait else { return Reply::Nothing };
        if twist == Some(Twist::CloseAfter) { Reply::Close } else { Reply::Bytes(bytes_of(writer), wait) }
    }

    fn dispatch(
        &mut self,
        what: (ApiKey, i16, i32),
        body: &mut Reader<'_>,
        errors: (Option<ErrorCode>, Option<ErrorCode>),
        out: &mut Writer,
    ) -> Option<Duration> {
        let (key, version, node) = what;
        let mut wait = Duration::ZERO;
        match key.name() {
            "ApiVersions" => {
                let _ =
                    crate::wire::messages::api_versions_request::ApiVersionsRequest::decode(version, body);
                self.api_versions(ErrorCode::None).encode(version, out).unwrap();
            }
            "Metadata" => self.metadata(&MetadataRequest::decode(version, body).unwrap(), version, out),
            "InitProducerId" => {
                use crate::wire::messages::init_producer_id_request::InitProducerIdRequest;
                InitProducerIdRequest::decode(version, body).unwrap();
                self.producer_next += 1;
                let error_code = errors.0.map_or(0, ErrorCode::code);
                let producer_id = self.producer_next;
                let response = InitProducerIdResponse { producer_id, error_code, ..Default::default() };
                response.encode(version, out).unwrap();
            }
            "Produce" => {
                let request = ProduceRequest::decode(version, body).unwrap();
                self.produce(node, &request, errors).encode(version, out).unwrap();
                if request.acks == 0 {
                    return None;
                }
            }
            "Fetch" => {
                let request = FetchRequest::decode(version, body).unwrap();
                let max_wait = u64::try_from(request.max_wait_ms).unwrap();
                if self.fetch(node, &request, version, errors.0, out) {
                    wait = Duration::from_millis(max_wait);
                }
            }
            "ListOffsets" => {
                let request = ListOffsetsRequest::decode(version, body).unwrap();
                self.list_offsets(node, &request, errors.0).encode(version, out).unwrap();
            }
            "CreateTopics" => {
                self.create(&CreateTopicsRequest::decode(version, body).unwrap(), version, out);
            }
            "DeleteTopics" => {
                self.delete(&DeleteTopicsRequest::decode(version, body).unwrap(), version, out);
            }
            "FindCoordinator" => self.find_coordinator(body, (version, errors.0), out),
            _ => self.administer((key, version, node), body, errors.0, out),
        }
        Some(wait)
    }

    fn api_versions(&self, error: ErrorCode) -> ApiVersionsResponse<'static> {
        let api_keys = self
            .versions
            .iter()
            .map(|(key, &(min_version, max_version))| ApiVersion {
                api_key: key.code(),
                min_version,
                max_version,
                ..ApiVersion::default()
            })
            .collect();
        ApiVersionsResponse { error_code: error.code(), api_keys, ..ApiVersionsResponse::default() }
    }

    fn metadata(&self, request: &MetadataRequest<'_>, version: i16, out: &mut Writer) {
        let brokers = self
            .nodes
            .iter()
            .map(|(&node_id, address)| MetadataResponseBroker {
                node_id,
                host: &address.host,
                port: i32::from(address.port),
                ..MetadataResponseBroker::default()
            })
            .collect();
        let names: Vec<&str> = match &request.topics {
            None => self.topics.keys().map(String::as_str).collect(),
            // As in Kafka, ids are all that counts where there is one.
            Some(topics) if topics.iter().any(|topic| !topic.topic_id.is_zero()) => {
                let known = |id| self.topics.iter().find(move |(_, topic)| topic.id == id);
                let found = topics.iter().filter_map(|topic| known(topic.topic_id));
                found.map(|(name, _)| name.as_str()).collect()
            }
            Some(topics) => topics.iter().map(|topic| topic.name.unwrap()).collect(),
        };
        let topics = names
            .into_iter()
            .map(|name| {
                let Some(topic) = self.topics.get(name) else {
                    let error_code = ErrorCode::UnknownTopicOrPartition.code();
                    return MetadataResponseTopic { name: Some(name), error_code, ..Default::default() };
                };
                let partitions = (0..)
                    .zip(&topic.logs)
                    .map(|(partition_index, log)| MetadataResponsePartition {
                        partition_index,
                        leader_id: log.leader,
                        leader_epoch: 7,
                        replica_nodes: alloc::vec![log.leader],
                        isr_nodes: alloc::vec![log.leader],
                        ..MetadataResponsePartition::default()
                    })
                    .collect();
                let topic_id = topic.id;
                MetadataResponseTopic { name: Some(name), topic_id, partitions, ..Default::default() }
            })
            .collect();
        let response = MetadataResponse { brokers, topics, controller_id: 1, ..MetadataResponse::default() };
        response.encode(version, out).unwrap();
    }

    fn find(&mut self, (name, id): (&str, Uuid), index: i32) -> Result<&mut Log, ErrorCode> {
        let mut topics = self.topics.iter_mut();
        let topic = topics.find(|(known, topic)| *known == name || (name.is_empty() && topic.id == id));
        let log = topic.and_then(|(_, topic)| topic.logs.get_mut(usize::try_from(index).ok()?));
        log.ok_or(ErrorCode::UnknownTopicOrPartition)
    }

    fn produce<'r>(
        &mut self,
        node: i32,
        request: &ProduceRequest<'r>,
        errors: (Option<ErrorCode>, Option<ErrorCode>),
    ) -> ProduceResponse<'r> {
        let mut responses = Vec::new();
        for topic in &request.topic_data {
            let mut partition_responses = Vec::new();
            for data in &topic.partition_data {
                let log = self.find((topic.name, topic.topic_id), data.index);
                let Some(Records::Borrowed(bytes)) = &data.records else { panic!("records come borrowed") };
                let done = match errors.0 {
                    Some(error) => Err(error),
                    None => log.and_then(|log| {
                        if log.leader == node {
                            log.append(bytes)
                        } else {
                            Err(ErrorCode::NotLeaderOrFollower)
                        }
                    }),
                };
                let done = errors.1.map_or(done, Err);
                partition_responses.push(PartitionProduceResponse {
                    index: data.index,
                    error_code: done.err().map_or(0, ErrorCode::code),
                    base_offset: done.unwrap_or(-1),
                    ..PartitionProduceResponse::default()
                });
            }
            let (name, topic_id) = (topic.name, topic.topic_id);
            responses.push(TopicProduceResponse {
                name,
                topic_id,
                partition_responses,
                ..Default::default()
            });
        }
        ProduceResponse { responses, ..ProduceResponse::default() }
    }

    /// Whether there was nothing to answer with, so that the broker would wait.
    fn fetch(
        &mut self,
        node: i32,
        request: &FetchRequest<'_>,
        version: i16,
        error: Option<ErrorCode>,
        out: &mut Writer,
    ) -> bool {
        let told = request.topics.iter().map(|topic| topic.partitions.len()).sum();
        let forgotten = request.forgotten_topics_data.iter().map(|topic| topic.partitions.len()).sum();
        self.fetches.push((request.session_id, request.session_epoch, told, forgotten));
        let mut session = self.session.remove(&node).unwrap_or_default();
        if request.session_epoch == 0 {
            self.session_next += 1;
            session = Session { id: self.session_next, epoch: 0, offsets: BTreeMap::new() };
        }
        let known = session.id == request.session_id && session.epoch == request.session_epoch;
        let error = error
            .or_else(|| (request.session_epoch != 0 && !known).then_some(ErrorCode::FetchSessionIdNotFound));
        if let Some(error) = error {
            FetchResponse { error_code: error.code(), ..Default::default() }.encode(version, out).unwrap();
            return false;
        }
        session.epoch += 1;
        for topic in &request.forgotten_topics_data {
            for &index in &topic.partitions {
                session.offsets.remove(&(topic.topic_id, topic.topic.to_string(), index));
            }
        }
        for topic in &request.topics {
            for partition in &topic.partitions {
                let key = (topic.topic_id, topic.topic.to_string(), partition.partition);
                session.offsets.insert(key, partition.fetch_offset);
            }
        }
        let mut responses = Vec::new();
        for ((id, name, index), &offset) in &session.offsets {
            let (error, start, end, records) = match self.find((name, *id), *index) {
                Err(error) => (Some(error), 0, 0, Vec::new()),
                Ok(log) => (log.refusal(node, offset), log.start, log.end, log.read(offset)),
            };
            if request.session_epoch > 0 && records.is_empty() && error.is_none() {
                continue;
            }
            let data = PartitionData {
                partition_index: *index,
                error_code: error.map_or(0, ErrorCode::code),
                high_watermark: end,
                log_start_offset: start,
                records: Some(Records::Slices(alloc::vec![Slice::from_vec(records)])),
                ..PartitionData::default()
            };
            let (topic, topic_id) = (name.as_str(), *id);
            let partitions = alloc::vec![data];
            responses.push(FetchableTopicResponse { topic, topic_id, partitions, ..Default::default() });
        }
        let nothing = responses.iter().all(|topic| {
            topic
                .partitions
                .iter()
                .all(|p| p.error_code == 0 && p.records.as_ref().is_none_or(Records::is_empty))
        });
        let session_id = if self.sessions { session.id } else { 0 };
        FetchResponse { session_id, responses, ..Default::default() }.encode(version, out).unwrap();
        self.session.insert(node, session);
        nothing
    }

    fn list_offsets<'r>(
        &mut self,
        node: i32,
        request: &ListOffsetsRequest<'r>,
        error: Option<ErrorCode>,
    ) -> ListOffsetsResponse<'r> {
        let topics = request
            .topics
            .iter()
            .map(|topic| {
                let partitions = topic.partitions.iter().map(|partition| {
                    let log = self.find((topic.name, Uuid::ZERO), partition.partition_index);
                    let offset =
                        log.and_then(|log| log.led_by(node).map(|()| log.offset_at(partition.timestamp)));
                    ListOffsetsPartitionResponse {
                        partition_index: partition.partition_index,
                        error_code: error.or(offset.err()).map_or(0, ErrorCode::code),
                        offset: offset.unwrap_or(-1),
                        ..ListOffsetsPartitionResponse::default()
                    }
                });
                let (name, partitions) = (topic.name, partitions.collect());
                ListOffsetsTopicResponse { name, partitions, ..Default::default() }
            })
            .collect();
        ListOffsetsResponse { topics, ..ListOffsetsResponse::default() }
    }

    fn create(&mut self, request: &CreateTopicsRequest<'_>, version: i16, out: &mut Writer) {
        let mut topics = Vec::new();
        for topic in &request.topics {
            let exists = self.topics.contains_key(topic.name);
            let error = if exists { ErrorCode::TopicAlreadyExists } else { ErrorCode::None };
            if !exists {
                self.topic(topic.name, topic.num_partitions.max(1));
            }
            topics.push(CreatableTopicResult {
                name: topic.name,
                topic_id: self.topics[topic.name].id,
                error_code: error.code(),
                error_message: exists.then_some("it is there"),
                ..CreatableTopicResult::default()
            });
        }
        CreateTopicsResponse { topics, ..Default::default() }.encode(version, out).unwrap();
    }

    fn delete(&mut self, request: &DeleteTopicsRequest<'_>, version: i16, out: &mut Writer) {
        let names = request.topics.iter().filter_map(|topic| topic.name);
        let names: Vec<&str> = names.chain(request.topic_names.iter().copied()).collect();
        let responses = names
            .into_iter()
            .map(|name| {
                let gone = self.topics.remove(name).is_some();
                let error = if gone { ErrorCode::None } else { ErrorCode::UnknownTopicOrPartition };
                DeletableTopicResult { name: Some(name), error_code: error.code(), ..Default::default() }
            })
            .collect();
        DeleteTopicsResponse { responses, ..Default::default() }.encode(version, out).unwrap();
    }
}

impl Log {
    /// Appends as a leader does: the base offset of the batch, or of the one that it repeats.
    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<i64, ErrorCode> {
        let policy = ProducePolicy {
            expanded_bytes_max: usize::MAX,
            batch_bytes_max: 1 << 20,
            zstd: ZstdPolicy::Accept,
            timestamps: TimestampWindow::ANY,
            key: KeyPolicy::Optional,
            validation: Validation::Records,
        };
        let info =
            validate_produced(bytes, &policy, &mut Scratch::new()).expect("a client sends good batches").info;
        if info.producer_id.0 >= 0 {
            let fresh = (info.producer_epoch.0, Vec::new());
            let entry = self.producers.entry(info.producer_id.0).or_insert_with(|| fresh.clone());
            if info.producer_epoch.0 > entry.0 {
                *entry = fresh;
            }
            if info.producer_epoch.0 < entry.0 {
                return Err(ErrorCode::InvalidProducerEpoch);
            }
            let (first, last) = (info.base_sequence, info.last_sequence());
            if let Some(&(_, _, base)) = entry.1.iter().find(|&&(f, l, _)| (f, l) == (first, last)) {
                return Ok(base);
            }
            if first != entry.1.last().map_or(0, |&(_, last, _)| last.wrapping_add(1) & i32::MAX) {
                return Err(ErrorCode::OutOfOrderSequenceNumber);
            }
            entry.1.push((first, last, self.end));
        }
        let base = self.end;
        let mut batch = bytes.to_vec();
        patch_offset_and_epoch(&mut batch, Offset(base), LeaderEpoch(7));
        self.end += i64::from(info.count);
        self.batches.push(batch);
        Ok(base)
    }

    /// Forgets what it knows of producers, as after an unclean election.
    pub(super) fn forget_producers(&mut self) {
        self.producers.clear();
    }

    pub(super) fn led_by(&self, node: i32) -> Result<(), ErrorCode> {
        if self.leader == node { Ok(()) } else { Err(ErrorCode::NotLeaderOrFollower) }
    }

    fn refusal(&self, node: i32, offset: i64) -> Option<ErrorCode> {
        let out = offset < self.start || offset > self.end;
        self.led_by(node).err().or(out.then_some(ErrorCode::OffsetOutOfRange))
    }

    fn read(&self, offset: i64) -> Vec<u8> {
        let wanted = self
            .batches
            .iter()
            .filter(|bytes| Batches::new(bytes).next().unwrap().unwrap().end_offset() > Offset(offset));
        // Three batches at once, so that readers have to come again.
        wanted.take(3).flatten().copied().collect()
    }

    fn offset_at(&self, timestamp: i64) -> i64 {
        match timestamp {
            -2 => self.start,
            -1 => self.end,
            // The fake's clock stands still: the first record has the highest timestamp.
            -3 => {
                if self.batches.is_empty() {
                    -1
                } else {
                    self.start
                }
            }
            _ => self
                .batches
                .iter()
                .find_map(|bytes| {
                    let batch = Batches::new(bytes).next().unwrap().unwrap();
                    batch
                        .first_record_at_or_after(Offset::ZERO, Timestamp(timestamp), &mut Scratch::new())
                        .unwrap()
                })
                .map_or(-1, |(offset, _)| offset.0),
        }
    }
}

pub(super) fn bytes_of(writer: Writer) -> Vec<u8> {
    writer.into_parts().iter().flat_map(|part| part.to_vec()).collect()
}

fn respond(
    key: ApiKey,
    (correlation_id, version): (i32, i16),
    wait: Duration,
    encode: impl FnOnce(&mut Writer),
) -> Reply {
    let mut writer = Writer::frame();
    ResponseHeader::new(correlation_id).encode(key, version, &mut writer).unwrap();
    encode(&mut writer);
    Reply::Bytes(bytes_of(writer), wait)
}
