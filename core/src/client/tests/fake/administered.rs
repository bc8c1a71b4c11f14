//! The admin half of the fake broker.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::Fake;
use crate::id::Uuid;
use crate::wire::messages::create_partitions_request::CreatePartitionsRequest;
use crate::wire::messages::create_partitions_response::{
    CreatePartitionsResponse, CreatePartitionsTopicResult,
};
use crate::wire::messages::delete_records_request::DeleteRecordsRequest;
use crate::wire::messages::delete_records_response::{
    DeleteRecordsPartitionResult, DeleteRecordsResponse, DeleteRecordsTopicResult,
};
use crate::wire::messages::describe_cluster_request::DescribeClusterRequest;
use crate::wire::messages::describe_cluster_response::{DescribeClusterBroker, DescribeClusterResponse};
use crate::wire::messages::describe_configs_request::DescribeConfigsRequest;
use crate::wire::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResponse, DescribeConfigsResult, DescribeConfigsSynonym,
};
use crate::wire::messages::describe_log_dirs_request::DescribeLogDirsRequest;
use crate::wire::messages::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResponse, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use crate::wire::messages::describe_producers_request::DescribeProducersRequest;
use crate::wire::messages::describe_producers_response::{
    DescribeProducersResponse, PartitionResponse, ProducerState, TopicResponse,
};
use crate::wire::messages::incremental_alter_configs_request::IncrementalAlterConfigsRequest;
use crate::wire::messages::incremental_alter_configs_response::{
    AlterConfigsResourceResponse, IncrementalAlterConfigsResponse,
};
use crate::wire::messages::list_config_resources_request::ListConfigResourcesRequest;
use crate::wire::messages::list_config_resources_response::{ConfigResource, ListConfigResourcesResponse};
use crate::wire::{ApiKey, ErrorCode, Reader, Writer};

impl Fake {
    pub(super) fn administer(
        &mut self,
        (key, version, node): (ApiKey, i16, i32),
        body: &mut Reader<'_>,
        error: Option<ErrorCode>,
        out: &mut Writer,
    ) {
        match key.name() {
            "CreatePartitions" => {
                self.create_partitions(
                    &CreatePartitionsRequest::decode(version, body).unwrap(),
                    version,
                    out,
                );
            }
            "DeleteRecords" => {
                let request = DeleteRecordsRequest::decode(version, body).unwrap();
                self.delete_records(node, &request, error).encode(version, out).unwrap();
            }
            "DescribeProducers" => {
                let request = DescribeProducersRequest::decode(version, body).unwrap();
                self.describe_producers(node, &request).encode(version, out).unwrap();
            }
            "DescribeConfigs" => {
                self.describe_configs(&DescribeConfigsRequest::decode(version, body).unwrap(), version, out);
            }
            "IncrementalAlterConfigs" => {
                let request = IncrementalAlterConfigsRequest::decode(version, body).unwrap();
                self.alter_configs(&request).encode(version, out).unwrap();
            }
            "ListConfigResources" => {
                ListConfigResourcesRequest::decode(version, body).unwrap();
                let config_resources = self.configs.keys().map(|(kind, name)| ConfigResource {
                    resource_type: *kind,
                    resource_name: name,
                    ..ConfigResource::default()
                });
                let config_resources = config_resources.collect();
                let response = ListConfigResourcesResponse { config_resources, ..Default::default() };
                response.encode(version, out).unwrap();
            }
            "DescribeCluster" => {
                DescribeClusterRequest::decode(version, body).unwrap();
                self.describe_cluster().encode(version, out).unwrap();
            }
            "DescribeLogDirs" => {
                let request = DescribeLogDirsRequest::decode(version, body).unwrap();
                self.describe_log_dirs(node, &request).encode(version, out).unwrap();
            }
            other => panic!("the fake broker has no {other}"),
        }
    }

    fn create_partitions(&mut self, request: &CreatePartitionsRequest<'_>, version: i16, out: &mut Writer) {
        let results = request.topics.iter().map(|topic| {
            assert_eq!(topic.assignments, None, "an empty list would assign none");
            let logs = &mut self.topics.get_mut(topic.name).unwrap().logs;
            let count = usize::try_from(topic.count).unwrap();
            let fewer = count <= logs.len();
            if !fewer && !request.validate_only {
                logs.resize_with(count, || super::Log { leader: 1, ..super::Log::default() });
            }
            CreatePartitionsTopicResult {
                name: topic.name,
                error_code: if fewer { ErrorCode::InvalidPartitions.code() } else { 0 },
                error_message: fewer.then_some("it has as many"),
                ..CreatePartitionsTopicResult::default()
            }
        });
        let results = results.collect();
        CreatePartitionsResponse { results, ..Default::default() }.encode(version, out).unwrap();
    }

