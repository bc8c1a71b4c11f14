//! Kafka's APIs as the home of a connection serves them: one file per key. A request becomes questions to partitions and to the
//! controller, their replies become a response. Knows no connection, no shard and no storage: who is asked how is the caller's.

mod acls;
mod alter_configs;
mod alter_replica_log_dirs;
mod api_versions;
mod client_quotas;
mod config_resource;
mod consumer_group_describe;
mod consumer_group_heartbeat;
mod create_partitions;
mod create_topics;
mod delegation_tokens;
mod delete_groups;
mod delete_records;
mod delete_topics;
mod describe_cluster;
mod describe_configs;
mod describe_groups;
mod describe_log_dirs;
mod describe_producers;
mod describe_quorum;
mod describe_topic_partitions;
mod described;
mod elect_leaders;
mod error;
mod fetch;
mod fetch_session;
mod find_coordinator;
mod group;
mod heartbeat;
mod init_producer_id;
mod join_group;
mod leave_group;
mod list_config_resources;
mod list_groups;
mod list_offsets;
mod metadata;
mod offset_commit;
mod offset_delete;
mod offset_fetch;
mod offset_for_leader_epoch;
mod produce;
mod reassignments;
mod scram;
mod spread;
mod sync_group;
mod topic;
mod transactions;
mod update_features;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use self::fetch_session::Sessions;
use self::init_producer_id::ProducerIds;
use crate::batch::Scratch;
use crate::buf::Slice;
use crate::config::Config;
use crate::controller::{Command, ControllerReply, Image};
use crate::group::command::{GroupCommand, GroupReply};
use crate::id::{PartitionId, Uuid};
use crate::mutant::{self, Mutant};
use crate::prng::Prng;
use crate::replica::{PartitionOp, PartitionReply};
use crate::time::{Duration, Now};
use crate::wire::{ApiKey, DecodeError, EncodeError, Reader, RequestHeader, ResponseHeader, Writer};

/// What a request may look at and use while it is worked on.
pub(crate) struct Context<'a> {
    pub(crate) config: &'a Config,
    pub(crate) image: &'a Arc<Image>,
    pub(crate) now: Now,
    /// The address that the client dialled.
    pub(crate) local: SocketAddr,
    /// Where it is.
    pub(crate) peer: IpAddr,
    pub(crate) shared: &'a mut Shared,
    /// What the request wants to be asked.
    pub(crate) asks: &'a mut Vec<Ask>,
}

/// How large a file system is, and how much of it unprivileged users may still take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileSystem {
    pub total_bytes: u64,
    pub usable_bytes: u64,
}

/// What the requests of one shard have in common.
#[derive(Debug)]
pub(crate) struct Shared {
    sessions: Sessions,
    producer_ids: ProducerIds,
    scratch: Scratch,
    /// The directory that the data lies in, by its id for ever.
    pub(crate) directory: Uuid,
    /// Where the data lies, as it was last told.
    pub(crate) file_system: Option<FileSystem>,
}

impl Shared {
    pub(crate) fn new(prng: Prng) -> Self {
        Self {
            sessions: Sessions::new(prng),
            producer_ids: ProducerIds::default(),
            scratch: Scratch::new(),
            directory: Uuid::ZERO,
            file_system: None,
        }
    }
}

/// Which request it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) key: i16,
    pub(crate) version: i16,
    correlation_id: i32,
}

/// A question of a request. `part` names it; the answer comes back under that number.
#[derive(Debug)]
pub(crate) enum Ask {
    Partition {
        part: u32,
        op: PartitionOp,
    },
    /// The watch that the partition has for this part is not needed any more.
    Unwatch {
        part: u32,
        partition: PartitionId,
    },
    /// The coordinator of a group, by the partition that it has its records in.
    Group {
        part: u32,
        partition: PartitionId,
        command: GroupCommand,
    },
    Controller {
        command: Command,
    },
}

/// What a request is told.
#[derive(Debug)]
pub(crate) enum News {
    Reply(PartitionReply),
    /// A watched partition has more to read.
    Woken,
    Controller(ControllerReply),
    Group(GroupReply),
    /// It has waited for as long as it wanted to.
    Deadline,
}

/// How a request ended.
#[derive(Debug)]
pub(crate) enum Done {
    /// A whole frame, and the first error code in it; zero for none.
    Response {
        parts: Vec<Slice>,
        error: i16,
    },
    NoResponse,
    Close(Refusal),
}

/// Why a request ends its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    Malformed,
    Unsupported,
    UnacknowledgedFailure,
}

