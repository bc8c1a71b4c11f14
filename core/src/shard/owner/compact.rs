//! Cleaning: drives one pass over one log at a time, step by step and no faster than it may, and removes what a pass has replaced.
//! A log is destaged to and served from all the while; only the moment in which a cleaned segment takes the place of others, and the
//! removal of those, keep other jobs off its files.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::{Keeping, Op, Owner};
use crate::buf::Slice;
use crate::id::{FileId, Offset, PartitionId};
use crate::limits::{
    BLOCK_BYTES, CLEAN_BYTES_PER_SECOND, CLEAN_CHECK_INTERVAL, CLEAN_MAP_BYTES_MAX, CLEAN_MAP_MEMORY_PART,
    MEMORY_RETRY,
};
use crate::log::{CleanPlan, CleanStep, Cleaning, Leftover, Secret, Unreadable};
use crate::shard::{DiskError, DiskStep, Durability, Effect, Event, FileChange, Outcome};
use crate::time::{Duration, Instant, Now};

/// What of a pass is with the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CleanOp {
    Read { bytes: u32 },
    Footer,
    Create,
    Write { bytes: u64 },
    Cut,
    Sync,
    Commit,
}

#[derive(Debug)]
struct Job {
    partition: PartitionId,
    cleaning: Cleaning,
}

/// The one cleaning of a shard.
#[derive(Debug, Default)]
pub(super) struct Cleaner {
    job: Option<Job>,
    /// A step is with the disk.
    waits: Option<CleanOp>,
    /// When to go on, or to look for a log that is dirty enough.
    at: Option<Instant>,
    /// Retention wants segments that the pass has begun to write anew.
    gives_way: bool,
}

impl Cleaner {
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.at.filter(|_| self.waits.is_none())
    }

    pub(super) fn is_at_work(&self) -> bool {
        self.waits.is_some()
    }

    /// The pass over this partition ends with its next step: what it has begun to write must not outlive what that stands for.
    pub(super) fn give_way(&mut self, id: PartitionId) -> bool {
        let begun = self.unfinished(id).is_some();
        self.gives_way |= begun;
        begun
    }

    /// What a pass over this partition has begun to write.
    pub(super) fn unfinished(&self, id: PartitionId) -> Option<FileId> {
        let job = self.job.as_ref().filter(|job| job.partition == id)?;
        job.cleaning.unfinished().map(|name| name.file(id))
    }
}

impl Owner {
    fn clean_interval(&self) -> Duration {
        self.config.retention_check_interval.min(CLEAN_CHECK_INTERVAL)
    }

    /// A log may have something to be cleaned from now on.
    pub(super) fn watch_dirt(&mut self, now: Now) {
        if self.cleaner.at.is_none() && self.cleaner.waits.is_none() {
            self.cleaner.at = Some(now.mono + self.clean_interval());
        }
    }

    pub(super) fn turn_clean(&mut self, now: Now) {
        while self.cleaner.waits.is_none() && self.cleaner.at.is_some_and(|at| at <= now.mono) {
            if self.stopping || self.full_until.is_some() {
                self.cleaner.at = Some(now.mono + self.clean_interval());
                return;
            }
            self.cleaner.at = Some(now.mono);
            match self.cleaner.job.take() {
                Some(job) => self.clean(now, job),
                None => self.find_dirty(now),
            }
        }
    }

    /// The dirtiest log goes first.
    fn find_dirty(&mut self, now: Now) {
        self.cleaner.at = None;
        let mut dirtiest = None;
        for (id, partition) in &self.partitions {
            let replica = &partition.replica;
            if !replica.log.compacts() {
                continue;
            }
            self.cleaner.at = Some(now.mono + self.config.retention_check_interval.min(CLEAN_CHECK_INTERVAL));
            if partition.uncleanable || !partition.untidy.is_empty() {
                continue;
            }
            let plan = replica.log.clean_plan(now, replica.high_watermark());
            let most = dirtiest.as_ref().map(|(_, other): &(PartitionId, CleanPlan)| other.dirty_ppm);
            if let Some(plan) = plan.filter(|plan| most.is_none_or(|most| plan.dirty_ppm > most)) {
                dirtiest = Some((*id, plan));
            }
        }
        let Some((partition, plan)) = dirtiest else { return };
        let stream = u128::from_le_bytes(self.wal.stream().0.0);
        let secret = Secret(low_half(stream), low_half(stream >> 64));
        let map_bytes = (self.config.memory_bytes / CLEAN_MAP_MEMORY_PART).min(CLEAN_MAP_BYTES_MAX);
        let log = &self.partitions[&partition].replica.log;
        let cleaning = Cleaning::new(log, plan, now, (secret, map_bytes));
        self.cleaner.job = Some(Job { partition, cleaning });
        self.cleaner.at = Some(now.mono);
    }

