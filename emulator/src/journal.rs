//! Persistent log of the emulator: one JSON line for each entry, in a file that only its user may read, because it
//! may contain keys. Reads and writes disk.

use parking_lot::Mutex;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::marker::PhantomData;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use serde::{Serialize, de::DeserializeOwned};
use zeroize::Zeroizing;

/// Error of a journal.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Reading it.
    #[error("failed to read {path}; make it readable for the user who runs the emulator, or remove it to forget \
        what it remembers", path = path.display())]
    Read {
        /// Path of the file.
        path: PathBuf,
        /// Cause of the failure.
        source: std::io::Error,
    },
    /// Opening or writing it.
    #[error("failed to write {path}; make it writable for the user who runs the emulator, and see whether the disk \
        is full", path = path.display())]
    Write {
        /// Path of the file.
        path: PathBuf,
        /// Cause of the failure.
        source: std::io::Error,
    },
}

/// The file, open at its end.
#[derive(Debug)]
pub struct Journal<T> {
    file: Mutex<File>,
    path: PathBuf,
    entry: PhantomData<fn(&T)>,
}

impl<T: Serialize + DeserializeOwned> Journal<T> {
    /// Reads what is remembered and opens the file for more. A line that a crash cut off is passed over.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn open(path: PathBuf) -> Result<(Self, Vec<T>), JournalError> {
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => Zeroizing::new(text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Zeroizing::default(),
            Err(source) => return Err(JournalError::Read { path, source }),
        };
        let mut entries = Vec::new();
        for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.is_empty()) {
            match serde_json::from_str(line) {
                Ok(entry) => entries.push(entry),
                // Not why: that may quote a key.
                Err(_) => {
                    tracing::warn!(file = %path.display(), line = at + 1, "failed to parse a line; skipping it");
                }
            }
        }
        let opened = OpenOptions::new().create(true).append(true).mode(0o600).open(&path);
        let file = opened.map_err(|source| JournalError::Write { path: path.clone(), source })?;
        let journal = Self { file: Mutex::new(file), path, entry: PhantomData };
        if !text.is_empty() && !text.ends_with('\n') {
            journal.write(b"\n")?;
        }
        Ok((journal, entries))
    }

    /// Adds one line.
    ///
    /// # Errors
    /// [`JournalError::Write`].
    ///
    /// # Panics
    /// Never: what is kept here becomes JSON.
    pub fn append(&self, entry: &T) -> Result<(), JournalError> {
        let mut line = Zeroizing::new(serde_json::to_vec(entry).expect("texts and times become JSON"));
        line.push(b'\n');
        self.write(&line)
    }

    fn write(&self, line: &[u8]) -> Result<(), JournalError> {
        let mut file = self.file.lock();
        file.write_all(line).map_err(|source| JournalError::Write { path: self.path.clone(), source })
    }
}
