//! The rdkafka crate against a broker, as `tools/interop/clients.py` runs it: administration, codecs, times, a restart in the middle.
//! It prints `ok` and what it has shown; what is not as it should be panics.

use std::future::Future;
use std::io::stdin;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::client::{ClientContext, DefaultClientContext};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Header, Headers, Message, OwnedHeaders, OwnedMessage};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaErrorCode;

/// Those that the crate has without further libraries.
const CODECS: [&str; 3] = ["none", "snappy", "lz4"];

/// Records of one batch of a codec, and of each side of a restart.
const RECORDS: i64 = 50;

/// In milliseconds; record `i` is so many milliseconds younger.
const FIRST_TIMESTAMP: i64 = 1_700_000_000_000;

const PATIENCE: Duration = Duration::from_secs(20);

/// Every record is delivered.
#[derive(Clone)]
struct Delivered;

impl ClientContext for Delivered {}

impl ProducerContext for Delivered {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        assert!(result.is_ok(), "a record was not delivered: {result:?}");
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a future, and nothing beside it.
fn wait<T>(future: impl Future<Output = T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let (mut future, mut context) = (pin!(future), Context::from_waker(&waker));
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(done) => return done,
            Poll::Pending => thread::park(),
        }
    }
}

/// Kafka's brokers learn of a change after its answer.
fn until(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "not in time: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

fn config(address: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", address).set("reconnect.backoff.max.ms", "200");
    config
}

fn producer(address: &str, settings: &[(&str, &str)]) -> BaseProducer<Delivered> {
    let mut config = config(address);
    for (key, value) in settings {
        config.set(*key, *value);
    }
    config.create_with_context(Delivered).expect("a producer")
}

fn consumer(address: &str) -> BaseConsumer {
    let mut config = config(address);
    config.set("group.id", "unused").set("enable.auto.commit", "false").set("check.crcs", "true");
    config.create().expect("a consumer")
}

fn value(codec: &str, i: i64) -> String {
    format!("{codec}-{i}-{}", "x".repeat(usize::try_from(i * 10).expect("few")))
}

/// The first records of partition 0.
fn read(address: &str, topic: &str, count: i64) -> Vec<OwnedMessage> {
    let consumer = consumer(address);
    let mut from = TopicPartitionList::new();
    from.add_partition_offset(topic, 0, Offset::Beginning).expect("an offset");
    consumer.assign(&from).expect("it can be assigned");
    let next = |_| consumer.poll(PATIENCE).expect("a record in time").expect("no error").detach();
    (0..count).map(next).collect()
}

fn administration(admin: &AdminClient<DefaultClientContext>, consumer: &BaseConsumer, topic: &str) {
    let options = AdminOptions::new().request_timeout(Some(PATIENCE));
    let wanted = NewTopic::new(topic, 2, TopicReplication::Fixed(1)).set("retention.ms", "-1");
    let created = wait(admin.create_topics([&wanted], &options)).expect("an answer");
    assert_eq!(created, [Ok(topic.to_owned())]);
    let again = wait(admin.create_topics([&wanted], &options)).expect("an answer");
    assert_eq!(again, [Err((topic.to_owned(), RDKafkaErrorCode::TopicAlreadyExists))]);
    let more = wait(admin.create_partitions([&NewPartitions::new(topic, 3)], &options)).expect("an answer");
    assert_eq!(more, [Ok(topic.to_owned())]);
    until("3 partitions", || {
        let metadata = consumer.fetch_metadata(Some(topic), PATIENCE).expect("metadata");
        assert_eq!(metadata.brokers().len(), 1);
        metadata.topics()[0].partitions().len() == 3
    });
    let change = AlterConfig::new(ResourceSpecifier::Topic(topic)).set("max.message.bytes", "2000000");
    let altered = wait(admin.alter_configs([&change], &options)).expect("an answer");
    assert!(altered[0].is_ok(), "{altered:?}");
    until("the settings are in force", || {
        let found = wait(admin.describe_configs([&ResourceSpecifier::Topic(topic)], &options));
        let found = found.expect("an answer").remove(0).expect("the settings");
        found.get("max.message.bytes").and_then(|entry| entry.value.as_deref()) == Some("2000000")
    });
    println!("ok administration");
}

fn codecs(address: &str, topic: &str) {
    for codec in CODECS {
        let producer = producer(address, &[("compression.type", codec), ("linger.ms", "50")]);
        for i in 0..RECORDS {
            let headers = OwnedHeaders::new().insert(Header { key: "codec", value: Some(codec) });
            let headers = headers.insert(Header { key: "empty", value: None::<&str> });
            let payload = value(codec, i);
            let record = BaseRecord::to(topic).partition(0).key(codec).payload(&payload);
            let sent = producer.send(record.timestamp(FIRST_TIMESTAMP + i).headers(headers));
            sent.expect("there is room");
        }
        producer.flush(PATIENCE).expect("all is delivered");
    }
    let found = read(address, topic, RECORDS * 3);
    for (offset, message) in (0..).zip(&found) {
        let i = offset % RECORDS;
        let codec = CODECS[usize::try_from(offset / RECORDS).expect("few")];
        assert_eq!(message.offset(), offset);
        assert_eq!(message.key(), Some(codec.as_bytes()));
        assert_eq!(message.payload(), Some(value(codec, i).as_bytes()));
        assert_eq!(message.timestamp().to_millis(), Some(FIRST_TIMESTAMP + i));
        let headers: Vec<_> = message.headers().expect("it has some").iter().collect();
        assert_eq!(headers.len(), 2);
        assert_eq!((headers[0].key, headers[0].value), ("codec", Some(codec.as_bytes())));
        assert_eq!((headers[1].key, headers[1].value), ("empty", None));
    }
    println!("ok codecs, keys, headers, times");
}

fn offsets(consumer: &BaseConsumer, topic: &str) {
    let range = consumer.fetch_watermarks(topic, 0, PATIENCE).expect("offsets");
    assert_eq!(range, (0, 3 * RECORDS));
    let mut times = TopicPartitionList::new();
    times.add_partition_offset(topic, 0, Offset::Offset(FIRST_TIMESTAMP + 7)).expect("a time");
    let found = consumer.offsets_for_times(times, PATIENCE).expect("an offset");
    assert_eq!(found.find_partition(topic, 0).map(|found| found.offset()), Some(Offset::Offset(7)));
    println!("ok offsets");
}

fn restart(address: &str, topic: &str) {
    let producer = producer(address, &[("enable.idempotence", "true"), ("linger.ms", "0")]);
    let send = |from: i64| {
        for number in from..from + RECORDS {
            let payload = number.to_string();
            let record: BaseRecord<'_, (), _> = BaseRecord::to(topic).partition(0).payload(&payload);
            producer.send(record).map_err(|(error, _)| error).expect("there is room");
        }
        producer.flush(PATIENCE).expect("all is delivered");
    };
    send(0);
    println!("RESTART");
    stdin().read_line(&mut String::new()).expect("the parent answers");
    send(RECORDS);
    for (number, message) in (0..).zip(read(address, topic, 2 * RECORDS)) {
        assert_eq!((message.offset(), message.payload()), (number, Some(number.to_string().as_bytes())));
    }
    println!("ok a producer lives through a restart");
}

fn deletions(admin: &AdminClient<DefaultClientContext>, consumer: &BaseConsumer, topics: &[&str]) {
    let options = AdminOptions::new().request_timeout(Some(PATIENCE));
    let mut upto = TopicPartitionList::new();
    upto.add_partition_offset(topics[0], 0, Offset::Offset(60)).expect("an offset");
    let deleted = wait(admin.delete_records(&upto, &options)).expect("an answer");
    assert_eq!(deleted.find_partition(topics[0], 0).map(|found| found.offset()), Some(Offset::Offset(60)));
    let range = consumer.fetch_watermarks(topics[0], 0, PATIENCE).expect("offsets");
    assert_eq!(range, (60, 3 * RECORDS));
    let gone = wait(admin.delete_topics(topics, &options)).expect("an answer");
    assert!(gone.iter().all(Result::is_ok), "{gone:?}");
    println!("ok deletions");
}

fn main() {
    let address = std::env::args().nth(1).expect("the address of a broker");
    let admin: AdminClient<_> = config(&address).create().expect("an admin client");
    let consumer = consumer(&address);
    let topics = ["rdkafka", "rdkafka-restart"];
    administration(&admin, &consumer, topics[0]);
    codecs(&address, topics[0]);
    offsets(&consumer, topics[0]);
    let options = AdminOptions::new().request_timeout(Some(PATIENCE));
    let other = NewTopic::new(topics[1], 1, TopicReplication::Fixed(1));
    assert_eq!(wait(admin.create_topics([&other], &options)).expect("an answer"), [Ok(topics[1].to_owned())]);
    restart(&address, topics[1]);
    deletions(&admin, &consumer, &topics);
}