    /// Gives the next step of the pass to the disk.
    fn clean(&mut self, now: Now, mut job: Job) {
        let id = job.partition;
        let Some(partition) = self.partitions.get(&id) else { return self.abandon(job) };
        let log = &partition.replica.log;
        if self.cleaner.gives_way || !log.compacts() || !log.holds(job.cleaning.needs()) {
            return self.abandon(job);
        }
        let busy = partition.keeping == Keeping::Busy;
        let step = job.cleaning.next_step(&partition.replica.log);
        match step {
            CleanStep::Over => {
                self.events.push_back(Event::LogCleaned { partition: id, upto: job.cleaning.upto() });
                return;
            }
            CleanStep::Commit { .. } if busy => self.cleaner.at = Some(now.mono + MEMORY_RETRY),
            CleanStep::Commit { base, footer } => {
                self.partitions.get_mut(&id).expect("looked up above").keeping = Keeping::Busy;
                let change = FileChange::Replace { bytes: Slice::from_vec(footer) };
                self.issue_clean(CleanOp::Commit, FileId::Footer { partition: id, base }, change);
            }
            CleanStep::Read(read) => {
                let (file, at) = (read.name.file(id), read.at);
                self.issue_clean_read(now, CleanOp::Read { bytes: read.len }, (file, at), read.len);
            }
            CleanStep::ReadFooter { base, len } => {
                let file = FileId::Footer { partition: id, base };
                self.issue_clean_read(now, CleanOp::Footer, (file, 0), len);
            }
            CleanStep::Create(name) => {
                self.issue_clean(CleanOp::Create, name.file(id), FileChange::Create { len: 0 });
            }
            CleanStep::Cut { name, len } => {
                self.issue_clean(CleanOp::Cut, name.file(id), FileChange::Truncate { len });
            }
            CleanStep::Write { name, at, bytes } => self.issue_clean_write(now, (name.file(id), at), &bytes),
            CleanStep::Sync(name) => {
                self.cleaner.waits = Some(CleanOp::Sync);
                let file = name.file(id);
                self.issue(Op::Clean { file }, |op| Effect::Sync { op, file });
            }
        }
        self.cleaner.job = Some(job);
    }

    fn issue_clean(&mut self, op: CleanOp, file: FileId, change: FileChange) {
        self.cleaner.waits = Some(op);
        self.issue_change(Op::Clean { file }, file, change);
    }

    fn issue_clean_read(&mut self, now: Now, op: CleanOp, (file, at): (FileId, u64), len: u32) {
        let Some(into) = self.page_to_read(len as usize) else {
            self.cleaner.at = Some(now.mono + MEMORY_RETRY);
            return;
        };
        self.cleaner.waits = Some(op);
        self.issue(Op::Clean { file }, |op| Effect::Read { op, file, at, into });
    }

    fn issue_clean_write(&mut self, now: Now, (file, at): (FileId, u64), bytes: &[u8]) {
        let len = bytes.len().next_multiple_of(BLOCK_BYTES);
        let Some(mut page) = self.destage_pool.alloc(len).or_else(|| self.destage_pool.alloc_large(len))
        else {
            self.cleaner.at = Some(now.mono + MEMORY_RETRY);
            return;
        };
        let out = &mut page.as_mut_slice()[..len];
        out[..bytes.len()].copy_from_slice(bytes);
        out[bytes.len()..].fill(0);
        let page = self.destage_pool.freeze(page).cut(0, len);
        self.cleaner.waits = Some(CleanOp::Write { bytes: bytes.len() as u64 });
        let (parts, durability) = (alloc::vec![page], Durability::Cached);
        self.issue(Op::Clean { file }, |op| Effect::Write { op, file, at, parts, durability });
    }

    /// A step of the pass is over.
    pub(super) fn on_clean_step(&mut self, now: Now, file: FileId, outcome: Outcome) {
        let Some(op) = self.cleaner.waits.take() else { return };
        self.cleaner.at = Some(now.mono);
        let Some(mut job) = self.cleaner.job.take() else { return };
        let id = job.partition;
        let page = match outcome {
            Outcome::Done => None,
            Outcome::Read { page, len } => Some(self.read_pool.freeze(page).cut(0, len as usize)),
            Outcome::Failed { error, page } => {
                if let Some(page) = page {
                    self.read_pool.give_back(page);
                }
                return self.on_clean_failed(now, job, (op, file), error);
            }
        };
        let Some(partition) = self.partitions.get_mut(&id) else {
            self.abandon(job);
            if op == CleanOp::Commit {
                self.delete_doomed(id);
            }
            return;
        };
        let log = &mut partition.replica.log;
        let read = match (op, &page) {
            _ if op != CleanOp::Commit && (self.cleaner.gives_way || !log.holds(job.cleaning.needs())) => {
                return self.abandon(job);
            }
            (CleanOp::Read { bytes }, Some(page)) => {
                self.cleaner.at = Some(now.mono + pause(u64::from(bytes)));
                job.cleaning.on_read(log, page, &mut self.scratch)
            }
            (CleanOp::Footer, Some(page)) => job.cleaning.on_footer(page),
            (CleanOp::Commit, _) => {
                let cleaned = job.cleaning.take();
                self.events.push_back(Event::SegmentCleaned {
                    partition: id,
                    base: cleaned.base(),
                    end: cleaned.end_offset(),
                    bytes: cleaned.bytes(),
                });
                partition.untidy = log.on_cleaned(cleaned);
                job.cleaning.on_done();
                self.tidy(id);
                Ok(())
            }
            (CleanOp::Write { bytes }, _) => {
                self.cleaner.at = Some(now.mono + pause(bytes));
                job.cleaning.on_done();
                Ok(())
            }
            (CleanOp::Create | CleanOp::Cut | CleanOp::Sync | CleanOp::Read { .. } | CleanOp::Footer, _) => {
                job.cleaning.on_done();
                Ok(())
            }
        };
        match read {
            Ok(()) => self.cleaner.job = Some(job),
            Err(Unreadable(at)) => self.give_up(job, at),
        }
    }

