//! Client connections as byte streams, as TCP gives them over links that lose, delay, double and reorder: cut and joined
//! anywhere, late, reset, given up, half open. A connection is read only while the shard has lent a page for it. Must not know
//! what the bytes mean.

mod connection;
mod flow;
mod links;
mod server;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use highwater_core::buf::Slice;
use highwater_core::id::ConnId;
use highwater_core::prng::Prng;
use highwater_core::shard::Input;
use highwater_core::time::{Duration, Instant};

use crate::bytes::joined;
use crate::report::Counts;
use connection::{Connection, ServerEnd};
use flow::{News, Piece};
pub use links::{Hop, Host, LinkSpeed, Links, Peers, Stretch, Transit, Trouble, Way};

/// A sender waits no longer than this before it sends again.
const RESEND_MAX: Duration = Duration::from_secs(2);

/// Names a connection for its whole life and ever after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Link(pub u64);

/// The client's end: its own name for the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClientEnd {
    pub client: usize,
    pub conn: ConnId,
}

/// One thing that happens to one connection at one time.
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    pub link: Link,
    pub what: Arriving,
}

/// Where a packet goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Toward {
    Server,
    Client,
}

#[derive(Debug, Clone, Copy)]
pub enum Arriving {
    /// A copy of a segment.
    Segment { toward: Toward, number: u64 },
    /// The sender looks whether the segment was confirmed.
    Resend { toward: Toward, number: u64 },
    /// The other end knows nothing of the connection.
    Reset { toward: Toward },
    /// The client's kernel has more in order.
    Ready,
    /// The server's kernel hands over bytes for the page that it was lent.
    Read,
    /// The server's kernel has taken a send.
    Sent,
    /// The server's end is gone.
    Closed,
}

/// What the world must do about an arrival.
#[derive(Debug)]
pub enum Delivery {
    Nothing,
    /// A client wants to connect: `accept` or `refuse`.
    Knock {
        end: ClientEnd,
        link: Link,
        node: usize,
    },
    /// Hand this to the shard.
    Shard {
        seat: Seat,
        input: Input,
    },
    /// Tell the client that its connection stands.
    Connected {
        client: usize,
        conn: ConnId,
    },
    /// Hand these bytes to the client.
    Bytes {
        client: usize,
        conn: ConnId,
        bytes: Vec<u8>,
    },
    /// Tell the client that the connection is gone.
    Lost {
        client: usize,
        conn: ConnId,
    },
}

/// The shard at the server's end, in one life of its node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Seat {
    pub node: usize,
    pub life: u32,
    pub shard: u16,
}

/// Takes what is planned: the event heap of the world.
pub type Plan = Vec<(Instant, Arrival)>;

/// All connections.
#[derive(Debug)]
pub struct Network {
    seed: u64,
    links: Links<Arrival>,
    count: u64,
    connections: BTreeMap<Link, Connection>,
    by_id: BTreeMap<(Seat, ConnId), Link>,
    by_end: BTreeMap<ClientEnd, Link>,
    /// Connections that each client has opened.
    opened: BTreeMap<usize, u32>,
    /// What the world shall plan before it goes on.
    pub plan: Plan,
    pub delivered: Counts,
}

impl Network {
    pub fn new(seed: u64, speed: LinkSpeed) -> Self {
        Self {
            seed,
            links: Links::new(speed),
            count: 0,
            connections: BTreeMap::new(),
            by_id: BTreeMap::new(),
            by_end: BTreeMap::new(),
            opened: BTreeMap::new(),
            plan: Plan::new(),
            delivered: Counts::default(),
        }
    }

    /// What was delivered of faults.
    pub fn counts(&self) -> Counts {
        let mut counts = self.delivered.clone();
        counts.merge(&self.links.delivered);
        counts
    }

    /// Trouble begins on some links of a node.
    pub fn ail(&mut self, number: u64, node: usize, stretch: Stretch, trouble: Trouble) {
        self.links.ail(number, node, stretch, trouble);
    }

    /// The trouble of this number ends.
    pub fn calm(&mut self, number: u64, now: Instant) {
        let held = self.links.calm(number);
        self.go_on(held, now);
    }

    /// All trouble ends.
    pub fn heal(&mut self, now: Instant) {
        let held = self.links.heal();
        self.go_on(held, now);
    }

    fn go_on(&mut self, held: Vec<(Hop, Arrival)>, now: Instant) {
        for (place, (_, arrival)) in (1..).zip(held) {
            self.plan.push((now + Duration::from_micros(place), arrival));
        }
    }

