//! What may be asked of the coordinator of a group, and what it answers: one group at a time, without its encoding.

use alloc::string::String;
use alloc::vec::Vec;

use crate::id::TopicId;
use crate::time::Duration;

/// Who asks, as shown to those who look at the group.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Client {
    pub id: String,
    /// Its address, with a slash before it, as Kafka shows it.
    pub host: String,
}

/// A partition by the name of its topic.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TopicPartition {
    pub topic: String,
    pub partition: i32,
}

/// Partitions of one topic, in order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TopicPartitions {
    pub topic: TopicId,
    pub partitions: Vec<i32>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupCommand {
    Join(Join),
    Sync(Sync),
    Heartbeat(Heartbeat),
    Leave(Leave),
    CommitOffsets(CommitOffsets),
    FetchOffsets(FetchOffsets),
    DeleteOffsets(DeleteOffsets),
    /// All groups of this coordinator.
    List,
    /// A group of the classic protocol, by its id.
    Describe(String),
    Delete(String),
    ConsumerHeartbeat(ConsumerHeartbeat),
    /// A group of the consumer protocol, by its id.
    ConsumerDescribe(String),
}

impl GroupCommand {
    /// The group that it is about; empty where it is about all.
    pub fn group(&self) -> &str {
        match self {
            Self::Join(join) => &join.group,
            Self::Sync(sync) => &sync.group,
            Self::Heartbeat(heartbeat) => &heartbeat.group,
            Self::Leave(leave) => &leave.group,
            Self::CommitOffsets(commit) => &commit.group,
            Self::FetchOffsets(fetch) => &fetch.group,
            Self::DeleteOffsets(delete) => &delete.group,
            Self::List => "",
            Self::Describe(group) | Self::Delete(group) | Self::ConsumerDescribe(group) => group,
            Self::ConsumerHeartbeat(heartbeat) => &heartbeat.group,
        }
    }
}

/// JoinGroup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Join {
    pub group: String,
    /// Empty for a new member.
    pub member: String,
    pub instance: Option<String>,
    pub client: Client,
    pub session_timeout: Duration,
    pub rebalance_timeout: Duration,
    pub protocol_type: String,
    /// Name and metadata, the preferred one first.
    pub protocols: Vec<(String, Vec<u8>)>,
    /// Whether a new member is told its id first, and joins with it then (KIP-394; version 4 and later).
    pub known_member_required: bool,
    /// Whether the leader can be told to keep the assignment (KIP-814; version 9 and later).
    pub can_skip_assignment: bool,
    /// KIP-800.
    pub reason: Option<String>,
}

/// SyncGroup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sync {
    pub group: String,
    pub generation: i32,
    pub member: String,
    pub instance: Option<String>,
    /// KIP-559: to be compared if told.
    pub protocol_type: Option<String>,
    pub protocol: Option<String>,
    /// Of each member, from the leader.
    pub assignments: Vec<(String, Vec<u8>)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heartbeat {
    pub group: String,
    pub generation: i32,
    pub member: String,
    pub instance: Option<String>,
}

/// LeaveGroup, of one member or of several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leave {
    pub group: String,
    pub members: Vec<Leaving>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaving {
    /// May be empty where an instance is named.
    pub member: String,
    pub instance: Option<String>,
    pub reason: Option<String>,
}

/// OffsetCommit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitOffsets {
    pub group: String,
    /// Or the member epoch; negative for a commit of no member.
    pub generation: i32,
    pub member: String,
    pub instance: Option<String>,
    /// Version 9 and later know the errors of the consumer protocol.
    pub knows_member_epochs: bool,
    /// Versions 2 to 4: how long they last.
    pub retention: Option<Duration>,
    pub offsets: Vec<(TopicPartition, Committing)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committing {
    /// `None` where the request named the topic only.
    pub topic: Option<TopicId>,
    pub offset: i64,
    pub leader_epoch: Option<i32>,
    pub metadata: String,
}

/// OffsetFetch, of one group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchOffsets {
    pub group: String,
    /// KIP-848, version 9 and later: who asks, if it says so, and its epoch.
    pub member: Option<(String, i32)>,
    /// `None` asks for all.
    pub partitions: Option<Vec<TopicPartition>>,
    /// Offsets of transactions that are open count as unstable (KIP-447).
    pub require_stable: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeleteOffsets {
    pub group: String,
    pub partitions: Vec<TopicPartition>,
}

