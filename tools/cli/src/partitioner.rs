//! Which partition a record goes to, as Kafka's own clients choose it: by murmur2 of the key, so that all clients agree.

/// Without a key, records take turns: `turn` counts them.
pub(crate) fn partition(key: Option<&[u8]>, turn: u64, partitions: i32) -> i32 {
    let count = u64::try_from(partitions).expect("a topic has a partition at least");
    let place = match key {
        Some(key) => u64::from(murmur2(key) & 0x7fff_ffff),
        None => turn,
    };
    i32::try_from(place % count).expect("less than the count, which is an i32")
}

/// 32-bit MurmurHash2 with Kafka's seed.
fn murmur2(bytes: &[u8]) -> u32 {
    const MULTIPLIER: u32 = 0x5bd1_e995;
    const SEED: u32 = 0x9747_b28c;
    let mix = |k: u32| {
        let k = k.wrapping_mul(MULTIPLIER);
        (k ^ (k >> 24)).wrapping_mul(MULTIPLIER)
    };
    let len = u32::try_from(bytes.len()).expect("a key is far below 4 GiB");
    let (words, tail) = bytes.as_chunks::<4>();
    let hash = words
        .iter()
        .fold(SEED ^ len, |hash, word| hash.wrapping_mul(MULTIPLIER) ^ mix(u32::from_le_bytes(*word)));
    let hash = if tail.is_empty() {
        hash
    } else {
        let last = tail.iter().rev().fold(0, |last, &byte| (last << 8) | u32::from(byte));
        (hash ^ last).wrapping_mul(MULTIPLIER)
    };
    let hash = (hash ^ (hash >> 13)).wrapping_mul(MULTIPLIER);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::{murmur2, partition};

    #[test]
    fn hash_is_that_of_kafka() {
        for (key, hash) in [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(key.as_bytes()).cast_signed(), hash, "{key}");
        }
    }

    #[test]
    fn records_without_a_key_take_turns() {
        let places: Vec<i32> = (0..5).map(|turn| partition(None, turn, 3)).collect();
        assert_eq!(places, [0, 1, 2, 0, 1]);
        assert_eq!(partition(Some(b"abc"), 0, 1), 0);
    }
}
