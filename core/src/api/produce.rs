//! `Produce` (0): checks each batch once, hands it to its partition, gathers what became of it.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::error::{self, Failure};
use super::topic::{Naming, TopicKey};
use super::{Ask, Beginning, Begun, Context, Done, Head, Refusal, Work, decode_body, respond};
use crate::batch::{
    BatchError, BatchView, Codec, Encoding, KeyPolicy, ProducePolicy, TimestampType, TimestampWindow,
    Validation, ZstdPolicy, validate_produced,
};
use crate::buf::Slice;
use crate::config::{BatchValidation, Compression};
use crate::controller::TopicImage;
use crate::group::topics::is_internal;
use crate::id::{NodeId, PartitionId, TopicId};
use crate::limits::{DECOMPRESSED_BYTES_FREE, DECOMPRESSED_MEMORY_PART, PRODUCE_WAIT_MIN};
use crate::mutant::{self, Mutant};
use crate::replica::{
    Acks, PartitionError, PartitionOp, PartitionReply, ProduceOp, ProduceReply, Recompress,
};
use crate::time::{Duration, Timestamp};
use crate::wire::messages::produce_request::{PartitionProduceData, ProduceRequest};
use crate::wire::messages::produce_response::{
    BatchIndexAndErrorMessage, LeaderIdAndEpoch, PartitionProduceResponse, ProduceResponse,
    TopicProduceResponse,
};
use crate::wire::{ErrorCode, Reader};

/// A request in work.
#[derive(Debug)]
pub(crate) struct Produce {
    pub(super) head: Head,
    acks: Acks,
    topics: Vec<(TopicKey, Vec<Part>)>,
    /// Topic and partition within `topics`, by part.
    places: Vec<(usize, usize)>,
    outstanding: usize,
}

#[derive(Debug)]
struct Part {
    index: i32,
    outcome: Outcome,
}

#[derive(Debug)]
enum Outcome {
    Pending,
    Appended(ProduceReply),
    Failed(Fault),
}

/// Why nothing was appended, as far as is known.
#[derive(Debug)]
struct Fault {
    failure: Failure,
    /// The record at fault, by its place in the batch (KIP-467).
    record: Option<i32>,
    /// Where the partition's leader is, if it is elsewhere (KIP-951).
    leader: Option<(NodeId, i32)>,
}

impl From<Failure> for Fault {
    fn from(failure: Failure) -> Self {
        Self { failure, record: None, leader: None }
    }
}

pub(super) fn begin(context: &mut Context<'_>, head: Head, reader: Reader<'_>, frame: &Slice) -> Beginning {
    let request = decode_body!(ProduceRequest<'_>, head, reader);
    let naming = if head.version >= 13 { Naming::ById } else { Naming::ByName };
    let acks = match request.acks {
        0 => Ok(Acks::None),
        1 => Ok(Acks::Leader),
        -1 => Ok(Acks::All),
        _ => Err(Failure::new(ErrorCode::InvalidRequiredAcks, "acks must be 0, 1 or -1")),
    };
    let refused = acks.as_ref().err().cloned().or_else(|| {
        let message = "transactions are not served by this version";
        request.transactional_id.map(|_| Failure::new(ErrorCode::InvalidTxnState, message))
    });
    let repeated = repeated(&request);
    let acks = acks.unwrap_or(Acks::Leader);
    let parts = request.topic_data.iter().map(|topic| topic.partition_data.len()).sum();
    let topics = Vec::with_capacity(request.topic_data.len());
    let mut work = Produce { head, acks, topics, places: Vec::with_capacity(parts), outstanding: 0 };
    for topic in &request.topic_data {
        let key = TopicKey::new(naming, topic.name, topic.topic_id);
        let mut parts = Vec::with_capacity(topic.partition_data.len());
        for data in &topic.partition_data {
            let checked = if let Some(failure) = &refused {
                Err(Fault::from(failure.clone()))
            } else if repeated.contains_key(&(topic.name, TopicId(topic.topic_id), data.index)) {
                Err(Failure::new(ErrorCode::InvalidRequest, "the partition is named twice").into())
            } else {
                check(context, head, &key, data, acks, frame)
            };
            let outcome = match checked {
                Ok(op) => {
                    let part = u32::try_from(work.places.len()).expect("a frame holds fewer partitions");
                    work.places.push((work.topics.len(), parts.len()));
                    context.asks.push(Ask::Partition { part, op: PartitionOp::Produce(op) });
                    Outcome::Pending
                }
                Err(fault) => Outcome::Failed(fault),
            };
            parts.push(Part { index: data.index, outcome });
        }
        work.topics.push((key, parts));
    }
    work.outstanding = work.places.len();
    if work.outstanding == 0 {
        return Ok(Begun::Done { head, done: work.answer() });
    }
    let wait = Duration::from_millis(u64::try_from(request.timeout_ms).unwrap_or(0)).max(PRODUCE_WAIT_MIN);
    Ok(Begun::Working { work: Work::Produce(work), wait: (acks != Acks::None).then_some(wait) })
}

/// Partitions that the request names more than once: which answer would be whose nobody could tell.
fn repeated<'a>(request: &ProduceRequest<'a>) -> BTreeMap<(&'a str, TopicId, i32), u32> {
    let mut counts = BTreeMap::new();
    let single = request.topic_data.len() == 1 && request.topic_data[0].partition_data.len() == 1;
    if !single {
        for topic in &request.topic_data {
            for data in &topic.partition_data {
                *counts.entry((topic.name, TopicId(topic.topic_id), data.index)).or_default() += 1;
            }
        }
        counts.retain(|_, count| *count > 1);
    }
    counts
}

