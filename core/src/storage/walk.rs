//! Reading a write-ahead log back after a crash: which frames hold, where the log ends, and whether a broken frame is a torn tail
//! or rot. A state machine: it asks for bytes and is given them.
//!
//! Frames are accepted while stream, number and chain agree. At the first place where they do not, the rest of the log is
//! searched for a frame that was written when the missing one was known to be durable. If there is one, the missing one has
//! rotted: it is reported, and the walk goes on with the next number that there is, wherever a disk has put it. If there is none, the tail was torn by the crash: nobody was told
//! that it is durable, and it ends there.

pub mod fuzz;

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::ops::Bound;

use super::checkpoint::Checkpoint;
use super::frame::{Content, Entry, FrameError, Lsn, ReadFrame};
use crate::buf::Slice;
use crate::id::StreamId;
use crate::limits::{BLOCK_BYTES, RECOVERY_READ_BYTES};
use crate::mutant::{self, Mutant};

/// Bytes that the walk wants to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WalkRead {
    pub file: u64,
    pub at: u64,
    pub len: usize,
}

/// A batch that the log holds.
#[derive(Debug, Clone)]
pub struct WalkedEntry {
    pub lsn: Lsn,
    pub entry: Entry,
    pub bytes: Slice,
    /// A broken batch was durable and has rotted.
    pub content: Content,
}

/// What a walk found.
#[derive(Debug)]
pub struct Walked {
    pub stream: StreamId,
    pub entries: Vec<WalkedEntry>,
    /// The last frame that counts.
    pub last: Lsn,
    /// The frame that was never durable as a whole, if the log does not end cleanly.
    pub torn: Option<Lsn>,
    /// Frames that were durable and cannot be read any more, whole or in part: first and last of each run.
    pub rotten: Vec<(Lsn, Lsn)>,
    /// Where the first needed frame stands.
    pub start: Checkpoint,
    /// Frames that count and that nothing proves to be on disk: the page cache may show them after a sync that failed.
    pub unproven: Vec<FrameAt>,
}

/// A frame and its place.
#[derive(Debug, Clone)]
pub struct FrameAt {
    pub lsn: Lsn,
    pub file: u64,
    pub at: u64,
    pub bytes: Slice,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Frames follow each other.
    Follow,
    /// The frame that should stand here may be the first one of the next file.
    NextFile {
        broken_file: u64,
        broken_at: u64,
    },
    /// Looking block by block for a proof that the expected frame was durable.
    Search,
    /// It was: the walk goes on at the next frame that there is.
    Resume,
    Done,
}

/// What stands at the current place.
enum Here {
    Frame(ReadFrame, Slice),
    Nothing,
    NeedBytes(usize),
}

/// The walk through one stream.
#[derive(Debug)]
pub struct Walk {
    stream: StreamId,
    files: BTreeMap<u64, u64>,
    start: Checkpoint,
    mode: Mode,
    file: u64,
    at: u64,
    /// The number of the frame that comes next; `None` before the first frame of a stream without a checkpoint.
    expected: Option<Lsn>,
    prev_crc: Option<u32>,
    window: Option<(u64, u64, Slice)>,
    /// What a search has found: the lowest frame with its file and place, and whether any is a proof.
    found: Option<(Lsn, u64, u64)>,
    is_proven: bool,
    broken_from: Option<(u64, u64)>,
    is_fickle: bool,
    entries: Vec<WalkedEntry>,
    /// Frames with a batch that does not match its entry, not proven durable so far.
    suspects: Vec<Lsn>,
    unproven: Vec<FrameAt>,
    rotten: Vec<(Lsn, Lsn)>,
    torn: Option<Lsn>,
    /// The newest frame whose header was there and whose rest was not.
    broken: Option<Lsn>,
}

impl Walk {
    /// `files` are the stream's files with their lengths.
    pub fn new(stream: StreamId, files: BTreeMap<u64, u64>, checkpoint: Option<Checkpoint>) -> Self {
        let first = files.keys().next().copied().unwrap_or(0);
        let start = checkpoint.filter(|c| c.is_released() || files.contains_key(&c.file));
        let expected = match start {
            Some(checkpoint) => Some(checkpoint.first_lsn()),
            None if first == 0 => Some(Lsn(1)),
            None => None,
        };
        let start = start.unwrap_or(Checkpoint { file: first, at: 0, lsn: 1, last_lsn: None });
        let over = files.is_empty() || start.is_released();
        let mode = if over { Mode::Done } else { Mode::Follow };
        Self {
            stream,
            files,
            start,
            mode,
            file: start.file,
            at: start.at,
            expected,
            prev_crc: None,
            window: None,
            found: None,
            is_proven: false,
            broken_from: None,
            is_fickle: false,
            entries: Vec::new(),
            suspects: Vec::new(),
            unproven: Vec::new(),
            rotten: Vec::new(),
            torn: None,
            broken: None,
        }
    }

