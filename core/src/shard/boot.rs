//! A node before its shards run: reads the data directory back, then hands each shard its part. Lives on one thread.
//!
//! In order: the superblock (an empty directory is formatted), every WAL stream up to its end, the metadata log and what it says,
//! then of each partition, many at once, the footers, the active segment behind its recovery point and what the WAL holds of it. Nothing is
//! written that a second attempt could not find out again, so a crash in the middle of recovery is recovered from in the same way. What the WAL
//! holds stays there and in memory as the tail of its partition; it is destaged once the shards run.

mod crew;
mod inventory;
mod metadata;
mod partition;
mod points;
mod stream;

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;

use self::crew::{Crew, Next};
use self::inventory::Inventory;
use self::metadata::MetadataRead;
use self::partition::{PartitionBoot, Recovered, Start};
pub use self::points::fuzz as fuzz_recovery_points;
use self::points::{PointsRead, PointsWrite};
use self::stream::StreamBoot;
use super::owner::{Inheritance, Inherited, Legacy, Pin, StreamHold, lead, log_config};
use super::{
    DiskErrorAt, DiskStep, Durability, Effect, Event, FileChange, FileMeta, Halt, Input, Mark, Outcome,
    Shard, placement,
};
use crate::buf::{PageMut, Slice};
use crate::config::{Config, TimestampType, TopicConfig};
use crate::controller::Controller;
use crate::id::{FileId, LeaderEpoch, Offset, OpId, PartitionId, ShardId, StreamId, TopicId, Uuid};
use crate::log::Log;
use crate::log::recovery::{ProducersOfDeleted, WalState};
use crate::prng::Prng;
use crate::storage::superblock::{Copies, SUPERBLOCK_BYTES, Superblock};
use crate::storage::walk::WalkedEntry;
use crate::time::{Instant, Now};

/// What the boot is at.
#[derive(Debug)]
enum Phase {
    ReadSuperblock,
    WriteSuperblock,
    SuperblockWritten,
    Stream(Box<StreamBoot>),
    Points(Box<PointsRead>),
    /// The crew is at work.
    Partitions,
    Metadata(Box<MetadataRead>),
    /// Files of topics that were deleted before the crash and not yet removed.
    Removals(Vec<FileId>),
    /// The recovery points of this start take the place of all others.
    PointsWrite(Box<PointsWrite>),
    Done,
    Halted,
}

/// The next effect of a phase, or its end.
enum Step {
    Do(Disk),
    Over,
}

/// A disk effect without its id.
#[derive(Debug)]
enum Disk {
    Read {
        file: FileId,
        at: u64,
        len: usize,
    },
    /// Durable.
    Write {
        file: FileId,
        at: u64,
        bytes: Slice,
    },
    Change {
        file: FileId,
        change: FileChange,
    },
    Sync {
        file: FileId,
    },
}

/// How far a boot has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Streams of the write-ahead log, and how many are read.
    pub streams: usize,
    pub streams_read: usize,
    /// Partitions that have files or are in the write-ahead log, zero until the metadata say it, and how many are read.
    pub partitions: usize,
    pub partitions_read: usize,
}

/// What an operation of the disk is for: of the crew a job, otherwise the phase.
#[derive(Debug)]
struct Waiting {
    job: Option<u64>,
    file: FileId,
    during: DiskStep,
}

/// Recovery of a node as a state machine of its own, driven as a [`Shard`] is, with disk inputs and effects only.
#[derive(Debug)]
pub struct Boot {
    config: Arc<Config>,
    prng: Prng,
    phase: Phase,
    inventory: Inventory,
    superblock: Option<Superblock>,
    /// Streams in the order of their ids; their place here is their number as a pin.
    streams: Vec<(StreamId, Vec<u64>)>,
    streams_left: VecDeque<StreamId>,
    /// What the streams hold, with the number of the stream.
    entries: BTreeMap<PartitionId, Vec<(u32, WalkedEntry)>>,
    wal_state: WalState,
    partitions_left: VecDeque<PartitionId>,
    points: points::Found,
    crew: Crew,
    logs: BTreeMap<PartitionId, Log>,
    /// What files say of where logs begin.
    kept_starts: BTreeMap<PartitionId, Offset>,
    controller: Option<Controller>,
    waiting: BTreeMap<OpId, Waiting>,
    progress: Progress,
    next_op: u64,
    halt: Option<Halt>,
    events: VecDeque<Event>,
}

