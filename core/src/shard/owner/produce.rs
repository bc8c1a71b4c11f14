//! Appending: room in the WAL first, then the partition's place for the batch, then the copy; the answer when it is durable.

use alloc::vec::Vec;

use super::{Call, Keeping, Memory, Owner};
use crate::batch::{self, BatchInfo, BatchView, NO_PRODUCER};
use crate::config::TimestampType;
use crate::id::{Offset, PartitionId, ShardId};
use crate::log::{AppendError, Destage, Log, Placed, Placement};
use crate::mutant::{self, Mutant};
use crate::replica::{
    Acks, PartitionError, PartitionOp, PartitionReply, ProduceError, ProduceOp, ProduceReply, Readiness,
};
use crate::shard::message::{CallId, ShardMessage};
use crate::shard::{Event, Mark, Sequenced};
use crate::storage::frame::Entry;
use crate::storage::wal::{Append, NoRoom};
use crate::time::{Now, Timestamp};

/// A produce whose batch is in the log and not yet where its acks want it.
#[derive(Debug)]
pub(super) struct PendingAck {
    pub(super) to: ShardId,
    pub(super) call: CallId,
    pub(super) partition: PartitionId,
    reply: ProduceReply,
}

/// Why a batch of the shard's own is not in its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::shard) enum NotAppended {
    /// The WAL has no room for it now.
    NoRoom,
    /// It is longer than a segment, or than all memory for batches.
    TooLarge,
    /// The partition does not take it as things are: too few replicas are in sync.
    Refused,
}

/// A batch on its way into the WAL; `stamp` replaces its maximal timestamp.
struct Copied<'a> {
    partition: PartitionId,
    batch: &'a [u8],
    info: BatchInfo,
    stamp: Option<(Timestamp, TimestampType)>,
}

enum Verdict {
    Reply(PartitionReply),
    /// It is appended and answered later.
    Pending,
    NoRoom,
}

impl Owner {
    pub(super) fn produce(&mut self, now: Now, call: Call) {
        let PartitionOp::Produce(op) = &call.op else { unreachable!("only produce calls come here") };
        match self.try_produce(now, call.from, call.call, op) {
            Verdict::Reply(reply) => self.reply(call.from, call.call, reply),
            Verdict::Pending => {}
            Verdict::NoRoom if self.stopping => {
                let refused = PartitionReply::Failed(PartitionError::StorageFull);
                self.reply(call.from, call.call, refused);
            }
            Verdict::NoRoom => {
                self.events.push_back(Event::Marked(Mark::ProduceParked));
                self.parked.push_back(call);
                self.hurry_for_room(now);
            }
        }
    }

    fn try_produce(&mut self, now: Now, from: ShardId, call: CallId, op: &ProduceOp) -> Verdict {
        if !self.partitions.contains_key(&op.partition) {
            return Verdict::Reply(PartitionReply::Failed(PartitionError::Unknown));
        }
        if self.wal.is_stuck() {
            self.events.push_back(Event::Marked(Mark::ProduceRefused));
            return Verdict::Reply(PartitionReply::Failed(PartitionError::StorageFull));
        }
        if let Err(verdict) = self.room(op.batch.len()) {
            return verdict;
        }
        let recompressed = match self.recompressed(op) {
            Ok(recompressed) => recompressed,
            Err(error) => return Verdict::Reply(PartitionReply::Failed(error)),
        };
        let mut info = op.checked.info;
        if let Some((bytes, new)) = &recompressed {
            info = *new;
            if let Err(verdict) = self.room(bytes.len()) {
                return verdict;
            }
        }
        let partition = self.partitions.get_mut(&op.partition).expect("looked up above");
        let append_time = (partition.timestamp == TimestampType::LogAppendTime).then_some(now.wall);
        info.max_timestamp = append_time.unwrap_or(op.checked.max_timestamp);
        let placed = match partition.replica.append(now, &info, op.acks) {
            Ok(placed) => placed,
            Err(error) => return Verdict::Reply(PartitionReply::Failed(refusal(error))),
        };
        let log_start_offset = partition.replica.log.log_start();
        let (base_offset, last, log_append_time) = match placed {
            Placed::New(placement) => {
                let stamp = match append_time {
                    Some(time) => Some((time, TimestampType::LogAppendTime)),
                    None if op.checked.max_timestamp == op.checked.info.max_timestamp => None,
                    None => Some((op.checked.max_timestamp, TimestampType::CreateTime)),
                };
                let batch = recompressed.as_ref().map_or(op.batch.as_slice(), |(bytes, _)| bytes);
                let copied = Copied { partition: op.partition, batch, info, stamp };
                self.copy(&copied, &placement);
                (placement.base, placement.last, append_time)
            }
            Placed::Duplicate { base, last, append_time: first } => {
                if last >= partition.replica.log.durable_end() {
                    self.events.push_back(Event::Marked(Mark::DuplicateInFlight));
                }
                self.events.push_back(Event::DuplicateAnswered { partition: op.partition, base });
                (base, last, append_time.map(|_| first))
            }
        };
        let reply = ProduceReply { base_offset, log_append_time, log_start_offset };
        if matches!(placed, Placed::Duplicate { .. }) && mutant::on(Mutant::DuplicateAckedAtOnce) {
            return Verdict::Reply(PartitionReply::Produced(reply));
        }
        self.acknowledge(op, last, PendingAck { to: from, call, partition: op.partition, reply });
        Verdict::Pending
    }

