//! What all readers share: the bodies of Fetch and ListOffsets, and the facts in their answers. Keeps no state.

use std::collections::BTreeMap;

use super::Desk;
use super::codec::{FetchedPartition, ListedPartition, Malformed, Writer, code, read_listed};
use crate::history::{Delivered, Edge, Fact, Fetched, Listed, OutOfRange, Place};

/// The knobs of a fetch.
#[derive(Debug, Clone)]
pub(super) struct FetchShape {
    pub(super) wait_millis: i32,
    pub(super) bytes_min: i32,
    pub(super) bytes_max: i32,
    pub(super) partition_bytes_max: i32,
    pub(super) session: i32,
    pub(super) session_epoch: i32,
}

fn by_topic<T: Copy>(of: &BTreeMap<Place, T>) -> BTreeMap<usize, Vec<(i32, T)>> {
    let mut topics: BTreeMap<usize, Vec<(i32, T)>> = BTreeMap::new();
    for (place, &value) in of {
        topics.entry(place.topic).or_default().push((place.index, value));
    }
    topics
}

pub(super) fn fetch_body(shape: &FetchShape, positions: &BTreeMap<Place, i64>, desk: &Desk<'_>) -> Writer {
    let mut body = Writer::default();
    body.i32(-1);
    body.i32(shape.wait_millis);
    body.i32(shape.bytes_min);
    body.i32(shape.bytes_max);
    body.i8(0);
    body.i32(shape.session);
    body.i32(shape.session_epoch);
    let topics = by_topic(positions);
    body.count(topics.len());
    for (topic, partitions) in topics {
        body.str(&desk.topics[topic].name);
        body.count(partitions.len());
        for (index, offset) in partitions {
            body.i32(index);
            body.i32(-1);
            body.i64(offset);
            body.i64(-1);
            body.i32(shape.partition_bytes_max);
        }
    }
    body.count(0);
    body.str("");
    body
}

/// Kafka's special timestamps, or a real one.
pub(super) fn list_body(timestamps: &BTreeMap<Place, i64>, desk: &Desk<'_>) -> Writer {
    let mut body = Writer::default();
    body.i32(-1);
    body.i8(0);
    let topics = by_topic(timestamps);
    body.count(topics.len());
    for (topic, partitions) in topics {
        body.str(&desk.topics[topic].name);
        body.count(partitions.len());
        for (index, timestamp) in partitions {
            body.i32(index);
            body.i32(-1);
            body.i64(timestamp);
        }
    }
    body
}

pub(super) fn timestamp_of(edge: Edge) -> i64 {
    match edge {
        Edge::Latest => -1,
        Edge::Earliest => -2,
    }
}

/// What a client knew of each partition when it asked.
pub(super) fn ends_known(places: impl Iterator<Item = Place>, desk: &Desk<'_>) -> BTreeMap<Place, i64> {
    places.map(|place| (place, desk.history.end_known(place))).collect()
}

/// What one partition of a fetch answer came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Go on from here; the log starts there.
    Next {
        position: i64,
        log_start: i64,
    },
    /// The position is gone or never was.
    OutOfRange,
    Failed,
}

pub(super) struct Question {
    pub(super) place: Place,
    pub(super) asked: i64,
    pub(super) end_known: i64,
}

/// Turns one partition of a fetch answer into facts.
pub(super) fn take_partition(
    question: &Question,
    answer: &FetchedPartition<'_>,
    desk: &mut Desk<'_>,
) -> Result<Outcome, Malformed> {
    let &Question { place, asked, end_known } = question;
    desk.count("fetch", answer.error);
    let log_start = answer.log_start;
    match answer.error {
        code::NONE => {}
        code::OFFSET_OUT_OF_RANGE => {
            desk.history.record(Fact::OutOfRange(OutOfRange { place, asked, log_start, end_known }));
            return Ok(Outcome::OutOfRange);
        }
        _ => return Ok(Outcome::Failed),
    }
    let read = super::batch::decode(answer.records)?;
    let batches: Vec<(i64, i64)> = read.iter().map(|b| (b.base, b.base + i64::from(b.records))).collect();
    let position = batches.last().map_or(asked, |&(_, end)| end);
    let high_watermark = answer.high_watermark;
    desk.history.record(Fact::Fetched(Fetched {
        place,
        asked,
        batches,
        log_start,
        high_watermark,
        end_known,
    }));
    for b in read {
        desk.operations.add("batch-read");
        desk.history.record(Fact::Delivered(Delivered {
            place,
            base: b.base,
            records: b.records,
            crc: b.crc,
            crc_computed: b.crc_computed,
            id: b.id,
            sequence: b.sequence,
        }));
    }
    Ok(Outcome::Next { position, log_start })
}

/// Finds the question that an answer's partition belongs to.
pub(super) fn place_of(topic: &str, index: i32, desk: &Desk<'_>) -> Result<Place, Malformed> {
    let topic = desk.topic_named(topic).ok_or(Malformed("a topic that was not asked for"))?;
    Ok(Place { topic, index })
}

/// Reads a ListOffsets answer into facts and offsets; partitions that failed are left out.
pub(super) fn take_listed(
    body: &[u8],
    edges: &BTreeMap<Place, Edge>,
    ends: &BTreeMap<Place, i64>,
    desk: &mut Desk<'_>,
) -> Result<BTreeMap<Place, i64>, Malformed> {
    let mut offsets = BTreeMap::new();
    for ListedPartition { topic, index, error, offset } in read_listed(body)? {
        let place = place_of(topic, index, desk)?;
        desk.count("list-offsets", error);
        if error != code::NONE {
            continue;
        }
        if let Some(&edge) = edges.get(&place) {
            let end_known = ends.get(&place).copied().unwrap_or(0);
            desk.history.record(Fact::Listed(Listed { place, edge, offset, end_known }));
        }
        offsets.insert(place, offset);
    }
    Ok(offsets)
}
