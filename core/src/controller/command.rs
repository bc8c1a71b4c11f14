//! What the controller may be asked, and what it answers.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::configs::{AlterConfigs, AlterConfigsError};
use super::topic_config::ConfigError;
use crate::config::LogLevel;
use crate::id::{NodeId, ProducerId, TopicId};

/// One question to the controller. Answered by the [`ControllerReply`] of the same name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    CreateTopics(CreateTopics),
    DeleteTopics(Vec<TopicRef>),
    CreatePartitions(CreatePartitions),
    AllocateProducerIds,
    AlterConfigs(AlterConfigs),
    DescribeLoggers,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateTopics {
    pub topics: Vec<NewTopic>,
    pub intent: Intent,
}

/// Whether a command shall be carried out or only judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intent {
    Apply,
    ValidateOnly,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTopic {
    pub name: String,
    /// As Kafka: −1 asks for the node's default.
    pub partitions: i32,
    /// As Kafka: −1 asks for the node's default.
    pub replication_factor: i16,
    /// Replicas by partition index; empty leaves placement to the controller.
    pub assignments: Vec<(i32, Vec<NodeId>)>,
    pub configs: Vec<(String, Option<String>)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatePartitions {
    /// Each named once.
    pub topics: Vec<MorePartitions>,
    pub intent: Intent,
}

/// What a topic shall have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MorePartitions {
    pub name: String,
    /// Partitions in all.
    pub count: i32,
    /// Replicas of each further partition; `None` leaves placement to the controller.
    pub assignments: Option<Vec<Vec<NodeId>>>,
}

/// A topic by what the client knows of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TopicRef {
    Name(String),
    Id(TopicId),
}

/// What the controller answers; results stand in the order of the question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ControllerReply {
    CreateTopics(Vec<Result<CreatedTopic, CreateTopicError>>),
    DeleteTopics(Vec<Result<DeletedTopic, DeleteTopicError>>),
    CreatePartitions(Vec<Result<(), CreatePartitionsError>>),
    /// `count` ids from `first` on, for the asker alone.
    ProducerIds {
        first: ProducerId,
        count: u32,
    },
    AlterConfigs(Vec<Result<(), AlterConfigsError>>),
    Loggers(BTreeMap<&'static str, LogLevel>),
}

impl ControllerReply {
    /// The same for a request whose records are too many: what would have been done is not.
    #[must_use]
    pub fn too_large(self) -> Self {
        match self {
            Self::CreateTopics(results) => Self::CreateTopics(refuse(results, &CreateTopicError::TooLarge)),
            Self::DeleteTopics(results) => Self::DeleteTopics(refuse(results, &DeleteTopicError::TooLarge)),
            Self::CreatePartitions(results) => {
                Self::CreatePartitions(refuse(results, &CreatePartitionsError::TooLarge))
            }
            Self::AlterConfigs(results) => Self::AlterConfigs(refuse(results, &AlterConfigsError::TooLarge)),
            Self::ProducerIds { .. } | Self::Loggers(_) => unreachable!("at most one record"),
        }
    }
}

fn refuse<T, E: Clone>(results: Vec<Result<T, E>>, why: &E) -> Vec<Result<T, E>> {
    results.into_iter().map(|result| result.and(Err(why.clone()))).collect()
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatedTopic {
    pub id: TopicId,
    pub partitions: i32,
    pub replication_factor: i16,
    /// What was set for the topic, under Kafka's names.
    pub configs: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeletedTopic {
    pub id: TopicId,
    pub name: Arc<str>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CreateTopicError {
    NameEmpty,
    /// `.` and `..`
    NameReserved,
    NameTooLong {
        bytes: usize,
    },
    NameCharacter,
    /// Differs from an existing name only in `.` and `_`, which metrics cannot tell apart.
    NameCollides {
        with: Arc<str>,
    },
    Exists,
    PartitionsInvalid {
        partitions: i32,
    },
    ReplicationFactorInvalid {
        replication_factor: i16,
    },
    /// Both counts and an assignment.
    AssignmentAndCounts,
    /// The indexes of the assignment are not 0, 1, 2 …
    AssignmentIndexes,
    /// The assignment names other nodes than the one there is, or none.
    AssignmentNodes,
    /// More partitions than one request may create.
    TooManyPartitions,
    /// The cluster holds as many partitions as it may.
    ClusterFull,
    /// The request comes to more than the metadata log takes at once.
    TooLarge,
    Config(ConfigError),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeleteTopicError {
    UnknownName,
    UnknownId,
    /// The request comes to more than the metadata log takes at once.
    TooLarge,
    /// A topic of the broker itself.
    Internal,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CreatePartitionsError {
    UnknownName,
    /// Not more than there are.
    NotMore {
        name: Arc<str>,
        current: usize,
        count: i32,
    },
    AssignmentCount {
        further: usize,
        given: usize,
    },
    AssignmentEmpty,
    AssignmentNode {
        node: NodeId,
    },
    AssignmentTwice {
        node: NodeId,
    },
    /// More partitions than one request may create.
    TooMany {
        further: usize,
    },
    /// The request comes to more than the metadata log takes at once.
    TooLarge,
    /// The cluster holds as many partitions as it may.
    ClusterFull,
}