impl Boot {
    /// `files` is what stands in the data directory; an empty one is formatted. `seed` makes ids and must differ from start to
    /// start.
    pub fn new(config: Arc<Config>, seed: u64, files: Vec<FileMeta>, _now: Now) -> Self {
        let inventory = Inventory::new(files);
        let mut prng = Prng::new(seed);
        let mut superblock = None;
        let phase = if inventory.is_empty() {
            superblock = Some(Superblock {
                cluster: config.cluster.unwrap_or_else(|| uuid(&mut prng)),
                node: config.node,
                directory: uuid(&mut prng),
                generation: 1,
            });
            Phase::WriteSuperblock
        } else {
            Phase::ReadSuperblock
        };
        let streams_left: VecDeque<StreamId> = inventory.streams.keys().copied().collect();
        let progress = Progress { streams: streams_left.len(), ..Progress::default() };
        Self {
            config,
            prng,
            phase,
            inventory,
            superblock,
            streams: Vec::new(),
            streams_left,
            entries: BTreeMap::new(),
            wal_state: WalState::Whole,
            partitions_left: VecDeque::new(),
            points: points::Found::new(),
            crew: Crew::default(),
            logs: BTreeMap::new(),
            kept_starts: BTreeMap::new(),
            controller: None,
            waiting: BTreeMap::new(),
            progress,
            next_op: 0,
            halt: None,
            events: VecDeque::new(),
        }
    }

    /// Takes the completion of a disk effect.
    pub fn handle(&mut self, _now: Now, input: Input) {
        let Input::Disk { op, outcome } = input else { return };
        let Some(Waiting { job, file, during }) = self.waiting.remove(&op) else { return };
        match (outcome, job) {
            (Outcome::Failed { error, .. }, _) => self.on_failed(file, DiskErrorAt { error, during }),
            (Outcome::Done, Some(job)) => self.crew.on_done(job, None),
            (Outcome::Done, None) => {}
            (Outcome::Read { page, len }, job) => {
                let slice = Slice::from_page(page);
                let bytes = slice.cut(0, slice.len().min(len as usize));
                match job {
                    Some(job) => self.crew.on_done(job, Some(bytes)),
                    None => self.on_read(bytes),
                }
            }
        }
    }

    /// Without recovery points a start takes longer, and that is all.
    fn on_failed(&mut self, file: FileId, error: DiskErrorAt) {
        let given_up = if let Phase::Points(read) = &mut self.phase {
            read.on_read(&[]);
            true
        } else if let Phase::PointsWrite(write) = &mut self.phase {
            write.on_failed(error.during)
        } else {
            false
        };
        if given_up {
            self.events.push_back(Event::Marked(Mark::RecoveryPointsGivenUp));
        } else {
            self.stop(Halt::DiskFailed { file, error });
        }
    }

    /// The next effect. `None` while [`Self::is_done`] is false means: wait for a completion.
    pub fn poll(&mut self, _now: Now) -> Option<Effect> {
        if let Some(halt) = self.halt.take() {
            return Some(Effect::Halt(halt));
        }
        while self.waiting.is_empty() || matches!(self.phase, Phase::Partitions) {
            match self.step() {
                Some((job, Step::Do(disk))) => return Some(self.issue(job, disk)),
                Some((_, Step::Over)) => self.on_phase_over(),
                None => return self.halt.take().map(Effect::Halt),
            }
        }
        None
    }

    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When to call [`Self::poll`] again without an input: never, boot has no timers.
    pub fn deadline(&self) -> Option<Instant> {
        None
    }

    pub fn progress(&self) -> Progress {
        self.progress
    }

    /// Whether all is read back and the shards can start. Never after an [`Effect::Halt`].
    pub fn is_done(&self) -> bool {
        matches!(self.phase, Phase::Done)
    }

    fn stop(&mut self, halt: Halt) {
        self.phase = Phase::Halted;
        self.events.push_back(Event::Halted(halt));
        self.halt = Some(halt);
    }

