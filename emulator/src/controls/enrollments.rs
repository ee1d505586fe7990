//! Enrollment groups and individual enrollments of a DPS instance (ref §11.5). In memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use lanyard_protocol::hub::id::RegistrationId;
use serde_json::Value;

use super::body;
use super::change::{Action, ChangeError, Done};
use super::view;
use crate::config::attestation::References;
use crate::config::files::Files;
use crate::config::problems::Problems;
use crate::config::provisioning::{self, Scope};
use crate::dps::service::Dps;
use crate::registry::attestation::Attestation;
use crate::registry::enrollment::{EnrollmentKind, Group, Individual};
use crate::registry::enrollments::{Enrollments, shared_certificate};
use crate::state::EmulatorState;

/// Makes, changes or removes an enrollment. What is assigned already stays assigned until it registers again (ref §9.4).
///
/// # Errors
/// [`ChangeError`].
pub fn change(
    state: &EmulatorState,
    kind: EnrollmentKind,
    id_scope: Option<&str>,
    id: &str,
    action: &Action,
) -> Result<Done, ChangeError> {
    let dps = find(state, kind, id_scope, id)?;
    let Action::Put(text) = action else {
        let mut enrollments = dps.change_enrollments();
        let removed = match kind {
            EnrollmentKind::Group => enrollments.remove_group(id),
            EnrollmentKind::Individual => enrollments.remove_individual(id),
        };
        return if removed { Ok(Done::Removed) } else { Err(unknown(kind, id)) };
    };
    RegistrationId::new(id).map_err(|error| ChangeError::Wrong(error.to_string()))?;
    put(state, dps, kind, id, text)?;
    show(state, kind, Some(&dps.id_scope), id).map(Done::Shown)
}

/// Returns an enrollment as it is now.
///
/// # Errors
/// [`ChangeError::NotFound`].
pub fn show(
    state: &EmulatorState,
    kind: EnrollmentKind,
    id_scope: Option<&str>,
    id: &str,
) -> Result<Value, ChangeError> {
    let dps = find(state, kind, id_scope, id)?;
    let enrollments = dps.enrollments();
    let shown = match kind {
        EnrollmentKind::Group => enrollments.group(id).map(view::group),
        EnrollmentKind::Individual => {
            enrollments.individual(id).map(|individual| view::individual(id, individual))
        }
    };
    shown.ok_or_else(|| unknown(kind, id))
}

fn put(
    state: &EmulatorState,
    dps: &Dps,
    kind: EnrollmentKind,
    id: &str,
    text: &str,
) -> Result<(), ChangeError> {
    let hubs: Vec<Arc<str>> = state.hubs.iter().map(|hub| hub.name.clone()).collect();
    let uploads = state.authorities.all();
    let authorities: Vec<_> = uploads.keys().cloned().collect();
    let known = References { files: Files(None), authorities: &authorities };
    let scope = Scope { hubs: &hubs, linked: &dps.defaults.hubs, allocation: dps.defaults.allocation, known };
    let mut problems = Problems::default();
    let mut enrollments = dps.change_enrollments();
    let changed = match kind {
        EnrollmentKind::Group => {
            let entry = body::read(text, "enrollmentGroupId", id)?;
            let earlier = enrollments.group(id).map(|group| group.terms.clone());
            let terms = provisioning::group(&entry, "", scope, earlier, &mut problems);
            Changed::Group(Group { id: id.into(), terms: body::checked(terms, &problems)? })
        }
        EnrollmentKind::Individual => {
            let entry = body::read(text, "registrationId", id)?;
            let earlier = enrollments.individual(id).cloned();
            let individual = provisioning::individual(&entry, "", scope, earlier, &mut problems);
            Changed::Individual(body::checked(individual, &problems)?)
        }
    };
    let uploaded = uploads.iter().map(|(name, upload)| (name.clone(), &upload.certificate)).collect();
    check_sharing(&enrollments, &changed, id, &uploaded)?;
    match changed {
        Changed::Group(group) => enrollments.put_group(group),
        Changed::Individual(individual) => enrollments.put_individual(id, individual),
    }
    Ok(())
}

enum Changed {
    Group(Group),
    Individual(Individual),
}

/// Checks that no two enrollments have the same certificate after the change (ref §9.1).
fn check_sharing(
    enrollments: &Enrollments,
    changed: &Changed,
    id: &str,
    uploads: &BTreeMap<String, &crate::x509::certificate::Certificate>,
) -> Result<(), ChangeError> {
    let (kind, terms) = match changed {
        Changed::Group(group) => (EnrollmentKind::Group, &group.terms),
        Changed::Individual(individual) => (EnrollmentKind::Individual, &individual.terms),
    };
    let others = |of: EnrollmentKind, name: &str| of != kind || !name.eq_ignore_ascii_case(id);
    let groups = enrollments.groups().map(|group| (EnrollmentKind::Group, &*group.id, &group.terms));
    let individuals = enrollments.individuals().map(|(id, own)| (EnrollmentKind::Individual, id, &own.terms));
    let mut all: Vec<(String, &Attestation)> = groups
        .chain(individuals)
        .filter(|(of, name, _)| others(*of, name))
        .map(|(_, name, terms)| (name.to_owned(), &terms.attestation))
        .collect();
    all.push((id.to_owned(), &terms.attestation));
    match shared_certificate(&all, uploads) {
        Some((one, other)) => Err(ChangeError::Wrong(format!(
            "{one} and {other} have the same certificate, and DPS takes each for one enrollment only: remove it from one of them"
        ))),
        None => Ok(()),
    }
}

/// Finds the DPS instance: the one that is named, the one that has the enrollment, or the only one.
fn find<'a>(
    state: &'a EmulatorState,
    kind: EnrollmentKind,
    id_scope: Option<&str>,
    id: &str,
) -> Result<&'a Arc<Dps>, ChangeError> {
    let scopes = || state.dps.iter().map(|dps| dps.id_scope.clone()).collect::<Vec<_>>().join(", ");
    if let Some(id_scope) = id_scope {
        let unknown =
            || ChangeError::NotFound(format!("no DPS has the id scope {id_scope:?}: use {}", scopes()));
        return state.dps(id_scope).ok_or_else(unknown);
    }
    let has = |dps: &&Arc<Dps>| match kind {
        EnrollmentKind::Group => dps.enrollments().group(id).is_some(),
        EnrollmentKind::Individual => dps.enrollments().individual(id).is_some(),
    };
    match (state.dps.iter().find(has), &state.dps[..]) {
        (Some(dps), _) | (None, [dps]) => Ok(dps),
        (None, []) => Err(ChangeError::NotFound("there is no DPS: add one to the configuration".to_owned())),
        (None, _) => Err(ChangeError::Wrong(format!(
            "there are several DPS instances: add ?idScope= with one of {}",
            scopes()
        ))),
    }
}

fn unknown(kind: EnrollmentKind, id: &str) -> ChangeError {
    let what = if kind == EnrollmentKind::Group { "enrollment group" } else { "individual enrollment" };
    ChangeError::NotFound(format!("there is no {what} {id:?}"))
}
