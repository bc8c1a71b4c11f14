//! Producing: records become batches, batches requests, answers events. Retries as Kafka's own producer does.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::client::Call;
use super::cluster::Cluster;
use super::links::{Lane, Links, Lost, Outcome, Peer, Readiness, Reply, Sending};
use super::queue::{Batch, PartitionQueue, QueueLimits};
use super::{
    Acks, Address, ClientConfig, ClientError, ClientEvent, Idempotence, ProduceError, ProduceFailure,
    ProducerConfig, Receipt, Retries, Token, TopicPartition, Written,
};
use crate::batch::{BatchBuilder, BatchHeader, NewHeader, NewRecord};
use crate::buf::Slice;
use crate::id::{Offset, ProducerEpoch, ProducerId, Uuid};
use crate::limits::{BATCH_BYTES_MAX, CLIENT_PRODUCE_BYTES_MAX};
use crate::time::{Duration, Instant, Timestamp};
use crate::wire::messages::init_producer_id_request::InitProducerIdRequest;
use crate::wire::messages::init_producer_id_response::InitProducerIdResponse;
use crate::wire::messages::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use crate::wire::messages::produce_response::{PartitionProduceResponse, ProduceResponse};
use crate::wire::{ApiKey, ErrorCode, Reader, Records};

/// One record to produce.
#[derive(Debug, Clone)]
pub struct ProduceRecord<'a> {
    pub partition: TopicPartition,
    pub timestamp: Timestamp,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    pub headers: &'a [NewHeader<'a>],
}

/// A batch under way.
#[derive(Debug)]
pub(super) struct Flight {
    partition: TopicPartition,
    topic: Uuid,
    batch: Batch,
}

#[derive(Debug, Clone, Copy)]
enum Id {
    Unneeded,
    Wanted { at: Instant },
    Asking,
    Have(ProducerId, ProducerEpoch),
}

#[derive(Debug)]
pub(super) struct Producer {
    config: ProducerConfig,
    backoff: Duration,
    queues: BTreeMap<TopicPartition, PartitionQueue>,
    /// Record bytes in all queues and under way.
    bytes: usize,
    id: Id,
}

/// What the broker said of one batch.
struct Verdict {
    error: ClientError,
    written: Written,
}

impl Producer {
    pub(super) fn new(config: &ClientConfig, now: Instant) -> Self {
        let id = match config.producer.idempotence {
            Idempotence::On => Id::Wanted { at: now },
            Idempotence::Off => Id::Unneeded,
        };
        let idempotent = config.producer.idempotence == Idempotence::On;
        assert!(!idempotent || config.producer.acks == Acks::All, "idempotence needs acknowledgement by all");
        assert!(!idempotent || config.producer.in_flight_max <= 5, "a broker remembers five batches");
        assert!(config.producer.in_flight_max > 0, "a producer sends");
        Self {
            config: config.producer.clone(),
            backoff: config.retry_backoff,
            queues: BTreeMap::new(),
            bytes: 0,
            id,
        }
    }

    fn limits(&self) -> QueueLimits {
        QueueLimits {
            compression: self.config.compression,
            batch_bytes: self.config.batch_bytes,
            in_flight_max: self.config.in_flight_max,
            delivery_timeout: self.config.delivery_timeout,
        }
    }

