//! Driving the write-ahead log: its orders become effects, their ends become acknowledgements and cached tails.

use alloc::collections::BTreeMap;

use super::{Memory, Op, Owner, Pin};
use crate::id::{FileId, Offset, PartitionId};
use crate::mutant::{self, Mutant};
use crate::shard::{DiskError, DiskStep, Durability, Effect, Event, FileChange, Mark, Outcome};
use crate::storage::frame::Lsn;
use crate::storage::wal::{Append, FrozenFrame, WalDone, WalOrder};
use crate::time::Now;

/// A frame whose page is kept for readers of the tail.
#[derive(Debug)]
pub(super) struct CachedFrame {
    pub(super) page_bytes: usize,
    /// The partitions in it, and where its batches of them end.
    pub(super) ends: BTreeMap<PartitionId, Offset>,
}

impl Owner {
    pub(super) fn turn_wal(&mut self, now: Now) {
        while let Some(order) = self.wal.next_order(now.mono, &mut self.wal_pool) {
            self.carry_out(order);
        }
        if self.wal.is_stuck() {
            self.refuse_unwritten();
            assert!(!self.acks.values().any(|ack| self.is_unwritten(ack)), "nobody waits for a full disk");
        }
        self.evict(self.cache_bytes_max());
    }

    fn carry_out(&mut self, order: WalOrder) {
        let stream = self.wal.stream();
        let wal = |number| FileId::Wal { stream, number };
        match order {
            WalOrder::Write { file, at, parts, frames } => {
                self.attach(&frames);
                let op = Op::WalWrite { file, last: last_of(&frames) };
                self.wal_writes.push_back(frames);
                let running = mutant::on(Mutant::AckOnRunningFlush);
                let durability = if running { Durability::Cached } else { Durability::Durable };
                self.issue(op, |op| Effect::Write { op, file: wal(file), at, parts, durability });
                if running {
                    self.issue(Op::Forget, |op| Effect::Sync { op, file: wal(file) });
                }
            }
            WalOrder::Create { file, len } => {
                let op = Op::WalChange { file, step: DiskStep::Create };
                self.issue_change(op, wal(file), FileChange::Create { len });
            }
            WalOrder::Recycle { from, to } => {
                let op = Op::WalChange { file: to, step: DiskStep::Change };
                self.issue_change(op, wal(from), FileChange::Rename { to: wal(to) });
                self.events.push_back(Event::WalFileRecycled { stream, number: to });
            }
            WalOrder::Remove { file } => {
                let op = Op::WalChange { file, step: DiskStep::Change };
                self.issue_change(op, wal(file), FileChange::Delete);
            }
            WalOrder::Checkpoint(checkpoint) => {
                let change = FileChange::Replace { bytes: checkpoint.encode(stream) };
                self.issue_change(Op::WalCheckpoint, FileId::Checkpoint { stream }, change);
                self.events.push_back(Event::Checkpointed { stream, lsn: checkpoint.lsn });
            }
        }
    }

    /// Hands the batches of frames that go to disk to their partitions, as tails.
    fn attach(&mut self, frames: &[FrozenFrame]) {
        for frame in frames {
            let mut ends = BTreeMap::new();
            for batch in &frame.batches {
                ends.insert(batch.partition, batch.last.next());
                if batch.reason == Append::CarriedForward {
                    continue;
                }
                match self.partitions.get_mut(&batch.partition) {
                    Some(partition) => {
                        let pin = Pin::Frame(frame.lsn).encode();
                        partition.replica.log.attach(batch.base, batch.bytes.clone(), pin);
                    }
                    None => self.wal.release(frame.lsn),
                }
            }
            self.cache_bytes += frame.page_bytes;
            self.cache.push_back(CachedFrame { page_bytes: frame.page_bytes, ends });
        }
    }

