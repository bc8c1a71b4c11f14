//! What requests to groups have in common: where a group is, and what its errors are called.

use alloc::string::{String, ToString};

use super::Context;
use crate::group::OFFSETS_TOPIC;
use crate::group::command::{GroupError, TopicPartition};
use crate::id::PartitionId;
use crate::wire::ErrorCode;

/// The partition that a group has its records in; nothing before anybody has looked for a group.
pub(super) fn place_of(context: &Context<'_>, group: &str) -> Option<PartitionId> {
    let topic = context.image.topic(OFFSETS_TOPIC)?;
    let count = i32::try_from(topic.partitions.len()).ok().filter(|count| *count > 0)?;
    Some(PartitionId { topic: topic.id, index: spread(group) % count })
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
        GroupError::GroupNotFound => ErrorCode::GroupIdNotFound,
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

/// A text of a request that may be missing.
pub(super) fn owned(text: Option<&str>) -> Option<String> {
    text.map(String::from)
}

#[cfg(test)]
mod tests {
    use super::spread;

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
}
