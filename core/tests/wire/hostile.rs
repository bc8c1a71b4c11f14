//! The wire codec against bytes that nobody sane would send: no panic, and no more memory than the bytes justify.

use highwater_core::limits::{DECODE_BYTES_MAX, DECODE_BYTES_MIN, DECODE_FACTOR};
use highwater_core::prng::Prng;
use highwater_core::wire::DecodeError;
use highwater_core::wire::inspect::{Codec, Kind, codecs, fuzz};

use crate::judge::{codec, read};
use crate::{VECTORS, judge::Vector};

/// Decodes, holds the memory taken against the budget, and says whether the body was a message.
fn decodes(codec: &Codec, version: i16, body: &[u8]) -> bool {
    let mut outcome = Ok(());
    let taken = allocation_counter::measure(|| outcome = (codec.decode)(version, body));
    let budget = (DECODE_BYTES_MIN + DECODE_FACTOR * body.len()).min(DECODE_BYTES_MAX);
    let taken = usize::try_from(taken.bytes_total).expect("memory fits a usize");
    assert!(taken <= budget, "{} v{version}: {taken} bytes taken for {} bytes", codec.name, body.len());
    outcome.is_ok()
}

/// Every place below `len`, or `count` of them.
fn places(len: usize, count: usize, prng: &mut Prng) -> Vec<usize> {
    if len <= count {
        return (0..len).collect();
    }
    (0..count).map(|_| usize::try_from(prng.below(len as u64)).expect("below a usize")).collect()
}

fn vectors() -> Vec<(&'static Codec, Vector)> {
    let vectors = read(VECTORS).expect("the file is whole");
    vectors.into_iter().map(|vector| (codec(&vector).expect("every message has a codec"), vector)).collect()
}

#[test]
fn a_truncated_body_is_refused() {
    let mut prng = Prng::new(1);
    for (codec, vector) in vectors() {
        for len in places(vector.body.len(), 256, &mut prng) {
            let refused = !decodes(codec, vector.version, &vector.body[..len]);
            assert!(refused, "{} v{}: {len} of {} bytes", codec.name, vector.version, vector.body.len());
        }
    }
}

#[test]
fn a_body_with_a_byte_behind_it_is_refused() {
    for (codec, mut vector) in vectors() {
        assert!(decodes(codec, vector.version, &vector.body));
        vector.body.push(0);
        assert!(!decodes(codec, vector.version, &vector.body), "{} v{}", codec.name, vector.version);
    }
}

#[test]
fn a_changed_body_is_decoded_within_its_budget() {
    let mut prng = Prng::new(2);
    for (codec, vector) in vectors() {
        for place in places(vector.body.len(), 64, &mut prng) {
            let mut body = vector.body.clone();
            body[place] = prng.next_u64().to_le_bytes()[0];
            decodes(codec, vector.version, &body);
        }
    }
}

#[test]
fn absurd_lengths_are_decoded_within_their_budget() {
    const LENGTHS: [&[u8]; 6] = [
        &[0x7f, 0xff, 0xff, 0xff],
        &[0xff, 0xff, 0xff, 0xff, 0x0f],
        &[0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
        &[0x80, 0, 0, 0],
        &[0x00, 0x10, 0, 0],
        &[0x81, 0x80, 0x04],
    ];
    let mut prng = Prng::new(3);
    for (codec, vector) in vectors() {
        for place in places(vector.body.len(), 24, &mut prng) {
            for length in LENGTHS {
                let mut body = vector.body[..place].to_vec();
                body.extend_from_slice(length);
                body.extend_from_slice(&vector.body[place..]);
                decodes(codec, vector.version, &body);
            }
        }
    }
}

/// Large frames in which nearly every byte is an element: the densest that a sender can do.
#[test]
fn dense_arrays_are_decoded_within_their_budget() {
    let mut prng = Prng::new(4);
    for codec in codecs() {
        for version in (codec.versions)() {
            for fill in [0, 1, 2] {
                let mut body = vec![fill; 128 * 1024];
                let count = usize::try_from(prng.below(4)).unwrap();
                for place in places(24, count, &mut prng) {
                    body[place..place + 3].copy_from_slice(&[0x81, 0x80, 0x04]);
                }
                decodes(codec, version, &body);
            }
        }
    }
}

/// Each of two nested arrays says that it fills the frame, so that every count by itself fits the bytes that remain.
#[test]
fn nested_counts_share_one_budget() {
    let describe_groups =
        codecs().iter().find(|codec| codec.name == "DescribeGroups" && codec.kind == Kind::Response);
    let describe_groups = describe_groups.unwrap();
    let varint = |value: usize| [0, 7, 14].map(|shift| u8::try_from(value >> shift & 0x7f).unwrap() | 0x80);
    let mut body = vec![1; 1 << 20];
    // The throttle time, the groups of at least 12 bytes, an error code and four strings, the members of at least 7.
    body[4..7].copy_from_slice(&varint((1 << 20) / 13));
    body[7] = 0;
    body[14..17].copy_from_slice(&varint((1 << 20) / 8));
    body[17] = 0;
    assert!(!decodes(describe_groups, 5, &body));
    assert_eq!((describe_groups.decode)(5, &body), Err(DecodeError::OverBudget));
}

#[test]
fn random_bodies_are_decoded_within_their_budget() {
    let mut prng = Prng::new(5);
    for codec in codecs() {
        for version in (codec.versions)() {
            for len in (0..60).map(|step| step * step / 4) {
                let mut body = vec![0; len];
                prng.fill(&mut body);
                // Small numbers are the lengths that lead further.
                for byte in &mut body {
                    *byte = if prng.chance(500_000) { *byte % 4 } else { *byte };
                }
                decodes(codec, version, &body);
            }
        }
    }
}

#[test]
fn what_decodes_is_encoded_to_a_fixed_point() {
    let mut prng = Prng::new(6);
    for (index, codec) in codecs().iter().enumerate() {
        let [high, low] = u16::try_from(index).unwrap().to_be_bytes();
        for version in (codec.versions)() {
            let offset = u8::try_from(version - (codec.versions)().start()).unwrap();
            for _ in 0..20 {
                let mut data = vec![0; 80];
                prng.fill(&mut data);
                data.iter_mut().for_each(|byte| *byte %= 5);
                data[..3].copy_from_slice(&[high, low, offset]);
                fuzz(&data);
            }
        }
    }
    for (codec, vector) in vectors() {
        let index = codecs().iter().position(|known| std::ptr::eq(known, codec)).unwrap();
        let mut data = u16::try_from(index).unwrap().to_be_bytes().to_vec();
        data.push(u8::try_from(vector.version - (codec.versions)().start()).unwrap());
        data.extend(&vector.body);
        for place in places(vector.body.len(), 8, &mut prng) {
            let mut data = data.clone();
            data[3 + place] ^= 1 << prng.below(8);
            fuzz(&data);
        }
    }
}
