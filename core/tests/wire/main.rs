//! The wire codec against Kafka's own bytes.

mod hostile;
mod judge;

use highwater_core::wire::inspect::codecs;

const VECTORS: &[u8] = include_bytes!("../data/vectors.ndjson.zst");

#[test]
fn every_recorded_message_decodes_and_encodes_as_in_kafka() {
    let verdict = judge::judge(&judge::read(VECTORS).unwrap());
    assert_eq!(verdict.total, 3624);
    assert!(verdict.mismatches.is_empty(), "{:#?}", verdict.mismatches);
}

#[test]
fn every_version_of_every_message_was_recorded() {
    let vectors = judge::read(VECTORS).unwrap();
    for codec in codecs() {
        for version in (codec.versions)() {
            let recorded = vectors
                .iter()
                .any(|vector| (vector.key, vector.kind, vector.version) == (codec.key, codec.kind, version));
            assert!(recorded, "{} {:?} v{version}", codec.name, codec.kind);
        }
    }
}

#[test]
fn the_judge_sees_a_difference() {
    let mut vectors = judge::read(VECTORS).unwrap();
    vectors[0].json["acks"] = 1234.into();
    vectors[1].body[3] ^= 1;
    vectors[2].body.pop();
    vectors[3].json.as_object_mut().unwrap().remove("timeoutMs");
    vectors[4].version = 2;
    vectors[5].key = 4;
    let verdict = judge::judge(&vectors[..8]);
    assert_eq!((verdict.total, verdict.mismatches.len()), (8, 6), "{:#?}", verdict.mismatches);
}
