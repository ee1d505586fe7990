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
    /// Creates a reader whose first unread event has this number.
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
                CursorStep::Missing(end, time) => (end, time),
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

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::time::Instant;

    use lanyard_handoff::buffer::Sync;

    use super::*;
    use crate::buffer::block::{self, BlockKind};
    use crate::buffer::disk::Disk;
    use crate::buffer::gap::Gap;
    use crate::buffer::memory_pool::MemoryPool;
    use crate::buffer::record::ValueRef;
    use crate::buffer::segment::START;
    use crate::buffer::sync::Syncer;

    const LARGE: u64 = 1 << 20;

    fn events(times: Range<i64>) -> Vec<Event> {
        let tag: Arc<str> = Arc::from("T");
        let event = |time| Event {
            tag: Arc::clone(&tag),
            value: Value::Integer(time * 7),
            good: true,
            continues: false,
            time,
        };
        times.map(event).collect()
    }

    /// Creates a log in memory with one block for each range of times; each begins a segment of at least `segment_size`
    /// bytes.
    fn log(scans: &[(i64, i64)], segment_size: u64) -> Log {
        let mut log = Log::new(VecDeque::new(), 1);
        let mut disk = Disk::new(None, Sync::Never, &Syncer::default());
        for &(first, end) in scans {
            let (events, now) = (events(first..end), Instant::now());
            log.encode(&events, segment_size, &mut disk, now);
            log.append(&events, &mut disk, now).unwrap();
        }
        log
    }

    fn reader(unread: u64, log: &Log) -> Reader {
        Reader::new(unread, log, MemoryReservation::new(MemoryPool::default()))
    }

    fn gaps(list: &[(Range<u64>, bool)]) -> Gaps {
        let mut gaps = Gaps::default();
        for (range, marked) in list {
            let (from, to) = (range.start as i64 * 10, range.end as i64 * 10);
            gaps.add(Gap { first: range.start, end: range.end, from, to, marked: *marked }, 0);
        }
        gaps
    }

    /// Missing numbers, with the times of the first and the last.
    type Missing = (Range<u64>, (i64, i64));

    /// Reads from the first unread event on; returns the times of the events, and the missing numbers.
    fn read(reader: &mut Reader, log: &mut Log, gaps: &Gaps, until: u64) -> (Vec<i64>, Vec<Missing>) {
        let (mut cursor, mut times, mut missing) = (reader.cursor(), Vec::new(), Vec::new());
        loop {
            let start = cursor.number();
            let found = loop {
                match reader.find(&mut cursor, (start, until), gaps, log) {
                    Found::Missing(range, times) => missing.push((range, times)),
                    found => break found,
                }
            };
            if found == Found::Nothing {
                return (times, missing);
            }
            let (event, after) = reader.event(&cursor).unwrap();
            assert_eq!((event.tag, event.value), ("T", ValueRef::Integer(event.time * 7)));
            times.push(event.time);
            cursor = after;
        }
    }

    #[test]
    fn events_are_read_in_order_up_to_a_number() {
        let mut log = log(&[(0, 3), (3, 5), (5, 9)], 1);
        let mut reader = reader(2, &log);
        assert_eq!((reader.unread(), reader.time()), (2, None));
        assert_eq!(read(&mut reader, &mut log, &gaps(&[]), 6), (vec![1, 2, 3, 4], vec![]));
        assert_eq!(read(&mut reader, &mut log, &gaps(&[]), 99), ((1..9).collect(), vec![]));
        assert_eq!(read(&mut reader, &mut log, &gaps(&[]), 2), (vec![], vec![]));
        assert_eq!(reader.unread(), 2, "reading does not take");
    }

    #[test]
    fn appended_blocks_are_read_without_the_log() {
        let mut log = log(&[], LARGE);
        let mut reader = reader(1, &log);
        let mut disk = Disk::new(None, Sync::Never, &Syncer::default());
        let (events, now) = (events(4..6), Instant::now());
        log.encode(&events, LARGE, &mut disk, now);
        reader.extend(log.append(&events, &mut disk, now).unwrap());
        assert_eq!(reader.time(), Some(4));
        drop(log.take_oldest(1).unwrap());
        assert_eq!(read(&mut reader, &mut log, &gaps(&[]), 9), (vec![4, 5], vec![]));
    }

    #[test]
    fn events_in_a_gap_are_not_read() {
        let mut log = log(&[(0, 3), (3, 6)], LARGE);
        let mut reader = reader(1, &log);
        let gaps = gaps(&[(2..5, true), (6..7, false)]);
        assert_eq!(read(&mut reader, &mut log, &gaps, 9), (vec![0, 4], vec![]));
    }

    #[test]
    fn events_of_a_lost_segment_are_missing() {
        let mut log = log(&[(0, 3), (3, 5), (5, 9)], 1);
        log.take_oldest(2).unwrap().delete();
        let mut reader = reader(1, &log);
        let (times, missing) = read(&mut reader, &mut log, &gaps(&[]), 99);
        assert_eq!((times, missing), (vec![0, 1, 2, 5, 6, 7, 8], vec![(4..6, (2, 5))]));
        let (times, missing) = read(&mut reader, &mut log, &gaps(&[]), 5);
        assert_eq!((times, missing), (vec![0, 1, 2], vec![(4..5, (2, 5))]), "as far as asked for");
    }

    #[test]
    fn events_after_the_last_block_are_missing() {
        let mut log = log(&[(0, 3)], 1);
        log.refuse(&events(3..5));
        let mut reader = reader(1, &log);
        let (times, missing) = read(&mut reader, &mut log, &gaps(&[]), 99);
        assert_eq!((times, missing), (vec![0, 1, 2], vec![(4..6, (2, 2))]));
    }

    /// Appends a block of two events that has a good checksum and is not decodable.
    fn append_rubbish(log: &mut Log) {
        let mut block = Vec::new();
        let start = block::begin(&mut block);
        block.extend_from_slice(&[0xff; 9]);
        let range = log.refuse(&events(0..2));
        block::end(&mut block, start, BlockKind::Events, 2, range.start, 70);
        log.segments().append(&block, range.end, (70, 70)).unwrap();
    }

    #[test]
    fn unsound_event_is_found_and_its_block_skipped() {
        let mut log = log(&[(0, 3)], LARGE);
        append_rubbish(&mut log);
        let mut reader = reader(4, &log);
        let mut cursor = reader.cursor();
        let found = reader.find(&mut cursor, (4, 99), &gaps(&[]), &mut log);
        assert_eq!((found, reader.event(&cursor)), (Found::Event, None));
        assert_eq!(reader.skip_block(&mut cursor), (4..6, (70, 70)));
        assert_eq!(reader.find(&mut cursor, (4, 99), &gaps(&[(4..6, true)]), &mut log), Found::Nothing);
        assert_eq!(cursor.number(), 6);
    }

    #[test]
    fn unsound_event_after_a_gap_belongs_to_the_gap() {
        let mut log = log(&[(0, 3)], LARGE);
        append_rubbish(&mut log);
        let mut reader = reader(3, &log);
        let mut cursor = reader.cursor();
        let gaps = gaps(&[(3..4, true)]);
        let found = reader.find(&mut cursor, (3, 99), &gaps, &mut log);
        assert_eq!(found, Found::Missing(4..6, (70, 70)));
        assert_eq!(
            (reader.find(&mut cursor, (3, 99), &gaps, &mut log), cursor.number()),
            (Found::Nothing, 6)
        );
    }

    #[test]
    fn marker_reports_the_marked_gaps_of_a_range() {
        let mut reader = reader(1, &log(&[], LARGE));
        let gaps = gaps(&[(2..5, true), (6..7, false), (8..10, true), (20..30, true)]);
        assert!(!reader.mark(5..8, &gaps));
        assert_eq!(reader.marker(), None);
        assert!(reader.mark(1..10, &gaps));
        let marker = reader.marker().unwrap();
        assert_eq!((marker.tag, marker.good, marker.continues, marker.time), (DROPPED_TAG, true, false, 100));
        let ValueRef::Array(numbers) = marker.value else { unreachable!("{marker:?}") };
        assert_eq!(numbers.collect::<Vec<_>>(), [5, 20, 100].map(ValueRef::Integer));
        assert!(reader.mark(4..9, &gaps));
        let ValueRef::Array(mut numbers) = reader.marker().unwrap().value else { unreachable!() };
        assert_eq!(numbers.next(), Some(ValueRef::Integer(2)), "those in the range");
    }

    #[test]
    fn advanced_reader_goes_on_at_the_cursor() {
        let mut log = log(&[(0, 3), (3, 5), (5, 9)], 1);
        let mut reader = reader(1, &log);
        let mut cursor = reader.cursor();
        for number in 1..5 {
            assert_eq!(reader.find(&mut cursor, (number, 99), &gaps(&[]), &mut log), Found::Event);
            cursor = reader.event(&cursor).unwrap().1;
        }
        reader.advance(cursor);
        assert_eq!((reader.unread(), reader.time()), (5, Some(4)));
        assert_eq!(read(&mut reader, &mut log, &gaps(&[]), 99), ((4..9).collect(), vec![]));
    }

    #[test]
    fn dropped_segment_is_forgotten_with_its_blocks() {
        let mut log = log(&[(0, 3), (3, 5), (5, 9)], 1);
        let mut reader = reader(1, &log);
        assert_eq!(read(&mut reader, &mut log, &gaps(&[]), 5).0, [0, 1, 2, 3]);
        let dropped = log.take_oldest(2).unwrap();
        reader.forget(dropped.first, &mut log);
        let gaps = gaps(&[(4..6, true)]);
        assert_eq!(read(&mut reader, &mut log, &gaps, 99), (vec![0, 1, 2, 5, 6, 7, 8], vec![]));
        let place = log.place_of(6).unwrap();
        assert_eq!((place.segment, place.offset), (6, START));
    }

    #[test]
    fn time_of_the_first_unread_event_is_not_that_of_a_dropped_one() {
        let mut log = log(&[(0, 3), (3, 5), (5, 9)], 1);
        let mut reader = reader(1, &log);
        assert_eq!(read(&mut reader, &mut log, &gaps(&[]), 5).0, [0, 1, 2, 3]);
        assert_eq!(reader.time(), Some(0));
        let dropped = log.take_oldest(1).unwrap();
        reader.forget(dropped.first, &mut log);
        assert_eq!(reader.time(), Some(3));
    }
}
