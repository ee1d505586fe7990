//! Folder of a buffer. Reads and writes disk.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use lanyard_handoff::buffer::Sync;

use super::sync::{Synced, Syncer};
use super::{files, recovery};

/// The folder of a buffer.
#[derive(Debug)]
pub(super) struct Home {
    pub(super) folder: PathBuf,
    pub(super) lock: Option<File>,
}

impl Home {
    /// Makes the folder and takes it for this process, unless that is done.
    pub(super) fn enter(&mut self) -> io::Result<()> {
        if self.lock.is_none() {
            self.lock = Some(recovery::take(&self.folder)?);
        }
        Ok(())
    }

    /// Makes sure that a new file's name is on the disk too.
    pub(super) fn sync_names(&self, sync: Sync, syncer: &Syncer, now: Instant) -> io::Result<()> {
        if sync == Sync::Never {
            return Ok(());
        }
        let folder = Synced::new(&Arc::new(files::open_folder(&self.folder)?));
        match sync {
            Sync::EveryWrite => folder.now(),
            Sync::EverySecond | Sync::Never => {
                syncer.soon(&folder, now);
                Ok(())
            }
        }
    }
}
