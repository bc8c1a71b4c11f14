//! CRC-32C, as Kafka's batches carry it, and CRC-32 for gzip.

/// The CRC-32C of `bytes`.
pub fn crc32c(bytes: &[u8]) -> u32 {
    crc_fast::crc32_iscsi(bytes)
}

/// The CRC-32 of `bytes`, as in a gzip trailer.
pub(super) fn crc32(bytes: &[u8]) -> u32 {
    crc_fast::crc32_iso_hdlc(bytes)
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::{crc32, crc32c};
    use crate::prng::Prng;

    fn bit_by_bit(polynomial: u32, bytes: &[u8]) -> u32 {
        let mut crc = u32::MAX;
        for &byte in bytes {
            crc ^= u32::from(byte);
            for _ in 0..8 {
                crc = if crc & 1 == 1 { (crc >> 1) ^ polynomial } else { crc >> 1 };
            }
        }
        !crc
    }

    #[test]
    fn both_match_their_definition_at_every_length_and_alignment() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        let mut bytes = vec![0; 20_000];
        Prng::new(7).fill(&mut bytes);
        for len in (0..600).chain([1023, 1024, 1025, 4096, 19_000]) {
            let start = len % 64;
            let part = &bytes[start..start + len];
            assert_eq!(crc32c(part), bit_by_bit(0x82f6_3b78, part), "length {len}");
            assert_eq!(crc32(part), bit_by_bit(0xedb8_8320, part), "length {len}");
        }
    }
}
