//! The buffer: a first-in-first-out store of events, on disk. Touches disk.
//!
//! An event is unread, then under way in a message, and is gone when its message is acknowledged; messages are
//! acknowledged in the order in which they were made. Events are numbered without a gap; numbers and not times order
//! them, so a clock that steps does no harm. A folder holds:
//!
//! - `<number>.events`: segments, see [`super::block`]; deleted as a whole once all their events are acknowledged.
//! - `<generation>.journal`: see [`super::journal`]: how far the hub has the events, which are gone, and of every
//!   message under way its id, its first and last event, its time and how it is written. So a message that is sent
//!   again after `kill -9` is the same, byte for byte, under the same id, although only its events are stored. Ids
//!   begin with the process's own random number, so that none is ever used twice, whatever a power cut has taken away.
//! - `lock`: held by the one process that uses the folder.
//!
//! What a crash can lose: an end of the process, `kill -9` included, nothing, because events and messages are handed
//! to the operating system before they count; a power cut what [`Sync`](lanyard_protocol::handoff::buffer::Sync) says.
//!
//! While the disk takes nothing, segments are kept in memory, a few megabytes of them, and moved to the disk when it
//! does again. A folder that cannot be used at all leaves the buffer in memory until the agent is started anew.
//!
//! Why no library: those that are kept do one half each. Write-ahead logs (okaywal, wal-db) are read once, at the start,
//! and keep no reader's place; queues on files (yaque, queue-file, disk_backed_queue) want a write or even a transaction
//! per event and acknowledge one by one; databases (fjall, sled) write everything twice. None is bounded in bytes with a
//! choice of what to drop, reads while blocks are broken, or compresses names and times. Of libraries, then, the
//! checksum.

use std::collections::VecDeque;
use std::path::Path;
use std::time::Instant;

use lanyard_protocol::handoff::buffer::{self as config, WhenFull};

use super::batch::Batch;
use super::home::Home;
use super::journal::Journal;
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

/// What all buffers of a process share.
#[derive(Debug, Clone, Default)]
pub struct SharedBuffers {
    /// Who forces what was written to the disk.
    pub syncer: Syncer,
    /// Memory for reading ahead.
    pub allowance: Allowance,
}

/// A device's events until the hub has them.
#[derive(Debug)]
pub struct Buffer {
    pub(super) settings: config::Buffer,
    pub(super) shared: SharedBuffers,
    /// Nothing when it is in memory for good.
    pub(super) home: Option<Home>,
    pub(super) problem: Option<String>,
    /// When the disk is tried again, while it takes nothing.
    pub(super) retry_at: Option<Instant>,
    pub(super) segments: Segments,
    pub(super) names: Names,
    pub(super) names_written: usize,
    /// The open segment's file.
    pub(super) synced: Option<Synced>,
    pub(super) window: Window,
    /// Before the first unread event.
    pub(super) cursor: Cursor,
    /// The number of the next event.
    pub(super) next: u64,
    pub(super) journal: Journal,
    /// When the journal was told how many events there are.
    pub(super) told_at: Option<Instant>,
    /// How many of the journal's messages an earlier process made, and this one has not made again yet.
    pub(super) owed: usize,
    pub(super) under_way: VecDeque<Batch>,
    pub(super) account: EventCounts,
    pub(super) scratch: Vec<u8>,
    pub(super) numbers: Vec<u32>,
    pub(super) marker: Vec<u8>,
}

impl Buffer {
    /// Opens the buffer in a folder, with what an earlier process left there.
    #[must_use]
    pub fn open(folder: &Path, settings: &config::Buffer, shared: &SharedBuffers, now: Instant) -> Self {
        let mut home = Home { folder: folder.to_owned(), lock: None };
        let (mut buffer, error) = match recovery::recover(folder) {
            Ok(found) => {
                let Recovered { lock, segments, journal, next } = found;
                home.lock = Some(lock);
                (Self::with(Some(home), segments, journal, next, settings, shared), None)
            }
            Err(error) => {
                let home = matches!(error, Unusable::Empty(_)).then_some(home);
                let (segments, journal) = (VecDeque::new(), Journal::default());
                (Self::with(home, segments, journal, 1, settings, shared), Some(error))
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
        Self::with(None, VecDeque::new(), Journal::default(), 1, settings, shared)
    }

    fn with(
        home: Option<Home>,
        list: VecDeque<Segment>,
        mut journal: Journal,
        next: u64,
        settings: &config::Buffer,
        shared: &SharedBuffers,
    ) -> Self {
        let start = list.front().map_or(next, |front| front.first);
        // Files are deleted after the note that they are done with; that note can be lost in a power cut.
        let unknown = journal.holes.outside(journal.acknowledged..start);
        let position = unknown.last().map_or(journal.acknowledged, |part| part.end);
        journal.acknowledged = position;
        journal.cuts.retain(|cut| cut.end > position);
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
            owed: journal.cuts.len(),
            journal,
            told_at: None,
            under_way: VecDeque::new(),
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
        let under_way = self.under_way.front().and_then(|batch| batch.oldest);
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
            oldest: under_way.or_else(unread),
            ..self.account
        }
    }

    /// Why events are not kept on the disk, if they are not.
    #[must_use]
    pub fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }
}
