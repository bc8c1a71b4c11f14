//! The contract of the disk, on every engine, way of writing and file system that is at hand.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/scratch.rs"]
mod scratch;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use highwater_core::buf::{PageMut, Pool, Slice};
use highwater_core::id::{FileId, Offset, OpId, PartitionId, StreamId, TopicId, Uuid};
use highwater_core::limits::BLOCK_BYTES;
use highwater_core::shard::{DiskError, Durability, FileChange, FileMeta, Outcome};
use highwater_io::bell::Bell;
use highwater_io::files::Layout;
use highwater_io::storage::{
    CacheMode, Disk, Engine, FDS_MAX, Options, Order, OrderKind, Storage, StorageMode, probe,
};
use scratch::Scratch;

struct Fixture {
    storage: Storage,
    bell: Arc<Bell>,
    layout: Layout,
    next: u64,
    done: BTreeMap<OpId, Outcome>,
    _dir: Scratch,
}

impl Fixture {
    fn new(parent: &Path, mode: StorageMode, fds_max: usize) -> Self {
        let dir = Scratch::new_in(parent);
        let layout = Layout::create(dir.path()).unwrap();
        let bell = Arc::new(Bell::new().unwrap());
        let (options_layout, options_bell) = (layout.clone(), Arc::clone(&bell));
        let storage = Storage::new(Options {
            layout: options_layout,
            mode,
            fds_max,
            bell: options_bell,
            name: "test".to_owned(),
        });
        Self { storage: storage.unwrap(), bell, layout, next: 0, done: BTreeMap::new(), _dir: dir }
    }

    fn submit(&mut self, file: FileId, kind: OrderKind) -> OpId {
        self.next += 1;
        let op = OpId(self.next);
        self.storage.submit(Order { op, file, kind });
        op
    }

    fn wait(&mut self, op: OpId) -> Outcome {
        loop {
            if let Some(outcome) = self.done.remove(&op) {
                return outcome;
            }
            while let Some((op, outcome)) = self.storage.complete() {
                assert!(self.done.insert(op, outcome).is_none(), "one completion per order");
            }
            self.storage.flush();
            if !self.done.contains_key(&op) && !self.storage.has_completion() {
                self.bell.wait();
            }
        }
    }

    fn order(&mut self, file: FileId, kind: OrderKind) -> Outcome {
        let op = self.submit(file, kind);
        self.wait(op)
    }

    fn done(&mut self, file: FileId, kind: OrderKind) {
        let outcome = self.order(file, kind);
        assert!(matches!(outcome, Outcome::Done), "{file:?}: {outcome:?}");
    }

    fn create(&mut self, file: FileId, len: u64) {
        self.done(file, OrderKind::Change(FileChange::Create { len }));
    }

    fn read(&mut self, file: FileId, at: u64, len: usize) -> Vec<u8> {
        let into = PageMut::with_len(len);
        match self.order(file, OrderKind::Read { at, into }) {
            Outcome::Read { page, len } => page.as_slice()[..len as usize].to_vec(),
            outcome @ (Outcome::Done | Outcome::Failed { .. }) => panic!("{file:?}: {outcome:?}"),
        }
    }

    fn error(&mut self, file: FileId, kind: OrderKind) -> DiskError {
        let is_read = matches!(kind, OrderKind::Read { .. });
        match self.order(file, kind) {
            Outcome::Failed { error, page } => {
                assert_eq!(page.is_some(), is_read, "a read gives its page back");
                error
            }
            outcome @ (Outcome::Done | Outcome::Read { .. }) => panic!("{file:?}: {outcome:?}"),
        }
    }

    fn bytes_on_disk(&self, file: FileId) -> Vec<u8> {
        std::fs::read(self.layout.path(file)).unwrap()
    }
}

/// Runs a test on every combination.
fn on_each_with(fds_max: usize, test: impl Fn(&mut Fixture)) {
    let parents = [Path::new(env!("CARGO_TARGET_TMPDIR")), Path::new("/dev/shm")];
    for parent in parents.into_iter().filter(|parent| parent.is_dir()) {
        for engine in [Engine::Ring, Engine::Flusher] {
            for cache in [CacheMode::DirectDsync, CacheMode::DirectSync, CacheMode::Buffered] {
                let mode = StorageMode { cache, engine };
                println!("{} with {mode}", parent.display());
                let mut fixture = Fixture::new(parent, mode, fds_max);
                test(&mut fixture);
                assert_eq!(fixture.storage.in_flight(), 0);
            }
        }
    }
}

fn on_each(test: impl Fn(&mut Fixture)) {
    on_each_with(FDS_MAX, test);
}

fn wal(number: u64) -> FileId {
    FileId::Wal { stream: StreamId(Uuid([1; 16])), number }
}

