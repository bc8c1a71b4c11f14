//! Brings a node up on what a power failure left, reads everything back, and holds it to the oracle. Must not know how the disk
//! came to be so.

use std::collections::BTreeMap;
use std::sync::Arc;

use highwater_core::batch::{BatchBuilder, BatchHeader, Batches, NewRecord, Scratch};
use highwater_core::buf::Slice;
use highwater_core::id::{PartitionId, ProducerEpoch, ProducerId, TopicId, Uuid};
use highwater_core::shard::Event;
use highwater_core::time::Duration;
use highwater_core::wire::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use highwater_core::wire::messages::fetch_response::FetchResponse;
use highwater_core::wire::messages::list_offsets_request::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use highwater_core::wire::messages::list_offsets_response::ListOffsetsResponse;
use highwater_core::wire::messages::metadata_request::MetadataRequest;
use highwater_core::wire::messages::metadata_response::MetadataResponse;
use highwater_core::wire::messages::produce_request::{
    PartitionProduceData, ProduceRequest, TopicProduceData,
};
use highwater_core::wire::messages::produce_response::ProduceResponse;
use highwater_core::wire::{ApiKey, EncodeError, Reader, Records, RequestHeader, ResponseHeader, Writer};

use super::oracle::{Content, Contents, Keyed, Made, Oracle, Topic};
use super::rig::{Note, Rig};
use super::workload::COMPACTED;
use crate::bytes::joined;

/// A node that takes longer than this is stuck.
const PATIENCE: Duration = Duration::from_secs(20);
const METADATA: i16 = 12;
const FETCH: i16 = 13;
const LIST_OFFSETS: i16 = 7;
const PRODUCE: i16 = 13;

/// The key of what is written after a recovery.
const NEXT_KEY: &[u8] = b"next";

/// How thoroughly a recovered node is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    /// All is read.
    Read,
    /// Then what was acknowledged last is sent once more, and something new.
    Produce,
}

/// One partition as it was read back.
#[derive(Debug, Default)]
struct Back {
    start: i64,
    end: i64,
    content: Content,
    /// Offsets and keys of what was read of the compacted topic.
    keyed: Option<Vec<(i64, Vec<u8>)>>,
    /// Of the last idempotent batch: producer, epoch and the sequence that comes next.
    producer: Option<(ProducerId, ProducerEpoch, i32)>,
}

#[derive(Debug)]
pub(super) struct Check<'a> {
    pub(super) rig: &'a mut Rig,
    pub(super) oracle: &'a Oracle,
    /// What may stand where.
    pub(super) may: &'a Contents,
    /// All records that the compacted topic may have.
    pub(super) keyed: &'a Keyed,
    slot: u32,
    correlation: i32,
}

impl<'a> Check<'a> {
    pub(super) fn new(rig: &'a mut Rig, oracle: &'a Oracle, (may, keyed): (&'a Contents, &'a Keyed)) -> Self {
        Self { rig, oracle, may, keyed, slot: 0, correlation: 0 }
    }

    /// What is in the logs now, new batches included.
    pub(super) fn run(mut self, depth: Depth) -> Result<Contents, String> {
        let limit = self.rig.now() + PATIENCE;
        while !self.rig.is_up() {
            self.rig.settle();
            if let Some(halt) = self.rig.halted {
                return Err(format!("recovery halts: {halt:?}"));
            }
            if !self.rig.is_up() && !self.rig.advance(limit) {
                return Err("recovery does not end".to_owned());
            }
        }
        self.slot = self.rig.connect();
        let mut backs = self.read_topics()?;
        self.check_ends(&backs)?;
        if depth == Depth::Produce {
            self.repeat(&backs)?;
            self.go_on(&mut backs)?;
            self.idle(Duration::from_millis(40));
        }
        self.check_events()?;
        Ok(backs.into_iter().map(|(partition, back)| (partition, back.content)).collect())
    }

    fn idle(&mut self, wait: Duration) {
        let limit = self.rig.now() + wait;
        while self.rig.now() < limit {
            self.rig.settle();
            self.rig.advance(limit);
        }
        self.rig.settle();
    }

    fn check_events(&self) -> Result<(), String> {
        for note in &self.rig.notes {
            if let Note::Event(
                event @ (Event::Rot { .. }
                | Event::Faulty { .. }
                | Event::CheckpointLost { .. }
                | Event::ProducersLost { .. }
                | Event::LogStartLost { .. }
                | Event::SuperblockRepaired
                | Event::Halted(_)
                | Event::StorageFull),
            ) = note
            {
                return Err(format!("{event:?}, and the disk has no fault"));
            }
        }
        Ok(())
    }

