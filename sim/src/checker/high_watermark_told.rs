//! The high watermark as clients are told of it never goes back, and the log does not start behind it.

use super::{Checker, Rules};
use crate::history::{Fact, Place, Told};
use crate::report::Violation;

#[derive(Debug, Clone)]
pub(super) struct HighWatermarkTold {
    rules: Rules,
}

impl HighWatermarkTold {
    pub(super) fn new(rules: &Rules) -> Self {
        Self { rules: rules.clone() }
    }

    /// What was told before the question, by whatever answer, is among what was known.
    fn on_told(told: &Told) -> Result<(), Violation> {
        if told.high_watermark < told.end_known || told.log_start > told.high_watermark {
            return Err(Violation::new("high_watermark_told", format!("{told:?}")));
        }
        Ok(())
    }
}

impl Checker for HighWatermarkTold {
    fn on_fact(&mut self, fact: &Fact) -> Result<(), Violation> {
        let lasts = |place: Place| !self.rules.topics[place.topic].churns && !self.rules.rot;
        match fact {
            Fact::Told(told) if lasts(told.place) => Self::on_told(told),
            Fact::Told(_)
            | Fact::Sent(_)
            | Fact::Acked(_)
            | Fact::Unacked(_)
            | Fact::Fetched(_)
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
            | Fact::DiskReplaced { .. }
            | Fact::FinalReadBegan
            | Fact::ReadToEnd { .. }
            | Fact::Overdue { .. } => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{PLACE, rules};
    use super::{Checker, HighWatermarkTold};
    use crate::history::{Fact, Told};

    #[test]
    fn watermark_that_goes_back_is_found() {
        let told = |log_start, high_watermark| {
            let told = Told { place: PLACE, log_start, high_watermark, end_known: 4 };
            HighWatermarkTold::new(&rules()).on_fact(&Fact::Told(told)).is_ok()
        };
        assert!(told(0, 4) && told(5, 5));
        assert!(!told(0, 3), "back");
        assert!(!told(6, 5), "before the start");
    }
}
