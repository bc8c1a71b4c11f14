//! What is known of the cluster at one point of the metadata log. Immutable once it is shared; knows nothing of how it is decided.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::record::{MetadataRecord, PartitionCreated, TopicCreated};
use super::topic_config;
use crate::config::TopicConfig;
use crate::id::{LeaderEpoch, NodeId, Offset, PartitionId, ProducerId, TopicId, Uuid};

/// The cluster after all metadata records before `version`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// One past the offset of the last record in it; zero for none.
    pub version: u64,
    pub cluster_id: Uuid,
    /// The first producer id that no block holds.
    pub producer_id_next: ProducerId,
    by_name: BTreeMap<Arc<str>, TopicId>,
    by_id: BTreeMap<TopicId, Arc<TopicImage>>,
    partition_count: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicImage {
    pub id: TopicId,
    pub name: Arc<str>,
    /// What the node's defaults and `configs` come to.
    pub config: TopicConfig,
    /// What was set for this topic, under Kafka's names.
    pub configs: BTreeMap<String, String>,
    /// By index, without gaps.
    pub partitions: Vec<PartitionImage>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionImage {
    pub leader: Option<NodeId>,
    pub leader_epoch: LeaderEpoch,
    pub replicas: Vec<NodeId>,
    pub isr: Vec<NodeId>,
}

impl TopicImage {
    pub fn partition(&self, index: i32) -> Option<&PartitionImage> {
        self.partitions.get(usize::try_from(index).ok()?)
    }

    /// The ids and states of its partitions, by index.
    pub fn partitions(&self) -> impl Iterator<Item = (PartitionId, &PartitionImage)> {
        (0_i32..).zip(&self.partitions).map(|(index, p)| (PartitionId { topic: self.id, index }, p))
    }
}

impl Image {
    pub fn empty() -> Self {
        Self {
            version: 0,
            cluster_id: Uuid::ZERO,
            producer_id_next: ProducerId(0),
            by_name: BTreeMap::new(),
            by_id: BTreeMap::new(),
            partition_count: 0,
        }
    }

    pub fn topic(&self, name: &str) -> Option<&Arc<TopicImage>> {
        self.by_id.get(self.by_name.get(name)?)
    }

    pub fn topic_by_id(&self, id: TopicId) -> Option<&Arc<TopicImage>> {
        self.by_id.get(&id)
    }

    pub fn partition(&self, partition: PartitionId) -> Option<&PartitionImage> {
        self.topic_by_id(partition.topic)?.partition(partition.index)
    }

    /// All topics in the order of their names.
    pub fn topics(&self) -> impl Iterator<Item = &Arc<TopicImage>> {
        self.by_name.values().filter_map(|id| self.by_id.get(id))
    }

    pub fn topic_count(&self) -> usize {
        self.by_id.len()
    }

    /// Partitions of all topics.
    pub fn partition_count(&self) -> usize {
        self.partition_count
    }

    /// Takes the record at `offset` in. `defaults` fills what a topic does not set itself.
    pub(super) fn apply(&mut self, offset: Offset, record: &MetadataRecord, defaults: &TopicConfig) {
        match record {
            MetadataRecord::ClusterCreated { cluster_id } => self.cluster_id = *cluster_id,
            MetadataRecord::TopicCreated(created) => self.create_topic(created, defaults),
            MetadataRecord::PartitionCreated(created) => self.create_partition(created),
            MetadataRecord::TopicDeleted { id } => self.delete_topic(*id),
            MetadataRecord::ProducerIdsAllocated { next } => self.producer_id_next = *next,
        }
        self.version = u64::try_from(offset.next().0).expect("offsets of a log are not negative");
    }

    fn create_topic(&mut self, created: &TopicCreated, defaults: &TopicConfig) {
        let configs: BTreeMap<String, String> = created.configs.iter().cloned().collect();
        let config = topic_config::resolve(defaults, &configs);
        let name: Arc<str> = Arc::from(created.name.as_str());
        let topic =
            TopicImage { id: created.id, name: Arc::clone(&name), config, configs, partitions: Vec::new() };
        self.by_name.insert(name, created.id);
        self.by_id.insert(created.id, Arc::new(topic));
    }

    fn create_partition(&mut self, created: &PartitionCreated) {
        let Some(topic) = self.by_id.get_mut(&created.partition.topic) else { return };
        let topic = Arc::make_mut(topic);
        // A record of the past that names a partition again changes nothing: indexes grow by one.
        if usize::try_from(created.partition.index) != Ok(topic.partitions.len()) {
            return;
        }
        topic.partitions.push(PartitionImage {
            leader: created.leader,
            leader_epoch: created.leader_epoch,
            replicas: created.replicas.clone(),
            isr: created.isr.clone(),
        });
        self.partition_count += 1;
    }

    fn delete_topic(&mut self, id: TopicId) {
        let Some(topic) = self.by_id.remove(&id) else { return };
        self.partition_count -= topic.partitions.len();
        if self.by_name.get(&topic.name) == Some(&id) {
            self.by_name.remove(&topic.name);
        }
    }
}
