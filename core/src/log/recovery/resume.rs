//! Going on at a recovery point instead of reading a segment from its first byte: whether the file and the WAL agree with it, and what
//! the WAL still holds of what it covers.

use alloc::vec::Vec;

use super::rebuild::{Rebuild, info_of, staged_at};
use super::{Intact, RecoveryRead, Source, WalState};
use crate::id::Offset;
use crate::log::segment::{BLOCK, SegmentName, len_of};
use crate::log::{Extent, Log, RecoveryPoint, TailBatch};
use crate::mutant::{self, Mutant};

/// What may be gone on from.
#[derive(Debug)]
pub(super) struct Resume {
    pub(super) point: RecoveryPoint,
    /// What the WAL has of it, without gaps up to where it ends.
    staged: Vec<TailBatch>,
    /// All before is on disk: no batch of it is in the WAL, and a frame goes only when its batches are.
    disk_end: u32,
}

impl Resume {
    /// `None` where anything contradicts the point. With a WAL that lacks frames, nothing says what was destaged.
    pub(super) fn new(
        source: &Source,
        point: RecoveryPoint,
        (limit, wal): (Option<Offset>, WalState),
    ) -> Option<Self> {
        let file = source.file.as_ref()?;
        let unchecked = mutant::on(Mutant::PointsUnchecked);
        let open = file.name.cleaned.is_none() && file.footer.is_none();
        let fits = limit.is_none_or(|limit| point.end() <= limit);
        if !open || !fits || (wal != WalState::Whole && !unchecked) {
            return None;
        }
        let staged = covered(source, &point).or_else(|| unchecked.then(Vec::new))?;
        let disk_end = staged.first().map_or(point.covered(), |first| first.position);
        (u64::from(disk_end) <= file.len || unchecked).then_some(Self { point, staged, disk_end })
    }

    /// The block that the disk's last batch ends in, if it is not full: what it holds has to be known when it is written again.
    pub(super) fn head_read(&self) -> Option<RecoveryRead> {
        let len = self.disk_end % BLOCK;
        let name = SegmentName::written(self.point.base());
        (len > 0).then_some(RecoveryRead { name, at: u64::from(self.disk_end - len), len })
    }

    pub(super) fn apply(
        self,
        log: &mut Log,
        (mut source, head): (Source, Vec<u8>),
        (next, wal): (Option<Offset>, WalState),
    ) -> Rebuild {
        let (len, timestamp_max) = (self.point.covered(), self.point.timestamp_max());
        source.wal = source.wal.split_off(&len);
        self.point.apply(log);
        Rebuild::resume(source, (self.disk_end, timestamp_max, head), self.staged, (next, wal))
    }
}

/// The batches of the WAL that the point covers, if each joins the one before it and the last ends where the point does.
fn covered(source: &Source, point: &RecoveryPoint) -> Option<Vec<TailBatch>> {
    let mut staged: Vec<TailBatch> = Vec::new();
    for batch in source.wal.range(..point.covered()).map(|(_, batch)| batch) {
        let extent = Extent { base: batch.base, last: batch.last };
        let info = info_of(&batch.bytes, extent).filter(|_| batch.intact == Intact::Yes)?;
        let joins = staged
            .last()
            .is_none_or(|before| before.last.next() == batch.base && before.end_position() == batch.position);
        if !joins || batch.position.checked_add(len_of(&batch.bytes))? > point.covered() {
            return None;
        }
        let bytes = batch.bytes.clone();
        let at = staged_at((source.base, batch.position), extent, &info, batch.epoch, bytes);
        staged.push(TailBatch { wal_file: batch.wal_file, ..at });
    }
    let ends = staged
        .last()
        .is_none_or(|last| last.last.next() == point.end() && last.end_position() == point.covered());
    ends.then_some(staged)
}
