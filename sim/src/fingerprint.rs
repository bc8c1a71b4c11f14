//! One number for a whole run: equal runs have equal numbers. Must not know what the bytes mean.

/// A running hash; not for secrets.
#[derive(Debug, Clone, Copy)]
pub struct Fingerprint(u64);

impl Default for Fingerprint {
    fn default() -> Self {
        Self(0x6a09_e667_f3bc_c908)
    }
}

impl Fingerprint {
    pub fn word(&mut self, word: u64) {
        let mixed = (self.0 ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ (mixed >> 29);
    }

    /// Four lanes, since one multiplication would wait for the other.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.word(bytes.len() as u64);
        let (stripes, rest) = bytes.as_chunks::<32>();
        if !stripes.is_empty() {
            let mut lanes = [Self(1), Self(2), Self(3), Self(4)];
            for stripe in stripes {
                for (lane, word) in lanes.iter_mut().zip(stripe.as_chunks::<8>().0) {
                    lane.word(u64::from_le_bytes(*word));
                }
            }
            lanes.into_iter().for_each(|lane| self.word(lane.0));
        }
        let (words, rest) = rest.as_chunks::<8>();
        for word in words {
            self.word(u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        self.word(u64::from_le_bytes(last));
    }

    pub fn value(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::Fingerprint;

    fn of(bytes: &[u8]) -> u64 {
        let mut fingerprint = Fingerprint::default();
        fingerprint.bytes(bytes);
        fingerprint.value()
    }

    #[test]
    fn every_byte_and_the_length_count() {
        assert_ne!(of(b"twelve bytes"), of(b"twelve bytez"));
        assert_ne!(of(b"abc"), of(b"abc\0"));
        assert_eq!(of(b"abc"), of(b"abc"));
    }
}
