//! Rot: what is lost must be told, what is not lost must be read, and no offset may be given twice.

use alloc::vec::Vec;

use super::model::{Kept, Model, Sent, config};
use super::world::Until;
use crate::batch::{HEADER_BYTES, patch_offset_and_epoch};
use crate::id::{LeaderEpoch, Offset};
use crate::limits::BLOCK_BYTES;
use crate::log::footer;
use crate::log::recovery::WalState;
use crate::log::{Destage, Extent, FRAME_LEN_AT, FRAME_MAGIC, Intact, LogConfig, Minimum, Wanted};
use crate::prng::Prng;

/// Where a batch has its leader epoch.
const EPOCH: core::ops::Range<usize> = 12..16;

fn filled(batches: i64, value_bytes: usize, config: LogConfig) -> Model {
    let mut model = Model::new(config);
    for count in 0..batches {
        model.append_durably(&Sent::plain(&[1_000 + count, 900 + count], value_bytes)).unwrap();
    }
    model
}

fn destage_all(model: &mut Model) {
    model.disk.wal_file += 1;
    while model.disk.destage(&mut model.log, Destage::Blocks, Until::Done) {}
    while model.disk.seal(&mut model.log, Until::Done) {}
    model.log.evict(model.log.log_end());
}

fn wanted(from: Offset, upto: Offset) -> Wanted {
    Wanted { from, upto, bytes_max: 1, minimum: Minimum::AtLeastOne }
}

/// Every batch is read as it was appended, or its place is faulty. Gives the lost batches.
fn lost(model: &Model) -> Vec<Extent> {
    model.log.audit();
    let there = model.kept.iter().filter(|kept| kept.base >= model.log.log_start());
    let lost = there.filter(|kept| match model.read(wanted(kept.last, model.log.log_end()), 0) {
        Some(bytes) => {
            // Neither the CRC nor anything else covers the leader epoch of a batch on disk.
            let same = bytes[..EPOCH.start] == kept.bytes[..EPOCH.start];
            assert!(same && bytes[EPOCH.end..] == kept.bytes[EPOCH.end..], "the batch at {:?}", kept.base);
            false
        }
        None => true,
    });
    lost.map(|kept| Extent { base: kept.base, last: kept.last }).collect()
}

fn recover(model: &mut Model) {
    let (log, report) = model.disk.crash(&model.config, &mut Prng::new(1));
    assert_eq!(report.faulty, log.faulty());
    model.log = log;
    model.high_watermark = model.log.durable_end();
}

#[test]
fn a_rotten_wal_batch_is_faulty_and_stays_so() {
    let mut model = filled(30, 300, config());
    let rotten = model.disk.wal[7].clone();
    let bytes = rotten.bytes.to_vec().iter().map(|byte| byte ^ 0x55).collect();
    model.disk.wal[7].bytes = crate::buf::Slice::from_vec(bytes);
    model.disk.wal[7].intact = Intact::Faulty;
    recover(&mut model);
    let extent = Extent { base: rotten.base, last: rotten.last };
    assert_eq!(model.log.log_end(), model.end());
    assert_eq!(lost(&model), [extent]);
    destage_all(&mut model);
    assert_eq!(lost(&model), [extent]);
    recover(&mut model);
    assert_eq!(lost(&model), [extent], "the stand-in on disk is known again");
    assert_eq!(model.log.faulty(), [extent]);
}

#[test]
fn a_gap_in_the_wal_keeps_its_offsets() {
    let mut model = filled(30, 300, config());
    let gone: Vec<_> = model.disk.wal.drain(5..9).collect();
    recover(&mut model);
    let lost = lost(&model);
    assert_eq!(lost.len(), 4);
    assert_eq!((lost[0].base, lost[3].last), (gone[0].base, gone[3].last));
    assert_eq!(model.log.log_end(), model.end());
}

/// A model whose last segment is on disk up to its end, in no WAL.
fn on_disk_alone() -> Model {
    let mut model = filled(30, 300, config());
    while model.disk.destage(&mut model.log, Destage::Blocks, Until::Done) {}
    let segment = model.disk.segments.get_mut(&Offset::ZERO).unwrap();
    let end = |kept: &Kept| kept.position as usize + kept.bytes.len();
    model.kept.retain(|kept| end(kept) <= segment.len());
    segment.truncate(end(model.kept.last().unwrap()));
    model.disk.wal.clear();
    model
}

