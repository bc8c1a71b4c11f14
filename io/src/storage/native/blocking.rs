//! Disk work as plain system calls, for threads that may block. Owns the steps that make a change of files durable.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use highwater_core::buf::PageMut;
use highwater_core::id::FileId;
use highwater_core::limits::BLOCK_BYTES;
use highwater_core::shard::{Durability, FileChange};

use crate::files::{Layout, TEMPORARY, create_dir_durable, remove_if_empty, sync_dir};
use crate::storage::native::fds::Access;
use crate::storage::native::ring::rest_of;
use crate::storage::native::{CacheMode, Order, OrderKind, Task};
use crate::sys;

/// Zeroes are written in pieces of this many bytes.
const ZEROES_BYTES: usize = 1 << 20;

/// Opens a file for reading and writing, around the page cache if it was asked for and can be had.
pub(super) fn open(path: &Path, access: Access) -> io::Result<(File, Access)> {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    if access == Access::Direct {
        match options.clone().custom_flags(libc::O_DIRECT).open(path) {
            Ok(file) => return Ok((file, Access::Direct)),
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {}
            Err(error) => return Err(error),
        }
    }
    Ok((options.open(path)?, Access::Buffered))
}

pub(super) fn run(task: &mut Task, mode: CacheMode) -> io::Result<usize> {
    let dsync = task.access == Access::Direct && mode == CacheMode::DirectDsync;
    match &mut task.order.kind {
        OrderKind::Write { at, parts, durability } => {
            let flags = if dsync && *durability == Durability::Durable { libc::RWF_DSYNC } else { 0 };
            let len: usize = parts.iter().map(|part| part.len()).sum();
            let mut done = 0;
            while done < len {
                let iovecs: Vec<_> = rest_of(parts.iter().map(|part| part.as_slice()), done).collect();
                let before = done;
                done += retry(|| sys::pwritev(&task.file, &iovecs, *at + done as u64, flags))?;
                if task.access == Access::Direct && done < len {
                    done -= done % BLOCK_BYTES;
                }
                if done == before {
                    return Err(io::ErrorKind::WriteZero.into());
                }
            }
            if *durability == Durability::Durable && !dsync {
                task.file.sync_data()?;
            }
            Ok(len)
        }
        OrderKind::Sync => task.file.sync_data().map(|()| 0),
        OrderKind::Read { at, into } => {
            let into = into.as_mut_slice();
            let mut done = 0;
            while done < into.len() {
                match retry(|| task.file.read_at(&mut into[done..], *at + done as u64))? {
                    0 => break,
                    len => done += len,
                }
            }
            Ok(done)
        }
        OrderKind::Change(_) => unreachable!("a change has its own job"),
    }
}

fn retry(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// Changes the set of files. Durable when it returns; after a crash before, all of it has happened or nothing.
pub(super) fn change(layout: &Layout, order: &Order) -> io::Result<()> {
    let OrderKind::Change(change) = &order.kind else { unreachable!("the job is a change") };
    let path = layout.path(order.file);
    match change {
        FileChange::Create { len: 0 } => create_empty(&path),
        FileChange::Create { len } => replace(&path, |file| write_zeroes(file, &temporary(&path), *len)),
        FileChange::Truncate { len } => truncate(&path, *len),
        FileChange::Rename { to } => rename(layout, order.file, *to),
        FileChange::Replace { bytes } => replace(&path, |file| file.write_all_at(bytes, 0)),
        FileChange::Delete => delete(layout, order.file),
    }
}

fn temporary(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(TEMPORARY);
    PathBuf::from(name)
}

fn dir_of(path: &Path) -> &Path {
    path.parent().expect("files lie in the data directory")
}

/// A file without content is whole as soon as it has its name.
fn create_empty(path: &Path) -> io::Result<()> {
    create_dir_durable(dir_of(path))?;
    File::create(path)?;
    sync_dir(dir_of(path))
}

/// Makes a whole new file and gives it the name at once.
fn replace(path: &Path, fill: impl FnOnce(&File) -> io::Result<()>) -> io::Result<()> {
    create_dir_durable(dir_of(path))?;
    let temporary = temporary(path);
    let result = fill_and_name(path, &temporary, fill);
    if result.is_err() {
        // Gives the room back; what stays is removed at the next start.
        let _ = fs::remove_file(&temporary);
    }
    result
}

fn fill_and_name(
    path: &Path,
    temporary: &Path,
    fill: impl FnOnce(&File) -> io::Result<()>,
) -> io::Result<()> {
    let file = File::create(temporary)?;
    fill(&file)?;
    file.sync_all()?;
    fs::rename(temporary, path)?;
    sync_dir(dir_of(path))
}

/// Written, not reserved: later writes then change no metadata. Around the page cache where that can be had.
fn write_zeroes(file: &File, path: &Path, len: u64) -> io::Result<()> {
    let (direct, access) = open(path, Access::Direct)?;
    let zeroes = PageMut::with_len(ZEROES_BYTES);
    let mut at = 0;
    while at < len {
        let piece = usize::try_from((len - at).min(ZEROES_BYTES as u64)).expect("below a piece");
        let zeroes = &zeroes.as_slice()[..piece];
        let by_direct = access == Access::Direct && piece.is_multiple_of(BLOCK_BYTES);
        match if by_direct {
            direct.write_all_at(zeroes, at)
        } else {
            Err(io::ErrorKind::InvalidInput.into())
        } {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => file.write_all_at(zeroes, at)?,
            Err(error) => return Err(error),
        }
        at += piece as u64;
    }
    Ok(())
}

fn truncate(path: &Path, len: u64) -> io::Result<()> {
    let (file, _) = open(path, Access::Buffered)?;
    if file.metadata()?.len() > len {
        file.set_len(len)?;
    }
    file.sync_all()
}

fn rename(layout: &Layout, from: FileId, to: FileId) -> io::Result<()> {
    let (from, to) = (layout.path(from), layout.path(to));
    // The check comes first: a file that is not there makes no directory.
    fs::metadata(&from)?;
    create_dir_durable(dir_of(&to))?;
    fs::rename(&from, &to)?;
    sync_dir(dir_of(&to))?;
    if dir_of(&from) != dir_of(&to) {
        sync_dir(dir_of(&from))?;
        remove_if_empty_dir(layout, &from)?;
    }
    Ok(())
}

fn delete(layout: &Layout, file: FileId) -> io::Result<()> {
    let path = layout.path(file);
    match fs::remove_file(&path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    match sync_dir(dir_of(&path)) {
        Ok(()) => remove_if_empty_dir(layout, &path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

fn remove_if_empty_dir(layout: &Layout, path: &Path) -> io::Result<()> {
    let dir = dir_of(path);
    if dir == layout.root() { Ok(()) } else { remove_if_empty(dir) }
}
