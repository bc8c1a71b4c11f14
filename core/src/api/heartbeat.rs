//! `Heartbeat` (12): a member of a classic group lives.

use alloc::string::ToString;

use super::group::{code_of, owned, place_of_members};
use super::{Ask, Beginning, Begun, Context, Done, Head, Work, decode_body, respond};
use crate::group::command::{self, GroupCommand, GroupError, GroupReply};
use crate::wire::messages::heartbeat_request::HeartbeatRequest;
use crate::wire::messages::heartbeat_response::HeartbeatResponse;
use crate::wire::{ErrorCode, Reader};

/// A request that waits for the coordinator.
#[derive(Debug)]
pub(crate) struct Heartbeat {
    pub(super) head: Head,
}

pub(super) fn begin(context: &mut Context<'_>, head: Head, reader: Reader<'_>) -> Beginning {
    let request = decode_body!(HeartbeatRequest<'_>, head, reader);
    let work = Heartbeat { head };
    let partition = match place_of_members(context, request.group_id) {
        Ok(partition) => partition,
        Err(error) => return Ok(Begun::Done { head, done: work.answer(error) }),
    };
    let command = GroupCommand::Heartbeat(command::Heartbeat {
        group: request.group_id.to_string(),
        generation: request.generation_id,
        member: request.member_id.to_string(),
        instance: owned(request.group_instance_id),
    });
    context.asks.push(Ask::Group { part: 0, partition, command });
    Ok(Begun::Working { work: Work::Heartbeat(work), wait: None })
}

impl Heartbeat {
    #[expect(clippy::wildcard_enum_match_arm, reason = "a request knows the replies to its own questions")]
    pub(super) fn on_reply(&self, reply: &GroupReply) -> Done {
        self.answer(match reply {
            // While groups are read nobody's session ends: as in Kafka, the member shall just go on.
            GroupReply::Done | GroupReply::Failed(GroupError::Loading) => ErrorCode::None,
            GroupReply::Failed(error) => code_of(error),
            other => panic!("{other:?} does not answer Heartbeat"),
        })
    }

    fn answer(&self, error: ErrorCode) -> Done {
        let response = HeartbeatResponse { error_code: error.code(), ..HeartbeatResponse::default() };
        respond(self.head, |version, writer| response.encode(version, writer))
    }
}
