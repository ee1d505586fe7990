//! Attestation of a connection to DPS by its certificate: the leaf's enrollment, or the group of the closest enrolled
//! CA above it (ref §9.1). Pure.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::registry::attestation::Attestation;
use crate::registry::authentication::Authentication;
use crate::registry::enrollment::{Enrolled, Group};
use crate::registry::enrollments::Enrollments;
use crate::x509::authorities::Authority;
use crate::x509::certificate::Certificate;
use crate::x509::chain::{self, Ancestor, Ancestry, ChainError, ancestry};
use crate::x509::presented::{Presented, PresentedError};

/// Reason for refusing a certificate at DPS.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum CertificateAttestationError {
    /// There is no certificate, or it cannot be parsed.
    #[error("{0}, and there is no token either")]
    Presented(PresentedError),
    /// Ref §9.1: CN is the registration id.
    #[error("the certificate's common name is {found:?}, not the registration id {registration_id:?}")]
    CommonName {
        /// In the certificate.
        found: String,
        /// Registration id of the device.
        registration_id: String,
    },
    /// The certificate is for another registration id.
    #[error("the certificate is enrolled for {0:?}")]
    OtherRegistration(String),
    /// There is no enrollment for the certificate or a CA above it.
    #[error("neither the certificate nor a CA above it is enrolled: {0}")]
    NotEnrolled(String),
    /// The enrolled CA has no proof of possession (ref §9.2).
    #[error("the CA {0:?} of the enrollment group is not verified, and leads to no verified CA: {1}")]
    Unverified(String, String),
    /// Expired, not for clients…
    #[error("{0}")]
    Chain(ChainError),
}

impl CertificateAttestationError {
    /// Returns whether CONNECT is already refused: no certificate, or one for another id (ref §8.1).
    #[must_use]
    pub fn refuses_connect(&self) -> bool {
        matches!(self, Self::Presented(_) | Self::CommonName { .. } | Self::OtherRegistration(_))
    }
}

/// Finds the enrollment of a presented chain. A disabled one is found as well: there is no fall-through (ref §9.1).
///
/// # Errors
/// [`CertificateAttestationError`].
pub fn attest(
    enrollments: &Enrollments,
    uploads: &BTreeMap<String, Authority>,
    registration_id: &str,
    presented: &Presented,
    now: Timestamp,
) -> Result<Enrolled, CertificateAttestationError> {
    let leaf = &presented.leaf;
    if !leaf.common_name.as_ref().is_some_and(|name| name.eq_ignore_ascii_case(registration_id)) {
        let found = leaf.common_name.clone().unwrap_or_default();
        let registration_id = registration_id.to_owned();
        return Err(CertificateAttestationError::CommonName { found, registration_id });
    }
    let enrolled = match individual(enrollments, registration_id, leaf)? {
        Some(enrolled) => {
            chain::check_dates(leaf, now).map_err(CertificateAttestationError::Chain)?;
            enrolled
        }
        None => {
            chain::check_leaf(leaf, now).map_err(CertificateAttestationError::Chain)?;
            closest_group(enrollments, uploads, presented, now)?
                .enroll(registration_id, Authentication::by_certificate(leaf))
        }
    };
    Ok(enrolled.with(leaf.clone()))
}

fn individual(
    enrollments: &Enrollments,
    registration_id: &str,
    leaf: &Certificate,
) -> Result<Option<Enrolled>, CertificateAttestationError> {
    let is_own = |attestation: &Attestation| match attestation {
        Attestation::ClientCertificates(slots) => slots.iter().any(|enrolled| enrolled == leaf),
        _ => false,
    };
    match enrollments.individuals().find(|(_, individual)| is_own(&individual.terms.attestation)) {
        Some((id, own)) if id.eq_ignore_ascii_case(registration_id) => {
            Ok(Some(own.enroll(registration_id, Authentication::by_certificate(leaf))))
        }
        Some((id, _)) => Err(CertificateAttestationError::OtherRegistration(id.to_owned())),
        None => Ok(None),
    }
}

fn closest_group<'a>(
    enrollments: &'a Enrollments,
    uploads: &BTreeMap<String, Authority>,
    presented: &Presented,
    now: Timestamp,
) -> Result<&'a Group, CertificateAttestationError> {
    let uploaded: BTreeMap<String, &Certificate> =
        uploads.iter().map(|(name, upload)| (name.clone(), &upload.certificate)).collect();
    let groups: Vec<_> =
        enrollments.groups().map(|group| (group, group.terms.attestation.certificates(&uploaded))).collect();
    let signers = groups.iter().flat_map(|(_, signers)| signers.iter().copied());
    let known: Vec<_> = signers.chain(uploaded.values().copied()).collect();
    let leaf = Ancestor { certificate: &presented.leaf, height: 0 };
    let above = ancestry(leaf, &presented.others, &known, now);
    for ancestor in &above.found {
        let enrolled = groups.iter().find(|(_, signers)| signers.contains(&ancestor.certificate));
        if let Some((group, _)) = enrolled {
            check_verified(*ancestor, uploads, presented, now)?;
            return Ok(group);
        }
    }
    Err(CertificateAttestationError::NotEnrolled(end(&above)))
}

/// Checks that the enrolled CA is verified, or that the presented chain leads from it to a verified one (ref §9.1).
fn check_verified(
    enrolled: Ancestor<'_>,
    uploads: &BTreeMap<String, Authority>,
    presented: &Presented,
    now: Timestamp,
) -> Result<(), CertificateAttestationError> {
    let verified: Vec<_> =
        uploads.values().filter(|upload| upload.verified).map(|upload| &upload.certificate).collect();
    if verified.contains(&enrolled.certificate) {
        return Ok(());
    }
    let subject = || enrolled.certificate.subject.to_string();
    if !presented.others.contains(enrolled.certificate) && !enrolled.certificate.is_root() {
        let why = "the device does not present it, so its chain to the root is unknown".to_owned();
        return Err(CertificateAttestationError::Unverified(subject(), why));
    }
    let above = ancestry(enrolled, &presented.others, &verified, now);
    if above.found.iter().any(|ancestor| verified.contains(&ancestor.certificate)) {
        return Ok(());
    }
    Err(CertificateAttestationError::Unverified(subject(), end(&above)))
}

/// Returns the reason why a chain ends.
fn end(above: &Ancestry<'_>) -> String {
    match (above.ends.first(), above.found.last()) {
        (Some(end), _) => end.to_string(),
        (None, Some(top)) => format!("the chain ends with {:?}", top.certificate.subject.to_string()),
        (None, None) => "no CA above it is known".to_owned(),
    }
}
