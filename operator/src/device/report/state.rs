//! Provisioning state of a device, with the terms of IoT Central: one function from the previous state and the
//! inputs. Pure.

use kube::ResourceExt;
use lanyard_crds::agent::AgentMode;
use lanyard_crds::group::Approval;
use lanyard_crds::status::{Admission, IoTDeviceStatus, ProvisioningState as State};
use lanyard_crds::{IoTDevice, ProvisioningGroup};

/// Provisioning state before this reconcile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Before {
    /// Its state; none before the first reconciliation.
    pub state: Option<State>,
    /// The state to return to, if it was blocked.
    pub before_block: Option<State>,
}

/// Inputs of the provisioning state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateInputs {
    /// spec.blocked is set.
    pub blocked: bool,
    /// Its group needs an approval that is missing.
    pub waits: bool,
    /// Has tags or a model, of its own or inherited.
    pub template: bool,
    /// Is or was connected to its hub.
    pub was_at_hub: bool,
    /// Has credentials.
    pub issued: bool,
}

/// Returns the state after this reconciliation, and the state to return to after unblocking, which is kept until the
/// device has credentials again.
#[must_use]
pub fn next(before: Before, seen: StateInputs) -> (State, Option<State>) {
    let unblocked = if seen.waits {
        State::WaitingForApproval
    } else if !seen.template {
        State::Unassociated
    } else if seen.was_at_hub {
        State::Provisioned
    } else {
        State::Registered
    };
    match (seen.blocked, before.state) {
        // What it was when it was blocked, and not what it would be now.
        (true, Some(State::Blocked)) => (State::Blocked, before.before_block.or(Some(unblocked))),
        (true, state) => (State::Blocked, state.or(Some(unblocked))),
        // It returns to the state before; what has changed meanwhile counts as if it changed now.
        // Until it has credentials again, nothing else may tell that it was let in.
        (false, _) => {
            let admitted = before.before_block.filter(|state| *state != State::WaitingForApproval);
            (unblocked, admitted.filter(|_| !seen.issued))
        }
    }
}

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

/// Returns whether a device has tags or a model, of its own or inherited. A missing group may have some.
#[must_use]
pub fn has_template(device: &IoTDevice, group: Option<&ProvisioningGroup>) -> bool {
    let spec = &device.spec;
    let Some(group) = group else {
        return spec.group_ref.is_some()
            || spec.model_id.is_some()
            || spec.tags.as_ref().is_some_and(|tags| !tags.is_empty());
    };
    let template = group.spec.template.as_ref();
    let tags = spec.tags.as_ref().or_else(|| template?.tags.as_ref());
    let model = spec.model_id.as_ref().or_else(|| template?.model_id.as_ref());
    model.is_some() || tags.is_some_and(|tags| !tags.is_empty())
}

/// Returns whether another program than an agent of this cluster connects the device.
#[must_use]
pub fn connects_elsewhere(device: &IoTDevice, group: Option<&ProvisioningGroup>) -> bool {
    let inherited = || group?.spec.template.as_ref()?.agent.as_ref();
    let agent = device.spec.agent.as_ref().or_else(inherited);
    agent.is_some_and(|agent| agent.mode == Some(AgentMode::None))
}

