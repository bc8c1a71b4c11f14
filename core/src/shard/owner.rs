//! The partitions that a shard owns: takes calls to them, keeps their logs on disk, answers. Lives on its shard; knows nothing of
//! connections, requests or the wire.
//!
//! What it does in parts: `produce` appends and acknowledges, `read` serves batches and offsets, `wal` drives the write-ahead
//! log, `keep` destages, seals and deletes, `delete_records` moves the starts of logs, `topics` follows the metadata.

mod compact;
mod delete_records;
mod keep;
mod points;
mod produce;
mod read;
mod recompress;
mod report;
mod topics;
mod wal;

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;

use self::compact::Cleaner;
use self::delete_records::StartFile;
pub(super) use self::keep::Legacy;
use self::keep::{DestageJob, Hurry, Remove};
use self::points::Points;
pub(super) use self::produce::NotAppended;
use self::produce::PendingAck;
use self::read::ReadJob;
pub(super) use self::topics::{lead, log_config};
use self::wal::CachedFrame;
use super::message::{CallId, ShardMessage};
use super::{DiskError, DiskErrorAt, DiskStep, Effect, Event, FileChange, Halt, Mark, Outcome, Timer};
use super::{PartitionView, Usage};
use crate::batch::{Compressor, Scratch};
use crate::buf::{Pool, Slice};
use crate::config::{Config, TimestampType};
use crate::controller::Image;
use crate::id::{FileId, Offset, OpId, PartitionId, ShardId, StreamId, Uuid};
use crate::limits::{EVENTS_MAX, MEMORY_RETRY};
use crate::log::{Leftover, SegmentName};
use crate::mutant::{self, Mutant};
use crate::replica::{PartitionOp, Replica};
use crate::storage::frame::Lsn;
use crate::storage::wal::{FrozenFrame, Wal, WalSizes};
use crate::time::{Duration, Instant, Now};

/// How long to wait before a full disk is tried again.
const FULL_RETRY: Duration = Duration::from_secs(1);

/// One partition of this shard.
#[derive(Debug)]
struct Partition {
    replica: Replica,
    timestamp: TimestampType,
    /// A job of `keep` is at work on its files; at most one is.
    keeping: Keeping,
    /// The segment whose file could not be removed; no newer one goes before it.
    unremoved: Option<SegmentName>,
    /// What a cleaning has left and is not removed yet; nothing else is removed before.
    untidy: VecDeque<Leftover>,
    /// A cleaning met what it could not read.
    uncleanable: bool,
    start_file: StartFile,
    /// It stands in the queue of `keep`.
    queued: bool,
    urgency: Urgency,
    /// Batches that are on their way into a newer frame.
    carried: u32,
    /// How much of its active segment a recovery point covers.
    pointed: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keeping {
    Idle,
    Busy,
}

/// How much of a partition is worth a sync of its segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Urgency {
    /// Runs of some length.
    Usual,
    /// All whole blocks: it has waited for long enough, or room is needed.
    Hurried,
}

/// Whether the WAL finds pages for what is to be appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Memory {
    Enough,
    /// The last one who asked got none: nothing is cached, and batches that pin pages go to segments, however small they are.
    Short,
}

/// A call to a partition and whom to answer.
#[derive(Debug)]
struct Call {
    from: ShardId,
    call: CallId,
    op: PartitionOp,
}

/// What a disk effect was for.
#[derive(Debug)]
enum Op {
    /// The write that ends with this frame.
    WalWrite {
        file: u64,
        last: Lsn,
    },
    WalChange {
        file: u64,
        step: DiskStep,
    },
    WalCheckpoint,
    Read(ReadJob),
    Destage(DestageJob),
    Seal {
        partition: PartitionId,
        base: Offset,
    },
    /// An empty file for the active segment, so that its name keeps the next offset.
    CreateActive {
        partition: PartitionId,
        base: Offset,
    },
    Remove {
        partition: PartitionId,
        what: Remove,
    },
    /// The file that tells where the log begins is written or removed.
    LogStart {
        partition: PartitionId,
    },
    /// A step of the cleaning.
    Clean {
        file: FileId,
    },
    /// Removing what a cleaning has replaced or left.
    Tidy {
        partition: PartitionId,
        file: Leftover,
    },
    /// A step of the file of recovery points.
    Points,
    /// Removing a stream of an earlier life; what is left of it.
    RemoveStream {
        stream: StreamId,
        files: Vec<u64>,
    },
    /// Removing a file of a deleted partition.
    RemoveGone,
    /// Removing what nothing refers to any more; if it fails, the next start tries again.
    Forget,
}

