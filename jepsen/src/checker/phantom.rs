//! phantom: what is read was written, and to this partition.

use super::{Anomaly, Index};

pub(super) fn check(index: &Index<'_>, anomalies: &mut Vec<Anomaly>) {
    for ((key, value), offsets) in &index.offsets {
        if !index.writes.contains_key(&(*key, *value)) {
            let offset = *offsets.first().expect("an entry is made with its first offset");
            anomalies.push(Anomaly::Phantom { key: *key, offset, value: *value });
        }
    }
}
