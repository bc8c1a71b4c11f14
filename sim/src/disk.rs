//! One simulated disk under one simulated operating system: files by [`FileId`], sectors of 512 bytes, a volatile cache.
//!
//! A write is durable if it asked to be and has completed, or once a sync that was asked for after the write had completed has
//! completed itself. All else is lost or kept, sector by sector, as the seed decides when the power goes. Must not know who
//! writes what, and why.

mod damage;
mod file;
mod names;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use highwater_core::buf::{PageMut, Slice};
use highwater_core::id::{FileId, OpId};
use highwater_core::limits::BLOCK_BYTES;
use highwater_core::mutant::{self, Mutant};
use highwater_core::prng::Prng;
use highwater_core::shard::{DiskError, Durability, FileChange, FileMeta, Outcome};
use highwater_core::time::Duration;

use crate::bytes::joined;
use crate::draw::Draw;
use crate::report::Counts;
pub use damage::{Aim, Lie, Note, Strike};
use damage::{Elsewhere, Twin};
use file::{Extent, File, SECTOR_BYTES};
use names::Loose;

/// Who waits for an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owner {
    pub shard: u16,
    pub op: OpId,
}

/// What a shard asked of the disk.
#[derive(Debug)]
pub enum Request {
    Write { file: FileId, at: u64, parts: Vec<Slice>, durability: Durability },
    Sync { file: FileId },
    Read { file: FileId, at: u64, into: PageMut },
    Change { file: FileId, change: FileChange },
}

impl Request {
    /// The same request once more, if it leaves anything on the disk.
    fn again(&self) -> Option<Self> {
        match self {
            Self::Write { file, at, parts, durability } => {
                Some(Self::Write { file: *file, at: *at, parts: parts.clone(), durability: *durability })
            }
            Self::Change { file, change } => Some(Self::Change { file: *file, change: again(change) }),
            Self::Sync { .. } | Self::Read { .. } => None,
        }
    }

    pub fn file(&self) -> FileId {
        match self {
            Self::Write { file, .. }
            | Self::Sync { file }
            | Self::Read { file, .. }
            | Self::Change { file, .. } => *file,
        }
    }
}

/// Names an operation in flight.
pub type Ticket = u64;

#[derive(Debug)]
struct InFlight {
    owner: Owner,
    request: Request,
    /// How many writes had completed when it was issued: what a sync covers.
    issued_after: u64,
}

/// The end of an operation.
#[derive(Debug)]
pub struct Completion {
    pub owner: Owner,
    pub outcome: Outcome,
}

/// Faults that the disk delivers while they are switched on.
#[derive(Debug, Clone, Default)]
pub struct DiskFaults {
    /// Of a million writes, syncs or changes, and reads, how many fail with EIO.
    pub write_per_million: u64,
    pub sync_per_million: u64,
    pub read_per_million: u64,
    /// And removals of files alone.
    pub removal_per_million: u64,
    /// Bytes of all files together at which ENOSPC begins.
    pub capacity: Option<u64>,
}

/// How long operations take.
#[derive(Debug, Clone)]
pub struct DiskSpeed {
    pub write_micros: u64,
    pub sync_micros: u64,
    pub read_micros: u64,
    /// Slow disks take this many times as long.
    pub factor: u64,
}

/// What of the disk a power failure may keep or lose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// A change of files that was in flight.
    Change,
    /// A name whose directory was not synced.
    Name,
    /// Bytes on their way to one sector.
    Sector { bytes: usize },
}

/// What a power failure does to something in doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Lost,
    Kept,
    /// The first bytes of a sector were written; a change is kept whole.
    Torn(usize),
}

/// What becomes of the unsynced sectors in one crash.
#[derive(Debug, Clone, Copy)]
struct Fate {
    kept_per_million: u64,
    torn_per_million: u64,
}

/// The disk of a node. It outlives the node's process.
#[derive(Debug)]
pub struct Disk {
    /// Copied when they are written to, so that a disk is cheap to clone.
    files: BTreeMap<FileId, Arc<File>>,
    /// Oldest first.
    loose: Vec<Loose>,
    in_flight: BTreeMap<Ticket, InFlight>,
    prng: Prng,
    tickets: Ticket,
    /// Writes completed so far: the clock of the sync rule.
    completed: u64,
    /// Which copy of a file the atlas gave up.
    struck: BTreeMap<FileId, Twin>,
    /// What it will do otherwise than it says.
    lies: BTreeSet<Lie>,
    /// What is to be known of damage and of what it strikes, if anybody wants to know.
    pub notes: Option<Vec<Note>>,
    pub faults: DiskFaults,
    pub speed: DiskSpeed,
    pub delivered: Counts,
}

