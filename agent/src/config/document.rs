//! Reads the configuration document from disk.

use std::path::{Path, PathBuf};

use lanyard_protocol::handoff::config::{AgentConfig, ConfigError};

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// The file cannot be read.
    #[error("failed to read the configuration {}: {error}; name it with --config", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        error: std::io::Error,
    },
    /// The file is no configuration.
    #[error("{}: {error}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        error: ConfigError,
    },
}

/// Reads the configuration document.
///
/// # Errors
/// [`DocumentError`] names the file and every mistake in it.
pub fn load(path: &Path) -> Result<AgentConfig, DocumentError> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| DocumentError::Read { path: path.to_owned(), error })?;
    AgentConfig::parse(&text).map_err(|error| DocumentError::Parse { path: path.to_owned(), error })
}
