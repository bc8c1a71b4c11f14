//! The questions about groups as requests have them, and what the answers say.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use super::{
    AdminAnswer, GroupCall, GroupDescription, GroupEpochs, GroupMember, ListedGroup, OfGroups, Part, Results,
};
use crate::buf::Slice;
use crate::client::group::commits::{self, Committer};
use crate::client::group::offsets::{self, Asker, NAMES_VERSION_MAX};
use crate::client::group::{decode_assignment, decode_subscription};
use crate::client::links::Sending;
use crate::client::{ClientError, TopicPartition};
use crate::wire::messages::consumer_group_describe_request::ConsumerGroupDescribeRequest;
use crate::wire::messages::consumer_group_describe_response::{
    Assignment, ConsumerGroupDescribeResponse, Member,
};
use crate::wire::messages::delete_groups_request::DeleteGroupsRequest;
use crate::wire::messages::delete_groups_response::DeleteGroupsResponse;
use crate::wire::messages::describe_groups_request::DescribeGroupsRequest;
use crate::wire::messages::describe_groups_response::DescribeGroupsResponse;
use crate::wire::messages::list_groups_request::ListGroupsRequest;
use crate::wire::messages::list_groups_response::ListGroupsResponse;
use crate::wire::messages::offset_delete_request::{
    OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use crate::wire::messages::offset_delete_response::OffsetDeleteResponse;
use crate::wire::{ApiKey, EncodeError, ErrorCode, Reader, Writer};

/// As what a group is described.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Consumer,
    Classic,
}

#[derive(Debug)]
pub(super) enum Found {
    Listed(Vec<ListedGroup>),
    Described(GroupDescription),
    Deleted,
    Offsets(offsets::Found),
    Results(Results),
}

pub(super) fn sending(call: &GroupCall, way: Way) -> Sending {
    let key = match call {
        GroupCall::List { .. } => ApiKey::ListGroups,
        GroupCall::Describe(_) if way == Way::Consumer => ApiKey::ConsumerGroupDescribe,
        GroupCall::Describe(_) => ApiKey::DescribeGroups,
        GroupCall::Delete(_) => ApiKey::DeleteGroups,
        GroupCall::FetchOffsets { .. } => ApiKey::OffsetFetch,
        GroupCall::CommitOffsets { .. } => ApiKey::OffsetCommit,
        GroupCall::DeleteOffsets { .. } => ApiKey::OffsetDelete,
    };
    let named = matches!(call, GroupCall::FetchOffsets { .. } | GroupCall::CommitOffsets { .. });
    let version_max = if named { NAMES_VERSION_MAX } else { i16::MAX };
    Sending { version_max, ..Sending::new(key) }
}

pub(super) fn encode(
    call: &GroupCall,
    (group, way): (&str, Way),
    version: i16,
    writer: &mut Writer,
) -> Result<(), EncodeError> {
    match call {
        GroupCall::List { states, types } => {
            let request = ListGroupsRequest {
                states_filter: states.iter().map(String::as_str).collect(),
                types_filter: types.iter().map(String::as_str).collect(),
                ..ListGroupsRequest::default()
            };
            request.encode(version, writer)
        }
        GroupCall::Describe(_) if way == Way::Consumer => {
            let request = ConsumerGroupDescribeRequest { group_ids: vec![group], ..Default::default() };
            request.encode(version, writer)
        }
        GroupCall::Describe(_) => {
            DescribeGroupsRequest { groups: vec![group], ..Default::default() }.encode(version, writer)
        }
        GroupCall::Delete(_) => {
            DeleteGroupsRequest { groups_names: vec![group], ..Default::default() }.encode(version, writer)
        }
        GroupCall::FetchOffsets { partitions, .. } => {
            offsets::request(Asker { group, member: None }, partitions.as_deref()).encode(version, writer)
        }
        GroupCall::CommitOffsets { offsets, .. } => {
            let committer = Committer { group, member: "", instance: None, epoch: -1 };
            commits::request(committer, offsets).encode(version, writer)
        }
        GroupCall::DeleteOffsets { partitions, .. } => {
            delete_offsets(group, partitions).encode(version, writer)
        }
    }
}

