//! The state machine: commands become records, records become the image.
//!
//! A command is decided against all records that were appended before it, committed or not: there is one writer, and an append
//! that fails ends the node, so nothing is ever taken back. What others see is made of committed records only.

mod partitions;

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use super::command::{
    Command, ControllerReply, CreateTopicError, CreateTopics, CreatedTopic, DeleteTopicError, DeletedTopic,
    Intent, NewTopic, TopicRef,
};
use super::configs;
use super::image::{Image, TopicImage};
use super::record::{MetadataRecord, PartitionCreated, TopicCreated};
use super::topic_config::{self, ConfigError, Configs};
use crate::config::registry::Scope;
use crate::config::{Config, LOGGER_ROOT, LOGGERS, LogLevel};
use crate::id::{LeaderEpoch, NodeId, Offset, PartitionId, ProducerId, TopicId, Uuid};
use crate::limits::{CREATE_PARTITIONS_MAX, PARTITIONS_MAX, PRODUCER_ID_BLOCK, TOPIC_NAME_BYTES_MAX};
use crate::mutant::{self, Mutant};
use crate::prng::Prng;

/// The controller of a cluster of one node.
///
/// Its host calls [`Self::handle`], appends the records, calls [`Self::replay`] for each at once, and gives the reply out when
/// [`Self::on_committed`] has been told of the last of them. A reply without records waits for everything appended before it.
#[derive(Debug)]
pub struct Controller {
    config: Arc<Config>,
    /// After every record that was appended.
    appended: Image,
    /// Names with `.` as `_`, which no two topics may share.
    folded: BTreeMap<String, Arc<str>>,
    uncommitted: VecDeque<(Offset, MetadataRecord)>,
    committed: Arc<Image>,
    /// Topics of the past, whose files may still stand.
    deleted: BTreeSet<TopicId>,
    /// The levels that loggers have of their own; nobody remembers them when the node ends.
    log_levels: BTreeMap<&'static str, LogLevel>,
}

/// What a CreateTopics has decided so far.
struct Draft {
    records: Vec<MetadataRecord>,
    partitions: usize,
    names: BTreeSet<String>,
    folded: BTreeMap<String, Arc<str>>,
}

impl Controller {
    pub fn new(config: Arc<Config>) -> Self {
        Self {
            log_levels: config.log_levels.clone(),
            config,
            appended: Image::empty(),
            folded: BTreeMap::new(),
            uncommitted: VecDeque::new(),
            committed: Arc::new(Image::empty()),
            deleted: BTreeSet::new(),
        }
    }

    /// The first record of a cluster, for an empty metadata log.
    pub fn bootstrap(cluster_id: Uuid) -> Vec<MetadataRecord> {
        vec![MetadataRecord::ClusterCreated { cluster_id }]
    }

    /// Decides one command. Changes nothing: the records do, once they are appended and replayed.
    pub fn handle(&self, command: Command, prng: &mut Prng) -> (Vec<MetadataRecord>, ControllerReply) {
        match command {
            Command::CreateTopics(create) => self.create_topics(&create, prng),
            Command::DeleteTopics(topics) => self.delete_topics(&topics),
            Command::CreatePartitions(create) => self.create_partitions(&create),
            Command::AllocateProducerIds => {
                let first = self.appended.producer_id_next;
                let next =
                    first.0.checked_add(i64::from(PRODUCER_ID_BLOCK)).expect("2^63 ids are never used up");
                let record = MetadataRecord::ProducerIdsAllocated { next: ProducerId(next) };
                (vec![record], ControllerReply::ProducerIds { first, count: PRODUCER_ID_BLOCK })
            }
            Command::AlterConfigs(alter) => {
                let judged = configs::alter(&self.config, &self.appended, &alter.changes);
                let apply = alter.intent == Intent::Apply || mutant::on(Mutant::ValidationDone);
                let records = judged.iter().flatten().flatten().filter(|_| apply).cloned().collect();
                let results = judged.into_iter().map(|result| result.map(drop)).collect();
                (records, ControllerReply::AlterConfigs(results))
            }
            Command::DescribeLoggers => (Vec::new(), ControllerReply::Loggers(self.log_levels())),
        }
    }

    /// Takes in the record at `offset`: at recovery, and as soon as it is appended. The only mutator of what is decided on.
    pub fn replay(&mut self, offset: Offset, record: MetadataRecord) {
        match &record {
            MetadataRecord::TopicCreated(created) => {
                self.folded.insert(fold(&created.name), Arc::from(created.name.as_str()));
            }
            MetadataRecord::TopicDeleted { id } => {
                self.deleted.insert(*id);
                if let Some(topic) = self.appended.topic_by_id(*id) {
                    self.folded.remove(&fold(&topic.name));
                }
            }
            MetadataRecord::ClusterCreated { .. }
            | MetadataRecord::PartitionCreated(_)
            | MetadataRecord::ProducerIdsAllocated { .. }
            | MetadataRecord::ConfigsAltered(_) => {}
        }
        self.appended.apply(offset, &record, &self.config);
        self.uncommitted.push_back((offset, record));
    }

