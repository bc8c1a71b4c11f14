//! Where each batch stands on a node's disk, and so what damage to the disk touches. Judges nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use highwater_core::id::{FileId, Offset, PartitionId, StreamId};
use highwater_core::limits::INDEX_INTERVAL_BYTES_MAX;

use super::offsets::Offsets;
use crate::disk::Strike;
use crate::history::Frame;

/// The fields of a batch without which the one behind it is not found.
const FRAMING_BYTES: u64 = 27;

#[derive(Debug, Clone)]
struct Logged {
    frame: Frame,
    is_on_disk: bool,
    is_struck: bool,
}

/// A batch in a segment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Placed {
    pub(super) partition: PartitionId,
    pub(super) segment_base: Offset,
    pub(super) position: u32,
    pub(super) len: u32,
    pub(super) base: i64,
    pub(super) last: i64,
}

/// Offsets of one partition: those that damage touched.
#[derive(Debug, Clone, Default)]
struct Touched {
    all: Offsets,
    /// By what the disk did otherwise than it said, which need not leave a trace.
    without_trace: Offsets,
}

/// Bytes of a segment that one strike hides.
type Blind = (Strike, Range<u64>);

#[derive(Debug, Clone, Default)]
pub(super) struct Atlas {
    logs: BTreeMap<StreamId, BTreeMap<u64, Logged>>,
    /// Up to where a recovery has said that a log counts.
    fences: BTreeMap<StreamId, u64>,
    segments: BTreeMap<(PartitionId, Offset), BTreeMap<u32, Placed>>,
    /// Where in a segment no batch is found by the one before it.
    blind: BTreeMap<(PartitionId, Offset), Vec<Blind>>,
    touched: BTreeMap<PartitionId, Touched>,
    /// Partitions with a damaged segment.
    struck: BTreeSet<PartitionId>,
    checkpoints: BTreeSet<StreamId>,
    /// Partitions with a damaged footer.
    footers: BTreeSet<PartitionId>,
    /// Partitions of which the file that tells where the log begins is damaged.
    starts: BTreeSet<PartitionId>,
}

impl Atlas {
    /// Whether the frame was not known.
    pub(super) fn on_logging(&mut self, frame: &Frame) -> bool {
        let log = self.logs.entry(frame.stream).or_default();
        let is_new = !log.contains_key(&frame.lsn);
        let logged = || Logged { frame: frame.clone(), is_on_disk: false, is_struck: false };
        log.entry(frame.lsn).or_insert_with(logged);
        is_new
    }

    pub(super) fn on_logged(&mut self, file: FileId, bytes: &Range<u64>) {
        let FileId::Wal { stream, .. } = file else { return };
        for logged in self.logs.entry(stream).or_default().values_mut() {
            let frame = &logged.frame;
            let is_within = bytes.start <= frame.bytes.start && frame.bytes.end <= bytes.end;
            logged.is_on_disk |= frame.file == file && is_within;
        }
    }

    /// From there on offsets are given anew. What a start did not find may come back until then: a disk that answered with other
    /// bytes has the right ones still.
    pub(super) fn on_appended(&mut self, placed: Placed) {
        if let Some(touched) = self.touched.get_mut(&placed.partition) {
            touched.all.cut(placed.base);
            touched.without_trace.cut(placed.base);
        }
        let segment = self.segments.entry((placed.partition, placed.segment_base)).or_default();
        // What stood there is cut.
        segment.split_off(&placed.position);
        segment.insert(placed.position, placed);
        let position = u64::from(placed.position);
        for (strike, blind) in self.blind.get(&(placed.partition, placed.segment_base)).into_iter().flatten()
        {
            if blind.contains(&position) {
                touch(&mut self.touched, *strike, placed.partition, placed.base..placed.last + 1);
            }
        }
    }

    pub(super) fn on_struck(&mut self, strike: Strike, file: FileId, bytes: &Range<u64>) {
        match file {
            FileId::Wal { stream, .. } => self.strike_log(strike, (stream, file), bytes),
            FileId::Segment { partition, base } => {
                self.struck.insert(partition);
                self.strike_segment(strike, (partition, base), bytes);
            }
            // Any of its records may have been there.
            FileId::Cleaned { partition, base, end, .. } => {
                self.struck.insert(partition);
                touch(&mut self.touched, strike, partition, base.0..end.0);
            }
            FileId::Checkpoint { stream } => {
                self.checkpoints.insert(stream);
            }
            // All in a footer can be made again, and without a superblock nothing runs.
            FileId::Footer { partition, .. } => {
                self.footers.insert(partition);
            }
            // What it says is found out again from the segments.
            FileId::Superblock | FileId::RecoveryPoints { .. } => {}
            FileId::LogStart { partition } => {
                self.starts.insert(partition);
            }
        }
    }

    fn strike_log(&mut self, strike: Strike, (stream, file): (StreamId, FileId), bytes: &Range<u64>) {
        let Some(log) = self.logs.get_mut(&stream) else { return };
        for logged in log.values_mut() {
            let frame = &logged.frame;
            if frame.file == file && frame.bytes.start < bytes.end && bytes.start < frame.bytes.end {
                logged.is_struck = true;
                for batch in &frame.batches {
                    touch(&mut self.touched, strike, batch.partition, batch.base..batch.last + 1);
                }
            }
        }
    }

