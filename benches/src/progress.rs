//! What a run does while it lasts, for who watches: a line written over on a terminal, a line now and then elsewhere. Measures nothing that
//! is kept.

use std::io::{IsTerminal, Write, stderr};
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::clock::{SECOND_NANOS, now_nanos};
use crate::measure::Latencies;
use crate::result::micros;

/// Seconds between two lines where none can be written over.
const LINE_SECONDS: u64 = 5;

/// Two digits are enough to look at, and nobody waits longer than an hour.
const DIGITS: u8 = 2;
const NANOS_MAX: u64 = 3_600 * SECOND_NANOS;

/// How a run is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    Nothing,
    InPlace,
    Lines,
}

/// What a thread of the load adds to, and whoever shows it takes.
#[derive(Debug, Clone)]
pub(crate) struct Live(Arc<Mutex<Latencies>>);

/// All threads of a run.
#[derive(Debug)]
pub(crate) struct Progress {
    shown: Shown,
    parts: Vec<Live>,
    begun_nanos: u64,
    /// Until when it counts up.
    end_nanos: u64,
    /// What nobody has seen yet, of so many seconds.
    recent: Latencies,
    recent_seconds: u64,
}

impl Shown {
    pub(crate) fn choose(quiet: bool) -> Self {
        match (quiet, stderr().is_terminal()) {
            (true, _) => Self::Nothing,
            (false, true) => Self::InPlace,
            (false, false) => Self::Lines,
        }
    }

    fn every_seconds(self) -> u64 {
        match self {
            Self::Nothing | Self::InPlace => 1,
            Self::Lines => LINE_SECONDS,
        }
    }
}

impl Live {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(nothing())))
    }

    pub(crate) fn record(&self, nanos: u64) {
        self.lock().saturating_record(nanos.max(1));
    }

    fn take(&self) -> Latencies {
        mem::replace(&mut self.lock(), nothing())
    }

    fn lock(&self) -> MutexGuard<'_, Latencies> {
        self.0.lock().expect("nobody panics with it")
    }
}

fn nothing() -> Latencies {
    Histogram::new_with_bounds(1, NANOS_MAX, DIGITS).expect("the bounds are right")
}

impl Progress {
    pub(crate) fn new(shown: Shown) -> Self {
        let recent = nothing();
        Self { shown, parts: Vec::new(), begun_nanos: 0, end_nanos: 0, recent, recent_seconds: 0 }
    }

    /// Of one more thread; none if nobody watches.
    pub(crate) fn part(&mut self) -> Option<Live> {
        (self.shown != Shown::Nothing).then(|| {
            let live = Live::new();
            self.parts.push(live.clone());
            live
        })
    }

    pub(crate) fn begin(&mut self, begun_nanos: u64, end_nanos: u64) {
        (self.begun_nanos, self.end_nanos) = (begun_nanos, end_nanos);
    }

    /// Sleeps, and shows each second that passes.
    pub(crate) fn sleep_until(&mut self, nanos: u64) {
        loop {
            let now = now_nanos();
            let passed = now.saturating_sub(self.begun_nanos) / SECOND_NANOS;
            let next = self.begun_nanos + (passed + 1) * SECOND_NANOS;
            thread::sleep(Duration::from_nanos(nanos.min(next).saturating_sub(now)));
            if nanos < next {
                return;
            }
            self.on_second(passed + 1);
        }
    }

    fn on_second(&mut self, passed: u64) {
        if self.shown == Shown::Nothing {
            return;
        }
        for part in &self.parts {
            self.recent.add(part.take()).expect("the bounds are the same");
        }
        self.recent_seconds += 1;
        if passed.is_multiple_of(self.shown.every_seconds()) {
            let recent = mem::replace(&mut self.recent, nothing());
            let total = self.end_nanos.saturating_sub(self.begun_nanos) / SECOND_NANOS;
            let line = line((passed, total), mem::take(&mut self.recent_seconds), &recent);
            // Who does not want to see it misses nothing.
            let _ = match self.shown {
                Shown::InPlace => write!(stderr(), "\r{line}\x1b[K"),
                Shown::Nothing | Shown::Lines => writeln!(stderr(), "{line}"),
            };
        }
    }

    /// Leaves the terminal as it was.
    pub(crate) fn end(&self) {
        if self.shown == Shown::InPlace {
            let _ = write!(stderr(), "\r\x1b[K");
        }
    }
}

fn line((passed, total): (u64, u64), seconds: u64, recent: &Latencies) -> String {
    let rate = recent.len() / seconds.max(1);
    if recent.is_empty() {
        return format!("{passed} of {total} s: nothing was answered");
    }
    let p99 = micros(recent.value_at_quantile(0.99));
    format!("{passed} of {total} s: {rate} requests/s, p99 {p99:.0} us")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_tells_of_what_nobody_has_seen_yet() {
        let mut progress = Progress::new(Shown::Lines);
        let (one, other) = (progress.part().unwrap(), progress.part().unwrap());
        (0..99).for_each(|_| one.record(1_000));
        other.record(5_000_000);
        progress.on_second(1);
        assert_eq!((progress.recent.len(), progress.recent_seconds), (100, 1));
        (0..100).for_each(|_| one.record(1_000));
        progress.on_second(2);
        assert_eq!((progress.recent.len(), progress.recent_seconds), (200, 2));
        assert_eq!(line((2, 10), 2, &progress.recent), "2 of 10 s: 100 requests/s, p99 1 us");
        progress.on_second(5);
        assert_eq!((progress.recent.len(), progress.recent_seconds), (0, 0), "it was shown");
        assert_eq!(line((3, 10), 1, &nothing()), "3 of 10 s: nothing was answered");
    }

    #[test]
    fn nobody_pays_for_what_nobody_watches() {
        assert!(Progress::new(Shown::choose(true)).part().is_none());
    }
}
