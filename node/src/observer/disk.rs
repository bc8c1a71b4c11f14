//! How long the disk takes, seen from where a shard orders and is told: the waiting in the node is part of it. Lives on the
//! shard's thread.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use highwater_core::buf::Slice;
use highwater_core::id::{FileId, OpId};
use highwater_core::shard::{Durability, Effect, Input, Outcome};
use highwater_core::time::{Instant, Now};

use super::counters::{DiskOperation, ShardCounters};
use super::histogram::LATENCY_NANOS;

/// Whether a write is a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Commit,
    Other,
}

#[derive(Debug)]
struct Ordered {
    at: Instant,
    operation: DiskOperation,
    purpose: Purpose,
    bytes: u64,
}

/// The orders of one shard that are not carried out yet.
#[derive(Debug, Default)]
pub(crate) struct DiskWatch {
    ordered: BTreeMap<OpId, Ordered>,
}

impl DiskWatch {
    pub(crate) fn on_effect(&mut self, now: Now, effect: &Effect) {
        let (op, file, operation, bytes) = match effect {
            Effect::Write { op, file, parts, durability, .. } => {
                let operation = match durability {
                    Durability::Durable => DiskOperation::DurableWrite,
                    Durability::Cached => DiskOperation::Write,
                };
                (op, file, operation, parts.iter().map(Slice::len).sum::<usize>())
            }
            Effect::Sync { op, file } => (op, file, DiskOperation::Sync, 0),
            Effect::Read { op, file, .. } => (op, file, DiskOperation::Read, 0),
            Effect::File { op, file, .. } => (op, file, DiskOperation::Change, 0),
            Effect::Recv { .. }
            | Effect::Send { .. }
            | Effect::Close { .. }
            | Effect::Shard { .. }
            | Effect::Halt(_) => return,
        };
        let commits = operation == DiskOperation::DurableWrite && matches!(file, FileId::Wal { .. });
        let purpose = if commits { Purpose::Commit } else { Purpose::Other };
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.ordered.insert(*op, Ordered { at: now.mono, operation, purpose, bytes });
    }

    pub(crate) fn on_input(&mut self, now: Now, input: &Input, counters: &ShardCounters) {
        let Input::Disk { op, outcome } = input else { return };
        let Some(ordered) = self.ordered.remove(op) else { return };
        let took = now.mono.since(ordered.at).as_nanos();
        let disk = &counters.disk[ordered.operation as usize];
        disk.took.add(&LATENCY_NANOS, took);
        let bytes = match outcome {
            Outcome::Done => ordered.bytes,
            Outcome::Read { len, .. } => u64::from(*len),
            Outcome::Failed { .. } => {
                disk.failed.fetch_add(1, Ordering::Relaxed);
                return;
            }
        };
        disk.bytes.fetch_add(bytes, Ordering::Relaxed);
        if ordered.purpose == Purpose::Commit {
            counters.commit_took.add(&LATENCY_NANOS, took);
        }
    }
}
