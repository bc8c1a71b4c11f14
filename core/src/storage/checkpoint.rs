//! Where recovery of a WAL stream begins, and where it ends if the stream is closed. An accelerator and a fence: without it the
//! stream is walked from its first file. Two copies in blocks of their own, so that one that rots costs nothing; each names its stream,
//! so that a disk that answers with another file is found out.

use rkyv::rancor::Failure;
use rkyv::{Archive, Deserialize, Serialize};

use super::frame::Lsn;
use super::wrap::Envelope;
use crate::buf::Slice;
use crate::id::StreamId;
use crate::limits::BLOCK_BYTES;
use crate::mutant::{self, Mutant};

/// The file is no longer than that.
pub const CHECKPOINT_BYTES_MAX: usize = 2 * BLOCK_BYTES;

const ENVELOPE: Envelope = Envelope { magic: *b"HWCP", version: 2 };

/// The first version named no stream.
const VERSION_ONE: Envelope = Envelope { version: 1, ..ENVELOPE };

/// The part of a stream that recovery has to walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The first file that is needed, and the first frame's place in it.
    pub file: u64,
    pub at: u64,
    /// The number of the frame that stands there; all before it are destaged.
    pub lsn: u64,
    /// Set once a stream is walked after a crash: what stands behind this frame was never durable and must not come back.
    pub last_lsn: Option<u64>,
}

#[derive(Debug, Clone, Copy, Archive, Serialize, Deserialize)]
struct Named {
    stream: [u8; 16],
    checkpoint: Checkpoint,
}

impl Checkpoint {
    /// Of a stream that nothing needs any more.
    pub const RELEASED: Self = Self { file: 0, at: 0, lsn: 1, last_lsn: Some(0) };

    /// Whether the stream holds nothing that is needed.
    pub fn is_released(&self) -> bool {
        self.last_lsn.is_some_and(|last| last < self.lsn)
    }

    pub fn encode(&self, stream: StreamId) -> Slice {
        let named = Named { stream: stream.0.0, checkpoint: *self };
        let archive = rkyv::to_bytes::<Failure>(&named).expect("a plain struct is always archived");
        let copy = ENVELOPE.seal(&archive);
        let mut out = copy.to_vec();
        assert!(out.len() <= BLOCK_BYTES, "a copy fits its block");
        out.resize(BLOCK_BYTES, 0);
        out.extend_from_slice(&copy);
        Slice::from_vec(out)
    }

    /// Reads the checkpoint of this stream from untrusted bytes: the first copy that is sound. They were written as one.
    pub fn decode(bytes: &[u8], stream: StreamId) -> Option<Self> {
        let first = Self::decode_copy(bytes, stream);
        if mutant::on(Mutant::SecondCopyIgnored) {
            return first;
        }
        first.or_else(|| Self::decode_copy(bytes.get(BLOCK_BYTES..)?, stream))
    }

    fn decode_copy(bytes: &[u8], stream: StreamId) -> Option<Self> {
        let checkpoint = match ENVELOPE.open_first(bytes) {
            Some(archive) => {
                let named = rkyv::from_bytes::<Named, Failure>(&archive).ok()?;
                (named.stream == stream.0.0).then_some(named.checkpoint)?
            }
            None => rkyv::from_bytes::<Self, Failure>(&VERSION_ONE.open_first(bytes)?).ok()?,
        };
        Some(checkpoint).filter(Self::is_sound)
    }

    /// Whether frames can stand there: numbers of frames begin with 1 and never reach their limit, nor do places in files.
    fn is_sound(&self) -> bool {
        let lsns = 1..u64::MAX;
        self.at.is_multiple_of(BLOCK_BYTES as u64)
            && i64::try_from(self.at).is_ok()
            && lsns.contains(&self.lsn)
            && self.last_lsn.is_none_or(|last| last < u64::MAX)
            && !(self.is_released() && mutant::on(Mutant::ReleasedRefused))
    }

    pub fn first_lsn(&self) -> Lsn {
        Lsn(self.lsn)
    }
}

/// Reads any bytes as a checkpoint, and as the archive in one whose CRC is right; for fuzzing.
pub fn fuzz(data: &[u8]) {
    let stream = StreamId::default();
    for bytes in [data, &ENVELOPE.seal(data), &VERSION_ONE.seal(data)] {
        if let Some(checkpoint) = Checkpoint::decode(bytes, stream) {
            assert_eq!(Checkpoint::decode(&checkpoint.encode(stream), stream), Some(checkpoint));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Uuid;

    const STREAM: StreamId = StreamId(Uuid([7; 16]));

    fn decode(bytes: &[u8]) -> Option<Checkpoint> {
        Checkpoint::decode(bytes, STREAM)
    }

    #[test]
    fn a_checkpoint_of_another_stream_is_not_believed() {
        let checkpoint = Checkpoint { file: 3, at: 8192, lsn: 77, last_lsn: Some(90) };
        assert_eq!(decode(&checkpoint.encode(STREAM)), Some(checkpoint));
        assert_eq!(decode(&checkpoint.encode(StreamId(Uuid([8; 16])))), None);
    }

    #[test]
    fn a_checkpoint_of_the_first_version_is_read() {
        let checkpoint = Checkpoint { file: 3, at: 8192, lsn: 77, last_lsn: None };
        let archive = rkyv::to_bytes::<Failure>(&checkpoint).expect("a plain struct is always archived");
        assert_eq!(decode(&VERSION_ONE.seal(&archive)), Some(checkpoint));
    }

    #[test]
    fn a_checkpoint_with_any_bit_flipped_reads_from_its_other_copy() {
        let checkpoint = Checkpoint { file: 3, at: 8192, lsn: 77, last_lsn: Some(90) };
        let bytes = checkpoint.encode(STREAM).to_vec();
        let copy = bytes.len() - BLOCK_BYTES;
        assert_eq!(decode(&bytes), Some(checkpoint));
        for bit in 0..copy * 8 {
            for at in [0, BLOCK_BYTES] {
                let mut broken = bytes.clone();
                broken[at + bit / 8] ^= 1 << (bit % 8);
                assert_eq!(decode(&broken), Some(checkpoint), "bit {bit}");
                broken[BLOCK_BYTES - at + 9] ^= 1;
                assert_eq!(decode(&broken), None, "both copies are broken");
            }
        }
        assert_eq!(decode(&bytes[..copy]), Some(checkpoint), "one copy is enough");
        assert_eq!(decode(&bytes[..copy - 1]), None);
    }

    #[test]
    fn a_released_stream_is_read_back_as_released() {
        let read = decode(&Checkpoint::RELEASED.encode(STREAM));
        assert_eq!(read, Some(Checkpoint::RELEASED));
        assert!(read.is_some_and(|checkpoint| checkpoint.is_released()));
    }

    #[test]
    fn a_checkpoint_of_what_cannot_be_is_refused() {
        let sound = Checkpoint { file: 3, at: 8192, lsn: 77, last_lsn: Some(90) };
        for checkpoint in [
            Checkpoint { at: 8191, ..sound },
            Checkpoint { at: u64::MAX - 4095, ..sound },
            Checkpoint { lsn: 0, ..sound },
            Checkpoint { lsn: u64::MAX, ..sound },
            Checkpoint { last_lsn: Some(u64::MAX), ..sound },
        ] {
            assert_eq!(decode(&checkpoint.encode(STREAM)), None, "{checkpoint:?}");
        }
    }
}
