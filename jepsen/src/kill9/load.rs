//! Producers of every sort that write numbered values, and what they learn of each write.
//!
//! Some live through every kill and must be served again after it, with their sequence numbers; others die with the broker.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use highwater_jepsen::writes::{Key, Offset, Outcome, Process, Promise, Value, Write};
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, Message, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext, PurgeConfig};
use rdkafka::types::RDKafkaErrorCode;

use super::random::Random;
use super::record::{Origin, Record};

/// Partitions of a topic; the broker creates topics with at least so many.
pub(crate) const PARTITIONS: i32 = 4;

/// Records that one call sends with one producer.
const BURST_MAX: u64 = 40;

/// How long producers that live on may take after a restart until the last of their writes has its outcome.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    /// Through all kills.
    Long,
    /// Until the next kill.
    Short,
}

/// A sort of producer.
#[derive(Debug, Clone, Copy)]
struct Sort {
    life: Life,
    promise: Promise,
    acks: &'static str,
    codec: &'static str,
    linger_ms: &'static str,
}

const SORTS: [Sort; 6] = [
    Sort { life: Life::Long, promise: Promise::ExactlyOnce, acks: "all", codec: "none", linger_ms: "0" },
    Sort { life: Life::Long, promise: Promise::ExactlyOnce, acks: "all", codec: "lz4", linger_ms: "5" },
    Sort { life: Life::Long, promise: Promise::AtLeastOnce, acks: "1", codec: "none", linger_ms: "1" },
    Sort { life: Life::Short, promise: Promise::ExactlyOnce, acks: "all", codec: "snappy", linger_ms: "2" },
    Sort { life: Life::Short, promise: Promise::AtLeastOnce, acks: "all", codec: "none", linger_ms: "0" },
    Sort { life: Life::Short, promise: Promise::AtLeastOnce, acks: "1", codec: "lz4", linger_ms: "10" },
];

/// What the client library calls back with.
#[derive(Debug, Default)]
struct Learned {
    outcomes: Vec<(Value, Outcome)>,
    fatal: Option<String>,
}

#[derive(Clone)]
struct Context(Arc<Mutex<Learned>>);

impl Context {
    fn with<T>(&self, change: impl FnOnce(&mut Learned) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ClientContext for Context {
    fn log(&self, _: RDKafkaLogLevel, _: &str, _: &str) {}

    fn error(&self, error: KafkaError, reason: &str) {
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal) {
            self.with(|learned| learned.fatal = Some(format!("{error}: {reason}")));
        }
    }
}

impl ProducerContext for Context {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, value: usize) {
        let outcome = match result {
            Ok(message) => Outcome::Ok(Some(Offset(message.offset())).filter(|offset| offset.0 >= 0)),
            Err(_) => Outcome::Unknown,
        };
        let value = Value(u64::try_from(value).expect("a value was made from 64 bits"));
        self.with(|learned| learned.outcomes.push((value, outcome)));
    }
}

struct Live {
    sort: Sort,
    process: Process,
    producer: BaseProducer<Context>,
}

pub(crate) struct Load {
    address: String,
    origin: Origin,
    context: Context,
    producers: Vec<Live>,
    /// The sort of each process that ever lived.
    sorts: Vec<Sort>,
    topics: u32,
    /// The first value of the round.
    round_begin: u64,
    writes: Vec<Write>,
}

impl Load {
    pub(crate) fn new(address: &str, origin: Origin) -> Result<Self, String> {
        let mut load = Self {
            address: address.into(),
            origin,
            context: Context(Arc::default()),
            producers: Vec::new(),
            sorts: Vec::new(),
            topics: 0,
            round_begin: 0,
            writes: Vec::new(),
        };
        load.create(Life::Long)?;
        Ok(load)
    }

    pub(crate) fn add_topic(&mut self) {
        self.topics += 1;
    }

    pub(crate) fn topics(&self) -> u32 {
        self.topics
    }

    pub(crate) fn next_value(&self) -> u64 {
        self.round_begin + u64::try_from(self.writes.len()).expect("a length fits 64 bits")
    }

    pub(crate) fn begin_round(&mut self) -> Result<(), String> {
        assert!(self.writes.is_empty(), "a round begins when the last one is finished");
        self.create(Life::Short)
    }

    fn create(&mut self, life: Life) -> Result<(), String> {
        for sort in SORTS.into_iter().filter(|sort| sort.life == life) {
            let mut config = ClientConfig::new();
            let idempotent = if sort.promise == Promise::ExactlyOnce { "true" } else { "false" };
            config
                .set("bootstrap.servers", &self.address)
                .set("acks", sort.acks)
                .set("enable.idempotence", idempotent)
                .set("compression.type", sort.codec)
                .set("linger.ms", sort.linger_ms)
                .set("message.timeout.ms", "120000")
                .set("reconnect.backoff.ms", "10")
                .set("reconnect.backoff.max.ms", "100")
                .set("retry.backoff.ms", "20")
                .set("retry.backoff.max.ms", "100")
                .set("topic.metadata.refresh.fast.interval.ms", "50");
            let producer = config
                .create_with_context(self.context.clone())
                .map_err(|error| format!("cannot create a producer: {error}"))?;
            let process = Process(u32::try_from(self.sorts.len()).expect("fewer than 2^32 producers live"));
            self.sorts.push(sort);
            self.producers.push(Live { sort, process, producer });
        }
        Ok(())
    }

