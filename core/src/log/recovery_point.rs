//! A recovery point: all that is derived from the batches of an open segment up to one offset, so that a start need not read them
//! again (what Kafka keeps in `recovery-point-offset-checkpoint` and its snapshots of producers). It may be lost at any time, and is
//! believed only where the file and the WAL agree with it. Knows nothing of the file that it is kept in.

use alloc::vec::Vec;

use rkyv::rancor::Failure;
use rkyv::util::AlignedVec;
use rkyv::{Archive, Deserialize, Serialize};

use crate::id::{LeaderEpoch, Offset, PartitionId, TopicId, Uuid};
use crate::log::footer::{self, Footer};
use crate::log::segment::{BlockCrcs, File, Padding, Seal, Segment};
use crate::log::{Extent, Log};
use crate::mutant::{self, Mutant};
use crate::time::Timestamp;

#[derive(Archive, Serialize, Deserialize)]
struct Archived {
    topic: [u8; 16],
    index: i32,
    opened: Option<i64>,
    segment: footer::Archived,
}

/// A recovery point that was found sound.
#[derive(Debug)]
pub struct RecoveryPoint {
    pub partition: PartitionId,
    opened: Option<Timestamp>,
    segment: Footer,
}

impl RecoveryPoint {
    /// The segment that it is of.
    pub fn base(&self) -> Offset {
        self.segment.base
    }

    /// How much of the segment it covers.
    pub fn covered(&self) -> u32 {
        self.segment.len
    }

    /// The offset behind the last batch that it covers.
    pub fn end(&self) -> Offset {
        self.segment.end
    }

    pub(super) fn last_epoch(&self) -> Option<LeaderEpoch> {
        self.segment.epochs.last().map(|entry| entry.epoch)
    }

    pub(super) fn timestamp_max(&self) -> Option<Timestamp> {
        self.segment.timestamp_max
    }

    /// What [`Log::recovery_point`] gave; `None` for anything else.
    pub fn decode(archive: &[u8]) -> Option<Self> {
        let mut aligned = AlignedVec::<16>::with_capacity(archive.len());
        aligned.extend_from_slice(archive);
        let archived = rkyv::from_bytes::<Archived, Failure>(&aligned).ok()?;
        let segment = footer::sound(archived.segment).filter(|segment| segment.end > segment.base)?;
        let partition = PartitionId { topic: TopicId(Uuid(archived.topic)), index: archived.index };
        Some(Self { partition, opened: archived.opened.map(Timestamp), segment })
    }

    /// Makes the segment the newest of the log, as far as the point covers it.
    pub(super) fn apply(self, log: &mut Log) {
        let Footer { base, len, end, timestamp_max, index, epochs, producers, faulty, crcs, .. } =
            self.segment;
        for entry in epochs {
            log.epochs.assign(entry);
        }
        if !mutant::on(Mutant::PointForgetsProducers) {
            log.producers = producers;
        }
        log.segments.push_back(Segment {
            base,
            end,
            len,
            destaged: 0,
            file: File::Present,
            head: Vec::new(),
            padding: Padding::None,
            seal: Seal::Open,
            opened: self.opened,
            timestamp_max,
            timestamp_max_evicted: None,
            index,
            crcs: BlockCrcs::resume(crcs, len),
            producers: None,
            cleaned: None,
        });
        for extent in faulty {
            log.lose(extent);
        }
    }
}

impl Log {
    /// How many bytes a point of now would cover. `None` if none is of use.
    pub fn recovery_point_len(&self) -> Option<u32> {
        let active = self.active();
        (active.file == File::Present && active.cleaned.is_none() && active.len > 0).then_some(active.len)
    }

    /// The state of the active segment at the end of the log. True once the log is durable up to there. `None` while batches wait for
    /// their bytes, of which the CRCs know nothing yet.
    pub fn recovery_point(&self, partition: PartitionId) -> Option<Vec<u8>> {
        if self.first_unwritten().is_some() {
            return None;
        }
        let active = self.active();
        let faulty: Vec<Extent> =
            self.faulty.iter().filter(|extent| extent.last >= active.base).copied().collect();
        let epochs = self.epochs.between(active.base, active.end);
        let mut thinned = active.index.clone();
        thinned.thin();
        let segment = footer::archive((active, &thinned), self.producers.iter(), &epochs, &faulty);
        let (topic, index) = (partition.topic.0.0, partition.index);
        let opened = active.opened.map(|opened| opened.0);
        let archived = Archived { topic, index, opened, segment };
        Some(rkyv::to_bytes::<Failure>(&archived).expect("an archive in memory cannot fail").to_vec())
    }
}
