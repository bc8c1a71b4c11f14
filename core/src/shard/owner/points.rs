//! Recovery points while the node runs: taken as segments grow, written once what they say is durable, to a file that a start may do
//! without. Nobody waits for it, and its first failure ends it. Knows nothing of what is in a point.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::{Op, Owner};
use crate::buf::Slice;
use crate::config::Config;
use crate::id::{FileId, Offset, PartitionId, ShardId};
use crate::limits::{RECOVERY_POINT_PART, RECOVERY_POINTS_WAITING_BYTES_MAX, RECOVERY_POINTS_WAL_PART};
use crate::mutant::{self, Mutant};
use crate::shard::{Durability, Effect, Event, FileChange, Mark, Outcome};
use crate::storage::points;

/// What the file is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// There is none yet.
    Nothing,
    Creating,
    Ready,
    Writing,
    /// All points are in the new file; it is synced, then the older one goes.
    Syncing,
    Removing,
    GivenUp,
}

#[derive(Debug)]
pub(super) struct Points {
    /// The number of the file, and how far from it the next one of this shard is.
    number: u64,
    step: u64,
    at: At,
    len: u64,
    /// The file that this one takes the place of, once all points are in it.
    older: Option<u64>,
    /// Partitions whose points are to be taken, as soon as all their batches were given to the WAL.
    due: VecDeque<PartitionId>,
    /// The file gives way to the next when it is longer.
    len_max: u64,
    /// Points in the order of the WAL, and where it must be durable to for them.
    taken: VecDeque<(PartitionId, Offset, Slice)>,
    /// Bytes of them.
    bytes: usize,
}

impl Points {
    /// `number` is the first that no file of this start has.
    pub(super) fn new(config: &Config, shard: ShardId, number: u64) -> Self {
        Self {
            number: number.saturating_add(u64::from(shard.0)),
            step: u64::from(config.shards),
            at: At::Nothing,
            len: 0,
            older: None,
            due: VecDeque::new(),
            len_max: config.wal.bytes_max / RECOVERY_POINTS_WAL_PART,
            taken: VecDeque::new(),
            bytes: 0,
        }
    }

    fn is_full(&self) -> bool {
        self.at == At::GivenUp || self.bytes >= RECOVERY_POINTS_WAITING_BYTES_MAX
    }

    fn file(&self) -> FileId {
        FileId::RecoveryPoints { number: self.number }
    }
}

impl Owner {
    /// A point of the partition is due if its active segment has grown enough since the last one.
    pub(super) fn note_point(&mut self, id: PartitionId) {
        let Some(partition) = self.partitions.get_mut(&id) else { return };
        let Some(len) = partition.replica.log.recovery_point_len() else { return };
        // A shorter segment is a new one.
        let pointed = if partition.pointed > len { 0 } else { partition.pointed };
        let run = self.config.wal.run_bytes_max.max(u64::from(len)) / u64::from(RECOVERY_POINT_PART);
        if u64::from(len - pointed) >= run && !self.points.is_full() {
            partition.pointed = len;
            self.points.due.push_back(id);
        }
    }

    fn take_points(&mut self) {
        for _ in 0..self.points.due.len() {
            if self.points.is_full() {
                return;
            }
            let Some(id) = self.points.due.pop_front() else { return };
            let Some(partition) = self.partitions.get_mut(&id) else { continue };
            let log = &partition.replica.log;
            let Some(len) = log.recovery_point_len() else { continue };
            let Some(point) = log.recovery_point(id) else {
                self.points.due.push_back(id);
                continue;
            };
            if let Some(point) = points::seal(&point) {
                self.points.bytes += point.len();
                self.points.taken.push_back((id, log.log_end(), point));
            }
            partition.pointed = len;
        }
    }

    pub(super) fn turn_points(&mut self) {
        if self.stopping {
            return;
        }
        self.take_points();
        match self.points.at {
            At::Nothing if !self.points.taken.is_empty() => {
                self.points.at = At::Creating;
                self.issue_change(Op::Points, self.points.file(), FileChange::Create { len: 0 });
            }
            At::Ready => self.write_points(),
            At::Nothing | At::Creating | At::Writing | At::Syncing | At::Removing | At::GivenUp => {}
        }
    }

    fn write_points(&mut self) {
        let ripe = self.ripe_points();
        if !ripe.is_empty() {
            let bytes = points::joined(&ripe);
            let (file, at) = (self.points.file(), self.points.len);
            self.points.len += bytes.len() as u64;
            self.points.at = At::Writing;
            let durability = Durability::Cached;
            self.issue(Op::Points, |op| Effect::Write {
                op,
                file,
                at,
                parts: alloc::vec![bytes],
                durability,
            });
        } else if self.points.older.is_some() && self.points.due.is_empty() && self.points.taken.is_empty() {
            self.points.at = At::Syncing;
            let file = self.points.file();
            self.issue(Op::Points, |op| Effect::Sync { op, file });
        } else if self.points.older.is_none() && self.points.len > self.points.len_max {
            self.points.older = Some(self.points.number);
            self.points.number = self.points.number.saturating_add(self.points.step);
            self.points.due = self.partitions.keys().copied().collect();
            self.points.len = 0;
            self.points.at = At::Creating;
            self.issue_change(Op::Points, self.points.file(), FileChange::Create { len: 0 });
        }
    }

    /// The points whose batches are durable.
    fn ripe_points(&mut self) -> Vec<Slice> {
        let mut ripe = Vec::new();
        while let Some((id, end, _)) = self.points.taken.front() {
            let durable = self.partitions.get(id).map(|partition| partition.replica.log.durable_end());
            if durable.is_some_and(|durable| durable < *end) && !mutant::on(Mutant::PointsUnchecked) {
                break;
            }
            let (_, _, point) = self.points.taken.pop_front().expect("just seen");
            self.points.bytes -= point.len();
            // That of a deleted partition is of no use.
            ripe.extend(durable.map(|_| point));
        }
        ripe
    }

    pub(super) fn on_points_step(&mut self, outcome: &Outcome) {
        if matches!(outcome, Outcome::Failed { .. }) {
            self.points.at = At::GivenUp;
            self.points.taken.clear();
            self.points.due.clear();
            self.points.bytes = 0;
            self.events.push_back(Event::Marked(Mark::RecoveryPointsGivenUp));
            return;
        }
        match self.points.at {
            At::Creating | At::Writing => self.points.at = At::Ready,
            At::Syncing => {
                self.points.at = At::Removing;
                let number = self.points.older.take().expect("a new file takes the place of one");
                self.points.len_max = self.points.len_max.max(4 * self.points.len);
                self.events.push_back(Event::Marked(Mark::RecoveryPointsRenewed));
                self.issue_change(Op::Points, FileId::RecoveryPoints { number }, FileChange::Delete);
            }
            At::Removing => self.points.at = At::Ready,
            At::Nothing | At::Ready | At::GivenUp => unreachable!("nothing was under way"),
        }
    }
}