fn delete_offsets<'a>(group: &'a str, partitions: &'a [TopicPartition]) -> OffsetDeleteRequest<'a> {
    let mut topics: BTreeMap<&Arc<str>, Vec<OffsetDeleteRequestPartition>> = BTreeMap::new();
    for key in partitions {
        let partition = OffsetDeleteRequestPartition { partition_index: key.index };
        topics.entry(&key.topic).or_default().push(partition);
    }
    let topics = topics.into_iter().map(|(name, partitions)| OffsetDeleteRequestTopic { name, partitions });
    OffsetDeleteRequest { group_id: group, topics: topics.collect() }
}

pub(super) fn decode(call: &GroupCall, part: &Part, answer: (i16, &Slice)) -> Result<Found, ClientError> {
    let (version, body) = answer;
    let malformed = |_| ClientError::Malformed;
    let mut reader = Reader::new(body);
    match call {
        GroupCall::List { .. } => {
            let response = ListGroupsResponse::decode(version, &mut reader).map_err(malformed)?;
            checked(response.error_code)?;
            let listed = response.groups.iter().map(|group| ListedGroup {
                group: group.group_id.into(),
                protocol_type: group.protocol_type.into(),
                state: group.group_state.into(),
                kind: group.group_type.into(),
            });
            Ok(Found::Listed(listed.collect()))
        }
        GroupCall::Describe(_) if part.way == Way::Consumer => {
            let response = ConsumerGroupDescribeResponse::decode(version, &mut reader).map_err(malformed)?;
            let group = response.groups.first().ok_or(ClientError::Malformed)?;
            checked(group.error_code)?;
            Ok(Found::Described(GroupDescription {
                group: group.group_id.into(),
                state: group.group_state.into(),
                epochs: Some(GroupEpochs { group: group.group_epoch, assignment: group.assignment_epoch }),
                assignor: group.assignor_name.into(),
                members: group.members.iter().map(member).collect(),
            }))
        }
        GroupCall::Describe(_) => {
            let response = DescribeGroupsResponse::decode(version, &mut reader).map_err(malformed)?;
            classic(&response).map(Found::Described)
        }
        GroupCall::Delete(_) => {
            let response = DeleteGroupsResponse::decode(version, &mut reader).map_err(malformed)?;
            checked(response.results.first().ok_or(ClientError::Malformed)?.error_code)?;
            Ok(Found::Deleted)
        }
        GroupCall::FetchOffsets { .. } => offsets::found(Ok(answer)).map(Found::Offsets),
        GroupCall::CommitOffsets { .. } => passing_first(commits::results(Ok(answer))?),
        GroupCall::DeleteOffsets { .. } => {
            let response = OffsetDeleteResponse::decode(version, &mut reader).map_err(malformed)?;
            checked(response.error_code)?;
            let mut results = Results::new();
            for topic in &response.topics {
                results.extend(topic.partitions.iter().map(|partition| {
                    let key = TopicPartition::new(topic.name, partition.partition_index);
                    (key, checked(partition.error_code))
                }));
            }
            Ok(Found::Results(results))
        }
    }
}

/// A coordinator that cannot commit now says so of each partition.
fn passing_first(results: Results) -> Result<Found, ClientError> {
    let passing = |error: &ClientError| super::is_passing(*error);
    match results.iter().filter_map(|(_, result)| result.err()).find(passing) {
        Some(error) => Err(error),
        None => Ok(Found::Results(results)),
    }
}

fn checked(code: i16) -> Result<(), ClientError> {
    ClientError::from_code(code).map_or(Ok(()), Err)
}

