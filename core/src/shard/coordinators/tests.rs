//! Coordinators over an owner whose disk takes everything, at once or not before it is told to.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use super::{Coordinate, Coordinators, Host, Phase};
use crate::batch::{BatchBuilder, BatchHeader, NewRecord, Scratch};
use crate::buf::Slice;
use crate::controller::{Command, Controller, CreateTopics, Intent, NewTopic, TopicRef};
use crate::coordinator::{Token, Unreadable};
use crate::group::OFFSETS_TOPIC;
use crate::group::command::{
    CommitOffsets, Committing, FetchOffsets, Fetched, GroupCommand, GroupError, GroupReply, TopicPartition,
};
use crate::group::groups::Groups;
use crate::id::{Offset, OpId, PartitionId, ShardId, StreamId, Uuid};
use crate::limits::COORDINATOR_LOAD_RETRY;
use crate::prng::Prng;
use crate::replica::{PartitionError, PartitionReply, ReadReply};
use crate::shard::message::CallId;
use crate::shard::owner::{Inheritance, Owner};
use crate::shard::{Config, Effect, Event, Outcome, ShardMessage};
use crate::time::{Duration, Instant, Now, Timestamp};

struct World {
    owner: Owner,
    coordinators: Coordinators,
    controller: Controller,
    config: Arc<Config>,
    now: Now,
    next: Offset,
    next_call: u32,
    /// Writes that the disk has not done yet, while `holds`.
    held: VecDeque<OpId>,
    holds: bool,
    reads_fail: bool,
    /// Answers, by the slot of their calls, and the order in which they came.
    answers: BTreeMap<u32, GroupReply>,
    order: Vec<u32>,
}

impl World {
    fn new(config: Config, configs: &[(&str, &str)]) -> Self {
        let config = Arc::new(config);
        let now = Now { mono: Instant::from_nanos(1), wall: Timestamp(1_000) };
        let controller = Controller::new(Arc::clone(&config));
        let inheritance = Inheritance {
            points: 0,
            directory: Uuid::ZERO,
            image: controller.image(),
            partitions: Vec::new(),
            legacy: Vec::new(),
        };
        let mut world = Self {
            owner: Owner::new(Arc::clone(&config), ShardId(0), StreamId(Uuid([2; 16])), inheritance, now),
            coordinators: Coordinators::new(Arc::clone(&config), ShardId(0), 1),
            controller,
            config,
            now,
            next: Offset::ZERO,
            next_call: 0,
            held: VecDeque::new(),
            holds: false,
            reads_fail: false,
            answers: BTreeMap::new(),
            order: Vec::new(),
        };
        world.create("t", &[]);
        world.create(OFFSETS_TOPIC, configs);
        world
    }

    fn change(&mut self, command: Command) {
        let (records, _) = self.controller.handle(command, &mut Prng::new(4));
        for record in records {
            self.controller.replay(self.next, record);
            self.next = self.next.next();
        }
        self.controller.on_committed(self.next);
    }

    fn create(&mut self, name: &str, configs: &[(&str, &str)]) {
        let topic = NewTopic {
            name: name.into(),
            partitions: 2,
            replication_factor: 1,
            assignments: Vec::new(),
            configs: configs.iter().map(|(name, value)| ((*name).into(), Some((*value).into()))).collect(),
        };
        self.change(Command::CreateTopics(CreateTopics { topics: vec![topic], intent: Intent::Apply }));
        self.publish();
    }

    fn delete(&mut self, name: &str) {
        self.change(Command::DeleteTopics(vec![TopicRef::Name(name.into())]));
        self.publish();
    }

    fn publish(&mut self) {
        self.owner.on_image(self.now, self.controller.image());
        self.coordinators.on_image(self.controller.image());
        self.run();
    }

    /// Other coordinators over the same log, as after a restart.
    fn restart(&mut self) {
        self.coordinators = Coordinators::new(Arc::clone(&self.config), ShardId(0), 1);
        self.coordinators.on_image(self.controller.image());
    }

