//! Starts that go on behind a recovery point, and points that are not believed.

use alloc::vec::Vec;

use super::model::{Model, Sent, config};
use super::world::Until;
use crate::buf::Slice;
use crate::id::Offset;
use crate::limits::BLOCK_BYTES;
use crate::log::recovery::{Points, WalState};
use crate::log::{Destage, Intact, LogView};

const BLOCK: usize = BLOCK_BYTES;

fn append(model: &mut Model, batches: i64) {
    for place in 0..batches {
        let sent = Sent {
            producer: Some((7, 0, next_sequence(model))),
            timestamps: alloc::vec![place],
            value_bytes: 700,
        };
        model.append_durably(&sent).expect("it is in order");
    }
}

fn next_sequence(model: &Model) -> i32 {
    i32::try_from(model.kept.len()).expect("few")
}

fn destage(model: &mut Model) {
    while model.disk.destage(&mut model.log, Destage::Blocks, Until::Done) {}
}

fn point(model: &mut Model) {
    model.disk.take_point(&model.log);
    model.disk.points_written_to = model.log.durable_end();
}

/// A log of which most is destaged, with a point, and batches behind it in the file and in the WAL.
fn written() -> Model {
    let mut model = Model::new(config());
    append(&mut model, 20);
    destage(&mut model);
    point(&mut model);
    model.disk.wal_file += 1;
    append(&mut model, 10);
    destage(&mut model);
    model.disk.wal_file += 1;
    append(&mut model, 10);
    destage(&mut model);
    model
}

/// What recovery makes of the disk, without what only the width of the index tells.
fn recovered(model: &Model) -> (LogView, Points) {
    let (log, report) = model.disk.recover(&model.config);
    log.audit();
    let mut view = log.view();
    for segment in &mut view.segments {
        (segment.index, segment.by_offset, segment.by_time) = (Vec::new(), Vec::new(), Vec::new());
    }
    (view, report.points)
}

#[test]
fn a_start_reads_only_what_is_behind_the_point() {
    let mut model = written();
    let (resumed, points) = recovered(&model);
    let read = model.disk.recovery_bytes.get();
    assert_eq!(points, Points { taken: 1, refused: 0 });
    model.disk.points.clear();
    let (whole, points) = recovered(&model);
    assert_eq!(points, Points::default());
    assert_eq!(resumed, whole);
    let whole = model.disk.recovery_bytes.get();
    assert!(read + BLOCK < whole, "{read} bytes of {whole} were read");
    assert_eq!(resumed.log_end, Offset(40));
    assert_eq!(resumed.producers.len(), 1);
}

/// The log as it comes back in spite of a point that the change contradicts.
fn refused(change: fn(&mut Model)) -> Model {
    let mut model = written();
    change(&mut model);
    let (with_point, points) = recovered(&model);
    assert_eq!(points, Points { taken: 0, refused: 1 });
    model.disk.points.clear();
    assert_eq!(with_point, recovered(&model).0, "as if there were none");
    model
}

#[test]
fn what_the_wal_or_the_file_contradicts_is_not_believed() {
    refused(|model| model.disk.lacks = Some(WalState::Lacking { wal_file: 0 }));
    refused(|model| model.disk.segments.values_mut().for_each(|file| file.truncate(BLOCK)));
    refused(|model| drop(model.disk.footers.insert(Offset::ZERO, alloc::vec![0; BLOCK])));
    let rotten = |model: &mut Model| {
        point(model);
        for batch in &mut model.disk.wal {
            let mut bytes = batch.bytes.to_vec();
            *bytes.last_mut().expect("a batch is not empty") ^= 1;
            (batch.bytes, batch.intact) = (Slice::from_vec(bytes), Intact::Faulty);
        }
    };
    refused(rotten);
    refused(|model| {
        point(model);
        drop(model.disk.wal.pop());
    });
}

#[test]
fn the_end_of_an_ended_segment_is_on_disk() {
    let mut model = Model::new(config());
    append(&mut model, 20);
    destage(&mut model);
    point(&mut model);
    model.log.end_segment().expect("it is not empty");
    destage(&mut model);
    assert!(model.disk.seal(&mut model.log, Until::Write), "its footer is not written");
    let (resumed, points) = recovered(&model);
    assert_eq!(points, Points { taken: 1, refused: 0 });
    model.disk.points.clear();
    assert_eq!(resumed, recovered(&model).0);
}