    /// What is committed as soon as all below `high_watermark` is.
    pub fn committing(&self, high_watermark: Offset) -> impl Iterator<Item = &MetadataRecord> {
        let due = self.uncommitted.iter().take_while(move |(offset, _)| *offset < high_watermark);
        due.map(|(_, record)| record)
    }

    /// All records below `high_watermark` are committed. Says whether the image changed.
    pub fn on_committed(&mut self, high_watermark: Offset) -> bool {
        let count = self.uncommitted.iter().take_while(|(offset, _)| *offset < high_watermark).count();
        if count == 0 {
            return false;
        }
        let image = Arc::make_mut(&mut self.committed);
        for (offset, record) in self.uncommitted.drain(..count) {
            image.apply(offset, &record, &self.config);
        }
        true
    }

    /// Whether a topic of this id existed and was deleted.
    pub fn was_deleted(&self, topic: TopicId) -> bool {
        self.deleted.contains(&topic)
    }

    /// Loggers say more or less from now on; gives those whose level is another than it was.
    pub fn alter_log_levels(
        &mut self,
        changes: Vec<(&'static str, Option<LogLevel>)>,
    ) -> BTreeMap<&'static str, LogLevel> {
        let before = self.log_levels();
        for (logger, level) in changes {
            match level {
                Some(level) => self.log_levels.insert(logger, level),
                None => self.log_levels.remove(logger),
            };
        }
        let mut after = self.log_levels();
        after.retain(|logger, level| before.get(logger) != Some(level));
        after
    }

    /// The level of each logger: its own, or that of the root.
    fn log_levels(&self) -> BTreeMap<&'static str, LogLevel> {
        let root = self.log_levels.get(LOGGER_ROOT).copied().unwrap_or(LogLevel::Info);
        LOGGERS.iter().map(|logger| (*logger, self.log_levels.get(logger).copied().unwrap_or(root))).collect()
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    /// What is committed.
    pub fn image(&self) -> Arc<Image> {
        Arc::clone(&self.committed)
    }

    fn create_topics(
        &self,
        create: &CreateTopics,
        prng: &mut Prng,
    ) -> (Vec<MetadataRecord>, ControllerReply) {
        let mut draft =
            Draft { records: Vec::new(), partitions: 0, names: BTreeSet::new(), folded: BTreeMap::new() };
        let results = create.topics.iter().map(|topic| self.create_topic(topic, &mut draft, prng)).collect();
        let records = match create.intent {
            Intent::Apply => draft.records,
            Intent::ValidateOnly => Vec::new(),
        };
        (records, ControllerReply::CreateTopics(results))
    }

    fn create_topic(
        &self,
        topic: &NewTopic,
        draft: &mut Draft,
        prng: &mut Prng,
    ) -> Result<CreatedTopic, CreateTopicError> {
        check_name(&topic.name)?;
        if self.appended.topic(&topic.name).is_some() || draft.names.contains(&topic.name) {
            return Err(CreateTopicError::Exists);
        }
        let folded = fold(&topic.name);
        if let Some(with) = self.folded.get(&folded).or_else(|| draft.folded.get(&folded)) {
            return Err(CreateTopicError::NameCollides { with: Arc::clone(with) });
        }
        let partitions = self.partition_count(topic)?;
        let count = usize::try_from(partitions).expect("a count is positive");
        if draft.partitions + count > CREATE_PARTITIONS_MAX {
            return Err(CreateTopicError::TooManyPartitions);
        }
        if self.appended.partition_count() + draft.partitions + count > PARTITIONS_MAX {
            return Err(CreateTopicError::ClusterFull);
        }
        let configs = check_configs(&topic.configs).map_err(CreateTopicError::Config)?;
        let fresh = fresh_topic_id(&self.appended, prng);
        let id = if mutant::on(Mutant::TopicIdReused) { id_of_name(&topic.name) } else { fresh };
        draft.partitions += count;
        draft.names.insert(topic.name.clone());
        draft.folded.insert(folded, Arc::from(topic.name.as_str()));
        draft.records.push(MetadataRecord::TopicCreated(TopicCreated {
            id,
            name: topic.name.clone(),
            configs: configs.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
        }));
        let node = self.config.node;
        draft.records.extend((0..partitions).map(|index| {
            MetadataRecord::PartitionCreated(PartitionCreated {
                partition: PartitionId { topic: id, index },
                leader: Some(node),
                leader_epoch: LeaderEpoch(0),
                replicas: vec![node],
                isr: vec![node],
            })
        }));
        Ok(CreatedTopic { id, partitions, replication_factor: 1, configs })
    }

