//! Snappy: raw blocks, and the chunked framing of the xerial library that Java clients write.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::{Fault, Input, Output};
use crate::batch::error::StreamFault;

const XERIAL_MAGIC: [u8; 8] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];

/// Bytes of a chunk that is written, as the xerial library does it.
const CHUNK_BYTES: usize = 32 * 1024;

const TABLE_BITS: u32 = 12;

/// Where four bytes with some hash were seen last in a chunk.
pub(super) type Table = [u16; 1 << TABLE_BITS];

pub(super) fn table() -> Box<Table> {
    Box::new([0; 1 << TABLE_BITS])
}

pub(super) fn decompress(stream: &[u8], out: &mut Output<'_>) -> Result<(), Fault> {
    let Some(chunks) = stream.strip_prefix(&XERIAL_MAGIC) else {
        return block(stream, out);
    };
    let mut input = Input { bytes: chunks };
    let (_version, compatible) = (i32::from_be_bytes(input.array()?), i32::from_be_bytes(input.array()?));
    if compatible != 1 {
        return Err(StreamFault::Framing.into());
    }
    while !input.bytes.is_empty() {
        let len = i32::from_be_bytes(input.array()?);
        let len = usize::try_from(len).map_err(|_| StreamFault::Framing)?;
        block(input.take(len)?, out)?;
    }
    Ok(())
}

/// One raw block: its length once decoded, then literals and copies.
fn block(bytes: &[u8], out: &mut Output<'_>) -> Result<(), Fault> {
    let mut input = Input { bytes };
    let claim = read_len(&mut input)?;
    if claim > out.room() {
        return Err(Fault::Limit);
    }
    let end = out.bytes.len() + claim;
    while !input.bytes.is_empty() {
        element(&mut input, out).map_err(|fault| match fault {
            Fault::Limit => Fault::Stream(StreamFault::Content),
            stream @ Fault::Stream(_) => stream,
        })?;
        // What the block claims also bounds what it may write.
        if out.bytes.len() > end {
            return Err(StreamFault::Content.into());
        }
    }
    if out.bytes.len() == end { Ok(()) } else { Err(StreamFault::Content.into()) }
}

/// A varint of at most 32 bits.
fn read_len(input: &mut Input<'_>) -> Result<usize, Fault> {
    let mut len: u64 = 0;
    for shift in [0, 7, 14, 21, 28] {
        let byte = input.byte()?;
        len |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            let len = u32::try_from(len).map_err(|_| StreamFault::Framing)?;
            return Ok(len as usize);
        }
    }
    Err(StreamFault::Framing.into())
}

fn element(input: &mut Input<'_>, out: &mut Output<'_>) -> Result<(), Fault> {
    let tag = input.byte()?;
    let high = usize::from(tag >> 2);
    match tag & 3 {
        0 => {
            let len = if high < 60 {
                high
            } else {
                let mut le = [0; 4];
                let extra = high - 59;
                le[..extra].copy_from_slice(input.take(extra)?);
                u32::from_le_bytes(le) as usize
            };
            let len = len.checked_add(1).ok_or(StreamFault::Content)?;
            out.append(input.take(len)?)
        }
        1 => {
            let offset = (usize::from(tag >> 5) << 8) | usize::from(input.byte()?);
            out.repeat(offset, (high & 7) + 4)
        }
        2 => {
            let offset = usize::from(u16::from_le_bytes(input.array()?));
            out.repeat(offset, high + 1)
        }
        _ => {
            let offset = u32::from_le_bytes(input.array()?) as usize;
            out.repeat(offset, high + 1)
        }
    }
}

pub(super) fn compress(bytes: &[u8], out: &mut Vec<u8>, table: &mut Table) {
    out.extend_from_slice(&XERIAL_MAGIC);
    // Version, and the least version that can read it.
    out.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 1]);
    for chunk in bytes.chunks(CHUNK_BYTES) {
        let start = out.len();
        out.extend_from_slice(&[0; 4]);
        put_block(chunk, out, table);
        let len = u32::try_from(out.len() - start - 4).expect("a chunk is bounded");
        out[start..start + 4].copy_from_slice(&len.to_be_bytes());
    }
}

fn put_block(bytes: &[u8], out: &mut Vec<u8>, table: &mut Table) {
    table.fill(0);
    put_len(bytes.len(), out);
    let (mut at, mut literals) = (0, 0);
    while let Some(four) = four_at(bytes, at) {
        let place = &mut table[(four.wrapping_mul(0x1e35_a7bd) >> (32 - TABLE_BITS)) as usize];
        let seen = usize::from(*place);
        *place = u16::try_from(at).expect("a chunk is below 64 KiB");
        if seen < at && four_at(bytes, seen) == Some(four) {
            let equal = bytes[at + 4..].iter().zip(&bytes[seen + 4..]).take_while(|(one, two)| one == two);
            let len = 4 + equal.count();
            put_literals(&bytes[literals..at], out);
            put_copy(at - seen, len, out);
            at += len;
            literals = at;
        } else {
            // The longer nothing repeats, the larger the steps.
            at += 1 + (at - literals) / 32;
        }
    }
    put_literals(&bytes[literals..], out);
}

fn four_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|&four| u32::from_le_bytes(four))
}

fn put_len(mut len: usize, out: &mut Vec<u8>) {
    while len >= 0x80 {
        out.push(0x80 | low_byte(len));
        len >>= 7;
    }
    out.push(low_byte(len));
}

fn put_literals(bytes: &[u8], out: &mut Vec<u8>) {
    let Some(less) = bytes.len().checked_sub(1) else { return };
    match less {
        0..60 => out.push(low_byte(less << 2)),
        60..0x100 => out.extend_from_slice(&[60 << 2, low_byte(less)]),
        _ => out.extend_from_slice(&[61 << 2, low_byte(less), low_byte(less >> 8)]),
    }
    out.extend_from_slice(bytes);
}

fn put_copy(offset: usize, mut len: usize, out: &mut Vec<u8>) {
    while len > 0 {
        let step = len.min(64);
        out.extend_from_slice(&[low_byte(((step - 1) << 2) | 2), low_byte(offset), low_byte(offset >> 8)]);
        len -= step;
    }
}

fn low_byte(number: usize) -> u8 {
    number.to_le_bytes()[0]
}
