//! Listens in on a connection of the real client: every answer must be in order and whole, whatever the client makes of it, and
//! some of what it says is a fact. Must not know the client.

mod group;

use std::collections::{BTreeMap, VecDeque};

use highwater_core::buf::Slice;
use highwater_core::id::Uuid;
use highwater_core::time::Instant;
use highwater_core::wire::messages::api_versions_response::ApiVersionsResponse;
use highwater_core::wire::messages::create_topics_response::CreateTopicsResponse;
use highwater_core::wire::messages::delete_topics_response::DeleteTopicsResponse;
use highwater_core::wire::messages::describe_configs_response::DescribeConfigsResponse;
use highwater_core::wire::messages::fetch_response::FetchResponse;
use highwater_core::wire::messages::incremental_alter_configs_response::IncrementalAlterConfigsResponse;
use highwater_core::wire::messages::init_producer_id_response::InitProducerIdResponse;
use highwater_core::wire::messages::list_offsets_response::ListOffsetsResponse;
use highwater_core::wire::messages::metadata_response::MetadataResponse;
use highwater_core::wire::messages::produce_request::ProduceRequest;
use highwater_core::wire::messages::produce_response::ProduceResponse;
use highwater_core::wire::{ApiKey, DecodeError, ErrorCode, Reader, RequestHeader, ResponseHeader};

use super::Desk;
use super::codec::code;
use super::session::Answered;
use crate::bytes::joined;
use crate::history::{Fact, Mark, Place, Process, Told};

/// What answers said that later ones are to be understood by.
#[derive(Debug)]
pub(super) struct Seen {
    /// The node that is asked, and who asks it now.
    pub(super) node: usize,
    pub(super) process: Process,
    /// Topics of the run by their ids.
    topics: BTreeMap<Uuid, usize>,
    /// When the fetch was sent whose answer came last.
    pub(super) fetch_mark: Mark,
    /// The same for a question for offsets.
    pub(super) list_mark: Mark,
}

impl Seen {
    pub(super) fn new(node: usize) -> Self {
        let (topics, process) = (BTreeMap::new(), Process(0));
        Self { node, process, topics, fetch_mark: Mark::default(), list_mark: Mark::default() }
    }
}

#[derive(Debug)]
struct Asked {
    key: ApiKey,
    version: i16,
    correlation: i32,
    mark: Mark,
    sent: Instant,
    /// A number of its own, if it is about what a group has committed.
    question: u64,
    /// Partitions of a produce.
    partitions: usize,
}

/// An ear on one connection.
#[derive(Debug, Default)]
pub(super) struct Tap {
    asked: VecDeque<Asked>,
    heard: Vec<u8>,
}

impl Tap {
    /// The client sends a request.
    pub(super) fn on_sent(&mut self, parts: &[Slice], answered: Answered, seen: &Seen, desk: &mut Desk<'_>) {
        let head = parts.first().and_then(|part| part.first_chunk::<12>());
        let &[_, _, _, _, k0, k1, v0, v1, c0, c1, c2, c3] = head.expect("a request has a header");
        let key = ApiKey::from_code(i16::from_be_bytes([k0, k1])).expect("the client knows what it asks");
        desk.operations.add("asked");
        if key == ApiKey::Produce && answered == Answered::No {
            return;
        }
        let version = i16::from_be_bytes([v0, v1]);
        let correlation = i32::from_be_bytes([c0, c1, c2, c3]);
        let partitions = if key == ApiKey::Produce { produced(&joined(parts)) } else { 0 };
        let question = group::on_sent(key, parts, seen, desk);
        let (mark, sent) = (desk.history.mark(), desk.now);
        self.asked.push_back(Asked { key, version, correlation, mark, sent, question, partitions });
    }

    /// The client hears bytes.
    pub(super) fn on_bytes(&mut self, bytes: &[u8], seen: &mut Seen, desk: &mut Desk<'_>) {
        self.heard.extend_from_slice(bytes);
        let heard = std::mem::take(&mut self.heard);
        let mut rest = heard.as_slice();
        while let Some((head, after)) = rest.split_first_chunk::<4>() {
            let Ok(len) = usize::try_from(i32::from_be_bytes(*head)) else {
                return desk.complain("wire", "an answer of negative length".to_owned());
            };
            let Some((answer, after)) = after.split_at_checked(len) else { break };
            rest = after;
            let Some(asked) = self.asked.pop_front() else {
                return desk.complain("wire", "an answer to nothing".to_owned());
            };
            if let Err(error) = take_answer(&asked, answer, seen, desk) {
                desk.complain("wire", format!("{error} in the answer to {asked:?}: {answer:02x?}"));
            }
        }
        self.heard = rest.to_vec();
    }
}

