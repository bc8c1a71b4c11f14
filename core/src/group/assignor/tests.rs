//! What assignors promise, over many seeds, and the same facts on cases small enough to read.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use super::{AssignedTopic, Assignor, Candidate, Input};
use crate::group::command::TopicPartitions;
use crate::id::{TopicId, Uuid};
use crate::prng::Prng;

fn id(number: u8) -> TopicId {
    TopicId(Uuid([number; 16]))
}

#[derive(Debug, Clone, Default)]
struct Member {
    instance: Option<String>,
    topics: Vec<usize>,
    target: Vec<TopicPartitions>,
}

#[derive(Debug, Clone)]
struct Case {
    topics: Vec<AssignedTopic>,
    /// By id.
    members: BTreeMap<String, Member>,
}

impl Case {
    fn new(partitions: &[i32]) -> Self {
        let topics = (0..).zip(partitions).map(|(n, &partitions)| AssignedTopic { id: id(n), partitions });
        Self { topics: topics.collect(), members: BTreeMap::new() }
    }

    fn join(&mut self, member: &str, topics: &[usize]) {
        self.members.insert(member.to_string(), Member { topics: topics.to_vec(), ..Member::default() });
    }

    /// Assigns, keeps it as the targets, and counts partitions that have gone from one member to another.
    fn assign(&mut self, assignor: Assignor) -> usize {
        let before = self.owners();
        let candidates: Vec<Candidate<'_>> = self
            .members
            .iter()
            .map(|(id, member)| Candidate {
                id,
                instance: member.instance.as_deref(),
                topics: &member.topics,
                target: &member.target,
            })
            .collect();
        let assigned = assignor.assign(&Input { members: &candidates, topics: &self.topics });
        for (member, assigned) in self.members.values_mut().zip(assigned) {
            member.target = assigned;
        }
        let after = self.owners();
        before.iter().filter(|(place, owner)| after.get(place).is_some_and(|now| now != *owner)).count()
    }

    /// Panics where two have one partition.
    fn owners(&self) -> BTreeMap<(TopicId, i32), String> {
        let mut owners = BTreeMap::new();
        for (member, Member { target, .. }) in &self.members {
            for topic in target {
                for &partition in &topic.partitions {
                    let other = owners.insert((topic.topic, partition), member.clone());
                    assert_eq!(other, None, "two have {:?}-{partition}", topic.topic);
                }
            }
        }
        owners
    }

    fn load(&self, member: &str) -> usize {
        self.members[member].target.iter().map(|topic| topic.partitions.len()).sum()
    }

    /// All that somebody is subscribed to is with one of its subscribers, and nothing else is with anybody.
    fn check(&self) {
        let owners = self.owners();
        let mut count = 0;
        for (place, topic) in self.topics.iter().enumerate() {
            if !self.members.values().any(|member| member.topics.contains(&place)) {
                continue;
            }
            for partition in 0..topic.partitions {
                let owner = owners.get(&(topic.id, partition)).expect("it is assigned");
                assert!(self.members[owner].topics.contains(&place), "{owner} is not subscribed to {place}");
                count += 1;
            }
        }
        assert_eq!(owners.len(), count, "what nobody wants is not assigned");
        for Member { target, .. } in self.members.values() {
            assert!(target.is_sorted_by(|a, b| a.topic < b.topic), "topics in order, each once");
            assert!(target.iter().all(|topic| topic.partitions.is_sorted() && !topic.partitions.is_empty()));
        }
    }

    fn check_balance(&self) {
        let loads: Vec<usize> = self.members.keys().map(|member| self.load(member)).collect();
        let (Some(least), Some(most)) = (loads.iter().min(), loads.iter().max()) else { return };
        assert!(most - least <= 1, "{loads:?}");
    }
}

fn random(prng: &mut Prng) -> Case {
    let topics = prng.between(1, 6);
    let partitions: Vec<i32> = (0..topics).map(|_| i32::try_from(prng.below(20)).unwrap()).collect();
    let mut case = Case::new(&partitions);
    for member in 0..prng.between(1, 12) {
        let topics: Vec<usize> = (0..partitions.len()).filter(|_| prng.chance(600_000)).collect();
        case.join(&format!("m{member:02}"), &topics);
    }
    case
}