#[test]
fn rot_at_the_end_of_the_last_segment_is_told() {
    for (back, at) in (1..=3).flat_map(|back| (0..HEADER_BYTES + 20).map(move |at| (back, at))) {
        let mut model = on_disk_alone();
        let rotten = &model.kept[model.kept.len() - back];
        let extent = Extent { base: rotten.base, last: rotten.last };
        let place = rotten.position as usize + at;
        model.disk.segments.get_mut(&Offset::ZERO).unwrap()[place] ^= 4;
        let end = model.kept.last().unwrap().last.next();
        recover(&mut model);
        assert!(model.log.log_end() >= end, "byte {at}, {back} from the end");
        let lost = lost(&model);
        if lost.is_empty() {
            assert!(EPOCH.contains(&at), "byte {at} of a batch, {back} from the end");
            continue;
        }
        assert!(lost.contains(&extent), "byte {at} of a batch, {back} from the end: {lost:?}");
        let faulty = model.log.faulty();
        let told = |lost: &Extent| faulty.iter().any(|told| told.base <= lost.base && lost.base <= told.last);
        assert!(lost.iter().all(told), "byte {at}, {back} from the end: {lost:?} and {faulty:?}");
    }
}

/// The disk puts a frame with a batch of another log, whose offsets would fit, into a segment.
fn misdirect_frame(model: &mut Model, at: usize, base: i64) {
    let mut batch = Sent::plain(&[5, 5, 5], 100).build();
    patch_offset_and_epoch(&mut batch, Offset(base), LeaderEpoch(0));
    let block = &mut model.disk.segments.get_mut(&Offset::ZERO).unwrap()[at..at + BLOCK_BYTES];
    block.fill(0);
    block[..4].copy_from_slice(&FRAME_MAGIC);
    block[FRAME_LEN_AT..FRAME_LEN_AT + 4].copy_from_slice(&4096u32.to_le_bytes());
    block[128..128 + batch.len()].copy_from_slice(&batch);
}

/// All batches that can be read.
fn found(model: &Model) -> Vec<Vec<u8>> {
    let offsets = (0..model.log.log_end().0).map(Offset);
    let read = |offset| model.read(wanted(offset, model.log.log_end()), 0);
    offsets.filter_map(read).map(|bytes| bytes.to_vec()).collect()
}

#[test]
fn a_frame_that_was_put_into_a_segment_brings_no_batch() {
    for (block, base) in [0, 1].into_iter().flat_map(|block| (1..40).map(move |base| (block, base))) {
        let mut model = on_disk_alone();
        misdirect_frame(&mut model, block * BLOCK_BYTES, base);
        recover(&mut model);
        let kept = |bytes: &Vec<u8>| model.kept.iter().any(|kept| kept.bytes == *bytes);
        assert!(found(&model).iter().all(kept), "block {block}, base {base}");
    }
}

#[test]
fn what_is_found_behind_damage_does_not_hide_what_the_wal_has() {
    let mut model = filled(30, 300, config());
    while model.disk.destage(&mut model.log, Destage::Blocks, Until::Done) {}
    let mut stray = Sent::plain(&[5, 5, 5], 100).build();
    patch_offset_and_epoch(&mut stray, model.kept[20].base, LeaderEpoch(0));
    let (first, next) = (model.kept[3].position as usize, model.kept[10].base);
    let file = model.disk.segments.get_mut(&Offset::ZERO).unwrap();
    file[first..model.kept[10].position as usize].fill(0);
    file[first + 90..][..stray.len()].copy_from_slice(&stray);
    model.disk.wal.retain(|entry| entry.base >= next);
    recover(&mut model);
    let gone = lost(&model);
    assert_eq!((gone.len(), gone[0].base, gone[6].last.next()), (7, model.kept[3].base, next));
    assert_eq!(model.log.log_end(), model.end());
}

