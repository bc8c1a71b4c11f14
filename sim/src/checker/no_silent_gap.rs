//! A fetch never skips a live offset: it begins with the batch that holds what was asked, and its batches join. Without
//! retention nothing leaves the front of a log.

use super::{Checker, Rules};
use crate::history::{Edge, Fact, Fetched, Place};
use crate::report::Violation;

const NAME: &str = "no_silent_gap";

#[derive(Debug)]
pub(super) struct NoSilentGap {
    rules: Rules,
}

impl NoSilentGap {
    pub(super) fn new(rules: &Rules) -> Self {
        Self { rules: rules.clone() }
    }

    fn on_fetched(&self, fetched: &Fetched) -> Result<(), Violation> {
        let mut next = fetched.asked;
        for (place, &(base, end)) in fetched.batches.iter().enumerate() {
            let joins = if place == 0 { base <= next && next < end } else { base == next };
            if !joins {
                let story = format!("asked for {next}, got the batch {base}..{end}: {fetched:?}");
                return Err(Violation::new(NAME, story));
            }
            next = end;
        }
        if next > fetched.high_watermark && !fetched.batches.is_empty() {
            return Err(Violation::new(NAME, format!("data above the high watermark: {fetched:?}")));
        }
        self.on_log_start(fetched.place, fetched.log_start)
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
            Fact::Listed(listed) if listed.edge == Edge::Earliest => {
                self.on_log_start(listed.place, listed.offset)
            }
            Fact::Listed(_)
            | Fact::Delivered(_)
            | Fact::OutOfRange(_)
            | Fact::Sent(_)
            | Fact::Acked(_)
            | Fact::RefusedInSequence { .. }
            | Fact::Core { .. }
            | Fact::Ended { .. }
            | Fact::FinalReadBegan
            | Fact::ReadToEnd { .. }
            | Fact::Overdue { .. } => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{PLACE, rules};
    use super::{Checker, NoSilentGap};
    use crate::history::{Fact, Fetched};

    fn run(asked: i64, batches: &[(i64, i64)], log_start: i64) -> bool {
        let batches = batches.to_vec();
        let fetched = Fetched { place: PLACE, asked, batches, log_start, high_watermark: 9, end_known: 0 };
        NoSilentGap::new(&rules()).on_fact(&Fact::Fetched(fetched)).is_ok()
    }

    #[test]
    fn joined_batches_are_fine() {
        assert!(run(3, &[(2, 5), (5, 9)], 0));
        assert!(run(3, &[], 0));
    }

    #[test]
    fn gaps_are_found() {
        assert!(!run(3, &[(4, 5)], 0), "before the first");
        assert!(!run(3, &[(1, 3)], 0), "what was asked is not in it");
        assert!(!run(3, &[(3, 5), (6, 9)], 0), "between");
        assert!(!run(3, &[(3, 10)], 0), "above the high watermark");
    }

    #[test]
    fn log_start_moves_only_by_retention() {
        assert!(!run(3, &[(3, 5)], 1));
    }
}
