//! What requests to groups have in common: where a group is, and what its errors are called.

use alloc::format;
use alloc::string::{String, ToString};
use core::net::IpAddr;

use super::Context;
use crate::group::OFFSETS_TOPIC;
use crate::group::command::{Client, GroupError, TopicPartition};
use crate::id::PartitionId;
use crate::limits::MEMBER_NAME_BYTES_MAX;
use crate::time::Duration;
use crate::wire::ErrorCode;

/// What everybody may do with a group while there are no access rules: a bit for each of Kafka's operations on it.
pub(super) const GROUP_OPERATIONS: i32 = 0b1101_0100_1000;

/// The partition that a group has its records in; nothing before anybody has looked for a group.
pub(super) fn place_of(context: &Context<'_>, group: &str) -> Option<PartitionId> {
    let topic = context.image.topic(OFFSETS_TOPIC)?;
    let count = i32::try_from(topic.partitions.len()).ok().filter(|count| *count > 0)?;
    Some(PartitionId { topic: topic.id, index: spread(group) % count })
}

/// The same for requests of members: their group has a name.
pub(super) fn place_of_members(context: &Context<'_>, group: &str) -> Result<PartitionId, ErrorCode> {
    if group.is_empty() {
        return Err(ErrorCode::InvalidGroupId);
    }
    place_of(context, group).ok_or(ErrorCode::NotCoordinator)
}

/// The number by which Kafka spreads groups: that of Java's strings, without its sign.
fn spread(group: &str) -> i32 {
    let hash = group.encode_utf16().fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(unit.into()));
    hash.checked_abs().unwrap_or(0)
}

pub(super) fn partition(topic: &str, partition: i32) -> TopicPartition {
    TopicPartition { topic: topic.to_string(), partition }
}

pub(super) fn code_of(error: &GroupError) -> ErrorCode {
    match error {
        GroupError::Loading => ErrorCode::CoordinatorLoadInProgress,
        GroupError::NotCoordinator => ErrorCode::NotCoordinator,
        GroupError::NotAvailable => ErrorCode::CoordinatorNotAvailable,
        GroupError::IllegalGeneration => ErrorCode::IllegalGeneration,
        GroupError::InconsistentProtocol => ErrorCode::InconsistentGroupProtocol,
        GroupError::InvalidGroupId => ErrorCode::InvalidGroupId,
        GroupError::UnknownMember => ErrorCode::UnknownMemberId,
        GroupError::InvalidSessionTimeout => ErrorCode::InvalidSessionTimeout,
        GroupError::RebalanceInProgress => ErrorCode::RebalanceInProgress,
        GroupError::MetadataTooLarge => ErrorCode::OffsetMetadataTooLarge,
        GroupError::InvalidCommitSize => ErrorCode::InvalidCommitOffsetSize,
        GroupError::MaxSizeReached => ErrorCode::GroupMaxSizeReached,
        GroupError::FencedInstance => ErrorCode::FencedInstanceId,
        GroupError::NonEmpty => ErrorCode::NonEmptyGroup,
        GroupError::GroupNotFound | GroupError::NotClassic | GroupError::NotConsumer => {
            ErrorCode::GroupIdNotFound
        }
        GroupError::SubscribedToTopic => ErrorCode::GroupSubscribedToTopic,
        GroupError::UnknownTopicOrPartition => ErrorCode::UnknownTopicOrPartition,
        GroupError::StaleMemberEpoch => ErrorCode::StaleMemberEpoch,
        GroupError::FencedMemberEpoch => ErrorCode::FencedMemberEpoch,
        GroupError::UnreleasedInstance => ErrorCode::UnreleasedInstanceId,
        GroupError::UnsupportedAssignor => ErrorCode::UnsupportedAssignor,
        GroupError::InvalidRegularExpression(_) => ErrorCode::InvalidRegularExpression,
        GroupError::InvalidRequest(_) => ErrorCode::InvalidRequest,
    }
}

