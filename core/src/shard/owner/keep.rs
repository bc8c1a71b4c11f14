//! Keeping logs on disk: bytes go from the WAL to segments, full segments are sealed, old ones deleted, and what is less than a block
//! is carried forward so that old WAL files come free, or written padded where that frees too little. One job per partition, a few per
//! shard.

use alloc::vec::Vec;

use super::{Keeping, Memory, Op, Owner, Partition, Pin, Urgency};
use crate::buf::{PageMut, Slice};
use crate::id::{FileId, Offset, PartitionId, ShardId, StreamId};
use crate::limits::{
    BLOCK_BYTES, DESTAGE_BYTES_MAX, DESTAGE_JOBS_MAX, DESTAGE_MEMORY_PART, DESTAGE_RUN_BYTES_MIN,
    DESTAGE_SYNCS_AT_ONCE, HEADS_MEMORY_PART, HURRY_PAUSE_PER_PARTITION, RETIRE_JOBS_MAX,
};
use crate::log::{CreateFile, Destage, DestagePlan, Ending, Log, SegmentName};
use crate::mutant::{self, Mutant};
use crate::shard::message::ShardMessage;
use crate::shard::{DiskError, DiskStep, Durability, Effect, Event, FileChange, Mark, Outcome};
use crate::storage::checkpoint::Checkpoint;
use crate::storage::frame::{Entry, Lsn};
use crate::storage::wal::{Append, NoRoom};
use crate::time::{Duration, Instant, Now};

/// Where a destaging stands: the step that is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Create,
    Write,
    /// The last block of a full segment was padded; the file is cut back to its length.
    Cut,
    Sync,
}

/// Which file of a segment is being removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Remove {
    Segment(SegmentName),
    Footer(Offset),
}

/// Moving one run of bytes into a segment file.
#[derive(Debug)]
pub(super) struct DestageJob {
    partition: PartitionId,
    segment_base: Offset,
    at: u64,
    until: u64,
    ending: Ending,
    bytes: Slice,
    /// How many of `bytes` are in the file.
    written: usize,
    step: Step,
}

impl DestageJob {
    /// Where in its bytes the next write ends.
    fn write_end(&self, most: usize) -> usize {
        self.bytes.len().min(self.written + most)
    }
}

/// What is to be destaged before its time, because something waits for what that lets go.
#[derive(Debug)]
pub(super) struct Hurry {
    /// What is hurried is in the queue; until it is empty there is no use in saying so again.
    is_on: bool,
    /// When all that is dirty may be gone through again for the sake of a produce that waits.
    again_at: Instant,
    /// Memory is held by nothing but parts of blocks.
    only_parts: bool,
    /// What held up the log was hurried last so that it could lose its frames up to this one.
    relieved: Lsn,
}

impl Hurry {
    pub(super) const fn none(now: Now) -> Self {
        Self { is_on: false, again_at: now.mono, only_parts: false, relieved: Lsn(0) }
    }
}

/// A WAL stream of an earlier life that still holds tails of this shard.
#[derive(Debug)]
pub(in crate::shard) struct Legacy {
    pub(in crate::shard) stream: StreamId,
    pub(in crate::shard) pins: usize,
}

impl Owner {
    pub(super) fn mark_dirty(&mut self, partition: PartitionId) {
        self.dirty.insert(partition);
    }

    /// How many bytes of a partition are worth a write and a sync of its segment. Partitions share the memory that waits for it.
    pub(super) fn run_bytes(&self) -> u64 {
        let share = self.config.memory_bytes / DESTAGE_MEMORY_PART / self.dirty.len().max(1);
        (share as u64).min(self.config.wal.run_bytes_max).max(DESTAGE_RUN_BYTES_MIN)
    }

    pub(super) fn queue_keep(&mut self, partition: PartitionId) {
        if let Some(state) = self.partitions.get_mut(&partition)
            && !state.queued
        {
            state.queued = true;
            self.keep_queue.push_back(partition);
        }
    }