fn segment(index: i32, base: i64) -> FileId {
    let partition = PartitionId { topic: TopicId(Uuid([2; 16])), index };
    FileId::Segment { partition, base: Offset(base) }
}

fn blocks(count: usize, seed: u8) -> Slice {
    let mut pool = Pool::new(usize::MAX);
    let mut page = pool.alloc(count * BLOCK_BYTES).unwrap();
    for (place, byte) in page.as_mut_slice().iter_mut().enumerate() {
        *byte = u8::try_from(place / 7 % 251).unwrap() ^ seed;
    }
    pool.freeze(page).cut(0, count * BLOCK_BYTES)
}

fn durable(at: u64, parts: Vec<Slice>) -> OrderKind {
    OrderKind::Write { at, parts, durability: Durability::Durable }
}

fn cached(at: u64, parts: Vec<Slice>) -> OrderKind {
    OrderKind::Write { at, parts, durability: Durability::Cached }
}

fn joined(parts: &[Slice]) -> Vec<u8> {
    parts.iter().flat_map(|part| part.to_vec()).collect()
}

#[test]
fn durable_writes_read_back() {
    on_each(|disk| {
        disk.create(wal(0), 16 * BLOCK_BYTES as u64);
        assert_eq!(disk.bytes_on_disk(wal(0)), vec![0; 16 * BLOCK_BYTES], "zeroes are written");
        let parts = vec![blocks(1, 1), blocks(3, 2), blocks(2, 3)];
        disk.done(wal(0), durable(2 * BLOCK_BYTES as u64, parts.clone()));
        assert_eq!(disk.read(wal(0), 2 * BLOCK_BYTES as u64, 6 * BLOCK_BYTES), joined(&parts));
        assert_eq!(disk.read(wal(0), 0, 10), [0; 10]);
        assert_eq!(disk.read(wal(0), 8 * BLOCK_BYTES as u64, 10), [0; 10]);
        assert_eq!(disk.bytes_on_disk(wal(0)).len(), 16 * BLOCK_BYTES);
    });
}

#[test]
fn unaligned_writes_are_right_between_aligned_ones() {
    on_each(|disk| {
        let file = segment(0, 0);
        disk.create(file, 0);
        let mut expected = Vec::new();
        let head = Slice::from_vec(vec![7; 1000]);
        let pieces =
            [vec![blocks(2, 1)], vec![head.clone(), head.cut(3, 90)], vec![blocks(1, 2).cut(5, 3015)]];
        for _ in 0..3 {
            for parts in &pieces {
                disk.done(file, cached(expected.len() as u64, parts.clone()));
                expected.extend(joined(parts));
                assert!(disk.read(file, 0, expected.len()) == expected);
            }
            // Up to a block again, so that the next round begins with an aligned write.
            let gap = expected.len().next_multiple_of(BLOCK_BYTES) - expected.len();
            disk.done(file, cached(expected.len() as u64, vec![Slice::from_vec(vec![9; gap])]));
            expected.extend(vec![9; gap]);
        }
        disk.done(file, OrderKind::Sync);
        assert!(disk.bytes_on_disk(file) == expected);
    });
}

#[test]
fn reads_end_at_the_end_of_the_file() {
    on_each(|disk| {
        let file = segment(0, 5);
        disk.create(file, 10_000);
        assert_eq!(disk.read(file, 9_990, 4096).len(), 10);
        assert_eq!(disk.read(file, 10_000, 4096).len(), 0);
        assert_eq!(disk.read(file, 1 << 40, 4096).len(), 0);
        assert_eq!(disk.read(file, 4_097, 3), [0; 3]);
        assert_eq!(disk.read(file, 0, 0).len(), 0);
    });
}

#[test]
fn writes_of_many_parts_are_continued() {
    on_each(|disk| {
        disk.create(wal(3), 0);
        let page = blocks(1500, 9);
        let parts: Vec<Slice> =
            (0..1500).map(|part| page.cut(part * BLOCK_BYTES, (part + 1) * BLOCK_BYTES)).collect();
        disk.done(wal(3), durable(0, parts));
        assert!(disk.bytes_on_disk(wal(3)) == page.as_slice());
        let file = segment(1, 0);
        disk.create(file, 0);
        let parts: Vec<Slice> = (0..3000).map(|part| page.cut(part * 100, part * 100 + 100)).collect();
        disk.done(file, cached(0, parts));
        assert!(disk.bytes_on_disk(file) == page[..300_000]);
    });
}