impl Disk {
    pub fn new(prng: Prng, speed: DiskSpeed) -> Self {
        Self {
            files: BTreeMap::new(),
            loose: Vec::new(),
            in_flight: BTreeMap::new(),
            prng,
            tickets: 0,
            completed: 0,
            struck: BTreeMap::new(),
            lies: BTreeSet::new(),
            notes: None,
            faults: DiskFaults::default(),
            speed,
            delivered: Counts::default(),
        }
    }

    fn file_mut(&mut self, file: FileId) -> Option<&mut File> {
        self.files.get_mut(&file).map(Arc::make_mut)
    }

    /// This disk as another one, with the same operations in flight as far as they write.
    pub fn image(&self) -> Self {
        let in_flight = self.in_flight.iter().filter_map(|(&ticket, flight)| {
            let InFlight { owner, request, issued_after } = flight;
            Some((ticket, InFlight { owner: *owner, request: request.again()?, issued_after: *issued_after }))
        });
        Self {
            files: self.files.clone(),
            loose: self.loose.clone(),
            in_flight: in_flight.collect(),
            prng: self.prng.clone(),
            tickets: self.tickets,
            completed: self.completed,
            struck: self.struck.clone(),
            lies: self.lies.clone(),
            notes: None,
            faults: self.faults.clone(),
            speed: self.speed.clone(),
            delivered: self.delivered.clone(),
        }
    }

    /// Whether the end of this operation changes what a power failure would leave.
    pub fn changes_at_completion(&self, ticket: Ticket) -> bool {
        self.in_flight.get(&ticket).is_some_and(|flight| !matches!(flight.request, Request::Read { .. }))
    }

    /// Holds from now on what that copy of it holds; nothing is under way.
    pub fn put_back(&mut self, copy: &Self) {
        assert!(copy.in_flight.is_empty(), "a copy is at rest");
        self.in_flight.clear();
        self.loose.clone_from(&copy.loose);
        self.files.clone_from(&copy.files);
        self.struck.clone_from(&copy.struck);
    }

    /// Is empty from now on.
    pub fn wipe(&mut self) {
        self.in_flight.clear();
        self.loose.clear();
        self.files.clear();
        self.struck.clear();
    }

    /// What would be left of this disk if the power went now.
    pub fn after_cut(&self, judge: &mut dyn FnMut(Doubt) -> Verdict) -> Self {
        let mut image = self.image();
        image.cut(judge);
        image
    }

    /// How much is in doubt if the power goes now.
    pub fn doubts(&self) -> usize {
        let mut count = 0;
        self.after_cut(&mut |_| {
            count += 1;
            Verdict::Lost
        });
        count
    }

    /// The data directory as a starting process finds it: what it shows lasts from now on.
    pub fn list(&mut self) -> Vec<FileMeta> {
        if !mutant::on(Mutant::NamesNotSynced) {
            self.loose.clear();
        }
        self.files.iter().map(|(&file, f)| FileMeta { file, len: f.len() }).collect()
    }

    pub fn bytes_used(&self) -> u64 {
        self.files.values().map(|f| f.len()).sum()
    }

    /// Errors delivered so far.
    pub fn errors(&self) -> u64 {
        ["eio-write", "eio-sync", "eio-read", "eio-change"].iter().map(|kind| self.delivered.of(kind)).sum()
    }

    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Takes an operation; it ends when the caller says so, after about the time given back.
    pub fn submit(&mut self, owner: Owner, request: Request) -> (Ticket, Duration) {
        assert_contract(&request);
        assert!(
            self.in_flight.values().all(|flight| flight.owner != owner),
            "contract: {owner:?} names one operation at a time"
        );
        let latency = self.latency(&request);
        self.note_logging(&request);
        self.tickets += 1;
        self.in_flight.insert(self.tickets, InFlight { owner, request, issued_after: self.completed });
        (self.tickets, latency)
    }

