//! What stands in the data directory, sorted by what it belongs to.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::id::{FileId, Offset, PartitionId, StreamId};
use crate::log::{CleanedName, SegmentName};
use crate::shard::FileMeta;

#[derive(Debug, Default)]
pub(super) struct Inventory {
    pub(super) superblock: Option<u64>,
    pub(super) streams: BTreeMap<StreamId, StreamFiles>,
    /// Lengths of the files of recovery points by number.
    pub(super) points: BTreeMap<u64, u64>,
    pub(super) partitions: BTreeMap<PartitionId, PartitionFiles>,
}

#[derive(Debug, Default, Clone)]
pub(super) struct StreamFiles {
    /// Lengths by number.
    pub(super) files: BTreeMap<u64, u64>,
    pub(super) checkpoint: Option<u64>,
}

#[derive(Debug, Default, Clone)]
pub(super) struct PartitionFiles {
    /// Lengths by name.
    pub(super) segments: BTreeMap<SegmentName, u64>,
    pub(super) footers: BTreeMap<Offset, u64>,
    /// Its length.
    pub(super) log_start: Option<u64>,
}

impl PartitionFiles {
    /// The bases of the footers that segments left which were deleted, in order.
    pub(super) fn footers_left(&self) -> impl Iterator<Item = Offset> {
        let first = self.segments.keys().next().map(|name| name.base);
        self.footers.keys().copied().take_while(move |base| first.is_some_and(|first| *base < first))
    }
}

impl Inventory {
    pub(super) fn new(files: Vec<FileMeta>) -> Self {
        let mut inventory = Self::default();
        for FileMeta { file, len } in files {
            match file {
                FileId::Superblock => inventory.superblock = Some(len),
                FileId::Wal { stream, number } => {
                    inventory.streams.entry(stream).or_default().files.insert(number, len);
                }
                FileId::Checkpoint { stream } => {
                    inventory.streams.entry(stream).or_default().checkpoint = Some(len);
                }
                FileId::RecoveryPoints { number } => drop(inventory.points.insert(number, len)),
                FileId::Segment { partition, base } => {
                    let name = SegmentName::written(base);
                    inventory.partitions.entry(partition).or_default().segments.insert(name, len);
                }
                FileId::Cleaned { partition, base, end, generation } => {
                    let name = SegmentName { base, cleaned: Some(CleanedName { generation, end }) };
                    inventory.partitions.entry(partition).or_default().segments.insert(name, len);
                }
                FileId::Footer { partition, base } => {
                    inventory.partitions.entry(partition).or_default().footers.insert(base, len);
                }
                FileId::LogStart { partition } => {
                    inventory.partitions.entry(partition).or_default().log_start = Some(len);
                }
            }
        }
        inventory
    }

    pub(super) fn is_empty(&self) -> bool {
        self.superblock.is_none() && self.streams.is_empty() && self.partitions.is_empty()
    }

    /// The first number that no file of recovery points has, that of this start included.
    pub(super) fn points_next(&self) -> u64 {
        self.points.keys().next_back().map_or(0, |last| last.saturating_add(1)).saturating_add(1)
    }

    /// All files of a partition.
    pub(super) fn files_of(&self, partition: PartitionId) -> Vec<FileId> {
        let Some(files) = self.partitions.get(&partition) else { return Vec::new() };
        let segments = files.segments.keys().map(|name| name.file(partition));
        let footers = files.footers.keys().map(|&base| FileId::Footer { partition, base });
        segments.chain(footers).chain(files.log_start.map(|_| FileId::LogStart { partition })).collect()
    }
}
