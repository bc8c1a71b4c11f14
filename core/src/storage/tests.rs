//! The write-ahead log against files in memory: what is written comes back, a torn end is cut, rot is told from it.

use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;

use super::checkpoint::Checkpoint;
use super::frame::{Content, Entry, HEADER_BYTES, Lsn, entry_bytes};
use super::wal::{Append, NoRoom, Wal, WalDone, WalOrder, WalSizes};
use super::walk::{Walk, Walked};
use crate::batch::{self, BatchBuilder, BatchHeader, NewRecord};
use crate::buf::{Pool, Slice};
use crate::id::{LeaderEpoch, Offset, PartitionId, StreamId, TopicId, Uuid};
use crate::limits::{BLOCK_BYTES, WAL_WRITES_AT_ONCE_MAX};
use crate::prng::Prng;
use crate::time::{Duration, Instant, Timestamp};

const STREAM: StreamId = StreamId(Uuid([3; 16]));

/// So much does not wait for the write in flight.
const BESIDE_BYTES: usize = 10_000;

/// A log with its files in memory; orders are carried out at once.
struct Bench {
    wal: Wal,
    pool: Pool,
    now: Instant,
    files: BTreeMap<u64, Vec<u8>>,
    checkpoint: Option<Checkpoint>,
    next: Offset,
    /// The pins that are not released: frame of each batch, oldest first.
    pins: Vec<(Offset, Lsn)>,
    /// Where the last write went.
    last_write: (u64, u64, usize),
    /// How many files were made.
    created: usize,
}

fn bench(file_bytes: u64) -> Bench {
    let sizes = WalSizes {
        file_bytes_min: file_bytes,
        file_bytes_max: file_bytes,
        bytes_max: file_bytes * 64,
        beside_bytes_min: BESIDE_BYTES,
        seal_after: Duration::from_millis(10),
    };
    Bench {
        wal: Wal::new(sizes, STREAM),
        pool: Pool::new(64 << 20),
        now: Instant::from_nanos(0),
        files: BTreeMap::new(),
        checkpoint: None,
        next: Offset::ZERO,
        pins: Vec::new(),
        last_write: (0, 0, 0),
        created: 0,
    }
}

fn batch_of(len: usize) -> Vec<u8> {
    let mut builder = BatchBuilder::new(BatchHeader::default());
    let value = vec![7; len];
    builder.push(&NewRecord { timestamp: Timestamp(5), key: None, value: Some(&value), headers: &[] });
    builder.build()
}

impl Bench {
    /// Adds a batch to the group that is written next.
    fn push(&mut self, len: usize) {
        self.push_bytes(&batch_of(len), Append::New);
    }

    fn push_bytes(&mut self, bytes: &[u8], reason: Append) {
        assert_eq!(self.wal.reserve(&mut self.pool, bytes.len(), reason), Ok(()));
        let entry = Entry {
            partition: PartitionId { topic: TopicId(Uuid([9; 16])), index: 0 },
            segment_base: Offset::ZERO,
            position: 0,
            len: u32::try_from(bytes.len()).unwrap(),
            base: self.next,
            last: self.next,
            leader_epoch: LeaderEpoch(4),
            crc: 0,
        };
        let base = self.next;
        self.wal.push(entry, bytes, reason, |bytes| match reason {
            Append::New => batch::patch_offset_and_epoch(bytes, base, LeaderEpoch(4)),
            Append::CarriedForward => {}
        });
        self.next = self.next.next();
    }

    /// Carries out all orders.
    fn run(&mut self) {
        while let Some(order) = self.wal.next_order(self.now, &mut self.pool) {
            self.wal.audit();
            let done = self.perform(order);
            self.wal.on_done(self.now, done);
        }
    }

