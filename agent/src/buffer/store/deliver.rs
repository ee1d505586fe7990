//! Reading events for messages: skips gaps and corrupt blocks, deletes events after their acknowledgement. Reads and
//! writes disk.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Buffer;
use crate::buffer::counts::DropReason;
use crate::buffer::entry::MessageBounds;
use crate::buffer::gap::Hole;
use crate::buffer::ledger::Flight;
use crate::buffer::message::Message;
use crate::buffer::record;
use crate::buffer::record::EventRef;
use crate::buffer::window::Cursor;
use crate::buffer::window::CursorStep;
use crate::tags::event::{Event, Value};

/// The tag of events that report a gap.
pub const DROPPED_TAG: &str = "_lanyard.dropped";

/// Item at a cursor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Behind {
    /// An event: see [`Buffer::event`].
    Event,
    /// A gap, which [`Buffer::marker`] reports, and the cursor behind it.
    Gap(Cursor),
    /// No more before the number asked for.
    Nothing,
}

impl Buffer {
    /// A cursor before the first unread event.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// The number of the first unread event.
    #[must_use]
    pub fn unread(&self) -> u64 {
        self.cursor.number
    }

    /// The number of the next event that is appended.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.next
    }

    /// Moves the cursor to the next event before the number `until`, and returns what is there.
    pub fn behind(&mut self, cursor: &mut Cursor, until: u64) -> Behind {
        let mut after = *cursor;
        let behind = loop {
            if after.number >= until {
                break Behind::Nothing;
            }
            let (to, time) = match self.journal.holes.end_of(after.number) {
                // Events that count as lost stay lost, even if their file still exists or has them twice.
                Some(end) => (end, None),
                None => match self.window.step(&mut after, &mut self.segments, self.next) {
                    // Whether it makes sense is asked here only if it may belong to the gap before it.
                    CursorStep::Event if after.number == cursor.number || self.event(&after).is_some() => {
                        break Behind::Event;
                    }
                    CursorStep::Event => (self.window.block_end(&after), Some(after.time)),
                    CursorStep::End => break Behind::Nothing,
                    CursorStep::Gap(to, time) => (to, time),
                },
            };
            let range = after.number..to.min(until);
            self.lose(range.clone(), DropReason::Corrupt, (after.time, time.unwrap_or(after.time)));
            self.window.pass(&mut after, range.end);
        };
        if after.number > cursor.number && self.is_told(cursor.number..after.number) {
            return Behind::Gap(after);
        }
        *cursor = after;
        behind
    }

    /// Makes the marker of a gap, if it has one.
    fn is_told(&mut self, gap: Range<u64>) -> bool {
        let marked: Vec<Hole> = self.journal.holes.within(gap).filter(|hole| hole.marked).collect();
        let (Some(first), Some(last)) = (marked.first(), marked.last()) else { return false };
        let events = marked.iter().map(Hole::events).sum::<u64>();
        let numbers = [i64::try_from(events).unwrap_or(i64::MAX), first.from, last.to];
        let value = Value::Array(numbers.map(Value::Integer).into());
        let event = Event { tag: Arc::from(DROPPED_TAG), value, good: true, continues: false, time: last.to };
        self.marker.clear();
        record::write(&mut self.marker, &event, 0, 0);
        true
    }

    /// The event behind a cursor, and the cursor behind that event; nothing when it makes no sense, see
    /// [`Buffer::give_up`].
    #[must_use]
    pub fn event(&self, cursor: &Cursor) -> Option<(EventRef<'_>, Cursor)> {
        self.window.event(cursor)
    }

    /// Gives up the events of a block from a cursor on.
    pub fn give_up(&mut self, cursor: &mut Cursor) {
        let range = cursor.number..self.window.leave(cursor);
        self.lose(range, DropReason::Corrupt, (cursor.time, cursor.time));
    }

    /// Returns the event that reports the gap which [`Buffer::behind`] found last.
    #[must_use]
    pub fn marker(&self) -> Option<EventRef<'_>> {
        let mut bytes = self.marker.as_slice();
        record::take(&mut bytes, 0, &[DROPPED_TAG])
    }

    /// Returns the message that an earlier process made next.
    #[must_use]
    pub fn inherited(&self) -> Option<&MessageBounds> {
        self.ledger.inherited()
    }

    /// Gives up a message of an earlier process that cannot be made again; its events are sent in other messages.
    pub fn give_up_inherited(&mut self, now: Instant) {
        if self.ledger.remove_inherited() {
            // The journal must not keep its entry.
            self.begin_journal(now);
        }
    }

    /// The number of the next message.
    #[must_use]
    pub fn next_message(&self) -> u64 {
        self.journal.messages
    }

    /// Records everything before a cursor as a message that is sent now; `markers` of its events report gaps.
    pub fn take(
        &mut self,
        cursor: Cursor,
        message: Message,
        markers: u64,
        bounds: MessageBounds,
        now: Instant,
    ) -> Arc<Message> {
        let events = message.events as u64 - markers;
        let message = Arc::new(message);
        let oldest = self.window.time(&self.cursor);
        self.advance(cursor);
        let flight =
            Flight { bounds: bounds.clone(), message: Arc::clone(&message), events, markers, oldest };
        if self.ledger.add(flight, now) {
            let noted = self.journal.message(bounds);
            self.noted(noted);
            self.tend_journal(now);
        }
        message
    }

    /// Drops the event before a cursor, all before it being read.
    pub fn discard(&mut self, cursor: Cursor, reason: DropReason) {
        self.account.events -= 1;
        self.account.drop_events(reason, 1);
        self.skip(cursor);
    }

    /// Goes behind what is not to be sent.
    pub fn skip(&mut self, cursor: Cursor) {
        self.advance(cursor);
        if self.ledger.is_empty() {
            self.done(cursor.number);
        }
    }

    pub(super) fn advance(&mut self, cursor: Cursor) {
        self.cursor = cursor;
        self.window.trim(&mut self.cursor);
    }

    /// Returns the oldest message in flight that must be sent again on this connection, and counts it as sent.
    pub fn resend(&mut self, now: Instant) -> Option<Arc<Message>> {
        self.ledger.resend(now)
    }

    /// Returns the number of messages in flight that this process made.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.ledger.len()
    }

    /// Returns the time since which the next acknowledgement is outstanding.
    #[must_use]
    pub fn oldest_in_flight_since(&self) -> Option<Instant> {
        self.ledger.oldest_since()
    }

    /// Notes that the connection has ended: every message without an acknowledgement must be sent again.
    pub fn rewind(&mut self) {
        self.ledger.rewind();
    }

    /// Notes the hub's acknowledgement; returns the time since the message was sent, or nothing for one that is not sent.
    /// Events are deleted in order: those of a message wait until every older one is acknowledged.
    pub fn acknowledge(&mut self, number: u64, now: Instant) -> Option<Duration> {
        let latency = self.ledger.acknowledge(number, now)?;
        while let Some(flight) = self.ledger.remove_acknowledged(now) {
            self.account.events = self.account.events.saturating_sub(flight.events);
            self.account.acknowledged += flight.events + flight.markers;
            // Markers count as read when they are delivered: until then another process can make them again.
            self.account.read += flight.markers;
            self.done(flight.bounds.end);
            self.tend_journal(now);
        }
        Some(latency)
    }

    pub(super) fn done(&mut self, number: u64) {
        let noted = self.journal.acknowledge(number, self.next);
        self.noted(noted);
        self.segments.release(number, false);
    }
}
