//! The server's end of the connections: what shards do with them, and what becomes of them when a process or a machine goes.

use highwater_core::buf::{PageMut, Slice};
use highwater_core::id::ConnId;
use highwater_core::prng::Prng;
use highwater_core::shard::Input;
use highwater_core::time::{Duration, Instant};

use super::connection::{Grant, ServerEnd};
use super::flow::Piece;
use super::{Arrival, Arriving, Delivery, Link, Network, Plan, Seat, Toward};
use crate::bytes::joined;
use crate::draw::Draw;

impl Network {
    /// The shard has the connection from now on.
    pub fn accept(&mut self, link: Link, seat: Seat, id: ConnId, now: Instant) {
        let connection = self.connection(link);
        assert!(connection.server == ServerEnd::Knocking, "a connection is accepted once");
        connection.server = ServerEnd::Open;
        (connection.seat, connection.id) = (seat, id);
        connection.up.take_first();
        let before = self.by_id.insert((seat, id), link);
        assert!(before.is_none(), "a connection's name is used once");
        self.push(link, Toward::Client, Piece::Open, now);
    }

    /// The shard lends a page to be read into.
    pub fn shard_receives(&mut self, seat: Seat, id: ConnId, page: PageMut, at: u32, now: Instant) {
        let link = self.of_shard(seat, id);
        let connection = self.connection(link);
        assert!(connection.grant.is_none(), "contract: one Recv at a time per connection");
        assert!((at as usize) < page.len(), "contract: a Recv has room");
        connection.grant = Some(Grant { page, at });
        self.plan_read(link, now);
    }

    /// The shard sends its parts as one.
    pub fn shard_sends(&mut self, seat: Seat, id: ConnId, parts: &[Slice], now: Instant) {
        let split = self.links.speed.split_per_million;
        let link = self.of_shard(seat, id);
        let connection = self.connection(link);
        if connection.server != ServerEnd::Open {
            return;
        }
        for piece in connection.cut(joined(parts), split) {
            self.push(link, Toward::Client, Piece::Bytes(piece), now);
        }
        let connection = self.connection(link);
        connection.sends.push_back(connection.down.sent_bytes);
        self.accept_sends(link, now);
    }

    /// The shard closes after what it sent.
    pub fn shard_closes(&mut self, seat: Seat, id: ConnId, now: Instant) {
        let link = self.of_shard(seat, id);
        if self.connection(link).server == ServerEnd::Open {
            self.end_server(link, now);
        }
    }

    /// Whether the shard has not yet been told that this connection is over.
    pub fn is_known(&self, seat: Seat, id: ConnId) -> bool {
        self.by_id.contains_key(&(seat, id))
    }

    /// A node's process ends: its kernel tells the peers. All bytes on their way to it are lost.
    pub fn process_died(&mut self, node: usize, now: Instant) {
        for link in self.links_of(node) {
            let connection = self.connections.get_mut(&link).expect("listed");
            self.by_id.remove(&(connection.seat, connection.id));
            if connection.server == ServerEnd::Open {
                connection.server = ServerEnd::Closed;
                connection.grant = None;
                connection.sends.clear();
                let unread = !connection.arrived.is_empty();
                if unread || connection.prng.coin() {
                    connection.down.clear();
                    self.send_reset(link, Toward::Client, now);
                } else {
                    self.push(link, Toward::Client, Piece::End, now);
                }
            }
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
            if connection.server != ServerEnd::Knocking {
                connection.server = ServerEnd::Silent;
            }
            connection.grant = None;
            self.forget_if_over(link);
        }
    }

