//! Admin calls, each with its answer. An answer to something else is taken for none.

use highwater_core::client::{
    AdminAnswer, AdminCall, BrokerVersions, Client, ClientError, ClientEvent, ClusterDescription,
    CommittedOffset, ConfigChange, ConfigQuery, ConfigResource, Destination, GroupCall, GroupDescription,
    ListedGroup, ListedOffset, LogDir, Mode, NewTopic, OffsetAt, OffsetToCommit, PartitionCall,
    PartitionCount, ResourceConfigs, ResourceKind, ResourceResult, Token, TopicDescription, TopicPartition,
    TopicResult,
};
use highwater_core::id::Offset;
use highwater_core::time::Now;
use highwater_core::wire::ApiKey;

use crate::drive::{Drive, Step};
use crate::failure::Failure;
use crate::words::Attempt;

/// What was found of each partition, or why nothing.
type OfPartitions<T> = Vec<(TopicPartition, Result<T, ClientError>)>;

/// What was found of each group, or why nothing.
type OfGroups<T> = Vec<(String, Result<T, ClientError>)>;

/// Takes the answer apart that is meant, and fails on any other.
macro_rules! expect {
    ($attempt:expr, $answer:expr, $variant:ident) => {{
        let answer = $answer;
        if let AdminAnswer::$variant(found) = answer {
            Ok(found)
        } else {
            Err($attempt.failed(ClientError::Malformed))
        }
    }};
}

impl Drive {
    fn ask(
        &mut self,
        attempt: &Attempt<'_>,
        call: AdminCall,
        to: Destination,
    ) -> Result<AdminAnswer, Failure> {
        let key = call.api_key();
        self.wait_for(attempt, key, |client, now, token| client.admin(now, token, call, to))
    }

    fn ask_any(&mut self, attempt: &Attempt<'_>, call: AdminCall) -> Result<AdminAnswer, Failure> {
        self.ask(attempt, call, Destination::AnyBroker)
    }

    /// Makes one call and waits for its answer.
    fn wait_for(
        &mut self,
        attempt: &Attempt<'_>,
        key: ApiKey,
        call: impl FnOnce(&mut Client, Now, Token) -> bool,
    ) -> Result<AdminAnswer, Failure> {
        let (now, until) = (self.now(), self.patience());
        assert!(call(&mut self.client, now, Token(0)), "a command makes one admin call at a time");
        loop {
            match self.step(Some(until))? {
                Step::Event(ClientEvent::Answered {
                    answer: AdminAnswer::Failed(ClientError::TimedOut),
                    ..
                })
                | Step::Late => return Err(self.late(attempt.what)),
                Step::Event(ClientEvent::Answered { answer: AdminAnswer::Failed(error), .. }) => {
                    let lacking = format!("this is {}, API {}", key.name(), key.code());
                    let unsupported = error == ClientError::UnsupportedVersion;
                    let message = if unsupported { Some(lacking.as_str()) } else { attempt.message };
                    return Err(Attempt { message, ..*attempt }.failed(error));
                }
                Step::Event(ClientEvent::Answered { answer, .. }) => return Ok(answer),
                Step::Event(
                    ClientEvent::Produced { .. }
                    | ClientEvent::Fetched(_)
                    | ClientEvent::FetchFailed { .. }
                    | ClientEvent::Member(_),
                )
                | Step::Woken => {}
            }
        }
    }

    pub(crate) fn create_topics(
        &mut self,
        attempt: &Attempt<'_>,
        topics: Vec<NewTopic>,
        mode: Mode,
    ) -> Result<Vec<TopicResult>, Failure> {
        expect!(attempt, self.ask_any(attempt, AdminCall::CreateTopics { topics, mode })?, Created)
    }

    pub(crate) fn delete_topics(
        &mut self,
        attempt: &Attempt<'_>,
        names: Vec<String>,
    ) -> Result<Vec<TopicResult>, Failure> {
        expect!(attempt, self.ask_any(attempt, AdminCall::DeleteTopics(names))?, Deleted)
    }

    /// All topics, sorted by name.
    pub(crate) fn list_topics(&mut self) -> Result<Vec<TopicDescription>, Failure> {
        let place = self.bootstrap().to_owned();
        let attempt = Attempt { what: "cannot list the topics", place: &place, message: None };
        let mut topics = expect!(attempt, self.ask_any(&attempt, AdminCall::DescribeTopics(None))?, Topics)?;
        topics.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(topics)
    }

