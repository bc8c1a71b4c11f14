//! A request that is spread over partitions: what it asks of each, and the answers in its own order.

use alloc::string::String;
use alloc::vec::Vec;

use super::{Ask, Context};
use crate::replica::PartitionOp;

/// Answers by topic, as the request names them; `T` is that of one partition.
#[derive(Debug)]
pub(super) struct Spread<T> {
    topics: Vec<(String, Vec<T>)>,
    /// Topic and partition within `topics`, by part.
    places: Vec<(usize, usize)>,
    outstanding: usize,
}

impl<T> Spread<T> {
    pub(super) fn new() -> Self {
        Self { topics: Vec::new(), places: Vec::new(), outstanding: 0 }
    }

    /// What is added from here on is of this topic.
    pub(super) fn topic(&mut self, name: &str) {
        self.topics.push((String::from(name), Vec::new()));
    }

    /// Adds a partition. If a question is given, what is answered so far is filled in by its reply.
    pub(super) fn add(&mut self, context: &mut Context<'_>, answer: T, op: Option<PartitionOp>) {
        let topic = self.topics.len() - 1;
        let (_, answers) = self.topics.last_mut().expect("a topic was begun");
        answers.push(answer);
        if let Some(op) = op {
            let part = u32::try_from(self.places.len()).expect("a frame names fewer than 2^32 partitions");
            self.places.push((topic, answers.len() - 1));
            self.outstanding += 1;
            context.asks.push(Ask::Partition { part, op });
        }
    }

    /// The answer that a reply is about.
    pub(super) fn replied(&mut self, part: u32) -> &mut T {
        let place = usize::try_from(part).ok().and_then(|part| self.places.get(part));
        let &(topic, partition) = place.expect("replies are to parts that were asked");
        self.outstanding -= 1;
        &mut self.topics[topic].1[partition]
    }

    pub(super) fn is_complete(&self) -> bool {
        self.outstanding == 0
    }

    pub(super) fn topics(&self) -> &[(String, Vec<T>)] {
        &self.topics
    }
}
