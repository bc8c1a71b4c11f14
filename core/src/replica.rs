//! One replica of a partition: its role, the in-sync replicas, the high watermark, and who waits for it. Decides when a write is
//! committed (R1 to R4); leaves to the log where it is and to the caller who is told.

mod high_watermark;
mod isr;
pub mod op;
#[cfg(test)]
mod tests;
mod waiters;

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

pub use isr::Isr;
pub use op::{
    Acks, ActiveProducer, DeleteRecordsOp, EpochEndOp, FetchOp, Isolation, ListOffsetsOp, OffsetReply,
    OffsetTarget, PartitionError, PartitionOp, PartitionReply, ProduceOp, ProduceReply, ReadReply,
    Recompress, Starved,
};
pub use waiters::Readiness;

use crate::batch::BatchInfo;
use crate::id::{LeaderEpoch, NodeId, Offset};
pub use crate::log::Minimum;
use crate::log::{AppendError, Log, Placed, ReadPlan, Wanted};
use crate::mutant::{self, Mutant};
use crate::time::Now;
use high_watermark::HighWatermark;
use waiters::Waiters;

/// What this node is to the partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Nobody has told yet.
    Idle,
    Leader {
        epoch: LeaderEpoch,
        /// The end of the log when the epoch began: until the high watermark is there, the end of the partition is not known.
        epoch_start: Offset,
    },
}

/// Why a batch was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProduceError {
    NotLeader,
    /// acks=all, and fewer in-sync replicas than `min.insync.replicas`. Nothing was appended.
    NotEnoughReplicas,
    Append(AppendError),
}

/// Why there is no answer to what the latest offset is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LatestError {
    NotLeader,
    /// A new leader does not know yet how far its predecessors committed (KIP-207).
    NotAvailable,
}

/// Who leads, and with whom.
#[derive(Debug, Clone)]
pub struct Leadership {
    pub epoch: LeaderEpoch,
    pub isr: BTreeSet<NodeId>,
    pub min_insync: u16,
}

/// Who is to be told that something became durable or committed. Both lists in the order of offsets, then of tokens.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Woken {
    /// Producers that can be answered.
    pub acks: Vec<u64>,
    /// Watchers that have something to read.
    pub watchers: Vec<u64>,
    /// The high watermark, if it moved.
    pub high_watermark: Option<Offset>,
}

#[derive(Debug)]
pub struct Replica {
    pub log: Log,
    node: NodeId,
    role: Role,
    isr: Isr,
    high_watermark: HighWatermark,
    waiters: Waiters,
}

impl Replica {
    /// A replica of which nobody has told yet who leads.
    pub fn new(node: NodeId, log: Log) -> Self {
        let high_watermark = HighWatermark::new(log.log_start());
        let isr = Isr::new(BTreeSet::from([node]), 1);
        Self { log, node, role: Role::Idle, isr, high_watermark, waiters: Waiters::default() }
    }

    /// This node leads from now on. What it knew of the others' disks in former epochs counts no more (R2).
    pub fn on_leadership(&mut self, leadership: Leadership) -> Woken {
        let newer = match self.role {
            Role::Idle => true,
            Role::Leader { epoch, .. } => leadership.epoch > epoch,
        };
        assert!(newer, "leadership comes with a new epoch");
        assert!(leadership.isr.contains(&self.node), "a leader is in sync with itself");
        self.role = Role::Leader { epoch: leadership.epoch, epoch_start: self.log.log_end() };
        self.isr = Isr::new(leadership.isr, leadership.min_insync);
        self.isr.on_durable(self.node, self.log.durable_end());
        self.advance()
    }

    /// This node leads no more. Gives the tokens of all that waited, acks and watchers.
    pub fn on_resigned(&mut self) -> Woken {
        self.role = Role::Idle;
        self.waiters.take_all()
    }

    /// The in-sync replicas changed within the epoch.
    pub fn on_isr(&mut self, members: BTreeSet<NodeId>) -> Woken {
        assert!(members.contains(&self.node), "a leader is in sync with itself");
        self.isr.set_members(members);
        self.advance()
    }

    pub fn on_min_insync(&mut self, min_insync: u16) -> Woken {
        self.isr.set_min_insync(min_insync);
        self.advance()
    }

    pub fn role(&self) -> Role {
        self.role
    }

    pub fn leader_epoch(&self) -> Option<LeaderEpoch> {
        match self.role {
            Role::Leader { epoch, .. } => Some(epoch),
            Role::Idle => None,
        }
    }

