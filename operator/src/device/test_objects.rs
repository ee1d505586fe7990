//! Objects of the unit tests.

use lanyard_crds::{IoTDevice, ProvisioningGroup};

/// Returns a device with this specification and status.
pub(crate) fn device(spec: &str, status: &str) -> IoTDevice {
    let meta = "{name: a, namespace: n, generation: 1}";
    let head = format!("apiVersion: lanyard.dev/v1alpha1, kind: IoTDevice, metadata: {meta}");
    let status = status.replacen('{', "{observedGeneration: 1, ", 1).replace(", }", "}");
    serde_saphyr::from_str(&format!("{{{head}, spec: {spec}, status: {status}}}")).unwrap()
}

/// Returns a group with more fields in its specification.
pub(crate) fn group(more: &str) -> ProvisioningGroup {
    let head = "apiVersion: lanyard.dev/v1alpha1, kind: ProvisioningGroup, metadata: {name: g, uid: u}";
    let spec = "dps: {idScope: s}, attestation: {symmetricKey: {secretRef: {name: k}}}";
    serde_saphyr::from_str(&format!("{{{head}, spec: {{{spec}, {more}}}}}")).unwrap()
}
