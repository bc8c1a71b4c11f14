//! The connections of a client: opened when somebody wants to send, one for each broker and lane, again after a pause when
//! lost. Knows addresses and calls, not what calls mean.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;

use super::connection::{Answer, Connection, Request};
use super::{Address, ClientConfig, ClientEffect, ClientError, ClientInput};
use crate::id::ConnId;
use crate::limits::{CLIENT_LINK_REQUESTS_MAX, CLIENT_LINKS_MAX};
use crate::prng::Prng;
use crate::time::{Duration, Instant};
use crate::wire::{ApiKey, EncodeError, Writer};

/// Brokers answer a connection in order, so a fetch that waits for data has a connection of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lane {
    Main,
    Fetch,
    /// To the coordinator of a group, which lets a join wait for other members.
    Coordinator,
}

/// The other end of a connection.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Peer {
    pub(super) address: Address,
    pub(super) lane: Lane,
}

/// What a call came to.
pub(super) type Outcome<C> = Result<Answer<C>, Lost<C>>;

/// A call that was not answered.
#[derive(Debug)]
pub(super) struct Lost<C> {
    pub(super) call: C,
    pub(super) error: ClientError,
    pub(super) sent: Sent,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sent {
    Yes,
    No,
}

#[derive(Debug)]
enum State<C> {
    /// Not before `at`, and then when wanted.
    Down {
        at: Instant,
    },
    Connecting {
        conn: ConnId,
        deadline: Instant,
    },
    Up {
        conn: ConnId,
        connection: Connection<C>,
    },
}

#[derive(Debug)]
struct Link<C> {
    state: State<C>,
    /// Failures to connect in a row.
    failures: u32,
}

/// How a request is to be sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sending {
    pub(super) key: ApiKey,
    /// The highest version that suits the request.
    pub(super) version_max: i16,
    /// How long the answer may take beyond the request timeout.
    pub(super) patience: Duration,
    pub(super) reply: Reply,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reply {
    Expected,
    None,
}

impl Sending {
    pub(super) fn new(key: ApiKey) -> Self {
        Self { key, version_max: i16::MAX, patience: Duration::ZERO, reply: Reply::Expected }
    }
}

/// Whether something can be sent to a peer now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Readiness {
    Ready,
    /// As many requests as may be are under way.
    Busy,
    /// It is being connected to, or will be.
    Waiting,
}

#[derive(Debug)]
struct LinkConfig {
    client_id: String,
    connect_timeout: Duration,
    request_timeout: Duration,
    backoff: Duration,
    backoff_max: Duration,
}

#[derive(Debug)]
pub(super) struct Links<C> {
    config: LinkConfig,
    links: BTreeMap<Peer, Link<C>>,
    by_conn: BTreeMap<ConnId, Peer>,
    slot_next: u32,
    prng: Prng,
    effects: VecDeque<ClientEffect>,
    outcomes: VecDeque<Outcome<C>>,
}

impl<C> Links<C> {
    pub(super) fn new(config: &ClientConfig, seed: u64) -> Self {
        let config = LinkConfig {
            client_id: config.client_id.clone(),
            connect_timeout: config.connect_timeout,
            request_timeout: config.request_timeout,
            backoff: config.reconnect_backoff,
            backoff_max: config.reconnect_backoff_max,
        };
        Self {
            config,
            links: BTreeMap::new(),
            by_conn: BTreeMap::new(),
            slot_next: 0,
            prng: Prng::new(seed),
            effects: VecDeque::new(),
            outcomes: VecDeque::new(),
        }
    }

    pub(super) fn poll_effect(&mut self) -> Option<ClientEffect> {
        self.effects.pop_front()
    }

    pub(super) fn poll_outcome(&mut self) -> Option<Outcome<C>> {
        self.outcomes.pop_front()
    }

    pub(super) fn has_outcome(&self) -> bool {
        !self.outcomes.is_empty()
    }

    pub(super) fn handle(&mut self, now: Instant, input: ClientInput<'_>) {
        match input {
            ClientInput::Connected { conn } => self.on_connected(now, conn),
            ClientInput::Received { conn, bytes } => self.on_received(now, conn, bytes),
            ClientInput::Closed { conn } => {
                if let Some(peer) = self.by_conn.get(&conn).cloned() {
                    self.lose(now, &peer, ClientError::Disconnected);
                }
            }
            ClientInput::Tick => {}
        }
    }

