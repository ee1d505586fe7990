//! Approval of a device for its group. Pure.

use kube::ResourceExt;
use lanyard_crds::group::Approval;
use lanyard_crds::status::{Admission, IoTDeviceStatus, ProvisioningState as State};
use lanyard_crds::{IoTDevice, ProvisioningGroup};

/// Returns whether a device must wait for `approved`. A device that this group admitted does not wait again: an edit
/// of the group must not disconnect all its devices. Use `blocked` for that.
#[must_use]
pub fn waits_for_approval(device: &IoTDevice, group: Option<&ProvisioningGroup>) -> bool {
    let manual = group.is_some_and(|group| group.spec.approval == Some(Approval::Manual));
    let Some(group) = group.filter(|_| manual) else { return false };
    let admission = device.status.as_ref().and_then(|status| status.admitted_to.as_ref());
    let Some(admission) = admission else {
        return !device.spec.approved && !was_admitted(device);
    };
    let approved = device.spec.approved && (admission.name.is_empty() || admission.name == group.name_any());
    !approved && (admission.uid.is_empty() || Some(&admission.uid) != group.metadata.uid.as_ref())
}

/// Returns whether an older operator, which recorded no admissions, had admitted the device: its status describes the
/// object as it is, so the current group admitted it.
fn was_admitted(device: &IoTDevice) -> bool {
    let current = |status: &&IoTDeviceStatus| Some(status.observed_generation) == device.metadata.generation;
    device.status.as_ref().filter(current).is_some_and(|status| {
        let before_block = status.state_before_block.is_some_and(|state| state != State::WaitingForApproval);
        let waited = status.provisioning_state == Some(State::WaitingForApproval);
        !waited && (status.credentials.is_some() || status.assigned_hub.is_some() || before_block)
    })
}

/// Returns the group that the device is admitted to after this reconciliation; empty if there is none. `approved: false` takes an approval
/// for another group back, so that the next one counts for the group that the device names then.
#[must_use]
pub fn admission(device: &IoTDevice, group: Option<&ProvisioningGroup>) -> Admission {
    let before = device.status.as_ref().and_then(|status| status.admitted_to.clone()).unwrap_or_default();
    let Some(group) = group else { return before };
    if waits_for_approval(device, Some(group)) {
        return if device.spec.approved { before } else { Admission::default() };
    }
    Admission { name: group.name_any(), uid: group.metadata.uid.clone().unwrap_or_default() }
}

/// Returns the command that approves a device, or that withdraws an approval for another group.
#[must_use]
pub fn approval_command(device: &IoTDevice) -> String {
    format!(
        "kubectl --namespace {} patch iotdevice {} --type merge --patch '{{\"spec\":{{\"approved\":{}}}}}'",
        device.namespace().unwrap_or_default(),
        device.name_any(),
        !device.spec.approved
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::test_objects::{device, group};

    #[test]
    fn only_device_without_credentials_waits_for_approval() {
        let nothing = "{provisioningState: Registered}";
        let issued = "{credentials: {secretName: s, kind: SharedAccessKey}}";
        for (approval, spec, status, waits) in [
            ("Manual", "{}", nothing, true),
            ("Manual", "{approved: false}", nothing, true),
            ("Manual", "{approved: true}", nothing, false),
            ("Automatic", "{}", nothing, false),
            // approved was taken back, or the group's approval became Manual.
            ("Manual", "{}", issued, false),
            // It is blocked, and has therefore no credentials.
            ("Manual", "{blocked: true}", "{assignedHub: h, provisioningState: Blocked}", false),
            (
                "Manual",
                "{blocked: true}",
                "{provisioningState: Blocked, stateBeforeBlock: Registered}",
                false,
            ),
            (
                "Manual",
                "{blocked: true}",
                "{provisioningState: Blocked, stateBeforeBlock: WaitingForApproval}",
                true,
            ),
            ("Manual", "{blocked: true}", "{provisioningState: Blocked}", true),
            // It is unblocked, and something keeps it from its credentials.
            ("Manual", "{}", "{provisioningState: Registered, stateBeforeBlock: Registered}", false),
        ] {
            let group = group(&format!("approval: {approval}"));
            let result = waits_for_approval(&device(spec, status), Some(&group));
            assert_eq!(result, waits, "{approval} {spec} {status}");
        }
        assert!(!waits_for_approval(&device("{}", nothing), Some(&group("template: {}"))));
        assert!(!waits_for_approval(&device("{}", nothing), None));
    }

    #[test]
    fn m1_a_device_is_approved_for_one_group_only() {
        let manual = group("approval: Manual");
        for (approved, admitted, waits, after) in [
            (true, "", false, ("g", "u")),
            (false, "{name: g, uid: u}", false, ("g", "u")),
            // Approved for another group: that does not count here until it is taken back and given again.
            (true, "{name: other, uid: v}", true, ("other", "v")),
            (false, "{name: other, uid: v}", true, ("", "")),
            (true, "{}", false, ("g", "u")),
            // A group that was made again under its name: the approval stays, a mere admission does not.
            (true, "{name: g, uid: former}", false, ("g", "u")),
            (false, "{name: g, uid: former}", true, ("", "")),
        ] {
            let admitted_to =
                if admitted.is_empty() { "{}".to_owned() } else { format!("{{admittedTo: {admitted}}}") };
            let device = device(&format!("{{approved: {approved}}}"), &admitted_to);
            assert_eq!(waits_for_approval(&device, Some(&manual)), waits, "{approved} {admitted}");
            let result = admission(&device, Some(&manual));
            assert_eq!((result.name.as_str(), result.uid.as_str()), after, "{approved} {admitted}");
        }
        // Credentials from elsewhere open no group: its status does not answer the object as it is now.
        let issued = "{credentials: {secretName: s, kind: SharedAccessKey}}";
        let mut moved = device("{}", issued);
        assert!(!waits_for_approval(&moved, Some(&manual)), "an operator without admissions let it in");
        moved.metadata.generation = Some(2);
        assert!(waits_for_approval(&moved, Some(&manual)));
        assert!(waits_for_approval(&device("{}", "{admittedTo: {}, assignedHub: h}"), Some(&manual)));
    }

    #[test]
    fn the_command_names_the_device() {
        assert_eq!(
            approval_command(&device("{}", "{}")),
            r#"kubectl --namespace n patch iotdevice a --type merge --patch '{"spec":{"approved":true}}'"#
        );
    }
}
