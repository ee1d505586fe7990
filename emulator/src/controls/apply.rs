//! Makes a change, and remembers it. In memory, with a journal.

use jiff::Timestamp;

use super::change::{Change, ChangeError, Done, Target};
use super::enrollments::Kind;
use super::{certificates, devices, enrollments};
use crate::cloud::Cloud;

/// Makes a change and remembers it over restarts.
///
/// # Errors
/// [`ChangeError`]: nothing is changed.
pub fn change(cloud: &Cloud, change: &Change, now: Timestamp) -> Result<Done, ChangeError> {
    let done = apply(cloud, change, now)?;
    tracing::info!(target = ?change.target, action = ?change.action, "changed through the controls");
    if let Some(journal) = &cloud.changes
        && let Err(error) = journal.append(change)
    {
        let error: &dyn std::error::Error = &error;
        tracing::error!(error, "the change will be forgotten at the next start");
    }
    Ok(done)
}

/// Makes a change.
///
/// # Errors
/// [`ChangeError`]: nothing is changed.
pub fn apply(cloud: &Cloud, change: &Change, now: Timestamp) -> Result<Done, ChangeError> {
    match &change.target {
        Target::Device { hub, device_id } => devices::change(cloud, hub, device_id, &change.action),
        Target::Group { id_scope, enrollment_group_id: id } => {
            enrollments::change(cloud, Kind::Group, id_scope.as_deref(), id, &change.action)
        }
        Target::Individual { id_scope, registration_id: id } => {
            enrollments::change(cloud, Kind::Individual, id_scope.as_deref(), id, &change.action)
        }
        Target::Certificate { name } => certificates::change(&cloud.authorities, name, &change.action, now),
    }
}
