//! The wire codec against Kafka's own bytes.

mod hostile;
mod judge;

const VECTORS: &[u8] = include_bytes!("../data/vectors.ndjson.zst");

#[test]
fn every_recorded_message_decodes_and_encodes_as_in_kafka() {
    let verdict = judge::judge(&judge::read(VECTORS).unwrap());
    assert_eq!(verdict.total, 3624);
    assert!(verdict.mismatches.is_empty(), "{:#?}", verdict.mismatches);
}
