//! Where a log begins after records of its first segments were deleted. Segments tell of whole segments that are gone; only this
//! file tells of a start within one. Two copies in blocks of their own, so that one that rots costs nothing.

use rkyv::rancor::Failure;
use rkyv::{Archive, Deserialize, Serialize};

use super::wrap::Envelope;
use crate::buf::Slice;
use crate::id::Offset;
use crate::limits::BLOCK_BYTES;
use crate::mutant::{self, Mutant};

/// The file is no longer than that.
pub const LOG_START_BYTES_MAX: usize = 2 * BLOCK_BYTES;

const ENVELOPE: Envelope = Envelope { magic: *b"HWLS", version: 1 };

#[derive(Debug, Clone, Copy, PartialEq, Eq, Archive, Serialize, Deserialize)]
struct Content {
    log_start: i64,
}

pub fn encode(log_start: Offset) -> Slice {
    let content = Content { log_start: log_start.0 };
    let archive = rkyv::to_bytes::<Failure>(&content).expect("a plain struct is always archived");
    let copy = ENVELOPE.seal(&archive);
    let mut out = copy.to_vec();
    assert!(out.len() <= BLOCK_BYTES, "a copy fits its block");
    out.resize(BLOCK_BYTES, 0);
    out.extend_from_slice(&copy);
    Slice::from_vec(out)
}

/// Reads untrusted bytes: the first copy that is sound. They were written as one.
pub fn decode(bytes: &[u8]) -> Option<Offset> {
    let first = decode_copy(bytes);
    if mutant::on(Mutant::SecondCopyIgnored) {
        return first;
    }
    first.or_else(|| decode_copy(bytes.get(BLOCK_BYTES..)?))
}

fn decode_copy(bytes: &[u8]) -> Option<Offset> {
    let archive = ENVELOPE.open_first(bytes)?;
    let content = rkyv::from_bytes::<Content, Failure>(&archive).ok()?;
    (0..i64::MAX).contains(&content.log_start).then_some(Offset(content.log_start))
}

/// Reads any bytes as a log start, and as the archive in one whose CRC is right; for fuzzing.
pub fn fuzz(data: &[u8]) {
    for found in [decode(data), decode(&ENVELOPE.seal(data))].into_iter().flatten() {
        assert_eq!(decode(&encode(found)), Some(found));
    }
}

#[cfg(test)]
mod tests {
    use super::{decode, encode};
    use crate::id::Offset;
    use crate::limits::BLOCK_BYTES;

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
