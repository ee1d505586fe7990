//! Appending to the buffer, and dropping events for room. Reads and writes disk.

use std::io;
use std::time::{Duration, Instant};

use lanyard_handoff::buffer::WhenFull;

use super::Buffer;
use crate::buffer::counts::DropReason;
use crate::buffer::log;
use crate::tags::event::Event;

/// Time between two notes of the log's end in the journal.
const NOTE_END: Duration = Duration::from_secs(1);

impl Buffer {
    /// Appends the events of one scan; returns how many events were dropped to make room, or because there is none.
    pub fn append(&mut self, events: &[Event], now: Instant) -> u64 {
        if events.is_empty() {
            return 0;
        }
        self.retry_disk(now);
        let count = events.len() as u64;
        self.counts.read += count;
        self.counts.events += count;
        let mut dropped = 0;
        loop {
            let bytes = self.log.encode(events, self.segment_size(), &mut self.disk, now);
            if self.fits(bytes) || self.quota.when_full() == WhenFull::Block {
                match self.log.append(events, &mut self.disk, now) {
                    Ok(appended) => {
                        self.reader.extend(appended);
                        break;
                    }
                    Err(error) => self.log.fail(&error, &mut self.disk, now),
                }
                continue;
            }
            let drops_oldest = self.quota.when_full() == WhenFull::DropOldest;
            match drops_oldest.then(|| self.drop_oldest(now)).flatten() {
                Some(events) => dropped += events,
                None => {
                    let refused = self.log.refuse(events);
                    self.lose(refused, self.drop_reason(), log::times(events), now);
                    dropped += count;
                    break;
                }
            }
        }
        self.note_end(now);
        dropped
    }

    /// Notes the log's end in the journal now and then, so that events whose blocks break at the very end are missed.
    fn note_end(&mut self, now: Instant) {
        if self.end_noted_at.is_some_and(|at| now.saturating_duration_since(at) < NOTE_END) {
            return;
        }
        self.end_noted_at = Some(now);
        let noted = self.journal.append(self.log.end());
        self.report_failure(noted, now);
        self.maintain_journal(now);
    }

    /// Returns whether the next readings may be appended. With the policy Block, tags are not read before there is room.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.quota.when_full() != WhenFull::Block || self.fits(self.segment_size())
    }

    fn segment_size(&self) -> u64 {
        self.quota.segment_size(!self.disk.is_writable())
    }

    /// Drops the oldest segment without an event in flight; returns how many events that were, or nothing when there
    /// is no such segment.
    pub(super) fn drop_oldest(&mut self, now: Instant) -> Option<u64> {
        let segment = self.log.take_oldest(self.ledger.end())?;
        let unread = self.reader.unread();
        let range = segment.first.max(unread)..segment.end.max(unread);
        let events = (range.end - range.start) - self.journal.gaps().events(range.clone());
        self.lose(range, self.drop_reason(), (segment.from, segment.to), now);
        self.reader.forget(segment.first, &mut self.log);
        if !segment.is_in_memory() {
            self.disk.retry_now(now);
        }
        segment.delete();
        Some(events)
    }

    fn drop_reason(&self) -> DropReason {
        if self.disk.is_failing() { DropReason::StorageFailed } else { DropReason::BufferFull }
    }

    /// Tries a disk that does not accept writes again, and moves the state in memory to it.
    fn retry_disk(&mut self, now: Instant) {
        if self.disk.is_retry_due(now) {
            let result = self.move_to_disk(now);
            self.disk.note_retry(&result, now);
        }
    }

    fn move_to_disk(&mut self, now: Instant) -> io::Result<()> {
        self.journal.begin(&mut self.disk, &self.ledger, now)?;
        self.log.move_to_files(self.disk.enter()?)?;
        self.disk.sync_folder(now)
    }
}