    fn on_clean_failed(&mut self, now: Now, job: Job, (op, file): (CleanOp, FileId), error: DiskError) {
        let id = job.partition;
        self.cleaner.at = Some(now.mono + self.clean_interval());
        let during = match op {
            CleanOp::Read { .. } | CleanOp::Footer => {
                let log = self.partitions.get(&id).map(|partition| &partition.replica.log);
                return match log.filter(|log| log.holds(job.cleaning.needs())) {
                    Some(log) => {
                        let at = log.log_start();
                        self.give_up(job, at);
                    }
                    None => self.abandon(job),
                };
            }
            CleanOp::Create => DiskStep::Create,
            CleanOp::Write { .. } => DiskStep::Write,
            CleanOp::Sync => DiskStep::Sync,
            CleanOp::Cut | CleanOp::Commit => DiskStep::Change,
        };
        if error != DiskError::Full || op == CleanOp::Sync {
            return self.halt(file, error, during);
        }
        self.abandon(job);
        if op == CleanOp::Commit {
            self.on_idle(id);
        }
    }

    /// Something in this log cannot be read: it stays as it is until a restart has looked at it.
    fn give_up(&mut self, job: Job, at: Offset) {
        let id = job.partition;
        if let Some(partition) = self.partitions.get_mut(&id) {
            partition.uncleanable = true;
            self.events.push_back(Event::CleaningGivenUp { partition: id, at });
        }
        self.abandon(job);
    }

    /// The pass ends here. What it has begun to write goes.
    fn abandon(&mut self, job: Job) {
        let id = job.partition;
        self.cleaner.gives_way = false;
        let Some(name) = job.cleaning.unfinished() else { return };
        match self.partitions.get_mut(&id) {
            Some(partition) => {
                partition.untidy.push_back(Leftover::Segment(name));
                if partition.keeping == Keeping::Idle {
                    partition.keeping = Keeping::Busy;
                    self.tidy(id);
                }
            }
            None => self.issue_change(Op::Forget, name.file(id), FileChange::Delete),
        }
    }

    /// Removes what a pass has left, one file after the other; no other job is at work on the partition's files. The order is that of
    /// the offsets: whatever a crash leaves, with the new segment or without it, is a whole log.
    pub(super) fn tidy(&mut self, id: PartitionId) {
        match self.partitions.get(&id).and_then(|partition| partition.untidy.front().copied()) {
            Some(file) => {
                let op = Op::Tidy { partition: id, file };
                self.issue_change(op, file.file(id), FileChange::Delete);
            }
            None => {
                self.on_idle(id);
                self.queue_keep(id);
            }
        }
    }

    /// A file that could not be removed is tried again when retention is next looked after; nothing else is removed before.
    pub(super) fn on_tidied(&mut self, id: PartitionId, file: Leftover, outcome: &Outcome) {
        if let Some(partition) = self.partitions.get_mut(&id)
            && matches!(outcome, Outcome::Done)
        {
            partition.untidy.retain(|left| *left != file);
            return self.tidy(id);
        }
        self.on_idle(id);
        self.queue_keep(id);
    }

    /// The files of a partition that it needs no more.
    pub(super) fn leftovers(
        &self,
        id: PartitionId,
        untidy: &VecDeque<Leftover>,
    ) -> impl Iterator<Item = FileId> {
        let untidy: Vec<FileId> = untidy.iter().map(|left| left.file(id)).collect();
        untidy.into_iter().chain(self.cleaner.unfinished(id))
    }
}

/// How long a read or write of so many bytes keeps the next one waiting.
fn pause(bytes: u64) -> Duration {
    Duration::from_nanos(bytes.saturating_mul(1_000_000_000) / CLEAN_BYTES_PER_SECOND)
}

fn low_half(number: u128) -> u64 {
    u64::try_from(number & u128::from(u64::MAX)).expect("masked to 64 bits")
}