    fn partition(&self) -> PartitionId {
        PartitionId { topic: self.controller.image().topic(OFFSETS_TOPIC).expect("made").id, index: 0 }
    }

    fn send(&mut self, command: GroupCommand) -> u32 {
        let version = self.controller.image().version;
        self.send_to(self.partition(), version, command)
    }

    fn send_to(&mut self, partition: PartitionId, image_version: u64, command: GroupCommand) -> u32 {
        let slot = self.next_call;
        self.next_call += 1;
        let call = CallId { slot, generation: 0, part: 0 };
        let asked = Coordinate { from: ShardId(0), call, image_version, partition, command };
        self.coordinators.on_command(asked);
        slot
    }

    fn ask(&mut self, command: GroupCommand) -> GroupReply {
        let call = self.send(command);
        self.run();
        self.answers.remove(&call).expect("an answer")
    }

    /// Works until there is nothing to do.
    fn run(&mut self) {
        loop {
            let (mut moved, messages) = self.coordinators.turn(self.now, &mut self.owner);
            for (_, message) in messages {
                let ShardMessage::Coordinated { call, reply } = message else { panic!("{message:?}") };
                assert!(self.answers.insert(call.slot, *reply).is_none(), "answered once");
                self.order.push(call.slot);
            }
            while let Some(effect) = self.owner.poll(self.now) {
                moved = true;
                match effect {
                    Effect::Write { op, .. } if self.holds => self.held.push_back(op),
                    Effect::Write { op, .. } | Effect::Sync { op, .. } | Effect::File { op, .. } => {
                        self.owner.on_disk(self.now, op, Outcome::Done);
                    }
                    Effect::Recv { .. }
                    | Effect::Send { .. }
                    | Effect::Close { .. }
                    | Effect::Read { .. }
                    | Effect::Shard { .. }
                    | Effect::Halt(_) => panic!("{effect:?}"),
                }
            }
            while let Some((_, message)) = self.owner.poll_message() {
                moved = true;
                let ShardMessage::Reply { call, reply } = message else { panic!("{message:?}") };
                assert!(Coordinators::is_own(call), "nobody else asks");
                if self.reads_fail {
                    let failed = PartitionReply::Failed(PartitionError::Faulty);
                    self.coordinators.on_read(self.now, call, failed);
                } else {
                    self.coordinators.on_read(self.now, call, reply);
                }
            }
            if !moved {
                return;
            }
        }
    }

    fn release(&mut self) {
        self.holds = false;
        while let Some(op) = self.held.pop_front() {
            self.owner.on_disk(self.now, op, Outcome::Done);
        }
        self.run();
    }

    fn pass(&mut self, time: Duration) {
        self.now.mono = self.now.mono + time;
        self.now.wall.0 += i64::try_from(time.as_millis()).expect("fits");
        self.run();
    }
}

fn commit(group: &str, partitions: i32, metadata: &str) -> GroupCommand {
    let offsets = (0..partitions).map(|partition| {
        let committing =
            Committing { topic: None, offset: 5, leader_epoch: None, metadata: String::from(metadata) };
        (TopicPartition { topic: "t".into(), partition }, committing)
    });
    GroupCommand::CommitOffsets(CommitOffsets {
        group: group.into(),
        generation: -1,
        member: String::new(),
        instance: None,
        knows_member_epochs: true,
        retention: None,
        offsets: offsets.collect(),
    })
}

fn fetch(group: &str) -> GroupCommand {
    let fetch = FetchOffsets { group: group.into(), member: None, partitions: None, require_stable: false };
    GroupCommand::FetchOffsets(fetch)
}

/// The partitions that a group has committed.
fn count(reply: GroupReply) -> usize {
    let GroupReply::Fetched(fetched) = reply else { panic!("{reply:?}") };
    assert!(fetched.iter().all(|(_, found)| matches!(found, Fetched::Offset { offset: 5, .. })));
    fetched.len()
}

