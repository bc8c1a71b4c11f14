//! `LeaveGroup` (13): a member goes, or an administrator sends several away.

use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use super::group::{code_of, owned, place_of_members};
use super::offset_commit::WAIT;
use super::{Ask, Beginning, Begun, Context, Done, Head, Work, decode_body, respond};
use crate::group::command::{GroupCommand, GroupError, GroupReply, Leave, Leaving};
use crate::wire::messages::leave_group_request::LeaveGroupRequest;
use crate::wire::messages::leave_group_response::{LeaveGroupResponse, MemberResponse};
use crate::wire::{ErrorCode, Reader};

/// Since this version a request names several members, and each has an error of its own.
const BATCHED_FROM: i16 = 3;

/// A request that waits for the coordinator.
#[derive(Debug)]
pub(crate) struct LeaveGroup {
    pub(super) head: Head,
    /// Ids and instance ids, as an answer repeats them.
    members: Vec<(String, Option<String>)>,
}

pub(super) fn begin(context: &mut Context<'_>, head: Head, reader: Reader<'_>) -> Beginning {
    let request = decode_body!(LeaveGroupRequest<'_>, head, reader);
    let members: Vec<Leaving> = if head.version < BATCHED_FROM {
        vec![Leaving { member: request.member_id.to_string(), instance: None, reason: None }]
    } else {
        let members = request.members.iter().map(|member| Leaving {
            member: member.member_id.to_string(),
            instance: owned(member.group_instance_id),
            reason: owned(member.reason),
        });
        members.collect()
    };
    let named = members.iter().map(|member| (member.member.clone(), member.instance.clone()));
    let work = LeaveGroup { head, members: named.collect() };
    let partition = match place_of_members(context, request.group_id) {
        Ok(partition) => partition,
        Err(error) => return Ok(Begun::Done { head, done: work.failed(error) }),
    };
    let command = GroupCommand::Leave(Leave { group: request.group_id.to_string(), members });
    context.asks.push(Ask::Group { part: 0, partition, command });
    Ok(Begun::Working { work: Work::LeaveGroup(work), wait: Some(WAIT) })
}

impl LeaveGroup {
    #[expect(clippy::wildcard_enum_match_arm, reason = "a request knows the replies to its own questions")]
    pub(super) fn on_reply(&self, reply: GroupReply) -> Done {
        match reply {
            GroupReply::Left(results) => self.answer(&results),
            // Where there is no group, nobody is a member of it.
            GroupReply::Failed(error @ GroupError::UnknownMember) => {
                self.answer(&vec![Err(error); self.members.len()])
            }
            GroupReply::Failed(error) => self.failed(code_of(&error)),
            other => panic!("{other:?} does not answer LeaveGroup"),
        }
    }

    /// It is not known whether they will have left.
    pub(super) fn on_deadline(&self) -> Done {
        self.failed(ErrorCode::CoordinatorNotAvailable)
    }

    /// Nothing is said of members then.
    fn failed(&self, error: ErrorCode) -> Done {
        self.respond(&LeaveGroupResponse { error_code: error.code(), ..LeaveGroupResponse::default() })
    }

    fn answer(&self, results: &[Result<(), GroupError>]) -> Done {
        assert_eq!(results.len(), self.members.len(), "each that was to leave is answered");
        let code = |result: &Result<(), GroupError>| result.as_ref().err().map(code_of).unwrap_or_default();
        if self.head.version < BATCHED_FROM {
            return self.failed(results.first().map(code).unwrap_or_default());
        }
        let members = self.members.iter().zip(results).map(|((member, instance), result)| MemberResponse {
            member_id: member,
            group_instance_id: instance.as_deref(),
            error_code: code(result).code(),
            ..MemberResponse::default()
        });
        self.respond(&LeaveGroupResponse { members: members.collect(), ..LeaveGroupResponse::default() })
    }

    fn respond(&self, response: &LeaveGroupResponse<'_>) -> Done {
        respond(self.head, |version, writer| response.encode(version, writer))
    }
}
