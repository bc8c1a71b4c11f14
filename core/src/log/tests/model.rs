//! The twin: every batch that was ever appended, in a vector.

use alloc::vec;
use alloc::vec::Vec;

use super::world::Disk;
use crate::batch::{
    BatchBuilder, BatchHeader, BatchInfo, BatchView, NO_PRODUCER, NewRecord, Scratch, patch_offset_and_epoch,
};
use crate::buf::Slice;
use crate::id::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};
use crate::limits::PRODUCER_BATCHES_RETAINED;
use crate::log::{
    AppendError, Extent, Intact, Log, LogConfig, Minimum, Placed, ProducerState, ReadPlan, Selected, Sought,
    TimestampOffset, TimestampPlan, TimestampQuery, TimestampScan, WalBatch, Wanted,
};
use crate::time::{Duration, Instant, Now, Timestamp};

#[derive(Debug, Clone)]
pub(in crate::log) struct Kept {
    pub(in crate::log) base: Offset,
    pub(in crate::log) last: Offset,
    pub(in crate::log) epoch: LeaderEpoch,
    pub(in crate::log) bytes: Vec<u8>,
    pub(in crate::log) info: BatchInfo,
    pub(in crate::log) timestamps: Vec<i64>,
    pub(in crate::log) segment_base: Offset,
    pub(in crate::log) position: u32,
}

/// What a producer sends.
#[derive(Debug, Clone)]
pub(in crate::log) struct Sent {
    pub(in crate::log) producer: Option<(i64, i16, i32)>,
    pub(in crate::log) timestamps: Vec<i64>,
    pub(in crate::log) value_bytes: usize,
}

impl Sent {
    pub(in crate::log) fn plain(timestamps: &[i64], value_bytes: usize) -> Self {
        Self { producer: None, timestamps: timestamps.to_vec(), value_bytes }
    }

    pub(in crate::log) fn build(&self) -> Vec<u8> {
        let (id, epoch, sequence) = self.producer.unwrap_or((-1, -1, -1));
        let mut builder = BatchBuilder::new(BatchHeader {
            producer_id: ProducerId(id),
            producer_epoch: ProducerEpoch(epoch),
            base_sequence: sequence,
            ..BatchHeader::default()
        });
        let value = vec![7; self.value_bytes];
        for timestamp in &self.timestamps {
            let timestamp = Timestamp(*timestamp);
            builder.push(&NewRecord { timestamp, key: None, value: Some(&value), headers: &[] });
        }
        builder.build()
    }
}

pub(in crate::log) fn config() -> LogConfig {
    LogConfig {
        segment_bytes: 1 << 16,
        segment_age_max: Duration::from_secs(1_000_000),
        deletes: true,
        retention: None,
        retention_bytes: None,
        index_interval_bytes: 512,
        compaction: None,
    }
}

pub(in crate::log) fn now(wall: i64) -> Now {
    Now { mono: Instant::from_nanos(0), wall: Timestamp(wall) }
}

/// A log, its disk and the twin, held together.
pub(in crate::log) struct Model {
    pub(in crate::log) config: LogConfig,
    pub(in crate::log) log: Log,
    pub(in crate::log) disk: Disk,
    pub(in crate::log) kept: Vec<Kept>,
    /// Placed and not attached yet: bytes by place in `kept`.
    pub(in crate::log) unattached: usize,
    pub(in crate::log) epoch: LeaderEpoch,
    pub(in crate::log) wall: i64,
    /// Batches before it are not in the producer state: what told of them was deleted before a crash.
    pub(in crate::log) producers_from: Offset,
    pub(in crate::log) high_watermark: Offset,
}

impl Model {
    pub(in crate::log) fn new(config: LogConfig) -> Self {
        let log = Log::new(config.clone(), Offset::ZERO);
        Self {
            config,
            log,
            disk: Disk::default(),
            kept: Vec::new(),
            unattached: 0,
            epoch: LeaderEpoch(1),
            wall: 1_000,
            producers_from: Offset::ZERO,
            high_watermark: Offset::ZERO,
        }
    }