#[test]
fn answers_wait_for_the_disk_also_those_that_tell_of_what_is_not_there_yet() {
    let mut world = World::new(Config::default(), &[]);
    world.holds = true;
    let committing = world.send(commit("g", 1, ""));
    let reading = world.send(fetch("g"));
    world.run();
    assert!(world.answers.is_empty(), "{:?}", world.answers);
    world.release();
    assert_eq!(world.answers[&committing], GroupReply::Committed(vec![Ok(())]));
    assert_eq!(count(world.answers.remove(&reading).expect("answered")), 1);
}

#[test]
fn what_is_in_the_log_is_read_before_anybody_is_served() {
    let mut world = World::new(Config::default(), &[]);
    for round in 0..50 {
        world.ask(commit(&alloc::format!("g{round}"), 2, ""));
    }
    world.restart();
    assert_eq!(world.send(fetch("g7")), 50);
    let (_, messages) = world.coordinators.turn(world.now, &mut world.owner);
    let [(_, ShardMessage::Coordinated { reply, .. })] = messages.as_slice() else { panic!("{messages:?}") };
    assert_eq!(**reply, GroupReply::Failed(GroupError::Loading));
    world.run();
    assert_eq!(count(world.ask(fetch("g7"))), 2);
    assert_eq!(count(world.ask(fetch("g49"))), 2);
}

#[test]
fn a_disk_that_failed_once_is_read_again() {
    let mut world = World::new(Config::default(), &[]);
    world.ask(commit("g", 2, ""));
    world.restart();
    world.reads_fail = true;
    world.run();
    assert_eq!(world.ask(fetch("g")), GroupReply::Failed(GroupError::Loading));
    world.pass(COORDINATOR_LOAD_RETRY);
    assert_eq!(world.ask(fetch("g")), GroupReply::Failed(GroupError::Loading), "it has failed again");
    world.reads_fail = false;
    world.run();
    assert_eq!(world.ask(fetch("g")), GroupReply::Failed(GroupError::Loading), "not at once");
    world.pass(COORDINATOR_LOAD_RETRY);
    assert_eq!(count(world.ask(fetch("g"))), 2);
    let told = core::iter::from_fn(|| world.owner.poll_event());
    let told = told.filter(|event| matches!(event, Event::GroupsUnreadable { .. })).count();
    assert_eq!(told, 1, "once for all reads that failed");
}

#[test]
fn a_command_waits_for_the_metadata_that_its_home_knew() {
    let mut world = World::new(Config::default(), &[]);
    let version = world.controller.image().version;
    let early = world.send_to(world.partition(), version + 1, fetch("g"));
    world.run();
    assert!(world.answers.is_empty());
    world.create("u", &[]);
    assert_eq!(count(world.answers.remove(&early).expect("answered")), 0);
}

#[test]
fn who_waits_is_told_when_the_topic_goes() {
    let mut world = World::new(Config::default(), &[]);
    let partition = world.partition();
    world.holds = true;
    let waiting = world.send(commit("g", 1, ""));
    world.run();
    world.delete(OFFSETS_TOPIC);
    assert_eq!(world.answers[&waiting], GroupReply::Failed(GroupError::NotCoordinator));
    let version = world.controller.image().version;
    let late = world.send_to(partition, version, fetch("g"));
    world.release();
    assert_eq!(world.answers[&late], GroupReply::Failed(GroupError::NotCoordinator));
    assert!(world.coordinators.askers.is_empty() && world.coordinators.busy.is_empty(), "nothing is left");
}

#[test]
fn decisions_wait_for_room_and_commands_for_them_in_order() {
    let config = Config { memory_bytes: 4 << 20, ..Config::default() };
    let mut world = World::new(config, &[]);
    world.holds = true;
    let metadata = "m".repeat(4_000);
    let calls: Vec<u32> = (0..40).map(|_| world.send(commit("g", 100, &metadata))).collect();
    let last = world.send(fetch("g"));
    world.run();
    let waiting = world.coordinators.hosts[&world.partition()].is_waiting();
    assert!(waiting && world.answers.is_empty(), "there is no room for all");
    assert_eq!(world.coordinators.deadline(), None, "nothing is due while a decision waits");
    world.release();
    assert_eq!(world.order, [calls, vec![last]].concat(), "in order");
    assert_eq!(count(world.answers.remove(&last).expect("answered")), 100);
}

