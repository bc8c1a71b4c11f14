//! `DeleteGroups` (42): groups without members, with all they have committed.

use alloc::string::String;
use alloc::vec::Vec;

use super::group::{code_of, place_of};
use super::offset_commit::WAIT;
use super::{Ask, Beginning, Begun, Context, Done, Head, Work, decode_body, respond};
use crate::group::command::{GroupCommand, GroupReply};
use crate::limits::GROUPS_PER_REQUEST_MAX;
use crate::wire::messages::delete_groups_request::DeleteGroupsRequest;
use crate::wire::messages::delete_groups_response::{DeletableGroupResult, DeleteGroupsResponse};
use crate::wire::{ErrorCode, Reader};

/// A request in work; what has not been answered counts as not available.
#[derive(Debug)]
pub(crate) struct DeleteGroups {
    pub(super) head: Head,
    groups: Vec<(String, ErrorCode)>,
    outstanding: usize,
}

pub(super) fn begin(context: &mut Context<'_>, head: Head, reader: Reader<'_>) -> Beginning {
    let request = decode_body!(DeleteGroupsRequest<'_>, head, reader);
    let mut work = DeleteGroups { head, groups: Vec::new(), outstanding: 0 };
    for name in &request.groups_names {
        let part = u32::try_from(work.groups.len()).expect("a frame holds fewer groups");
        let group = String::from(*name);
        let mut error = ErrorCode::NotCoordinator;
        if work.outstanding >= GROUPS_PER_REQUEST_MAX {
            error = ErrorCode::InvalidRequest;
        } else if let Some(partition) = place_of(context, name) {
            error = ErrorCode::CoordinatorNotAvailable;
            work.outstanding += 1;
            context.asks.push(Ask::Group { part, partition, command: GroupCommand::Delete(group.clone()) });
        }
        work.groups.push((group, error));
    }
    if work.outstanding == 0 {
        return Ok(Begun::Done { head, done: work.answer() });
    }
    Ok(Begun::Working { work: Work::DeleteGroups(work), wait: Some(WAIT) })
}

impl DeleteGroups {
    #[expect(clippy::wildcard_enum_match_arm, reason = "a request knows the replies to its own questions")]
    pub(super) fn on_reply(&mut self, part: u32, reply: &GroupReply) -> Option<Done> {
        let group = usize::try_from(part).ok().and_then(|part| self.groups.get_mut(part));
        group.expect("replies are to parts that were asked").1 = match reply {
            GroupReply::Done => ErrorCode::None,
            GroupReply::Failed(error) => code_of(error),
            other => panic!("{other:?} does not answer DeleteGroups"),
        };
        self.outstanding -= 1;
        (self.outstanding == 0).then(|| self.answer())
    }

    pub(super) fn answer(&self) -> Done {
        let results = self.groups.iter().map(|(name, error)| DeletableGroupResult {
            group_id: name,
            error_code: error.code(),
            ..DeletableGroupResult::default()
        });
        let response = DeleteGroupsResponse { results: results.collect(), ..DeleteGroupsResponse::default() };
        respond(self.head, |version, writer| response.encode(version, writer))
    }
}
