//! Checks the invariants of a buffer in tests, see [`Buffer`]. Pure.

use lanyard_handoff::buffer::WhenFull;

use super::Buffer;
use crate::buffer::counts::DropReason;
use crate::buffer::journal;

/// Maximum size of the entries and the segment's header that are written after a check of the quota or the journal.
const UNCHECKED: u64 = 256;

impl Buffer {
    /// Checks invariants 1, 2, 5 and 6; of 6, without the log with the policy Block. Invariants 3 and 4 show only in the
    /// files that a killed process leaves. `intact` is false if a file was damaged: then it checks less of 1 and 5, and
    /// nothing of 2.
    ///
    /// # Panics
    /// If one does not hold.
    pub(crate) fn check_invariants(&self, intact: bool) {
        self.check_positions(intact);
        if intact {
            self.check_coverage();
        }
        self.check_counts(intact);
        self.check_size();
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

    /// Checks that every event that is unread or in flight is in the log or in a gap.
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

    /// Checks the sizes. The journal is rewritten at its limit, or at each entry while its state alone takes more.
    fn check_size(&self) {
        let (log, journal, capacity) = (self.log.usage().bytes, self.journal.len(), self.quota.capacity());
        let limit = journal::limit(capacity).max(self.journal.smallest(&self.ledger)) + UNCHECKED;
        assert!(journal <= limit || !self.disk.is_writable(), "the journal has {journal} bytes");
        assert!(
            log + journal <= capacity + limit || self.quota.when_full() == WhenFull::Block,
            "{log} bytes in the log and {journal} in the journal of {capacity}"
        );
    }
}