    fn delete_records<'r>(
        &mut self,
        node: i32,
        request: &DeleteRecordsRequest<'r>,
        error: Option<ErrorCode>,
    ) -> DeleteRecordsResponse<'r> {
        let mut topics = Vec::new();
        for topic in &request.topics {
            let partitions = topic.partitions.iter().map(|partition| {
                let log = self.find((topic.name, Uuid::ZERO), partition.partition_index);
                let start = error.map_or(Ok(()), Err).and(log).and_then(|log| {
                    log.led_by(node)?;
                    let before = if partition.offset == -1 { log.end } else { partition.offset };
                    if before > log.end {
                        return Err(ErrorCode::OffsetOutOfRange);
                    }
                    log.start = log.start.max(before);
                    Ok(log.start)
                });
                DeleteRecordsPartitionResult {
                    partition_index: partition.partition_index,
                    low_watermark: start.unwrap_or(-1),
                    error_code: start.err().map_or(0, ErrorCode::code),
                    ..DeleteRecordsPartitionResult::default()
                }
            });
            let partitions = partitions.collect();
            topics.push(DeleteRecordsTopicResult { name: topic.name, partitions, ..Default::default() });
        }
        DeleteRecordsResponse { topics, ..Default::default() }
    }

    fn describe_producers<'r>(
        &mut self,
        node: i32,
        request: &DescribeProducersRequest<'r>,
    ) -> DescribeProducersResponse<'r> {
        let mut topics = Vec::new();
        for topic in &request.topics {
            let partitions = topic.partition_indexes.iter().map(|&partition_index| {
                let led =
                    self.find((topic.name, Uuid::ZERO), partition_index).and_then(|log| log.led_by(node));
                let state = ProducerState {
                    producer_id: i64::from(partition_index),
                    current_txn_start_offset: -1,
                    ..ProducerState::default()
                };
                PartitionResponse {
                    partition_index,
                    error_code: led.err().map_or(0, ErrorCode::code),
                    active_producers: alloc::vec![state],
                    ..PartitionResponse::default()
                }
            });
            let partitions = partitions.collect();
            topics.push(TopicResponse { name: topic.name, partitions, ..Default::default() });
        }
        DescribeProducersResponse { topics, ..Default::default() }
    }

    fn describe_configs(&self, request: &DescribeConfigsRequest<'_>, version: i16, out: &mut Writer) {
        let results = request.resources.iter().map(|resource| {
            let key = (resource.resource_type, resource.resource_name.to_string());
            let altered = self.configs.get(&key).into_iter().flatten();
            let wanted = |name: &str| resource.configuration_keys.as_ref().is_none_or(|k| k.contains(&name));
            let configs = altered.filter(|(name, _)| wanted(name)).map(|(name, value)| {
                let synonym =
                    DescribeConfigsSynonym { name, value: Some(value), source: 1, ..Default::default() };
                DescribeConfigsResourceResult {
                    name,
                    value: Some(value),
                    config_source: 1,
                    config_type: 5,
                    read_only: name == "fixed",
                    synonyms: alloc::vec![synonym],
                    documentation: request.include_documentation.then_some("what it does"),
                    ..DescribeConfigsResourceResult::default()
                }
            });
            DescribeConfigsResult {
                resource_type: resource.resource_type,
                resource_name: resource.resource_name,
                configs: configs.collect(),
                ..DescribeConfigsResult::default()
            }
        });
        let results = results.collect();
        DescribeConfigsResponse { results, ..Default::default() }.encode(version, out).unwrap();
    }

    fn alter_configs<'r>(
        &mut self,
        request: &IncrementalAlterConfigsRequest<'r>,
    ) -> IncrementalAlterConfigsResponse<'r> {
        let mut responses = Vec::new();
        for resource in &request.resources {
            let bad = resource.configs.iter().any(|config| config.name == "nonsense");
            let kept = (resource.resource_type, resource.resource_name.to_string());
            if !bad && !request.validate_only {
                let values = self.configs.entry(kept).or_default();
                for config in &resource.configs {
                    let value = String::from(config.value.unwrap_or_default());
                    match config.config_operation {
                        0 => values.insert(config.name.into(), value),
                        1 => values.remove(config.name),
                        2 => values
                            .get(config.name)
                            .map(|old| alloc::format!("{old},{value}"))
                            .and_then(|new| values.insert(config.name.into(), new)),
                        other => panic!("operation {other}"),
                    };
                }
            }
            responses.push(AlterConfigsResourceResponse {
                resource_type: resource.resource_type,
                resource_name: resource.resource_name,
                error_code: if bad { ErrorCode::InvalidConfig.code() } else { 0 },
                error_message: bad.then_some("nonsense is no config"),
                ..AlterConfigsResourceResponse::default()
            });
        }
        IncrementalAlterConfigsResponse { responses, ..Default::default() }
    }

    fn describe_cluster(&self) -> DescribeClusterResponse<'_> {
        let brokers = self.nodes.iter().rev().map(|(&broker_id, address)| DescribeClusterBroker {
            broker_id,
            host: &address.host,
            port: i32::from(address.port),
            ..DescribeClusterBroker::default()
        });
        let brokers = brokers.collect();
        DescribeClusterResponse { cluster_id: "fake", controller_id: 1, brokers, ..Default::default() }
    }

    fn describe_log_dirs<'f>(
        &'f self,
        node: i32,
        request: &DescribeLogDirsRequest<'_>,
    ) -> DescribeLogDirsResponse<'f> {
        let wanted = |name: &str, index: i32| {
            let topics = request.topics.as_ref();
            topics
                .is_none_or(|topics| topics.iter().any(|t| t.topic == name && t.partitions.contains(&index)))
        };
        let topics = self.topics.iter().map(|(name, topic)| {
            let partitions =
                (0..).zip(&topic.logs).filter(|(index, log)| log.leader == node && wanted(name, *index));
            let partitions = partitions.map(|(partition_index, log)| DescribeLogDirsPartition {
                partition_index,
                partition_size: log.batches.iter().map(|batch| i64::try_from(batch.len()).unwrap()).sum(),
                ..DescribeLogDirsPartition::default()
            });
            DescribeLogDirsTopic { name, partitions: partitions.collect(), ..Default::default() }
        });
        let result = DescribeLogDirsResult {
            log_dir: "/fake",
            topics: topics.collect(),
            total_bytes: 1000,
            usable_bytes: -1,
            ..DescribeLogDirsResult::default()
        };
        DescribeLogDirsResponse { results: alloc::vec![result], ..Default::default() }
    }
}
