//! A DPS instance, its groups and its individual enrollments. Touches disk for key and certificate files only.

use std::collections::HashSet;
use std::sync::Arc;

use lanyard_protocol::hub::id::{DeviceId, IdScope, RegistrationId};

use super::attestation::{References, attestation};
use super::document;
use super::field::{at, choice, enabled, required};
use super::problems::Problems;
use crate::config::checked::DpsConfig;
use crate::registry::attestation::Attestation;
use crate::registry::enrollment::{EnrollmentKind, Group, Individual};
use crate::registry::terms::{Allocation, Reprovisioning, Terms};

/// Objects to which an enrollment may refer, and the defaults of its instance.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    /// The names of all hubs.
    pub hubs: &'a [Arc<str>],
    /// The names of the linked ones.
    pub linked: &'a [Arc<str>],
    /// Policy that chooses one of them.
    pub allocation: Allocation,
    /// Files and CA certificates.
    pub known: References<'a>,
}

/// Reads a DPS instance with its enrollments.
pub fn dps(
    entry: &document::DpsEntry,
    field: &str,
    hubs: &[Arc<str>],
    known: References<'_>,
    problems: &mut Problems,
) -> DpsConfig {
    let id_scope = required(entry.id_scope.as_deref(), &format!("{field}.idScope"), problems, |scope| {
        IdScope::new(scope)
    });
    let policy = allocation(entry.allocation_policy.as_deref(), field, problems).unwrap_or_default();
    // An enrollment may have no hub, to test the answer of DPS; an instance without a hub is an error.
    if entry.iot_hubs.as_ref().is_some_and(Vec::is_empty) {
        let message = "is empty: name at least one hub, or remove it to use all of them";
        problems.note(format!("{field}.iotHubs"), message);
    }
    let linked = linked(entry.iot_hubs.as_deref(), &format!("{field}.iotHubs"), hubs, hubs, problems);
    let scope = Scope { hubs, linked: &linked, allocation: policy, known };
    let groups = groups(&entry.enrollment_groups, &format!("{field}.enrollmentGroups"), scope, problems);
    let individuals = individuals(&entry.enrollments, &format!("{field}.enrollments"), scope, problems);
    let id_scope = id_scope.map(String::from).unwrap_or_default();
    DpsConfig { id_scope, hubs: linked, allocation: policy, groups, individuals }
}

fn groups(
    entries: &[document::Enrollment],
    field: &str,
    scope: Scope<'_>,
    problems: &mut Problems,
) -> Vec<Group> {
    let mut seen = HashSet::new();
    let mut groups = Vec::new();
    for (place, entry) in entries.iter().enumerate() {
        let field = format!("{field}[{place}]");
        let id_field = format!("{field}.enrollmentGroupId");
        let id =
            required(entry.enrollment_group_id.as_deref(), &id_field, problems, |id| RegistrationId::new(id));
        let terms = group(entry, &field, scope, None, problems);
        let Some(id) = id else { continue };
        if !seen.insert(id.as_str().to_ascii_lowercase()) {
            problems
                .note(id_field, format!("{id} is there twice: keep one of them; case makes no difference"));
        }
        groups.extend(terms.map(|terms| Group { id: id.as_str().into(), terms }));
    }
    groups
}

/// Reads the terms of an enrollment group, without its name.
pub fn group(
    entry: &document::Enrollment,
    field: &str,
    scope: Scope<'_>,
    earlier: Option<Terms>,
    problems: &mut Problems,
) -> Option<Terms> {
    let others = [("registrationId", &entry.registration_id), ("deviceId", &entry.device_id)];
    for (name, _) in others.into_iter().filter(|(_, found)| found.is_some()) {
        let message = "a group has none: remove it, or move it to enrollments";
        problems.note(at(field, name), message);
    }
    terms(entry, field, EnrollmentKind::Group, scope, earlier, problems)
}

fn individuals(
    entries: &[document::Enrollment],
    field: &str,
    scope: Scope<'_>,
    problems: &mut Problems,
) -> Vec<(String, Individual)> {
    let mut seen = HashSet::new();
    let mut individuals = Vec::new();
    for (place, entry) in entries.iter().enumerate() {
        let field = format!("{field}[{place}]");
        let id_field = format!("{field}.registrationId");
        let id =
            required(entry.registration_id.as_deref(), &id_field, problems, |id| RegistrationId::new(id));
        let individual = individual(entry, &field, scope, None, problems);
        let Some(id) = id else { continue };
        if !seen.insert(id.as_str().to_ascii_lowercase()) {
            problems
                .note(id_field, format!("{id} is there twice: keep one of them; case makes no difference"));
        }
        individuals.extend(individual.map(|individual| (id.into(), individual)));
    }
    individuals
}