    fn latency(&mut self, request: &Request) -> Duration {
        let micros = match request {
            Request::Write { durability: Durability::Cached, .. } => self.speed.write_micros / 4 + 1,
            Request::Write { durability: Durability::Durable, .. } => self.speed.write_micros,
            Request::Sync { .. } | Request::Change { .. } => self.speed.sync_micros,
            Request::Read { .. } => self.speed.read_micros,
        };
        let tail = if self.prng.chance(10_000) { 20 } else { 1 };
        Duration::from_nanos(self.prng.between(micros * 300, micros * 3_000) * tail * self.speed.factor)
    }

    /// Ends an operation: carries it out and says how it went.
    pub fn complete(&mut self, ticket: Ticket) -> Completion {
        let InFlight { owner, request, issued_after } =
            self.in_flight.remove(&ticket).expect("an operation completes once");
        let outcome = match self.strike(&request) {
            Some(error) => self.fail(request, issued_after, error),
            None => self.perform(request, issued_after),
        };
        Completion { owner, outcome }
    }

    /// The fault that hits this operation, if one does.
    fn strike(&mut self, request: &Request) -> Option<DiskError> {
        let (rate, kind) = match request {
            Request::Write { .. } => (self.faults.write_per_million, "eio-write"),
            Request::Sync { .. } => (self.faults.sync_per_million, "eio-sync"),
            Request::Read { .. } => (self.faults.read_per_million, "eio-read"),
            Request::Change { change: FileChange::Delete, .. } => {
                (self.faults.write_per_million.max(self.faults.removal_per_million), "eio-change")
            }
            Request::Change { .. } => (self.faults.write_per_million, "eio-change"),
        };
        if rate > 0 && self.prng.chance(rate) {
            self.delivered.add(kind);
            return Some(DiskError::Io);
        }
        let capacity = self.faults.capacity?;
        let growth = self.growth(request);
        if growth > 0 && self.bytes_used() + growth > capacity {
            self.delivered.add("enospc");
            return Some(DiskError::Full);
        }
        None
    }

    fn growth(&self, request: &Request) -> u64 {
        let len = |file: &FileId| self.files.get(file).map_or(0, |f| f.len());
        match request {
            Request::Write { file, at, parts, .. } => (at + parts_len(parts)).saturating_sub(len(file)),
            Request::Change { file, change: FileChange::Create { len: new } } => {
                new.saturating_sub(len(file))
            }
            Request::Change { file, change: FileChange::Replace { bytes } } => {
                (bytes.len() as u64).saturating_sub(len(file))
            }
            Request::Change { .. } | Request::Sync { .. } | Request::Read { .. } => 0,
        }
    }

    fn perform(&mut self, request: Request, issued_after: u64) -> Outcome {
        match request {
            Request::Write { file, at, parts, .. }
                if self.files.contains_key(&file) && self.lies_about(Lie::LostWrite) =>
            {
                self.note_struck(Strike::Lie, file, at..at + parts_len(&parts));
                Outcome::Done
            }
            Request::Write { file, at, parts, durability } => {
                let misdirected = self.files.contains_key(&file) && self.lies_about(Lie::MisdirectedWrite);
                let place = Elsewhere { file, at };
                let Elsewhere { file, at } = if misdirected {
                    self.note_struck(Strike::Lie, file, at..at + parts_len(&parts));
                    let Elsewhere { file, at } = self.elsewhere(file, at);
                    self.note_struck(Strike::Lie, file, at..at + parts_len(&parts));
                    Elsewhere { file, at }
                } else {
                    self.note_logged(file, at..at + parts_len(&parts));
                    place
                };
                let completed = self.completed + 1;
                let Some(f) = self.file_mut(file) else { return failed(DiskError::NotFound) };
                let bytes = joined(&parts);
                match durability {
                    Durability::Durable => f.write_durable(at, &bytes),
                    Durability::Cached => f.write_cached(at, bytes, completed),
                }
                self.completed = completed;
                Outcome::Done
            }
            Request::Sync { file } => {
                let Some(f) = self.file_mut(file) else { return failed(DiskError::NotFound) };
                f.sync(issued_after);
                Outcome::Done
            }
            Request::Read { file, at, mut into } => {
                let misdirected = self.files.contains_key(&file) && self.lies_about(Lie::MisdirectedRead);
                if misdirected {
                    self.note_struck(Strike::Lie, file, at..at + into.len() as u64);
                }
                let place = Elsewhere { file, at };
                let Elsewhere { file, at } = if misdirected { self.elsewhere(file, at) } else { place };
                let Some(f) = self.files.get(&file) else {
                    return Outcome::Failed { error: DiskError::NotFound, page: Some(into) };
                };
                let len = f.read(at, into.as_mut_slice());
                Outcome::Read { page: into, len: u32::try_from(len).expect("a page is below 4 GiB") }
            }
            Request::Change { file, change } => self.change(file, change),
        }
    }

