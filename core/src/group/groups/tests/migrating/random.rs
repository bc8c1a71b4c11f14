//! Clients of both protocols that follow the rules of real ones, in one group, by chance: they come, go and die while the coordinator
//! starts anew. No partition ever has two owners, and once they are left alone they have all of them.

use alloc::collections::BTreeSet;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use super::super::World;
use super::super::members::{beat, join};
use super::{leave, subscription, sync_of};
use crate::coordinator::{Answer, Machine, Token};
use crate::group::classic::subscription::{Subscription, read_assignment, write_assignment};
use crate::group::command::{
    ConsumerHeartbeat, GroupCommand, GroupError, GroupKind, GroupReply, GroupState, Heartbeat, Join, Joined,
    TopicPartitions,
};
use crate::prng::Prng;
use crate::time::Duration;

const TOPICS: [&str; 2] = ["t", "u"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Gives all back before it joins.
    Eager,
    /// Gives back what its assignment lacks, and joins again then.
    Cooperative,
    Consumer,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Phase {
    ToJoin,
    Waits,
    ToSync(Joined),
    Member,
}

#[derive(Debug)]
struct Client {
    kind: Kind,
    token: Token,
    id: String,
    epoch: i32,
    owned: BTreeSet<(&'static str, i32)>,
    phase: Phase,
}

fn by_topic(owned: &BTreeSet<(&'static str, i32)>) -> Vec<(&'static str, Vec<i32>)> {
    let of = |topic| owned.iter().filter(move |(of, _)| *of == topic).map(|(_, partition)| *partition);
    let all = TOPICS.into_iter().map(|topic| (topic, of(topic).collect::<Vec<i32>>()));
    all.filter(|(_, partitions)| !partitions.is_empty()).collect()
}

fn borrowed<'a>(named: &'a [(&'a str, Vec<i32>)]) -> Vec<(&'a str, &'a [i32])> {
    named.iter().map(|(name, partitions)| (*name, partitions.as_slice())).collect()
}

/// What the leader gives to each: nobody gets what another still has.
fn assign(joined: &Joined) -> Vec<(String, Vec<u8>)> {
    let read = |metadata: &[u8]| Subscription::read(metadata).expect("a subscription").owned;
    let owned: Vec<Vec<(String, Vec<i32>)>> =
        joined.members.iter().map(|member| read(&member.metadata)).collect();
    let mut given = vec![BTreeSet::new(); joined.members.len()];
    for (place, (topic, partition)) in TOPICS.into_iter().flat_map(|t| [(t, 0), (t, 1), (t, 2)]).enumerate() {
        let to = place % given.len();
        let has = |of: &Vec<(String, Vec<i32>)>| {
            of.iter().any(|(name, has)| name == topic && has.contains(&partition))
        };
        if owned.iter().position(has).is_none_or(|owner| owner == to) {
            given[to].insert((topic, partition));
        }
    }
    let members = joined.members.iter().map(|member| member.id.clone());
    members.zip(given.iter().map(|given| write_assignment(&borrowed(&by_topic(given)), &[0, 1]))).collect()
}

impl Client {
    fn new(kind: Kind, token: Token) -> Self {
        let (id, owned) = (String::new(), BTreeSet::new());
        Self { kind, token, id, epoch: 0, owned, phase: Phase::ToJoin }
    }

    fn next(&mut self, world: &World) -> Option<GroupCommand> {
        if self.kind == Kind::Consumer {
            return Some(GroupCommand::ConsumerHeartbeat(self.beat(world)));
        }
        match &self.phase {
            Phase::Waits => None,
            Phase::ToJoin => {
                if self.kind == Kind::Eager {
                    self.owned.clear();
                }
                self.phase = Phase::Waits;
                let said = subscription(&TOPICS, &borrowed(&by_topic(&self.owned)));
                let protocols = vec![("range".to_string(), said)];
                Some(GroupCommand::Join(Join { protocols, known_member_required: true, ..join(&self.id) }))
            }
            Phase::ToSync(joined) => {
                let assignments = if joined.leader == self.id { assign(joined) } else { Vec::new() };
                let sync = sync_of(joined, assignments);
                self.phase = Phase::Waits;
                Some(sync)
            }
            Phase::Member => Some(GroupCommand::Heartbeat(Heartbeat {
                group: "g".to_string(),
                generation: self.epoch,
                member: self.id.clone(),
                instance: None,
            })),
        }
    }

    fn beat(&self, world: &World) -> ConsumerHeartbeat {
        let id =
            |(topic, partitions): (&str, _)| TopicPartitions { topic: world.node.topics[topic], partitions };
        ConsumerHeartbeat {
            rebalance_timeout: Some(Duration::from_secs(60)),
            topics: Some(TOPICS.map(String::from).to_vec()),
            owned: Some(by_topic(&self.owned).into_iter().map(|(topic, of)| id((topic, of))).collect()),
            ..beat(&self.id, self.epoch)
        }
    }

    fn on_reply(&mut self, world: &World, reply: GroupReply) {
        match reply {
            GroupReply::MemberIdRequired(id) => {
                (self.id, self.phase) = (id, Phase::ToJoin);
            }
            GroupReply::Joined(joined) => {
                (self.id, self.epoch) = (joined.member.clone(), joined.generation);
                self.phase = Phase::ToSync(joined);
            }
            GroupReply::Synced(synced) => {
                let assigned = read_assignment(&synced.assignment).expect("an assignment");
                self.own(assigned);
            }
            GroupReply::ConsumerHeartbeat(assigned) => {
                (self.id, self.epoch) = (assigned.member, assigned.member_epoch);
                let name = |topic: TopicPartitions| {
                    let found = world.node.topics.iter().find(|(_, id)| **id == topic.topic);
                    (found.expect("a topic").0.clone(), topic.partitions)
                };
                self.own(assigned.assignment.expect("all of it was said").into_iter().map(name).collect());
            }
            GroupReply::Failed(GroupError::RebalanceInProgress) => self.phase = Phase::ToJoin,
            GroupReply::Failed(error) => {
                let is_known = [
                    GroupError::UnknownMember,
                    GroupError::IllegalGeneration,
                    GroupError::FencedMemberEpoch,
                    GroupError::NotConsumer,
                ];
                assert!(is_known.contains(&error), "{error:?} to {self:?}");
                if error == GroupError::UnknownMember && self.kind != Kind::Consumer {
                    self.id.clear();
                }
                (self.epoch, self.phase) = (0, Phase::ToJoin);
                self.owned.clear();
            }
            GroupReply::Done | GroupReply::Left(_) => {}
            GroupReply::Committed(_)
            | GroupReply::Fetched(_)
            | GroupReply::Deleted(_)
            | GroupReply::Listed(_)
            | GroupReply::Described(_)
            | GroupReply::ConsumerDescribed(_) => panic!("nobody asked for it"),
        }
    }

    fn own(&mut self, assigned: Vec<(String, Vec<i32>)>) {
        let all = TOPICS.into_iter().flat_map(|topic| [(topic, 0), (topic, 1), (topic, 2)]);
        let is_mine = |(topic, partition): &(&str, i32)| {
            assigned.iter().any(|(name, has)| name == topic && has.contains(partition))
        };
        let now: BTreeSet<(&'static str, i32)> = all.filter(is_mine).collect();
        let gives_back = self.owned.difference(&now).next().is_some();
        self.owned = now;
        let again = gives_back && self.kind == Kind::Cooperative;
        self.phase = if again { Phase::ToJoin } else { Phase::Member };
    }
}

struct Run {
    world: World,
    prng: Prng,
    clients: Vec<Client>,
    tokens: u64,
    /// How often the group was seen to be of another protocol than before.
    migrations: usize,
    kind: Option<GroupKind>,
}

impl Run {
    fn deliver(&mut self, answers: Vec<Answer<GroupReply>>) {
        for answer in answers {
            if let Some(client) = self.clients.iter_mut().find(|client| client.token == answer.to) {
                client.on_reply(&self.world, answer.reply);
            }
        }
        let mut owners = BTreeSet::new();
        for client in &self.clients {
            for partition in &client.owned {
                assert!(owners.insert(*partition), "{partition:?} has two owners: {:?}", self.clients);
            }
        }
        if let Some((kind, _)) = self.world.listed().first() {
            self.migrations += usize::from(self.kind.is_some_and(|before| before != *kind));
            self.kind = Some(*kind);
        }
    }

    fn act(&mut self, place: usize) {
        let client = &mut self.clients[place];
        let token = client.token;
        let Some(command) = client.next(&self.world) else { return };
        let answers = self.world.decide(|groups, turn| groups.handle(turn, token, command));
        self.deliver(answers);
    }

    fn round(&mut self) {
        for _ in 0..2 * self.clients.len() {
            let place = usize::try_from(self.prng.below(self.clients.len() as u64)).unwrap();
            self.act(place);
        }
        (0..self.clients.len()).for_each(|place| self.act(place));
        self.world.now.mono = self.world.now.mono + Duration::from_secs(2);
        while self.world.groups.deadline().is_some_and(|at| at <= self.world.now.mono) {
            let answers = self.world.decide(|groups, turn| groups.on_deadline(turn));
            self.deliver(answers);
        }
    }

    fn come(&mut self) {
        let kinds = [Kind::Eager, Kind::Cooperative, Kind::Consumer, Kind::Consumer];
        let kind = kinds[usize::try_from(self.prng.below(4)).unwrap()];
        self.tokens += 1;
        let mut client = Client::new(kind, Token(self.tokens));
        if kind == Kind::Consumer {
            client.id = self.tokens.to_string();
        }
        self.clients.push(client);
    }

    fn go(&mut self) {
        let place = usize::try_from(self.prng.below(self.clients.len() as u64)).unwrap();
        let client = self.clients.remove(place);
        if self.prng.below(2) == 0 || client.id.is_empty() {
            return;
        }
        let command = match client.kind {
            Kind::Consumer => GroupCommand::ConsumerHeartbeat(beat(&client.id, -1)),
            Kind::Eager | Kind::Cooperative => leave(&client.id),
        };
        let answers = self.world.decide(|groups, turn| groups.handle(turn, client.token, command));
        self.deliver(answers);
    }

    fn restart(&mut self) {
        self.world.restart();
        for client in &mut self.clients {
            if client.phase == Phase::Waits {
                client.phase = Phase::ToJoin;
            }
        }
    }

    fn is_settled(&mut self) -> bool {
        let owned: usize = self.clients.iter().map(|client| client.owned.len()).sum();
        let has_consumers = self.clients.iter().any(|client| client.kind == Kind::Consumer);
        let kind = if has_consumers { GroupKind::Consumer } else { GroupKind::Classic };
        owned == 6 && self.world.listed() == [(kind, GroupState::Stable)]
    }
}

#[test]
fn no_partition_has_two_owners_and_all_have_one_in_the_end_whatever_protocols_members_speak() {
    let mut migrations = 0;
    for seed in 0..150 {
        let prng = Prng::new(seed);
        let mut run =
            Run { world: World::new(), prng, clients: Vec::new(), tokens: 10, migrations: 0, kind: None };
        run.world.prng = Prng::new(seed + 1_000);
        for _ in 0..60 {
            match run.prng.below(8) {
                0 | 1 if run.clients.len() < 5 => run.come(),
                2 if !run.clients.is_empty() => run.go(),
                3 => run.restart(),
                _ => {}
            }
            if !run.clients.is_empty() {
                run.round();
            }
        }
        if run.clients.is_empty() {
            run.come();
        }
        for _ in 0..90 {
            run.round();
        }
        assert!(run.is_settled(), "seed {seed}: {:?} {:?}", run.world.listed(), run.clients);
        migrations += run.migrations;
    }
    assert!(migrations > 100, "groups went over {migrations} times");
}