#[test]
fn damage_behind_what_the_wal_has_does_not_prove_it_destaged() {
    for garbage in [1, 300, 5_000] {
        let mut model = filled(30, 300, config());
        while model.disk.destage(&mut model.log, Destage::Blocks, Until::Done) {}
        let end = usize::try_from(model.log.log_end().0).unwrap() * 1_000;
        model.disk.segments.get_mut(&Offset::ZERO).unwrap().fill(1);
        model.disk.segments.get_mut(&Offset::ZERO).unwrap().resize(end + garbage, 1);
        recover(&mut model);
        destage_all(&mut model);
        assert_eq!(lost(&model), [], "{garbage} B of garbage");
        recover(&mut model);
        assert_eq!(lost(&model), [], "{garbage} B of garbage");
    }
}

#[test]
fn damage_at_the_end_of_a_segment_does_not_prove_what_the_wal_has_before_it() {
    // The file ends before the last batch of its segment, within it, where it ended, and at the end of its block.
    for cut in [-1, 70, 0, i64::MAX] {
        let mut model = filled(60, 300, LogConfig { segment_bytes: 9_000, ..config() });
        while model.disk.destage(&mut model.log, Destage::Blocks, Until::Done) {}
        let last = model.kept.iter().rposition(|kept| kept.segment_base == Offset::ZERO).unwrap();
        let (from, at) = (model.kept[last - 3].position, model.kept[last].position as usize);
        let file = model.disk.segments.get_mut(&Offset::ZERO).unwrap();
        let end = match cut {
            -1 => from as usize,
            70 => at + 70,
            0 => file.len(),
            _ => file.len().next_multiple_of(BLOCK_BYTES),
        };
        file.resize(end, 0);
        file[from as usize..].fill(0);
        model.disk.wal.remove(last);
        let extent = Extent { base: model.kept[last].base, last: model.kept[last].last };
        recover(&mut model);
        assert_eq!(lost(&model), [extent], "the WAL has the others, cut at {cut}");
        let pinned = model.log.undestaged().next().map(|batch| batch.base);
        assert_eq!(pinned, Some(Offset::ZERO), "the WAL is needed from its first batch on, cut at {cut}");
        destage_all(&mut model);
        assert_eq!(lost(&model), [extent], "all of it is on disk, cut at {cut}");
        recover(&mut model);
        assert_eq!(lost(&model), [extent], "all of it was on disk, cut at {cut}");
        assert_eq!(model.log.log_end(), model.end());
    }
}

#[test]
fn where_frames_are_missing_a_batch_on_disk_says_nothing_of_those_before_it() {
    // The file ends before the log or, with what fills its last block, behind it.
    for mode in [Destage::Blocks, Destage::All] {
        let mut model = filled(30, 300, config());
        // The page cache has written the segment back in part when the power goes.
        assert!(model.disk.destage(&mut model.log, mode, Until::Write));
        let file = model.disk.segments.get_mut(&Offset::ZERO).unwrap();
        file[..model.kept[5].position as usize].fill(0);
        model.disk.wal.remove(5);
        let rotten = model.disk.wal_file + 1;
        model.disk.wal.last_mut().unwrap().wal_file = rotten;
        model.disk.lacks = Some(WalState::Lacking { wal_file: rotten });
        for start in 1..=2 {
            recover(&mut model);
            assert_eq!(lost(&model), [], "start {start}: the disk has what the frame had");
            let found = model.log.undestaged().find(|batch| batch.base == model.kept[5].base);
            assert_eq!(
                found.map(|batch| batch.wal_file),
                Some(rotten),
                "the next start is to know of the rot"
            );
        }
        let pinned = model.log.undestaged().next().map(|batch| batch.base);
        assert_eq!(pinned, Some(Offset::ZERO), "the WAL is needed from its first batch on");
        destage_all(&mut model);
        assert_eq!(lost(&model), []);
        recover(&mut model);
        assert_eq!(lost(&model), [], "all of it was destaged again");
    }
}

#[test]
fn rot_of_a_header_hides_no_batch_behind_it() {
    let mut model = filled(20, 300, LogConfig { index_interval_bytes: 1 << 16, ..config() });
    destage_all(&mut model);
    let (rotten, base) =
        (Extent { base: model.kept[7].base, last: model.kept[7].last }, model.kept[7].segment_base);
    for bit in 0..HEADER_BYTES * 8 {
        let place = model.kept[7].position as usize + bit / 8;
        model.disk.segments.get_mut(&base).unwrap()[place] ^= 1 << (bit % 8);
        let is_epoch = EPOCH.contains(&(bit / 8));
        assert_eq!(lost(&model), Vec::from_iter((!is_epoch).then_some(rotten)), "bit {bit}");
        model.disk.segments.get_mut(&base).unwrap()[place] ^= 1 << (bit % 8);
    }
}

