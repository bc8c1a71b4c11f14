//! Reading `__cluster_metadata` from its start to its end into the controller.

use alloc::sync::Arc;

use super::{Disk, Step};
use crate::batch::Scratch;
use crate::buf::Slice;
use crate::config::Config;
use crate::controller::{Controller, MetadataRecord, decode_records};
use crate::id::{Offset, PartitionId};
use crate::limits::RECOVERY_READ_BYTES;
use crate::log::{DiskRead, Log, Minimum, ReadPlan, Selected, Wanted};
use crate::mutant::{self, Mutant};

#[derive(Debug)]
pub(super) struct MetadataRead {
    controller: Controller,
    next: Offset,
    end: Offset,
    reading: Option<DiskRead>,
    page: Option<Slice>,
    scratch: Scratch,
}

impl MetadataRead {
    pub(super) fn new(config: Arc<Config>) -> Self {
        Self {
            controller: Controller::new(config),
            next: Offset::ZERO,
            end: Offset::ZERO,
            reading: None,
            page: None,
            scratch: Scratch::default(),
        }
    }

    /// The next read, or the end of the log. The offset at which the log cannot be read is an error.
    pub(super) fn next(&mut self, log: &Log) -> Result<Step, Offset> {
        self.end = log.durable_end();
        loop {
            let wanted = Wanted {
                from: self.next,
                upto: self.end,
                bytes_max: RECOVERY_READ_BYTES,
                minimum: Minimum::AtLeastOne,
            };
            if let (Some(read), Some(page)) = (self.reading.take(), self.page.take()) {
                match read.select(&page, wanted) {
                    Selected::Batches(batches) => self.replay(&batches)?,
                    Selected::NeedMore(read) => return Ok(self.read(read)),
                    Selected::Empty | Selected::GoOn(_) | Selected::Faulty => return Err(self.next),
                }
                continue;
            }
            if self.next >= self.end {
                return Ok(Step::Over);
            }
            match log.read(wanted) {
                ReadPlan::Tail(batches) => {
                    for batch in batches {
                        self.replay(&batch)?;
                    }
                }
                ReadPlan::Disk(read) => return Ok(self.read(read)),
                ReadPlan::Empty | ReadPlan::OutOfRange | ReadPlan::Faulty => return Err(self.next),
            }
        }
    }

    fn read(&mut self, read: DiskRead) -> Step {
        self.reading = Some(read);
        let file = read.name.file(PartitionId::METADATA);
        Step::Do(Disk::Read { file, at: read.at, len: read.len as usize })
    }

    pub(super) fn on_read(&mut self, page: Slice) {
        self.page = Some(page);
    }

    fn replay(&mut self, batches: &Slice) -> Result<(), Offset> {
        let mut rest = batches.as_slice();
        while !rest.is_empty() {
            let (records, behind) = decode_records(rest, &mut self.scratch).map_err(|_| self.next)?;
            for (offset, record) in records {
                self.next = offset.next();
                if !forgotten(&record, self.next == self.end) {
                    self.controller.replay(offset, record);
                }
            }
            rest = behind;
        }
        Ok(())
    }

    pub(super) fn finish(mut self) -> Controller {
        self.controller.on_committed(self.end);
        self.controller
    }
}

/// What a planted bug does not replay.
fn forgotten(record: &MetadataRecord, is_last: bool) -> bool {
    match record {
        MetadataRecord::TopicDeleted { .. } if mutant::on(Mutant::DeletionForgotten) => true,
        MetadataRecord::ConfigsAltered(_) if mutant::on(Mutant::AlterationForgotten) => true,
        MetadataRecord::ProducerIdsAllocated { .. } if mutant::on(Mutant::ProducerIdsHandedTwice) => true,
        MetadataRecord::ClusterCreated { .. }
        | MetadataRecord::TopicCreated(_)
        | MetadataRecord::PartitionCreated(_)
        | MetadataRecord::TopicDeleted { .. }
        | MetadataRecord::ProducerIdsAllocated { .. }
        | MetadataRecord::ConfigsAltered(_) => is_last && mutant::on(Mutant::LastMetadataSkipped),
    }
}
