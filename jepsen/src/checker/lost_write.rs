//! lost-write: what was acknowledged is in the log, at the offset that was acknowledged.

use super::{Anomaly, Index};
use crate::writes::{Outcome, Write};

pub(super) fn check(index: &Index<'_>, anomalies: &mut Vec<Anomaly>) {
    let lost = index.history.writes.iter().filter(|write| is_lost(index, write));
    anomalies.extend(lost.copied().map(Anomaly::LostWrite));
}

fn is_lost(index: &Index<'_>, write: &Write) -> bool {
    let offsets = index.offsets.get(&(write.key, write.value));
    match write.outcome {
        Outcome::Ok(Some(offset)) => !offsets.is_some_and(|offsets| offsets.contains(&offset)),
        Outcome::Ok(None) => offsets.is_none(),
        Outcome::Unknown | Outcome::Failed => false,
    }
}
