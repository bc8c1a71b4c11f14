//! The entry point for fuzzing: takes any bytes as the files of a stream and walks them. It plays the disk, as boot does.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::{Walk, Walked};
use crate::buf::Slice;
use crate::id::{StreamId, Uuid};
use crate::limits::BLOCK_BYTES;
use crate::storage::checkpoint::Checkpoint;
use crate::storage::frame::{self, ReadFrame};

/// The stream whose frames are looked for.
pub const STREAM: StreamId = StreamId(Uuid([7; 16]));

/// Bytes of an input that make a block; the rest of the block is zero.
pub const CHUNK_BYTES: usize = 256;

const BLOCKS_MAX: usize = 64;

/// The disk before the chunks, a byte each but `first_file`.
struct Disk {
    /// Bit 0: frames are chained and sealed anew. Bit 1: there is a checkpoint. Bit 2: it has a last LSN.
    flags: u8,
    first_file: u64,
    lsn: u8,
    last_lsn: u8,
    /// The block at which the checkpoint's frame stands.
    at: u8,
    /// The block at which the second file begins.
    split: u8,
    /// Blocks that the second file is shorter than it was listed.
    missing: u8,
}

/// Fourteen bytes describe the disk, then each chunk is a block.
pub fn walk(data: &[u8]) {
    let Some((&[flags, lsn, last_lsn, at, split, missing], rest)) = data.split_first_chunk() else { return };
    let Some((first_file, chunks)) = rest.split_first_chunk() else { return };
    let first_file = u64::from_be_bytes(*first_file);
    let disk = Disk { flags, first_file, lsn, last_lsn, at, split, missing };
    let blocks = chunks.chunks(CHUNK_BYTES).take(BLOCKS_MAX);
    let mut bytes = Vec::new();
    for block in blocks {
        bytes.extend_from_slice(block);
        bytes.resize(bytes.len().next_multiple_of(BLOCK_BYTES), 0);
    }
    let split = (usize::from(disk.split) * BLOCK_BYTES).min(bytes.len());
    let mut second = bytes.split_off(split);
    if disk.flags & 1 == 1 {
        let prev_crc = chain(&mut bytes, 0);
        chain(&mut second, prev_crc);
    }
    drive(&disk, bytes, second);
}

/// Makes every block that begins like a frame into one that follows the one before.
fn chain(bytes: &mut [u8], mut prev_crc: u32) -> u32 {
    let mut at = 0;
    while at < bytes.len() {
        if let Some(crc) = frame::rechain(&mut bytes[at..], prev_crc) {
            prev_crc = crc;
            at += ReadFrame::peek(&bytes[at..]).map_or(0, |header| header.frame_len as usize);
        } else {
            at += BLOCK_BYTES;
        }
    }
    prev_crc
}

fn drive(disk: &Disk, first: Vec<u8>, mut second: Vec<u8>) {
    let mut files = BTreeMap::from([(disk.first_file, first.len() as u64)]);
    if let Some(number) = disk.first_file.checked_add(1) {
        files.insert(number, second.len() as u64);
    }
    second.truncate(second.len().saturating_sub(usize::from(disk.missing) * BLOCK_BYTES));
    let checkpoint = Checkpoint {
        file: disk.first_file,
        at: wide(disk.at).saturating_mul(BLOCK_BYTES as u64),
        lsn: wide(disk.lsn),
        last_lsn: (disk.flags & 4 != 0).then_some(wide(disk.last_lsn)),
    };
    // What a checkpoint's decoder refuses never comes to a walk.
    let checkpoint = Checkpoint::decode(&checkpoint.encode(STREAM), STREAM).filter(|_| disk.flags & 2 != 0);
    let mut walk = Walk::new(STREAM, files, checkpoint);
    let (first, second) = (Slice::from_vec(first), Slice::from_vec(second));
    let blocks = BLOCKS_MAX + 2;
    let mut reads = 0;
    while let Some(read) = walk.next_read() {
        reads += 1;
        assert!(reads <= blocks * blocks, "a walk ends");
        assert!(read.len > 0, "a read wants bytes");
        let file = if read.file == disk.first_file { &first } else { &second };
        let from = usize::try_from(read.at).unwrap_or(usize::MAX).min(file.len());
        walk.on_read(read, file.cut(from, (from + read.len).min(file.len())));
    }
    check(&walk.finish());
}

/// A number as large as it can be for the largest byte.
fn wide(byte: u8) -> u64 {
    if byte == u8::MAX { u64::MAX } else { byte.into() }
}

fn check(walked: &Walked) {
    assert!(walked.stream == STREAM);
    assert!(
        walked.entries.iter().all(|entry| entry.lsn <= walked.last),
        "entries stand up to the last frame"
    );
    assert!(walked.entries.is_sorted_by_key(|entry| entry.lsn), "entries come in the order of their frames");
    assert!(walked.rotten.iter().all(|(first, last)| first <= last), "a run of frames has a frame");
    assert!(walked.torn.is_none_or(|torn| torn > walked.last), "what was torn does not count");
}
