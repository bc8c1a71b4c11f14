//! A page cache that is full, as on a machine that has run for a while. Knows no broker and no workload.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::environment::Environment;
use crate::failure::Failure;

/// What is read at once.
const READ_BYTES: usize = 1 << 20;

/// A file as long as the memory, without anything in it: it takes no room on a disk and, when it is read, all of the page cache.
#[derive(Debug)]
pub(crate) struct Filler {
    path: PathBuf,
    bytes: u64,
}

impl Filler {
    /// Leaves its file in the directory for as long as it lives.
    pub(crate) fn of_this_machine(dir: &Path) -> Result<Self, Failure> {
        let bytes = Environment::of_this_machine().memory_bytes;
        Self::new(dir, bytes.ok_or_else(|| Failure("this machine does not tell its memory".into()))?)
    }

    fn new(dir: &Path, bytes: u64) -> Result<Self, Failure> {
        fs::create_dir_all(dir)?;
        let path = dir.join("page-cache-filler");
        File::create(&path)?.set_len(bytes)?;
        Ok(Self { path, bytes })
    }

    /// After this, who writes to the page cache is given memory that the machine has used before. Memory that is free may be memory
    /// that a hypervisor has taken back (free page reporting), and who touches it first pays for its return.
    pub(crate) fn fill(&self) -> Result<(), Failure> {
        let (mut file, mut buffer, mut left) = (File::open(&self.path)?, vec![0; READ_BYTES], self.bytes);
        while left > 0 {
            match file.read(&mut buffer)? as u64 {
                0 => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                read => left -= read,
            }
        }
        Ok(())
    }
}

impl Drop for Filler {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            eprintln!("{} stays: {error}", self.path.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn filler_takes_no_room_is_read_whole_and_leaves_nothing() {
        let dir = std::env::temp_dir().join(format!("highwater-bench-filler-{}", std::process::id()));
        let bytes = 5 * READ_BYTES as u64 + 1;
        let filler = Filler::new(&dir, bytes).unwrap();
        let path = filler.path.clone();
        filler.fill().unwrap();
        let told = fs::metadata(&path).unwrap();
        assert_eq!(told.len(), bytes);
        assert!(told.blocks() * 512 < bytes, "{} blocks", told.blocks());
        File::options().write(true).open(&path).unwrap().set_len(bytes - 1).unwrap();
        assert!(filler.fill().is_err(), "a byte is missing");
        drop(filler);
        assert!(!path.exists());
        fs::remove_dir_all(&dir).unwrap();
    }
}
