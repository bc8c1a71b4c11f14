//! What will happen, ordered by virtual time and then by the order in which it was planned. Must not know what it plans.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use highwater_core::time::{Duration, Instant};

#[derive(Debug)]
struct Planned<T> {
    at: Instant,
    sequence: u64,
    what: T,
}

impl<T> PartialEq for Planned<T> {
    fn eq(&self, other: &Self) -> bool {
        self.sequence == other.sequence
    }
}

impl<T> Eq for Planned<T> {}

impl<T> PartialOrd for Planned<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Planned<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.sequence).cmp(&(self.at, self.sequence))
    }
}

/// The event heap; it also is the virtual clock.
#[derive(Debug)]
pub struct Heap<T> {
    planned: BinaryHeap<Planned<T>>,
    sequence: u64,
    now: Instant,
}

impl<T> Default for Heap<T> {
    fn default() -> Self {
        Self { planned: BinaryHeap::new(), sequence: 0, now: Instant::default() }
    }
}

impl<T> Heap<T> {
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Plans `what` for `at`, or for now if that has passed.
    pub fn at(&mut self, at: Instant, what: T) {
        self.sequence += 1;
        self.planned.push(Planned { at: at.max(self.now), sequence: self.sequence, what });
    }

    pub fn after(&mut self, wait: Duration, what: T) {
        self.at(self.now + wait, what);
    }

    /// Moves the clock to what comes next.
    pub fn pop(&mut self) -> Option<T> {
        let planned = self.planned.pop()?;
        assert!(planned.at >= self.now, "time does not go back");
        self.now = planned.at;
        Some(planned.what)
    }
}

#[cfg(test)]
mod tests {
    use highwater_core::time::{Duration, Instant};

    use super::Heap;

    #[test]
    fn pop_follows_time_then_plan() {
        let mut heap = Heap::default();
        heap.after(Duration::from_micros(2), 'c');
        heap.after(Duration::from_micros(1), 'a');
        heap.after(Duration::from_micros(1), 'b');
        assert_eq!([heap.pop(), heap.pop(), heap.pop(), heap.pop()], [Some('a'), Some('b'), Some('c'), None]);
        assert_eq!(heap.now(), Instant::from_nanos(2_000));
    }
}
