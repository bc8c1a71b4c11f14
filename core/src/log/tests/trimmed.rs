//! A log that begins within a segment, because records were deleted.

use alloc::vec::Vec;

use super::model::{Model, Sent, config, now};
use super::world::Until;
use crate::batch::Scratch;
use crate::id::Offset;
use crate::log::{Destage, LogConfig, Minimum, ReadPlan, Sought, TimestampPlan, TimestampQuery, Wanted};
use crate::prng::Prng;
use crate::time::Timestamp;

fn read(model: &Model, from: i64) -> ReadPlan {
    let wanted = Wanted {
        from: Offset(from),
        upto: model.high_watermark,
        bytes_max: 1 << 20,
        minimum: Minimum::AtLeastOne,
    };
    model.log.read(wanted)
}

fn crash(model: &mut Model) {
    let (log, report) = model.disk.crash(&model.config, &mut Prng::new(1));
    assert_eq!(report.faulty, []);
    log.audit();
    model.log = log;
    model.high_watermark = model.log.durable_end();
}

/// Three batches of three records each; the newest record is the first.
fn model() -> Model {
    let mut model = Model::new(config());
    for timestamps in [[900, 20, 30], [40, 50, 60], [70, 80, 90]] {
        model.append_durably(&Sent::plain(&timestamps, 10)).unwrap();
    }
    model
}

fn trim(model: &mut Model, start: i64) {
    model.log.advance_start(Offset(start));
    model.disk.log_start = Some(Offset(start));
    model.log.audit();
}

#[test]
fn records_before_the_start_are_out_of_range() {
    let mut model = model();
    trim(&mut model, 4);
    for _ in 0..2 {
        assert_eq!((model.log.log_start(), model.log.first_base()), (Offset(4), Offset(0)));
        assert_eq!((read(&model, 3), read(&model, 0)), (ReadPlan::OutOfRange, ReadPlan::OutOfRange));
        assert!(!matches!(read(&model, 4), ReadPlan::OutOfRange | ReadPlan::Empty), "within a batch");
        crash(&mut model);
    }
    trim(&mut model, 2);
    assert_eq!(model.log.log_start(), Offset(4), "it does not go back");
}

#[test]
fn times_are_looked_for_from_the_start_on() {
    let mut model = model();
    trim(&mut model, 4);
    let find = |time| {
        let (from, upto) = (model.log.log_start(), model.high_watermark);
        let query = TimestampQuery { timestamp: Timestamp(time), from, upto, sought: Sought::First };
        match model.log.find_timestamp(query, &mut Scratch::new()) {
            TimestampPlan::Found(found) => Some((found.offset.0, found.timestamp.0)),
            TimestampPlan::NotFound => None,
            plan @ (TimestampPlan::Disk(..) | TimestampPlan::Faulty) => panic!("all is in memory: {plan:?}"),
        }
    };
    assert_eq!(find(0), Some((4, 50)), "the batch of the start has an older record, which is deleted");
    assert_eq!(find(85), Some((8, 90)));
    assert_eq!(find(901), None);
}

#[test]
fn newest_record_is_one_that_is_left() {
    let mut model = model();
    let mut newest = |start| {
        trim(&mut model, start);
        let query = model.log.newest(model.high_watermark)?;
        model.find(query).expect("nothing is faulty").map(|found| (found.offset.0, found.timestamp.0))
    };
    assert_eq!(newest(0), Some((0, 900)));
    assert_eq!(newest(1), Some((8, 90)), "the newest of the segment is deleted");
    assert_eq!(newest(9), None);
}

#[test]
fn times_are_found_wherever_the_log_begins() {
    for seed in 0..200 {
        let mut prng = Prng::new(seed);
        let mut model = Model::new(LogConfig { segment_bytes: 20_000, ..config() });
        for _ in 0..prng.between(1, 80) {
            let timestamps: Vec<i64> =
                (0..prng.between(1, 6)).map(|_| i64::try_from(prng.below(50)).unwrap()).collect();
            model.append_durably(&Sent::plain(&timestamps, 200)).unwrap();
        }
        if prng.chance(700_000) {
            while model.disk.destage(&mut model.log, Destage::Blocks, Until::Done) {}
            while model.disk.seal(&mut model.log, Until::Done) {}
            model.log.evict(Offset(i64::try_from(prng.below(model.end().0.unsigned_abs() + 1)).unwrap()));
        }
        let mut start = 0;
        while start <= model.end().0 {
            trim(&mut model, start);
            model.check_timestamps(i64::try_from(prng.below(52)).unwrap());
            start += i64::try_from(prng.between(1, 40)).unwrap();
        }
    }
}

#[test]
fn segments_below_the_start_expire_and_the_start_stays() {
    let mut model = model();
    let end = model.end();
    trim(&mut model, end.0);
    model.log.roll_if_due(now(model.wall)).expect("all of the active segment is deleted");
    model.append_durably(&Sent::plain(&[100], 10)).unwrap();
    model.disk.wal_file += 1;
    while model.disk.destage(&mut model.log, Destage::Blocks, Until::Done) {}
    while model.disk.seal(&mut model.log, Until::Done) {}
    if let Some(base) = model.log.needs_file(now(model.wall), model.high_watermark) {
        model.disk.segments.insert(base, Vec::new());
        model.log.on_file_created(base);
    }
    let expired = model.log.expired(now(model.wall), model.high_watermark);
    assert_eq!(expired, [Offset(0)], "nothing else is past its retention");
    model.log.on_deleted(Offset(0));
    model.disk.remove(&mut model.log, Offset(0), Until::Done);
    assert_eq!((model.log.log_start(), model.log.first_base()), (end, end));
    crash(&mut model);
    assert_eq!(model.log.log_start(), end);
}

#[test]
fn offsets_that_were_deleted_are_not_given_again() {
    let mut model = model();
    trim(&mut model, 7);
    // Rot takes all that is left of the log.
    model.disk.wal.clear();
    model.disk.segments.clear();
    let (log, _) = model.disk.recover(&model.config);
    log.audit();
    assert_eq!((log.log_start(), log.log_end()), (Offset(7), Offset(7)));
}