    fn on_connected(&mut self, now: Instant, conn: ConnId) {
        let Some(link) = self.by_conn.get(&conn).and_then(|peer| self.links.get_mut(peer)) else { return };
        if !matches!(link.state, State::Connecting { .. }) {
            return;
        }
        let mut connection = Connection::new(self.config.client_id.clone());
        let parts = connection.on_connected(now + self.config.request_timeout);
        link.state = State::Up { conn, connection };
        self.effects.push_back(ClientEffect::Send { conn, parts });
    }

    fn on_received(&mut self, now: Instant, conn: ConnId, bytes: &[u8]) {
        let Some(peer) = self.by_conn.get(&conn).cloned() else { return };
        let Some(link) = self.links.get_mut(&peer) else { return };
        let State::Up { connection, .. } = &mut link.state else { return };
        let mut answers = Vec::new();
        let result = connection.on_received(bytes, &mut answers);
        if connection.is_ready() {
            link.failures = 0;
        }
        self.outcomes.extend(answers.into_iter().map(Ok));
        match result {
            Ok(Some(parts)) => self.effects.push_back(ClientEffect::Send { conn, parts }),
            Ok(None) => {}
            Err(error) => {
                self.effects.push_back(ClientEffect::Close { conn });
                self.lose(now, &peer, error);
            }
        }
    }

    /// The connection is gone; its calls come back.
    fn lose(&mut self, now: Instant, peer: &Peer, error: ClientError) {
        let Some(link) = self.links.get_mut(peer) else { return };
        let doubled = self.config.backoff.as_nanos().saturating_mul(1 << link.failures.min(20));
        let pause = doubled.min(self.config.backoff_max.as_nanos());
        let pause = self.prng.between(pause - pause / 5, pause.saturating_add(pause / 5));
        link.failures = link.failures.saturating_add(1);
        let at = now + Duration::from_nanos(pause);
        match core::mem::replace(&mut link.state, State::Down { at }) {
            State::Down { .. } => {}
            State::Connecting { conn, .. } => {
                self.by_conn.remove(&conn);
            }
            State::Up { conn, connection } => {
                self.by_conn.remove(&conn);
                let lost = connection.into_lost().map(|call| Err(Lost { call, error, sent: Sent::Yes }));
                self.outcomes.extend(lost);
            }
        }
    }

    /// Closes what has not answered in time.
    pub(super) fn expire(&mut self, now: Instant) {
        let is_late = |link: &Link<C>| match &link.state {
            State::Down { .. } => None,
            State::Connecting { conn, deadline } => (*deadline <= now).then_some(*conn),
            State::Up { conn, connection } => connection.deadline().filter(|&at| at <= now).map(|_| *conn),
        };
        let late: Vec<(Peer, ConnId)> =
            self.links.iter().filter_map(|(peer, link)| Some((peer.clone(), is_late(link)?))).collect();
        for (peer, conn) in late {
            self.effects.push_back(ClientEffect::Close { conn });
            self.lose(now, &peer, ClientError::TimedOut);
        }
    }

    /// When something here is overdue, or a peer that is down may be tried again.
    pub(super) fn deadline(&self, now: Instant) -> Option<Instant> {
        self.links
            .values()
            .filter_map(|link| match &link.state {
                State::Down { at } => Some(*at).filter(|&at| at > now),
                State::Connecting { deadline, .. } => Some(*deadline),
                State::Up { connection, .. } => connection.deadline(),
            })
            .min()
    }

    /// Whether `peer` can be sent to; begins to connect if it is not and may be.
    pub(super) fn want(&mut self, now: Instant, peer: &Peer) -> Readiness {
        if let Some(readiness) = self.readiness(now, peer) {
            return readiness;
        }
        if self.by_conn.len() >= CLIENT_LINKS_MAX {
            return Readiness::Waiting;
        }
        let conn = ConnId { slot: self.slot_next, generation: 0 };
        self.slot_next = self.slot_next.wrapping_add(1);
        let deadline = now + self.config.connect_timeout;
        let failures = self.links.get(peer).map_or(0, |link| link.failures);
        self.links.insert(peer.clone(), Link { state: State::Connecting { conn, deadline }, failures });
        self.by_conn.insert(conn, peer.clone());
        self.effects.push_back(ClientEffect::Connect { conn, address: peer.address.clone() });
        Readiness::Waiting
    }

