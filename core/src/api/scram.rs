//! `DescribeUserScramCredentials` (50), `AlterUserScramCredentials` (51): there are no users, and none can be made, for SASL is
//! not served.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;

use super::error::{Failure, shown};
use super::{Beginning, Head, answered, decode_body};
use crate::wire::messages::alter_user_scram_credentials_request::AlterUserScramCredentialsRequest;
use crate::wire::messages::alter_user_scram_credentials_response::{
    AlterUserScramCredentialsResponse, AlterUserScramCredentialsResult,
};
use crate::wire::messages::describe_user_scram_credentials_request::DescribeUserScramCredentialsRequest;
use crate::wire::messages::describe_user_scram_credentials_response::{
    DescribeUserScramCredentialsResponse, DescribeUserScramCredentialsResult,
};
use crate::wire::{ErrorCode, Reader};

/// SCRAM-SHA-256 and SCRAM-SHA-512, and how often they hash, as Kafka bounds it.
const MECHANISMS: [i8; 2] = [1, 2];
const ITERATIONS_MAX: i32 = 16_384;
const ITERATIONS_MIN: i32 = 4_096;

pub(super) fn describe(head: Head, reader: Reader<'_>) -> Beginning {
    let request = decode_body!(DescribeUserScramCredentialsRequest<'_>, head, reader);
    let mut named: BTreeMap<&str, u32> = BTreeMap::new();
    for user in request.users.iter().flatten() {
        *named.entry(user.name).or_default() += 1;
    }
    let failures: Vec<(&str, Failure)> =
        named.iter().map(|(&user, &times)| (user, unknown(user, times))).collect();
    let results = failures.iter().map(|(user, failure)| DescribeUserScramCredentialsResult {
        user,
        error_code: failure.code.code(),
        error_message: Some(&failure.message),
        ..DescribeUserScramCredentialsResult::default()
    });
    let response = DescribeUserScramCredentialsResponse {
        results: results.collect(),
        ..DescribeUserScramCredentialsResponse::default()
    };
    answered(head, |version, writer| response.encode(version, writer))
}

fn unknown(user: &str, times: u32) -> Failure {
    let user = shown(user);
    if times > 1 {
        let message = format!("user '{user}' is named twice");
        return Failure { code: ErrorCode::DuplicateResource, message };
    }
    let message = format!("user '{user}' has no SCRAM credentials");
    Failure { code: ErrorCode::ResourceNotFound, message }
}

pub(super) fn alter(head: Head, reader: Reader<'_>) -> Beginning {
    let request = decode_body!(AlterUserScramCredentialsRequest<'_>, head, reader);
    let deletions = request.deletions.iter().map(|deletion| (deletion.name, deletion.mechanism, None));
    let upsertions =
        request.upsertions.iter().map(|wanted| (wanted.name, wanted.mechanism, Some(wanted.iterations)));
    let mut named: BTreeMap<(&str, i8), u32> = BTreeMap::new();
    let all: Vec<(&str, i8, Option<i32>)> = deletions.chain(upsertions).collect();
    for (user, mechanism, _) in &all {
        *named.entry((user, *mechanism)).or_default() += 1;
    }
    // One result for each user, as in Kafka: the first thing that is wrong with what is wanted of it.
    let mut failures: BTreeMap<&str, (ErrorCode, &str)> = BTreeMap::new();
    for &(user, mechanism, iterations) in &all {
        let refusal = if named[&(user, mechanism)] > 1 {
            (ErrorCode::DuplicateResource, "A user credential cannot be altered twice in the same request")
        } else {
            refusal(user, mechanism, iterations)
        };
        failures.entry(user).or_insert(refusal);
    }
    let results = failures.iter().map(|(&user, &(code, message))| AlterUserScramCredentialsResult {
        user,
        error_code: code.code(),
        error_message: Some(message),
        ..AlterUserScramCredentialsResult::default()
    });
    let response = AlterUserScramCredentialsResponse {
        results: results.collect(),
        ..AlterUserScramCredentialsResponse::default()
    };
    answered(head, |version, writer| response.encode(version, writer))
}

/// Why a user is not changed. `iterations` belongs to a credential that is to be set.
fn refusal(user: &str, mechanism: i8, iterations: Option<i32>) -> (ErrorCode, &'static str) {
    if user.is_empty() {
        return (ErrorCode::UnacceptableCredential, "the name of a user may not be empty");
    }
    if !MECHANISMS.contains(&mechanism) {
        return (
            ErrorCode::UnsupportedSaslMechanism,
            "the mechanism must be 1 for SCRAM-SHA-256 or 2 for SCRAM-SHA-512",
        );
    }
    match iterations {
        None => (ErrorCode::ResourceNotFound, "the user has no such credential"),
        Some(..ITERATIONS_MIN) => {
            (ErrorCode::UnacceptableCredential, "fewer iterations than the mechanism asks for, 4096")
        }
        Some(ITERATIONS_MIN..=ITERATIONS_MAX) => (
            ErrorCode::UnsupportedVersion,
            "this broker serves no SASL, so that it keeps no SCRAM credentials",
        ),
        Some(_) => (ErrorCode::UnacceptableCredential, "more iterations than 16384"),
    }
}
