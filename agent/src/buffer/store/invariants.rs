//! Checks the invariants of a buffer in tests, see [`Buffer`]. Pure.

use super::Buffer;
use crate::buffer::counts::DropReason;

impl Buffer {
    /// Checks the invariants between the parts of the buffer. `intact` is false if a file was damaged.
    ///
    /// # Panics
    /// If one does not hold.
    pub(crate) fn check_invariants(&self, intact: bool) {
        self.check_positions(intact);
        if intact {
            self.check_coverage();
        }
        self.check_counts(intact);
    }

    fn check_positions(&self, intact: bool) {
        let (acknowledged, unread, end) = (self.journal.acknowledged(), self.reader.unread(), self.log.end());
        assert!(acknowledged <= unread && unread <= end, "{acknowledged} <= {unread} <= {end}");
        assert!(
            self.ledger.end() <= end,
            "messages in flight end at {}, the log at {end}",
            self.ledger.end()
        );
        let mut before = acknowledged;
        for (at, bounds) in self.ledger.bounds().enumerate() {
            assert!(bounds.first < bounds.end, "{bounds:?}");
            assert!(bounds.first >= before || !intact, "{bounds:?} overlaps what is before {before}");
            assert!(
                at >= self.ledger.len() || bounds.end <= unread,
                "{bounds:?} is not read, {unread} is next"
            );
            before = bounds.end;
        }
    }

    /// Every event that is unread or in flight is in the log or in a gap.
    fn check_coverage(&self) {
        let (acknowledged, unread, end) = (self.journal.acknowledged(), self.reader.unread(), self.log.end());
        for range in [acknowledged..self.ledger.end().max(acknowledged), unread..end] {
            for part in self.journal.gaps().outside(range) {
                assert!(self.log.has(part.clone()), "{part:?} is neither in the log nor in a gap");
            }
        }
    }

    fn check_counts(&self, intact: bool) {
        let counts = self.counts();
        assert!(counts.balances(), "{counts:?}");
        let range = self.journal.acknowledged()..self.log.end();
        let buffered: u64 = self.journal.gaps().outside(range).iter().map(|part| part.end - part.start).sum();
        let dropped_singly = counts.dropped(DropReason::TooLarge);
        assert!(
            !intact || (counts.events..=counts.events + dropped_singly).contains(&buffered),
            "{buffered} events are buffered, {counts:?}"
        );
    }
}
