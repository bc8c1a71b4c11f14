//! Cleaning of a log, with crashes anywhere, against a fold of all that was ever appended.

extern crate std;

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use super::model::now;
use super::world::{Disk, Until};
use crate::batch::{
    BatchBuilder, BatchHeader, BatchView, Codec, Compressor, Encoding, HEADER_BYTES, NewRecord, Scratch,
    patch_offset_and_epoch, recompress,
};
use crate::buf::Slice;
use crate::id::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};
use crate::limits::CLEAN_SLOT_BYTES;
use crate::log::recovery::{Found, choose};
use crate::log::segment::Seal;
use crate::log::{
    CleanStep, Cleaning, CompactionConfig, Destage, Intact, Leftover, Log, LogConfig, Minimum, Placed,
    Producer, ProducerState, ReadPlan, Secret, Selected, Sought, TimestampOffset, TimestampPlan,
    TimestampQuery, TimestampScan, WalBatch, Wanted,
};
use crate::prng::Prng;
use crate::time::{Duration, Timestamp};

const DELETE_RETENTION: i64 = 500;

#[derive(Debug, Clone, PartialEq, Eq)]
struct Record {
    offset: i64,
    key: u8,
    value: Option<Vec<u8>>,
    timestamp: i64,
}

struct World {
    config: LogConfig,
    log: Log,
    disk: Disk,
    /// By offset: all that was appended and not taken back by a crash.
    records: BTreeMap<i64, Record>,
    /// The latest time at which a pass may first have seen a tombstone.
    first_clean: i64,
    wall: i64,
    sequence: i32,
    left: VecDeque<Leftover>,
    cleaning: Option<Cleaning>,
    cleaned: usize,
}

fn config(prng: &mut Prng) -> LogConfig {
    LogConfig {
        segment_bytes: u32::try_from(prng.between(600, 9_000)).unwrap(),
        segment_age_max: Duration::from_millis(prng.between(100, 5_000)),
        deletes: false,
        retention: None,
        retention_bytes: None,
        index_interval_bytes: u32::try_from(prng.between(1, 600)).unwrap(),
        compaction: Some(CompactionConfig {
            delete_retention: Duration::from_millis(DELETE_RETENTION.cast_unsigned()),
            lag_min: Duration::from_millis(prng.below(2) * 100),
            lag_max: None,
            dirty_ratio_min_ppm: u32::try_from(prng.below(800_000)).unwrap(),
        }),
    }
}

impl World {
    fn new(config: LogConfig) -> Self {
        Self {
            log: Log::new(config.clone(), Offset::ZERO),
            config,
            disk: Disk::default(),
            records: BTreeMap::new(),
            first_clean: i64::MAX,
            wall: 1_000,
            sequence: 0,
            left: VecDeque::new(),
            cleaning: None,
            cleaned: 0,
        }
    }

