//! Volume of a device's buffer, and the `PersistentVolumeClaim` that the operator creates for it. Pure.
//!
//! The operator creates the claim, not the `StatefulSet`: the claims of a `StatefulSet` are immutable, and deleting
//! one, to recreate it or because a device is blocked, would delete its claim too. A claim that only the pod names
//! can change with the pod, and belongs to the device alone.

use std::cmp::Ordering;

use k8s_openapi::api::core::v1::{
    EmptyDirVolumeSource, PersistentVolumeClaim, PersistentVolumeClaimSpec,
    PersistentVolumeClaimVolumeSource, Volume, VolumeResourceRequirements,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use lanyard_crds::buffer::{Claim, Storage, WhenDeleted};
use serde_json::Value;

use super::name;
use crate::device::validate::effective::EffectiveDevice;
use crate::fault::Fault;
use crate::kubernetes::quantity::thousandths;
use crate::reason::Reason;

/// A part of the capacity that the volume is larger: ext4 keeps a twentieth for root and takes a sixtieth for its tables, and
/// files end in the middle of blocks.
const PART: u64 = 8;
/// Additional bytes of the volume: the journals of the file system and of the buffer, which exists twice while it is
/// rewritten, and a scan that exceeds the capacity.
const IN_ANY_CASE: u64 = 64 << 20;
const MIB: u64 = 1 << 20;

/// Returns the size of a volume for a buffer of so many bytes: large enough that its file system, or the kubelet, never
/// calls it full first.
fn volume_size(capacity: u64) -> Quantity {
    let bytes = capacity + capacity / PART + IN_ANY_CASE;
    Quantity(format!("{}Mi", bytes.div_ceil(MIB)))
}

/// Returns the buffer's volume in the agent's pod: a claim, or else an `emptyDir`.
pub(super) fn volume(valid: &EffectiveDevice, name: &str) -> Volume {
    let claimed = match &valid.storage {
        Storage { claim: Some(_), .. } => Some(name::claim(&valid.name)),
        Storage { existing_claim: Some(claim), .. } => Some(claim.name.clone()),
        _ => None,
    };
    let size = volume_size(valid.buffer_capacity());
    Volume {
        name: name.to_owned(),
        empty_dir: claimed.is_none().then_some(EmptyDirVolumeSource { medium: None, size_limit: Some(size) }),
        persistent_volume_claim: claimed
            .map(|claim_name| PersistentVolumeClaimVolumeSource { claim_name, read_only: None }),
        ..Volume::default()
    }
}

/// Returns the claim if the operator is to create one. `meta` names the device as its owner.
pub(super) fn planned(valid: &EffectiveDevice, meta: ObjectMeta) -> Option<PersistentVolumeClaim> {
    let Claim { storage_class_name, access_mode, when_deleted } = valid.storage.claim.clone()?;
    let size = volume_size(valid.buffer_capacity());
    let owner_references = match when_deleted.unwrap_or_default() {
        // The garbage collector takes only what has an owner.
        WhenDeleted::Retain => None,
        WhenDeleted::Delete => meta.owner_references,
    };
    Some(PersistentVolumeClaim {
        metadata: ObjectMeta { owner_references, ..meta },
        spec: Some(PersistentVolumeClaimSpec {
            access_modes: Some(vec![access_mode.unwrap_or_default().as_str().to_owned()]),
            storage_class_name,
            resources: Some(VolumeResourceRequirements {
                requests: Some([("storage".to_owned(), size)].into()),
                limits: None,
            }),
            ..PersistentVolumeClaimSpec::default()
        }),
        status: None,
    })
}

const CLASS: &str = "/spec/storageClassName";
const MODES: &str = "/spec/accessModes";
const SIZE: &str = "/spec/resources/requests/storage";
const VOLUME: &str = "/spec/volumeName";

/// Returns the part of a planned claim that can be applied to the existing one: it never shrinks, and keeps a class
/// that was not requested.
///
/// # Errors
/// [`Fault`]: the planned claim has another class or access mode, or is larger than a claim without a volume.
pub(crate) fn fitted(mut planned: Value, found: &Value) -> Result<Value, Fault> {
    for field in [CLASS, MODES] {
        if let (Some(requested), Some(there)) = (planned.pointer(field), found.pointer(field))
            && requested != there
        {
            return Err(immutable(&planned, field, requested, there));
        }
    }
    if let (None, Some(class)) = (planned.pointer(CLASS), found.pointer(CLASS)) {
        planned["spec"]["storageClassName"] = class.clone();
    }
    let size = |claim: &Value| claim.pointer(SIZE).and_then(Value::as_str).and_then(thousandths);
    let there = found.pointer(SIZE).unwrap_or(&Value::Null);
    match size(found).cmp(&size(&planned)) {
        Ordering::Greater => planned["spec"]["resources"]["requests"]["storage"] = there.clone(),
        Ordering::Less if found.pointer(VOLUME).is_none() => return Err(unbound(&planned, there)),
        Ordering::Less | Ordering::Equal => {}
    }
    Ok(planned)
}

/// Returns the fault of a claim without a volume: Kubernetes lets a claim grow only when it has one.
fn unbound(planned: &Value, there: &Value) -> Fault {
    let claim = planned["metadata"]["name"].as_str().unwrap_or_default();
    let message = format!(
        "PersistentVolumeClaim {claim} requests {there} and has no volume yet, so Kubernetes cannot resize it: wait until it has \
         one; or delete it with `kubectl delete pvc {claim}`, and the operator creates a new claim"
    );
    Fault::new(Reason::ClaimImmutable, message)
}

fn immutable(planned: &Value, field: &str, requested: &Value, there: &Value) -> Fault {
    let (claim, field) = (&planned["metadata"]["name"], field.trim_start_matches("/spec/"));
    let claim = claim.as_str().unwrap_or_default();
    let message = format!(
        "PersistentVolumeClaim {claim} has {field} {there}, and {requested} is requested, but it is immutable: revert it in \
         buffer.storage.claim; or, if the hub has all events or you accept their loss, delete the claim with `kubectl delete pvc \
         {claim} --wait=false` and then the agent's pod; the operator then creates a new claim"
    );
    Fault::new(Reason::ClaimImmutable, message)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_volume_is_larger_than_its_buffer() {
        for (capacity, size) in [(64 << 10, "65Mi"), (256 << 20, "352Mi"), (10 << 30, "11584Mi")] {
            assert_eq!(volume_size(capacity).0, size, "{capacity}");
        }
    }

    fn claim(class: Value, size: &str) -> Value {
        let mut claim = json!({"metadata": {"name": "a-agent-buffer"}, "spec": {
            "accessModes": ["ReadWriteOnce"], "volumeName": "v", "resources": {"requests": {"storage": size}}}});
        if !class.is_null() {
            claim["spec"]["storageClassName"] = class;
        }
        claim
    }

    #[test]
    fn a_claim_grows_and_never_shrinks() {
        let size = |planned, found| {
            let fitted = fitted(claim(json!(null), planned), &claim(json!("fast"), found)).unwrap();
            fitted.pointer(SIZE).unwrap().as_str().unwrap().to_owned()
        };
        assert_eq!(size("2Gi", "1Gi"), "2Gi");
        assert_eq!(size("352Mi", "1Gi"), "1Gi");
        assert_eq!(size("1024Mi", "1Gi"), "1024Mi");
        let mut waits = claim(json!(null), "1Gi");
        waits["spec"].as_object_mut().unwrap().remove("volumeName");
        let fault = fitted(claim(json!(null), "2Gi"), &waits).unwrap_err();
        assert!(fault.message.contains("requests \"1Gi\" and has no volume yet"), "{}", fault.message);
        assert!(fitted(claim(json!(null), "1Gi"), &waits).is_ok());
    }

    #[test]
    fn another_class_is_refused_and_a_default_one_kept() {
        let with = |planned, found| fitted(claim(planned, "1Gi"), &claim(found, "1Gi"));
        assert_eq!(with(json!(null), json!("fast")), Ok(claim(json!("fast"), "1Gi")));
        assert_eq!(with(json!("fast"), json!("fast")), Ok(claim(json!("fast"), "1Gi")));
        // A claim that waits for a class can be given one.
        assert_eq!(with(json!("fast"), json!(null)), Ok(claim(json!("fast"), "1Gi")));
        let fault = with(json!("slow"), json!("fast")).unwrap_err();
        assert_eq!(fault.reason.as_str(), "ClaimImmutable");
        assert!(
            fault.message.starts_with(
                "PersistentVolumeClaim a-agent-buffer has storageClassName \"fast\", and \"slow\" is requested"
            ),
            "{}",
            fault.message
        );
        let mut once = claim(json!(null), "1Gi");
        once["spec"]["accessModes"] = json!(["ReadWriteOncePod"]);
        let fault = fitted(once, &claim(json!(null), "1Gi")).unwrap_err();
        assert!(fault.message.contains("has accessModes [\"ReadWriteOnce\"]"), "{}", fault.message);
    }
}
