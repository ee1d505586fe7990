//! Reads a device's credentials folder from disk.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lanyard_handoff::credentials::{
    CERTIFICATE, PREVIOUS_CERTIFICATE, PREVIOUS_PRIVATE_KEY, PREVIOUS_SHARED_ACCESS_KEY, PRIVATE_KEY,
    SHARED_ACCESS_KEY, TRUSTED_CA,
};
use lanyard_protocol::hub::key::{KeyError, SymmetricKey};
use zeroize::Zeroizing;

use super::certificate::{Certificate, CertificateError};
use super::credential::Credential;
use crate::config::certificate::PemPart;

/// Credentials that a device may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Newest first, and at least one: the one to use, and the one before.
    pub offered: Vec<Arc<Credential>>,
    /// Error of a missing one.
    pub problem: Option<Arc<CredentialsError>>,
    /// Certificates it believes besides the public roots, as PEM.
    pub ca: Option<Arc<[u8]>>,
    /// Path of the CA file, for messages.
    pub ca_path: PathBuf,
}

/// Error of a device's credentials. No variant contains a secret.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// The directory of all devices cannot be read.
    #[error("failed to read the credentials directory {}: {error}; create it and make it readable for the agent, or name another \
        with --credentials", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Cause of the failure.
        #[source]
        error: std::io::Error,
    },
    /// A file or its folder cannot be read.
    #[error("failed to read {}: {error}; put {what} there, readable for the agent", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Purpose of the file.
        what: &'static str,
        /// Cause of the failure.
        #[source]
        error: std::io::Error,
    },
    /// Neither a key nor a certificate is there.
    #[error("{} is missing: put the device's key in base64 there, or its certificate and private key into \
        {CERTIFICATE} and {PRIVATE_KEY} beside it", path.display())]
    Missing {
        /// Path of the missing key.
        path: PathBuf,
    },
    /// The file's text is no key.
    #[error("{}: {error}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// Error of the key.
        #[source]
        error: KeyError,
    },
    /// The files' texts are no certificate with its key.
    #[error("{}: {error}", path.display())]
    Certificate {
        /// The file that is wrong.
        path: PathBuf,
        /// Error of the certificate.
        #[source]
        error: CertificateError,
    },
    /// A key and a certificate, and no word which is meant.
    #[error("{} has both {key} and {certificate}: remove the one that the device is not to use", folder.display())]
    Both {
        /// The folder.
        folder: PathBuf,
        /// The key's file.
        key: &'static str,
        /// The certificate's file.
        certificate: &'static str,
    },
}

impl CredentialsError {
    /// Returns whether the error is the same for all devices.
    #[must_use]
    pub const fn is_of_directory(&self) -> bool {
        matches!(self, Self::Directory { .. })
    }
}

