//! Gaps: numbers whose events were dropped or are corrupt on disk. Pure.

use std::collections::VecDeque;
use std::ops::Range;

/// Consecutive events that are lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gap {
    pub(super) first: u64,
    /// The number after the last.
    pub(super) end: u64,
    /// The time of the first, as far as it is known.
    pub(super) from: i64,
    /// The time of the last, as far as it is known.
    pub(super) to: i64,
    /// True if a marker event reports the gap.
    pub(super) marked: bool,
}

impl Gap {
    /// Returns the number of missing events.
    pub(super) const fn events(&self) -> u64 {
        self.end.saturating_sub(self.first)
    }
}

/// Gaps after the last acknowledged event, in order. No two overlap.
#[derive(Debug, Default)]
pub(super) struct Gaps(VecDeque<Gap>);

impl Gaps {
    /// Adds a gap, or widens the gaps that it touches, except those that begin before `fixed`: they are in a message.
    /// Returns the gap as it is now.
    pub(super) fn add(&mut self, mut gap: Gap, fixed: u64) -> Gap {
        let touches = |other: &Gap| {
            other.first >= fixed
                && other.marked == gap.marked
                && other.end >= gap.first
                && gap.end >= other.first
        };
        let touched: Vec<Gap> = self.0.iter().copied().filter(touches).collect();
        self.0.retain(|other| !touched.contains(other));
        for other in touched {
            gap.first = gap.first.min(other.first);
            gap.end = gap.end.max(other.end);
            gap.from = gap.from.min(other.from);
            gap.to = gap.to.max(other.to);
        }
        self.insert(gap);
        gap
    }

    fn insert(&mut self, gap: Gap) {
        let at = self.0.partition_point(|other| other.first < gap.first);
        self.0.insert(at, gap);
    }

    /// Replaces all gaps that overlap a gap by this one, as [`Gaps::add`] did when the entry was written.
    pub(super) fn put(&mut self, gap: Gap) {
        self.0.retain(|other| other.end <= gap.first || gap.end <= other.first);
        self.insert(gap);
    }

    /// Returns the gaps in a range, each cut to it.
    pub(super) fn within(&self, range: Range<u64>) -> impl Iterator<Item = Gap> {
        let cut =
            move |gap: &Gap| Gap { first: gap.first.max(range.start), end: gap.end.min(range.end), ..*gap };
        self.0.iter().map(cut).filter(|gap| gap.first < gap.end)
    }

    /// Returns the parts of a range that are in no gap.
    pub(super) fn outside(&self, range: Range<u64>) -> Vec<Range<u64>> {
        let mut parts = Vec::new();
        let mut next = range.start;
        for gap in self.within(range.clone()) {
            if next < gap.first {
                parts.push(next..gap.first);
            }
            next = next.max(gap.end);
        }
        if next < range.end {
            parts.push(next..range.end);
        }
        parts
    }

    /// Returns the end of the gap that a number is in.
    pub(super) fn end_of(&self, number: u64) -> Option<u64> {
        self.0.iter().take_while(|gap| gap.first <= number).find(|gap| number < gap.end).map(|gap| gap.end)
    }

    /// Returns how many numbers of a range are in gaps.
    pub(super) fn events(&self, range: Range<u64>) -> u64 {
        self.within(range).map(|gap| gap.events()).sum()
    }

