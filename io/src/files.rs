//! Where files lie in the data directory: a path for each [`FileId`] and back. Owns the names; no path names a shard, so their
//! count may change. Knows nothing of what files hold.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use highwater_core::id::{FileId, Offset, PartitionId, StreamId, TopicId, Uuid};
use highwater_core::shard::{FileMeta, FileSystem};

use crate::sys::{file_system, sync_file_system};

/// Ending of a file that is being made and gets its name when it is whole.
pub(crate) const TEMPORARY: &str = ".tmp";

/// Directories that a start syncs one by one; beyond that, the file system as a whole is quicker.
const SYNCED_SINGLY_MAX: usize = 16;

const UUID_CHARS: usize = 22;
/// The name of the file that tells where a log begins.
const LOG_START: &str = "log-start";

/// What the names of files of recovery points begin with.
const RECOVERY_POINTS: &str = "recovery-points-";

const OFFSET_DIGITS: usize = 20;

/// The data directory.
#[derive(Debug, Clone)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    /// Creates the directory and its fixed parts where they are missing, durably.
    pub fn create(root: &Path) -> io::Result<Self> {
        let root = std::path::absolute(root)?;
        create_dir_durable(&root)?;
        create_dir_durable(&root.join("wal"))?;
        create_dir_durable(&root.join("partitions"))?;
        Ok(Self { root })
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What the file system is like on which it lies.
    pub fn file_system(&self) -> io::Result<FileSystem> {
        let (total_bytes, usable_bytes) = file_system(&fs::File::open(&self.root)?)?;
        Ok(FileSystem { total_bytes, usable_bytes })
    }

    pub fn path(&self, file: FileId) -> PathBuf {
        let partition = |p: PartitionId| self.root.join("partitions").join(p.to_string());
        match file {
            FileId::Superblock => self.root.join("superblock"),
            FileId::Wal { stream, number } => {
                self.root.join("wal").join(stream.0.to_string()).join(format!("{number}.wal"))
            }
            FileId::Checkpoint { stream } => {
                self.root.join("wal").join(stream.0.to_string()).join("checkpoint")
            }
            FileId::RecoveryPoints { number } => self.root.join(format!("{RECOVERY_POINTS}{number}")),
            FileId::Segment { partition: p, base } => partition(p).join(format!("{:020}.log", base.0)),
            FileId::Cleaned { partition: p, base, end, generation } => {
                partition(p).join(format!("{:020}.{:020}.{generation}.log", base.0, end.0))
            }
            FileId::Footer { partition: p, base } => partition(p).join(format!("{:020}.footer", base.0)),
            FileId::LogStart { partition: p } => partition(p).join(LOG_START),
        }
    }

    /// All files of the core, ordered. Removes what a crash left unfinished; leaves alone what it does not know. Every name
    /// is durable before it is told of: an earlier process may have ended between a change of names and the sync of their
    /// directory, and the core builds on what it sees here.
    pub fn list(&self) -> io::Result<Vec<FileMeta>> {
        let mut files = Vec::new();
        let streams = dirs_of(&self.root.join("wal"))?;
        let partitions = dirs_of(&self.root.join("partitions"))?;
        self.sync_names(streams.iter().chain(&partitions).map(|(_, dir)| dir.as_path()))?;
        list_dir(&self.root, &mut files, root_file)?;
        for (name, dir) in streams {
            let Some(stream) = Uuid::parse(&name).map(StreamId) else { continue };
            list_dir(&dir, &mut files, |name| wal_file(stream, name))?;
            remove_if_empty(&dir)?;
        }
        for (name, dir) in partitions {
            let Some(partition) = partition_dir(&name) else { continue };
            list_dir(&dir, &mut files, |name| partition_file(partition, name))?;
            remove_if_empty(&dir)?;
        }
        files.sort_unstable();
        Ok(files)
    }

    /// One flush of the device for each directory, or one of the whole file system where they are many.
    fn sync_names<'a>(&self, dirs: impl Iterator<Item = &'a Path> + Clone) -> io::Result<()> {
        if dirs.clone().count() > SYNCED_SINGLY_MAX {
            return sync_file_system(&fs::File::open(&self.root)?);
        }
        for dir in [self.root.as_path(), &self.root.join("wal"), &self.root.join("partitions")] {
            sync_dir(dir)?;
        }
        dirs.into_iter().try_for_each(sync_dir)
    }
}

fn root_file(name: &str) -> Option<FileId> {
    if name == "superblock" {
        return Some(FileId::Superblock);
    }
    let digits = name.strip_prefix(RECOVERY_POINTS)?;
    let number: u64 = digits.parse().ok()?;
    (number.to_string() == digits).then_some(FileId::RecoveryPoints { number })
}

fn wal_file(stream: StreamId, name: &str) -> Option<FileId> {
    if name == "checkpoint" {
        return Some(FileId::Checkpoint { stream });
    }
    let digits = name.strip_suffix(".wal")?;
    let number: u64 = digits.parse().ok()?;
    (number.to_string() == digits).then_some(FileId::Wal { stream, number })
}

fn partition_dir(name: &str) -> Option<PartitionId> {
    let (uuid, rest) = name.split_at_checked(UUID_CHARS)?;
    let digits = rest.strip_prefix('-')?;
    let partition = PartitionId { topic: TopicId(Uuid::parse(uuid)?), index: digits.parse().ok()? };
    (partition.index >= 0 && partition.to_string() == name).then_some(partition)
}

