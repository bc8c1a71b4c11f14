//! What will happen, ordered by virtual time and then by the order in which it was planned. Must not know what it plans.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use highwater_core::time::{Duration, Instant};

/// When, in which order it was planned, and where it lies.
type Entry = Reverse<(Instant, u64, u32)>;

/// The event heap; it also is the virtual clock. What is planned lies beside the heap, which moves only small entries.
#[derive(Debug)]
pub struct Heap<T> {
    entries: BinaryHeap<Entry>,
    planned: Vec<Option<T>>,
    free: Vec<u32>,
    sequence: u64,
    now: Instant,
}

impl<T> Default for Heap<T> {
    fn default() -> Self {
        Self {
            entries: BinaryHeap::new(),
            planned: Vec::new(),
            free: Vec::new(),
            sequence: 0,
            now: Instant::default(),
        }
    }
}

impl<T> Heap<T> {
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Plans `what` for `at`, or for now if that has passed.
    pub fn at(&mut self, at: Instant, what: T) {
        self.sequence += 1;
        let place = if let Some(place) = self.free.pop() {
            self.planned[place as usize] = Some(what);
            place
        } else {
            self.planned.push(Some(what));
            u32::try_from(self.planned.len() - 1).expect("a run plans less than 2^32 things at a time")
        };
        self.entries.push(Reverse((at.max(self.now), self.sequence, place)));
    }

    pub fn after(&mut self, wait: Duration, what: T) {
        self.at(self.now + wait, what);
    }

    /// Moves the clock to what comes next.
    pub fn pop(&mut self) -> Option<T> {
        let Reverse((at, _, place)) = self.entries.pop()?;
        assert!(at >= self.now, "time does not go back");
        self.now = at;
        self.free.push(place);
        Some(self.planned[place as usize].take().expect("an entry has its plan"))
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
