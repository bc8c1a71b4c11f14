//! `ApiVersions` (18): what this broker serves. Answered in any version, so that a newer client can find out (KIP-511).

use super::{Done, Head, Refusal, SERVED, respond as frame};
use crate::wire::messages::api_versions_request::ApiVersionsRequest;
use crate::wire::messages::api_versions_response::{ApiVersion, ApiVersionsResponse};
use crate::wire::{ErrorCode, Reader};

pub(super) fn respond(head: Head, reader: &mut Reader<'_>) -> Done {
    if !ApiVersionsRequest::VERSIONS.contains(&head.version) {
        return answer(Head { version: 0, ..head }, ErrorCode::UnsupportedVersion);
    }
    let Ok(request) = ApiVersionsRequest::decode(head.version, reader) else {
        return Done::Close(Refusal::Malformed);
    };
    let named = is_software(request.client_software_name) && is_software(request.client_software_version);
    let error = if head.version < 3 || named { ErrorCode::None } else { ErrorCode::InvalidRequest };
    answer(head, error)
}

/// Letters and digits at both ends, `.` and `-` between them.
fn is_software(text: &str) -> bool {
    let bytes = text.as_bytes();
    let ends = bytes.first().zip(bytes.last());
    ends.is_some_and(|(first, last)| first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric())
        && bytes.iter().all(|&byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'))
}

/// No feature is finalized: each would switch clients to something that is not served.
fn answer(head: Head, error: ErrorCode) -> Done {
    // Kafka gives the keys with an unsupported version, so that the client can try again, and with nothing else that is wrong.
    let listed = matches!(error, ErrorCode::None | ErrorCode::UnsupportedVersion);
    let keys = SERVED.iter().filter(|_| listed).map(|&(key, min_version, max_version)| ApiVersion {
        api_key: key.code(),
        min_version,
        max_version,
        ..ApiVersion::default()
    });
    let response = ApiVersionsResponse {
        error_code: error.code(),
        api_keys: keys.collect(),
        ..ApiVersionsResponse::default()
    };
    frame(head, |version, writer| response.encode(version, writer))
}
