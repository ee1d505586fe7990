//! From the document to the checked configuration: every mistake is found in one go. Touches disk for key files only.

use std::collections::HashSet;
use std::path::Path;

use lanyard_protocol::hub::host::HostPort;
use lanyard_protocol::hub::id::{DeviceId, IdScope, RegistrationId};

use super::checked::{Checked, Device, Dps, Hub, Terms};
use super::document::{self, Document};
use super::mistakes::Mistakes;
use super::secret;
use crate::cloud::TokenRules;
use crate::dps::enrollment::{Allocation, Reprovisioning};
use crate::dps::service::Pace;
use crate::events::store::Limits;

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file.
    #[error("failed to read the configuration {path}", path = path.display())]
    Read {
        /// Which file.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Neither YAML nor JSON, or a value of the wrong kind. The text is not repeated: there are keys in it.
    #[error("the configuration {path} cannot be read: {detail}", path = path.display())]
    Syntax {
        /// Which file.
        path: std::path::PathBuf,
        /// Where and what.
        detail: String,
    },
    /// Everything else, all at once.
    #[error("the configuration {path} is wrong:{mistakes}", path = path.display())]
    Mistakes {
        /// Which file.
        path: std::path::PathBuf,
        /// Field by field.
        mistakes: Mistakes,
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
    match read(&text, dir) {
        Ok(checked) => Ok(checked),
        Err(Problem::Syntax(detail)) => Err(ConfigError::Syntax { path: path.to_owned(), detail }),
        Err(Problem::Mistakes(mistakes)) => Err(ConfigError::Mistakes { path: path.to_owned(), mistakes }),
    }
}

/// What is wrong with a text.
#[derive(Debug, PartialEq, Eq)]
pub enum Problem {
    /// It cannot be read.
    Syntax(String),
    /// It can.
    Mistakes(Mistakes),
}

/// Reads and checks a text; key files are looked for from `dir`.
///
/// # Errors
/// [`Problem`].
pub fn read(text: &str, dir: &Path) -> Result<Checked, Problem> {
    let mut mistakes = Mistakes::default();
    let options = serde_saphyr::options! { with_snippet: false };
    let document: Document = serde_saphyr::with_deserializer_from_str_with_options(text, options, |yaml| {
        serde_ignored::deserialize(yaml, |field| {
            mistakes.note(bracketed(&field.to_string()), "no such field: check its spelling and its place");
        })
    })
    .map_err(|error| Problem::Syntax(error.to_string()))?;
    let checked = check(&document, dir, &mut mistakes);
    if mistakes.is_empty() { Ok(checked) } else { Err(Problem::Mistakes(mistakes)) }
}

/// `hubs.0.devices` as `hubs[0].devices`, the way all other fields are written.
fn bracketed(path: &str) -> String {
    let mut text = String::new();
    for segment in path.split('.').filter(|segment| *segment != "?") {
        match (segment.parse::<usize>(), text.is_empty()) {
            (Ok(at), _) => text.push_str(&format!("[{at}]")),
            (Err(_), true) => text.push_str(segment),
            (Err(_), false) => text.extend([".", segment]),
        }
    }
    text
}

fn check(document: &Document, dir: &Path, mistakes: &mut Mistakes) -> Checked {
    if document.hubs.is_empty() {
        mistakes.note("hubs", "is empty: name at least one hub, such as {hostName: localhost}");
    }
    let hubs: Vec<_> = document
        .hubs
        .iter()
        .enumerate()
        .map(|(at, hub)| check_hub(hub, &format!("hubs[{at}]"), dir, mistakes))
        .collect();
    let mut names = HashSet::new();
    for (at, hub) in hubs.iter().enumerate() {
        if !names.insert(hub.host.host().to_ascii_lowercase()) {
            mistakes.note(format!("hubs[{at}].hostName"), format!("{} is there twice", hub.host.host()));
        }
    }
    let mut scopes = HashSet::new();
    let mut dps = Vec::new();
    for (at, entry) in document.dps.iter().enumerate() {
        let field = format!("dps[{at}]");
        let instance = check_dps(entry, &field, &hubs, dir, mistakes);
        if !scopes.insert(instance.id_scope.clone()) {
            mistakes.note(format!("{field}.idScope"), format!("{} is there twice", instance.id_scope));
        }
        dps.push(instance);
    }
    let mut certificate_names = check_names(document, mistakes);
    certificate_names.extend(hubs.iter().map(|hub| hub.host.host().to_owned()));
    let (tokens, pace, limits) = settings(&document.emulator);
    let hub_port = document.emulator.assigned_hub_port;
    if hub_port == Some(0) {
        mistakes.note("emulator.assignedHubPort", "0 is no port that a device can dial");
    }
    Checked { hubs, dps, certificate_names, hub_port, tokens, pace, limits }
}

/// Azure's numbers where the document says nothing (ref §1.12); DPS is quicker than Azure's, which asks for 3 seconds.
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

fn check_names(document: &Document, mistakes: &mut Mistakes) -> Vec<String> {
    let mut names = Vec::new();
    for (at, name) in document.emulator.certificate_names.iter().enumerate() {
        let field = format!("emulator.certificateNames[{at}]");
        match HostPort::parse(name) {
            Ok(host) if host.host() == name => names.push(name.clone()),
            Ok(_) => mistakes.note(field, format!("{name:?} has a port; a certificate has none")),
            Err(error) => mistakes.note(field, error),
        }
    }
    for (at, dps) in document.dps.iter().enumerate() {
        if let Some(name) = &dps.host_name
            && let Some(host) = mistakes.take(format!("dps[{at}].hostName"), HostPort::parse(name))
        {
            names.push(host.host().to_owned());
        }
    }
    names
}

fn check_hub(entry: &document::Hub, field: &str, dir: &Path, mistakes: &mut Mistakes) -> Hub {
    let host = required(entry.host_name.as_deref(), &format!("{field}.hostName"), mistakes, |name| {
        HostPort::parse(name)
    });
    let mut ids = HashSet::new();
    let mut devices = Vec::new();
    for (at, device) in entry.devices.iter().enumerate() {
        let field = format!("{field}.devices[{at}]");
        let Some(device) = check_device(device, &field, dir, mistakes) else { continue };
        if ids.insert(device.id.clone()) {
            devices.push(device);
        } else {
            mistakes.note(format!("{field}.deviceId"), format!("{} is there twice", device.id));
        }
    }
    let unnamed = || HostPort::parse("localhost").expect("localhost is a host name");
    Hub { host: host.unwrap_or_else(unnamed), devices }
}

fn check_device(
    entry: &document::Device,
    field: &str,
    dir: &Path,
    mistakes: &mut Mistakes,
) -> Option<Device> {
    let id =
        required(entry.device_id.as_deref(), &format!("{field}.deviceId"), mistakes, |id| DeviceId::new(id));
    let enabled = enabled(entry.status.as_deref(), &format!("{field}.status"), mistakes);
    let authentication = entry.authentication.as_ref();
    let field = format!("{field}.authentication");
    let kind = authentication.and_then(|authentication| authentication.kind.as_deref());
    match kind {
        None | Some("sas") => {}
        Some(other) => mistakes.note(format!("{field}.type"), format!("{other:?} is not supported: use sas")),
    }
    let keys = secret::keys(authentication.and_then(|a| a.symmetric_key.as_ref()), &field, dir, mistakes);
    Some(Device { id: id?.as_str().to_owned(), keys: keys?, enabled })
}

fn check_dps(entry: &document::Dps, field: &str, hubs: &[Hub], dir: &Path, mistakes: &mut Mistakes) -> Dps {
    let id_scope = required(entry.id_scope.as_deref(), &format!("{field}.idScope"), mistakes, |scope| {
        IdScope::new(scope)
    });
    let allocation =
        allocation(entry.allocation_policy.as_deref(), &format!("{field}.allocationPolicy"), mistakes)
            .unwrap_or_default();
    let linked = linked(entry.iot_hubs.as_deref(), &format!("{field}.iotHubs"), hubs, &all(hubs), mistakes);
    let scope = Scope { hubs, linked: &linked, allocation, dir };
    let groups =
        check_groups(&entry.enrollment_groups, &format!("{field}.enrollmentGroups"), &scope, mistakes);
    let individuals =
        check_individuals(&entry.enrollments, &format!("{field}.enrollments"), &scope, mistakes);
    Dps { id_scope: id_scope.map(String::from).unwrap_or_default(), groups, individuals }
}

fn check_groups(
    entries: &[document::EnrollmentGroup],
    field: &str,
    scope: &Scope<'_>,
    mistakes: &mut Mistakes,
) -> Vec<(String, Terms)> {
    let mut seen = HashSet::new();
    let mut groups = Vec::new();
    for (at, group) in entries.iter().enumerate() {
        let field = format!("{field}[{at}]");
        let id_field = format!("{field}.enrollmentGroupId");
        let id =
            required(group.enrollment_group_id.as_deref(), &id_field, mistakes, |id| RegistrationId::new(id));
        let terms = check_terms(&Entry::of_group(group), &field, scope, mistakes);
        let Some(id) = id else { continue };
        if !seen.insert(id.as_str().to_ascii_lowercase()) {
            mistakes.note(id_field, format!("{id} is there twice; case makes no difference"));
        }
        groups.extend(terms.map(|terms| (id.into(), terms)));
    }
    groups
}

fn check_individuals(
    entries: &[document::Enrollment],
    field: &str,
    scope: &Scope<'_>,
    mistakes: &mut Mistakes,
) -> Vec<(String, Option<String>, Terms)> {
    let mut seen = HashSet::new();
    let mut individuals = Vec::new();
    for (at, individual) in entries.iter().enumerate() {
        let field = format!("{field}[{at}]");
        let id_field = format!("{field}.registrationId");
        let id = required(individual.registration_id.as_deref(), &id_field, mistakes, |id| {
            RegistrationId::new(id)
        });
        let device_id = individual.device_id.as_deref();
        let device_id =
            device_id.and_then(|id| mistakes.take(format!("{field}.deviceId"), DeviceId::new(id)));
        let terms = check_terms(&Entry::of_individual(individual), &field, scope, mistakes);
        let Some(id) = id else { continue };
        if !seen.insert(id.as_str().to_ascii_lowercase()) {
            mistakes.note(id_field, format!("{id} is there twice; case makes no difference"));
        }
        individuals.extend(terms.map(|terms| (id.into(), device_id.map(String::from), terms)));
    }
    individuals
}

/// What an enrollment inherits from its instance.
struct Scope<'a> {
    hubs: &'a [Hub],
    linked: &'a [usize],
    allocation: Allocation,
    dir: &'a Path,
}

