//! `DescribeClientQuotas` (48), `AlterClientQuotas` (49): no quota is set, and none can be, so that nobody takes a limit for one
//! that holds.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::{Beginning, Head, answered, decode_body};
use crate::wire::messages::alter_client_quotas_request::{self, AlterClientQuotasRequest};
use crate::wire::messages::alter_client_quotas_response::{self, AlterClientQuotasResponse};
use crate::wire::messages::describe_client_quotas_request::{ComponentData, DescribeClientQuotasRequest};
use crate::wire::messages::describe_client_quotas_response::DescribeClientQuotasResponse;
use crate::wire::{ErrorCode, Reader};

const USER: &str = "user";
const CLIENT_ID: &str = "client-id";
const IP: &str = "ip";

type Refusal = (ErrorCode, &'static str);

pub(super) fn describe(head: Head, reader: Reader<'_>) -> Beginning {
    let request = decode_body!(DescribeClientQuotasRequest<'_>, head, reader);
    let judged = judge_filter(&request.components);
    let (code, message) = judged.err().unzip();
    let response = DescribeClientQuotasResponse {
        error_code: code.unwrap_or_default().code(),
        error_message: message,
        entries: judged.is_ok().then(Vec::new),
        ..DescribeClientQuotasResponse::default()
    };
    answered(head, |version, writer| response.encode(version, writer))
}

fn judge_filter(components: &[ComponentData<'_>]) -> Result<(), Refusal> {
    let invalid = |message| Err((ErrorCode::InvalidRequest, message));
    let mut kinds = BTreeSet::new();
    for component in components {
        match component.entity_type {
            "" => return invalid("the type of an entity may not be empty"),
            USER | CLIENT_ID | IP => {}
            _ => {
                return Err((
                    ErrorCode::UnsupportedVersion,
                    "only user, client-id and ip are quota entities",
                ));
            }
        }
        if !kinds.insert(component.entity_type) {
            return invalid("an entity type cannot appear more than once in the filter");
        }
        match (component.match_type, component.r#match) {
            (0, Some(_)) | (1 | 2, None) => {}
            (0, None) => return invalid("an exact match needs the string to match"),
            (1 | 2, Some(_)) => return invalid("a match of the default or of any entity has no string"),
            _ => return invalid("unknown match type: 0 is exact, 1 the default, 2 any that is specified"),
        }
    }
    if kinds.contains(IP) && kinds.len() > 1 {
        return invalid("an ip cannot be combined with a user or a client-id");
    }
    Ok(())
}

pub(super) fn alter(head: Head, reader: Reader<'_>) -> Beginning {
    let request = decode_body!(AlterClientQuotasRequest<'_>, head, reader);
    let entries = request.entries.iter().map(|entry| {
        let (code, message) = judge(entry).err().unzip();
        let entity = entry.entity.iter().map(|entity| alter_client_quotas_response::EntityData {
            entity_type: entity.entity_type,
            entity_name: entity.entity_name,
            ..alter_client_quotas_response::EntityData::default()
        });
        alter_client_quotas_response::EntryData {
            error_code: code.unwrap_or_default().code(),
            error_message: message,
            entity: entity.collect(),
            ..alter_client_quotas_response::EntryData::default()
        }
    });
    let response =
        AlterClientQuotasResponse { entries: entries.collect(), ..AlterClientQuotasResponse::default() };
    answered(head, |version, writer| response.encode(version, writer))
}

fn judge(entry: &alter_client_quotas_request::EntryData<'_>) -> Result<(), Refusal> {
    let invalid = |message| Err((ErrorCode::InvalidRequest, message));
    let mut kinds = BTreeSet::new();
    for entity in &entry.entity {
        if ![USER, CLIENT_ID, IP].contains(&entity.entity_type) {
            return invalid("only user, client-id and ip are quota entities");
        }
        if !kinds.insert(entity.entity_type) {
            return invalid("the entity names a type twice");
        }
        if entity.entity_name == Some("") {
            return invalid("a quota entity has a name, or none for the default");
        }
    }
    if kinds.is_empty() {
        return invalid("an entity has at least one type");
    }
    if kinds.contains(IP) && kinds.len() > 1 {
        return invalid("an ip cannot be combined with a user or a client-id");
    }
    // To remove what is not set changes nothing, in Kafka as here.
    if entry.ops.iter().all(|op| op.remove) {
        return Ok(());
    }
    Err((ErrorCode::UnsupportedVersion, "this broker enforces no client quotas, so that none can be set"))
}
