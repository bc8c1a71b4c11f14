//! The decoders against streams that other implementations wrote, mutations of them, and bombs.

use alloc::vec;
use alloc::vec::Vec;

use super::hex;
use crate::batch::codec::Scratch;
use crate::batch::error::{BatchError, StreamFault};
use crate::batch::{Codec, Compressor, fuzz};
use crate::limits::{DECOMPRESSED_BYTES_FREE, SCRATCH_BYTES_KEPT};
use crate::prng::Prng;

/// What all streams below stand for.
fn text() -> Vec<u8> {
    let mut text = b"highwater ".repeat(30);
    text.extend(0..64);
    text
}

const STREAMS: [(Codec, &str); 14] = [
    (
        Codec::Gzip,
        "1f8b0800000000000203cbc84ccf284f2c492d52c81865116031303231b3b0b2b173707271f3f0f2f10b080a098b888a894b48\
         4a49cbc8cac92b282a29aba8aaa96b686a69ebe8eae91b181a199b989a995b585a59dbd8dad90300abb8b9d76c010000",
    ),
    (
        // With a file name and a time.
        Codec::Gzip,
        "1f8b08080500000002ff6e616d652e74787400cbc84ccf284f2c492d52c81865116031303231b3b0b2b173707271f3f0f2f10b\
         080a098b888a894b484a49cbc8cac92b282a29aba8aaa96b686a69ebe8eae91b181a199b989a995b585a59dbd8dad90300abb8\
         b9d76c010000",
    ),
    (
        Codec::Snappy,
        "ec022468696768776174657220fe0a00fe0a00fe0a00fe0a00860a00f03f000102030405060708090a0b0c0d0e0f1011121314\
         15161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f",
    ),
    (
        // Two chunks in xerial's framing.
        Codec::Snappy,
        "82534e4150505900000000010000000100000016c8012468696768776174657220fe0a00fe0a00f60a0000000055a401246869\
         6768776174657220fe0a00660a00f03f000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122\
         232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f",
    ),
    (
        Codec::Lz4,
        "04224d1860408251000000af686967687761746572200a00ff10f031000102030405060708090a0b0c0d0e0f10111213141516\
         1718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f00000000",
    ),
    (
        // With a content size.
        Codec::Lz4,
        "04224d1868406c01000000000000a751000000af686967687761746572200a00ff10f031000102030405060708090a0b0c0d0e\
         0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f0000\
         0000",
    ),
    (
        // With checksums of blocks.
        Codec::Lz4,
        "04224d187040ad51000000af686967687761746572200a00ff10f031000102030405060708090a0b0c0d0e0f10111213141516\
         1718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f0318c51700000000",
    ),
    (
        // With a checksum of the content.
        Codec::Lz4,
        "04224d186440a751000000af686967687761746572200a00ff10f031000102030405060708090a0b0c0d0e0f10111213141516\
         1718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f0000000043b2d570",
    ),
    (
        // With all three.
        Codec::Lz4,
        "04224d187c406c01000000000000cb51000000af686967687761746572200a00ff10f031000102030405060708090a0b0c0d0e\
         0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f0318\
         c5170000000043b2d570",
    ),
    (
        // One segment, with size and checksum.
        Codec::Zstd,
        "28b52ffd646c00950200a40468696768776174657220000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c\
         1d1e1f202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f01001f550b12b862be3d",
    ),
    (
        // A window of 1 KiB, neither size nor checksum.
        Codec::Zstd,
        "28b52ffd0000950200a40468696768776174657220000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d\
         1e1f202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f01001f550b12",
    ),
    (
        // Two blocks, as of a stream that was flushed.
        Codec::Zstd,
        "28b52ffd04588c000050686967687761746572200100d7a920014d0200140468000102030405060708090a0b0c0d0e0f101112\
         131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f0100440a0801\
         b862be3d",
    ),
    (
        // Level 22: a window of 128 MiB.
        Codec::Zstd,
        "28b52ffd0488950200a40468696768776174657220000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d\
         1e1f202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f01001f550b12b862be3d",
    ),
    (Codec::None, ""),
];

