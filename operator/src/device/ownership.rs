//! Ownership and data-loss checks before a write. Pure.

use k8s_openapi::api::apps::v1::StatefulSet;
use kube::{Resource, ResourceExt};
use lanyard_crds::IoTDevice;
use serde_json::Value;

use crate::credential::stored::StoredCredentials;
use crate::device::claim;
use crate::device::written::{WriteResult, Written};
use crate::fault::Fault;
use crate::kubernetes::key::Key;
use crate::kubernetes::labels::DEVICE_LABEL;
use crate::kubernetes::labels::{MANAGED_BY, MANAGER};
use crate::kubernetes::owner::Owner;
use crate::reason::Reason;

/// Checks for an object.
#[derive(Debug, Clone, Copy)]
pub(super) enum How<'a> {
    /// Nothing.
    Plain,
    /// Starts pods, which must not run beside previous ones.
    StartsPods {
        /// True if an agent of another device may still be connected with the same identity.
        beside_another: bool,
    },
    /// Claim, which may exist longer than its device, and is mostly immutable.
    Outlives,
    /// Contains a device's credential, which must not be lost.
    Holds {
        /// True if the existing object was read; otherwise the plan was made without it.
        seen: bool,
        device: &'a IoTDevice,
        held: &'a StoredCredentials,
    },
}

impl How<'_> {
    /// A Secret that exists after all may hold a working credential: the next reconciliation finds it.
    pub(super) fn spares(self, kind: &str, key: &Key) -> Option<WriteResult> {
        let why = || Written::Waiting(format!("{kind} {} is there and was not seen yet", key.name));
        matches!(self, Self::Holds { seen: false, .. }).then(|| Ok(why()))
    }

    /// Returns the ownership of an object. A claim has no owner reference; its labels decide.
    pub(super) fn standing(self, owner: &Owner, found: &impl ResourceExt) -> Ownership {
        let labelled = |name: &str, value: &str| found.labels().get(name).is_some_and(|label| label == value);
        let ours = matches!(self, Self::Outlives)
            && !found.owner_references().iter().any(|owner| owner.controller == Some(true))
            && labelled(MANAGED_BY, MANAGER)
            && labelled(DEVICE_LABEL, &owner.key.name);
        match (ours, found.meta().deletion_timestamp.is_some()) {
            (false, _) => standing(owner, found),
            (true, true) => Ownership::Ending,
            (true, false) => Ownership::Ours,
        }
    }

    /// Returns the part of a planned object that can be applied to the existing one.
    pub(super) fn fitted(self, planned: Value, found: &Value) -> Result<Value, Fault> {
        if matches!(self, Self::Outlives) { claim::fitted(planned, found) } else { Ok(planned) }
    }

    /// Returns what a terminating object waits for.
    pub(super) fn ending(self) -> &'static str {
        let outlives = matches!(self, Self::Outlives);
        if outlives {
            ", which waits for its pod to end: delete the pod too, unless it ends already"
        } else {
            ""
        }
    }
}

/// Returns the reason to leave an agent unchanged: the Secret with its name is not the planned one, and may belong to
/// another program.
pub(super) fn without_credentials(
    workload: Option<&StatefulSet>,
    credentials: &WriteResult,
) -> Option<Fault> {
    // One that is not wanted can go at any time.
    workload.and(credentials.as_ref().err().cloned())
}

