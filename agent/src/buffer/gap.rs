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
    /// True if a marker event stands for the gap.
    pub(super) marked: bool,
}

impl Gap {
    /// Returns the number of missing events.
    pub(super) const fn events(&self) -> u64 {
        self.end.saturating_sub(self.first)
    }
}

/// All gaps that are not behind the last acknowledged event, in order.
#[derive(Debug, Default)]
pub(super) struct Gaps(VecDeque<Gap>);

impl Gaps {
    /// Adds a gap, or widens the one it touches, unless that one begins before `fixed`: what is read is read.
    /// Gives back the gap as it is now.
    pub(super) fn add(&mut self, gap: Gap, fixed: u64) -> Gap {
        let mut gap = gap;
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
        let at = self.0.partition_point(|other| other.first < gap.first);
        self.0.insert(at, gap);
        gap
    }

    /// Puts a gap where it was before, in the place of those that it has taken up. No two ever lie over one another.
    pub(super) fn put(&mut self, gap: Gap) {
        self.0.retain(|other| other.end <= gap.first || gap.end <= other.first);
        let at = self.0.partition_point(|other| other.first < gap.first);
        self.0.insert(at, gap);
    }

    /// Those that lie in a range, each cut to it.
    pub(super) fn within(&self, range: Range<u64>) -> impl Iterator<Item = Gap> {
        let cut =
            move |gap: &Gap| Gap { first: gap.first.max(range.start), end: gap.end.min(range.end), ..*gap };
        self.0.iter().map(cut).filter(|gap| gap.first < gap.end)
    }

    /// Parts of a range that are in no gap.
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

    /// The end of the gap that a number is in.
    pub(super) fn end_of(&self, number: u64) -> Option<u64> {
        self.0.iter().take_while(|gap| gap.first <= number).find(|gap| number < gap.end).map(|gap| gap.end)
    }

    /// Returns how many numbers of a range are in gaps.
    pub(super) fn events(&self, range: Range<u64>) -> u64 {
        self.within(range).map(|gap| gap.events()).sum()
    }

    /// Forgets what lies before a number.
    pub(super) fn forget(&mut self, before: u64) {
        while self.0.pop_front_if(|gap| gap.end <= before).is_some() {}
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Gap> {
        self.0.iter()
    }

    /// The number after all of them.
    pub(super) fn end(&self) -> u64 {
        self.0.iter().map(|gap| gap.end).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
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
}