    pub(in crate::log) fn end(&self) -> Offset {
        self.kept.last().map_or(Offset::ZERO, |kept| kept.last.next())
    }

    /// What must become of a batch, by looking at all batches of its producer.
    pub(in crate::log) fn verdict(&self, info: &BatchInfo) -> Result<Option<usize>, ()> {
        let (id, epoch) = (info.producer_id, info.producer_epoch);
        if id == NO_PRODUCER {
            return Ok(None);
        }
        let known = |kept: &&Kept| kept.base >= self.producers_from && kept.info.producer_id == id;
        let Some(newest) = self.kept.iter().rfind(known) else {
            let refused = self.log.log_start() == Offset::ZERO && info.base_sequence != 0;
            return if refused { Err(()) } else { Ok(None) };
        };
        if epoch < newest.info.producer_epoch {
            return Err(());
        }
        if epoch > newest.info.producer_epoch {
            return if info.base_sequence == 0 { Ok(None) } else { Err(()) };
        }
        let same = self.kept.iter().enumerate().rev();
        let same =
            same.filter(|(_, kept)| known(kept)).take_while(|(_, kept)| kept.info.producer_epoch == epoch);
        for (place, kept) in same.take(PRODUCER_BATCHES_RETAINED) {
            if (kept.info.base_sequence, kept.info.count) == (info.base_sequence, info.count) {
                return Ok(Some(place));
            }
        }
        let mut expected = i64::from(newest.info.base_sequence) + i64::from(newest.info.count);
        if expected > i64::from(i32::MAX) {
            expected -= 1 << 31;
        }
        if i64::from(info.base_sequence) == expected { Ok(None) } else { Err(()) }
    }

    pub(in crate::log) fn append(&mut self, sent: &Sent) -> Result<Placed, AppendError> {
        let mut bytes = sent.build();
        let info = BatchView::parse(&bytes).unwrap().0.info().unwrap();
        let verdict = self.verdict(&info);
        let end = self.end();
        let placed = self.log.append(now(self.wall), &info, self.epoch);
        match (&placed, verdict) {
            (Ok(Placed::New(placement)), Ok(None)) => {
                assert_eq!(placement.base, end.max(self.log_floor()), "offsets follow one another");
                patch_offset_and_epoch(&mut bytes, placement.base, self.epoch);
                let before = self.kept.last().filter(|kept| kept.segment_base == placement.segment_base);
                let position = before.map_or(0, |kept| kept.position + kept.info.len);
                assert_eq!(placement.position, position, "bytes follow one another");
                assert!(position + info.len <= self.config.segment_bytes);
                self.kept.push(Kept {
                    base: placement.base,
                    last: placement.last,
                    epoch: self.epoch,
                    bytes,
                    info,
                    timestamps: sent.timestamps.clone(),
                    segment_base: placement.segment_base,
                    position: placement.position,
                });
                self.unattached += 1;
            }
            (Ok(Placed::Duplicate { base, last, .. }), Ok(Some(place))) => {
                assert_eq!(
                    (*base, *last),
                    (self.kept[place].base, self.kept[place].last),
                    "the original's offsets"
                );
                assert_eq!(self.log.log_end(), end, "a duplicate is not appended");
            }
            (Err(AppendError::TooLarge), _) => assert!(info.len > self.config.segment_bytes),
            (Err(_), Err(())) => {}
            (placed, verdict) => panic!("the log said {placed:?}, the twin {verdict:?}"),
        }
        placed
    }

    /// Without a batch in the twin, the log knows best where it begins.
    fn log_floor(&self) -> Offset {
        if self.kept.is_empty() { self.log.log_start() } else { Offset::ZERO }
    }

    pub(in crate::log) fn attach(&mut self) {
        for kept in &self.kept[self.kept.len() - self.unattached..] {
            let bytes = Slice::from_vec(kept.bytes.clone());
            let wal_file = self.disk.wal_file;
            self.log.attach(kept.base, bytes.clone(), wal_file);
            self.disk.log(WalBatch {
                segment_base: kept.segment_base,
                position: kept.position,
                base: kept.base,
                last: kept.last,
                epoch: kept.epoch,
                bytes,
                wal_file,
                intact: Intact::Yes,
            });
        }
        self.unattached = 0;
    }

