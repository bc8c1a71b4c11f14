//! The LZ4 frame format: one frame of independent blocks, every checksum checked. Java's consumers read no other block mode.

use alloc::vec::Vec;

use lz4_flex::block::{CompressTable, compress_into_with_table, decompress_into, get_maximum_output_size};
use twox_hash::XxHash32;

use super::{Fault, Input, Output};
use crate::batch::error::StreamFault;

const MAGIC: u32 = 0x184d_2204;
const VERSION_MASK: u8 = 0xc0;
const VERSION: u8 = 0x40;
const INDEPENDENT: u8 = 0x20;
const BLOCK_CHECKSUM: u8 = 0x10;
const CONTENT_SIZE: u8 = 0x08;
const CONTENT_CHECKSUM: u8 = 0x04;
const RESERVED: u8 = 0x03;
const STORED: u32 = 1 << 31;

/// A byte of a block cannot stand for more than this many: the longest run costs one byte for 255.
const BLOCK_RATIO_MAX: usize = 255;

/// Bytes of a block that is written, and how a frame says so: what Kafka's clients write.
const WRITTEN_BLOCK_BYTES: usize = 64 * 1024;
const WRITTEN_BLOCK_SIZE: u8 = 4 << 4;

/// Where the encoder has seen what, 16 KiB.
pub(super) type Table = CompressTable;

struct Frame {
    flags: u8,
    block_bytes_max: usize,
    content_size: Option<u64>,
}

pub(super) fn decompress(stream: &[u8], out: &mut Output<'_>) -> Result<(), Fault> {
    let mut input = Input { bytes: stream };
    let frame = read_header(&mut input)?;
    loop {
        let len = input.len_le()?;
        if len == 0 {
            break;
        }
        read_block(&mut input, len, &frame, out)?;
    }
    if frame.flags & CONTENT_CHECKSUM != 0 && input.len_le()? != XxHash32::oneshot(0, out.bytes) {
        return Err(StreamFault::Checksum.into());
    }
    if frame.content_size.is_some_and(|size| size != out.bytes.len() as u64) {
        return Err(StreamFault::Checksum.into());
    }
    input.end()
}

fn read_header(input: &mut Input<'_>) -> Result<Frame, Fault> {
    if input.len_le()? != MAGIC {
        return Err(StreamFault::Framing.into());
    }
    let descriptor = input.bytes;
    let [flags, block] = input.array::<2>()?;
    let size = block >> 4;
    let known = flags & VERSION_MASK == VERSION && flags & RESERVED == 0 && flags & INDEPENDENT != 0;
    if !known || block & 0x0f != 0 || !(4..=7).contains(&size) {
        return Err(StreamFault::Framing.into());
    }
    let content_size =
        if flags & CONTENT_SIZE == 0 { None } else { Some(u64::from_le_bytes(input.array()?)) };
    let descriptor = &descriptor[..descriptor.len() - input.bytes.len()];
    let [_, second, _, _] = XxHash32::oneshot(0, descriptor).to_le_bytes();
    if input.byte()? != second {
        return Err(StreamFault::Checksum.into());
    }
    Ok(Frame { flags, block_bytes_max: 1 << (8 + 2 * size), content_size })
}

fn read_block(input: &mut Input<'_>, len: u32, frame: &Frame, out: &mut Output<'_>) -> Result<(), Fault> {
    let block_len = (len & !STORED) as usize;
    if block_len > frame.block_bytes_max {
        return Err(StreamFault::Framing.into());
    }
    let block = input.take(block_len)?;
    if frame.flags & BLOCK_CHECKSUM != 0 && input.len_le()? != XxHash32::oneshot(0, block) {
        return Err(StreamFault::Checksum.into());
    }
    if len & STORED != 0 {
        return out.append(block);
    }
    let done = out.bytes.len();
    let possible = block_len.saturating_mul(BLOCK_RATIO_MAX).min(frame.block_bytes_max);
    let room = possible.min(out.room());
    out.reserve(done + room);
    out.bytes.resize(done + room, 0);
    match decompress_into(block, &mut out.bytes[done..]) {
        Ok(written) => {
            out.bytes.truncate(done + written);
            Ok(())
        }
        Err(lz4_flex::block::DecompressError::OutputTooSmall { .. }) if room < possible => Err(Fault::Limit),
        Err(_) => Err(StreamFault::Content.into()),
    }
}

pub(super) fn compress(bytes: &[u8], out: &mut Vec<u8>, table: &mut Table) {
    let descriptor = [VERSION | INDEPENDENT, WRITTEN_BLOCK_SIZE];
    let [_, checksum, _, _] = XxHash32::oneshot(0, &descriptor).to_le_bytes();
    out.extend_from_slice(&MAGIC.to_le_bytes());
    out.extend_from_slice(&descriptor);
    out.push(checksum);
    for block in bytes.chunks(WRITTEN_BLOCK_BYTES) {
        let prefix = out.len();
        let start = prefix + 4;
        out.resize(start + get_maximum_output_size(block.len()), 0);
        let len = compress_into_with_table(block, &mut out[start..], table);
        let len = len.expect("the output is as long as it can become");
        let (len, flag) = if len < block.len() {
            (len, 0)
        } else {
            out[start..start + block.len()].copy_from_slice(block);
            (block.len(), STORED)
        };
        out.truncate(start + len);
        let said = u32::try_from(len).expect("a block is bounded") | flag;
        out[prefix..start].copy_from_slice(&said.to_le_bytes());
    }
    out.extend_from_slice(&[0; 4]);
}
