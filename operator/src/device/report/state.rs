//! Provisioning state of a device, with the terms of IoT Central: one function from the previous state and the
//! inputs. Pure.

use lanyard_crds::agent::AgentMode;
use lanyard_crds::status::ProvisioningState as State;
use lanyard_crds::{IoTDevice, ProvisioningGroup};

/// Provisioning state before this reconcile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PreviousState {
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
pub fn next(before: PreviousState, seen: StateInputs) -> (State, Option<State>) {
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

#[cfg(test)]
mod tests {
    use State::{Blocked, Provisioned, Registered, Unassociated, WaitingForApproval};

    use super::*;
    use crate::device::test_objects::{device, group};

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
                        next(PreviousState { state: before, before_block }, seen)
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
            let first = next(PreviousState { state: None, before_block: None }, seen);
            assert_eq!(first.0, state, "{what}");
            let mut result = first;
            for blocked in [true, true, false] {
                let seen = StateInputs { blocked, issued: !blocked, ..seen };
                result = next(PreviousState { state: Some(result.0), before_block: result.1 }, seen);
                assert_eq!(result.1, blocked.then_some(state), "{what}");
            }
            assert_eq!(result, first, "{what}");
        }
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
        for (spec, has) in [
            // Unknown without the group.
            ("{groupRef: {name: g}}".to_owned(), true),
            ("{}".to_owned(), false),
            ("{modelId: 'dtmi:a;1'}".to_owned(), true),
            (format!("{{{tag}}}"), true),
            ("{tags: []}".to_owned(), false),
        ] {
            assert_eq!(has_template(&device(&spec, "{}"), None), has, "{spec} without a group");
        }
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
}
