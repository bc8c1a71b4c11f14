//! What is known of the cluster at one point of the metadata log. Immutable once it is shared; knows nothing of how it is decided.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::configs::Layers;
use super::record::{AlteredResource, ConfigsAltered, MetadataRecord, PartitionCreated, TopicCreated};
use super::topic_config::{self, Configs};
use crate::config::{Config, TopicConfig};
use crate::id::{LeaderEpoch, NodeId, Offset, PartitionId, ProducerId, TopicId, Uuid};
use crate::mutant::{self, Mutant};

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
    /// What is set for brokers; without a node, for all that set nothing themselves.
    broker_configs: BTreeMap<Option<NodeId>, Configs>,
    group_configs: BTreeMap<String, Configs>,
    client_metrics: BTreeMap<String, Configs>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicImage {
    pub id: TopicId,
    pub name: Arc<str>,
    /// What the node's defaults and `configs` come to.
    pub config: TopicConfig,
    /// What was set for this topic, under Kafka's names.
    pub configs: Configs,
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

/// What became of the topics between two images.
#[derive(Debug, Default)]
pub struct Changes<'a> {
    /// As they were.
    pub gone: Vec<&'a Arc<TopicImage>>,
    /// As they are: new, or not the same as before.
    pub fresh: Vec<&'a Arc<TopicImage>>,
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
            broker_configs: BTreeMap::new(),
            group_configs: BTreeMap::new(),
            client_metrics: BTreeMap::new(),
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

    /// The topics that are not here as they were in `before`: those that are gone, and those that are new or other now. Costs little
    /// for each topic that is the same.
    pub fn changes<'a>(&'a self, before: &'a Self) -> Changes<'a> {
        let (mut gone, mut fresh) = (Vec::new(), Vec::new());
        let mut old = before.by_id.iter().peekable();
        for (id, topic) in &self.by_id {
            while let Some((_, left)) = old.next_if(|(other, _)| *other < id) {
                gone.push(left);
            }
            let same = old.next_if(|(other, _)| *other == id).is_some_and(|(_, old)| Arc::ptr_eq(old, topic));
            if !same {
                fresh.push(topic);
            }
        }
        gone.extend(old.map(|(_, topic)| topic));
        Changes { gone, fresh }
    }

    pub fn topic_count(&self) -> usize {
        self.by_id.len()
    }

    /// Partitions of all topics.
    pub fn partition_count(&self) -> usize {
        self.partition_count
    }

    /// What is set for a broker while it runs, or without a node, for all.
    pub fn broker_configs(&self, node: Option<NodeId>) -> Option<&Configs> {
        self.broker_configs.get(&node)
    }

    pub fn group_configs(&self, group: &str) -> Option<&Configs> {
        self.group_configs.get(group)
    }

    /// Groups that set anything.
    pub fn groups(&self) -> impl Iterator<Item = &str> {
        self.group_configs.keys().map(String::as_str)
    }

    pub fn client_metrics_configs(&self, subscription: &str) -> Option<&Configs> {
        self.client_metrics.get(subscription)
    }

    /// Subscriptions to metrics of clients.
    pub fn client_metrics(&self) -> impl Iterator<Item = &str> {
        self.client_metrics.keys().map(String::as_str)
    }

    pub(super) fn layers<'a>(&'a self, config: &'a Config) -> Layers<'a> {
        Layers { config, cluster: self.cluster_id, altered: &self.broker_configs }
    }

    /// What a topic comes to that sets nothing.
    pub fn topic_defaults(&self, config: &Config) -> TopicConfig {
        self.resolve(config, &Configs::new())
    }

    /// What a topic comes to that sets `own`.
    fn resolve(&self, config: &Config, own: &Configs) -> TopicConfig {
        let mut configs = self.layers(config).topic_defaults();
        configs.extend(own.iter().map(|(name, value)| (name.clone(), value.clone())));
        topic_config::resolve(&config.topic_defaults, &configs)
    }

    /// Takes the record at `offset` in. `config` fills what a topic does not set itself.
    pub(super) fn apply(&mut self, offset: Offset, record: &MetadataRecord, config: &Config) {
        match record {
            MetadataRecord::ClusterCreated { cluster_id } => self.cluster_id = *cluster_id,
            MetadataRecord::TopicCreated(created) => self.create_topic(created, config),
            MetadataRecord::PartitionCreated(created) => self.create_partition(created),
            MetadataRecord::TopicDeleted { id } => self.delete_topic(*id),
            MetadataRecord::ProducerIdsAllocated { next } => self.producer_id_next = *next,
            MetadataRecord::ConfigsAltered(altered) => self.alter_configs(altered, config),
        }
        self.version = u64::try_from(offset.next().0).expect("offsets of a log are not negative");
    }

    fn create_topic(&mut self, created: &TopicCreated, config: &Config) {
        let configs: Configs = created.configs.iter().cloned().collect();
        let config = self.resolve(config, &configs);
        let name: Arc<str> = Arc::from(created.name.as_str());
        let topic =
            TopicImage { id: created.id, name: Arc::clone(&name), config, configs, partitions: Vec::new() };
        self.by_name.insert(name, created.id);
        self.by_id.insert(created.id, Arc::new(topic));
    }

    fn alter_configs(&mut self, altered: &ConfigsAltered, config: &Config) {
        match &altered.resource {
            AlteredResource::Topic(id) => {
                let other = self.by_id.keys().next().filter(|_| mutant::on(Mutant::AnotherTopicAltered));
                let id = &other.copied().unwrap_or(*id);
                let Some(topic) = self.by_id.get(id) else { return };
                let mut topic = TopicImage::clone(topic);
                change(&mut topic.configs, &altered.changes);
                if !mutant::on(Mutant::TopicNotResolved) {
                    topic.config = self.resolve(config, &topic.configs);
                }
                self.by_id.insert(*id, Arc::new(topic));
            }
            AlteredResource::Broker(node) => {
                change_one(&mut self.broker_configs, node, &altered.changes);
                if !mutant::on(Mutant::DefaultNotInherited) {
                    self.resolve_all(config);
                }
            }
            AlteredResource::Group(name) => change_one(&mut self.group_configs, name, &altered.changes),
            AlteredResource::ClientMetrics(name) => {
                change_one(&mut self.client_metrics, name, &altered.changes);
            }
        }
    }

    /// The broker's settings have changed: what topics do not set themselves is another.
    fn resolve_all(&mut self, config: &Config) {
        let defaults = self.layers(config).topic_defaults();
        for topic in self.by_id.values_mut() {
            let mut configs = defaults.clone();
            configs.extend(topic.configs.iter().map(|(name, value)| (name.clone(), value.clone())));
            let resolved = topic_config::resolve(&config.topic_defaults, &configs);
            if resolved != topic.config {
                Arc::make_mut(topic).config = resolved;
            }
        }
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

/// Nothing is kept of what sets nothing.
fn change_one<K: Ord + Clone>(
    all: &mut BTreeMap<K, Configs>,
    which: &K,
    changes: &[(String, Option<String>)],
) {
    let configs = all.entry(which.clone()).or_default();
    change(configs, changes);
    if configs.is_empty() {
        all.remove(which);
    }
}

fn change(configs: &mut Configs, changes: &[(String, Option<String>)]) {
    for (name, value) in changes {
        match value {
            Some(value) => configs.insert(name.clone(), value.clone()),
            None => configs.remove(name),
        };
    }
}
