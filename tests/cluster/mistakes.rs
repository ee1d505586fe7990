//! User errors, as the device's conditions show them, on real pods. Each is then corrected.

use lanyard_tests::installation::{HUB, Plant};

use crate::{PRIMARY, device, group};

#[test]
fn a_hub_that_does_not_resolve_is_named() {
    let plant = Plant::new("no-hub");
    plant.apply(&direct("mistake-host", "no-such-hub.invalid", "lanyard-emulator-ca"));
    let message = plant.await_condition("mistake-host", "Connected", "False", "HostNotFound");
    assert!(message.contains("no-such-hub.invalid"), "{message}");
    plant.await_condition("mistake-host", "Ready", "False", "HostNotFound");
    plant.await_condition("mistake-host", "CredentialsReady", "True", "");
}

#[test]
fn wrong_ca_is_reported_until_it_is_fixed() {
    let plant = Plant::new("wrong-ca");
    let other = String::from_utf8(
        std::fs::read(lanyard_tests::installation::repository().join("tests/cluster/other-ca.crt")).unwrap(),
    )
    .unwrap();
    let indented = other.lines().map(|line| format!("    {line}\n")).collect::<String>();
    plant.apply(&format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: other-ca}}\ndata:\n  ca.crt: |\n{indented}"
    ));
    plant.apply(&direct("gateway-1", HUB, "other-ca").replace(
        "kind: IoTDevice\nmetadata: {name: gateway-1}\nspec:\n",
        "kind: IoTDevice\nmetadata: {name: mistake-ca}\nspec:\n  deviceId: mistake-ca\n",
    ));
    let message = plant.await_condition("mistake-ca", "Connected", "False", "CertificateNotTrusted");
    assert!(message.contains("trustedCA") || message.contains("ca.crt"), "{message}");
    // With the right one the hub is reached, and refuses the device it does not know.
    plant.kubectl(&[
        "patch",
        "iotd",
        "mistake-ca",
        "--type=merge",
        "-p",
        r#"{"spec":{"hub":{"trustedCA":{"configMapKeyRef":{"name":"lanyard-emulator-ca"}}}}}"#,
    ]);
    plant.await_condition("mistake-ca", "Connected", "False", "Unauthorized");
}

#[test]
fn refused_key_is_reported_until_it_is_fixed() {
    let plant = Plant::new("wrong-key");
    let wrong = group("Primary").replace(
        PRIMARY,
        "8isrFI1sGsIlvvFSSFRiMfCNzv21fjbE/+ah/lSh3lF8e2YG1Te7w1KpZhJFFXJrqYKi9yegxkqIChbqOS9Egw==",
    );
    plant.apply(&(wrong + &device("mistake-key")));
    plant.await_condition("mistake-key", "Connected", "False", "RegistrationUnauthorized");
    plant.apply(&group("Primary"));
    plant.await_condition("mistake-key", "Ready", "True", "");
}

/// The schema cannot tell an address from another text, but the agent can. It reads the other tags meanwhile.
#[test]
fn unknown_address_is_reported_until_it_is_fixed() {
    let plant = Plant::new("wrong-tag");
    let good = "[{name: Count, source: sim, address: 'RAMP(200, 0, 1000000, 1)'}";
    let bad = format!(
        "{good}, {{name: Low, source: sim, address: 'RAMP(1, 2)'}}, {{name: Pump, source: sim, address: PUMP}}"
    );
    let right = group("Primary") + &device("mistake-tag");
    let wrong = right.replace(
        "spec: {groupRef: {name: plant-a}}",
        &format!("spec: {{groupRef: {{name: plant-a}}, tags: {bad}]}}"),
    );
    assert_ne!(wrong, right);
    plant.apply(&wrong);
    let message = plant.await_condition("mistake-tag", "AgentReady", "False", "TagsRejected");
    assert!(
        message.contains("tag \"Low\"") && message.contains("RAMP(rate, low, high, increment)"),
        "{message}"
    );
    assert!(message.ends_with("and 1 more tag cannot be read"), "{message}");
    plant.await_condition("mistake-tag", "Stalled", "True", "TagsRejected");
    plant.await_condition("mistake-tag", "Connected", "True", "Connected");
    plant.eventually("the good tag's events at the hub", 60, || {
        let seen = lanyard_tests::installation::values("mistake-tag", "Count").len();
        if seen > 2 { Ok(()) } else { Err(format!("{seen} events")) }
    });
    plant.apply(&right);
    plant.await_condition("mistake-tag", "Ready", "True", "Connected");
}

#[test]
fn a_blocked_device_is_gone_from_the_hub_until_it_is_unblocked() {
    let plant = crate::connected("blocked", &["mistake-blocked".to_owned()]);
    plant.kubectl(&[
        "patch",
        "iotd",
        "mistake-blocked",
        "--type=merge",
        "-p",
        r#"{"spec":{"blocked":true}}"#,
    ]);
    plant.await_condition("mistake-blocked", "Ready", "False", "Blocked");
    plant.eventually("agent and credential are gone", 60, || {
        let left = [plant.get("sts/mistake-blocked-agent"), plant.get("secret/mistake-blocked-credentials")];
        if left.iter().all(Option::is_none) { Ok(()) } else { Err("still there".to_owned()) }
    });
    plant.eventually("the hub sees it go", 60, || {
        match lanyard_tests::installation::at_hub("mistake-blocked") {
            Some(d) if !d.connected => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
    plant.kubectl(&[
        "patch",
        "iotd",
        "mistake-blocked",
        "--type=merge",
        "-p",
        r#"{"spec":{"blocked":false}}"#,
    ]);
    plant.await_condition("mistake-blocked", "Ready", "True", "");
}

/// Returns the manifests of a device that connects directly to a hub with a key of its own.
fn direct(name: &str, host: &str, ca: &str) -> String {
    format!(
        "
apiVersion: v1
kind: Secret
metadata: {{name: {name}-key}}
stringData: {{primaryKey: AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=}}
---
apiVersion: lanyard.dev/v1alpha1
kind: IoTDevice
metadata: {{name: {name}}}
spec:
  hub:
    hostname: {host}
    trustedCA: {{configMapKeyRef: {{name: {ca}, key: ca.crt}}}}
    auth: {{symmetricKey: {{secretRef: {{name: {name}-key}}}}}}
  sources: [{{name: sim, simulator: {{}}}}]
  tags: [{{name: Count, source: sim, address: 'RAMP(200, 0, 1000000, 1)'}}]
"
    )
}
