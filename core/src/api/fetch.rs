//! `Fetch` (1): reads partitions until there is enough, or the time is over.
//!
//! Partitions are asked in the order of the request, as many at once as their byte limits fit into that of the response. If all
//! of them have less than is wanted, each watches for more and is read on when it says so.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::fetch_session::{Asked, NO_SESSION, Name, Rotation, Told, Use, Want};
use super::topic::{Naming, TopicKey};
use super::{Ask, Beginning, Begun, Context, Done, Head, Work, decode_body, error, respond};
use crate::buf::Slice;
use crate::id::{LeaderEpoch, NodeId, Offset, PartitionId};
use crate::limits::{FETCH_ASKS_MAX, FETCH_BYTES_MAX, FETCH_PARTITIONS_MAX, FETCH_WAIT_MAX};
use crate::mutant::{self, Mutant};
use crate::replica::{
    FetchOp, Isolation, Minimum, PartitionError, PartitionOp, PartitionReply, ReadReply, Starved,
};
use crate::time::Duration;
use crate::wire::messages::fetch_request::FetchRequest;
use crate::wire::messages::fetch_response::{
    FetchResponse, FetchableTopicResponse, LeaderIdAndEpoch, PartitionData,
};
use crate::wire::{ErrorCode, Reader, Records};

/// A request in work.
#[derive(Debug)]
pub(crate) struct Fetch {
    pub(super) head: Head,
    parts: Vec<Part>,
    /// Parts before this one were asked at least once.
    asked: usize,
    outstanding: usize,
    /// Bytes that outstanding reads may bring.
    reserved: u32,
    /// Bytes that were read.
    bytes: u32,
    bytes_max: u32,
    bytes_min: u32,
    isolation: Isolation,
    sessions: Use,
    /// It does not wait any longer.
    late: bool,
    /// A part waits for memory, so no other may take any.
    starving: bool,
}

#[derive(Debug)]
struct Part {
    name: Name,
    want: Want,
    partition: PartitionId,
    state: State,
    /// Bytes of `reserved` that are this part's.
    reserved: u32,
    records: Vec<Slice>,
    bytes: u32,
    read: Option<Read>,
    /// It was asked last for a whole batch of whatever size, with time to wait for memory.
    waits: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Not asked, or asked and answered.
    Idle,
    Asked,
    Watched,
    Failed {
        code: ErrorCode,
        leader: Option<(NodeId, LeaderEpoch)>,
        found: Found,
    },
}

/// Who found an error: one that the partition found is answered at once, one that the request begins with need not be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    AtStart,
    ByPartition,
}

/// What the last read said besides records.
#[derive(Debug, Clone, Copy)]
struct Read {
    next: Offset,
    high_watermark: Offset,
    last_stable_offset: Offset,
    log_start_offset: Offset,
    more: bool,
}

pub(super) fn begin(context: &mut Context<'_>, head: Head, reader: Reader<'_>) -> Beginning {
    let request = decode_body!(FetchRequest<'_>, head, reader);
    let refused = |code| Ok(Begun::Done { head, done: refuse(head, code) });
    let isolation = match request.isolation_level {
        0 => Isolation::ReadUncommitted,
        1 => Isolation::ReadCommitted,
        _ if head.version < 7 => return Ok(Begun::Done { head, done: refuse_each(head, &request) }),
        _ => return refused(ErrorCode::InvalidRequest),
    };
    let asked = asked(head, &request);
    if asked.wanted.len() > FETCH_PARTITIONS_MAX {
        return refused(ErrorCode::InvalidRequest);
    }
    let (sessions, wanted) = match context.shared.sessions.begin(context.now.mono, asked) {
        Ok(begun) => begun,
        Err(code) => return refused(code),
    };
    let follower = request.replica_id >= 0 || request.replica_state.replica_id >= 0;
    let mut fetch = Fetch {
        head,
        parts: wanted.into_iter().map(|(name, want)| part(context, name, want, follower)).collect(),
        asked: 0,
        outstanding: 0,
        reserved: 0,
        bytes: 0,
        bytes_max: u32::try_from(request.max_bytes).unwrap_or(0).min(FETCH_BYTES_MAX),
        bytes_min: u32::try_from(request.min_bytes).unwrap_or(0),
        isolation,
        sessions,
        late: request.max_wait_ms <= 0 || request.min_bytes <= 0,
        starving: false,
    };
    if fetch.parts.iter().all(Part::has_failed) {
        fetch.late = true;
    }
    let wait = Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0)).min(FETCH_WAIT_MAX);
    match fetch.go_on(context) {
        Some(done) => Ok(Begun::Done { head, done }),
        None => {
            let waits = !fetch.late && !mutant::on(Mutant::FetchNeverAnswered);
            Ok(Begun::Working { wait: waits.then_some(wait), work: Work::Fetch(fetch) })
        }
    }
}

