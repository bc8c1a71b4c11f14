//! What one fetch brought of one partition.

use super::TopicPartition;
use crate::batch::{BatchError, Batches, Record, Scratch};
use crate::buf::Slice;
use crate::id::Offset;

/// Whole batches of a partition, their CRCs right. They are decompressed when they are visited, into the visitor's scratch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    pub partition: TopicPartition,
    /// The first offset that was wanted: records before it are skipped, offsets without a record are no gap.
    pub from: Offset,
    /// Where the next fetch goes on.
    pub next: Offset,
    pub high_watermark: Offset,
    pub log_start: Offset,
    /// From the first batch that has a wanted offset on.
    pub batches: Slice,
    /// Which assignment of the partition it is for.
    pub(super) generation: u64,
}

impl Fetched {
    /// Shows each record from `from` on, in order. Control batches are not shown.
    pub fn visit(
        &self,
        scratch: &mut Scratch,
        mut visitor: impl FnMut(&Record<'_>),
    ) -> Result<(), BatchError> {
        for batch in Batches::new(&self.batches) {
            let batch = batch?;
            if batch.is_control() {
                continue;
            }
            for record in batch.records(scratch)? {
                let record = record?;
                if record.offset >= self.from {
                    visitor(&record);
                }
            }
        }
        Ok(())
    }
}
