//! The project's own random numbers: xoshiro256** seeded by splitmix64. Output is pinned by tests, because recorded seeds
//! must mean the same run for ever. Not for secrets.

/// A seeded generator. The same seed gives the same numbers on every machine and in every build.
#[derive(Debug, Clone)]
pub struct Prng {
    state: [u64; 4],
}

const fn splitmix(seed: u64) -> (u64, u64) {
    let next = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = next;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (next, z ^ (z >> 31))
}

impl Prng {
    pub const fn new(seed: u64) -> Self {
        let (s, a) = splitmix(seed);
        let (s, b) = splitmix(s);
        let (s, c) = splitmix(s);
        let (_, d) = splitmix(s);
        Self { state: [a, b, c, d] }
    }

    /// An independent stream for one `key` (a link, a disk, a client), so that draws of one do not shift those of another.
    pub const fn keyed(seed: u64, key: u64) -> Self {
        let (_, mixed) = splitmix(key ^ 0x5bf0_3635_dcd1_2b39);
        Self::new(seed ^ mixed)
    }

    pub const fn next_u64(&mut self) -> u64 {
        let result = self.state[1].wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let t = self.state[1] << 17;
        self.state[2] ^= self.state[0];
        self.state[3] ^= self.state[1];
        self.state[1] ^= self.state[2];
        self.state[0] ^= self.state[3];
        self.state[2] ^= t;
        self.state[3] = self.state[3].rotate_left(45);
        result
    }

    /// A number below `bound`; `bound` must not be zero. The bias is below 2⁻⁶⁴ × bound and does not matter here.
    pub const fn below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0, "a draw needs at least one outcome");
        let wide = (self.next_u64() as u128) * (bound as u128);
        (wide >> 64) as u64
    }

    /// A number in `low..=high`.
    pub const fn between(&mut self, low: u64, high: u64) -> u64 {
        assert!(low <= high, "an empty range has no numbers");
        if high - low == u64::MAX {
            return self.next_u64();
        }
        low + self.below(high - low + 1)
    }

    /// True in `per_million` of a million draws.
    pub const fn chance(&mut self, per_million: u64) -> bool {
        self.below(1_000_000) < per_million
    }

    pub fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let word = self.next_u64().to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Prng;

    #[test]
    fn output_is_pinned() {
        let mut prng = Prng::new(42);
        let drawn = [prng.next_u64(), prng.next_u64(), prng.next_u64()];
        assert_eq!(drawn, [0x1578_0b2e_0c2e_c716, 0x6104_d986_6d11_3a7e, 0xae17_5332_39e4_99a1]);
    }

    #[test]
    fn below_stays_below() {
        let mut prng = Prng::new(1);
        assert!((0..10_000).all(|_| prng.below(7) < 7));
        assert!((0..10_000).all(|_| (3..=5).contains(&prng.between(3, 5))));
    }

    #[test]
    fn keyed_streams_differ() {
        assert_ne!(Prng::keyed(1, 1).next_u64(), Prng::keyed(1, 2).next_u64());
    }
}
