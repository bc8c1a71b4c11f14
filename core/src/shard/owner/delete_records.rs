//! DeleteRecords: a log's start moves up, on disk first. What is deleted is not served any more once it is; the segments that lie
//! wholly below go as those that are past their retention do.

use alloc::vec::Vec;

use super::{Call, Keeping, Op, Owner, Partition};
use crate::id::{FileId, Offset, PartitionId};
use crate::mutant::{self, Mutant};
use crate::replica::{DeleteRecordsOp, PartitionError, PartitionOp, PartitionReply};
use crate::shard::{DiskError, DiskStep, Event, FileChange, Outcome};
use crate::storage::log_start;
use crate::time::Now;

/// The file that tells where a partition's log begins. At most one change of it is under way.
#[derive(Debug, Default)]
pub(super) struct StartFile {
    /// What the file says, if there is one.
    kept: Option<Offset>,
    /// The furthest start that is known to be on disk, in the file or as a segment's name: what was answered once is not taken back,
    /// whatever becomes of the file.
    proven: Offset,
    change: Option<Change>,
    /// Calls that want the log to begin there, and wait for the change to end.
    waiting: Vec<(Call, Offset)>,
}

#[derive(Debug, Clone, Copy)]
enum Change {
    Write(Offset),
    Remove,
}

impl StartFile {
    /// `first` is the base of the log's first segment as a start found it: names are on disk before they are listed, and nothing
    /// before it comes back. What the file says was told by an earlier life.
    pub(super) fn new(kept: Option<Offset>, first: Offset) -> Self {
        let told = kept.filter(|_| !mutant::on(Mutant::KeptStartNotProven));
        Self { kept, proven: first.max(told.unwrap_or(Offset::ZERO)), ..Self::default() }
    }

    /// Whether there is a file, and nothing is about to change that.
    pub(super) fn is_at_rest(&self) -> bool {
        self.kept.is_some() && self.change.is_none()
    }

    pub(super) fn take_waiting(&mut self) -> Vec<(Call, Offset)> {
        core::mem::take(&mut self.waiting)
    }
}

impl Partition {
    /// The log begins there or later, whatever happens: where it begins in memory, the removal of a segment may not be on disk yet.
    fn proven_start(&mut self) -> Offset {
        let file = &mut self.start_file;
        if self.keeping == Keeping::Idle && self.unremoved.is_none() {
            file.proven = file.proven.max(self.replica.log.first_base());
        }
        file.proven
    }
}

impl Owner {
    pub(super) fn delete_records(&mut self, call: Call) {
        let PartitionOp::DeleteRecords(op) = &call.op else { unreachable!("only such calls come here") };
        let id = op.partition;
        match self.judge_deletion(op) {
            Err(error) => self.reply(call.from, call.call, PartitionReply::Failed(error)),
            Ok(upto) => {
                let partition = self.partitions.get_mut(&id).expect("just judged");
                partition.start_file.waiting.push((call, upto));
                self.go_on_deleting(id);
            }
        }
    }

    /// Where the log shall begin.
    fn judge_deletion(&self, op: &DeleteRecordsOp) -> Result<Offset, PartitionError> {
        let partition = self.partitions.get(&op.partition).ok_or(PartitionError::Unknown)?;
        if partition.replica.leader_epoch().is_none() {
            return Err(PartitionError::NotLeader);
        }
        let high_watermark = partition.replica.high_watermark();
        let upto = op.upto.unwrap_or(high_watermark);
        let within = (Offset::ZERO..=high_watermark).contains(&upto);
        if within { Ok(upto) } else { Err(PartitionError::OffsetOutOfRange) }
    }

    /// Answers who has what it wants, and writes down the furthest start that others want.
    fn go_on_deleting(&mut self, id: PartitionId) {
        let Some(partition) = self.partitions.get_mut(&id) else { return };
        if partition.start_file.change.is_some() {
            return;
        }
        let wanted = partition.start_file.waiting.iter().map(|(_, upto)| *upto).max();
        let on_disk = partition.proven_start();
        let mut proven = on_disk;
        if mutant::on(Mutant::LogStartToldEarly)
            && let Some(upto) = wanted
        {
            partition.replica.log.advance_start(upto);
            proven = proven.max(upto);
        }
        let (done, left): (Vec<_>, Vec<_>) =
            partition.start_file.take_waiting().into_iter().partition(|(_, upto)| *upto <= proven);
        partition.start_file.waiting = left;
        if let Some(upto) = wanted.filter(|upto| *upto > on_disk) {
            partition.start_file.change = Some(Change::Write(upto));
            let kept = if mutant::on(Mutant::LogStartOffByOne) { Offset(upto.0.max(1) - 1) } else { upto };
            let change = FileChange::Replace { bytes: log_start::encode(kept, id) };
            self.issue_change(Op::LogStart { partition: id }, FileId::LogStart { partition: id }, change);
        }
        for (call, _) in done {
            self.reply(call.from, call.call, PartitionReply::Deleted(proven));
        }
        self.retire_due.insert(id);
    }

    pub(super) fn on_start_file_changed(&mut self, now: Now, id: PartitionId, outcome: &Outcome) {
        let Some(partition) = self.partitions.get_mut(&id) else {
            // The topic was deleted meanwhile.
            return self.issue_change(Op::Forget, FileId::LogStart { partition: id }, FileChange::Delete);
        };
        let change = partition.start_file.change.take().expect("one change was under way");
        match (change, outcome) {
            (Change::Write(upto), Outcome::Done | Outcome::Read { .. }) => {
                let file = &mut partition.start_file;
                file.kept = Some(upto);
                file.proven = file.proven.max(upto);
                partition.replica.log.advance_start(upto);
                self.events.push_back(Event::LogStartMoved { partition: id, log_start: upto });
            }
            (Change::Remove, Outcome::Done | Outcome::Read { .. }) => partition.start_file.kept = None,
            // It is tried again with the next segment that goes.
            (Change::Remove, Outcome::Failed { .. }) => {}
            (Change::Write(_), Outcome::Failed { error: DiskError::Full, .. }) => {
                let refused = partition.start_file.take_waiting();
                for (call, _) in refused {
                    let full = PartitionReply::Failed(PartitionError::StorageFull);
                    self.reply(call.from, call.call, full);
                }
                return self.on_full(now);
            }
            (Change::Write(_), Outcome::Failed { error, .. }) => {
                return self.halt(FileId::LogStart { partition: id }, *error, DiskStep::Change);
            }
        }
        self.go_on_deleting(id);
    }

    /// A segment is gone: the file is of no use any more if the log's first segment begins where it says, or behind.
    pub(super) fn tidy_start_file(&mut self, id: PartitionId) {
        let Some(partition) = self.partitions.get_mut(&id) else { return };
        let first = partition.replica.log.first_base();
        let useless = partition.start_file.kept.is_some_and(|kept| kept <= first);
        if useless && partition.start_file.change.is_none() {
            partition.start_file.change = Some(Change::Remove);
            let file = FileId::LogStart { partition: id };
            self.issue_change(Op::LogStart { partition: id }, file, FileChange::Delete);
        }
    }
}
