//! Settings of topics, brokers, loggers and groups: what is asked and answered of them.

use alloc::string::String;
use alloc::vec::Vec;

use super::Mode;
use crate::client::ClientError;
use crate::wire::messages::describe_configs_request::{DescribeConfigsRequest, DescribeConfigsResource};
use crate::wire::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResponse,
};
use crate::wire::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use crate::wire::messages::incremental_alter_configs_response::IncrementalAlterConfigsResponse;
use crate::wire::messages::list_config_resources_request::ListConfigResourcesRequest;
use crate::wire::messages::list_config_resources_response::ListConfigResourcesResponse;
use crate::wire::{DecodeError, EncodeError, Reader, Writer};

/// What has settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ResourceKind {
    Topic,
    Broker,
    BrokerLogger,
    ClientMetrics,
    Group,
    /// A code that we do not know.
    Other(i8),
}

/// One thing that has settings. A broker's name is its node id, or empty for the default of all brokers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConfigResource {
    pub kind: ResourceKind,
    pub name: String,
}

/// Which settings to describe; no keys are all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigQuery {
    pub resources: Vec<ConfigResource>,
    pub keys: Option<Vec<String>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigChange {
    pub resource: ConfigResource,
    pub edits: Vec<ConfigEdit>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigEdit {
    pub key: String,
    pub operation: ConfigOperation,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigOperation {
    Set(String),
    /// Back to the default.
    Delete,
    /// Adds to a list.
    Append(String),
    /// Takes from a list.
    Subtract(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceConfigs {
    pub resource: ConfigResource,
    pub error: Option<ClientError>,
    pub message: Option<String>,
    pub entries: Vec<ConfigEntry>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigEntry {
    pub key: String,
    /// `None` where it is unset, or sensitive.
    pub value: Option<String>,
    pub source: ConfigSource,
    pub kind: ConfigKind,
    pub mutability: Mutability,
    pub secrecy: Secrecy,
    pub synonyms: Vec<ConfigSynonym>,
    pub documentation: Option<String>,
}

/// A value that would hold if those before it were not set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigSynonym {
    pub key: String,
    pub value: Option<String>,
    pub source: ConfigSource,
}

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigSource {
    DynamicTopic,
    DynamicBroker,
    DynamicDefaultBroker,
    StaticBroker,
    Default,
    DynamicBrokerLogger,
    DynamicClientMetrics,
    DynamicGroup,
    Unknown,
}

/// The type of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigKind {
    Boolean,
    String,
    Int,
    Short,
    Long,
    Double,
    List,
    Class,
    Password,
    Unknown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutability {
    Mutable,
    ReadOnly,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secrecy {
    Open,
    Sensitive,
}

/// What became of the change of one resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceResult {
    pub resource: ConfigResource,
    pub error: Option<ClientError>,
    pub message: Option<String>,
}

impl ResourceKind {
    fn code(self) -> i8 {
        match self {
            Self::Topic => 2,
            Self::Broker => 4,
            Self::BrokerLogger => 8,
            Self::ClientMetrics => 16,
            Self::Group => 32,
            Self::Other(code) => code,
        }
    }

    fn from_code(code: i8) -> Self {
        match code {
            2 => Self::Topic,
            4 => Self::Broker,
            8 => Self::BrokerLogger,
            16 => Self::ClientMetrics,
            32 => Self::Group,
            code => Self::Other(code),
        }
    }
}

impl ConfigSource {
    fn from_code(code: i8) -> Self {
        match code {
            1 => Self::DynamicTopic,
            2 => Self::DynamicBroker,
            3 => Self::DynamicDefaultBroker,
            4 => Self::StaticBroker,
            5 => Self::Default,
            6 => Self::DynamicBrokerLogger,
            7 => Self::DynamicClientMetrics,
            8 => Self::DynamicGroup,
            _ => Self::Unknown,
        }
    }
}

impl ConfigKind {
    fn from_code(code: i8) -> Self {
        match code {
            1 => Self::Boolean,
            2 => Self::String,
            3 => Self::Int,
            4 => Self::Short,
            5 => Self::Long,
            6 => Self::Double,
            7 => Self::List,
            8 => Self::Class,
            9 => Self::Password,
            _ => Self::Unknown,
        }
    }
}

impl ConfigOperation {
    fn code(&self) -> i8 {
        match self {
            Self::Set(_) => 0,
            Self::Delete => 1,
            Self::Append(_) => 2,
            Self::Subtract(_) => 3,
        }
    }

    fn value(&self) -> Option<&str> {
        match self {
            Self::Set(value) | Self::Append(value) | Self::Subtract(value) => Some(value),
            Self::Delete => None,
        }
    }
}

pub(super) fn encode_query(
    query: &ConfigQuery,
    version: i16,
    writer: &mut Writer,
) -> Result<(), EncodeError> {
    let keys = query.keys.as_ref().map(|keys| keys.iter().map(String::as_str).collect::<Vec<_>>());
    let resources = query
        .resources
        .iter()
        .map(|resource| DescribeConfigsResource {
            resource_type: resource.kind.code(),
            resource_name: &resource.name,
            configuration_keys: keys.clone(),
            ..DescribeConfigsResource::default()
        })
        .collect();
    let request = DescribeConfigsRequest {
        resources,
        include_synonyms: true,
        include_documentation: version >= 3,
        ..DescribeConfigsRequest::default()
    };
    request.encode(version, writer)
}

pub(super) fn decode_query(
    version: i16,
    reader: &mut Reader<'_>,
) -> Result<Vec<ResourceConfigs>, DecodeError> {
    let response = DescribeConfigsResponse::decode(version, reader)?;
    let results = response.results.iter().map(|result| ResourceConfigs {
        resource: resource(result.resource_type, result.resource_name),
        error: ClientError::from_code(result.error_code),
        message: result.error_message.map(String::from),
        entries: result.configs.iter().map(entry).collect(),
    });
    Ok(results.collect())
}

fn entry(config: &DescribeConfigsResourceResult<'_>) -> ConfigEntry {
    let synonyms = config.synonyms.iter().map(|synonym| ConfigSynonym {
        key: synonym.name.into(),
        value: synonym.value.map(String::from),
        source: ConfigSource::from_code(synonym.source),
    });
    ConfigEntry {
        key: config.name.into(),
        value: config.value.map(String::from),
        source: ConfigSource::from_code(config.config_source),
        kind: ConfigKind::from_code(config.config_type),
        mutability: if config.read_only { Mutability::ReadOnly } else { Mutability::Mutable },
        secrecy: if config.is_sensitive { Secrecy::Sensitive } else { Secrecy::Open },
        synonyms: synonyms.collect(),
        documentation: config.documentation.map(String::from),
    }
}

pub(super) fn encode_changes(
    changes: &[ConfigChange],
    mode: Mode,
    version: i16,
    writer: &mut Writer,
) -> Result<(), EncodeError> {
    let resources = changes
        .iter()
        .map(|change| AlterConfigsResource {
            resource_type: change.resource.kind.code(),
            resource_name: &change.resource.name,
            configs: change
                .edits
                .iter()
                .map(|edit| AlterableConfig {
                    name: &edit.key,
                    config_operation: edit.operation.code(),
                    value: edit.operation.value(),
                    ..AlterableConfig::default()
                })
                .collect(),
            ..AlterConfigsResource::default()
        })
        .collect();
    let validate_only = mode == Mode::Validate;
    IncrementalAlterConfigsRequest { resources, validate_only, ..Default::default() }.encode(version, writer)
}

pub(super) fn decode_changes(
    version: i16,
    reader: &mut Reader<'_>,
) -> Result<Vec<ResourceResult>, DecodeError> {
    let response = IncrementalAlterConfigsResponse::decode(version, reader)?;
    let results = response.responses.iter().map(|result| ResourceResult {
        resource: resource(result.resource_type, result.resource_name),
        error: ClientError::from_code(result.error_code),
        message: result.error_message.map(String::from),
    });
    Ok(results.collect())
}

/// Before version 1 the only kind there is are client metrics, and the request has no kinds.
pub(super) fn encode_list(
    kinds: &[ResourceKind],
    version: i16,
    writer: &mut Writer,
) -> Result<(), EncodeError> {
    if version == 0 && kinds != [ResourceKind::ClientMetrics] {
        return Err(EncodeError::UnsupportedVersion);
    }
    let resource_types = kinds.iter().map(|kind| kind.code()).collect();
    ListConfigResourcesRequest { resource_types, ..Default::default() }.encode(version, writer)
}

pub(super) fn decode_list(
    version: i16,
    reader: &mut Reader<'_>,
) -> Result<Result<Vec<ConfigResource>, ClientError>, DecodeError> {
    let response = ListConfigResourcesResponse::decode(version, reader)?;
    Ok(match ClientError::from_code(response.error_code) {
        Some(error) => Err(error),
        None => {
            let resources = response.config_resources.iter();
            Ok(resources.map(|r| resource(r.resource_type, r.resource_name)).collect())
        }
    })
}

fn resource(kind: i8, name: &str) -> ConfigResource {
    ConfigResource { kind: ResourceKind::from_code(kind), name: name.into() }
}