    /// A client asks a node for a connection.
    pub fn connect(&mut self, end: ClientEnd, node: usize, now: Instant) {
        let number = self.opened.entry(end.client).or_insert(0);
        *number += 1;
        self.count += 1;
        let link = Link(self.count);
        self.connections.insert(link, Connection::new(end, node, *number, self.seed));
        self.by_end.insert(end, link);
        self.push(link, Toward::Server, Piece::Open, now);
    }

    /// The generator that the server's kernel draws from for this connection.
    pub fn prng(&mut self, link: Link) -> &mut Prng {
        &mut self.connections.get_mut(&link).expect("it has just knocked").prng
    }

    /// Nobody listens.
    pub fn refuse(&mut self, link: Link, now: Instant) {
        self.send_reset(link, Toward::Client, now);
    }

    /// The client sends.
    pub fn client_sends(&mut self, end: ClientEnd, parts: &[Slice], now: Instant) {
        let split = self.links.speed.split_per_million;
        let Some((link, connection)) = self.of_client(end) else { return };
        for piece in connection.cut(joined(parts), split) {
            self.push(link, Toward::Server, Piece::Bytes(piece), now);
        }
    }

    /// The client closes, in order: what it sent before still arrives.
    pub fn client_closes(&mut self, end: ClientEnd, now: Instant) {
        let Some((link, connection)) = self.of_client(end) else { return };
        connection.client_here = false;
        if connection.server != ServerEnd::Knocking {
            self.push(link, Toward::Server, Piece::End, now);
        }
        self.forget_if_over(link);
    }

    /// Holds up what comes from a client, which loses the connection on its side.
    pub fn delay(&mut self, end: ClientEnd, cut_at: Instant, held_until: Instant) {
        let Some((link, connection)) = self.of_client(end) else { return };
        connection.held_until = held_until;
        self.delivered.add("held-up");
        self.plan.push((cut_at, Arrival { link, what: Arriving::Reset { toward: Toward::Client } }));
    }

    /// Every client closes what it has open; what is half open ends as if by keepalive.
    pub fn send_clients_away(&mut self, now: Instant) {
        for end in self.by_end.keys().copied().collect::<Vec<_>>() {
            self.client_closes(end, now);
        }
        let what = Arriving::Reset { toward: Toward::Server };
        let resets =
            self.connections.keys().map(|&link| (now + Duration::from_secs(1), Arrival { link, what }));
        self.plan.extend(resets);
    }

    fn of_client(&mut self, end: ClientEnd) -> Option<(Link, &mut Connection)> {
        let link = *self.by_end.get(&end)?;
        let connection = self.connections.get_mut(&link).expect("named connections exist");
        connection.client_here.then_some((link, connection))
    }

    fn connection(&mut self, link: Link) -> &mut Connection {
        self.connections.get_mut(&link).expect("asked for while it exists")
    }

    /// Appends to a direction, and sends it for the first time.
    fn push(&mut self, link: Link, toward: Toward, piece: Piece, now: Instant) {
        let number = self.connection(link).flow(toward).push(piece, now);
        self.transmit(link, toward, number, now);
    }

    /// Sends a segment once more, unless it is confirmed.
    fn transmit(&mut self, link: Link, toward: Toward, number: u64, now: Instant) {
        let connection = self.connections.get_mut(&link).expect("asked for while it exists");
        let flow = connection.flow(toward);
        if !flow.attempt(number) {
            return;
        }
        let arrival = Arrival { link, what: Arriving::Segment { toward, number } };
        match self.links.send(&mut flow.lane, now) {
            Transit::Arrives { at, again } => {
                self.plan.push((at, arrival));
                self.plan.extend(again.map(|later| (later, arrival)));
                return;
            }
            Transit::Held => self.links.hold(flow.lane.hop, arrival),
            Transit::Lost => {}
        }
        self.plan_resend(link, toward, number, now);
    }

    fn plan_resend(&mut self, link: Link, toward: Toward, number: u64, now: Instant) {
        let first = Duration::from_micros(self.links.speed.resend_micros);
        let Some(doublings) = self.connection(link).flow(toward).set_timer(number) else { return };
        let wait = Duration::from_nanos(first.as_nanos() << doublings.min(12)).min(RESEND_MAX);
        self.plan.push((now + wait, Arrival { link, what: Arriving::Resend { toward, number } }));
    }

    fn send_reset(&mut self, link: Link, toward: Toward, now: Instant) {
        let lane = &mut self.connections.get_mut(&link).expect("asked for while it exists").flow(toward).lane;
        // One that is held or lost is not missed: what asked for it is sent again.
        if let Transit::Arrives { at, .. } = self.links.send(lane, now) {
            self.plan.push((at, Arrival { link, what: Arriving::Reset { toward } }));
        }
    }

