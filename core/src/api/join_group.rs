//! `JoinGroup` (11): becoming a member of a group, and coming to its next generation. The answer waits for the others.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::group::{client, code_of, millis, owned, place_of_members};
use super::{Ask, Beginning, Begun, Context, Done, Head, Work, decode_body, respond};
use crate::group::command::{GroupCommand, GroupReply, Join, Joined, JoinedMember};
use crate::limits::{JOINED_BYTES_MAX, MEMBER_NAME_BYTES_MAX};
use crate::wire::messages::join_group_request::JoinGroupRequest;
use crate::wire::messages::join_group_response::{JoinGroupResponse, JoinGroupResponseMember};
use crate::wire::{ErrorCode, Reader};

/// A request that waits for the coordinator.
#[derive(Debug)]
pub(crate) struct JoinGroup {
    pub(super) head: Head,
    /// The id that the client gave, which a refusal repeats.
    member: String,
}

pub(super) fn begin(context: &mut Context<'_>, head: Head, client_id: &str, reader: Reader<'_>) -> Beginning {
    let request = decode_body!(JoinGroupRequest<'_>, head, reader);
    let work = JoinGroup { head, member: request.member_id.to_string() };
    let instance = request.group_instance_id;
    if instance.is_some_and(|instance| instance.len() > MEMBER_NAME_BYTES_MAX) {
        return Ok(Begun::Done { head, done: work.failed(ErrorCode::InvalidRequest) });
    }
    let partition = match place_of_members(context, request.group_id) {
        Ok(partition) => partition,
        Err(error) => return Ok(Begun::Done { head, done: work.failed(error) }),
    };
    let session_timeout = millis(request.session_timeout_ms);
    let protocols = request.protocols.iter();
    let command = GroupCommand::Join(Join {
        group: request.group_id.to_string(),
        member: request.member_id.to_string(),
        instance: owned(instance),
        client: client(context, client_id),
        session_timeout,
        rebalance_timeout: match head.version {
            0 => session_timeout,
            _ => millis(request.rebalance_timeout_ms),
        },
        protocol_type: request.protocol_type.to_string(),
        protocols: protocols.map(|protocol| (protocol.name.into(), protocol.metadata.to_vec())).collect(),
        known_member_required: head.version >= 4,
        can_skip_assignment: head.version >= 9,
        reason: owned(request.reason),
    });
    context.asks.push(Ask::Group { part: 0, partition, command });
    Ok(Begun::Working { work: Work::JoinGroup(work), wait: None })
}

impl JoinGroup {
    #[expect(clippy::wildcard_enum_match_arm, reason = "a request knows the replies to its own questions")]
    pub(super) fn on_reply(&self, reply: &GroupReply) -> Done {
        match reply {
            GroupReply::Joined(joined) => self.joined(joined),
            GroupReply::MemberIdRequired(member) => self.refused(ErrorCode::MemberIdRequired, member),
            GroupReply::Failed(error) => self.failed(code_of(error)),
            other => panic!("{other:?} does not answer JoinGroup"),
        }
    }

    fn joined(&self, joined: &Joined) -> Done {
        let bytes = |member: &JoinedMember| {
            size_of::<JoinedMember>()
                + member.id.len()
                + member.instance.as_ref().map_or(0, String::len)
                + member.metadata.len()
        };
        if joined.members.iter().map(bytes).sum::<usize>() > JOINED_BYTES_MAX {
            return self.failed(ErrorCode::GroupMaxSizeReached);
        }
        let members = joined.members.iter().map(|member| JoinGroupResponseMember {
            member_id: &member.id,
            group_instance_id: member.instance.as_deref(),
            metadata: &member.metadata,
            ..JoinGroupResponseMember::default()
        });
        self.answer(&JoinGroupResponse {
            generation_id: joined.generation,
            protocol_type: Some(&joined.protocol_type),
            protocol_name: Some(&joined.protocol),
            leader: &joined.leader,
            skip_assignment: joined.skip_assignment,
            member_id: &joined.member,
            members: members.collect::<Vec<_>>(),
            ..JoinGroupResponse::default()
        })
    }

    fn failed(&self, error: ErrorCode) -> Done {
        self.refused(error, &self.member)
    }

    fn refused(&self, error: ErrorCode, member: &str) -> Done {
        // Before version 7 nothing is an empty name.
        let protocol_name = (self.head.version < 7).then_some("");
        self.answer(&JoinGroupResponse {
            error_code: error.code(),
            generation_id: -1,
            protocol_name,
            member_id: member,
            ..JoinGroupResponse::default()
        })
    }

    fn answer(&self, response: &JoinGroupResponse<'_>) -> Done {
        respond(self.head, |version, writer| response.encode(version, writer))
    }
}
