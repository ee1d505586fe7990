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
mod deliver;
#[cfg(test)]
mod invariants;
#[cfg(test)]
mod disk_tests;

use std::io;
use std::ops::Range;
use std::path::Path;
use std::time::Instant;

use lanyard_handoff::buffer::{self as config, WhenFull};

use super::counts::{DropReason, EventCounts};
use super::disk::Disk;
use super::folder::BufferFolder;
use super::gap::Gap;
use super::journal::Journal;
use super::ledger::Ledger;
use super::log::Log;
use super::memory_pool::{MemoryPool, MemoryReservation};
use super::quota::{IN_MEMORY, Quota, Usage};
use super::reader::Reader;
use super::recovery::{self, Recovered, Unusable};
use super::sync::Syncer;

/// Resources that all buffers of a process share.
#[derive(Debug, Clone, Default)]
pub struct SharedBuffers {
    /// Syncs written files to disk.
    pub syncer: Syncer,
    /// Memory for reading ahead.
    pub memory: MemoryPool,
}

/// A device's events until the hub has them.
///
/// Each part keeps its own state; these invariants hold between them. Positions are numbers of events:
///
/// ```text
///      acknowledged (journal)       unread (reader)             end (log)
///  deleted  │  in flight (ledger)       │  unread                   │
/// ──────────┼───────────────────────────┼───────────────────────────┼─►
/// ```
///
/// 1. acknowledged ≤ unread ≤ end. Messages in flight do not overlap, and lie between acknowledged and end. Those of
///    this process end at or before unread; inherited ones follow them until they are made again.
/// 2. Every event that is unread or in flight is in a segment of the log or in a gap of the journal, or in neither because a
///    file is damaged: then the reader finds it missing, and it becomes a gap.
/// 3. The journal has the bounds of a message before it is sent, and an acknowledged position or a gap before the events'
///    segments are deleted. So an earlier process's messages are made again with the same ids and bytes.
/// 4. A segment is dropped only behind the last message in flight. A gap in or before a message in flight never grows.
/// 5. read = acknowledged + buffered + dropped, and the buffered events are those from acknowledged to end that are in
///    no gap and not dropped one by one.
/// 6. At an append, log and journal are within the quota, but for one scan with the policy Block; between appends the
///    journal grows by at most its limit.
#[derive(Debug)]
pub struct Buffer {
    quota: Quota,
    drop_markers: bool,
    disk: Disk,
    log: Log,
    reader: Reader,
    journal: Journal,
    /// Time at which the journal last noted the end of the log.
    end_noted_at: Option<Instant>,
    ledger: Ledger,
    counts: EventCounts,
}

impl Buffer {
    /// Opens the buffer in a folder, with the events of an earlier process.
    #[must_use]
    pub fn open(path: &Path, settings: &config::Buffer, shared: &SharedBuffers, now: Instant) -> Self {
        let error = match recovery::recover(path) {
            Ok((folder, recovered)) => {
                let mut buffer = Self::new(Some(folder), recovered, settings, shared);
                buffer.begin_journal(now);
                return buffer;
            }
            Err(error) => error,
        };
        let folder = matches!(error, Unusable::Empty(_)).then(|| BufferFolder::new(path));
        let mut buffer = Self::new(folder, Recovered::default(), settings, shared);
        let problem = format!(
            "the buffer folder {} is not used: {error}; until then at most {} MiB of events are kept in memory, and end \
             with the agent",
            path.display(),
            IN_MEMORY >> 20
        );
        buffer.disk.refuse(problem, now);
        buffer
    }

    /// Creates a buffer in memory.
    #[must_use]
    pub fn in_memory(settings: &config::Buffer, shared: &SharedBuffers) -> Self {
        Self::new(None, Recovered::default(), settings, shared)
    }