/// What became of a request that was just taken up.
#[derive(Debug)]
pub(crate) enum Begun {
    Done { head: Head, done: Done },
    Working { work: Work, wait: Option<Duration> },
}

/// A request that waits for answers.
#[derive(Debug)]
pub(crate) enum Work {
    Produce(produce::Produce),
    Fetch(fetch::Fetch),
    ListOffsets(list_offsets::ListOffsets),
    Metadata(metadata::Metadata),
    CreateTopics(create_topics::CreateTopics),
    DeleteTopics(delete_topics::DeleteTopics),
    DeleteRecords(delete_records::DeleteRecords),
    InitProducerId(init_producer_id::InitProducerId),
    DescribeConfigs(describe_configs::DescribeConfigs),
    /// And IncrementalAlterConfigs.
    AlterConfigs(alter_configs::AlterConfigs),
    OffsetForLeaderEpoch(offset_for_leader_epoch::OffsetForLeaderEpoch),
    DescribeLogDirs(describe_log_dirs::DescribeLogDirs),
    CreatePartitions(create_partitions::CreatePartitions),
    DescribeProducers(describe_producers::DescribeProducers),
    FindCoordinator(find_coordinator::FindCoordinator),
    OffsetCommit(offset_commit::OffsetCommit),
    OffsetFetch(offset_fetch::OffsetFetch),
    OffsetDelete(offset_delete::OffsetDelete),
    ListGroups(list_groups::ListGroups),
    DeleteGroups(delete_groups::DeleteGroups),
    JoinGroup(join_group::JoinGroup),
    SyncGroup(sync_group::SyncGroup),
    Heartbeat(heartbeat::Heartbeat),
    LeaveGroup(leave_group::LeaveGroup),
    DescribeGroups(describe_groups::DescribeGroups),
    ConsumerGroupHeartbeat(consumer_group_heartbeat::ConsumerGroupHeartbeat),
    ConsumerGroupDescribe(consumer_group_describe::ConsumerGroupDescribe),
}

impl Work {
    pub(crate) fn head(&self) -> Head {
        match self {
            Self::Produce(work) => work.head,
            Self::Fetch(work) => work.head,
            Self::ListOffsets(work) => work.head,
            Self::Metadata(work) => work.head,
            Self::CreateTopics(work) => work.head,
            Self::DeleteTopics(work) => work.head,
            Self::DeleteRecords(work) => work.head,
            Self::InitProducerId(work) => work.head,
            Self::DescribeConfigs(work) => work.head,
            Self::AlterConfigs(work) => work.head,
            Self::OffsetForLeaderEpoch(work) => work.head,
            Self::DescribeLogDirs(work) => work.head,
            Self::CreatePartitions(work) => work.head,
            Self::DescribeProducers(work) => work.head,
            Self::FindCoordinator(work) => work.head,
            Self::OffsetCommit(work) => work.head,
            Self::OffsetFetch(work) => work.head,
            Self::OffsetDelete(work) => work.head,
            Self::ListGroups(work) => work.head,
            Self::DeleteGroups(work) => work.head,
            Self::JoinGroup(work) => work.head,
            Self::SyncGroup(work) => work.head,
            Self::Heartbeat(work) => work.head,
            Self::LeaveGroup(work) => work.head,
            Self::DescribeGroups(work) => work.head,
            Self::ConsumerGroupHeartbeat(work) => work.head,
            Self::ConsumerGroupDescribe(work) => work.head,
        }
    }

