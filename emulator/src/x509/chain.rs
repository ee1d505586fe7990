//! Chain of a leaf: from issuer to issuer, through the presented certificates, up to the CAs that hub or DPS know
//! (ref §9.1, §9.5). Pure.

use jiff::Timestamp;

use super::certificate::Certificate;

/// The longest way that is followed.
const LONGEST: usize = 8;

/// Reason why a certificate does not lead to a known CA.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum ChainError {
    /// Ref §9.3.
    #[error("the certificate {subject:?} expired at {at}")]
    Expired {
        /// Subject of the certificate.
        subject: String,
        /// Time of the limit.
        at: Timestamp,
    },
    /// Not yet.
    #[error("the certificate {subject:?} is valid from {at} only")]
    NotYet {
        /// Subject of the certificate.
        subject: String,
        /// Time of the limit.
        at: Timestamp,
    },
    /// An extended usage, but not this one.
    #[error("the certificate {0:?} is not for client authentication")]
    Usage(String),
    /// A leaf that signs.
    #[error("the certificate {0:?} signed another one but is not a CA")]
    NoAuthority(String),
    /// A CA that may not.
    #[error("the key usage of the CA {0:?} does not let it sign certificates")]
    KeyUsage(String),
    /// More CAs below it than it allows.
    #[error("the CA {subject:?} allows {allowed} CAs below it, and there are {found}")]
    PathLength {
        /// Subject of the CA.
        subject: String,
        /// Its limit.
        allowed: u32,
        /// Number of CAs below it.
        found: usize,
    },
    /// Ref §9.1: the symptom of a missing intermediate.
    #[error(
        "the issuer {0:?} is neither among the presented certificates nor known: present every intermediate"
    )]
    MissingIssuer(String),
    /// The way is too long.
    #[error("the chain has more than {LONGEST} certificates")]
    TooLong,
}

/// Checks the validity period of a certificate (ref §9.3, §9.5).
///
/// # Errors
/// [`ChainError::Expired`], [`ChainError::NotYet`].
pub fn check_dates(certificate: &Certificate, now: Timestamp) -> Result<(), ChainError> {
    let subject = certificate.subject.to_string();
    if now > certificate.not_after {
        return Err(ChainError::Expired { subject, at: certificate.not_after });
    }
    if now < certificate.not_before {
        return Err(ChainError::NotYet { subject, at: certificate.not_before });
    }
    Ok(())
}

/// Checks whether a certificate may authenticate a device at `now`.
///
/// # Errors
/// [`ChainError`].
pub fn check_leaf(certificate: &Certificate, now: Timestamp) -> Result<(), ChainError> {
    check_dates(certificate, now)?;
    if certificate.client_usage { Ok(()) } else { Err(ChainError::Usage(certificate.subject.to_string())) }
}

/// A CA above the one that was started from.
#[derive(Debug, Clone, Copy)]
pub struct Ancestor<'a> {
    /// The CA.
    pub certificate: &'a Certificate,
    /// Number of steps above the leaf; its issuer is 1.
    pub height: usize,
}

/// CAs above a certificate, the closest first, and the reasons why other chains ended.
#[derive(Debug, Default)]
pub struct Ancestry<'a> {
    /// The CAs.
    pub found: Vec<Ancestor<'a>>,
    /// Reasons why chains ended.
    pub ends: Vec<ChainError>,
}

/// Follows issuers from `start`. Only what was `presented` leads on: a known CA is an end of the way (ref §9.1, "leaf +
/// every intermediate up to the enrolled/verified CA must be in the TLS Certificate message").
#[must_use]
pub fn ancestry<'a>(
    start: Ancestor<'a>,
    presented: &'a [Certificate],
    known: &[&'a Certificate],
    now: Timestamp,
) -> Ancestry<'a> {
    let is_presented = |certificate: &Certificate| presented.contains(certificate);
    let known = known.iter().copied().filter(|certificate| !is_presented(certificate));
    let mut pool: Vec<(&Certificate, bool)> =
        presented.iter().map(|one| (one, true)).chain(known.map(|one| (one, false))).collect();
    let mut ancestry = Ancestry::default();
    let mut next = vec![start];
    while !next.is_empty() {
        let mut above = Vec::new();
        for child in next {
            step(child, &mut pool, &mut ancestry, &mut above, now);
        }
        next = above;
    }
    ancestry
}

/// Takes the issuers of `child` out of the pool: each is looked at once, whatever a hostile client presents.
fn step<'a>(
    child: Ancestor<'a>,
    pool: &mut Vec<(&'a Certificate, bool)>,
    ancestry: &mut Ancestry<'a>,
    above: &mut Vec<Ancestor<'a>>,
    now: Timestamp,
) {
    if child.certificate.is_root() {
        return;
    }
    if child.height >= LONGEST {
        return ancestry.ends.push(ChainError::TooLong);
    }
    let issuers: Vec<_> =
        pool.extract_if(.., |(candidate, _)| child.certificate.is_signed_by(candidate)).collect();
    if issuers.is_empty() {
        return ancestry.ends.push(ChainError::MissingIssuer(child.certificate.issuer.to_string()));
    }
    for (certificate, leads_on) in issuers {
        let issuer = Ancestor { certificate, height: child.height + 1 };
        match check_issuer(issuer, now) {
            Ok(()) => {
                ancestry.found.push(issuer);
                above.extend(leads_on.then_some(issuer));
            }
            Err(error) => ancestry.ends.push(error),
        }
    }
}

fn check_issuer(issuer: Ancestor<'_>, now: Timestamp) -> Result<(), ChainError> {
    let certificate = issuer.certificate;
    let subject = || certificate.subject.to_string();
    let rights = certificate.authority.ok_or_else(|| ChainError::NoAuthority(subject()))?;
    if !rights.signs {
        return Err(ChainError::KeyUsage(subject()));
    }
    let below = issuer.height - 1;
    match rights.path_length {
        Some(allowed) if usize::try_from(allowed).is_ok_and(|allowed| below > allowed) => {
            Err(ChainError::PathLength { subject: subject(), allowed, found: below })
        }
        _ => check_dates(certificate, now),
    }
}
