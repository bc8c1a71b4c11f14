//! The footer of a sealed segment: all that can be told of it without reading it. Written once, and twice in its file: it can be
//! made again from its segment, but once that is deleted nothing else tells of the producers. What is in doubt is not believed: first
//! the envelope's CRC, then the archive's own check, then its sense.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use rkyv::rancor::Failure;
use rkyv::util::AlignedVec;
use rkyv::{Archive, Deserialize, Serialize};

use crate::id::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};
use crate::limits::{BLOCK_BYTES, FOOTER_BYTES_MAX, FOOTER_CRC_BYTES, PRODUCER_BATCHES_RETAINED};
use crate::log::index::{Index, IndexEntry};
use crate::log::producer_state::{Producer, ProducerState, RetainedBatch};
use crate::log::segment::{Cleaned, CleanedName, Segment, SegmentName};
use crate::log::{EpochStart, Extent};
use crate::mutant::{self, Mutant};
use crate::time::Timestamp;

const MAGIC: [u8; 4] = *b"HWFT";
const SCHEMA: u16 = 1;
/// Of the footer of a cleaned segment.
const SCHEMA_CLEANED: u16 = 2;
/// An archive of another major version has another layout.
const RKYV_MAJOR: u16 = 8;
/// Magic, schema, major version of rkyv, payload length, CRC of the payload and of what stands before it.
const ENVELOPE_BYTES: usize = 16;

#[derive(Archive, Serialize, Deserialize)]
pub(super) struct Archived {
    base: i64,
    len: u32,
    end: i64,
    timestamp_max: Option<i64>,
    index: Vec<(u32, u32, i64)>,
    epochs: Vec<(i32, i64)>,
    producers: Vec<ArchivedProducer>,
    /// Transactions that were aborted: producer, first and last offset, last stable offset.
    aborted: Vec<(i64, i64, i64, i64)>,
    faulty: Vec<(i64, i64)>,
    crcs: Vec<u32>,
}

#[derive(Archive, Serialize, Deserialize)]
pub(super) struct ArchivedProducer {
    id: i64,
    epoch: i16,
    last: i64,
    /// First and last sequence, base and last offset, timestamp.
    batches: Vec<(i32, i32, i64, i64, i64)>,
}

#[derive(Archive, Serialize, Deserialize)]
struct ArchivedCleaned {
    segment: Archived,
    generation: u32,
    upto: i64,
    delete_horizon: Option<i64>,
}

/// A footer that was found sound.
#[derive(Debug)]
pub struct Footer {
    pub base: Offset,
    pub len: u32,
    pub end: Offset,
    pub timestamp_max: Option<Timestamp>,
    pub index: Index,
    pub epochs: Vec<EpochStart>,
    /// The producers at the end of the segment.
    pub producers: ProducerState,
    pub faulty: Vec<Extent>,
    pub crcs: Vec<u32>,
    pub(super) cleaned: Option<Cleaned>,
}

impl Footer {
    /// The file that it is the footer of.
    pub fn name(&self) -> SegmentName {
        let cleaned = self.cleaned.as_ref();
        let cleaned = cleaned.map(|cleaned| CleanedName { generation: cleaned.generation, end: self.end });
        SegmentName { base: self.base, cleaned }
    }
}

/// What a footer says of a segment, with so much of its index.
pub(super) fn archive<'a>(
    (segment, index): (&Segment, &Index),
    producers: impl Iterator<Item = (&'a ProducerId, &'a Producer)>,
    epochs: &[EpochStart],
    faulty: &[Extent],
) -> Archived {
    let producers = producers.map(|(id, producer)| ArchivedProducer {
        id: id.0,
        epoch: producer.epoch.0,
        last: producer.last.0,
        batches: producer
            .batches
            .iter()
            .map(|batch| {
                let (base, last) = (batch.base.0, batch.last.0);
                (batch.first_sequence, batch.last_sequence, base, last, batch.timestamp.0)
            })
            .collect(),
    });
    let index = index.entries().iter();
    Archived {
        base: segment.base.0,
        len: segment.len,
        end: segment.end.0,
        timestamp_max: segment.timestamp_max.map(|timestamp| timestamp.0),
        index: index
            .map(|entry| (entry.offset_delta, entry.position, entry.timestamp_max_before.0))
            .collect(),
        epochs: epochs.iter().map(|entry| (entry.epoch.0, entry.start.0)).collect(),
        producers: producers.collect(),
        aborted: Vec::new(),
        faulty: faulty.iter().map(|extent| (extent.base.0, extent.last.0)).collect(),
        crcs: segment.crcs.all(),
    }
}