fn check(
    context: &mut Context<'_>,
    head: Head,
    key: &TopicKey,
    data: &PartitionProduceData<'_>,
    acks: Acks,
    frame: &Slice,
) -> Result<ProduceOp, Fault> {
    if is_internal(key.name()) || key.id() == TopicId::METADATA.0 {
        let message = "only the broker writes to its own topics";
        return Err(Failure::new(ErrorCode::InvalidTopicException, message).into());
    }
    let image = Arc::clone(context.image);
    let topic = key.find(&image).ok_or_else(|| Failure::new(key.unknown(), "the topic does not exist"))?;
    if is_internal(&topic.name) {
        let message = "only the broker writes to its own topics";
        return Err(Failure::new(ErrorCode::InvalidTopicException, message).into());
    }
    let state = topic.partition(data.index).ok_or_else(|| error::of_partition(PartitionError::Unknown))?;
    if state.leader != Some(context.config.node) {
        let leader = state.leader.map(|node| (node, state.leader_epoch.0));
        return Err(Fault { failure: error::of_partition(PartitionError::NotLeader), record: None, leader });
    }
    let bytes = data.records.as_ref().and_then(|records| records.borrowed()).unwrap_or_default();
    // Who names no transactional id may not write to a transaction.
    if BatchView::parse(bytes).is_ok_and(|(batch, _)| batch.is_transactional()) {
        let message = "a transactional batch in a request without a transactional id";
        return Err(Failure::new(ErrorCode::TransactionalIdAuthorizationFailed, message).into());
    }
    let policy = policy(context, head, topic);
    let checked = validate_produced(bytes, &policy, &mut context.shared.scratch);
    context.shared.scratch.let_go();
    let checked = checked.map_err(|error| {
        let record =
            if let BatchError::Record { index, .. } = error { i32::try_from(index).ok() } else { None };
        Fault { failure: error::of_batch(&error), record, leader: None }
    })?;
    let partition = PartitionId { topic: topic.id, index: data.index };
    let encoding = encoding(topic).filter(|encoding| encoding.codec != checked.info.codec);
    let batch_bytes_max = policy.batch_bytes_max;
    let recompress = encoding.map(|encoding| Recompress { encoding, batch_bytes_max });
    Ok(ProduceOp { partition, acks, batch: frame.cut_to(bytes), checked, recompress })
}

/// How the topic wants its batches compressed, if it does.
fn encoding(topic: &TopicImage) -> Option<Encoding> {
    match topic.config.compression {
        Compression::Producer => None,
        Compression::Uncompressed => Some(Codec::None.into()),
        Compression::Gzip { level } => Some(Encoding { codec: Codec::Gzip, level }),
        Compression::Snappy => Some(Codec::Snappy.into()),
        Compression::Lz4 { level } => Some(Encoding { codec: Codec::Lz4, level }),
        Compression::Zstd { level } => Some(Encoding { codec: Codec::Zstd, level }),
    }
}

fn policy(context: &Context<'_>, head: Head, topic: &TopicImage) -> ProducePolicy {
    let timestamps = match topic.config.timestamp {
        TimestampType::LogAppendTime => TimestampWindow::ANY,
        TimestampType::CreateTime => {
            let now = context.now.wall.0;
            let millis = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
            TimestampWindow {
                earliest: Timestamp(now.saturating_sub(millis(topic.config.timestamp_before_max))),
                latest: Timestamp(now.saturating_add(millis(topic.config.timestamp_after_max))),
            }
        }
    };
    ProducePolicy {
        batch_bytes_max: topic.config.batch_bytes_max,
        expanded_bytes_max: (context.config.memory_bytes / DECOMPRESSED_MEMORY_PART)
            .max(DECOMPRESSED_BYTES_FREE),
        zstd: if head.version >= 7 { ZstdPolicy::Accept } else { ZstdPolicy::Refuse },
        timestamps,
        key: if topic.config.cleanup.compacts() { KeyPolicy::Required } else { KeyPolicy::Optional },
        validation: match topic.config.validation {
            // Keys are looked for, and records taken out of their compression, only by walking them.
            BatchValidation::Crc if !topic.config.cleanup.compacts() && encoding(topic).is_none() => {
                Validation::Crc
            }
            BatchValidation::Crc | BatchValidation::Full => Validation::Records,
        },
    }
}

