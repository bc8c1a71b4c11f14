//! Reading: fetches and offset look-ups, from the tail at once, from segments through the disk.

use alloc::vec;
use alloc::vec::Vec;

use super::{Call, Op, Owner};
use crate::batch::{BatchView, Scratch};
use crate::buf::{PageMut, Slice};
use crate::id::{LeaderEpoch, Offset, PartitionId};
use crate::limits::{BLOCK_BYTES, FAULTY_TOLD_MAX, READS_AT_ONCE_MIN};
use crate::log::{
    DiskRead, ReadPlan, Selected, Sought, TimestampOffset, TimestampPlan, TimestampQuery, TimestampScan,
    Wanted,
};
use crate::mutant::{self, Mutant};
use crate::replica::{
    ActiveProducer, EpochEndOp, FetchOp, ListOffsetsOp, OffsetReply, OffsetTarget, PartitionError,
    PartitionOp, PartitionReply, ReadReply, Readiness, Replica, Starved,
};
use crate::shard::{Effect, Event, Mark, Outcome};

/// A read of a segment on behalf of a call.
#[derive(Debug)]
pub(super) struct ReadJob {
    call: Call,
    read: DiskRead,
    purpose: Purpose,
}

#[derive(Debug, Clone, Copy)]
enum Purpose {
    Fetch(Wanted),
    Timestamp(TimestampQuery),
}

impl Purpose {
    /// No record before it is of use.
    fn from(&self) -> Offset {
        match self {
            Self::Fetch(wanted) => wanted.from,
            Self::Timestamp(TimestampQuery { sought: Sought::Climb(Some(best)), .. }) => best.offset,
            Self::Timestamp(query) => query.from,
        }
    }
}

/// How far a call came.
enum Progress {
    Reply(PartitionReply),
    Disk(DiskRead, Purpose),
}

impl From<PartitionError> for Progress {
    fn from(error: PartitionError) -> Self {
        Self::Reply(PartitionReply::Failed(error))
    }
}

impl Owner {
    pub(super) fn read(&mut self, call: Call) {
        let id = call.op.partition();
        let progress = match (self.partitions.get(&id), &call.op) {
            (None, _) => PartitionError::Unknown.into(),
            (Some(partition), PartitionOp::Fetch(op)) => plan_fetch(&partition.replica, op),
            (Some(partition), PartitionOp::ListOffsets(op)) => {
                plan_offset(&partition.replica, op, &mut self.scratch)
            }
            (Some(partition), PartitionOp::EpochEnd(op)) => epoch_end(&partition.replica, op),
            (Some(partition), PartitionOp::Producers(_)) => producers(&partition.replica),
            (Some(partition), PartitionOp::Size(_)) => {
                Progress::Reply(PartitionReply::Size(partition.replica.log.size_bytes()))
            }
            (Some(_), PartitionOp::Produce(_) | PartitionOp::DeleteRecords(_)) => {
                unreachable!("what changes a log goes another way")
            }
        };
        self.go_on(call, progress);
    }

    fn go_on(&mut self, call: Call, progress: Progress) {
        match progress {
            Progress::Reply(reply) => self.finish_read(&call, reply),
            Progress::Disk(read, purpose) => self.read_disk(ReadJob { call, read, purpose }),
        }
    }

    /// Answers, and remembers the call if it wants to be woken and got less than it hoped for.
    fn finish_read(&mut self, call: &Call, mut reply: PartitionReply) {
        if let (PartitionReply::Read(read), PartitionOp::Fetch(op)) = (&mut reply, &call.op) {
            let bytes: usize = read.records.iter().map(Slice::len).sum();
            if !read.more && bytes < op.watch_below as usize {
                read.watched = self.watch(call, op.partition, read.next);
            }
        }
        self.reply(call.from, call.call, reply);
        let ripe = core::mem::take(&mut self.ripe);
        self.wake(ripe);
    }

