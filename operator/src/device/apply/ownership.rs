//! Ownership and data-loss checks before a write. Pure.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::{Resource, ResourceExt};
use lanyard_crds::IoTDevice;
use serde_json::Value;

use crate::device::apply::written::Written;
use crate::fault::Fault;
use crate::kubernetes::labels::DEVICE_LABEL;
use crate::kubernetes::labels::{MANAGED_BY, MANAGER};
use crate::kubernetes::owner::Owner;
use crate::reason::Reason;

/// Returns the reason to leave an agent unchanged: the Secret with its name is not the planned one, and may belong to
/// another program.
pub(super) fn without_credentials(
    workload: Option<&StatefulSet>,
    credentials: &Result<Written, Fault>,
) -> Option<Fault> {
    // One that is not wanted can go at any time.
    workload.and(credentials.as_ref().err().cloned())
}

/// Returns the reason to leave agent and configuration unchanged: the claim of their buffer is not as planned.
pub(super) fn without_claim(claim: &Result<Written, Fault>) -> Option<Result<Written, Fault>> {
    match claim {
        Ok(Written::Created | Written::Updated { .. } | Written::Unchanged | Written::Absent) => None,
        Ok(Written::Waiting(_) | Written::Contested(..)) | Err(_) => Some(claim.clone()),
    }
}

/// Returns whether an object is immutable, or a Secret of another type, which no write can change.
pub(super) fn no_write_helps(desired: &Value, actual: &Value) -> bool {
    let is_immutable = actual["immutable"] == Value::Bool(true);
    is_immutable || (desired["kind"] == "Secret" && desired["type"] != actual["type"])
}

/// Ownership of an object.
pub(super) enum Ownership {
    Ours,
    /// Own object, or one of a previous device with the same name, that is terminating.
    Ending,
    Foreign(String),
}

/// Returns the ownership of an object: its controller decides.
pub(super) fn ownership(owner: &Owner, found: &impl ResourceExt) -> Ownership {
    let controller = found.owner_references().iter().find(|owner| owner.controller == Some(true));
    match controller {
        Some(other) if Some(&other.uid) == owner.uid.as_ref() => own(found),
        // The garbage collector takes what a deleted object of the same name has left.
        Some(other) if other.kind == owner.kind && other.name == owner.key.name => Ownership::Ending,
        Some(other) => Ownership::Foreign(format!("{} {}", other.kind, other.name)),
        None => Ownership::Foreign("another program".to_owned()),
    }
}

/// Returns the ownership of a claim. One that outlives its device has no controller; its labels decide.
fn claim_ownership(owner: &Owner, claim: &PersistentVolumeClaim) -> Ownership {
    let labelled = |name: &str, value: &str| claim.labels().get(name).is_some_and(|label| label == value);
    let controlled = claim.owner_references().iter().any(|owner| owner.controller == Some(true));
    if !controlled && labelled(MANAGED_BY, MANAGER) && labelled(DEVICE_LABEL, &owner.key.name) {
        own(claim)
    } else {
        ownership(owner, claim)
    }
}

fn own(found: &impl ResourceExt) -> Ownership {
    if found.meta().deletion_timestamp.is_some() { Ownership::Ending } else { Ownership::Ours }
}

/// Returns what a write of an existing object has to wait for.
///
/// # Errors
/// [`Fault`]: the object belongs to another program.
pub(super) fn blocked<K: Resource<DynamicType = ()>>(
    owner: &Owner,
    found: &K,
) -> Result<Option<Written>, Fault> {
    unless_ours(owner, found, ownership(owner, found), "")
}

/// Returns what a write of an existing claim has to wait for.
///
/// # Errors
/// [`Fault`]: the claim belongs to another program.
pub(super) fn blocked_claim(owner: &Owner, found: &PersistentVolumeClaim) -> Result<Option<Written>, Fault> {
    let ending = ", which waits for its pod to end: delete the pod too, unless it is already terminating";
    unless_ours(owner, found, claim_ownership(owner, found), ending)
}

fn unless_ours<K: Resource<DynamicType = ()>>(
    owner: &Owner,
    found: &K,
    ownership: Ownership,
    ending: &str,
) -> Result<Option<Written>, Fault> {
    let (kind, name) = (K::kind(&()), found.name_any());
    match ownership {
        Ownership::Foreign(other) => {
            let hint = hint(owner, &kind);
            let message =
                format!("{kind} {name} belongs to {other} and is not changed: rename it or delete it{hint}");
            Err(Fault::new(Reason::Conflict, message))
        }
        Ownership::Ending => {
            Ok(Some(Written::Waiting(format!("previous {kind} {name} is being deleted{ending}"))))
        }
        Ownership::Ours => Ok(None),
    }
}