    /// Everything that is dirty shall be looked at now.
    pub(super) fn hurry(&mut self) {
        if self.hurry.is_on {
            return;
        }
        self.hurry.is_on = true;
        self.hurry_those(|_, _| true);
    }

    /// A produce waits for what destaging lets go. Where that is memory, those come first that have a block to write: of many partitions
    /// that hold a few bytes each, none frees much, and each costs a sync.
    pub(super) fn hurry_for_room(&mut self, now: Now) {
        if self.hurry.is_on || !self.needs_room() || now.mono < self.hurry.again_at {
            return;
        }
        let pause = HURRY_PAUSE_PER_PARTITION.as_nanos() * self.dirty.len() as u64;
        self.hurry.again_at = now.mono + Duration::from_nanos(pause);
        self.hurry.is_on = true;
        let needs_log = self.wal.is_full() || self.wal.is_disk_full();
        self.hurry.only_parts = self.hurry_those(|log, _| needs_log || log.can_destage(Destage::Blocks)) == 0;
        if self.hurry.only_parts {
            self.hurry_those(|_, _| true);
        }
    }

    /// A log that grows long is relieved of what holds it up, which may be little of partitions that nobody writes to any more.
    /// The others go on in long runs.
    pub(super) fn relieve_wal(&mut self) {
        if !self.hurry.is_on && self.wal.is_pressed() && self.wal.has_aged(self.hurry.relieved) {
            let until = self.wal.carry_until();
            self.hurry.relieved = until;
            self.hurry_those(|_, pin| pin.is_none_or(|pin| pin.holds_up(until)));
        }
    }

    /// Hurries what is dirty and has such a log and oldest batch. Gives how many those are.
    fn hurry_those(&mut self, choose: impl Fn(&Log, Option<Pin>) -> bool) -> usize {
        let dirty = self.dirty.iter().filter_map(|id| {
            let log = &self.partitions.get(id)?.replica.log;
            let pin = log.undestaged().next().map(|batch| batch.wal_file);
            choose(log, pin.map(Pin::decode)).then_some((pin, *id))
        });
        // Pages and files of the WAL come free in the order in which they were written.
        let mut chosen: Vec<(Option<u64>, PartitionId)> = dirty.collect();
        chosen.sort_unstable();
        for (_, id) in &chosen {
            if let Some(partition) = self.partitions.get_mut(id) {
                partition.urgency = Urgency::Hurried;
            }
            self.queue_keep(*id);
        }
        chosen.len()
    }

    /// Whether produce waits, or will at once, for what destaging lets go.
    pub(super) fn needs_room(&self) -> bool {
        self.memory == Memory::Short || self.wal.is_full() || self.wal.is_disk_full()
    }

    /// What of a partition goes to its segment now.
    fn destage_mode(&self, partition: &Partition) -> Destage {
        let run_bytes = self.run_bytes();
        let is_hurried = self.needs_room() || partition.urgency == Urgency::Hurried;
        let mode = if is_hurried { Destage::Blocks } else { Destage::Runs(run_bytes) };
        // A batch whose last bytes stay behind keeps its pages. Of many partitions each would be written and synced twice.
        let is_crowded = self.memory == Memory::Short || run_bytes == DESTAGE_RUN_BYTES_MIN;
        if is_crowded && self.may_pad() && partition.replica.log.can_destage(mode) {
            Destage::All
        } else {
            mode
        }
    }

    /// Whether what stands in blocks that are not full, and stays in memory for that, may become more.
    fn may_pad(&self) -> bool {
        self.head_bytes < self.config.memory_bytes / HEADS_MEMORY_PART
    }

