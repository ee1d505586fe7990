//! Reads a device's credentials folder from disk.

use std::path::{Path, PathBuf};

use lanyard_protocol::handoff::credentials::{SHARED_ACCESS_KEY, TRUSTED_CA};
use lanyard_protocol::hub::key::{KeyError, SymmetricKey};

/// What a device logs in with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The key that signs its tokens.
    pub key: SymmetricKey,
    /// Certificates it believes besides the public roots, as PEM.
    pub ca: Option<Vec<u8>>,
    /// Where those come from, for messages.
    pub ca_path: PathBuf,
}

/// Why a device has no credentials. No variant carries a secret.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// A file or its folder cannot be read.
    #[error("failed to read {}: {error}; the device's key belongs there, base64, readable by the agent", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        error: std::io::Error,
    },
    /// The file's text is no key.
    #[error("{}: {error}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        error: KeyError,
    },
}

impl PartialEq for CredentialsError {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

/// Reads the folder of the device called `name`.
///
/// # Errors
/// [`CredentialsError`] names the file and never repeats its text.
pub fn load(credentials: &Path, name: &str) -> Result<Credentials, CredentialsError> {
    let folder = credentials.join(name);
    let path = folder.join(SHARED_ACCESS_KEY);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => zeroize::Zeroizing::new(text),
        Err(error) => return Err(CredentialsError::Read { path, error }),
    };
    let key = SymmetricKey::from_base64(&text).map_err(|error| CredentialsError::Key { path, error })?;
    let ca_path = folder.join(TRUSTED_CA);
    let ca = match std::fs::read(&ca_path) {
        Ok(pem) => Some(pem),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(CredentialsError::Read { path: ca_path, error }),
    };
    Ok(Credentials { key, ca, ca_path })
}
