//! High watermark, durable end and log start never go back while a node runs, and none but the log's end is behind another. What
//! was committed before a crash is committed after it, and a segment whose file was removed does not come back.

use std::collections::BTreeMap;

use highwater_core::id::{Offset, PartitionId};
use highwater_core::shard::Event;

use super::{Checker, Look, Rules};
use crate::history::Fact;
use crate::report::Violation;

const NAME: &str = "hw_monotone";

#[derive(Debug, Default, Clone, Copy)]
struct Marks {
    log_start: Offset,
    durable_end: Offset,
    high_watermark: Offset,
    /// The last segment that was removed began here.
    removed: Option<Offset>,
}

#[derive(Debug, Clone)]
pub(super) struct HwMonotone {
    rot: bool,
    marks: BTreeMap<(usize, PartitionId), Marks>,
}

impl HwMonotone {
    pub(super) fn new(rules: &Rules) -> Self {
        Self { rot: rules.rot, marks: BTreeMap::new() }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "most events move no mark")]
    fn on_event(&mut self, node: usize, event: &Event) -> Result<(), Violation> {
        match event {
            Event::HighWatermarkAdvanced { partition, high_watermark } => {
                let marks = self.marks.entry((node, *partition)).or_default();
                if *high_watermark <= marks.high_watermark {
                    return Err(wrong(node, event, marks));
                }
                marks.high_watermark = *high_watermark;
            }
            Event::SegmentDeleted { partition, base } => {
                let marks = self.marks.entry((node, *partition)).or_default();
                if marks.removed.is_some_and(|before| *base <= before) {
                    return Err(wrong(node, event, marks));
                }
                marks.removed = Some(*base);
            }
            Event::Recovered { partition, log_start, log_end } => {
                let marks = self.marks.entry((node, *partition)).or_default();
                // Rot may take the record that the topic was deleted, after its files have gone.
                let back = marks.removed.is_some_and(|removed| *log_start <= removed);
                if (back || *log_end < marks.high_watermark) && !self.rot {
                    return Err(wrong(node, event, marks));
                }
                // Removals that a crash interrupted begin again.
                let removed = marks.removed.filter(|_| !back);
                let log_end = *log_end;
                *marks =
                    Marks { log_start: *log_start, durable_end: log_end, high_watermark: log_end, removed };
            }
            _ => {}
        }
        Ok(())
    }
}

fn wrong(node: usize, what: impl std::fmt::Debug, marks: &Marks) -> Violation {
    Violation::new(NAME, format!("node {node}: {what:?} with {marks:?}"))
}

impl Checker for HwMonotone {
    #[expect(clippy::wildcard_enum_match_arm, reason = "only the core knows these marks")]
    fn on_fact(&mut self, fact: &Fact) -> Result<(), Violation> {
        match fact {
            Fact::Core { node, event } => self.on_event(*node, event),
            _ => Ok(()),
        }
    }

    fn on_look(&mut self, look: &Look) -> Result<(), Violation> {
        for view in &look.partitions {
            let log = &view.log;
            let now = Marks {
                log_start: log.log_start,
                durable_end: log.durable_end,
                high_watermark: view.high_watermark,
                removed: None,
            };
            let marks = self.marks.entry((look.node, view.partition)).or_default();
            let ordered = now.log_start <= now.high_watermark
                && now.high_watermark <= now.durable_end
                && now.durable_end <= log.log_end;
            let forward = marks.log_start <= now.log_start
                && marks.durable_end <= now.durable_end
                && marks.high_watermark <= now.high_watermark;
            if !ordered || !forward {
                let story = format!("{}: {now:?}, end {}", view.partition, log.log_end);
                return Err(wrong(look.node, story, marks));
            }
            *marks = Marks { removed: marks.removed, ..now };
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use highwater_core::id::{Offset, PartitionId};
    use highwater_core::shard::Event;

    use super::super::samples::{look, rules};
    use super::{Checker, HwMonotone};
    use crate::history::Fact;

    const P: PartitionId = PartitionId::METADATA;

    fn run(events: Vec<Event>) -> bool {
        let mut checker = HwMonotone::new(&rules());
        events.into_iter().all(|event| checker.on_fact(&Fact::Core { node: 0, event }).is_ok())
    }

    fn high(offset: i64) -> Event {
        Event::HighWatermarkAdvanced { partition: P, high_watermark: Offset(offset) }
    }

    fn recovered(start: i64, end: i64) -> Event {
        Event::Recovered { partition: P, log_start: Offset(start), log_end: Offset(end) }
    }

    #[test]
    fn high_watermark_that_goes_back_is_found() {
        assert!(run(vec![high(3), high(5), recovered(0, 5), high(6)]));
        assert!(!run(vec![high(3), high(2)]));
        assert!(!run(vec![high(3), recovered(0, 2)]));
    }

    #[test]
    fn removed_segment_that_comes_back_is_found() {
        let deleted = |base| Event::SegmentDeleted { partition: P, base: Offset(base) };
        assert!(run(vec![high(9), deleted(0), deleted(4), recovered(6, 9)]));
        assert!(!run(vec![high(9), deleted(0), deleted(4), recovered(4, 9)]));
        assert!(!run(vec![deleted(4), deleted(0)]));
    }

    #[test]
    fn marks_out_of_order_are_found() {
        let mut checker = HwMonotone::new(&rules());
        assert!(checker.on_look(&look(0, [0, 4, 4, 6])).is_ok());
        assert!(checker.on_look(&look(0, [0, 3, 4, 6])).is_err(), "goes back");
        assert!(HwMonotone::new(&rules()).on_look(&look(0, [0, 5, 4, 6])).is_err(), "ahead of durable");
        assert!(HwMonotone::new(&rules()).on_look(&look(0, [5, 4, 4, 6])).is_err(), "starts behind");
    }
}
