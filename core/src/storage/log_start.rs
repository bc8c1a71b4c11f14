//! Where a log begins after records of its first segments were deleted. Segments tell of whole segments that are gone; only this
//! file tells of a start within one. Two copies in blocks of their own, so that one that rots costs nothing; each names its
//! partition, so that a disk that answers with another file is found out.

use rkyv::rancor::Failure;
use rkyv::{Archive, Deserialize, Serialize};

use super::wrap::Envelope;
use crate::buf::Slice;
use crate::id::{Offset, PartitionId};
use crate::limits::BLOCK_BYTES;
use crate::mutant::{self, Mutant};

/// The file is no longer than that.
pub const LOG_START_BYTES_MAX: usize = 2 * BLOCK_BYTES;

const ENVELOPE: Envelope = Envelope { magic: *b"HWLS", version: 2 };

/// The first version named no partition.
const VERSION_ONE: Envelope = Envelope { version: 1, ..ENVELOPE };

#[derive(Debug, Clone, Copy, PartialEq, Eq, Archive, Serialize, Deserialize)]
struct Content {
    log_start: i64,
}

#[derive(Debug, Clone, Copy, Archive, Serialize, Deserialize)]
struct Named {
    topic: [u8; 16],
    partition: i32,
    content: Content,
}

pub fn encode(log_start: Offset, partition: PartitionId) -> Slice {
    let content = Content { log_start: log_start.0 };
    let named = Named { topic: partition.topic.0.0, partition: partition.index, content };
    let archive = rkyv::to_bytes::<Failure>(&named).expect("a plain struct is always archived");
    let copy = ENVELOPE.seal(&archive);
    let mut out = copy.to_vec();
    assert!(out.len() <= BLOCK_BYTES, "a copy fits its block");
    out.resize(BLOCK_BYTES, 0);
    out.extend_from_slice(&copy);
    Slice::from_vec(out)
}

/// Reads the start of this partition from untrusted bytes: the first copy that is sound. They were written as one.
pub fn decode(bytes: &[u8], partition: PartitionId) -> Option<Offset> {
    let first = decode_copy(bytes, partition);
    if mutant::on(Mutant::SecondCopyIgnored) {
        return first;
    }
    first.or_else(|| decode_copy(bytes.get(BLOCK_BYTES..)?, partition))
}

fn decode_copy(bytes: &[u8], partition: PartitionId) -> Option<Offset> {
    let content = match ENVELOPE.open_first(bytes) {
        Some(archive) => {
            let named = rkyv::from_bytes::<Named, Failure>(&archive).ok()?;
            let is_named = (named.topic, named.partition) == (partition.topic.0.0, partition.index);
            is_named.then_some(named.content)?
        }
        None => rkyv::from_bytes::<Content, Failure>(&VERSION_ONE.open_first(bytes)?).ok()?,
    };
    (0..i64::MAX).contains(&content.log_start).then_some(Offset(content.log_start))
}

/// Reads any bytes as a log start, and as the archive in one whose CRC is right; for fuzzing.
pub fn fuzz(data: &[u8]) {
    let partition = PartitionId::default();
    for bytes in [data, &ENVELOPE.seal(data), &VERSION_ONE.seal(data)] {
        if let Some(found) = decode(bytes, partition) {
            assert_eq!(decode(&encode(found, partition), partition), Some(found));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{TopicId, Uuid};

    const PARTITION: PartitionId = PartitionId { topic: TopicId(Uuid([7; 16])), index: 3 };

    fn encode(start: Offset) -> Slice {
        super::encode(start, PARTITION)
    }

    fn decode(bytes: &[u8]) -> Option<Offset> {
        super::decode(bytes, PARTITION)
    }

    #[test]
    fn start_of_another_partition_is_not_believed() {
        let bytes = encode(Offset(4_711));
        assert_eq!(super::decode(&bytes, PartitionId { index: 4, ..PARTITION }), None);
        assert_eq!(super::decode(&bytes, PartitionId { topic: TopicId(Uuid([8; 16])), ..PARTITION }), None);
    }

    #[test]
    fn start_of_the_first_version_is_read() {
        let archive = rkyv::to_bytes::<Failure>(&Content { log_start: 4_711 }).expect("a plain struct");
        assert_eq!(decode(&VERSION_ONE.seal(&archive)), Some(Offset(4_711)));
    }

    #[test]
    fn log_start_survives_damage_to_one_copy() {
        let bytes = encode(Offset(4_711));
        assert_eq!(decode(&bytes), Some(Offset(4_711)));
        for damaged in [0, 9, 17, BLOCK_BYTES, BLOCK_BYTES + 17] {
            let mut bytes = bytes.to_vec();
            bytes[damaged] ^= 1;
            assert_eq!(decode(&bytes), Some(Offset(4_711)), "byte {damaged}");
        }
        let mut both = bytes.to_vec();
        both[17] ^= 1;
        both[BLOCK_BYTES + 17] ^= 1;
        assert_eq!(decode(&both), None);
        assert_eq!(decode(&bytes[..20]), None);
        assert_eq!(decode(&encode(Offset(-1))), None, "no log starts there");
    }
}