    fn append(&mut self, prng: &mut Prng) {
        let id = prng.between(0, 3) as i64 - 1;
        let header = BatchHeader {
            producer_id: ProducerId(id),
            producer_epoch: ProducerEpoch(if id < 0 { -1 } else { 0 }),
            base_sequence: if id < 0 { -1 } else { self.sequence_of(id) },
            ..BatchHeader::default()
        };
        let mut builder = BatchBuilder::new(header);
        let mut records = Vec::new();
        for _ in 0..prng.between(1, 5) {
            let key = u8::try_from(prng.below(12)).unwrap();
            let len = usize::try_from(prng.below(60)).unwrap();
            let value = prng
                .chance(700_000)
                .then(|| (0..len).map(|_| u8::try_from(prng.below(3)).unwrap()).collect::<Vec<u8>>());
            let timestamp = self.wall - prng.below(100) as i64;
            let new = NewRecord {
                timestamp: Timestamp(timestamp),
                key: Some(&[key]),
                value: value.as_deref(),
                headers: &[],
            };
            builder.push(&new);
            records.push(Record { offset: 0, key, value, timestamp });
        }
        let bytes = builder.build();
        let codecs = [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];
        let encoding = Encoding::from(codecs[usize::try_from(prng.below(5)).unwrap()]);
        let (view, _) = BatchView::parse(&bytes).unwrap();
        let mut bytes = recompress(&view, &bytes[HEADER_BYTES..], encoding, &mut Compressor::new());
        let info = BatchView::parse(&bytes).unwrap().0.info().unwrap();
        let Ok(Placed::New(placed)) = self.log.append(now(self.wall), &info, LeaderEpoch(1)) else {
            panic!("it is new")
        };
        patch_offset_and_epoch(&mut bytes, placed.base, LeaderEpoch(1));
        for (record, offset) in records.into_iter().zip(placed.base.0..) {
            self.records.insert(offset, Record { offset, ..record });
        }
        self.sequence += i32::from(id >= 0);
        let bytes = Slice::from_vec(bytes);
        let wal_file = self.disk.wal_file;
        self.log.attach(placed.base, bytes.clone(), wal_file);
        self.disk.log(WalBatch {
            segment_base: placed.segment_base,
            position: placed.position,
            base: placed.base,
            last: placed.last,
            epoch: LeaderEpoch(1),
            bytes,
            wal_file,
            intact: Intact::Yes,
        });
    }

    /// What the log expects of its producer: a wrong one would be refused.
    fn sequence_of(&self, id: i64) -> i32 {
        let known = self.log.producers().snapshot();
        let known = known.iter().find(|(known, _)| known.0 == id);
        known.and_then(|(_, producer)| producer.batches.back()).map_or(0, |batch| batch.last_sequence + 1)
    }

    fn durable(&mut self) {
        if let Some(entry) = self.disk.wal.last().filter(|_| self.disk.volatile > 0) {
            self.log.on_durable(entry.last.next());
            self.disk.volatile = 0;
        }
    }

    /// One step of a cleaning, or of what it left.
    fn clean(&mut self, prng: &mut Prng) {
        if let Some(file) = self.left.pop_front() {
            return self.disk.remove_leftover(file);
        }
        let Some(mut cleaning) = self.cleaning.take() else {
            let Some(plan) = self.log.clean_plan(now(self.wall), self.log.durable_end()) else { return };
            self.first_clean = self.first_clean.min(self.wall);
            let most = if prng.chance(300_000) { 8 * CLEAN_SLOT_BYTES } else { 1 << 20 };
            self.cleaning = Some(Cleaning::new(&self.log, plan, now(self.wall), (Secret(1, 2), most)));
            return;
        };
        assert!(self.log.holds(cleaning.needs()), "nothing else takes segments here");
        match cleaning.next_step(&self.log) {
            CleanStep::Read(read) => {
                let page = self.disk.page(read.name, read.at, read.len as usize, 0);
                cleaning.on_read(&self.log, &page, &mut Scratch::new()).expect("all is readable");
            }
            CleanStep::ReadFooter { base, len } => {
                let footer = &self.disk.footers[&base];
                let footer = footer[..footer.len().min(len as usize)].to_vec();
                cleaning.on_footer(&Slice::from_vec(footer)).expect("the footer is sound");
            }
            CleanStep::Create(name) => {
                self.disk.cleaned.insert(name, Vec::new());
                cleaning.on_done();
            }
            CleanStep::Write { name, at, bytes } => {
                let file = self.disk.cleaned.get_mut(&name).expect("it was created");
                assert_eq!(file.len() as u64, at, "written in order");
                file.extend_from_slice(&bytes);
                cleaning.on_done();
            }
            CleanStep::Cut { .. } | CleanStep::Sync(_) => cleaning.on_done(),
            CleanStep::Commit { base, footer } => {
                self.disk.footers.insert(base, footer);
                self.left = self.log.on_cleaned(cleaning.take());
                self.cleaned += 1;
                cleaning.on_done();
            }
            CleanStep::Over => return,
        }
        self.cleaning = Some(cleaning);
    }

