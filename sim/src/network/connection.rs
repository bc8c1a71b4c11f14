//! One connection with its two ends. Plans nothing itself.

use std::collections::VecDeque;

use highwater_core::buf::PageMut;
use highwater_core::id::ConnId;
use highwater_core::prng::Prng;
use highwater_core::time::Instant;

use super::flow::Flow;
use super::links::{Hop, Host, Lane};
use super::{ClientEnd, Seat, Toward};
use crate::draw::{Draw, Lot, Stream};

#[derive(Debug)]
pub(super) struct Grant {
    pub(super) page: PageMut,
    pub(super) at: u32,
}

/// What the server's end is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ServerEnd {
    /// The client's wish has not arrived.
    Knocking,
    Open,
    /// Closed by the shard or by the kernel; the shard has or will get its last input.
    Closed,
    /// The machine went away without a word.
    Silent,
}

#[derive(Debug)]
pub(super) struct Connection {
    pub(super) end: ClientEnd,
    pub(super) node: usize,
    /// Once it is open.
    pub(super) seat: Seat,
    pub(super) id: ConnId,
    /// What the kernels draw.
    pub(super) prng: Prng,
    pub(super) up: Flow,
    pub(super) down: Flow,
    /// What the server's kernel has and the shard has not read.
    pub(super) arrived: VecDeque<u8>,
    pub(super) client_ended: bool,
    pub(super) client_here: bool,
    /// Nothing of the client arrives before.
    pub(super) held_until: Instant,
    pub(super) grant: Option<Grant>,
    pub(super) read_planned: bool,
    /// The ends of the sends that the kernel has not taken, in bytes since the beginning.
    pub(super) sends: VecDeque<u64>,
    pub(super) server: ServerEnd,
    /// The shard's last input is planned.
    pub(super) shut: bool,
}

impl Connection {
    /// The connection of this number among those of its client.
    pub(super) fn new(end: ClientEnd, node: usize, number: u32, seed: u64) -> Self {
        let stream = |lot| Stream::Link { client: end.client, number, lot }.of(seed);
        let hop = Hop { from: Host::Client(end.client), to: Host::Node(node) };
        let lane = |hop, prng, luck| Lane { hop, prng, luck, until: Instant::default() };
        Self {
            end,
            node,
            seat: Seat::default(),
            id: ConnId { slot: u32::MAX, generation: u32::MAX },
            prng: stream(Lot::Kernels),
            up: Flow::new(lane(hop, stream(Lot::Up), stream(Lot::UpLuck))),
            down: Flow::new(lane(hop.back(), stream(Lot::Down), stream(Lot::DownLuck))),
            arrived: VecDeque::new(),
            client_ended: false,
            client_here: true,
            held_until: Instant::default(),
            grant: None,
            read_planned: false,
            sends: VecDeque::new(),
            server: ServerEnd::Knocking,
            shut: false,
        }
    }

    pub(super) fn flow(&mut self, toward: Toward) -> &mut Flow {
        match toward {
            Toward::Server => &mut self.up,
            Toward::Client => &mut self.down,
        }
    }

    /// Cuts a stretch of bytes at random places, now and then at each of its first ones.
    pub(super) fn cut(&mut self, bytes: Vec<u8>, split_per_million: u64) -> Vec<Vec<u8>> {
        if bytes.len() < 2 || !self.prng.chance(split_per_million) {
            return vec![bytes];
        }
        let mut pieces = Vec::new();
        let mut rest = bytes.as_slice();
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