pub(super) fn encode(segment: &Segment, epochs: &[EpochStart], faulty: &[Extent]) -> Vec<u8> {
    let producers = segment.producers.iter().flatten().map(|(id, producer)| (id, producer));
    let archived = archive((segment, &segment.index), producers, epochs, faulty);
    let (schema, payload) = match &segment.cleaned {
        None => (SCHEMA, rkyv::to_bytes::<Failure>(&archived)),
        Some(cleaned) => {
            let archived = ArchivedCleaned {
                segment: archived,
                generation: cleaned.generation,
                upto: cleaned.upto.0,
                delete_horizon: cleaned.delete_horizon.map(|horizon| horizon.0),
            };
            (SCHEMA_CLEANED, rkyv::to_bytes::<Failure>(&archived))
        }
    };
    let payload = payload.expect("an archive in memory cannot fail");
    let mut bytes = Vec::with_capacity(ENVELOPE_BYTES + payload.len());
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&schema.to_be_bytes());
    bytes.extend_from_slice(&RKYV_MAJOR.to_be_bytes());
    bytes.extend_from_slice(
        &u32::try_from(payload.len()).expect("a footer is bounded by its segment").to_be_bytes(),
    );
    let crc = envelope_crc(&bytes, &payload);
    bytes.extend_from_slice(&crc.to_be_bytes());
    bytes.extend_from_slice(&payload);
    bytes.resize(bytes.len().next_multiple_of(BLOCK_BYTES), 0);
    bytes.repeat(2)
}

fn envelope_crc(head: &[u8], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(head);
    hasher.update(payload);
    hasher.finalize()
}

/// The CRC that a footer holds of a stretch of its segment, which is of `FOOTER_CRC_BYTES` but for the last.
pub fn stretch_crc(stretch: &[u8]) -> u32 {
    crc32fast::hash(stretch)
}

/// The footer in the file `bytes`, if a copy of it is of this version and undamaged.
pub fn decode(bytes: &[u8]) -> Option<Footer> {
    let second = || {
        let (_, second) = bytes.split_at(bytes.len() / 2);
        decode_copy(second).filter(|_| !mutant::on(Mutant::OneFooterCopy))
    };
    decode_copy(bytes).or_else(second)
}

/// How long the file of this footer is, as it says itself.
pub(super) fn file_len(bytes: &[u8]) -> Option<u32> {
    let len = u32::from_be_bytes(*bytes.get(8..)?.first_chunk()?) as usize;
    let copy = len.checked_add(ENVELOPE_BYTES)?.checked_next_multiple_of(BLOCK_BYTES)?;
    u32::try_from(copy * 2).ok().filter(|_| len <= FOOTER_BYTES_MAX)
}

/// The file with two good copies, if one of them is damaged and the other is not.
pub fn repaired(bytes: &[u8]) -> Option<Vec<u8>> {
    let (first, second) = bytes.split_at_checked(bytes.len() / 2).filter(|(one, two)| one != two)?;
    let good = [first, second].into_iter().find(|copy| decode_copy(copy).is_some())?;
    Some(good.repeat(2))
}

/// The footer that `bytes` begin with. What follows it is ignored.
fn decode_copy(bytes: &[u8]) -> Option<Footer> {
    let (head, rest) = bytes.split_at_checked(ENVELOPE_BYTES)?;
    let (head, crc) = head.split_at(ENVELOPE_BYTES - 4);
    let schema = u16::from_be_bytes([head[4], head[5]]);
    if head[..4] != MAGIC || head[6..8] != RKYV_MAJOR.to_be_bytes() {
        return None;
    }
    let len = u32::from_be_bytes(head[8..12].try_into().ok()?) as usize;
    let payload = rest.get(..len).filter(|_| len <= FOOTER_BYTES_MAX)?;
    if envelope_crc(head, payload).to_be_bytes() != crc && !mutant::on(Mutant::FooterCrcIgnored) {
        return None;
    }
    match schema {
        SCHEMA => decode_payload(payload),
        SCHEMA_CLEANED => decode_cleaned(payload),
        _ => None,
    }
}

