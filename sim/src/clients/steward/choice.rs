//! What a steward does next, as drawn. Asks nobody.

use highwater_core::client::OffsetAt;
use highwater_core::prng::Prng;
use highwater_core::time::{Duration, Timestamp};

use crate::draw::Draw;
use crate::history::{Change, Ruled};

const HOUR_MILLIS: u64 = 3_600_000;

/// Settings of the topic, and values that they are given.
const OF_TOPIC: [(&str, &[&str]); 10] = [
    ("max.message.bytes", &["2000", "20000", "200000"]),
    ("max.message.bytes", &["3000", "30000", "100000"]),
    ("retention.ms", &["3600000", "36000000", "100000000", "-1"]),
    ("retention.ms", &["7200000", "18000000", "60000000", "172800000"]),
    ("retention.bytes", &["-1", "-1", "10000", "200000", "1000000"]),
    ("cleanup.policy", &["delete", "delete", ""]),
    ("segment.bytes", &["1048576", "2000000"]),
    ("segment.ms", &["600000", "3000000", "20000000"]),
    ("message.timestamp.type", &["CreateTime", "LogAppendTime"]),
    ("message.timestamp.before.max.ms", &["40000000", "9223372036854775807"]),
];

/// The same of all brokers.
const OF_BROKERS: [(&str, &[&str]); 5] = [
    ("message.max.bytes", &["1500", "15000", "120000"]),
    ("message.max.bytes", &["25000", "50000", "400000"]),
    ("log.retention.ms", &["5400000", "30000000", "120000000"]),
    ("log.retention.bytes", &["-1", "20000", "500000"]),
    ("log.cleanup.policy", &["delete", "delete", ""]),
];

/// What is asked of each.
pub(super) fn names(ruled: Ruled) -> &'static [&'static str] {
    match ruled {
        Ruled::Topic => &[
            "max.message.bytes",
            "retention.ms",
            "retention.bytes",
            "cleanup.policy",
            "segment.bytes",
            "segment.ms",
            "message.timestamp.type",
            "message.timestamp.before.max.ms",
            "min.insync.replicas",
        ],
        Ruled::Brokers => {
            &["message.max.bytes", "log.retention.ms", "log.retention.bytes", "log.cleanup.policy"]
        }
    }
}

/// What is wanted of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Intent {
    Do,
    Validate,
    /// It names a setting that nobody knows, so that nothing of it may be done.
    Fail,
}

#[derive(Debug, Clone)]
pub(super) struct Alteration {
    pub(super) ruled: Ruled,
    pub(super) changes: Vec<Change>,
    pub(super) intent: Intent,
}

#[derive(Debug, Clone)]
pub(super) enum Choice {
    Alter(Alteration),
    Describe(Ruled),
    Weigh {
        value_bytes: u64,
        age_millis: i64,
    },
    /// How old the records are; what is to come is negative.
    Store {
        ages_millis: Vec<i64>,
    },
    Offset(OffsetAt),
}

pub(super) fn choose(wall_millis: i64, prng: &mut Prng) -> Choice {
    match prng.below(100) {
        0..=19 => Choice::Alter(alteration(prng)),
        20..=39 => Choice::Describe(ruled(prng)),
        40..=64 => {
            let value_bytes = prng.pick(&[100, 1_000, 2_500, 10_000, 22_000, 40_000, 150_000, 300_000]);
            let age_millis = if prng.chance(800_000) { 0 } else { age(48 * HOUR_MILLIS, prng) };
            Choice::Weigh { value_bytes, age_millis }
        }
        65..=79 => Choice::Store { ages_millis: ages(prng) },
        _ => Choice::Offset(at(wall_millis, prng)),
    }
}

/// Mostly one thing comes soon after the other, and then nothing for hours.
pub(super) fn rest(prng: &mut Prng) -> Duration {
    match prng.below(60) {
        0 => Duration::from_secs(prng.between(3 * 3_600, 8 * 3_600)),
        1..=3 => prng.micros(1_000_000, 7_200_000_000),
        _ => prng.micros(500, 200_000),
    }
}

fn ruled(prng: &mut Prng) -> Ruled {
    if prng.chance(400_000) { Ruled::Brokers } else { Ruled::Topic }
}

fn alteration(prng: &mut Prng) -> Alteration {
    let ruled = ruled(prng);
    let known: &[(&'static str, &[&str])] = match ruled {
        Ruled::Topic => &OF_TOPIC,
        Ruled::Brokers => &OF_BROKERS,
    };
    let mut changes: Vec<Change> = Vec::new();
    for _ in 0..prng.between(1, 2) {
        let (name, values) = known[prng.place(known.len())];
        if changes.iter().all(|(named, _)| *named != name) {
            let value = prng.chance(650_000).then(|| prng.pick(values).to_owned());
            changes.push((name, value));
        }
    }
    let intent = match prng.below(10) {
        0 => Intent::Validate,
        1 => Intent::Fail,
        _ => Intent::Do,
    };
    Alteration { ruled, changes, intent }
}

fn age(most: u64, prng: &mut Prng) -> i64 {
    i64::try_from(prng.below(most)).expect("days are few milliseconds")
}

/// Times of the records of one batch, in no order.
fn ages(prng: &mut Prng) -> Vec<i64> {
    let spread = prng.pick(&[3, 2_000, HOUR_MILLIS / 2]);
    let (count, shift) = (prng.between(1, 12), age(HOUR_MILLIS, prng) / prng.pick(&[1, 1_000]));
    (0..count).map(|_| age(spread, prng) + shift - 1_000_000).collect()
}

fn at(wall_millis: i64, prng: &mut Prng) -> OffsetAt {
    match prng.below(10) {
        0 => OffsetAt::Earliest,
        1 => OffsetAt::Latest,
        2 | 3 => OffsetAt::MaxTimestamp,
        // Where the records of now are, of today, or of all days.
        4..=6 => OffsetAt::Time(Timestamp(wall_millis + 1_000_000 - age(4_000, prng))),
        7 | 8 => OffsetAt::Time(Timestamp(wall_millis + 1_000_000 - age(8 * HOUR_MILLIS, prng))),
        _ => OffsetAt::Time(Timestamp(wall_millis + 1_000_000 - age(72 * HOUR_MILLIS, prng))),
    }
}
