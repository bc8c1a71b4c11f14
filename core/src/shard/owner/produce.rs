//! Appending: room in the WAL first, then the partition's place for the batch, then the copy; the answer when it is durable.

use super::{Call, Owner};
use crate::batch::{self, BatchView};
use crate::config::TimestampType;
use crate::id::{Offset, PartitionId, ShardId};
use crate::log::{Placed, Placement};
use crate::replica::{Acks, AppendError, PartitionError, PartitionOp, PartitionReply, ProduceOp, ProduceReply, Ready};
use crate::shard::message::{CallId, ShardMessage};
use crate::shard::Event;
use crate::storage::frame::Entry;
use crate::storage::wal::Append;
use crate::time::{Now, Timestamp};

/// A produce whose batch is in the log and not yet where its acks want it.
#[derive(Debug)]
pub(super) struct PendingAck {
    to: ShardId,
    call: CallId,
    reply: ProduceReply,
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
            Verdict::NoRoom => {
                self.parked.push_back(call);
                self.hurry();
            }
        }
    }

    fn try_produce(&mut self, now: Now, from: ShardId, call: CallId, op: &ProduceOp) -> Verdict {
        let Some(partition) = self.partitions.get_mut(&op.partition) else {
            return Verdict::Reply(PartitionReply::Failed(PartitionError::Unknown));
        };
        let Ok((view, _)) = BatchView::parse(&op.batch) else { unreachable!("the home checked the batch") };
        if !self.wal.reserve(&mut self.wal_pool, op.batch.len(), Append::New) {
            return if self.wal.is_disk_full() {
                Verdict::Reply(PartitionReply::Failed(PartitionError::StorageFull))
            } else {
                Verdict::NoRoom
            };
        }
        let mut info = view.info();
        let append_time = (partition.timestamp == TimestampType::LogAppendTime).then_some(now.wall);
        if let Some(time) = append_time {
            info.max_timestamp = time;
        }
        let placed = match partition.replica.append(now, &info, op.acks) {
            Ok(placed) => placed,
            Err(error) => return Verdict::Reply(PartitionReply::Failed(refusal(error))),
        };
        let log_start_offset = partition.replica.log().log_start();
        let (base_offset, last, log_append_time) = match placed {
            Placed::New(placement) => {
                self.copy(op, &placement, append_time);
                (placement.base, placement.last, append_time)
            }
            Placed::Duplicate { base, last, append_time: first } => {
                self.events.push_back(Event::DuplicateAnswered { partition: op.partition, base });
                (base, last, append_time.map(|_| first))
            }
        };
        let reply = ProduceReply { base_offset, log_append_time, log_start_offset };
        self.acknowledge(op, last, PendingAck { to: from, call, reply });
        Verdict::Pending
    }

    /// Copies the batch into the group that goes to disk next, with its offset and epoch.
    fn copy(&mut self, op: &ProduceOp, placement: &Placement, append_time: Option<Timestamp>) {
        let leader_epoch = self.partitions[&op.partition].replica.leader_epoch();
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
        self.wal.push(entry, &op.batch, Append::New, |bytes| {
            batch::patch_offset_and_epoch(bytes, placement.base, leader_epoch);
            if let Some(time) = append_time {
                batch::patch_log_append_time(bytes, time);
            }
        });
        let (partition, base, last) = (op.partition, placement.base, placement.last);
        self.events.push_back(Event::Appended { partition, base, last, epoch: leader_epoch, bytes: len });
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
        match (op.acks, partition.replica.wait_for(last, op.acks, token)) {
            (Acks::None, _) | (_, Ready::Now) => {
                self.reply(ack.to, ack.call, PartitionReply::Produced(ack.reply));
            }
            (Acks::Leader | Acks::All, Ready::Later) => {
                self.acks.insert(token, ack);
            }
        }
    }

    /// The log of a partition is on disk up to `end`: what waited for that is answered, readers are woken.
    pub(super) fn on_durable(&mut self, id: PartitionId, end: Offset) {
        let Some(partition) = self.partitions.get_mut(&id) else { return };
        let before = partition.replica.high_watermark();
        let progress = partition.replica.on_durable(end);
        let high_watermark = partition.replica.high_watermark();
        self.events.push_back(Event::DurableAdvanced { partition: id, durable_end: end });
        if high_watermark > before {
            self.events.push_back(Event::HighWatermarkAdvanced { partition: id, high_watermark });
        }
        for token in progress.acked {
            if let Some(ack) = self.acks.remove(&token) {
                self.reply(ack.to, ack.call, PartitionReply::Produced(ack.reply));
            }
        }
        self.wake(progress.woken);
        if partition_has_a_run(&self.partitions[&id].replica) {
            self.queue_keep(id);
        }
    }

    pub(super) fn wake(&mut self, tokens: alloc::vec::Vec<u64>) {
        for token in tokens {
            if let Some((to, call, _)) = self.watches.remove(&token) {
                self.watch_tokens.remove(&(to, call));
                self.messages.push_back((to, ShardMessage::Woken { call }));
            }
        }
    }

    /// There may be room again: parked calls go on, in order, until one finds none.
    pub(super) fn unpark(&mut self, now: Now) {
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

    pub(super) fn refuse_parked(&mut self) {
        while let Some(call) = self.parked.pop_front() {
            self.reply(call.from, call.call, PartitionReply::Failed(PartitionError::StorageFull));
        }
    }
}

fn partition_has_a_run(replica: &crate::replica::Replica) -> bool {
    replica.log().destage_plan(crate::log::Destage::Runs).is_some()
}

fn refusal(error: AppendError) -> PartitionError {
    error.into()
}