#[test]
fn a_rotten_number_of_offsets_at_the_end_of_the_log_is_not_believed_alone() {
    for field in [23, 57] {
        let mut model = filled(20, 300, config());
        while model.disk.destage(&mut model.log, Destage::All, Until::Done) {}
        model.disk.wal.clear();
        model.disk.footers.clear();
        let last = model.kept.last().unwrap().clone();
        let file = model.disk.segments.get_mut(&last.segment_base).unwrap();
        let header = &mut file[last.position as usize..][..HEADER_BYTES];
        header[field..field + 4].copy_from_slice(b"WAL1");
        recover(&mut model);
        let extent = Extent { base: last.base, last: last.last };
        assert_eq!((&lost(&model)[..], model.log.log_end()), (&[extent][..], model.end()), "at {field}");
    }
}

#[test]
fn rot_on_disk_loses_one_batch() {
    let small = LogConfig { segment_bytes: 9_000, ..config() };
    let mut model = filled(60, 300, small);
    destage_all(&mut model);
    model.disk.footers.clear();
    let segment = model.kept[2].segment_base;
    model.disk.wal.retain(|entry| entry.segment_base != segment);
    let place = usize::try_from(model.kept[2].position).unwrap() + HEADER_BYTES + 10;
    model.disk.segments.get_mut(&segment).unwrap()[place] ^= 1;
    recover(&mut model);
    let extent = Extent { base: model.kept[2].base, last: model.kept[2].last };
    assert_eq!(lost(&model), [extent]);
    assert_eq!(model.log.log_end(), model.end());
}

#[test]
fn rot_under_a_good_footer_is_not_served() {
    let small = LogConfig { segment_bytes: 9_000, ..config() };
    let mut model = filled(60, 300, small);
    destage_all(&mut model);
    let place = usize::try_from(model.kept[2].position).unwrap() + HEADER_BYTES + 10;
    model.disk.segments.get_mut(&Offset::ZERO).unwrap()[place] ^= 1;
    recover(&mut model);
    assert_eq!(model.log.faulty(), []);
    assert_eq!(lost(&model).len(), 1, "found when it is read");
}

#[test]
fn a_footer_with_any_bit_flipped_is_read_from_its_other_copy_or_not_believed() {
    let small = LogConfig { segment_bytes: 6_000, ..config() };
    let mut model = filled(30, 300, small);
    destage_all(&mut model);
    let bytes = model.disk.footers.values().next().unwrap().clone();
    assert!(footer::decode(&bytes).is_some());
    assert!(footer::repaired(&bytes).is_none(), "nothing is wrong");
    let second = bytes.len() / 2;
    let payload_bytes = u32::from_be_bytes(*bytes[8..].first_chunk().unwrap());
    let len = 16 + usize::try_from(payload_bytes).unwrap();
    for bit in 0..len * 8 {
        let mut flipped = bytes.clone();
        for copy in [second * (bit % 2), second * (1 - bit % 2)] {
            let good = footer::repaired(&flipped);
            assert!(footer::decode(&flipped).is_some(), "bit {bit} of one copy");
            assert!(good.is_none_or(|good| good == bytes), "bit {bit} of one copy");
            flipped[copy + bit / 8] ^= 1 << (bit % 8);
        }
        assert!(footer::decode(&flipped).is_none() && footer::repaired(&flipped).is_none(), "bit {bit}");
    }
    for len in 0..len {
        assert!(footer::decode(&bytes[..len]).is_none(), "{len} bytes");
    }
}

#[test]
fn a_sealed_segment_with_a_bad_footer_is_gone_through() {
    let small = LogConfig { segment_bytes: 6_000, ..config() };
    let mut model = filled(60, 300, small);
    destage_all(&mut model);
    let (base, footer) = model.disk.footers.iter_mut().nth(1).unwrap();
    let base = *base;
    let second = footer.len() / 2;
    footer[40] ^= 1;
    footer[second + 40] ^= 1;
    let (_, report) = model.disk.recover(&model.config);
    assert_eq!(report.rebuilt_footers, [base]);
    recover(&mut model);
    assert_eq!(lost(&model), []);
    destage_all(&mut model);
    model.check_derived();
    assert!(footer::decode(&model.disk.footers[&base]).is_some(), "it has a good one again");
}