    pub(crate) fn describe(&mut self, topics: &[String]) -> Result<Vec<TopicDescription>, Failure> {
        let place = topics.join(", ");
        let attempt = Attempt { what: "cannot describe topics", place: &place, message: None };
        let call = AdminCall::DescribeTopics(Some(topics.to_vec()));
        expect!(attempt, self.ask_any(&attempt, call)?, Topics)
    }

    /// Every partition of the topics; the first topic that is in error fails all.
    pub(crate) fn all_partitions(&mut self, topics: &[String]) -> Result<Vec<TopicPartition>, Failure> {
        let mut partitions = Vec::new();
        for topic in self.describe(topics)? {
            if let Some(error) = topic.error {
                let attempt = Attempt { what: "cannot use the topic", place: &topic.name, message: None };
                return Err(attempt.failed(error));
            }
            partitions.extend(topic.partitions.iter().map(|p| TopicPartition::new(&topic.name, p.index)));
        }
        Ok(partitions)
    }

    pub(crate) fn create_partitions(
        &mut self,
        attempt: &Attempt<'_>,
        counts: Vec<PartitionCount>,
        mode: Mode,
    ) -> Result<Vec<TopicResult>, Failure> {
        expect!(attempt, self.ask_any(attempt, AdminCall::CreatePartitions { counts, mode })?, Partitioned)
    }

    pub(crate) fn configs(
        &mut self,
        attempt: &Attempt<'_>,
        resources: Vec<ConfigResource>,
        keys: Option<Vec<String>>,
    ) -> Result<Vec<ResourceConfigs>, Failure> {
        let to = self.keeper(attempt, &resources)?;
        let call = AdminCall::DescribeConfigs(ConfigQuery { resources, keys });
        expect!(attempt, self.ask(attempt, call, to)?, Configs)
    }

    pub(crate) fn alter_configs(
        &mut self,
        attempt: &Attempt<'_>,
        changes: Vec<ConfigChange>,
        mode: Mode,
    ) -> Result<Vec<ResourceResult>, Failure> {
        let resources: Vec<ConfigResource> = changes.iter().map(|change| change.resource.clone()).collect();
        let to = self.keeper(attempt, &resources)?;
        expect!(attempt, self.ask(attempt, AdminCall::AlterConfigs { changes, mode }, to)?, Altered)
    }

    /// Only the broker itself knows its own settings and loggers.
    fn keeper(
        &mut self,
        attempt: &Attempt<'_>,
        resources: &[ConfigResource],
    ) -> Result<Destination, Failure> {
        let own = resources.iter().find(|resource| match resource.kind {
            ResourceKind::Broker | ResourceKind::BrokerLogger => !resource.name.is_empty(),
            ResourceKind::Topic
            | ResourceKind::ClientMetrics
            | ResourceKind::Group
            | ResourceKind::Other(_) => false,
        });
        let Some(resource) = own else { return Ok(Destination::AnyBroker) };
        let cluster = self.cluster()?;
        match cluster.nodes.iter().find(|node| node.id.0.to_string() == resource.name) {
            Some(node) => Ok(Destination::Broker(node.address.clone())),
            None => Err(no_such_node(attempt, &resource.name, &cluster)),
        }
    }

    pub(crate) fn config_resources(
        &mut self,
        attempt: &Attempt<'_>,
        kinds: Vec<ResourceKind>,
    ) -> Result<Vec<ConfigResource>, Failure> {
        expect!(attempt, self.ask_any(attempt, AdminCall::ListConfigResources(kinds))?, Resources)
    }

    pub(crate) fn cluster(&mut self) -> Result<ClusterDescription, Failure> {
        let place = self.bootstrap().to_owned();
        let attempt = Attempt { what: "cannot describe the cluster", place: &place, message: None };
        expect!(attempt, self.ask_any(&attempt, AdminCall::DescribeCluster)?, Cluster)
    }

    pub(crate) fn log_dirs(
        &mut self,
        attempt: &Attempt<'_>,
        partitions: Option<Vec<TopicPartition>>,
        node: Destination,
    ) -> Result<Vec<LogDir>, Failure> {
        expect!(attempt, self.ask(attempt, AdminCall::DescribeLogDirs(partitions), node)?, LogDirs)
    }