/// What is said of an error where an answer has room for it.
pub(super) fn message_of(error: &GroupError) -> String {
    let message = match error {
        GroupError::Loading => "the coordinator is still reading its groups",
        GroupError::NotCoordinator => "another broker coordinates the group",
        GroupError::NotAvailable => "the coordinator cannot take this now",
        GroupError::IllegalGeneration => "this is not the generation of the group",
        GroupError::InconsistentProtocol => "the members of the group have another protocol",
        GroupError::InvalidGroupId => "the group id is empty",
        GroupError::UnknownMember => "the group has no such member",
        GroupError::InvalidSessionTimeout => "the session timeout is out of bounds",
        GroupError::RebalanceInProgress => "the group is rebalancing",
        GroupError::MetadataTooLarge => "the metadata of the offset are longer than allowed",
        GroupError::InvalidCommitSize => "these offsets are more than a log takes at once",
        GroupError::MaxSizeReached => "the group has as many members as it may have",
        GroupError::FencedInstance => "another member has this instance id",
        GroupError::NonEmpty => "the group has members",
        GroupError::GroupNotFound => "there is no such group",
        GroupError::NotClassic => "the group is not a classic group",
        GroupError::NotConsumer => "the group is not a consumer group",
        GroupError::SubscribedToTopic => "the group is subscribed to the topic",
        GroupError::UnknownTopicOrPartition => "the partition does not exist",
        GroupError::StaleMemberEpoch => "the member has another epoch by now",
        GroupError::FencedMemberEpoch => "this is not the epoch of the member: it has to join again",
        GroupError::UnreleasedInstance => "a member that has not left has this instance id",
        GroupError::UnsupportedAssignor => "the broker has no such assignor",
        GroupError::InvalidRegularExpression(message) | GroupError::InvalidRequest(message) => message,
    };
    // It may repeat what a client said, and has to fit a string.
    message.chars().take(1_024).collect()
}

/// Who asks, for those who look at the group.
pub(super) fn client(context: &Context<'_>, id: &str) -> Client {
    let end = (0..=id.len().min(MEMBER_NAME_BYTES_MAX)).rev().find(|end| id.is_char_boundary(*end));
    Client { id: String::from(&id[..end.unwrap_or_default()]), host: host(context.peer) }
}

/// As Java writes it: all eight groups of a long address.
fn host(peer: IpAddr) -> String {
    match peer.to_canonical() {
        IpAddr::V4(address) => format!("/{address}"),
        IpAddr::V6(address) => {
            let [a, b, c, d, e, f, g, h] = address.segments();
            format!("/{a:x}:{b:x}:{c:x}:{d:x}:{e:x}:{f:x}:{g:x}:{h:x}")
        }
    }
}

/// A negative time is none.
pub(super) fn millis(time: i32) -> Duration {
    Duration::from_millis(u64::try_from(time).unwrap_or(0))
}

/// A text of a request that may be missing.
pub(super) fn owned(text: Option<&str>) -> Option<String> {
    text.map(String::from)
}

#[cfg(test)]
mod tests {
    use super::{host, spread};

    /// Values of Java's `String.hashCode`, without their sign.
    #[test]
    fn groups_are_spread_as_kafka_spreads_them() {
        assert_eq!(spread(""), 0);
        assert_eq!(spread("a"), 97);
        assert_eq!(spread("group"), 98_629_247);
        assert_eq!(spread("my-group"), 1_906_497_762);
        // The least of all numbers has no opposite.
        assert_eq!(spread("polygenelubricants"), 0);
        assert_eq!(spread("\u{1d11e}"), i32::from(0xd834_u16) * 31 + i32::from(0xdd1e_u16));
    }
    #[test]
    fn addresses_are_written_as_java_writes_them() {
        let shown = |address: &str| host(address.parse().expect("an address"));
        assert_eq!(shown("127.0.0.1"), "/127.0.0.1");
        assert_eq!(shown("::1"), "/0:0:0:0:0:0:0:1");
        assert_eq!(shown("2001:db8::ff00:42"), "/2001:db8:0:0:0:0:ff00:42");
        assert_eq!(shown("::ffff:10.0.0.7"), "/10.0.0.7");
    }
}