    /// Sends a frame and waits for its answer, without the length.
    fn call_frame(&mut self, frame: &[u8]) -> Result<Vec<u8>, String> {
        self.rig.send(self.slot, frame);
        let limit = self.rig.now() + PATIENCE;
        let mut answer = Vec::new();
        loop {
            self.rig.settle();
            while let Some((slot, bytes)) = self.rig.heard.pop_front() {
                if slot == self.slot {
                    answer.extend(bytes);
                }
            }
            if let Some((head, rest)) = answer.split_first_chunk::<4>()
                && usize::try_from(i32::from_be_bytes(*head)).is_ok_and(|len| rest.len() >= len)
            {
                return Ok(rest.to_vec());
            }
            if let Some(halt) = self.rig.halted {
                return Err(format!("the recovered node halts: {halt:?}"));
            }
            if !self.rig.advance(limit) {
                return Err("a request is not answered".to_owned());
            }
        }
    }

    fn call(
        &mut self,
        key: ApiKey,
        version: i16,
        body: impl FnOnce(&mut Writer) -> Result<(), EncodeError>,
    ) -> Result<Vec<u8>, String> {
        self.correlation += 1;
        let header = RequestHeader {
            api_key: key.code(),
            api_version: version,
            correlation_id: self.correlation,
            ..RequestHeader::default()
        };
        let mut writer = Writer::frame();
        header.encode(&mut writer).expect("a known key");
        body(&mut writer).expect("a small request");
        let answer = self.call_frame(&joined(&writer.into_parts()))?;
        let mut reader = Reader::new(&answer);
        ResponseHeader::decode(key, version, &mut reader).map_err(|error| format!("{key:?}: {error:?}"))?;
        Ok(reader.remaining().to_vec())
    }

    /// Reads every partition of every topic, and holds the topics to those that must be.
    fn read_topics(&mut self) -> Result<BTreeMap<PartitionId, Back>, String> {
        let request = MetadataRequest { topics: None, ..MetadataRequest::default() };
        let body = self.call(ApiKey::Metadata, METADATA, |writer| request.encode(METADATA, writer))?;
        let metadata = MetadataResponse::decode(METADATA, &mut Reader::new(&body))
            .map_err(|error| format!("metadata: {error:?}"))?;
        let mut names: BTreeMap<String, (Uuid, usize)> = BTreeMap::new();
        for topic in &metadata.topics {
            names.insert(topic.name.unwrap_or_default().to_owned(), (topic.topic_id, topic.partitions.len()));
        }
        for (name, state) in &self.oracle.topics {
            let there = names.contains_key(name);
            if (*state == Topic::Stands && !there) || (*state == Topic::Gone && there) {
                return Err(format!("topic {name}: {state:?}, and it is there: {there}"));
            }
        }
        if let Some(name) = names.keys().find(|name| !self.oracle.topics.contains_key(*name)) {
            return Err(format!("topic {name} was never asked for"));
        }
        let mut backs = BTreeMap::new();
        for (name, (topic, partitions)) in names {
            for index in 0..i32::try_from(partitions).expect("few partitions") {
                let partition = PartitionId { topic: TopicId(topic), index };
                let start = self.log_start(&name, index)?;
                let back =
                    Back { start, end: start, keyed: (name == COMPACTED).then(Vec::new), ..Back::default() };
                let back = self.read(partition, back)?;
                self.check_fold(partition, &back)?;
                backs.insert(partition, back);
            }
        }
        Ok(backs)
    }

    fn log_start(&mut self, name: &str, index: i32) -> Result<i64, String> {
        let wanted = ListOffsetsPartition {
            partition_index: index,
            current_leader_epoch: -1,
            timestamp: -2,
            ..ListOffsetsPartition::default()
        };
        let topic = ListOffsetsTopic { name, partitions: vec![wanted], ..ListOffsetsTopic::default() };
        let request =
            ListOffsetsRequest { replica_id: -1, topics: vec![topic], ..ListOffsetsRequest::default() };
        let body =
            self.call(ApiKey::ListOffsets, LIST_OFFSETS, |writer| request.encode(LIST_OFFSETS, writer))?;
        let listed = ListOffsetsResponse::decode(LIST_OFFSETS, &mut Reader::new(&body))
            .map_err(|error| format!("list offsets: {error:?}"))?;
        let first = listed.topics.first().and_then(|topic| topic.partitions.first());
        first
            .filter(|partition| partition.error_code == 0)
            .map(|partition| partition.offset)
            .ok_or_else(|| format!("{name}-{index}: {listed:?}"))
    }