#[test]
fn a_huge_write_is_whole() {
    on_each(|disk| {
        let file = segment(2, 0);
        disk.create(file, 0);
        let page = blocks(8192, 5);
        disk.done(file, cached(0, vec![page.clone(), page.clone()]));
        disk.done(file, OrderKind::Sync);
        let back = disk.read(file, 0, 2 * page.len());
        assert!(back[..page.len()] == *page && back[page.len()..] == *page);
    });
}

#[test]
fn orders_on_one_file_without_waiting_are_each_right() {
    on_each(|disk| {
        disk.create(wal(4), 600 * BLOCK_BYTES as u64);
        let page = blocks(600, 3);
        let ops: Vec<OpId> = (0..600)
            .map(|block| {
                let part = page.cut(block * BLOCK_BYTES, (block + 1) * BLOCK_BYTES);
                let at = (block * BLOCK_BYTES) as u64;
                disk.submit(
                    wal(4),
                    if block % 3 == 0 { cached(at, vec![part]) } else { durable(at, vec![part]) },
                )
            })
            .collect();
        for op in ops {
            assert!(matches!(disk.wait(op), Outcome::Done));
        }
        assert!(disk.bytes_on_disk(wal(4)) == page.as_slice());
    });
}

#[test]
fn changes_of_files_do_what_they_say() {
    on_each(|disk| {
        let change = |change| OrderKind::Change(change);
        disk.create(wal(0), 8192);
        disk.done(wal(0), durable(0, vec![blocks(1, 1)]));
        disk.done(wal(0), change(FileChange::Rename { to: wal(7) }));
        assert_eq!(disk.error(wal(0), OrderKind::Sync), DiskError::NotFound, "the old name means nothing");
        assert_eq!(disk.read(wal(7), 0, 4096), blocks(1, 1).as_slice());
        disk.create(wal(7), 4096);
        assert_eq!(disk.read(wal(7), 0, 8192), [0; 4096], "a file that exists is replaced");
        let truncated = segment(0, 0);
        disk.create(truncated, 10_000);
        disk.done(truncated, change(FileChange::Truncate { len: 5 }));
        assert_eq!(disk.read(truncated, 0, 100).len(), 5);
        disk.done(truncated, change(FileChange::Truncate { len: 50 }));
        assert_eq!(disk.bytes_on_disk(truncated).len(), 5, "a cut does not lengthen");
        for text in ["first", "2nd"] {
            let bytes = Slice::from_vec(text.into());
            disk.done(FileId::Superblock, change(FileChange::Replace { bytes }));
            assert_eq!(disk.read(FileId::Superblock, 0, 100), text.as_bytes());
        }
        for file in [truncated, truncated, wal(7), wal(99), FileId::Superblock, segment(9, 9)] {
            disk.done(file, change(FileChange::Delete));
        }
        let left = |dir| std::fs::read_dir(disk.layout.root().join(dir)).unwrap().count();
        assert_eq!((left("partitions"), left("wal")), (0, 0), "an empty directory goes with its last file");
        let expected: [FileMeta; 0] = [];
        assert_eq!(disk.layout.list().unwrap(), expected);
    });
}

#[test]
fn errors_have_names() {
    on_each(|disk| {
        let page = || PageMut::with_len(4096);
        assert_eq!(disk.error(segment(0, 0), OrderKind::Read { at: 0, into: page() }), DiskError::NotFound);
        assert_eq!(disk.error(wal(0), durable(0, vec![blocks(1, 0)])), DiskError::NotFound);
        assert_eq!(disk.error(segment(0, 0), cached(0, vec![blocks(1, 0).cut(0, 5)])), DiskError::NotFound);
        assert_eq!(disk.error(wal(0), OrderKind::Sync), DiskError::NotFound);
        let change = OrderKind::Change(FileChange::Truncate { len: 0 });
        assert_eq!(disk.error(wal(0), change), DiskError::NotFound);
        let change = OrderKind::Change(FileChange::Rename { to: wal(1) });
        assert_eq!(disk.error(wal(0), change), DiskError::NotFound);
        std::fs::create_dir_all(disk.layout.path(wal(5))).unwrap();
        let into = page();
        assert_eq!(
            disk.error(wal(5), OrderKind::Read { at: 0, into }),
            DiskError::Io,
            "a directory is no file"
        );
    });
}

