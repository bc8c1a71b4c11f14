//! Draws from keyed streams: one generator per link, disk, client and fault kind, so that taking one thing away leaves the draws
//! of all others as they were. Must not know what is drawn.

use highwater_core::prng::Prng;
use highwater_core::time::Duration;

/// What is drawn of one connection: by the kernels at its ends, and for each direction its speed and its bad luck.
#[derive(Debug, Clone, Copy)]
pub enum Lot {
    Kernels,
    Up,
    UpLuck,
    Down,
    DownLuck,
}

/// Whose generator it is.
#[derive(Debug, Clone, Copy)]
pub enum Stream {
    Params,
    /// What is drawn of one node before the run.
    NodeParams(usize),
    /// The faults of one kind on one node.
    Faults {
        node: usize,
        kind: u64,
    },
    /// The details of one planned fault, by its number.
    Delivery(u64),
    Boots(usize),
    Disk(usize),
    /// How the node ends before the final read.
    LastEnd(usize),
    Turns {
        node: usize,
        life: u32,
        core: u16,
    },
    Mesh {
        node: usize,
        life: u32,
        pair: (u16, u16),
    },
    /// One connection of a client, counted from its first.
    Link {
        client: usize,
        number: u32,
        lot: Lot,
    },
    Client(u64),
    /// What is drawn of a node's steward.
    Steward(usize),
    /// What is drawn of a node's groups.
    Groups(usize),
    /// How long offsets are kept.
    Expiry,
    /// The other protocol of those that have both.
    Migration(usize),
}

impl Stream {
    /// The generator of this stream under `seed`.
    pub fn of(self, seed: u64) -> Prng {
        let (kind, index) = match self {
            Self::Params => (1, 0),
            Self::Faults { node, kind } => (2, (node as u64) << 40 | kind),
            Self::NodeParams(node) => (3, node as u64),
            Self::Boots(node) => (4, node as u64),
            Self::Disk(node) => (5, node as u64),
            Self::Turns { node, life, core } => (6, of_life(node, life) | u64::from(core)),
            Self::Mesh { node, life, pair } => {
                (7, of_life(node, life) | u64::from(pair.0) << 8 | u64::from(pair.1))
            }
            Self::Link { client, number, lot } => {
                (8, (client as u64) << 32 | u64::from(number) << 3 | lot as u64)
            }
            Self::Client(client) => (9, client),
            Self::Delivery(number) => (10, number),
            Self::LastEnd(node) => (11, node as u64),
            Self::Steward(node) => (12, node as u64),
            Self::Groups(node) => (13, node as u64),
            Self::Migration(node) => (14, node as u64),
            Self::Expiry => (15, 0),
        };
        assert!(index < 1 << 48, "kinds and what they count do not mix");
        Prng::keyed(seed, (kind << 48) | index)
    }
}

/// One life of a node, with room for two numbers of shards.
fn of_life(node: usize, life: u32) -> u64 {
    (node as u64) << 40 | u64::from(life) << 16
}

/// What the simulator draws beside plain numbers.
pub trait Draw {
    /// A place in something of `len` elements.
    fn place(&mut self, len: usize) -> usize;
    /// One of `among`.
    fn pick<T: Copy>(&mut self, among: &[T]) -> T;
    /// A number in `low..=high`, small ones as likely as large ones on a logarithmic scale.
    fn scaled(&mut self, low: u64, high: u64) -> u64;
    /// A length of time, logarithmic, in microseconds.
    fn micros(&mut self, low: u64, high: u64) -> Duration;
    /// True in one of two draws.
    fn coin(&mut self) -> bool;
}

impl Draw for Prng {
    fn place(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).expect("below a usize")
    }

    fn pick<T: Copy>(&mut self, among: &[T]) -> T {
        among[self.place(among.len())]
    }

    fn scaled(&mut self, low: u64, high: u64) -> u64 {
        assert!(low <= high, "a range has an order");
        let doublings = u64::from((high / low.max(1)).max(1).ilog2());
        let bound = low.max(1) << self.between(0, doublings);
        self.between(low, (bound.saturating_mul(2)).min(high))
    }

    fn micros(&mut self, low: u64, high: u64) -> Duration {
        Duration::from_nanos(self.scaled(low * 1_000, high * 1_000))
    }

    fn coin(&mut self) -> bool {
        self.below(2) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::{Draw, Stream};

    #[test]
    fn scaled_stays_in_its_range() {
        let mut prng = Stream::Params.of(1);
        assert!((0..10_000).all(|_| (3..=70_000).contains(&prng.scaled(3, 70_000))));
        assert!((0..10_000).any(|_| prng.scaled(3, 70_000) > 60_000));
        assert!((0..10_000).any(|_| prng.scaled(3, 70_000) == 3));
    }

    #[test]
    fn streams_are_independent() {
        let first = |stream: Stream| stream.of(7).next_u64();
        assert_ne!(first(Stream::Client(1)), first(Stream::Client(2)));
        assert_ne!(first(Stream::Client(1)), first(Stream::Disk(1)));
        assert_ne!(
            first(Stream::Turns { node: 0, life: 2, core: 0 }),
            first(Stream::Turns { node: 1, life: 2, core: 0 })
        );
        assert_eq!(first(Stream::Disk(1)), first(Stream::Disk(1)));
    }
}
