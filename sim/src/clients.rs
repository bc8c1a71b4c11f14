//! Simulated clients: one connection each, requests in a pipeline, time-outs, reconnection. What they ask and what they make of
//! the answers is the business of their workload. Must not know the node but through bytes.

mod admin;
pub(crate) mod batch;
pub(crate) mod codec;
mod consumer;
mod fetching;
mod final_reader;
mod lister;
mod producer;

use std::collections::{BTreeSet, VecDeque};

use highwater_core::buf::Slice;
use highwater_core::client::Address;
use highwater_core::id::ConnId;
use highwater_core::prng::Prng;
use highwater_core::time::{Duration, Instant};

use crate::draw::Draw;
use crate::history::History;
use crate::params::{self, ClientParams, Role, TopicParams};
use crate::report::{Counts, Violation};
use codec::{Api, Malformed, Writer};

/// What a client may use while it acts.
#[derive(Debug)]
pub struct Desk<'a> {
    pub now: Instant,
    pub wall_millis: i64,
    pub topics: &'a [TopicParams],
    /// No new work: finish what is open.
    pub draining: bool,
    pub history: &'a mut History,
    pub operations: &'a mut Counts,
    pub producer_ids: &'a mut BTreeSet<(i64, i16)>,
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

/// A request for the connection to send.
#[derive(Debug)]
struct Ask {
    api: Api,
    body: Writer,
    /// The workload's own name for it.
    tag: u64,
    /// A produce without acknowledgement is not answered.
    answered: bool,
}

/// What a workload wants next.
#[derive(Debug)]
enum Next {
    Ask(Ask),
    /// Nothing before that time, or before an answer.
    Wait(Instant),
    /// Nothing before an answer.
    Idle,
}

