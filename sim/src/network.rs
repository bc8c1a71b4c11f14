//! Client connections as byte streams, as TCP gives them: cut and joined anywhere, late, reset, half open. A connection is read
//! only while the shard has lent a page for it. Must not know what the bytes mean.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};

use highwater_core::buf::{PageMut, Slice};
use highwater_core::id::ConnId;
use highwater_core::prng::Prng;
use highwater_core::shard::Input;
use highwater_core::time::{Duration, Instant};

use crate::bytes::joined;
use crate::draw::{Draw, Stream};
use crate::report::Counts;

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

#[derive(Debug, Clone, Copy)]
pub enum Arriving {
    /// The next of what the client sent reaches the server.
    Up,
    /// The next of what the server sent reaches the client.
    Down,
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
    /// Hand this to the shard.
    Shard {
        seat: Seat,
        input: Input,
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seat {
    pub node: usize,
    pub life: u32,
    pub shard: u16,
}

/// How the links of this run behave.
#[derive(Debug, Clone)]
pub struct LinkSpeed {
    pub latency_micros: u64,
    /// Of a million stretches of bytes, how many are cut in pieces.
    pub split_per_million: u64,
}

#[derive(Debug)]
enum Piece {
    Bytes(Vec<u8>),
    End,
}

#[derive(Debug)]
struct Grant {
    page: PageMut,
    at: u32,
}

/// What the server's end is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ServerEnd {
    Open,
    /// Closed by the shard or by the kernel; the shard has or will get its last input.
    Closed,
    /// The machine went away without a word.
    Silent,
}

#[derive(Debug)]
struct Connection {
    end: ClientEnd,
    seat: Seat,
    id: ConnId,
    prng: Prng,
    up: VecDeque<Piece>,
    up_until: Instant,
    down: VecDeque<Piece>,
    down_until: Instant,
    arrived: VecDeque<u8>,
    client_ended: bool,
    client_here: bool,
    grant: Option<Grant>,
    read_planned: bool,
    sends: u32,
    server: ServerEnd,
}

/// Takes what is planned: the event heap of the world.
pub type Plan = Vec<(Instant, Arrival)>;

/// All connections.
#[derive(Debug)]
pub struct Network {
    seed: u64,
    speed: LinkSpeed,
    links: u64,
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
            speed,
            links: 0,
            connections: BTreeMap::new(),
            by_id: BTreeMap::new(),
            by_end: BTreeMap::new(),
            opened: BTreeMap::new(),
            plan: Plan::new(),
            delivered: Counts::default(),
        }
    }

    /// The generator of a client's next connection.
    pub fn stream(&mut self, client: usize) -> Prng {
        let number = self.opened.entry(client).or_insert(0);
        *number += 1;
        Stream::Link { client, number: *number }.of(self.seed)
    }

    /// A client and a shard are connected from now on.
    pub fn open(&mut self, end: ClientEnd, seat: Seat, id: ConnId, prng: Prng, now: Instant) -> Link {
        self.links += 1;
        let link = Link(self.links);
        let connection = Connection {
            end,
            seat,
            id,
            prng,
            up: VecDeque::new(),
            up_until: now,
            down: VecDeque::new(),
            down_until: now,
            arrived: VecDeque::new(),
            client_ended: false,
            client_here: true,
            grant: None,
            read_planned: false,
            sends: 0,
            server: ServerEnd::Open,
        };
        self.connections.insert(link, connection);
        self.by_end.insert(end, link);
        let before = self.by_id.insert((seat, id), link);
        assert!(before.is_none(), "a connection's name is used once");
        link
    }

    /// How long a first packet takes.
    pub fn latency(&self, prng: &mut Prng) -> Duration {
        prng.micros(self.speed.latency_micros / 4 + 1, self.speed.latency_micros * 2 + 2)
    }

    /// The client sends.
    pub fn client_sends(&mut self, end: ClientEnd, parts: &[Slice], now: Instant) {
        let speed = self.speed.clone();
        let Some((link, connection)) = self.of_client(end) else { return };
        let bytes = joined(parts);
        let mut planned = Plan::new();
        for piece in connection.cut(&bytes, speed.split_per_million) {
            let at = connection.next_up(&speed, now);
            connection.up.push_back(Piece::Bytes(piece));
            planned.push((at, Arrival { link, what: Arriving::Up }));
        }
        self.plan.append(&mut planned);
    }

    /// The client closes, in order: what it sent before still arrives.
    pub fn client_closes(&mut self, end: ClientEnd, now: Instant) {
        let speed = self.speed.clone();
        let Some((link, connection)) = self.of_client(end) else { return };
        connection.client_here = false;
        connection.down.clear();
        let at = connection.next_up(&speed, now);
        connection.up.push_back(Piece::End);
        self.plan.push((at, Arrival { link, what: Arriving::Up }));
        self.forget_if_over(link);
    }

    /// The shard lends a page to be read into.
    pub fn shard_receives(&mut self, seat: Seat, id: ConnId, page: PageMut, at: u32, now: Instant) {
        let (link, connection) = self.of_shard(seat, id);
        assert!(connection.grant.is_none(), "contract: one Recv at a time per connection");
        assert!((at as usize) < page.len(), "contract: a Recv has room");
        connection.grant = Some(Grant { page, at });
        self.plan_read(link, now);
    }

    /// The shard sends its parts as one.
    pub fn shard_sends(&mut self, seat: Seat, id: ConnId, parts: &[Slice], now: Instant) {
        let speed = self.speed.clone();
        let (link, connection) = self.of_shard(seat, id);
        if connection.server != ServerEnd::Open {
            return;
        }
        if connection.client_ended || !connection.client_here && connection.prng.coin() {
            self.end_server(link, now);
            return;
        }
        let bytes = joined(parts);
        let mut until = now;
        let mut planned = Plan::new();
        for piece in connection.cut(&bytes, speed.split_per_million) {
            until = connection.next_down(&speed, now);
            connection.down.push_back(Piece::Bytes(piece));
            planned.push((until, Arrival { link, what: Arriving::Down }));
        }
        connection.sends += 1;
        planned.push((until, Arrival { link, what: Arriving::Sent }));
        self.plan.append(&mut planned);
    }

    /// The shard closes after what it sent.
    pub fn shard_closes(&mut self, seat: Seat, id: ConnId, now: Instant) {
        let (link, connection) = self.of_shard(seat, id);
        if connection.server == ServerEnd::Open {
            self.end_server(link, now);
        }
    }

    /// Whether the shard has not yet been told that this connection is over.
    pub fn is_known(&self, seat: Seat, id: ConnId) -> bool {
        self.by_id.contains_key(&(seat, id))
    }

    /// A node's process ends: the peers hear of it. All bytes on their way to it are lost.
    pub fn process_died(&mut self, node: usize, now: Instant) {
        for link in self.links_of(node) {
            let speed = self.speed.clone();
            let connection = self.connections.get_mut(&link).expect("listed");
            self.by_id.remove(&(connection.seat, connection.id));
            if connection.server == ServerEnd::Silent {
                continue;
            }
            connection.server = ServerEnd::Closed;
            connection.grant = None;
            if connection.prng.coin() {
                connection.down.clear();
            }
            let at = connection.next_down(&speed, now);
            connection.down.push_back(Piece::End);
            self.plan.push((at, Arrival { link, what: Arriving::Down }));
            self.forget_if_over(link);
        }
    }

    /// A node's machine loses power: the peers hear nothing.
    pub fn power_lost(&mut self, node: usize) {
        for link in self.links_of(node) {
            let connection = self.connections.get_mut(&link).expect("listed");
            self.by_id.remove(&(connection.seat, connection.id));
            if connection.server == ServerEnd::Open {
                self.delivered.add("half-open");
            }
            connection.server = ServerEnd::Silent;
            connection.grant = None;
            self.forget_if_over(link);
        }
    }

    /// Resets one connection of this node: both ends lose it, and what was on its way.
    pub fn reset_one(&mut self, node: usize, prng: &mut Prng, now: Instant) {
        let open: Vec<Link> = self.links_of(node).into_iter().filter(|link| self.is_open(*link)).collect();
        if open.is_empty() {
            return;
        }
        let link = prng.pick(&open);
        self.delivered.add("reset");
        let connection = self.connections.get_mut(&link).expect("listed");
        connection.up.clear();
        connection.arrived.clear();
        connection.down.clear();
        self.end_server(link, now);
    }

    fn is_open(&self, link: Link) -> bool {
        self.connections.get(&link).is_some_and(|c| c.server == ServerEnd::Open && c.client_here)
    }

    fn links_of(&self, node: usize) -> Vec<Link> {
        self.connections.iter().filter(|(_, c)| c.seat.node == node).map(|(&link, _)| link).collect()
    }

    fn of_client(&mut self, end: ClientEnd) -> Option<(Link, &mut Connection)> {
        let link = *self.by_end.get(&end)?;
        Some((link, self.connections.get_mut(&link).expect("named connections exist")))
    }

    fn of_shard(&mut self, seat: Seat, id: ConnId) -> (Link, &mut Connection) {
        let link = *self.by_id.get(&(seat, id)).expect("contract: effects name living connections");
        (link, self.connections.get_mut(&link).expect("named connections exist"))
    }

    fn end_server(&mut self, link: Link, now: Instant) {
        let speed = self.speed.clone();
        let connection = self.connections.get_mut(&link).expect("asked for by its end");
        connection.server = ServerEnd::Closed;
        let at = connection.next_down(&speed, now);
        connection.down.push_back(Piece::End);
        self.plan.push((at, Arrival { link, what: Arriving::Down }));
        self.plan.push((at, Arrival { link, what: Arriving::Closed }));
    }

    fn plan_read(&mut self, link: Link, now: Instant) {
        let connection = self.connections.get_mut(&link).expect("asked for by its end");
        let ready = !connection.arrived.is_empty() || connection.client_ended;
        if connection.server == ServerEnd::Open
            && connection.grant.is_some()
            && ready
            && !connection.read_planned
        {
            connection.read_planned = true;
            let wait = connection.prng.micros(1, 10);
            self.plan.push((now + wait, Arrival { link, what: Arriving::Read }));
        }
    }

    /// Carries out what was planned.
    pub fn arrive(&mut self, arrival: Arrival, now: Instant, node_is_up: impl Fn(usize) -> bool) -> Delivery {
        let link = arrival.link;
        if !self.connections.contains_key(&link) {
            return Delivery::Nothing;
        }
        let delivery = match arrival.what {
            Arriving::Up => self.arrive_up(link, now, node_is_up),
            Arriving::Down => self.arrive_down(link),
            Arriving::Read => self.arrive_read(link, now),
            Arriving::Sent => self.arrive_sent(link),
            Arriving::Closed => self.arrive_closed(link),
        };
        self.forget_if_over(link);
        delivery
    }

    fn arrive_up(&mut self, link: Link, now: Instant, node_is_up: impl Fn(usize) -> bool) -> Delivery {
        let speed = self.speed.clone();
        let connection = self.connections.get_mut(&link).expect("checked");
        let Some(piece) = connection.up.pop_front() else { return Delivery::Nothing };
        match connection.server {
            ServerEnd::Open => {}
            ServerEnd::Closed => return Delivery::Nothing,
            ServerEnd::Silent => {
                if node_is_up(connection.seat.node) {
                    let at = connection.next_down(&speed, now);
                    connection.down.push_back(Piece::End);
                    self.plan.push((at, Arrival { link, what: Arriving::Down }));
                }
                return Delivery::Nothing;
            }
        }
        match piece {
            Piece::Bytes(bytes) => connection.arrived.extend(bytes),
            Piece::End => connection.client_ended = true,
        }
        self.plan_read(link, now);
        Delivery::Nothing
    }

    fn arrive_down(&mut self, link: Link) -> Delivery {
        let connection = self.connections.get_mut(&link).expect("checked");
        let ClientEnd { client, conn } = connection.end;
        match connection.down.pop_front() {
            Some(_) if !connection.client_here => Delivery::Nothing,
            Some(Piece::Bytes(bytes)) => Delivery::Bytes { client, conn, bytes },
            Some(Piece::End) => {
                connection.client_here = false;
                Delivery::Lost { client, conn }
            }
            None => Delivery::Nothing,
        }
    }

    fn arrive_read(&mut self, link: Link, now: Instant) -> Delivery {
        let connection = self.connections.get_mut(&link).expect("checked");
        connection.read_planned = false;
        if connection.server != ServerEnd::Open {
            return Delivery::Nothing;
        }
        if connection.arrived.is_empty() {
            if connection.client_ended && connection.grant.is_some() {
                self.end_server(link, now);
            }
            return Delivery::Nothing;
        }
        let Some(Grant { mut page, at }) = connection.grant.take() else { return Delivery::Nothing };
        let from = at as usize;
        let mut len = connection.arrived.len().min(page.len() - from);
        if connection.prng.chance(self.speed.split_per_million) {
            len = connection.prng.place(len) + 1;
        }
        for (to, byte) in
            page.as_mut_slice()[from..from + len].iter_mut().zip(connection.arrived.drain(..len))
        {
            *to = byte;
        }
        let len = u32::try_from(len).expect("a page is below 4 GiB");
        let input = Input::Received { conn: connection.id, page, len };
        Delivery::Shard { seat: connection.seat, input }
    }

    fn arrive_sent(&mut self, link: Link) -> Delivery {
        let connection = self.connections.get_mut(&link).expect("checked");
        if connection.server != ServerEnd::Open {
            return Delivery::Nothing;
        }
        connection.sends = connection.sends.checked_sub(1).expect("each send is answered once");
        Delivery::Shard { seat: connection.seat, input: Input::Sent { conn: connection.id } }
    }

    fn arrive_closed(&mut self, link: Link) -> Delivery {
        let connection = self.connections.get_mut(&link).expect("checked");
        let (seat, id) = (connection.seat, connection.id);
        if self.by_id.remove(&(seat, id)).is_none() {
            return Delivery::Nothing;
        }
        let page = connection.grant.take().map(|grant| grant.page);
        Delivery::Shard { seat, input: Input::Closed { conn: id, page } }
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

impl Connection {
    fn next_up(&mut self, speed: &LinkSpeed, now: Instant) -> Instant {
        let wait = self.prng.micros(speed.latency_micros / 4 + 1, speed.latency_micros * 2 + 2);
        self.up_until = self.up_until.max(now + wait);
        self.up_until
    }

    fn next_down(&mut self, speed: &LinkSpeed, now: Instant) -> Instant {
        let wait = self.prng.micros(speed.latency_micros / 4 + 1, speed.latency_micros * 2 + 2);
        self.down_until = self.down_until.max(now + wait);
        self.down_until
    }

    /// Cuts a stretch of bytes at random places, now and then at each of its first ones.
    fn cut(&mut self, bytes: &[u8], split_per_million: u64) -> Vec<Vec<u8>> {
        if bytes.len() < 2 || !self.prng.chance(split_per_million) {
            return vec![bytes.to_vec()];
        }
        let mut pieces = Vec::new();
        let mut rest = bytes;
        for _ in 0..self.prng.between(1, 6) {
            if rest.len() < 2 {
                break;
            }
            let len = if self.prng.coin() { 1 } else { self.prng.place(rest.len() - 1) + 1 };
            let (piece, after) = rest.split_at(len);
            pieces.push(piece.to_vec());
            rest = after;
        }
        pieces.push(rest.to_vec());
        pieces
    }
}