    /// Record bytes that are not acknowledged.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn produce(
        &mut self,
        now: Instant,
        token: Token,
        record: &ProduceRecord<'_>,
    ) -> Result<(), ProduceError> {
        let new = NewRecord {
            timestamp: record.timestamp,
            key: record.key,
            value: record.value,
            headers: record.headers,
        };
        let alone = BatchBuilder::new(BatchHeader::default()).len_with(&new);
        if alone > BATCH_BYTES_MAX {
            return Err(ProduceError::TooLarge);
        }
        // A record that is larger than the buffer passes alone.
        if self.bytes > 0 && self.bytes + alone > self.config.buffer_bytes {
            return Err(ProduceError::Full);
        }
        let limits = self.limits();
        let queue = self.queues.entry(record.partition.clone()).or_insert_with(PartitionQueue::new);
        self.bytes += queue.push(now, &limits, token, &new);
        Ok(())
    }

    pub(super) fn deadlines(&self) -> impl Iterator<Item = Instant> {
        let limits = self.limits();
        let id = match self.id {
            Id::Wanted { at } if self.bytes > 0 => Some(at),
            Id::Unneeded | Id::Wanted { .. } | Id::Asking | Id::Have(..) => None,
        };
        id.into_iter().chain(self.queues.values().filter_map(move |queue| queue.deadlines(&limits)).flatten())
    }

    pub(super) fn turn(
        &mut self,
        now: Instant,
        links: &mut Links<Call>,
        cluster: &mut Cluster,
        events: &mut VecDeque<ClientEvent>,
    ) {
        if self.bytes == 0 {
            return;
        }
        self.expire(now, cluster, events);
        if !self.have_id(now, links, cluster) {
            return;
        }
        let limits = self.limits();
        let mut ready: BTreeMap<Address, Vec<(TopicPartition, Uuid)>> = BTreeMap::new();
        for (partition, queue) in &self.queues {
            if !queue.is_waiting() {
                continue;
            }
            if let Some(leader) = cluster.leader(now, partition)
                && queue.can_send(now, &limits)
            {
                ready.entry(leader.address).or_default().push((partition.clone(), leader.topic));
            }
        }
        for (address, mut partitions) in ready {
            let peer = Peer { address, lane: Lane::Main };
            while !partitions.is_empty() && links.want(now, &peer) == Readiness::Ready {
                let flights = self.take_flights(&mut partitions, events);
                if !flights.is_empty() {
                    self.send(now, links, &peer, flights, events);
                }
                partitions.retain(|(partition, _)| self.queues[partition].can_send(now, &limits));
            }
        }
    }

    /// Fails what waited for too long, or can never be sent.
    fn expire(&mut self, now: Instant, cluster: &Cluster, events: &mut VecDeque<ClientEvent>) {
        let limits = self.limits();
        let mut failed = Vec::new();
        for (partition, queue) in &mut self.queues {
            let error = cluster.error(&partition.topic);
            if let Some(error) = error.filter(|error| !error.is_retriable()) {
                failed.extend(core::iter::from_fn(|| queue.take_failed()).map(|batch| (batch, error)));
            }
            let error = error.unwrap_or(ClientError::TimedOut);
            failed.extend(core::iter::from_fn(|| queue.expire(now, &limits)).map(|batch| (batch, error)));
        }
        for (batch, error) in failed {
            let written = batch.written;
            self.finish(batch, Err(ProduceFailure { error, written }), events);
        }
    }

    fn have_id(&mut self, now: Instant, links: &mut Links<Call>, cluster: &Cluster) -> bool {
        match self.id {
            Id::Unneeded | Id::Have(..) => return true,
            Id::Asking => return false,
            Id::Wanted { at } if at > now => return false,
            Id::Wanted { .. } => {}
        }
        if let Some(peer) = links.want_any(now, &cluster.addresses()) {
            self.id = Id::Asking;
            let sending = Sending::new(ApiKey::InitProducerId);
            links.send(now, (&peer, sending), Call::InitProducerId, |version, writer| {
                let request = InitProducerIdRequest {
                    transactional_id: None,
                    transaction_timeout_ms: i32::MAX,
                    ..InitProducerIdRequest::default()
                };
                request.encode(version, writer)
            });
        }
        false
    }

    pub(super) fn on_init_producer_id(&mut self, now: Instant, outcome: &Outcome<Call>) {
        let response = outcome.as_ref().ok().and_then(|answer| {
            InitProducerIdResponse::decode(answer.version, &mut Reader::new(&answer.body)).ok()
        });
        self.id = match response {
            Some(response)
                if response.error_code == 0 && response.producer_id >= 0 && response.producer_epoch >= 0 =>
            {
                Id::Have(ProducerId(response.producer_id), ProducerEpoch(response.producer_epoch))
            }
            Some(_) | None => Id::Wanted { at: now + self.backoff },
        };
    }

    /// One batch of each partition, as far as they fit a request. Those that got no place come first the next time.
    fn take_flights(
        &mut self,
        partitions: &mut [(TopicPartition, Uuid)],
        events: &mut VecDeque<ClientEvent>,
    ) -> Vec<Flight> {
        let id = match self.id {
            Id::Have(id, epoch) => Some((id, epoch)),
            Id::Unneeded | Id::Wanted { .. } | Id::Asking => None,
        };
        let mut flights = Vec::new();
        let mut bytes = 0;
        let mut taken = 0;
        let limits = self.limits();
        for (partition, topic) in partitions.iter() {
            if bytes >= CLIENT_PRODUCE_BYTES_MAX {
                break;
            }
            taken += 1;
            let (partition, topic) = (partition.clone(), *topic);
            let queue = self.queues.get_mut(&partition).expect("a queue that can send is there");
            match queue.take(id, &limits) {
                Ok(batch) => {
                    bytes += batch.bytes;
                    flights.push(Flight { partition, topic, batch });
                }
                Err(error) => {
                    let failed: Vec<Batch> = core::iter::from_fn(|| queue.take_failed()).collect();
                    for batch in failed {
                        let written = batch.written;
                        self.finish(batch, Err(ProduceFailure { error, written }), events);
                    }
                }
            }
        }
        partitions.rotate_left(taken);
        flights
    }

    fn send(
        &mut self,
        now: Instant,
        links: &mut Links<Call>,
        peer: &Peer,
        flights: Vec<Flight>,
        events: &mut VecDeque<ClientEvent>,
    ) {
        let parts: Vec<(Arc<str>, i32, Uuid, Slice)> = flights
            .iter()
            .map(|f| (Arc::clone(&f.partition.topic), f.partition.index, f.topic, f.batch.slice()))
            .collect();
        let version_max = if parts.iter().any(|(_, _, id, _)| id.is_zero()) { 12 } else { i16::MAX };
        let reply = if self.config.acks == Acks::None { Reply::None } else { Reply::Expected };
        let patience = self.config.answer_timeout;
        let sending = Sending { version_max, patience, reply, ..Sending::new(ApiKey::Produce) };
        let acks = match self.config.acks {
            Acks::None => 0,
            Acks::Leader => 1,
            Acks::All => -1,
        };
        let timeout_ms = i32::try_from(self.config.answer_timeout.as_millis()).unwrap_or(i32::MAX);
        let sent = links.send(now, (peer, sending), Call::Produce(flights), |version, writer| {
            let topic_data = parts.chunk_by(|a, b| a.0 == b.0).map(topic_data).collect();
            let request = ProduceRequest { acks, timeout_ms, topic_data, ..ProduceRequest::default() };
            request.encode(version, writer)
        });
        if let Some(Call::Produce(flights)) = sent {
            for Flight { partition, batch, .. } in flights {
                self.queue(&partition).on_settled(&batch);
                self.finish(batch, Ok(PartitionProduceResponse::default()), events);
            }
        }
    }

    fn queue(&mut self, partition: &TopicPartition) -> &mut PartitionQueue {
        self.queues.get_mut(partition).expect("a queue outlives its batches")
    }

    pub(super) fn on_lost(
        &mut self,
        now: Instant,
        flights: Vec<Flight>,
        lost: (ClientError, Written),
        events: &mut VecDeque<ClientEvent>,
    ) {
        let (error, written) = lost;
        for flight in flights {
            self.judge(now, flight, Verdict { error, written }, events);
        }
    }

    /// Whether an answer says that the cluster is not as it was thought to be.
    pub(super) fn on_answer(
        &mut self,
        now: Instant,
        flights: Vec<Flight>,
        answer: (i16, &Slice),
        events: &mut VecDeque<ClientEvent>,
    ) -> bool {
        let (version, body) = answer;
        let Ok(response) = ProduceResponse::decode(version, &mut Reader::new(body)) else {
            self.on_lost(now, flights, (ClientError::Malformed, Written::Perhaps), events);
            return false;
        };
        let mut answers: BTreeMap<(&str, Uuid, i32), &PartitionProduceResponse<'_>> = BTreeMap::new();
        for topic in &response.responses {
            for partition in &topic.partition_responses {
                answers.insert((topic.name, topic.topic_id, partition.index), partition);
            }
        }
        let mut stale = false;
        for flight in flights {
            let Flight { partition, topic, .. } = &flight;
            let (name, topic) = if version >= 13 { ("", *topic) } else { (&*partition.topic, Uuid::ZERO) };
            match answers.get(&(name, topic, partition.index)).copied() {
                Some(answer) => stale |= self.on_partition(now, flight, answer, events),
                None => {
                    let verdict = Verdict { error: ClientError::Malformed, written: Written::Perhaps };
                    self.judge(now, flight, verdict, events);
                }
            }
        }
        stale
    }

    fn on_partition(
        &mut self,
        now: Instant,
        flight: Flight,
        answer: &PartitionProduceResponse<'_>,
        events: &mut VecDeque<ClientEvent>,
    ) -> bool {
        let duplicate = ErrorCode::DuplicateSequenceNumber.code();
        let error = ClientError::from_code(answer.error_code).filter(|_| answer.error_code != duplicate);
        let Some(error) = error else {
            self.queue(&flight.partition).on_settled(&flight.batch);
            self.finish(flight.batch, Ok(answer.clone()), events);
            return false;
        };
        let ambiguous = [
            ErrorCode::RequestTimedOut,
            ErrorCode::NotEnoughReplicasAfterAppend,
            ErrorCode::UnknownServerError,
            ErrorCode::NetworkException,
            ErrorCode::KafkaStorageError,
        ];
        let ambiguous = ambiguous.map(ClientError::Broker).contains(&error);
        let written = if ambiguous { Written::Perhaps } else { Written::No };
        self.judge(now, flight, Verdict { error, written }, events);
        error.is_retriable()
    }

    /// Sends again what may be, and fails the rest.
    fn judge(
        &mut self,
        now: Instant,
        mut flight: Flight,
        verdict: Verdict,
        events: &mut VecDeque<ClientEvent>,
    ) {
        let Verdict { error, written } = verdict;
        if written == Written::Perhaps {
            flight.batch.written = Written::Perhaps;
        }
        let retry_at = now + self.backoff;
        let retries = self.config.retries;
        let queue = self.queue(&flight.partition);
        // With a sequence that the broker does not expect, an earlier batch is missing. It is under way, or it failed.
        let missing = [ErrorCode::OutOfOrderSequenceNumber, ErrorCode::UnknownProducerId]
            .map(ClientError::Broker)
            .contains(&error);
        let out_of_sequence = missing && queue.is_out_of_sequence(&flight.batch);
        if out_of_sequence {
            queue.break_sequences();
        }
        let again = match retries {
            Retries::Never => false,
            // An earlier attempt may be in the log, where the broker does not know it any more.
            Retries::UntilDeliveryTimeout if out_of_sequence && flight.batch.written == Written::Perhaps => {
                false
            }
            Retries::UntilDeliveryTimeout => missing || error.is_retriable(),
        };
        if again {
            queue.give_back(flight.batch, retry_at);
        } else {
            queue.on_settled(&flight.batch);
            queue.break_sequences();
            let written = flight.batch.written;
            self.finish(flight.batch, Err(ProduceFailure { error, written }), events);
        }
    }

    /// Tells the outcome of every record of a batch.
    fn finish(
        &mut self,
        batch: Batch,
        result: Result<PartitionProduceResponse<'_>, ProduceFailure>,
        events: &mut VecDeque<ClientEvent>,
    ) {
        self.bytes -= batch.bytes;
        let answer = result.as_ref().ok();
        let known =
            answer.filter(|a| a.base_offset >= 0 && self.config.acks != Acks::None && a.error_code == 0);
        let base = known.map(|answer| Offset(answer.base_offset));
        let append_time = answer.map(|a| a.log_append_time_ms).filter(|&ms| ms >= 0).map(Timestamp);
        for (place, token) in (0_i64..).zip(batch.tokens) {
            let offset = base.and_then(|base| base.0.checked_add(place)).map(Offset);
            let result = match &result {
                Ok(_) => Ok(Receipt { offset, append_time }),
                Err(failure) => Err(*failure),
            };
            events.push_back(ClientEvent::Produced { token, result });
        }
    }
}

fn topic_data<'a>(parts: &'a [(Arc<str>, i32, Uuid, Slice)]) -> TopicProduceData<'a> {
    let (name, _, topic_id, _) = &parts[0];
    let partition_data = parts
        .iter()
        .map(|(_, index, _, slice)| PartitionProduceData {
            index: *index,
            records: Some(Records::Slices(Vec::from([slice.clone()]))),
            ..PartitionProduceData::default()
        })
        .collect();
    TopicProduceData { name, topic_id: *topic_id, partition_data, ..TopicProduceData::default() }
}

/// What a lost call says of its batches.
pub(super) fn written(lost: &Lost<Call>) -> Written {
    match lost.sent {
        super::links::Sent::Yes => Written::Perhaps,
        super::links::Sent::No => Written::No,
    }
}
