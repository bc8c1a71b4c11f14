//! Random operations on a log, its disk and its twin.

extern crate std;

use alloc::vec::Vec;

use super::model::{Model, Sent, config};
use super::world::Until;
use crate::id::{LeaderEpoch, Offset};
use crate::limits::DESTAGE_RUN_BYTES_MIN;
use crate::log::{Destage, LogConfig, Minimum, Wanted};
use crate::prng::Prng;
use crate::time::Duration;

const RUNS: u64 = 3_000;
const STEPS: u64 = 60;

fn small(prng: &mut Prng, bound: u64) -> usize {
    usize::try_from(prng.below(bound)).unwrap()
}

fn draw_config(prng: &mut Prng) -> LogConfig {
    LogConfig {
        segment_bytes: u32::try_from(prng.between(6_000, 60_000)).unwrap(),
        segment_age_max: Duration::from_millis(prng.between(100, 5_000)),
        deletes: true,
        retention: prng.chance(500_000).then(|| Duration::from_millis(prng.between(200, 3_000))),
        retention_bytes: prng.chance(300_000).then(|| prng.between(10_000, 100_000)),
        index_interval_bytes: u32::try_from(prng.between(1, 3_000)).unwrap(),
        compaction: None,
    }
}

/// Mostly what a producer would send next; sometimes what it sent before, or what no producer should send.
fn draw_batch(model: &Model, prng: &mut Prng) -> Sent {
    let count = prng.between(1, 5);
    let timestamps: Vec<i64> = (0..count).map(|_| model.wall - 300 + prng.between(0, 400) as i64).collect();
    let long = prng.chance(30_000);
    let value_bytes = small(prng, if long { 9_000 } else { 500 });
    let mut sent = Sent { producer: None, timestamps, value_bytes };
    let id = prng.between(0, 3) as i64;
    if id == 0 {
        return sent;
    }
    let of_producer: Vec<_> = model.kept.iter().filter(|kept| kept.info.producer_id.0 == id).collect();
    let Some(newest) = of_producer.last() else {
        let sequence = if prng.chance(300_000) { i32::MAX - 2 } else { 0 };
        sent.producer = Some((id, 0, sequence));
        return sent;
    };
    let next = newest.info.last_sequence().wrapping_add(1) & i32::MAX;
    let epoch = newest.info.producer_epoch.0;
    match prng.below(10) {
        0 | 1 => {
            let back = small(prng, 7).min(of_producer.len() - 1);
            let old = of_producer[of_producer.len() - 1 - back];
            sent.timestamps.clone_from(&old.timestamps);
            sent.producer = Some((id, old.info.producer_epoch.0, old.info.base_sequence));
        }
        2 => sent.producer = Some((id, epoch, next.wrapping_add(1) & i32::MAX)),
        3 => sent.producer = Some((id, epoch + 1, if prng.chance(500_000) { 0 } else { 5 })),
        4 => sent.producer = Some((id, (epoch - 1).max(0), next)),
        _ => sent.producer = Some((id, epoch, next)),
    }
    sent
}

fn step(model: &mut Model, prng: &mut Prng) {
    match prng.below(21) {
        0..=6 => {
            let sent = draw_batch(model, prng);
            // A refusal was compared with the twin's already.
            let _ = model.append(&sent);
        }
        7 | 8 => model.attach(),
        9 | 10 => {
            model.attach();
            model.durable();
            if prng.chance(300_000) {
                model.disk.wal_file += 1;
            }
        }
        11 | 12 => {
            model.high_watermark = model.high_watermark.max(model.log.durable_end());
        }
        13 | 14 => {
            let mode = match prng.below(10) {
                0..=5 => Destage::Blocks,
                6 | 7 => Destage::All,
                _ => Destage::Runs(DESTAGE_RUN_BYTES_MIN),
            };
            model.disk.destage(&mut model.log, mode, Until::Done);
        }
        15 => {
            model.disk.seal(&mut model.log, Until::Done);
        }
        16 => {
            let end = Offset(prng.below(model.high_watermark.0.cast_unsigned() + 1) as i64);
            model.log.evict(end);
        }
        17 => retention(model, prng),
        18 => {
            if model.disk.volatile == 0 {
                model.disk.carry_forward(&mut model.log);
            }
            model.epoch = LeaderEpoch(model.epoch.0 + i32::from(prng.chance(200_000)));
        }
        19 => {
            model.disk.take_point(&model.log);
            if prng.chance(500_000) {
                model.disk.points_written_to = model.log.durable_end();
            }
        }
        _ => {
            if prng.chance(300_000) {
                crash(model, prng);
            }
        }
    }
    model.wall += prng.between(0, 60) as i64;
}