fn asked(head: Head, request: &FetchRequest<'_>) -> Asked {
    let naming = if head.version >= 13 { Naming::ById } else { Naming::ByName };
    let mut seen = BTreeSet::new();
    let mut wanted = Vec::new();
    for topic in &request.topics {
        let key = TopicKey::new(naming, topic.topic, topic.topic_id);
        for partition in &topic.partitions {
            let name = Name { topic: key.clone(), index: partition.partition };
            let want = Want {
                offset: partition.fetch_offset,
                current_leader_epoch: partition.current_leader_epoch,
                bytes_max: partition.partition_max_bytes,
            };
            // Named twice, it is read once.
            if seen.insert(name.clone()) {
                wanted.push((name, want));
            }
        }
    }
    let forgotten = request.forgotten_topics_data.iter().flat_map(|topic| {
        let key = TopicKey::new(naming, topic.topic, topic.topic_id);
        topic.partitions.iter().map(move |&index| Name { topic: key.clone(), index })
    });
    Asked {
        session_id: request.session_id,
        session_epoch: request.session_epoch,
        naming,
        wanted,
        forgotten: forgotten.collect(),
    }
}

fn part(context: &Context<'_>, name: Name, want: Want, follower: bool) -> Part {
    let failed = |code, leader| State::Failed { code, leader, found: Found::AtStart };
    let topic = name.topic.find(context.image);
    let index = name.index;
    let (partition, state) = match topic.map(|topic| (topic.id, topic.partition(index))) {
        None => (PartitionId::METADATA, failed(name.topic.unknown(), None)),
        Some((_, None)) => (PartitionId::METADATA, failed(ErrorCode::UnknownTopicOrPartition, None)),
        // Another node's replica would move this partition's high watermark; there are no other nodes.
        Some(_) if follower => (PartitionId::METADATA, failed(ErrorCode::NotLeaderOrFollower, None)),
        Some((topic, Some(state))) if state.leader == Some(context.config.node) => {
            let state = if want.offset < 0 { failed(ErrorCode::OffsetOutOfRange, None) } else { State::Idle };
            (PartitionId { topic, index }, state)
        }
        Some((topic, Some(state))) => {
            let leader = state.leader.map(|node| (node, state.leader_epoch));
            (PartitionId { topic, index }, failed(ErrorCode::NotLeaderOrFollower, leader))
        }
    };
    Part {
        name,
        want,
        partition,
        state,
        reserved: 0,
        records: Vec::new(),
        bytes: 0,
        read: None,
        waits: false,
    }
}

impl Fetch {
    /// Asks what can be asked now; the answer, if nothing is left to wait for.
    fn go_on(&mut self, context: &mut Context<'_>) -> Option<Done> {
        while self.asked < self.parts.len() && self.outstanding < FETCH_ASKS_MAX {
            if self.parts[self.asked].has_failed() {
                self.asked += 1;
                continue;
            }
            // Where all bytes are promised, a read that brings less may leave some.
            if self.budget() == 0 && self.reserved > 0 {
                break;
            }
            let first = self.bytes == 0 && self.reserved == 0 && self.outstanding == 0;
            let minimum = if first { Minimum::AtLeastOne } else { Minimum::UpTo };
            self.ask(context, self.asked, minimum, Starved::ReadsNothing);
            self.asked += 1;
        }
        if self.outstanding > 0 || self.asked < self.parts.len() {
            return None;
        }
        let unread = self.parts.iter().position(Part::is_unread);
        if self.bytes == 0
            && let Some(unread) = unread
        {
            // Only batches are there that are larger than the limits, of which one is served all the same (KIP-74), or for which
            // there was no memory, which can be waited for as long as nothing is held.
            self.starving = true;
            self.ask(context, unread, Minimum::AtLeastOne, Starved::Waits);
            return None;
        }
        let failed = self.parts.iter().any(Part::was_refused);
        let ends = self.late || failed || unread.is_some() || self.bytes >= self.bytes_min;
        ends.then(|| self.answer(context))
    }

