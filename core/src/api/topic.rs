//! Topics as requests name them: by name, or by id since Kafka's newer versions.

use alloc::string::String;
use alloc::sync::Arc;

use crate::controller::{Image, METADATA_TOPIC, TopicImage};
use crate::id::{TopicId, Uuid};
use crate::wire::ErrorCode;

/// A topic as the client called it, and will be answered.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum TopicKey {
    Name(String),
    Id(TopicId),
}

/// Whether a version of a request names topics by their id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Naming {
    ByName,
    ById,
}

impl TopicKey {
    pub(super) fn new(naming: Naming, name: &str, id: Uuid) -> Self {
        match naming {
            Naming::ByName => Self::Name(String::from(name)),
            Naming::ById => Self::Id(TopicId(id)),
        }
    }

    /// Empty for a topic that is named by id.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Name(name) => name,
            Self::Id(_) => "",
        }
    }

    /// Zero for a topic that is named by name.
    pub(super) fn id(&self) -> Uuid {
        match self {
            Self::Name(_) => Uuid::ZERO,
            Self::Id(id) => id.0,
        }
    }

    pub(super) fn find<'a>(&self, image: &'a Image) -> Option<&'a Arc<TopicImage>> {
        match self {
            Self::Name(name) => image.topic(name),
            Self::Id(id) => image.topic_by_id(*id),
        }
    }

    /// How a topic that does not exist is answered.
    pub(super) fn unknown(&self) -> ErrorCode {
        match self {
            Self::Name(_) => ErrorCode::UnknownTopicOrPartition,
            Self::Id(_) => ErrorCode::UnknownTopicId,
        }
    }
}

/// The broker's own topics: clients may read them and may not write, create or delete them.
pub(super) fn is_internal(name: &str) -> bool {
    [METADATA_TOPIC, "__consumer_offsets", "__transaction_state", "__share_group_state"].contains(&name)
}
