//! What typed errors are called on the wire, and what is said to the user.

use alloc::format;
use alloc::string::{String, ToString};

use crate::batch::{BatchError, ErrorKind};
use crate::config::registry::{self, Clash};
use crate::controller::{
    AlterConfigsError, ConfigError, CreatePartitionsError, CreateTopicError, DeleteTopicError,
};
use crate::limits::CREATE_PARTITIONS_MAX;
use crate::replica::PartitionError;
use crate::wire::ErrorCode;

/// An error as a response carries it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) code: ErrorCode,
    pub(super) message: String,
}

impl Failure {
    pub(super) fn new(code: ErrorCode, message: &str) -> Self {
        Self { code, message: String::from(message) }
    }
}

/// As much of a client's text as a message may repeat.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(249).collect()
}

pub(super) fn of_partition(error: PartitionError) -> Failure {
    let (code, message) = match error {
        PartitionError::Unknown => (ErrorCode::UnknownTopicOrPartition, "the partition does not exist"),
        PartitionError::NotLeader => (ErrorCode::NotLeaderOrFollower, "another broker leads the partition"),
        PartitionError::FencedLeaderEpoch => {
            (ErrorCode::FencedLeaderEpoch, "the partition has had a newer leader epoch")
        }
        PartitionError::UnknownLeaderEpoch => {
            (ErrorCode::UnknownLeaderEpoch, "the partition has not had this leader epoch yet")
        }
        PartitionError::OffsetOutOfRange => (ErrorCode::OffsetOutOfRange, "the offset is not in the log"),
        PartitionError::OffsetNotAvailable => {
            (ErrorCode::OffsetNotAvailable, "the high watermark has not reached the leader's epoch")
        }
        PartitionError::NotEnoughReplicas => {
            (ErrorCode::NotEnoughReplicas, "fewer replicas are in sync than min.insync.replicas")
        }
        PartitionError::NotEnoughReplicasAfterAppend => (
            ErrorCode::NotEnoughReplicasAfterAppend,
            "appended, but fewer replicas are in sync than min.insync.replicas",
        ),
        PartitionError::OutOfOrderSequence { expected, found } => {
            let message = format!("sequence {found} where {expected} is next");
            return Failure { code: ErrorCode::OutOfOrderSequenceNumber, message };
        }
        PartitionError::InvalidProducerEpoch { current, found } => {
            let message = format!("producer epoch {found}, the partition has seen {current}");
            return Failure { code: ErrorCode::InvalidProducerEpoch, message };
        }
        PartitionError::DuplicateSequence => (ErrorCode::DuplicateSequenceNumber, "appended long before"),
        PartitionError::UnknownProducerId => {
            (ErrorCode::UnknownProducerId, "no state of this producer, and its sequence does not begin at 0")
        }
        PartitionError::RecompressedTooLarge { max } => {
            let message = format!(
                "compressed as compression.type says, the batch has more than the {max} bytes of max.message.bytes"
            );
            return Failure { code: ErrorCode::MessageTooLarge, message };
        }
        PartitionError::BatchTooLarge => (
            ErrorCode::RecordListTooLarge,
            "the batch is larger than a segment, or than all memory for batches",
        ),
        PartitionError::InvalidTimestamp => {
            (ErrorCode::InvalidTimestamp, "a timestamp is outside of what the topic accepts")
        }
        PartitionError::StorageFull => (ErrorCode::KafkaStorageError, "the disk is full"),
        PartitionError::Faulty => (ErrorCode::KafkaStorageError, "the records cannot be read back"),
    };
    Failure::new(code, message)
}

const TOO_LARGE: &str = "the request comes to more than the metadata log takes at once: send it in parts";

pub(super) fn of_batch(error: &BatchError) -> Failure {
    let code = match error.kind() {
        ErrorKind::Corrupt => ErrorCode::CorruptMessage,
        ErrorKind::Invalid => ErrorCode::InvalidRecord,
        ErrorKind::TooLarge => ErrorCode::MessageTooLarge,
        ErrorKind::UnsupportedCompression => ErrorCode::UnsupportedCompressionType,
        ErrorKind::InvalidTimestamp => ErrorCode::InvalidTimestamp,
    };
    Failure { code, message: error.to_string() }
}

