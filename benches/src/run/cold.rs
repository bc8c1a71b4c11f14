//! Keeps a broker's files out of the page cache while they are read. Knows neither the broker nor its protocol.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::fs::{Advice, fadvise};

use crate::args::TargetArgs;
use crate::environment::BrokerFacts;
use crate::failure::Failure;

/// What was read is gone after this, so a round over all data has to take longer.
const EVERY: Duration = Duration::from_millis(200);

#[derive(Debug)]
pub(super) struct Evictor {
    over: Arc<AtomicBool>,
    thread: JoinHandle<io::Result<()>>,
}

impl Evictor {
    /// Writes out what is dirty first: only what the disk has can be forgotten.
    pub(super) fn begin(target: &TargetArgs) -> Result<Self, Failure> {
        let dir = target.data_dir.clone().or_else(|| BrokerFacts::ask(target).data_dir.map(PathBuf::from));
        let dir = dir.ok_or_else(|| Failure("whose files are to leave the page cache? --data-dir".into()))?;
        let told = |error| Failure(format!("the files in {} cannot be evicted: {error}", dir.display()));
        evict(&dir, &|file| file.sync_data()).map_err(told)?;
        let over = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&over);
        let thread = thread::spawn(move || {
            while !seen.load(Ordering::Relaxed) {
                evict(&dir, &|_| Ok(()))?;
                thread::sleep(EVERY);
            }
            Ok(())
        });
        Ok(Self { over, thread })
    }

    pub(super) fn end(self) -> Result<(), Failure> {
        self.over.store(true, Ordering::Relaxed);
        let ended = self.thread.join().map_err(|_| Failure("the evictor panicked".into()))?;
        ended.map_err(|error| Failure(format!("not all was read from the disk: {error}")))
    }
}

fn evict(dir: &Path, before: &dyn Fn(&File) -> io::Result<()>) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let evicted = if path.is_dir() { evict(&path, before) } else { evict_file(&path, before) };
        match evicted {
            // A broker removes its files when it likes.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            ended => ended?,
        }
    }
    Ok(())
}

fn evict_file(path: &Path, before: &dyn Fn(&File) -> io::Result<()>) -> io::Result<()> {
    if !path.symlink_metadata()?.is_file() {
        return Ok(());
    }
    let file = File::open(path)?;
    before(&file)?;
    Ok(fadvise(&file, 0, None, Advice::DontNeed)?)
}
