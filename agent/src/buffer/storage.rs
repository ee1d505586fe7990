//! The seam between what is sampled and what is published. Pure; an implementation may touch disk.

use super::account::{Account, DropReason};
use crate::tags::event::Event;
use crate::tags::sampling::Record;

/// An event that is not under way yet.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Unread<'a> {
    /// The event.
    pub event: &'a Event,
    /// Whether it continues the record of the event before it, so that both belong in one message.
    pub continues: bool,
}

/// A first-in-first-out store of events. An event is unread, then under way in a batch, and is removed when its batch
/// is acknowledged; batches are acknowledged in the order in which they were taken.
///
/// When it is full the oldest unread events make room, a record as a whole; events under way stay, because the hub
/// may already have them. Every event is counted once: [`Account::balances`] always holds.
pub trait Buffer: Send {
    /// Takes a record and gives back how many unread events made room for it, itself included if it never fits.
    fn append(&mut self, record: Record) -> usize;

    /// The unread event at a position, 0 being the oldest.
    fn unread(&self, position: usize) -> Option<Unread<'_>>;

    /// How many events are unread.
    fn unread_len(&self) -> usize;

    /// Puts the oldest `events` unread events under way, as one batch.
    fn take(&mut self, events: usize);

    /// Drops the oldest unread event.
    fn discard(&mut self, reason: DropReason);

    /// Removes the oldest batch under way, for the hub has it.
    fn acknowledge(&mut self);

    /// Changes how much it may hold.
    fn resize(&mut self, max_bytes: u64);

    /// The books.
    fn account(&self) -> Account;
}
