//! Folder of a buffer, locked by the process that uses it. Reads and writes disk.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use super::files;

/// Name of the lock file; the operating system unlocks it when the process ends.
const LOCK: &str = "lock";

/// The folder of a buffer.
#[derive(Debug)]
pub(super) struct BufferFolder {
    path: PathBuf,
    lock: Option<File>,
}

impl BufferFolder {
    /// Creates the handle of a folder, which is not locked yet and need not exist.
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), lock: None }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the folder and locks it for this process, unless that is done. Fails with [`io::ErrorKind::ResourceBusy`]
    /// if another process has locked it.
    pub(super) fn lock(&mut self) -> io::Result<()> {
        if self.lock.is_none() {
            self.lock = Some(lock(&self.path)?);
        }
        Ok(())
    }
}

fn lock(folder: &Path) -> io::Result<File> {
    files::make_folder(folder)?;
    let lock = files::open(&folder.join(LOCK), File::options().create(true).truncate(false).write(true))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(io::ErrorKind::ResourceBusy.into()),
        Err(TryLockError::Error(error)) => Err(error),
    }
}