    fn read(&mut self, partition: PartitionId, mut back: Back) -> Result<Back, String> {
        let mut next = back.start;
        loop {
            let body = self.fetch(partition, next)?;
            let fetched = FetchResponse::decode(FETCH, &mut Reader::new(&body))
                .map_err(|error| format!("fetch: {error:?}"))?;
            let [topic] = &fetched.responses[..] else { return Err(format!("{fetched:?}")) };
            let [data] = &topic.partitions[..] else { return Err(format!("{fetched:?}")) };
            if data.error_code != 0 {
                return Err(format!("{partition}: reading at {next} fails with error {}", data.error_code));
            }
            back.end = data.high_watermark;
            let records = data.records.as_ref().and_then(|records| records.borrowed()).unwrap_or_default();
            next = self.take(&mut back, partition, next, records)?;
            if next >= back.end {
                return Ok(back);
            }
            if records.is_empty() {
                return Err(format!("{partition}: nothing stands at {next}, below the end {}", back.end));
            }
        }
    }

    fn fetch(&mut self, partition: PartitionId, from: i64) -> Result<Vec<u8>, String> {
        let wanted = FetchPartition {
            partition: partition.index,
            current_leader_epoch: -1,
            fetch_offset: from,
            last_fetched_epoch: -1,
            log_start_offset: -1,
            partition_max_bytes: 1 << 20,
            ..FetchPartition::default()
        };
        let topic =
            FetchTopic { topic_id: partition.topic.0, partitions: vec![wanted], ..FetchTopic::default() };
        let request = FetchRequest {
            replica_id: -1,
            max_bytes: 1 << 20,
            session_epoch: -1,
            topics: vec![topic],
            ..FetchRequest::default()
        };
        self.call(ApiKey::Fetch, FETCH, |writer| request.encode(FETCH, writer))
    }

    /// Of each key the newest record that was acknowledged is there, or a newer one.
    fn check_fold(&self, partition: PartitionId, back: &Back) -> Result<(), String> {
        let Some(read) = &back.keyed else { return Ok(()) };
        for (offset, (key, _)) in self.oracle.keyed.get(&partition).into_iter().flatten() {
            if !read.iter().any(|(found, other)| found >= offset && other == key) {
                return Err(format!(
                    "{partition}: the record at {offset} is gone, and no newer one has its key"
                ));
            }
        }
        Ok(())
    }

    /// The same of a partition that may have been cleaned.
    fn take_keyed(
        &self,
        back: &mut Back,
        partition: PartitionId,
        from: i64,
        records: &[u8],
    ) -> Result<i64, String> {
        let mut next = from;
        let mut scratch = Scratch::new();
        for batch in Batches::new(records) {
            let batch = batch.map_err(|error| format!("{partition}: {error:?} at {next}"))?;
            if batch.check_crc().is_err() || batch.end_offset().0 <= next {
                return Err(format!("{partition}: a broken batch behind {next}"));
            }
            for record in batch.records(&mut scratch).map_err(|error| format!("{partition}: {error:?}"))? {
                let record = record.map_err(|error| format!("{partition}: {error:?}"))?;
                let (offset, key) = (record.offset.0, record.key.unwrap_or_default().to_vec());
                let written = self.keyed.get(&partition).and_then(|written| written.get(&offset));
                let same = written.is_some_and(|(k, v)| *k == key && v.as_deref() == record.value);
                if !same && key != NEXT_KEY {
                    return Err(format!("{partition}: what stands at {offset} was not written there"));
                }
                back.keyed.get_or_insert_default().push((offset, key));
            }
            next = batch.end_offset().0;
            if batch.producer_id().0 >= 0 {
                let after = batch.base_sequence() + batch.last_offset_delta() + 1;
                back.producer = Some((batch.producer_id(), batch.producer_epoch(), after));
            }
        }
        Ok(next)
    }

    /// Holds the batches of one answer to what may stand there; where they end.
    fn take(
        &self,
        back: &mut Back,
        partition: PartitionId,
        from: i64,
        records: &[u8],
    ) -> Result<i64, String> {
        if back.keyed.is_some() {
            return self.take_keyed(back, partition, from, records);
        }
        let mut next = from;
        for batch in Batches::new(records) {
            let batch = batch.map_err(|error| format!("{partition}: {error:?} at {next}"))?;
            let base = batch.base_offset().0;
            if batch.check_crc().is_err() || base != next {
                return Err(format!("{partition}: a broken batch at {base}, where {next} was due"));
            }
            let made = Made {
                records: i64::from(batch.count()),
                len: batch.len(),
                crc: batch.crc(),
                idempotent: batch.producer_id().0 >= 0,
            };
            let may = self.may.get(&partition).and_then(|content| content.get(&base));
            if may != Some(&made) {
                return Err(format!("{partition}: {made:?} stands at {base}, where {may:?} belongs"));
            }
            if made.idempotent {
                let after = batch.base_sequence() + batch.count();
                back.producer = Some((batch.producer_id(), batch.producer_epoch(), after));
            }
            back.content.insert(base, made);
            next = base + made.records;
        }
        Ok(next)
    }

