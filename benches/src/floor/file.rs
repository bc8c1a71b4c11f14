//! The floor's file: written from its start again and again, so that no page of it is ever new.

use std::path::Path;

use rustix::fs::{Mode, OFlags};
use std::os::fd::OwnedFd;

use crate::failure::Failure;

/// What a direct write is a multiple of, in memory and on disk.
const BLOCK_BYTES: usize = 4096;

/// What waits for a durable write at most.
const BUFFER_BYTES: usize = 16 * 1024 * 1024;

#[derive(Debug)]
pub(super) struct File {
    file: OwnedFd,
    len: u64,
    at: u64,
    /// What is not written yet, from the first block in it on. Unused where nothing is durable.
    buffer: Vec<u8>,
    first: usize,
    filled: usize,
    durable: bool,
}

impl File {
    pub(super) fn open(path: &Path, len: u64, durable: bool) -> Result<Self, Failure> {
        let mode = Mode::RUSR | Mode::WUSR;
        let plain = rustix::fs::open(path, OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC, mode)?;
        let zeros = vec![0; 1024 * 1024];
        let mut at = 0;
        while at < len {
            at += u64::try_from(rustix::io::pwrite(&plain, &zeros, at)?).expect("a length fits 64 bits");
        }
        rustix::fs::fsync(&plain)?;
        let flags = OFlags::WRONLY | OFlags::DIRECT | OFlags::DSYNC | OFlags::CLOEXEC;
        let file = if durable { rustix::fs::open(path, flags, mode)? } else { plain };
        let buffer = if durable { vec![0; BUFFER_BYTES + BLOCK_BYTES] } else { Vec::new() };
        let first = buffer.as_ptr().align_offset(BLOCK_BYTES);
        Ok(Self { file, len, at: 0, buffer, first, filled: 0, durable })
    }

    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        if !self.durable {
            return self.write_at_once(bytes);
        }
        if self.filled + bytes.len() > BUFFER_BYTES {
            self.flush()?;
        }
        let from = self.first + self.filled;
        let Some(place) = self.buffer.get_mut(from..from + bytes.len()) else {
            return Err(Failure("a batch larger than the floor's buffer".into()));
        };
        place.copy_from_slice(bytes);
        self.filled += bytes.len();
        Ok(())
    }

    fn write_at_once(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let mut written = 0;
        self.make_room(bytes.len());
        while written < bytes.len() {
            let count = rustix::io::pwrite(&self.file, &bytes[written..], self.at)?;
            written += count;
            self.at += u64::try_from(count).expect("a length fits 64 bits");
        }
        Ok(())
    }

    fn make_room(&mut self, bytes: usize) {
        if self.at + u64::try_from(bytes).expect("a length fits 64 bits") > self.len {
            self.at = 0;
        }
    }

    /// Puts on disk what was appended, whole blocks of it.
    pub(super) fn flush(&mut self) -> Result<(), Failure> {
        if self.filled == 0 {
            return Ok(());
        }
        let bytes = self.filled.next_multiple_of(BLOCK_BYTES);
        self.make_room(bytes);
        let count = rustix::io::pwrite(&self.file, &self.buffer[self.first..self.first + bytes], self.at)?;
        if count != bytes {
            return Err(Failure(format!("{count} of {bytes} bytes were written")));
        }
        self.at += u64::try_from(bytes).expect("a length fits 64 bits");
        self.filled = 0;
        Ok(())
    }
}
