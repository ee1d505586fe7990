//! Reads the configuration document from disk.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use lanyard_handoff::config::AgentConfig;
use lanyard_handoff::parse::ConfigError;
use lanyard_protocol::document::problem::Problem;

/// Error of the configuration.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// The file cannot be read.
    #[error("failed to read the configuration {}: {error}; {}", path.display(), fix(error))]
    Read {
        /// The file.
        path: PathBuf,
        /// Cause of the failure.
        #[source]
        error: std::io::Error,
    },
    /// The file is no configuration.
    #[error("{}: {error}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Errors in the document.
        #[source]
        error: ConfigError,
    },
}

impl DocumentError {
    /// Returns every problem in a line of its own, as `FILE:LINE:COLUMN: field: message`.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let Self::Parse { path, error: ConfigError::Invalid(problems) } = self else {
            return vec![self.to_string()];
        };
        let line = |problem: &Problem| {
            let place = problem.position.map(|place| format!(":{}:{}", place.line, place.column));
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

/// The configuration as it was read last. The file is looked at often and changes rarely, and for many devices it is long.
#[derive(Debug, Default)]
pub struct Document {
    /// Of the text, if there was a right one.
    fingerprint: Option<u64>,
}

impl Document {
    /// Reads the file; `None` if its content is the same as the last valid one.
    ///
    /// # Errors
    /// [`DocumentError`] names the file and every problem in it.
    pub fn load(&mut self, path: &Path) -> Result<Option<AgentConfig>, DocumentError> {
        let before = self.fingerprint.take();
        let text = std::fs::read_to_string(path)
            .map_err(|error| DocumentError::Read { path: path.to_owned(), error })?;
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        let fingerprint = Some(hasher.finish());
        let config = if before == fingerprint {
            None
        } else {
            let parsed = AgentConfig::parse(&text);
            Some(parsed.map_err(|error| DocumentError::Parse { path: path.to_owned(), error })?)
        };
        self.fingerprint = fingerprint;
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch_folder::ScratchFolder;

    #[test]
    fn unchanged_document_is_read_once_except_after_an_error() {
        let folder = ScratchFolder::new();
        let file = folder.at("agent.yaml");
        let write = |hub: &str| {
            let text =
                format!("{{version: 1, devices: [{{name: d, deviceId: d, hub: {{hostname: {hub}}}}}]}}");
            std::fs::write(&file, text).unwrap();
        };
        let mut document = Document::default();
        write("one");
        assert_eq!(document.load(&file).unwrap().unwrap().devices[0].name, "d");
        assert_eq!(document.load(&file).unwrap(), None);
        write("two");
        let config = document.load(&file).unwrap().unwrap();
        assert_eq!(config.devices[0].hub.as_ref().unwrap().hostname.host(), "two");
        write("'h:99999'");
        assert!(matches!(document.load(&file), Err(DocumentError::Parse { .. })));
        write("two");
        assert!(document.load(&file).unwrap().is_some(), "a corrected document counts as changed");
        std::fs::remove_file(&file).unwrap();
        assert!(matches!(document.load(&file), Err(DocumentError::Read { .. })));
    }
}
