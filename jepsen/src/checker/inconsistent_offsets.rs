//! inconsistent-offsets: an offset holds one value, whoever looks and whenever; an acknowledgement is a look, too.

use std::collections::{BTreeMap, BTreeSet};

use super::{Anomaly, Index};
use crate::writes::{Key, Offset, Outcome, Value};

pub(super) fn check(index: &Index<'_>, anomalies: &mut Vec<Anomaly>) {
    let mut acknowledged: BTreeMap<(Key, Offset), BTreeSet<Value>> = BTreeMap::new();
    for write in &index.history.writes {
        if let Outcome::Ok(Some(offset)) = write.outcome {
            acknowledged.entry((write.key, offset)).or_default().insert(write.value);
        }
    }
    for (key, offsets) in &index.seen {
        for (offset, values) in offsets {
            let mut values = values.clone();
            values.extend(acknowledged.remove(&(*key, *offset)).unwrap_or_default());
            report(*key, *offset, values, anomalies);
        }
    }
    for ((key, offset), values) in acknowledged {
        report(key, offset, values, anomalies);
    }
}

fn report(key: Key, offset: Offset, values: BTreeSet<Value>, anomalies: &mut Vec<Anomaly>) {
    if values.len() > 1 {
        anomalies.push(Anomaly::InconsistentOffsets { key, offset, values });
    }
}
