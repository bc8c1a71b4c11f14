//! Which shard owns a partition: a pure rendezvous hash, so that no shard number is ever written down and the count of shards may
//! change at a restart.

use crate::id::{PartitionId, ShardId};

/// The owner of a partition among `shards` shards. The cluster's metadata is always on shard 0.
pub fn owner(partition: PartitionId, shards: u16) -> ShardId {
    assert!(shards > 0, "a node has at least one shard");
    if partition == PartitionId::METADATA {
        return ShardId(0);
    }
    let ([high, low], _) = partition.topic.0.0.as_chunks::<8>() else {
        unreachable!("sixteen bytes are twice eight")
    };
    let seed = mix(mix(u64::from_be_bytes(*high)) ^ u64::from_be_bytes(*low))
        ^ u64::from(partition.index.cast_unsigned());
    let best = (0..shards).max_by_key(|&shard| mix(mix(seed) ^ u64::from(shard)));
    ShardId(best.expect("there is a shard"))
}

/// The finalizer of splitmix64: every bit of the input moves every bit of the output.
const fn mix(value: u64) -> u64 {
    let z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::owner;
    use crate::id::{PartitionId, ShardId, TopicId, Uuid};

    fn partitions() -> impl Iterator<Item = PartitionId> {
        (0..20_000_i32).map(|n| PartitionId { topic: TopicId(Uuid([7; 16])), index: n })
    }

    #[test]
    fn metadata_is_on_shard_0() {
        assert!((1..64).all(|shards| owner(PartitionId::METADATA, shards) == ShardId(0)));
    }

    #[test]
    fn partitions_spread_evenly() {
        let mut counts = [0_u32; 8];
        for partition in partitions() {
            counts[usize::from(owner(partition, 8).0)] += 1;
        }
        assert!(counts.iter().all(|&count| (2_300..2_700).contains(&count)), "{counts:?}");
    }

    #[test]
    fn a_further_shard_takes_only_what_becomes_its_own() {
        let moved = partitions().filter(|&p| owner(p, 4) != owner(p, 5));
        let mut count = 0;
        for partition in moved {
            assert_eq!(owner(partition, 5), ShardId(4), "nothing moves between the old shards");
            count += 1;
        }
        assert!((3_700..4_300).contains(&count), "a fifth moves: {count}");
    }
}
