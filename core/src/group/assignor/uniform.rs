//! The uniform assignor: balanced and sticky. Who has a partition keeps it; what nobody has goes to the subscriber with the least;
//! then, topic by topic, partitions move from who has most to who has least while that evens them out. Where all are subscribed to the
//! same topics this ends within one of each other, with no more moves than that takes.

use alloc::collections::BTreeSet;
use alloc::vec;
use alloc::vec::Vec;

use super::Input;
use crate::group::command::TopicPartitions;
use crate::limits::ASSIGNOR_PASSES_MAX;

pub(super) fn assign(input: &Input<'_>) -> Vec<Vec<TopicPartitions>> {
    let mut plan = Plan::new(input);
    plan.keep(input);
    // Topics with few subscribers leave least choice.
    let mut order: Vec<usize> = (0..input.topics.len()).collect();
    order.sort_by_key(|&topic| plan.subscribers[topic].len());
    for &topic in &order {
        plan.hand_out(topic);
    }
    for _ in 0..ASSIGNOR_PASSES_MAX {
        let mut moved = Moved::No;
        for &topic in &order {
            if plan.even_out(topic) == Moved::Yes {
                moved = Moved::Yes;
            }
        }
        if moved == Moved::No {
            break;
        }
    }
    plan.finish(input)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Moved {
    No,
    Yes,
}

/// Members by their places in the input.
struct Plan {
    /// How many partitions each member has.
    loads: Vec<usize>,
    /// Of each topic, in the order of the members.
    subscribers: Vec<Vec<usize>>,
    /// Of each topic: the owner of each partition.
    owners: Vec<Vec<Option<usize>>>,
}

impl Plan {
    fn new(input: &Input<'_>) -> Self {
        let count = |partitions| usize::try_from(partitions).unwrap_or(0);
        Self {
            loads: vec![0; input.members.len()],
            subscribers: input.subscribers(),
            owners: input.topics.iter().map(|topic| vec![None; count(topic.partitions)]).collect(),
        }
    }

    /// What members were to have stays theirs, as far as it is there and they are subscribed to it.
    fn keep(&mut self, input: &Input<'_>) {
        for (member, candidate) in input.members.iter().enumerate() {
            for had in candidate.target {
                let Ok(topic) = input.topics.binary_search_by_key(&had.topic, |topic| topic.id) else {
                    continue;
                };
                if candidate.topics.binary_search(&topic).is_err() {
                    continue;
                }
                for &partition in &had.partitions {
                    let place = usize::try_from(partition).ok();
                    let owner = place.and_then(|place| self.owners[topic].get_mut(place));
                    if let Some(owner @ None) = owner {
                        *owner = Some(member);
                        self.loads[member] += 1;
                    }
                }
            }
        }
    }

    /// What nobody has of a topic goes to the subscriber with the least.
    fn hand_out(&mut self, topic: usize) {
        if self.owners[topic].iter().all(Option::is_some) {
            return;
        }
        let mut queue: BTreeSet<_> =
            self.subscribers[topic].iter().map(|&member| (self.loads[member], member)).collect();
        for owner in self.owners[topic].iter_mut().filter(|owner| owner.is_none()) {
            let Some((load, member)) = queue.pop_first() else { return };
            *owner = Some(member);
            self.loads[member] = load + 1;
            queue.insert((load + 1, member));
        }
    }

    /// Moves partitions of a topic from those with most to those with least. Each move makes the sum of the squares of all loads
    /// smaller, so this ends.
    fn even_out(&mut self, topic: usize) -> Moved {
        let mut queue: BTreeSet<_> =
            self.subscribers[topic].iter().map(|&member| (self.loads[member], member)).collect();
        let (Some(&(least, _)), Some(&(most, _))) = (queue.first(), queue.last()) else { return Moved::No };
        if most - least < 2 {
            return Moved::No;
        }
        let mut had: Vec<Vec<usize>> = vec![Vec::new(); self.loads.len()];
        for (partition, owner) in self.owners[topic].iter().enumerate() {
            if let Some(owner) = owner {
                had[*owner].push(partition);
            }
        }
        let mut givers: BTreeSet<_> = self.subscribers[topic]
            .iter()
            .filter(|&&member| !had[member].is_empty())
            .map(|&m| (self.loads[m], m))
            .collect();
        let mut moved = Moved::No;
        while let (Some(&(least, taker)), Some(&(most, giver))) = (queue.first(), givers.last()) {
            if most < least + 2 {
                break;
            }
            queue.remove(&(least, taker));
            queue.remove(&(most, giver));
            givers.remove(&(least, taker));
            givers.remove(&(most, giver));
            let partition = had[giver].pop().expect("a giver has a partition");
            had[taker].push(partition);
            self.owners[topic][partition] = Some(taker);
            self.loads[giver] -= 1;
            self.loads[taker] += 1;
            queue.insert((least + 1, taker));
            queue.insert((most - 1, giver));
            givers.insert((least + 1, taker));
            if !had[giver].is_empty() {
                givers.insert((most - 1, giver));
            }
            moved = Moved::Yes;
        }
        moved
    }

    fn finish(self, input: &Input<'_>) -> Vec<Vec<TopicPartitions>> {
        let mut assigned: Vec<Vec<TopicPartitions>> = vec![Vec::new(); self.loads.len()];
        for (topic, owners) in input.topics.iter().zip(self.owners) {
            for (partition, owner) in (0..topic.partitions).zip(owners) {
                let Some(owner) = owner else { continue };
                match assigned[owner].last_mut() {
                    Some(last) if last.topic == topic.id => last.partitions.push(partition),
                    _ => {
                        assigned[owner].push(TopicPartitions { topic: topic.id, partitions: vec![partition] })
                    }
                }
            }
        }
        assigned
    }
}
