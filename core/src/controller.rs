//! The controller: a state machine over the records of `__cluster_metadata`, on shard 0. It decides, as records, what topics and
//! ids there are; the shard that hosts it appends the records and says when they are committed. Knows nothing of requests,
//! connections or storage.

pub mod command;
pub mod configs;
pub mod fuzz;
pub mod image;
mod log;
pub mod record;
mod state;
pub mod topic_config;

pub use command::{
    Command, ControllerReply, CreatePartitions, CreatePartitionsError, CreateTopicError, CreateTopics,
    CreatedTopic, DeleteTopicError, DeletedTopic, Intent, MorePartitions, NewTopic, TopicRef,
};
pub use configs::{
    AlterConfigs, AlterConfigsError, ConfigOp, ConfigResource, ConfigsChange, ConfigsEdit, Described, Source,
    Synonym,
};
pub use image::{Image, PartitionImage, TopicImage};
pub use log::{PlacedRecords, decode_records, encode_records, encoded_bytes};
pub use record::{MetadataRecord, RecordError};
pub use state::{Controller, METADATA_TOPIC, check_name};
pub use topic_config::{ConfigError, Configs};