    pub(in crate::log) fn durable(&mut self) {
        if let Some(entry) = self.disk.wal.last().filter(|_| self.disk.volatile > 0) {
            self.log.on_durable(entry.last.next());
            self.disk.volatile = 0;
        }
    }

    pub(in crate::log) fn append_durably(&mut self, sent: &Sent) -> Result<Placed, AppendError> {
        let placed = self.append(sent);
        self.attach();
        self.durable();
        self.high_watermark = self.log.durable_end();
        placed
    }

    /// Reads as storage would, every other offset with little memory; the bytes, or `None` for a faulty place.
    pub(in crate::log) fn read(&self, wanted: Wanted, slack: usize) -> Option<Vec<u8>> {
        let most = if wanted.from.0 % 2 == 0 { 1 } else { u32::MAX };
        let mut read = match self.log.read(wanted) {
            ReadPlan::Empty | ReadPlan::OutOfRange => return Some(Vec::new()),
            ReadPlan::Faulty => return None,
            ReadPlan::Tail(slices) => return Some(slices.iter().flat_map(|slice| slice.to_vec()).collect()),
            ReadPlan::Disk(read) => read.at_most(most),
        };
        loop {
            match read.select(&self.disk.read(&read, slack), wanted) {
                Selected::Batches(bytes) => return Some(bytes.to_vec()),
                Selected::Empty | Selected::GoOn(_) => return Some(Vec::new()),
                Selected::NeedMore(more) => {
                    assert!(more.at > read.at || more.len > read.len, "a read that gets on");
                    read = more.at_most(most);
                }
                Selected::Faulty => return None,
            }
        }
    }

    /// The batch of the twin that holds `offset`.
    pub(in crate::log) fn place_of(&self, offset: Offset) -> Option<usize> {
        self.kept.iter().position(|kept| kept.base <= offset && offset <= kept.last)
    }

    pub(in crate::log) fn check_read(&self, wanted: Wanted, slack: usize) {
        let plan = self.log.read(wanted);
        let in_range = self.log.log_start() <= wanted.from && wanted.from <= self.log.log_end();
        assert_eq!(plan == ReadPlan::OutOfRange, !in_range);
        let read = self.read(wanted, slack).expect("nothing is faulty");
        let upto = wanted.upto.min(self.log.durable_end());
        let first = self.place_of(wanted.from).filter(|_| in_range && wanted.from < upto);
        let fits = |kept: &&Kept| {
            kept.last < upto
                && (kept.bytes.len() <= wanted.bytes_max || wanted.minimum == Minimum::AtLeastOne)
        };
        let Some(first) = first.filter(|first| fits(&&self.kept[*first])) else {
            assert!(read.is_empty(), "nothing can be read at {wanted:?}");
            return;
        };
        let mut rest = &read[..];
        for (count, kept) in self.kept[first..].iter().enumerate() {
            if rest.is_empty() {
                assert!(count > 0, "the batch at {:?} is there: {plan:?}", wanted.from);
                return;
            }
            assert!(kept.last < upto, "nothing above the bound");
            assert!(rest.starts_with(&kept.bytes), "the batch at {:?} is what was appended", kept.base);
            assert!(count == 0 || read.len() <= wanted.bytes_max, "no more than was asked for");
            rest = &rest[kept.bytes.len()..];
        }
        assert!(rest.is_empty(), "nothing but batches");
    }

    pub(in crate::log) fn find(&self, query: TimestampQuery) -> Option<Option<TimestampOffset>> {
        let (mut query, mut scratch) = (query, Scratch::new());
        let most = if query.timestamp.0 % 2 == 0 { 1 } else { u32::MAX };
        for _ in 0..10_000 {
            let (mut read, asked) = match self.log.find_timestamp(query, &mut scratch) {
                TimestampPlan::Found(found) => return Some(Some(found)),
                TimestampPlan::NotFound => return Some(None),
                TimestampPlan::Faulty => return None,
                TimestampPlan::Disk(read, asked) => (read.at_most(most), asked),
            };
            query = loop {
                match read.scan_timestamp(&self.disk.read(&read, 0), asked, &mut scratch) {
                    TimestampScan::Found(found) => return Some(Some(found)),
                    TimestampScan::GoOn(next) => break next,
                    TimestampScan::NeedMore(more) => read = more.at_most(most),
                    TimestampScan::Faulty(_) => return None,
                }
            };
        }
        panic!("the search for a time gets on");
    }

