//! A group with a tiny host, which appends what it decides and replays it at once, and a virtual clock.

mod joining;
mod leaving;
mod pacing;
mod random;
mod reconciling;
mod subscribing;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::ConsumerGroup;
use crate::coordinator::{Answer, Decision, Token};
use crate::group::command::{
    Client, ConsumerAssigned, ConsumerHeartbeat, GroupError, GroupReply, TopicPartitions,
};
use crate::group::out::{GroupEvent, Out};
use crate::group::record::GroupRecord;
use crate::group::settings::GroupSettings;
use crate::group::topics::{Surroundings, Topic};
use crate::id::{TopicId, Uuid};
use crate::prng::Prng;
use crate::time::{Duration, Instant, Now, Timestamp};

type Partition = (TopicId, i32);

#[derive(Debug, Default)]
struct Topics {
    topics: BTreeMap<String, Topic>,
    version: u64,
    ids: u8,
}

impl Topics {
    fn create(&mut self, name: &str, partitions: i32) -> TopicId {
        self.ids += 1;
        let id = TopicId(Uuid([self.ids; 16]));
        self.topics.insert(name.to_string(), Topic { id, partitions, racks: Vec::new() });
        self.version += 1;
        id
    }

    fn grow(&mut self, name: &str, more: i32) {
        self.topics.get_mut(name).unwrap().partitions += more;
        self.version += 1;
    }

    fn delete(&mut self, name: &str) {
        self.topics.remove(name);
        self.version += 1;
    }
}

impl Surroundings for Topics {
    fn topic(&self, name: &str) -> Option<Topic> {
        self.topics.get(name).cloned()
    }

    fn name_of(&self, id: TopicId) -> Option<&str> {
        self.topics.iter().find(|(_, topic)| topic.id == id).map(|(name, _)| name.as_str())
    }

    fn names(&self) -> Vec<&str> {
        self.topics.keys().map(String::as_str).collect()
    }

    fn version(&self) -> u64 {
        self.version
    }

    fn settings(&self, _group: &str) -> GroupSettings {
        GroupSettings::default()
    }
}

/// A change is followed by an assignment at once, as most tests want it.
fn at_once() -> GroupSettings {
    let mut settings = GroupSettings::default();
    settings.consumer.assignment_interval = Duration::ZERO;
    settings
}

struct Host {
    group: ConsumerGroup,
    log: Vec<GroupRecord>,
    topics: Topics,
    settings: GroupSettings,
    prng: Prng,
    now: Instant,
    events: Vec<GroupEvent>,
    /// Milliseconds by which the wall clock was set forth.
    wall_ahead: i64,
}

fn replay(group: &mut ConsumerGroup, record: GroupRecord) {
    match record {
        GroupRecord::Consumer { value, .. } => group.replay_group(value),
        GroupRecord::Member { member, value, .. } => group.replay_member(member, value),
        GroupRecord::TargetEpoch { value, .. } => group.replay_target_epoch(value),
        GroupRecord::TargetMember { member, value, .. } => group.replay_target(member, value),
        GroupRecord::CurrentMember { member, value, .. } => group.replay_current(member, value),
        GroupRecord::Regex { regex, value, .. } => group.replay_regex(regex, value),
        GroupRecord::Offset { .. } | GroupRecord::Classic { .. } => {
            panic!("not of this protocol: {record:?}")
        }
    }
}

fn key(record: &GroupRecord) -> (u8, &str) {
    match record {
        GroupRecord::Offset { .. } | GroupRecord::Classic { .. } => {
            panic!("not of this protocol: {record:?}")
        }
        GroupRecord::Consumer { .. } => (3, ""),
        GroupRecord::Member { member, .. } => (5, member),
        GroupRecord::TargetEpoch { .. } => (6, ""),
        GroupRecord::TargetMember { member, .. } => (7, member),
        GroupRecord::CurrentMember { member, .. } => (8, member),
        GroupRecord::Regex { regex, .. } => (16, regex),
    }
}

