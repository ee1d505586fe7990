//! Last stage: what the user is told of a group. Pure.

use jiff::Timestamp;
use lanyard_crds::status::{ConnectionState, DeviceCounts, ProvisioningGroupStatus, ProvisioningState};

use super::observe::Observed;
use crate::conditions::{Aspect, READY, conditions, find, progress};
use crate::device::report::Happened;
use crate::fault::Fault;

/// The status after a look at the group.
#[must_use]
pub fn status(
    observed: &Observed,
    before: &ProvisioningGroupStatus,
    valid: &Result<String, Fault>,
    now: Timestamp,
) -> ProvisioningGroupStatus {
    let generation = observed.group.metadata.generation.unwrap_or_default();
    let ready = match valid {
        Ok(message) => Aspect::new(true, "KeyUsable", message.clone()),
        Err(fault) => Aspect::new(false, fault.reason.as_str(), fault.message.clone()),
    };
    let [reconciling, stalled] = progress(&ready, valid.is_err());
    ProvisioningGroupStatus {
        observed_generation: generation,
        devices: Some(counts(observed)),
        conditions: conditions(
            vec![(READY, ready), reconciling, stalled],
            &before.conditions,
            generation,
            now,
        ),
    }
}

fn counts(observed: &Observed) -> DeviceCounts {
    let mut counts = DeviceCounts::default();
    for device in &observed.devices {
        let status = device.status.as_ref();
        counts.total += 1;
        match status.and_then(|status| status.provisioning_state) {
            None | Some(ProvisioningState::Unassociated) => counts.unassociated += 1,
            Some(ProvisioningState::Registered) => counts.registered += 1,
            Some(ProvisioningState::Provisioned) => counts.provisioned += 1,
            Some(ProvisioningState::Blocked) => counts.blocked += 1,
        }
        let connection = status.and_then(|status| status.connection.as_ref());
        if connection.is_some_and(|connection| connection.state == ConnectionState::Connected) {
            counts.connected += 1;
        }
    }
    counts
}

/// What happened between two statuses; nothing when only counts changed.
#[must_use]
pub fn happened(before: &ProvisioningGroupStatus, after: &ProvisioningGroupStatus) -> Option<Happened> {
    let told = |status: &ProvisioningGroupStatus| {
        find(&status.conditions, READY).map(|ready| (ready.reason.clone(), ready.message.clone()))
    };
    let ready = find(&after.conditions, READY)?;
    (told(before) != told(after)).then(|| Happened {
        warning: ready.status != "True",
        reason: ready.reason.clone(),
        action: "Observe",
        message: ready.message.clone(),
    })
}
