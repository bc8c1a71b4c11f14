//! Where to begin to read what was given: at the committed offset, and where there is none, where the policy says.

use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;

use super::coordinator::is_passing;
use super::{Member, Outcome, Question, Role, Turn, by_topic};
use crate::client::links::Sending;
use crate::client::{ClientError, ClientEvent, ResetPolicy, StartAt, TopicPartition};
use crate::id::Offset;
use crate::time::Instant;
use crate::wire::messages::offset_fetch_request::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use crate::wire::messages::offset_fetch_response::OffsetFetchResponse;
use crate::wire::{ApiKey, ErrorCode, Reader};

/// The last version that names topics instead of telling their ids.
pub(in crate::client) const NAMES_VERSION_MAX: i16 = 9;

/// What a coordinator keeps of a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommittedOffset {
    pub offset: Offset,
    pub leader_epoch: Option<i32>,
    pub metadata: alloc::string::String,
}

/// Each partition of an answer: nothing, where nothing was committed.
pub(in crate::client) type Found = Vec<(TopicPartition, Result<Option<CommittedOffset>, ClientError>)>;

/// Partitions whose committed offsets are wanted. Bounded by what the coordinator assigns in one frame.
#[derive(Debug, Default)]
pub(super) struct Offsets {
    /// Each with the serial of its assignment: an answer from before it was given away and came back is of no use.
    wanted: BTreeMap<TopicPartition, u64>,
    serial: u64,
    asking: bool,
    /// Not before this.
    at: Option<Instant>,
}

impl Offsets {
    pub(super) fn want(&mut self, now: Instant, partitions: &[TopicPartition]) {
        for key in partitions {
            self.serial += 1;
            self.wanted.insert(key.clone(), self.serial);
        }
        self.at.get_or_insert(now);
    }

    pub(super) fn forget(&mut self, key: &TopicPartition) {
        self.wanted.remove(key);
    }

    pub(super) fn clear(&mut self) {
        self.wanted.clear();
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.at.filter(|_| !self.wanted.is_empty() && !self.asking)
    }
}

/// Who asks: a member of the consumer protocol shows its epoch.
#[derive(Debug, Clone, Copy)]
pub(in crate::client) struct Asker<'a> {
    pub(in crate::client) group: &'a str,
    pub(in crate::client) member: Option<(&'a str, i32)>,
}

/// The request in every version that names topics; no partitions are all.
pub(in crate::client) fn request<'a>(
    asker: Asker<'a>,
    partitions: Option<&'a [TopicPartition]>,
) -> OffsetFetchRequest<'a> {
    let topics = partitions.map(by_topic);
    let old = topics.clone().map(|topics| {
        let topic = |(name, partition_indexes)| OffsetFetchRequestTopic {
            name,
            partition_indexes,
            ..OffsetFetchRequestTopic::default()
        };
        topics.into_iter().map(|(name, indexes)| (&**name, indexes)).map(topic).collect()
    });
    let new = topics.map(|topics| {
        let topic = |(name, partition_indexes)| OffsetFetchRequestTopics {
            name,
            partition_indexes,
            ..OffsetFetchRequestTopics::default()
        };
        topics.into_iter().map(|(name, indexes)| (&**name, indexes)).map(topic).collect()
    });
    let (member_id, member_epoch) = asker.member.map_or((None, -1), |(id, epoch)| (Some(id), epoch));
    let group = OffsetFetchRequestGroup {
        group_id: asker.group,
        member_id,
        member_epoch,
        topics: new,
        ..OffsetFetchRequestGroup::default()
    };
    OffsetFetchRequest {
        group_id: asker.group,
        topics: old,
        groups: vec![group],
        require_stable: true,
        ..OffsetFetchRequest::default()
    }
}

