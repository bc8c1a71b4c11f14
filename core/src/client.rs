//! A Kafka client without I/O, for simulated clients, benchmarks, the command line and the HTTP services. It decides which
//! connection to open and what to send; whoever drives it owns sockets and clocks. It must not know how a broker works inside.
//!
//! Driven as a shard is: [`Client::handle`] takes facts, [`Client::poll`] gives effects until `None`, [`Client::deadline`] says
//! when to come back, and [`Client::poll_event`] hands out what came of the calls, each under the token that it was given.
//! The same config, seed, calls and inputs give the same effects.

mod admin;
#[expect(clippy::module_inception, reason = "the file of the type that gives the module its name")]
mod client;
mod cluster;
mod config;
mod connection;
mod consumer;
mod event;
mod fetched;
mod group;
mod links;
mod producer;
mod queue;
#[cfg(test)]
mod tests;

use alloc::sync::Arc;
use alloc::vec::Vec;

pub use admin::{
    ActiveProducer, AdminAnswer, AdminCall, ApiRange, BrokerVersions, ClusterDescription, ConfigChange,
    ConfigEdit, ConfigEntry, ConfigKind, ConfigOperation, ConfigQuery, ConfigResource, ConfigSource,
    ConfigSynonym, Destination, Feature, GroupCall, GroupDescription, GroupEpochs, GroupMember, ListedGroup,
    ListedOffset, LogDir, LogDirReplica, Mode, Mutability, NewTopic, NodeDescription, OffsetAt,
    PartitionCall, PartitionCount, PartitionDescription, ResourceConfigs, ResourceKind, ResourceResult,
    Secrecy, TopicDescription, TopicResult,
};
pub use client::Client;
pub use config::{
    Acks, ClientConfig, ConsumerConfig, Idempotence, ProducerConfig, ResetPolicy, Retries, TopicCreation,
};
pub use consumer::StartAt;
pub use event::{
    ClientError, ClientEvent, MemberEvent, ProduceError, ProduceFailure, Receipt, Token, Written,
};
pub use fetched::Fetched;
pub use group::{
    Assignor, CommittedOffset, GroupConfig, MemberProtocol, OffsetToCommit, Subscription, decode_assignment,
    decode_subscription,
};
pub use producer::ProduceRecord;

use crate::buf::Slice;
use crate::id::ConnId;

/// Where a broker listens.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address {
    pub host: Arc<str>,
    pub port: u16,
}

/// A partition by the name of its topic.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TopicPartition {
    pub topic: Arc<str>,
    pub index: i32,
}

impl Address {
    pub fn new(host: &str, port: u16) -> Self {
        Self { host: Arc::from(host), port }
    }
}

impl TopicPartition {
    pub fn new(topic: &str, index: i32) -> Self {
        Self { topic: Arc::from(topic), index }
    }
}

/// One fact for the client.
#[derive(Debug, Clone, Copy)]
pub enum ClientInput<'a> {
    /// An effect `Connect` has worked.
    Connected { conn: ConnId },
    /// Bytes came in, in order, cut anywhere.
    Received { conn: ConnId, bytes: &'a [u8] },
    /// The connection is gone, or could not be made.
    Closed { conn: ConnId },
    /// Time has moved, nothing else.
    Tick,
}

/// One order to whoever drives the client.
#[derive(Debug)]
pub enum ClientEffect {
    /// Connect. Answered by `Connected` or `Closed`.
    Connect { conn: ConnId, address: Address },
    /// Write all parts, in order, behind those of earlier sends. Nothing to do where the connection is gone.
    Send { conn: ConnId, parts: Vec<Slice> },
    /// Close without delay. Inputs for `conn` that come later are ignored.
    Close { conn: ConnId },
}