    fn step(&mut self) -> Option<(Option<u64>, Step)> {
        let step = match &mut self.phase {
            Phase::ReadSuperblock => match self.inventory.superblock {
                Some(len) => {
                    let len = usize::try_from(len).unwrap_or(usize::MAX).min(SUPERBLOCK_BYTES);
                    Step::Do(Disk::Read { file: FileId::Superblock, at: 0, len })
                }
                None => {
                    self.stop(Halt::ForeignDirectory);
                    return None;
                }
            },
            Phase::WriteSuperblock => {
                let bytes = self.superblock.expect("made or read before").encode();
                self.phase = Phase::SuperblockWritten;
                Step::Do(Disk::Change { file: FileId::Superblock, change: FileChange::Replace { bytes } })
            }
            Phase::SuperblockWritten => Step::Over,
            Phase::Stream(stream) => stream.next(),
            Phase::Points(read) => read.next(),
            Phase::Partitions => return self.step_of_crew(),
            Phase::Metadata(read) => match read.next(&self.logs[&PartitionId::METADATA]) {
                Ok(step) => step,
                Err(error) => {
                    self.stop(Halt::MetadataUnreadable { at: error });
                    return None;
                }
            },
            Phase::Removals(files) => match files.pop() {
                Some(file) => Step::Do(Disk::Change { file, change: FileChange::Delete }),
                None => Step::Over,
            },
            Phase::PointsWrite(write) => write.next(&self.logs),
            Phase::Done | Phase::Halted => return None,
        };
        Some((None, step))
    }

    /// `None` while all partitions at work wait for the disk.
    fn step_of_crew(&mut self) -> Option<(Option<u64>, Step)> {
        loop {
            while !self.crew.is_full()
                && let Some(id) = self.partitions_left.pop_front()
            {
                let partition = self.boot_partition(id);
                self.crew.add(partition);
            }
            match self.crew.next() {
                Next::Do(job, disk) => return Some((Some(job), Step::Do(disk))),
                Next::Over(partition) => self.on_partition_over(*partition),
                Next::Wait => return None,
                Next::Empty => return Some((None, Step::Over)),
            }
        }
    }

    fn issue(&mut self, job: Option<u64>, disk: Disk) -> Effect {
        let op = OpId(self.next_op);
        self.next_op += 1;
        let (file, during, effect) = match disk {
            Disk::Read { file, at, len } => {
                (file, DiskStep::Read, Effect::Read { op, file, at, into: PageMut::with_len(len) })
            }
            Disk::Write { file, at, bytes } => {
                let (parts, durability) = (alloc::vec![bytes], Durability::Durable);
                (file, DiskStep::Write, Effect::Write { op, file, at, parts, durability })
            }
            Disk::Change { file, change } => (file, DiskStep::Change, Effect::File { op, file, change }),
            Disk::Sync { file } => (file, DiskStep::Sync, Effect::Sync { op, file }),
        };
        self.waiting.insert(op, Waiting { job, file, during });
        effect
    }

    fn on_read(&mut self, bytes: Slice) {
        match &mut self.phase {
            Phase::ReadSuperblock => match Superblock::decode(&bytes) {
                Ok((superblock, copies)) if self.is_ours(&superblock) => {
                    self.superblock = Some(superblock);
                    match copies {
                        Copies::Alike => self.on_phase_over(),
                        Copies::Lacking => self.repair_superblock(superblock),
                    }
                }
                Ok(_) | Err(_) => self.stop(Halt::ForeignDirectory),
            },
            Phase::Stream(stream) => stream.on_read(bytes),
            Phase::Points(read) => read.on_read(&bytes),
            Phase::Metadata(read) => read.on_read(bytes),
            Phase::WriteSuperblock
            | Phase::SuperblockWritten
            | Phase::Partitions
            | Phase::Removals(_)
            | Phase::PointsWrite(_)
            | Phase::Done
            | Phase::Halted => {}
        }
    }

    /// Both copies are written anew, as one change: at no moment is there none.
    fn repair_superblock(&mut self, found: Superblock) {
        let generation = found.generation.saturating_add(1);
        self.superblock = Some(Superblock { generation, ..found });
        self.events.push_back(Event::SuperblockRepaired);
        self.phase = Phase::WriteSuperblock;
    }

    fn is_ours(&self, superblock: &Superblock) -> bool {
        superblock.node == self.config.node && self.config.cluster.is_none_or(|id| id == superblock.cluster)
    }