/// ConsumerGroupHeartbeat (KIP-848): `None` where nothing has changed since the last one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerHeartbeat {
    pub group: String,
    pub member: String,
    /// 0 joins, −1 leaves, −2 leaves for a while as a static member.
    pub member_epoch: i32,
    pub instance: Option<String>,
    pub client: Client,
    pub rack: Option<String>,
    pub rebalance_timeout: Option<Duration>,
    pub topics: Option<Vec<String>>,
    pub regex: Option<String>,
    pub assignor: Option<String>,
    pub owned: Option<Vec<TopicPartitions>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupReply {
    Joined(Joined),
    Synced(Synced),
    /// Of a heartbeat or the deletion of a group.
    Done,
    /// One for each that was to leave.
    Left(Vec<Result<(), GroupError>>),
    /// One for each partition, in the order of the command.
    Committed(Vec<Result<(), GroupError>>),
    Fetched(Vec<(TopicPartition, Fetched)>),
    /// One for each partition, in the order of the command.
    Deleted(Vec<Result<(), GroupError>>),
    Listed(Vec<Listed>),
    Described(Described),
    ConsumerHeartbeat(ConsumerAssigned),
    ConsumerDescribed(ConsumerDescribed),
    /// A join that is told its id and has to come again with it: `MemberIdRequired`.
    MemberIdRequired(String),
    Failed(GroupError),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    pub generation: i32,
    pub protocol_type: String,
    pub protocol: String,
    pub leader: String,
    pub skip_assignment: bool,
    pub member: String,
    /// All of them with their metadata, for the leader alone.
    pub members: Vec<JoinedMember>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinedMember {
    pub id: String,
    pub instance: Option<String>,
    pub metadata: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Synced {
    pub protocol_type: String,
    pub protocol: String,
    pub assignment: Vec<u8>,
}

/// What is known of a partition's offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fetched {
    Offset {
        offset: i64,
        leader_epoch: Option<i32>,
        metadata: String,
    },
    /// Nothing was committed.
    None,
    /// A transaction is about to set it.
    Unstable,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    pub group: String,
    pub protocol_type: String,
    pub state: GroupState,
    pub kind: GroupKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupKind {
    Classic,
    Consumer,
}

/// States of both protocols, under the names that tools show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupState {
    Empty,
    PreparingRebalance,
    CompletingRebalance,
    Assigning,
    Reconciling,
    Stable,
    Dead,
}

impl GroupState {
    /// As answers, tools and metrics call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::PreparingRebalance => "PreparingRebalance",
            Self::CompletingRebalance => "CompletingRebalance",
            Self::Assigning => "Assigning",
            Self::Reconciling => "Reconciling",
            Self::Stable => "Stable",
            Self::Dead => "Dead",
        }
    }
}

impl GroupKind {
    /// As answers, tools and metrics call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Classic => "classic",
            Self::Consumer => "consumer",
        }
    }
}

/// DescribeGroups, of one group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    pub state: GroupState,
    pub protocol_type: String,
    /// Empty unless the group is stable.
    pub protocol: String,
    pub members: Vec<DescribedMember>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribedMember {
    pub id: String,
    pub instance: Option<String>,
    pub client: Client,
    pub metadata: Vec<u8>,
    pub assignment: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerAssigned {
    pub member: String,
    pub member_epoch: i32,
    pub heartbeat_interval: Duration,
    /// `None` where it is as before.
    pub assignment: Option<Vec<TopicPartitions>>,
}

/// ConsumerGroupDescribe, of one group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerDescribed {
    pub state: GroupState,
    pub epoch: i32,
    pub assignment_epoch: i32,
    pub assignor: String,
    pub members: Vec<ConsumerDescribedMember>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerDescribedMember {
    pub id: String,
    pub instance: Option<String>,
    pub rack: Option<String>,
    pub epoch: i32,
    pub client: Client,
    pub topics: Vec<String>,
    pub regex: Option<String>,
    pub assignment: Vec<TopicPartitions>,
    pub target: Vec<TopicPartitions>,
    /// It speaks the classic protocol.
    pub kind: GroupKind,
}

/// Why a command is refused. The peer's fault or a state that passes; never ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupError {
    /// What is on disk is still being read.
    Loading,
    /// Another node has the group.
    NotCoordinator,
    /// There is no room for the records now, or there never will be.
    NotAvailable,
    IllegalGeneration,
    InconsistentProtocol,
    InvalidGroupId,
    UnknownMember,
    InvalidSessionTimeout,
    RebalanceInProgress,
    MetadataTooLarge,
    InvalidCommitSize,
    MaxSizeReached,
    FencedInstance,
    NonEmpty,
    GroupNotFound,
    /// There is one of this name, of another protocol.
    NotClassic,
    NotConsumer,
    /// Its offsets may not be deleted.
    SubscribedToTopic,
    UnknownTopicOrPartition,
    StaleMemberEpoch,
    FencedMemberEpoch,
    UnreleasedInstance,
    UnsupportedAssignor,
    InvalidRegularExpression(String),
    InvalidRequest(String),
}