    fn watch(&mut self, call: &Call, id: PartitionId, next: Offset) -> bool {
        let token = self.next_token;
        self.next_token += 1;
        let Some(partition) = self.partitions.get_mut(&id) else { return false };
        self.watches.insert(token, (call.from, call.call, id));
        self.watch_tokens.insert((call.from, call.call), token);
        if partition.replica.watch(next, token) == Readiness::Now {
            self.events.push_back(Event::Marked(Mark::WatchRipe));
            self.ripe.push(token);
        }
        true
    }

    fn read_disk(&mut self, mut job: ReadJob) {
        job.read = job.read.at_most(u32::try_from(self.read_bytes_max()).unwrap_or(u32::MAX));
        let Some(page) = self.page_to_read(job.read.len as usize) else {
            self.events.push_back(Event::Marked(Mark::ReadStarved));
            return self.on_starved(job.call);
        };
        let file = job.read.name.file(job.call.op.partition());
        let at = job.read.at;
        self.issue(Op::Read(job), |op| Effect::Read { op, file, at, into: page });
    }

    /// A read takes at most this part of the pool, so that some go on at once. A batch that is longer has a page to itself.
    fn read_bytes_max(&self) -> usize {
        self.read_pool.page_bytes_max() / READS_AT_ONCE_MIN
    }

    /// A page of just `len` bytes, since the disk fills all of it.
    pub(super) fn page_to_read(&mut self, len: usize) -> Option<PageMut> {
        let page = if len <= self.read_bytes_max().max(BLOCK_BYTES) {
            self.read_pool.alloc(len)
        } else {
            self.read_pool.alloc_large(len.next_multiple_of(BLOCK_BYTES))
        };
        page.map(|page| page.shortened(len))
    }

    /// There is no memory to read into. Whoever holds pages must not wait for further ones: two of that kind wait for ever.
    fn on_starved(&mut self, call: Call) {
        let id = call.op.partition();
        if let PartitionOp::Fetch(op) = &call.op
            && op.starved == Starved::ReadsNothing
            && !mutant::on(Mutant::FetchHoldsAndWaits)
            && let Some(partition) = self.partitions.get(&id)
            && let Progress::Reply(reply) =
                read_reply(&partition.replica, wanted(&partition.replica, op), Vec::new())
        {
            return self.finish_read(&call, reply);
        }
        self.starved.push_back(call);
    }

    pub(super) fn on_read_done(&mut self, job: ReadJob, outcome: Outcome) {
        let id = job.call.op.partition();
        let page = match outcome {
            Outcome::Read { page, len } => self.read_pool.freeze(page).cut(0, len as usize),
            Outcome::Failed { page, .. } => {
                if let Some(page) = page {
                    self.read_pool.give_back(page);
                }
                self.on_unreadable(job);
                return;
            }
            Outcome::Done => unreachable!("a read ends with its page"),
        };
        let Some(partition) = self.partitions.get(&id) else {
            self.reply(job.call.from, job.call.call, PartitionReply::Failed(PartitionError::Unknown));
            return;
        };
        let log = &partition.replica.log;
        let taken = !log.holds([job.read.name]);
        let trimmed = job.purpose.from() < log.log_start();
        if (taken || trimmed) && !mutant::on(Mutant::TakenWhileRead) {
            // Records were deleted while they were read, or compaction took their segment: what is left of the log answers.
            return self.read(job.call);
        }
        let page = log.sound_part((job.read.name, job.read.at), &page).unwrap_or(page);
        let progress = match job.purpose {
            Purpose::Fetch(wanted) => match job.read.select(&page, wanted) {
                Selected::Batches(batches) => {
                    let batches = partition.replica.log.vouch(&batches);
                    if batches.is_empty() {
                        self.faulty(id, wanted.from.max(job.read.name.base))
                    } else {
                        read_reply(&partition.replica, wanted, vec![batches])
                    }
                }
                Selected::Empty => read_reply(&partition.replica, wanted, Vec::new()),
                Selected::GoOn(from) => plan_read(&partition.replica, Wanted { from, ..wanted }),
                Selected::NeedMore(read) => {
                    self.events.push_back(Event::Marked(Mark::ReadAgain));
                    Progress::Disk(read, job.purpose)
                }
                Selected::Faulty => self.faulty(id, wanted.from.max(job.read.name.base)),
            },
            Purpose::Timestamp(query) => match job.read.scan_timestamp(&page, query, &mut self.scratch) {
                TimestampScan::Found(found) => offset_reply(&partition.replica, Some(found)),
                TimestampScan::GoOn(query) => plan_timestamp(&partition.replica, query, &mut self.scratch),
                TimestampScan::NeedMore(read) => Progress::Disk(read, job.purpose),
                TimestampScan::Faulty(offset) => self.faulty(id, offset),
            },
        };
        self.go_on(job.call, progress);
    }