/// The part of a client that knows what to ask.
trait Workload: std::fmt::Debug {
    fn next(&mut self, desk: &mut Desk<'_>, prng: &mut Prng) -> Next;
    fn on_answer(&mut self, tag: u64, body: &[u8], desk: &mut Desk<'_>) -> Result<(), Malformed>;
    /// The connection went away or was too slow; whether the request was carried out is unknown.
    fn on_lost(&mut self, tag: u64, desk: &mut Desk<'_>);
    /// What is still to be done before the run may end.
    fn unfinished(&self) -> Option<String>;
}

#[derive(Debug)]
struct Asked {
    correlation: i32,
    tag: u64,
    deadline: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    Down { until: Instant },
    Connecting(ConnId),
    Up(ConnId),
}

/// A client.
#[derive(Debug)]
pub struct Client {
    prng: Prng,
    address: Address,
    conns: u32,
    workload: Box<dyn Workload>,
    line: Line,
    asked: VecDeque<Asked>,
    heard: Vec<u8>,
    correlation: i32,
    pipeline: usize,
    patience: Duration,
    wake_at: Option<Instant>,
}

impl Client {
    pub fn new(params: &ClientParams, topics: &[TopicParams], prng: Prng) -> Self {
        let workload: Box<dyn Workload> = match &params.role {
            Role::Admin => Box::new(admin::Admin::new(params.node, topics)),
            Role::Producer(spec) => Box::new(producer::Producer::new(spec.clone())),
            Role::Consumer(spec) => Box::new(consumer::Consumer::new(spec.clone())),
            Role::Lister { places } => Box::new(lister::Lister::new(places.clone())),
            Role::FinalReader { places } => Box::new(final_reader::FinalReader::new(places)),
        };
        Self {
            prng,
            address: Address::new(&params::host(params.node), params::PORT),
            conns: 0,
            workload,
            line: Line::Down { until: Instant::default() },
            asked: VecDeque::new(),
            heard: Vec::new(),
            correlation: 0,
            pipeline: params.pipeline,
            patience: params.patience,
            wake_at: None,
        }
    }

    /// What keeps this client from being done; `None` if nothing does.
    pub fn unfinished(&self) -> Option<String> {
        self.workload.unfinished().or_else(|| {
            (!self.asked.is_empty())
                .then(|| format!("{} requests without answer: {:?}", self.asked.len(), self.workload))
        })
    }

    pub fn hear(&mut self, heard: Heard, desk: &mut Desk<'_>) {
        match heard {
            Heard::Connected { conn } if self.line == Line::Connecting(conn) => {
                self.line = Line::Up(conn);
                self.heard.clear();
            }
            Heard::Closed { conn } if [Line::Connecting(conn), Line::Up(conn)].contains(&self.line) => {
                self.on_line_lost(desk);
            }
            Heard::Bytes { conn, bytes } if self.line == Line::Up(conn) => {
                self.heard.extend(bytes);
                self.read_answers(desk);
            }
            Heard::Connected { .. } | Heard::Closed { .. } | Heard::Bytes { .. } => {}
            Heard::Wake => self.wake_at = None,
        }
        self.go_on(desk);
    }

    fn on_line_lost(&mut self, desk: &mut Desk<'_>) {
        self.line = Line::Down { until: desk.now + self.prng.micros(200, 100_000) };
        self.heard.clear();
        for asked in std::mem::take(&mut self.asked) {
            desk.operations.add("lost");
            self.workload.on_lost(asked.tag, desk);
        }
    }

    fn read_answers(&mut self, desk: &mut Desk<'_>) {
        let heard = std::mem::take(&mut self.heard);
        let mut rest = heard.as_slice();
        while let Some((head, after)) = rest.split_first_chunk::<4>() {
            let Ok(len) = usize::try_from(i32::from_be_bytes(*head)) else {
                return desk.complain("wire", "an answer of negative length".to_owned());
            };
            let Some((answer, after)) = after.split_at_checked(len) else { break };
            rest = after;
            if let Err(Malformed(what)) = self.read_answer(answer, desk) {
                return desk.complain(
                    "wire",
                    format!("malformed answer, {what}: {answer:02x?} to {:?}", self.workload),
                );
            }
        }
        self.heard = rest.to_vec();
    }

    fn read_answer(&mut self, answer: &[u8], desk: &mut Desk<'_>) -> Result<(), Malformed> {
        let (correlation, body) = answer.split_first_chunk::<4>().ok_or(Malformed("no correlation id"))?;
        let asked = self.asked.pop_front().ok_or(Malformed("an answer to nothing"))?;
        if i32::from_be_bytes(*correlation) != asked.correlation {
            return Err(Malformed("answers out of order"));
        }
        self.workload.on_answer(asked.tag, body, desk)
    }

    /// Gives up on what took too long, connects, asks, and says when to be woken.
    fn go_on(&mut self, desk: &mut Desk<'_>) {
        if let Line::Up(conn) = self.line
            && self.asked.front().is_some_and(|asked| asked.deadline <= desk.now)
        {
            desk.acts.push(Act::Close { conn });
            desk.operations.add("timed-out");
            self.on_line_lost(desk);
        }
        let idle_until = match self.line {
            Line::Up(conn) => self.ask(conn, desk),
            Line::Connecting(_) => None,
            Line::Down { until } if until <= desk.now => {
                self.conns += 1;
                let conn = ConnId { slot: self.conns, generation: 0 };
                self.line = Line::Connecting(conn);
                desk.acts.push(Act::Connect { conn, address: self.address.clone() });
                None
            }
            Line::Down { until } => Some(until),
        };
        let patience_ends = self.asked.front().map(|asked| asked.deadline);
        let Some(at) = [idle_until, patience_ends].into_iter().flatten().min() else { return };
        if self.wake_at.is_none_or(|planned| at < planned) {
            self.wake_at = Some(at);
            desk.acts.push(Act::Wake { at });
        }
    }

    fn ask(&mut self, conn: ConnId, desk: &mut Desk<'_>) -> Option<Instant> {
        while self.asked.len() < self.pipeline {
            match self.workload.next(desk, &mut self.prng) {
                Next::Ask(ask) => {
                    self.correlation += 1;
                    let frame = codec::frame(ask.api, self.correlation, &ask.body);
                    desk.acts.push(Act::Send { conn, parts: vec![Slice::from_vec(frame)] });
                    desk.operations.add("asked");
                    if ask.answered {
                        let deadline = desk.now + self.patience;
                        self.asked.push_back(Asked { correlation: self.correlation, tag: ask.tag, deadline });
                    }
                }
                Next::Wait(until) => return Some(until.max(desk.now + Duration::from_micros(1))),
                Next::Idle => return None,
            }
        }
        None
    }
}
