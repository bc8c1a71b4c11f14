//! Groups that a request asks to have described: asked a few at once, so that what is in work stays small however many they are and
//! however often one of them is named.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::error::shown;
use super::group::{code_of, place_of};
use super::{Ask, Context};
use crate::group::command::{GroupCommand, GroupError};
use crate::limits::{DESCRIBE_GROUPS_ASKS_MAX, DESCRIBE_GROUPS_BYTES_MAX, DESCRIBE_GROUPS_MAX};
use crate::wire::ErrorCode;

/// What an answer has of each group beside its name and description, about.
const GROUP_BYTES: usize = 64;

/// Clients ask again for groups that had no room in an answer.
const NO_ROOM: ErrorCode = ErrorCode::CoordinatorNotAvailable;

/// What is known of each group, in the order of the request.
#[derive(Debug)]
pub(super) struct Descriptions<T> {
    groups: Vec<(String, Known<T>)>,
    command: fn(String) -> GroupCommand,
    /// How many of them were asked for, or cannot be.
    asked: usize,
    outstanding: usize,
    bytes: usize,
    /// A description had no room any more.
    is_full: bool,
}

#[derive(Debug)]
pub(super) enum Known<T> {
    Nothing,
    Described(T),
    /// With what is said of it where an answer has room for that.
    Failed(ErrorCode, Option<String>),
}

/// A group as it was described, and about how many bytes that takes.
pub(super) struct Weighed<T> {
    pub(super) group: T,
    pub(super) bytes: usize,
}

impl<T> Descriptions<T> {
    /// Nothing if there are too many names, or more of them than an answer repeats.
    pub(super) fn new(names: &[&str], command: fn(String) -> GroupCommand) -> Option<Self> {
        // An answer has each twice where it says that there is no such group.
        let bytes = names.iter().map(|name| GROUP_BYTES + 2 * name.len()).sum();
        if names.len() > DESCRIBE_GROUPS_MAX || bytes > DESCRIBE_GROUPS_BYTES_MAX {
            return None;
        }
        let groups = names.iter().map(|name| (String::from(*name), Known::Nothing)).collect();
        Some(Self { groups, command, asked: 0, outstanding: 0, bytes, is_full: false })
    }

    /// Asks on. Tells whether all is known.
    pub(super) fn ask(&mut self, context: &mut Context<'_>) -> bool {
        while self.asked < self.groups.len() && self.outstanding < DESCRIBE_GROUPS_ASKS_MAX {
            let part = u32::try_from(self.asked).expect("groups of a request are bounded");
            let (name, known) = &mut self.groups[self.asked];
            self.asked += 1;
            if self.is_full {
                *known = Known::Failed(NO_ROOM, None);
            } else if let Some(partition) = place_of(context, name) {
                let command = (self.command)(name.clone());
                context.asks.push(Ask::Group { part, partition, command });
                self.outstanding += 1;
            } else {
                *known = Known::Failed(ErrorCode::NotCoordinator, None);
            }
        }
        self.outstanding == 0
    }

    pub(super) fn on_reply(&mut self, part: u32, reply: Result<Weighed<T>, GroupError>) {
        let group = usize::try_from(part).ok().and_then(|part| self.groups.get_mut(part));
        let (name, known) = group.expect("replies are to parts that were asked");
        *known = match reply {
            Ok(Weighed { group, bytes }) => {
                if self.bytes + bytes > DESCRIBE_GROUPS_BYTES_MAX {
                    self.is_full = true;
                    Known::Failed(NO_ROOM, None)
                } else {
                    self.bytes += bytes;
                    Known::Described(group)
                }
            }
            Err(error) => Known::Failed(code_of(&error), message(name, &error)),
        };
        self.outstanding -= 1;
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Known<T>)> {
        self.groups.iter().map(|(name, known)| (name.as_str(), known))
    }
}

/// In Kafka's words, which tools show and look for.
#[expect(clippy::wildcard_enum_match_arm, reason = "others say all with their codes")]
fn message(name: &str, error: &GroupError) -> Option<String> {
    let what = match error {
        GroupError::GroupNotFound => "not found",
        GroupError::NotClassic => "is not a classic group",
        GroupError::NotConsumer => "is not a consumer group",
        _ => return None,
    };
    Some(format!("Group {} {what}.", shown(name)))
}