impl Produce {
    #[expect(clippy::wildcard_enum_match_arm, reason = "a request knows the replies to its own questions")]
    pub(super) fn on_reply(
        &mut self,
        context: &Context<'_>,
        part: u32,
        reply: PartitionReply,
    ) -> Option<Done> {
        let place = usize::try_from(part).ok().and_then(|part| self.places.get(part));
        let &(topic, partition) = place.expect("replies are to parts that were asked");
        let (key, parts) = &mut self.topics[topic];
        let part = &mut parts[partition];
        part.outcome = match reply {
            PartitionReply::Produced(appended) => Outcome::Appended(appended),
            PartitionReply::Failed(failed) => {
                let mut fault = Fault::from(error::of_partition(failed));
                if failed == PartitionError::NotLeader {
                    let state = key.find(context.image).and_then(|topic| topic.partition(part.index));
                    fault.leader = state.and_then(|state| Some((state.leader?, state.leader_epoch.0)));
                } else if failed == PartitionError::Unknown {
                    fault.failure.code = key.unknown();
                }
                Outcome::Failed(fault)
            }
            other => panic!("{other:?} does not answer Produce"),
        };
        self.outstanding -= 1;
        (self.outstanding == 0).then(|| self.answer())
    }

    /// Answers now; what is still pending may or may not be appended.
    pub(super) fn on_deadline(&mut self) -> Done {
        let message = "the batch was not acknowledged in time, and may yet be appended";
        for part in self.topics.iter_mut().flat_map(|(_, parts)| parts) {
            if matches!(part.outcome, Outcome::Pending) {
                part.outcome = Outcome::Failed(Failure::new(ErrorCode::RequestTimedOut, message).into());
            }
        }
        self.answer()
    }

    fn answer(&self) -> Done {
        if self.acks == Acks::None {
            let mut parts = self.topics.iter().flat_map(|(_, parts)| parts);
            let failed = parts.any(|part| matches!(part.outcome, Outcome::Failed(_)));
            // There is no response that could tell.
            return if failed { Done::Close(Refusal::UnacknowledgedFailure) } else { Done::NoResponse };
        }
        let short = usize::from(mutant::on(Mutant::PartitionAnswerDropped));
        let told = |parts: &[Part]| parts.len().saturating_sub(short).max(parts.len().min(1));
        let responses = self.topics.iter().map(|(key, parts)| TopicProduceResponse {
            name: key.name(),
            topic_id: key.id(),
            partition_responses: parts[..told(parts)].iter().map(Part::response).collect(),
            ..TopicProduceResponse::default()
        });
        let response = ProduceResponse { responses: responses.collect(), ..ProduceResponse::default() };
        respond(self.head, |version, writer| response.encode(version, writer))
    }
}

impl Part {
    fn response(&self) -> PartitionProduceResponse<'_> {
        match &self.outcome {
            Outcome::Pending => panic!("a produce is answered when all of it is known"),
            Outcome::Appended(appended) => PartitionProduceResponse {
                index: self.index,
                base_offset: appended.base_offset.0,
                log_append_time_ms: appended.log_append_time.map_or(-1, |timestamp| timestamp.0),
                log_start_offset: appended.log_start_offset.0,
                ..PartitionProduceResponse::default()
            },
            Outcome::Failed(fault)
                if fault.failure.code == ErrorCode::KafkaStorageError
                    && mutant::on(Mutant::ErrorSwallowed) =>
            {
                PartitionProduceResponse { index: self.index, ..PartitionProduceResponse::default() }
            }
            Outcome::Failed(fault) => {
                let message: &str = &fault.failure.message;
                let errors = fault.record.map(|batch_index| BatchIndexAndErrorMessage {
                    batch_index,
                    batch_index_error_message: Some(message),
                    ..BatchIndexAndErrorMessage::default()
                });
                let (leader_id, leader_epoch) =
                    fault.leader.map_or((-1, -1), |(node, epoch)| (node.0, epoch));
                PartitionProduceResponse {
                    index: self.index,
                    error_code: fault.failure.code.code(),
                    base_offset: -1,
                    record_errors: errors.into_iter().collect(),
                    error_message: Some(message),
                    current_leader: LeaderIdAndEpoch {
                        leader_id,
                        leader_epoch,
                        ..LeaderIdAndEpoch::default()
                    },
                    ..PartitionProduceResponse::default()
                }
            }
        }
    }
}
