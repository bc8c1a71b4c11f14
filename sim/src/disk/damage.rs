//! Damage that a disk does by itself: bits that rot, writes that go nowhere or elsewhere, reads from elsewhere. The atlas says
//! where it may strike so that a good copy of everything remains: with one copy of the data that is one of two copies in a file.
//! Must not know what the bytes mean beyond that.

use std::ops::Range;
use std::sync::Arc;

use highwater_core::id::FileId;
use highwater_core::limits::BLOCK_BYTES;
use highwater_core::shard::FileChange;
use serde::{Deserialize, Serialize};

use super::file::SECTOR_BYTES;
use super::{Disk, Request};
use crate::bytes::joined;
use crate::draw::Draw;

/// Copies fill whole blocks; many say all in their first bytes.
const HEAD_BYTES: u64 = 64;

/// Where rot may strike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aim {
    /// Where a good copy remains.
    Atlas,
    Anywhere,
}

/// One of the two copies in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Twin {
    First,
    Second,
}

/// What a disk does otherwise than it says, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lie {
    /// A write ends well and never happens.
    LostWrite,
    /// A write ends well and goes to another place, in the same file or another one.
    MisdirectedWrite,
    /// A read brings what stands in another place.
    MisdirectedRead,
}

impl Lie {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::LostWrite => "lost-write",
            Self::MisdirectedWrite => "misdirected-write",
            Self::MisdirectedRead => "misdirected-read",
        }
    }
}

/// How the disk damaged something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strike {
    /// A bit of what stands there.
    Rot,
    /// What was to stand there, or what was to be read: the disk did as if.
    Lie,
}

/// What a judge of damage wants to know.
#[derive(Debug, Clone)]
pub enum Note {
    /// A write to the write-ahead log begins.
    Logging { file: FileId, at: u64, bytes: Vec<u8> },
    /// It is there.
    Logged { file: FileId, bytes: Range<u64> },
    /// These bytes are not what they should be.
    Struck { strike: Strike, file: FileId, bytes: Range<u64> },
}

/// Where bytes go or come from instead.
#[derive(Debug, Clone, Copy)]
pub(super) struct Elsewhere {
    pub(super) file: FileId,
    pub(super) at: u64,
}

impl Disk {
    /// Flips one durable bit somewhere; of what may rot for the sake of a good copy, one in each of about a third of the files:
    /// one in many is seldom the one that matters.
    pub fn rot(&mut self, aim: Aim) {
        let second = self.prng.pick(&[Twin::First, Twin::Second]);
        let candidates: Vec<(FileId, u64, u64)> = self
            .files
            .iter()
            .filter(|(_, f)| f.len() > 0)
            .filter_map(|(&file, f)| {
                let whole = (file, 0, f.len());
                match aim {
                    Aim::Anywhere => Some(whole),
                    Aim::Atlas => self.expendable(file, f.len(), second).map(|(from, end)| (file, from, end)),
                }
            })
            .collect();
        if candidates.is_empty() {
            return;
        }
        let picked = self.prng.pick(&candidates);
        self.flip_one(picked, aim);
        if aim == Aim::Atlas {
            for candidate in candidates {
                if candidate != picked && self.prng.chance(333_333) {
                    self.flip_one(candidate, aim);
                }
            }
        }
    }

    fn flip_one(&mut self, (file, from, end): (FileId, u64, u64), aim: Aim) {
        let at = match aim {
            Aim::Atlas => {
                let within = self.prng.pick(&[HEAD_BYTES, SECTOR_BYTES as u64, u64::MAX]);
                from + self.prng.below(within.min(end - from))
            }
            Aim::Anywhere => self.rotten_place(file, (from, end)),
        };
        let mask = 1 << self.prng.below(8);
        self.files.get_mut(&file).map(Arc::make_mut).expect("picked among them").flip(at, mask);
        if aim == Aim::Atlas {
            self.struck.insert(file, if from > 0 { Twin::Second } else { Twin::First });
        }
        self.note_struck(Strike::Rot, file, at..at + 1);
        self.delivered.add(match aim {
            Aim::Atlas => "rot-of-copy",
            Aim::Anywhere => "rot",
        });
    }

