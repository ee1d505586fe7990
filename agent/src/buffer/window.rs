//! Window of a reader: the blocks that are read next, in memory, just appended or read ahead from a segment. Reads disk.
//!
//! As long as the hub keeps up, appended events are read from here and never from the disk. When it lags, and the device
//! may have no more memory, the window leaves appended blocks to their segments, and reads them later.

use std::collections::VecDeque;

use super::block::{self, BlockKind, HEADER};
use super::memory_pool::MemoryReservation;
use super::names;
use super::record::{self, EventRef};
use super::scan::{self, Place};
use super::segments::Segments;

/// Room that an empty window keeps.
const KEPT: usize = 4 * 1024;

/// The blocks that are read next.
#[derive(Debug)]
pub(super) struct Window {
    parts: VecDeque<Part>,
    /// Position from which blocks are read when the parts are used up; none while they reach the end of the buffer.
    next: Option<Place>,
    memory: MemoryReservation,
}

/// Sound blocks of one segment, one after the other.
#[derive(Debug)]
struct Part {
    segment: u64,
    names: Vec<Box<str>>,
    bytes: Vec<u8>,
}

/// A place between two events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cursor {
    number: u64,
    /// The time of the event before it.
    time: i64,
    part: usize,
    at: usize,
    /// Events left in the block; without any it is between two blocks.
    left: u32,
    block_end: usize,
}

/// Result of moving a cursor.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum CursorStep {
    /// An event, see [`Window::event`], which may be not sound: then [`Window::leave`] its block.
    Event,
    /// No event before this number, whose block begins at this time, if there is one.
    Missing(u64, Option<i64>),
    /// The end.
    End,
}

impl Cursor {
    /// Returns the number of the event behind it.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Returns the time of the event before it.
    pub(super) fn time(&self) -> i64 {
        self.time
    }

    pub(super) fn at(number: u64) -> Self {
        Self { number, ..Self::default() }
    }
}

impl Window {
    /// Creates a window that begins at a place, or at the end of the log.
    pub(super) fn new(next: Option<Place>, memory: MemoryReservation) -> Self {
        Self { parts: VecDeque::new(), next, memory }
    }

    fn bytes(&self) -> usize {
        self.parts.iter().map(|part| part.bytes.len()).sum()
    }

    /// Takes blocks that were appended, if they are read next and there is memory for them.
    pub(super) fn extend(&mut self, place: Place, blocks: &[u8]) {
        if self.next.is_some() {
            return;
        }
        if self.memory.grow_to(self.bytes() + blocks.len()) {
            self.part(place.segment).bytes.extend_from_slice(blocks);
        } else {
            self.next = Some(place);
        }
    }

    fn part(&mut self, segment: u64) -> &mut Part {
        let same = self.parts.back().is_some_and(|part| part.segment == segment);
        if !same {
            self.parts.push_back(Part { segment, names: Vec::new(), bytes: Vec::new() });
        }
        let last = self.parts.len() - 1;
        &mut self.parts[last]
    }

    /// Moves to the next event, and returns what is there. `end` is the end of the log.
    pub(super) fn step(&mut self, cursor: &mut Cursor, segments: &mut Segments, end: u64) -> CursorStep {
        while cursor.left == 0 {
            let Some(part) = self.parts.get_mut(cursor.part) else {
                if self.load(segments) {
                    continue;
                }
                return at_the_end(cursor, end);
            };
            let Some(header) = block::header(&part.bytes[cursor.at..]) else {
                if cursor.part + 1 < self.parts.len() {
                    (cursor.part, cursor.at) = (cursor.part + 1, 0);
                } else if !self.load(segments) {
                    return at_the_end(cursor, end);
                }
                continue;
            };
            let payload = cursor.at + HEADER..cursor.at + header.len();
            match header.kind {
                BlockKind::Names => {
                    // Names that do not follow those before them are not read. Their events are not sound then.
                    let _ = names::read(&part.bytes[payload.clone()], &mut part.names);
                    cursor.at = payload.end;
                }
                BlockKind::Events if header.end() <= cursor.number => cursor.at = payload.end,
                BlockKind::Events if header.first > cursor.number => {
                    return CursorStep::Missing(header.first, Some(header.time));
                }
                BlockKind::Events => {
                    let number = cursor.number;
                    *cursor = Cursor {
                        number: header.first,
                        time: header.time,
                        part: cursor.part,
                        at: payload.start,
                        left: header.events,
                        block_end: payload.end,
                    };
                    while cursor.number < number {
                        match self.event(cursor) {
                            Some((_, after)) => *cursor = after,
                            None => {
                                let end = self.leave(cursor);
                                cursor.number = number;
                                return CursorStep::Missing(end, None);
                            }
                        }
                    }
                }
            }
        }
        CursorStep::Event
    }

