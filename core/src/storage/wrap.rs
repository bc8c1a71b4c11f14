//! The envelope of small local files that can be made again: magic, versions, length and CRC-32 around an rkyv archive. The CRC
//! is checked before the archive is looked at, and the archive is validated before it is used.

use alloc::vec::Vec;

use crate::buf::Slice;

const HEAD_BYTES: usize = 16;
const RKYV_MAJOR: u8 = 0;
const RKYV_MINOR: u8 = 8;

/// Which file an envelope belongs to, and the version of what it holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Envelope {
    pub(super) magic: [u8; 4],
    pub(super) version: u8,
}

impl Envelope {
    pub(super) fn seal(self, archive: &[u8]) -> Slice {
        let len = u32::try_from(archive.len()).expect("small files are below 4 GiB");
        let mut out = Vec::with_capacity(HEAD_BYTES + archive.len());
        out.extend_from_slice(&self.magic);
        out.extend_from_slice(&[self.version, RKYV_MAJOR, RKYV_MINOR, 0]);
        out.extend_from_slice(&len.to_le_bytes());
        out.extend_from_slice(&crc(&out[..12], archive).to_le_bytes());
        out.extend_from_slice(archive);
        Slice::from_vec(out)
    }

    /// The archive at the start of `bytes`, whatever follows it.
    pub(super) fn open_first(self, bytes: &[u8]) -> Option<rkyv::util::AlignedVec> {
        let field = bytes.get(8..12)?.try_into().ok()?;
        let len = usize::try_from(u32::from_le_bytes(field)).ok()?.checked_add(HEAD_BYTES)?;
        self.open(bytes.get(..len)?)
    }

    /// How many bytes the file at the start of `bytes` says that it takes, if it is one of these.
    pub(super) fn announced(self, bytes: &[u8]) -> Option<usize> {
        let head = bytes.get(..HEAD_BYTES)?;
        let named = head[..4] == self.magic && head[4..8] == [self.version, RKYV_MAJOR, RKYV_MINOR, 0];
        let len = u32::from_le_bytes(head[8..12].try_into().ok()?);
        usize::try_from(len).ok()?.checked_add(HEAD_BYTES).filter(|_| named)
    }

    /// The archive within, in memory of its own so that it is aligned; `None` for anything but what [`Self::seal`] made.
    pub(super) fn open(self, bytes: &[u8]) -> Option<rkyv::util::AlignedVec> {
        let head = bytes.get(..HEAD_BYTES)?;
        let archive = &bytes[HEAD_BYTES..];
        let named = head[..4] == self.magic && head[4..8] == [self.version, RKYV_MAJOR, RKYV_MINOR, 0];
        let len = u32::from_le_bytes(head[8..12].try_into().ok()?);
        let sum = u32::from_le_bytes(head[12..16].try_into().ok()?);
        if !named || len as usize != archive.len() || sum != crc(&head[..12], archive) {
            return None;
        }
        let mut aligned = rkyv::util::AlignedVec::with_capacity(archive.len());
        aligned.extend_from_slice(archive);
        Some(aligned)
    }
}

fn crc(head: &[u8], archive: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(head);
    hasher.update(archive);
    hasher.finalize()
}