    pub(super) fn turn_keep(&mut self, now: Now) {
        if self.destage_at.is_none() && !self.dirty.is_empty() {
            self.destage_at = Some(now.mono + self.config.wal.destage_interval);
        }
        self.sync_destaged();
        if self.stopping {
            return;
        }
        while self.retire_jobs < RETIRE_JOBS_MAX {
            let Some(id) = self.retire_due.pop_first() else { break };
            self.retire(now, id);
        }
        if self.full_until.is_some() {
            return;
        }
        while self.keep_jobs < DESTAGE_JOBS_MAX && !self.destage_starved {
            let Some(id) = self.keep_queue.pop_front() else {
                self.hurry.is_on = false;
                break;
            };
            self.keep(id);
        }
        self.turn_wal(now);
    }

    /// Starts what the partition needs most: a seal, a run to destage, or carrying its last bytes forward.
    fn keep(&mut self, id: PartitionId) {
        let Some(partition) = self.partitions.get(&id) else {
            self.dirty.remove(&id);
            return;
        };
        let (urgency, mode) = (partition.urgency, self.destage_mode(partition));
        let partition = self.partitions.get_mut(&id).expect("it is there");
        partition.queued = false;
        if partition.keeping == Keeping::Busy {
            // What is at work on its files need not come back to this.
            if !mutant::on(Mutant::BusyPassedOver) {
                self.mark_dirty(id);
            }
            return;
        }
        let log = &partition.replica.log;
        partition.urgency = Urgency::Usual;
        if let Some(plan) = log.seal_plan() {
            partition.urgency = urgency;
            partition.keeping = Keeping::Busy;
            self.keep_jobs += 1;
            let (file, bytes) =
                (FileId::Footer { partition: id, base: plan.segment_base }, Slice::from_vec(plan.footer));
            let op = Op::Seal { partition: id, base: plan.segment_base };
            self.issue_change(op, file, FileChange::Replace { bytes });
        } else if let Some(plan) = log.destage_plan(mode) {
            if plan.until - plan.at == DESTAGE_BYTES_MAX {
                partition.urgency = urgency;
            }
            self.start_destage(id, plan);
        } else if log.undestaged().next().is_none() {
            self.dirty.remove(&id);
        } else if mode != Destage::Blocks {
            // It waits for more, or until it has waited for long enough.
        } else if self.memory == Memory::Short && self.hurry.only_parts
            || self.wal.is_pressed() && !self.wal.carrying_pays()
        {
            self.pad(id);
        } else {
            self.carry_forward(id);
        }
    }

    /// The WAL or its pages hold little but the last bytes of many partitions: those of this one go to disk in a block that is padded.
    fn pad(&mut self, id: PartitionId) {
        let log = &self.partitions[&id].replica.log;
        let plan = log.destage_plan(Destage::All);
        match plan.filter(|_| self.may_pad()) {
            Some(plan) => {
                self.events.push_back(Event::Marked(Mark::BlockPadded));
                self.start_destage(id, plan);
            }
            None => self.end_segment(id),
        }
    }

    /// There are too many blocks that are not full: this one's goes to disk with the end of its segment.
    fn end_segment(&mut self, id: PartitionId) {
        let partition = self.partitions.get_mut(&id).expect("looked up by the caller");
        if let Some(base) = partition.replica.log.end_segment() {
            self.events.push_back(Event::Marked(Mark::SegmentEndedEarly));
            self.events.push_back(Event::SegmentRolled { partition: id, base });
            self.queue_keep(id);
        }
    }