#[test]
fn random_rot_is_told_and_never_served() {
    for seed in 0..1_500 {
        let mut prng = Prng::new(seed);
        let segment_bytes = u32::try_from(prng.between(5_000, 30_000)).unwrap();
        let mut model = Model::new(LogConfig { segment_bytes, ..config() });
        for count in 0..prng.between(5, 60) {
            let value_bytes = usize::try_from(prng.below(700)).unwrap();
            model.append_durably(&Sent::plain(&[1_000 + count as i64], value_bytes)).unwrap();
            if prng.chance(200_000) {
                model.disk.destage(&mut model.log, Destage::Blocks, Until::Done);
                model.disk.seal(&mut model.log, Until::Done);
                model.disk.wal_file += 1;
            }
        }
        damage(&mut model, &mut prng);
        let seen_end = model.disk.wal.iter().map(|entry| entry.last.next()).max();
        recover(&mut model);
        assert!(Some(model.log.log_end()) >= seen_end, "seed {seed}: an offset that was given stays given");
        let end = model.log.log_end();
        model.kept.retain(|kept| kept.base < end);
        lost(&model);
        destage_all(&mut model);
        let before = lost(&model);
        recover(&mut model);
        assert_eq!(lost(&model), before, "seed {seed}: what is lost is lost, and no more");
        assert_eq!(model.log.log_end(), end, "seed {seed}");
    }
}

fn damage(model: &mut Model, prng: &mut Prng) {
    for file in model.disk.segments.values_mut().filter(|file| !file.is_empty()) {
        if prng.chance(300_000) {
            let place = usize::try_from(prng.below(file.len() as u64)).unwrap();
            file[place] ^= 1 << prng.below(8);
        }
    }
    for footer in model.disk.footers.values_mut() {
        if prng.chance(200_000) {
            let place = usize::try_from(prng.below(footer.len() as u64)).unwrap();
            footer[place] ^= 1 << prng.below(8);
        }
    }
    for entry in &mut model.disk.wal {
        if prng.chance(30_000) {
            entry.intact = Intact::Faulty;
        }
    }
    if prng.chance(300_000) && !model.disk.wal.is_empty() {
        let place = usize::try_from(prng.below(model.disk.wal.len() as u64)).unwrap();
        model.disk.wal.remove(place);
    }
}

#[test]
fn recovery_takes_any_bytes() {
    for seed in 0..2_000 {
        let mut prng = Prng::new(seed);
        let mut model = filled(10, 200, LogConfig { segment_bytes: 3_000, ..config() });
        destage_all(&mut model);
        for file in model.disk.segments.values_mut() {
            let len = usize::try_from(prng.below(9_000)).unwrap();
            file.resize(len, 0);
            let from = usize::try_from(prng.below(len as u64 + 1)).unwrap();
            prng.fill(&mut file[from..]);
        }
        for entry in &mut model.disk.wal {
            match prng.below(6) {
                0 => entry.position = u32::try_from(prng.below(1 << 32)).unwrap() / (1 << prng.below(32)),
                1 => entry.base = Offset(prng.below(40) as i64 - 3),
                2 => entry.last = Offset(prng.next_u64() as i64),
                3 => entry.segment_base = Offset(prng.below(30) as i64 - 2),
                _ => {}
            }
        }
        // A gap of gigabytes would be filled with stand-ins as long; no WAL is that long.
        model.disk.wal.retain(|entry| entry.position < 1 << 20);
        let (log, _) = model.disk.recover(&model.config);
        log.audit();
    }
}

#[test]
fn a_batch_that_was_evicted_too_early_goes_as_soon_as_its_segment_holds_it() {
    let mut model = filled(30, 300, config());
    model.log.evict(model.log.log_end());
    assert_eq!(model.log.undestaged().count(), 30, "it is nowhere else");
    let held = model.log.tail_bytes();
    assert!(model.log.end_segment().is_some());
    while model.disk.destage(&mut model.log, Destage::Blocks, Until::Done) {}
    assert!(held > 0 && model.log.tail_bytes() == 0);
}
