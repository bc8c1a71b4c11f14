//! Members that join, leave, crash, lose answers and repeat requests, while topics come, grow and go. At no time may two members have
//! one partition, where a member has what it holds and what it may have been told, until a heartbeat of its own says otherwise. Once
//! all is quiet everything is assigned and stable. A group that reads all the records is the same group.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::{ConsumerHeartbeat, Host, Partition, beating, listed, set};
use crate::group::command::{ConsumerAssigned, GroupError, GroupState};
use crate::group::consumer::describe::without_epochs;
use crate::group::regex::TopicRegex;
use crate::prng::Prng;
use crate::time::Duration;

const NAMES: [&str; 5] = ["orders", "orders-eu", "payments", "users", "users-old"];
const REGEXES: [&str; 4] = ["orders.*", ".*-.*", "(payments|users)", ".*"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    Up,
    /// A static member that has said that it comes back.
    Away,
    Dead,
}

#[derive(Debug)]
struct Member {
    id: String,
    instance: Option<String>,
    names: Vec<String>,
    regex: String,
    epoch: i32,
    life: Life,
    /// What it works on.
    owned: BTreeSet<Partition>,
    /// What of that it has been asked to give back, and has not yet.
    dropping: BTreeSet<Partition>,
    /// What it may have: what it said that it owned, and what it was told since, whether or not that reached it.
    told: BTreeSet<Partition>,
    /// What its last heartbeat said that it owned.
    said: Option<BTreeSet<Partition>>,
    /// An answer was lost: it says all of itself.
    full: bool,
    subscription_news: bool,
}

impl Member {
    fn new(id: String, instance: Option<String>, prng: &mut Prng) -> Self {
        let mut member = Self {
            id,
            instance,
            names: Vec::new(),
            regex: String::new(),
            epoch: 0,
            life: Life::Up,
            owned: BTreeSet::new(),
            dropping: BTreeSet::new(),
            told: BTreeSet::new(),
            said: None,
            full: true,
            subscription_news: false,
        };
        member.subscribe(prng);
        member
    }

    fn subscribe(&mut self, prng: &mut Prng) {
        self.names = NAMES.iter().filter(|_| prng.chance(500_000)).map(ToString::to_string).collect();
        let regex = usize::try_from(prng.below(8)).unwrap();
        self.regex = REGEXES.get(regex).copied().unwrap_or_default().to_string();
        self.subscription_news = true;
    }

    fn heartbeat(&mut self, prng: &mut Prng) -> ConsumerHeartbeat {
        let mut heartbeat =
            ConsumerHeartbeat { instance: self.instance.clone(), ..beating(&self.id, self.epoch) };
        if self.full || self.epoch == 0 || self.subscription_news {
            heartbeat.topics = Some(self.names.clone());
            heartbeat.regex = Some(self.regex.clone());
        }
        if self.full || self.epoch == 0 {
            heartbeat.rebalance_timeout = Some(Duration::from_secs(20));
        }
        let is_news = self.said.as_ref() != Some(&self.owned);
        if self.full || self.epoch == 0 || is_news || prng.chance(100_000) {
            heartbeat.owned = Some(listed(&self.owned));
            self.said = Some(self.owned.clone());
        }
        heartbeat
    }

    fn abandon(&mut self) {
        self.owned.clear();
        self.dropping.clear();
        self.told.clear();
        self.epoch = 0;
        self.full = true;
    }

    fn on_answer(&mut self, answer: Result<ConsumerAssigned, GroupError>) {
        match answer {
            Ok(assigned) => {
                self.id = assigned.member;
                self.epoch = assigned.member_epoch;
                self.full = false;
                self.subscription_news = false;
                if let Some(assignment) = assigned.assignment {
                    let assignment = set(&assignment);
                    self.dropping = self.owned.difference(&assignment).copied().collect();
                    self.owned.extend(assignment);
                }
            }
            Err(GroupError::FencedMemberEpoch | GroupError::UnknownMember) => self.abandon(),
            // Another has its place, or has not left it yet.
            Err(GroupError::FencedInstance) => self.life = Life::Dead,
            Err(GroupError::UnreleasedInstance) => {}
            Err(error) => panic!("{error:?}"),
        }
    }