    fn new(
        folder: Option<BufferFolder>,
        recovered: Recovered,
        settings: &config::Buffer,
        shared: &SharedBuffers,
    ) -> Self {
        let Recovered { segments, mut journal, mut in_flight, end } = recovered;
        let start = segments.front().map_or(end, |front| front.first);
        let position = journal.skip_deleted(start);
        in_flight.retain(|bounds| bounds.end > position);
        let mut log = Log::new(segments, end);
        log.release(position);
        let events = (end - position).saturating_sub(journal.gaps().events(position..end));
        let memory = MemoryReservation::new(shared.memory.clone());
        Self {
            quota: Quota::new(settings),
            drop_markers: settings.drop_markers,
            disk: Disk::new(folder, settings.sync, &shared.syncer),
            reader: Reader::new(position, &log, memory),
            log,
            journal,
            end_noted_at: None,
            ledger: Ledger::new(in_flight),
            counts: EventCounts { read: events, recovered: events, events, ..EventCounts::default() },
        }
    }

    /// Changes the settings; returns how many events were dropped because the buffer holds less.
    pub fn configure(&mut self, settings: &config::Buffer, now: Instant) -> u64 {
        self.quota = Quota::new(settings);
        self.drop_markers = settings.drop_markers;
        self.disk.configure(settings.sync);
        let mut dropped = 0;
        if settings.when_full == WhenFull::DropOldest {
            while !self.fits(0) {
                let Some(events) = self.drop_oldest(now) else { break };
                dropped += events;
            }
        }
        dropped
    }

    /// Returns the bytes that the buffer may take.
    #[must_use]
    pub const fn capacity(&self) -> u64 {
        self.quota.capacity()
    }

    /// Returns the counts of events.
    #[must_use]
    pub fn counts(&self) -> EventCounts {
        let unread = || {
            let time = self.reader.time().or_else(|| self.log.time_of(self.reader.unread()));
            time.filter(|_| self.reader.unread() < self.log.end())
        };
        let acknowledged = self.journal.acknowledged();
        let volatile = self.log.in_memory().map(|range| {
            let range = range.start.max(acknowledged)..range.end.max(acknowledged);
            (range.end - range.start) - self.journal.gaps().events(range)
        });
        EventCounts {
            volatile: volatile.sum(),
            bytes: self.log.usage().bytes,
            oldest: self.ledger.oldest_event().or_else(unread),
            ..self.counts
        }
    }

    /// Returns the reason why events are not stored on disk.
    #[must_use]
    pub fn problem(&self) -> Option<&str> {
        self.disk.problem()
    }

    fn fits(&self, more: u64) -> bool {
        let Usage { bytes, in_memory } = self.log.usage();
        self.quota.fits(Usage { bytes: bytes + self.journal.len(), in_memory }, more)
    }

    /// Counts unread events as dropped, and notes their gap, except those that are in a gap already.
    fn lose(&mut self, range: Range<u64>, reason: DropReason, (from, to): (i64, i64), now: Instant) {
        for part in self.journal.gaps().outside(range) {
            let events = part.end - part.start;
            self.counts.events = self.counts.events.saturating_sub(events);
            self.counts.drop_events(reason, events);
            let gap = Gap { first: part.start, end: part.end, from, to, marked: self.drop_markers };
            // A gap that a message reports, or that lies before one, does not grow any more.
            let noted = self.journal.note_gap(gap, self.reader.unread().max(self.ledger.end()));
            self.report_failure(noted, now);
        }
    }

    /// Replaces the journal by a new file with the current state, while the disk accepts writes.
    fn begin_journal(&mut self, now: Instant) {
        if self.disk.is_writable() {
            let begun = self.journal.begin(&mut self.disk, &self.ledger, now);
            self.report_failure(begun, now);
        }
    }

    /// Checks the journal after entries: replaces it if it is large, and has it synced.
    fn maintain_journal(&mut self, now: Instant) {
        if self.journal.is_large(self.quota.capacity()) {
            self.begin_journal(now);
        }
        self.journal.sync(&self.disk, now);
    }

    /// Reports a failed write to the journal.
    fn report_failure(&mut self, noted: io::Result<()>, now: Instant) {
        if let Err(error) = noted {
            // Until the disk accepts a new journal, messages in flight would be sent with other ids after a crash.
            self.log.fail(&error, &mut self.disk, now);
        }
    }
}