/// The owner's side of a shard.
#[derive(Debug)]
pub(super) struct Owner {
    id: ShardId,
    config: Arc<Config>,
    image: Arc<Image>,
    partitions: BTreeMap<PartitionId, Partition>,
    /// Partitions that may hold bytes which are in the WAL alone.
    dirty: BTreeSet<PartitionId>,
    keep_queue: VecDeque<PartitionId>,
    hurry: Hurry,
    keep_jobs: usize,
    /// Runs on their way to a segment, and those that are there and wait for their sync.
    destages_writing: usize,
    destages_written: Vec<DestageJob>,
    /// Bytes that logs hold of blocks that are not full.
    head_bytes: usize,
    /// Partitions that retention has not looked at yet, and its jobs.
    retire_due: BTreeSet<PartitionId>,
    retire_jobs: usize,
    /// One found no page to destage through; it goes on when a job ends.
    destage_starved: bool,
    /// Partitions that were deleted while a job was at work on their files.
    doomed: BTreeMap<PartitionId, Vec<FileId>>,
    /// Files of deleted partitions that are to be removed, and how many are being removed.
    removals: VecDeque<FileId>,
    removals_at_work: usize,
    wal: Wal,
    /// What each write to the WAL holds that is not durable yet, oldest first.
    wal_writes: VecDeque<Vec<FrozenFrame>>,
    wal_pool: Pool,
    read_pool: Pool,
    destage_pool: Pool,
    /// Frames whose pages serve as tail cache, oldest first, and their bytes.
    cache: VecDeque<CachedFrame>,
    cache_bytes: usize,
    legacy: Vec<Legacy>,
    points: Points,
    cleaner: Cleaner,
    ops: BTreeMap<OpId, Op>,
    next_op: u64,
    /// Counts whatever may have moved a high watermark.
    commits: u64,
    acks: BTreeMap<u64, PendingAck>,
    next_token: u64,
    watches: BTreeMap<u64, (ShardId, CallId, PartitionId)>,
    watch_tokens: BTreeMap<(ShardId, CallId), u64>,
    /// Watches that were set on what became readable meanwhile.
    ripe: Vec<u64>,
    /// Produce calls that wait for room in the WAL, in order.
    parked: VecDeque<Call>,
    /// Reads that wait for a page.
    starved: VecDeque<Call>,
    /// Offsets that could not be read and were told of.
    faulty_told: BTreeSet<(PartitionId, Offset)>,
    /// Calls from homes whose metadata is newer than this shard's.
    early: Vec<(u64, Call)>,
    scratch: Scratch,
    compressor: Compressor,
    effects: VecDeque<Effect>,
    messages: VecDeque<(ShardId, ShardMessage)>,
    events: VecDeque<Event>,
    events_dropped: u64,
    destage_at: Option<Instant>,
    retention_at: Instant,
    full_until: Option<Instant>,
    memory: Memory,
    /// When calls that wait for memory are tried again, if nothing happens before.
    memory_at: Option<Instant>,
    halted: bool,
    /// What is in the WAL is left there for the next start.
    stopping: bool,
}

/// A WAL stream of an earlier life, and how many shards still need it. Kept by shard 0.
#[derive(Debug)]
pub(super) struct StreamHold {
    pub(super) stream: StreamId,
    pub(super) files: Vec<u64>,
    pub(super) holders: usize,
}

/// A partition that was read back.
#[derive(Debug)]
pub(super) struct Inherited {
    pub(super) partition: PartitionId,
    pub(super) replica: Replica,
    pub(super) timestamp: TimestampType,
    /// What its file says of where it begins, if there is one.
    pub(super) kept_start: Option<Offset>,
}

/// What a shard inherits from recovery.
#[derive(Debug)]
pub(super) struct Inheritance {
    /// The directory that all of it lies in.
    pub(super) directory: Uuid,
    /// The first number for a file of recovery points.
    pub(super) points: u64,
    pub(super) image: Arc<Image>,
    pub(super) partitions: Vec<Inherited>,
    pub(super) legacy: Vec<Legacy>,
}

