//! Reads the configuration document from disk.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use lanyard_protocol::handoff::config::{AgentConfig, ConfigError};
use lanyard_protocol::handoff::mistake::Problem;

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// The file cannot be read.
    #[error("failed to read the configuration {}: {error}; {}", path.display(), fix(error))]
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

impl DocumentError {
    /// Every mistake in a line of its own, as `FILE:LINE:COLUMN: field: message`.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let Self::Parse { path, error: ConfigError::Invalid(problems) } = self else {
            return vec![self.to_string()];
        };
        let line = |problem: &Problem| {
            let place = problem.place.map(|place| format!(":{}:{}", place.line, place.column));
            let field = if problem.field.is_empty() { "the document" } else { problem.field.as_str() };
            format!("{}{}: {field}: {}", path.display(), place.unwrap_or_default(), problem.message)
        };
        problems.iter().map(line).collect()
    }
}

fn fix(error: &std::io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::PermissionDenied => "make it readable for the user who runs the agent",
        ErrorKind::InvalidData => "write it as UTF-8 text",
        _ => "name the file with --config",
    }
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