    /// What to read next; `None` when the walk is over.
    pub fn next_read(&mut self) -> Option<WalkRead> {
        loop {
            if self.mode == Mode::Done {
                return None;
            }
            match self.here() {
                Here::NeedBytes(len) => return Some(WalkRead { file: self.file, at: self.at, len }),
                Here::Frame(frame, bytes) => self.on_frame(frame, &bytes),
                Here::Nothing => self.on_nothing(),
            }
        }
    }

    /// The bytes that were asked for, fewer only at the end of the file.
    pub fn on_read(&mut self, read: WalkRead, bytes: Slice) {
        if bytes.len() < read.len {
            // The file is shorter than it was listed.
            self.files.insert(read.file, read.at + bytes.len() as u64);
        }
        self.window = Some((read.file, read.at, bytes));
    }

    pub fn finish(mut self) -> Walked {
        assert!(self.mode == Mode::Done, "the walk is over");
        let mut last = Lsn(self.expected.map_or(0, |lsn| lsn.0 - 1));
        if let Some(torn) = self.suspects.first().copied() {
            // Never proven: the write that held this frame did not end.
            self.torn = Some(torn);
            last = Lsn(torn.0 - 1);
            self.entries.retain(|e| e.lsn < torn);
            self.unproven.retain(|frame| frame.lsn < torn);
        }
        if mutant::on(Mutant::LastFrameDropped) {
            self.entries.retain(|entry| entry.lsn < last);
        }
        let Self { stream, entries, torn, rotten, start, unproven, .. } = self;
        Walked { stream, entries, last, torn, rotten, start, unproven }
    }

    fn file_len(&self) -> u64 {
        self.files.get(&self.file).copied().unwrap_or(0)
    }

    /// The bytes from the current place on that are at hand.
    fn bytes_here(&self) -> Option<Slice> {
        let (file, at, bytes) = self.window.as_ref()?;
        let end = at + bytes.len() as u64;
        if *file != self.file || self.at < *at || self.at >= end {
            return None;
        }
        let from = usize::try_from(self.at - at).expect("within the window");
        Some(bytes.cut(from, bytes.len()))
    }

    fn here(&mut self) -> Here {
        let left = self.file_len().saturating_sub(self.at);
        if left < BLOCK_BYTES as u64 {
            return Here::Nothing;
        }
        let at_hand = |wanted: usize| usize::try_from(left).unwrap_or(usize::MAX).min(wanted);
        let Some(bytes) = self.bytes_here() else { return Here::NeedBytes(at_hand(RECOVERY_READ_BYTES)) };
        let Some(header) = ReadFrame::peek(&bytes) else { return Here::Nothing };
        if header.stream != self.stream || !self.is_candidate(header.lsn) {
            return Here::Nothing;
        }
        match ReadFrame::parse(&bytes) {
            Ok(frame) => {
                let len = frame.header.frame_len as usize;
                Here::Frame(frame, bytes.cut(0, len))
            }
            Err(FrameError::Incomplete { needed }) if needed as u64 <= left => {
                Here::NeedBytes(at_hand(needed.max(RECOVERY_READ_BYTES)))
            }
            Err(FrameError::Incomplete { .. } | FrameError::Blank | FrameError::Corrupt) => {
                if self.expected == Some(header.lsn) {
                    self.broken = Some(header.lsn);
                }
                Here::Nothing
            }
        }
    }

    fn is_candidate(&self, lsn: Lsn) -> bool {
        match (self.mode, self.expected) {
            (Mode::Search | Mode::Resume, Some(expected)) => lsn >= expected,
            (_, Some(expected)) => lsn == expected || mutant::on(Mutant::OldFramesBelieved),
            (_, None) => true,
        }
    }

