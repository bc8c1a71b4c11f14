//! Makes the topics of its node, deletes and makes again those that churn, and looks around. Must not know what is in the topics.

use highwater_core::client::{AdminAnswer, ClientError, ClientEvent, NewTopic, Token, TopicResult};
use highwater_core::prng::Prng;
use highwater_core::time::{Duration, Instant};
use highwater_core::wire::ErrorCode;

use super::Desk;
use super::session::{Next, Task, Turn};
use crate::draw::Draw;
use crate::history::Process;
use crate::params::TopicParams;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asking {
    Create(usize),
    Delete(usize),
    Describe(usize),
    List,
}

/// A topic as far as the answers tell.
#[derive(Debug)]
struct Known {
    topic: usize,
    churns: bool,
    stands: bool,
}

/// The one that makes the topics.
#[derive(Debug)]
pub(super) struct Admin {
    topics: Vec<Known>,
    asking: Option<Asking>,
    next_at: Instant,
}

impl Admin {
    pub(super) fn new(node: usize, topics: &[TopicParams]) -> Self {
        let mine = topics.iter().enumerate().filter(|(_, topic)| topic.node == node);
        let known =
            |(topic, params): (usize, &TopicParams)| Known { topic, churns: params.churns, stands: false };
        Self { topics: mine.map(known).collect(), asking: None, next_at: Instant::default() }
    }

    fn missing(&self) -> Option<usize> {
        self.topics.iter().find(|known| !known.stands).map(|known| known.topic)
    }

    fn choose(&self, draining: bool, prng: &mut Prng) -> Option<Asking> {
        if let Some(topic) = self.missing() {
            return Some(Asking::Create(topic));
        }
        if draining {
            return None;
        }
        let churning: Vec<usize> =
            self.topics.iter().filter(|known| known.churns).map(|known| known.topic).collect();
        Some(match prng.below(10) {
            0..=2 if !churning.is_empty() => Asking::Delete(prng.pick(&churning)),
            3..=5 => Asking::Describe(self.topics[prng.place(self.topics.len())].topic),
            _ => Asking::List,
        })
    }

    fn ask(asking: Asking, turn: &mut Turn<'_, '_>) -> bool {
        let now = turn.desk.clocks();
        let topics = turn.desk.topics;
        match asking {
            Asking::Create(topic) => {
                let topic = &topics[topic];
                let new = NewTopic {
                    name: topic.name.clone(),
                    partitions: topic.partitions,
                    replication_factor: 1,
                    configs: topic.settings.clone(),
                };
                turn.client.create_topics(now, Token(0), vec![new])
            }
            Asking::Delete(topic) => {
                turn.client.delete_topics(now, Token(0), vec![topics[topic].name.clone()])
            }
            Asking::Describe(topic) => {
                turn.client.describe_topics(now, Token(0), vec![topics[topic].name.clone()])
            }
            Asking::List => turn.client.list_topics(now, Token(0)),
        }
    }

    fn on_results(&mut self, asking: Asking, results: &[TopicResult], desk: &mut Desk<'_>) {
        let (Asking::Create(topic) | Asking::Delete(topic)) = asking else {
            return desk.complain("client", format!("{asking:?} has the answer {results:?}"));
        };
        let [result] = results else { return desk.complain("wire", format!("not one topic: {results:?}")) };
        if result.name != desk.topics[topic].name {
            return desk.complain("wire", format!("another topic: {results:?}"));
        }
        let is = |code| result.error == Some(ClientError::Broker(code));
        let Some(known) = self.topics.iter_mut().find(|known| known.topic == topic) else { return };
        match asking {
            Asking::Create(_) if result.error.is_none() || is(ErrorCode::TopicAlreadyExists) => {
                known.stands = true;
                desk.history.topic_made(topic);
            }
            Asking::Delete(_) if result.error.is_none() || is(ErrorCode::UnknownTopicOrPartition) => {
                known.stands = false;
            }
            Asking::Create(_) | Asking::Delete(_) | Asking::Describe(_) | Asking::List => {}
        }
    }
}

impl Task for Admin {
    fn go_on(&mut self, turn: &mut Turn<'_, '_>) -> Next {
        if self.asking.is_some() {
            return Next::Idle;
        }
        if turn.desk.now < self.next_at {
            return Next::At(self.next_at);
        }
        let Some(asking) = self.choose(turn.desk.draining, turn.prng) else { return Next::Idle };
        let rest = turn.prng.micros(1_000, 200_000);
        // Whoever waits for a topic asks and asks.
        let creates = matches!(asking, Asking::Create(_));
        self.next_at = if creates { turn.desk.now + rest } else { turn.desk.after(rest) };
        if !Self::ask(asking, turn) {
            turn.desk.complain("client", format!("{asking:?} is not taken"));
        }
        self.asking = Some(asking);
        Next::Idle
    }

    fn on_event(&mut self, event: ClientEvent, turn: &mut Turn<'_, '_>) {
        let (ClientEvent::Answered { answer, .. }, Some(asking)) = (&event, self.asking.take()) else {
            return turn.desk.complain("client", format!("an admin is told {event:?}"));
        };
        match answer {
            AdminAnswer::Created(results) | AdminAnswer::Deleted(results) => {
                self.on_results(asking, results, turn.desk);
            }
            AdminAnswer::Topics(_) => turn.desk.operations.add("described"),
            AdminAnswer::Failed(_) => {
                turn.desk.operations.add("admin-failed");
                if let Asking::Delete(topic) = asking
                    && let Some(known) = self.topics.iter_mut().find(|known| known.topic == topic)
                {
                    known.stands = false;
                }
                self.next_at = turn.desk.now + Duration::from_millis(5);
            }
            AdminAnswer::Partitioned(_)
            | AdminAnswer::Configs(_)
            | AdminAnswer::Altered(_)
            | AdminAnswer::Resources(_)
            | AdminAnswer::Cluster(_)
            | AdminAnswer::LogDirs(_)
            | AdminAnswer::Versions(_)
            | AdminAnswer::Offsets(_)
            | AdminAnswer::Trimmed(_)
            | AdminAnswer::Producers(_)
            | AdminAnswer::Groups(_)
            | AdminAnswer::GroupsDescribed(_)
            | AdminAnswer::GroupsDeleted(_)
            | AdminAnswer::GroupOffsets(_)
            | AdminAnswer::OffsetsChanged(_) => {
                turn.desk.complain("client", format!("nobody asked for {answer:?}"));
            }
        }
    }

    fn on_crash(&mut self, _process: Process, _desk: &mut Desk<'_>) {
        self.asking = None;
    }

    fn unfinished(&self) -> Option<String> {
        let missing = self.missing()?;
        Some(format!("topic {missing} could not be made"))
    }
}
