//! `ConsumerGroupDescribe` (69): groups of the consumer protocol (KIP-848) and their members.

use alloc::string::String;

use super::described::{Descriptions, Known, Weighed};
use super::group::GROUP_OPERATIONS;
use super::topic::NO_OPERATIONS;
use super::{Beginning, Begun, Context, Done, Head, Refusal, Work, decode_body, respond};
use crate::controller::Image;
use crate::group::command::{
    ConsumerDescribed, ConsumerDescribedMember, GroupCommand, GroupKind, GroupReply, TopicPartitions,
};
use crate::limits::TOPIC_NAME_BYTES_MAX;
use crate::wire::Reader;
use crate::wire::messages::consumer_group_describe_request::ConsumerGroupDescribeRequest;
use crate::wire::messages::consumer_group_describe_response::{
    self as response, Assignment, ConsumerGroupDescribeResponse, DescribedGroup, Member,
};

/// A topic of an assignment, with its name.
const TOPIC_BYTES: usize = size_of::<TopicPartitions>() + TOPIC_NAME_BYTES_MAX;

/// A request in work: what is known so far.
#[derive(Debug)]
pub(crate) struct ConsumerGroupDescribe {
    pub(super) head: Head,
    /// What may be done with the groups, if somebody asked for it.
    operations: i32,
    groups: Descriptions<ConsumerDescribed>,
}

pub(super) fn begin(context: &mut Context<'_>, head: Head, reader: Reader<'_>) -> Beginning {
    let request = decode_body!(ConsumerGroupDescribeRequest<'_>, head, reader);
    let Some(groups) = Descriptions::new(&request.group_ids, GroupCommand::ConsumerDescribe) else {
        return Ok(Begun::Done { head, done: Done::Close(Refusal::Malformed) });
    };
    let operations = if request.include_authorized_operations { GROUP_OPERATIONS } else { NO_OPERATIONS };
    let mut work = ConsumerGroupDescribe { head, operations, groups };
    if work.groups.ask(context) {
        return Ok(Begun::Done { head, done: work.answer(context.image) });
    }
    Ok(Begun::Working { work: Work::ConsumerGroupDescribe(work), wait: None })
}

impl ConsumerGroupDescribe {
    #[expect(clippy::wildcard_enum_match_arm, reason = "a request knows the replies to its own questions")]
    pub(super) fn on_reply(
        &mut self,
        context: &mut Context<'_>,
        part: u32,
        reply: GroupReply,
    ) -> Option<Done> {
        let described = match reply {
            GroupReply::ConsumerDescribed(group) => Ok(Weighed { bytes: bytes_of(&group), group }),
            GroupReply::Failed(error) => Err(error),
            other => panic!("{other:?} does not answer ConsumerGroupDescribe"),
        };
        self.groups.on_reply(part, described);
        self.groups.ask(context).then(|| self.answer(context.image))
    }

    fn answer(&self, image: &Image) -> Done {
        let groups = self.groups.iter();
        let groups =
            groups.map(|(name, known)| DescribedGroup { group_id: name, ..self.described(known, image) });
        let response = ConsumerGroupDescribeResponse {
            groups: groups.collect(),
            ..ConsumerGroupDescribeResponse::default()
        };
        respond(self.head, |version, writer| response.encode(version, writer))
    }

    fn described<'a>(&self, known: &'a Known<ConsumerDescribed>, image: &'a Image) -> DescribedGroup<'a> {
        match known {
            Known::Nothing => unreachable!("all groups are known"),
            Known::Described(group) => DescribedGroup {
                group_state: group.state.name(),
                group_epoch: group.epoch,
                assignment_epoch: group.assignment_epoch,
                assignor_name: &group.assignor,
                members: group.members.iter().map(|one| member(one, image)).collect(),
                authorized_operations: self.operations,
                ..DescribedGroup::default()
            },
            Known::Failed(error, message) => DescribedGroup {
                error_code: error.code(),
                error_message: message.as_deref(),
                authorized_operations: NO_OPERATIONS,
                ..DescribedGroup::default()
            },
        }
    }
}

fn member<'a>(member: &'a ConsumerDescribedMember, image: &'a Image) -> Member<'a> {
    Member {
        member_id: &member.id,
        instance_id: member.instance.as_deref(),
        rack_id: member.rack.as_deref(),
        member_epoch: member.epoch,
        client_id: &member.client.id,
        client_host: &member.client.host,
        subscribed_topic_names: member.topics.iter().map(String::as_str).collect(),
        subscribed_topic_regex: member.regex.as_deref(),
        assignment: assignment(&member.assignment, image),
        target_assignment: assignment(&member.target, image),
        member_type: match member.kind {
            GroupKind::Classic => 0,
            GroupKind::Consumer => 1,
        },
        ..Member::default()
    }
}

/// A topic that is gone has no name any more, and is left out.
fn assignment<'a>(topics: &[TopicPartitions], image: &'a Image) -> Assignment<'a> {
    let named = topics.iter().filter_map(|topic| {
        Some(response::TopicPartitions {
            topic_id: topic.topic.0,
            topic_name: &image.topic_by_id(topic.topic)?.name,
            partitions: topic.partitions.clone(),
            ..response::TopicPartitions::default()
        })
    });
    Assignment { topic_partitions: named.collect(), ..Assignment::default() }
}

fn bytes_of(group: &ConsumerDescribed) -> usize {
    let topics = |topics: &[TopicPartitions]| {
        topics.iter().map(|topic| TOPIC_BYTES + 4 * topic.partitions.len()).sum::<usize>()
    };
    let bytes = |member: &ConsumerDescribedMember| {
        let names = member.topics.iter().map(|name| size_of::<String>() + name.len());
        let texts = [&member.instance, &member.rack, &member.regex];
        size_of::<ConsumerDescribedMember>()
            + member.id.len()
            + member.client.id.len()
            + texts.into_iter().flatten().map(String::len).sum::<usize>()
            + names.sum::<usize>()
            + topics(&member.assignment)
            + topics(&member.target)
    };
    size_of::<ConsumerDescribed>() + group.members.iter().map(bytes).sum::<usize>()
}
