//! What a client is told when it is made. The defaults are those of Kafka's own clients.

use alloc::string::String;
use alloc::vec::Vec;

use super::Address;
use crate::batch::Codec;
use crate::time::Duration;

#[derive(Debug, Clone)]
pub struct ClientConfig {
    pub client_id: String,
    /// Where to begin; at least one.
    pub bootstrap: Vec<Address>,
    pub connect_timeout: Duration,
    /// A request that is not answered for so long costs its connection. What a broker was allowed to wait comes on top.
    pub request_timeout: Duration,
    /// The pause after the first failure to connect. It doubles up to the next field, and is drawn within a fifth of that.
    pub reconnect_backoff: Duration,
    pub reconnect_backoff_max: Duration,
    /// The pause before something refused is tried again.
    pub retry_backoff: Duration,
    /// Metadata is asked for again at the latest after this long.
    pub metadata_age_max: Duration,
    pub topic_creation: TopicCreation,
    pub producer: ProducerConfig,
    pub consumer: ConsumerConfig,
}

/// Whether asking for a topic may create it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TopicCreation {
    Automatic,
    Explicit,
}

#[derive(Debug, Clone)]
pub struct ProducerConfig {
    pub acks: Acks,
    pub idempotence: Idempotence,
    pub retries: Retries,
    /// What a batch is compressed with, unless that would make it larger.
    pub compression: Codec,
    /// A batch takes no further record beyond this size, before compression.
    pub batch_bytes: usize,
    /// Record bytes that may wait or be under way; beyond it, calls are refused.
    pub buffer_bytes: usize,
    /// Batches of one partition that are sent before the first is answered. Brokers remember five.
    pub in_flight_max: usize,
    /// How long a broker may wait for replicas.
    pub answer_timeout: Duration,
    /// What is not delivered after so long has failed.
    pub delivery_timeout: Duration,
}

/// Who must have a record before it is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acks {
    None,
    Leader,
    All,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Idempotence {
    /// A retry is recognised by the broker. Needs [`Acks::All`].
    On,
    Off,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retries {
    UntilDeliveryTimeout,
    Never,
}

#[derive(Debug, Clone)]
pub struct ConsumerConfig {
    /// How long a broker may wait for `bytes_min`.
    pub wait_max: Duration,
    pub bytes_min: i32,
    pub bytes_max: i32,
    pub partition_bytes_max: i32,
    /// Fetched bytes that may wait for [`super::Client::poll_event`]; beyond it, nothing more is fetched.
    pub buffer_bytes: usize,
    pub out_of_range: ResetPolicy,
}

/// Where to go on when the wanted offset does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResetPolicy {
    Earliest,
    Latest,
    /// Report it and stop.
    Fail,
}

impl ClientConfig {
    pub fn new(bootstrap: Vec<Address>) -> Self {
        Self {
            client_id: String::from("highwater"),
            bootstrap,
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
            reconnect_backoff: Duration::from_millis(50),
            reconnect_backoff_max: Duration::from_secs(1),
            retry_backoff: Duration::from_millis(100),
            metadata_age_max: Duration::from_secs(300),
            topic_creation: TopicCreation::Explicit,
            producer: ProducerConfig::default(),
            consumer: ConsumerConfig::default(),
        }
    }
}

impl Default for ProducerConfig {
    fn default() -> Self {
        Self {
            acks: Acks::All,
            idempotence: Idempotence::On,
            retries: Retries::UntilDeliveryTimeout,
            compression: Codec::None,
            batch_bytes: 16 * 1024,
            buffer_bytes: 32 * 1024 * 1024,
            in_flight_max: 5,
            answer_timeout: Duration::from_secs(30),
            delivery_timeout: Duration::from_secs(120),
        }
    }
}

impl Default for ConsumerConfig {
    fn default() -> Self {
        Self {
            wait_max: Duration::from_millis(500),
            bytes_min: 1,
            bytes_max: 50 * 1024 * 1024,
            partition_bytes_max: 1024 * 1024,
            buffer_bytes: 64 * 1024 * 1024,
            out_of_range: ResetPolicy::Latest,
        }
    }
}
