//! Reads partitions back with a client that is assigned, and compares each record whole. Knows nothing of what was acknowledged.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use highwater_jepsen::writes::{Key, Offset, Read};
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::topic_partition_list::{Offset as At, TopicPartitionList};

use super::load::{PARTITIONS, topic_name};
use super::record::{Origin, Record};

/// How long a whole read may take without a single record.
const SILENCE_MAX: Duration = Duration::from_secs(20);

#[derive(Clone)]
struct Quiet;

impl ClientContext for Quiet {
    fn log(&self, _: RDKafkaLogLevel, _: &str, _: &str) {}

    fn error(&self, _: KafkaError, _: &str) {}
}

impl ConsumerContext for Quiet {}

pub(crate) struct Reader {
    address: String,
    origin: Origin,
    /// Where the next round begins to read.
    next: BTreeMap<Key, i64>,
}

impl Reader {
    pub(crate) fn new(address: &str, origin: Origin) -> Self {
        Self { address: address.into(), origin, next: BTreeMap::new() }
    }

    /// Where each partition ended at the last call.
    pub(crate) fn ends(&self) -> &BTreeMap<Key, i64> {
        &self.next
    }

    /// What came since the last call.
    pub(crate) fn read_new(&mut self, topics: u32) -> Result<Vec<Read>, String> {
        let from = self.next.clone();
        self.read(topics, from)
    }

    /// Everything from the first record on.
    pub(crate) fn read_all(&mut self, topics: u32) -> Result<Vec<Read>, String> {
        self.read(topics, BTreeMap::new())
    }

    fn read(&mut self, topics: u32, mut next: BTreeMap<Key, i64>) -> Result<Vec<Read>, String> {
        let consumer: BaseConsumer<Quiet> = ClientConfig::new()
            .set("bootstrap.servers", &self.address)
            .set("group.id", "unused")
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "error")
            .set("check.crcs", "true")
            .set("fetch.wait.max.ms", "50")
            .create_with_context(Quiet)
            .map_err(|error| format!("cannot create a consumer: {error}"))?;
        let ends = ends(&consumer, topics)?;
        if let Some((key, end)) = next.iter().find(|(key, end)| **end > 0 && !ends.contains_key(key)) {
            return Err(format!("gone: {key}, which ended at {end}"));
        }
        let mut list = TopicPartitionList::new();
        for (key, end) in &ends {
            let begin = *next.entry(*key).or_default();
            if *end < begin {
                return Err(format!("truncated: {key} ended at {begin} and now ends at {end}"));
            }
            if begin < *end {
                list.add_partition_offset(&topic_name(key.topic), key.partition, At::Offset(begin))
                    .map_err(|error| error.to_string())?;
            }
        }
        consumer.assign(&list).map_err(|error| format!("cannot assign: {error}"))?;
        let mut left = list.count();
        let mut reads = Vec::new();
        let mut last = Instant::now();
        while left > 0 {
            if last.elapsed() > SILENCE_MAX {
                return Err(format!(
                    "unreadable: {left} partitions are silent before their ends: {next:?} of {ends:?}"
                ));
            }
            let Some(polled) = consumer.poll(Duration::from_millis(100)) else { continue };
            let message = polled.map_err(|error| format!("cannot read: {error}"))?;
            let read = self.record(&message)?;
            let expected = next.get_mut(&read.key).ok_or("a record of a partition that was not assigned")?;
            if read.offset.0 != *expected {
                return Err(format!("gap: {} came at {} instead of {expected}", read.key, read.offset.0));
            }
            *expected += 1;
            left -= usize::from(*expected == ends[&read.key]);
            reads.push(read);
            last = Instant::now();
        }
        self.next = next;
        Ok(reads)
    }

    fn record(&self, message: &BorrowedMessage<'_>) -> Result<Read, String> {
        let headers = message.headers().into_iter().flat_map(Headers::iter);
        let record = Record {
            key: message.key().map(<[u8]>::to_vec),
            value: message.payload().map(<[u8]>::to_vec),
            headers: headers
                .map(|header| (header.key.to_owned(), header.value.map(<[u8]>::to_vec)))
                .collect(),
            timestamp: message.timestamp().to_millis().unwrap_or(-1),
        };
        let topic = message.topic().trim_start_matches('t').parse().map_err(|_| "a topic of someone else")?;
        let key = Key { topic, partition: message.partition() };
        let value = record.difference(self.origin).map_err(|difference| {
            format!("corrupt: the record at {} of {key}: {difference}", message.offset())
        })?;
        Ok(Read { key, offset: Offset(message.offset()), value })
    }
}

/// The end of each partition of the topics that exist; a topic whose creation the kill met may not.
fn ends(consumer: &BaseConsumer<Quiet>, topics: u32) -> Result<BTreeMap<Key, i64>, String> {
    let timeout = Duration::from_secs(20);
    let metadata = consumer.fetch_metadata(None, timeout).map_err(|error| format!("no metadata: {error}"))?;
    let mut ends = BTreeMap::new();
    for topic in 0..topics {
        let name = topic_name(topic);
        if !metadata.topics().iter().any(|found| found.name() == name) {
            continue;
        }
        for partition in 0..PARTITIONS {
            let (begin, end) = consumer
                .fetch_watermarks(&name, partition, timeout)
                .map_err(|error| format!("no watermarks of {name}/{partition}: {error}"))?;
            if begin != 0 {
                return Err(format!("{name}/{partition} begins at {begin}, and nothing was to be deleted"));
            }
            ends.insert(Key { topic, partition }, end);
        }
    }
    Ok(ends)
}
