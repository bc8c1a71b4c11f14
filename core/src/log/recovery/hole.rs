//! Stand-ins for bytes that are lost: batches whose headers tell which offsets were there and whose CRC is wrong on purpose. They keep
//! the places of all that follows, cannot be served, and are found again as lost by the next recovery.

use alloc::vec;
use alloc::vec::Vec;

use crate::batch::{HEADER_BYTES, crc32c, patch_offset_and_epoch};
use crate::buf::Slice;
use crate::id::LeaderEpoch;
use crate::limits::HOLE_BYTES_MAX;
use crate::log::Extent;

const LENGTH: usize = 8;
/// What the length field does not count.
const PREFIX_BYTES: i32 = 12;
const MAGIC: usize = 16;
const CRC: usize = 17;
const ATTRIBUTES: usize = 21;
pub(super) const LAST_OFFSET_DELTA: usize = 23;
pub(super) const COUNT: usize = 57;

/// One stand-in.
pub(super) struct Hole {
    pub(super) extent: Extent,
    pub(super) bytes: Slice,
}

/// Stand-ins of together `len` bytes for `extent`: as many as keep each short, as far as there are offsets for them.
pub(super) fn holes(extent: Extent, len: u32, epoch: LeaderEpoch) -> Vec<Hole> {
    let mut holes = Vec::new();
    let (mut base, mut left) = (extent.base, len);
    while left > 0 {
        let header = u32::try_from(HEADER_BYTES).expect("a header is short");
        let more = base < extent.last && left > HOLE_BYTES_MAX + header;
        let (last, take) = if more { (base, HOLE_BYTES_MAX) } else { (extent.last, left) };
        let extent = Extent { base, last };
        holes.push(Hole { extent, bytes: Slice::from_vec(stand_in(extent, take as usize, epoch)) });
        base = last.next();
        left -= take;
    }
    holes
}

fn stand_in(extent: Extent, len: usize, epoch: LeaderEpoch) -> Vec<u8> {
    let mut bytes = vec![0; len];
    let counted = i32::try_from(len).ok().and_then(|len| len.checked_sub(PREFIX_BYTES));
    let delta = i32::try_from(extent.last.since(extent.base)).ok();
    let (Some(counted), Some(delta), true) = (counted, delta, len >= HEADER_BYTES) else { return bytes };
    patch_offset_and_epoch(&mut bytes, extent.base, epoch);
    bytes[LENGTH..LENGTH + 4].copy_from_slice(&counted.to_be_bytes());
    bytes[MAGIC] = 2;
    bytes[LAST_OFFSET_DELTA..LAST_OFFSET_DELTA + 4].copy_from_slice(&delta.to_be_bytes());
    let wrong = !crc32c(&bytes[ATTRIBUTES..]);
    bytes[CRC..ATTRIBUTES].copy_from_slice(&wrong.to_be_bytes());
    bytes
}

/// Whether bytes are a stand-in as it was made.
pub fn is_stand_in(bytes: &[u8]) -> bool {
    match bytes.get(CRC..ATTRIBUTES) {
        Some(crc) if bytes.len() >= HEADER_BYTES => crc == (!crc32c(&bytes[ATTRIBUTES..])).to_be_bytes(),
        Some(_) | None => bytes.iter().all(|byte| *byte == 0),
    }
}
