//! Attestation of devices at DPS, by key or by certificate (ref §11.5). Reads key and certificate files.

use super::certificates::{Purpose, certificate};
use super::document;
use super::field::choice;
use super::files::Files;
use super::problems::Problems;
use super::secret;
use crate::registry::attestation::{Attestation, Slots};
use crate::registry::enrollment::EnrollmentKind;

/// Objects to which an attestation may refer.
#[derive(Debug, Clone, Copy)]
pub struct References<'a> {
    /// Source of files.
    pub files: Files<'a>,
    /// The names of the CA certificates.
    pub authorities: &'a [String],
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum AttestationKind {
    SymmetricKey,
    X509,
}

/// Checks one.
pub fn attestation(
    entry: Option<&document::AttestationEntry>,
    field: &str,
    owner: EnrollmentKind,
    known: References<'_>,
    problems: &mut Problems,
) -> Option<Attestation> {
    let none = document::AttestationEntry::default();
    let entry = entry.unwrap_or(&none);
    let kinds = [("symmetricKey", AttestationKind::SymmetricKey), ("x509", AttestationKind::X509)];
    let kind = choice(entry.kind.as_deref(), &format!("{field}.type"), problems, &kinds);
    if entry.kind.is_none() {
        problems.note(format!("{field}.type"), "is missing: use symmetricKey or x509");
    }
    match kind {
        Some(AttestationKind::X509) => {
            if entry.symmetric_key.is_some() {
                let message = "only type symmetricKey has keys: remove it, or use that type";
                problems.note(format!("{field}.symmetricKey"), message);
            }
            x509(entry.x509.as_ref(), &format!("{field}.x509"), owner, known, problems)
        }
        Some(AttestationKind::SymmetricKey) | None => {
            if kind.is_some() && entry.x509.is_some() {
                let message = "only type x509 has certificates: remove it, or use that type";
                problems.note(format!("{field}.x509"), message);
            }
            let keys = secret::keys(entry.symmetric_key.as_ref(), field, known.files, problems);
            keys.map(Attestation::SymmetricKey)
        }
    }
}

fn x509(
    entry: Option<&document::X509>,
    field: &str,
    owner: EnrollmentKind,
    known: References<'_>,
    problems: &mut Problems,
) -> Option<Attestation> {
    let none = document::X509::default();
    let entry = entry.unwrap_or(&none);
    match (owner, &entry.client_certificates, &entry.signing_certificates, &entry.ca_references) {
        (EnrollmentKind::Individual, Some(leafs), None, None) => {
            let field = format!("{field}.clientCertificates");
            slots(leafs, &field, Purpose::Client, known, problems).map(Attestation::ClientCertificates)
        }
        (EnrollmentKind::Group, None, Some(signers), None) => {
            let field = format!("{field}.signingCertificates");
            slots(signers, &field, Purpose::Authority, known, problems).map(Attestation::SigningCertificates)
        }
        (EnrollmentKind::Group, None, None, Some(names)) => {
            references(names, &format!("{field}.caReferences"), known, problems)
        }
        (EnrollmentKind::Individual, ..) => {
            problems.note(field, "an individual enrollment has clientCertificates here, and nothing else");
            None
        }
        (EnrollmentKind::Group, ..) => {
            problems
                .note(field, "a group has either signingCertificates or caReferences here, and nothing else");
            None
        }
    }
}

fn slots(
    entry: &document::SlotsEntry<document::X509Certificate>,
    field: &str,
    purpose: Purpose,
    known: References<'_>,
    problems: &mut Problems,
) -> Option<Slots<crate::x509::certificate::Certificate>> {
    let mut read = |entry: &document::X509Certificate, name: &str| {
        let (text, file) = (entry.certificate.as_ref(), entry.certificate_file.as_deref());
        certificate(text, file, &format!("{field}.{name}"), purpose, known.files, problems)
    };
    let primary = entry.primary.as_ref().map(|entry| read(entry, "primary"));
    let secondary = entry.secondary.as_ref().map(|entry| read(entry, "secondary"));
    if primary.is_none() {
        problems.note(format!("{field}.primary"), "is missing: add it");
    }
    Some(Slots { primary: primary??, secondary: secondary.map_or(Some(None), |read| read.map(Some))? })
}

fn references(
    names: &document::SlotsEntry<String>,
    field: &str,
    known: References<'_>,
    problems: &mut Problems,
) -> Option<Attestation> {
    let mut read = |name: &String, slot: &str| {
        let is_known = known.authorities.contains(name);
        if !is_known {
            let message = format!("{name:?} is none of the certificates: add it under certificates");
            problems.note(format!("{field}.{slot}"), message);
        }
        is_known.then(|| name.clone())
    };
    let primary = names.primary.as_ref().map(|name| read(name, "primary"));
    let secondary = names.secondary.as_ref().map(|name| read(name, "secondary"));
    if primary.is_none() {
        problems.note(format!("{field}.primary"), "is missing: add it");
    }
    let secondary = secondary.map_or(Some(None), |name| name.map(Some))?;
    Some(Attestation::CaReferences(Slots { primary: primary??, secondary }))
}
