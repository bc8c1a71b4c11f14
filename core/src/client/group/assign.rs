//! How a leader divides partitions among members: Kafka's range, round robin and cooperative sticky. A pure function of what the
//! members say; every leader comes to the same result.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::Assignor;
use super::subscription::Subscription;
use crate::client::TopicPartition;

/// A member as its leader sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Joined {
    pub(super) id: String,
    pub(super) instance: Option<String>,
    pub(super) subscription: Subscription,
}

impl Joined {
    /// Static members come first, by their names, which outlive their ids.
    fn rank(&self) -> (bool, &str) {
        match &self.instance {
            Some(instance) => (false, instance),
            None => (true, &self.id),
        }
    }
}

pub(super) type Counted = BTreeMap<Arc<str>, usize>;
/// By id of the member. Everybody is in it.
pub(super) type Assigned = BTreeMap<String, Vec<TopicPartition>>;

pub(super) fn assign(assignor: Assignor, counted: &Counted, members: &[Joined]) -> Assigned {
    let mut members: Vec<&Joined> = members.iter().collect();
    members.sort_by_key(|member| member.rank());
    match assignor {
        Assignor::Range => range(counted, &members),
        Assignor::RoundRobin => round_robin(counted, &members),
        Assignor::CooperativeSticky => cooperative(counted, &members),
    }
}

fn nothing(members: &[&Joined]) -> Assigned {
    members.iter().map(|member| (member.id.clone(), Vec::new())).collect()
}

fn partitions(counted: &Counted) -> impl Iterator<Item = TopicPartition> {
    counted.iter().flat_map(|(topic, &count)| {
        (0..count).filter_map(move |index| {
            Some(TopicPartition { topic: Arc::clone(topic), index: i32::try_from(index).ok()? })
        })
    })
}

/// Topic by topic, each member a run of neighbours.
fn range(counted: &Counted, members: &[&Joined]) -> Assigned {
    let mut assigned = nothing(members);
    for (topic, &count) in counted {
        let subscribed: Vec<&&Joined> = members.iter().filter(|member| wants(member, topic)).collect();
        let Some(share) = count.checked_div(subscribed.len()) else { continue };
        let larger = count - share * subscribed.len();
        let mut next = 0;
        for (place, member) in subscribed.into_iter().enumerate() {
            let end = next + share + usize::from(place < larger);
            let run = (next..end).filter_map(|index| i32::try_from(index).ok());
            let run = run.map(|index| TopicPartition { topic: Arc::clone(topic), index });
            assigned.entry(member.id.clone()).or_default().extend(run);
            next = end;
        }
    }
    assigned
}

/// One partition after the other to one member after the other.
fn round_robin(counted: &Counted, members: &[&Joined]) -> Assigned {
    let mut assigned = nothing(members);
    let mut at = 0;
    for key in partitions(counted) {
        let next = (0..members.len()).map(|step| (at + step) % members.len());
        let Some(found) = next.into_iter().find(|&place| wants(members[place], &key.topic)) else { continue };
        assigned.entry(members[found].id.clone()).or_default().push(key);
        at = found + 1;
    }
    assigned
}

fn wants(member: &Joined, topic: &str) -> bool {
    member.subscription.topics.iter().any(|wanted| wanted == topic)
}

/// Everybody keeps what can be kept; what changes hands is given to nobody until its owner has let it go.
fn cooperative(counted: &Counted, members: &[&Joined]) -> Assigned {
    let owners = owners(counted, members);
    let mut shares = Shares::new(counted, members);
    let mut free = Vec::new();
    for key in partitions(counted) {
        match owners.get(&key) {
            Some(&owner) if shares.is_subscribed(owner, &key.topic) => shares.give(owner, key),
            Some(_) | None => free.push(key),
        }
    }
    for key in free {
        if let Some(least) = shares.least_loaded(&key.topic) {
            shares.give(least, key);
        }
    }
    shares.level();
    let mut assigned = nothing(members);
    for (place, share) in shares.of.into_iter().enumerate() {
        let keep = |key: &TopicPartition| owners.get(key).is_none_or(|&owner| owner == place);
        assigned.insert(members[place].id.clone(), share.into_iter().filter(keep).collect());
    }
    assigned
}

/// Who has each partition, by what members say of themselves: the latest generation counts, and if two have one in the same, none has.
fn owners(counted: &Counted, members: &[&Joined]) -> BTreeMap<TopicPartition, usize> {
    let mut claims: BTreeMap<&TopicPartition, (i32, Option<usize>)> = BTreeMap::new();
    for (place, member) in members.iter().enumerate() {
        let generation = member.subscription.generation;
        for key in member.subscription.owned.iter().collect::<BTreeSet<_>>() {
            let exists = counted
                .get(&key.topic)
                .is_some_and(|&count| usize::try_from(key.index).is_ok_and(|index| index < count));
            if !exists {
                continue;
            }
            let claim = claims.entry(key).or_insert((generation, Some(place)));
            if claim.1 == Some(place) || generation < claim.0 {
                continue;
            }
            *claim = if generation > claim.0 { (generation, Some(place)) } else { (generation, None) };
        }
    }
    claims.into_iter().filter_map(|(key, (_, owner))| Some((key.clone(), owner?))).collect()
}

#[derive(Debug)]
struct Shares {
    /// By place of the member.
    of: Vec<BTreeSet<TopicPartition>>,
    subscribed: BTreeMap<Arc<str>, Vec<usize>>,
}

impl Shares {
    fn new(counted: &Counted, members: &[&Joined]) -> Self {
        let places = |topic: &str| (0..members.len()).filter(|&place| wants(members[place], topic)).collect();
        let subscribed = counted.keys().map(|topic| (Arc::clone(topic), places(topic))).collect();
        Self { of: members.iter().map(|_| BTreeSet::new()).collect(), subscribed }
    }

    fn is_subscribed(&self, place: usize, topic: &str) -> bool {
        self.subscribed.get(topic).is_some_and(|places| places.binary_search(&place).is_ok())
    }

    fn give(&mut self, place: usize, key: TopicPartition) {
        self.of[place].insert(key);
    }

    fn least_loaded(&self, topic: &str) -> Option<usize> {
        self.subscribed.get(topic)?.iter().copied().min_by_key(|&place| self.of[place].len())
    }

    /// Moves partitions while somebody has two more than another who wants them. Each move brings the shares nearer, so there is
    /// an end to it.
    fn level(&mut self) {
        loop {
            let mut moved = false;
            for place in 0..self.of.len() {
                for key in self.of[place].iter().rev().cloned().collect::<Vec<_>>() {
                    let Some(least) = self.least_loaded(&key.topic) else { continue };
                    if self.of[place].len() > self.of[least].len() + 1 {
                        self.of[place].remove(&key);
                        self.give(least, key);
                        moved = true;
                    }
                }
            }
            if !moved {
                return;
            }
        }
    }
}