    fn start_destage(&mut self, id: PartitionId, plan: DestagePlan) {
        let most = self.destage_pool.page_bytes_max();
        let whole = usize::try_from(plan.until - plan.at).expect("a run is bounded");
        let bytes = whole.min(most);
        let len = bytes.next_multiple_of(BLOCK_BYTES).max(BLOCK_BYTES);
        let Some(mut page) = self.destage_pool.alloc(len) else {
            self.events.push_back(Event::Marked(Mark::DestageStarved));
            self.partitions.get_mut(&id).expect("it was looked up").urgency = Urgency::Hurried;
            if self.keep_jobs > 0 {
                self.destage_starved = true;
                self.queue_keep(id);
            }
            return;
        };
        fill(&mut page, len, &plan.bytes);
        let page = self.destage_pool.freeze(page).cut(0, len);
        let create = plan.create == CreateFile::Yes;
        let step = match bytes {
            _ if create => Step::Create,
            0 => Step::Cut,
            _ => Step::Write,
        };
        let DestagePlan { segment_base, at, .. } = plan;
        let ending = if bytes == whole { plan.ending } else { Ending::Open };
        let (bytes, until) = (page, at + bytes as u64);
        self.partitions.get_mut(&id).expect("it was looked up").keeping = Keeping::Busy;
        self.keep_jobs += 1;
        self.issue_step(DestageJob {
            partition: id,
            segment_base,
            at,
            until,
            ending,
            bytes,
            written: 0,
            step,
        });
    }

    /// Syncs what was written, many at once.
    fn sync_destaged(&mut self) {
        let written = self.destages_written.len();
        if written == 0 || (self.destages_writing > 0 && written < DESTAGE_SYNCS_AT_ONCE) {
            return;
        }
        for job in core::mem::take(&mut self.destages_written) {
            if self.partitions.contains_key(&job.partition) {
                self.issue_step(job);
            } else {
                self.end_job(job.partition);
            }
        }
    }

    fn issue_step(&mut self, job: DestageJob) {
        self.destages_writing += usize::from(job.step != Step::Sync);
        let file = FileId::Segment { partition: job.partition, base: job.segment_base };
        let (at, until) = (job.at + job.written as u64, job.until);
        let bytes = job.bytes.cut(job.written, job.write_end(self.config.wal.write_bytes_max));
        match job.step {
            Step::Create => self.issue_change(Op::Destage(job), file, FileChange::Create { len: 0 }),
            Step::Write => self.issue(Op::Destage(job), |op| {
                let durability = Durability::Cached;
                Effect::Write { op, file, at, parts: alloc::vec![bytes], durability }
            }),
            Step::Cut if mutant::on(Mutant::CutLosesBlock) => {
                let len = until - until % BLOCK_BYTES as u64;
                self.issue_change(Op::Destage(job), file, FileChange::Truncate { len });
            }
            Step::Cut => self.issue_change(Op::Destage(job), file, FileChange::Truncate { len: until }),
            Step::Sync => self.issue(Op::Destage(job), |op| Effect::Sync { op, file }),
        }
    }

    pub(super) fn on_destage_step(&mut self, now: Now, mut job: DestageJob, outcome: Outcome) {
        let id = job.partition;
        self.destages_writing -= usize::from(job.step != Step::Sync);
        if let Outcome::Failed { error, .. } = outcome {
            let file = FileId::Segment { partition: id, base: job.segment_base };
            if job.step == Step::Sync && mutant::on(Mutant::FailedSyncRetried) {
                self.issue_step(job);
            } else if error == DiskError::Full && job.step != Step::Sync {
                self.end_job(id);
                self.on_full(now);
            } else {
                let during = match job.step {
                    Step::Create => DiskStep::Create,
                    Step::Write => DiskStep::Write,
                    Step::Cut => DiskStep::Change,
                    Step::Sync => DiskStep::Sync,
                };
                self.halt(file, error, during);
            }
            return;
        }
        if !self.partitions.contains_key(&id) {
            self.end_job(id);
            return;
        }
        let most = self.config.wal.write_bytes_max;
        job.step = match job.step {
            Step::Create => {
                let partition = self.partitions.get_mut(&id).expect("checked above");
                partition.replica.log.on_file_created(job.segment_base);
                Step::Write
            }
            Step::Write if job.write_end(most) < job.bytes.len() && !mutant::on(Mutant::DestagePieceLost) => {
                self.events.push_back(Event::Marked(Mark::DestagedInPieces));
                job.written = job.write_end(most);
                Step::Write
            }
            Step::Write if job.ending == Ending::Cut => Step::Cut,
            Step::Write | Step::Cut if mutant::on(Mutant::PinReleasedUnsynced) => {
                self.on_destaged(&job);
                return;
            }
            Step::Write | Step::Cut => {
                job.step = Step::Sync;
                self.destages_written.push(job);
                return;
            }
            Step::Sync => {
                self.on_destaged(&job);
                self.unpark(now);
                return;
            }
        };
        self.issue_step(job);
    }

