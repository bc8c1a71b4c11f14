//! Decompression, bounded: each decoder writes into a vector of the caller, never beyond a limit, and takes exactly one stream. And
//! compression, of what the broker itself writes anew.
//!
//! What a stream claims about itself is compared, never allocated. What consumers could not read again is refused: bytes behind
//! the stream, a second stream, and the features of a framing that Kafka's own clients lack.

mod gzip;
mod lz4;
mod snappy;
mod zstd;

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use super::compress::Encoding;
use super::error::{BatchError, StreamFault};
use crate::limits::{
    DECOMPRESSED_BYTES_FREE, DECOMPRESSED_BYTES_MAX, DECOMPRESSION_RATIO_MAX, SCRATCH_BYTES_KEPT,
};

/// How the records of a batch are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

impl Codec {
    /// The codec with this number in the attributes.
    pub const fn from_id(id: u8) -> Result<Self, BatchError> {
        match id {
            0 => Ok(Self::None),
            1 => Ok(Self::Gzip),
            2 => Ok(Self::Snappy),
            3 => Ok(Self::Lz4),
            4 => Ok(Self::Zstd),
            other => Err(BatchError::Codec(other)),
        }
    }

    pub const fn id(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Gzip => 1,
            Self::Snappy => 2,
            Self::Lz4 => 3,
            Self::Zstd => 4,
        }
    }

    /// The level that Kafka's clients use where none is set. 0 where the codec has no levels.
    pub const fn level_default(self) -> i32 {
        match self {
            Self::None | Self::Snappy => 0,
            Self::Gzip => -1,
            Self::Lz4 => 9,
            Self::Zstd => 3,
        }
    }
}

/// Memory that compression uses again and again: one for a shard.
#[derive(Default)]
pub struct Compressor {
    deflate: Option<Box<gzip::Deflate>>,
    lz4: Option<lz4::Table>,
    snappy: Option<Box<snappy::Table>>,
}

impl Compressor {
    pub const fn new() -> Self {
        Self { deflate: None, lz4: None, snappy: None }
    }

    /// Appends the stream that stands for `bytes` to `out`, as each of Kafka's clients can read it. gzip has its levels 1 to 9, any
    /// other is 6; lz4 and zstd have one encoder, a fast one, for all of theirs.
    pub fn compress(&mut self, encoding: Encoding, bytes: &[u8], out: &mut Vec<u8>) {
        match encoding.codec {
            Codec::None => out.extend_from_slice(bytes),
            Codec::Gzip => gzip::compress(bytes, encoding.level, out, &mut self.deflate),
            Codec::Snappy => snappy::compress(bytes, out, self.snappy.get_or_insert_with(snappy::table)),
            Codec::Lz4 => lz4::compress(bytes, out, self.lz4.get_or_insert_default()),
            Codec::Zstd => zstd::compress(bytes, out),
        }
    }
}

impl fmt::Debug for Compressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Compressor")
    }
}

/// Memory that decompression uses again and again: one for a shard.
#[derive(Default)]
pub struct Scratch {
    bytes: Vec<u8>,
    inflate: Option<Box<gzip::Inflate>>,
    zstd: Option<Box<zstd::Decoder>>,
}

impl Scratch {
    pub const fn new() -> Self {
        Self { bytes: Vec::new(), inflate: None, zstd: None }
    }

    /// The bytes that `compressed` stands for. Borrowed from itself if there is no codec.
    pub fn decompress<'s>(&'s mut self, codec: Codec, compressed: &'s [u8]) -> Result<&'s [u8], BatchError> {
        self.decompress_at_most(codec, compressed, DECOMPRESSED_BYTES_MAX)
    }