impl Host {
    fn new(seed: u64) -> Self {
        Self {
            group: ConsumerGroup::new("g".to_string()),
            log: Vec::new(),
            topics: Topics::default(),
            settings: at_once(),
            prng: Prng::new(seed),
            now: Instant::from_nanos(0),
            events: Vec::new(),
            wall_ahead: 0,
        }
    }

    fn now(&self) -> Now {
        let wall = i64::try_from(Duration::from_nanos(self.now.as_nanos()).as_millis()).unwrap();
        Now { mono: self.now, wall: Timestamp(7 + wall + self.wall_ahead) }
    }

    /// What a step of the group decides, in force or not.
    fn decide(
        &mut self,
        of: impl FnOnce(&mut ConsumerGroup, &mut Out<'_>, &Topics),
    ) -> Decision<GroupRecord, GroupReply> {
        let mut decision = Decision::default();
        let now = self.now();
        let (prng, settings, events) = (&mut self.prng, &self.settings, &mut self.events);
        let mut out = Out { now, prng, settings, decision: &mut decision, events };
        of(&mut self.group, &mut out, &self.topics);
        decision
    }

    fn step(
        &mut self,
        of: impl FnOnce(&mut ConsumerGroup, &mut Out<'_>, &Topics),
    ) -> Vec<Answer<GroupReply>> {
        let decision = self.decide(of);
        for record in &decision.records {
            replay(&mut self.group, record.clone());
        }
        self.log.extend(decision.records);
        self.check_counts();
        decision.answers
    }

    /// What is counted along is what a count of all comes to.
    fn check_counts(&self) {
        let kept = &self.group.kept;
        assert_eq!(kept.reconciled, kept.members.keys().filter(|member| kept.is_reconciled(member)).count());
        let (mut named, mut meant) = (BTreeMap::new(), BTreeMap::new());
        for member in kept.members.values() {
            member.topics.iter().for_each(|name| *named.entry(name.clone()).or_insert(0) += 1);
            super::regex_of(member)
                .into_iter()
                .for_each(|regex| *meant.entry(regex.to_string()).or_insert(0) += 1);
        }
        assert_eq!((&kept.named, &kept.meant), (&named, &meant));
    }

    fn heartbeat(&mut self, heartbeat: ConsumerHeartbeat) -> Result<ConsumerAssigned, GroupError> {
        ConsumerGroup::check_request(&heartbeat, &self.settings.consumer)?;
        let answers = self.step(|group, out, topics| group.heartbeat(out, topics, Token(1), heartbeat));
        let [Answer { to: Token(1), reply, .. }] = <[_; 1]>::try_from(answers).unwrap() else { panic!() };
        if let GroupReply::Failed(error) = reply {
            return Err(error);
        }
        let GroupReply::ConsumerHeartbeat(assigned) = reply else { panic!("{reply:?}") };
        Ok(assigned)
    }

    /// Lets time pass, deadline by deadline.
    fn elapse(&mut self, duration: Duration) {
        let end = self.now + duration;
        while let Some(deadline) = self.group.deadline().filter(|deadline| *deadline <= end) {
            self.now = self.now.max(deadline);
            let answers = self.step(|group, out, topics| group.on_deadline(out, topics));
            assert!(answers.is_empty());
        }
        self.now = end;
    }

    /// A group that has read all records of this one and nothing else.
    fn restarted(&self) -> ConsumerGroup {
        self.restarted_compacted(0)
    }

    /// As much of the log is compacted: of each key, only the newest record is left of that.
    fn restarted_compacted(&self, length: usize) -> ConsumerGroup {
        let mut group = ConsumerGroup::new("g".to_string());
        let newest: BTreeMap<_, usize> = self.log[..length].iter().map(key).zip(0..).collect();
        for (place, record) in self.log.iter().enumerate() {
            if place >= length || newest[&key(record)] == place {
                replay(&mut group, record.clone());
            }
        }
        group
    }

    fn restart(&mut self) {
        self.group = self.restarted();
        self.step(|group, out, _| group.on_loaded(out));
    }

    /// Kinds of the records since a place of the log.
    fn kinds(&self, from: usize) -> Vec<&'static str> {
        let kind = |record: &GroupRecord| match record {
            GroupRecord::Consumer { .. } => "group",
            GroupRecord::Member { value: Some(_), .. } => "member",
            GroupRecord::Member { .. } => "no member",
            GroupRecord::TargetEpoch { .. } => "target epoch",
            GroupRecord::TargetMember { value: Some(_), .. } => "target",
            GroupRecord::TargetMember { .. } => "no target",
            GroupRecord::CurrentMember { value: Some(_), .. } => "current",
            GroupRecord::CurrentMember { .. } => "no current",
            GroupRecord::Regex { value: Some(_), .. } => "regex",
            GroupRecord::Regex { .. } => "no regex",
            GroupRecord::Offset { .. } | GroupRecord::Classic { .. } => "other",
        };
        self.log[from..].iter().map(kind).collect()
    }

    fn join(&mut self, member: &str, names: &[&str]) -> Result<ConsumerAssigned, GroupError> {
        self.heartbeat(joining(member, names))
    }

    /// A heartbeat that tells what is owned, as one does after each change.
    fn beat(
        &mut self,
        member: &str,
        epoch: i32,
        owned: &[Partition],
    ) -> Result<ConsumerAssigned, GroupError> {
        let owned = Some(listed(&owned.iter().copied().collect()));
        self.heartbeat(ConsumerHeartbeat { owned, ..beating(member, epoch) })
    }

    fn beat_briefly(&mut self, member: &str, epoch: i32) -> Result<ConsumerAssigned, GroupError> {
        self.heartbeat(beating(member, epoch))
    }
}

/// Says nothing but that it is there.
fn beating(member: &str, epoch: i32) -> ConsumerHeartbeat {
    ConsumerHeartbeat {
        group: "g".to_string(),
        member: member.to_string(),
        member_epoch: epoch,
        instance: None,
        client: Client { id: "client".to_string(), host: "/127.0.0.1".to_string() },
        rack: None,
        rebalance_timeout: None,
        topics: None,
        regex: None,
        assignor: None,
        owned: None,
    }
}

fn joining(member: &str, names: &[&str]) -> ConsumerHeartbeat {
    ConsumerHeartbeat {
        rebalance_timeout: Some(Duration::from_secs(60)),
        topics: Some(names.iter().map(ToString::to_string).collect()),
        owned: Some(Vec::new()),
        ..beating(member, 0)
    }
}

fn as_static(heartbeat: ConsumerHeartbeat, instance: &str) -> ConsumerHeartbeat {
    ConsumerHeartbeat { instance: Some(instance.to_string()), ..heartbeat }
}

fn listed(partitions: &BTreeSet<Partition>) -> Vec<TopicPartitions> {
    let mut topics: BTreeMap<TopicId, Vec<i32>> = BTreeMap::new();
    for (topic, partition) in partitions {
        topics.entry(*topic).or_default().push(*partition);
    }
    topics.into_iter().map(|(topic, partitions)| TopicPartitions { topic, partitions }).collect()
}

fn set(topics: &[TopicPartitions]) -> BTreeSet<Partition> {
    let of = |topic: &TopicPartitions| topic.partitions.iter().map(|p| (topic.topic, *p)).collect::<Vec<_>>();
    topics.iter().flat_map(of).collect()
}

/// What an answer tells, in order; `None` where it tells of no assignment.
fn told(assigned: &ConsumerAssigned) -> Option<Vec<Partition>> {
    assigned.assignment.as_ref().map(|topics| set(topics).into_iter().collect())
}