    /// Takes news for `part`; the end of the request, if this was the last that it waited for.
    pub(crate) fn on_news(&mut self, context: &mut Context<'_>, part: u32, news: News) -> Option<Done> {
        match (self, news) {
            (Self::Produce(work), News::Reply(reply)) => work.on_reply(context, part, reply),
            (Self::Produce(work), News::Deadline) => Some(work.on_deadline()),
            (Self::Fetch(work), News::Reply(reply)) => work.on_reply(context, part, reply),
            (Self::Fetch(work), News::Woken) => work.on_woken(context, part),
            (Self::Fetch(work), News::Deadline) => work.on_deadline(context),
            (Self::ListOffsets(work), News::Reply(reply)) => work.on_reply(part, reply),
            (Self::Metadata(work), News::Controller(_)) => Some(work.respond(context)),
            (Self::CreateTopics(work), News::Controller(reply)) => Some(work.on_reply(context, reply)),
            (Self::DeleteTopics(work), News::Controller(reply)) => Some(work.on_reply(reply)),
            (Self::DeleteRecords(work), News::Reply(reply)) => work.on_reply(part, &reply),
            (Self::InitProducerId(work), News::Controller(reply)) => Some(work.on_reply(context, &reply)),
            (Self::DescribeConfigs(work), News::Controller(reply)) => Some(work.on_reply(reply)),
            (Self::AlterConfigs(work), News::Controller(reply)) => Some(work.on_reply(reply)),
            (Self::OffsetForLeaderEpoch(work), News::Reply(reply)) => work.on_reply(part, &reply),
            (Self::DescribeLogDirs(work), News::Reply(reply)) => work.on_reply(context, part, &reply),
            (Self::CreatePartitions(work), News::Controller(reply)) => Some(work.on_reply(reply)),
            (Self::DescribeProducers(work), News::Reply(reply)) => work.on_reply(part, reply),
            (Self::FindCoordinator(work), News::Controller(_)) => Some(work.on_reply(context)),
            (Self::OffsetCommit(work), News::Group(reply)) => Some(work.on_reply(reply)),
            (Self::OffsetCommit(work), News::Deadline) => Some(work.on_deadline()),
            (Self::OffsetFetch(work), News::Group(reply)) => work.on_reply(context, part, reply),
            (Self::OffsetDelete(work), News::Group(reply)) => Some(work.on_reply(reply)),
            (Self::OffsetDelete(work), News::Deadline) => Some(work.on_deadline()),
            (Self::ListGroups(work), News::Group(reply)) => work.on_reply(reply),
            (Self::DeleteGroups(work), News::Group(reply)) => work.on_reply(part, &reply),
            (Self::DeleteGroups(work), News::Deadline) => Some(work.answer()),
            (Self::JoinGroup(work), News::Group(reply)) => Some(work.on_reply(&reply)),
            (Self::SyncGroup(work), News::Group(reply)) => Some(work.on_reply(&reply)),
            (Self::Heartbeat(work), News::Group(reply)) => Some(work.on_reply(&reply)),
            (Self::LeaveGroup(work), News::Group(reply)) => Some(work.on_reply(reply)),
            (Self::LeaveGroup(work), News::Deadline) => Some(work.on_deadline()),
            (Self::DescribeGroups(work), News::Group(reply)) => work.on_reply(context, part, reply),
            (Self::ConsumerGroupHeartbeat(work), News::Group(reply)) => Some(work.on_reply(reply)),
            (Self::ConsumerGroupHeartbeat(work), News::Deadline) => Some(work.on_deadline()),
            (Self::ConsumerGroupDescribe(work), News::Group(reply)) => work.on_reply(context, part, reply),
            (work, news) => panic!("{work:?} did not ask for {news:?}"),
        }
    }

    /// Nobody waits for the answer any more.
    pub(crate) fn abandon(&self, asks: &mut Vec<Ask>) {
        if let Self::Fetch(fetch) = self {
            fetch.unwatch(asks);
        }
    }
}

