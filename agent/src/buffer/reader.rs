//! Reader of a buffer's log: decodes events, steps over gaps, and finds events that the log does not have. Reads disk.

use std::ops::Range;
use std::sync::Arc;

use super::gap::Gaps;
use super::log::{Appended, Log};
use super::memory_pool::MemoryReservation;
use super::record::{self, EventRef};
use super::window::{Cursor, CursorStep, Window};
use crate::tags::event::{Event, Value};

/// Tag of marker events, which report a gap.
pub const DROPPED_TAG: &str = "_lanyard.dropped";

/// Position of the first unread event, and the blocks after it.
#[derive(Debug)]
pub(super) struct Reader {
    window: Window,
    /// Before the first unread event.
    cursor: Cursor,
    /// The newest marker event, encoded.
    marker: Vec<u8>,
}

/// Item at a cursor; see [`Buffer::peek`](super::store::Buffer::peek).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peeked {
    /// An event.
    Event,
    /// A gap that is reported by a marker event, and the cursor behind it.
    Gap(Cursor),
    /// No event before the number asked for.
    Nothing,
}

/// Result of [`Reader::find`].
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// An event: see [`Reader::event`].
    Event,
    /// Events that are in no known gap, but not in the log either; the times of the first and the last, as far as known.
    Missing(Range<u64>, (i64, i64)),
    /// No event before the number asked for.
    Nothing,
}

impl Reader {
    /// A reader whose first unread event has this number.
    pub(super) fn new(unread: u64, log: &Log, memory: MemoryReservation) -> Self {
        let window = Window::new(log.place_of(unread), memory);
        Self { window, cursor: Cursor::at(unread), marker: Vec::new() }
    }

    /// Returns a cursor before the first unread event.
    pub(super) fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// Returns the number of the first unread event.
    pub(super) fn unread(&self) -> u64 {
        self.cursor.number()
    }

    /// Returns the time of the first unread event, if it is known without reading the log.
    pub(super) fn time(&self) -> Option<i64> {
        self.window.time(&self.cursor)
    }

    /// Takes blocks that were appended, so that they need not be read from the log.
    pub(super) fn extend(&mut self, appended: Appended<'_>) {
        self.window.extend(appended.place, appended.blocks);
    }

    /// Forgets the segment that began with an event: it was dropped from the log.
    pub(super) fn forget(&mut self, segment: u64, log: &mut Log) {
        self.window.forget(segment, &mut self.cursor, log.segments());
    }

    /// Moves a cursor over gaps to the next event before the number `until`. `start` is the number of the event behind the
    /// cursor when the search began; a search continues after [`Found::Missing`].
    pub(super) fn find(
        &mut self,
        cursor: &mut Cursor,
        (start, until): (u64, u64),
        gaps: &Gaps,
        log: &mut Log,
    ) -> Found {
        while cursor.number() < until {
            // Events that count as lost stay lost, even if their file still exists or has them twice.
            if let Some(end) = gaps.end_of(cursor.number()) {
                self.window.pass(cursor, end.min(until));
                continue;
            }
            let end = log.end();
            let (end, time) = match self.window.step(cursor, log.segments(), end) {
                // An event behind a gap must be sound, as its block belongs to the gap otherwise; see `Buffer::peek`.
                CursorStep::Event if cursor.number() == start || self.event(cursor).is_some() => {
                    return Found::Event;
                }
                CursorStep::Event => (self.window.block_end(cursor), Some(cursor.time())),
                CursorStep::End => return Found::Nothing,
                CursorStep::Gap(end, time) => (end, time),
            };
            let missing = cursor.number()..end.min(until);
            let times = (cursor.time(), time.unwrap_or(cursor.time()));
            self.window.pass(cursor, missing.end);
            return Found::Missing(missing, times);
        }
        Found::Nothing
    }

    /// Returns the event behind a cursor, and the cursor behind that event; nothing if it is not sound: then
    /// [`Reader::skip_block`].
    pub(super) fn event(&self, cursor: &Cursor) -> Option<(EventRef<'_>, Cursor)> {
        self.window.event(cursor)
    }

    /// Moves a cursor behind its block; returns the numbers of the block's other events, and their times as far as known.
    pub(super) fn skip_block(&self, cursor: &mut Cursor) -> (Range<u64>, (i64, i64)) {
        let first = cursor.number();
        (first..self.window.leave(cursor), (cursor.time(), cursor.time()))
    }

    /// Makes a marker event for the gaps in a range, unless none of them is to be reported; returns whether it did.
    pub(super) fn mark(&mut self, range: Range<u64>, gaps: &Gaps) -> bool {
        let mut marked = gaps.within(range).filter(|gap| gap.marked);
        let Some(first) = marked.next() else { return false };
        let (events, last) =
            marked.fold((first.events(), first), |(events, _), gap| (events + gap.events(), gap));
        let numbers = [i64::try_from(events).unwrap_or(i64::MAX), first.from, last.to];
        let value = Value::Array(numbers.map(Value::Integer).into());
        let event = Event { tag: Arc::from(DROPPED_TAG), value, good: true, continues: false, time: last.to };
        self.marker.clear();
        record::write(&mut self.marker, &event, 0, 0);
        true
    }

    /// Returns the newest marker event.
    pub(super) fn marker(&self) -> Option<EventRef<'_>> {
        record::take(&mut self.marker.as_slice(), 0, &[DROPPED_TAG])
    }

    /// Makes the event behind a cursor the first unread one, and forgets the blocks before.
    pub(super) fn advance(&mut self, cursor: Cursor) {
        self.cursor = cursor;
        self.window.trim(&mut self.cursor);
    }
}