    fn on_frame(&mut self, frame: ReadFrame, bytes: &Slice) {
        let header = frame.header;
        match self.mode {
            Mode::Search => {
                let here = (header.lsn, self.file, self.at);
                self.found = Some(self.found.map_or(here, |found| found.min(here)));
                let proof = self.is_proof(header.proven_durable) && !mutant::on(Mutant::RotEndsLog);
                // The next frame in another place than its own needs no proof.
                let follows = self.expected == Some(header.lsn) && self.prev_crc == Some(header.prev_crc);
                self.is_proven |= proof || follows;
                self.on_nothing();
                return;
            }
            Mode::Resume => {
                // Without a first number nobody knows whether anything stood before this frame.
                let missing = self.expected.filter(|first| *first < header.lsn);
                self.rotten.extend(missing.map(|first| (first, Lsn(header.lsn.0 - 1))));
            }
            Mode::Follow | Mode::NextFile { .. } => {
                let chained = self.prev_crc.is_none_or(|crc| crc == header.prev_crc);
                if !chained && !mutant::on(Mutant::OldFramesBelieved) {
                    self.on_nothing();
                    return;
                }
            }
            Mode::Done => return,
        }
        let proven = header.proven_durable;
        self.rotten.extend(self.suspects.iter().filter(|lsn| **lsn <= proven).map(|lsn| (*lsn, *lsn)));
        self.suspects.retain(|lsn| *lsn > proven);
        self.unproven.retain(|frame| frame.lsn > proven);
        self.accept(frame, bytes);
        self.mode = if self.is_past_the_fence() { Mode::Done } else { Mode::Follow };
    }

    fn accept(&mut self, frame: ReadFrame, bytes: &Slice) {
        let lsn = frame.header.lsn;
        if self.expected.is_none() {
            self.start.lsn = lsn.0;
        }
        let before = self.entries.len();
        self.entries.extend(frame.entries(bytes).map(|read| WalkedEntry {
            lsn,
            entry: read.entry,
            bytes: read.bytes,
            content: read.content,
        }));
        let fenced = self.start.last_lsn.is_some_and(|last| lsn.0 <= last);
        if !fenced {
            self.unproven.push(FrameAt { lsn, file: self.file, at: self.at, bytes: bytes.clone() });
        }
        if self.entries[before..].iter().any(|e| e.content == Content::Broken) {
            if fenced { self.rotten.push((lsn, lsn)) } else { self.suspects.push(lsn) }
        }
        self.expected = Some(lsn.next());
        self.prev_crc = Some(frame.crc);
        self.at += u64::from(frame.header.frame_len);
    }

    fn is_proof(&self, proven: Lsn) -> bool {
        let fence = Lsn(self.start.last_lsn.unwrap_or(0));
        self.expected.is_none_or(|expected| proven >= expected || fence >= expected)
    }

    fn is_past_the_fence(&self) -> bool {
        self.start.last_lsn.is_some_and(|last| self.expected.is_some_and(|lsn| lsn.0 > last))
    }

    /// No frame that could follow stands at the current place.
    fn on_nothing(&mut self) {
        let next_file = self
            .files
            .range((Bound::Excluded(self.file), Bound::Unbounded))
            .next()
            .map(|(number, _)| *number);
        match (self.mode, next_file) {
            (Mode::Follow, Some(next)) => {
                self.mode = Mode::NextFile { broken_file: self.file, broken_at: self.at };
                (self.file, self.at) = (next, 0);
            }
            (Mode::Follow, None) => self.search(self.file, self.at),
            (Mode::NextFile { broken_file, broken_at }, _) => self.search(broken_file, broken_at),
            (Mode::Search, _) if self.at + 2 * BLOCK_BYTES as u64 <= self.file_len() => {
                self.at += BLOCK_BYTES as u64;
            }
            (Mode::Search, Some(next)) => (self.file, self.at) = (next, 0),
            (Mode::Search, None) => self.on_searched(),
            // The disk says this time what it did not say before.
            (Mode::Resume, _) if !self.is_fickle => {
                self.is_fickle = true;
                self.search(self.file, self.at);
            }
            (Mode::Resume, _) => self.on_end(),
            (Mode::Done, _) => {}
        }
    }

    /// Searches from the first broken place on: what is missing there may stand further on, with more that is whole before it.
    fn search(&mut self, file: u64, at: u64) {
        self.mode = Mode::Search;
        let first = self.broken_from.map_or((file, at), |first| first.min((file, at)));
        self.broken_from = Some(first);
        (self.file, self.at) = first;
        (self.found, self.is_proven) = (None, false);
    }

    fn on_searched(&mut self) {
        match self.found.filter(|_| self.is_proven) {
            Some((_, file, at)) => {
                self.mode = Mode::Resume;
                (self.file, self.at) = (file, at);
            }
            None => self.on_end(),
        }
    }

    /// All is searched: the log ends before the expected frame.
    fn on_end(&mut self) {
        self.mode = Mode::Done;
        let fence = self.start.last_lsn.unwrap_or(0);
        if let Some(expected) = self.expected {
            if expected.0 <= fence {
                self.rotten.push((expected, Lsn(fence)));
            }
            self.torn = self.broken.filter(|lsn| *lsn == expected && lsn.0 > fence);
            self.expected = Some(Lsn(expected.0.max(fence + 1)));
        }
    }
}
