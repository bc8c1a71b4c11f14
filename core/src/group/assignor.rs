//! Server-side assignors: who of a group shall have which partitions. Pure functions of members and topics; they know no epochs, no
//! records and nobody's progress. Racks count for nothing here, as in Kafka since 4.0.

mod range;
mod uniform;

#[cfg(test)]
mod tests;

use alloc::vec::Vec;

use super::command::TopicPartitions;
use crate::id::TopicId;

/// A member as an assignor sees it.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    pub id: &'a str,
    /// Of a static member.
    pub instance: Option<&'a str>,
    /// Places of topics in [`Input::topics`], ascending.
    pub topics: &'a [usize],
    /// What it was to have so far, in order.
    pub target: &'a [TopicPartitions],
}

/// A topic that at least one member is subscribed to.
#[derive(Debug, Clone, Copy)]
pub struct AssignedTopic {
    pub id: TopicId,
    pub partitions: i32,
}

#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    pub members: &'a [Candidate<'a>],
    /// In the order of their ids.
    pub topics: &'a [AssignedTopic],
}

/// The assignors that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Assignor {
    /// Of each topic a range for each subscriber, so that members have the same places of topics that are cut alike.
    Range,
    /// As many partitions for each as for any other, and as few as possible that move.
    Uniform,
}

impl Assignor {
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "range" => Some(Self::Range),
            "uniform" => Some(Self::Uniform),
            _ => None,
        }
    }

    /// For each member in the order of the input: its partitions, topics and partitions in order.
    pub fn assign(self, input: &Input<'_>) -> Vec<Vec<TopicPartitions>> {
        let mut assigned = match self {
            Self::Range => range::assign(input),
            Self::Uniform => uniform::assign(input),
        };
        for topics in &mut assigned {
            topics.sort_unstable_by_key(|topic| topic.topic);
        }
        assigned
    }
}

impl Input<'_> {
    /// For each topic: the places of its subscribers among the members.
    fn subscribers(&self) -> Vec<Vec<usize>> {
        let mut subscribers: Vec<Vec<usize>> = alloc::vec![Vec::new(); self.topics.len()];
        for (member, candidate) in self.members.iter().enumerate() {
            for &topic in candidate.topics {
                subscribers[topic].push(member);
            }
        }
        subscribers
    }
}
