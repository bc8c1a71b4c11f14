//! Admin calls. Those that any broker, or one broker, can answer are sent once: whether to repeat one that was lost is the caller's
//! to say. Those that leaders answer are in [`partitions`].

mod cluster;
mod configs;
mod groups;
mod partitions;
mod topics;

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;

use super::client::Call;
use super::cluster::Cluster;
use super::links::{Lane, Links, Peer, Readiness, Sending};
use super::{Address, ClientConfig, ClientError, ClientEvent, CommittedOffset, Token, TopicPartition};
use crate::buf::Slice;
use crate::id::Offset;
use crate::time::{Duration, Instant};
use crate::wire::{ApiKey, DecodeError, EncodeError, Reader, Writer};

pub use cluster::{
    ApiRange, BrokerVersions, ClusterDescription, Feature, LogDir, LogDirReplica, NodeDescription,
};
pub use configs::{
    ConfigChange, ConfigEdit, ConfigEntry, ConfigKind, ConfigOperation, ConfigQuery, ConfigResource,
    ConfigSource, ConfigSynonym, Mutability, ResourceConfigs, ResourceKind, ResourceResult, Secrecy,
};
pub use groups::{GroupCall, GroupDescription, GroupEpochs, GroupMember, ListedGroup};
pub use partitions::{ActiveProducer, ListedOffset, OffsetAt, PartitionCall};
pub use topics::{NewTopic, PartitionCount, PartitionDescription, TopicDescription, TopicResult};

pub(super) use groups::{Asked as GroupAsked, Groups};
pub(super) use partitions::{Asked, Partitions};

/// Whether to do something, or only to find out whether it could be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Do,
    Validate,
}

/// What a broker can be asked that is no matter of a partition's leader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AdminCall {
    CreateTopics {
        topics: Vec<NewTopic>,
        mode: Mode,
    },
    DeleteTopics(Vec<String>),
    /// `None` is all.
    DescribeTopics(Option<Vec<String>>),
    CreatePartitions {
        counts: Vec<PartitionCount>,
        mode: Mode,
    },
    DescribeConfigs(ConfigQuery),
    AlterConfigs {
        changes: Vec<ConfigChange>,
        mode: Mode,
    },
    /// Which resources of these kinds have settings.
    ListConfigResources(Vec<ResourceKind>),
    DescribeCluster,
    /// `None` is all partitions that the node has.
    DescribeLogDirs(Option<Vec<TopicPartition>>),
    DescribeVersions,
}

/// Who is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    AnyBroker,
    /// For what only this broker knows.
    Broker(Address),
}

/// What an admin call came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AdminAnswer {
    Created(Vec<TopicResult>),
    Deleted(Vec<TopicResult>),
    Topics(Vec<TopicDescription>),
    Partitioned(Vec<TopicResult>),
    Configs(Vec<ResourceConfigs>),
    Altered(Vec<ResourceResult>),
    Resources(Vec<ConfigResource>),
    Cluster(ClusterDescription),
    LogDirs(Vec<LogDir>),
    Versions(BrokerVersions),
    Offsets(Vec<(TopicPartition, Result<ListedOffset, ClientError>)>),
    /// Where each log begins now.
    Trimmed(Vec<(TopicPartition, Result<Offset, ClientError>)>),
    Producers(Vec<(TopicPartition, Result<Vec<ActiveProducer>, ClientError>)>),
    Groups(Vec<ListedGroup>),
    GroupsDescribed(Vec<(String, Result<GroupDescription, ClientError>)>),
    GroupsDeleted(Vec<(String, Result<(), ClientError>)>),
    /// Of each partition what was committed, if anything was.
    GroupOffsets(Vec<(TopicPartition, Result<Option<CommittedOffset>, ClientError>)>),
    /// Committed or deleted.
    OffsetsChanged(Vec<(TopicPartition, Result<(), ClientError>)>),
    /// There is no answer. What was asked for may have been done unless the error is a missing version.
    Failed(ClientError),
}

/// An admin call that was sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sent {
    token: Token,
    decode: Decode,
}