/// One change of membership, subscription or topics.
fn disturb(case: &mut Case, prng: &mut Prng) {
    let all = case.topics.len();
    match prng.below(4) {
        0 => {
            let topics: Vec<usize> = (0..all).filter(|_| prng.chance(600_000)).collect();
            case.join(&format!("n{:02}", prng.below(100)), &topics);
        }
        1 => drop(case.members.pop_first()),
        2 => {
            let topic = usize::try_from(prng.below(u64::try_from(all).unwrap())).unwrap();
            case.topics[topic].partitions += 3;
        }
        _ => {
            if let Some(mut member) = case.members.last_entry() {
                member.get_mut().topics = (0..all).filter(|_| prng.chance(500_000)).collect();
            }
        }
    }
}

#[test]
fn each_partition_goes_to_one_subscriber() {
    for seed in 0..600 {
        let mut prng = Prng::new(seed);
        let mut case = random(&mut prng);
        let assignor = if seed % 2 == 0 { Assignor::Uniform } else { Assignor::Range };
        for _ in 0..6 {
            case.assign(assignor);
            case.check();
            assert_eq!(case.assign(assignor), 0, "what has not changed moves nothing");
            disturb(&mut case, &mut prng);
        }
    }
}

#[test]
fn uniform_balances_equal_subscriptions_with_least_moves() {
    for seed in 0..600 {
        let mut prng = Prng::new(seed);
        let mut case = random(&mut prng);
        let all: Vec<usize> = (0..case.topics.len()).collect();
        case.members.values_mut().for_each(|member| member.topics = all.clone());
        case.assign(Assignor::Uniform);
        case.check();
        case.check_balance();

        // Who joins gets its share, and nothing else moves.
        case.join("joins", &all);
        let moved = case.assign(Assignor::Uniform);
        case.check();
        case.check_balance();
        assert_eq!(moved, case.load("joins"), "seed {seed}");

        // What was with who leaves is handed out, and nothing else moves.
        case.members.remove("joins");
        assert_eq!(case.assign(Assignor::Uniform), 0, "seed {seed}");
        case.check();
        case.check_balance();
    }
}

#[test]
fn uniform_leaves_no_move_that_would_even_out() {
    for seed in 0..600 {
        let mut prng = Prng::new(seed);
        let mut case = random(&mut prng);
        for _ in 0..4 {
            case.assign(Assignor::Uniform);
            for giver in case.members.keys() {
                for (taker, Member { topics, .. }) in &case.members {
                    let wants: BTreeSet<TopicId> =
                        topics.iter().map(|&topic| case.topics[topic].id).collect();
                    let could = case.members[giver].target.iter().any(|topic| wants.contains(&topic.topic));
                    assert!(
                        !could || case.load(giver) < case.load(taker) + 2,
                        "seed {seed}: {giver} to {taker}"
                    );
                }
            }
            disturb(&mut case, &mut prng);
        }
    }
}

#[test]
fn range_gives_the_same_places_of_topics_cut_alike() {
    let mut case = Case::new(&[7, 7]);
    for member in ["a", "b", "c"] {
        case.join(member, &[0, 1]);
    }
    case.assign(Assignor::Range);
    let of =
        |member: &str| case.members[member].target.iter().map(|t| t.partitions.clone()).collect::<Vec<_>>();
    assert_eq!(of("a"), vec![vec![0, 1, 2]; 2]);
    assert_eq!(of("b"), vec![vec![3, 4]; 2]);
    assert_eq!(of("c"), vec![vec![5, 6]; 2]);
}

#[test]
fn range_goes_by_instances_before_ids() {
    let mut case = Case::new(&[3]);
    for (member, instance) in [("a", None), ("b", Some("y")), ("c", Some("x"))] {
        case.join(member, &[0]);
        case.members.get_mut(member).unwrap().instance = instance.map(ToString::to_string);
    }
    case.assign(Assignor::Range);
    let of = |member: &str| case.members[member].target[0].partitions[0];
    assert_eq!([of("c"), of("b"), of("a")], [0, 1, 2]);
}

#[test]
fn range_gives_nothing_where_members_are_too_many() {
    let mut case = Case::new(&[1]);
    case.join("a", &[0]);
    case.join("b", &[0]);
    case.assign(Assignor::Range);
    assert_eq!((case.load("a"), case.load("b")), (1, 0));
}
