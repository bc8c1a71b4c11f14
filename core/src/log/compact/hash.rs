//! SipHash-2-4 with 128 bits of output: what stands for a key in the map of a cleaning. Two keys with one hash would cost the older
//! one its value. At 128 bits that does not happen by chance, and the secret with which each cleaning begins leaves nobody a way to
//! make it happen.

/// The secret of one cleaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Secret(pub u64, pub u64);

struct State([u64; 4]);

impl State {
    const fn round(&mut self) {
        let [a, b, c, d] = self.0;
        let (a, b) = (a.wrapping_add(b), b.rotate_left(13));
        let (c, d) = (c.wrapping_add(d), d.rotate_left(16));
        let (b, d) = (b ^ a, d ^ c);
        let a = a.rotate_left(32);
        let (c, b) = (c.wrapping_add(b), b.rotate_left(17));
        let (a, d) = (a.wrapping_add(d), d.rotate_left(21));
        self.0 = [a, b ^ c, c.rotate_left(32), d ^ a];
    }

    const fn absorb(&mut self, word: u64) {
        self.0[3] ^= word;
        self.round();
        self.round();
        self.0[0] ^= word;
    }

    const fn squeeze(&mut self) -> u64 {
        let mut count = 0;
        while count < 4 {
            self.round();
            count += 1;
        }
        self.0[0] ^ self.0[1] ^ self.0[2] ^ self.0[3]
    }
}

pub(super) fn hash(Secret(one, two): Secret, bytes: &[u8]) -> (u64, u64) {
    let mut state = State([
        one ^ 0x736f_6d65_7073_6575,
        two ^ 0x646f_7261_6e64_6f6d ^ 0xee,
        one ^ 0x6c79_6765_6e65_7261,
        two ^ 0x7465_6462_7974_6573,
    ]);
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        state.absorb(u64::from_le_bytes(*word));
    }
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    last[7] = bytes.len().to_le_bytes()[0];
    state.absorb(u64::from_le_bytes(last));
    state.0[2] ^= 0xee;
    let low = state.squeeze();
    state.0[1] ^= 0xdd;
    (low, state.squeeze())
}

#[cfg(test)]
mod tests {
    use super::{Secret, hash};

    /// From the paper's reference implementation.
    #[test]
    fn hash_matches_its_definition() {
        let key = Secret(0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908);
        let of = |bytes: &[u8]| {
            let (low, high) = hash(key, bytes);
            u128::from(low.swap_bytes()) << 64 | u128::from(high.swap_bytes())
        };
        assert_eq!(of(&[]), 0xa381_7f04_ba25_a8e6_6df6_7214_c755_0293);
        assert_eq!(of(&[0]), 0xda87_c1d8_6b99_af44_3476_5911_9b22_fc45);
    }

    #[test]
    fn any_byte_changes_the_hash() {
        let whole: [u8; 20] = core::array::from_fn(|place| u8::try_from(place).unwrap());
        for place in 0..20 {
            let mut other = whole;
            other[place] ^= 1;
            assert_ne!(hash(Secret(1, 2), &whole), hash(Secret(1, 2), &other));
            assert_ne!(hash(Secret(1, 2), &whole), hash(Secret(1, 2), &whole[..place]));
        }
        assert_ne!(hash(Secret(1, 2), &whole), hash(Secret(1, 3), &whole));
    }
}