    /// Gives whether a footer was lost with it.
    fn crash(&mut self, prng: &mut Prng) -> bool {
        let durable = self.log.durable_end();
        (self.cleaning, self.left) = (None, VecDeque::new());
        let footer_lost = prng.chance(50_000);
        if footer_lost && let Some(footer) = self.disk.footers.values_mut().next() {
            footer.fill(0);
        }
        let (log, report) = self.disk.crash(&self.config, prng);
        self.log = log;
        self.log.audit();
        assert_eq!(report.faulty, [], "nothing is lost");
        assert!(self.log.log_end() >= durable, "what was durable is there");
        self.records.split_off(&self.log.log_end().0);
        assert!(
            self.disk.cleaned.len() <= self.log.segment_names().count(),
            "no file is left that nobody needs"
        );
        footer_lost
    }

    /// All records, read as a consumer would.
    fn read_all(&self, most: u32) -> Vec<Record> {
        let mut records = Vec::new();
        let mut next = self.log.log_start();
        while next < self.log.durable_end() {
            let (bytes, from) = self.read(next, most);
            let mut rest = bytes.as_slice();
            assert!(!rest.is_empty() || from > next, "a reader at {next} gets on");
            next = next.max(from);
            while !rest.is_empty() {
                let (view, behind) = BatchView::parse(rest).unwrap();
                view.check_crc().unwrap();
                assert!(view.end_offset() > next, "batches rise");
                for record in view.records(&mut Scratch::new()).unwrap() {
                    let record = record.unwrap();
                    records.push(Record {
                        offset: record.offset.0,
                        key: record.key.unwrap()[0],
                        value: record.value.map(<[u8]>::to_vec),
                        timestamp: record.timestamp.0,
                    });
                }
                next = view.end_offset();
                rest = behind;
            }
        }
        records
    }

    /// The bytes that a fetch gets, and from where.
    fn read(&self, from: Offset, most: u32) -> (Vec<u8>, Offset) {
        let (upto, minimum) = (self.log.durable_end(), Minimum::AtLeastOne);
        let wanted = Wanted { from, upto, bytes_max: 1_000, minimum };
        let mut read = match self.log.read(wanted) {
            ReadPlan::Tail(slices) => {
                return (slices.iter().flat_map(|slice| slice.to_vec()).collect(), from);
            }
            ReadPlan::Disk(read) => read.at_most(most),
            ReadPlan::Empty => return (Vec::new(), upto),
            plan @ (ReadPlan::OutOfRange | ReadPlan::Faulty) => panic!("{plan:?} at {from}"),
        };
        loop {
            let page = self.disk.read(&read, 0);
            let page = self.log.sound_part((read.name, read.at), &page).expect("it is of this log");
            match read.select(&page, wanted) {
                Selected::Batches(bytes) => return (bytes.to_vec(), from),
                Selected::GoOn(next) => return (Vec::new(), next),
                Selected::NeedMore(more) => read = more.at_most(most),
                selected @ (Selected::Empty | Selected::Faulty) => panic!("{selected:?} at {from}"),
            }
        }
    }

    fn find(&self, timestamp: i64, most: u32) -> Option<TimestampOffset> {
        let (from, upto) = (self.log.log_start(), self.log.durable_end());
        let sought = Sought::First;
        let mut query = TimestampQuery { timestamp: Timestamp(timestamp), from, upto, sought };
        let mut scratch = Scratch::new();
        for _ in 0..10_000 {
            let (mut read, asked) = match self.log.find_timestamp(query, &mut scratch) {
                TimestampPlan::Found(found) => return Some(found),
                TimestampPlan::NotFound => return None,
                TimestampPlan::Disk(read, asked) => (read.at_most(most), asked),
                TimestampPlan::Faulty => panic!("nothing is faulty"),
            };
            query = loop {
                let page = self.disk.read(&read, 0);
                let page = self.log.sound_part((read.name, read.at), &page).expect("it is of this log");
                match read.scan_timestamp(&page, asked, &mut scratch) {
                    TimestampScan::Found(found) => return Some(found),
                    TimestampScan::GoOn(next) => break next,
                    TimestampScan::NeedMore(more) => read = more.at_most(most),
                    TimestampScan::Faulty(at) => panic!("{at} is not faulty"),
                }
            };
        }
        panic!("the search gets on");
    }