    fn perform(&mut self, order: WalOrder) -> WalDone {
        match order {
            WalOrder::Write { file, at, parts, frames } => {
                let bytes: Vec<u8> = parts.iter().flat_map(|part| part.to_vec()).collect();
                let from = usize::try_from(at).unwrap();
                self.files.get_mut(&file).unwrap()[from..from + bytes.len()].copy_from_slice(&bytes);
                self.last_write = (file, at, bytes.len());
                let last = frames.last().unwrap().lsn;
                for frame in frames {
                    self.pins.extend(frame.batches.iter().map(|batch| (batch.base, frame.lsn)));
                }
                WalDone::Written(last)
            }
            WalOrder::Create { file, len } => {
                self.files.insert(file, vec![0; usize::try_from(len).unwrap()]);
                self.created += 1;
                WalDone::Changed
            }
            WalOrder::Recycle { from, to } => {
                let bytes = self.files.remove(&from).unwrap();
                self.files.insert(to, bytes);
                WalDone::Changed
            }
            WalOrder::Remove { file } => {
                self.files.remove(&file).unwrap();
                WalDone::Changed
            }
            WalOrder::Checkpoint(checkpoint) => {
                self.checkpoint = Some(checkpoint);
                WalDone::Checkpointed
            }
        }
    }

    /// Adds a batch and begins to write it, if it may be written now. What to say when the write ends.
    fn begin(&mut self, len: usize) -> Option<WalDone> {
        self.push(len);
        while let Some(order) = self.wal.next_order(self.now, &mut self.pool) {
            let done = self.perform(order);
            if matches!(done, WalDone::Written(_)) {
                return Some(done);
            }
            self.wal.on_done(self.now, done);
        }
        None
    }

    fn write(&mut self, len: usize) {
        self.push(len);
        self.run();
    }

    /// Writes until there is so much to relieve the log of, then lets all of it go.
    fn swell(&mut self) {
        while !self.wal.is_pressed() {
            self.write(10_000);
        }
        for (_, lsn) in core::mem::take(&mut self.pins) {
            self.wal.release(lsn);
        }
        self.run();
    }

    fn walk(&self) -> Walked {
        walk(&self.files, self.checkpoint)
    }

    fn flip(&mut self, file: u64, at: usize) {
        self.files.get_mut(&file).unwrap()[at] ^= 0x10;
    }
}

fn walk(files: &BTreeMap<u64, Vec<u8>>, checkpoint: Option<Checkpoint>) -> Walked {
    let lengths = files.iter().map(|(number, bytes)| (*number, bytes.len() as u64)).collect();
    let mut walk = Walk::new(STREAM, lengths, checkpoint);
    while let Some(read) = walk.next_read() {
        let from = usize::try_from(read.at).unwrap();
        walk.on_read(read, Slice::from_vec(files[&read.file][from..from + read.len].to_vec()));
    }
    walk.finish()
}

fn offsets(walked: &Walked) -> Vec<i64> {
    let sound = walked.entries.iter().filter(|entry| entry.content == Content::Sound);
    sound.map(|entry| entry.entry.base.0).collect()
}

#[test]
fn what_was_written_comes_back() {
    let mut bench = bench(1 << 16);
    for len in [10, 3_000, 5_000, 60_000, 200_000, 1] {
        bench.push(len);
        bench.write(len / 2);
    }
    let walked = bench.walk();
    assert_eq!(offsets(&walked), (0..12).collect::<Vec<i64>>());
    assert_eq!((walked.torn, walked.rotten.len()), (None, 0));
    assert_eq!(walked.last, bench.wal.durable());
}

#[test]
fn a_frame_that_was_torn_ends_the_log() {
    for cut in [0, 512, 4_096, 8_192] {
        let mut bench = bench(1 << 20);
        bench.write(100);
        bench.write(20_000);
        let (file, at, len) = bench.last_write;
        let at = usize::try_from(at).unwrap();
        bench.files.get_mut(&file).unwrap()[at + cut..at + len].fill(0);
        let walked = bench.walk();
        assert_eq!(offsets(&walked), [0], "cut at {cut}");
        assert_eq!((walked.last, walked.rotten.len()), (Lsn(1), 0));
        assert_eq!(walked.torn, (cut > 0).then_some(Lsn(2)), "cut at {cut}");
    }
}

