//! A fetch never skips a live offset: it begins with the batch that holds what was asked, its batches join, and each offset has its
//! record. Without retention nothing leaves the front of a log.

use super::{Checker, Rules};
use crate::history::{Edge, Fact, Fetched, Place};
use crate::report::Violation;

const NAME: &str = "no_silent_gap";

#[derive(Debug, Clone)]
pub(super) struct NoSilentGap {
    rules: Rules,
}

impl NoSilentGap {
    pub(super) fn new(rules: &Rules) -> Self {
        Self { rules: rules.clone() }
    }

    /// Compaction leaves gaps: what is in the answer still begins behind what was asked and rises.
    fn on_compacted(fetched: &Fetched) -> Result<(), Violation> {
        let mut next = fetched.asked;
        for (place, batch) in fetched.batches.iter().enumerate() {
            let rises = next < batch.end && (place == 0 || next <= batch.base);
            let mut within =
                fetched.records.iter().filter(|(offset, _)| *offset < batch.end && *offset >= next);
            if !rises || within.any(|(offset, _)| *offset < batch.base) || batch.end > fetched.high_watermark
            {
                let story = format!("asked for {next}, got {batch:?} among {:?}", fetched.batches);
                return Err(Violation::new(NAME, story));
            }
            next = batch.end;
        }
        if !fetched.records.windows(2).all(|pair| pair[0].0 < pair[1].0) {
            return Err(Violation::new(NAME, format!("records do not rise: {fetched:?}")));
        }
        Ok(())
    }

    fn on_fetched(&self, fetched: &Fetched) -> Result<(), Violation> {
        if self.rules.topics[fetched.place.topic].compacts {
            return Self::on_compacted(fetched);
        }
        let mut next = fetched.asked;
        for (place, batch) in fetched.batches.iter().enumerate() {
            let joins = if place == 0 { batch.base <= next && next < batch.end } else { batch.base == next };
            if !joins {
                let story = format!("asked for {next}, got {batch:?} among {:?}", fetched.batches);
                return Err(Violation::new(NAME, story));
            }
            next = batch.end;
        }
        let sound = fetched.batches.iter().all(|batch| batch.crc == batch.crc_computed);
        if sound && !fetched.records.iter().map(|(offset, _)| *offset).eq(fetched.asked..next) {
            let story = format!("{}..{next} was fetched without its records: {fetched:?}", fetched.asked);
            return Err(Violation::new(NAME, story));
        }
        if next > fetched.high_watermark && !fetched.batches.is_empty() {
            return Err(Violation::new(NAME, format!("data above the high watermark: {fetched:?}")));
        }
        Ok(())
    }

    fn on_log_start(&self, place: Place, log_start: i64) -> Result<(), Violation> {
        if log_start > 0 && !self.rules.topics[place.topic].retains_less && !self.rules.rot {
            let story = format!("{place:?}: nothing may be deleted and the log starts at {log_start}");
            return Err(Violation::new(NAME, story));
        }
        Ok(())
    }
}

impl Checker for NoSilentGap {
    fn on_fact(&mut self, fact: &Fact) -> Result<(), Violation> {
        match fact {
            Fact::Fetched(fetched) => self.on_fetched(fetched),
            Fact::Told(told) => self.on_log_start(told.place, told.log_start),
            Fact::Listed(listed) if listed.edge == Edge::Earliest => {
                self.on_log_start(listed.place, listed.offset)
            }
            Fact::Listed(_)
            | Fact::Sent(_)
            | Fact::Acked(_)
            | Fact::Unacked(_)
            | Fact::OutOfRange(_)
            | Fact::Damaged { .. }
            | Fact::Sought(_)
            | Fact::Member(_)
            | Fact::RefusedInSequence { .. }
            | Fact::Trimmed(_)
            | Fact::Unreadable { .. }
            | Fact::Disk { .. }
            | Fact::Kept { .. }
            | Fact::Steward { .. }
            | Fact::Core { .. }
            | Fact::Ended { .. }
            | Fact::FinalReadBegan
            | Fact::ReadToEnd { .. }
            | Fact::DiskReplaced { .. }
            | Fact::Overdue { .. } => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{PLACE, batch, rules};
    use super::{Checker, NoSilentGap};
    use crate::history::{Batch, Fact, Fetched, Process, Told, Value};

    fn fact(asked: i64, batches: &[(i64, i64)], records: impl Iterator<Item = i64>) -> Fact {
        let batches: Vec<Batch> =
            batches.iter().map(|&(base, end)| Batch { end, ..batch(base, 1) }).collect();
        Fact::Fetched(Fetched {
            process: Process(1),
            place: PLACE,
            asked,
            batches,
            records: records.map(|offset| (offset, Some(Value(1)))).collect(),
            log_start: 0,
            high_watermark: 9,
            end_known: 0,
        })
    }

    fn passes(fact: &Fact) -> bool {
        NoSilentGap::new(&rules()).on_fact(fact).is_ok()
    }

    fn run(asked: i64, batches: &[(i64, i64)]) -> bool {
        let end = batches.last().map_or(asked, |&(_, end)| end);
        passes(&fact(asked, batches, asked..end))
    }

    #[test]
    fn joined_batches_are_fine() {
        assert!(run(3, &[(2, 5), (5, 9)]));
        assert!(run(3, &[]));
    }

    #[test]
    fn gaps_are_found() {
        assert!(!run(3, &[(4, 5)]), "before the first");
        assert!(!run(3, &[(1, 3)]), "what was asked is not in it");
        assert!(!run(3, &[(3, 5), (6, 9)]), "between");
        assert!(!run(3, &[(3, 10)]), "above the high watermark");
    }

    #[test]
    fn missing_record_is_found() {
        assert!(!passes(&fact(3, &[(3, 6)], [3, 5].into_iter())));
        assert!(!passes(&fact(3, &[(3, 6)], 3..5)));
    }

    #[test]
    fn log_start_moves_only_by_retention() {
        let told = |log_start| {
            let told = Told { place: PLACE, log_start, high_watermark: 4, end_known: 0 };
            passes(&Fact::Told(told))
        };
        assert!(told(0) && !told(1));
    }
}