fn streams() -> impl Iterator<Item = (Codec, Vec<u8>)> {
    STREAMS.into_iter().filter(|(codec, _)| *codec != Codec::None).map(|(codec, text)| (codec, hex(text)))
}

#[test]
fn streams_of_others_decode_in_any_order_with_one_scratch() {
    let mut scratch = Scratch::new();
    for round in 0..2 {
        for (index, (codec, stream)) in streams().enumerate() {
            let decoded = scratch.decompress(codec, &stream);
            assert_eq!(decoded, Ok(&text()[..]), "stream {index}, round {round}");
        }
    }
}

#[test]
fn bytes_behind_a_stream_and_cuts_of_it_are_refused() {
    let mut scratch = Scratch::new();
    for (index, (codec, stream)) in streams().enumerate() {
        for len in 0..stream.len() {
            let decoded = scratch.decompress(codec, &stream[..len]);
            // A cut between two chunks of xerial's framing leaves a whole stream: it has no end mark.
            let whole =
                decoded.is_ok_and(|bytes| bytes != text() && bytes.len() < 364 && codec == Codec::Snappy);
            assert!(decoded.is_err() || whole, "stream {index} of {len} bytes");
        }
        for tail in [&b"x"[..], &[0], &[0, 0, 0, 0], &stream[..]] {
            let longer = [&stream[..], tail].concat();
            assert!(scratch.decompress(codec, &longer).is_err(), "stream {index} with {} bytes", tail.len());
        }
    }
}

#[test]
fn each_flipped_bit_is_an_error_where_the_stream_has_a_checksum() {
    let mut scratch = Scratch::new();
    for (index, (codec, stream)) in streams().enumerate() {
        // Streams 0, 1: gzip; 8: LZ4 with all checksums; 9, 11, 12: zstd with one.
        let checked = matches!(index, 0 | 1 | 7 | 8 | 9 | 11 | 12);
        for bit in 0..stream.len() * 8 {
            let mut flipped = stream.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            match scratch.decompress(codec, &flipped) {
                // Names, times and larger windows do not change the content.
                Ok(decoded) if checked => assert_eq!(decoded, text(), "stream {index}, bit {bit}"),
                Ok(_) | Err(_) => {}
            }
        }
    }
}

#[test]
fn dependent_blocks_dictionaries_and_second_members_are_refused() {
    let mut scratch = Scratch::new();
    let mut refuse = |codec, stream: &[u8], fault| {
        assert_eq!(scratch.decompress(codec, stream), Err(BatchError::Stream(fault)));
    };
    let linked = hex("04224d1848403a00000000");
    refuse(Codec::Lz4, &linked, StreamFault::Framing);
    let zstd = hex(STREAMS[10].1);
    let mut dictionary = zstd;
    dictionary[4] |= 1;
    dictionary.insert(6, 5);
    refuse(Codec::Zstd, &dictionary, StreamFault::Framing);
    let gzip = hex(STREAMS[0].1);
    refuse(Codec::Gzip, &[gzip.clone(), gzip].concat(), StreamFault::Trailing);
    refuse(Codec::Zstd, &hex("502a4d180100000000"), StreamFault::Framing);
}

/// A deflate stream of one byte and then its repetition, 258 times at once.
fn gzip_bomb(repeats: usize) -> Vec<u8> {
    let mut bits: Vec<u8> = vec![1, 1, 0];
    let mut put = |code: u16, len: u32| bits.extend((0..len).rev().map(|at| u8::from(code >> at & 1 == 1)));
    put(0x30 + u16::from(b'a'), 8);
    for _ in 0..repeats {
        put(0b1100_0101, 8);
        put(0, 5);
    }
    put(0, 7);
    let body = bits.chunks(8).map(|byte| byte.iter().enumerate().map(|(at, bit)| bit << at).sum::<u8>());
    let mut stream = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
    stream.extend(body);
    let len = 1 + 258 * repeats;
    stream.extend_from_slice(&crate::batch::crc::crc32(&vec![b'a'; len]).to_le_bytes());
    stream.extend_from_slice(&u32::try_from(len).unwrap().to_le_bytes());
    stream
}