fn retention(model: &mut Model, prng: &mut Prng) {
    let now = super::model::now(model.wall);
    model.log.roll_if_due(now);
    if let Some(base) = model.log.needs_file(now, model.high_watermark) {
        model.disk.segments.insert(base, Vec::new());
        model.log.on_file_created(base);
    }
    for base in model.log.expired(now, model.high_watermark) {
        model.log.on_deleted(base);
        match prng.below(20) {
            // The node dies before the file is gone, or before older footers are.
            0 => return crash(model, prng),
            1 => {
                model.disk.remove(&mut model.log, base, Until::Write);
                return crash(model, prng);
            }
            _ => model.disk.remove(&mut model.log, base, Until::Done),
        }
        assert!(model.disk.footers_left().eq([base]), "one footer tells of what was deleted");
    }
}

fn crash(model: &mut Model, prng: &mut Prng) {
    let before = model.log.durable_end();
    match prng.below(4) {
        0 => drop(model.disk.destage(&mut model.log, Destage::All, Until::Write)),
        1 => drop(model.disk.seal(&mut model.log, Until::Write)),
        _ => {}
    }
    if prng.chance(100_000)
        && let Some(footer) = model.disk.footers.values_mut().next_back()
    {
        let place = small(prng, footer.len() as u64);
        footer[place] ^= 1 << prng.below(8);
    }
    let left = model.disk.footers_left().last();
    let known = model.disk.footers.iter().any(|(base, footer)| {
        let len = model.disk.segments.get(base).map(Vec::len);
        let fits = |len_told: u32| Some(len_told as usize) == len || Some(*base) == left;
        crate::log::footer::decode(footer).is_some_and(|footer| fits(footer.len))
    });
    let (log, report) = model.disk.crash(&model.config, prng);
    model.log = log;
    model.log.audit();
    assert_eq!(report.faulty, [], "nothing is lost where nothing is rotten");
    let end = model.log.log_end();
    assert!(end >= before, "what was durable is there");
    model.kept.retain(|kept| kept.base < end);
    model.unattached = 0;
    assert_eq!(end, model.end().max(model.log.log_start()), "and nothing that was not appended");
    model.high_watermark = end;
    if !known && report.points.taken == 0 {
        model.producers_from = model.producers_from.max(model.log.log_start());
    }
}

fn check(model: &Model, prng: &mut Prng) {
    model.log.audit();
    let end = model.log.log_end().0.cast_unsigned();
    for _ in 0..3 {
        let wanted = Wanted {
            from: Offset(prng.below(end + 2) as i64),
            upto: model.high_watermark,
            bytes_max: small(prng, 20_000),
            minimum: if prng.chance(700_000) { Minimum::AtLeastOne } else { Minimum::UpTo },
        };
        model.check_read(wanted, small(prng, 5_000));
    }
    model.check_timestamps(model.wall - 2_000 + prng.below(2_500) as i64);
    model.check_derived();
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

fn run(seed: u64) {
    let _seed = Seed(seed);
    let mut prng = Prng::new(seed);
    let mut model = Model::new(draw_config(&mut prng));
    model.disk.sound = true;
    for _ in 0..STEPS {
        step(&mut model, &mut prng);
        check(&model, &mut prng);
    }
    crash(&mut model, &mut prng);
    check(&model, &mut prng);
}

#[test]
fn random_runs_do_as_the_twin() {
    for seed in 0..RUNS {
        run(seed);
    }
}

#[test]
fn long_runs_do_as_the_twin() {
    for seed in 0..20 {
        let mut prng = Prng::new(1 << 32 | seed);
        let mut model = Model::new(config());
        model.disk.sound = true;
        for count in 0..1_500 {
            step(&mut model, &mut prng);
            if count % 10 == 0 {
                check(&model, &mut prng);
            }
        }
    }
}