    fn on_destaged(&mut self, job: &DestageJob) {
        let partition = self.partitions.get_mut(&job.partition).expect("checked by the caller");
        let log = &mut partition.replica.log;
        let held = log.head_bytes();
        let released = log.on_destaged(job.segment_base, job.until, job.ending);
        self.head_bytes = self.head_bytes + log.head_bytes() - held;
        if mutant::on(Mutant::DestagePageLost) {
            core::mem::forget(job.bytes.clone());
        }
        for pin in released {
            self.release(pin);
        }
        self.events.push_back(Event::Destaged { partition: job.partition, bytes: job.until - job.at });
        self.end_job(job.partition);
        self.queue_keep(job.partition);
        self.note_point(job.partition);
    }

    pub(super) fn on_sealed(&mut self, now: Now, id: PartitionId, base: Offset, outcome: Outcome) {
        match outcome {
            Outcome::Failed { error: DiskError::Full, .. } => {
                self.end_job(id);
                self.on_full(now);
                return;
            }
            Outcome::Failed { error, .. } => {
                self.halt(FileId::Footer { partition: id, base }, error, DiskStep::Change);
                return;
            }
            Outcome::Done | Outcome::Read { .. } => {}
        }
        if let Some(partition) = self.partitions.get_mut(&id) {
            let log = &mut partition.replica.log;
            let held = log.head_bytes();
            log.on_sealed(base);
            self.head_bytes = self.head_bytes + log.head_bytes() - held;
            self.events.push_back(Event::SegmentSealed { partition: id, base });
        }
        self.end_job(id);
        self.queue_keep(id);
    }

    /// The job on a partition's files is over. If the partition was deleted meanwhile, its files go now.
    fn end_job(&mut self, id: PartitionId) {
        self.keep_jobs -= 1;
        self.destage_starved = false;
        self.on_idle(id);
    }

    /// The same, of a job that retention wanted.
    fn end_retirement(&mut self, id: PartitionId) {
        self.retire_jobs -= 1;
        self.on_idle(id);
    }

    pub(super) fn on_idle(&mut self, id: PartitionId) {
        match self.partitions.get_mut(&id) {
            Some(partition) => partition.keeping = Keeping::Idle,
            None => self.delete_doomed(id),
        }
    }

    /// Writes the last bytes of a partition to the WAL again if they hold up a stream of an earlier life, or the older half of a
    /// log that grows too long.
    fn carry_forward(&mut self, id: PartitionId) {
        let threshold = if self.wal.is_pressed() { self.wal.carry_until() } else { Lsn(0) };
        let partition = self.partitions.get_mut(&id).expect("looked up by the caller");
        if partition.carried > 0 {
            return;
        }
        let log = &partition.replica.log;
        let batches: Vec<(Entry, Slice)> = log
            .undestaged()
            .take_while(|batch| batch.last < log.durable_end())
            .filter(|batch| Pin::decode(batch.wal_file).holds_up(threshold))
            .map(|batch| {
                let entry = Entry {
                    partition: id,
                    segment_base: batch.segment_base,
                    position: batch.position,
                    len: batch.len,
                    base: batch.base,
                    last: batch.last,
                    leader_epoch: batch.epoch,
                    crc: 0,
                };
                (entry, batch.slice().clone())
            })
            .collect();
        for (entry, bytes) in batches {
            match self.wal.reserve(&mut self.wal_pool, bytes.len(), Append::CarriedForward) {
                Ok(()) => {}
                Err(NoRoom::Memory) => return self.pad(id),
                Err(NoRoom::Log | NoRoom::Write | NoRoom::Ever) => return,
            }
            self.wal.push(entry, &bytes, Append::CarriedForward, |_| {});
            self.partitions.get_mut(&id).expect("looked up by the caller").carried += 1;
            self.events.push_back(Event::CarriedForward { partition: id, base: entry.base });
        }
    }