    fn budget(&self) -> u32 {
        self.bytes_max.saturating_sub(self.bytes).saturating_sub(self.reserved)
    }

    fn ask(&mut self, context: &mut Context<'_>, index: usize, minimum: Minimum, starved: Starved) {
        let budget = self.budget();
        let part = &mut self.parts[index];
        let bytes_max =
            u32::try_from(part.want.bytes_max).unwrap_or(0).saturating_sub(part.bytes).min(budget);
        part.state = State::Asked;
        part.waits = starved == Starved::Waits;
        part.reserved = bytes_max;
        self.reserved += bytes_max;
        self.outstanding += 1;
        let epoch = part.want.current_leader_epoch;
        let op = FetchOp {
            partition: part.partition,
            offset: part.read.map_or(Offset(part.want.offset), |read| read.next),
            current_leader_epoch: (epoch >= 0).then_some(LeaderEpoch(epoch)),
            isolation: self.isolation,
            bytes_max,
            minimum,
            starved,
            watch_below: if self.late { 0 } else { self.bytes_min },
        };
        let part = u32::try_from(index).expect("partitions of a fetch are bounded");
        context.asks.push(Ask::Partition { part, op: PartitionOp::Fetch(op) });
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "a request knows the replies to its own questions")]
    pub(super) fn on_reply(
        &mut self,
        context: &mut Context<'_>,
        part: u32,
        reply: PartitionReply,
    ) -> Option<Done> {
        let part = usize::try_from(part).ok().and_then(|part| self.parts.get_mut(part));
        let part = part.expect("replies are to parts that were asked");
        assert!(part.state == State::Asked, "a part is asked one thing at a time");
        self.outstanding -= 1;
        self.starving &= !part.waits;
        self.reserved -= core::mem::take(&mut part.reserved);
        match reply {
            PartitionReply::Read(read) => self.bytes = self.bytes.saturating_add(part.on_read(read)),
            PartitionReply::Failed(failed) => {
                let code = if failed == PartitionError::Unknown {
                    part.name.topic.unknown()
                } else {
                    error::of_partition(failed).code
                };
                let state = context.image.partition(part.partition);
                let leader = state.and_then(|state| Some((state.leader?, state.leader_epoch)));
                let leader = leader.filter(|_| failed == PartitionError::NotLeader);
                part.state = State::Failed { code, leader, found: Found::ByPartition };
            }
            other => panic!("{other:?} does not answer Fetch"),
        }
        self.go_on(context)
    }

    pub(super) fn on_woken(&mut self, context: &mut Context<'_>, part: u32) -> Option<Done> {
        let index = usize::try_from(part).expect("32 bits fit a usize");
        assert!(self.parts[index].state == State::Watched, "only a watch wakes");
        self.parts[index].state = State::Idle;
        if self.starving {
            self.parts[index].on_more();
            return None;
        }
        let minimum =
            if self.bytes == 0 && self.outstanding == 0 { Minimum::AtLeastOne } else { Minimum::UpTo };
        self.ask(context, index, minimum, Starved::ReadsNothing);
        None
    }

    /// Answers with what is there, as soon as reads that are under way are over.
    pub(super) fn on_deadline(&mut self, context: &mut Context<'_>) -> Option<Done> {
        self.late = true;
        self.go_on(context)
    }

    /// Lets the partitions forget this fetch.
    pub(super) fn unwatch(&self, asks: &mut Vec<Ask>) {
        for (part, state) in (0_u32..).zip(&self.parts) {
            if state.state == State::Watched {
                asks.push(Ask::Unwatch { part, partition: state.partition });
            }
        }
    }

    fn answer(&mut self, context: &mut Context<'_>) -> Done {
        self.unwatch(context.asks);
        let sessions = &mut context.shared.sessions;
        let (session_id, all) = match self.sessions {
            Use::None => (NO_SESSION, true),
            Use::Full { session_id } => (session_id, true),
            Use::Incremental { session_id } => (session_id, false),
        };
        let mut responses: Vec<FetchableTopicResponse<'_>> = Vec::new();
        let mut last: Option<&TopicKey> = None;
        for part in &self.parts {
            let rotation = if part.has_failed() {
                Some(Rotation::Error)
            } else {
                (part.bytes > 0).then_some(Rotation::Records)
            };
            let told = sessions.tell(session_id, &part.name, part.told());
            if let Some(rotation) = rotation {
                sessions.rotate(session_id, &part.name, rotation);
            }
            if !all && !told && rotation.is_none() {
                continue;
            }
            if last != Some(&part.name.topic) {
                let topic = &part.name.topic;
                last = Some(topic);
                responses.push(FetchableTopicResponse {
                    topic: topic.name(),
                    topic_id: topic.id(),
                    ..FetchableTopicResponse::default()
                });
            }
            let response = responses.last_mut().expect("pushed above");
            response.partitions.push(part.response(self.isolation));
        }
        let response = FetchResponse { session_id, responses, ..FetchResponse::default() };
        respond(self.head, |version, writer| response.encode(version, writer))
    }
}