    fn check(&self, prng: &mut Prng) {
        self.log.audit();
        let most = if prng.chance(500_000) { 1 } else { u32::MAX };
        let read = self.read_all(most);
        assert!(read.windows(2).all(|pair| pair[0].offset < pair[1].offset), "offsets rise");
        assert!(read.iter().all(|record| self.records.get(&record.offset) == Some(record)), "as they were");
        let end = self.log.durable_end().0;
        let mut newest: BTreeMap<u8, i64> = BTreeMap::new();
        for record in self.records.range(..end).map(|(_, record)| record) {
            newest.insert(record.key, record.offset);
        }
        let there: BTreeMap<i64, ()> = read.iter().map(|record| (record.offset, ())).collect();
        let may_go = self.wall >= self.first_clean.saturating_add(DELETE_RETENTION);
        let dirty = self.log.first_dirty().0;
        for (offset, record) in self.records.range(..end) {
            let is_newest = newest[&record.key] == *offset;
            let expired = record.value.is_none() && may_go;
            let superseded = self.records.range(offset + 1..end).any(|(_, later)| later.key == record.key);
            assert!(there.contains_key(offset) || superseded || expired, "{record:?} is lost");
            assert!(!is_newest || there.contains_key(offset) || expired, "the newest of its key: {record:?}");
            let superseded = self
                .records
                .range(offset + 1..dirty.max(offset + 1))
                .any(|(_, later)| later.key == record.key);
            assert!(
                !(superseded && there.contains_key(offset)),
                "{record:?} is below {dirty} and not the newest"
            );
        }
        let timestamp = self.wall - 1_000 + prng.below(1_100) as i64;
        let found = read.iter().find(|record| record.timestamp >= timestamp);
        let found =
            found.map(|r| TimestampOffset { timestamp: Timestamp(r.timestamp), offset: Offset(r.offset) });
        assert_eq!(self.find(timestamp, most), found, "the first record at or after {timestamp}");
    }
}

fn last_sequences(producers: &ProducerState) -> Vec<(ProducerId, Option<i32>)> {
    let last = |producer: &Producer| producer.batches.back().map(|batch| batch.last_sequence);
    producers.snapshot().iter().map(|(id, producer)| (*id, last(producer))).collect()
}

/// Names the run that fails.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            std::eprintln!("the run of seed {} failed", self.0);
        }
    }
}

fn run(seed: u64) -> usize {
    let _seed = Seed(seed);
    let mut prng = Prng::new(seed);
    let mut world = World::new(config(&mut prng));
    let mut producers = world.log.producers().clone();
    for _ in 0..250 {
        match prng.below(16) {
            0..=4 => world.append(&mut prng),
            5..=6 => world.durable(),
            7 => drop(world.disk.destage(&mut world.log, Destage::Blocks, Until::Done)),
            8 => drop(world.disk.seal(&mut world.log, Until::Done)),
            9 => drop(world.log.roll_if_due(now(world.wall))),
            10 => drop(world.log.evict(world.log.durable_end())),
            11 if prng.chance(150_000) => {
                world.durable();
                producers.clone_from(world.log.producers());
                if !world.crash(&mut prng) {
                    assert_eq!(world.log.producers(), &producers, "the producers are who they were");
                }
                // Without a footer the emptied batches tell of the last sequences.
                assert_eq!(last_sequences(world.log.producers()), last_sequences(&producers));
            }
            11 => world.disk.wal_file += 1,
            _ => world.clean(&mut prng),
        }
        world.wall += prng.below(30) as i64;
        if prng.chance(200_000) {
            world.check(&mut prng);
        }
    }
    world.durable();
    world.check(&mut prng);
    world.cleaned
}