/// Returns the reason to leave agent and configuration unchanged: the claim of their buffer is not as planned.
pub(super) fn without_claim(claim: &WriteResult) -> Option<WriteResult> {
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

pub(super) fn standing(owner: &Owner, found: &impl ResourceExt) -> Ownership {
    let controller = found.owner_references().iter().find(|owner| owner.controller == Some(true));
    match controller {
        Some(holder) if Some(&holder.uid) == owner.uid.as_ref() => {
            if found.meta().deletion_timestamp.is_some() { Ownership::Ending } else { Ownership::Ours }
        }
        // The garbage collector takes what a deleted object of the same name has left.
        Some(holder) if holder.kind == owner.kind && holder.name == owner.key.name => Ownership::Ending,
        Some(holder) => Ownership::Foreign(format!("{} {}", holder.kind, holder.name)),
        None => Ownership::Foreign("another program".to_owned()),
    }
}

/// Returns the reason why an existing object must not be overwritten.
pub(super) fn in_the_way<K: Resource<DynamicType = ()>>(
    owner: &Owner,
    found: &K,
    how: How<'_>,
) -> Option<WriteResult> {
    let (kind, name) = (K::kind(&()), found.name_any());
    match how.standing(owner, found) {
        Ownership::Foreign(holder) => {
            let hint = hint(owner, &kind);
            let message =
                format!("{kind} {name} belongs to {holder} and is not changed: rename it or delete it{hint}");
            Some(Err(Fault::new(Reason::Conflict, message)))
        }
        Ownership::Ending => {
            Some(Ok(Written::Waiting(format!("previous {kind} {name} is being deleted{}", how.ending()))))
        }
        Ownership::Ours => None,
    }
}

pub(super) fn hint(owner: &Owner, kind: &str) -> &'static str {
    let own_name = kind == "Secret" && owner.kind == IoTDevice::kind(&());
    if own_name { ", or set credentials.secretName to another name" } else { "" }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Secret};
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
    fn a_claim_without_an_owner_is_told_by_its_labels() {
        let owner = Owner::of(
            &serde_json::from_value::<IoTDevice>(json!({"apiVersion": "lanyard.dev/v1alpha1",
            "kind": "IoTDevice", "metadata": {"name": "a", "namespace": "n", "uid": "u"}, "spec": {}}))
            .unwrap(),
        );
        let way = |labels: &serde_json::Value, more: &serde_json::Value, how: How<'_>| {
            let mut claim =
                json!({"metadata": {"name": "a-agent-buffer", "namespace": "n", "labels": labels}});
            more.as_object()
                .unwrap()
                .iter()
                .for_each(|(name, value)| claim["metadata"][name] = value.clone());
            in_the_way::<PersistentVolumeClaim>(&owner, &serde_json::from_value(claim).unwrap(), how)
        };
        let ours = json!({"app.kubernetes.io/managed-by": "lanyard-operator", "lanyard.dev/device": "a"});
        let kept = How::Outlives;
        assert_eq!(way(&ours, &json!({}), kept), None);
        let foreign = |verdict: Option<WriteResult>| {
            matches!(verdict, Some(Err(Fault { reason: Reason::Conflict, .. })))
        };
        assert!(
            foreign(way(&ours, &json!({}), How::Plain)),
            "an object without an owner belongs to another program"
        );
        assert!(foreign(way(&json!({"lanyard.dev/device": "a"}), &json!({}), kept)));
        assert!(foreign(way(
            &json!({"app.kubernetes.io/managed-by": "lanyard-operator", "lanyard.dev/device": "b"}),
            &json!({}),
            kept
        )));
        let controller = |kind: &str, uid: &str| {
            json!({"ownerReferences": [{"apiVersion": "v", "kind": kind,
            "name": "a", "uid": uid, "controller": true}]})
        };
        assert!(foreign(way(&ours, &controller("Database", "v"), kept)));
        assert_eq!(way(&ours, &controller("IoTDevice", "u"), kept), None);
        let waits = |more| match way(&ours, &more, kept) {
            Some(Ok(Written::Waiting(why))) => why,
            other => panic!("{other:?}"),
        };
        assert!(waits(controller("IoTDevice", "former")).contains("is being deleted"));
        assert!(
            waits(json!({"deletionTimestamp": "2026-01-01T00:00:00Z"}))
                .ends_with("delete the pod too, unless it ends already")
        );
    }

    #[test]
    fn agent_is_unchanged_while_its_secret_is_not_the_planned_one() {
        let (agent, fault) = (StatefulSet::default(), Fault::new(Reason::Conflict, "m"));
        assert_eq!(without_credentials(Some(&agent), &Err(fault.clone())), Some(fault.clone()));
        assert_eq!(without_credentials(Some(&agent), &Ok(Written::Unchanged)), None);
        assert_eq!(without_credentials(None, &Err(fault)), None, "it goes where none is wanted");
    }

    #[test]
    fn unseen_secret_is_not_overwritten() {
        let (device, held, key) = (IoTDevice::default(), StoredCredentials::default(), Key::new("n", "a"));
        let spares =
            |seen| How::Holds { seen, device: &device, held: &held }.spares("Secret", &key).is_some();
        assert!(spares(false) && !spares(true) && How::Plain.spares("Secret", &key).is_none());
    }
}
