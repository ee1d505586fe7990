//! Counts of a buffer's events: read = acknowledged + buffered + dropped, at any moment. Pure.
//!
//! As counters of metrics, they belong to the process: events that an earlier process left in the buffer count as read
//! once more, and as [`EventCounts::recovered`]. Over restarts, the sum of all (read - recovered) is the sum of all
//! acknowledged and dropped events, and the events that are buffered now.

/// Reason for dropping an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DropReason {
    /// The buffer had no room: see `WhenFull` in the configuration.
    BufferFull,
    /// The disk did not accept writes, and the memory in its place had no room.
    StorageFailed,
    /// The disk returned other bytes than were written.
    Corrupt,
    /// The event alone is larger than a hub takes in a message.
    TooLarge,
}

impl DropReason {
    /// All reasons; metrics show each from the start.
    pub const ALL: [Self; 4] = [Self::BufferFull, Self::StorageFailed, Self::Corrupt, Self::TooLarge];

    /// Returns the stable name in metrics.
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

/// Counts of events at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EventCounts {
    /// Events appended, events recovered at the start, and delivered marker events.
    pub read: u64,
    /// Events that an earlier process left in the buffer.
    pub recovered: u64,
    /// Events whose message the hub has acknowledged.
    pub acknowledged: u64,
    pub(super) dropped: [u64; DropReason::ALL.len()],
    /// Events in the buffer, including those in flight.
    pub events: u64,
    /// Events of these that end with the process.
    pub volatile: u64,
    /// Bytes that the buffer takes on the disk, or in memory.
    pub bytes: u64,
    /// The time of the oldest event, in milliseconds since 1970-01-01T00:00:00Z.
    pub oldest: Option<i64>,
}

impl EventCounts {
    /// Returns the number of events dropped for a reason.
    #[must_use]
    pub const fn dropped(&self, reason: DropReason) -> u64 {
        self.dropped[reason as usize]
    }

    /// Returns the number of events dropped for all reasons.
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
