//! Level: chart, pods and programs on a real cluster, the whole way. Run one at a time (RUST_TEST_THREADS=1) and in the order of their names:
//! the first one installs the demo, the last one, `uninstall`, takes it away.

#![allow(clippy::missing_panics_doc, reason = "tests panic to fail")]

mod chart;
mod demo;
mod group;
mod healing;
mod mistakes;
mod pods;
mod readme;
mod rollover;
mod uninstall;

use lanyard_tests::installation::{HUB, Plant};

/// The keys of the emulator's enrollment group, as the chart's values have them.
pub(crate) const PRIMARY: &str =
    "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+Pw==";
pub(crate) const SECONDARY: &str =
    "G3vn0IZH9oK3d4wsxFpWBtd2KUrtjI+39dZVRf26To8w9OX0LaFV9yZ93ELXY7voqHEUsNhnb9bt717UP87KxA==";

/// A group at the emulator whose devices count upwards without end, five times a second.
pub(crate) fn group(key_in_use: &str) -> String {
    format!(
        "
apiVersion: v1
kind: Secret
metadata: {{name: group-key}}
stringData: {{primaryKey: {PRIMARY}, secondaryKey: {SECONDARY}}}
---
apiVersion: lanyard.dev/v1alpha1
kind: ProvisioningGroup
metadata: {{name: plant-a}}
spec:
  dps:
    idScope: 0ne00ABCDEF
    endpoint: {HUB}
    trustedCA: {{configMapKeyRef: {{name: lanyard-emulator-ca, key: ca.crt}}}}
  attestation: {{symmetricKey: {{secretRef: {{name: group-key}}, use: {key_in_use}}}}}
  template:
    sources: [{{name: sim, simulator: {{}}}}]
    tags: [{{name: Count, source: sim, address: 'RAMP(200, 0, 1000000, 1)', scanInterval: 200ms}}]
    telemetry: {{interval: 1s}}
---
"
    )
}

/// A device of that group.
pub(crate) fn device(name: &str) -> String {
    format!(
        "
apiVersion: lanyard.dev/v1alpha1
kind: IoTDevice
metadata: {{name: {name}}}
spec: {{groupRef: {{name: plant-a}}}}
---
"
    )
}

/// A group of devices that are all connected.
pub(crate) fn connected(purpose: &str, devices: &[String]) -> Plant {
    let plant = Plant::new(purpose);
    plant.apply(&(group("Primary") + &devices.iter().map(|name| device(name)).collect::<String>()));
    plant.await_all_ready(180);
    plant
}
