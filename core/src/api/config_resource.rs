//! What the config APIs have in common: resources by type and name, and what is wrong with them.

use alloc::format;

use super::Context;
use super::error::{self, Failure, shown};
use crate::controller::{ConfigResource, check_name};
use crate::id::NodeId;
use crate::wire::ErrorCode;

/// Kafka's numbers of types of resources.
pub(super) const TOPIC: i8 = 2;
pub(super) const BROKER: i8 = 4;
pub(super) const BROKER_LOGGER: i8 = 8;
pub(super) const CLIENT_METRICS: i8 = 16;
pub(super) const GROUP: i8 = 32;

/// What a request is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Resource {
    Configs(ConfigResource),
    Loggers,
}

/// The resource that a request names.
pub(super) fn parse(context: &Context<'_>, kind: i8, name: &str) -> Result<Resource, Failure> {
    let invalid = |message| Err(Failure { code: ErrorCode::InvalidRequest, message });
    match kind {
        TOPIC => {
            check_name(name).map_err(|wrong| error::of_create(&wrong))?;
            Ok(Resource::Configs(ConfigResource::Topic(name.into())))
        }
        BROKER if name.is_empty() => Ok(Resource::Configs(ConfigResource::Broker(None))),
        BROKER | BROKER_LOGGER => {
            let own = context.config.node;
            match name.parse() {
                Ok(node) if NodeId(node) == own && kind == BROKER => {
                    Ok(Resource::Configs(ConfigResource::Broker(Some(own))))
                }
                Ok(node) if NodeId(node) == own => Ok(Resource::Loggers),
                Ok(node) => invalid(format!("broker {node} was asked for at broker {}", own.0)),
                Err(_) => invalid(format!("a broker is named by its number, not '{}'", shown(name))),
            }
        }
        GROUP if name.is_empty() => invalid("a group needs a name".into()),
        CLIENT_METRICS if name.is_empty() => invalid("a subscription to metrics needs a name".into()),
        GROUP => Ok(Resource::Configs(ConfigResource::Group(name.into()))),
        CLIENT_METRICS => Ok(Resource::Configs(ConfigResource::ClientMetrics(name.into()))),
        other => invalid(format!("{other} is no type of resource that has settings")),
    }
}
