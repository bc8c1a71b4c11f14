//! Simulated clients: actors that are told what they hear and say what they do. Most stand around the real client; the prober
//! says what no well-behaved client would. They know names of connections, bytes and time, and not what carries the bytes.

mod admin;
pub(crate) mod batch;
pub(crate) mod codec;
mod consumer;
mod fetching;
mod final_reader;
mod lister;
mod member;
mod prober;
mod producer;
mod record;
mod session;
pub mod spec;
mod steward;
mod tap;

use highwater_core::buf::Slice;
use highwater_core::client::Address;
use highwater_core::id::ConnId;
use highwater_core::prng::Prng;
use highwater_core::time::{Duration, Instant, Now, Timestamp};

pub(crate) use self::fetching::records;
use crate::history::History;
use crate::params::{ClientParams, Role, TopicParams};
use crate::report::{Counts, Violation};
use prober::Prober;
use session::Session;

/// What a client may use while it acts.
#[derive(Debug)]
pub struct Desk<'a> {
    pub now: Instant,
    pub wall_millis: i64,
    pub topics: &'a [TopicParams],
    /// No new work: finish what is open.
    pub draining: bool,
    /// The nodes have ended for the last time: members leave all to the last one.
    pub closing: bool,
    /// How many times as long clients rest as they usually would.
    pub rest_factor: u64,
    pub history: &'a mut History,
    pub operations: &'a mut Counts,
    pub violation: &'a mut Option<Violation>,
    pub acts: Vec<Act>,
}

impl Desk<'_> {
    fn complain(&mut self, invariant: &'static str, story: String) {
        self.violation.get_or_insert(Violation::new(invariant, story));
    }

    fn topic_named(&self, name: &str) -> Option<usize> {
        self.topics.iter().position(|topic| topic.name == name)
    }

    /// When a rest of about that length is over.
    fn after(&self, rest: Duration) -> Instant {
        let factor = if self.draining { 1 } else { self.rest_factor };
        self.now + Duration::from_nanos(rest.as_nanos() * factor)
    }

    fn clocks(&self) -> Now {
        Now { mono: self.now, wall: Timestamp(self.wall_millis) }
    }

    fn count(&mut self, operation: &str, error: i16) {
        if error == codec::code::NONE {
            self.operations.add(operation);
        } else {
            self.operations.add(&format!("{operation}!{error}"));
        }
    }
}

/// What a client wants of the world.
#[derive(Debug)]
pub enum Act {
    /// The client names the connection, and never uses the name again.
    Connect {
        conn: ConnId,
        address: Address,
    },
    Send {
        conn: ConnId,
        parts: Vec<Slice>,
    },
    Close {
        conn: ConnId,
    },
    /// What is on its way to the server, and all that follows, does not get there before; the client loses the connection at the
    /// other time.
    Delay {
        conn: ConnId,
        cut_at: Instant,
        held_until: Instant,
    },
    Wake {
        at: Instant,
    },
}

/// What the world tells a client.
#[derive(Debug)]
pub enum Heard {
    Connected {
        conn: ConnId,
    },
    /// The connection is gone, or could not be made.
    Closed {
        conn: ConnId,
    },
    Bytes {
        conn: ConnId,
        bytes: Vec<u8>,
    },
    Wake,
}

#[derive(Debug)]
enum Body {
    Session(Box<Session>),
    Prober(Box<Prober>),
}

/// A client.
#[derive(Debug)]
pub struct Client {
    prng: Prng,
    body: Body,
    wake_at: Option<Instant>,
}

impl Client {
    pub fn new(params: &ClientParams, topics: &[TopicParams], mut prng: Prng) -> Self {
        let session = |task, prng: &mut Prng| {
            let config = spec::client_config(params, prng);
            Body::Session(Box::new(Session::new((config, params.node), task)))
        };
        let body = match &params.role {
            Role::Admin => session(Box::new(admin::Admin::new(params.node, topics)), &mut prng),
            Role::Producer(spec) => {
                session(Box::new(producer::Producer::new(spec.clone(), topics)), &mut prng)
            }
            Role::Consumer(spec) => {
                session(Box::new(consumer::Consumer::new(spec.clone(), topics)), &mut prng)
            }
            Role::Lister { places } => session(Box::new(lister::Lister::new(places, topics)), &mut prng),
            Role::Steward(spec) => {
                session(Box::new(steward::Steward::new(params.node, spec.clone())), &mut prng)
            }
            Role::FinalReader { places } => {
                session(Box::new(final_reader::FinalReader::new(places, topics)), &mut prng)
            }
            Role::Member(spec) => {
                session(Box::new(member::Member::new(params.node, spec.clone(), topics)), &mut prng)
            }
            Role::Prober { places } => Body::Prober(Box::new(Prober::new(params, places.clone()))),
        };
        Self { prng, body, wake_at: None }
    }

    /// What keeps this client from being done; `None` if nothing does.
    pub fn unfinished(&self) -> Option<String> {
        match &self.body {
            Body::Session(session) => session.unfinished(),
            Body::Prober(prober) => prober.unfinished(),
        }
    }

    pub fn hear(&mut self, heard: Heard, desk: &mut Desk<'_>) {
        if matches!(heard, Heard::Wake) && self.wake_at.is_some_and(|at| at <= desk.now) {
            self.wake_at = None;
        }
        let at = match &mut self.body {
            Body::Session(session) => session.hear(heard, desk, &mut self.prng),
            Body::Prober(prober) => prober.hear(heard, desk, &mut self.prng),
        };
        let Some(at) = at.map(|at| at.max(desk.now + Duration::from_micros(1))) else { return };
        if self.wake_at.is_none_or(|planned| at < planned) {
            self.wake_at = Some(at);
            desk.acts.push(Act::Wake { at });
        }
    }
}
