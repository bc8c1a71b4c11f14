//! The client as a whole: hands inputs and outcomes to its parts, and gives each a turn.

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;

use super::admin::{self, Admin, AdminCall, Destination, Mode, PartitionCall, Partitions};
use super::cluster::Cluster;
use super::consumer::{Asked, Consumer};
use super::links::{Links, Outcome};
use super::producer::{self, Flight, Producer};
use super::{
    Address, ClientConfig, ClientEffect, ClientEvent, ClientInput, NewTopic, ProduceError, ProduceRecord,
    StartAt, Token, TopicPartition,
};
use crate::id::Offset;
use crate::limits::{CLIENT_CALLS_MAX, CLIENT_EVENTS_MAX};
use crate::time::{Instant, Now};

/// What a request was sent for.
#[derive(Debug)]
pub(super) enum Call {
    Metadata,
    InitProducerId,
    Produce(Vec<Flight>),
    ListOffsets(Asked),
    Fetch(Address),
    Admin(admin::Sent),
    Partitions(admin::Asked),
}

/// A Kafka client. After any call or input, poll it until `None`; then come back with an input, or at its deadline.
#[derive(Debug)]
pub struct Client {
    links: Links<Call>,
    cluster: Cluster,
    producer: Producer,
    consumer: Consumer,
    admin: Admin,
    partitions: Partitions,
    events: VecDeque<ClientEvent>,
    /// Something happened since the last turn.
    dirty: bool,
    deadline: Option<Instant>,
}

impl Client {
    /// Panics if `config` names no broker, or wants idempotence without acknowledgement by all.
    pub fn new(config: &ClientConfig, seed: u64, now: Now) -> Self {
        assert!(!config.bootstrap.is_empty(), "a client begins somewhere");
        Self {
            links: Links::new(config, seed),
            cluster: Cluster::new(config, now.mono),
            producer: Producer::new(config, now.mono),
            consumer: Consumer::new(config),
            admin: Admin::new(config),
            partitions: Partitions::new(config),
            events: VecDeque::new(),
            dirty: false,
            deadline: None,
        }
    }

    /// Takes one fact.
    pub fn handle(&mut self, now: Now, input: ClientInput<'_>) {
        self.dirty = true;
        self.links.handle(now.mono, input);
    }

    /// The next effect, or `None` until there is a further input or call, or the deadline passes.
    pub fn poll(&mut self, now: Now) -> Option<ClientEffect> {
        if self.dirty || self.deadline.is_some_and(|deadline| deadline <= now.mono) {
            self.turn(now.mono);
        }
        self.links.poll_effect()
    }

    /// When to poll again at the latest.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// What came of calls, oldest first.
    pub fn poll_event(&mut self) -> Option<ClientEvent> {
        while let Some(event) = self.events.pop_front() {
            self.dirty = true;
            if let ClientEvent::Fetched(fetched) = &event
                && !self.consumer.on_taken(fetched)
            {
                continue;
            }
            return Some(event);
        }
        None
    }

    /// Takes one record to produce; what becomes of it is an event with `token`.
    pub fn produce(
        &mut self,
        now: Now,
        token: Token,
        record: &ProduceRecord<'_>,
    ) -> Result<(), ProduceError> {
        if self.events.len() >= CLIENT_EVENTS_MAX {
            return Err(ProduceError::Full);
        }
        self.dirty = true;
        self.producer.produce(now.mono, token, record)
    }

    /// Record bytes that are taken and not yet acknowledged or failed.
    pub fn unacknowledged_bytes(&self) -> usize {
        self.producer.bytes()
    }

    /// Reads a partition from `start` on. Again for one that is being read: seeks.
    pub fn assign(&mut self, now: Now, partition: TopicPartition, start: StartAt) {
        self.dirty = true;
        self.consumer.assign(now.mono, partition, start);
    }

    /// Reads a partition no more; what was fetched of it and not taken is dropped.
    pub fn unassign(&mut self, partition: &TopicPartition) {
        self.dirty = true;
        self.consumer.unassign(partition);
    }

    /// The next offset to be fetched, once it is known.
    pub fn position(&self, partition: &TopicPartition) -> Option<Offset> {
        self.consumer.position(partition)
    }

    /// How many partitions of a topic have a leader; known once it was produced to or read.
    pub fn partitions(&self, topic: &str) -> Option<usize> {
        self.cluster.partitions(topic)
    }

    /// `false` means that as many calls wait as may.
    #[must_use]
    pub fn create_topics(&mut self, now: Now, token: Token, topics: Vec<NewTopic>) -> bool {
        self.admin(now, token, AdminCall::CreateTopics { topics, mode: Mode::Do }, Destination::AnyBroker)
    }

    /// `false` means that as many calls wait as may.
    #[must_use]
    pub fn delete_topics(&mut self, now: Now, token: Token, names: Vec<String>) -> bool {
        self.admin(now, token, AdminCall::DeleteTopics(names), Destination::AnyBroker)
    }

