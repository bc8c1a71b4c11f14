//! What all readers share: the names of partitions, and the facts in what was fetched. Must not know how it was asked for.

use std::collections::BTreeMap;

use highwater_core::batch::{Batches, Scratch};
use highwater_core::client::{Fetched, TopicPartition};

use super::session::Turn;
use super::{Desk, batch, record};
use crate::history::{self, Fact, Place, Process, Value};
use crate::params::TopicParams;

/// Partitions of the run under the names that the real client has for them.
#[derive(Debug)]
pub(super) struct Partitions(BTreeMap<Place, TopicPartition>);

impl Partitions {
    pub(super) fn new(places: &[Place], topics: &[TopicParams]) -> Self {
        let named = |place: &Place| TopicPartition::new(&topics[place.topic].name, place.index);
        Self(places.iter().map(|place| (*place, named(place))).collect())
    }

    pub(super) fn places(&self) -> impl Iterator<Item = Place> {
        self.0.keys().copied()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Place, &TopicPartition)> {
        self.0.iter().map(|(&place, partition)| (place, partition))
    }

    pub(super) fn partition(&self, place: Place) -> TopicPartition {
        self.0[&place].clone()
    }

    pub(super) fn place(&self, partition: &TopicPartition) -> Option<Place> {
        self.iter().find(|(_, known)| *known == partition).map(|(place, _)| place)
    }
}

/// One partition of a fetch answer.
#[derive(Debug)]
pub(super) struct Answer<'a> {
    pub(super) process: Process,
    pub(super) place: Place,
    pub(super) asked: i64,
    pub(super) bytes: &'a [u8],
    pub(super) log_start: i64,
    pub(super) high_watermark: i64,
    pub(super) end_known: i64,
}

/// Turns what the real client fetched into a fact.
pub(super) fn take_fetched(place: Place, fetched: &Fetched, turn: &mut Turn<'_, '_>) {
    let answer = Answer {
        process: turn.process,
        place,
        asked: fetched.from.0,
        bytes: &fetched.batches,
        log_start: fetched.log_start.0,
        high_watermark: fetched.high_watermark.0,
        end_known: turn.desk.history.end_known_at(place, turn.seen.fetch_mark),
    };
    take(answer, turn.scratch, turn.desk);
}

pub(super) fn take(answer: Answer<'_>, scratch: &mut Scratch, desk: &mut Desk<'_>) {
    let Answer { process, place, asked, bytes, log_start, high_watermark, end_known } = answer;
    let batches = match batch::decode(bytes) {
        Ok(batches) => batches,
        Err(batch::Malformed(what)) => {
            return desk.complain("wire", format!("{place:?} has a bad batch, {what}"));
        }
    };
    desk.operations.add_many("batch-read", batches.len() as u64);
    let sound = batches.iter().all(|batch| batch.crc == batch.crc_computed);
    let records = if sound { records(bytes, asked, scratch) } else { Ok(Vec::new()) };
    let records = match records {
        Ok(records) => records,
        Err(error) => return desk.complain("wire", format!("{place:?} has bad records, {error:?}")),
    };
    desk.history.record(Fact::Fetched(history::Fetched {
        process,
        place,
        asked,
        batches,
        records,
        log_start,
        high_watermark,
        end_known,
    }));
}

/// Every record from `asked` on. A last batch that is cut off is left out.
pub(crate) fn records(
    bytes: &[u8],
    asked: i64,
    scratch: &mut Scratch,
) -> Result<Vec<(i64, Option<Value>)>, highwater_core::batch::BatchError> {
    let mut records = Vec::new();
    for batch in Batches::new(bytes) {
        for record in batch?.records(scratch)? {
            let record = record?;
            if record.offset.0 >= asked {
                let mut headers = record.headers.iter();
                let number = headers.find(|header| header.key == record::NUMBER_HEADER);
                let number = number.and_then(|header| header.value);
                let known = match number {
                    Some(number) => record::recognise_shared(number, record.key, record.value),
                    None => record::recognise(record.key, record.value),
                };
                records.push((record.offset.0, known));
            }
        }
    }
    Ok(records)
}