    fn on_phase_over(&mut self) {
        self.phase = match core::mem::replace(&mut self.phase, Phase::Halted) {
            Phase::ReadSuperblock | Phase::WriteSuperblock | Phase::SuperblockWritten => self.next_stream(),
            Phase::Stream(stream) => {
                self.on_stream_over(*stream);
                self.next_stream()
            }
            Phase::Points(read) => {
                self.points = read.finish();
                self.partitions_left.push_back(PartitionId::METADATA);
                Phase::Partitions
            }
            Phase::Partitions if self.controller.is_none() => {
                Phase::Metadata(Box::new(MetadataRead::new(Arc::clone(&self.config))))
            }
            Phase::Partitions => {
                self.points.clear();
                Phase::Removals(self.files_of_deleted_topics())
            }
            Phase::Metadata(read) => {
                self.controller = Some(read.finish());
                self.after_metadata();
                Phase::Partitions
            }
            Phase::Removals(_) => {
                Phase::PointsWrite(Box::new(PointsWrite::new(&self.inventory.points, &self.logs)))
            }
            Phase::PointsWrite(_) => Phase::Done,
            phase @ (Phase::Done | Phase::Halted) => phase,
        };
    }

    fn next_stream(&mut self) -> Phase {
        match self.streams_left.pop_front() {
            Some(stream) => {
                Phase::Stream(Box::new(StreamBoot::new(stream, self.inventory.streams[&stream].clone())))
            }
            None => Phase::Points(Box::new(PointsRead::new(&self.inventory.points))),
        }
    }

    fn on_stream_over(&mut self, stream: StreamBoot) {
        let checkpoint_lost = stream.has_lost_checkpoint();
        let (walked, files) = stream.finish();
        let number = u32::try_from(self.streams.len()).expect("few streams stand at once");
        let stream = walked.stream;
        if checkpoint_lost || !walked.rotten.is_empty() {
            self.wal_state = WalState::Lacking { wal_file: Pin::Legacy(number).encode() };
        }
        if checkpoint_lost {
            self.events.push_back(Event::CheckpointLost { stream });
        }
        if let Some(lsn) = walked.torn {
            self.events.push_back(Event::TornTail { stream, lsn: lsn.0 });
        }
        for (first, last) in walked.rotten {
            self.events.push_back(Event::Rot { stream, first: first.0, last: last.0 });
        }
        self.progress.streams_read += 1;
        self.streams.push((stream, files.files.into_keys().collect()));
        for entry in walked.entries {
            self.entries.entry(entry.entry.partition).or_default().push((number, entry));
        }
    }

    fn boot_partition(&mut self, id: PartitionId) -> PartitionBoot {
        let topic = self.controller.as_ref().and_then(|c| c.image().topic_by_id(id.topic).cloned());
        let config = topic.map_or_else(metadata_topic_config, |topic| topic.config.clone());
        let files = self.inventory.partitions.get(&id).cloned().unwrap_or_default();
        let entries = self.entries.remove(&id).unwrap_or_default();
        // The metadata have one leader, this node, and its first epoch.
        let newest_epoch = match &self.controller {
            Some(controller) => controller.image().partition(id).map(|state| state.leader_epoch),
            None => Some(LeaderEpoch(0)),
        };
        let points = self.points.remove(&id).unwrap_or_default();
        let found = (files, entries, self.wal_state);
        PartitionBoot::new(id, log_config(id, &config), found, (points, newest_epoch))
    }

    fn on_partition_over(&mut self, partition: PartitionBoot) {
        let Recovered { partition: id, log, report, start } = partition.finish();
        for &base in &report.rebuilt_footers {
            self.events.push_back(Event::FooterRebuilt { partition: id, base });
        }
        if report.producers == ProducersOfDeleted::Lost {
            self.events.push_back(Event::ProducersLost { partition: id });
        }
        match start {
            Start::Kept(start) => drop(self.kept_starts.insert(id, start)),
            // It is of no use to anybody and goes with the next segment that goes.
            Start::Lost => {
                self.kept_starts.insert(id, Offset::ZERO);
                self.events.push_back(Event::LogStartLost { partition: id });
            }
            Start::NoFile | Start::Unread { .. } => {}
        }
        if report.points.taken > 0 {
            self.events.push_back(Event::Marked(Mark::RecoveryResumed));
        }
        if report.points.refused > 0 {
            self.events.push_back(Event::Marked(Mark::RecoveryPointRefused));
        }
        for extent in &report.faulty {
            self.events.push_back(Event::Faulty { partition: id, base: extent.base, last: extent.last });
        }
        let (log_start, log_end) = (log.log_start(), log.log_end());
        self.events.push_back(Event::Recovered { partition: id, log_start, log_end });
        self.progress.partitions_read += 1;
        self.logs.insert(id, log);
    }

