//! Counts of a message in flight. Pure.

/// Message in flight, as the buffer counts it; the outbox holds its text.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) end: u64,
    pub(super) events: u64,
    pub(super) markers: u64,
    pub(super) oldest: Option<i64>,
}
