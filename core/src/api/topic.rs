//! What requests and responses have in common: topics by name, or by id since Kafka's newer versions; where this broker is; what
//! may be done with it.

use alloc::borrow::Cow;
use alloc::string::{String, ToString};
use alloc::sync::Arc;

use super::Context;
use crate::controller::{Image, TopicImage};
use crate::id::{TopicId, Uuid};
use crate::wire::ErrorCode;

/// What everybody may do while there are no access rules: a bit for each of Kafka's operations on the resource.
pub(super) const TOPIC_OPERATIONS: i32 = 0b1101_1111_1000;
pub(super) const CLUSTER_OPERATIONS: i32 = 0b1_1111_1010_0000;
/// What stands there if nobody asked for it.
pub(super) const NO_OPERATIONS: i32 = i32::MIN;

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

/// Where clients shall go: what the node is told to advertise, or where this client came in.
pub(super) fn address<'a>(context: &Context<'a>) -> (Cow<'a, str>, i32) {
    match &context.config.advertised {
        Some((host, port)) => (Cow::Borrowed(host), i32::from(*port)),
        None => (Cow::Owned(context.local.ip().to_string()), i32::from(context.local.port())),
    }
}
