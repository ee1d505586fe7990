//! Appending to the buffer, and freeing room: segments, rotation, dropping. Reads and writes disk.

use std::io;
use std::time::{Duration, Instant};

use lanyard_handoff::buffer::{Sync, WhenFull};

use super::Buffer;
use crate::buffer::block;
use crate::buffer::block::BlockKind;
use crate::buffer::counts::DropReason;
use crate::buffer::gap::Hole;
use crate::buffer::limits::IN_MEMORY;
use crate::buffer::record;
use crate::buffer::segment::Segment;
use crate::buffer::segments;
use crate::buffer::sync::Synced;
use crate::tags::event::Event;

/// Time between two notes of how many events there are.
const TELL: Duration = Duration::from_secs(1);

impl Buffer {
    /// Appends what one scan brought; returns how many events were dropped to make room, its own included.
    pub fn append(&mut self, events: &[Event], now: Instant) -> u64 {
        if events.is_empty() {
            return 0;
        }
        self.revive(now);
        let count = events.len() as u64;
        self.account.read += count;
        let mut dropped = 0;
        loop {
            self.open_segment(now);
            self.encode(events);
            if self.fits(self.scratch.len() as u64) || self.settings.when_full == WhenFull::Block {
                match self.write(events, now) {
                    Ok(()) => break,
                    Err(error) => self.fail(&error, now),
                }
            } else {
                let room = (self.settings.when_full == WhenFull::DropOldest).then(|| self.drop_oldest(now));
                match room.flatten() {
                    Some(made) => dropped += made,
                    None => {
                        self.refuse(events);
                        return dropped + count;
                    }
                }
            }
        }
        self.next += count;
        self.account.events += count;
        self.note_appended(now);
        dropped
    }

    /// Notes now and then how far the numbers are, so that events whose blocks break at the very end are missed.
    fn note_appended(&mut self, now: Instant) {
        if self.told_at.is_some_and(|at| now.saturating_duration_since(at) < TELL) {
            return;
        }
        self.told_at = Some(now);
        let noted = self.journal.append(self.next);
        self.noted(noted);
        self.tend_journal(now);
    }

    /// Returns whether the next readings may be appended. With the policy Block, tags are not read before there is
    /// room.
    #[must_use]
    pub fn has_room(&self) -> bool {
        let spare = self.segment_size();
        self.settings.when_full != WhenFull::Block || self.fits(spare)
    }

    pub(super) fn segment_size(&self) -> u64 {
        let in_memory = self.home.is_none() || self.retry_at.is_some();
        let capacity = self.settings.capacity.get();
        segments::size(if in_memory { capacity.min(IN_MEMORY) } else { capacity })
    }

    pub(super) fn fits(&self, bytes: u64) -> bool {
        let taken = self.segments.bytes() + self.journal.len();
        let in_memory = self.segments.bytes_in_memory();
        taken + bytes <= self.settings.capacity.get() && (in_memory == 0 || in_memory + bytes <= IN_MEMORY)
    }

    fn open_segment(&mut self, now: Instant) {
        let size = self.segment_size();
        if self.segments.open(size).is_some() {
            return;
        }
        self.names.clear();
        self.names_written = 0;
        let segment = match self.new_file(now) {
            Some(Ok(segment)) => segment,
            Some(Err(error)) => {
                self.fail(&error, now);
                Segment::in_memory(self.next)
            }
            None => Segment::in_memory(self.next),
        };
        self.synced = segment.file().map(Synced::new);
        self.segments.push(segment);
    }

    fn new_file(&mut self, now: Instant) -> Option<io::Result<Segment>> {
        let home = self.home.as_mut().filter(|_| self.retry_at.is_none())?;
        let segment = home.enter().and_then(|()| Segment::in_file(&home.folder, self.next));
        Some(segment.and_then(|segment| {
            home.sync_names(self.settings.sync, &self.shared.syncer, now)?;
            Ok(segment)
        }))
    }

