//! What is said between a member of a group and its coordinator. Must not know what the member makes of it.

use highwater_core::buf::Slice;
use highwater_core::time::Instant;
use highwater_core::wire::messages::consumer_group_heartbeat_response::ConsumerGroupHeartbeatResponse;
use highwater_core::wire::messages::find_coordinator_response::FindCoordinatorResponse;
use highwater_core::wire::messages::heartbeat_response::HeartbeatResponse;
use highwater_core::wire::messages::join_group_response::JoinGroupResponse;
use highwater_core::wire::messages::leave_group_response::LeaveGroupResponse;
use highwater_core::wire::messages::list_offsets_request::ListOffsetsRequest;
use highwater_core::wire::messages::list_offsets_response::ListOffsetsResponse;
use highwater_core::wire::messages::offset_commit_request::OffsetCommitRequest;
use highwater_core::wire::messages::offset_commit_response::OffsetCommitResponse;
use highwater_core::wire::messages::offset_fetch_response::OffsetFetchResponse;
use highwater_core::wire::messages::sync_group_response::SyncGroupResponse;
use highwater_core::wire::{ApiKey, DecodeError, ErrorCode, Reader, RequestHeader};

use super::{Asked, Seen};
use crate::bytes::joined;
use crate::clients::Desk;
use crate::clients::codec::code;
use crate::history::{Act, Fact, Member, Place};

fn tell(seen: &Seen, act: Act, desk: &mut Desk<'_>) {
    desk.history.record(Fact::Member(Member { node: seen.node, process: seen.process, act }));
}

/// The number of a question for where logs begin.
pub(super) const FOR_STARTS: u64 = u64::MAX;
/// Kafka's name of the start of a log, as a time.
const EARLIEST: i64 = -2;

/// The number of the question, if it is one about what is committed.
pub(super) fn on_sent(key: ApiKey, parts: &[Slice], seen: &Seen, desk: &mut Desk<'_>) -> u64 {
    if key == ApiKey::OffsetFetch {
        return desk.history.new_question();
    }
    if ![ApiKey::OffsetCommit, ApiKey::ListOffsets].contains(&key) {
        return 0;
    }
    let frame = joined(parts);
    let mut reader = Reader::new(&frame[4..]);
    let header = RequestHeader::decode(&mut reader).expect("the client made it");
    if key == ApiKey::ListOffsets {
        let request =
            ListOffsetsRequest::decode(header.api_version, &mut reader).expect("the client made it");
        let mut partitions = request.topics.iter().flat_map(|topic| &topic.partitions);
        return if partitions.all(|asked| asked.timestamp == EARLIEST) { FOR_STARTS } else { 0 };
    }
    let question = desk.history.new_question();
    let request = OffsetCommitRequest::decode(header.api_version, &mut reader).expect("the client made it");
    let mut offsets = Vec::new();
    for topic in &request.topics {
        let Some(known) = desk.topic_named(topic.name) else { continue };
        let place = |index| Place { topic: known, index };
        offsets.extend(topic.partitions.iter().map(|p| (place(p.partition_index), p.committed_offset)));
    }
    tell(seen, Act::Commits { group: request.group_id.to_owned(), question, offsets }, desk);
    question
}

/// Where logs begin, if that was asked for.
pub(super) fn on_listed(asked: &Asked, response: &ListOffsetsResponse<'_>, seen: &Seen, desk: &mut Desk<'_>) {
    if asked.question != FOR_STARTS {
        return;
    }
    let mut offsets = Vec::new();
    for topic in &response.topics {
        let Some(known) = desk.topic_named(topic.name) else { continue };
        let sound = topic.partitions.iter().filter(|partition| partition.error_code == code::NONE);
        offsets.extend(sound.map(|p| (Place { topic: known, index: p.partition_index }, p.offset)));
    }
    tell(seen, Act::LogStarts { offsets }, desk);
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the others are not about groups")]
pub(super) fn on_answer(
    asked: &Asked,
    reader: &mut Reader<'_>,
    seen: &Seen,
    desk: &mut Desk<'_>,
) -> Result<(), DecodeError> {
    let version = asked.version;
    match asked.key {
        ApiKey::FindCoordinator => {
            let response = FindCoordinatorResponse::decode(version, reader)?;
            desk.count("find-coordinator", response.coordinators.first().map_or(0, |found| found.error_code));
        }
        ApiKey::JoinGroup => {
            let error = JoinGroupResponse::decode(version, reader)?.error_code;
            on_known(asked.sent, "join-group", error, seen, desk);
        }
        ApiKey::SyncGroup => {
            let error = SyncGroupResponse::decode(version, reader)?.error_code;
            on_known(asked.sent, "sync-group", error, seen, desk);
        }
        ApiKey::Heartbeat => {
            let error = HeartbeatResponse::decode(version, reader)?.error_code;
            on_known(asked.sent, "heartbeat", error, seen, desk);
        }
        ApiKey::ConsumerGroupHeartbeat => {
            let error = ConsumerGroupHeartbeatResponse::decode(version, reader)?.error_code;
            on_known(asked.sent, "consumer-heartbeat", error, seen, desk);
        }
        ApiKey::LeaveGroup => {
            let response = LeaveGroupResponse::decode(version, reader)?;
            desk.count("leave-group", response.error_code);
        }
        ApiKey::OffsetCommit => {
            on_committed(asked, &OffsetCommitResponse::decode(version, reader)?, seen, desk);
        }
        _ => on_found(asked, &OffsetFetchResponse::decode(version, reader)?, seen, desk),
    }
    Ok(())
}

/// An answer that shows whether the coordinator counts the asker among the members.
fn on_known(sent: Instant, what: &str, error: i16, seen: &Seen, desk: &mut Desk<'_>) {
    desk.count(what, error);
    if [ErrorCode::None, ErrorCode::RebalanceInProgress].map(ErrorCode::code).contains(&error) {
        tell(seen, Act::Heard { sent, at: desk.now }, desk);
    }
}

fn on_committed(asked: &Asked, response: &OffsetCommitResponse<'_>, seen: &Seen, desk: &mut Desk<'_>) {
    let mut results = Vec::new();
    for topic in &response.topics {
        let known = desk.topic_named(topic.name);
        for partition in &topic.partitions {
            desk.count("offset-commit", partition.error_code);
            if let Some(topic) = known {
                results.push((Place { topic, index: partition.partition_index }, partition.error_code));
            }
        }
    }
    let (question, until) = (asked.question, desk.history.last_question());
    tell(seen, Act::Committed { question, until, results }, desk);
}

fn on_found(asked: &Asked, response: &OffsetFetchResponse<'_>, seen: &Seen, desk: &mut Desk<'_>) {
    for group in &response.groups {
        desk.count("offset-fetch", group.error_code);
        if group.error_code != code::NONE {
            continue;
        }
        let mut offsets = Vec::new();
        for topic in &group.topics {
            let Some(known) = desk.topic_named(topic.name) else { continue };
            for partition in topic.partitions.iter().filter(|partition| partition.error_code == code::NONE) {
                let offset = partition.committed_offset;
                let place = Place { topic: known, index: partition.partition_index };
                offsets.push((place, (offset >= 0).then_some(offset)));
            }
        }
        let (group, asked) = (group.group_id.to_owned(), asked.question);
        tell(seen, Act::Finds { group, asked, offsets }, desk);
    }
}
