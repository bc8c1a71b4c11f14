mod members;
mod migrating;

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::Groups;
use crate::coordinator::{Answer, Machine, Token, Turn, Unavailable};
use crate::group::command::{
    CommitOffsets, Committing, DeleteOffsets, FetchOffsets, Fetched, GroupCommand, GroupError, GroupKind,
    GroupReply, GroupState, TopicPartition,
};
use crate::group::settings::GroupSettings;
use crate::group::topics::{Surroundings, Topic};
use crate::id::{TopicId, Uuid};
use crate::prng::Prng;
use crate::time::{Duration, Instant, Now, Timestamp};

#[derive(Debug, Default)]
struct Node {
    topics: BTreeMap<String, TopicId>,
    version: u64,
    settings: GroupSettings,
}

impl Surroundings for Node {
    fn topic(&self, name: &str) -> Option<Topic> {
        self.topics.get(name).map(|id| Topic { id: *id, partitions: 3, racks: Vec::new() })
    }

    fn name_of(&self, id: TopicId) -> Option<&str> {
        self.topics.iter().find(|(_, known)| **known == id).map(|(name, _)| name.as_str())
    }

    fn names(&self) -> Vec<&str> {
        self.topics.keys().map(String::as_str).collect()
    }

    fn version(&self) -> u64 {
        self.version
    }

    fn settings(&self, _group: &str) -> GroupSettings {
        self.settings.clone()
    }
}