    /// Writes the events as blocks, after the names that the segment does not have yet.
    fn encode(&mut self, events: &[Event]) {
        self.scratch.clear();
        self.numbers.clear();
        self.names.truncate(self.names_written);
        self.numbers.extend(events.iter().map(|event| self.names.number(&event.tag)));
        if self.names.len() > self.names_written {
            let start = block::begin(&mut self.scratch);
            self.names.write(&mut self.scratch, self.names_written);
            block::end(
                &mut self.scratch,
                start,
                BlockKind::Names,
                0,
                self.next,
                events.first().map_or(0, |event| event.time),
            );
        }
        let mut rest = events.iter().zip(&self.numbers).peekable();
        let mut first = self.next;
        while let Some((event, _)) = rest.peek() {
            let (start, time) = (block::begin(&mut self.scratch), event.time);
            let (mut before, mut count) = (time, 0);
            while self.scratch.len() - start < block::FULL
                && let Some((event, &number)) = rest.next()
            {
                record::write(&mut self.scratch, event, number, before);
                before = event.time;
                count += 1;
            }
            block::end(&mut self.scratch, start, BlockKind::Events, count, first, time);
            first += u64::from(count);
        }
    }

    fn write(&mut self, events: &[Event], now: Instant) -> io::Result<()> {
        let Some(segment) = self.segments.open(u64::MAX) else { return Err(io::ErrorKind::NotFound.into()) };
        let (first, offset) = (segment.first, segment.len);
        let times =
            (events.first().map_or(0, |event| event.time), events.last().map_or(0, |event| event.time));
        self.segments.append(&self.scratch, self.next + events.len() as u64, times)?;
        self.names_written = self.names.len();
        self.window.extend(first, offset, &self.scratch);
        match (&self.synced, self.settings.sync) {
            (None, _) | (_, Sync::Never) => {}
            (Some(synced), Sync::EverySecond) => self.shared.syncer.soon(synced, now),
            (Some(synced), Sync::EveryWrite) => {
                if let Err(error) = synced.now() {
                    // The events are appended; whether they outlive a power cut is not known.
                    self.fail(&error, now);
                }
            }
        }
        Ok(())
    }

    /// Drops the oldest segment without an event in flight; returns how many events that were, or nothing when there
    /// is no such segment.
    pub(super) fn drop_oldest(&mut self, now: Instant) -> Option<u64> {
        let segment = self.segments.take_from(self.ledger.end())?;
        let range = segment.first.max(self.cursor.number)..segment.end.max(self.cursor.number);
        let events = (range.end - range.start) - self.journal.holes.events(range.clone());
        self.lose(range, self.why(), (segment.from, segment.to));
        self.window.forget(segment.first, &mut self.cursor, &mut self.segments);
        if !segment.is_in_memory() && self.retry_at.is_some() {
            self.retry_at = Some(now);
        }
        segment.delete();
        Some(events)
    }

    fn refuse(&mut self, events: &[Event]) {
        self.names.truncate(self.names_written);
        let count = events.len() as u64;
        self.account.events += count;
        let range = self.next..self.next + count;
        self.next += count;
        let times =
            (events.first().map_or(0, |event| event.time), events.last().map_or(0, |event| event.time));
        self.lose(range, self.why(), times);
    }

    fn why(&self) -> DropReason {
        if self.retry_at.is_some() { DropReason::StorageFailed } else { DropReason::BufferFull }
    }

    /// Takes events that are unread, and not lost already, out of the books.
    pub(super) fn lose(&mut self, range: std::ops::Range<u64>, reason: DropReason, (from, to): (i64, i64)) {
        for part in self.journal.holes.outside(range) {
            let events = part.end - part.start;
            self.account.events = self.account.events.saturating_sub(events);
            self.account.drop_events(reason, events);
            let marked = self.settings.drop_markers;
            let hole = Hole { first: part.start, end: part.end, from, to, marked };
            // A gap that a message reports, or that lies before one, does not grow any more.
            let noted = self.journal.hole(hole, self.cursor.number.max(self.ledger.end()));
            self.noted(noted);
        }
    }
}