fn take_answer(
    asked: &Asked,
    answer: &[u8],
    seen: &mut Seen,
    desk: &mut Desk<'_>,
) -> Result<(), DecodeError> {
    let mut reader = Reader::new(answer);
    let header = ResponseHeader::decode(asked.key, asked.version, &mut reader)?;
    if header.correlation_id != asked.correlation {
        desk.complain("wire", format!("answer {} to {asked:?}", header.correlation_id));
        return Ok(());
    }
    take_body(asked, reader, seen, desk)
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the client asks only for these")]
fn take_body(
    asked: &Asked,
    mut reader: Reader<'_>,
    seen: &mut Seen,
    desk: &mut Desk<'_>,
) -> Result<(), DecodeError> {
    let version = asked.version;
    match asked.key {
        ApiKey::Produce => {
            let response = ProduceResponse::decode(version, &mut reader)?;
            let answered: usize =
                response.responses.iter().map(|topic| topic.partition_responses.len()).sum();
            if answered != asked.partitions {
                desk.complain("wire", format!("{answered} partitions in the answer to {asked:?}"));
            }
            on_produced(&response, desk);
        }
        ApiKey::Fetch => {
            seen.fetch_mark = asked.mark;
            on_fetched(&FetchResponse::decode(version, &mut reader)?, seen, desk);
        }
        ApiKey::ListOffsets => {
            seen.list_mark = asked.mark;
            let response = ListOffsetsResponse::decode(version, &mut reader)?;
            for partition in response.topics.iter().flat_map(|topic| &topic.partitions) {
                desk.count("list-offsets", partition.error_code);
            }
            group::on_listed(asked, &response, seen, desk);
        }
        ApiKey::Metadata => on_metadata(&MetadataResponse::decode(version, &mut reader)?, seen, desk),
        ApiKey::InitProducerId => {
            let response = InitProducerIdResponse::decode(version, &mut reader)?;
            desk.count("init-producer-id", response.error_code);
        }
        ApiKey::CreateTopics => {
            for topic in CreateTopicsResponse::decode(version, &mut reader)?.topics {
                desk.count("create-topic", topic.error_code);
            }
        }
        ApiKey::DeleteTopics => {
            for topic in DeleteTopicsResponse::decode(version, &mut reader)?.responses {
                desk.count("delete-topic", topic.error_code);
            }
        }
        ApiKey::IncrementalAlterConfigs => {
            for resource in IncrementalAlterConfigsResponse::decode(version, &mut reader)?.responses {
                desk.count("alter-configs", resource.error_code);
            }
        }
        ApiKey::DescribeConfigs => {
            for resource in DescribeConfigsResponse::decode(version, &mut reader)?.results {
                desk.count("describe-configs", resource.error_code);
            }
        }
        ApiKey::ApiVersions => {
            // Whoever does not know the version of the question says so in version 0 (KIP-511).
            let refused = reader.remaining().starts_with(&ErrorCode::UnsupportedVersion.code().to_be_bytes());
            let version = if refused { 0 } else { version };
            let response = ApiVersionsResponse::decode(version, &mut reader)?;
            desk.count("api-versions", response.error_code);
        }
        ApiKey::FindCoordinator
        | ApiKey::JoinGroup
        | ApiKey::SyncGroup
        | ApiKey::Heartbeat
        | ApiKey::LeaveGroup
        | ApiKey::OffsetCommit
        | ApiKey::OffsetFetch
        | ApiKey::ConsumerGroupHeartbeat => group::on_answer(asked, &mut reader, seen, desk)?,
        other => desk.complain("wire", format!("{other:?} was never asked for")),
    }
    reader.finish()
}

/// How many partitions a produce writes to.
fn produced(frame: &[u8]) -> usize {
    let mut reader = Reader::new(&frame[4..]);
    let header = RequestHeader::decode(&mut reader).expect("the client made it");
    let request = ProduceRequest::decode(header.api_version, &mut reader).expect("the client made it");
    request.topic_data.iter().map(|topic| topic.partition_data.len()).sum()
}

fn on_produced(response: &ProduceResponse<'_>, desk: &mut Desk<'_>) {
    for partition in response.responses.iter().flat_map(|topic| &topic.partition_responses) {
        let error = partition.error_code;
        desk.count("produce", error);
        if [code::CORRUPT_MESSAGE, code::INVALID_RECORD].contains(&error) {
            desk.complain("wire", format!("a good batch was refused with error {error}"));
        }
        if error == code::NONE && partition.base_offset < 0 {
            desk.complain("wire", format!("acknowledged at {}", partition.base_offset));
        }
    }
}

fn on_fetched(response: &FetchResponse<'_>, seen: &Seen, desk: &mut Desk<'_>) {
    if response.error_code != code::NONE {
        desk.count("fetch-session", response.error_code);
    }
    for topic in &response.responses {
        let known = if topic.topic_id == Uuid::ZERO {
            desk.topic_named(topic.topic)
        } else {
            seen.topics.get(&topic.topic_id).copied()
        };
        for partition in &topic.partitions {
            desk.count("fetch", partition.error_code);
            let Some(topic) = known.filter(|_| partition.error_code == code::NONE) else { continue };
            let place = Place { topic, index: partition.partition_index };
            let end_known = desk.history.end_known_at(place, seen.fetch_mark);
            desk.history.record(Fact::Told(Told {
                place,
                log_start: partition.log_start_offset,
                high_watermark: partition.high_watermark,
                end_known,
            }));
        }
    }
}

fn on_metadata(response: &MetadataResponse<'_>, seen: &mut Seen, desk: &mut Desk<'_>) {
    for topic in &response.topics {
        desk.count("metadata", topic.error_code);
        let Some(known) = topic.name.and_then(|name| desk.topic_named(name)) else { continue };
        if topic.error_code != code::NONE {
            continue;
        }
        seen.topics.insert(topic.topic_id, known);
        if i32::try_from(topic.partitions.len()) != Ok(desk.topics[known].partitions) {
            desk.complain("wire", format!("{} partitions of {:?}", topic.partitions.len(), topic.name));
        }
    }
}