/// What an answer says of the one group that was asked for.
pub(in crate::client) fn found(outcome: Outcome<'_>) -> Result<Found, ClientError> {
    let (version, body) = outcome?;
    let response = OffsetFetchResponse::decode(version, &mut Reader::new(body));
    let response = response.map_err(|_| ClientError::Malformed)?;
    let mut found = Vec::new();
    let mut push = |topic: &str, index, (error, offset, epoch, metadata): (i16, i64, i32, Option<&str>)| {
        let result = match ClientError::from_code(error) {
            Some(error) => Err(error),
            None if offset < 0 => Ok(None),
            None => Ok(Some(CommittedOffset {
                offset: Offset(offset),
                leader_epoch: (epoch >= 0).then_some(epoch),
                metadata: metadata.unwrap_or_default().into(),
            })),
        };
        found.push((TopicPartition::new(topic, index), result));
    };
    let error_code = if version < 8 {
        for topic in &response.topics {
            for p in &topic.partitions {
                let what = (p.error_code, p.committed_offset, p.committed_leader_epoch, p.metadata);
                push(topic.name, p.partition_index, what);
            }
        }
        response.error_code
    } else {
        let group = response.groups.first().ok_or(ClientError::Malformed)?;
        for topic in &group.topics {
            for p in &topic.partitions {
                let what = (p.error_code, p.committed_offset, p.committed_leader_epoch, p.metadata);
                push(topic.name, p.partition_index, what);
            }
        }
        group.error_code
    };
    ClientError::from_code(error_code).map_or(Ok(found), Err)
}

impl Member {
    pub(super) fn fetch_offsets(&mut self, turn: &mut Turn<'_>) {
        if self.offsets.deadline().is_none_or(|at| at > turn.now) || !self.may_commit() {
            return;
        }
        let Some(peer) = self.coordinator_peer(turn) else { return };
        let asked: Vec<(TopicPartition, u64)> =
            self.offsets.wanted.iter().map(|(key, &serial)| (key.clone(), serial)).collect();
        let partitions: Vec<TopicPartition> = self.offsets.wanted.keys().cloned().collect();
        self.offsets.asking = true;
        let member = match self.role {
            Role::Classic(_) => None,
            Role::Consumer(_) => Some((self.id.as_str(), self.epoch)),
        };
        let asker = Asker { group: &self.config.group, member };
        let sending = Sending { version_max: NAMES_VERSION_MAX, ..Sending::new(ApiKey::OffsetFetch) };
        let call = self.asked(Question::Offsets(asked));
        turn.links.send(turn.now, (&peer, sending), call, |version, writer| {
            request(asker, Some(&partitions)).encode(version, writer)
        });
    }

    pub(super) fn on_offsets(
        &mut self,
        turn: &mut Turn<'_>,
        asked: &[(TopicPartition, u64)],
        outcome: Outcome<'_>,
    ) {
        self.offsets.asking = false;
        self.offsets.at = Some(turn.now + self.timing.backoff);
        let found = match found(outcome) {
            Ok(found) => found,
            Err(error) => {
                self.doubt_coordinator(turn.now, error);
                // Whether it is a member still, the next heartbeat tells.
                let fenced =
                    [ErrorCode::StaleMemberEpoch, ErrorCode::UnknownMemberId].map(ClientError::Broker);
                if !is_passing(error) && !error.is_retriable() && !fenced.contains(&error) {
                    self.fatal = Some(error);
                }
                return;
            }
        };
        let mut found: BTreeMap<_, _> = found.into_iter().collect();
        for (key, serial) in asked {
            if self.offsets.wanted.get(key) != Some(serial) {
                continue;
            }
            let start = match found.remove(key) {
                Some(Ok(Some(committed))) => {
                    self.commits.on_known(key, committed.offset);
                    Some(StartAt::Offset(committed.offset))
                }
                Some(Ok(None)) => match self.config.auto_offset_reset {
                    ResetPolicy::Earliest => Some(StartAt::Earliest),
                    ResetPolicy::Latest => Some(StartAt::Latest),
                    ResetPolicy::Fail => None,
                },
                // Not now: a transaction is about to set it, or the topic is not known there yet.
                Some(Err(_)) | None => continue,
            };
            self.offsets.forget(key);
            match start {
                Some(start) => turn.consumer.assign(turn.now, key.clone(), start),
                None => turn.events.push_back(ClientEvent::FetchFailed {
                    partition: key.clone(),
                    error: ClientError::NoOffset,
                }),
            }
        }
        if self.offsets.wanted.values().any(|serial| asked.iter().all(|(_, old)| old != serial)) {
            self.offsets.at = Some(turn.now);
        }
    }
}