    /// A carried batch is durable in its newer frame; the older one need not hold it any more.
    pub(super) fn on_carried(&mut self, id: PartitionId, base: Offset, bytes: Slice, lsn: Lsn) {
        let pin = Pin::Frame(lsn).encode();
        let Some(partition) = self.partitions.get_mut(&id) else {
            self.release(pin);
            return;
        };
        partition.carried -= 1;
        // Destaged meanwhile: nobody needs the newer copy.
        let old = partition.replica.log.recopy(base, bytes, pin).unwrap_or_else(|| {
            self.events.push_back(Event::Marked(Mark::CarriedInVain));
            pin
        });
        self.release(old);
    }

    /// All partitions shall be looked at for what is past its retention, a few at once and each before any comes again.
    pub(super) fn check_retention(&mut self) {
        if self.retire_due.is_empty() {
            let ids = self.partitions.keys().copied();
            self.retire_due = ids.filter(|id| *id != PartitionId::METADATA).collect();
        }
    }

    fn retire(&mut self, now: Now, id: PartitionId) {
        let Some(partition) = self.partitions.get_mut(&id) else { return };
        if let Some(base) = partition.replica.log.roll_if_due(now) {
            self.events.push_back(Event::SegmentRolled { partition: id, base });
            self.queue_keep(id);
        }
        let partition = self.partitions.get_mut(&id).expect("looked up above");
        let high_watermark = partition.replica.high_watermark();
        let log = &mut partition.replica.log;
        if partition.keeping == Keeping::Idle && !partition.untidy.is_empty() {
            partition.keeping = Keeping::Busy;
            return self.tidy(id);
        }
        if partition.keeping == Keeping::Idle
            && let Some(name) = partition.unremoved.take()
        {
            partition.keeping = Keeping::Busy;
            self.retire_jobs += 1;
            return self.issue_remove(id, Remove::Segment(name));
        }
        if partition.keeping == Keeping::Idle
            && let Some(base) = log.needs_file(now, high_watermark)
        {
            partition.keeping = Keeping::Busy;
            self.retire_jobs += 1;
            let file = FileId::Segment { partition: id, base };
            self.issue_change(Op::CreateActive { partition: id, base }, file, FileChange::Create { len: 0 });
            return;
        }
        if partition.keeping == Keeping::Idle
            && let expired = log.expired(now, high_watermark)
            && let Some(&base) = expired.first()
        {
            if self.cleaner.give_way(id) {
                return;
            }
            let newest = log.segment_name(*expired.last().expect("there is a first"));
            let name = log.on_deleted(base);
            if mutant::on(Mutant::LogStartNotKept) {
                return self.events.push_back(Event::SegmentDeleted { partition: id, base });
            }
            if mutant::on(Mutant::DeletionToldEarly) {
                self.events.push_back(Event::SegmentDeleted { partition: id, base });
            }
            partition.keeping = Keeping::Busy;
            self.retire_jobs += 1;
            let name = newest.filter(|_| mutant::on(Mutant::NewestDeletedFirst)).unwrap_or(name);
            self.issue_remove(id, Remove::Segment(name));
        }
    }

    /// Segments go oldest first and one by one, so that a crash in between leaves a log without a hole. The footer of the last one
    /// that went stays, for it tells of the producers where the log starts now; those before it go once it is the newest.
    fn issue_remove(&mut self, id: PartitionId, what: Remove) {
        let file = match what {
            Remove::Segment(name) => name.file(id),
            Remove::Footer(base) => FileId::Footer { partition: id, base },
        };
        self.issue_change(Op::Remove { partition: id, what }, file, FileChange::Delete);
    }