    pub(crate) fn versions(
        &mut self,
        attempt: &Attempt<'_>,
        node: Destination,
    ) -> Result<BrokerVersions, Failure> {
        expect!(attempt, self.ask(attempt, AdminCall::DescribeVersions, node)?, Versions)
    }

    pub(crate) fn offsets(
        &mut self,
        partitions: &[TopicPartition],
        at: OffsetAt,
    ) -> Result<OfPartitions<ListedOffset>, Failure> {
        let place = named(partitions);
        let attempt = Attempt { what: "cannot find the offsets", place: &place, message: None };
        let call = PartitionCall::ListOffsets { partitions: partitions.to_vec(), at };
        expect!(attempt, self.ask_leaders(&attempt, call)?, Offsets)
    }

    pub(crate) fn delete_records(
        &mut self,
        attempt: &Attempt<'_>,
        before: Vec<(TopicPartition, Offset)>,
    ) -> Result<OfPartitions<Offset>, Failure> {
        expect!(attempt, self.ask_leaders(attempt, PartitionCall::DeleteRecords(before))?, Trimmed)
    }

    pub(crate) fn groups(
        &mut self,
        attempt: &Attempt<'_>,
        states: Vec<String>,
        types: Vec<String>,
    ) -> Result<Vec<ListedGroup>, Failure> {
        expect!(attempt, self.ask_groups(attempt, GroupCall::List { states, types })?, Groups)
    }

    pub(crate) fn describe_groups(
        &mut self,
        attempt: &Attempt<'_>,
        groups: Vec<String>,
    ) -> Result<OfGroups<GroupDescription>, Failure> {
        expect!(attempt, self.ask_groups(attempt, GroupCall::Describe(groups))?, GroupsDescribed)
    }

    pub(crate) fn delete_groups(
        &mut self,
        attempt: &Attempt<'_>,
        groups: Vec<String>,
    ) -> Result<OfGroups<()>, Failure> {
        expect!(attempt, self.ask_groups(attempt, GroupCall::Delete(groups))?, GroupsDeleted)
    }

    /// All that the group has committed.
    pub(crate) fn group_offsets(
        &mut self,
        attempt: &Attempt<'_>,
        group: &str,
    ) -> Result<OfPartitions<Option<CommittedOffset>>, Failure> {
        let call = GroupCall::FetchOffsets { group: group.into(), partitions: None };
        expect!(attempt, self.ask_groups(attempt, call)?, GroupOffsets)
    }

    pub(crate) fn commit_group_offsets(
        &mut self,
        attempt: &Attempt<'_>,
        group: &str,
        offsets: Vec<OffsetToCommit>,
    ) -> Result<OfPartitions<()>, Failure> {
        let call = GroupCall::CommitOffsets { group: group.into(), offsets };
        expect!(attempt, self.ask_groups(attempt, call)?, OffsetsChanged)
    }

    pub(crate) fn delete_group_offsets(
        &mut self,
        attempt: &Attempt<'_>,
        group: &str,
        partitions: Vec<TopicPartition>,
    ) -> Result<OfPartitions<()>, Failure> {
        let call = GroupCall::DeleteOffsets { group: group.into(), partitions };
        expect!(attempt, self.ask_groups(attempt, call)?, OffsetsChanged)
    }

    fn ask_groups(&mut self, attempt: &Attempt<'_>, call: GroupCall) -> Result<AdminAnswer, Failure> {
        let key = call.api_key();
        self.wait_for(attempt, key, |client, now, token| client.group_admin(now, token, call))
    }

    fn ask_leaders(&mut self, attempt: &Attempt<'_>, call: PartitionCall) -> Result<AdminAnswer, Failure> {
        let key = call.api_key();
        self.wait_for(attempt, key, |client, now, token| client.partition_admin(now, token, call))
    }
}

/// The topics of partitions, each once.
fn named(partitions: &[TopicPartition]) -> String {
    let mut topics: Vec<&str> = partitions.iter().map(|partition| &*partition.topic).collect();
    topics.dedup();
    topics.join(", ")
}

fn no_such_node(attempt: &Attempt<'_>, name: &str, cluster: &ClusterDescription) -> Failure {
    let ids: Vec<String> = cluster.nodes.iter().map(|node| node.id.0.to_string()).collect();
    Failure {
        exit: crate::failure::Exit::Failed,
        what: attempt.what.into(),
        place: format!("node {name}"),
        why: format!("the cluster has the nodes {}", ids.join(", ")),
        fix: "name one of these; `highwater cluster info` tells more".into(),
    }
}
