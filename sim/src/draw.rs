//! Draws from keyed streams: one generator per link, disk, client and fault kind, so that taking one thing away leaves the draws
//! of all others as they were. Must not know what is drawn.

use highwater_core::prng::Prng;
use highwater_core::time::Duration;

/// Whose generator it is.
#[derive(Debug, Clone, Copy)]
pub enum Stream {
    Params,
    Faults(u64),
    Node,
    Boots,
    Disk,
    Turns(u64),
    Mesh(u64),
    Link(u64),
    Client(u64),
}

impl Stream {
    /// The generator of this stream under `seed`.
    pub fn of(self, seed: u64) -> Prng {
        let (kind, index) = match self {
            Self::Params => (1, 0),
            Self::Faults(kind) => (2, kind),
            Self::Node => (3, 0),
            Self::Boots => (4, 0),
            Self::Disk => (5, 0),
            Self::Turns(shard) => (6, shard),
            Self::Mesh(pair) => (7, pair),
            Self::Link(link) => (8, link),
            Self::Client(client) => (9, client),
        };
        Prng::keyed(seed, (kind << 48) | index)
    }
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
        assert_ne!(first(Stream::Client(1)), first(Stream::Link(1)));
        assert_eq!(first(Stream::Link(1)), first(Stream::Link(1)));
    }
}