impl PartialEq for CredentialsError {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

impl Eq for CredentialsError {}

/// Checks the credentials directory.
///
/// # Errors
/// [`CredentialsError::Directory`].
pub fn directory(credentials: &Path) -> Result<(), CredentialsError> {
    let read = std::fs::read_dir(credentials);
    read.map(drop).map_err(|error| CredentialsError::Directory { path: credentials.to_owned(), error })
}

/// Reads the folder of the device called `name`.
///
/// # Errors
/// [`CredentialsError`] names the file and never repeats its text.
pub fn load(credentials: &Path, name: &str) -> Result<Credentials, CredentialsError> {
    let folder = credentials.join(name);
    let current = read(&folder, &CURRENT).and_then(|found| {
        found.ok_or_else(|| CredentialsError::Missing { path: folder.join(SHARED_ACCESS_KEY) })
    });
    let previous = read(&folder, &PREVIOUS);
    let (offered, problem) = match (current, previous) {
        (Ok(current), Ok(previous)) => (std::iter::once(current).chain(previous).collect(), None),
        (Ok(current), Err(error)) => (vec![current], Some(error)),
        (Err(error), Ok(Some(previous))) => (vec![previous], Some(error)),
        (Err(error), _) => {
            directory(credentials)?;
            return Err(error);
        }
    };
    let offered = offered.into_iter().map(Arc::new).collect();
    let ca_path = folder.join(TRUSTED_CA);
    let ca = optional(&ca_path, "the certificates that the device trusts, in PEM,")?;
    Ok(Credentials {
        offered,
        problem: problem.map(Arc::new),
        ca: ca.map(|pem| Arc::from(pem.as_slice())),
        ca_path,
    })
}

/// The files of one credential.
struct FileNames {
    key: &'static str,
    certificate: &'static str,
    private_key: &'static str,
}

const CURRENT: FileNames =
    FileNames { key: SHARED_ACCESS_KEY, certificate: CERTIFICATE, private_key: PRIVATE_KEY };
const PREVIOUS: FileNames = FileNames {
    key: PREVIOUS_SHARED_ACCESS_KEY,
    certificate: PREVIOUS_CERTIFICATE,
    private_key: PREVIOUS_PRIVATE_KEY,
};

/// Reads the key or the certificate; `None` when neither is there.
fn read(folder: &Path, names: &FileNames) -> Result<Option<Credential>, CredentialsError> {
    let [key, certificate, private_key] =
        [names.key, names.certificate, names.private_key].map(|name| folder.join(name));
    let text = optional(&key, "the device's key in base64")?;
    let chain = optional(&certificate, "the device's certificate in PEM")?;
    let secret = optional(&private_key, "the private key of the device's certificate in PEM")?;
    match (text, chain, secret) {
        (None, None, None) => Ok(None),
        (Some(text), None, None) => {
            let key =
                SymmetricKey::read(&text).map_err(|error| CredentialsError::Key { path: key, error })?;
            Ok(Some(Credential::of_key(key)))
        }
        (None, chain, secret) => {
            let (chain, secret) = (chain.unwrap_or_default(), secret.unwrap_or_default());
            let certificate = Certificate::parse(&chain, &secret).map_err(|error| {
                let path = if error.part() == PemPart::Key { private_key } else { certificate };
                CredentialsError::Certificate { path, error }
            })?;
            Ok(Some(Credential::of_certificate(certificate)))
        }
        (Some(_), _, _) => Err(CredentialsError::Both {
            folder: folder.to_owned(),
            key: names.key,
            certificate: names.certificate,
        }),
    }
}

/// Reads a file that may be missing; `what` describes its content in errors.
fn optional(path: &Path, what: &'static str) -> Result<Option<Zeroizing<Vec<u8>>>, CredentialsError> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(Zeroizing::new(bytes))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(CredentialsError::Read { path: path.to_owned(), what, error }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch_folder::ScratchFolder;

    const KEYS: [&str; 2] =
        ["AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="];

    /// Generates a self-signed certificate and its key, both in PEM.
    fn pair() -> (String, String) {
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::new(Vec::new()).unwrap().self_signed(&key).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    /// Loads a folder with these files.
    fn of(files: &[(&str, &str)]) -> Result<Credentials, CredentialsError> {
        let root = ScratchFolder::new();
        std::fs::create_dir(root.at("d")).unwrap();
        for (name, text) in files {
            std::fs::write(root.at("d").join(name), text).unwrap();
        }
        load(root.path(), "d")
    }

    #[test]
    fn current_and_previous_may_be_of_different_kinds() {
        let (certificate, key) = pair();
        let new = [("tls.crt", certificate.as_str()), ("tls.key", key.as_str())];
        let key_before = ("previousSharedAccessKey", KEYS[0]);
        let found = of(&[new[0], new[1], key_before]).unwrap();
        assert!(found.offered[0].certificate().is_some() && found.offered[1].certificate().is_none());
        assert_eq!((found.offered.len(), found.problem), (2, None));
        let before = [("previous.crt", certificate.as_str()), ("previous.key", key.as_str())];
        let found = of(&[("sharedAccessKey", KEYS[1]), before[0], before[1]]).unwrap();
        assert!(found.offered[0].certificate().is_none() && found.offered[1].certificate().is_some());
        assert_eq!(of(&[("sharedAccessKey", KEYS[1])]).unwrap().offered.len(), 1);
    }

    #[test]
    fn broken_credential_does_not_hide_the_other() {
        let ((certificate, _), (_, other)) = (pair(), pair());
        let half = [("tls.crt", certificate.as_str()), ("tls.key", other.as_str())];
        let found = of(&[half[0], half[1], ("previousSharedAccessKey", KEYS[0])]).unwrap();
        assert_eq!(found.offered.len(), 1);
        assert!(found.problem.unwrap().to_string().contains("tls.key: it is not the key"));
        let before = [("previous.crt", certificate.as_str()), ("previous.key", "")];
        let found = of(&[("sharedAccessKey", KEYS[1]), before[0], before[1]]).unwrap();
        assert_eq!(found.offered.len(), 1);
        assert!(found.problem.unwrap().to_string().contains("previous.key: it is missing or empty"));
    }

    #[test]
    fn missing_and_extra_files_are_named() {
        let (certificate, key) = pair();
        let cases: [(&[(&str, &str)], &str); 6] = [
            (&[], "d/sharedAccessKey is missing: put the device's key"),
            (&[("ca.crt", "")], "into tls.crt and tls.key beside it"),
            (&[("tls.crt", &certificate)], "tls.key: it is missing or empty"),
            (&[("tls.key", &key)], "tls.crt: it is missing or empty"),
            (&[("sharedAccessKey", "half-a-key!")], "sharedAccessKey: the key is not base64"),
            (
                &[("sharedAccessKey", KEYS[0]), ("tls.crt", &certificate), ("tls.key", &key)],
                "has both sharedAccessKey and tls.crt",
            ),
        ];
        for (files, words) in cases {
            let error = of(files).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
            assert!(!error.contains("half-a-key"), "{error}");
        }
    }
}
