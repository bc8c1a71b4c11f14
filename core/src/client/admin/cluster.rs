//! The cluster as a whole and its nodes: who there is, what they offer, what their disks hold.

use alloc::string::String;
use alloc::vec::Vec;

use crate::client::{Address, ClientError, TopicPartition};
use crate::id::NodeId;
use crate::wire::messages::api_versions_request::ApiVersionsRequest;
use crate::wire::messages::api_versions_response::ApiVersionsResponse;
use crate::wire::messages::describe_cluster_request::DescribeClusterRequest;
use crate::wire::messages::describe_cluster_response::DescribeClusterResponse;
use crate::wire::messages::describe_log_dirs_request::{DescribableLogDirTopic, DescribeLogDirsRequest};
use crate::wire::messages::describe_log_dirs_response::{DescribeLogDirsResponse, DescribeLogDirsResult};
use crate::wire::{DecodeError, EncodeError, Reader, Writer};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterDescription {
    pub cluster_id: String,
    pub controller: Option<NodeId>,
    pub nodes: Vec<NodeDescription>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeDescription {
    pub id: NodeId,
    pub address: Address,
    pub rack: Option<String>,
}

/// What one node offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerVersions {
    pub apis: Vec<ApiRange>,
    pub features: Vec<Feature>,
}

/// The versions of an API; it need not be one that we know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApiRange {
    pub key: i16,
    pub first: i16,
    pub last: i16,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feature {
    pub name: String,
    /// The lowest and the highest level that the node supports.
    pub supported: (i16, i16),
    /// The level in force, if one is.
    pub finalized: Option<i16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogDir {
    pub path: String,
    pub error: Option<ClientError>,
    /// Of the file system; `None` where the broker does not say.
    pub total_bytes: Option<u64>,
    pub usable_bytes: Option<u64>,
    pub replicas: Vec<LogDirReplica>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogDirReplica {
    pub partition: TopicPartition,
    pub bytes: u64,
}

pub(super) fn encode_describe(version: i16, writer: &mut Writer) -> Result<(), EncodeError> {
    DescribeClusterRequest::default().encode(version, writer)
}

pub(super) fn decode_describe(
    version: i16,
    reader: &mut Reader<'_>,
) -> Result<Result<ClusterDescription, ClientError>, DecodeError> {
    let response = DescribeClusterResponse::decode(version, reader)?;
    if let Some(error) = ClientError::from_code(response.error_code) {
        return Ok(Err(error));
    }
    let mut nodes: Vec<NodeDescription> = response
        .brokers
        .iter()
        .filter_map(|broker| {
            Some(NodeDescription {
                id: NodeId(broker.broker_id),
                address: Address::new(broker.host, u16::try_from(broker.port).ok()?),
                rack: broker.rack.map(String::from),
            })
        })
        .collect();
    nodes.sort_by_key(|node| node.id);
    let controller = (response.controller_id >= 0).then_some(NodeId(response.controller_id));
    Ok(Ok(ClusterDescription { cluster_id: response.cluster_id.into(), controller, nodes }))
}

pub(super) fn encode_versions(version: i16, writer: &mut Writer) -> Result<(), EncodeError> {
    let request = ApiVersionsRequest {
        client_software_name: "highwater",
        client_software_version: env!("CARGO_PKG_VERSION"),
        ..ApiVersionsRequest::default()
    };
    request.encode(version, writer)
}

pub(super) fn decode_versions(
    version: i16,
    reader: &mut Reader<'_>,
) -> Result<Result<BrokerVersions, ClientError>, DecodeError> {
    let response = ApiVersionsResponse::decode(version, reader)?;
    if let Some(error) = ClientError::from_code(response.error_code) {
        return Ok(Err(error));
    }
    let apis = response.api_keys.iter();
    let apis = apis.map(|api| ApiRange { key: api.api_key, first: api.min_version, last: api.max_version });
    let features = response.supported_features.iter().map(|feature| Feature {
        name: feature.name.into(),
        supported: (feature.min_version, feature.max_version),
        finalized: response
            .finalized_features
            .iter()
            .find(|finalized| finalized.name == feature.name)
            .map(|finalized| finalized.max_version_level),
    });
    Ok(Ok(BrokerVersions { apis: apis.collect(), features: features.collect() }))
}

/// No partitions are all of them.
pub(super) fn encode_log_dirs(
    partitions: Option<&[TopicPartition]>,
    version: i16,
    writer: &mut Writer,
) -> Result<(), EncodeError> {
    let topics = partitions.map(|partitions| {
        let chunks = partitions.chunk_by(|a, b| a.topic == b.topic);
        let topic = |chunk: &'_ [TopicPartition]| -> Vec<i32> { chunk.iter().map(|p| p.index).collect() };
        chunks
            .map(|chunk| DescribableLogDirTopic {
                topic: &chunk[0].topic,
                partitions: topic(chunk),
                ..DescribableLogDirTopic::default()
            })
            .collect()
    });
    DescribeLogDirsRequest { topics, ..Default::default() }.encode(version, writer)
}

pub(super) fn decode_log_dirs(
    version: i16,
    reader: &mut Reader<'_>,
) -> Result<Result<Vec<LogDir>, ClientError>, DecodeError> {
    let response = DescribeLogDirsResponse::decode(version, reader)?;
    Ok(match ClientError::from_code(response.error_code) {
        Some(error) => Err(error),
        None => Ok(response.results.iter().map(log_dir).collect()),
    })
}

fn log_dir(dir: &DescribeLogDirsResult<'_>) -> LogDir {
    let replicas = dir.topics.iter().flat_map(|topic| {
        topic.partitions.iter().filter(|p| !p.is_future_key).map(|p| LogDirReplica {
            partition: TopicPartition::new(topic.name, p.partition_index),
            bytes: u64::try_from(p.partition_size).unwrap_or(0),
        })
    });
    LogDir {
        path: dir.log_dir.into(),
        error: ClientError::from_code(dir.error_code),
        total_bytes: u64::try_from(dir.total_bytes).ok(),
        usable_bytes: u64::try_from(dir.usable_bytes).ok(),
        replicas: replicas.collect(),
    }
}
