//! The encoders against the decoders, and a batch that is compressed anew against what it was.

use alloc::vec;
use alloc::vec::Vec;

use super::{RECORDS, built, idempotent, validate};
use crate::batch::{BatchView, Codec, Compressor, Encoding, HEADER_BYTES, Scratch, recompress};
use crate::prng::Prng;

const CODECS: [Codec; 5] = [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];

/// Bytes between all the same and all different.
fn inputs() -> Vec<Vec<u8>> {
    let mut prng = Prng::new(11);
    let mut inputs = vec![Vec::new(), vec![7], vec![0; 300_000], b"highwater ".repeat(30_000)];
    for len in [2, 3, 4, 5, 59, 60, 61, 62, 255, 256, 257, 258, 5_000, 32_768, 65_536, 131_072, 200_001] {
        let mut noise = vec![0; len];
        prng.fill(&mut noise);
        let mut words = Vec::new();
        while words.len() < len {
            let at = usize::try_from(prng.below(len as u64)).unwrap();
            let word = &noise[at..len.min(at + 3 + at % 90)];
            words.extend_from_slice(word);
            words.push(b' ');
        }
        inputs.extend([noise, words]);
    }
    inputs
}

#[test]
fn each_codec_decodes_what_it_encodes_with_state_that_is_used_again() {
    let (mut compressor, mut scratch) = (Compressor::new(), Scratch::new());
    for input in inputs() {
        for codec in CODECS {
            for level in [codec.level_default(), 1, 5, 9, 22, i32::MIN, i32::MAX] {
                let mut out = b"before".to_vec();
                compressor.compress(Encoding { codec, level }, &input, &mut out);
                let stream = out.strip_prefix(b"before").expect("it is appended");
                let decoded = scratch.decompress_within(codec, stream, input.len()).map(<[u8]>::len);
                assert_eq!(decoded, Ok(input.len()), "{codec:?} level {level}");
                let decoded = scratch.decompress_within(codec, stream, input.len()).expect("as before");
                assert!(decoded == input, "{codec:?} level {level}, {} bytes", input.len());
                let spread = 64 + input.len() / 100;
                assert!(stream.len() <= input.len() + spread, "{codec:?}: {} bytes", stream.len());
            }
        }
    }
}

#[test]
fn what_repeats_becomes_short() {
    let mut compressor = Compressor::new();
    let input = b"highwater ".repeat(10_000);
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let mut out = Vec::new();
        compressor.compress(codec.into(), &input, &mut out);
        assert!(out.len() < input.len() / 15, "{codec:?}: {} bytes", out.len());
    }
}

#[test]
fn gzip_levels_differ() {
    let mut prng = Prng::new(3);
    let words: Vec<[u8; 5]> =
        (0..200).map(|_| core::array::from_fn(|_| b'a' + u8::try_from(prng.below(26)).unwrap())).collect();
    let input: Vec<u8> = (0..40_000).flat_map(|_| words[usize::try_from(prng.below(200)).unwrap()]).collect();
    let mut compressor = Compressor::new();
    let mut len = |level| {
        let mut out = Vec::new();
        compressor.compress(Encoding { codec: Codec::Gzip, level }, &input, &mut out);
        out.len()
    };
    let lens = [len(1), len(6), len(9), len(-1)];
    assert!(lens[0] > lens[1] && lens[1] >= lens[2] && lens[1] == lens[3], "{lens:?}");
}

#[test]
fn recompressed_batch_has_the_same_records_under_the_same_header() {
    let (mut compressor, mut scratch) = (Compressor::new(), Scratch::new());
    for from in CODECS {
        let plain = built(idempotent());
        let (view, _) = BatchView::parse(&plain).unwrap();
        let first = recompress(&view, &plain[HEADER_BYTES..], from.into(), &mut compressor);
        for to in CODECS {
            let (view, _) = BatchView::parse(&first).unwrap();
            let records = scratch.decompress(from, &first[HEADER_BYTES..]).unwrap().to_vec();
            let second = recompress(&view, &records, to.into(), &mut compressor);
            let produced = validate(&second).unwrap_or_else(|error| panic!("{from:?} {to:?}: {error}"));
            assert_eq!(produced.info.codec, to);
            let (view, rest) = BatchView::parse(&second).unwrap();
            assert!(rest.is_empty());
            let (old, _) = BatchView::parse(&plain).unwrap();
            let mut info = old.info().unwrap();
            (info.codec, info.crc, info.len) = (to, view.crc(), u32::try_from(second.len()).unwrap());
            assert_eq!(view.info(), Ok(info));
            assert_eq!(view.leader_epoch(), old.leader_epoch());
            let read: Vec<_> = view.records(&mut scratch).unwrap().map(Result::unwrap).collect();
            assert_eq!(read.len(), RECORDS.len());
            for (read, record) in read.iter().zip(&RECORDS) {
                assert_eq!(
                    (read.timestamp, read.key, read.value),
                    (record.timestamp, record.key, record.value)
                );
                assert!(read.headers.iter().eq(record.headers.iter().copied()));
            }
        }
    }
}