#[test]
fn idle_files_hold_no_descriptor() {
    on_each_with(8, |disk| {
        for index in 0..50 {
            let file = segment(index, 0);
            disk.create(file, 0);
            disk.done(file, cached(0, vec![Slice::from_vec(vec![1; 10])]));
            disk.done(file, OrderKind::Sync);
        }
        assert!(disk.storage.fds() <= 8, "{} are open", disk.storage.fds());
        for index in (0..50).rev() {
            assert_eq!(disk.read(segment(index, 0), 0, 100), [1; 10]);
        }
        // A write-back error is told to the descriptor that wrote, so it stays until it has synced.
        for index in 0..20 {
            disk.done(segment(index, 0), cached(10, vec![Slice::from_vec(vec![2; 10])]));
        }
        assert!(disk.storage.fds() >= 20);
        for index in 0..20 {
            disk.done(segment(index, 0), OrderKind::Sync);
        }
        (20..50).for_each(|index| drop(disk.read(segment(index, 0), 0, 1)));
        assert!(disk.storage.fds() <= 20, "{} are open", disk.storage.fds());
    });
}

#[test]
fn listing_knows_its_files_and_leaves_the_others() {
    let dir = Scratch::new();
    let layout = Layout::create(dir.path()).unwrap();
    let put = |path: std::path::PathBuf, len: usize| {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, vec![0; len]).unwrap();
    };
    let footer = FileId::Footer {
        partition: PartitionId { topic: TopicId(Uuid([2; 16])), index: 0 },
        base: Offset(77),
    };
    let checkpoint = FileId::Checkpoint { stream: StreamId(Uuid([1; 16])) };
    let mut expected: Vec<FileMeta> =
        [FileId::Superblock, wal(0), wal(1 << 60), checkpoint, segment(0, 77), footer, segment(1, 0)]
            .into_iter()
            .zip(10_u16..)
            .map(|(file, len)| {
                put(layout.path(file), usize::from(len));
                FileMeta { file, len: u64::from(len) }
            })
            .collect();
    // Enough directories to be synced by one call.
    for index in 10..50 {
        put(layout.path(segment(index, 0)), 1);
        expected.push(FileMeta { file: segment(index, 0), len: 1 });
    }
    expected.sort_unstable();
    let unknown = ["notes.txt", "wal/x/0.wal", "partitions/lost+found/a", "a.tmp", "wal/b.tmp"];
    unknown.iter().for_each(|name| put(dir.path().join(name), 1));
    let temporary = layout.path(segment(1, 0)).with_extension("log.tmp");
    put(temporary.clone(), 5);
    let lonely = layout.path(segment(8, 0));
    std::fs::create_dir(lonely.parent().unwrap()).unwrap();
    assert_eq!(layout.list().unwrap(), expected);
    assert!(!temporary.exists(), "what was left unfinished is removed");
    assert!(!lonely.parent().unwrap().exists(), "an empty directory is removed");
    assert!(unknown.iter().all(|name| dir.path().join(name).exists()), "what is unknown stays");
}

#[test]
fn a_full_disk_is_told_and_its_room_given_back() {
    let mount = Scratch::new();
    let mounted =
        Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "none"]).arg(mount.path()).output();
    if !mounted.is_ok_and(|mounted| mounted.status.success()) {
        println!("skipped: this user cannot mount a small tmpfs");
        return;
    }
    for engine in [Engine::Ring, Engine::Flusher] {
        for cache in [CacheMode::DirectDsync, CacheMode::Buffered] {
            let mut disk = Fixture::new(mount.path(), StorageMode { cache, engine }, 8);
            let change = OrderKind::Change(FileChange::Create { len: 8 << 20 });
            assert_eq!(disk.error(wal(9), change), DiskError::Full);
            disk.create(wal(0), 4096);
            assert_eq!(disk.error(wal(0), durable(0, vec![blocks(512, 1)])), DiskError::Full);
            let unaligned = blocks(512, 1).cut(1, 512 * BLOCK_BYTES);
            assert_eq!(disk.error(wal(0), cached(0, vec![unaligned])), DiskError::Full);
            disk.done(wal(0), OrderKind::Change(FileChange::Truncate { len: 0 }));
            disk.done(wal(0), durable(0, vec![blocks(64, 1)]));
            let bytes = blocks(512, 1);
            let change = OrderKind::Change(FileChange::Replace { bytes });
            assert_eq!(disk.error(FileId::Superblock, change), DiskError::Full);
            assert!(!disk.layout.path(FileId::Superblock).exists());
        }
    }
    assert!(probe(mount.path()).is_ok());
    assert!(Command::new("umount").arg(mount.path()).status().unwrap().success());
}

#[test]
fn a_disk_that_is_dropped_waits_for_its_orders() {
    on_each(|disk| {
        disk.create(wal(0), 4096 * 64);
        for block in 0..64 {
            disk.submit(wal(0), durable(block * 4096, vec![blocks(1, 1)]));
        }
        disk.storage.flush();
        let mode = disk.storage.mode();
        let fresh = Fixture::new(Path::new(env!("CARGO_TARGET_TMPDIR")), mode, 8);
        // The old storage is dropped with its orders under way.
        *disk = fresh;
    });
}