    /// All connections of a node whose machine is off are gone without a trace, with what was on its way from it.
    pub fn vanish(&mut self, node: usize) {
        for link in self.links_of(node) {
            let connection = self.connections.remove(&link).expect("listed");
            self.by_id.remove(&(connection.seat, connection.id));
            self.by_end.remove(&connection.end);
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
        let connection = self.connection(link);
        connection.up.clear();
        connection.down.clear();
        let at = now + Duration::from_micros(prng.scaled(1, 1_000));
        self.plan.push((at, Arrival { link, what: Arriving::Reset { toward: Toward::Client } }));
        self.reset_server(link, now);
    }

    fn is_open(&self, link: Link) -> bool {
        self.connections.get(&link).is_some_and(|c| c.server == ServerEnd::Open && c.client_here)
    }

    fn links_of(&self, node: usize) -> Vec<Link> {
        self.connections.iter().filter(|(_, c)| c.node == node).map(|(&link, _)| link).collect()
    }

    fn of_shard(&self, seat: Seat, id: ConnId) -> Link {
        *self.by_id.get(&(seat, id)).expect("contract: effects name living connections")
    }

    /// The process closes its end. What it has not read makes that a reset, as kernels do.
    fn end_server(&mut self, link: Link, now: Instant) {
        let connection = self.connection(link);
        connection.server = ServerEnd::Closed;
        if connection.arrived.is_empty() {
            self.push(link, Toward::Client, Piece::End, now);
        } else {
            self.send_reset(link, Toward::Client, now);
        }
        self.accept_sends(link, now);
    }

    /// The server's end is gone without its doing.
    pub(super) fn reset_server(&mut self, link: Link, now: Instant) -> Delivery {
        let connection = self.connection(link);
        connection.down.clear();
        connection.arrived.clear();
        connection.sends.clear();
        if connection.server == ServerEnd::Open {
            connection.server = ServerEnd::Closed;
        }
        self.accept_sends(link, now);
        Delivery::Nothing
    }

    /// The kernel takes sends while its buffer has room; behind the last one of a closed end comes the close.
    pub(super) fn accept_sends(&mut self, link: Link, now: Instant) {
        let buffer = self.links.speed.send_buffer_bytes;
        let connection = self.connections.get_mut(&link).expect("asked for while it exists");
        let mut planned = Plan::new();
        let mut plan = |prng: &mut Prng, what| {
            planned.push((now + prng.micros(1, 10), Arrival { link, what }));
        };
        let full_at = connection.down.confirmed_bytes + buffer;
        while connection.sends.pop_front_if(|end| *end <= full_at).is_some() {
            plan(&mut connection.prng, Arriving::Sent);
        }
        if connection.sends.is_empty() && connection.server == ServerEnd::Closed && !connection.shut {
            connection.shut = true;
            plan(&mut connection.prng, Arriving::Closed);
        }
        self.plan.append(&mut planned);
    }

    pub(super) fn plan_read(&mut self, link: Link, now: Instant) {
        let connection = self.connections.get_mut(&link).expect("asked for while it exists");
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

    pub(super) fn arrive_at_server(&mut self, link: Link, number: u64, now: Instant) -> Delivery {
        match self.connection(link).server {
            ServerEnd::Open => {}
            ServerEnd::Knocking => {
                self.plan_resend(link, Toward::Server, number, now);
                let connection = self.connection(link);
                return Delivery::Knock { end: connection.end, link, node: connection.node };
            }
            ServerEnd::Closed | ServerEnd::Silent => {
                self.send_reset(link, Toward::Client, now);
                self.plan_resend(link, Toward::Server, number, now);
                return Delivery::Nothing;
            }
        }
        if number == 0 {
            // The wish is granted already; the client may not have heard, and asks until it has.
            self.plan_resend(link, Toward::Server, number, now);
            return Delivery::Nothing;
        }
        if !self.confirm(link, Toward::Server, number, now) {
            return Delivery::Nothing;
        }
        let connection = self.connection(link);
        while let Some(piece) = connection.up.take() {
            match piece {
                Piece::Open => {}
                Piece::Bytes(bytes) => connection.arrived.extend(bytes),
                Piece::End => connection.client_ended = true,
            }
        }
        self.plan_read(link, now);
        Delivery::Nothing
    }

    pub(super) fn read(&mut self, link: Link, now: Instant) -> Delivery {
        let split = self.links.speed.split_per_million;
        let connection = self.connection(link);
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
        if connection.prng.chance(split) {
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

    pub(super) fn sent(&mut self, link: Link) -> Delivery {
        let connection = self.connection(link);
        let (seat, conn) = (connection.seat, connection.id);
        if !self.is_known(seat, conn) {
            return Delivery::Nothing;
        }
        Delivery::Shard { seat, input: Input::Sent { conn } }
    }

    pub(super) fn closed(&mut self, link: Link) -> Delivery {
        let connection = self.connection(link);
        let (seat, conn) = (connection.seat, connection.id);
        let page = connection.grant.take().map(|grant| grant.page);
        if self.by_id.remove(&(seat, conn)).is_none() {
            return Delivery::Nothing;
        }
        Delivery::Shard { seat, input: Input::Closed { conn, page } }
    }
}
