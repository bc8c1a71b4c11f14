//! `DescribeGroups` (15): groups of the classic protocol and their members.

use alloc::string::String;

use super::described::{Descriptions, Known, Weighed};
use super::group::GROUP_OPERATIONS;
use super::topic::NO_OPERATIONS;
use super::{Beginning, Begun, Context, Done, Head, Refusal, Work, decode_body, respond};
use crate::group::command::{Described, DescribedMember, GroupCommand, GroupReply, GroupState};
use crate::wire::messages::describe_groups_request::DescribeGroupsRequest;
use crate::wire::messages::describe_groups_response::{
    DescribeGroupsResponse, DescribedGroup, DescribedGroupMember,
};
use crate::wire::{ErrorCode, Reader};

/// Since this version a group that is not there is an error (KIP-1043); before, it is dead.
const NOT_FOUND_FROM: i16 = 6;

/// A request in work: what is known so far.
#[derive(Debug)]
pub(crate) struct DescribeGroups {
    pub(super) head: Head,
    /// What may be done with the groups, if somebody asked for it.
    operations: i32,
    groups: Descriptions<Described>,
}

pub(super) fn begin(context: &mut Context<'_>, head: Head, reader: Reader<'_>) -> Beginning {
    let request = decode_body!(DescribeGroupsRequest<'_>, head, reader);
    let Some(groups) = Descriptions::new(&request.groups, GroupCommand::Describe) else {
        return Ok(Begun::Done { head, done: Done::Close(Refusal::Malformed) });
    };
    let operations = if request.include_authorized_operations { GROUP_OPERATIONS } else { NO_OPERATIONS };
    let mut work = DescribeGroups { head, operations, groups };
    if work.groups.ask(context) {
        return Ok(Begun::Done { head, done: work.answer() });
    }
    Ok(Begun::Working { work: Work::DescribeGroups(work), wait: None })
}

impl DescribeGroups {
    #[expect(clippy::wildcard_enum_match_arm, reason = "a request knows the replies to its own questions")]
    pub(super) fn on_reply(
        &mut self,
        context: &mut Context<'_>,
        part: u32,
        reply: GroupReply,
    ) -> Option<Done> {
        let described = match reply {
            GroupReply::Described(group) => Ok(Weighed { bytes: bytes_of(&group), group }),
            GroupReply::Failed(error) => Err(error),
            other => panic!("{other:?} does not answer DescribeGroups"),
        };
        self.groups.on_reply(part, described);
        self.groups.ask(context).then(|| self.answer())
    }

    fn answer(&self) -> Done {
        let groups = self.groups.iter();
        let groups = groups.map(|(name, known)| DescribedGroup { group_id: name, ..self.described(known) });
        let response =
            DescribeGroupsResponse { groups: groups.collect(), ..DescribeGroupsResponse::default() };
        respond(self.head, |version, writer| response.encode(version, writer))
    }

    fn described<'a>(&self, known: &'a Known<Described>) -> DescribedGroup<'a> {
        match known {
            Known::Nothing => unreachable!("all groups are known"),
            Known::Described(group) => DescribedGroup {
                group_state: group.state.name(),
                protocol_type: &group.protocol_type,
                protocol_data: &group.protocol,
                members: group.members.iter().map(member).collect(),
                authorized_operations: self.operations,
                ..DescribedGroup::default()
            },
            Known::Failed(ErrorCode::GroupIdNotFound, message) => {
                let is_error = self.head.version >= NOT_FOUND_FROM;
                let error = if is_error { ErrorCode::GroupIdNotFound } else { ErrorCode::None };
                DescribedGroup {
                    error_code: error.code(),
                    error_message: message.as_deref().filter(|_| is_error),
                    group_state: GroupState::Dead.name(),
                    authorized_operations: if is_error { NO_OPERATIONS } else { self.operations },
                    ..DescribedGroup::default()
                }
            }
            Known::Failed(error, _) => DescribedGroup {
                error_code: error.code(),
                authorized_operations: NO_OPERATIONS,
                ..DescribedGroup::default()
            },
        }
    }
}

fn member(member: &DescribedMember) -> DescribedGroupMember<'_> {
    DescribedGroupMember {
        member_id: &member.id,
        group_instance_id: member.instance.as_deref(),
        client_id: &member.client.id,
        client_host: &member.client.host,
        member_metadata: &member.metadata,
        member_assignment: &member.assignment,
        ..DescribedGroupMember::default()
    }
}

fn bytes_of(group: &Described) -> usize {
    let texts = |member: &DescribedMember| {
        size_of::<DescribedMember>()
            + member.id.len()
            + member.instance.as_ref().map_or(0, String::len)
            + member.client.id.len()
    };
    let bytes = |member: &DescribedMember| texts(member) + member.metadata.len() + member.assignment.len();
    size_of::<Described>() + group.members.iter().map(bytes).sum::<usize>()
}