/// The APIs that are served and the versions that are advertised: a subset of Kafka's.
pub(crate) const SERVED: &[(ApiKey, i16, i16)] = &[
    // The versions below 3 are advertised and refused, because librdkafka takes them for the sign of compression (KAFKA-18659).
    (ApiKey::Produce, 0, 13),
    (ApiKey::Fetch, 4, 18),
    (ApiKey::ListOffsets, 1, 11),
    (ApiKey::Metadata, 0, 13),
    (ApiKey::OffsetCommit, 2, 10),
    (ApiKey::OffsetFetch, 1, 10),
    (ApiKey::FindCoordinator, 0, 6),
    (ApiKey::JoinGroup, 0, 9),
    (ApiKey::Heartbeat, 0, 4),
    (ApiKey::LeaveGroup, 0, 5),
    (ApiKey::SyncGroup, 0, 5),
    (ApiKey::DescribeGroups, 0, 6),
    (ApiKey::ListGroups, 0, 5),
    (ApiKey::ApiVersions, 0, 4),
    (ApiKey::CreateTopics, 2, 7),
    (ApiKey::DeleteTopics, 1, 6),
    (ApiKey::DeleteRecords, 0, 2),
    (ApiKey::InitProducerId, 0, 5),
    (ApiKey::OffsetForLeaderEpoch, 2, 4),
    (ApiKey::DescribeAcls, 1, 3),
    (ApiKey::CreateAcls, 1, 3),
    (ApiKey::DeleteAcls, 1, 3),
    (ApiKey::DescribeConfigs, 1, 4),
    (ApiKey::AlterConfigs, 0, 2),
    (ApiKey::AlterReplicaLogDirs, 1, 2),
    (ApiKey::DescribeLogDirs, 1, 5),
    (ApiKey::CreatePartitions, 0, 3),
    (ApiKey::CreateDelegationToken, 1, 3),
    (ApiKey::RenewDelegationToken, 1, 2),
    (ApiKey::ExpireDelegationToken, 1, 2),
    (ApiKey::DescribeDelegationToken, 1, 3),
    (ApiKey::DeleteGroups, 0, 2),
    (ApiKey::ElectLeaders, 0, 2),
    (ApiKey::IncrementalAlterConfigs, 0, 1),
    (ApiKey::AlterPartitionReassignments, 0, 1),
    (ApiKey::ListPartitionReassignments, 0, 0),
    (ApiKey::OffsetDelete, 0, 0),
    (ApiKey::DescribeClientQuotas, 0, 1),
    (ApiKey::AlterClientQuotas, 0, 1),
    (ApiKey::DescribeUserScramCredentials, 0, 0),
    (ApiKey::AlterUserScramCredentials, 0, 0),
    (ApiKey::DescribeQuorum, 0, 2),
    (ApiKey::UpdateFeatures, 0, 2),
    (ApiKey::DescribeCluster, 0, 2),
    (ApiKey::DescribeProducers, 0, 0),
    (ApiKey::DescribeTransactions, 0, 0),
    (ApiKey::ListTransactions, 0, 2),
    (ApiKey::ConsumerGroupHeartbeat, 0, 1),
    (ApiKey::ConsumerGroupDescribe, 0, 1),
    (ApiKey::ListConfigResources, 0, 1),
    (ApiKey::DescribeTopicPartitions, 0, 0),
];

