//! All segments of a buffer, oldest first; the last one takes what is appended. Touches disk.

use std::collections::VecDeque;
use std::io;
use std::path::Path;

use super::scan::Place;
use super::segment::{self, Segment};

/// A buffer has this many segments when it is full: what DropOldest drops at once is a small part of it.
const SHARE: u64 = 16;
/// Neither thousands of tiny files nor a second's work when the end of one is looked for.
const SIZES: std::ops::RangeInclusive<u64> = 4 * 1024..=8 * 1024 * 1024;

/// Segments in order.
#[derive(Debug, Default)]
pub(super) struct Segments {
    list: VecDeque<Segment>,
    /// True while the last segment takes more blocks.
    open: bool,
    bytes: u64,
    bytes_in_memory: u64,
}

/// Returns the size at which the next segment begins.
pub(super) fn size(capacity: u64) -> u64 {
    (capacity / SHARE).clamp(*SIZES.start(), *SIZES.end())
}

impl Segments {
    /// Those that an earlier process left behind.
    pub(super) fn found(list: VecDeque<Segment>) -> Self {
        let bytes = list.iter().map(|segment| segment.len).sum();
        Self { list, open: false, bytes, bytes_in_memory: 0 }
    }

    /// Bytes of all of them.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Bytes of those that end with the process.
    pub(super) fn bytes_in_memory(&self) -> u64 {
        self.bytes_in_memory
    }

    /// Numbers that end with the process, unless they are acknowledged before.
    pub(super) fn in_memory(&self) -> impl Iterator<Item = std::ops::Range<u64>> {
        self.list.iter().filter(|segment| segment.is_in_memory()).map(|segment| segment.first..segment.end)
    }

    /// The one that takes what is appended, unless it is `size` bytes large.
    pub(super) fn open(&mut self, size: u64) -> Option<&mut Segment> {
        if self.open && self.list.back().is_some_and(|last| last.len >= size) {
            self.seal();
        }
        if self.open { self.list.back_mut() } else { None }
    }

    /// Begins a new one.
    pub(super) fn push(&mut self, segment: Segment) {
        self.seal();
        self.count(&segment, 0);
        self.list.push_back(segment);
        self.open = true;
    }

    /// Appends blocks with the events up to `end` to the open one.
    pub(super) fn append(&mut self, blocks: &[u8], end: u64, times: (i64, i64)) -> io::Result<()> {
        let Some(last) = self.list.back_mut().filter(|_| self.open) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        last.append(blocks)?;
        last.end = end;
        last.from = last.from.min(times.0);
        last.to = last.to.max(times.1);
        self.bytes += blocks.len() as u64;
        self.bytes_in_memory += if last.is_in_memory() { blocks.len() as u64 } else { 0 };
        Ok(())
    }

    /// Nothing more comes into the last one.
    pub(super) fn seal(&mut self) {
        if let Some(last) = self.list.back_mut().filter(|_| self.open) {
            last.close();
        }
        self.open = false;
    }

    fn count(&mut self, segment: &Segment, before: u64) {
        self.bytes = self.bytes + segment.len - before;
        if segment.is_in_memory() {
            self.bytes_in_memory = self.bytes_in_memory + segment.len - before;
        }
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

    /// The segment that begins with an event.
    pub(super) fn get(&mut self, first: u64) -> Option<&mut Segment> {
        let at = self.position(first)?;
        self.list.get_mut(at)
    }

    /// The beginning of the one after that which begins with `first`; that one's file is not needed for reading more.
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

    /// The beginning of the one that holds an event, or else of the next one.
    pub(super) fn holding(&self, number: u64) -> Option<Place> {
        self.list.iter().find(|segment| segment.end > number).map(place)
    }

    /// The time of the first event at or after a number, roughly.
    pub(super) fn time_of(&self, number: u64) -> Option<i64> {
        self.list.iter().find(|segment| segment.end > number).map(|segment| segment.from)
    }

    /// Deletes those whose events are all before a number. The open one stays unless `all`.
    pub(super) fn release(&mut self, number: u64, all: bool) {
        while let Some(front) = self.list.front() {
            if front.end > number || (self.open && self.list.len() == 1 && !all) {
                break;
            }
            if let Some(front) = self.remove(0) {
                front.delete();
            }
        }
    }

    /// Takes out the oldest one all of whose events have this number or a greater one.
    pub(super) fn take_from(&mut self, number: u64) -> Option<Segment> {
        let at = self.list.partition_point(|segment| segment.first < number);
        // Only the open one can be empty; without it there is no more room than with it.
        self.list.get(at).filter(|segment| segment.first < segment.end)?;
        self.remove(at)
    }

    /// Moves those in memory into files.
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
