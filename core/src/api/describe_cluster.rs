//! `DescribeCluster` (60): the one broker and the cluster's id.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;

use super::topic::{CLUSTER_OPERATIONS, NO_OPERATIONS, address};
use super::{Beginning, Context, Head, answered, decode_body};
use crate::wire::messages::describe_cluster_request::DescribeClusterRequest;
use crate::wire::messages::describe_cluster_response::{DescribeClusterBroker, DescribeClusterResponse};
use crate::wire::{ErrorCode, Reader};

/// What a client may want to hear of: brokers, or controllers on a listener of their own.
const BROKERS: i8 = 1;
const CONTROLLERS: i8 = 2;

pub(super) fn begin(context: &Context<'_>, head: Head, reader: Reader<'_>) -> Beginning {
    let request = decode_body!(DescribeClusterRequest, head, reader);
    if let Some((code, message)) = refusal(request.endpoint_type) {
        let response = DescribeClusterResponse {
            error_code: code.code(),
            error_message: Some(&message),
            ..DescribeClusterResponse::default()
        };
        return answered(head, |version, writer| response.encode(version, writer));
    }
    let (host, port) = address(context);
    let node = context.config.node.0;
    let broker = DescribeClusterBroker { broker_id: node, host: &host, port, ..Default::default() };
    let cluster_id = context.image.cluster_id.to_string();
    let operations = request.include_cluster_authorized_operations;
    let response = DescribeClusterResponse {
        endpoint_type: BROKERS,
        cluster_id: &cluster_id,
        controller_id: node,
        brokers: vec![broker],
        cluster_authorized_operations: if operations { CLUSTER_OPERATIONS } else { NO_OPERATIONS },
        ..DescribeClusterResponse::default()
    };
    answered(head, |version, writer| response.encode(version, writer))
}

fn refusal(endpoint_type: i8) -> Option<(ErrorCode, String)> {
    match endpoint_type {
        BROKERS => None,
        CONTROLLERS => Some((
            ErrorCode::MismatchedEndpointType,
            String::from("this is an endpoint for brokers; the cluster has none for controllers"),
        )),
        other => Some((ErrorCode::UnsupportedEndpointType, format!("endpoint type {other}: must be 1 or 2"))),
    }
}
