//! What a recovered node must still have: folded from what was asked and answered on the wire and from the core's own word on
//! what is durable. The contents of an uncut run say which bytes may stand at an offset. Reads nothing back itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use highwater_core::batch::{Batches, Scratch};
use highwater_core::id::{PartitionId, TopicId, Uuid};
use highwater_core::shard::Event;
use highwater_core::wire::messages::create_topics_request::CreateTopicsRequest;
use highwater_core::wire::messages::create_topics_response::CreateTopicsResponse;
use highwater_core::wire::messages::delete_topics_request::DeleteTopicsRequest;
use highwater_core::wire::messages::delete_topics_response::DeleteTopicsResponse;
use highwater_core::wire::messages::fetch_response::FetchResponse;
use highwater_core::wire::messages::produce_request::ProduceRequest;
use highwater_core::wire::messages::produce_response::ProduceResponse;
use highwater_core::wire::{ApiKey, DecodeError, Reader, RequestHeader, ResponseHeader};

use super::rig::Note;
use super::workload::COMPACTED;

/// A batch as its producer made it, without what the broker writes into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Made {
    pub(super) records: i64,
    pub(super) len: usize,
    pub(super) crc: u32,
    pub(super) idempotent: bool,
}

/// The batches of a partition by their base offset.
pub(super) type Content = BTreeMap<i64, Made>;
pub(super) type Contents = BTreeMap<PartitionId, Content>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Topic {
    /// It was asked for and not answered.
    Perhaps,
    Stands,
    Gone,
}

/// A produce request that may be sent again: the broker must know it.
#[derive(Debug, Clone)]
pub(super) struct Repeat {
    pub(super) frame: Arc<[u8]>,
    pub(super) base: i64,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Oracle {
    pub(super) topics: BTreeMap<String, Topic>,
    names: BTreeMap<String, Uuid>,
    /// What was acknowledged, read or called durable ends here.
    pub(super) ends: BTreeMap<PartitionId, i64>,
    pub(super) repeats: BTreeMap<PartitionId, Repeat>,
    /// What was acknowledged.
    pub(super) acked: Contents,
    /// The records of the compacted topic that were acknowledged.
    pub(super) keyed: Keyed,
    open: BTreeMap<(u32, i32), Arc<[u8]>>,
}

/// Key and value of each record, by partition and offset.
pub(super) type Keyed = BTreeMap<PartitionId, BTreeMap<i64, KeyValue>>;
pub(super) type KeyValue = (Vec<u8>, Option<Vec<u8>>);

impl Oracle {
    pub(super) fn on_note(&mut self, note: &Note) {
        match note {
            Note::Event(Event::DurableAdvanced { partition, durable_end })
                if *partition != PartitionId::METADATA =>
            {
                self.known(*partition, durable_end.0);
            }
            Note::Event(_) => {}
            Note::Asked(slot, frame) => {
                let header = RequestHeader::decode(&mut Reader::new(frame)).expect("we sent it");
                self.open.insert((*slot, header.correlation_id), Arc::clone(frame));
                self.on_asked(frame).expect("we sent it");
            }
            Note::Answered(slot, frame) => {
                let correlation = frame.first_chunk().map_or(0, |head| i32::from_be_bytes(*head));
                if let Some(asked) = self.open.remove(&(*slot, correlation)) {
                    self.on_answered(&asked, frame).expect("an answer is well-formed");
                }
            }
        }
    }

    /// The node is gone, and with it what it had not answered.
    pub(super) fn on_cut(&mut self) {
        self.open.clear();
    }

    fn known(&mut self, partition: PartitionId, end: i64) {
        let known = self.ends.entry(partition).or_default();
        *known = end.max(*known);
    }

    fn on_asked(&mut self, frame: &[u8]) -> Result<(), DecodeError> {
        let mut reader = Reader::new(frame);
        let header = RequestHeader::decode(&mut reader)?;
        let version = header.api_version;
        if header.api_key == ApiKey::CreateTopics.code() {
            for topic in CreateTopicsRequest::decode(version, &mut reader)?.topics {
                self.topics.entry(topic.name.to_owned()).or_insert(Topic::Perhaps);
            }
        } else if header.api_key == ApiKey::DeleteTopics.code() {
            let request = DeleteTopicsRequest::decode(version, &mut reader)?;
            let named = request.topics.iter().filter_map(|topic| topic.name);
            for name in request.topic_names.iter().copied().chain(named) {
                self.topics.insert(name.to_owned(), Topic::Perhaps);
            }
        }
        Ok(())
    }