    /// `false` means that as many calls wait as may.
    #[must_use]
    pub fn describe_topics(&mut self, now: Now, token: Token, names: Vec<String>) -> bool {
        self.admin(now, token, AdminCall::DescribeTopics(Some(names)), Destination::AnyBroker)
    }

    /// `false` means that as many calls wait as may.
    #[must_use]
    pub fn list_topics(&mut self, now: Now, token: Token) -> bool {
        self.admin(now, token, AdminCall::DescribeTopics(None), Destination::AnyBroker)
    }

    /// Asks a broker; the answer is an event with `token`. `false` means that as many calls wait as may.
    #[must_use]
    pub fn admin(&mut self, now: Now, token: Token, call: AdminCall, to: Destination) -> bool {
        let room = self.has_room();
        if room {
            self.dirty = true;
            self.admin.call(now.mono, token, call, to);
        }
        room
    }

    /// Asks the leaders of partitions; one event with `token` answers for all. `false` means that as many calls wait as may.
    #[must_use]
    pub fn partition_admin(&mut self, now: Now, token: Token, call: PartitionCall) -> bool {
        let room = self.has_room();
        if room {
            self.dirty = true;
            self.partitions.call(now.mono, token, call);
        }
        room
    }

    fn has_room(&self) -> bool {
        self.admin.len() + self.partitions.len() < CLIENT_CALLS_MAX && self.events.len() < CLIENT_EVENTS_MAX
    }

    fn turn(&mut self, now: Instant) {
        self.dirty = false;
        self.links.expire(now);
        loop {
            while let Some(outcome) = self.links.poll_outcome() {
                self.on_outcome(now, outcome);
            }
            let Self { links, cluster, producer, consumer, admin, partitions, events, .. } = self;
            producer.turn(now, links, cluster, events);
            consumer.turn(now, links, cluster, events);
            admin.turn(now, links, cluster, events);
            partitions.turn(now, links, cluster, events);
            // Last, because the others say which topics they need.
            cluster.turn(now, links);
            if !links.has_outcome() {
                break;
            }
        }
        let deadlines = self.links.deadline(now).into_iter();
        let deadlines = deadlines.chain(self.cluster.deadline()).chain(self.admin.deadline());
        let deadlines = deadlines.chain(self.partitions.deadlines());
        let deadlines = deadlines.chain(self.producer.deadlines()).chain(self.consumer.deadlines());
        // What is due and not done waits for something else: for a connection, or for an answer.
        self.deadline = deadlines.filter(|&at| at > now).min();
    }

    fn on_outcome(&mut self, now: Instant, outcome: Outcome<Call>) {
        let events = &mut self.events;
        let stale = match outcome {
            Ok(answer) => match answer.call {
                Call::Produce(flights) => {
                    self.producer.on_answer(now, flights, (answer.version, &answer.body), events)
                }
                Call::ListOffsets(asked) => {
                    self.consumer.on_offsets(now, asked, Some((answer.version, &answer.body)))
                }
                Call::Admin(sent) => {
                    sent.on_answer(answer.version, &answer.body, events);
                    false
                }
                Call::Partitions(asked) => {
                    self.partitions.on_outcome(now, asked, Ok((answer.version, &answer.body)))
                }
                Call::Metadata | Call::InitProducerId | Call::Fetch(_) => self.on_whole(now, Ok(answer)),
            },
            Err(lost) => {
                let written = producer::written(&lost);
                match lost.call {
                    Call::Produce(flights) => {
                        self.producer.on_lost(now, flights, (lost.error, written), events);
                        true
                    }
                    Call::ListOffsets(asked) => self.consumer.on_offsets(now, asked, None),
                    Call::Admin(sent) => {
                        sent.on_lost(lost.error, events);
                        false
                    }
                    Call::Partitions(asked) => self.partitions.on_outcome(now, asked, Err(lost.error)),
                    Call::Metadata | Call::InitProducerId | Call::Fetch(_) => self.on_whole(now, Err(lost)),
                }
            }
        };
        if stale {
            self.cluster.stale(now);
        }
    }

    /// The calls that carry nothing to be given back.
    fn on_whole(&mut self, now: Instant, outcome: Outcome<Call>) -> bool {
        let call = match &outcome {
            Ok(answer) => &answer.call,
            Err(lost) => &lost.call,
        };
        match call {
            Call::Metadata => {
                self.cluster.on_outcome(now, &outcome, &mut self.links);
                false
            }
            Call::InitProducerId => {
                self.producer.on_init_producer_id(now, &outcome);
                false
            }
            Call::Fetch(address) => {
                let address = address.clone();
                self.consumer.on_fetched(now, &address, &outcome, &mut self.events)
            }
            Call::Produce(_) | Call::ListOffsets(_) | Call::Admin(_) | Call::Partitions(_) => {
                panic!("these calls are handed out with what they carry")
            }
        }
    }
}
