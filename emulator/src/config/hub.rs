//! A hub and its devices. Touches disk for key files only.

use std::collections::HashSet;

use lanyard_protocol::hub::host::HostPort;
use lanyard_protocol::hub::id::DeviceId;

use super::document;
use super::field::{at, choice, enabled, required};
use super::files::Files;
use super::problems::Problems;
use super::secret;
use crate::config::checked::HubConfig;
use crate::registry::authentication::Authentication;
use crate::registry::device::RegisteredDevice;
use crate::x509::thumbprint::{Thumbprint, Thumbprints};

/// Reads a hub with its registry.
pub fn hub(entry: &document::HubEntry, field: &str, files: Files<'_>, problems: &mut Problems) -> HubConfig {
    let host = required(entry.host_name.as_deref(), &format!("{field}.hostName"), problems, |name| {
        HostPort::parse(name)
    });
    let mut ids = HashSet::new();
    let mut devices = Vec::new();
    for (at, entry) in entry.devices.iter().enumerate() {
        let field = format!("{field}.devices[{at}]");
        let Some(device) = device(entry, &field, files, None, problems) else { continue };
        if ids.insert(device.id.clone()) {
            devices.push(device);
        } else {
            problems
                .note(format!("{field}.deviceId"), format!("{} is there twice: keep one of them", device.id));
        }
    }
    let unnamed = || HostPort::parse("localhost").expect("localhost is a host name");
    HubConfig { host: host.unwrap_or_else(unnamed), devices }
}

/// Returns a device; fields that are not set keep their `earlier` values.
pub fn device(
    entry: &document::DeviceEntry,
    field: &str,
    files: Files<'_>,
    earlier: Option<RegisteredDevice>,
    problems: &mut Problems,
) -> Option<RegisteredDevice> {
    let id = required(entry.device_id.as_deref(), &at(field, "deviceId"), problems, |id| DeviceId::new(id));
    let status = enabled(entry.status.as_deref(), &at(field, "status"), problems);
    let none = document::AuthenticationEntry::default();
    let proof = entry.authentication.as_ref().unwrap_or(&none);
    let (kept, was_enabled) = earlier.map(|earlier| (earlier.authentication, earlier.enabled)).unzip();
    let proof = match kept.filter(|kept| is_only_named(proof, kept)) {
        Some(kept) => Some(kept),
        None => authentication(proof, &at(field, "authentication"), files, problems),
    };
    let enabled = status.or(was_enabled).unwrap_or(true);
    Some(RegisteredDevice { id: id?.as_str().to_owned(), authentication: proof?, enabled })
}

/// Returns whether `entry` contains at most the type of `kept`. A device is shown without its keys; a request with that
/// text changes no key.
fn is_only_named(entry: &document::AuthenticationEntry, kept: &Authentication) -> bool {
    entry.symmetric_key.is_none()
        && entry.x509_thumbprint.is_none()
        && entry.kind.as_deref().is_none_or(|kind| kind == kept.kind())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum AuthenticationKind {
    Sas,
    SelfSigned,
    CertificateAuthority,
}

/// Returns the authentication of a device.
pub fn authentication(
    entry: &document::AuthenticationEntry,
    field: &str,
    files: Files<'_>,
    problems: &mut Problems,
) -> Option<Authentication> {
    let kinds = [
        ("sas", AuthenticationKind::Sas),
        ("selfSigned", AuthenticationKind::SelfSigned),
        ("certificateAuthority", AuthenticationKind::CertificateAuthority),
    ];
    let kind = match entry.kind.as_deref() {
        None => AuthenticationKind::Sas,
        Some(_) => choice(entry.kind.as_deref(), &format!("{field}.type"), problems, &kinds)?,
    };
    if kind != AuthenticationKind::Sas && entry.symmetric_key.is_some() {
        problems.note(format!("{field}.symmetricKey"), "only type sas has keys: remove it, or use that type");
    }
    if kind != AuthenticationKind::SelfSigned && entry.x509_thumbprint.is_some() {
        let message = "only type selfSigned has thumbprints: remove it, or use that type";
        problems.note(format!("{field}.x509Thumbprint"), message);
    }
    match kind {
        AuthenticationKind::Sas => {
            secret::keys(entry.symmetric_key.as_ref(), field, files, problems).map(Authentication::Sas)
        }
        AuthenticationKind::SelfSigned => thumbprints(entry.x509_thumbprint.as_ref(), field, problems),
        AuthenticationKind::CertificateAuthority => Some(Authentication::CertificateAuthority),
    }
}

fn thumbprints(
    entry: Option<&document::X509Thumbprint>,
    field: &str,
    problems: &mut Problems,
) -> Option<Authentication> {
    let field = format!("{field}.x509Thumbprint");
    let none = document::X509Thumbprint::default();
    let entry = entry.unwrap_or(&none);
    // Azure's own answers have null and empty ones.
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let mut read = |text: Option<String>, name: &str| match text {
        Some(text) => problems.take(format!("{field}.{name}"), Thumbprint::parse(&text)).map(Some),
        None => Some(None),
    };
    let primary = read(given(&entry.primary_thumbprint), "primaryThumbprint");
    let secondary = read(given(&entry.secondary_thumbprint), "secondaryThumbprint");
    let thumbprints = Thumbprints { primary: primary?, secondary: secondary? };
    if thumbprints.primary.is_none() && thumbprints.secondary.is_none() {
        problems.note(field, "is missing: give primaryThumbprint, secondaryThumbprint or both");
        return None;
    }
    if !thumbprints.are_alike() {
        let message = "is not of the same hash as primaryThumbprint: use SHA-256 for both, or SHA-1";
        problems.note(format!("{field}.secondaryThumbprint"), message);
        return None;
    }
    Some(Authentication::SelfSigned(thumbprints))
}