    /// Whether a batch of this length finds room, or what its call comes to.
    fn room(&mut self, len: usize) -> Result<(), Verdict> {
        self.reserve(len).map_err(|none| match none {
            NoRoom::Ever => Verdict::Reply(PartitionReply::Failed(PartitionError::BatchTooLarge)),
            NoRoom::Log | NoRoom::Write | NoRoom::Memory if self.wal.is_disk_full() => {
                self.events.push_back(Event::Marked(Mark::ProduceRefused));
                Verdict::Reply(PartitionReply::Failed(PartitionError::StorageFull))
            }
            NoRoom::Log | NoRoom::Write | NoRoom::Memory => Verdict::NoRoom,
        })
    }

    /// Copies the batch into the group that goes to disk next, with its offset, epoch and timestamp.
    fn copy(&mut self, op: &Copied<'_>, placement: &Placement) {
        let leader_epoch = self.partitions[&op.partition].replica.leader_epoch().expect("it took the batch");
        let len = u32::try_from(op.batch.len()).expect("a batch is bounded");
        let entry = Entry {
            partition: op.partition,
            segment_base: placement.segment_base,
            position: placement.position,
            len,
            base: placement.base,
            last: placement.last,
            leader_epoch,
            crc: 0,
        };
        self.wal.push(entry, op.batch, Append::New, |bytes| {
            let late = mutant::on(Mutant::WrongBaseOffset) && placement.rolled.is_some();
            batch::patch_offset_and_epoch(bytes, placement.base.plus(i64::from(late)), leader_epoch);
            if let Some((max, clock)) = op.stamp {
                batch::patch_max_timestamp(bytes, max, clock);
            }
        });
        let (partition, base, last) = (op.partition, placement.base, placement.last);
        self.events.push_back(Event::Appended {
            partition,
            base,
            last,
            epoch: leader_epoch,
            bytes: len,
            segment_base: placement.segment_base,
            position: placement.position,
            max_timestamp: op.info.max_timestamp,
            producer: sequenced(&op.info),
        });
        self.mark_dirty(partition);
        if let Some(base) = placement.rolled {
            self.events.push_back(Event::SegmentRolled { partition, base });
            self.queue_keep(partition);
        }
    }

    fn acknowledge(&mut self, op: &ProduceOp, last: Offset, ack: PendingAck) {
        let token = self.next_token;
        self.next_token += 1;
        let partition = self.partitions.get_mut(&op.partition).expect("it was appended to");
        match partition.replica.wait_for(last, op.acks, token) {
            Readiness::Later if mutant::on(Mutant::AckBeforeWrite) => {
                self.reply(ack.to, ack.call, PartitionReply::Produced(ack.reply));
            }
            Readiness::Now => self.reply(ack.to, ack.call, PartitionReply::Produced(ack.reply)),
            Readiness::Later => {
                self.acks.insert(token, ack);
            }
        }
    }

    /// The log of a partition is on disk up to `end`: what waited for that is answered, readers are woken.
    pub(super) fn on_durable(&mut self, id: PartitionId, end: Offset) {
        let runs = Destage::Runs(self.run_bytes());
        let Some(partition) = self.partitions.get_mut(&id) else { return };
        let woken = partition.replica.on_durable(end);
        let has_a_run = partition.keeping == Keeping::Idle && partition.replica.log.can_destage(runs);
        self.events.push_back(Event::DurableAdvanced { partition: id, durable_end: end });
        if let Some(high_watermark) = woken.high_watermark {
            self.events.push_back(Event::HighWatermarkAdvanced { partition: id, high_watermark });
        }
        for token in woken.acks {
            if let Some(ack) = self.acks.remove(&token) {
                self.reply(ack.to, ack.call, PartitionReply::Produced(ack.reply));
            }
        }
        self.wake(woken.watchers);
        if has_a_run {
            self.queue_keep(id);
        }
    }

    pub(super) fn wake(&mut self, tokens: Vec<u64>) {
        for token in tokens {
            if let Some((to, call, _)) = self.watches.remove(&token) {
                self.watch_tokens.remove(&(to, call));
                self.messages.push_back((to, ShardMessage::Woken { call }));
            }
        }
    }