impl Part {
    fn has_failed(&self) -> bool {
        matches!(self.state, State::Failed { .. })
    }

    fn was_refused(&self) -> bool {
        matches!(self.state, State::Failed { found: Found::ByPartition, .. })
    }

    /// Nothing was read although there is something, which a better asking may bring.
    fn is_unread(&self) -> bool {
        self.bytes == 0 && !self.waits && !self.has_failed() && self.read.is_some_and(|read| read.more)
    }

    /// There is more to read than was read.
    fn on_more(&mut self) {
        if let Some(read) = &mut self.read {
            read.more = true;
        }
    }

    /// Takes in what was read; its bytes.
    fn on_read(&mut self, read: ReadReply) -> u32 {
        let bytes: usize = read.records.iter().map(Slice::len).sum();
        let bytes = u32::try_from(bytes).expect("a read is bounded far below 4 GiB");
        self.bytes = self.bytes.saturating_add(bytes);
        self.records.extend(read.records);
        self.state = if read.watched { State::Watched } else { State::Idle };
        self.read = Some(Read {
            next: read.next,
            high_watermark: read.high_watermark,
            last_stable_offset: read.last_stable_offset,
            log_start_offset: read.log_start_offset,
            more: read.more,
        });
        bytes
    }

    fn told(&self) -> Told {
        let read = self.read.filter(|_| !self.has_failed());
        Told {
            high_watermark: read.map_or(-1, |read| read.high_watermark.0),
            log_start_offset: read.map_or(-1, |read| read.log_start_offset.0),
        }
    }

    fn response(&self, isolation: Isolation) -> PartitionData<'_> {
        let mut data = PartitionData {
            partition_index: self.name.index,
            high_watermark: -1,
            records: Some(Records::Slices(Vec::new())),
            aborted_transactions: match isolation {
                Isolation::ReadUncommitted => None,
                Isolation::ReadCommitted => Some(Vec::new()),
            },
            ..PartitionData::default()
        };
        if let State::Failed { code, leader, .. } = self.state {
            data.error_code = code.code();
            if let Some((node, epoch)) = leader {
                data.current_leader = LeaderIdAndEpoch {
                    leader_id: node.0,
                    leader_epoch: epoch.0,
                    ..LeaderIdAndEpoch::default()
                };
            }
        } else if let Some(read) = self.read {
            data.high_watermark = read.high_watermark.0;
            data.last_stable_offset = read.last_stable_offset.0;
            data.log_start_offset = read.log_start_offset.0;
            data.records = Some(Records::Slices(self.records.clone()));
        }
        data
    }
}

/// The same where only partitions have a field for it.
fn refuse_each(head: Head, request: &FetchRequest<'_>) -> Done {
    let responses = request.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| PartitionData {
            partition_index: partition.partition,
            error_code: ErrorCode::InvalidRequest.code(),
            high_watermark: -1,
            records: Some(Records::Slices(Vec::new())),
            ..PartitionData::default()
        });
        FetchableTopicResponse {
            topic: topic.topic,
            partitions: partitions.collect(),
            ..FetchableTopicResponse::default()
        }
    });
    let response = FetchResponse { responses: responses.collect(), ..FetchResponse::default() };
    respond(head, |version, writer| response.encode(version, writer))
}

/// The answer to a fetch that is refused as a whole. Before version 7 there is no field for it.
fn refuse(head: Head, code: ErrorCode) -> Done {
    if head.version < 7 {
        return Done::Close(super::Refusal::Malformed);
    }
    let response = FetchResponse { error_code: code.code(), ..FetchResponse::default() };
    respond(head, |version, writer| response.encode(version, writer))
}
