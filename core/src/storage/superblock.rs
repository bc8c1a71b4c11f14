//! Who a data directory belongs to. Two copies in blocks of their own, so that one that rots costs nothing; versioned by hand, as
//! it must outlive all else.

use alloc::vec::Vec;

use crate::buf::Slice;
use crate::id::{NodeId, Uuid};
use crate::limits::BLOCK_BYTES;
use crate::mutant::{self, Mutant};

const MAGIC: [u8; 4] = *b"HWSB";
const VERSION: u32 = 2;
/// One copy: magic, version, cluster, directory, node, generation, CRC-32.
const COPY_BYTES: usize = 56;
const COPIES: usize = 2;
/// Version 1 was one copy, without a generation, and nothing behind it.
const VERSION_ONE: u32 = 1;
const VERSION_ONE_BYTES: usize = 48;

/// The whole file.
pub const SUPERBLOCK_BYTES: usize = COPIES * BLOCK_BYTES;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Superblock {
    pub cluster: Uuid,
    pub node: NodeId,
    /// This directory for ever: a wiped disk is another directory (KIP-858).
    pub directory: Uuid,
    /// Counts how often it was written: of two copies the newer one holds.
    pub generation: u64,
}

/// Why bytes are no superblock of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SuperblockError {
    Corrupt,
    /// A format that this version does not know.
    Version(u32),
}

/// Whether both copies are there and say the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Copies {
    Alike,
    /// One is damaged, older, or was never written: they are to be written again.
    Lacking,
}

impl Superblock {
    pub fn encode(&self) -> Slice {
        let mut out = Vec::with_capacity(SUPERBLOCK_BYTES);
        for copy in 1..=COPIES {
            let from = out.len();
            out.extend_from_slice(&MAGIC);
            out.extend_from_slice(&VERSION.to_le_bytes());
            out.extend_from_slice(&self.cluster.0);
            out.extend_from_slice(&self.directory.0);
            out.extend_from_slice(&self.node.0.to_le_bytes());
            out.extend_from_slice(&self.generation.to_le_bytes());
            let crc = crc32fast::hash(&out[from..]);
            out.extend_from_slice(&crc.to_le_bytes());
            assert!(out.len() == from + COPY_BYTES, "the layout is fixed");
            out.resize(copy * BLOCK_BYTES, 0);
        }
        Slice::from_vec(out)
    }

    /// Reads a superblock from untrusted bytes: the newest copy that is sound.
    pub fn decode(bytes: &[u8]) -> Result<(Self, Copies), SuperblockError> {
        let mut best: Result<Self, SuperblockError> = Err(SuperblockError::Corrupt);
        let mut alike = true;
        let copies = if mutant::on(Mutant::SecondCopyIgnored) { 1 } else { COPIES };
        for copy in 0..copies {
            let found = Self::decode_copy(bytes.get(copy * BLOCK_BYTES..).unwrap_or_default());
            alike &= copy == 0 || found == best;
            best = match (best, found) {
                (Ok(one), Ok(two)) if one.generation >= two.generation => Ok(one),
                (Ok(one), Err(_)) => Ok(one),
                // A copy of a format to come says more than one that is broken.
                (Err(SuperblockError::Version(version)), Err(_)) => Err(SuperblockError::Version(version)),
                (_, found) => found,
            };
        }
        best.map(|superblock| (superblock, if alike { Copies::Alike } else { Copies::Lacking }))
    }

    fn decode_copy(bytes: &[u8]) -> Result<Self, SuperblockError> {
        let version = bytes.get(4..8).map_or(0, |field| u32::from_le_bytes(array(field)));
        let len = if version == VERSION_ONE { VERSION_ONE_BYTES } else { COPY_BYTES };
        let (body, crc) = bytes.get(..len).ok_or(SuperblockError::Corrupt)?.split_at(len - 4);
        if body[..4] != MAGIC || crc32fast::hash(body).to_le_bytes() != crc {
            return Err(SuperblockError::Corrupt);
        }
        if version != VERSION && version != VERSION_ONE {
            return Err(SuperblockError::Version(version));
        }
        let generation = if version == VERSION { u64::from_le_bytes(array(&body[44..])) } else { 0 };
        Ok(Self {
            cluster: Uuid(array(&body[8..])),
            directory: Uuid(array(&body[24..])),
            node: NodeId(i32::from_le_bytes(array(&body[40..]))),
            generation,
        })
    }
}

fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes[..N].try_into().expect("the caller has N bytes")
}

/// Reads any bytes as a superblock, as they are and with the CRC that makes a copy whole; for fuzzing.
pub fn fuzz(data: &[u8]) {
    let mut bytes = data.to_vec();
    check(&bytes);
    if let Some(crc) = bytes.get(..COPY_BYTES - 4).map(crc32fast::hash) {
        bytes.resize(bytes.len().max(COPY_BYTES), 0);
        bytes[COPY_BYTES - 4..COPY_BYTES].copy_from_slice(&crc.to_le_bytes());
        check(&bytes);
    }
}

fn check(bytes: &[u8]) {
    if let Ok((superblock, _)) = Superblock::decode(bytes) {
        assert_eq!(Superblock::decode(&superblock.encode()), Ok((superblock, Copies::Alike)));
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::{BLOCK_BYTES, COPY_BYTES, Copies, Superblock, SuperblockError, VERSION_ONE};
    use crate::id::{NodeId, Uuid};

    const SUPERBLOCK: Superblock =
        Superblock { cluster: Uuid([1; 16]), node: NodeId(7), directory: Uuid([2; 16]), generation: 3 };

    #[test]
    fn a_superblock_with_any_bit_flipped_reads_from_its_other_copy() {
        let bytes = SUPERBLOCK.encode().to_vec();
        assert_eq!(Superblock::decode(&bytes), Ok((SUPERBLOCK, Copies::Alike)));
        for copy in [0, BLOCK_BYTES] {
            for bit in 0..COPY_BYTES * 8 {
                let mut broken = bytes.clone();
                broken[copy + bit / 8] ^= 1 << (bit % 8);
                assert_eq!(Superblock::decode(&broken), Ok((SUPERBLOCK, Copies::Lacking)), "bit {bit}");
                broken[BLOCK_BYTES - copy + 9] ^= 1;
                assert!(Superblock::decode(&broken).is_err(), "both copies are broken");
            }
        }
    }

    #[test]
    fn the_newer_of_two_copies_holds() {
        let older = SUPERBLOCK.encode().to_vec();
        let newer = Superblock { generation: 4, node: NodeId(8), ..SUPERBLOCK };
        for place in [0, BLOCK_BYTES] {
            let mut mixed = older.clone();
            mixed[place..place + COPY_BYTES].copy_from_slice(&newer.encode()[..COPY_BYTES]);
            assert_eq!(Superblock::decode(&mixed), Ok((newer, Copies::Lacking)));
        }
    }

    #[test]
    fn one_copy_or_a_short_file_is_enough_and_none_is_not() {
        let bytes = SUPERBLOCK.encode();
        assert_eq!(Superblock::decode(&bytes[..COPY_BYTES]), Ok((SUPERBLOCK, Copies::Lacking)));
        assert_eq!(Superblock::decode(&bytes[..COPY_BYTES - 1]), Err(SuperblockError::Corrupt));
        assert_eq!(Superblock::decode(&[]), Err(SuperblockError::Corrupt));
    }

    #[test]
    fn the_first_version_is_still_read_and_a_later_one_is_named() {
        let sealed = |version: u32, len: usize| {
            let mut old: Vec<u8> = SUPERBLOCK.encode()[..44].to_vec();
            old[4..8].copy_from_slice(&version.to_le_bytes());
            old.resize(len - 4, 0);
            let crc = crc32fast::hash(&old);
            old.extend_from_slice(&crc.to_le_bytes());
            old
        };
        let old = Superblock { generation: 0, ..SUPERBLOCK };
        assert_eq!(Superblock::decode(&sealed(VERSION_ONE, 48)), Ok((old, Copies::Lacking)));
        assert_eq!(Superblock::decode(&sealed(9, COPY_BYTES)), Err(SuperblockError::Version(9)));
    }
}
