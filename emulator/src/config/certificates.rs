//! Certificates of the configuration. Touches disk for certificate files only.

use std::collections::HashSet;

use zeroize::Zeroizing;

use super::document;
use super::files::{Files, Found};
use super::problems::Problems;
use crate::x509::certificate::Certificate;
use crate::x509::text;

/// Use of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Whatever a device may have.
    Client,
    /// Signs other certificates.
    Authority,
}

/// Reads the certificate of `field.certificate`, or of the file named in `field.certificateFile`.
pub fn certificate(
    text: Option<&Zeroizing<String>>,
    file: Option<&str>,
    field: &str,
    purpose: Purpose,
    files: Files<'_>,
    problems: &mut Problems,
) -> Option<Certificate> {
    match files.text(text, file, field, "certificate", problems) {
        Found::Value(field, text) => {
            let certificate = problems.take(field.clone(), text::read(&text))?;
            if purpose == Purpose::Authority && certificate.authority.is_none() {
                problems.note(field, "is not a CA: its basicConstraints must say CA:TRUE");
                return None;
            }
            Some(certificate)
        }
        Found::Missing => {
            problems.note(format!("{field}.certificate"), "is missing: give it, or certificateFile");
            None
        }
        Found::Wrong => None,
    }
}

/// Reads the CA certificates of the configuration; returns the name of each, and whether it is declared verified.
pub fn authorities(
    entries: &[document::CaCertificate],
    files: Files<'_>,
    problems: &mut Problems,
) -> Vec<(String, Certificate, bool)> {
    let mut names = HashSet::new();
    let mut authorities = Vec::new();
    for (at, entry) in entries.iter().enumerate() {
        let field = format!("certificates[{at}]");
        let certificate = properties(&entry.properties, &format!("{field}.properties"), files, problems);
        let Some(name) = entry.name.as_ref().filter(|name| !name.is_empty()) else {
            problems.note(format!("{field}.name"), "is missing: add it");
            continue;
        };
        if !names.insert(name) {
            problems.note(format!("{field}.name"), format!("{name} is there twice: keep one of them"));
        }
        authorities
            .extend(certificate.map(|certificate| (name.clone(), certificate, entry.properties.is_verified)));
    }
    authorities
}

/// Reads the CA certificate in the `properties` of an entry.
pub fn properties(
    entry: &document::CaCertificateProperties,
    field: &str,
    files: Files<'_>,
    problems: &mut Problems,
) -> Option<Certificate> {
    let (text, file) = (entry.certificate.as_ref(), entry.certificate_file.as_deref());
    certificate(text, file, field, Purpose::Authority, files, problems)
}
