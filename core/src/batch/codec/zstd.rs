//! One zstd frame, without a dictionary. The decoder is ruzstd's; its frame header is ours.
//!
//! A frame says how far back its copies may reach, and ruzstd holds back that many bytes. So it is told of no larger window than
//! can matter under the limit, by a header that is written here, and the memory follows the bytes that are really decoded.

use alloc::boxed::Box;
use alloc::vec::Vec;

use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};
use ruzstd::encoding::{CompressionLevel, compress as encode};
use ruzstd::io::Read;

use super::{Fault, Input, Output};
use crate::batch::error::StreamFault;
use crate::limits::{DECOMPRESSED_BYTES_MAX, ZSTD_WINDOW_BYTES_KEPT};

pub(super) type Decoder = FrameDecoder;

const MAGIC: u32 = 0xfd2f_b528;
const SINGLE_SEGMENT: u8 = 0x20;
const RESERVED: u8 = 0x08;
const CHECKSUM: u8 = 0x04;
const DICTIONARY: u8 = 0x03;
const WINDOW_BYTES_MIN: u64 = 1024;

struct Frame {
    checksum: u8,
    window: u64,
    content_size: Option<u64>,
}

pub(super) fn decompress(
    stream: &[u8],
    out: &mut Output<'_>,
    kept: &mut Option<Box<Decoder>>,
) -> Result<(), Fault> {
    let mut input = Input { bytes: stream };
    let frame = read_header(&mut input)?;
    if frame.content_size.is_some_and(|size| size > out.limit as u64) {
        return Err(Fault::Limit);
    }
    let window = frame.window.min(out.limit as u64);
    let (descriptor, window) = window_descriptor(window);
    let header = [0x28, 0xb5, 0x2f, 0xfd, frame.checksum, descriptor];
    // A decoder that is used again reserves the window at once, a new one grows with its bytes.
    let mut decoder = match kept.take() {
        Some(decoder) if window <= ZSTD_WINDOW_BYTES_KEPT as u64 => decoder,
        Some(_) | None => Box::new(new_decoder()),
    };
    decoder.reset(&header[..]).map_err(|_| StreamFault::Framing)?;
    decode_blocks(&mut input, out, &mut decoder)?;
    if frame.content_size.is_some_and(|size| size != out.bytes.len() as u64) {
        return Err(StreamFault::Checksum.into());
    }
    if frame.checksum != 0 && decoder.get_checksum_from_data() != decoder.get_calculated_checksum() {
        return Err(StreamFault::Checksum.into());
    }
    if window <= ZSTD_WINDOW_BYTES_KEPT as u64 {
        *kept = Some(decoder);
    }
    input.end()
}

fn new_decoder() -> Decoder {
    let mut decoder = FrameDecoder::new();
    // The limit rounded up to a window that a header can say.
    decoder.set_max_window_size(2 * DECOMPRESSED_BYTES_MAX as u64);
    decoder
}

fn read_header(input: &mut Input<'_>) -> Result<Frame, Fault> {
    if input.len_le()? != MAGIC {
        return Err(StreamFault::Framing.into());
    }
    let descriptor = input.byte()?;
    let single = descriptor & SINGLE_SEGMENT != 0;
    if descriptor & (RESERVED | DICTIONARY) != 0 {
        return Err(StreamFault::Framing.into());
    }
    let window = if single { None } else { Some(window_bytes(input.byte()?)) };
    let content_size = match descriptor >> 6 {
        0 if single => Some(u64::from(input.byte()?)),
        0 => None,
        1 => Some(u64::from(u16::from_le_bytes(input.array()?)) + 256),
        2 => Some(u64::from(u32::from_le_bytes(input.array()?))),
        _ => Some(u64::from_le_bytes(input.array()?)),
    };
    let window = window.or(content_size).expect("a single segment says its size");
    Ok(Frame { checksum: descriptor & CHECKSUM, window, content_size })
}

fn window_bytes(descriptor: u8) -> u64 {
    let base = WINDOW_BYTES_MIN << (descriptor >> 3);
    base + base / 8 * u64::from(descriptor & 7)
}

/// The least window that a header can say and that holds `bytes`.
fn window_descriptor(bytes: u64) -> (u8, u64) {
    let descriptor = (0..=u8::MAX).find(|&descriptor| window_bytes(descriptor) >= bytes);
    let descriptor = descriptor.expect("the limit is below the largest window");
    (descriptor, window_bytes(descriptor))
}

fn decode_blocks(input: &mut Input<'_>, out: &mut Output<'_>, decoder: &mut Decoder) -> Result<(), Fault> {
    loop {
        let finished = decoder
            .decode_blocks(&mut input.bytes, BlockDecodingStrategy::UptoBlocks(1))
            .map_err(|_| StreamFault::Content)?;
        let ready = decoder.can_collect();
        if ready > out.room() {
            return Err(Fault::Limit);
        }
        let done = out.bytes.len();
        out.reserve(done + ready);
        out.bytes.resize(done + ready, 0);
        let read = decoder.read(&mut out.bytes[done..]).map_err(|_| StreamFault::Content)?;
        assert!(read == ready, "what can be collected can be read");
        if finished {
            return Ok(());
        }
    }
}

pub(super) fn compress(bytes: &[u8], out: &mut Vec<u8>) {
    encode(bytes, out, CompressionLevel::Fastest);
}
