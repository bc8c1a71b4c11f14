//! Who a data directory belongs to. Written once, when the directory is formatted; versioned by hand, as it must outlive all else.

use alloc::vec::Vec;

use crate::buf::Slice;
use crate::id::{NodeId, Uuid};

const MAGIC: [u8; 4] = *b"HWSB";
const VERSION: u32 = 1;
const BYTES: usize = 48;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Superblock {
    pub cluster: Uuid,
    pub node: NodeId,
    /// This directory for ever: a wiped disk is another directory (KIP-858).
    pub directory: Uuid,
}

/// Why bytes are no superblock of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SuperblockError {
    Corrupt,
    /// A format that this version does not know.
    Version(u32),
}

impl Superblock {
    pub fn encode(&self) -> Slice {
        let mut out = Vec::with_capacity(BYTES);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&self.cluster.0);
        out.extend_from_slice(&self.directory.0);
        out.extend_from_slice(&self.node.0.to_le_bytes());
        let crc = crc32fast::hash(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        assert!(out.len() == BYTES, "the layout is fixed");
        Slice::from_vec(out)
    }

    /// Reads a superblock from untrusted bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, SuperblockError> {
        let bytes: &[u8; BYTES] = bytes.try_into().map_err(|_| SuperblockError::Corrupt)?;
        let (body, crc) = bytes.split_at(BYTES - 4);
        if body[..4] != MAGIC || crc32fast::hash(body).to_le_bytes() != crc {
            return Err(SuperblockError::Corrupt);
        }
        let version = u32::from_le_bytes(body[4..8].try_into().expect("four bytes"));
        if version != VERSION {
            return Err(SuperblockError::Version(version));
        }
        Ok(Self {
            cluster: Uuid(body[8..24].try_into().expect("sixteen bytes")),
            directory: Uuid(body[24..40].try_into().expect("sixteen bytes")),
            node: NodeId(i32::from_le_bytes(body[40..44].try_into().expect("four bytes"))),
        })
    }
}

/// Reads any bytes as a superblock, as they are and with the CRC that makes them whole; for fuzzing.
pub fn fuzz(data: &[u8]) {
    if let Ok(superblock) = Superblock::decode(data) {
        assert_eq!(superblock.encode().as_slice(), data);
    }
    let Ok(mut sealed) = <[u8; BYTES]>::try_from(data) else { return };
    let crc = crc32fast::hash(&sealed[..BYTES - 4]);
    sealed[BYTES - 4..].copy_from_slice(&crc.to_le_bytes());
    if let Ok(superblock) = Superblock::decode(&sealed) {
        assert_eq!(superblock.encode().as_slice(), sealed);
    }
}

#[cfg(test)]
mod tests {
    use super::{Superblock, SuperblockError};
    use crate::id::{NodeId, Uuid};

    #[test]
    fn a_superblock_with_any_bit_flipped_is_refused() {
        let superblock = Superblock { cluster: Uuid([1; 16]), node: NodeId(7), directory: Uuid([2; 16]) };
        let bytes = superblock.encode().to_vec();
        assert_eq!(Superblock::decode(&bytes), Ok(superblock));
        for bit in 0..bytes.len() * 8 {
            let mut broken = bytes.clone();
            broken[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Superblock::decode(&broken), Err(SuperblockError::Corrupt), "bit {bit}");
        }
    }
}