    /// Carries out what was planned. `powered` says whether a node's machine runs.
    pub fn arrive(&mut self, arrival: Arrival, now: Instant, powered: impl Fn(usize) -> bool) -> Delivery {
        let Arrival { link, what } = arrival;
        let Some(connection) = self.connections.get_mut(&link) else {
            if matches!(what, Arriving::Segment { .. }) {
                self.delivered.add("late-segment");
            }
            return Delivery::Nothing;
        };
        let delivery = match what {
            Arriving::Segment { toward: Toward::Server, .. } if now < connection.held_until => {
                self.plan.push((connection.held_until, arrival));
                Delivery::Nothing
            }
            Arriving::Segment { toward: Toward::Server, number } => {
                if powered(connection.node) {
                    self.arrive_at_server(link, number, now)
                } else {
                    self.plan_resend(link, Toward::Server, number, now);
                    Delivery::Nothing
                }
            }
            Arriving::Segment { toward: Toward::Client, number } => self.arrive_at_client(link, number, now),
            Arriving::Resend { toward, number } => self.resend(link, toward, number, now),
            Arriving::Reset { toward: Toward::Server } => self.reset_server(link, now),
            Arriving::Reset { toward: Toward::Client } => self.lose_client(link),
            Arriving::Ready => self.hand_to_client(link, now),
            Arriving::Read => self.read(link, now),
            Arriving::Sent => self.sent(link),
            Arriving::Closed => self.closed(link),
        };
        self.forget_if_over(link);
        delivery
    }

    /// A segment has reached a living end: confirm it, if that word passes. True if there may be more to take.
    fn confirm(&mut self, link: Link, toward: Toward, number: u64, now: Instant) -> bool {
        let connection = self.connections.get_mut(&link).expect("asked for while it exists");
        let flow = connection.flow(toward);
        let news = flow.arrive(number);
        let back = flow.lane.hop.back();
        if self.links.passes(back, &mut flow.lane.luck) {
            flow.confirm(number);
        } else {
            self.plan_resend(link, toward, number, now);
        }
        if news == News::Known {
            self.delivered.add("segment-dropped");
        }
        news == News::New
    }

    fn arrive_at_client(&mut self, link: Link, number: u64, now: Instant) -> Delivery {
        if !self.connection(link).client_here {
            self.send_reset(link, Toward::Server, now);
            self.plan_resend(link, Toward::Client, number, now);
            return Delivery::Nothing;
        }
        let news = self.confirm(link, Toward::Client, number, now);
        self.accept_sends(link, now);
        if news { self.hand_to_client(link, now) } else { Delivery::Nothing }
    }

    fn hand_to_client(&mut self, link: Link, now: Instant) -> Delivery {
        let connection = self.connection(link);
        let ClientEnd { client, conn } = connection.end;
        if !connection.client_here {
            return Delivery::Nothing;
        }
        let Some(piece) = connection.down.take() else { return Delivery::Nothing };
        if connection.down.is_ready() {
            self.plan.push((now, Arrival { link, what: Arriving::Ready }));
        }
        self.accept_sends(link, now);
        match piece {
            Piece::Open => {
                self.connection(link).up.confirm(0);
                Delivery::Connected { client, conn }
            }
            Piece::Bytes(bytes) => Delivery::Bytes { client, conn, bytes },
            Piece::End => self.lose_client(link),
        }
    }

    fn lose_client(&mut self, link: Link) -> Delivery {
        let connection = self.connection(link);
        let ClientEnd { client, conn } = connection.end;
        if !std::mem::take(&mut connection.client_here) {
            return Delivery::Nothing;
        }
        Delivery::Lost { client, conn }
    }

    fn resend(&mut self, link: Link, toward: Toward, number: u64, now: Instant) -> Delivery {
        let patience = Duration::from_millis(self.links.speed.give_up_millis);
        let connection = self.connection(link);
        let gone = match toward {
            Toward::Server => false,
            Toward::Client => connection.server == ServerEnd::Silent,
        };
        let Some(born) = connection.flow(toward).timer_fires(number).filter(|_| !gone) else {
            return Delivery::Nothing;
        };
        if now.since(born) < patience {
            self.transmit(link, toward, number, now);
            return Delivery::Nothing;
        }
        connection.flow(toward).clear();
        self.delivered.add("given-up");
        match toward {
            Toward::Server => self.lose_client(link),
            Toward::Client => self.reset_server(link, now),
        }
    }

    fn forget_if_over(&mut self, link: Link) {
        let Some(connection) = self.connections.get(&link) else { return };
        let known = self.by_id.contains_key(&(connection.seat, connection.id));
        if !known && !connection.client_here && connection.server != ServerEnd::Open {
            self.by_end.remove(&connection.end);
            self.connections.remove(&link);
        }
    }
}