fn decode_cleaned(payload: &[u8]) -> Option<Footer> {
    let mut aligned = AlignedVec::<16>::with_capacity(payload.len());
    aligned.extend_from_slice(payload);
    let archived = rkyv::from_bytes::<ArchivedCleaned, Failure>(&aligned).ok()?;
    let footer = sound(archived.segment)?;
    let cleaned = Cleaned {
        generation: archived.generation,
        upto: Offset(archived.upto),
        delete_horizon: archived.delete_horizon.map(Timestamp),
        crcs: footer.crcs.clone(),
    };
    let sound = cleaned.generation > 0 && cleaned.upto >= footer.base;
    sound.then_some(Footer { cleaned: Some(cleaned), ..footer })
}

/// An archive whose CRC was right, or in fuzzing any bytes.
fn decode_payload(payload: &[u8]) -> Option<Footer> {
    let mut aligned = AlignedVec::<16>::with_capacity(payload.len());
    aligned.extend_from_slice(payload);
    sound(rkyv::from_bytes::<Archived, Failure>(&aligned).ok()?)
}

/// The footer, if it makes sense.
pub(super) fn sound(archived: Archived) -> Option<Footer> {
    let (base, end) = (Offset(archived.base), Offset(archived.end));
    if base.0 < 0 || end < base {
        return None;
    }
    let entry = |(offset_delta, position, timestamp)| IndexEntry {
        offset_delta,
        position,
        timestamp_max_before: Timestamp(timestamp),
    };
    let index = Index::from_entries(base, archived.index.into_iter().map(entry).collect(), archived.len)?;
    let within = |offset: i64| base.0 <= offset && offset < end.0;
    let epochs: Vec<_> = archived
        .epochs
        .into_iter()
        .map(|(epoch, start)| EpochStart { epoch: LeaderEpoch(epoch), start: Offset(start) })
        .collect();
    let rising = epochs.windows(2).all(|pair| pair[0].epoch < pair[1].epoch && pair[0].start < pair[1].start);
    let faulty: Vec<_> = archived
        .faulty
        .into_iter()
        .map(|(base, last)| Extent { base: Offset(base), last: Offset(last) })
        .collect();
    let apart = faulty.windows(2).all(|pair| pair[0].last < pair[1].base);
    let sound = rising
        && apart
        && epochs.iter().all(|entry| within(entry.start.0))
        && faulty.iter().all(|extent| extent.base <= extent.last && extent.last < end)
        && archived.crcs.len() == (archived.len as usize).div_ceil(FOOTER_CRC_BYTES);
    if !sound {
        return None;
    }
    let producers = archived.producers.into_iter().map(|producer| producer_of(producer, end));
    Some(Footer {
        base,
        len: archived.len,
        end,
        timestamp_max: archived.timestamp_max.map(Timestamp),
        index,
        epochs,
        producers: ProducerState::from_snapshot(producers.collect::<Option<_>>()?)?,
        faulty,
        crcs: archived.crcs,
        cleaned: None,
    })
}

fn producer_of(archived: ArchivedProducer, end: Offset) -> Option<(ProducerId, Producer)> {
    if archived.batches.len() > PRODUCER_BATCHES_RETAINED || archived.last >= end.0 {
        return None;
    }
    let batches: VecDeque<_> = archived
        .batches
        .into_iter()
        .map(|batch| RetainedBatch {
            first_sequence: batch.0,
            last_sequence: batch.1,
            base: Offset(batch.2),
            last: Offset(batch.3),
            timestamp: Timestamp(batch.4),
        })
        .collect();
    let sound = batches.iter().all(|batch| batch.base <= batch.last && batch.last.0 <= archived.last);
    let producer = Producer { epoch: ProducerEpoch(archived.epoch), last: Offset(archived.last), batches };
    sound.then_some((ProducerId(archived.id), producer))
}

/// Takes any bytes as a footer, with and without the guard of the CRC.
pub fn fuzz(data: &[u8]) {
    drop(decode(data));
    drop(decode_payload(data));
    drop(decode_cleaned(data));
}
