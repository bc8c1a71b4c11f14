//! `ListConfigResources` (74): what has settings. Version 0 asked for metrics of clients only.

use alloc::collections::BTreeSet;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::config_resource::{BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP, TOPIC};
use super::{Beginning, Begun, Context, Head, decode_body, respond};
use crate::wire::messages::list_config_resources_request::ListConfigResourcesRequest;
use crate::wire::messages::list_config_resources_response::{ConfigResource, ListConfigResourcesResponse};
use crate::wire::{ErrorCode, Reader};

const ALL: [i8; 5] = [TOPIC, BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP];

pub(super) fn begin(context: &mut Context<'_>, head: Head, reader: Reader<'_>) -> Beginning {
    let request = decode_body!(ListConfigResourcesRequest, head, reader);
    let kinds: BTreeSet<i8> = match (head.version, request.resource_types.as_slice()) {
        (0, _) => BTreeSet::from([CLIENT_METRICS]),
        (_, []) => BTreeSet::from(ALL),
        (_, kinds) => kinds.iter().copied().collect(),
    };
    let known = kinds.iter().all(|kind| ALL.contains(kind));
    let node = context.config.node.0.to_string();
    let mut found: Vec<(i8, String)> = Vec::new();
    for kind in kinds.into_iter().filter(|_| known) {
        match kind {
            TOPIC => found.extend(context.image.topics().map(|topic| (kind, topic.name.to_string()))),
            GROUP => found.extend(context.image.groups().map(|group| (kind, group.to_string()))),
            BROKER | BROKER_LOGGER => found.push((kind, node.clone())),
            CLIENT_METRICS => {
                found.extend(context.image.client_metrics().map(|name| (kind, name.to_string())));
            }
            _ => {}
        }
    }
    let error = if known { ErrorCode::None } else { ErrorCode::UnsupportedVersion };
    let resources = found.iter().map(|(kind, name)| ConfigResource {
        resource_name: name,
        resource_type: *kind,
        ..ConfigResource::default()
    });
    let response = ListConfigResourcesResponse {
        error_code: error.code(),
        config_resources: resources.collect(),
        ..ListConfigResourcesResponse::default()
    };
    Ok(Begun::Done { head, done: respond(head, |version, writer| response.encode(version, writer)) })
}
