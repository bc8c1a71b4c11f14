//! `CreateDelegationToken` (38), `RenewDelegationToken` (39), `ExpireDelegationToken` (40), `DescribeDelegationToken` (41):
//! refused as Kafka refuses them on a connection of which it does not know who is at its other end.

use super::{Beginning, Head, answered, decode_body};
use crate::wire::messages::create_delegation_token_request::CreateDelegationTokenRequest;
use crate::wire::messages::create_delegation_token_response::CreateDelegationTokenResponse;
use crate::wire::messages::describe_delegation_token_request::DescribeDelegationTokenRequest;
use crate::wire::messages::describe_delegation_token_response::DescribeDelegationTokenResponse;
use crate::wire::messages::expire_delegation_token_request::ExpireDelegationTokenRequest;
use crate::wire::messages::expire_delegation_token_response::ExpireDelegationTokenResponse;
use crate::wire::messages::renew_delegation_token_request::RenewDelegationTokenRequest;
use crate::wire::messages::renew_delegation_token_response::RenewDelegationTokenResponse;
use crate::wire::{ErrorCode, Reader};

const CODE: i16 = ErrorCode::DelegationTokenRequestNotAllowed.code();
/// Who everybody is that does not say.
const ANYBODY: (&str, &str) = ("User", "ANONYMOUS");

pub(super) fn create(head: Head, reader: Reader<'_>) -> Beginning {
    let request = decode_body!(CreateDelegationTokenRequest<'_>, head, reader);
    let named = request.owner_principal_name.filter(|name| !name.is_empty());
    let owner = named.map_or(ANYBODY, |name| (request.owner_principal_type.unwrap_or_default(), name));
    let response = CreateDelegationTokenResponse {
        error_code: CODE,
        principal_type: owner.0,
        principal_name: owner.1,
        token_requester_principal_type: ANYBODY.0,
        token_requester_principal_name: ANYBODY.1,
        issue_timestamp_ms: -1,
        expiry_timestamp_ms: -1,
        max_timestamp_ms: -1,
        ..CreateDelegationTokenResponse::default()
    };
    answered(head, |version, writer| response.encode(version, writer))
}

pub(super) fn renew(head: Head, reader: Reader<'_>) -> Beginning {
    let _ = decode_body!(RenewDelegationTokenRequest<'_>, head, reader);
    let response = RenewDelegationTokenResponse {
        error_code: CODE,
        expiry_timestamp_ms: -1,
        ..RenewDelegationTokenResponse::default()
    };
    answered(head, |version, writer| response.encode(version, writer))
}

pub(super) fn expire(head: Head, reader: Reader<'_>) -> Beginning {
    let _ = decode_body!(ExpireDelegationTokenRequest<'_>, head, reader);
    let response = ExpireDelegationTokenResponse {
        error_code: CODE,
        expiry_timestamp_ms: -1,
        ..ExpireDelegationTokenResponse::default()
    };
    answered(head, |version, writer| response.encode(version, writer))
}

pub(super) fn describe(head: Head, reader: Reader<'_>) -> Beginning {
    let _ = decode_body!(DescribeDelegationTokenRequest<'_>, head, reader);
    let response =
        DescribeDelegationTokenResponse { error_code: CODE, ..DescribeDelegationTokenResponse::default() };
    answered(head, |version, writer| response.encode(version, writer))
}