    /// There may be room again: parked calls go on, in order, until one finds none.
    pub(super) fn unpark(&mut self, now: Now) {
        if mutant::on(Mutant::ParkedNotResumed) {
            return;
        }
        for _ in 0..self.parked.len() {
            let Some(call) = self.parked.pop_front() else { break };
            let PartitionOp::Produce(op) = &call.op else { unreachable!("only produce calls are parked") };
            match self.try_produce(now, call.from, call.call, op) {
                Verdict::Reply(reply) => self.reply(call.from, call.call, reply),
                Verdict::Pending => {}
                Verdict::NoRoom => {
                    self.parked.push_front(call);
                    break;
                }
            }
        }
    }

    /// Appends a batch of the shard's own to a partition, whatever its topic says of producers' batches.
    pub(in crate::shard) fn append_own(
        &mut self,
        now: Now,
        id: PartitionId,
        batch: &[u8],
    ) -> Result<Offset, NotAppended> {
        self.reserve(batch.len()).map_err(|none| {
            self.hurry_for_room(now);
            match none {
                NoRoom::Ever => NotAppended::TooLarge,
                NoRoom::Log | NoRoom::Write | NoRoom::Memory => NotAppended::NoRoom,
            }
        })?;
        let info =
            BatchView::parse(batch).and_then(|(view, _)| view.info()).expect("the shard made the batch");
        let partition = self.partitions.get_mut(&id).ok_or(NotAppended::Refused)?;
        let placed = partition.replica.append(now, &info, Acks::All).map_err(|error| match error {
            ProduceError::Append(AppendError::TooLarge) => NotAppended::TooLarge,
            ProduceError::NotLeader | ProduceError::NotEnoughReplicas | ProduceError::Append(_) => {
                NotAppended::Refused
            }
        })?;
        let Placed::New(placement) = placed else { unreachable!("the shard's batches have no producer id") };
        self.copy(&Copied { partition: id, batch, info, stamp: None }, &placement);
        Ok(placement.base)
    }

    /// Room in the WAL for a new batch; what is only cached gives way to it.
    fn reserve(&mut self, len: usize) -> Result<(), NoRoom> {
        let mut room = self.wal.reserve(&mut self.wal_pool, len, Append::New);
        if mutant::on(Mutant::MemoryNotMade) {
            return room;
        }
        while room == Err(NoRoom::Memory) && self.cache_bytes > 0 {
            self.evict(self.cache_bytes / 2);
            room = self.wal.reserve(&mut self.wal_pool, len, Append::New);
        }
        match room {
            Ok(()) => self.memory = Memory::Enough,
            Err(NoRoom::Memory) => self.memory = Memory::Short,
            Err(NoRoom::Log | NoRoom::Write | NoRoom::Ever) => {}
        }
        room
    }

    /// Whoever waits for a batch that the full disk has no room for is told now. The batch stays in line and may yet be written, as
    /// after a lost answer: a producer that repeats it is recognised.
    pub(super) fn refuse_unwritten(&mut self) {
        if mutant::on(Mutant::FullNotTold) {
            return;
        }
        let refused: Vec<u64> =
            self.acks.iter().filter(|(_, ack)| self.is_unwritten(ack)).map(|(token, _)| *token).collect();
        for token in refused {
            self.events.push_back(Event::Marked(Mark::UnwrittenRefused));
            let ack = self.acks.remove(&token).expect("it was found above");
            self.reply(ack.to, ack.call, PartitionReply::Failed(PartitionError::StorageFull));
        }
    }

    /// Whether the batch that is waited for was not given to the disk yet.
    pub(super) fn is_unwritten(&self, ack: &PendingAck) -> bool {
        let log = self.partitions.get(&ack.partition).map(|partition| &partition.replica.log);
        log.and_then(Log::first_unwritten).is_some_and(|base| ack.reply.base_offset >= base)
    }

    pub(super) fn refuse_parked(&mut self) {
        while let Some(call) = self.parked.pop_front() {
            self.reply(call.from, call.call, PartitionReply::Failed(PartitionError::StorageFull));
        }
    }
}

fn sequenced(info: &BatchInfo) -> Option<Sequenced> {
    (info.producer_id != NO_PRODUCER).then(|| Sequenced {
        id: info.producer_id,
        epoch: info.producer_epoch,
        first: info.base_sequence,
        last: info.last_sequence(),
    })
}

fn refusal(error: ProduceError) -> PartitionError {
    match error {
        ProduceError::NotLeader => PartitionError::NotLeader,
        ProduceError::NotEnoughReplicas => PartitionError::NotEnoughReplicas,
        ProduceError::Append(error) => append_refusal(error),
    }
}

fn append_refusal(error: AppendError) -> PartitionError {
    match error {
        AppendError::TooLarge => PartitionError::BatchTooLarge,
        AppendError::InvalidProducerEpoch { current, found } => {
            PartitionError::InvalidProducerEpoch { current: current.0, found: found.0 }
        }
        AppendError::UnknownProducerId => PartitionError::UnknownProducerId,
        AppendError::OutOfOrderSequence { expected, found } => {
            PartitionError::OutOfOrderSequence { expected, found }
        }
    }
}