#[test]
fn a_torn_batch_under_a_sound_table_ends_the_log_too() {
    let mut bench = bench(1 << 20);
    bench.write(100);
    bench.write(20_000);
    let (file, at, _) = bench.last_write;
    bench.flip(file, usize::try_from(at).unwrap() + 9_000);
    let walked = bench.walk();
    assert_eq!((offsets(&walked), walked.torn, walked.last), (vec![0], Some(Lsn(2)), Lsn(1)));
}

#[test]
fn a_frame_in_the_place_of_another_costs_only_that_other() {
    let mut bench = bench(1 << 20);
    for _ in 0..5 {
        bench.write(100);
    }
    let file = bench.files.values_mut().next().unwrap();
    // The fourth frame goes to the place of the second.
    file.copy_within(3 * 4_096..4 * 4_096, 4_096);
    file[3 * 4_096..4 * 4_096].fill(0);
    let walked = bench.walk();
    assert_eq!(offsets(&walked), [0, 2, 3, 4]);
    assert_eq!(walked.rotten, [(Lsn(2), Lsn(2))]);
}

/// What stands for lost bytes: a batch whose CRC is wrong on purpose, or too few bytes for one.
fn stand_in(len: usize) -> Vec<u8> {
    if len < batch::HEADER_BYTES {
        return vec![0; len];
    }
    let mut bytes = batch_of(len - batch::HEADER_BYTES);
    let wrong = !batch::crc32c(&bytes[21..]);
    bytes[17..21].copy_from_slice(&wrong.to_be_bytes());
    bytes
}

#[test]
fn a_stand_in_that_is_carried_forward_leaves_its_frame_sound() {
    for len in [1, 20, 60, 500] {
        let mut bench = bench(1 << 20);
        bench.write(100);
        bench.push_bytes(&stand_in(len), Append::CarriedForward);
        bench.write(100);
        let walked = bench.walk();
        assert_eq!((walked.last, walked.torn, walked.rotten.len()), (Lsn(2), None, 0), "{len} B");
        let contents: Vec<Content> = walked.entries.iter().map(|entry| entry.content).collect();
        assert_eq!(contents, [Content::Sound, Content::StandIn, Content::Sound], "{len} B");
        let (file, at, _) = bench.last_write;
        bench.flip(file, usize::try_from(at).unwrap() + entry_bytes(HEADER_BYTES) + len / 2);
        let walked = bench.walk();
        assert_eq!((walked.last, walked.torn), (Lsn(1), Some(Lsn(2))), "{len} B and a bit of it wrong");
    }
}

#[test]
fn a_broken_frame_that_was_durable_is_rot() {
    for place in [0, 30, 70, 140] {
        let mut bench = bench(1 << 20);
        bench.write(100);
        bench.write(100);
        let (file, at, _) = bench.last_write;
        bench.write(100);
        bench.write(100);
        bench.flip(file, usize::try_from(at).unwrap() + place);
        let walked = bench.walk();
        assert_eq!(offsets(&walked), [0, 2, 3], "flipped at {place}");
        assert_eq!(
            (walked.rotten.clone(), walked.torn),
            (vec![(Lsn(2), Lsn(2))], None),
            "flipped at {place}"
        );
        assert_eq!(walked.last, Lsn(4));
    }
}

#[test]
fn a_seal_proves_the_last_group() {
    let mut bench = bench(1 << 20);
    bench.write(100);
    bench.write(100);
    let (file, at, _) = bench.last_write;
    bench.now = bench.now + Duration::from_millis(11);
    bench.run();
    assert_eq!(bench.wal.durable(), Lsn(3), "silence is sealed");
    bench.flip(file, usize::try_from(at).unwrap() + 40);
    let walked = bench.walk();
    assert_eq!((offsets(&walked), walked.rotten.clone()), (vec![0], vec![(Lsn(2), Lsn(2))]));
}