    /// The file is gone because its segment was deleted meanwhile, or the disk cannot read it.
    fn on_unreadable(&mut self, job: ReadJob) {
        let partition = self.partitions.get(&job.call.op.partition());
        if partition.is_none_or(|partition| !partition.replica.log.holds([job.read.name])) {
            self.read(job.call);
        } else {
            let failed = PartitionReply::Failed(PartitionError::Faulty);
            self.reply(job.call.from, job.call.call, failed);
        }
    }

    /// What stands at `offset` cannot be read. It is told once, however often it is asked for.
    fn faulty(&mut self, partition: PartitionId, offset: Offset) -> Progress {
        if self.faulty_told.len() >= FAULTY_TOLD_MAX {
            self.faulty_told.clear();
        }
        if self.faulty_told.insert((partition, offset)) {
            self.events.push_back(Event::Faulty { partition, base: offset, last: offset });
        }
        PartitionError::Faulty.into()
    }

    /// Reads that found no page are tried again.
    pub(super) fn feed_starved(&mut self) {
        for _ in 0..self.starved.len() {
            let Some(call) = self.starved.pop_front() else { break };
            self.read(call);
        }
    }
}

fn check_epoch(replica: &Replica, known: Option<LeaderEpoch>) -> Result<(), PartitionError> {
    let Some(epoch) = replica.leader_epoch() else { return Err(PartitionError::NotLeader) };
    match known {
        Some(known) if known < epoch => Err(PartitionError::FencedLeaderEpoch),
        Some(known) if known > epoch => Err(PartitionError::UnknownLeaderEpoch),
        Some(_) | None => Ok(()),
    }
}

fn plan_fetch(replica: &Replica, op: &FetchOp) -> Progress {
    if let Err(error) = check_epoch(replica, op.current_leader_epoch) {
        return error.into();
    }
    plan_read(replica, wanted(replica, op))
}

fn plan_read(replica: &Replica, wanted: Wanted) -> Progress {
    match replica.log.read(wanted) {
        ReadPlan::Empty => read_reply(replica, wanted, Vec::new()),
        ReadPlan::Tail(batches) => read_reply(replica, wanted, batches),
        ReadPlan::Disk(read) => Progress::Disk(read, Purpose::Fetch(wanted)),
        ReadPlan::OutOfRange => PartitionError::OffsetOutOfRange.into(),
        ReadPlan::Faulty => PartitionError::Faulty.into(),
    }
}

fn wanted(replica: &Replica, op: &FetchOp) -> Wanted {
    Wanted {
        from: op.offset,
        upto: replica.high_watermark(),
        bytes_max: op.bytes_max as usize,
        minimum: op.minimum,
    }
}

fn read_reply(replica: &Replica, wanted: Wanted, records: Vec<Slice>) -> Progress {
    let next = records.last().map_or(wanted.from, end_of_last_batch);
    Progress::Reply(PartitionReply::Read(ReadReply {
        records,
        next,
        high_watermark: replica.high_watermark(),
        last_stable_offset: replica.high_watermark(),
        log_start_offset: replica.log.log_start(),
        more: next < replica.high_watermark(),
        watched: false,
    }))
}

