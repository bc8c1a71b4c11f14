//! `ListGroups` (16): the groups of all coordinators of this broker.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::group::code_of;
use super::{Ask, Beginning, Begun, Context, Done, Head, Work, decode_body, respond};
use crate::group::OFFSETS_TOPIC;
use crate::group::command::{GroupCommand, GroupError, GroupReply, Listed};
use crate::wire::messages::list_groups_request::ListGroupsRequest;
use crate::wire::messages::list_groups_response::{ListGroupsResponse, ListedGroup};
use crate::wire::{ErrorCode, Reader};

/// A request in work: what is found so far, of all that is asked for.
#[derive(Debug)]
pub(crate) struct ListGroups {
    pub(super) head: Head,
    states: Vec<String>,
    types: Vec<String>,
    found: Vec<Listed>,
    error: ErrorCode,
    outstanding: usize,
}

pub(super) fn begin(context: &mut Context<'_>, head: Head, reader: Reader<'_>) -> Beginning {
    let request = decode_body!(ListGroupsRequest<'_>, head, reader);
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_string()).collect();
    let mut work = ListGroups {
        head,
        states: owned(&request.states_filter),
        types: owned(&request.types_filter),
        found: Vec::new(),
        error: ErrorCode::None,
        outstanding: 0,
    };
    if let Some(topic) = context.image.topic(OFFSETS_TOPIC) {
        for (part, (partition, _)) in (0_u32..).zip(topic.partitions()) {
            context.asks.push(Ask::Group { part, partition, command: GroupCommand::List });
            work.outstanding += 1;
        }
    }
    if work.outstanding == 0 {
        return Ok(Begun::Done { head, done: work.answer() });
    }
    Ok(Begun::Working { work: Work::ListGroups(work), wait: None })
}

fn is_wanted(filter: &[String], name: &str) -> bool {
    filter.is_empty() || filter.iter().any(|wanted| wanted.eq_ignore_ascii_case(name))
}

impl ListGroups {
    #[expect(clippy::wildcard_enum_match_arm, reason = "a request knows the replies to its own questions")]
    pub(super) fn on_reply(&mut self, reply: GroupReply) -> Option<Done> {
        match reply {
            GroupReply::Listed(listed) => {
                let wanted = listed.into_iter().filter(|group| {
                    is_wanted(&self.states, group.state.name()) && is_wanted(&self.types, group.kind.name())
                });
                self.found.extend(wanted);
            }
            // Whoever has it now lists its groups.
            GroupReply::Failed(GroupError::NotCoordinator) => {}
            GroupReply::Failed(error) => self.error = code_of(&error),
            other => panic!("{other:?} does not answer ListGroups"),
        }
        self.outstanding -= 1;
        (self.outstanding == 0).then(|| self.answer())
    }

    fn answer(&self) -> Done {
        let found = self.found.iter().filter(|_| self.error == ErrorCode::None);
        let groups = found.map(|group| ListedGroup {
            group_id: &group.group,
            protocol_type: &group.protocol_type,
            group_state: group.state.name(),
            group_type: group.kind.name(),
            ..ListedGroup::default()
        });
        let response = ListGroupsResponse {
            error_code: self.error.code(),
            groups: groups.collect(),
            ..ListGroupsResponse::default()
        };
        respond(self.head, |version, writer| response.encode(version, writer))
    }
}
