//! The client as a whole: hands inputs and outcomes to its parts, and gives each a turn.

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;

use super::admin::{self, Admin, AdminCall, Destination, Mode, PartitionCall, Partitions};
use super::cluster::Cluster;
use super::consumer::{Asked, Consumer};
use super::group::{self, GroupConfig, Membership, OffsetToCommit, Turn};
use super::links::{Links, Outcome};
use super::producer::{self, Flight, Producer};
use super::{
    Address, ClientConfig, ClientEffect, ClientEvent, ClientInput, NewTopic, ProduceError, ProduceRecord,
    StartAt, Token, TopicPartition,
};
use crate::id::Offset;
use crate::limits::{CLIENT_CALLS_MAX, CLIENT_COMMITS_MAX, CLIENT_EVENTS_MAX};
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
    Group(group::Asked),
    Groups(admin::GroupAsked),
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
    groups: admin::Groups,
    membership: Membership,
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
            groups: admin::Groups::new(config),
            membership: Membership::new(config, seed),
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
        self.membership.on_polled();
        self.dirty |= self.membership.awaits_poll();
        while let Some(event) = self.events.pop_front() {
            self.dirty = true;
            self.membership.on_taken(&event);
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

    /// Becomes a member of a group and reads what it is given there. Panics if it is in one already, or if the config makes no
    /// sense.
    ///
    /// What is taken from [`Self::poll_event`] counts as consumed once the client is polled again: with
    /// [`GroupConfig::auto_commit`] it may be committed from then on.
    pub fn join_group(&mut self, now: Now, config: GroupConfig) {
        self.dirty = true;
        self.consumer.reset_to(config.auto_offset_reset);
        self.membership.join(now.mono, config);
    }

    /// Gives everything up and leaves; [`super::MemberEvent::Left`] says when that is done. A static member leaves for a while only.
    pub fn leave_group(&mut self, now: Now) {
        self.dirty = true;
        self.membership.leave(now.mono);
    }

    /// Commits as a member; the answer is an event with `token`. While the group agrees anew it is refused. `false` means that as
    /// many commits wait as may.
    #[must_use]
    pub fn commit(&mut self, now: Now, token: Token, offsets: Vec<OffsetToCommit>) -> bool {
        let waiting = self.membership.member().map_or(0, |member| member.commits_waiting());
        let room = waiting < CLIENT_COMMITS_MAX && self.events.len() < CLIENT_EVENTS_MAX;
        if room {
            self.dirty = true;
            self.membership.commit(now.mono, (token, offsets), &mut self.events);
        }
        room
    }

    /// How it is known in its group: its id, and the generation or member epoch; −1 while it has none.
    pub fn member(&self) -> Option<(&str, i32)> {
        self.membership.member().map(|member| (member.id(), member.epoch()))
    }

    /// What it has in its group, with what it is giving up.
    pub fn owned(&self) -> impl Iterator<Item = &TopicPartition> {
        self.membership.member().into_iter().flat_map(|member| member.owned())
    }

    /// The first offset of a partition of which no event was taken, once it is known where reading began.
    pub fn taken(&self, partition: &TopicPartition) -> Option<Offset> {
        self.consumer.taken(partition)
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

    /// Asks the coordinators of groups; one event with `token` answers for all. `false` means that as many calls wait as may.
    #[must_use]
    pub fn group_admin(&mut self, now: Now, token: Token, call: admin::GroupCall) -> bool {
        let room = self.has_room();
        if room {
            self.dirty = true;
            self.groups.call(now.mono, token, call);
        }
        room
    }

    fn has_room(&self) -> bool {
        let calls = self.admin.len() + self.partitions.len() + self.groups.len();
        calls < CLIENT_CALLS_MAX && self.events.len() < CLIENT_EVENTS_MAX
    }

    fn turn(&mut self, now: Instant) {
        self.dirty = false;
        self.links.expire(now);
        loop {
            while let Some(outcome) = self.links.poll_outcome() {
                self.on_outcome(now, outcome);
            }
            let Self {
                links,
                cluster,
                producer,
                consumer,
                admin,
                partitions,
                groups,
                membership,
                events,
                ..
            } = self;
            membership.turn(&mut Turn { now, links, cluster, consumer, events });
            producer.turn(now, links, cluster, events);
            consumer.turn(now, links, cluster, events);
            admin.turn(now, links, cluster, events);
            partitions.turn(now, links, cluster, events);
            groups.turn(now, links, cluster, events);
            // Last, because the others say which topics they need.
            cluster.turn(now, links);
            if !links.has_outcome() {
                break;
            }
        }
        let deadlines = self.links.deadline(now).into_iter();
        let deadlines = deadlines.chain(self.cluster.deadline()).chain(self.admin.deadline());
        let deadlines = deadlines.chain(self.partitions.deadlines()).chain(self.membership.deadlines());
        let deadlines = deadlines.chain(self.groups.deadlines());
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
                Call::Group(asked) => self.on_group(now, asked, Ok((answer.version, &answer.body))),
                Call::Groups(asked) => {
                    self.groups.on_outcome(now, asked, Ok((answer.version, &answer.body)));
                    false
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
                    Call::Group(asked) => self.on_group(now, asked, Err(lost.error)),
                    Call::Groups(asked) => {
                        self.groups.on_outcome(now, asked, Err(lost.error));
                        false
                    }
                    Call::Metadata | Call::InitProducerId | Call::Fetch(_) => self.on_whole(now, Err(lost)),
                }
            }
        };
        if stale {
            self.cluster.stale(now);
        }
    }

    fn on_group(&mut self, now: Instant, asked: group::Asked, outcome: group::Outcome<'_>) -> bool {
        let Self { links, cluster, consumer, membership, events, .. } = self;
        membership.on_outcome(&mut Turn { now, links, cluster, consumer, events }, asked, outcome)
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
            Call::Produce(_)
            | Call::ListOffsets(_)
            | Call::Admin(_)
            | Call::Partitions(_)
            | Call::Group(_)
            | Call::Groups(_) => {
                panic!("these calls are handed out with what they carry")
            }
        }
    }
}