/// Blocks of 128 KiB that are one byte each, and a claim of 128 MiB for a window.
fn zstd_bomb(blocks: u32) -> Vec<u8> {
    let mut stream = hex("28b52ffd0088");
    for block in 0..blocks {
        let header = (128 * 1024) << 3 | 1 << 1 | u32::from(block + 1 == blocks);
        stream.extend_from_slice(&header.to_le_bytes()[..3]);
        stream.push(b'a');
    }
    stream
}

/// Blocks of 4 MiB, each a literal and one match.
fn lz4_bomb(blocks: u32) -> Vec<u8> {
    let mut stream = hex("04224d18607073");
    for _ in 0..blocks {
        let mut block = vec![0x1f, b'a', 1, 0];
        block.extend(core::iter::repeat_n(255, 16_000));
        block.extend([0, 0x50]);
        block.extend(b"aaaaa");
        stream.extend_from_slice(&u32::try_from(block.len()).unwrap().to_le_bytes());
        stream.extend(block);
    }
    stream.extend([0; 4]);
    stream
}

fn snappy_bomb(copies: usize) -> Vec<u8> {
    let mut stream = Vec::new();
    let mut len = 1 + 64 * copies;
    while len >= 0x80 {
        stream.push(u8::try_from(len & 0x7f).unwrap() | 0x80);
        len >>= 7;
    }
    stream.push(u8::try_from(len).unwrap());
    stream.extend([0, b'a']);
    for _ in 0..copies {
        stream.extend([63 << 2 | 2, 1, 0]);
    }
    stream
}

#[test]
fn bombs_stop_at_the_limit() {
    const LIMIT: usize = 1 << 20;
    type Bomb = fn(u32) -> Vec<u8>;
    let bombs: [(Codec, Bomb); 4] = [
        (Codec::Gzip, |kib| gzip_bomb(kib as usize * 4)),
        (Codec::Snappy, |kib| snappy_bomb(kib as usize * 16)),
        (Codec::Lz4, |kib| lz4_bomb(kib.div_ceil(4000))),
        (Codec::Zstd, |kib| zstd_bomb(kib.div_ceil(128))),
    ];
    for (codec, bomb) in bombs {
        let mut scratch = Scratch::new();
        let fitting = bomb(500);
        let limit = if codec == Codec::Lz4 { 5 << 20 } else { LIMIT };
        let decoded = scratch.decompress_within(codec, &fitting, limit).unwrap();
        assert!(decoded.len() >= 480 << 10 && decoded.iter().all(|&b| b == b'a'), "{codec:?}");
        let large = bomb(64 << 10);
        assert!(large.len() < 1 << 22, "{codec:?} compresses");
        let refused = scratch.decompress_within(codec, &large, LIMIT);
        assert_eq!(refused, Err(BatchError::Expansion { limit: LIMIT }), "{codec:?}");
        assert!(scratch.kept_bytes() <= 10 << 20, "{codec:?} kept {}", scratch.kept_bytes());
        let again = scratch.decompress_within(codec, &fitting, limit).map(<[u8]>::len);
        assert!(again.is_ok() && scratch.kept_bytes() <= SCRATCH_BYTES_KEPT.max(5 << 20), "{codec:?}");
    }
}

