//! duplicate: what was promised once is in the log once.

use super::{Anomaly, Index};
use crate::writes::Promise;

pub(super) fn check(index: &Index<'_>, anomalies: &mut Vec<Anomaly>) {
    for ((key, value), offsets) in &index.offsets {
        let is_promised =
            index.writes.get(&(*key, *value)).is_some_and(|w| w.promise == Promise::ExactlyOnce);
        if is_promised && offsets.len() > 1 {
            anomalies.push(Anomaly::Duplicate { key: *key, value: *value, offsets: offsets.clone() });
        }
    }
}
