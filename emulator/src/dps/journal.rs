//! Which device DPS sent to which hub, remembered over a restart: devices in the field remember it too, and come back
//! without asking. One JSON line a change, the last one of a registration counts. No key is in it. Touches disk.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The file's name in the data directory.
pub const FILE_NAME: &str = "registrations.jsonl";

/// One assignment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Assignment {
    /// The DPS instance.
    pub id_scope: String,
    /// As the device wrote it.
    pub registration_id: String,
    /// The group, unless it is enrolled by itself.
    pub group: Option<String>,
    /// The hub's name.
    pub hub: String,
    /// The id there.
    pub device_id: String,
    /// How it came to this hub (ref §8.2).
    pub substatus: String,
    /// Of the certificate it registered with (SHA-256), if it was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thumbprint: Option<String>,
    /// First registration.
    pub created: Timestamp,
    /// Last change.
    pub updated: Timestamp,
}

/// Why the journal does not work.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Reading it.
    #[error("failed to read {path}; make it readable for the user who runs the emulator, or remove it to forget all registrations", path = path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Opening it for writing.
    #[error("failed to write {path}; make it writable for the user who runs the emulator, and see whether the disk is full", path = path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// The file, open at its end.
#[derive(Debug)]
pub struct Journal {
    file: Mutex<File>,
    path: PathBuf,
}

impl Journal {
    /// Reads what is remembered and opens the file for more. A last line that was cut off by a crash is passed over.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn open(data_dir: &Path) -> Result<(Self, Vec<Assignment>), JournalError> {
        let path = data_dir.join(FILE_NAME);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(source) => return Err(JournalError::Read { path, source }),
        };
        let assignments = text.lines().filter_map(|line| match serde_json::from_str(line) {
            Ok(assignment) => Some(assignment),
            Err(error) => {
                tracing::warn!(file = %path.display(), %error, "a line of the registrations cannot be read and is passed over");
                None
            }
        });
        let assignments = assignments.collect();
        let opened = OpenOptions::new().create(true).append(true).open(&path);
        let mut file = opened.map_err(|source| JournalError::Write { path: path.clone(), source })?;
        if !text.is_empty() && !text.ends_with('\n') {
            file.write_all(b"\n").map_err(|source| JournalError::Write { path: path.clone(), source })?;
        }
        Ok((Self { file: Mutex::new(file), path }, assignments))
    }

    /// Adds one line.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn append(&self, assignment: &Assignment) -> Result<(), JournalError> {
        let mut line = serde_json::to_vec(assignment).expect("texts and times become JSON");
        line.push(b'\n');
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(&line).map_err(|source| JournalError::Write { path: self.path.clone(), source })
    }
}