/// The command that approves a device, or takes an approval for another group back.
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
    use State::{Blocked, Provisioned, Registered, Unassociated, WaitingForApproval};

    use super::*;

    /// Everything that can be seen, by the state that it makes of a device that is not blocked.
    const SEEN: [(&str, bool, bool, bool, State); 8] = [
        ("new", false, true, false, Registered),
        ("connected", false, true, true, Provisioned),
        ("without a template", false, false, false, Unassociated),
        ("connected without a template", false, false, true, Unassociated),
        ("waits", true, true, false, WaitingForApproval),
        ("waits, and was at a hub", true, true, true, WaitingForApproval),
        ("waits without a template", true, false, false, WaitingForApproval),
        ("waits without a template, and was at a hub", true, false, true, WaitingForApproval),
    ];

    const STATES: [Option<State>; 6] = [
        None,
        Some(Registered),
        Some(WaitingForApproval),
        Some(Provisioned),
        Some(Unassociated),
        Some(Blocked),
    ];

    #[test]
    fn state_follows_every_observation() {
        for before in STATES {
            for before_block in STATES {
                for (what, waits, template, was_at_hub, unblocked) in SEEN {
                    let result_of = |blocked, issued| {
                        let seen = StateInputs { blocked, waits, template, was_at_hub, issued };
                        next(Before { state: before, before_block }, seen)
                    };
                    let result = |blocked| result_of(blocked, false);
                    assert_eq!(result_of(false, true), (unblocked, None), "{before:?} {what}");
                    let admitted = before_block.filter(|state| *state != WaitingForApproval);
                    assert_eq!(result(false), (unblocked, admitted), "{before:?} {before_block:?} {what}");
                    // The state when it was blocked is kept as long as it is blocked, whatever is seen.
                    let kept = match before {
                        None => unblocked,
                        Some(Blocked) => before_block.unwrap_or(unblocked),
                        Some(other) => other,
                    };
                    assert_eq!(result(true), (Blocked, Some(kept)), "{before:?} {before_block:?} {what}");
                }
            }
        }
    }

    /// Each state, blocked and unblocked: nothing else changed, so it is as before.
    #[test]
    fn unblocking_returns_to_every_state() {
        for (what, waits, template, was_at_hub, state) in SEEN {
            let seen = StateInputs { blocked: false, waits, template, was_at_hub, issued: false };
            let first = next(Before { state: None, before_block: None }, seen);
            assert_eq!(first.0, state, "{what}");
            let mut result = first;
            for blocked in [true, true, false] {
                let seen = StateInputs { blocked, issued: !blocked, ..seen };
                result = next(Before { state: Some(result.0), before_block: result.1 }, seen);
                assert_eq!(result.1, blocked.then_some(state), "{what}");
            }
            assert_eq!(result, first, "{what}");
        }
    }

    fn device(spec: &str, status: &str) -> IoTDevice {
        let meta = "{name: a, namespace: n, generation: 1}";
        let head = format!("apiVersion: lanyard.dev/v1alpha1, kind: IoTDevice, metadata: {meta}");
        let status = status.replacen('{', "{observedGeneration: 1, ", 1).replace(", }", "}");
        serde_saphyr::from_str(&format!("{{{head}, spec: {spec}, status: {status}}}")).unwrap()
    }

    fn group(more: &str) -> ProvisioningGroup {
        let head = "apiVersion: lanyard.dev/v1alpha1, kind: ProvisioningGroup, metadata: {name: g, uid: u}";
        let spec = "dps: {idScope: s}, attestation: {symmetricKey: {secretRef: {name: k}}}";
        serde_saphyr::from_str(&format!("{{{head}, spec: {{{spec}, {more}}}}}")).unwrap()
    }

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
    fn tags_or_a_model_are_a_template() {
        let tag = "tags: [{name: t, source: s, address: a}]";
        for (spec, template, has) in [
            ("{groupRef: {name: g}}".to_owned(), "{}".to_owned(), false),
            ("{groupRef: {name: g}}".to_owned(), format!("{{{tag}}}"), true),
            ("{groupRef: {name: g}}".to_owned(), "{modelId: 'dtmi:a;1'}".to_owned(), true),
            ("{groupRef: {name: g}, modelId: 'dtmi:a;1'}".to_owned(), "{}".to_owned(), true),
            (format!("{{groupRef: {{name: g}}, {tag}}}"), "{}".to_owned(), true),
            // What a device sets replaces the group's whole.
            ("{groupRef: {name: g}, tags: []}".to_owned(), format!("{{{tag}}}"), false),
        ] {
            let group = group(&format!("template: {template}"));
            assert_eq!(has_template(&device(&spec, "{}"), Some(&group)), has, "{spec} {template}");
        }
        assert!(has_template(&device("{groupRef: {name: g}}", "{}"), None), "unknown without the group");
        assert!(!has_template(&device("{}", "{}"), None));
    }

    #[test]
    fn a_devices_agent_replaces_the_groups_whole() {
        for (spec, template, elsewhere) in [
            ("{groupRef: {name: g}}", "{}", false),
            ("{groupRef: {name: g}}", "{agent: {mode: None}}", true),
            ("{groupRef: {name: g}, agent: {mode: None}}", "{}", true),
            ("{groupRef: {name: g}, agent: {}}", "{agent: {mode: None}}", false),
            ("{groupRef: {name: g}, agent: {mode: Dedicated}}", "{agent: {mode: None}}", false),
        ] {
            let group = group(&format!("template: {template}"));
            assert_eq!(connects_elsewhere(&device(spec, "{}"), Some(&group)), elsewhere, "{spec} {template}");
        }
    }

    #[test]
    fn the_command_names_the_device() {
        assert_eq!(
            approval_command(&device("{}", "{}")),
            r#"kubectl --namespace n patch iotdevice a --type merge --patch '{"spec":{"approved":true}}'"#
        );
    }
}