fn member(member: &Member<'_>) -> GroupMember {
    let partitions = |assignment: &Assignment<'_>| {
        let topics = assignment.topic_partitions.iter();
        let each = topics.flat_map(|topic| {
            topic.partitions.iter().map(|&index| TopicPartition::new(topic.topic_name, index))
        });
        each.collect()
    };
    GroupMember {
        id: member.member_id.into(),
        instance: member.instance_id.map(String::from),
        client_id: member.client_id.into(),
        host: member.client_host.into(),
        rack: member.rack_id.map(String::from),
        epoch: Some(member.member_epoch),
        topics: member.subscribed_topic_names.iter().map(ToString::to_string).collect(),
        regex: member.subscribed_topic_regex.filter(|regex| !regex.is_empty()).map(String::from),
        assigned: partitions(&member.assignment),
        target: Some(partitions(&member.target_assignment)),
    }
}

fn classic(response: &DescribeGroupsResponse<'_>) -> Result<GroupDescription, ClientError> {
    let group = response.groups.first().ok_or(ClientError::Malformed)?;
    checked(group.error_code)?;
    // Before version 6 this was all that was said of a group that is not there.
    if group.group_state == "Dead" {
        return Err(ClientError::Broker(ErrorCode::GroupIdNotFound));
    }
    let members = group.members.iter().map(|member| {
        let subscription = decode_subscription(member.member_metadata).unwrap_or_default();
        GroupMember {
            id: member.member_id.into(),
            instance: member.group_instance_id.map(String::from),
            client_id: member.client_id.into(),
            host: member.client_host.into(),
            rack: subscription.rack,
            epoch: None,
            topics: subscription.topics,
            regex: None,
            assigned: decode_assignment(member.member_assignment).unwrap_or_default(),
            target: None,
        }
    });
    Ok(GroupDescription {
        group: group.group_id.into(),
        state: group.group_state.into(),
        epochs: None,
        assignor: group.protocol_data.into(),
        members: members.collect(),
    })
}

/// The answer to a call, of what was found of its parts.
pub(super) fn answer(call: &GroupCall, parts: OfGroups<Found>) -> AdminAnswer {
    match call {
        GroupCall::List { .. } => {
            let mut groups = Vec::new();
            for (_, found) in parts {
                match found {
                    Ok(Found::Listed(listed)) => groups.extend(listed),
                    Ok(Found::Described(_) | Found::Deleted | Found::Offsets(_) | Found::Results(_)) => {
                        return AdminAnswer::Failed(ClientError::Malformed);
                    }
                    Err(error) => return AdminAnswer::Failed(error),
                }
            }
            groups.sort_by(|a, b| a.group.cmp(&b.group));
            let mut seen = BTreeSet::new();
            groups.retain(|group| seen.insert(group.group.clone()));
            AdminAnswer::Groups(groups)
        }
        GroupCall::Describe(_) => AdminAnswer::GroupsDescribed(
            parts
                .into_iter()
                .filter_map(|(group, found)| match found {
                    Ok(Found::Described(described)) => Some((group, Ok(described))),
                    Err(error) => Some((group, Err(error))),
                    Ok(Found::Listed(_) | Found::Deleted | Found::Offsets(_) | Found::Results(_)) => None,
                })
                .collect(),
        ),
        GroupCall::Delete(_) => {
            let parts = parts.into_iter();
            AdminAnswer::GroupsDeleted(parts.map(|(group, found)| (group, found.map(|_| ()))).collect())
        }
        GroupCall::FetchOffsets { .. }
        | GroupCall::CommitOffsets { .. }
        | GroupCall::DeleteOffsets { .. } => match parts.into_iter().next() {
            Some((_, Ok(Found::Offsets(found)))) => AdminAnswer::GroupOffsets(found),
            Some((_, Ok(Found::Results(results)))) => AdminAnswer::OffsetsChanged(results),
            Some((_, Err(error))) => AdminAnswer::Failed(error),
            Some((_, Ok(Found::Listed(_) | Found::Described(_) | Found::Deleted))) | None => {
                AdminAnswer::Failed(ClientError::Malformed)
            }
        },
    }
}
