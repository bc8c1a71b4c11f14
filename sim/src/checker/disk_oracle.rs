//! After any crash the recovered log of a partition is a prefix of what was appended, at least as long as what was durable; no
//! byte is served whose CRC is wrong; nothing is called rotten that was only torn.

use std::collections::{BTreeMap, BTreeSet};

use highwater_core::id::{Offset, PartitionId, StreamId};
use highwater_core::shard::Event;

use super::{Checker, Rules};
use crate::history::{Ending, Fact, Fetched};
use crate::report::Violation;

const NAME: &str = "disk_oracle";

#[derive(Debug, Default, Clone, Copy)]
struct Ends {
    appended: Offset,
    durable: Offset,
    high_watermark: Offset,
}

#[derive(Debug, Clone)]
pub(super) struct DiskOracle {
    rot: bool,
    ends: BTreeMap<At, Ends>,
    /// Partitions that have spoken up since their node started last.
    known: BTreeSet<At>,
    last_endings: BTreeMap<usize, Ending>,
    /// Streams that were found torn: they are so until they are gone.
    torn: BTreeSet<StreamId>,
}

/// A partition of a node: the metadata's has the same id on each.
type At = (usize, PartitionId);

impl DiskOracle {
    pub(super) fn new(rules: &Rules) -> Self {
        Self {
            rot: rules.rot,
            ends: BTreeMap::new(),
            known: BTreeSet::new(),
            last_endings: BTreeMap::new(),
            torn: BTreeSet::new(),
        }
    }

