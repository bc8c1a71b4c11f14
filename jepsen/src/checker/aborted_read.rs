//! G1a: what failed for certain is never read.

use super::{Anomaly, Index};
use crate::writes::Outcome;

pub(super) fn check(index: &Index<'_>, anomalies: &mut Vec<Anomaly>) {
    for write in index.history.writes.iter().filter(|write| write.outcome == Outcome::Failed) {
        if let Some(offset) = index.offsets.get(&(write.key, write.value)).and_then(|offsets| offsets.first())
        {
            anomalies.push(Anomaly::AbortedRead { write: *write, offset: *offset });
        }
    }
}