    /// `None` means that it is down and may be tried.
    fn readiness(&self, now: Instant, peer: &Peer) -> Option<Readiness> {
        match &self.links.get(peer)?.state {
            State::Down { at } if *at <= now => None,
            State::Down { .. } | State::Connecting { .. } => Some(Readiness::Waiting),
            State::Up { connection, .. } if !connection.is_ready() => Some(Readiness::Waiting),
            State::Up { connection, .. } if connection.in_flight() >= CLIENT_LINK_REQUESTS_MAX => {
                Some(Readiness::Busy)
            }
            State::Up { .. } => Some(Readiness::Ready),
        }
    }

    pub(super) fn is_down(&self, peer: &Peer) -> bool {
        self.links.get(peer).is_none_or(|link| matches!(link.state, State::Down { .. }))
    }

    /// Any of `addresses` that can be sent to now; connects to one, drawn, if none is up or coming up.
    pub(super) fn want_any(&mut self, now: Instant, addresses: &[Address]) -> Option<Peer> {
        let mut coming = false;
        let mut down = Vec::new();
        for address in addresses {
            let peer = Peer { address: address.clone(), lane: Lane::Main };
            match self.readiness(now, &peer) {
                Some(Readiness::Ready) => return Some(peer),
                Some(Readiness::Busy) => coming = true,
                Some(Readiness::Waiting) => coming |= !self.is_down(&peer),
                None => down.push(peer),
            }
        }
        if !coming && !down.is_empty() {
            let drawn = self.prng.below(down.len() as u64);
            self.want(now, &down[usize::try_from(drawn).expect("below a length")]);
        }
        None
    }

    /// Sends to a peer that is ready. The call comes back through [`Self::poll_outcome`], at once where it cannot be
    /// encoded; one without reply comes back from here once it is sent.
    pub(super) fn send(
        &mut self,
        now: Instant,
        to: (&Peer, Sending),
        call: C,
        encode: impl FnOnce(i16, &mut Writer) -> Result<(), EncodeError>,
    ) -> Option<C> {
        let (peer, sending) = to;
        let link = self.links.get_mut(peer).expect("only a ready peer is sent to");
        let State::Up { conn, connection } = &mut link.state else { panic!("only a ready peer is sent to") };
        let deadline = now + self.config.request_timeout + sending.patience;
        let key = sending.key;
        let framed = match (connection.version(key, sending.version_max), sending.reply) {
            (None, _) => Err(call),
            (Some(version), Reply::Expected) => connection
                .request(Request { key, version, deadline }, call, encode)
                .map(|parts| (parts, None)),
            (Some(version), Reply::None) => {
                match connection.request_unanswered(Request { key, version, deadline }, encode) {
                    Ok(parts) => Ok((parts, Some(call))),
                    Err(_) => Err(call),
                }
            }
        };
        match framed {
            Ok((parts, unanswered)) => {
                self.effects.push_back(ClientEffect::Send { conn: *conn, parts });
                unanswered
            }
            Err(call) => {
                let error = ClientError::UnsupportedVersion;
                self.outcomes.push_back(Err(Lost { call, error, sent: Sent::No }));
                None
            }
        }
    }

    /// Forgets the connections to addresses that nobody will want again.
    pub(super) fn retain(&mut self, now: Instant, keep: impl Fn(&Address) -> bool) {
        let gone: Vec<Peer> = self.links.keys().filter(|peer| !keep(&peer.address)).cloned().collect();
        for peer in gone {
            match self.links[&peer].state {
                State::Down { .. } => {}
                State::Connecting { conn, .. } | State::Up { conn, .. } => {
                    self.effects.push_back(ClientEffect::Close { conn });
                    self.lose(now, &peer, ClientError::Disconnected);
                }
            }
            self.links.remove(&peer);
        }
    }
}