    /// Changes names or lengths, and syncs the directory.
    fn change(&mut self, file: FileId, change: FileChange) -> Outcome {
        self.sync_names(file);
        self.carry_out(file, change)
    }

    fn carry_out(&mut self, file: FileId, change: FileChange) -> Outcome {
        self.heal(file, &change);
        match change {
            FileChange::Create { len } => {
                self.files.insert(file, Arc::new(File::with_content(vec![0; extent_len(len)])));
            }
            FileChange::Replace { bytes } => {
                self.files.insert(file, Arc::new(File::with_content(bytes.to_vec())));
            }
            FileChange::Truncate { len } => match self.file_mut(file) {
                Some(f) => f.truncate(len.min(f.len())),
                None => return failed(DiskError::NotFound),
            },
            FileChange::Rename { to } => match self.files.remove(&file) {
                Some(f) => {
                    self.files.insert(to, f);
                }
                None => return failed(DiskError::NotFound),
            },
            FileChange::Delete => {
                self.files.remove(&file);
            }
        }
        Outcome::Done
    }

    /// How much of a failed operation happened is for the seed to say. A failed sync leaves its pages clean: what it did not
    /// write is gone from the device for ever, while reads show it until the power goes.
    fn fail(&mut self, request: Request, issued_after: u64, error: DiskError) -> Outcome {
        let fate = self.draw_fate();
        match request {
            Request::Read { into, .. } => return Outcome::Failed { error, page: Some(into) },
            Request::Sync { file } => {
                let prng = &mut self.prng;
                if let Some(f) = self.files.get_mut(&file).map(Arc::make_mut) {
                    f.sync_failed(issued_after, &mut |extent| keep(prng, fate, extent));
                }
            }
            Request::Write { .. } | Request::Change { .. } if error != DiskError::Io => {}
            Request::Write { .. } | Request::Change { .. } => self.interrupt(request, fate),
        }
        failed(error)
    }

    fn draw_fate(&mut self) -> Fate {
        let kept_per_million = self.prng.pick(&[0, 0, 100_000, 500_000, 900_000, 1_000_000, 1_000_000]);
        Fate { kept_per_million, torn_per_million: self.prng.pick(&[0, 0, 100_000]) }
    }

    /// Cuts an operation short: sectors of a write reach the cache or not, a change happens or not.
    fn interrupt(&mut self, request: Request, fate: Fate) {
        match request {
            Request::Read { .. } | Request::Sync { .. } => {}
            Request::Change { file, change } => {
                if self.prng.chance(fate.kept_per_million) {
                    self.change_loosely(file, change);
                }
            }
            Request::Write { file, at, parts, .. } => {
                if !self.files.contains_key(&file) {
                    return;
                }
                self.completed += 1;
                let bytes = joined(&parts);
                // A write runs from its start as often as it scatters.
                let end = if self.prng.coin() { bytes.len() } else { self.prng.place(bytes.len() + 1) };
                let completed = self.completed;
                for extent in file::extents(at, end) {
                    if let Some(len) = keep(&mut self.prng, fate, extent) {
                        let from = extent.at_in_write;
                        let f = self.file_mut(file).expect("it was there before");
                        f.write_cached(at + from as u64, bytes[from..from + len].to_vec(), completed);
                    }
                }
            }
        }
    }

    /// The process dies: what completed stays in the operating system's cache, what was in flight is cut short.
    pub fn kill(&mut self) {
        let fate = self.draw_fate();
        for (_, flight) in core::mem::take(&mut self.in_flight) {
            self.interrupt(flight.request, fate);
        }
    }

