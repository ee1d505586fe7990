//! Small objects as a user would write them. Pure.

pub(crate) const K32: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
pub(crate) const K64: &str =
    "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+Pw==";

/// Returns the manifests of a group `plant` whose primary key is K64 and whose secondary key is K32.
pub(crate) fn group() -> String {
    format!("{}\n---\n{}", group_secret(K64, K32), group_without_secret())
}

pub(crate) fn group_secret(primary: &str, secondary: &str) -> String {
    format!(
        "
apiVersion: v1
kind: Secret
metadata: {{name: plant-key}}
stringData: {{primaryKey: '{primary}', secondaryKey: '{secondary}'}}
"
    )
}

pub(crate) fn group_without_secret() -> String {
    "
apiVersion: lanyard.dev/v1alpha1
kind: ProvisioningGroup
metadata: {name: plant}
spec:
  dps: {idScope: 0ne00ABCDEF, endpoint: localhost}
  attestation: {symmetricKey: {secretRef: {name: plant-key}}}
  template:
    sources: [{name: sim, simulator: {}}]
    tags: [{name: Ramp, source: sim, address: 'RAMP(1000, 0, 100, 1)'}]
"
    .to_owned()
}

/// Returns the manifest of a device of the group `plant`; `more` are further lines of its spec.
pub(crate) fn member(name: &str, more: &str) -> String {
    format!(
        "
apiVersion: lanyard.dev/v1alpha1
kind: IoTDevice
metadata: {{name: {name}}}
spec:
  groupRef: {{name: plant}}
{more}
"
    )
}

/// Returns the manifest of a device that connects directly to a hub, with its key in Secret `<name>-key`.
pub(crate) fn at_hub(name: &str, hub: &str, more: &str) -> String {
    format!(
        "
apiVersion: lanyard.dev/v1alpha1
kind: IoTDevice
metadata: {{name: {name}}}
spec:
  hub: {{hostname: '{hub}', auth: {{symmetricKey: {{secretRef: {{name: {name}-key}}}}}}}}
{more}
"
    )
}

/// Returns the manifest of a Secret with one key.
pub(crate) fn secret(name: &str, key: &str, value: &str) -> String {
    format!("\napiVersion: v1\nkind: Secret\nmetadata: {{name: {name}}}\nstringData: {{{key}: '{value}'}}\n")
}