/// What groups and individual enrollments have in common.
struct Entry<'a> {
    attestation: Option<&'a document::Attestation>,
    provisioning_status: Option<&'a str>,
    allocation_policy: Option<&'a str>,
    iot_hubs: Option<&'a [String]>,
    reprovision_policy: document::ReprovisionPolicy,
}

impl<'a> Entry<'a> {
    fn of_group(group: &'a document::EnrollmentGroup) -> Self {
        Self {
            attestation: group.attestation.as_ref(),
            provisioning_status: group.provisioning_status.as_deref(),
            allocation_policy: group.allocation_policy.as_deref(),
            iot_hubs: group.iot_hubs.as_deref(),
            reprovision_policy: group.reprovision_policy.unwrap_or_default(),
        }
    }

    fn of_individual(individual: &'a document::Enrollment) -> Self {
        Self {
            attestation: individual.attestation.as_ref(),
            provisioning_status: individual.provisioning_status.as_deref(),
            allocation_policy: individual.allocation_policy.as_deref(),
            iot_hubs: individual.iot_hubs.as_deref(),
            reprovision_policy: individual.reprovision_policy.unwrap_or_default(),
        }
    }
}

fn check_terms(entry: &Entry<'_>, field: &str, scope: &Scope<'_>, mistakes: &mut Mistakes) -> Option<Terms> {
    match entry.attestation.and_then(|attestation| attestation.kind.as_deref()) {
        Some("symmetricKey") => {}
        Some(other) => mistakes.note(
            format!("{field}.attestation.type"),
            format!("{other:?} is not supported: use symmetricKey"),
        ),
        None => mistakes.note(format!("{field}.attestation.type"), "is missing: use symmetricKey"),
    }
    let symmetric_key = entry.attestation.and_then(|attestation| attestation.symmetric_key.as_ref());
    let keys = secret::keys(symmetric_key, &format!("{field}.attestation"), scope.dir, mistakes);
    let enabled = enabled(entry.provisioning_status, &format!("{field}.provisioningStatus"), mistakes);
    let allocation = allocation(entry.allocation_policy, &format!("{field}.allocationPolicy"), mistakes);
    let hubs = linked(entry.iot_hubs, &format!("{field}.iotHubs"), scope.hubs, scope.linked, mistakes);
    let policy = entry.reprovision_policy;
    let reprovisioning = match (policy.update_hub_assignment, policy.migrate_device_data) {
        (true, true) => Reprovisioning::Migrate,
        (true, false) => Reprovisioning::Reset,
        (false, _) => Reprovisioning::Never,
    };
    Some(Terms {
        keys: keys?,
        enabled,
        allocation: allocation.unwrap_or(scope.allocation),
        hubs,
        reprovisioning,
    })
}