    /// Anywhere in that part of a file, or in its last block that holds something: what was written last is what nothing else has.
    fn rotten_place(&mut self, file: FileId, (from, end): (u64, u64)) -> u64 {
        let block = BLOCK_BYTES as u64;
        let last = if self.prng.coin() { self.files[&file].last_written() } else { None };
        match last.filter(|last| (from..end).contains(last)) {
            Some(last) => {
                let from = from.max(last - last % block);
                from + self.prng.below(end.min(last + 1) - from)
            }
            None => from + self.prng.below(end - from),
        }
    }

    /// The part of a file that may rot so that its content can still be had: one copy of two, for as long as the file stands.
    fn expendable(&self, file: FileId, len: u64, favourite: Twin) -> Option<(u64, u64)> {
        let block = BLOCK_BYTES as u64;
        match file {
            // A footer can be made again from its segment, but not once that is deleted.
            FileId::Footer { .. } => Some(self.twin(file, favourite, (len / 2, len))),
            FileId::Superblock | FileId::Checkpoint { .. } | FileId::LogStart { .. } if len > block => {
                Some(self.twin(file, favourite, (block, len)))
            }
            // A start reads segments instead.
            FileId::RecoveryPoints { .. } => Some((0, len)),
            FileId::Superblock
            | FileId::Checkpoint { .. }
            | FileId::LogStart { .. }
            | FileId::Wal { .. }
            | FileId::Segment { .. }
            | FileId::Cleaned { .. } => None,
        }
    }

    /// One of two copies, of which the second begins and ends there; the one that was struck before, if one was.
    fn twin(&self, file: FileId, favourite: Twin, (second, end): (u64, u64)) -> (u64, u64) {
        match self.struck.get(&file).copied().unwrap_or(favourite) {
            Twin::First => (0, second),
            Twin::Second => (second, end),
        }
    }

    /// The next operation that it fits is not done as it says.
    pub fn lie(&mut self, lie: Lie) {
        self.lies.insert(lie);
    }

    /// How often it has damaged what has no good copy.
    pub fn damage(&self) -> u64 {
        let lies = [Lie::LostWrite, Lie::MisdirectedWrite, Lie::MisdirectedRead];
        self.delivered.of("rot") + lies.iter().map(|lie| self.delivered.of(lie.name())).sum::<u64>()
    }

    /// Whether this operation is the one.
    pub(super) fn lies_about(&mut self, lie: Lie) -> bool {
        let lies = self.lies.remove(&lie);
        if lies {
            self.delivered.add(lie.name());
        }
        lies
    }

    /// Another block of the same file, or some block of another. A segment's bytes are Kafka's and do not say whose they are, so that
    /// no disk is to take one for another.
    pub(super) fn elsewhere(&mut self, file: FileId, at: u64) -> Elsewhere {
        let is_segment = |file: FileId| matches!(file, FileId::Segment { .. } | FileId::Cleaned { .. });
        let file = if self.prng.coin() {
            file
        } else {
            let others = self.files.keys().copied().filter(|other| !is_segment(file) || !is_segment(*other));
            let all: Vec<FileId> = others.chain([file]).collect();
            self.prng.pick(&all)
        };
        let blocks = self.files.get(&file).map_or(1, |f| f.len().div_ceil(BLOCK_BYTES as u64).max(1));
        Elsewhere { file, at: self.prng.below(blocks) * BLOCK_BYTES as u64 + at % BLOCK_BYTES as u64 }
    }

    pub(super) fn note_logging(&mut self, request: &Request) {
        if let (Some(notes), Request::Write { file: file @ FileId::Wal { .. }, at, parts, .. }) =
            (&mut self.notes, request)
        {
            notes.push(Note::Logging { file: *file, at: *at, bytes: joined(parts) });
        }
    }

    pub(super) fn note_logged(&mut self, file: FileId, bytes: Range<u64>) {
        if let (Some(notes), FileId::Wal { .. }) = (&mut self.notes, file) {
            notes.push(Note::Logged { file, bytes });
        }
    }

    pub(super) fn note_struck(&mut self, strike: Strike, file: FileId, bytes: Range<u64>) {
        if let Some(notes) = &mut self.notes {
            notes.push(Note::Struck { strike, file, bytes });
        }
    }

    /// A file that is written anew has no damage any more.
    pub(super) fn heal(&mut self, file: FileId, change: &FileChange) {
        match change {
            FileChange::Create { .. } | FileChange::Replace { .. } | FileChange::Delete => {
                self.struck.remove(&file);
            }
            FileChange::Truncate { .. } | FileChange::Rename { .. } => {}
        }
    }
}