    pub fn isr(&self) -> &Isr {
        &self.isr
    }

    pub fn high_watermark(&self) -> Offset {
        self.high_watermark.offset()
    }

    /// Places a batch, or finds it there already. With acks=all it is refused while too few replicas are in sync (R1).
    pub fn append(&mut self, now: Now, info: &BatchInfo, acks: Acks) -> Result<Placed, ProduceError> {
        let Role::Leader { epoch, .. } = self.role else { return Err(ProduceError::NotLeader) };
        if acks == Acks::All && !self.isr.is_enough() {
            return Err(ProduceError::NotEnoughReplicas);
        }
        let placed = self.log.append(now, info, epoch).map_err(ProduceError::Append);
        if mutant::on(Mutant::HighWatermarkAhead) {
            self.high_watermark = HighWatermark::new(self.log.log_end());
        }
        placed
    }

    /// Registers a producer that waits for the record at `last`, of a new batch or of the original of a duplicate. `Now` means that
    /// it can be answered at once and was not registered.
    pub fn wait_for(&mut self, last: Offset, acks: Acks, token: u64) -> Readiness {
        let reached = match acks {
            Acks::None => return Readiness::Now,
            Acks::Leader => self.log.durable_end(),
            Acks::All => self.high_watermark(),
        };
        if reached > last {
            return Readiness::Now;
        }
        self.waiters.wait(last, acks, token);
        Readiness::Later
    }

    /// Registers a reader that waits for the record at `from` to be committed. `Now` means that it is, and was not registered.
    pub fn watch(&mut self, from: Offset, token: u64) -> Readiness {
        if self.high_watermark() > from {
            return Readiness::Now;
        }
        self.waiters.watch(from, token);
        Readiness::Later
    }

    /// Forgets a watcher; one that was woken is forgotten already.
    pub fn unwatch(&mut self, token: u64) {
        self.waiters.unwatch(token);
    }

    /// This node's disk holds all below `end`.
    pub fn on_durable(&mut self, end: Offset) -> Woken {
        self.log.on_durable(end);
        self.isr.on_durable(self.node, end);
        self.advance()
    }

    /// Another replica said, in this leader's epoch, that its disk holds all below `end`.
    pub fn on_durable_at(&mut self, node: NodeId, end: Offset) -> Woken {
        assert!(node != self.node, "this node's disk reports through the log");
        self.isr.on_durable(node, end);
        self.advance()
    }

    fn advance(&mut self) -> Woken {
        let moved = match self.role {
            Role::Leader { .. } => self.high_watermark.advance(&self.isr),
            Role::Idle => None,
        };
        let mut woken = self.waiters.wake(self.log.durable_end(), self.high_watermark());
        woken.high_watermark = moved;
        woken
    }

    /// How to answer a consumer's fetch: only what is committed (R4).
    pub fn read(&self, from: Offset, bytes_max: usize, minimum: Minimum) -> ReadPlan {
        self.log.read(Wanted { from, upto: self.high_watermark(), bytes_max, minimum })
    }

    pub fn earliest(&self) -> Offset {
        self.log.log_start()
    }

    /// The end of what is committed.
    pub fn latest(&self) -> Result<Offset, LatestError> {
        let Role::Leader { epoch_start, .. } = self.role else { return Err(LatestError::NotLeader) };
        let high_watermark = self.high_watermark();
        if high_watermark < epoch_start { Err(LatestError::NotAvailable) } else { Ok(high_watermark) }
    }

    /// Segments to delete now.
    pub fn expired(&self, now: Now) -> Vec<Offset> {
        self.log.expired(now, self.high_watermark())
    }

    /// Panics where the replica contradicts itself.
    pub fn audit(&self) {
        self.log.audit();
        self.invariants();
    }

    /// The part of [`Self::audit`] that is cheap enough for every turn.
    pub fn invariants(&self) {
        self.log.invariants();
        self.waiters.invariants(self.log.durable_end(), self.high_watermark());
        let high_watermark = self.high_watermark();
        assert!(high_watermark <= self.log.durable_end(), "what is committed is on this disk");
        if let Role::Leader { .. } = self.role {
            assert!(self.isr.contains(self.node), "a leader is in sync with itself");
            assert!(
                self.isr.durable_end_of(self.node) == self.log.durable_end(),
                "the log and the ISR agree"
            );
        }
    }
}