/// Reads an individual enrollment, without its registration id. A missing field keeps its `earlier` value.
pub fn individual(
    entry: &document::Enrollment,
    field: &str,
    scope: Scope<'_>,
    earlier: Option<Individual>,
    problems: &mut Problems,
) -> Option<Individual> {
    if entry.enrollment_group_id.is_some() {
        let message = "an individual enrollment has none: remove it, or move it to enrollmentGroups";
        problems.note(at(field, "enrollmentGroupId"), message);
    }
    let device_id = entry.device_id.as_deref();
    let device_id = device_id.and_then(|id| problems.take(at(field, "deviceId"), DeviceId::new(id)));
    let (kept, earlier) = earlier.map(|earlier| (earlier.device_id, earlier.terms)).unzip();
    let terms = terms(entry, field, EnrollmentKind::Individual, scope, earlier, problems);
    Some(Individual { device_id: device_id.map(String::from).or(kept.flatten()), terms: terms? })
}

/// Returns the settings of an enrollment. A missing field keeps its `earlier` value, or has Azure's default.
fn terms(
    entry: &document::Enrollment,
    field: &str,
    kind: EnrollmentKind,
    scope: Scope<'_>,
    earlier: Option<Terms>,
    problems: &mut Problems,
) -> Option<Terms> {
    let kept = earlier.as_ref().map(|earlier| &earlier.attestation);
    let attestation = match kept.filter(|kept| is_only_named(entry.attestation.as_ref(), kept)) {
        Some(kept) => Some(kept.clone()),
        None => {
            attestation(entry.attestation.as_ref(), &at(field, "attestation"), kind, scope.known, problems)
        }
    };
    let status = at(field, "provisioningStatus");
    let enabled = enabled(entry.provisioning_status.as_deref(), &status, problems);
    let policy = allocation(entry.allocation_policy.as_deref(), field, problems);
    let hubs = entry
        .iot_hubs
        .as_deref()
        .map(|names| linked(Some(names), &at(field, "iotHubs"), scope.hubs, scope.linked, problems));
    let reprovisioning = entry.reprovision_policy.map(reprovisioning);
    let earlier = earlier.unwrap_or(Terms {
        attestation: attestation.clone()?,
        enabled: true,
        allocation: scope.allocation,
        hubs: scope.linked.to_vec(),
        reprovisioning: Reprovisioning::Migrate,
    });
    Some(Terms {
        attestation: attestation?,
        enabled: enabled.unwrap_or(earlier.enabled),
        allocation: policy.unwrap_or(earlier.allocation),
        hubs: hubs.unwrap_or(earlier.hubs),
        reprovisioning: reprovisioning.unwrap_or(earlier.reprovisioning),
    })
}

/// Returns whether `entry` is missing or contains at most the type of `kept`. Azure shows an attestation by key without
/// its keys; a request with that text changes no key.
fn is_only_named(entry: Option<&document::AttestationEntry>, kept: &Attestation) -> bool {
    let Some(entry) = entry else { return true };
    entry.symmetric_key.is_none()
        && entry.x509.is_none()
        && entry.kind.as_deref().is_none_or(|kind| kind == kept.kind())
}

fn reprovisioning(policy: document::ReprovisionPolicy) -> Reprovisioning {
    match (policy.update_hub_assignment, policy.migrate_device_data) {
        (true, true) => Reprovisioning::Migrate,
        (true, false) => Reprovisioning::Reset,
        (false, _) => Reprovisioning::Never,
    }
}

fn allocation(policy: Option<&str>, field: &str, problems: &mut Problems) -> Option<Allocation> {
    let policies = [("hashed", Allocation::Hashed), ("static", Allocation::Static)];
    choice(policy, &at(field, "allocationPolicy"), problems, &policies)
}

fn linked(
    names: Option<&[String]>,
    field: &str,
    hubs: &[Arc<str>],
    otherwise: &[Arc<str>],
    problems: &mut Problems,
) -> Vec<Arc<str>> {
    let Some(names) = names else { return otherwise.to_vec() };
    let mut found = Vec::new();
    for (at, name) in names.iter().enumerate() {
        let bare = name.split_once(':').map_or(name.as_str(), |(bare, _)| bare);
        match hubs.iter().find(|hub| hub.eq_ignore_ascii_case(bare)) {
            Some(hub) if otherwise.contains(hub) => found.push(hub.clone()),
            Some(_) => problems.note(
                format!("{field}[{at}]"),
                format!("{name:?} is not linked to this DPS: add it to the iotHubs of the dps entry"),
            ),
            None => problems
                .note(format!("{field}[{at}]"), format!("{name:?} is none of the hubs: add it under hubs")),
        }
    }
    found
}