fn partition_file(partition: PartitionId, name: &str) -> Option<FileId> {
    if name == LOG_START {
        return Some(FileId::LogStart { partition });
    }
    let (digits, ending) = name.split_at_checked(OFFSET_DIGITS)?;
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let base = Offset(digits.parse().ok()?);
    match ending {
        ".log" => Some(FileId::Segment { partition, base }),
        ".footer" => Some(FileId::Footer { partition, base }),
        _ => {
            cleaned_file(ending).map(|(end, generation)| FileId::Cleaned { partition, base, end, generation })
        }
    }
}

/// Where a cleaned segment ends, and its generation. What stands before the first point of its name is an offset, as in Kafka's.
fn cleaned_file(ending: &str) -> Option<(Offset, u32)> {
    let (end, generation) = ending.strip_prefix('.')?.strip_suffix(".log")?.split_once('.')?;
    let (offset, number) = (end.parse().ok()?, generation.parse().ok()?);
    let same = format!("{offset:020}.{number}") == format!("{end}.{generation}");
    (offset >= 0 && number > 0 && same).then_some((Offset(offset), number))
}

/// The subdirectories with a name in UTF-8.
fn dirs_of(dir: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let mut dirs = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if let Some(name) = path.file_name().and_then(|name| name.to_str()).map(str::to_owned)
            && path.is_dir()
        {
            dirs.push((name, path));
        }
    }
    Ok(dirs)
}

fn list_dir(dir: &Path, files: &mut Vec<FileMeta>, parse: impl Fn(&str) -> Option<FileId>) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        if name.strip_suffix(TEMPORARY).is_some_and(|name| parse(name).is_some()) {
            fs::remove_file(&path)?;
            continue;
        }
        let Some(file) = parse(name) else { continue };
        let meta = fs::metadata(&path)?;
        if meta.is_file() {
            files.push(FileMeta { file, len: meta.len() });
        }
    }
    Ok(())
}

/// Removes a directory if nothing is left in it. An empty one that returns after a crash does no harm: nothing is synced.
pub(crate) fn remove_if_empty(dir: &Path) -> io::Result<()> {
    match fs::remove_dir(dir) {
        Ok(()) => Ok(()),
        Err(error)
            if matches!(
                error.raw_os_error(),
                Some(libc::ENOTEMPTY | libc::EEXIST | libc::ENOENT | libc::EBUSY)
            ) =>
        {
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// Makes the entries of a directory durable.
pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    fs::File::open(dir)?.sync_all()
}

/// Creates a directory and all above it that are missing, each durable in its parent.
pub(crate) fn create_dir_durable(dir: &Path) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    let parent = dir.parent().ok_or(io::ErrorKind::NotFound)?;
    create_dir_durable(parent)?;
    match fs::create_dir(dir) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => {}
        Err(error) => return Err(error),
    }
    sync_dir(parent)
}

#[cfg(test)]
mod tests {
    use super::{Layout, partition_dir, partition_file, root_file, wal_file};
    use highwater_core::id::{FileId, Offset, PartitionId, StreamId, TopicId, Uuid};

    fn partition(index: i32) -> PartitionId {
        PartitionId { topic: TopicId(Uuid([0xfb; 16])), index }
    }

    #[test]
    fn names_read_back_as_the_files_they_name() {
        let layout = Layout { root: "/data".into() };
        let stream = StreamId(Uuid([7; 16]));
        let files = [
            FileId::Wal { stream, number: 0 },
            FileId::Wal { stream, number: u64::MAX },
            FileId::Checkpoint { stream },
            FileId::Segment { partition: partition(0), base: Offset(0) },
            FileId::Footer { partition: partition(i32::MAX), base: Offset(i64::MAX) },
            FileId::LogStart { partition: partition(3) },
            FileId::Cleaned { partition: partition(3), base: Offset(7), end: Offset(7), generation: 1 },
            FileId::Cleaned {
                partition: partition(3),
                base: Offset(0),
                end: Offset(i64::MAX),
                generation: u32::MAX,
            },
        ];
        for file in files {
            let path = layout.path(file);
            let name = path.file_name().unwrap().to_str().unwrap();
            let dir = path.parent().unwrap().file_name().unwrap().to_str().unwrap();
            let read = match partition_dir(dir) {
                Some(partition) => partition_file(partition, name),
                None => wal_file(StreamId(Uuid::parse(dir).unwrap()), name),
            };
            assert_eq!(read, Some(file), "{path:?}");
        }
    }

    #[test]
    fn files_of_the_root_read_back() {
        let layout = Layout { root: "/data".into() };
        for file in [FileId::Superblock, FileId::RecoveryPoints { number: u64::MAX }] {
            let path = layout.path(file);
            assert_eq!(root_file(path.file_name().unwrap().to_str().unwrap()), Some(file));
        }
        for name in ["recovery-points-", "recovery-points-01", "recovery-points", "super"] {
            assert_eq!(root_file(name), None, "{name}");
        }
    }

    #[test]
    fn other_names_are_no_files() {
        let stream = StreamId(Uuid([7; 16]));
        for name in ["01.wal", "+1.wal", "-1.wal", ".wal", "1.wal.tmp", "18446744073709551616.wal", "x"] {
            assert_eq!(wal_file(stream, name), None, "{name}");
        }
        for name in [
            "1.log",
            "+0000000000000000001.log",
            "00000000000000000001.idx",
            "99999999999999999999.log",
            "00000000000000000001.2.1.log",
            "00000000000000000001.00000000000000000002.0.log",
            "00000000000000000001.00000000000000000002.01.log",
        ] {
            assert_eq!(partition_file(partition(0), name), None, "{name}");
        }
        let uuid = Uuid([0xfb; 16]);
        for name in [format!("{uuid}-01"), format!("{uuid}--1"), format!("{uuid}1"), "é".repeat(11)] {
            assert_eq!(partition_dir(&name), None, "{name}");
        }
    }
}