impl Owner {
    pub(super) fn tell(&mut self, event: Event) {
        self.events.push_back(event);
    }

    pub(super) fn new(
        config: Arc<Config>,
        id: ShardId,
        stream: StreamId,
        inheritance: Inheritance,
        now: Now,
    ) -> Self {
        let sizes = WalSizes {
            file_bytes_min: config.wal.file_bytes_min,
            file_bytes_max: config.wal.file_bytes_max,
            bytes_max: config.wal.bytes_max,
            beside_bytes_min: config.wal.beside_bytes_min,
            seal_after: config.wal.seal_after,
        };
        let memory = config.memory_bytes;
        let dirty: BTreeSet<PartitionId> =
            inheritance.partitions.iter().map(|inherited| inherited.partition).collect();
        let destage_at = (!dirty.is_empty()).then(|| now.mono + config.wal.destage_interval);
        let mut owner = Self {
            id,
            image: Arc::new(Image::empty()),
            partitions: BTreeMap::new(),
            dirty,
            keep_queue: VecDeque::new(),
            hurry: Hurry::none(now),
            keep_jobs: 0,
            destages_writing: 0,
            destages_written: Vec::new(),
            head_bytes: 0,
            retire_due: BTreeSet::new(),
            retire_jobs: 0,
            destage_starved: false,
            doomed: BTreeMap::new(),
            removals: VecDeque::new(),
            removals_at_work: 0,
            wal: Wal::new(sizes, stream),
            wal_writes: VecDeque::new(),
            wal_pool: Pool::new(memory / 2),
            read_pool: Pool::new(memory / 8),
            destage_pool: Pool::new(memory / 8),
            cache: VecDeque::new(),
            cache_bytes: 0,
            legacy: inheritance.legacy,
            points: Points::new(&config, id, inheritance.points),
            cleaner: Cleaner::default(),
            ops: BTreeMap::new(),
            next_op: 0,
            commits: 0,
            acks: BTreeMap::new(),
            next_token: 0,
            watches: BTreeMap::new(),
            watch_tokens: BTreeMap::new(),
            ripe: Vec::new(),
            parked: VecDeque::new(),
            starved: VecDeque::new(),
            faulty_told: BTreeSet::new(),
            early: Vec::new(),
            scratch: Scratch::default(),
            compressor: Compressor::new(),
            effects: VecDeque::new(),
            messages: VecDeque::new(),
            events: VecDeque::new(),
            events_dropped: 0,
            destage_at,
            retention_at: now.mono + config.retention_check_interval,
            full_until: None,
            memory: Memory::Enough,
            memory_at: None,
            halted: false,
            stopping: false,
            config,
        };
        for inherited in inheritance.partitions {
            owner.adopt(inherited);
        }
        owner.on_image(now, inheritance.image);
        owner
    }

    /// A call from a home. It waits if the home knows of metadata that this shard has not seen.
    pub(super) fn on_call(
        &mut self,
        now: Now,
        from: ShardId,
        call: CallId,
        image_version: u64,
        op: PartitionOp,
    ) {
        let call = Call { from, call, op };
        if image_version > self.image.version {
            self.events.push_back(Event::Marked(Mark::CallBeforeImage));
            self.early.push((image_version, call));
        } else {
            self.start(now, call);
        }
    }

    fn start(&mut self, now: Now, call: Call) {
        match call.op {
            PartitionOp::Produce(_) if self.parked.is_empty() => self.produce(now, call),
            PartitionOp::Produce(_) => self.parked.push_back(call),
            PartitionOp::DeleteRecords(_) => self.delete_records(call),
            PartitionOp::Fetch(_)
            | PartitionOp::ListOffsets(_)
            | PartitionOp::EpochEnd(_)
            | PartitionOp::Producers(_)
            | PartitionOp::Size(_) => self.read(call),
        }
    }

