//! `DescribeAcls` (29), `CreateAcls` (30), `DeleteAcls` (31): answered as a Kafka without an authorizer does, for there are no
//! access rules.

use super::{Beginning, Head, answered, decode_body};
use crate::wire::messages::create_acls_request::CreateAclsRequest;
use crate::wire::messages::create_acls_response::{AclCreationResult, CreateAclsResponse};
use crate::wire::messages::delete_acls_request::DeleteAclsRequest;
use crate::wire::messages::delete_acls_response::{DeleteAclsFilterResult, DeleteAclsResponse};
use crate::wire::messages::describe_acls_request::DescribeAclsRequest;
use crate::wire::messages::describe_acls_response::DescribeAclsResponse;
use crate::wire::{ErrorCode, Reader};

const CODE: i16 = ErrorCode::SecurityDisabled.code();
const NO_AUTHORIZER: &str = "the broker has no authorizer, and so no ACLs";

pub(super) fn describe(head: Head, reader: Reader<'_>) -> Beginning {
    let _ = decode_body!(DescribeAclsRequest<'_>, head, reader);
    let response = DescribeAclsResponse {
        error_code: CODE,
        error_message: Some(NO_AUTHORIZER),
        ..DescribeAclsResponse::default()
    };
    answered(head, |version, writer| response.encode(version, writer))
}

pub(super) fn create(head: Head, reader: Reader<'_>) -> Beginning {
    let request = decode_body!(CreateAclsRequest<'_>, head, reader);
    let result = || AclCreationResult {
        error_code: CODE,
        error_message: Some(NO_AUTHORIZER),
        ..AclCreationResult::default()
    };
    let results = request.creations.iter().map(|_| result()).collect();
    let response = CreateAclsResponse { results, ..CreateAclsResponse::default() };
    answered(head, |version, writer| response.encode(version, writer))
}

pub(super) fn delete(head: Head, reader: Reader<'_>) -> Beginning {
    let request = decode_body!(DeleteAclsRequest<'_>, head, reader);
    let result = || DeleteAclsFilterResult {
        error_code: CODE,
        error_message: Some(NO_AUTHORIZER),
        ..DeleteAclsFilterResult::default()
    };
    let filter_results = request.filters.iter().map(|_| result()).collect();
    let response = DeleteAclsResponse { filter_results, ..DeleteAclsResponse::default() };
    answered(head, |version, writer| response.encode(version, writer))
}
