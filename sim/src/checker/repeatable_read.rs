//! A (partition, offset) that was delivered once never changes, and never vanishes above the log start.

use std::collections::BTreeMap;

use super::{Checker, Rules};
use crate::history::{Delivered, Fact, Fetched, OutOfRange, Place};
use crate::report::Violation;

const NAME: &str = "repeatable_read";

#[derive(Debug)]
pub(super) struct RepeatableRead {
    churns: Vec<bool>,
    rot: bool,
    seen: BTreeMap<Place, BTreeMap<i64, (i64, u32)>>,
}

impl RepeatableRead {
    pub(super) fn new(rules: &Rules) -> Self {
        Self {
            churns: rules.topics.iter().map(|topic| topic.churns).collect(),
            rot: rules.rot,
            seen: BTreeMap::new(),
        }
    }

    fn on_delivered(&mut self, delivered: &Delivered) -> Result<(), Violation> {
        let seen = self.seen.entry(delivered.place).or_default();
        let now = (delivered.end(), delivered.crc);
        if let Some((&base, &before)) = seen.range(..delivered.end()).next_back()
            && before.0 > delivered.base
            && (base != delivered.base || before != now)
        {
            let story = format!("offset {base} held {before:?} (end, crc) and is now {delivered:?}");
            return Err(Violation::new(NAME, story));
        }
        seen.insert(delivered.base, now);
        Ok(())
    }

    fn on_fetched(fetched: &Fetched) -> Result<(), Violation> {
        if fetched.high_watermark < fetched.end_known {
            return Err(Violation::new(
                NAME,
                format!("the high watermark is below what clients know: {fetched:?}"),
            ));
        }
        Ok(())
    }

    fn on_out_of_range(out: &OutOfRange) -> Result<(), Violation> {
        if out.log_start <= out.asked && out.asked <= out.end_known && out.log_start >= 0 {
            return Err(Violation::new(
                NAME,
                format!("an offset that exists is called out of range: {out:?}"),
            ));
        }
        Ok(())
    }
}

impl Checker for RepeatableRead {
    fn on_fact(&mut self, fact: &Fact) -> Result<(), Violation> {
        match fact {
            Fact::Delivered(delivered) if !self.churns[delivered.place.topic] => self.on_delivered(delivered),
            Fact::Fetched(fetched) if !self.churns[fetched.place.topic] && !self.rot => {
                Self::on_fetched(fetched)
            }
            Fact::OutOfRange(out) if !self.churns[out.place.topic] && !self.rot => Self::on_out_of_range(out),
            Fact::Delivered(_)
            | Fact::Fetched(_)
            | Fact::OutOfRange(_)
            | Fact::Sent(_)
            | Fact::Acked(_)
            | Fact::Listed(_)
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
    use super::super::samples::{PLACE, delivered, rules};
    use super::{Checker, RepeatableRead};
    use crate::history::{Fact, Fetched, OutOfRange};

    fn run(facts: &[Fact]) -> bool {
        let mut checker = RepeatableRead::new(&rules());
        facts.iter().all(|fact| checker.on_fact(fact).is_ok())
    }

    #[test]
    fn same_bytes_again_are_fine() {
        assert!(run(&[delivered(1, 0), delivered(2, 2), delivered(1, 0)]));
    }

    #[test]
    fn other_bytes_at_an_offset_are_found() {
        assert!(!run(&[delivered(1, 0), delivered(2, 0)]));
        assert!(!run(&[delivered(1, 0), delivered(2, 1)]), "reused in part");
    }

    #[test]
    fn vanished_offset_is_found() {
        let fetched = |high_watermark| {
            let batches = Vec::new();
            Fact::Fetched(Fetched {
                place: PLACE,
                asked: 0,
                batches,
                log_start: 0,
                high_watermark,
                end_known: 4,
            })
        };
        assert!(run(&[fetched(4)]) && !run(&[fetched(3)]));
        let out = |asked| Fact::OutOfRange(OutOfRange { place: PLACE, asked, log_start: 1, end_known: 4 });
        assert!(run(&[out(0), out(5)]) && !run(&[out(2)]));
    }
}
