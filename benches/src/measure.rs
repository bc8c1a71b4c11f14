//! Latencies of one kind, as histograms of nanoseconds: merged, never averaged. Knows neither protocol nor output.

use hdrhistogram::Histogram;

use crate::clock::SECOND_NANOS;

/// Three digits, up to an hour.
const DIGITS: u8 = 3;
const NANOS_MAX: u64 = 3_600 * SECOND_NANOS;

pub(crate) type Latencies = Histogram<u64>;

pub(crate) fn empty() -> Latencies {
    Histogram::new_with_bounds(1, NANOS_MAX, DIGITS).expect("the bounds are right")
}

/// What happened in one second of a run.
#[derive(Debug, Clone)]
pub(crate) struct Second {
    pub(crate) latencies: Latencies,
    pub(crate) bytes: u64,
}

/// All of a run and each of its seconds, counted from the end of the warm-up.
#[derive(Debug, Clone)]
pub(crate) struct Stage {
    pub(crate) whole: Latencies,
    pub(crate) seconds: Vec<Second>,
    pub(crate) records: u64,
    pub(crate) bytes: u64,
}

/// One thing that was done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Done {
    /// When it was meant to begin.
    pub(crate) intended_nanos: u64,
    pub(crate) ended_nanos: u64,
    pub(crate) records: u64,
    pub(crate) bytes: u64,
}

impl Stage {
    pub(crate) fn new() -> Self {
        Self { whole: empty(), seconds: Vec::new(), records: 0, bytes: 0 }
    }

    /// Takes what was meant to begin after the warm-up; what ended late is counted in the second in which it began.
    pub(crate) fn record(&mut self, warm_nanos: u64, done: Done) {
        let Some(since) = done.intended_nanos.checked_sub(warm_nanos) else { return };
        let latency = done.ended_nanos.saturating_sub(done.intended_nanos).clamp(1, NANOS_MAX);
        self.whole.saturating_record(latency);
        let second = usize::try_from(since / SECOND_NANOS).expect("a run has few seconds");
        while self.seconds.len() <= second {
            let latencies = Histogram::new_with_bounds(1, NANOS_MAX, 2).expect("the bounds are right");
            self.seconds.push(Second { latencies, bytes: 0 });
        }
        let place = &mut self.seconds[second];
        place.latencies.saturating_record(latency);
        place.bytes += done.bytes;
        self.records += done.records;
        self.bytes += done.bytes;
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.whole.add(&other.whole).expect("the bounds are the same");
        for (at, theirs) in other.seconds.iter().enumerate() {
            match self.seconds.get_mut(at) {
                Some(ours) => {
                    ours.latencies.add(&theirs.latencies).expect("the bounds are the same");
                    ours.bytes += theirs.bytes;
                }
                None => self.seconds.push(theirs.clone()),
            }
        }
        self.records += other.records;
        self.bytes += other.bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn done(intended_nanos: u64, ended_nanos: u64) -> Done {
        Done { intended_nanos, ended_nanos, records: 2, bytes: 10 }
    }

    #[test]
    fn warm_up_is_not_counted_and_lateness_is() {
        let mut stage = Stage::new();
        stage.record(SECOND_NANOS, done(SECOND_NANOS - 1, 2 * SECOND_NANOS));
        assert_eq!((stage.whole.len(), stage.records), (0, 0));
        stage.record(SECOND_NANOS, done(SECOND_NANOS, 4 * SECOND_NANOS));
        assert_eq!((stage.whole.len(), stage.seconds.len(), stage.bytes), (1, 1, 10));
        assert!(stage.whole.max() >= 3 * SECOND_NANOS);
    }

    #[test]
    fn merged_is_as_if_recorded_together() {
        let (mut one, mut other, mut both) = (Stage::new(), Stage::new(), Stage::new());
        for at in 0..1_000 {
            let done = done(at * 7_000_000, at * 7_000_000 + at * 1_000 + 1);
            if at % 3 == 0 { &mut one } else { &mut other }.record(0, done);
            both.record(0, done);
        }
        one.merge(&other);
        assert_eq!(one.whole, both.whole);
        assert_eq!((one.records, one.bytes, one.seconds.len()), (both.records, both.bytes, 7));
        assert!(one.seconds.iter().zip(&both.seconds).all(|(a, b)| a.latencies == b.latencies));
    }
}