    /// A disk effect ended.
    pub(super) fn on_disk(&mut self, now: Now, op: OpId, outcome: Outcome) {
        let Some(op) = self.ops.remove(&op) else { return };
        if self.halted {
            return;
        }
        match op {
            Op::WalWrite { file, last } => self.on_wal_written(now, file, last, outcome),
            Op::WalChange { file, step } => self.on_wal_changed(now, file, step, outcome),
            Op::WalCheckpoint => self.on_wal_checkpointed(now, outcome),
            Op::Read(job) => self.on_read_done(job, outcome),
            Op::Destage(job) => self.on_destage_step(now, job, outcome),
            Op::Seal { partition, base } => self.on_sealed(now, partition, base, outcome),
            Op::CreateActive { partition, base } => self.on_active_created(now, partition, base, outcome),
            Op::Remove { partition, what } => self.on_removed(now, partition, what, &outcome),
            Op::Clean { file } => self.on_clean_step(now, file, outcome),
            Op::Tidy { partition, file } => self.on_tidied(partition, file, &outcome),
            Op::LogStart { partition } => self.on_start_file_changed(now, partition, &outcome),
            Op::Points => self.on_points_step(&outcome),
            Op::RemoveStream { stream, files } => self.on_stream_step(stream, files, &outcome),
            Op::RemoveGone => self.on_gone_removed(),
            Op::Forget => {}
        }
    }

    /// One turn over all that is due, then the next effect.
    pub(super) fn poll(&mut self, now: Now) -> Option<Effect> {
        if self.effects.is_empty() && !self.halted {
            self.on_timers(now);
            self.turn_wal(now);
            self.turn_keep(now);
            self.turn_points();
            self.turn_clean(now);
        }
        while self.events.len() > EVENTS_MAX {
            self.events.pop_front();
            self.events_dropped += 1;
        }
        self.effects.pop_front()
    }

    pub(super) fn poll_message(&mut self) -> Option<(ShardId, ShardMessage)> {
        self.messages.pop_front()
    }

    pub(super) fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    fn on_timers(&mut self, now: Now) {
        if self.full_until.is_some_and(|at| at <= now.mono) {
            self.full_until = None;
            if !mutant::on(Mutant::FullForEver) {
                self.wal.retry_full();
            }
            self.events.push_back(Event::StorageRoomAgain);
            self.hurry();
        }
        if self.destage_at.is_some_and(|at| at <= now.mono) {
            self.destage_at = None;
            self.hurry();
        }
        if self.memory_at.is_some_and(|at| at <= now.mono) {
            self.memory_at = None;
            if !self.parked.is_empty() {
                self.hurry_for_room(now);
            }
            self.unpark(now);
            self.feed_starved();
        }
        if self.memory_at.is_none() && !(self.parked.is_empty() && self.starved.is_empty()) {
            self.memory_at = Some(now.mono + MEMORY_RETRY);
        }
        if self.retention_at <= now.mono {
            self.retention_at = now.mono + self.config.retention_check_interval;
            self.check_retention();
        }
    }

    pub(super) fn deadline(&self) -> Option<(Instant, Timer)> {
        let times = [
            self.wal.deadline().map(|at| (at, Timer::Seal)),
            self.destage_at.map(|at| (at, Timer::Destage)),
            self.full_until.map(|at| (at, Timer::Full)),
            self.memory_at.map(|at| (at, Timer::Memory)),
            Some((self.retention_at, Timer::Retention)),
            self.cleaner.deadline().map(|at| (at, Timer::Clean)),
        ];
        times.into_iter().flatten().min()
    }

    /// The node ends: what was accepted goes to the WAL, and nothing further is moved to segments.
    pub(super) fn on_stop(&mut self) {
        self.stopping = true;
        self.refuse_parked();
    }

    /// Another number than before means that high watermarks may have moved.
    pub(super) fn commits(&self) -> u64 {
        self.commits
    }

    pub(super) fn high_watermark(&self, id: PartitionId) -> Option<Offset> {
        self.partitions.get(&id).map(|partition| partition.replica.high_watermark())
    }

    pub(super) fn log_start(&self, id: PartitionId) -> Option<Offset> {
        self.partitions.get(&id).map(|partition| partition.replica.log.log_start())
    }

    pub(super) fn log_end(&self, id: PartitionId) -> Option<Offset> {
        self.partitions.get(&id).map(|partition| partition.replica.log.log_end())
    }

    /// Whether all that was accepted is on disk. What a full disk cannot take was refused.
    pub(super) fn is_flushed(&self) -> bool {
        (self.wal.is_idle() || self.wal.is_stuck()) && self.parked.is_empty()
    }

    fn issue(&mut self, op: Op, effect: impl FnOnce(OpId) -> Effect) {
        let id = OpId(self.next_op);
        self.next_op += 1;
        self.ops.insert(id, op);
        self.effects.push_back(effect(id));
    }