    /// The machine dies: each sector that was not durable is kept or lost.
    pub fn power_off(&mut self) {
        let fate = self.draw_fate();
        let mut prng = self.prng.clone();
        let (mut kept, mut lost, mut names) = (0, 0, 0);
        self.cut(&mut |doubt| {
            let keep = prng.chance(fate.kept_per_million);
            match doubt {
                Doubt::Sector { .. } if keep => kept += 1,
                Doubt::Sector { .. } => lost += 1,
                Doubt::Name if !keep => names += 1,
                Doubt::Name | Doubt::Change => {}
            }
            match (doubt, keep) {
                (_, false) => Verdict::Lost,
                (Doubt::Sector { bytes }, true) if torn(&mut prng, fate) => {
                    Verdict::Torn(prng.place(bytes + 1))
                }
                (Doubt::Sector { .. } | Doubt::Change | Doubt::Name, true) => Verdict::Kept,
            }
        });
        self.prng = prng;
        self.delivered.add_many("sector-kept", kept);
        self.delivered.add_many("sector-lost", lost);
        self.delivered.add_many("name-lost", names);
    }

    /// The power goes: what was in flight reaches the volatile cache, and of all that is there `judge` says what stays.
    fn cut(&mut self, judge: &mut dyn FnMut(Doubt) -> Verdict) {
        self.cut_names(judge);
        for (_, flight) in core::mem::take(&mut self.in_flight) {
            match flight.request {
                Request::Change { file, change } => {
                    if judge(Doubt::Change) != Verdict::Lost {
                        let _happened = self.change(file, change);
                    }
                }
                Request::Write { file, at, parts, .. } => {
                    self.completed += 1;
                    let completed = self.completed;
                    if let Some(f) = self.file_mut(file) {
                        f.write_cached(at, joined(&parts), completed);
                    }
                }
                Request::Sync { .. } | Request::Read { .. } => {}
            }
        }
        for f in self.files.values_mut().filter(|f| !f.is_settled()) {
            Arc::make_mut(f).settle(&mut |extent| match judge(Doubt::Sector { bytes: extent.len }) {
                Verdict::Lost => None,
                Verdict::Kept => Some(extent.len),
                Verdict::Torn(len) => Some(len.min(extent.len)),
            });
        }
    }
}

/// How many bytes of the extent survive; `None` if the sector stays as it was.
fn keep(prng: &mut Prng, fate: Fate, extent: Extent) -> Option<usize> {
    if !prng.chance(fate.kept_per_million) {
        return None;
    }
    Some(if torn(prng, fate) { prng.place(extent.len + 1) } else { extent.len })
}

fn torn(prng: &mut Prng, fate: Fate) -> bool {
    fate.torn_per_million > 0 && prng.chance(fate.torn_per_million)
}

fn again(change: &FileChange) -> FileChange {
    match change {
        FileChange::Create { len } => FileChange::Create { len: *len },
        FileChange::Truncate { len } => FileChange::Truncate { len: *len },
        FileChange::Rename { to } => FileChange::Rename { to: *to },
        FileChange::Replace { bytes } => FileChange::Replace { bytes: bytes.clone() },
        FileChange::Delete => FileChange::Delete,
    }
}

fn parts_len(parts: &[Slice]) -> u64 {
    parts.iter().map(|part| part.len() as u64).sum()
}

fn extent_len(len: u64) -> usize {
    usize::try_from(len).expect("a simulated file fits memory")
}

fn failed(error: DiskError) -> Outcome {
    Outcome::Failed { error, page: None }
}

/// What the contract of [`Durability::Durable`] asks of the core.
fn assert_contract(request: &Request) {
    let Request::Write { at, parts, durability: Durability::Durable, file } = request else { return };
    assert!(
        at % BLOCK_BYTES as u64 == 0,
        "contract: a durable write to {file:?} begins at a block, not at {at}"
    );
    for part in parts {
        assert!(
            part.len() % BLOCK_BYTES == 0,
            "contract: a durable part is whole blocks, not {} B",
            part.len()
        );
        let address = part.as_slice().as_ptr() as usize;
        assert!(
            part.is_empty() || address.is_multiple_of(BLOCK_BYTES),
            "contract: a durable part begins at an aligned address"
        );
    }
}

const _: () = assert!(BLOCK_BYTES.is_multiple_of(SECTOR_BYTES));