#[test]
fn a_short_batch_may_expand_to_the_free_limit_and_no_further() {
    let mut scratch = Scratch::new();
    let blocks = u32::try_from(DECOMPRESSED_BYTES_FREE / (128 * 1024)).unwrap();
    let decoded = scratch.decompress(Codec::Zstd, &zstd_bomb(blocks).clone()).map(<[u8]>::len);
    assert_eq!(decoded, Ok(DECOMPRESSED_BYTES_FREE));
    let limit = DECOMPRESSED_BYTES_FREE;
    assert_eq!(scratch.decompress(Codec::Zstd, &zstd_bomb(blocks + 1)), Err(BatchError::Expansion { limit }));
}

/// A vector that is outgrown would be in memory beside the one that takes its place.
#[test]
fn long_output_is_in_memory_once_and_not_for_longer_than_it_is_of_use() {
    const LEN: usize = 24 << 20;
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4] {
        let mut bomb = Vec::new();
        Compressor::new().compress(codec.into(), &vec![0; LEN], &mut bomb);
        let mut scratch = Scratch::new();
        let used = allocation_counter::measure(|| {
            let len = scratch.decompress_within(codec, &bomb, LEN).map(<[u8]>::len);
            assert_eq!(len, Ok(LEN), "{codec:?}");
        });
        assert!(used.bytes_max < (LEN + LEN / 4) as u64, "{codec:?} took {} bytes", used.bytes_max);
        scratch.let_go();
        assert!(scratch.kept_bytes() <= SCRATCH_BYTES_KEPT, "{codec:?} kept {}", scratch.kept_bytes());
    }
}

#[test]
fn a_window_that_is_only_claimed_costs_no_memory() {
    // 40 MiB in blocks that fit the window of 128 MiB, under a limit of 1 MiB.
    let bomb = zstd_bomb(320);
    let used = allocation_counter::measure(|| {
        let mut scratch = Scratch::new();
        assert!(scratch.decompress_within(Codec::Zstd, &bomb, 1 << 20).is_err());
    });
    assert!(used.bytes_max < 8 << 20, "{} bytes", used.bytes_max);
}

#[test]
fn a_lying_length_allocates_nothing() {
    let mut scratch = Scratch::new();
    // Snappy: 2³²−1 bytes, in a raw block and in a chunk; 12 MiB that are not there.
    assert!(scratch.decompress(Codec::Snappy, &hex("ffffffff0f0061")).is_err());
    assert!(
        scratch
            .decompress(Codec::Snappy, &hex("82534e41505059000000000100000001000000048080800600"))
            .is_err()
    );
    assert!(
        scratch.decompress(Codec::Snappy, &hex("82534e4150505900000000010000000140000000800600")).is_err()
    );
    // zstd: one segment of 12 MiB, of which one byte comes.
    assert!(scratch.decompress(Codec::Zstd, &hex("28b52ffda00000c0000b000061")).is_err());
    // LZ4: blocks of 4 MiB, one of which is announced.
    assert!(scratch.decompress(Codec::Lz4, &hex("04224d18607073000040001061")).is_err());
    assert!(scratch.kept_bytes() < 64 << 10, "kept {}", scratch.kept_bytes());
}

#[test]
fn mutated_streams_never_panic() {
    let mut prng = Prng::new(0x5eed);
    let all: Vec<(Codec, Vec<u8>)> = streams().collect();
    for _ in 0..20_000 {
        let (codec, stream) = &all[usize::try_from(prng.below(all.len() as u64)).unwrap()];
        let mut mutated = stream.clone();
        for _ in 0..prng.between(1, 4) {
            let at = usize::try_from(prng.below(mutated.len() as u64)).unwrap();
            let byte = u8::try_from(prng.below(256)).unwrap();
            match prng.below(4) {
                0 => mutated.truncate(at.max(1)),
                1 => mutated.insert(at, byte),
                _ => mutated[at] = byte,
            }
        }
        match codec {
            Codec::None => {}
            Codec::Gzip => fuzz::gzip(&mutated),
            Codec::Snappy => fuzz::snappy(&mutated),
            Codec::Lz4 => fuzz::lz4(&mutated),
            Codec::Zstd => fuzz::zstd(&mutated),
        }
    }
}
