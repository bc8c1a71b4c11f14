//! A batch whose records are compressed anew: the same records, offsets, timestamps and producer.

use alloc::vec::Vec;

use super::codec::{Codec, Compressor};
use super::view::{BatchView, HEADER_BYTES, patch_codec_and_length};

/// How records are to be compressed. The level counts as far as the codec's encoder has levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Encoding {
    pub codec: Codec,
    pub level: i32,
}

impl From<Codec> for Encoding {
    fn from(codec: Codec) -> Self {
        Self { codec, level: codec.level_default() }
    }
}

/// `batch` around `records`, which are its own without compression. Its header stays but for codec, length and CRC. The result may be
/// longer than a batch may be: then it cannot be parsed.
#[must_use]
pub fn recompress(
    batch: &BatchView<'_>,
    records: &[u8],
    encoding: Encoding,
    compressor: &mut Compressor,
) -> Vec<u8> {
    let mut out = Vec::with_capacity(batch.len());
    out.extend_from_slice(&batch.bytes()[..HEADER_BYTES]);
    compressor.compress(encoding, records, &mut out);
    patch_codec_and_length(&mut out, encoding.codec);
    out
}
