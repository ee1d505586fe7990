//! What is minded before an object is written: whose it is, and whether it holds something that must not get lost. Pure.

use k8s_openapi::api::apps::v1::StatefulSet;
use kube::{Resource, ResourceExt};
use lanyard_crds::IoTDevice;
use serde_json::Value;

use super::apply::{Owner, Verdict, Written};
use crate::cluster::claims::Key;
use crate::credential::held::Held;
use crate::fault::Fault;

/// What is to be minded with an object.
#[derive(Debug, Clone, Copy)]
pub(super) enum How<'a> {
    /// Nothing.
    Plain,
    /// It starts pods, which must not meet those of before.
    StartsPods,
    /// It holds a device's credential, which must not get lost.
    Holds {
        /// Whether what is there was seen; else the planned one was made without regard to it.
        seen: bool,
        device: &'a IoTDevice,
        held: &'a Held,
    },
}

impl How<'_> {
    /// One that is there after all may hold a credential that works: the next look sees it.
    pub(super) fn spares(self, kind: &str, key: &Key) -> Option<Verdict> {
        let why = || Written::Waiting(format!("{kind} {} is there and was not seen yet", key.name));
        matches!(self, Self::Holds { seen: false, .. }).then(|| Ok(why()))
    }
}

/// Why an agent that is wanted is left as it is: the Secret of its name is not the planned one, and may be another's.
pub(super) fn without_credentials(workload: Option<&StatefulSet>, credentials: &Verdict) -> Option<Fault> {
    // One that is not wanted can go at any time.
    workload.and(credentials.as_ref().err().cloned())
}

/// Whether an object was made immutable, or is a Secret of another type, which no write can change.
pub(super) fn no_write_helps(desired: &Value, actual: &Value) -> bool {
    let is_immutable = actual["immutable"] == Value::Bool(true);
    is_immutable || (desired["kind"] == "Secret" && desired["type"] != actual["type"])
}

/// Whose an object is.
pub(super) enum Standing {
    Ours,
    /// Ours or a namesake's of before, and on its way out.
    Ending,
    Foreign(String),
}

pub(super) fn standing(owner: &Owner, found: &impl ResourceExt) -> Standing {
    let controller = found.owner_references().iter().find(|owner| owner.controller == Some(true));
    match controller {
        Some(holder) if Some(&holder.uid) == owner.uid.as_ref() => {
            if found.meta().deletion_timestamp.is_some() { Standing::Ending } else { Standing::Ours }
        }
        // The garbage collector takes what a deleted object of the same name has left.
        Some(holder) if holder.kind == owner.kind && holder.name == owner.key.name => Standing::Ending,
        Some(holder) => Standing::Foreign(format!("{} {}", holder.kind, holder.name)),
        None => Standing::Foreign("somebody else".to_owned()),
    }
}

pub(super) fn hint(owner: &Owner, kind: &str) -> &'static str {
    let own_name = kind == "Secret" && owner.kind == IoTDevice::kind(&());
    if own_name { ", or set credentials.secretName to another name" } else { "" }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Secret;
    use serde_json::json;

    use super::*;
    use crate::fault::Reason;

    #[test]
    fn only_what_no_write_can_change_is_made_anew() {
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
    fn an_agent_is_left_alone_while_the_secret_of_its_name_is_not_the_planned_one() {
        let (agent, fault) = (StatefulSet::default(), Fault::new(Reason::Conflict, "m"));
        assert_eq!(without_credentials(Some(&agent), &Err(fault.clone())), Some(fault.clone()));
        assert_eq!(without_credentials(Some(&agent), &Ok(Written::Unchanged)), None);
        assert_eq!(without_credentials(None, &Err(fault)), None, "it goes where none is wanted");
    }

    #[test]
    fn a_secret_that_nobody_has_seen_is_not_written_over() {
        let (device, held, key) = (IoTDevice::default(), Held::default(), Key::new("n", "a"));
        let spares =
            |seen| How::Holds { seen, device: &device, held: &held }.spares("Secret", &key).is_some();
        assert!(spares(false) && !spares(true) && How::Plain.spares("Secret", &key).is_none());
    }
}
