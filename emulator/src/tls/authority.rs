//! The CA of the emulator: made once, at the first start, or provided by the user. Touches disk.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use jiff::{Timestamp, ToSpan};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, GeneralSubtree, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, NameConstraints, date_time_ymd,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use zeroize::Zeroizing;

use super::constraints;
use crate::tls::dates::since_1970;

/// The certificate's file name.
pub const CERTIFICATE_FILE: &str = "ca.crt";
/// The key's file name.
pub const KEY_FILE: &str = "ca.key";

/// Validity of the CA.
const YEARS: i64 = 10;

/// Error of the CA's files.
#[derive(Debug, thiserror::Error)]
pub enum EmulatorCaError {
    /// Missing or unreadable.
    #[error(
        "failed to read {path}; make it readable for the user who runs the emulator, or name another directory with --ca-dir or --data-dir",
        path = path.display()
    )]
    Read {
        /// Path of the file.
        path: PathBuf,
        /// Cause of the failure.
        source: std::io::Error,
    },
    /// Not writable.
    #[error(
        "failed to write {path}; make the directory writable for the user who runs the emulator, or name another with --data-dir",
        path = path.display()
    )]
    Write {
        /// Path of the file.
        path: PathBuf,
        /// Cause of the failure.
        source: std::io::Error,
    },
    /// One of the two without the other.
    #[error(
        "{present} is there but {missing} is not: bring it back, or remove {present} and let clients trust the new CA",
        present = present.display(), missing = missing.display()
    )]
    Half {
        /// The file that is there.
        present: PathBuf,
        /// The file that is not.
        missing: PathBuf,
    },
    /// Not PEM, or not a certificate or key.
    #[error(
        "{path} is not a PEM {what} ({detail}): put the right file there, or remove ca.crt and ca.key to have a new \
            CA made, which clients must then trust",
        path = path.display()
    )]
    Content {
        /// Path of the file.
        path: PathBuf,
        /// Expected content.
        what: &'static str,
        /// Details of the error.
        detail: String,
    },
    /// Certificate and key do not belong together.
    #[error(
        "{key} is not the key of {certificate}: put the two that belong together there",
        key = key.display(), certificate = certificate.display()
    )]
    Mismatch {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// The provider failed.
    #[error("failed to make a CA: {0}")]
    Make(String),
}

/// A CA that signs the server's certificate.
pub struct EmulatorCa {
    /// Signs.
    pub issuer: Issuer<'static, KeyPair>,
    /// Sent along with what it signed.
    pub certificate: CertificateDer<'static>,
}

impl std::fmt::Debug for EmulatorCa {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EmulatorCa").finish_non_exhaustive()
    }
}

/// Loads the CA in `data_dir`, or makes it there when there is none; it may sign for `names`.
///
/// # Errors
/// [`EmulatorCaError`].
pub fn load_or_make(
    data_dir: &Path,
    names: &[String],
    now: Timestamp,
) -> Result<EmulatorCa, EmulatorCaError> {
    let (certificate, key) = (data_dir.join(CERTIFICATE_FILE), data_dir.join(KEY_FILE));
    // The key is written first: no client can trust it before its certificate exists.
    if !exists(&certificate)? {
        let pair = KeyPair::generate().map_err(|error| EmulatorCaError::Make(error.to_string()))?;
        write(&key, 0o600, Zeroizing::new(pair.serialize_pem()).as_bytes())?;
        sign(&certificate, &pair, constraints::of_names(names), now)?;
        tracing::info!(file = %certificate.display(), "made a CA for the emulator");
    }
    let authority = load(data_dir)?;
    // One of an older emulator may sign for any name: clients trust it, so it stays.
    let Some(mut permitted) = constraints::of_certificate(&authority.certificate) else {
        return Ok(authority);
    };
    if !constraints::add(&mut permitted, constraints::of_names(names)) {
        return Ok(authority);
    }
    // The key and name stay, so clients that trust the previous certificate still accept its names.
    sign(&certificate, authority.issuer.key(), permitted, now)?;
    tracing::warn!(
        file = %certificate.display(), ?names,
        "the emulator has a name that its CA did not permit: signed the CA's certificate again; give it to clients that use the new name"
    );
    load(data_dir)
}

/// Loads the CA from a directory that another program maintains.
///
/// # Errors
/// [`EmulatorCaError`].
pub fn load(dir: &Path) -> Result<EmulatorCa, EmulatorCaError> {
    let (certificate_path, key_path) = (dir.join(CERTIFICATE_FILE), dir.join(KEY_FILE));
    let certificate = std::fs::read(&certificate_path)
        .map_err(|source| EmulatorCaError::Read { path: certificate_path.clone(), source })?;
    let key = match std::fs::read_to_string(&key_path) {
        Ok(key) => Zeroizing::new(key),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(EmulatorCaError::Half { present: certificate_path, missing: key_path });
        }
        Err(source) => return Err(EmulatorCaError::Read { path: key_path, source }),
    };
    let content =
        |path: &Path, what, detail: String| EmulatorCaError::Content { path: path.to_owned(), what, detail };
    let certificate = CertificateDer::from_pem_slice(&certificate)
        .map_err(|error| content(&certificate_path, "certificate", error.to_string()))?;
    let key =
        KeyPair::from_pem(&key).map_err(|error| content(&key_path, "private key", error.to_string()))?;
    if !belongs(&certificate, &key) {
        return Err(EmulatorCaError::Mismatch { certificate: certificate_path, key: key_path });
    }
    let issuer = Issuer::from_ca_cert_der(&certificate, key)
        .map_err(|error| content(&certificate_path, "certificate", error.to_string()))?;
    Ok(EmulatorCa { issuer, certificate })
}

/// Returns whether a certificate belongs to a key: the public key is in the certificate as it is.
fn belongs(certificate: &CertificateDer<'_>, key: &KeyPair) -> bool {
    let public = key.public_key_raw();
    !public.is_empty() && certificate.as_ref().windows(public.len()).any(|window| window == public)
}

/// Writes the certificate of the CA with this key.
fn sign(
    path: &Path,
    key: &KeyPair,
    permitted_subtrees: Vec<GeneralSubtree>,
    now: Timestamp,
) -> Result<(), EmulatorCaError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "Lanyard emulator CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = date_time_ymd(1970, 1, 1) + since_1970(now - 24.hours());
    params.not_after = date_time_ymd(1970, 1, 1) + since_1970(now + (24 * 365 * YEARS).hours());
    params.name_constraints = Some(NameConstraints { permitted_subtrees, excluded_subtrees: Vec::new() });
    let certificate = params.self_signed(key).map_err(|error| EmulatorCaError::Make(error.to_string()))?;
    write(path, 0o644, certificate.pem().as_bytes())
}

/// Writes a file in one step, so that a crash leaves no half file behind.
fn write(path: &Path, mode: u32, content: &[u8]) -> Result<(), EmulatorCaError> {
    let failed = |source| EmulatorCaError::Write { path: path.to_owned(), source };
    let part = path.with_extension("part");
    match std::fs::remove_file(&part) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let mut file: File =
        OpenOptions::new().write(true).create_new(true).mode(mode).open(&part).map_err(failed)?;
    file.write_all(content).and_then(|()| file.sync_all()).map_err(failed)?;
    std::fs::rename(&part, path).map_err(failed)
}

fn exists(path: &Path) -> Result<bool, EmulatorCaError> {
    path.try_exists().map_err(|source| EmulatorCaError::Read { path: path.to_owned(), source })
}
