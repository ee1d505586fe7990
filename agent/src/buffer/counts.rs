//! The books of a buffer: read = acknowledged + buffered + dropped, at any moment. Pure.
//!
//! They are those of the process, as counters of metrics are: events that an earlier process left in the buffer are
//! read once more, and [`EventCounts::recovered`] says how many those were. Over restarts, then, the sum of all
//! (read - recovered) is the sum of all acknowledged and dropped, and what is buffered now.

/// Reason for dropping an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DropReason {
    /// The buffer had no room: see `WhenFull` in the configuration.
    BufferFull,
    /// The disk took nothing, and the little memory that stands in for it had no room.
    StorageFailed,
    /// The disk returned other bytes than were written.
    Corrupt,
    /// The event alone is larger than a hub takes in a message.
    TooLarge,
}

impl DropReason {
    /// All of them, as metrics show each from the start.
    pub const ALL: [Self; 4] = [Self::BufferFull, Self::StorageFailed, Self::Corrupt, Self::TooLarge];

    /// The stable word in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BufferFull => "BufferFull",
            Self::StorageFailed => "StorageFailed",
            Self::Corrupt => "Corrupt",
            Self::TooLarge => "TooLarge",
        }
    }
}

/// A moment's books.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EventCounts {
    /// Events handed to the buffer, those found in it at the start, and those told of gaps that were delivered.
    pub read: u64,
    /// Those of them that were found at the start.
    pub recovered: u64,
    /// Events whose message the hub has acknowledged.
    pub acknowledged: u64,
    pub(super) dropped: [u64; DropReason::ALL.len()],
    /// Events in the buffer, including those in flight.
    pub events: u64,
    /// Those of them that end with the process.
    pub volatile: u64,
    /// Bytes that the buffer takes on the disk, or in memory.
    pub bytes: u64,
    /// The time of the oldest event, in milliseconds since 1970-01-01T00:00:00Z.
    pub oldest: Option<i64>,
}

impl EventCounts {
    /// The events dropped for a reason.
    #[must_use]
    pub const fn dropped(&self, reason: DropReason) -> u64 {
        self.dropped[reason as usize]
    }

    /// The events dropped for all reasons.
    #[must_use]
    pub fn dropped_in_all(&self) -> u64 {
        self.dropped.iter().sum()
    }

    pub(super) fn drop_events(&mut self, reason: DropReason, events: u64) {
        self.dropped[reason as usize] += events;
    }

    /// Returns whether no event was lost or counted twice.
    #[must_use]
    pub fn balances(&self) -> bool {
        self.read == self.acknowledged + self.events + self.dropped_in_all()
    }
}
