//! Log of a buffer: encodes events, appends them to segments, and deletes segments. Reads and writes disk.

use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::time::Instant;

use super::disk::Disk;
use super::encoder::Encoder;
use super::quota::Usage;
use super::scan::Place;
use super::segment::Segment;
use super::segments::Segments;
use super::sync::Synced;
use crate::tags::event::Event;

/// Events in segments, in the order in which they were read.
#[derive(Debug)]
pub(super) struct Log {
    segments: Segments,
    encoder: Encoder,
    /// File of the open segment, unless that is in memory.
    open_file: Option<Synced>,
    /// Number of the next event.
    end: u64,
}

/// Blocks that were appended, and their place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Appended<'a> {
    pub(super) place: Place,
    pub(super) blocks: &'a [u8],
}

impl Log {
    /// A log of the segments that an earlier process left, up to the event before `end`.
    pub(super) fn new(segments: VecDeque<Segment>, end: u64) -> Self {
        Self { segments: Segments::found(segments), encoder: Encoder::default(), open_file: None, end }
    }

    /// Returns the number of the next event.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// Returns the bytes of the log.
    pub(super) fn usage(&self) -> Usage {
        self.segments.usage()
    }

    /// Returns the segments, for reading.
    pub(super) fn segments(&mut self) -> &mut Segments {
        &mut self.segments
    }

    /// Returns the numbers of the events that end with the process, in parts.
    pub(super) fn in_memory(&self) -> impl Iterator<Item = Range<u64>> {
        self.segments.in_memory()
    }

    /// Returns the place from which an event is read.
    pub(super) fn place_of(&self, number: u64) -> Option<Place> {
        self.segments.holding(number)
    }

    /// Returns the time of an event, to the accuracy of its segment's beginning.
    pub(super) fn time_of(&self, number: u64) -> Option<i64> {
        self.segments.time_of(number)
    }

    /// Returns whether the segments have the numbers of a range.
    #[cfg(test)]
    pub(super) fn has(&self, range: Range<u64>) -> bool {
        self.segments.have(range)
    }

    /// Encodes the next events for the open segment, after beginning one if the last has `segment_size` bytes. Returns the
    /// number of bytes that [`Log::append`] adds.
    pub(super) fn encode(
        &mut self,
        events: &[Event],
        segment_size: u64,
        disk: &mut Disk,
        now: Instant,
    ) -> u64 {
        if !self.segments.is_open(segment_size) {
            let segment = self.new_segment(disk, now);
            self.open_file = segment.file().map(Synced::new);
            self.segments.push(segment);
            self.encoder.begin_segment();
        }
        self.encoder.encode(events, self.end);
        self.encoder.blocks().len() as u64
    }

    fn new_segment(&self, disk: &mut Disk, now: Instant) -> Segment {
        if disk.is_writable() {
            match self.new_file(disk, now) {
                Ok(segment) => return segment,
                Err(error) => disk.fail(&error, now),
            }
        }
        Segment::in_memory(self.end)
    }

    fn new_file(&self, disk: &mut Disk, now: Instant) -> io::Result<Segment> {
        let segment = Segment::in_file(disk.enter()?, self.end)?;
        disk.sync_folder(now)?;
        Ok(segment)
    }

    /// Appends the events that were encoded last: all of them or nothing.
    pub(super) fn append(
        &mut self,
        events: &[Event],
        disk: &mut Disk,
        now: Instant,
    ) -> io::Result<Appended<'_>> {
        let end = self.end + events.len() as u64;
        let place = self.segments.append(self.encoder.blocks(), end, times(events))?;
        self.encoder.note_written();
        self.end = end;
        if let Some(file) = &self.open_file
            && let Err(error) = disk.sync(file, now)
        {
            // The events are appended; whether they outlive a power failure is not known.
            self.fail(&error, disk, now);
        }
        Ok(Appended { place, blocks: self.encoder.blocks() })
    }

    /// Numbers events that are not appended, and returns their numbers.
    pub(super) fn refuse(&mut self, events: &[Event]) -> Range<u64> {
        let first = self.end;
        self.end += events.len() as u64;
        first..self.end
    }

    /// Notes that a write failed: what is appended next begins a segment in memory.
    pub(super) fn fail(&mut self, error: &io::Error, disk: &mut Disk, now: Instant) {
        self.segments.seal();
        disk.fail(error, now);
    }

    /// Moves the segments in memory to files. What is appended next begins a segment.
    pub(super) fn move_to_files(&mut self, folder: &Path) -> io::Result<()> {
        self.segments.move_to_files(folder)?;
        self.segments.seal();
        Ok(())
    }

    /// Takes out the oldest segment whose events all have the number `from` or a greater one; the caller deletes it.
    pub(super) fn take_oldest(&mut self, from: u64) -> Option<Segment> {
        self.segments.take_from(from)
    }

    /// Deletes the segments whose events all are before a number. The open one stays.
    pub(super) fn release(&mut self, number: u64) {
        self.segments.release(number);
    }
}

/// Returns the times of the first and the last event.
pub(super) fn times(events: &[Event]) -> (i64, i64) {
    (events.first().map_or(0, |event| event.time), events.last().map_or(0, |event| event.time))
}
