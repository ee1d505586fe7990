//! Gaps: numbers whose events were dropped or are corrupt on disk. Pure.

use std::collections::VecDeque;
use std::ops::Range;

/// Consecutive events that are lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hole {
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

impl Hole {
    /// Returns the number of missing events.
    pub(super) const fn events(&self) -> u64 {
        self.end.saturating_sub(self.first)
    }
}

/// All holes that are not behind the last acknowledged event, in order.
#[derive(Debug, Default)]
pub(super) struct Holes(VecDeque<Hole>);

impl Holes {
    /// Adds a hole, or widens the one it touches, unless that one begins before `fixed`: what is read is read.
    /// Gives back the hole as it is now.
    pub(super) fn add(&mut self, hole: Hole, fixed: u64) -> Hole {
        let mut hole = hole;
        let touches = |other: &Hole| {
            other.first >= fixed
                && other.marked == hole.marked
                && other.end >= hole.first
                && hole.end >= other.first
        };
        let touched: Vec<Hole> = self.0.iter().copied().filter(touches).collect();
        self.0.retain(|other| !touched.contains(other));
        for other in touched {
            hole.first = hole.first.min(other.first);
            hole.end = hole.end.max(other.end);
            hole.from = hole.from.min(other.from);
            hole.to = hole.to.max(other.to);
        }
        let at = self.0.partition_point(|other| other.first < hole.first);
        self.0.insert(at, hole);
        hole
    }

    /// Puts a hole where it was before, in the place of those that it has taken up. No two ever lie over one another.
    pub(super) fn put(&mut self, hole: Hole) {
        self.0.retain(|other| other.end <= hole.first || hole.end <= other.first);
        let at = self.0.partition_point(|other| other.first < hole.first);
        self.0.insert(at, hole);
    }

    /// Those that lie in a range, each cut to it.
    pub(super) fn within(&self, range: Range<u64>) -> impl Iterator<Item = Hole> {
        let cut = move |hole: &Hole| Hole {
            first: hole.first.max(range.start),
            end: hole.end.min(range.end),
            ..*hole
        };
        self.0.iter().map(cut).filter(|hole| hole.first < hole.end)
    }

    /// Parts of a range that are in no hole.
    pub(super) fn outside(&self, range: Range<u64>) -> Vec<Range<u64>> {
        let mut parts = Vec::new();
        let mut next = range.start;
        for hole in self.within(range.clone()) {
            if next < hole.first {
                parts.push(next..hole.first);
            }
            next = next.max(hole.end);
        }
        if next < range.end {
            parts.push(next..range.end);
        }
        parts
    }

    /// The end of the hole that a number is in.
    pub(super) fn end_of(&self, number: u64) -> Option<u64> {
        self.0
            .iter()
            .take_while(|hole| hole.first <= number)
            .find(|hole| number < hole.end)
            .map(|hole| hole.end)
    }

    /// Returns how many numbers of a range are in gaps.
    pub(super) fn events(&self, range: Range<u64>) -> u64 {
        self.within(range).map(|hole| hole.events()).sum()
    }

    /// Forgets what lies before a number.
    pub(super) fn forget(&mut self, before: u64) {
        while self.0.pop_front_if(|hole| hole.end <= before).is_some() {}
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Hole> {
        self.0.iter()
    }

    /// The number after all of them.
    pub(super) fn end(&self) -> u64 {
        self.0.iter().map(|hole| hole.end).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hole(first: u64, end: u64) -> Hole {
        Hole { first, end, from: first as i64, to: end as i64, marked: true }
    }

    #[test]
    fn adjacent_gaps_merge_unless_one_is_being_read() {
        let mut holes = Holes::default();
        holes.add(hole(1, 3), 0);
        holes.add(hole(6, 9), 0);
        assert_eq!(holes.add(hole(3, 6), 1), hole(1, 9));
        assert_eq!(holes.add(hole(9, 12), 9), hole(9, 12));
        assert_eq!(holes.events(0..20), 11);
        assert_eq!(holes.events(2..10), 8);
        assert_eq!(holes.outside(0..20), [0..1, 12..20]);
        holes.forget(9);
        assert_eq!(holes.iter().collect::<Vec<_>>(), [&hole(9, 12)]);
    }
}