    /// What is known of a partition's ends. One that recovery did not mention has come back empty.
    fn ends_of(&mut self, at: At) -> Result<&mut Ends, Violation> {
        let ends = self.ends.entry(at).or_default();
        if self.known.insert(at) {
            if ends.durable > Offset::ZERO && !self.rot {
                let story = format!("node {} {}: recovery is silent about {ends:?}", at.0, at.1);
                return Err(Violation::new(NAME, story));
            }
            *ends = Ends::default();
        }
        Ok(ends)
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "most events say nothing of what is on disk")]
    fn on_event(&mut self, node: usize, event: &Event) -> Result<(), Violation> {
        let wrong = |story: String| Err(Violation::new(NAME, format!("node {node}: {story}")));
        match event {
            Event::Appended { partition, base, last, .. } => {
                let ends = self.ends_of((node, *partition))?;
                if *base != ends.appended || last < base {
                    return wrong(format!("{event:?} where {} was next", ends.appended));
                }
                ends.appended = last.next();
            }
            Event::DurableAdvanced { partition, durable_end } => {
                let ends = self.ends_of((node, *partition))?;
                if *durable_end > ends.appended || *durable_end < ends.durable {
                    return wrong(format!("{event:?} with {ends:?}"));
                }
                ends.durable = *durable_end;
            }
            Event::HighWatermarkAdvanced { partition, high_watermark } => {
                let ends = self.ends_of((node, *partition))?;
                if *high_watermark > ends.durable || *high_watermark < ends.high_watermark {
                    return wrong(format!("{event:?} with {ends:?}"));
                }
                ends.high_watermark = *high_watermark;
            }
            Event::Recovered { partition, log_start, log_end } => {
                self.known.insert((node, *partition));
                let ends = self.ends.entry((node, *partition)).or_default();
                if !self.rot && (*log_end < ends.durable || *log_end > ends.appended || log_start > log_end) {
                    return wrong(format!("{event:?} with {ends:?}"));
                }
                *ends = Ends { appended: *log_end, durable: *log_end, high_watermark: *log_end };
            }
            Event::Rot { .. }
            | Event::Faulty { .. }
            | Event::CheckpointLost { .. }
            | Event::ProducersLost { .. }
            | Event::LogStartLost { .. }
                if !self.rot =>
            {
                return wrong(format!("{event:?}, and no bit has rotted"));
            }
            Event::TornTail { stream, .. } => {
                let known = !self.torn.insert(*stream);
                if !known && !self.rot && self.last_endings.get(&node) == Some(&Ending::Stopped) {
                    return wrong(format!("{event:?} after an orderly stop"));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn on_fetched(fetched: &Fetched) -> Result<(), Violation> {
        match fetched.batches.iter().find(|batch| batch.crc != batch.crc_computed) {
            Some(batch) => {
                let story = format!("{:?} was served with a wrong CRC: {batch:?}", fetched.place);
                Err(Violation::new(NAME, story))
            }
            None => Ok(()),
        }
    }
}

impl Checker for DiskOracle {
    fn on_fact(&mut self, fact: &Fact) -> Result<(), Violation> {
        match fact {
            Fact::Core { node, event } => self.on_event(*node, event),
            Fact::Fetched(fetched) => Self::on_fetched(fetched),
            Fact::Damaged { place } => {
                Err(Violation::new(NAME, format!("{place:?}: a batch was served that no client can take")))
            }
            Fact::Ended { node, how } => {
                self.known.retain(|(of, _)| of != node);
                self.last_endings.insert(*node, *how);
                Ok(())
            }
            Fact::Sent(_)
            | Fact::Acked(_)
            | Fact::Unacked(_)
            | Fact::Told(_)
            | Fact::OutOfRange(_)
            | Fact::Sought(_)
            | Fact::Member(_)
            | Fact::Listed(_)
            | Fact::RefusedInSequence { .. }
            | Fact::Trimmed(_)
            | Fact::Unreadable { .. }
            | Fact::Disk { .. }
            | Fact::Kept { .. }
            | Fact::Steward { .. }
            | Fact::ReadToEnd { .. }
            | Fact::FinalReadBegan
            | Fact::Overdue { .. } => Ok(()),
            Fact::DiskReplaced { node } => {
                self.known.retain(|(of, _)| of != node);
                self.last_endings.insert(*node, Ending::PowerOff);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use highwater_core::id::{LeaderEpoch, Offset, PartitionId, StreamId};
    use highwater_core::shard::Event;
    use highwater_core::time::Timestamp;

    use super::super::samples::{PLACE, batch, fetched, rules};
    use super::{Checker, DiskOracle};
    use crate::history::{Batch, Ending, Fact, Fetched};

    const P: PartitionId = PartitionId::METADATA;

    fn run(facts: Vec<Fact>) -> bool {
        let mut checker = DiskOracle::new(&rules());
        facts.iter().all(|fact| checker.on_fact(fact).is_ok())
    }

    fn core(event: Event) -> Fact {
        Fact::Core { node: 0, event }
    }

    fn appended(base: i64, last: i64) -> Fact {
        let (base, last) = (Offset(base), Offset(last));
        core(Event::Appended {
            partition: P,
            base,
            last,
            epoch: LeaderEpoch(0),
            bytes: 1,
            segment_base: Offset::ZERO,
            position: 0,
            max_timestamp: Timestamp(0),
            producer: None,
        })
    }

    fn durable(end: i64) -> Fact {
        core(Event::DurableAdvanced { partition: P, durable_end: Offset(end) })
    }

    fn recovered(end: i64) -> Fact {
        core(Event::Recovered { partition: P, log_start: Offset(0), log_end: Offset(end) })
    }

    #[test]
    fn recovery_between_durable_and_appended_is_fine() {
        assert!((1..=4).all(|end| run(vec![appended(0, 3), durable(1), recovered(end), appended(end, end)])));
    }

    #[test]
    fn recovery_that_forgets_or_invents_is_found() {
        assert!(!run(vec![appended(0, 3), durable(2), recovered(1)]));
        assert!(!run(vec![appended(0, 3), durable(2), recovered(5)]));
        assert!(!run(vec![appended(0, 3), recovered(2), appended(4, 4)]), "goes on behind a hole");
    }

    #[test]
    fn partition_that_recovery_does_not_mention_is_empty() {
        let ended = || Fact::Ended { node: 0, how: Ending::Killed };
        assert!(run(vec![appended(0, 3), ended(), appended(0, 0)]), "nothing was durable");
        assert!(!run(vec![appended(0, 3), durable(2), ended(), appended(0, 0)]));
    }

    #[test]
    fn durability_ahead_of_the_log_is_found() {
        assert!(!run(vec![appended(0, 3), durable(5)]));
        let high = Event::HighWatermarkAdvanced { partition: P, high_watermark: Offset(2) };
        assert!(!run(vec![appended(0, 3), durable(1), core(high)]));
    }

    #[test]
    fn nodes_do_not_mix() {
        let other = Event::DurableAdvanced { partition: P, durable_end: Offset(0) };
        assert!(run(vec![appended(0, 3), durable(2), Fact::Core { node: 1, event: other }]));
    }

    #[test]
    fn wrong_crc_is_found() {
        let Fact::Fetched(sound) = fetched(0, &[1]) else { panic!("it is a fetch") };
        assert!(run(vec![Fact::Fetched(sound.clone())]));
        let batches = vec![Batch { crc_computed: 7, ..batch(0, 1) }];
        assert!(!run(vec![Fact::Fetched(Fetched { batches, ..sound })]));
        assert!(!run(vec![Fact::Damaged { place: PLACE }]), "the client looks too");
    }

    #[test]
    fn torn_tail_needs_a_crash() {
        let torn = core(Event::TornTail { stream: StreamId::default(), lsn: 1 });
        assert!(run(vec![Fact::Ended { node: 0, how: Ending::Killed }, torn.clone()]));
        assert!(!run(vec![Fact::Ended { node: 0, how: Ending::Stopped }, torn.clone()]));
        let ended = |how| Fact::Ended { node: 0, how };
        assert!(
            run(vec![ended(Ending::Killed), torn.clone(), ended(Ending::Stopped), torn]),
            "it is torn still"
        );
    }
}
