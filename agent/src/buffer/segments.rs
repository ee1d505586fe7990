//! Segments of a log, oldest first; blocks are appended to the last one. Reads and writes disk.

use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::path::Path;

use super::quota::Usage;
use super::scan::Place;
use super::segment::{self, Segment};

/// Segments in order.
#[derive(Debug, Default)]
pub(super) struct Segments {
    list: VecDeque<Segment>,
    /// True while the last segment takes more blocks.
    open: bool,
    bytes: u64,
    bytes_in_memory: u64,
}

impl Segments {
    /// Takes over the segments of an earlier process.
    pub(super) fn found(list: VecDeque<Segment>) -> Self {
        let bytes = list.iter().map(|segment| segment.len).sum();
        Self { list, open: false, bytes, bytes_in_memory: 0 }
    }

    /// Returns whether every number of a range is in a segment.
    #[cfg(test)]
    pub(super) fn have(&self, range: Range<u64>) -> bool {
        let mut next = range.start;
        for segment in self.list.iter().filter(|segment| segment.first <= range.end) {
            if segment.first <= next {
                next = next.max(segment.end);
            }
        }
        next >= range.end
    }

    /// Returns the bytes of all segments, and of those in memory.
    pub(super) fn usage(&self) -> Usage {
        Usage { bytes: self.bytes, in_memory: self.bytes_in_memory }
    }

    /// Returns the numbers of the events in each segment in memory.
    pub(super) fn in_memory(&self) -> impl Iterator<Item = Range<u64>> {
        self.list.iter().filter(|segment| segment.is_in_memory()).map(|segment| segment.first..segment.end)
    }

    /// Returns whether the last segment takes more blocks. It takes none once it has `size` bytes.
    pub(super) fn is_open(&mut self, size: u64) -> bool {
        if self.open && self.list.back().is_some_and(|last| last.len >= size) {
            self.seal();
        }
        self.open
    }

    /// Adds a segment, which is open for blocks.
    pub(super) fn push(&mut self, segment: Segment) {
        self.seal();
        self.bytes += segment.len;
        self.bytes_in_memory += if segment.is_in_memory() { segment.len } else { 0 };
        self.list.push_back(segment);
        self.open = true;
    }

    /// Appends blocks with the events before `end` to the open segment, and returns their place.
    pub(super) fn append(&mut self, blocks: &[u8], end: u64, times: (i64, i64)) -> io::Result<Place> {
        let Some(last) = self.list.back_mut().filter(|_| self.open) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let place = Place { segment: last.first, offset: last.len };
        last.append(blocks)?;
        last.end = end;
        last.from = last.from.min(times.0);
        last.to = last.to.max(times.1);
        self.bytes += blocks.len() as u64;
        self.bytes_in_memory += if last.is_in_memory() { blocks.len() as u64 } else { 0 };
        Ok(place)
    }

    /// Closes the open segment for blocks.
    pub(super) fn seal(&mut self) {
        if let Some(last) = self.list.back_mut().filter(|_| self.open) {
            last.close();
        }
        self.open = false;
    }

    fn remove(&mut self, at: usize) -> Option<Segment> {
        let segment = self.list.remove(at)?;
        self.bytes -= segment.len;
        self.bytes_in_memory -= if segment.is_in_memory() { segment.len } else { 0 };
        if at == self.list.len() {
            self.open = false;
        }
        Some(segment)
    }

    fn position(&self, first: u64) -> Option<usize> {
        self.list.binary_search_by_key(&first, |segment| segment.first).ok()
    }

    /// Returns the segment that begins with an event.
    pub(super) fn get(&mut self, first: u64) -> Option<&mut Segment> {
        let at = self.position(first)?;
        self.list.get_mut(at)
    }

    /// Returns the beginning of the segment after the one that begins with `first`, and closes the file of that one, which
    /// is read to its end.
    pub(super) fn after(&mut self, first: u64) -> Option<Place> {
        let at = self.list.partition_point(|segment| segment.first <= first);
        let is_open = self.open && at == self.list.len();
        if let Some(read) =
            at.checked_sub(1).and_then(|before| self.list.get_mut(before)).filter(|_| !is_open)
        {
            read.close();
        }
        self.list.get(at).map(place)
    }

    /// Returns the beginning of the segment that contains an event, or else of the next one.
    pub(super) fn holding(&self, number: u64) -> Option<Place> {
        self.list.iter().find(|segment| segment.end > number).map(place)
    }

    /// Returns the time of the first event of the segment that contains an event.
    pub(super) fn time_of(&self, number: u64) -> Option<i64> {
        self.list.iter().find(|segment| segment.end > number).map(|segment| segment.from)
    }

    /// Deletes the segments whose events all are before a number. The open one stays.
    pub(super) fn release(&mut self, number: u64) {
        while let Some(front) = self.list.front() {
            if front.end > number || (self.open && self.list.len() == 1) {
                break;
            }
            if let Some(front) = self.remove(0) {
                front.delete();
            }
        }
    }

    /// Removes and returns the oldest segment whose events all have this number or a greater one.
    pub(super) fn take_from(&mut self, number: u64) -> Option<Segment> {
        let at = self.list.partition_point(|segment| segment.first < number);
        // Only the open one can be empty; without it there is no more room than with it.
        self.list.get(at).filter(|segment| segment.first < segment.end)?;
        self.remove(at)
    }

    /// Moves the segments in memory to files.
    pub(super) fn move_to_files(&mut self, folder: &Path) -> io::Result<()> {
        for segment in self.list.iter_mut().filter(|segment| segment.is_in_memory()) {
            segment.move_to_file(folder)?;
            self.bytes_in_memory -= segment.len;
        }
        Ok(())
    }
}

fn place(segment: &Segment) -> Place {
    Place { segment: segment.first, offset: segment::START }
}
