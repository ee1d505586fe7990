//! From the document to the checked configuration: every problem is found in one go. Touches disk for
//! key and certificate files only.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use lanyard_protocol::document::read::{self, DocumentError};
use lanyard_protocol::document::substitute::Disclosure;
use lanyard_protocol::hub::host::HostPort;

use super::attestation::References;
use super::checked::Checked;
use super::document::{self, Document};
use super::files::Files;
use super::problems::Problems;
use super::{certificates, hub, provisioning};
use crate::config::checked::{DpsConfig, HubConfig};
use crate::dps::service::Pace;
use crate::events::store::Limits;
use crate::hub::token::TokenRules;
use crate::registry::attestation::Attestation;
use crate::registry::enrollments::shared_certificate;
use crate::x509::certificate::Certificate;

/// Error of a configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file.
    #[error("failed to read the configuration {path}; make it readable for the user who runs the emulator, or name \
        another with --config", path = path.display())]
    Read {
        /// Path of the file.
        path: std::path::PathBuf,
        /// Cause of the failure.
        source: std::io::Error,
    },
    /// Neither YAML nor JSON, or not meaningful: all of it at once. Keys are not repeated.
    #[error("the configuration {path} is wrong:{problems}", path = path.display())]
    Problems {
        /// Path of the file.
        path: std::path::PathBuf,
        /// Field by field.
        problems: Problems,
    },
}

/// Reads and checks a configuration file.
///
/// # Errors
/// [`ConfigError`].
pub fn load(path: &Path) -> Result<Checked, ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
    let dir = path.parent().unwrap_or(Path::new("."));
    read(&text, dir).map_err(|problems| ConfigError::Problems { path: path.to_owned(), problems })
}

/// Reads and checks a text; key files are looked for from `dir`.
///
/// # Errors
/// [`Problems`].
pub fn read(text: &str, dir: &Path) -> Result<Checked, Problems> {
    let (document, mut problems) = match read::read::<Document>(text, |_, _| None, Disclosure::Hidden) {
        Ok(document) => (Some(document), Problems::default()),
        Err(DocumentError { problems, corrected }) => (corrected, Problems::of(problems)),
    };
    match document.map(|document| check(&document, dir, &mut problems)) {
        Some(checked) if problems.is_empty() => Ok(checked),
        _ => Err(problems.located(text)),
    }
}

fn check(document: &Document, dir: &Path, problems: &mut Problems) -> Checked {
    if document.hubs.is_empty() {
        problems.note("hubs", "is empty: name at least one hub, such as {hostName: localhost}");
    }
    let files = Files(Some(dir));
    let hubs = check_hubs(document, files, problems);
    let certificates = certificates::authorities(&document.certificates, files, problems);
    let dps = check_instances(document, &hubs, &certificates, files, problems);
    let mut certificate_names = check_names(document, problems);
    certificate_names.extend(hubs.iter().map(|hub| hub.host.host().to_owned()));
    let (tokens, pace, limits) = settings(&document.emulator);
    let hub_port = document.emulator.assigned_hub_port;
    if hub_port == Some(0) {
        problems.note("emulator.assignedHubPort", "0 is not a port that a device can use: use 1 to 65535");
    }
    let refuse_certificates_at_connect = document.emulator.refuse_certificates_at_connect;
    Checked {
        hubs,
        certificates,
        dps,
        certificate_names,
        hub_port,
        tokens,
        pace,
        refuse_certificates_at_connect,
        limits,
    }
}

fn check_hubs(document: &Document, files: Files<'_>, problems: &mut Problems) -> Vec<HubConfig> {
    let mut names = HashSet::new();
    let mut hubs = Vec::new();
    for (at, entry) in document.hubs.iter().enumerate() {
        let hub = hub::hub(entry, &format!("hubs[{at}]"), files, problems);
        let name = hub.host.host();
        if !names.insert(name.to_ascii_lowercase()) {
            problems.note(format!("hubs[{at}].hostName"), format!("{name} is there twice: keep one of them"));
        }
        hubs.push(hub);
    }
    hubs
}