/// A machine whose records are replayed at once, after they were written and read.
struct World {
    groups: Groups,
    node: Node,
    prng: Prng,
    now: Now,
    /// All records of decisions, as a log has them.
    log: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl World {
    fn new() -> Self {
        let mut settings = GroupSettings::default();
        // A change is followed by an assignment at once, as most tests want it.
        settings.consumer.assignment_interval = Duration::ZERO;
        let topics = ["t", "u"].map(|name| (String::from(name), TopicId(Uuid([name.as_bytes()[0]; 16]))));
        let mut world = Self {
            groups: Groups::default(),
            node: Node { topics: topics.into(), version: 1, settings },
            prng: Prng::new(1),
            now: Now { mono: Instant::from_nanos(5), wall: Timestamp(1_000_000) },
            log: Vec::new(),
        };
        world.step(|groups, turn| groups.on_loaded(turn));
        world
    }

    fn step(
        &mut self,
        step: impl FnOnce(&mut Groups, &mut Turn<'_, dyn Surroundings>) -> super::Made,
    ) -> Vec<GroupReply> {
        self.decide(step).into_iter().map(|answer| answer.reply).collect()
    }

    fn decide(
        &mut self,
        step: impl FnOnce(&mut Groups, &mut Turn<'_, dyn Surroundings>) -> super::Made,
    ) -> Vec<Answer<GroupReply>> {
        let mut turn =
            Turn { now: self.now, prng: &mut self.prng, surroundings: &self.node as &dyn Surroundings };
        let decision = step(&mut self.groups, &mut turn);
        for record in decision.records {
            let record = Groups::encode(&record);
            self.groups.replay(decoded(&record.key, record.value.as_deref()));
            self.log.push((record.key, record.value));
        }
        decision.answers
    }

    /// A decision whose records the log does not take.
    fn refuse(&mut self, step: impl FnOnce(&mut Groups, &mut Turn<'_, dyn Surroundings>) -> super::Made) {
        let mut turn =
            Turn { now: self.now, prng: &mut self.prng, surroundings: &self.node as &dyn Surroundings };
        let decision = step(&mut self.groups, &mut turn);
        assert!(!decision.records.is_empty(), "there is something to refuse");
        self.groups.on_refused(&mut turn, &decision.records);
    }

    fn ask(&mut self, command: GroupCommand) -> GroupReply {
        let mut replies = self.step(|groups, turn| groups.handle(turn, Token(3), command));
        assert_eq!(replies.len(), 1, "one answer");
        replies.remove(0)
    }

    fn pass(&mut self, time: Duration) {
        self.now.mono = self.now.mono + time;
        self.now.wall.0 += i64::try_from(time.as_millis()).expect("fits");
        while self.groups.deadline().is_some_and(|at| at <= self.now.mono) {
            self.step(|groups, turn| groups.on_deadline(turn));
        }
    }

    fn restart(&mut self) {
        self.groups = Groups::default();
        for (key, value) in &self.log {
            self.groups.replay(decoded(key, value.as_deref()));
        }
        self.step(|groups, turn| groups.on_loaded(turn));
    }

    fn commit(&mut self, group: &str, generation: i32) -> GroupReply {
        self.ask(GroupCommand::CommitOffsets(commit(group, generation)))
    }

    fn commit_of(&mut self, group: &str, partition: (&str, i32), offset: i64) {
        let mut commit = commit(group, -1);
        let (topic, partition) = (partition.0.into(), partition.1);
        commit.offsets[0].0 = TopicPartition { topic, partition };
        commit.offsets[0].1.offset = offset;
        self.ask(GroupCommand::CommitOffsets(commit));
    }

    fn offset(&mut self, group: &str) -> Fetched {
        let partitions = Some(vec![partition()]);
        let fetch = FetchOffsets { group: group.into(), member: None, partitions, require_stable: true };
        let GroupReply::Fetched(fetched) = self.ask(GroupCommand::FetchOffsets(fetch)) else {
            panic!("fetched")
        };
        fetched[0].1.clone()
    }

    fn names(&mut self) -> Vec<String> {
        let GroupReply::Listed(listed) = self.ask(GroupCommand::List) else { panic!("listed") };
        listed.into_iter().map(|listed| listed.group).collect()
    }
}

fn decoded(key: &[u8], value: Option<&[u8]>) -> super::GroupRecord {
    Groups::decode(key, value).expect("what is written is read").expect("of a known kind")
}

fn partition() -> TopicPartition {
    TopicPartition { topic: "t".into(), partition: 1 }
}

fn commit(group: &str, generation: i32) -> CommitOffsets {
    let committing = Committing { topic: None, offset: 7, leader_epoch: None, metadata: String::new() };
    CommitOffsets {
        group: group.into(),
        generation,
        member: String::new(),
        instance: None,
        knows_member_epochs: true,
        retention: None,
        offsets: vec![(partition(), committing)],
    }
}

const COMMITTED: Fetched = Fetched::Offset { offset: 7, leader_epoch: None, metadata: String::new() };

#[test]
fn a_group_without_members_is_made_by_its_first_commit_and_found_after_a_restart() {
    let mut world = World::new();
    assert_eq!(world.offset("g"), Fetched::None);
    assert_eq!(world.commit("g", -1), GroupReply::Committed(vec![Ok(())]));
    world.restart();
    assert_eq!(world.offset("g"), COMMITTED);
    let GroupReply::Listed(listed) = world.ask(GroupCommand::List) else { panic!("listed") };
    let [group] = listed.as_slice() else { panic!("{listed:?}") };
    assert_eq!(
        (group.state, group.kind, group.protocol_type.as_str()),
        (GroupState::Empty, GroupKind::Classic, "")
    );
}

#[test]
fn who_claims_to_be_a_member_of_what_has_none_is_refused() {
    let mut world = World::new();
    assert_eq!(world.commit("g", 4), GroupReply::Failed(GroupError::GroupNotFound));
    let old = CommitOffsets { knows_member_epochs: false, ..commit("g", 4) };
    assert_eq!(
        world.ask(GroupCommand::CommitOffsets(old)),
        GroupReply::Failed(GroupError::IllegalGeneration)
    );
    world.commit("g", -1);
    assert_eq!(world.commit("g", 0), GroupReply::Failed(GroupError::UnknownMember));
    assert_eq!(world.commit("g", -1), GroupReply::Committed(vec![Ok(())]));
}

#[test]
fn delete_takes_a_group_with_all_its_offsets() {
    let mut world = World::new();
    assert_eq!(world.ask(GroupCommand::Delete("g".into())), GroupReply::Failed(GroupError::GroupNotFound));
    world.commit("g", -1);
    world.commit("h", -1);
    assert_eq!(world.ask(GroupCommand::Delete("g".into())), GroupReply::Done);
    world.restart();
    assert_eq!((world.offset("g"), world.names()), (Fetched::None, vec!["h".into()]));
}

#[test]
fn a_group_without_members_goes_with_its_last_offset() {
    let mut world = World::new();
    let delete = DeleteOffsets { group: "g".into(), partitions: vec![partition()] };
    let asked = GroupCommand::DeleteOffsets(delete);
    assert_eq!(world.ask(asked.clone()), GroupReply::Failed(GroupError::GroupNotFound));
    world.commit("g", -1);
    assert_eq!(world.ask(asked), GroupReply::Deleted(vec![Ok(())]));
    assert_eq!(world.names(), Vec::<String>::new());
}

#[test]
fn offsets_expire_a_week_after_their_commit_and_not_before() {
    let mut world = World::new();
    world.commit("g", -1);
    world.pass(Duration::from_secs(7 * 24 * 3_600 - 700));
    assert_eq!(world.offset("g"), COMMITTED);
    // They are looked at every ten minutes.
    world.pass(Duration::from_secs(601));
    world.pass(Duration::from_secs(601));
    assert_eq!((world.offset("g"), world.names()), (Fetched::None, vec![]));
    assert_eq!(world.groups.deadline(), None, "nothing is left to look at");
}

#[test]
fn offsets_of_a_deleted_topic_go_also_if_it_was_deleted_while_nobody_looked() {
    let mut world = World::new();
    world.commit("g", -1);
    world.node.topics.remove("u");
    world.step(|groups, turn| groups.on_surroundings(turn));
    assert_eq!(world.offset("g"), COMMITTED);
    world.node.topics.remove("t");
    world.step(|groups, turn| groups.on_surroundings(turn));
    assert_eq!(world.offset("g"), Fetched::None);

    world.node.topics.insert("t".into(), TopicId(Uuid([1; 16])));
    world.commit("g", -1);
    world.node.topics.remove("t");
    world.restart();
    assert_eq!(world.offset("g"), Fetched::None);
}

#[test]
fn what_no_log_takes_is_told_as_such() {
    let too_large = Groups::too_large(GroupReply::Committed(vec![Ok(()), Err(GroupError::MetadataTooLarge)]));
    let expected = vec![Err(GroupError::InvalidCommitSize), Err(GroupError::MetadataTooLarge)];
    assert_eq!(too_large, GroupReply::Committed(expected));
    assert_eq!(Groups::unavailable(Unavailable::Elsewhere), GroupReply::Failed(GroupError::NotCoordinator));
}

#[test]
fn reports_come_in_slices_and_are_whole() {
    let mut world = World::new();
    for group in ["c", "a", "b"] {
        world.commit_of(group, ("u", 1), 3);
    }
    for (topic, partition, offset) in [("u", 0, 4), ("t", 2, 5), ("t", 10, 6)] {
        world.commit_of("b", (topic, partition), offset);
    }
    let names = |after, work_max| {
        let reports = world.groups.report(after, work_max);
        reports.into_iter().map(|report| report.group).collect::<Vec<_>>()
    };
    assert_eq!(names(None, 2), ["a", "b"]);
    assert_eq!(names(Some("b"), 2), ["c"]);
    assert_eq!(names(Some("aa"), 0), ["b"], "one at least");
    assert!(names(Some("c"), 9).is_empty());
    let mut found = Vec::new();
    let mut after = None;
    while let [next] = &world.groups.report_offsets("b", after.as_ref(), 1)[..] {
        let partition = next.partition.clone();
        found.push((partition.topic.clone(), partition.partition, next.offset.0));
        after = Some(partition);
    }
    let all = [("t", 2, 5), ("t", 10, 6), ("u", 0, 4), ("u", 1, 3)];
    assert_eq!(found, all.map(|(topic, partition, offset)| (topic.into(), partition, offset)));
    assert!(world.groups.report_offsets("none", None, 1).is_empty());
}
