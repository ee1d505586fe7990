//! Buffer of a device: a first-in-first-out store of events, on disk. Reads and writes disk.
//!
//! An event is unread, then in flight in a message, and deleted when its message is acknowledged. Messages are
//! acknowledged in the order in which they were made. Events have consecutive numbers; numbers and not times order
//! them, so a clock change does no harm. A folder contains:
//!
//! - `<number>.events`: segments, see [`super::block`]; a segment is deleted once all its events are acknowledged.
//! - `<generation>.journal`: see [`super::journal`]: the acknowledged position, gaps, and of every message in flight its
//!   id, its first and last event, its time and its settings. So a message that is sent again after `kill -9` has the
//!   same bytes and the same id, although only its events are stored. Ids begin with a random number of the process, so
//!   no id is used twice, whatever a power failure removes.
//! - `lock`: locked by the process that uses the folder.
//!
//! The end of the process, including `kill -9`, loses nothing, because events and messages are written to the operating
//! system before they count. [`Sync`](lanyard_handoff::buffer::Sync) limits the loss by a power failure.
//!
//! While the disk does not accept writes, segments are kept in memory, up to a limit, and moved to the disk when it
//! does again. If the folder cannot be used at all, the buffer stays in memory until the agent restarts.
//!
//! No library fits. Write-ahead logs (okaywal, wal-db) are read once, at the start, and have no reader position. File
//! queues (yaque, queue-file, disk_backed_queue) need a write or a transaction for each event and acknowledge one by
//! one. Databases (fjall, sled) write everything twice. None has a byte limit with a drop policy, reads beyond corrupt
//! blocks, or compresses names and times. The checksum comes from a library.

mod append;
pub mod deliver;
mod disk;

use std::collections::VecDeque;
use std::path::Path;
use std::time::Instant;

use lanyard_handoff::buffer::{self as config, WhenFull};

use super::entry::MessageBounds;
use super::home::Home;
use super::journal::Journal;
use super::ledger::Ledger;
use super::limits::{IN_MEMORY, RETRY};
use super::names::Names;
use super::recovery::{self, Unusable};
use super::segment::Segment;
use super::segments::Segments;
use super::sync::{Synced, Syncer};
use super::window::{Cursor, Window};
use crate::buffer::counts::EventCounts;
use crate::buffer::quota::{Allowance, Grant};
use crate::buffer::recovery::Recovered;

/// Resources that all buffers of a process share.
#[derive(Debug, Clone, Default)]
pub struct SharedBuffers {
    /// Syncs written files to disk.
    pub syncer: Syncer,
    /// Memory for reading ahead.
    pub allowance: Allowance,
}

/// A device's events until the hub has them.
#[derive(Debug)]
pub struct Buffer {
    settings: config::Buffer,
    shared: SharedBuffers,
    /// Nothing when it is in memory for good.
    home: Option<Home>,
    problem: Option<String>,
    /// Time of the next attempt to write, while the disk does not accept writes.
    retry_at: Option<Instant>,
    segments: Segments,
    names: Names,
    names_written: usize,
    /// The open segment's file.
    synced: Option<Synced>,
    window: Window,
    /// Before the first unread event.
    cursor: Cursor,
    /// The number of the next event.
    next: u64,
    journal: Journal,
    /// Time at which the journal last recorded the number of events.
    told_at: Option<Instant>,
    ledger: Ledger,
    account: EventCounts,
    scratch: Vec<u8>,
    numbers: Vec<u32>,
    marker: Vec<u8>,
}

impl Buffer {
    /// Opens the buffer in a folder, with what an earlier process left there.
    #[must_use]
    pub fn open(folder: &Path, settings: &config::Buffer, shared: &SharedBuffers, now: Instant) -> Self {
        let mut home = Home { folder: folder.to_owned(), lock: None };
        let (mut buffer, error) = match recovery::recover(folder) {
            Ok(found) => {
                home.lock = Some(found.lock);
                let Recovered { segments, journal, in_flight, next, .. } = found;
                (Self::with(Some(home), segments, (journal, in_flight), next, settings, shared), None)
            }
            Err(error) => {
                let home = matches!(error, Unusable::Empty(_)).then_some(home);
                (Self::with(home, VecDeque::new(), Default::default(), 1, settings, shared), Some(error))
            }
        };
        match error {
            None => buffer.begin_journal(now),
            Some(error) => {
                buffer.retry_at = Some(now + RETRY);
                buffer.tell(format!(
                    "the buffer folder {} is not used: {error}; until then at most {} MiB of events are kept in memory, and \
                     end with the agent",
                    folder.display(),
                    IN_MEMORY >> 20
                ));
            }
        }
        buffer
    }

    /// A buffer in memory.
    #[must_use]
    pub fn in_memory(settings: &config::Buffer, shared: &SharedBuffers) -> Self {
        Self::with(None, VecDeque::new(), Default::default(), 1, settings, shared)
    }

    fn with(
        home: Option<Home>,
        list: VecDeque<Segment>,
        (mut journal, mut in_flight): (Journal, Vec<MessageBounds>),
        next: u64,
        settings: &config::Buffer,
        shared: &SharedBuffers,
    ) -> Self {
        let start = list.front().map_or(next, |front| front.first);
        // Files are deleted after the note that they are done with; that note can be lost in a power cut.
        let unknown = journal.holes.outside(journal.acknowledged..start);
        let position = unknown.last().map_or(journal.acknowledged, |part| part.end);
        journal.acknowledged = position;
        in_flight.retain(|bounds| bounds.end > position);
        let mut segments = Segments::found(list);
        segments.release(position, true);
        let events = (next - position).saturating_sub(journal.holes.events(position..next));
        let window = Window::new(segments.holding(position), Grant::new(shared.allowance.clone()));
        Self {
            settings: settings.clone(),
            shared: shared.clone(),
            home,
            problem: None,
            retry_at: None,
            segments,
            names: Names::default(),
            names_written: 0,
            synced: None,
            window,
            cursor: Cursor::at(position),
            next,
            ledger: Ledger::new(in_flight),
            journal,
            told_at: None,
            account: EventCounts { read: events, recovered: events, events, ..EventCounts::default() },
            scratch: Vec::new(),
            numbers: Vec::new(),
            marker: Vec::new(),
        }
    }

    /// Changes what it may hold, and how.
    pub fn configure(&mut self, settings: &config::Buffer, now: Instant) -> u64 {
        self.settings = settings.clone();
        let mut dropped = 0;
        if self.settings.when_full == WhenFull::DropOldest {
            while !self.fits(0) {
                let Some(made) = self.drop_oldest(now) else { break };
                dropped += made;
            }
        }
        dropped
    }

    /// The bytes that the buffer may take.
    #[must_use]
    pub const fn capacity(&self) -> u64 {
        self.settings.capacity.get()
    }

    /// The books.
    #[must_use]
    pub fn account(&self) -> EventCounts {
        let unread = || {
            let time = self.window.time(&self.cursor);
            time.or_else(|| self.segments.time_of(self.cursor.number))
                .filter(|_| self.cursor.number < self.next)
        };
        let acknowledged = self.journal.acknowledged;
        let volatile = self.segments.in_memory().map(|range| {
            let range = range.start.max(acknowledged)..range.end.max(acknowledged);
            (range.end - range.start) - self.journal.holes.events(range)
        });
        EventCounts {
            volatile: volatile.sum(),
            bytes: self.segments.bytes(),
            oldest: self.ledger.oldest_event().or_else(unread),
            ..self.account
        }
    }

    /// Returns the reason why events are not stored on disk.
    #[must_use]
    pub fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }
}
