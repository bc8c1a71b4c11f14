//! A (partition, offset) that was delivered once never changes, and never vanishes above the log start.

use std::collections::BTreeMap;

use super::{Checker, Rules};
use crate::history::{Batch, Fact, OutOfRange, Place};
use crate::report::Violation;

const NAME: &str = "repeatable_read";

#[derive(Debug, Clone)]
pub(super) struct RepeatableRead {
    rules: Rules,
    seen: BTreeMap<Place, BTreeMap<i64, (i64, u32)>>,
}

impl RepeatableRead {
    pub(super) fn new(rules: &Rules) -> Self {
        Self { rules: rules.clone(), seen: BTreeMap::new() }
    }

    fn on_batch(&mut self, place: Place, batch: &Batch) -> Result<(), Violation> {
        let seen = self.seen.entry(place).or_default();
        let now = (batch.end, batch.crc);
        if let Some((&base, &before)) = seen.range(..batch.end).next_back()
            && before.0 > batch.base
            && (base != batch.base || before != now)
        {
            let story = format!("{place:?} offset {base} held {before:?} (end, crc) and is now {batch:?}");
            return Err(Violation::new(NAME, story));
        }
        seen.insert(batch.base, now);
        Ok(())
    }

    fn on_out_of_range(&self, out: &OutOfRange) -> Result<(), Violation> {
        let log_start = match out.log_start {
            Some(log_start) => log_start,
            None if self.rules.topics[out.place.topic].retains_less => return Ok(()),
            None => 0,
        };
        if log_start <= out.asked && out.asked <= out.end_known {
            let story = format!("an offset that exists is called out of range: {out:?}");
            return Err(Violation::new(NAME, story));
        }
        Ok(())
    }
}

impl Checker for RepeatableRead {
    fn on_fact(&mut self, fact: &Fact) -> Result<(), Violation> {
        let lasts = |place: Place| !self.rules.topics[place.topic].churns;
        let stays = |place: Place| lasts(place) && !self.rules.topics[place.topic].compacts;
        match fact {
            // What is lost at the end of a log is given anew; where bits rot another checker knows what counts.
            Fact::Fetched(fetched) if stays(fetched.place) && !self.rules.rot => {
                fetched.batches.iter().try_for_each(|batch| self.on_batch(fetched.place, batch))
            }
            Fact::OutOfRange(out) if lasts(out.place) && !self.rules.rot => self.on_out_of_range(out),
            Fact::Sent(_)
            | Fact::Acked(_)
            | Fact::Unacked(_)
            | Fact::Fetched(_)
            | Fact::Told(_)
            | Fact::OutOfRange(_)
            | Fact::Damaged { .. }
            | Fact::Sought(_)
            | Fact::Member(_)
            | Fact::Listed(_)
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
    use super::super::samples::{PLACE, fetched, rules, sequenced};
    use super::{Checker, RepeatableRead};
    use crate::history::{Fact, OutOfRange};

    fn run(facts: &[Fact]) -> bool {
        let mut checker = RepeatableRead::new(&rules());
        facts.iter().all(|fact| checker.on_fact(fact).is_ok())
    }

    #[test]
    fn same_bytes_again_are_fine() {
        assert!(run(&[fetched(0, &[1]), fetched(1, &[2, 3]), fetched(0, &[1])]));
    }

    #[test]
    fn other_bytes_at_an_offset_are_found() {
        assert!(!run(&[fetched(0, &[1]), fetched(0, &[2])]));
        assert!(!run(&[sequenced(0, &[1, 2], (0, 0)), fetched(1, &[3])]), "reused in part");
    }

    #[test]
    fn vanished_offset_is_found() {
        let out = |asked, log_start| {
            run(&[Fact::OutOfRange(OutOfRange { place: PLACE, asked, log_start, end_known: 4 })])
        };
        assert!(out(0, Some(1)) && out(5, Some(1)) && !out(2, Some(1)));
        assert!(out(5, None) && !out(0, None) && out(-1, None));
    }
}
