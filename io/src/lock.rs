//! The lock of a data directory: one process at a time. The kernel drops it with the process, however that ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::Path;

/// Held as long as this lives.
#[derive(Debug)]
pub struct DirLock(#[expect(dead_code, reason = "its open descriptor is the lock")] File);

/// Why a directory cannot be locked.
#[derive(Debug)]
pub enum LockError {
    /// Another process has it; its id, if it could be read.
    Held(Option<u32>),
    Io(io::Error),
}

impl DirLock {
    pub fn take(dir: &Path) -> Result<Self, LockError> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(dir.join("lock"))
            .map_err(LockError::Io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                let _ = file.take(16).read_to_string(&mut pid);
                return Err(LockError::Held(pid.trim().parse().ok()));
            }
            Err(TryLockError::Error(error)) => return Err(LockError::Io(error)),
        }
        note_pid(&mut file).map_err(LockError::Io)?;
        Ok(Self(file))
    }
}

/// The number is for people only, so a full disk does not hinder it.
fn note_pid(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    match writeln!(file, "{}", std::process::id()) {
        Err(error) if error.kind() != io::ErrorKind::StorageFull => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}
