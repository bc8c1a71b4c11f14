//! What the floor answers: it leads every partition that anybody names, and counts the offsets of none.

use std::net::SocketAddr;

use highwater_core::batch::BatchView;
use highwater_core::wire::messages::api_versions_response::{ApiVersion, ApiVersionsResponse};
use highwater_core::wire::messages::create_topics_request::CreateTopicsRequest;
use highwater_core::wire::messages::create_topics_response::{CreatableTopicResult, CreateTopicsResponse};
use highwater_core::wire::messages::list_offsets_request::ListOffsetsRequest;
use highwater_core::wire::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsResponse, ListOffsetsTopicResponse,
};
use highwater_core::wire::messages::metadata_request::MetadataRequest;
use highwater_core::wire::messages::metadata_response::{
    MetadataResponse, MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use highwater_core::wire::messages::produce_request::ProduceRequest;
use highwater_core::wire::messages::produce_response::{
    PartitionProduceResponse, ProduceResponse, TopicProduceResponse,
};
use highwater_core::wire::{ApiKey, Reader, Records, RequestHeader, ResponseHeader, Writer};

use super::file::File;
use crate::failure::Failure;
use crate::frame::{PRODUCE_VERSION, whole};
use crate::setup::{CREATE_VERSION, GREET_VERSION, LIST_OFFSETS_VERSION, METADATA_VERSION};

#[derive(Debug)]
pub(super) struct Answers {
    host: String,
    port: u16,
    /// The last topic that was made, and its partitions.
    topic: (String, i32),
    next_offset: i64,
}

/// What is answered to: its key and version.
#[derive(Debug, Clone, Copy)]
struct Question {
    key: ApiKey,
    version: i16,
    correlation_id: i32,
}

impl Question {
    fn writer(self) -> Result<Writer, Failure> {
        let mut writer = Writer::frame();
        ResponseHeader::new(self.correlation_id).encode(self.key, self.version, &mut writer)?;
        Ok(writer)
    }
}

impl Answers {
    pub(super) fn new(address: SocketAddr) -> Self {
        let topic = (String::new(), 1);
        Self { host: address.ip().to_string(), port: address.port(), topic, next_offset: 0 }
    }

    /// Appends the answer to `out`. Batches of a produce request go to `file` first.
    pub(super) fn answer(
        &mut self,
        request: &[u8],
        file: &mut File,
        out: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        let mut reader = Reader::new(request);
        let header = RequestHeader::decode(&mut reader)?;
        let unknown = || Failure(format!("the floor does not know API {}", header.api_key));
        let key = ApiKey::from_code(header.api_key).ok_or_else(unknown)?;
        let question = Question { key, version: header.api_version, correlation_id: header.correlation_id };
        let writer = if key == ApiKey::Produce {
            self.produce(question, &mut reader, file)?
        } else if key == ApiKey::Metadata {
            self.metadata(question, &mut reader)?
        } else if key == ApiKey::CreateTopics {
            self.create_topics(question, &mut reader)?
        } else if key == ApiKey::ApiVersions {
            api_versions(question)?
        } else if key == ApiKey::ListOffsets {
            self.list_offsets(question, &mut reader)?
        } else {
            return Err(unknown());
        };
        out.extend_from_slice(&whole(writer));
        Ok(())
    }

    fn produce(
        &mut self,
        question: Question,
        reader: &mut Reader<'_>,
        file: &mut File,
    ) -> Result<Writer, Failure> {
        let request = ProduceRequest::decode(question.version, reader)?;
        let mut responses = Vec::with_capacity(request.topic_data.len());
        for topic in &request.topic_data {
            let mut partition_responses = Vec::with_capacity(topic.partition_data.len());
            for data in &topic.partition_data {
                let bytes = data.records.as_ref().and_then(Records::borrowed).unwrap_or_default();
                let broken = |error| Failure(format!("a batch that cannot be read: {error:?}"));
                let (batch, _) = BatchView::parse(bytes).map_err(broken)?;
                batch.check_crc().map_err(broken)?;
                file.append(bytes)?;
                let base_offset = self.next_offset;
                self.next_offset += i64::from(batch.count());
                partition_responses.push(PartitionProduceResponse {
                    index: data.index,
                    base_offset,
                    ..PartitionProduceResponse::default()
                });
            }
            let name = topic.name;
            responses.push(TopicProduceResponse {
                name,
                partition_responses,
                ..TopicProduceResponse::default()
            });
        }
        let mut writer = question.writer()?;
        ProduceResponse { responses, ..ProduceResponse::default() }.encode(question.version, &mut writer)?;
        Ok(writer)
    }

    fn metadata(&self, question: Question, reader: &mut Reader<'_>) -> Result<Writer, Failure> {
        MetadataRequest::decode(question.version, reader)?;
        let (name, partitions) = &self.topic;
        let partition = |partition_index| MetadataResponsePartition {
            partition_index,
            leader_id: 0,
            ..MetadataResponsePartition::default()
        };
        let topic = MetadataResponseTopic {
            name: Some(name),
            partitions: (0..*partitions).map(partition).collect(),
            ..MetadataResponseTopic::default()
        };
        let broker = MetadataResponseBroker {
            host: &self.host,
            port: i32::from(self.port),
            ..MetadataResponseBroker::default()
        };
        let response =
            MetadataResponse { brokers: vec![broker], topics: vec![topic], ..MetadataResponse::default() };
        let mut writer = question.writer()?;
        response.encode(question.version, &mut writer)?;
        Ok(writer)
    }

    fn create_topics(&mut self, question: Question, reader: &mut Reader<'_>) -> Result<Writer, Failure> {
        let request = CreateTopicsRequest::decode(question.version, reader)?;
        let made = |name| CreatableTopicResult { name, ..CreatableTopicResult::default() };
        for topic in &request.topics {
            self.topic = (topic.name.into(), topic.num_partitions.max(1));
        }
        let topics = request.topics.iter().map(|topic| made(topic.name)).collect();
        let mut writer = question.writer()?;
        CreateTopicsResponse { topics, ..CreateTopicsResponse::default() }
            .encode(question.version, &mut writer)?;
        Ok(writer)
    }

    fn list_offsets(&self, question: Question, reader: &mut Reader<'_>) -> Result<Writer, Failure> {
        let request = ListOffsetsRequest::decode(question.version, reader)?;
        let topics = request.topics.iter().map(|topic| ListOffsetsTopicResponse {
            name: topic.name,
            partitions: topic
                .partitions
                .iter()
                .map(|partition| ListOffsetsPartitionResponse {
                    partition_index: partition.partition_index,
                    offset: self.next_offset,
                    ..ListOffsetsPartitionResponse::default()
                })
                .collect(),
            ..ListOffsetsTopicResponse::default()
        });
        let response = ListOffsetsResponse { topics: topics.collect(), ..ListOffsetsResponse::default() };
        let mut writer = question.writer()?;
        response.encode(question.version, &mut writer)?;
        Ok(writer)
    }
}

/// What it knows, in the versions in which this program asks.
fn api_versions(question: Question) -> Result<Writer, Failure> {
    let known = [
        (ApiKey::Produce, PRODUCE_VERSION),
        (ApiKey::Metadata, METADATA_VERSION),
        (ApiKey::CreateTopics, CREATE_VERSION),
        (ApiKey::ListOffsets, LIST_OFFSETS_VERSION),
        (ApiKey::ApiVersions, GREET_VERSION),
    ];
    let version = |(key, max_version): &(ApiKey, i16)| ApiVersion {
        api_key: key.code(),
        max_version: *max_version,
        ..ApiVersion::default()
    };
    let api_keys = known.iter().map(version).collect();
    let mut writer = question.writer()?;
    ApiVersionsResponse { api_keys, ..ApiVersionsResponse::default() }
        .encode(question.version, &mut writer)?;
    Ok(writer)
}
