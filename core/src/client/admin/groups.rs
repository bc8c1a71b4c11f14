//! What only the coordinator of a group can answer, asked of each group's own; and what all brokers together know of groups. A
//! question that was lost is asked again until its time is over: all of them may be asked twice without harm.

mod questions;

use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use self::questions::{Found, Way};
use super::AdminAnswer;
use crate::client::client::Call;
use crate::client::cluster::Cluster;
use crate::client::group::coordinator::{self, has_moved, is_passing};
use crate::client::group::{Outcome, Results};
use crate::client::links::{Lane, Links, Peer, Readiness, Sending};
use crate::client::{Address, ClientConfig, ClientError, ClientEvent, OffsetToCommit, Token, TopicPartition};
use crate::time::{Duration, Instant};
use crate::wire::messages::metadata_request::MetadataRequest;
use crate::wire::messages::metadata_response::MetadataResponse;
use crate::wire::{ApiKey, ErrorCode, Reader};

/// What can be asked of groups. Those who ask are no members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupCall {
    /// Of every broker; no states and no types are all.
    List {
        states: Vec<String>,
        types: Vec<String>,
    },
    /// Of either protocol.
    Describe(Vec<String>),
    Delete(Vec<String>),
    /// What the group has committed; `None` is all of it.
    FetchOffsets {
        group: String,
        partitions: Option<Vec<TopicPartition>>,
    },
    /// Sets where the group goes on. It has no members then.
    CommitOffsets {
        group: String,
        offsets: Vec<OffsetToCommit>,
    },
    DeleteOffsets {
        group: String,
        partitions: Vec<TopicPartition>,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedGroup {
    pub group: String,
    pub protocol_type: String,
    /// Empty where the broker does not tell.
    pub state: String,
    /// `classic` or `consumer`; empty where the broker does not tell.
    pub kind: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupDescription {
    pub group: String,
    pub state: String,
    /// Of a group of the consumer protocol.
    pub epochs: Option<GroupEpochs>,
    pub assignor: String,
    pub members: Vec<GroupMember>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupEpochs {
    pub group: i32,
    pub assignment: i32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupMember {
    pub id: String,
    pub instance: Option<String>,
    pub client_id: String,
    pub host: String,
    pub rack: Option<String>,
    /// Where the protocol has one.
    pub epoch: Option<i32>,
    pub topics: Vec<String>,
    pub regex: Option<String>,
    pub assigned: Vec<TopicPartition>,
    /// What it is to have, where the protocol tells.
    pub target: Option<Vec<TopicPartition>>,
}

/// A question that was sent: of which call, and of which part of it.
#[derive(Debug, Clone, Copy)]
pub(in crate::client) struct Asked {
    serial: u64,
    part: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    Untried,
    Tried,
}

#[derive(Debug)]
enum State {
    /// Who is to be asked is to be found, not before this.
    Lost(Instant),
    Finding,
    Found {
        address: Address,
        at: Instant,
        reach: Reach,
    },
    Asking(Address),
    Done(Result<Found, ClientError>),
}

#[derive(Debug)]
struct Part {
    /// Empty for what is asked of a broker.
    group: String,
    way: Way,
    state: State,
    /// Why it was not answered before.
    last: ClientError,
}

#[derive(Debug)]
struct Scattered {
    token: Token,
    call: GroupCall,
    deadline: Instant,
    parts: Vec<Part>,
}

#[derive(Debug)]
pub(in crate::client) struct Groups {
    timeout: Duration,
    backoff: Duration,
    serial_next: u64,
    calls: BTreeMap<u64, Scattered>,
}

impl Groups {
    pub(in crate::client) fn new(config: &ClientConfig) -> Self {
        Self {
            timeout: config.request_timeout,
            backoff: config.retry_backoff,
            serial_next: 0,
            calls: BTreeMap::new(),
        }
    }

    pub(in crate::client) fn len(&self) -> usize {
        self.calls.len()
    }

    pub(in crate::client) fn call(&mut self, now: Instant, token: Token, call: GroupCall) {
        let part = |group: &String| Part {
            group: group.clone(),
            way: Way::Consumer,
            state: State::Lost(now),
            last: ClientError::TimedOut,
        };
        let parts = match &call {
            // One to find the brokers; it is replaced by one for each.
            GroupCall::List { .. } => vec![part(&String::new())],
            GroupCall::Describe(groups) | GroupCall::Delete(groups) => groups.iter().map(part).collect(),
            GroupCall::FetchOffsets { group, .. }
            | GroupCall::CommitOffsets { group, .. }
            | GroupCall::DeleteOffsets { group, .. } => vec![part(group)],
        };
        self.calls.insert(self.serial_next, Scattered { token, call, deadline: now + self.timeout, parts });
        self.serial_next += 1;
    }

    pub(in crate::client) fn deadlines(&self) -> impl Iterator<Item = Instant> {
        self.calls.values().flat_map(|call| {
            let parts = call.parts.iter().filter_map(|part| match part.state {
                State::Lost(at) | State::Found { at, .. } => Some(at),
                State::Finding | State::Asking(_) | State::Done(_) => None,
            });
            parts.chain([call.deadline])
        })
    }

    pub(in crate::client) fn turn(
        &mut self,
        now: Instant,
        links: &mut Links<Call>,
        cluster: &Cluster,
        events: &mut VecDeque<ClientEvent>,
    ) {
        let backoff = self.backoff;
        for (&serial, call) in &mut self.calls {
            for (place, part) in call.parts.iter_mut().enumerate() {
                let asked = Asked { serial, part: place };
                part.find(now, links, (cluster, asked));
                part.ask(now, links, &call.call, (asked, backoff));
            }
        }
        self.calls.retain(|_, call| {
            let over = call.deadline <= now || call.parts.iter().all(|p| matches!(p.state, State::Done(_)));
            if over {
                let parts = core::mem::take(&mut call.parts).into_iter();
                let done = parts.map(|part| match part.state {
                    State::Done(result) => (part.group, result),
                    State::Lost(_) | State::Finding | State::Found { .. } | State::Asking(_) => {
                        (part.group, Err(part.last))
                    }
                });
                let answer = questions::answer(&call.call, done.collect());
                events.push_back(ClientEvent::Answered { token: call.token, answer });
            }
            !over
        });
    }

    /// Takes an answer, or why there is none.
    pub(in crate::client) fn on_outcome(&mut self, now: Instant, asked: Asked, outcome: Outcome<'_>) {
        let soon = now + self.backoff;
        let Some(call) = self.calls.get_mut(&asked.serial) else { return };
        let Some(part) = call.parts.get_mut(asked.part) else { return };
        match core::mem::replace(&mut part.state, State::Lost(soon)) {
            State::Finding if part.group.is_empty() => match brokers(outcome) {
                Ok(brokers) => {
                    let part = |address| Part {
                        group: String::new(),
                        way: Way::Consumer,
                        state: State::Found { address, at: now, reach: Reach::Untried },
                        last: ClientError::TimedOut,
                    };
                    call.parts = brokers.into_iter().map(part).collect();
                }
                Err(error) => part.failed(error, State::Lost(soon)),
            },
            State::Finding => match coordinator::found(outcome) {
                Ok(address) => part.state = State::Found { address, at: now, reach: Reach::Untried },
                Err(error) => part.failed(error, State::Lost(soon)),
            },
            State::Asking(address) => {
                let found = outcome.and_then(|answer| questions::decode(&call.call, part, answer));
                let missing =
                    [ClientError::Broker(ErrorCode::GroupIdNotFound), ClientError::UnsupportedVersion];
                match found {
                    Ok(found) => part.state = State::Done(Ok(found)),
                    Err(error) if part.may_be_classic(&call.call) && missing.contains(&error) => {
                        part.way = Way::Classic;
                        part.state = State::Found { address, at: now, reach: Reach::Tried };
                    }
                    // A broker is asked again itself, but a group may have moved.
                    Err(error) if part.group.is_empty() || !has_moved(error) => {
                        part.failed(error, State::Found { address, at: soon, reach: Reach::Untried });
                    }
                    Err(error) => part.failed(error, State::Lost(soon)),
                }
            }
            other @ (State::Lost(_) | State::Found { .. } | State::Done(_)) => part.state = other,
        }
    }
}

impl GroupCall {
    /// The request that asks it, where there are two the newer one.
    pub fn api_key(&self) -> ApiKey {
        questions::sending(self, Way::Consumer).key
    }
}

/// The brokers that there are.
fn brokers(outcome: Outcome<'_>) -> Result<Vec<Address>, ClientError> {
    let (version, body) = outcome?;
    let response = MetadataResponse::decode(version, &mut Reader::new(body));
    let response = response.map_err(|_| ClientError::Malformed)?;
    let address = |host, port| Some(Address { host: Arc::from(host), port: u16::try_from(port).ok()? });
    let brokers: Vec<Address> = response.brokers.iter().filter_map(|b| address(b.host, b.port)).collect();
    if brokers.is_empty() { Err(ClientError::Malformed) } else { Ok(brokers) }
}

impl Part {
    fn failed(&mut self, error: ClientError, again: State) {
        self.last = error;
        self.state = if is_passing(error) { again } else { State::Done(Err(error)) };
    }

    fn may_be_classic(&self, call: &GroupCall) -> bool {
        self.way == Way::Consumer && matches!(call, GroupCall::Describe(_))
    }

    fn find(&mut self, now: Instant, links: &mut Links<Call>, (cluster, asked): (&Cluster, Asked)) {
        if !matches!(self.state, State::Lost(at) if at <= now) {
            return;
        }
        let Some(peer) = links.want_any(now, &cluster.addresses()) else { return };
        self.state = State::Finding;
        if self.group.is_empty() {
            let sending = Sending::new(ApiKey::Metadata);
            links.send(now, (&peer, sending), Call::Groups(asked), |version, writer| {
                MetadataRequest { topics: Some(Vec::new()), ..Default::default() }.encode(version, writer)
            });
        } else {
            let sending = Sending::new(ApiKey::FindCoordinator);
            links.send(now, (&peer, sending), Call::Groups(asked), |version, writer| {
                coordinator::question(&self.group).encode(version, writer)
            });
        }
    }

    fn ask(
        &mut self,
        now: Instant,
        links: &mut Links<Call>,
        call: &GroupCall,
        (asked, backoff): (Asked, Duration),
    ) {
        let State::Found { address, at, reach } = &mut self.state else { return };
        if *at > now {
            return;
        }
        let peer = Peer { address: address.clone(), lane: Lane::Main };
        if *reach == Reach::Tried && links.is_down(&peer) {
            self.last = ClientError::Disconnected;
            let soon = now + backoff;
            self.state = if self.group.is_empty() {
                State::Found { address: peer.address, at: soon, reach: Reach::Untried }
            } else {
                State::Lost(soon)
            };
            return;
        }
        *reach = Reach::Tried;
        if links.want(now, &peer) != Readiness::Ready {
            return;
        }
        self.state = State::Asking(peer.address.clone());
        let (group, way) = (self.group.as_str(), self.way);
        let sending = questions::sending(call, way);
        links.send(now, (&peer, sending), Call::Groups(asked), |version, writer| {
            questions::encode(call, (group, way), version, writer)
        });
    }
}

/// What was found of each group.
type OfGroups<T> = Vec<(String, Result<T, ClientError>)>;
