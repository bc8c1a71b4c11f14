//! The entry point for fuzzing: takes any bytes as the values of a metadata log.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::record::MetadataRecord;
use super::state::Controller;
use crate::config::Config;
use crate::id::Offset;

/// The bytes as values, each behind its length of two bytes; all that can be read are replayed.
pub fn records(data: &[u8]) {
    let mut controller = Controller::new(Arc::new(Config::default()));
    let (mut next, mut rest) = (Offset::ZERO, data);
    while let Some((len, behind)) = rest.split_first_chunk() {
        let (value, behind) = behind.split_at(behind.len().min(u16::from_be_bytes(*len).into()));
        rest = behind;
        let Ok(record) = MetadataRecord::decode(value) else { continue };
        let mut encoded = Vec::new();
        record.encode(&mut encoded);
        assert!(encoded == value, "a record has one encoding");
        controller.replay(next, record);
        next = next.next();
    }
    let changed = controller.on_committed(next);
    assert!(changed == (next > Offset::ZERO), "every record counts as a change");
    let image = controller.image();
    for topic in image.topics() {
        assert!(topic.partitions().count() <= image.partition_count(), "no topic has more than all");
    }
}