    /// Forgets the gaps before a number.
    pub(super) fn forget(&mut self, before: u64) {
        while self.0.pop_front_if(|gap| gap.end <= before).is_some() {}
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Gap> {
        self.0.iter()
    }

    /// Returns the number after the last gap, or 0.
    pub(super) fn end(&self) -> u64 {
        self.0.iter().map(|gap| gap.end).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn gap(first: u64, end: u64) -> Gap {
        Gap { first, end, from: first as i64, to: end as i64, marked: true }
    }

    #[test]
    fn adjacent_gaps_merge_unless_one_is_being_read() {
        let mut gaps = Gaps::default();
        gaps.add(gap(1, 3), 0);
        gaps.add(gap(6, 9), 0);
        assert_eq!(gaps.add(gap(3, 6), 1), gap(1, 9));
        assert_eq!(gaps.add(gap(9, 12), 9), gap(9, 12));
        assert_eq!(gaps.events(0..20), 11);
        assert_eq!(gaps.events(2..10), 8);
        assert_eq!(gaps.outside(0..20), [0..1, 12..20]);
        gaps.forget(9);
        assert_eq!(gaps.iter().collect::<Vec<_>>(), [&gap(9, 12)]);
    }

    #[test]
    fn ranges_beside_a_gap_have_no_empty_parts() {
        let mut gaps = Gaps::default();
        gaps.add(gap(3, 6), 0);
        gaps.add(gap(9, 10), 0);
        assert_eq!((gaps.outside(3..12), gaps.outside(1..10)), (vec![6..9, 10..12], vec![1..3, 6..9]));
        assert_eq!([6..9, 1..3, 5..9].map(|range| gaps.within(range).count()), [0, 0, 1]);
    }

    #[test]
    fn written_gap_replaces_the_gaps_that_it_took_up() {
        let mut gaps = Gaps::default();
        for gap in [gap(1, 3), gap(3, 6), gap(8, 9), gap(12, 14)] {
            gaps.put(gap);
        }
        gaps.put(gap(3, 10));
        assert_eq!(gaps.iter().collect::<Vec<_>>(), [&gap(1, 3), &gap(3, 10), &gap(12, 14)]);
    }

    /// Numbers that are missing, each by itself, and whether a marker event reports it.
    type Model = BTreeMap<u64, bool>;

    const NUMBERS: u64 = 40;

    proptest! {
        #[test]
        fn gaps_equal_the_set_of_missing_numbers(
            lost in proptest::collection::vec((0..NUMBERS, 1_u64..9, any::<bool>()), 0..12),
            forgotten in 0..NUMBERS,
        ) {
            let (mut gaps, mut model) = (Gaps::default(), Model::new());
            for (first, count, marked) in lost {
                for part in gaps.outside(first..first + count) {
                    let (from, to) = (part.start as i64, part.end as i64 - 1);
                    gaps.add(Gap { first: part.start, end: part.end, from, to, marked }, 0);
                }
                for number in first..first + count {
                    model.entry(number).or_insert(marked);
                }
            }
            let numbers: Model =
                gaps.iter().flat_map(|gap| (gap.first..gap.end).map(|number| (number, gap.marked))).collect();
            prop_assert_eq!(&numbers, &model);
            prop_assert_eq!(gaps.end(), model.keys().last().map_or(0, |last| last + 1));
            let apart = |pair: &[&Gap]| pair[0].end < pair[1].first || pair[0].marked != pair[1].marked;
            let list: Vec<&Gap> = gaps.iter().collect();
            prop_assert!(list.windows(2).all(apart), "neighbours become one: {:?}", list);
            for gap in gaps.iter() {
                prop_assert_eq!((gap.from, gap.to), (gap.first as i64, gap.end as i64 - 1));
            }
            for number in 0..NUMBERS {
                let range = number..number + 7;
                let outside: Vec<u64> = gaps.outside(range.clone()).into_iter().flatten().collect();
                let expected: Vec<u64> = range.clone().filter(|number| !model.contains_key(number)).collect();
                prop_assert_eq!(gaps.events(range), 7 - expected.len() as u64);
                prop_assert_eq!(outside, expected);
                let end = gaps.end_of(number);
                prop_assert_eq!(end.is_some(), model.contains_key(&number));
                prop_assert!(end.is_none_or(|end| (number..end).all(|number| model.contains_key(&number))));
            }
            gaps.forget(forgotten);
            prop_assert_eq!(gaps.events(forgotten..2 * NUMBERS), model.range(forgotten..).count() as u64);
        }
    }
}