    /// A segment that could not be removed is tried again when retention is next looked after, a footer at the next start.
    pub(super) fn on_removed(&mut self, now: Now, id: PartitionId, what: Remove, outcome: &Outcome) {
        if let Remove::Segment(name) = what {
            if matches!(outcome, Outcome::Failed { .. }) && !mutant::on(Mutant::RemovalPassedOver) {
                if let Some(partition) = self.partitions.get_mut(&id) {
                    partition.unremoved = Some(name);
                }
                return self.end_retirement(id);
            }
            if matches!(outcome, Outcome::Done) && !mutant::on(Mutant::DeletionToldEarly) {
                self.events.push_back(Event::SegmentDeleted { partition: id, base: name.base });
            }
            self.tidy_start_file(id);
        }
        let left = self.partitions.get_mut(&id).and_then(|partition| partition.replica.log.pop_footer_left());
        if let Some(base) = left {
            self.issue_remove(id, Remove::Footer(base));
        } else {
            self.end_retirement(id);
            self.retire(now, id);
        }
    }

    pub(super) fn on_active_created(&mut self, now: Now, id: PartitionId, base: Offset, outcome: Outcome) {
        match outcome {
            Outcome::Failed { error: DiskError::Full, .. } => {
                self.end_retirement(id);
                self.on_full(now);
                return;
            }
            Outcome::Failed { error, .. } => {
                self.halt(FileId::Segment { partition: id, base }, error, DiskStep::Create);
                return;
            }
            Outcome::Done | Outcome::Read { .. } => {
                if let Some(partition) = self.partitions.get_mut(&id) {
                    partition.replica.log.on_file_created(base);
                    self.events.push_back(Event::Marked(Mark::ActiveFileCreated));
                }
            }
        }
        self.end_retirement(id);
        self.retire(now, id);
    }

    pub(super) fn release_legacy(&mut self, index: u32) {
        let legacy = &mut self.legacy[index as usize];
        assert!(legacy.pins > 0, "a pin is released once");
        legacy.pins -= 1;
        if legacy.pins == 0 {
            let stream = legacy.stream;
            self.events.push_back(Event::Marked(Mark::LegacyReleased));
            self.messages.push_back((ShardId(0), ShardMessage::StreamReleased { stream }));
        }
    }

    /// Removes a stream that no shard needs any more. The checkpoint says so first and goes last: whatever a crash leaves of the
    /// files in between is not walked again.
    pub(in crate::shard) fn remove_stream(&mut self, stream: StreamId, files: Vec<u64>) {
        if mutant::on(Mutant::ReleaseNotNoted) {
            return self.on_stream_step(stream, files, &Outcome::Done);
        }
        let change = FileChange::Replace { bytes: Checkpoint::RELEASED.encode(stream) };
        self.issue_change(Op::RemoveStream { stream, files }, FileId::Checkpoint { stream }, change);
    }

    pub(super) fn on_stream_step(&mut self, stream: StreamId, mut files: Vec<u64>, outcome: &Outcome) {
        if matches!(outcome, Outcome::Failed { .. }) {
            // The next start finds the rest and goes on.
            return;
        }
        let checkpoint = FileId::Checkpoint { stream };
        match files.pop() {
            Some(number) => {
                let op = Op::RemoveStream { stream, files };
                self.issue_change(op, FileId::Wal { stream, number }, FileChange::Delete);
            }
            None => {
                self.events.push_back(Event::Marked(Mark::StreamRemoved));
                self.issue_change(Op::Forget, checkpoint, FileChange::Delete);
            }
        }
    }
}

/// Copies the parts into the page up to `len`, and pads with zeroes from their end to there.
fn fill(page: &mut PageMut, len: usize, parts: &[Slice]) {
    let mut at = 0;
    let out = &mut page.as_mut_slice()[..len];
    for part in parts {
        let fits = part.len().min(len - at);
        out[at..at + fits].copy_from_slice(&part[..fits]);
        at += fits;
    }
    out[at..].fill(0);
}