    /// The same for what is not trusted, which is refused if it is longer than `bytes_max`.
    pub(super) fn decompress_at_most<'s>(
        &'s mut self,
        codec: Codec,
        compressed: &'s [u8],
        bytes_max: usize,
    ) -> Result<&'s [u8], BatchError> {
        self.decompress_within(codec, compressed, expansion_max(compressed.len()).min(bytes_max))
    }

    /// Keeps no more memory than the next usual batch needs.
    pub fn let_go(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(SCRATCH_BYTES_KEPT);
    }

    pub(super) fn decompress_within<'s>(
        &'s mut self,
        codec: Codec,
        compressed: &'s [u8],
        limit: usize,
    ) -> Result<&'s [u8], BatchError> {
        self.let_go();
        let mut out = Output { bytes: &mut self.bytes, limit };
        let result = match codec {
            Codec::None => return Ok(compressed),
            Codec::Gzip => gzip::decompress(compressed, &mut out, self.inflate.get_or_insert_default()),
            Codec::Snappy => snappy::decompress(compressed, &mut out),
            Codec::Lz4 => lz4::decompress(compressed, &mut out),
            Codec::Zstd => zstd::decompress(compressed, &mut out, &mut self.zstd),
        };
        match result {
            Ok(()) => Ok(&self.bytes),
            Err(Fault::Stream(fault)) => Err(BatchError::Stream(fault)),
            Err(Fault::Limit) => Err(BatchError::Expansion { limit }),
        }
    }

    /// Bytes of memory that are kept for the next batch, decoders aside.
    pub fn kept_bytes(&self) -> usize {
        self.bytes.capacity()
    }
}

impl fmt::Debug for Scratch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scratch({} B)", self.bytes.capacity())
    }
}

/// Most bytes that a compressed stream of this length may expand to.
fn expansion_max(len: usize) -> usize {
    len.saturating_mul(DECOMPRESSION_RATIO_MAX).clamp(DECOMPRESSED_BYTES_FREE, DECOMPRESSED_BYTES_MAX)
}

/// Why a decoder stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Stream(StreamFault),
    Limit,
}

impl From<StreamFault> for Fault {
    fn from(fault: StreamFault) -> Self {
        Self::Stream(fault)
    }
}

/// Where a decoder writes to.
#[derive(Debug)]
struct Output<'o> {
    bytes: &'o mut Vec<u8>,
    limit: usize,
}

impl Output<'_> {
    fn room(&self) -> usize {
        self.limit - self.bytes.len()
    }

    /// Makes room for `len` bytes in all. What is long is never copied to a longer place, or both would be in memory: its place is as
    /// long as it may become, of which the system gives as much as is written to.
    fn reserve(&mut self, len: usize) {
        if len > self.bytes.capacity() && len > SCRATCH_BYTES_KEPT {
            self.bytes.reserve_exact((self.limit + 1).max(len) - self.bytes.len());
        }
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        if bytes.len() > self.room() {
            return Err(Fault::Limit);
        }
        self.reserve(self.bytes.len() + bytes.len());
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    /// Appends `len` bytes again that begin `offset` bytes before the end; they may overlap what is being written.
    fn repeat(&mut self, offset: usize, len: usize) -> Result<(), Fault> {
        if offset == 0 || offset > self.bytes.len() {
            return Err(StreamFault::Content.into());
        }
        if len > self.room() {
            return Err(Fault::Limit);
        }
        let start = self.bytes.len() - offset;
        let end = self.bytes.len() + len;
        self.reserve(end);
        // Each round doubles what lies behind `start`, all of it whole periods of the pattern.
        while self.bytes.len() < end {
            let step = (end - self.bytes.len()).min(self.bytes.len() - start);
            self.bytes.extend_from_within(start..start + step);
        }
        Ok(())
    }
}

/// Cuts fields of a framing off the front of a stream.
#[derive(Debug)]
struct Input<'a> {
    bytes: &'a [u8],
}

impl<'a> Input<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], Fault> {
        let (taken, rest) = self.bytes.split_at_checked(len).ok_or(StreamFault::Truncated)?;
        self.bytes = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let (taken, rest) = self.bytes.split_first_chunk().ok_or(StreamFault::Truncated)?;
        self.bytes = rest;
        Ok(*taken)
    }

    fn byte(&mut self) -> Result<u8, Fault> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    /// A length of four bytes, little-endian.
    fn len_le(&mut self) -> Result<u32, Fault> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn end(&self) -> Result<(), Fault> {
        if self.bytes.is_empty() { Ok(()) } else { Err(StreamFault::Trailing.into()) }
    }
}