    /// Moves a cursor to a number over whatever is before it.
    pub(super) fn pass(&self, cursor: &mut Cursor, to: u64) {
        while cursor.left > 0 && cursor.number < to {
            match self.event(cursor) {
                Some((_, after)) => *cursor = after,
                None => cursor.number = self.leave(cursor),
            }
        }
        cursor.number = cursor.number.max(to);
    }

    /// Returns the number behind a cursor's block.
    pub(super) fn block_end(&self, cursor: &Cursor) -> u64 {
        cursor.number.saturating_add(u64::from(cursor.left))
    }

    /// Moves a cursor behind its block, whose rest is not sound; returns the number behind the block.
    pub(super) fn leave(&self, cursor: &mut Cursor) -> u64 {
        let start = self.parts.get(cursor.part).map_or(0, |part| part.bytes.len());
        let end = self.block_end(cursor);
        (cursor.at, cursor.left) = (cursor.block_end.min(start), 0);
        end
    }

    /// Returns the event behind a cursor that [`Window::step`] moved, and the cursor behind that event; nothing if it is not
    /// sound.
    pub(super) fn event(&self, cursor: &Cursor) -> Option<(EventRef<'_>, Cursor)> {
        let part = self.parts.get(cursor.part)?;
        let mut rest = part.bytes.get(cursor.at..cursor.block_end)?;
        let unread = record::take(&mut rest, cursor.time, &part.names)?;
        let after = Cursor {
            number: cursor.number + 1,
            time: unread.time,
            // Bytes behind the last event of a block are not an event.
            at: if cursor.left == 1 { cursor.block_end } else { cursor.block_end - rest.len() },
            left: cursor.left - 1,
            ..*cursor
        };
        Some((unread, after))
    }

    /// Returns the time of the event behind a cursor, if it is known without reading more.
    pub(super) fn time(&self, cursor: &Cursor) -> Option<i64> {
        if cursor.left > 0 {
            return self.event(cursor).map(|(unread, _)| unread.time);
        }
        let mut at = cursor.at;
        let bytes = &self.parts.get(cursor.part)?.bytes;
        loop {
            let header = block::header(bytes.get(at..)?)?;
            if header.kind == BlockKind::Events {
                return Some(header.time);
            }
            at += header.len();
        }
    }

    /// Reads more blocks; returns whether there were any.
    fn load(&mut self, segments: &mut Segments) -> bool {
        while let Some(mut place) = self.next {
            let Some(segment) = segments.get(place.segment) else {
                self.next = segments.after(place.segment);
                continue;
            };
            if place.offset >= segment.len {
                self.next = segments.after(place.segment);
                continue;
            }
            let part = self.part(place.segment);
            let before = part.bytes.len();
            let read = scan::blocks(segment, &mut place, |block| {
                part.bytes.extend_from_slice(block.sound.unwrap_or_default());
            });
            if let Err(error) = read {
                tracing::error!("a segment of the buffer cannot be read, its events are lost: {error}");
                place.offset = segment.len;
            }
            let found = part.bytes.len() > before;
            self.next = Some(place);
            if found {
                return true;
            }
        }
        false
    }

    /// Forgets the blocks before a cursor, and adjusts the cursor.
    pub(super) fn trim(&mut self, cursor: &mut Cursor) {
        self.parts.drain(..cursor.part.min(self.parts.len()));
        cursor.part = 0;
        let Some(front) = self.parts.front_mut() else { return };
        // Moving what is left is worth it when it is the smaller half.
        if cursor.at >= front.bytes.len() / 2 {
            front.bytes.drain(..cursor.at);
            cursor.block_end = cursor.block_end.saturating_sub(cursor.at);
            cursor.at = 0;
        }
        if self.parts.len() == 1 && self.parts[0].bytes.is_empty() {
            self.parts[0].bytes.shrink_to(KEPT);
            self.memory.release();
        }
    }

    /// Forgets a segment that was dropped.
    pub(super) fn forget(&mut self, segment: u64, cursor: &mut Cursor, segments: &mut Segments) {
        if self.next.is_some_and(|next| next.segment == segment) {
            self.next = segments.after(segment);
        }
        let Some(at) = self.parts.iter().position(|part| part.segment == segment) else { return };
        self.parts.remove(at);
        match cursor.part.cmp(&at) {
            std::cmp::Ordering::Less => {}
            std::cmp::Ordering::Equal => (cursor.at, cursor.left, cursor.block_end) = (0, 0, 0),
            std::cmp::Ordering::Greater => cursor.part -= 1,
        }
    }
}

fn at_the_end(cursor: &Cursor, end: u64) -> CursorStep {
    if cursor.number < end { CursorStep::Missing(end, None) } else { CursorStep::End }
}