    fn issue_change(&mut self, op: Op, file: FileId, change: FileChange) {
        self.issue(op, |op| Effect::File { op, file, change });
    }

    fn reply(&mut self, to: ShardId, call: CallId, reply: crate::replica::PartitionReply) {
        self.messages.push_back((to, ShardMessage::Reply { call, reply }));
    }

    /// The disk broke a promise: what is on it is unknown until a restart reads it back.
    fn halt(&mut self, file: FileId, error: DiskError, during: DiskStep) {
        let halt = Halt::DiskFailed { file, error: DiskErrorAt { error, during } };
        self.halted = true;
        self.effects.clear();
        self.events.push_back(Event::Halted(halt));
        self.effects.push_back(Effect::Halt(halt));
    }

    /// The disk is full: produce is refused where it needs room, and everything is tried again in a while.
    fn on_full(&mut self, now: Now) {
        if self.full_until.is_none() {
            self.events.push_back(Event::StorageFull);
        }
        self.full_until = Some(now.mono + FULL_RETRY);
        if !self.parked.is_empty() {
            self.events.push_back(Event::Marked(Mark::ProduceRefused));
        }
        self.refuse_parked();
    }

    pub(super) fn invariants(&self) {
        self.wal.invariants();
        for partition in self.partitions.values() {
            partition.replica.invariants();
        }
    }

    pub(super) fn audit(&self) {
        self.wal.audit();
        for partition in self.partitions.values() {
            partition.replica.audit();
        }
        assert!(self.cache_bytes == self.cache.iter().map(|f| f.page_bytes).sum::<usize>());
    }
}

impl Owner {
    pub(super) fn view(&self) -> Vec<PartitionView> {
        let view = |(id, partition): (&PartitionId, &Partition)| PartitionView {
            partition: *id,
            high_watermark: partition.replica.high_watermark(),
            log: partition.replica.log.view(),
        };
        self.partitions.iter().map(view).collect()
    }

    /// What this side of the shard holds.
    pub(super) fn count(&mut self, usage: &mut Usage) {
        usage.starved += self.starved.len();
        usage.read_bytes = self.read_pool.bytes_in_use();
        usage.destage_bytes = self.destage_pool.bytes_in_use();
        usage.wal_bytes = self.wal_pool.bytes_in_use();
        usage.wal_bytes_due = self.wal.bytes_unwritten() + self.cache_bytes + self.bytes_held_by_tails();
        usage.acks = self.acks.len();
        usage.parked = self.parked.len();
        usage.early = self.early.len();
        usage.watches = self.watches.len().max(self.watch_tokens.len());
        usage.keep_jobs = self.keep_jobs + self.retire_jobs + usize::from(self.cleaner.is_at_work());
        usage.doomed = self.doomed.len();
    }

    /// Bytes of the pages that batches which no segment holds keep alive, each page once for each of its batches.
    fn bytes_held_by_tails(&self) -> usize {
        let tails = self.partitions.values().flat_map(|partition| partition.replica.log.undestaged());
        tails.filter_map(|batch| batch.bytes.as_ref()).map(Slice::pinned_bytes).sum()
    }
}

/// Names a frame to a log as the place that pins a batch: frames of this life by number, streams of earlier lives by a mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pin {
    Frame(Lsn),
    Legacy(u32),
}

const LEGACY_MARK: u64 = 1 << 63;

impl Pin {
    pub(super) const fn encode(self) -> u64 {
        match self {
            Self::Frame(lsn) => lsn.0,
            Self::Legacy(index) => LEGACY_MARK | index as u64,
        }
    }

    pub(super) const fn decode(pin: u64) -> Self {
        if pin & LEGACY_MARK == 0 {
            Self::Frame(Lsn(pin))
        } else {
            #[expect(clippy::cast_possible_truncation, reason = "only an index of 32 bits carries the mark")]
            Self::Legacy((pin & !LEGACY_MARK) as u32)
        }
    }

    /// Whether it keeps the log of this life, up to the frame `until`, or one of an earlier life.
    pub(super) fn holds_up(self, until: Lsn) -> bool {
        match self {
            Self::Frame(lsn) => lsn <= until,
            Self::Legacy(_) => true,
        }
    }
}