    fn partition_count(&self, topic: &NewTopic) -> Result<i32, CreateTopicError> {
        if !topic.assignments.is_empty() {
            return self.assigned_count(topic);
        }
        if !matches!(topic.replication_factor, -1 | 1) {
            let replication_factor = topic.replication_factor;
            return Err(CreateTopicError::ReplicationFactorInvalid { replication_factor });
        }
        match topic.partitions {
            -1 => Ok(self.config.partitions_default.max(1)),
            partitions @ 1.. => Ok(partitions),
            partitions => Err(CreateTopicError::PartitionsInvalid { partitions }),
        }
    }

    fn assigned_count(&self, topic: &NewTopic) -> Result<i32, CreateTopicError> {
        if topic.partitions != -1 || topic.replication_factor != -1 {
            return Err(CreateTopicError::AssignmentAndCounts);
        }
        let mut indexes: Vec<i32> = topic.assignments.iter().map(|(index, _)| *index).collect();
        indexes.sort_unstable();
        if !(0_i32..).zip(&indexes).all(|(place, index)| place == *index) {
            return Err(CreateTopicError::AssignmentIndexes);
        }
        let here: &[NodeId] = &[self.config.node];
        if topic.assignments.iter().any(|(_, nodes)| nodes != here) {
            return Err(CreateTopicError::AssignmentNodes);
        }
        i32::try_from(indexes.len()).map_err(|_| CreateTopicError::TooManyPartitions)
    }

    fn delete_topics(&self, topics: &[TopicRef]) -> (Vec<MetadataRecord>, ControllerReply) {
        let mut gone = BTreeSet::new();
        let mut results = Vec::with_capacity(topics.len());
        for topic in topics {
            results.push(self.delete_topic(topic, &mut gone));
        }
        let records = gone.into_iter().map(|id| MetadataRecord::TopicDeleted { id }).collect();
        (records, ControllerReply::DeleteTopics(results))
    }

    fn delete_topic(
        &self,
        topic: &TopicRef,
        gone: &mut BTreeSet<TopicId>,
    ) -> Result<DeletedTopic, DeleteTopicError> {
        let found: &TopicImage = match topic {
            TopicRef::Name(name) => self.appended.topic(name).ok_or(DeleteTopicError::UnknownName)?,
            TopicRef::Id(id) => self.appended.topic_by_id(*id).ok_or(DeleteTopicError::UnknownId)?,
        };
        if !gone.insert(found.id) {
            return Err(match topic {
                TopicRef::Name(_) => DeleteTopicError::UnknownName,
                TopicRef::Id(_) => DeleteTopicError::UnknownId,
            });
        }
        Ok(DeletedTopic { id: found.id, name: Arc::clone(&found.name) })
    }
}

/// The topic that holds the cluster's metadata; no client may create, write or delete it.
pub const METADATA_TOPIC: &str = "__cluster_metadata";

/// Judges a topic name by Kafka's rules.
pub fn check_name(name: &str) -> Result<(), CreateTopicError> {
    if name.is_empty() {
        return Err(CreateTopicError::NameEmpty);
    }
    if matches!(name, "." | ".." | METADATA_TOPIC) {
        return Err(CreateTopicError::NameReserved);
    }
    if name.len() > TOPIC_NAME_BYTES_MAX {
        return Err(CreateTopicError::NameTooLong { bytes: name.len() });
    }
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if name.bytes().all(legal) { Ok(()) } else { Err(CreateTopicError::NameCharacter) }
}

fn fold(name: &str) -> String {
    name.replace('.', "_")
}

fn check_configs(configs: &[(String, Option<String>)]) -> Result<Configs, ConfigError> {
    let mut checked = Configs::new();
    for (name, value) in configs {
        let Some(value) = value else { return Err(ConfigError::NullValue { name: name.clone() }) };
        topic_config::check(Scope::Topic, name, value)?;
        if checked.insert(name.clone(), value.clone()).is_some() {
            return Err(ConfigError::Repeated { name: name.clone() });
        }
    }
    topic_config::check_together(&checked)?;
    Ok(checked)
}

/// An id that no topic has, is not reserved, and does not begin with `-`, which command lines would take for an option.
fn fresh_topic_id(image: &Image, prng: &mut Prng) -> TopicId {
    loop {
        let mut bytes = [0; 16];
        prng.fill(&mut bytes);
        let id = TopicId(Uuid(bytes));
        let reserved = id.0.is_zero() || id == TopicId::METADATA;
        // 62 is the digit `-`, held by the first six bits.
        if !reserved && bytes[0] >> 2 != 62 && image.topic_by_id(id).is_none() {
            return id;
        }
    }
}

/// The id that a planted bug gives to a topic.
fn id_of_name(name: &str) -> TopicId {
    let mut bytes = [1; 16];
    let len = name.len().min(bytes.len());
    bytes[..len].copy_from_slice(&name.as_bytes()[..len]);
    TopicId(Uuid(bytes))
}

#[cfg(test)]
mod tests;
