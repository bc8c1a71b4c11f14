//! What is known of producers outlives their batches.

use alloc::vec::Vec;

use super::model::{Model, Sent, config, now};
use super::world::Until;
use crate::id::Offset;
use crate::log::recovery::ProducersOfDeleted;
use crate::log::{Destage, LogConfig, Placed};
use crate::prng::Prng;
use crate::time::Duration;

fn sent(sequence: i32, wall: i64) -> Sent {
    Sent { producer: Some((7, 0, sequence)), timestamps: [wall].into(), value_bytes: 100 }
}

/// The sequences of `range`, all destaged, sealed and past their retention; the active segment is empty and has a file.
fn write_and_age(model: &mut Model, range: core::ops::Range<i32>) {
    for sequence in range {
        model.append_durably(&sent(sequence, model.wall)).unwrap();
    }
    model.wall += 10_000;
    model.log.roll_if_due(now(model.wall));
    model.disk.wal_file += 1;
    while model.disk.destage(&mut model.log, Destage::Blocks, Until::Done) {}
    while model.disk.seal(&mut model.log, Until::Done) {}
    if let Some(base) = model.log.needs_file(now(model.wall), model.high_watermark) {
        model.disk.segments.insert(base, Vec::new());
        model.log.on_file_created(base);
    }
}

fn delete_all(model: &mut Model, until: Until) {
    for base in model.log.expired(now(model.wall), model.high_watermark) {
        model.log.on_deleted(base);
        model.disk.remove(&mut model.log, base, until);
    }
    assert_eq!(model.log.log_start(), model.log.log_end(), "all records are deleted");
}

fn crash(model: &mut Model) {
    let (log, report) = model.disk.crash(&model.config, &mut Prng::new(1));
    assert_eq!(report.faulty, []);
    log.audit();
    model.log = log;
    model.high_watermark = model.log.durable_end();
    model.check_derived();
}

fn model() -> Model {
    Model::new(LogConfig { retention: Some(Duration::from_millis(1_000)), ..config() })
}

fn assert_repeats(model: &mut Model, sequence: i32) {
    let placed = model.append(&sent(sequence, model.wall)).unwrap();
    assert!(matches!(placed, Placed::Duplicate { .. }), "the batch was there: {placed:?}");
}

#[test]
fn a_retry_after_the_deletion_of_all_records_is_a_duplicate() {
    for until in [Until::Write, Until::Done] {
        let mut model = model();
        write_and_age(&mut model, 0..3);
        delete_all(&mut model, until);
        crash(&mut model);
        assert_repeats(&mut model, 2);
        // Neither a batch in the active segment nor a second crash takes anything away.
        model.append_durably(&sent(3, model.wall)).unwrap();
        crash(&mut model);
        for sequence in 0..4 {
            assert_repeats(&mut model, sequence);
        }
    }
}

#[test]
fn the_newest_of_several_footers_left_is_believed_and_the_others_go() {
    let mut model = model();
    write_and_age(&mut model, 0..3);
    delete_all(&mut model, Until::Done);
    write_and_age(&mut model, 3..5);
    delete_all(&mut model, Until::Write);
    assert!(model.disk.footers_left().eq([Offset(0), Offset(3)]));
    crash(&mut model);
    assert_repeats(&mut model, 4);
    write_and_age(&mut model, 5..6);
    delete_all(&mut model, Until::Done);
    assert!(model.disk.footers_left().eq([Offset(5)]), "those of the life before go too");
    crash(&mut model);
    assert_repeats(&mut model, 5);
}

#[test]
fn an_older_footer_left_does_not_stand_in_for_a_rotten_one() {
    let mut model = model();
    write_and_age(&mut model, 0..3);
    delete_all(&mut model, Until::Done);
    write_and_age(&mut model, 3..5);
    delete_all(&mut model, Until::Write);
    let footer = model.disk.footers.get_mut(&Offset(3)).unwrap();
    let second = footer.len() / 2;
    footer[20] ^= 1;
    let (log, _) = model.disk.recover(&model.config);
    assert!(!log.producers().is_empty(), "there is a second copy");
    let footer = model.disk.footers.get_mut(&Offset(3)).unwrap();
    footer[second + 20] ^= 1;
    let (log, report) = model.disk.crash(&model.config, &mut Prng::new(1));
    assert!(log.producers().is_empty(), "what is not known to be the newest would refuse what comes next");
    assert_eq!(report.producers, ProducersOfDeleted::Lost, "and that is told");
}
