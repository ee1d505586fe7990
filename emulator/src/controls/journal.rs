//! Changes over restarts: one JSON line a change, made again in their order after the configuration was read. Keys may be
//! in it, so that nobody else may read it. Touches disk.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use zeroize::Zeroizing;

use super::change::Change;

/// The file's name in the data directory.
pub const FILE_NAME: &str = "changes.jsonl";

/// Why the journal does not work.
#[derive(Debug, thiserror::Error)]
pub enum ChangesError {
    /// Reading it.
    #[error("failed to read {path}; make it readable for the user who runs the emulator, or remove it to forget all changes made through the controls", path = path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Opening or writing it.
    #[error("failed to write {path}; make it writable for the user who runs the emulator, and see whether the disk is full", path = path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// The file; it is made with the first change.
#[derive(Debug)]
pub struct Changes {
    file: Mutex<Option<File>>,
    path: PathBuf,
}

impl Changes {
    /// Reads what is remembered. A line that a crash cut off is passed over.
    ///
    /// # Errors
    /// [`ChangesError::Read`].
    pub fn open(data_dir: &Path) -> Result<(Self, Vec<Change>), ChangesError> {
        let path = data_dir.join(FILE_NAME);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => Zeroizing::new(text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Zeroizing::default(),
            Err(source) => return Err(ChangesError::Read { path, source }),
        };
        let mut changes = Vec::new();
        for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.is_empty()) {
            match serde_json::from_str(line) {
                Ok(change) => changes.push(change),
                Err(_) => {
                    tracing::warn!(file = %path.display(), line = at + 1, "a change cannot be read and is passed over");
                }
            }
        }
        Ok((Self { file: Mutex::default(), path }, changes))
    }

    /// Adds one line.
    ///
    /// # Errors
    /// [`ChangesError::Write`].
    pub fn append(&self, change: &Change) -> Result<(), ChangesError> {
        // A newline first ends a line that a crash cut off.
        let mut line = Zeroizing::new(b"\n".to_vec());
        line.extend(serde_json::to_vec(change).expect("texts become JSON"));
        self.write(&line).map_err(|source| ChangesError::Write { path: self.path.clone(), source })
    }

    fn write(&self, line: &[u8]) -> std::io::Result<()> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let open = match &mut *file {
            Some(open) => open,
            none => {
                let opened = OpenOptions::new().create(true).append(true).mode(0o600).open(&self.path)?;
                none.insert(opened)
            }
        };
        open.write_all(line)
    }
}
