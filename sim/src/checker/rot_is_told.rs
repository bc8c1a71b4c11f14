//! Where bits rot and disks lie, data may be lost, but exactly what the damage touches, and never in silence: a record that was
//! acknowledged is read back as it was, or its reader is told that it cannot be read, or a recovery that met damage has ended the
//! log before it. Nothing else stands at its offset, and nothing is called rotten that no damage touched.
//!
//! No word is asked for where damage leaves no trace: a log whose damaged frame no later one proves looks torn by the crash, and a
//! disk that has lost or misdirected an operation says nothing of it.

mod atlas;
mod offsets;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use highwater_core::id::{Offset, PartitionId};
use highwater_core::shard::{Event, Halt};

use self::atlas::{Atlas, Placed};
use super::{Checker, Rules};
use crate::history::{Acked, DiskNote, Fact, Fetched, Frame, Place, Value};
use crate::report::Violation;

const NAME: &str = "rot_is_told";

#[derive(Debug, Clone)]
pub(super) struct RotIsTold {
    rules: Rules,
    atlas: Atlas,
    /// Which topic's partition it is, known by what is written to it.
    places: BTreeMap<PartitionId, Place>,
    sent: BTreeMap<Value, Place>,
    acked: BTreeMap<Place, BTreeMap<i64, Value>>,
    /// What was written last at the offsets that still count.
    written: BTreeMap<Place, BTreeMap<i64, Value>>,
    durable: BTreeMap<PartitionId, i64>,
    /// This start of the node has said that a log lacks something.
    warned: bool,
    /// The metadata are damaged, and with them all topics.
    topics_lost: bool,
    unreadable: BTreeSet<(Place, i64)>,
    read: Option<BTreeMap<Place, BTreeMap<i64, Option<Value>>>>,
}

fn wrong(story: String) -> Result<(), Violation> {
    Err(Violation::new(NAME, story))
}

impl RotIsTold {
    pub(super) fn new(rules: &Rules) -> Self {
        Self {
            rules: rules.clone(),
            atlas: Atlas::default(),
            places: BTreeMap::new(),
            sent: BTreeMap::new(),
            acked: BTreeMap::new(),
            written: BTreeMap::new(),
            durable: BTreeMap::new(),
            warned: false,
            topics_lost: false,
            unreadable: BTreeSet::new(),
            read: None,
        }
    }

    fn on_note(&mut self, note: &DiskNote) {
        match note {
            DiskNote::Logging(frame) => {
                if self.atlas.on_logging(frame) {
                    self.on_written(frame);
                }
            }
            DiskNote::Logged { file, bytes } => self.atlas.on_logged(*file, bytes),
            DiskNote::Struck { strike, file, bytes } => self.atlas.on_struck(*strike, *file, bytes),
        }
    }

    fn on_written(&mut self, frame: &Frame) {
        for batch in &frame.batches {
            let values = batch.values.iter().filter_map(|&(offset, value)| Some((offset, value?)));
            for (offset, value) in values {
                let Some(&place) = self.sent.get(&value) else { continue };
                self.places.insert(batch.partition, place);
                self.written.entry(place).or_default().insert(offset, value);
            }
        }
    }

    /// An answer may come after its record was lost.
    fn on_acked(&mut self, acked: &Acked) {
        let Some(offset) = acked.offset.filter(|_| !self.rules.topics[acked.place.topic].churns) else {
            return;
        };
        let counts = self.written.get(&acked.place).is_some_and(|all| all.get(&offset) == Some(&acked.value));
        if counts {
            self.acked.entry(acked.place).or_default().insert(offset, acked.value);
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "few events tell of what is on disk")]
    fn on_event(&mut self, event: &Event) -> Result<(), Violation> {
        match event {
            Event::Appended { partition, base, last, bytes, segment_base, position, .. } => {
                let (partition, base, last) = (*partition, base.0, last.0);
                let (segment_base, position, len) = (*segment_base, *position, *bytes);
                self.atlas.on_appended(Placed { partition, segment_base, position, len, base, last });
            }
            Event::DurableAdvanced { partition, durable_end } => {
                self.durable.insert(*partition, durable_end.0);
            }
            Event::TornTail { .. } => self.warned = true,
            Event::Rot { stream, first, last } => {
                self.warned = true;
                if !self.atlas.has_struck(*stream, (*first, *last)) {
                    return wrong(format!("{event:?}, and nothing has touched it"));
                }
            }
            Event::CheckpointLost { stream } => {
                self.warned = true;
                if !self.atlas.on_checkpoint_lost(*stream) {
                    return wrong(format!("{event:?}, and nothing has touched it"));
                }
            }
            Event::ProducersLost { partition } if !self.atlas.has_struck_footer(*partition) => {
                return wrong(format!("{event:?}, and nothing has touched it"));
            }
            Event::LogStartLost { partition } if !self.atlas.has_struck_start(*partition) => {
                return wrong(format!("{event:?}, and nothing has touched it"));
            }
            Event::Faulty { partition, base, last } => {
                self.topics_lost |= *partition == PartitionId::METADATA;
                let end = self.durable.get(partition).copied().unwrap_or(0);
                self.atlas.on_claimed(*partition, base.0.max(end)..last.0 + 1);
                return self.must_be_touched(*partition, base.0..last.0 + 1, event);
            }
            Event::Halted(Halt::MetadataUnreadable { at }) => {
                return self.must_be_touched(PartitionId::METADATA, at.0..at.0 + 1, event);
            }
            Event::Recovered { partition, log_end, .. } => {
                if *partition == PartitionId::METADATA {
                    self.atlas.on_logs_read();
                }
                return self.on_recovered(*partition, *log_end, event);
            }
            _ => {}
        }
        Ok(())
    }

