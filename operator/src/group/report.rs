//! Last stage: the status of a group. Pure.

use jiff::Timestamp;
use lanyard_crds::status::{
    ConnectionState, DeviceCounts, ProvisioningGroupStatus, ProvisioningState, VerificationStatus,
};

use super::rollover;
use super::validate::GroupCredential;
use crate::conditions::{Aspect, ConditionStatus, READY, conditions, find, progress};
use crate::fault::Fault;
use crate::group::lists::status::{Lists, export_status, import_status};
use crate::group::observe::GroupObservation;
use crate::kubernetes::event::UserEvent;
use crate::reason::Reason;

/// Results of verification codes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verified {
    /// The answers.
    pub status: Option<VerificationStatus>,
    /// Error of a missing one.
    pub fault: Option<Fault>,
    /// Time at which the first of them is reissued.
    pub again_at: Option<Timestamp>,
}

/// Result of a group's reconcile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupOutcome {
    /// Key or CA of the devices' credentials.
    pub valid: Result<GroupCredential, Fault>,
    /// Results of verification codes.
    pub verification: Verified,
    /// State of its lists.
    pub lists: Lists,
}

impl GroupOutcome {
    /// Returns the first error that a user must fix.
    #[must_use]
    pub fn fault(&self) -> Option<&Fault> {
        let usable = self.valid.as_ref().err().or(self.spare());
        usable.or(self.verification.fault.as_ref()).or_else(|| self.lists.fault())
    }

    fn spare(&self) -> Option<&Fault> {
        self.valid.as_ref().ok().and_then(|usable| usable.spare.as_ref())
    }
}

/// Returns the status after a reconciliation of the group.
#[must_use]
pub fn status(
    observed: &GroupObservation,
    before: &ProvisioningGroupStatus,
    outcome: &GroupOutcome,
    now: Timestamp,
) -> ProvisioningGroupStatus {
    let generation = observed.group.metadata.generation.unwrap_or_default();
    let usable = match &outcome.valid {
        Ok(usable) => Aspect::new(true, usable.reason, usable.message.clone()),
        Err(fault) => Aspect::from_fault(fault),
    };
    let beside = outcome.spare().or(outcome.verification.fault.as_ref());
    let verified = beside.map(Aspect::from_fault);
    let lists = outcome.lists.worst();
    let worst = [Some(&usable), verified.as_ref(), lists.as_ref()]
        .into_iter()
        .flatten()
        .find(|aspect| aspect.status != ConditionStatus::True);
    let ready = worst.unwrap_or(&usable).clone();
    let faulty = outcome.valid.is_err() || beside.is_some();
    let [reconciling, stalled] = progress(&ready, faulty || !outcome.lists.works());
    let mut aspects = vec![(READY, ready)];
    aspects.extend(outcome.lists.aspects());
    aspects.extend([reconciling, stalled]);
    ProvisioningGroupStatus {
        observed_generation: generation,
        devices: Some(counts(observed)),
        rollover: match &outcome.valid {
            Ok(usable) => Some(rollover::status(&observed.devices, &usable.issuer)),
            Err(_) => before.rollover.clone(),
        },
        verification: outcome.verification.status.clone(),
        import: import_status(&outcome.lists, before),
        export: export_status(&outcome.lists, before),
        conditions: conditions(aspects, &before.conditions, generation, now),
    }
}

fn counts(observed: &GroupObservation) -> DeviceCounts {
    let mut counts = DeviceCounts::default();
    for device in &observed.devices {
        let status = device.status.as_ref();
        counts.total += 1;
        match status.and_then(|status| status.provisioning_state) {
            None | Some(ProvisioningState::Registered) => counts.registered += 1,
            Some(ProvisioningState::WaitingForApproval) => counts.waiting_for_approval += 1,
            Some(ProvisioningState::Unassociated) => counts.unassociated += 1,
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

/// Returns the events between two statuses; none if only counts changed.
#[must_use]
pub fn happened(before: &ProvisioningGroupStatus, after: &ProvisioningGroupStatus) -> Option<UserEvent> {
    // The progress of an import is in the status; a step of it is not an event.
    let ready_state = |status: &ProvisioningGroupStatus| {
        find(&status.conditions, READY).map(|ready| {
            let message = if ready.reason == Reason::Importing.as_str() {
                String::new()
            } else {
                ready.message.clone()
            };
            (ready.reason.clone(), message)
        })
    };
    let ready = find(&after.conditions, READY)?;
    let reason = Reason::parse(&ready.reason)?;
    let works =
        find(&after.conditions, crate::conditions::RECONCILING).is_some_and(|works| works.status == "True");
    (ready_state(before) != ready_state(after)).then(|| UserEvent {
        warning: ready.status != "True" && !works,
        reason,
        action: "Observe",
        message: ready.message.clone(),
    })
}