    /// The topics are known: their partitions are read back. What belongs to no topic is left alone.
    fn after_metadata(&mut self) {
        let image = self.controller.as_ref().expect("just read").image();
        let known = self.inventory.partitions.keys().chain(self.entries.keys());
        let mut ids: Vec<PartitionId> = known.copied().filter(|id| image.partition(*id).is_some()).collect();
        ids.sort_unstable();
        ids.dedup();
        // All others came back as they never were written to, or as their last record went.
        let all = image.topics().flat_map(|topic| topic.partitions()).map(|(id, _)| id);
        for partition in all.filter(|id| ids.binary_search(id).is_err()) {
            let (log_start, log_end) = (Offset::ZERO, Offset::ZERO);
            self.events.push_back(Event::Recovered { partition, log_start, log_end });
        }
        self.progress.partitions = self.logs.len() + ids.len();
        self.partitions_left = ids.into();
    }

    fn files_of_deleted_topics(&self) -> Vec<FileId> {
        let controller = self.controller.as_ref().expect("read before the partitions");
        let gone = |topic: &TopicId| controller.was_deleted(*topic);
        let partitions = self.inventory.partitions.keys().filter(|id| gone(&id.topic));
        partitions.flat_map(|id| self.inventory.files_of(*id)).collect()
    }

    /// The shards of this node, in the order of their ids.
    pub fn into_shards(mut self, now: Now) -> Vec<Shard> {
        assert!(self.is_done(), "recovery is over");
        let superblock = self.superblock.expect("read or written first");
        let controller = self.controller.take().expect("the metadata was read");
        let image = controller.image();
        let count = self.config.shards;
        let mut parts: Vec<Inheritance> = (0..count)
            .map(|_| Inheritance {
                directory: superblock.directory,
                points: self.inventory.points_next(),
                image: Arc::clone(&image),
                partitions: Vec::new(),
                legacy: self.streams.iter().map(|(stream, _)| Legacy { stream: *stream, pins: 0 }).collect(),
            })
            .collect();
        for (id, log) in core::mem::take(&mut self.logs) {
            let part = &mut parts[usize::from(placement::owner(id, count).0)];
            for batch in log.undestaged() {
                if let Pin::Legacy(stream) = Pin::decode(batch.wal_file) {
                    part.legacy[stream as usize].pins += 1;
                }
            }
            let topic = image.topic_by_id(id.topic);
            let config = topic.map_or_else(metadata_topic_config, |topic| topic.config.clone());
            let replica = lead(self.config.node, log, image.partition(id), &config);
            let (timestamp, kept_start) = (config.timestamp, self.kept_starts.get(&id).copied());
            part.partitions.push(Inherited { partition: id, replica, timestamp, kept_start });
        }
        let holds = self.stream_holds(&parts);
        let mut controller = Some((controller, superblock.cluster, holds));
        let mut shards = Vec::new();
        for (id, part) in (0..count).zip(parts) {
            let stream = StreamId(uuid(&mut self.prng));
            let seed = self.prng.next_u64();
            let config = Arc::clone(&self.config);
            shards.push(Shard::new(config, ShardId(id), seed, stream, part, controller.take(), now));
        }
        shards
    }

    /// Who still needs which stream of an earlier life.
    fn stream_holds(&self, parts: &[Inheritance]) -> Vec<StreamHold> {
        let holders = |place: usize| parts.iter().filter(|part| part.legacy[place].pins > 0).count();
        self.streams
            .iter()
            .enumerate()
            .map(|(place, (stream, files))| StreamHold {
                stream: *stream,
                files: files.clone(),
                holders: holders(place),
            })
            .collect()
    }
}

/// How `__cluster_metadata` is kept: for ever, in segments of moderate size.
fn metadata_topic_config() -> TopicConfig {
    TopicConfig {
        segment_bytes: 64 << 20,
        retention: None,
        retention_bytes: None,
        timestamp: TimestampType::CreateTime,
        ..TopicConfig::default()
    }
}

fn uuid(prng: &mut Prng) -> Uuid {
    let mut bytes = [0; 16];
    prng.fill(&mut bytes);
    Uuid(bytes)
}