/// Reads the answer to a call, in the version that it was asked in.
type Decode = fn(i16, &mut Reader<'_>) -> Result<AdminAnswer, DecodeError>;

#[derive(Debug)]
struct Waiting {
    token: Token,
    call: AdminCall,
    to: Destination,
    deadline: Instant,
}

#[derive(Debug)]
pub(super) struct Admin {
    timeout: Duration,
    waiting: VecDeque<Waiting>,
}

impl Admin {
    pub(super) fn new(config: &ClientConfig) -> Self {
        Self { timeout: config.request_timeout, waiting: VecDeque::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn call(&mut self, now: Instant, token: Token, call: AdminCall, to: Destination) {
        self.waiting.push_back(Waiting { token, call, to, deadline: now + self.timeout });
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.waiting.front().map(|waiting| waiting.deadline)
    }

    pub(super) fn turn(
        &mut self,
        now: Instant,
        links: &mut Links<Call>,
        cluster: &Cluster,
        events: &mut VecDeque<ClientEvent>,
    ) {
        while let Some(late) = self.waiting.pop_front_if(|waiting| waiting.deadline <= now) {
            let answer = AdminAnswer::Failed(ClientError::TimedOut);
            events.push_back(ClientEvent::Answered { token: late.token, answer });
        }
        for waiting in core::mem::take(&mut self.waiting) {
            let Some(peer) = ready_peer(now, &waiting.to, links, cluster) else {
                self.waiting.push_back(waiting);
                continue;
            };
            let Waiting { token, call, .. } = waiting;
            let (key, decode) = (call.api_key(), call.decoder());
            let timeout_ms = i32::try_from(self.timeout.as_millis()).unwrap_or(i32::MAX);
            let sending = Sending { patience: self.timeout, ..Sending::new(key) };
            links.send(now, (&peer, sending), Call::Admin(Sent { token, decode }), |version, writer| {
                call.encode(topics::Ask { version, timeout_ms }, writer)
            });
        }
    }
}

fn ready_peer(now: Instant, to: &Destination, links: &mut Links<Call>, cluster: &Cluster) -> Option<Peer> {
    match to {
        Destination::AnyBroker => links.want_any(now, &cluster.addresses()),
        Destination::Broker(address) => {
            let peer = Peer { address: address.clone(), lane: Lane::Main };
            (links.want(now, &peer) == Readiness::Ready).then_some(peer)
        }
    }
}

impl Sent {
    pub(super) fn on_lost(self, error: ClientError, events: &mut VecDeque<ClientEvent>) {
        events.push_back(ClientEvent::Answered { token: self.token, answer: AdminAnswer::Failed(error) });
    }

    pub(super) fn on_answer(self, version: i16, body: &Slice, events: &mut VecDeque<ClientEvent>) {
        let answer = (self.decode)(version, &mut Reader::new(body));
        let answer = answer.unwrap_or(AdminAnswer::Failed(ClientError::Malformed));
        events.push_back(ClientEvent::Answered { token: self.token, answer });
    }
}

impl AdminCall {
    /// The request that asks it.
    pub fn api_key(&self) -> ApiKey {
        match self {
            Self::CreateTopics { .. } => ApiKey::CreateTopics,
            Self::DeleteTopics(_) => ApiKey::DeleteTopics,
            Self::DescribeTopics(_) => ApiKey::Metadata,
            Self::CreatePartitions { .. } => ApiKey::CreatePartitions,
            Self::DescribeConfigs(_) => ApiKey::DescribeConfigs,
            Self::AlterConfigs { .. } => ApiKey::IncrementalAlterConfigs,
            Self::ListConfigResources(_) => ApiKey::ListConfigResources,
            Self::DescribeCluster => ApiKey::DescribeCluster,
            Self::DescribeLogDirs(_) => ApiKey::DescribeLogDirs,
            Self::DescribeVersions => ApiKey::ApiVersions,
        }
    }

    fn decoder(&self) -> Decode {
        use AdminAnswer as To;
        match self {
            Self::CreateTopics { .. } => {
                |version, reader| Ok(To::Created(topics::decode_create(version, reader)?))
            }
            Self::DeleteTopics(_) => {
                |version, reader| Ok(To::Deleted(topics::decode_delete(version, reader)?))
            }
            Self::DescribeTopics(_) => |version, reader| {
                Ok(topics::decode_describe(version, reader)?.map_or_else(To::Failed, To::Topics))
            },
            Self::CreatePartitions { .. } => {
                |version, reader| Ok(To::Partitioned(topics::decode_partitions(version, reader)?))
            }
            Self::DescribeConfigs(_) => {
                |version, reader| Ok(To::Configs(configs::decode_query(version, reader)?))
            }
            Self::AlterConfigs { .. } => {
                |version, reader| Ok(To::Altered(configs::decode_changes(version, reader)?))
            }
            Self::ListConfigResources(_) => |version, reader| {
                Ok(configs::decode_list(version, reader)?.map_or_else(To::Failed, To::Resources))
            },
            Self::DescribeCluster => |version, reader| {
                Ok(cluster::decode_describe(version, reader)?.map_or_else(To::Failed, To::Cluster))
            },
            Self::DescribeLogDirs(_) => |version, reader| {
                Ok(cluster::decode_log_dirs(version, reader)?.map_or_else(To::Failed, To::LogDirs))
            },
            Self::DescribeVersions => |version, reader| {
                Ok(cluster::decode_versions(version, reader)?.map_or_else(To::Failed, To::Versions))
            },
        }
    }

    fn encode(&self, ask: topics::Ask, writer: &mut Writer) -> Result<(), EncodeError> {
        let version = ask.version;
        match self {
            Self::CreateTopics { topics, mode } => topics::encode_create(topics, *mode, ask, writer),
            Self::DeleteTopics(names) => topics::encode_delete(names, ask, writer),
            Self::DescribeTopics(names) => topics::encode_describe(names.as_deref(), ask, writer),
            Self::CreatePartitions { counts, mode } => topics::encode_partitions(counts, *mode, ask, writer),
            Self::DescribeConfigs(query) => configs::encode_query(query, version, writer),
            Self::AlterConfigs { changes, mode } => configs::encode_changes(changes, *mode, version, writer),
            Self::ListConfigResources(kinds) => configs::encode_list(kinds, version, writer),
            Self::DescribeCluster => cluster::encode_describe(version, writer),
            Self::DescribeLogDirs(partitions) => {
                cluster::encode_log_dirs(partitions.as_deref(), version, writer)
            }
            Self::DescribeVersions => cluster::encode_versions(version, writer),
        }
    }
}