    fn must_be_touched(
        &self,
        partition: PartitionId,
        offsets: Range<i64>,
        event: &Event,
    ) -> Result<(), Violation> {
        match self.atlas.untouched(partition, offsets).filter(|_| !self.topics_lost) {
            Some(offset) => wrong(format!("{event:?}, and nothing has touched {offset}")),
            None => Ok(()),
        }
    }

    /// Recovery may have ended a log before what was durable.
    fn on_recovered(&mut self, partition: PartitionId, end: Offset, event: &Event) -> Result<(), Violation> {
        let before = self.durable.insert(partition, end.0).unwrap_or(0);
        if end.0 < before {
            self.must_be_touched(partition, end.0..before, event)?;
            let visible = self.atlas.with_trace(partition, end.0..before);
            if let Some(offset) = visible.filter(|_| !self.warned && !self.topics_lost) {
                return wrong(format!("{event:?} without a word of {offset}, and the end was {before}"));
            }
            self.topics_lost |= partition == PartitionId::METADATA;
        }
        if let Some(place) = self.places.get(&partition) {
            self.acked.entry(*place).or_default().split_off(&end.0);
            self.written.entry(*place).or_default().split_off(&end.0);
        }
        Ok(())
    }

    /// What is read is what was written there last.
    fn on_fetched(&self, fetched: &Fetched) -> Result<(), Violation> {
        let written = self.written.get(&fetched.place);
        let written = written.filter(|_| !self.rules.topics[fetched.place.topic].churns && !self.topics_lost);
        for (offset, found) in &fetched.records {
            match written.and_then(|written| written.get(offset)) {
                Some(value) if *found != Some(*value) => {
                    let place = fetched.place;
                    return wrong(format!("{place:?}: {found:?} is read at {offset}, {value:?} was written"));
                }
                Some(_) | None => {}
            }
        }
        Ok(())
    }

    fn on_read_to_end(&self, place: Place, log_start: i64) -> Result<(), Violation> {
        let topic = &self.rules.topics[place.topic];
        if topic.churns || topic.compacts || self.topics_lost {
            return Ok(());
        }
        let from = if topic.retains_less { log_start } else { 0 };
        let nothing = BTreeMap::new();
        let read = self.read.as_ref().and_then(|read| read.get(&place)).unwrap_or(&nothing);
        let partition = self.places.iter().find(|(_, of)| **of == place).map(|(id, _)| *id);
        for (&offset, value) in self.acked.get(&place).into_iter().flat_map(|acked| acked.range(from..)) {
            let told = self.unreadable.contains(&(place, offset));
            let touched = partition.is_some_and(|id| self.atlas.untouched(id, offset..offset + 1).is_none());
            match read.get(&offset) {
                Some(found) if *found == Some(*value) => {}
                None if told && touched => {}
                found => {
                    let story =
                        format!("{place:?}: {value:?} was acknowledged at {offset}, there is {found:?}");
                    return wrong(format!("{story}; told: {told}, touched: {touched}"));
                }
            }
        }
        Ok(())
    }
}

impl Checker for RotIsTold {
    fn on_fact(&mut self, fact: &Fact) -> Result<(), Violation> {
        if !self.rules.rot {
            return Ok(());
        }
        match fact {
            Fact::Sent(sent) => {
                self.sent.insert(sent.value, sent.place);
            }
            Fact::Acked(acked) => self.on_acked(acked),
            Fact::Core { event, .. } => return self.on_event(event),
            Fact::Disk { note, .. } => self.on_note(note),
            Fact::Ended { .. } => self.warned = false,
            Fact::Unreadable { place, offset } => {
                self.unreadable.insert((*place, *offset));
            }
            Fact::FinalReadBegan => self.read = Some(BTreeMap::new()),
            Fact::Fetched(fetched) => {
                self.on_fetched(fetched)?;
                if let Some(read) = &mut self.read {
                    read.entry(fetched.place).or_default().extend(fetched.records.iter().copied());
                }
            }
            Fact::ReadToEnd { place, log_start, .. } => return self.on_read_to_end(*place, *log_start),
            Fact::Unacked(_)
            | Fact::Told(_)
            | Fact::OutOfRange(_)
            | Fact::Damaged { .. }
            | Fact::Sought(_)
            | Fact::Member(_)
            | Fact::Listed(_)
            | Fact::RefusedInSequence { .. }
            | Fact::Trimmed(_)
            | Fact::Steward { .. }
            | Fact::Kept { .. }
            | Fact::DiskReplaced { .. }
            | Fact::Overdue { .. } => {}
        }
        Ok(())
    }
}