#[test]
fn frames_that_nothing_proves_are_to_be_written_again() {
    let mut bench = bench(64 << 10);
    bench.write(100);
    bench.write(100);
    let walked = bench.walk();
    let unproven: Vec<Lsn> = walked.unproven.iter().map(|frame| frame.lsn).collect();
    assert_eq!(unproven, [Lsn(2)], "the second frame proves the first");
    let frame = &walked.unproven[0];
    let at = usize::try_from(frame.at).unwrap();
    assert_eq!(frame.bytes[..], bench.files[&frame.file][at..at + frame.bytes.len()], "as it stands");
    let fence = Checkpoint { last_lsn: Some(2), ..walked.start };
    assert!(walk(&bench.files, Some(fence)).unproven.is_empty(), "a fence proves all before it");
}

#[test]
fn frames_of_one_write_prove_nothing_of_each_other() {
    let mut bench = bench(1 << 22);
    bench.write(100);
    bench.push(300_000);
    bench.push(300_000);
    bench.run();
    assert_eq!(bench.wal.durable(), Lsn(3), "two frames went in one write");
    let (file, at, _) = bench.last_write;
    bench.flip(file, usize::try_from(at).unwrap() + 20);
    let walked = bench.walk();
    assert_eq!((offsets(&walked), walked.rotten.len(), walked.last), (vec![0], 0, Lsn(1)));
}

#[test]
fn a_long_group_is_written_beside_an_older_one_and_durable_behind_it() {
    let mut bench = bench(1 << 20);
    bench.write(100);
    let older = bench.begin(100).expect("nothing is in flight");
    let (file, at, _) = bench.last_write;
    assert!(bench.begin(100).is_none(), "it is not worth a flush of its own");
    let newer = bench.begin(BESIDE_BYTES).expect("more and more waits");
    assert_eq!(bench.wal.on_done(bench.now, newer), Lsn(1), "the older one may yet be lost");

    let older_bytes = bench.files[&file].clone();
    bench.flip(file, usize::try_from(at).unwrap() + 20);
    let walked = bench.walk();
    assert_eq!((offsets(&walked), walked.last, walked.rotten.len()), (vec![0], Lsn(1), 0));

    bench.files.insert(file, older_bytes);
    let newest = bench.begin(BESIDE_BYTES).expect("one of two has ended");
    assert_eq!(WalDone::Written(bench.wal.on_done(bench.now, older)), newer, "both are there");
    assert_eq!(WalDone::Written(bench.wal.on_done(bench.now, newest)), newest);
    assert_eq!(offsets(&bench.walk()), [0, 1, 2, 3, 4]);
}

#[test]
fn no_more_is_written_at_once_than_may_be() {
    let mut bench = bench(1 << 20);
    let begun = (0..20).filter_map(|_| bench.begin(BESIDE_BYTES)).count();
    assert_eq!(begun, WAL_WRITES_AT_ONCE_MAX);
    assert!(!bench.wal.is_idle());
}

#[test]
fn files_are_recycled_behind_the_checkpoint_and_stale_frames_do_not_come_back() {
    let mut bench = bench(1 << 14);
    let mut numbers = Vec::new();
    for _ in 0..40 {
        bench.write(3_000);
        numbers.push(bench.last_write.0);
        while bench.pins.len() > 3 {
            let (_, lsn) = bench.pins.remove(0);
            bench.wal.release(lsn);
        }
        bench.run();
        assert!(bench.files.len() <= 5, "old files are used again: {:?}", bench.files.keys());
        let held: Vec<i64> = bench.pins.iter().map(|(base, _)| base.0).collect();
        let walked = bench.walk();
        let found = offsets(&walked);
        assert!(found.ends_with(&held), "{held:?} must be among {found:?}");
        assert!(found.windows(2).all(|pair| pair[0] + 1 == pair[1]), "no stale frame: {found:?}");
        assert_eq!(walked.last, bench.wal.durable());
    }
    assert!(numbers.last() > numbers.first());
}

/// A new file costs as many bytes as are logged in it.
#[test]
fn a_log_that_swells_again_and_again_makes_no_more_files() {
    let mut bench = bench(16 * BLOCK_BYTES as u64);
    bench.swell();
    let (created, files) = (bench.created, bench.files.len());
    assert!(created >= 32, "half of the files that there may be");
    for _ in 0..5 {
        bench.swell();
    }
    assert!(bench.created <= created + 2, "one to write to and one behind it");
    assert!(bench.files.len() <= files + 2);
}

