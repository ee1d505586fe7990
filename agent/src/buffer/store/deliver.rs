//! Reading events for messages, the messages in flight, and the deletion of acknowledged events. Reads and writes disk.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Buffer;
use crate::buffer::counts::DropReason;
use crate::buffer::entry::MessageBounds;
use crate::buffer::ledger::Flight;
use crate::buffer::message::Message;
use crate::buffer::reader::{Found, Peeked};
use crate::buffer::record::EventRef;
use crate::buffer::window::Cursor;

impl Buffer {
    /// Returns a cursor before the first unread event.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        self.reader.cursor()
    }

    /// Returns the number of the first unread event.
    #[must_use]
    pub fn unread(&self) -> u64 {
        self.reader.unread()
    }

    /// Returns the number of the next event that is appended.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.log.end()
    }

    /// Moves a cursor to the next event before the number `until`, and returns the item there.
    pub fn peek(&mut self, cursor: &mut Cursor, until: u64, now: Instant) -> Peeked {
        let (start, mut after) = (cursor.number(), *cursor);
        let peeked = loop {
            match self.reader.find(&mut after, (start, until), self.journal.gaps(), &mut self.log) {
                Found::Event => break Peeked::Event,
                Found::Missing(range, times) => self.lose(range, DropReason::Corrupt, times, now),
                Found::Nothing => break Peeked::Nothing,
            }
        };
        if after.number() > start && self.reader.mark(start..after.number(), self.journal.gaps()) {
            return Peeked::Gap(after);
        }
        *cursor = after;
        peeked
    }

    /// Returns the event behind a cursor, and the cursor behind that event; nothing if it is not sound: then
    /// [`Buffer::skip_block`].
    #[must_use]
    pub fn event(&self, cursor: &Cursor) -> Option<(EventRef<'_>, Cursor)> {
        self.reader.event(cursor)
    }

    /// Drops the events of a block from a cursor on, because they are not sound.
    pub fn skip_block(&mut self, cursor: &mut Cursor, now: Instant) {
        let (range, times) = self.reader.skip_block(cursor);
        self.lose(range, DropReason::Corrupt, times, now);
    }

    /// Returns the event that reports the gap which [`Buffer::peek`] found last.
    #[must_use]
    pub fn marker(&self) -> Option<EventRef<'_>> {
        self.reader.marker()
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

    /// Returns the number of the next message.
    #[must_use]
    pub fn next_message(&self) -> u64 {
        self.journal.next_message()
    }

    /// Records a message that is sent now, made of everything before a cursor; `markers` of its events report gaps.
    pub fn send(
        &mut self,
        cursor: Cursor,
        message: Message,
        markers: u64,
        bounds: MessageBounds,
        now: Instant,
    ) -> Arc<Message> {
        let events = message.events as u64 - markers;
        let message = Arc::new(message);
        let oldest = self.reader.time();
        self.reader.advance(cursor);
        let flight =
            Flight { bounds: bounds.clone(), message: Arc::clone(&message), events, markers, oldest };
        if self.ledger.add(flight, now) {
            let noted = self.journal.message(bounds);
            self.report_failure(noted, now);
            self.maintain_journal(now);
        }
        message
    }

    /// Drops the first unread event, which ends at a cursor.
    pub fn discard(&mut self, cursor: Cursor, reason: DropReason, now: Instant) {
        self.counts.events -= 1;
        self.counts.drop_events(reason, 1);
        self.skip(cursor, now);
    }

    /// Moves the first unread event behind a gap that no message reports.
    pub fn skip(&mut self, cursor: Cursor, now: Instant) {
        self.reader.advance(cursor);
        if self.ledger.is_empty() {
            self.release(cursor.number(), now);
        }
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
            self.counts.events = self.counts.events.saturating_sub(flight.events);
            self.counts.acknowledged += flight.events + flight.markers;
            // Markers count as read when they are delivered: until then another process can make them again.
            self.counts.read += flight.markers;
            self.release(flight.bounds.end, now);
            self.maintain_journal(now);
        }
        Some(latency)
    }

    /// Notes that the events before a number are acknowledged or dropped, and deletes their segments.
    fn release(&mut self, number: u64, now: Instant) {
        let noted = self.journal.acknowledge(number, self.log.end());
        self.report_failure(noted, now);
        self.log.release(number);
    }
}