fn check_instances(
    document: &Document,
    hubs: &[HubConfig],
    certificates: &[(String, Certificate, bool)],
    files: Files<'_>,
    problems: &mut Problems,
) -> Vec<DpsConfig> {
    let authorities: Vec<_> =
        document.certificates.iter().filter_map(|certificate| certificate.name.clone()).collect();
    let hubs: Vec<Arc<str>> = hubs.iter().map(|hub| hub.host.host().into()).collect();
    let known = References { files, authorities: &authorities };
    let mut scopes = HashSet::new();
    let mut instances = Vec::new();
    for (at, entry) in document.dps.iter().enumerate() {
        let field = format!("dps[{at}]");
        let instance = provisioning::dps(entry, &field, &hubs, known, problems);
        let scope = &instance.id_scope;
        if !scopes.insert(scope.clone()) {
            problems.note(format!("{field}.idScope"), format!("{scope} is there twice: keep one of them"));
        }
        check_sharing(&instance, &field, certificates, problems);
        instances.push(instance);
    }
    instances
}

/// Checks that no two enrollments of an instance have the same certificate (ref §9.1).
fn check_sharing(
    instance: &DpsConfig,
    field: &str,
    certificates: &[(String, Certificate, bool)],
    problems: &mut Problems,
) {
    let groups = instance.groups.iter().map(|group| (group.id.to_string(), &group.terms.attestation));
    let individuals = instance.individuals.iter().map(|(id, own)| (id.clone(), &own.terms.attestation));
    let all: Vec<(String, &Attestation)> = groups.chain(individuals).collect();
    let uploads = certificates.iter().map(|(name, certificate, _)| (name.clone(), certificate)).collect();
    if let Some((one, other)) = shared_certificate(&all, &uploads) {
        let message = format!(
            "{one} and {other} have the same certificate, and DPS takes each for one enrollment only: remove it from one of them"
        );
        problems.note(field, message);
    }
}

/// Returns the rules of tokens, the pace of DPS and the limits of stored messages. Azure's numbers apply where the
/// document says nothing (ref §1.12); DPS is quicker than Azure's, which asks for 3 seconds.
fn settings(entry: &document::Emulator) -> (TokenRules, Pace, Limits) {
    let tokens = TokenRules {
        skew: entry.sas_skew_seconds.unwrap_or(300).into(),
        enforce_delay: entry.sas_enforce_delay_seconds.unwrap_or(0).into(),
    };
    let pace = Pace {
        polls: entry.polls_until_assigned.unwrap_or(1),
        retry_after: entry.retry_after_seconds.unwrap_or(1).into(),
    };
    let limits = Limits {
        events: entry.max_events.unwrap_or(100_000) as usize,
        bytes: usize::try_from(entry.max_event_bytes.unwrap_or(128 << 20)).unwrap_or(usize::MAX),
    };
    (tokens, pace, limits)
}

fn check_names(document: &Document, problems: &mut Problems) -> Vec<String> {
    let mut names = Vec::new();
    for (at, name) in document.emulator.certificate_names.iter().enumerate() {
        let field = format!("emulator.certificateNames[{at}]");
        match HostPort::parse(name) {
            Ok(host) if host.host() == name => names.push(name.clone()),
            Ok(_) => {
                problems.note(field, format!("{name:?} has a port: remove it, a certificate has none"));
            }
            Err(error) => problems.note(field, error),
        }
    }
    for (at, dps) in document.dps.iter().enumerate() {
        if let Some(name) = &dps.host_name
            && let Some(host) = problems.take(format!("dps[{at}].hostName"), HostPort::parse(name))
        {
            names.push(host.host().to_owned());
        }
    }
    names
}
