//! Counts in fixed buckets that one thread adds to and another reads.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::metrics::Distribution;

/// Bounds of latencies in nanoseconds: from a tenth of a millisecond, which a commit to fast storage takes, to half a minute.
pub(crate) static LATENCY_NANOS: [u64; BUCKETS] = [
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    10_000_000_000,
    30_000_000_000,
];

/// Bounds of lengths in bytes: powers of four from 64.
pub(crate) static BYTES: [u64; BUCKETS] = {
    let mut bounds = [0; BUCKETS];
    let mut place = 0;
    while place < BUCKETS {
        bounds[place] = 64 << (2 * place);
        place += 1;
    }
    bounds
};

/// Bounds of counts: powers of two from 1.
pub(crate) static COUNTS: [u64; BUCKETS] = {
    let mut bounds = [0; BUCKETS];
    let mut place = 0;
    while place < BUCKETS {
        bounds[place] = 1 << place;
        place += 1;
    }
    bounds
};

pub(crate) const BUCKETS: usize = 16;

/// Nanoseconds, or bytes, or a count of things.
#[derive(Debug, Default)]
pub(crate) struct Histogram {
    counts: [AtomicU64; BUCKETS],
    beyond: AtomicU64,
    sum: AtomicU64,
}

impl Histogram {
    /// Adds one value; `bounds` are those of this histogram in every call.
    pub(crate) fn add(&self, bounds: &'static [u64; BUCKETS], value: u64) {
        let bucket = bounds.iter().position(|bound| value <= *bound);
        bucket.map_or(&self.beyond, |bucket| &self.counts[bucket]).fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(value, Ordering::Relaxed);
    }
}

/// Adds several histograms of the same bounds up; `unit` is what one of their numbers is in base units.
pub(crate) fn add_up<'h>(
    histograms: impl Iterator<Item = &'h Histogram>,
    bounds: &'static [u64; BUCKETS],
    unit: Unit,
) -> Distribution {
    let (mut counts, mut beyond, mut sum) = ([0; BUCKETS], 0, 0_u64);
    for histogram in histograms {
        // What is added meanwhile is in the buckets or not; the count is made of them, so that they always agree.
        for (count, bucket) in counts.iter_mut().zip(&histogram.counts) {
            *count += bucket.load(Ordering::Relaxed);
        }
        beyond += histogram.beyond.load(Ordering::Relaxed);
        sum = sum.wrapping_add(histogram.sum.load(Ordering::Relaxed));
    }
    let buckets = bounds.iter().zip(counts).map(|(bound, count)| (unit.of(*bound), count)).collect();
    Distribution { buckets, beyond, sum: unit.of(sum) }
}

/// What the numbers of a histogram stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Nanoseconds,
    One,
}

impl Unit {
    fn of(self, number: u64) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a float is what the page has")]
        let number = number as f64;
        match self {
            Self::Nanoseconds => number / 1e9,
            Self::One => number,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn value_falls_into_the_first_bucket_that_holds_it() {
        let (one, two) = (Histogram::default(), Histogram::default());
        for value in [100_000, 100_001, 31_000_000_000] {
            one.add(&LATENCY_NANOS, value);
        }
        two.add(&LATENCY_NANOS, 0);
        let found = add_up([&one, &two].into_iter(), &LATENCY_NANOS, Unit::Nanoseconds);
        assert_eq!(found.buckets[..3], [(0.0001, 2), (0.00025, 1), (0.0005, 0)]);
        assert_eq!((found.beyond, found.sum), (1, 31.000_200_001));
    }

    #[test]
    fn bounds_ascend() {
        for bounds in [&LATENCY_NANOS, &BYTES, &COUNTS] {
            assert!(bounds.is_sorted() && bounds[0] > 0);
        }
    }
}
