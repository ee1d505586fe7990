//! The CA certificates that were uploaded, and which of them are verified: their owner proved to have the key
//! (ref §9.2). One list for all hubs and DPS instances. In memory.

use parking_lot::RwLock;
use std::collections::BTreeMap;

use jiff::Timestamp;

use super::certificate::Certificate;
use super::chain::{ChainError, check_dates};

/// Ref §8.7, §12.3.
pub const MOST: usize = 25;

/// An uploaded CA.
#[derive(Debug, Clone)]
pub struct Authority {
    /// The certificate.
    pub certificate: Certificate,
    /// True if the possession of its key was proven, or the CA was declared verified.
    pub verified: bool,
    /// Code for the proof of possession, after it was requested.
    pub code: Option<String>,
    /// First upload.
    pub created: Timestamp,
    /// Last change.
    pub updated: Timestamp,
}

/// Error of an operation on an uploaded CA.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum AuthorityError {
    /// No such name.
    #[error("there is no certificate {0:?}; PUT /api/certificates/{0} uploads it")]
    Unknown(String),
    /// Ref §8.7.
    #[error("there are {MOST} CA certificates already; delete one first")]
    TooMany,
    /// A leaf.
    #[error("the certificate {0:?} is not a CA: its basicConstraints must say CA:TRUE")]
    NoAuthority(String),
    /// Ref §9.2 step 2.
    #[error(
        "no verification code was made for {0:?}; POST /api/certificates/{0}/generateVerificationCode first"
    )]
    NoCode(String),
    /// Ref §9.2 step 3.
    #[error(
        "the proof's common name is {found:?}; it must be the verification code {code}, which every generateVerificationCode changes"
    )]
    Code {
        /// In the certificate.
        found: String,
        /// The one that counts.
        code: String,
    },
    /// By another key.
    #[error("the proof is not signed by the key of {0:?}")]
    Signature(String),
    /// Too late or too early.
    #[error("the proof of possession is not valid: {0}")]
    Dates(ChainError),
}

/// All of them, by name.
#[derive(Debug, Default)]
pub struct Authorities(RwLock<BTreeMap<String, Authority>>);

impl Authorities {
    /// Returns all CAs, by name.
    #[must_use]
    pub fn all(&self) -> BTreeMap<String, Authority> {
        self.0.read().clone()
    }

    /// Returns the CA of this name.
    ///
    /// # Errors
    /// [`AuthorityError::Unknown`].
    pub fn get(&self, name: &str) -> Result<Authority, AuthorityError> {
        self.read(|all| all.get(name).cloned()).ok_or_else(|| AuthorityError::Unknown(name.to_owned()))
    }

    /// Uploads a CA; returns whether the name is new. A different certificate under a known name must be verified
    /// again.
    ///
    /// # Errors
    /// [`AuthorityError`].
    pub fn put(
        &self,
        name: &str,
        certificate: Certificate,
        verified: bool,
        now: Timestamp,
    ) -> Result<bool, AuthorityError> {
        if certificate.authority.is_none() {
            return Err(AuthorityError::NoAuthority(certificate.subject.to_string()));
        }
        self.write(|all| {
            let earlier = all.get(name);
            if earlier.is_none() && all.len() >= MOST {
                return Err(AuthorityError::TooMany);
            }
            let same = earlier.filter(|earlier| earlier.certificate == certificate);
            let authority = Authority {
                verified: verified || same.is_some_and(|same| same.verified),
                code: same.and_then(|same| same.code.clone()),
                created: earlier.map_or(now, |earlier| earlier.created),
                updated: now,
                certificate,
            };
            Ok(all.insert(name.to_owned(), authority).is_none())
        })
    }

    /// Forgets one.
    ///
    /// # Errors
    /// [`AuthorityError::Unknown`].
    pub fn remove(&self, name: &str) -> Result<(), AuthorityError> {
        let removed = self.write(|all| all.remove(name));
        removed.map(drop).ok_or_else(|| AuthorityError::Unknown(name.to_owned()))
    }

    /// Makes `code` the one that counts; the one before does not any more (ref §9.2 step 2).
    ///
    /// # Errors
    /// [`AuthorityError::Unknown`].
    pub fn set_code(&self, name: &str, code: String, now: Timestamp) -> Result<Authority, AuthorityError> {
        self.change(name, |authority| {
            authority.code = Some(code);
            authority.updated = now;
            Ok(())
        })
    }

    /// Takes a proof of possession: a certificate whose CN is the code, signed by the CA (ref §9.2 steps 3, 4).
    ///
    /// # Errors
    /// [`AuthorityError`].
    pub fn verify(
        &self,
        name: &str,
        proof: &Certificate,
        now: Timestamp,
    ) -> Result<Authority, AuthorityError> {
        self.change(name, |authority| {
            let code = authority.code.clone().ok_or_else(|| AuthorityError::NoCode(name.to_owned()))?;
            if proof.common_name.as_ref() != Some(&code) {
                let found = proof.common_name.clone().unwrap_or_default();
                return Err(AuthorityError::Code { found, code });
            }
            if !proof.is_signed_by(&authority.certificate) {
                return Err(AuthorityError::Signature(name.to_owned()));
            }
            check_dates(proof, now).map_err(AuthorityError::Dates)?;
            (authority.verified, authority.code, authority.updated) = (true, None, now);
            Ok(())
        })
    }

    fn change(
        &self,
        name: &str,
        change: impl FnOnce(&mut Authority) -> Result<(), AuthorityError>,
    ) -> Result<Authority, AuthorityError> {
        self.write(|all| {
            let authority = all.get_mut(name).ok_or_else(|| AuthorityError::Unknown(name.to_owned()))?;
            change(authority)?;
            Ok(authority.clone())
        })
    }

    fn read<T>(&self, read: impl FnOnce(&BTreeMap<String, Authority>) -> T) -> T {
        read(&self.0.read())
    }

    fn write<T>(&self, write: impl FnOnce(&mut BTreeMap<String, Authority>) -> T) -> T {
        write(&mut self.0.write())
    }
}

/// Returns a verification code: 48 hexadecimal digits, as Azure's codes are (ref §9.2).
#[must_use]
pub fn verification_code(random: [u8; 24]) -> String {
    hex::encode_upper(random)
}
