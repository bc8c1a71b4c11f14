//! Snappy: raw blocks, and the chunked framing of the xerial library that Java clients write.

use super::{Fault, Input, Output};
use crate::batch::error::StreamFault;

const XERIAL_MAGIC: [u8; 8] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];

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
    // What the block claims also bounds what it may write.
    let mut own = Output { bytes: out.bytes, limit: end };
    while !input.bytes.is_empty() {
        element(&mut input, &mut own).map_err(|fault| match fault {
            Fault::Limit => Fault::Stream(StreamFault::Content),
            stream @ Fault::Stream(_) => stream,
        })?;
    }
    if own.bytes.len() == end { Ok(()) } else { Err(StreamFault::Content.into()) }
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