    /// The times of the records from the start on and below `upto`.
    fn times(&self, upto: Offset) -> impl Iterator<Item = TimestampOffset> {
        let there = self.kept.iter().filter(move |kept| kept.last < upto);
        let times = there.flat_map(|kept| kept.timestamps.iter().zip(kept.base.0..));
        times
            .map(|(time, offset)| TimestampOffset { timestamp: Timestamp(*time), offset: Offset(offset) })
            .filter(|record| record.offset >= self.log.log_start())
    }

    /// The first record at or after `timestamp` below `upto`.
    pub(in crate::log) fn scan(&self, timestamp: i64, upto: Offset) -> Option<TimestampOffset> {
        self.times(upto).find(|record| record.timestamp.0 >= timestamp)
    }

    pub(in crate::log) fn check_timestamps(&self, timestamp: i64) {
        let (from, upto) = (self.log.log_start(), self.high_watermark);
        let query = TimestampQuery { timestamp: Timestamp(timestamp), from, upto, sought: Sought::First };
        assert_eq!(
            self.find(query),
            Some(self.scan(timestamp, upto)),
            "the first record at or after {timestamp}"
        );
        let newest = self.times(upto).map(|record| record.timestamp.0).max();
        let found = self.log.newest(upto).map_or(Some(None), |query| self.find(query));
        let newest = newest.and_then(|newest| self.scan(newest, upto));
        assert_eq!(found, Some(newest), "the newest record");
    }

    pub(in crate::log) fn check_derived(&self) {
        let mut producers = ProducerState::default();
        for kept in self.kept.iter().filter(|kept| kept.base >= self.producers_from) {
            producers.apply(&kept.info, Extent { base: kept.base, last: kept.last });
        }
        assert_eq!(self.log.producers(), &producers, "the producers are the fold of the batches");
        for epoch in 0..=self.epoch.0 {
            let there = self.kept.iter().filter(|kept| kept.last >= self.log.log_start());
            let newest = there.clone().filter(|kept| kept.epoch.0 <= epoch).map(|kept| kept.epoch).max();
            let end = there.clone().find(|kept| kept.epoch.0 > epoch).map_or(self.end(), |kept| kept.base);
            if let Some(newest) = newest {
                let found = self.log.epochs().end_of(LeaderEpoch(epoch), self.log.log_end());
                assert_eq!(found, Some((newest, end)), "epoch {epoch} is the fold of the batches");
            }
        }
        for segment in &self.log.segments {
            self.check_index(segment);
        }
    }

    fn check_index(&self, segment: &crate::log::segment::Segment) {
        let there = || self.kept.iter().filter(|kept| kept.segment_base == segment.base);
        for entry in segment.index.entries() {
            let before = there().filter(|kept| kept.position < entry.position);
            let newest = before.map(|kept| kept.info.max_timestamp).max();
            let batch = there().find(|kept| kept.position == entry.position).expect("an entry is at a batch");
            assert_eq!(
                batch.base.since(segment.base),
                i64::from(entry.offset_delta),
                "an entry has its offset"
            );
            assert_eq!(Some(entry.timestamp_max_before), newest, "an entry knows the times before it");
        }
        for kept in there() {
            assert!(segment.index.position_of_offset(kept.base) <= kept.position, "a lookup stays before");
            assert!(segment.index.position_of_offset(kept.last) <= kept.position, "a lookup stays before");
        }
        assert_eq!(segment.timestamp_max, there().map(|kept| kept.info.max_timestamp).max());
        assert_eq!(u64::from(segment.len), there().map(|kept| u64::from(kept.info.len)).sum::<u64>());
    }
}
