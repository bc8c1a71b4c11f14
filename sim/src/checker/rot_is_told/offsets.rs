//! A set of offsets, kept as ranges: what rotten bytes claim may be a thousand million of them. Knows nothing else.

use std::collections::BTreeMap;
use std::ops::Range;

#[derive(Debug, Clone, Default)]
pub(super) struct Offsets {
    /// Ends by starts. No two ranges overlap or touch.
    ranges: BTreeMap<i64, i64>,
}

impl Offsets {
    pub(super) fn add(&mut self, range: Range<i64>) {
        if range.is_empty() {
            return;
        }
        let (mut start, mut end) = (range.start, range.end);
        while let Some((&other, &other_end)) = self.ranges.range(..=end).next_back()
            && other_end >= start
        {
            self.ranges.remove(&other);
            (start, end) = (start.min(other), end.max(other_end));
        }
        self.ranges.insert(start, end);
    }

    pub(super) fn extend(&mut self, other: &Self) {
        for (&start, &end) in &other.ranges {
            self.add(start..end);
        }
    }

    /// Forgets this offset and all behind it.
    pub(super) fn cut(&mut self, from: i64) {
        self.ranges.split_off(&from);
        if let Some((_, end)) = self.ranges.iter_mut().next_back() {
            *end = from.min(*end);
        }
    }

    /// The first of these offsets that is not in the set.
    pub(super) fn first_missing(&self, range: Range<i64>) -> Option<i64> {
        let covering = self.ranges.range(..=range.start).next_back();
        let first = covering.map_or(range.start, |(_, &end)| range.start.max(end));
        (first < range.end).then_some(first)
    }
}

#[cfg(test)]
mod tests {
    use super::Offsets;

    fn of(ranges: &[(i64, i64)]) -> Offsets {
        let mut offsets = Offsets::default();
        for &(start, end) in ranges {
            offsets.add(start..end);
        }
        offsets
    }

    #[test]
    fn ranges_that_meet_become_one() {
        let shapes = [
            (of(&[(5, 9), (0, 2)]), vec![(0, 2), (5, 9)]),
            (of(&[(5, 9), (0, 5)]), vec![(0, 9)]),
            (of(&[(0, 2), (4, 6), (8, 9), (1, 8)]), vec![(0, 9)]),
            (of(&[(0, 9), (3, 4)]), vec![(0, 9)]),
            (of(&[(3, 3)]), vec![]),
        ];
        for (offsets, expected) in shapes {
            assert_eq!(offsets.ranges.into_iter().collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn what_is_missing_is_found_without_a_step_for_each_offset() {
        let offsets = of(&[(2, 4), (6, 1 << 40)]);
        let cases =
            [((0, 9), Some(0)), ((2, 4), None), ((3, 9), Some(4)), ((6, 1 << 40), None), ((4, 4), None)];
        for ((start, end), expected) in cases {
            assert_eq!(offsets.first_missing(start..end), expected, "{start}..{end}");
        }
    }

    #[test]
    fn what_is_cut_is_gone() {
        let mut offsets = of(&[(2, 4), (6, 9)]);
        offsets.cut(7);
        assert_eq!((offsets.first_missing(6..9), offsets.first_missing(2..4)), (Some(7), None));
        offsets.cut(2);
        assert_eq!(offsets.first_missing(2..4), Some(2));
    }
}