    pub(super) fn on_wal_written(&mut self, now: Now, file: u64, last: Lsn, outcome: Outcome) {
        if let Outcome::Failed { error, .. } = outcome
            && !mutant::on(Mutant::WriteErrorIgnored)
        {
            let stream = self.wal.stream();
            self.halt(FileId::Wal { stream, number: file }, error, DiskStep::Write);
            return;
        }
        let durable = self.wal.on_done(now.mono, WalDone::Written(last));
        let durable = if mutant::on(Mutant::OlderWriteNotAwaited) { last } else { durable };
        if durable < last {
            self.events.push_back(Event::Marked(Mark::WrittenEarly));
        }
        while let Some(frames) = self.wal_writes.pop_front_if(|frames| last_of(frames) <= durable) {
            self.on_frames_durable(&frames);
        }
        self.relieve_wal();
        self.unpark(now);
    }

    fn on_frames_durable(&mut self, frames: &[FrozenFrame]) {
        self.commits += 1;
        let mut ends: BTreeMap<PartitionId, Offset> = BTreeMap::new();
        for frame in frames {
            for batch in &frame.batches {
                match batch.reason {
                    Append::New => {
                        ends.insert(batch.partition, batch.last.next());
                    }
                    Append::CarriedForward => {
                        self.on_carried(batch.partition, batch.base, batch.bytes.clone(), frame.lsn);
                    }
                }
            }
            self.report(frame);
        }
        for (partition, end) in ends {
            self.on_durable(partition, end);
        }
    }

    fn report(&mut self, frame: &FrozenFrame) {
        let lsn = frame.lsn.0;
        self.events.push_back(if frame.batches.is_empty() {
            Event::SealWritten { lsn }
        } else {
            let bytes = frame.batches.iter().map(|b| b.bytes.len()).sum::<usize>();
            Event::GroupCommitted {
                lsn,
                bytes: u32::try_from(bytes).expect("a frame is bounded"),
                batches: u32::try_from(frame.batches.len()).expect("a frame is bounded"),
            }
        });
    }

    pub(super) fn on_wal_changed(&mut self, now: Now, file: u64, step: DiskStep, outcome: Outcome) {
        let stream = self.wal.stream();
        match outcome {
            Outcome::Failed { error: DiskError::Full, .. } => {
                self.wal.on_change_full();
                self.on_full(now);
            }
            Outcome::Failed { error, .. } => self.halt(FileId::Wal { stream, number: file }, error, step),
            Outcome::Done | Outcome::Read { .. } => {
                self.wal.on_done(now.mono, WalDone::Changed);
                if step == DiskStep::Create {
                    self.events.push_back(Event::WalFileCreated { stream, number: file });
                }
                self.unpark(now);
            }
        }
    }

    pub(super) fn on_wal_checkpointed(&mut self, now: Now, outcome: Outcome) {
        let stream = self.wal.stream();
        match outcome {
            Outcome::Failed { error: DiskError::Full, .. } => {
                self.wal.on_checkpoint_full();
                self.on_full(now);
            }
            Outcome::Failed { error, .. } => {
                self.halt(FileId::Checkpoint { stream }, error, DiskStep::Change)
            }
            Outcome::Done | Outcome::Read { .. } => {
                self.wal.on_done(now.mono, WalDone::Checkpointed);
            }
        }
    }

    /// What the tail cache may hold.
    fn cache_bytes_max(&self) -> usize {
        match self.memory {
            Memory::Enough => self.config.memory_bytes / 4,
            Memory::Short => 0,
        }
    }

    /// Lets the pages of the oldest frames go while the tail cache holds more than `bytes_max`; what is not destaged stays until it is.
    pub(super) fn evict(&mut self, bytes_max: usize) {
        while self.cache_bytes > bytes_max {
            let Some(frame) = self.cache.pop_front() else { break };
            self.cache_bytes -= frame.page_bytes;
            for (partition, end) in frame.ends {
                if let Some(partition) = self.partitions.get_mut(&partition) {
                    partition.replica.log.evict(end);
                }
            }
        }
    }

    /// Gives the pin of one batch back.
    pub(super) fn release(&mut self, pin: u64) {
        match Pin::decode(pin) {
            Pin::Frame(lsn) => self.wal.release(lsn),
            Pin::Legacy(index) => self.release_legacy(index),
        }
    }
}

fn last_of(frames: &[FrozenFrame]) -> Lsn {
    frames.last().expect("a write has frames").lsn
}
