//! Level: chart, pods and programs on a real cluster, the whole way. Run one test at a time (RUST_TEST_THREADS=1): some change
//! the installation that all use. The first one installs it.

// Tests measure real time.
#![allow(clippy::disallowed_methods)]
#![allow(clippy::missing_panics_doc, reason = "tests panic to fail")]

mod certificates;
mod chart;
mod demo;
mod group;
mod healing;
mod mistakes;
mod monitoring;
mod pods;
mod readme;
mod rollover;
mod sequences;
mod storage;
mod uninstall;

use lanyard_tests::installation::{HUB, Plant};

/// The keys of the emulator's enrollment group, as the chart's values have them.
pub(crate) const PRIMARY: &str =
    "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+Pw==";
pub(crate) const SECONDARY: &str =
    "G3vn0IZH9oK3d4wsxFpWBtd2KUrtjI+39dZVRf26To8w9OX0LaFV9yZ93ELXY7voqHEUsNhnb9bt717UP87KxA==";

/// A group with keys whose devices count upwards without end, five times a second.
pub(crate) struct KeyGroup<'a> {
    /// Name of the group, and of its Secret.
    pub(crate) name: &'a str,
    /// Both keys.
    pub(crate) keys: [&'a str; 2],
    /// `Primary` or `Secondary`.
    pub(crate) in_use: &'a str,
    /// Time between two messages.
    pub(crate) interval: &'a str,
}

impl KeyGroup<'_> {
    pub(crate) fn yaml(&self) -> String {
        let Self { name, keys: [primary, secondary], in_use, interval } = self;
        format!(
            "
apiVersion: v1
kind: Secret
metadata: {{name: {name}-key}}
stringData: {{primaryKey: {primary}, secondaryKey: {secondary}}}
---
apiVersion: lanyard.dev/v1alpha1
kind: ProvisioningGroup
metadata: {{name: {name}}}
spec:
  dps:
    idScope: 0ne00ABCDEF
    endpoint: {HUB}
    trustedCA: {{configMapKeyRef: {{name: lanyard-emulator-ca, key: ca.crt}}}}
  rollover: {{devicesPerMinute: 300}}
  attestation: {{symmetricKey: {{secretRef: {{name: {name}-key}}, use: {in_use}}}}}
  template:
    sources: [{{name: sim, simulator: {{}}}}]
    tags: [{{name: Count, source: sim, address: 'RAMP(200, 0, 1000000, 1)', scanInterval: 200ms}}]
    telemetry: {{interval: {interval}}}
---
"
        )
    }
}

/// Returns the manifests of the group that the chart's emulator has from the start.
pub(crate) fn group(in_use: &str) -> String {
    KeyGroup { name: "plant-a", keys: [PRIMARY, SECONDARY], in_use, interval: "1s" }.yaml()
}

/// Returns the manifest of a device of the group `plant-a`.
pub(crate) fn device(name: &str) -> String {
    device_of("plant-a", name)
}

/// Returns the manifest of a device of a group.
pub(crate) fn device_of(group: &str, name: &str) -> String {
    format!(
        "
apiVersion: lanyard.dev/v1alpha1
kind: IoTDevice
metadata: {{name: {name}}}
spec: {{groupRef: {{name: {group}}}}}
---
"
    )
}

/// Returns a device name that no earlier run on this cluster has used: the emulator still counts what those did.
pub(crate) fn fresh(name: &str) -> String {
    format!("{name}-{}", std::process::id())
}

/// Creates a group of devices and waits until all of them are connected.
pub(crate) fn connected(purpose: &str, devices: &[String]) -> Plant {
    let plant = Plant::new(purpose);
    plant.apply(&(group("Primary") + &devices.iter().map(|name| device(name)).collect::<String>()));
    plant.await_all_ready(180);
    plant
}

/// Fails unless `values` counts up by one each time; a new process begins with 0.
pub(crate) fn assert_no_gap(device: &str, values: &[serde_json::Value]) {
    let numbers: Vec<i64> = values.iter().filter_map(serde_json::Value::as_i64).collect();
    let gap = numbers.windows(2).find(|pair| pair[1] != pair[0] + 1 && pair[1] != 0);
    assert!(gap.is_none(), "{device} lost events around {gap:?}: {numbers:?}");
}