fn required<T, E: std::fmt::Display>(
    text: Option<&str>,
    field: &str,
    mistakes: &mut Mistakes,
    parse: impl Fn(&str) -> Result<T, E>,
) -> Option<T> {
    match text {
        Some(text) => mistakes.take(field, parse(text)),
        None => {
            mistakes.note(field, "is missing");
            None
        }
    }
}

fn enabled(status: Option<&str>, field: &str, mistakes: &mut Mistakes) -> bool {
    match status {
        None | Some("enabled") => true,
        Some("disabled") => false,
        Some(other) => {
            mistakes.note(field, format!("{other:?} is neither enabled nor disabled"));
            true
        }
    }
}

fn allocation(policy: Option<&str>, field: &str, mistakes: &mut Mistakes) -> Option<Allocation> {
    match policy? {
        "hashed" => Some(Allocation::Hashed),
        "static" => Some(Allocation::Static),
        other => {
            mistakes.note(field, format!("{other:?} is not supported: use hashed or static"));
            None
        }
    }
}

fn all(hubs: &[Hub]) -> Vec<usize> {
    (0..hubs.len()).collect()
}

fn linked(
    names: Option<&[String]>,
    field: &str,
    hubs: &[Hub],
    otherwise: &[usize],
    mistakes: &mut Mistakes,
) -> Vec<usize> {
    let Some(names) = names else { return otherwise.to_vec() };
    let mut found = Vec::new();
    for (at, name) in names.iter().enumerate() {
        let bare = name.split_once(':').map_or(name.as_str(), |(bare, _)| bare);
        match hubs.iter().position(|hub| hub.host.host().eq_ignore_ascii_case(bare)) {
            Some(hub) if otherwise.contains(&hub) => found.push(hub),
            Some(_) => mistakes.note(
                format!("{field}[{at}]"),
                format!("{name:?} is not linked to this DPS: add it to the iotHubs of the dps entry"),
            ),
            None => mistakes
                .note(format!("{field}[{at}]"), format!("{name:?} is none of the hubs: add it under hubs")),
        }
    }
    found
}
