//! Makes a change, and remembers it. In memory, with a journal.

use jiff::Timestamp;

use super::change::{Change, ChangeError, Done, Target};
use super::{certificates, devices, enrollments};
use crate::registry::enrollment::EnrollmentKind;
use crate::state::EmulatorState;

/// Makes a change and remembers it over restarts.
///
/// # Errors
/// [`ChangeError`]: nothing is changed.
pub fn change(state: &EmulatorState, change: &Change, now: Timestamp) -> Result<Done, ChangeError> {
    let done = apply(state, change, now)?;
    tracing::info!(target = ?change.target, action = ?change.action, "changed by a request");
    if let Some(journal) = &state.changes
        && let Err(error) = journal.append(change)
    {
        let error: &dyn std::error::Error = &error;
        tracing::error!(error, "failed to store the change; it is lost at the next start");
    }
    Ok(done)
}

/// Makes a change.
///
/// # Errors
/// [`ChangeError`]: nothing is changed.
pub fn apply(state: &EmulatorState, change: &Change, now: Timestamp) -> Result<Done, ChangeError> {
    match &change.target {
        Target::Device { hub, device_id } => devices::change(state, hub, device_id, &change.action),
        Target::Group { id_scope, enrollment_group_id: id } => {
            enrollments::change(state, EnrollmentKind::Group, id_scope.as_deref(), id, &change.action)
        }
        Target::Individual { id_scope, registration_id: id } => {
            enrollments::change(state, EnrollmentKind::Individual, id_scope.as_deref(), id, &change.action)
        }
        Target::Certificate { name } => certificates::change(&state.authorities, name, &change.action, now),
    }
}