fn hint(owner: &Owner, kind: &str) -> &'static str {
    let own_name = kind == "Secret" && owner.kind == IoTDevice::kind(&());
    if own_name { ", or set credentials.secretName to another name" } else { "" }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::{ConfigMap, Secret};
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
    use lanyard_crds::ProvisioningGroup;
    use serde_json::json;

    use super::*;

    #[test]
    fn only_immutable_objects_are_recreated() {
        let desired = serde_json::to_value(Secret { type_: Some("Opaque".to_owned()), ..Secret::default() });
        let desired = desired.unwrap();
        assert!(no_write_helps(&desired, &json!({"type": "kubernetes.io/tls"})));
        assert!(no_write_helps(&desired, &json!({"type": "Opaque", "immutable": true})));
        // Refused for another reason: a quota, an admission rule, its size.
        assert!(!no_write_helps(&desired, &json!({"type": "Opaque"})));
        assert!(!no_write_helps(&desired, &json!({"type": "Opaque", "immutable": false})));
        let workload = serde_json::to_value(StatefulSet::default()).unwrap();
        assert!(!no_write_helps(&workload, &json!({"spec": {"replicas": 2}})));
    }

    #[test]
    fn claim_without_an_owner_is_owned_by_its_labels() {
        let owner = Owner::of(
            &serde_json::from_value::<IoTDevice>(json!({"apiVersion": "lanyard.dev/v1alpha1",
            "kind": "IoTDevice", "metadata": {"name": "a", "namespace": "n", "uid": "u"}, "spec": {}}))
            .unwrap(),
        );
        let claim = |labels: &Value, more: &Value| -> PersistentVolumeClaim {
            let mut claim =
                json!({"metadata": {"name": "a-agent-buffer", "namespace": "n", "labels": labels}});
            more.as_object()
                .unwrap()
                .iter()
                .for_each(|(name, value)| claim["metadata"][name] = value.clone());
            serde_json::from_value(claim).unwrap()
        };
        let way = |labels: &Value, more: &Value| blocked_claim(&owner, &claim(labels, more));
        let ours = json!({"app.kubernetes.io/managed-by": "lanyard-operator", "lanyard.dev/device": "a"});
        assert_eq!(way(&ours, &json!({})), Ok(None));
        let foreign = |verdict: Result<Option<Written>, Fault>| {
            verdict.is_err_and(|fault| fault.reason == Reason::Conflict)
        };
        assert!(
            foreign(blocked(&owner, &claim(&ours, &json!({})))),
            "an object without an owner belongs to another program"
        );
        assert!(foreign(way(&json!({"lanyard.dev/device": "a"}), &json!({}))));
        assert!(foreign(way(
            &json!({"app.kubernetes.io/managed-by": "lanyard-operator", "lanyard.dev/device": "b"}),
            &json!({})
        )));
        let controller = |kind: &str, uid: &str| {
            json!({"ownerReferences": [{"apiVersion": "v", "kind": kind,
            "name": "a", "uid": uid, "controller": true}]})
        };
        assert!(foreign(way(&ours, &controller("Database", "v"))));
        assert_eq!(way(&ours, &controller("IoTDevice", "u")), Ok(None));
        let waits = |more| match way(&ours, &more) {
            Ok(Some(Written::Waiting(why))) => why,
            other => panic!("{other:?}"),
        };
        assert!(waits(controller("IoTDevice", "former")).contains("is being deleted"));
        assert!(
            waits(json!({"deletionTimestamp": "2026-01-01T00:00:00Z"}))
                .ends_with("delete the pod too, unless it is already terminating")
        );
    }

    #[test]
    fn device_can_name_another_secret_if_one_is_taken() {
        let (device, group) = (Owner::of(&IoTDevice::default()), Owner::of(&ProvisioningGroup::default()));
        let secret = Secret {
            metadata: ObjectMeta { name: Some("s".to_owned()), ..ObjectMeta::default() },
            ..Secret::default()
        };
        let config_map = ConfigMap { metadata: secret.metadata.clone(), ..ConfigMap::default() };
        let fix = "belongs to another program and is not changed: rename it or delete it";
        for (fault, message) in [
            (
                blocked(&device, &secret),
                format!("Secret s {fix}, or set credentials.secretName to another name"),
            ),
            (blocked(&group, &secret), format!("Secret s {fix}")),
            (blocked(&device, &config_map), format!("ConfigMap s {fix}")),
        ] {
            assert_eq!(fault.unwrap_err().message, message);
        }
    }

    #[test]
    fn agent_is_unchanged_while_its_claim_is_not_as_planned() {
        let waiting = Ok(Written::Waiting("why".to_owned()));
        assert_eq!(without_claim(&waiting), Some(waiting.clone()));
        let fault = Err(Fault::new(Reason::Conflict, "m"));
        assert_eq!(without_claim(&fault), Some(fault.clone()));
        for done in [Written::Created, Written::Unchanged, Written::Absent] {
            assert_eq!(without_claim(&Ok(done)), None);
        }
    }

    #[test]
    fn agent_is_unchanged_while_its_secret_is_not_the_planned_one() {
        let (agent, fault) = (StatefulSet::default(), Fault::new(Reason::Conflict, "m"));
        assert_eq!(without_credentials(Some(&agent), &Err(fault.clone())), Some(fault.clone()));
        assert_eq!(without_credentials(Some(&agent), &Ok(Written::Unchanged)), None);
        assert_eq!(without_credentials(None, &Err(fault)), None, "it goes where none is wanted");
    }
}
