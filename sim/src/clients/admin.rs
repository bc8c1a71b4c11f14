//! Makes the topics, deletes and makes again those that churn, and looks around with Metadata and ApiVersions. Must not know
//! what is in the topics.

use highwater_core::prng::Prng;
use highwater_core::time::{Duration, Instant};

use super::codec::{API_VERSIONS, CREATE_TOPICS, DELETE_TOPICS, METADATA, Malformed, Writer, code};
use super::codec::{read_api_versions, read_metadata, read_topic_errors};
use super::{Ask, Desk, Next, Workload};
use crate::draw::Draw;
use crate::params::TopicParams;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asking {
    Create(usize),
    Delete(usize),
    Metadata,
    ApiVersions,
}

/// The one that makes the topics.
#[derive(Debug)]
pub(super) struct Admin {
    /// Whether each topic stands, as far as the answers tell.
    stands: Vec<bool>,
    churns: Vec<bool>,
    /// Whether each topic is of its node.
    mine: Vec<bool>,
    asking: Option<Asking>,
    next_at: Instant,
    greeted: bool,
}

impl Admin {
    pub(super) fn new(node: usize, topics: &[TopicParams]) -> Self {
        Self {
            stands: vec![false; topics.len()],
            churns: topics.iter().map(|topic| topic.churns).collect(),
            mine: topics.iter().map(|topic| topic.node == node).collect(),
            asking: None,
            next_at: Instant::default(),
            greeted: false,
        }
    }

    fn missing(&self) -> Option<usize> {
        let topics = 0..self.stands.len();
        topics.into_iter().find(|&topic| self.mine[topic] && !self.stands[topic] && !self.churns[topic])
    }

    fn choose(&mut self, prng: &mut Prng) -> Asking {
        if !self.greeted {
            self.greeted = true;
            return Asking::ApiVersions;
        }
        let missing = (0..self.stands.len()).find(|&topic| self.mine[topic] && !self.stands[topic]);
        let churning: Vec<usize> =
            (0..self.churns.len()).filter(|&topic| self.mine[topic] && self.churns[topic]).collect();
        match missing {
            Some(topic) => Asking::Create(topic),
            None if !churning.is_empty() && prng.chance(300_000) => Asking::Delete(prng.pick(&churning)),
            None => Asking::Metadata,
        }
    }

    fn ask(asking: Asking, topics: &[TopicParams]) -> Ask {
        let mut body = Writer::default();
        let api = match asking {
            Asking::ApiVersions => API_VERSIONS,
            Asking::Metadata => {
                body.i32(-1);
                body.i8(0);
                METADATA
            }
            Asking::Delete(topic) => {
                body.count(1);
                body.str(&topics[topic].name);
                body.i32(1_000);
                DELETE_TOPICS
            }
            Asking::Create(topic) => {
                let topic = &topics[topic];
                body.count(1);
                body.str(&topic.name);
                body.i32(topic.partitions);
                body.i16(1);
                body.count(0);
                body.count(topic.settings.len());
                for (name, value) in &topic.settings {
                    body.str(name);
                    body.str(value);
                }
                body.i32(1_000);
                body.i8(0);
                CREATE_TOPICS
            }
        };
        Ask { api, body, tag: 0, answered: true }
    }

    fn on_topic(&mut self, asking: Asking, error: i16, desk: &mut Desk<'_>) {
        match asking {
            Asking::Create(topic) => {
                desk.count("create-topic", error);
                if error == code::NONE || error == code::TOPIC_ALREADY_EXISTS {
                    self.stands[topic] = true;
                }
            }
            Asking::Delete(topic) => {
                desk.count("delete-topic", error);
                if error == code::NONE || error == code::UNKNOWN_TOPIC_OR_PARTITION {
                    self.stands[topic] = false;
                }
            }
            Asking::Metadata | Asking::ApiVersions => {}
        }
    }
}

impl Workload for Admin {
    fn next(&mut self, desk: &mut Desk<'_>, prng: &mut Prng) -> Next {
        let done = desk.draining && self.unfinished().is_none();
        if self.asking.is_some() || done {
            return Next::Idle;
        }
        if desk.now < self.next_at {
            return Next::Wait(self.next_at);
        }
        let asking = if desk.draining {
            Asking::Create(self.missing().expect("unfinished, so one is missing"))
        } else {
            self.choose(prng)
        };
        self.asking = Some(asking);
        self.next_at = desk.now + prng.micros(1_000, 200_000);
        Next::Ask(Self::ask(asking, desk.topics))
    }

    fn on_answer(&mut self, _tag: u64, body: &[u8], desk: &mut Desk<'_>) -> Result<(), Malformed> {
        let asking = self.asking.take().ok_or(Malformed("not asked"))?;
        match asking {
            Asking::ApiVersions => {
                let (error, keys) = read_api_versions(body)?;
                desk.count("api-versions", error);
                if keys == 0 {
                    return Err(Malformed("no keys"));
                }
            }
            Asking::Metadata => {
                for (name, error, partitions) in read_metadata(body)? {
                    desk.count("metadata", error);
                    let topic = desk.topic_named(name).map(|topic| &desk.topics[topic]);
                    if let Some(topic) = topic
                        && error == code::NONE
                        && usize::try_from(topic.partitions) != Ok(partitions)
                    {
                        return Err(Malformed("number of partitions"));
                    }
                }
            }
            Asking::Create(topic) | Asking::Delete(topic) => {
                let api = if asking == Asking::Create(topic) { CREATE_TOPICS } else { DELETE_TOPICS };
                let errors = read_topic_errors(api, body)?;
                let [(name, error)] = errors[..] else { return Err(Malformed("not one topic")) };
                if name != desk.topics[topic].name {
                    return Err(Malformed("another topic"));
                }
                self.on_topic(asking, error, desk);
            }
        }
        Ok(())
    }

    fn on_lost(&mut self, _tag: u64, desk: &mut Desk<'_>) {
        if let Some(Asking::Delete(topic)) = self.asking {
            self.stands[topic] = false;
        }
        self.asking = None;
        self.next_at = desk.now + Duration::from_millis(5);
    }

    fn unfinished(&self) -> Option<String> {
        let missing = self.missing()?;
        Some(format!("topic {missing} could not be made"))
    }
}