pub(super) fn of_create(error: &CreateTopicError) -> Failure {
    let (code, message) = match error {
        CreateTopicError::NameEmpty => (ErrorCode::InvalidTopicException, "a topic name may not be empty"),
        CreateTopicError::NameReserved => (ErrorCode::InvalidTopicException, "this topic name is reserved"),
        CreateTopicError::NameTooLong { bytes } => {
            let message = format!("a topic name has at most 249 characters, this one has {bytes}");
            return Failure { code: ErrorCode::InvalidTopicException, message };
        }
        CreateTopicError::NameCharacter => (
            ErrorCode::InvalidTopicException,
            "a topic name is made of ASCII letters, digits, '.', '_' and '-'",
        ),
        CreateTopicError::NameCollides { with } => {
            let message = format!("the name differs from that of topic '{with}' only in '.' and '_'");
            return Failure { code: ErrorCode::InvalidTopicException, message };
        }
        CreateTopicError::Exists => (ErrorCode::TopicAlreadyExists, "a topic of this name exists"),
        CreateTopicError::PartitionsInvalid { partitions } => {
            let message = format!("{partitions} partitions: must be at least 1, or -1 for the default");
            return Failure { code: ErrorCode::InvalidPartitions, message };
        }
        CreateTopicError::ReplicationFactorInvalid { replication_factor } => {
            let message = format!("replication factor {replication_factor}: 1 broker is available");
            return Failure { code: ErrorCode::InvalidReplicationFactor, message };
        }
        CreateTopicError::AssignmentAndCounts => (
            ErrorCode::InvalidRequest,
            "with an assignment, the counts of partitions and of replicas must both be -1",
        ),
        CreateTopicError::AssignmentIndexes => {
            (ErrorCode::InvalidReplicaAssignment, "the partitions of an assignment are 0, 1, 2 and so on")
        }
        CreateTopicError::AssignmentNodes => (
            ErrorCode::InvalidReplicaAssignment,
            "each partition must be assigned to the one broker there is",
        ),
        CreateTopicError::TooManyPartitions => {
            (ErrorCode::PolicyViolation, "one request may create at most 10000 partitions")
        }
        CreateTopicError::ClusterFull => {
            (ErrorCode::PolicyViolation, "the cluster has as many partitions as it can hold")
        }
        CreateTopicError::TooLarge => (ErrorCode::PolicyViolation, TOO_LARGE),
        CreateTopicError::Config(error) => return of_config(error),
    };
    Failure::new(code, message)
}

fn of_config(error: &ConfigError) -> Failure {
    let (code, message) = match error {
        ConfigError::UnknownName { scope, name } => {
            let scope_name = match scope {
                registry::Scope::Topic => "topic",
                registry::Scope::Broker => "broker",
                registry::Scope::Group => "group",
                registry::Scope::ClientMetrics => "client metrics",
            };
            let code = match scope {
                registry::Scope::Topic | registry::Scope::Broker | registry::Scope::Group => {
                    ErrorCode::InvalidConfig
                }
                registry::Scope::ClientMetrics => ErrorCode::InvalidRequest,
            };
            let nearest = registry::nearest(*scope, name);
            let nearest = nearest.map_or(String::new(), |nearest| format!(": did you mean '{nearest}'?"));
            (code, format!("'{}' is no {scope_name} setting{nearest}", shown(name)))
        }
        ConfigError::Repeated { name } => {
            (ErrorCode::InvalidRequest, format!("the setting '{}' is given twice", shown(name)))
        }
        ConfigError::NullValue { name } => {
            (ErrorCode::InvalidConfig, format!("the setting '{}' has no value", shown(name)))
        }
        ConfigError::Invalid { scope, definition, value } => {
            // Kafka has one code for values that topics and groups refuse, another for those of the rest.
            let code = match scope {
                registry::Scope::Topic | registry::Scope::Group => ErrorCode::InvalidConfig,
                registry::Scope::Broker | registry::Scope::ClientMetrics => ErrorCode::InvalidRequest,
            };
            (code, format!("{}={value}: must be {}", definition.name, definition.must_be()))
        }
        ConfigError::OutOfBounds { definition, value, bound, limit } => {
            let message =
                format!("{}={value}: the broker's {}={limit} bounds it", definition.name, bound.name);
            (ErrorCode::InvalidConfig, message)
        }
        ConfigError::Clash { clash: Clash { definition, must_be, other }, values: [value, limit] } => {
            let message = format!("{}={value} must be {must_be} {}={limit}", definition.name, other.name);
            (ErrorCode::InvalidConfig, message)
        }
        ConfigError::LagsCross { min, max } => {
            let message = format!("min.compaction.lag.ms={min} is more than max.compaction.lag.ms={max}");
            (ErrorCode::InvalidConfig, message)
        }
    };
    Failure { code, message }
}