#[test]
fn what_the_log_cannot_take_is_refused_and_the_next_is_served() {
    let mut world = World::new(Config::default(), &[("segment.bytes", "1048576")]);
    let refused = world.ask(commit("g", 400, &"m".repeat(4_000)));
    assert_eq!(refused, GroupReply::Committed(vec![Err(GroupError::InvalidCommitSize); 400]));
    assert_eq!(count(world.ask(fetch("g"))), 0, "nothing of it is taken");
    assert_eq!(world.ask(commit("g", 1, "")), GroupReply::Committed(vec![Ok(())]));

    let mut world = World::new(Config::default(), &[("min.insync.replicas", "2")]);
    assert_eq!(world.ask(commit("g", 1, "")), GroupReply::Failed(GroupError::NotAvailable));
}

#[test]
fn a_coordinator_is_told_the_time_and_of_topics_that_go() {
    let mut world = World::new(Config::default(), &[]);
    world.ask(commit("g", 2, ""));
    let at = world.coordinators.deadline().expect("offsets are looked at");
    assert_eq!(at.since(world.now.mono), Duration::from_secs(600));
    world.pass(Duration::from_secs(601));
    assert!(world.coordinators.deadline().expect("again") > world.now.mono);
    assert_eq!(count(world.ask(fetch("g"))), 2);
    world.delete("t");
    assert_eq!(count(world.ask(fetch("g"))), 0);
    world.restart();
    world.run();
    assert_eq!(count(world.ask(fetch("g"))), 0, "for good");
}

#[test]
fn a_host_reads_on_where_compaction_left_nothing_and_serves_nothing_that_it_cannot_read() {
    let read = |records: Vec<Slice>, next| ReadReply {
        records,
        next: Offset(next),
        high_watermark: Offset(9),
        last_stable_offset: Offset(9),
        log_start_offset: Offset::ZERO,
        more: true,
        watched: false,
    };
    let batch = |key: &[u8]| {
        let mut builder = BatchBuilder::new(BatchHeader::default());
        let record =
            NewRecord { timestamp: Timestamp(1), key: Some(key), value: Some(&[0, 9]), headers: &[] };
        builder.push(&record);
        Slice::from_vec(builder.build())
    };
    let phase = |read: &ReadReply| {
        let mut host = Host::<Groups>::new(PartitionId::default());
        host.set_phase(Phase::Loading(Offset(5)));
        host.on_read(read, &mut Scratch::new());
        host.phase()
    };
    assert_eq!(phase(&read(vec![], 5)), Phase::Loading(Offset(9)));
    // A kind that is not served says nothing; a group in a version of the future would say something.
    assert_eq!(phase(&read(vec![batch(&[0, 99])], 6)), Phase::Loading(Offset(6)));
    assert_eq!(phase(&read(vec![batch(&[0, 2, 0, 1, b'g'])], 6)), Phase::Unreadable);
    let mut host = Host::<Groups>::new(PartitionId::default());
    host.set_phase(Phase::Loading(Offset(5)));
    host.on_read(&read(vec![Slice::from_vec(vec![0; 99])], 6), &mut Scratch::new());
    let why = Some(Unreadable("a batch is damaged"));
    assert_eq!((host.phase(), host.take_trouble(), host.take_trouble()), (Phase::Unreadable, why, None));

    let mut host = Host::<Groups>::new(PartitionId::default());
    host.set_phase(Phase::Unreadable);
    let refused = host.on_command(Token(1), fetch("g"));
    assert_eq!(refused, Some(GroupReply::Failed(GroupError::NotAvailable)));
}
