//! Objects as a user would write them, and what the operator saw around them. Pure.

use std::sync::Arc;

use lanyard_crds::{IoTDevice, ProvisioningGroup};
use lanyard_operator::arguments::PullPolicy;
use lanyard_operator::cluster::read::SecretData;
use lanyard_operator::device::issue::{Credential, issue};
use lanyard_operator::device::observe::Observed;
use lanyard_operator::device::plan::{AgentImage, Plan, plan};
use lanyard_operator::device::validate::{Valid, validate};
use lanyard_operator::fault::Fault;

pub(crate) const K32: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
pub(crate) const K64: &str =
    "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+Pw==";

pub(crate) fn device(spec: &str) -> IoTDevice {
    let yaml = format!(
        "
apiVersion: lanyard.dev/v1alpha1
kind: IoTDevice
metadata: {{name: press-17, namespace: plant, uid: u1, generation: 3}}
spec: {spec}
"
    );
    serde_saphyr::from_str(&yaml).unwrap()
}

pub(crate) fn group() -> ProvisioningGroup {
    let yaml = "
apiVersion: lanyard.dev/v1alpha1
kind: ProvisioningGroup
metadata: {name: a, namespace: plant, uid: u2, generation: 1}
spec:
  dps: {idScope: 0ne00ABCDEF}
  attestation: {symmetricKey: {secretRef: {name: key}}}
  template:
    modelId: dtmi:contoso:Press;1
    sources: [{name: sim, simulator: {}}]
    tags: [{name: Ramp, source: sim, address: K0001, scanInterval: 500ms}, {name: Sine, source: sim, address: K0002}]
    telemetry: {interval: 2s, properties: {plant: a, line: '1'}}
";
    serde_saphyr::from_str(yaml).unwrap()
}

pub(crate) fn secret(entries: &[(&str, &str)]) -> SecretData {
    entries.iter().map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec())).collect()
}

/// A device of the group, whose Secret holds K64 and K32.
pub(crate) fn in_group(spec: &str) -> Observed {
    Observed {
        device: Arc::new(device(spec)),
        group: Some(Arc::new(group())),
        key: Some(secret(&[("primaryKey", K64), ("secondaryKey", K32)])),
        ..Observed::default()
    }
}

/// A device straight to a hub.
pub(crate) fn at_hub(entries: &[(&str, &str)]) -> Observed {
    let spec = "{hub: {hostname: hub.example, auth: {symmetricKey: {secretRef: {name: own}}}}}";
    Observed { device: Arc::new(device(spec)), key: Some(secret(entries)), ..Observed::default() }
}

pub(crate) fn image() -> AgentImage {
    AgentImage {
        image: "agent:1".to_owned(),
        pull_policy: PullPolicy::IfNotPresent,
        pull_secrets: Vec::new(),
    }
}

/// As far as the pure stages go.
pub(crate) fn through(observed: &Observed) -> Result<(Valid, Credential, Plan), Fault> {
    let valid = validate(observed)?;
    let credential = issue(&valid, observed)?;
    let plan = plan(&observed.device, &valid, &credential, &image())?;
    Ok((valid, credential, plan))
}
