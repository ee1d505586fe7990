//! Reading events for messages: skips gaps and corrupt blocks, deletes events after their acknowledgement. Reads and
//! writes disk.

use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use super::batch::Batch;
use super::record;
use super::store::Buffer;
use super::window::Cursor;
use crate::buffer::counts::DropReason;
use crate::buffer::entry::MessageBounds;
use crate::buffer::gap::Hole;
use crate::buffer::record::EventRef;
use crate::buffer::window::CursorStep;
use crate::tags::event::{Event, Value};

/// The tag of events that tell of a gap.
pub const DROPPED_TAG: &str = "_lanyard.dropped";

/// Item at a cursor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Behind {
    /// An event: see [`Buffer::event`].
    Event,
    /// A gap, which [`Buffer::marker`] tells of; behind it is this cursor.
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

    /// Goes to the next event before the number `until`, and says what is there.
    pub fn behind(&mut self, cursor: &mut Cursor, until: u64) -> Behind {
        // Nearly always; what is below would come to the same.
        if cursor.is_in_block() && cursor.number < until && self.journal.holes.is_empty() {
            return Behind::Event;
        }
        self.over_gaps(cursor, until)
    }

    fn over_gaps(&mut self, cursor: &mut Cursor, until: u64) -> Behind {
        let mut after = *cursor;
        let behind = loop {
            if after.number >= until {
                break Behind::Nothing;
            }
            let (to, time) = match self.journal.holes.end_of(after.number) {
                // What counts as gone stays gone, even where its file is still there, or has it twice.
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
        if self.is_told(cursor.number..after.number) {
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

    /// The event that tells of the gap which [`Buffer::behind`] found last.
    #[must_use]
    pub fn marker(&self) -> Option<EventRef<'_>> {
        let mut bytes = self.marker.as_slice();
        record::take(&mut bytes, 0, &[DROPPED_TAG])
    }

    /// The message that an earlier process made next.
    #[must_use]
    pub fn inherited(&self) -> Option<&MessageBounds> {
        let sent = self.journal.cuts.len().saturating_sub(self.inherited);
        self.journal.cuts.get(sent).filter(|_| self.inherited > 0)
    }

    /// Gives up a message of an earlier process that cannot be made again; its events are sent in other messages.
    pub fn give_up_inherited(&mut self, now: Instant) {
        let sent = self.journal.cuts.len().saturating_sub(self.inherited);
        if self.inherited > 0 && self.journal.cuts.remove(sent).is_some() {
            self.inherited -= 1;
            // The note of it must not outlive it.
            self.begin_journal(now);
        }
    }

    /// The number of the next message.
    #[must_use]
    pub fn next_message(&self) -> u64 {
        self.journal.messages
    }

    /// Puts everything before a cursor under way as a message: `events` from the buffer and `markers` that tell of gaps.
    pub fn take(&mut self, cursor: Cursor, events: u64, markers: u64, cut: MessageBounds, now: Instant) {
        let oldest = self.window.time(&self.cursor);
        self.advance(cursor);
        self.under_way.push_back(Batch { end: self.cursor.number, events, markers, oldest });
        if self.inherited > 0 && self.inherited().is_some_and(|inherited| inherited.number == cut.number) {
            self.inherited -= 1;
            return;
        }
        let noted = self.journal.cut(cut, self.inherited);
        self.noted(noted);
        self.tend_journal(now);
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
        if self.under_way.is_empty() && self.inherited == 0 {
            self.done(cursor.number);
        }
    }

    pub(super) fn advance(&mut self, cursor: Cursor) {
        self.cursor = cursor;
        self.window.trim(&mut self.cursor);
    }

    /// Removes the oldest message under way, for the hub has it.
    pub fn acknowledge(&mut self, now: Instant) {
        let Some(batch) = self.under_way.pop_front() else { return };
        self.account.events = self.account.events.saturating_sub(batch.events);
        self.account.acknowledged += batch.events + batch.markers;
        // Markers count as read when they are delivered: until then another process can make them again.
        self.account.read += batch.markers;
        self.done(batch.end);
        self.tend_journal(now);
    }

    pub(super) fn done(&mut self, number: u64) {
        let noted = self.journal.acknowledge(number, self.next);
        self.noted(noted);
        self.segments.release(number, false);
    }
}