/// Takes a request up: `frame` is its header and body.
pub(crate) fn begin(context: &mut Context<'_>, frame: &Slice) -> Begun {
    let mut reader = Reader::new(frame);
    let Ok(header) = RequestHeader::decode(&mut reader) else {
        let head = Head { key: -1, version: -1, correlation_id: 0 };
        return Begun::Done { head, done: Done::Close(Refusal::Malformed) };
    };
    let head =
        Head { key: header.api_key, version: header.api_version, correlation_id: header.correlation_id };
    let served = SERVED.iter().find(|(key, _, _)| key.code() == head.key);
    let Some(&(key, min, max)) = served else {
        return Begun::Done { head, done: Done::Close(Refusal::Unsupported) };
    };
    if key == ApiKey::ApiVersions {
        return Begun::Done { head, done: api_versions::respond(head, &mut reader) };
    }
    // The codec of Produce has no versions below 3, although they are advertised.
    if !(min..=max).contains(&head.version) || !key.versions().contains(&head.version) {
        return Begun::Done { head, done: Done::Close(Refusal::Unsupported) };
    }
    let begun = take_up(context, key, head, header.client_id.unwrap_or_default(), reader, frame);
    begun.unwrap_or(Begun::Done { head, done: Done::Close(Refusal::Malformed) })
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the key is one of the served ones")]
fn take_up(
    context: &mut Context<'_>,
    key: ApiKey,
    head: Head,
    client_id: &str,
    reader: Reader<'_>,
    frame: &Slice,
) -> Beginning {
    match key {
        ApiKey::Produce => produce::begin(context, head, reader, frame),
        ApiKey::Fetch => fetch::begin(context, head, reader),
        ApiKey::ListOffsets => list_offsets::begin(context, head, reader),
        ApiKey::Metadata => metadata::begin(context, head, reader),
        ApiKey::ListGroups => list_groups::begin(context, head, reader),
        ApiKey::FindCoordinator => find_coordinator::begin(context, head, reader),
        ApiKey::OffsetCommit => offset_commit::begin(context, head, reader),
        ApiKey::OffsetFetch => offset_fetch::begin(context, head, reader),
        ApiKey::OffsetDelete => offset_delete::begin(context, head, reader),
        ApiKey::DeleteGroups => delete_groups::begin(context, head, reader),
        ApiKey::JoinGroup => join_group::begin(context, head, client_id, reader),
        ApiKey::SyncGroup => sync_group::begin(context, head, reader),
        ApiKey::Heartbeat => heartbeat::begin(context, head, reader),
        ApiKey::LeaveGroup => leave_group::begin(context, head, reader),
        ApiKey::DescribeGroups => describe_groups::begin(context, head, reader),
        ApiKey::ConsumerGroupHeartbeat => consumer_group_heartbeat::begin(context, head, client_id, reader),
        ApiKey::ConsumerGroupDescribe => consumer_group_describe::begin(context, head, reader),
        ApiKey::CreateTopics => create_topics::begin(context, head, reader),
        ApiKey::DeleteTopics => delete_topics::begin(context, head, reader),
        ApiKey::DeleteRecords => delete_records::begin(context, head, reader),
        ApiKey::InitProducerId => init_producer_id::begin(context, head, reader),
        ApiKey::OffsetForLeaderEpoch => offset_for_leader_epoch::begin(context, head, reader),
        ApiKey::DescribeAcls => acls::describe(head, reader),
        ApiKey::CreateAcls => acls::create(head, reader),
        ApiKey::DeleteAcls => acls::delete(head, reader),
        ApiKey::AlterReplicaLogDirs => alter_replica_log_dirs::begin(context, head, reader),
        ApiKey::DescribeLogDirs => describe_log_dirs::begin(context, head, reader),
        ApiKey::CreatePartitions => create_partitions::begin(context, head, reader),
        ApiKey::CreateDelegationToken => delegation_tokens::create(head, reader),
        ApiKey::RenewDelegationToken => delegation_tokens::renew(head, reader),
        ApiKey::ExpireDelegationToken => delegation_tokens::expire(head, reader),
        ApiKey::DescribeDelegationToken => delegation_tokens::describe(head, reader),
        ApiKey::ElectLeaders => elect_leaders::begin(context, head, reader),
        ApiKey::AlterPartitionReassignments => reassignments::alter(context, head, reader),
        ApiKey::ListPartitionReassignments => reassignments::list(head, reader),
        ApiKey::DescribeClientQuotas => client_quotas::describe(head, reader),
        ApiKey::AlterClientQuotas => client_quotas::alter(head, reader),
        ApiKey::DescribeUserScramCredentials => scram::describe(head, reader),
        ApiKey::AlterUserScramCredentials => scram::alter(head, reader),
        ApiKey::DescribeQuorum => describe_quorum::begin(context, head, reader),
        ApiKey::UpdateFeatures => update_features::begin(head, reader),
        ApiKey::DescribeCluster => describe_cluster::begin(context, head, reader),
        ApiKey::DescribeProducers => describe_producers::begin(context, head, reader),
        ApiKey::DescribeTransactions => transactions::describe(head, reader),
        ApiKey::ListTransactions => transactions::list(head, reader),
        ApiKey::DescribeTopicPartitions => describe_topic_partitions::begin(context, head, reader),
        ApiKey::DescribeConfigs => describe_configs::begin(context, head, reader),
        ApiKey::AlterConfigs => alter_configs::begin_replace(context, head, reader),
        ApiKey::IncrementalAlterConfigs => alter_configs::begin_each(context, head, reader),
        ApiKey::ListConfigResources => list_config_resources::begin(context, head, reader),
        other => unreachable!("{other:?} is not served"),
    }
}

/// Decodes a body. Bytes behind it are ignored, as Kafka ignores them: librdkafka 2.16 leaves three behind a Metadata request for
/// all topics.
macro_rules! decode_body {
    ($request:ty, $head:expr, $reader:expr) => {{
        let mut reader = $reader;
        <$request>::decode($head.version, &mut reader)?
    }};
}
use decode_body;

/// Frames a response: its header, then what `body` writes.
fn respond(head: Head, body: impl FnOnce(i16, &mut Writer) -> Result<(), EncodeError>) -> Done {
    let key = ApiKey::from_code(head.key).expect("only served keys are answered");
    let mut writer = Writer::frame();
    let wrong =
        mutant::on(Mutant::WrongCorrelationId) && key == ApiKey::Fetch && head.correlation_id % 16 == 7;
    ResponseHeader::new(head.correlation_id + i32::from(wrong))
        .encode(key, head.version, &mut writer)
        .expect("the header of a served key has an encoding");
    // Texts of a response come from a request or are ours, and arrays from a request or the image: all lengths fit.
    body(head.version, &mut writer).expect("a response fits its version");
    Done::Response { error: writer.first_error_code(), parts: writer.into_parts() }
}

/// The answer to a request that needs to ask nobody.
fn answered(head: Head, body: impl FnOnce(i16, &mut Writer) -> Result<(), EncodeError>) -> Beginning {
    Ok(Begun::Done { head, done: respond(head, body) })
}

/// The result of taking a request up, if its body is what its version says.
type Beginning = Result<Begun, DecodeError>;

#[cfg(test)]
mod tests;
