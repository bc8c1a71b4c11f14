//! nonmonotonic-send: where order was promised, a partition has a process's values in the order of sending.

use std::collections::BTreeMap;

use super::{Anomaly, Index};
use crate::writes::{Key, Offset, Process, Promise, Value};

pub(super) fn check(index: &Index<'_>, anomalies: &mut Vec<Anomaly>) {
    let mut last: BTreeMap<(Key, Process), (Value, Offset)> = BTreeMap::new();
    for write in index.history.writes.iter().filter(|write| write.promise == Promise::ExactlyOnce) {
        // Of a duplicate, which another checker reports, the first counts.
        let Some(offset) = index.offsets.get(&(write.key, write.value)).and_then(|offsets| offsets.first())
        else {
            continue;
        };
        let second = (write.value, *offset);
        let first = last.insert((write.key, write.process), second);
        if let Some(first) = first.filter(|first| first.1 >= second.1) {
            anomalies.push(Anomaly::NonmonotonicSend {
                key: write.key,
                process: write.process,
                first,
                second,
            });
        }
    }
}
