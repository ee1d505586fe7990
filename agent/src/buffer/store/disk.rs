//! A buffer's folder, and what is done while it takes nothing. Touches disk.

use std::io;
use std::time::Instant;

use lanyard_handoff::buffer::Sync;

use super::Buffer;
use crate::buffer::limits::{IN_MEMORY, RETRY};

impl Buffer {
    pub(super) fn tell(&mut self, problem: String) {
        if self.problem.as_ref() != Some(&problem) {
            tracing::error!("{problem}");
        }
        self.problem = Some(problem);
    }

    /// The disk took nothing: from now on segments are in memory.
    pub(super) fn fail(&mut self, error: &io::Error, now: Instant) {
        self.segments.seal();
        self.retry_at = Some(now + RETRY);
        let folder = self.home.as_ref().map(|home| home.folder.display().to_string()).unwrap_or_default();
        self.tell(format!(
            "the buffer cannot write in {folder}: {error}; until it can, at most {} MiB of events are kept in memory and \
             end with the agent: make room on the disk, or make the folder writable",
            IN_MEMORY >> 20
        ));
    }

    /// Tries the disk again.
    pub(super) fn revive(&mut self, now: Instant) {
        if self.retry_at.is_none_or(|at| now < at) || self.home.is_none() {
            return;
        }
        match self.try_disk(now) {
            Ok(()) => {
                self.retry_at = None;
                self.problem = None;
                tracing::info!("the buffer is on the disk again");
            }
            Err(error) => {
                self.retry_at = Some(now + RETRY);
                tracing::debug!("the buffer still cannot write: {error}");
            }
        }
    }

    fn try_disk(&mut self, now: Instant) -> io::Result<()> {
        let Some(home) = &mut self.home else { return Err(io::ErrorKind::NotFound.into()) };
        home.enter()?;
        let syncer = (self.settings.sync != Sync::Never).then_some(&self.shared.syncer);
        self.journal.begin(&home.folder, &self.ledger, syncer, now)?;
        self.segments.move_to_files(&home.folder)?;
        // What is appended next begins a segment whose file is known.
        self.segments.seal();
        home.sync_names(self.settings.sync, &self.shared.syncer, now)
    }

    pub(super) fn begin_journal(&mut self, now: Instant) {
        let Some(home) = self.home.as_mut().filter(|_| self.retry_at.is_none()) else { return };
        let syncer = (self.settings.sync != Sync::Never).then_some(&self.shared.syncer);
        let begun = home.enter().and_then(|()| self.journal.begin(&home.folder, &self.ledger, syncer, now));
        if let Err(error) = begun {
            self.fail(&error, now);
        }
    }

    pub(super) fn tend_journal(&mut self, now: Instant) {
        if self.home.is_some() && self.retry_at.is_none() && !self.journal.is_open() {
            let error = io::Error::other("the entry of a message in flight could not be written");
            self.fail(&error, now);
        }
        if self.journal.is_large(self.settings.capacity.get()) {
            self.begin_journal(now);
        }
        if self.settings.sync != Sync::Never
            && let Some(synced) = self.journal.synced()
        {
            self.shared.syncer.soon(synced, now);
        }
    }

    pub(super) fn noted(&mut self, noted: io::Result<()>) {
        if let Err(error) = noted {
            // After a crash, messages in flight would be sent with other ids. The next entry tries the disk again.
            self.tell(format!("the buffer cannot record messages in flight: {error}"));
        }
    }
}
