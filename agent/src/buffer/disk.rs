//! Disk of a buffer: its folder, the policy of syncing, and the attempts to write after a failure. Reads and writes disk.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lanyard_handoff::buffer::Sync;

use super::files;
use super::folder::BufferFolder;
use super::quota::IN_MEMORY;
use super::sync::{Synced, Syncer};

/// Time between two attempts to write to a disk that does not accept writes.
const RETRY: Duration = Duration::from_secs(5);

/// The disk of a buffer, which may not accept writes for a time.
#[derive(Debug)]
pub(super) struct Disk {
    /// Nothing when the buffer is in memory for good.
    folder: Option<BufferFolder>,
    /// Time of the next attempt to write, while the disk does not accept writes.
    retry_at: Option<Instant>,
    problem: Option<String>,
    sync: Sync,
    syncer: Syncer,
}

impl Disk {
    /// Creates a disk that accepts writes in a folder, or one without a folder, which never does.
    pub(super) fn new(folder: Option<BufferFolder>, sync: Sync, syncer: &Syncer) -> Self {
        Self { folder, retry_at: None, problem: None, sync, syncer: syncer.clone() }
    }

    /// Changes the policy of syncing.
    pub(super) fn configure(&mut self, sync: Sync) {
        self.sync = sync;
    }

    /// Returns whether segments and the journal are written to files now.
    pub(super) fn is_writable(&self) -> bool {
        self.folder.is_some() && !self.is_failing()
    }

    /// Returns whether the disk does not accept writes, or did not at the last attempt.
    pub(super) fn is_failing(&self) -> bool {
        self.retry_at.is_some()
    }

    /// Returns whether a disk that does not accept writes is to be tried again.
    pub(super) fn is_retry_due(&self, now: Instant) -> bool {
        self.folder.is_some() && self.retry_at.is_some_and(|at| at <= now)
    }

    /// Makes and locks the folder, unless that is done, and returns its path.
    pub(super) fn enter(&mut self) -> io::Result<&Path> {
        let Some(folder) = &mut self.folder else { return Err(io::ErrorKind::NotFound.into()) };
        folder.lock()?;
        Ok(folder.path())
    }

    /// Syncs a file that was written, as the policy says.
    pub(super) fn sync(&self, file: &Synced, now: Instant) -> io::Result<()> {
        match self.sync {
            Sync::Never => Ok(()),
            Sync::EverySecond => {
                self.syncer.soon(file, now);
                Ok(())
            }
            Sync::EveryWrite => file.now(),
        }
    }

    /// Syncs the names of new files, as the policy says.
    pub(super) fn sync_folder(&self, now: Instant) -> io::Result<()> {
        match &self.folder {
            Some(folder) if self.sync != Sync::Never => {
                self.sync(&Synced::new(&Arc::new(files::open_folder(folder.path())?)), now)
            }
            _ => Ok(()),
        }
    }

    /// Returns what syncs files in the background; nothing if the policy is not to sync.
    pub(super) fn syncer(&self) -> Option<&Syncer> {
        (self.sync != Sync::Never).then_some(&self.syncer)
    }

    /// Returns the reason why events are not stored on disk.
    pub(super) fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// Notes and logs a problem.
    pub(super) fn report(&mut self, problem: String) {
        if self.problem.as_ref() != Some(&problem) {
            tracing::error!("{problem}");
        }
        self.problem = Some(problem);
    }

    /// Notes that a write failed.
    pub(super) fn fail(&mut self, error: &io::Error, now: Instant) {
        let folder = self.folder.as_ref().map(|folder| folder.path().display().to_string());
        self.refuse(
            format!(
                "the buffer cannot write in {}: {error}; until it can, at most {} MiB of events are kept in memory and \
                 are lost when the agent ends: make room on the disk, or make the folder writable",
                folder.unwrap_or_default(),
                IN_MEMORY >> 20
            ),
            now,
        );
    }

    /// Notes that the disk does not accept writes, and why.
    pub(super) fn refuse(&mut self, problem: String, now: Instant) {
        self.retry_at = Some(now + RETRY);
        self.report(problem);
    }

    /// Notes the result of an attempt to write after a failure.
    pub(super) fn note_retry(&mut self, result: &io::Result<()>, now: Instant) {
        match result {
            Ok(()) => {
                self.retry_at = None;
                self.problem = None;
                tracing::info!("the buffer writes to the disk again");
            }
            Err(error) => {
                self.retry_at = Some(now + RETRY);
                tracing::debug!("the buffer still cannot write: {error}");
            }
        }
    }

    /// Tries a disk that does not accept writes again without waiting: a file was deleted.
    pub(super) fn retry_now(&mut self, now: Instant) {
        if let Some(at) = &mut self.retry_at {
            *at = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk() -> Disk {
        Disk::new(Some(BufferFolder::new(Path::new("/nowhere"))), Sync::Never, &Syncer::default())
    }

    fn error() -> io::Error {
        io::ErrorKind::StorageFull.into()
    }

    #[test]
    fn failed_disk_is_tried_again_after_a_time() {
        let (mut disk, now) = (disk(), Instant::now());
        assert_eq!((disk.is_writable(), disk.is_failing(), disk.is_retry_due(now)), (true, false, false));
        disk.fail(&error(), now);
        assert_eq!((disk.is_writable(), disk.is_failing(), disk.is_retry_due(now)), (false, true, false));
        assert!(disk.problem().is_some_and(|problem| problem.contains("cannot write in /nowhere")));
        assert!(disk.is_retry_due(now + RETRY));
        disk.note_retry(&Err(error()), now + RETRY);
        assert!(!disk.is_retry_due(now + RETRY));
        assert!(disk.is_retry_due(now + 2 * RETRY));
        disk.note_retry(&Ok(()), now + 2 * RETRY);
        assert_eq!((disk.is_writable(), disk.is_failing(), disk.problem()), (true, false, None));
    }

    #[test]
    fn room_on_a_failed_disk_is_used_at_once() {
        let (mut disk, now) = (disk(), Instant::now());
        disk.retry_now(now);
        assert!(!disk.is_retry_due(now), "it accepts writes");
        disk.fail(&error(), now);
        disk.retry_now(now);
        assert!(disk.is_retry_due(now));
    }

    #[test]
    fn disk_without_a_folder_never_accepts_writes() {
        let (mut disk, now) = (Disk::new(None, Sync::EveryWrite, &Syncer::default()), Instant::now());
        assert!(!disk.is_writable());
        assert!(disk.enter().is_err());
        assert!(disk.sync_folder(now).is_ok(), "there are no names");
        disk.fail(&error(), now);
        assert!(!disk.is_retry_due(now + RETRY));
    }
}
