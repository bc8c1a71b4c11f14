//! `SyncGroup` (14): what the leader gives to each member of a generation. The answer waits for the leader.

use alloc::string::ToString;

use super::group::{code_of, owned, place_of_members};
use super::{Ask, Beginning, Begun, Context, Done, Head, Work, decode_body, respond};
use crate::group::command::{GroupCommand, GroupReply, Sync};
use crate::wire::messages::sync_group_request::SyncGroupRequest;
use crate::wire::messages::sync_group_response::SyncGroupResponse;
use crate::wire::{ErrorCode, Reader};

/// A request that waits for the coordinator.
#[derive(Debug)]
pub(crate) struct SyncGroup {
    pub(super) head: Head,
}

pub(super) fn begin(context: &mut Context<'_>, head: Head, reader: Reader<'_>) -> Beginning {
    let request = decode_body!(SyncGroupRequest<'_>, head, reader);
    let work = SyncGroup { head };
    let is_named = request.protocol_type.is_some() && request.protocol_name.is_some();
    if head.version >= 5 && !is_named {
        return Ok(Begun::Done { head, done: work.failed(ErrorCode::InconsistentGroupProtocol) });
    }
    let partition = match place_of_members(context, request.group_id) {
        Ok(partition) => partition,
        Err(error) => return Ok(Begun::Done { head, done: work.failed(error) }),
    };
    let assignments = request.assignments.iter();
    let command = GroupCommand::Sync(Sync {
        group: request.group_id.to_string(),
        generation: request.generation_id,
        member: request.member_id.to_string(),
        instance: owned(request.group_instance_id),
        protocol_type: owned(request.protocol_type),
        protocol: owned(request.protocol_name),
        assignments: assignments.map(|to| (to.member_id.into(), to.assignment.to_vec())).collect(),
    });
    context.asks.push(Ask::Group { part: 0, partition, command });
    Ok(Begun::Working { work: Work::SyncGroup(work), wait: None })
}

impl SyncGroup {
    #[expect(clippy::wildcard_enum_match_arm, reason = "a request knows the replies to its own questions")]
    pub(super) fn on_reply(&self, reply: &GroupReply) -> Done {
        match reply {
            GroupReply::Synced(synced) => self.answer(&SyncGroupResponse {
                protocol_type: Some(&synced.protocol_type),
                protocol_name: Some(&synced.protocol),
                assignment: &synced.assignment,
                ..SyncGroupResponse::default()
            }),
            GroupReply::Failed(error) => self.failed(code_of(error)),
            other => panic!("{other:?} does not answer SyncGroup"),
        }
    }

    fn failed(&self, error: ErrorCode) -> Done {
        self.answer(&SyncGroupResponse { error_code: error.code(), ..SyncGroupResponse::default() })
    }

    fn answer(&self, response: &SyncGroupResponse<'_>) -> Done {
        respond(self.head, |version, writer| response.encode(version, writer))
    }
}
