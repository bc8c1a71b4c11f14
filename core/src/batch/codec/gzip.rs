//! gzip (RFC 1952) around deflate: one member, its checksum and length checked.

use alloc::boxed::Box;
use alloc::vec::Vec;

use miniz_oxide::DataFormat;
use miniz_oxide::deflate::core::{
    CompressionStrategy, CompressorOxide, TDEFLFlush, TDEFLStatus, compress as deflate,
};
use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress as inflate};

use super::super::crc::crc32;
use super::{Fault, Input, Output};
use crate::batch::error::StreamFault;

/// The state of deflate's decoder, some 10 KiB.
pub(super) type Inflate = DecompressorOxide;

/// The state of deflate's encoder, some 300 KiB.
pub(super) type Deflate = CompressorOxide;

const LEVEL_DEFAULT: u8 = 6;

/// Magic, deflate, no flags, no time, no hint, an unknown system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

const HEADER_CRC: u8 = 0x02;
const EXTRA: u8 = 0x04;
const NAME: u8 = 0x08;
const COMMENT: u8 = 0x10;
const RESERVED: u8 = 0xe0;

pub(super) fn decompress(stream: &[u8], out: &mut Output<'_>, state: &mut Inflate) -> Result<(), Fault> {
    let mut input = Input { bytes: stream };
    read_header(stream, &mut input)?;
    inflate_all(&mut input, out, state)?;
    let (crc, len) = (input.len_le()?, input.len_le()?);
    let true_len = u32::try_from(out.bytes.len()).expect("the limit is below 4 GiB");
    if crc != crc32(out.bytes) || len != true_len {
        return Err(StreamFault::Checksum.into());
    }
    input.end()
}

fn read_header(stream: &[u8], input: &mut Input<'_>) -> Result<(), Fault> {
    let [magic0, magic1, method, flags, _, _, _, _, _, _] = input.array::<10>()?;
    if (magic0, magic1, method) != (0x1f, 0x8b, 8) || flags & RESERVED != 0 {
        return Err(StreamFault::Framing.into());
    }
    if flags & EXTRA != 0 {
        let len = u16::from_le_bytes(input.array()?);
        input.take(usize::from(len))?;
    }
    for flag in [NAME, COMMENT] {
        if flags & flag != 0 {
            let len = input.bytes.iter().position(|&b| b == 0).ok_or(StreamFault::Truncated)?;
            input.take(len + 1)?;
        }
    }
    if flags & HEADER_CRC != 0 {
        let header = &stream[..stream.len() - input.bytes.len()];
        let low = u16::try_from(crc32(header) & 0xffff).expect("sixteen bits");
        if u16::from_le_bytes(input.array()?) != low {
            return Err(StreamFault::Checksum.into());
        }
    }
    Ok(())
}

fn inflate_all(input: &mut Input<'_>, out: &mut Output<'_>, state: &mut Inflate) -> Result<(), Fault> {
    state.init();
    let mut done = 0;
    let mut room = input.bytes.len().saturating_mul(4).clamp(512, out.limit.max(512));
    loop {
        // One byte above the limit shows that there is more.
        out.reserve(room.min(out.limit + 1));
        out.bytes.resize(room.min(out.limit + 1), 0);
        let (status, read, written) =
            inflate(state, input.bytes, out.bytes, done, TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF);
        input.take(read)?;
        done += written;
        if done > out.limit {
            return Err(Fault::Limit);
        }
        if status == TINFLStatus::Done {
            break;
        }
        if status != TINFLStatus::HasMoreOutput {
            let truncated = status == TINFLStatus::FailedCannotMakeProgress;
            return Err(if truncated { StreamFault::Truncated } else { StreamFault::Content }.into());
        }
        room = room.saturating_mul(2);
    }
    out.bytes.truncate(done);
    Ok(())
}

pub(super) fn compress(bytes: &[u8], level: i32, out: &mut Vec<u8>, state: &mut Option<Box<Deflate>>) {
    let level = u8::try_from(level).ok().filter(|level| (1..=9).contains(level)).unwrap_or(LEVEL_DEFAULT);
    let new = || Box::new(Deflate::with_params(DataFormat::Raw, level, CompressionStrategy::Default, 15));
    let state = state.get_or_insert_with(new);
    state.reset();
    state.set_format_and_level(DataFormat::Raw, level);
    out.extend_from_slice(&HEADER);
    let mut done = out.len();
    let mut input = bytes;
    loop {
        out.resize(done + input.len() / 2 + 512, 0);
        let (status, read, written) = deflate(state, input, &mut out[done..], TDEFLFlush::Finish);
        (input, done) = (&input[read..], done + written);
        match status {
            TDEFLStatus::Done => break,
            TDEFLStatus::Okay => {}
            TDEFLStatus::BadParam | TDEFLStatus::PutBufFailed => unreachable!("the parameters are fixed"),
        }
    }
    out.truncate(done);
    out.extend_from_slice(&crc32(bytes).to_le_bytes());
    out.extend_from_slice(&u32::try_from(bytes.len()).expect("records are bounded").to_le_bytes());
}