    /// Sends a burst with one producer and lets all of them learn.
    pub(crate) fn send_some(&mut self, random: &mut Random) -> Result<(), String> {
        let chosen = random.index(self.producers.len());
        let key = Key {
            topic: u32::try_from(random.between(0, self.topics.into())).expect("it is below a u32"),
            partition: i32::try_from(random.between(0, PARTITIONS.unsigned_abs().into()))
                .expect("it is below 4"),
        };
        for _ in 0..random.between(1, BURST_MAX) {
            if !self.send(chosen, key)? {
                break;
            }
        }
        for live in &self.producers {
            live.producer.poll(Duration::ZERO);
        }
        self.fatal()
    }

    /// Sends the next value; false where the client has no room left for now.
    fn send(&mut self, chosen: usize, key: Key) -> Result<bool, String> {
        let live = &self.producers[chosen];
        let value = Value(self.next_value());
        let record = Record::of(self.origin, value);
        let mut headers = OwnedHeaders::new();
        for (name, content) in &record.headers {
            headers = headers.insert(Header { key: name, value: content.as_deref() });
        }
        let topic = topic_name(key.topic);
        let opaque = usize::try_from(value.0).expect("the machine has 64 bits");
        let mut message: BaseRecord<'_, [u8], [u8], usize> = BaseRecord::with_opaque_to(&topic, opaque)
            .partition(key.partition)
            .timestamp(record.timestamp)
            .headers(headers);
        message.key = record.key.as_deref();
        message.payload = record.value.as_deref();
        match live.producer.send(message) {
            Ok(()) => {}
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => return Ok(false),
            Err((error, _)) => return Err(format!("producer {} cannot send: {error}", live.process.0)),
        }
        let (process, promise) = (live.process, live.sort.promise);
        self.writes.push(Write { key, value, process, promise, outcome: Outcome::Unknown });
        Ok(true)
    }

    /// Ends the producers that die with the broker; what they did not learn by now stays unknown.
    pub(crate) fn after_kill(&mut self) {
        for live in self.producers.iter().filter(|live| live.sort.life == Life::Short) {
            live.producer.purge(PurgeConfig::default().queue().inflight());
            // What is purged is called back at once, and an error would say no more than that.
            let _ = live.producer.flush(Duration::from_secs(1));
        }
        self.producers.retain(|live| live.sort.life == Life::Long);
    }

    /// Waits until the producers that live on have the outcome of each write, and gives the writes of the round.
    pub(crate) fn finish_round(&mut self) -> Result<Vec<Write>, String> {
        let until = Instant::now() + SETTLE_TIMEOUT;
        while self.producers.iter().any(|live| live.producer.in_flight_count() > 0) {
            for live in &self.producers {
                live.producer.poll(Duration::from_millis(2));
            }
            self.fatal()?;
            if Instant::now() > until {
                let waiting: i32 = self.producers.iter().map(|live| live.producer.in_flight_count()).sum();
                return Err(format!("{waiting} writes have no outcome {SETTLE_TIMEOUT:?} after the restart"));
            }
        }
        let mut writes = std::mem::take(&mut self.writes);
        for (value, outcome) in self.context.with(|learned| std::mem::take(&mut learned.outcomes)) {
            let index = value.0.checked_sub(self.round_begin).and_then(|index| usize::try_from(index).ok());
            let write = index.and_then(|index| writes.get_mut(index));
            write.ok_or_else(|| format!("value {} was acknowledged outside its round", value.0))?.outcome =
                outcome;
        }
        self.round_begin += u64::try_from(writes.len()).expect("a length fits 64 bits");
        Ok(writes)
    }

    /// A fatal error of an idempotent producer says that the broker lost its sequence.
    fn fatal(&self) -> Result<(), String> {
        self.context
            .with(|learned| learned.fatal.take())
            .map_or(Ok(()), |fatal| Err(format!("fatal to a producer: {fatal}")))
    }

    pub(crate) fn describe(&self, process: Process) -> String {
        let index = usize::try_from(process.0).expect("a u32 fits");
        let Sort { life, promise, acks, codec, linger_ms } = self.sorts[index];
        format!("{life:?}-lived, {promise:?}, acks={acks}, {codec}, linger {linger_ms} ms")
    }
}

pub(crate) fn topic_name(topic: u32) -> String {
    format!("t{topic}")
}