    /// Gives back what it was asked for; its next heartbeat says so.
    fn give_back(&mut self) {
        let dropping = core::mem::take(&mut self.dropping);
        self.owned.retain(|partition| !dropping.contains(partition));
    }
}

struct World {
    host: Host,
    prng: Prng,
    members: Vec<Member>,
    born: u32,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut world =
            Self { host: Host::new(seed), prng: Prng::keyed(seed, 1), members: Vec::new(), born: 0 };
        for name in &NAMES[..3] {
            world.host.topics.create(name, 3);
        }
        if world.prng.chance(300_000) {
            let assignors = &mut world.host.settings.consumer.assignors;
            *assignors = assignors.iter().rev().cloned().collect();
        }
        world
    }

    fn pick(&mut self) -> Option<usize> {
        let up: Vec<usize> =
            (0..self.members.len()).filter(|&at| self.members[at].life == Life::Up).collect();
        let place = self.prng.below(u64::try_from(up.len()).unwrap().max(1));
        up.get(usize::try_from(place).unwrap()).copied()
    }

    fn be_born(&mut self, instance: Option<String>) {
        self.born += 1;
        let id = format!("m{}", self.born);
        let member = Member::new(id, instance, &mut self.prng);
        self.members.push(member);
    }

    fn act(&mut self) {
        match self.prng.below(100) {
            0..55 => self.beat(),
            55..65 => {
                if let Some(at) = self.pick() {
                    self.members[at].give_back();
                }
            }
            65..73 if self.members.len() < 40 => {
                let instance = self.prng.chance(300_000).then(|| format!("i{}", self.prng.below(3)));
                self.be_born(instance);
            }
            73..76 => self.leave(),
            76..79 => {
                if let Some(at) = self.pick() {
                    self.members[at].life = Life::Dead;
                }
            }
            79..82 => {
                if let Some(at) = self.pick() {
                    let Self { members, prng, .. } = self;
                    members[at].subscribe(prng);
                }
            }
            82..86 => self.change_topics(),
            86..87 => self.host.restart(),
            _ => {
                let millis = self.prng.below(6_000);
                self.elapse(Duration::from_millis(millis));
            }
        }
        self.check();
    }

    fn change_topics(&mut self) {
        let name = NAMES[usize::try_from(self.prng.below(5)).unwrap()];
        let topics = &mut self.host.topics;
        match (topics.topics.contains_key(name), self.prng.below(4)) {
            (false, _) => drop(topics.create(name, 4)),
            (true, 0) => topics.delete(name),
            (true, _) => topics.grow(name, 2),
        }
    }

    /// Members that are fenced by time have stopped by their own clocks.
    fn elapse(&mut self, duration: Duration) {
        self.host.elapse(duration);
    }

    fn beat(&mut self) {
        let Some(at) = self.pick() else { return };
        self.beat_of(at, 150_000);
    }

    fn beat_of(&mut self, at: usize, loss: u64) {
        let heartbeat = self.members[at].heartbeat(&mut self.prng);
        let is_repeated = self.prng.chance(loss / 2);
        let mut answer = self.send(at, heartbeat.clone());
        if is_repeated {
            answer = self.send(at, heartbeat);
        }
        if self.prng.chance(loss) {
            self.members[at].full = true;
            return;
        }
        self.members[at].on_answer(answer);
        self.members[at].full |= is_repeated;
        if self.prng.chance(600_000) {
            self.members[at].give_back();
        }
    }

    /// The group gets a heartbeat: what it says has been given back is, and what it is answered may be had from now on.
    fn send(&mut self, at: usize, heartbeat: ConsumerHeartbeat) -> Result<ConsumerAssigned, GroupError> {
        let owned = heartbeat.owned.clone();
        let answer = self.host.heartbeat(heartbeat);
        let told = &mut self.members[at].told;
        if let Ok(assigned) = &answer {
            if let Some(owned) = owned {
                *told = set(&owned);
            }
            told.extend(assigned.assignment.iter().flat_map(|assignment| set(assignment)));
        }
        self.check();
        answer
    }

    fn leave(&mut self) {
        let Some(at) = self.pick() else { return };
        let member = &mut self.members[at];
        let is_static = member.instance.is_some();
        let epoch = if is_static && self.prng.chance(700_000) { -2 } else { -1 };
        let goodbye = ConsumerHeartbeat { instance: member.instance.clone(), ..beating(&member.id, epoch) };
        let answer = self.host.heartbeat(goodbye);
        let member = &mut self.members[at];
        member.abandon();
        member.life = if epoch == -2 && answer.is_ok() { Life::Away } else { Life::Dead };
        if member.life == Life::Away && self.prng.chance(700_000) {
            let instance = member.instance.clone();
            let (names, regex) = (member.names.clone(), member.regex.clone());
            self.be_born(instance);
            let last = self.members.last_mut().unwrap();
            (last.names, last.regex) = (names, regex);
        }
    }

    /// No partition is with two of those who are members.
    fn check(&self) {
        let mut owners: BTreeMap<Partition, &str> = BTreeMap::new();
        for member in &self.members {
            if !self.host.group.kept.members.contains_key(&member.id) {
                continue;
            }
            assert!(member.told.is_superset(&member.owned));
            for partition in &member.told {
                let other = owners.insert(*partition, &member.id);
                assert_eq!(other, None, "{partition:?} is with {} too", member.id);
            }
        }
    }

    /// No more faults: everybody says what it has, gives back what it is asked for and gets its answers.
    fn settle(&mut self) {
        for _ in 0..18 {
            for at in 0..self.members.len() {
                if self.members[at].life == Life::Up {
                    self.members[at].give_back();
                    self.beat_of(at, 0);
                    self.check();
                }
            }
            self.elapse(Duration::from_secs(4));
        }
    }

    fn check_settled(&mut self) {
        let group = &self.host.group;
        assert!(matches!(group.state(), GroupState::Stable | GroupState::Empty), "{:?}", group.state());
        let mut assigned: BTreeSet<Partition> = BTreeSet::new();
        let mut wanted: BTreeSet<Partition> = BTreeSet::new();
        for member in self.members.iter().filter(|member| group.kept.members.contains_key(&member.id)) {
            assert_eq!(member.life, Life::Up, "others are members no more");
            let kept = group.kept.current(&member.id);
            assert_eq!(
                (kept.epoch, set(&without_epochs(&kept.assigned))),
                (member.epoch, member.owned.clone())
            );
            assigned.extend(&member.owned);
            let regex = TopicRegex::parse(&member.regex).unwrap();
            let mut mine = BTreeSet::new();
            for (name, topic) in &self.host.topics.topics {
                if member.names.contains(name) || regex.is_match(name) {
                    mine.extend((0..topic.partitions).map(|partition| (topic.id, partition)));
                }
            }
            assert!(mine.is_superset(&member.owned), "{} has what it is not subscribed to", member.id);
            wanted.extend(mine);
        }
        assert_eq!(assigned, wanted, "all that is wanted is with somebody");
        assert_eq!(self.host.restarted().kept, group.kept, "the records say all");
        let length = self.prng.below(u64::try_from(self.host.log.len()).unwrap() + 1);
        let compacted = self.host.restarted_compacted(usize::try_from(length).unwrap());
        assert_eq!(compacted.kept, group.kept, "and so do the newest of each key");
    }
}

#[test]
fn partitions_never_have_two_owners() {
    for seed in 0..500 {
        let mut world = World::new(seed);
        for _ in 0..150 {
            world.act();
        }
        world.settle();
        world.check_settled();
    }
}