    fn on_answered(&mut self, asked: &Arc<[u8]>, answer: &[u8]) -> Result<(), DecodeError> {
        let mut request = Reader::new(asked);
        let header = RequestHeader::decode(&mut request)?;
        let version = header.api_version;
        let Some(key) = ApiKey::from_code(header.api_key) else { return Ok(()) };
        let mut reader = Reader::new(answer);
        ResponseHeader::decode(key, version, &mut reader)?;
        if key == ApiKey::Produce {
            let request = ProduceRequest::decode(version, &mut request)?;
            self.on_produced(asked, &request, &ProduceResponse::decode(version, &mut reader)?);
        } else if key == ApiKey::CreateTopics {
            for topic in CreateTopicsResponse::decode(version, &mut reader)?.topics {
                if topic.error_code == 0 {
                    self.topics.insert(topic.name.to_owned(), Topic::Stands);
                    self.names.insert(topic.name.to_owned(), topic.topic_id);
                }
            }
        } else if key == ApiKey::DeleteTopics {
            for topic in DeleteTopicsResponse::decode(version, &mut reader)?.responses {
                if let Some(name) = topic.name.filter(|_| topic.error_code == 0) {
                    self.topics.insert(name.to_owned(), Topic::Gone);
                }
            }
        } else if key == ApiKey::Fetch {
            self.on_fetched(&FetchResponse::decode(version, &mut reader)?);
        }
        Ok(())
    }

    fn on_fetched(&mut self, response: &FetchResponse<'_>) {
        for topic in &response.responses {
            for partition in topic.partitions.iter().filter(|partition| partition.error_code == 0) {
                let id = PartitionId { topic: TopicId(topic.topic_id), index: partition.partition_index };
                self.known(id, partition.high_watermark);
            }
        }
    }

    fn on_produced(
        &mut self,
        frame: &Arc<[u8]>,
        request: &ProduceRequest<'_>,
        response: &ProduceResponse<'_>,
    ) {
        for topic in &response.responses {
            let named = self.names.get(topic.name).copied();
            let id = if topic.topic_id == Uuid::ZERO { named } else { Some(topic.topic_id) };
            let Some(id) = id else { continue };
            let asked = request
                .topic_data
                .iter()
                .find(|asked| asked.name == topic.name && asked.topic_id == topic.topic_id);
            for answer in topic.partition_responses.iter().filter(|answer| answer.error_code == 0) {
                let data = asked.and_then(|asked| {
                    asked.partition_data.iter().find(|data| data.index == answer.index)?.records.as_ref()
                });
                let Some(records) = data.and_then(|records| records.borrowed()) else { continue };
                let partition = PartitionId { topic: TopicId(id), index: answer.index };
                self.on_acked(frame, partition, answer.base_offset, records);
            }
        }
    }

    fn on_acked(&mut self, frame: &Arc<[u8]>, partition: PartitionId, base: i64, records: &[u8]) {
        let mut next = base;
        let content = self.acked.entry(partition).or_default();
        let mut idempotent = false;
        for made in made(records) {
            idempotent = made.idempotent;
            content.insert(next, made);
            next += made.records;
        }
        self.known(partition, next);
        if self.names.get(COMPACTED) == Some(&partition.topic.0) {
            self.keyed.entry(partition).or_default().extend(keyed(base, records));
        }
        if idempotent {
            self.repeats.insert(partition, Repeat { frame: Arc::clone(frame), base });
        }
    }
}

/// Offset, key and value of the records in what a producer sent, which got `base`.
fn keyed(base: i64, records: &[u8]) -> Vec<(i64, KeyValue)> {
    let mut scratch = Scratch::new();
    let batches = Batches::new(records).map(|batch| batch.expect("a client sends whole batches"));
    let mut all = Vec::new();
    for batch in batches {
        for record in batch.records(&mut scratch).expect("and whole records") {
            let record = record.expect("and whole records");
            let key = record.key.unwrap_or_default().to_vec();
            all.push((
                base + i64::try_from(all.len()).expect("few"),
                (key, record.value.map(<[u8]>::to_vec)),
            ));
        }
    }
    all
}

/// The batches in what a producer sent.
fn made(records: &[u8]) -> impl Iterator<Item = Made> {
    Batches::new(records).map(|batch| {
        let batch = batch.expect("a client sends whole batches");
        Made {
            records: i64::from(batch.count()),
            len: batch.len(),
            crc: batch.crc(),
            idempotent: batch.producer_id().0 >= 0,
        }
    })
}
