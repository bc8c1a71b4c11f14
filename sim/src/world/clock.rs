//! The clocks of a node: one that only goes forward, from somewhere and a little too fast or too slow, and one on the wall that
//! goes as the faults will. Must not know who reads them.

use highwater_core::prng::Prng;
use highwater_core::time::{Duration, Instant, Now, Timestamp};

use super::WALL_MILLIS;
use crate::fault::Shape;

const MILLION: i128 = 1_000_000;
/// Steps of a random walk.
const STEPS: usize = 64;

/// A departure of the wall clock from the truth.
#[derive(Debug)]
struct Skew {
    number: u64,
    from: Instant,
    lasting: Duration,
    millis: i64,
    shape: Shape,
    /// Of a walk, in parts of a thousand of `millis`.
    steps: Vec<i64>,
}

impl Skew {
    fn millis_at(&self, at: Instant) -> i64 {
        let whole = self.lasting.as_nanos().max(1);
        let passed = at.since(self.from).as_nanos().min(whole);
        // Parts of a thousand of the way.
        let way = i64::try_from(u128::from(passed) * 1_000 / u128::from(whole)).expect("at most a thousand");
        let part = match self.shape {
            Shape::Step => 1_000,
            Shape::Drift => way,
            Shape::Sine => wave(way * 4 % 1_000),
            Shape::Walk => {
                let place = usize::try_from(way).expect("it is not negative") * STEPS / 1_001;
                self.steps[place]
            }
        };
        self.millis * part / 1_000
    }
}

/// One round of a wave in parts of a thousand, by parabolas: a sine would depend on the machine's own.
fn wave(place: i64) -> i64 {
    let half = |x: i64| 4 * x * (500 - x) / 250;
    if place < 500 { half(place) } else { -half(place - 500) }
}

#[derive(Debug)]
pub(super) struct Clock {
    drift_per_million: i64,
    from: Instant,
    origin: u64,
    jumped_millis: i64,
    skews: Vec<Skew>,
}

impl Clock {
    pub(super) fn new(drift_per_million: i64) -> Self {
        assert!(drift_per_million > -1_000_000, "a clock does not go back");
        Self { drift_per_million, from: Instant::default(), origin: 0, jumped_millis: 0, skews: Vec::new() }
    }

    /// A machine starts at `now` in virtual time; its monotonic clock shows `origin`.
    pub(super) fn start(&mut self, now: Instant, origin: u64) {
        (self.from, self.origin) = (now, origin);
    }

    fn rate(&self) -> i128 {
        MILLION + i128::from(self.drift_per_million)
    }

    pub(super) fn at(&self, at: Instant) -> Now {
        let passed = i128::from(at.since(self.from).as_nanos()) * self.rate() / MILLION;
        let mono = self.origin + u64::try_from(passed).expect("a run is short");
        let millis = i64::try_from(at.as_nanos() / 1_000_000).expect("a run is short");
        let skew: i64 = self.skews.iter().map(|skew| skew.millis_at(at)).sum();
        let wall = WALL_MILLIS + millis + self.jumped_millis + skew;
        Now { mono: Instant::from_nanos(mono), wall: Timestamp(wall) }
    }

    /// The first virtual time at which the monotonic clock shows `mono`.
    pub(super) fn virtual_time(&self, mono: Instant) -> Instant {
        let left = i128::from(mono.as_nanos().saturating_sub(self.origin));
        let passed = (left * MILLION + self.rate() - 1) / self.rate();
        // A deadline may lie beyond all time.
        self.from + Duration::from_nanos(u64::try_from(passed).unwrap_or(u64::MAX / 2).min(u64::MAX / 2))
    }

    pub(super) fn jump(&mut self, millis: i64) {
        self.jumped_millis += millis;
    }

    pub(super) fn skew(
        &mut self,
        now: Instant,
        number: u64,
        (shape, millis, lasting): (Shape, i64, Duration),
        prng: &mut Prng,
    ) {
        let mut steps = Vec::new();
        let mut height = 0_i64;
        for _ in 0..STEPS {
            let step = i64::try_from(prng.below(401)).expect("small") - 200;
            // What draws it back to the truth grows with the distance.
            height = height + step - height / 5;
            steps.push(height);
        }
        self.skews.push(Skew { number, from: now, lasting, millis, shape, steps });
    }

    /// The skew of this number ends: the wall clock is put right.
    pub(super) fn calm(&mut self, number: u64) {
        self.skews.retain(|skew| skew.number != number);
    }

    pub(super) fn heal(&mut self) {
        self.jumped_millis = 0;
        self.skews.clear();
    }
}

#[cfg(test)]
mod tests {
    use highwater_core::time::{Duration, Instant};

    use super::{Clock, WALL_MILLIS};
    use crate::draw::Stream;
    use crate::fault::Shape;

    #[test]
    fn deadline_is_reached_and_not_missed() {
        for drift in [-100_000, -7, 0, 13, 100_000] {
            let mut clock = Clock::new(drift);
            clock.start(Instant::from_nanos(17), 1 << 40);
            for nanos in [0, 1, 999, 1_000_003, 77_777_777_777] {
                let mono = Instant::from_nanos((1 << 40) + nanos);
                let at = clock.virtual_time(mono);
                assert!(clock.at(at).mono >= mono, "{drift} {nanos}");
                let before = Instant::from_nanos(at.as_nanos().saturating_sub(2).max(17));
                assert!(nanos == 0 || clock.at(before).mono < mono, "{drift} {nanos}");
            }
        }
    }

    #[test]
    fn every_shape_departs_and_comes_back() {
        for shape in [Shape::Step, Shape::Drift, Shape::Sine, Shape::Walk] {
            let mut clock = Clock::new(0);
            let lasting = Duration::from_millis(1_000);
            clock.skew(Instant::default(), 4, (shape, 9_000, lasting), &mut Stream::Delivery(4).of(1));
            let wall = |clock: &Clock, millis: u64| {
                let at = Instant::from_nanos(millis * 1_000_000);
                clock.at(at).wall.0 - WALL_MILLIS - i64::try_from(millis).unwrap()
            };
            let skews: Vec<i64> = (0..=1_000).map(|millis| wall(&clock, millis)).collect();
            let (least, most) = (skews.iter().min().unwrap(), skews.iter().max().unwrap());
            let expected = match shape {
                Shape::Step => (9_000..=9_000, 9_000..=9_000),
                Shape::Drift => (0..=0, 9_000..=9_000),
                Shape::Sine => (-9_000..=-8_900, 8_900..=9_000),
                Shape::Walk => (-9_000..=-1, 1..=9_000),
            };
            assert!(expected.0.contains(least) && expected.1.contains(most), "{shape:?} {least} {most}");
            clock.calm(4);
            assert_eq!(wall(&clock, 500), 0);
        }
    }
}