    fn check_ends(&self, backs: &BTreeMap<PartitionId, Back>) -> Result<(), String> {
        for (partition, back) in backs {
            let end = self.oracle.ends.get(partition).copied().unwrap_or(0);
            if back.end < end {
                return Err(format!("{partition}: ends at {}, and {end} was acknowledged", back.end));
            }
            if back.start > end {
                return Err(format!(
                    "{partition}: starts at {}, and only {end} was acknowledged",
                    back.start
                ));
            }
        }
        Ok(())
    }

    /// Sends what was acknowledged last once more: the broker must say that it stands where it stood.
    fn repeat(&mut self, backs: &BTreeMap<PartitionId, Back>) -> Result<(), String> {
        for (partition, repeat) in self.oracle.repeats.clone() {
            let Some(back) = backs.get(&partition) else { continue };
            if repeat.base < back.start {
                continue;
            }
            let mut frame = i32::try_from(repeat.frame.len()).expect("small").to_be_bytes().to_vec();
            frame.extend_from_slice(&repeat.frame);
            let answer = self.call_frame(&frame)?;
            let mut reader = Reader::new(&repeat.frame);
            let header = RequestHeader::decode(&mut reader).expect("it was sent before");
            let mut reader = Reader::new(&answer);
            ResponseHeader::decode(ApiKey::Produce, header.api_version, &mut reader)
                .map_err(|error| format!("{error:?}"))?;
            let response = ProduceResponse::decode(header.api_version, &mut reader)
                .map_err(|error| format!("{error:?}"))?;
            let of_partition = response
                .responses
                .iter()
                .filter(|topic| topic.topic_id == partition.topic.0 || response.responses.len() == 1)
                .flat_map(|topic| &topic.partition_responses)
                .find(|answer| answer.index == partition.index);
            let again = of_partition.map(|answer| (answer.error_code, answer.base_offset));
            if again != Some((0, repeat.base)) {
                return Err(format!(
                    "{partition}: the batch at {} was sent again and got {again:?}",
                    repeat.base
                ));
            }
        }
        Ok(())
    }

    /// Writes one batch more to every partition, as the producer that wrote to it last.
    fn go_on(&mut self, backs: &mut BTreeMap<PartitionId, Back>) -> Result<(), String> {
        for (partition, back) in backs {
            let (made, records) = next_batch(back);
            let data = PartitionProduceData {
                index: partition.index,
                records: Some(Records::Slices(vec![Slice::from_vec(records)])),
                ..PartitionProduceData::default()
            };
            let topic = TopicProduceData {
                topic_id: partition.topic.0,
                partition_data: vec![data],
                ..TopicProduceData::default()
            };
            let request = ProduceRequest {
                acks: -1,
                timeout_ms: 1_000,
                topic_data: vec![topic],
                ..ProduceRequest::default()
            };
            let body = self.call(ApiKey::Produce, PRODUCE, |writer| request.encode(PRODUCE, writer))?;
            let response = ProduceResponse::decode(PRODUCE, &mut Reader::new(&body))
                .map_err(|error| format!("{error:?}"))?;
            let answer = response.responses.first().and_then(|topic| topic.partition_responses.first());
            let got = answer.map(|answer| (answer.error_code, answer.base_offset));
            if got != Some((0, back.end)) {
                return Err(format!(
                    "{partition}: a further batch of {:?} got {got:?} where the log ends at {}",
                    back.producer, back.end
                ));
            }
            back.content.insert(back.end, made);
        }
        Ok(())
    }
}

fn next_batch(back: &Back) -> (Made, Vec<u8>) {
    let mut header = BatchHeader::default();
    if let Some((producer_id, producer_epoch, base_sequence)) = back.producer {
        header = BatchHeader { producer_id, producer_epoch, base_sequence, ..header };
    }
    let mut builder = BatchBuilder::new(header);
    let timestamp = highwater_core::time::Timestamp(1_780_000_000_000);
    builder.push(&NewRecord { timestamp, key: Some(NEXT_KEY), value: Some(&[7; 100]), headers: &[] });
    let records = builder.build();
    let batch = Batches::new(&records).next().expect("one batch").expect("just made");
    let made = Made { records: 1, len: batch.len(), crc: batch.crc(), idempotent: back.producer.is_some() };
    (made, records)
}

/// What may stand where after a node was brought up and read: no more than that, and what it was sent since.
pub(super) fn may_after(back: &Contents, since: &Contents) -> Arc<Contents> {
    let mut may = back.clone();
    for (partition, content) in since {
        may.entry(*partition).or_default().extend(content);
    }
    Arc::new(may)
}
