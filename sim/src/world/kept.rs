//! What coordinators keep, as facts: read from the frames of write-ahead logs on their way to the disk. Must not know what it
//! comes to.

use highwater_core::batch::{BatchError, BatchView, Scratch};
use highwater_core::buf::Slice;
use highwater_core::group::record::GroupRecord;
use highwater_core::id::FileId;
use highwater_core::storage::frame::{Content, ReadFrame};
use highwater_core::time::Timestamp;

use super::World;
use crate::bytes::joined;
use crate::history::{Fact, Kept};

impl World {
    /// Takes note of a write, in a run that has groups.
    pub(super) fn notice_write(&mut self, node: usize, file: FileId, parts: &[Slice]) {
        if !self.has_groups || !matches!(file, FileId::Wal { .. }) {
            return;
        }
        let bytes = Slice::from_vec(joined(parts));
        let mut from = 0;
        while let Ok(frame) = ReadFrame::parse(&bytes[from..]) {
            let end = from + frame.header.frame_len as usize;
            let whole = bytes.cut(from, end);
            for read in frame.entries(&whole) {
                let partition = read.entry.partition;
                if read.content != Content::Sound || self.of_clients.contains(&partition) {
                    continue;
                }
                match kept(&read.bytes, &mut self.scratch) {
                    Ok(Some(records)) => {
                        let (base, end, at) = (read.entry.base, read.entry.last.next(), time_of(&read.bytes));
                        let batch = Kept { partition, base, end, at, records };
                        self.history.record(Fact::Kept { node, batch });
                    }
                    Ok(None) | Err(_) => {
                        self.of_clients.insert(partition);
                    }
                }
            }
            from = end;
        }
    }
}

/// The records of a coordinator's batch; `None` if it is of clients.
fn kept(batch: &[u8], scratch: &mut Scratch) -> Result<Option<Vec<GroupRecord>>, BatchError> {
    let (batch, _) = BatchView::parse(batch)?;
    let mut kept = Vec::new();
    for record in batch.records(scratch)? {
        let record = record?;
        match GroupRecord::decode(record.key.unwrap_or_default(), record.value) {
            Ok(Some(record)) => kept.push(record),
            Ok(None) | Err(_) => return Ok(None),
        }
    }
    Ok(Some(kept))
}

fn time_of(batch: &[u8]) -> Timestamp {
    BatchView::parse(batch).map(|(batch, _)| batch.max_timestamp()).unwrap_or_default()
}