/// One past the last record of the batches in a row that `bytes` holds.
fn end_of_last_batch(bytes: &Slice) -> Offset {
    let mut rest = bytes.as_slice();
    let mut end = Offset::ZERO;
    while let Ok((view, behind)) = BatchView::parse(rest) {
        end = view.last_offset().next();
        rest = behind;
    }
    assert!(rest.is_empty(), "what is served is whole batches");
    end
}

fn plan_offset(replica: &Replica, op: &ListOffsetsOp, scratch: &mut Scratch) -> Progress {
    if let Err(error) = check_epoch(replica, op.current_leader_epoch) {
        return error.into();
    }
    let plain = |offset| {
        let leader_epoch = replica.log.epochs().epoch_of(offset);
        Progress::Reply(PartitionReply::Offset(OffsetReply {
            timestamp: None,
            offset: Some(offset),
            leader_epoch,
        }))
    };
    let (from, upto) = (replica.log.log_start(), replica.high_watermark());
    match op.target {
        OffsetTarget::Earliest => plain(from),
        OffsetTarget::Latest => plain(upto),
        OffsetTarget::MaxTimestamp => match replica.log.newest(upto) {
            Some(query) => plan_timestamp(replica, query, scratch),
            None => offset_reply(replica, None),
        },
        OffsetTarget::At(timestamp) => {
            let query = TimestampQuery { timestamp, from, upto, sought: Sought::First };
            plan_timestamp(replica, query, scratch)
        }
    }
}

fn plan_timestamp(replica: &Replica, query: TimestampQuery, scratch: &mut Scratch) -> Progress {
    match replica.log.find_timestamp(query, scratch) {
        TimestampPlan::Found(found) => offset_reply(replica, Some(found)),
        TimestampPlan::NotFound => offset_reply(replica, None),
        TimestampPlan::Disk(read, query) => Progress::Disk(read, Purpose::Timestamp(query)),
        TimestampPlan::Faulty => PartitionError::Faulty.into(),
    }
}

fn offset_reply(replica: &Replica, found: Option<TimestampOffset>) -> Progress {
    Progress::Reply(PartitionReply::Offset(OffsetReply {
        timestamp: found.map(|found| found.timestamp),
        offset: found.map(|found| found.offset),
        leader_epoch: found.and_then(|found| replica.log.epochs().epoch_of(found.offset)),
    }))
}

/// Where an epoch ends, as Kafka answers. A leader's own epoch ends where the log does, whether or not it has written; of one that
/// is older than all that is left, it is known that it ended before those.
fn epoch_end(replica: &Replica, op: &EpochEndOp) -> Progress {
    if let Err(error) = check_epoch(replica, op.current_leader_epoch) {
        return error.into();
    }
    let log = &replica.log;
    let answer = |found: Option<(LeaderEpoch, Offset)>| {
        let found = found.map(|(epoch, end)| (epoch, end.max(log.log_start())));
        Progress::Reply(PartitionReply::EpochEnd(found))
    };
    let current = replica.leader_epoch().expect("checked above");
    if op.epoch < LeaderEpoch(0) || op.epoch > current {
        return answer(None);
    }
    if op.epoch == current {
        return answer(Some((current, log.log_end())));
    }
    let oldest = log.epochs().entries().first().map_or(log.log_end(), |entry| entry.start);
    answer(Some(log.epochs().end_of(op.epoch, log.log_end()).unwrap_or((op.epoch, oldest))))
}

fn producers(replica: &Replica) -> Progress {
    let producers = replica.log.producers().snapshot().into_iter().map(|(id, producer)| {
        let last = producer.batches.back();
        ActiveProducer {
            id,
            epoch: producer.epoch,
            last_sequence: last.map(|batch| batch.last_sequence),
            last_timestamp: last.map(|batch| batch.timestamp),
        }
    });
    Progress::Reply(PartitionReply::Producers(producers.collect()))
}
