//! The books of a buffer: read = acknowledged + buffered + dropped, at any moment. Pure.

/// Why an event was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DropReason {
    /// The buffer was full; the oldest events not yet under way made room.
    BufferFull,
    /// The event alone is larger than a hub takes in a message.
    TooLarge,
}

impl DropReason {
    /// All of them, as metrics show each from the start.
    pub const ALL: [Self; 2] = [Self::BufferFull, Self::TooLarge];

    /// The stable word in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BufferFull => "BufferFull",
            Self::TooLarge => "TooLarge",
        }
    }
}

/// A moment's books.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Account {
    /// Events handed to the buffer.
    pub read: u64,
    /// Events whose message the hub has acknowledged.
    pub acknowledged: u64,
    /// Events dropped because the buffer was full.
    pub dropped_full: u64,
    /// Events dropped because they were too large.
    pub dropped_large: u64,
    /// Events in the buffer, those under way included.
    pub events: u64,
    /// Bytes of those events.
    pub bytes: u64,
    /// The time of the oldest of them, in milliseconds since 1970-01-01T00:00:00Z.
    pub oldest: Option<i64>,
}

impl Account {
    /// The events dropped for a reason.
    #[must_use]
    pub const fn dropped(&self, reason: DropReason) -> u64 {
        match reason {
            DropReason::BufferFull => self.dropped_full,
            DropReason::TooLarge => self.dropped_large,
        }
    }

    /// Whether nothing was lost and nothing was counted twice.
    #[must_use]
    pub const fn balances(&self) -> bool {
        self.read == self.acknowledged + self.events + self.dropped_full + self.dropped_large
    }
}