#[test]
fn cleaned_logs_read_as_the_fold_of_what_was_appended() {
    let cleaned: usize = (0..200).map(run).sum();
    assert!(cleaned > 200, "{cleaned} segments were cleaned");
}

/// A pass left alone ends with a log in which each key has one record below its bound, in few files.
#[test]
fn pass_leaves_one_record_of_each_key() {
    let mut prng = Prng::new(77);
    let mut config = config(&mut prng);
    config.segment_bytes = 2_000;
    let compaction = config.compaction.as_mut().unwrap();
    (compaction.dirty_ratio_min_ppm, compaction.lag_min) = (0, Duration::ZERO);
    let mut world = World::new(config);
    // What is small after the first pass is merged by the second.
    for count in [300, 30] {
        for _ in 0..count {
            world.append(&mut prng);
            world.durable();
            while world.disk.destage(&mut world.log, Destage::Blocks, Until::Done)
                || world.disk.seal(&mut world.log, Until::Done)
            {}
            world.wall += 10;
        }
        for _ in 0..2_000 {
            world.clean(&mut prng);
        }
        assert!(world.cleaning.is_none() && world.left.is_empty(), "it comes to an end");
    }
    // Their time passes: all tombstones below the bound go, though nothing is written any more.
    world.wall += DELETE_RETENTION;
    for _ in 0..2_000 {
        world.clean(&mut prng);
    }
    let dirty = world.log.first_dirty().0;
    let left = world.read_all(u32::MAX);
    assert!(dirty > 100 && left.iter().all(|record| record.offset >= dirty || record.value.is_some()));
    let sealed = world.log.segments.iter().filter(|segment| segment.seal == Seal::Sealed).count();
    assert!(sealed < 8, "{sealed} segments are left");
    let files = world.disk.segments.len() + world.disk.cleaned.len();
    assert!(files <= sealed + 1, "{files} files for {sealed} segments and the active one");
    world.check(&mut prng);
}

/// The choice between files does not depend on a footer that may be lost.
#[test]
fn oldest_file_counts_where_the_footer_is_lost() {
    let written = |base| crate::log::SegmentName::written(Offset(base));
    let cleaned = |base, end, generation| crate::log::SegmentName {
        base: Offset(base),
        cleaned: Some(crate::log::CleanedName { generation, end: Offset(end) }),
    };
    let found = |names: &[crate::log::SegmentName], footers: &[i64]| Found {
        segments: names.iter().map(|name| (*name, 1)).collect(),
        footers: footers.iter().map(|base| (Offset(*base), None)).collect(),
    };
    let chosen = choose(&found(&[written(0), cleaned(0, 20, 1), written(10), written(20)], &[0, 10]));
    assert_eq!(chosen.segments, [written(0), written(10), written(20)]);
    assert_eq!(chosen.left, [Leftover::Segment(cleaned(0, 20, 1))]);
    let chosen = choose(&found(&[cleaned(0, 20, 1), written(10), written(20)], &[0, 10, 15]));
    assert_eq!(chosen.segments, [cleaned(0, 20, 1), written(20)]);
    // The footer is of a file that was deleted: what was being made of it does not count.
    let mut world = World::new(config(&mut Prng::new(3)));
    while world.disk.footers.is_empty() {
        world.append(&mut Prng::new(3));
        world.durable();
        world.wall += 10_000;
        world.log.roll_if_due(now(world.wall));
        world.disk.destage(&mut world.log, Destage::Blocks, Until::Done);
        world.disk.seal(&mut world.log, Until::Done);
    }
    let (base, footer) = world.disk.footers.pop_first().unwrap();
    let mut unfinished = found(&[cleaned(base.0, 20, 1), written(20)], &[]);
    unfinished.footers.insert(base, Some(Slice::from_vec(footer)));
    assert_eq!(choose(&unfinished).segments, [written(20)]);
    let gone = [Leftover::Segment(written(10)), Leftover::Footer(Offset(10)), Leftover::Footer(Offset(15))];
    assert_eq!(chosen.left, gone);
}