    /// The batches there, and if it can no longer be seen where one ends, those up to the next that can be found again.
    fn strike_segment(&mut self, strike: Strike, at: (PartitionId, Offset), bytes: &Range<u64>) {
        let mut until = bytes.end;
        for placed in self.segments.get(&at).into_iter().flat_map(BTreeMap::values) {
            let (from, end) = (u64::from(placed.position), u64::from(placed.position + placed.len));
            if end <= bytes.start || from >= until {
                continue;
            }
            if from < bytes.end && from + FRAMING_BYTES > bytes.start {
                until = until.max(end + u64::from(INDEX_INTERVAL_BYTES_MAX));
                self.blind.entry(at).or_default().push((strike, from..until));
            }
            touch(&mut self.touched, strike, placed.partition, placed.base..placed.last + 1);
        }
    }

    /// A recovery has read all logs of earlier lives, and says how far each of them counts.
    pub(super) fn on_logs_read(&mut self) {
        let streams: Vec<StreamId> = self.logs.keys().copied().collect();
        for stream in streams {
            let last = self.logs[&stream].keys().next_back().copied().unwrap_or(0);
            let end = self.looks_torn_from(stream).map_or(last, |torn| torn - 1);
            self.fences.entry(stream).or_insert(end);
        }
    }

    /// No checkpoint tells where this log ends or what of it counts: whether one was damaged, so that all in it is touched.
    pub(super) fn on_checkpoint_lost(&mut self, stream: StreamId) -> bool {
        self.fences.remove(&stream);
        for logged in self.logs.get(&stream).into_iter().flat_map(BTreeMap::values) {
            for batch in &logged.frame.batches {
                touch(&mut self.touched, Strike::Rot, batch.partition, batch.base..batch.last + 1);
            }
        }
        self.checkpoints.contains(&stream)
    }

    /// These offsets were never durable, and are called lost: where damage has put bytes behind the end of a log, nobody can know that
    /// there was nothing. Such a loss may be forgotten again.
    pub(super) fn on_claimed(&mut self, partition: PartitionId, offsets: Range<i64>) {
        if self.struck.contains(&partition) {
            touch(&mut self.touched, Strike::Lie, partition, offsets);
        }
    }

    pub(super) fn has_struck_footer(&self, partition: PartitionId) -> bool {
        self.footers.contains(&partition)
    }

    pub(super) fn has_struck_start(&self, partition: PartitionId) -> bool {
        self.starts.contains(&partition)
    }

    /// Whether one of these frames is damaged, or may have been passed over as the checkpoint is.
    pub(super) fn has_struck(&self, stream: StreamId, (first, last): (u64, u64)) -> bool {
        let log = self.logs.get(&stream);
        let struck =
            |log: &BTreeMap<u64, Logged>| log.range(first..=last).any(|(_, logged)| logged.is_struck);
        self.checkpoints.contains(&stream) || log.is_some_and(struck)
    }

    /// From this frame on a damaged log looks as if a crash had torn it: nothing says that the frame was on disk.
    fn looks_torn_from(&self, stream: StreamId) -> Option<u64> {
        let log = self.logs.get(&stream)?;
        let fence = self.fences.get(&stream).copied().unwrap_or(0);
        let sound = log.values().filter(|logged| logged.is_on_disk && !logged.is_struck);
        let proven = sound.map(|logged| logged.frame.proves).max().unwrap_or(0).max(fence);
        log.iter().find(|(lsn, logged)| logged.is_struck && **lsn > proven).map(|(lsn, _)| *lsn)
    }

    /// The offsets of a partition that may be gone with the damaged end of a log, which is no more to be seen.
    fn torn_away(&self, partition: PartitionId) -> Offsets {
        let ends = self.logs.keys().filter_map(|&stream| Some((stream, self.looks_torn_from(stream)?)));
        let batches = ends.flat_map(|(stream, from)| self.logs[&stream].range(from..));
        let batches = batches.flat_map(|(_, logged)| &logged.frame.batches);
        let mut torn = Offsets::default();
        for batch in batches.filter(|batch| batch.partition == partition) {
            torn.add(batch.base..batch.last + 1);
        }
        torn
    }

    /// The first of these offsets that no damage touches.
    pub(super) fn untouched(&self, partition: PartitionId, offsets: Range<i64>) -> Option<i64> {
        let mut excused = self.torn_away(partition);
        if let Some(touched) = self.touched.get(&partition) {
            excused.extend(&touched.all);
        }
        excused.first_missing(offsets)
    }

    /// The first of these offsets whose loss can be seen.
    pub(super) fn with_trace(&self, partition: PartitionId, offsets: Range<i64>) -> Option<i64> {
        let mut excused = self.torn_away(partition);
        if let Some(touched) = self.touched.get(&partition) {
            excused.extend(&touched.without_trace);
        }
        excused.first_missing(offsets)
    }
}

fn touch(
    touched: &mut BTreeMap<PartitionId, Touched>,
    strike: Strike,
    partition: PartitionId,
    offsets: Range<i64>,
) {
    let touched = touched.entry(partition).or_default();
    touched.all.add(offsets.clone());
    if strike == Strike::Lie {
        touched.without_trace.add(offsets);
    }
}