#[test]
fn a_log_is_relieved_again_when_it_has_grown_by_a_part() {
    let mut bench = bench(16 * BLOCK_BYTES as u64);
    (0..80).for_each(|_| bench.write(100));
    let until = bench.wal.carry_until();
    assert!(!bench.wal.has_aged(until));
    (0..15).for_each(|_| bench.write(100));
    assert!(!bench.wal.has_aged(until));
    (0..20).for_each(|_| bench.write(100));
    assert!(bench.wal.has_aged(until), "{until:?}, now {:?}", bench.wal.carry_until());
}

#[test]
fn a_fence_keeps_what_lies_behind_it_away() {
    let mut bench = bench(1 << 20);
    for _ in 0..4 {
        bench.write(100);
    }
    let start = bench.walk().start;
    let fenced = walk(&bench.files, Some(Checkpoint { last_lsn: Some(2), ..start }));
    assert_eq!((offsets(&fenced), fenced.last), (vec![0, 1], Lsn(2)));
    let released = walk(&bench.files, Some(Checkpoint::RELEASED));
    assert_eq!(released.entries.len(), 0);
}

#[test]
fn a_fence_makes_what_is_missing_before_it_rot() {
    let mut bench = bench(1 << 20);
    for _ in 0..3 {
        bench.write(100);
    }
    let (file, at, _) = bench.last_write;
    let start = bench.walk().start;
    bench.flip(file, usize::try_from(at).unwrap() + 20);
    let walked = walk(&bench.files, Some(Checkpoint { last_lsn: Some(3), ..start }));
    assert_eq!((offsets(&walked), walked.rotten.clone()), (vec![0, 1], vec![(Lsn(3), Lsn(3))]));
}

/// Whatever stands in the files, a walk ends, and what it gives is sound or said to be broken.
#[test]
fn any_bytes_are_walked() {
    let mut prng = Prng::new(5);
    for _ in 0..300 {
        let mut bench = bench(1 << 15);
        for _ in 0..prng.between(1, 12) {
            bench.write(usize::try_from(prng.below(9_000)).unwrap());
        }
        let numbers: Vec<u64> = bench.files.keys().copied().collect();
        for _ in 0..prng.between(1, 40) {
            let file = numbers[usize::try_from(prng.below(numbers.len() as u64)).unwrap()];
            let len = bench.files[&file].len() as u64;
            let at = usize::try_from(prng.below(len)).unwrap();
            if prng.chance(200_000) {
                let block = at / BLOCK_BYTES * BLOCK_BYTES;
                prng.fill(&mut bench.files.get_mut(&file).unwrap()[block..block + BLOCK_BYTES]);
            } else {
                bench.flip(file, at);
            }
        }
        let walked = bench.walk();
        let found = offsets(&walked);
        assert!(found.windows(2).all(|pair| pair[0] < pair[1]), "in order: {found:?}");
    }
}

#[test]
fn a_batch_that_no_page_can_hold_is_told_from_one_that_waits_for_a_page() {
    let mut bench = bench(1 << 16);
    bench.pool = Pool::new(64 << 10);
    let page_bytes = 64 << 10;
    let fits = page_bytes - HEADER_BYTES - entry_bytes(0);
    assert_eq!(bench.wal.reserve(&mut bench.pool, fits + 1, Append::New), Err(NoRoom::Ever));
    let lent = bench.pool.alloc(page_bytes).unwrap();
    assert_eq!(bench.wal.reserve(&mut bench.pool, fits, Append::New), Err(NoRoom::Memory));
    bench.pool.give_back(lent);
    assert_eq!(bench.wal.reserve(&mut bench.pool, fits, Append::New), Ok(()));
}

#[test]
fn a_small_batch_does_with_a_small_page_if_no_usual_one_is_left() {
    let mut bench = bench(1 << 16);
    bench.pool = Pool::new(20 << 10);
    let lent = bench.pool.alloc(8 << 10).unwrap();
    bench.push(100);
    assert_eq!(bench.wal.bytes_unwritten(), BLOCK_BYTES);
    drop(lent);
}