pub(super) fn of_alter_configs(error: &AlterConfigsError) -> Failure {
    let (code, message) = match error {
        AlterConfigsError::UnknownTopic => {
            return Failure::new(ErrorCode::UnknownTopicOrPartition, "no topic has this name");
        }
        AlterConfigsError::Name => {
            return Failure::new(
                ErrorCode::InvalidRequest,
                "the name of what has settings has 1 to 1024 bytes",
            );
        }
        AlterConfigsError::TooLarge => return Failure::new(ErrorCode::PolicyViolation, TOO_LARGE),
        AlterConfigsError::TooMany { max } => {
            (ErrorCode::PolicyViolation, format!("{max} of this type have settings, and no more may"))
        }
        AlterConfigsError::NotAList { definition } => (
            ErrorCode::InvalidConfig,
            format!("{} is no list: set it instead of changing elements of it", definition.name),
        ),
        AlterConfigsError::ReadOnly { definition } => (
            ErrorCode::InvalidRequest,
            format!("{} is read when the broker starts: set it in its file and restart", definition.name),
        ),
        AlterConfigsError::PerBroker { definition } => (
            ErrorCode::InvalidRequest,
            format!("{} belongs to one broker and cannot be the default of all", definition.name),
        ),
        AlterConfigsError::Config(error) => return of_config(error),
    };
    Failure { code, message }
}

pub(super) fn of_delete(error: &DeleteTopicError) -> Failure {
    match error {
        DeleteTopicError::UnknownName => {
            Failure::new(ErrorCode::UnknownTopicOrPartition, "no topic has this name")
        }
        DeleteTopicError::TooLarge => Failure::new(ErrorCode::PolicyViolation, TOO_LARGE),
        DeleteTopicError::UnknownId => Failure::new(ErrorCode::UnknownTopicId, "no topic has this id"),
        DeleteTopicError::Internal => {
            Failure::new(ErrorCode::InvalidTopicException, "a topic of the broker itself cannot be deleted")
        }
    }
}

pub(super) fn of_create_partitions(error: &CreatePartitionsError) -> Failure {
    let (code, message) = match error {
        CreatePartitionsError::UnknownName => {
            (ErrorCode::UnknownTopicOrPartition, String::from("no topic has this name"))
        }
        CreatePartitionsError::NotMore { current, count, .. } if usize::try_from(*count) == Ok(*current) => {
            (ErrorCode::InvalidPartitions, format!("the topic has {current} partitions already"))
        }
        CreatePartitionsError::NotMore { name, current, count } => (
            ErrorCode::InvalidPartitions,
            format!(
                "topic '{name}' has {current} partitions, and partitions are only ever added: {count} are fewer"
            ),
        ),
        CreatePartitionsError::AssignmentCount { further, given } => (
            ErrorCode::InvalidReplicaAssignment,
            format!("{further} further partitions need an assignment each, and {given} are given"),
        ),
        CreatePartitionsError::AssignmentEmpty => {
            (ErrorCode::InvalidReplicaAssignment, String::from("an assignment names no broker"))
        }
        CreatePartitionsError::AssignmentNode { node } => (
            ErrorCode::InvalidReplicaAssignment,
            format!("an assignment names broker {}, which the cluster does not have", node.0),
        ),
        CreatePartitionsError::AssignmentTwice { node } => {
            (ErrorCode::InvalidReplicaAssignment, format!("an assignment names broker {} twice", node.0))
        }
        CreatePartitionsError::TooMany { further } => (
            ErrorCode::InvalidPartitions,
            format!("{further} further partitions: one request may create at most {CREATE_PARTITIONS_MAX}"),
        ),
        CreatePartitionsError::TooLarge => return Failure::new(ErrorCode::PolicyViolation, TOO_LARGE),
        CreatePartitionsError::ClusterFull => {
            (ErrorCode::InvalidPartitions, String::from("the cluster has as many partitions as it can hold"))
        }
    };
    Failure { code, message }
}
