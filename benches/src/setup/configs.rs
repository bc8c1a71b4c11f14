//! Asks a broker for its settings.

use std::collections::BTreeMap;

use highwater_core::wire::ApiKey;
use highwater_core::wire::messages::describe_configs_request::{
    DescribeConfigsRequest, DescribeConfigsResource,
};
use highwater_core::wire::messages::describe_configs_response::DescribeConfigsResponse;
use highwater_core::wire::messages::metadata_request::MetadataRequest;
use highwater_core::wire::messages::metadata_response::MetadataResponse;

use super::{METADATA_VERSION, Setup};
use crate::failure::Failure;
use crate::frame::{answer, begun};
use crate::groups::succeeded;

const DESCRIBE_VERSION: i16 = 3;

/// Kafka's numbers: of the resource that a broker is, and of a setting that nobody made.
const BROKER_RESOURCE: i8 = 4;
const DEFAULT_SOURCE: i8 = 5;

impl Setup {
    /// The settings of the broker that is asked, where they are not the defaults and no secrets. Of several brokers the one with the
    /// lowest number speaks for all.
    pub(crate) fn broker_configs(&mut self) -> Result<BTreeMap<String, String>, Failure> {
        let mut writer = begun(ApiKey::Metadata, METADATA_VERSION)?;
        MetadataRequest { topics: Some(Vec::new()), ..MetadataRequest::default() }
            .encode(METADATA_VERSION, &mut writer)?;
        let frame = self.ask(writer)?;
        let mut reader = answer(ApiKey::Metadata, METADATA_VERSION, &frame)?;
        let response = MetadataResponse::decode(METADATA_VERSION, &mut reader)?;
        let broker = response.brokers.iter().min_by_key(|broker| broker.node_id);
        let broker = broker.ok_or_else(|| Failure("the broker names no broker".into()))?;
        let name = broker.node_id.to_string();
        let address = format!("{}:{}", broker.host, broker.port);
        if response.brokers.len() == 1 {
            self.configs_of(&name)
        } else {
            Self::connect(&address)?.configs_of(&name)
        }
    }

    fn configs_of(&mut self, name: &str) -> Result<BTreeMap<String, String>, Failure> {
        let resource = DescribeConfigsResource {
            resource_type: BROKER_RESOURCE,
            resource_name: name,
            configuration_keys: None,
            ..DescribeConfigsResource::default()
        };
        let mut writer = begun(ApiKey::DescribeConfigs, DESCRIBE_VERSION)?;
        DescribeConfigsRequest { resources: vec![resource], ..DescribeConfigsRequest::default() }
            .encode(DESCRIBE_VERSION, &mut writer)?;
        let frame = self.ask(writer)?;
        let mut reader = answer(ApiKey::DescribeConfigs, DESCRIBE_VERSION, &frame)?;
        let response = DescribeConfigsResponse::decode(DESCRIBE_VERSION, &mut reader)?;
        let result = response.results.first().ok_or_else(|| Failure("no settings in the answer".into()))?;
        succeeded("a question for settings", result.error_code)?;
        let told = result.configs.iter().filter(|config| config.config_source != DEFAULT_SOURCE);
        Ok(told.filter_map(|config| Some((config.name.into(), config.value?.into()))).collect())
    }
}
