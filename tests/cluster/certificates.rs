//! Devices that log in with certificates: made, renewed and rolled over while they stream.

use lanyard_tests::authority::Authority;
use lanyard_tests::cloud::{put_ca_group, put_thumbprints, upload_ca, verify_ca};
use lanyard_tests::installation::{HUB, Plant, at_hub, values};
use serde_json::Value;

use crate::{assert_no_gap, fresh};

const TEMPLATE: &str = "
  template:
    sources: [{name: sim, simulator: {}}]
    tags: [{name: Count, source: sim, address: 'RAMP(200, 0, 1000000, 1)', scanInterval: 200ms}]
    telemetry: {interval: 1s}
";

/// Returns the manifest of a group whose CA signs, with a second CA to move to.
fn group(codes: &[String; 2], in_use: &str) -> String {
    let [primary, secondary] = codes;
    format!(
        "
apiVersion: lanyard.dev/v1alpha1
kind: ProvisioningGroup
metadata: {{name: plant-x}}
spec:
  dps:
    idScope: 0ne00ABCDEF
    endpoint: {HUB}
    trustedCA: {{configMapKeyRef: {{name: lanyard-emulator-ca, key: ca.crt}}}}
  rollover: {{devicesPerMinute: 60}}
  attestation:
    x509:
      issuer: {{secretRef: {{name: ca-one}}, verificationCode: '{primary}'}}
      secondaryIssuer: {{secretRef: {{name: ca-two}}, verificationCode: '{secondary}'}}
      use: {in_use}
{TEMPLATE}---
"
    )
}

fn device(name: &str) -> String {
    format!(
        "
apiVersion: lanyard.dev/v1alpha1
kind: IoTDevice
metadata: {{name: {name}}}
spec: {{groupRef: {{name: plant-x}}}}
---
"
    )
}

/// Hands the operator's answers to the verification codes to DPS.
fn verify(plant: &Plant, cas: [&str; 2]) {
    for (slot, name) in ["primary", "secondary"].into_iter().zip(cas) {
        let secret = plant.eventually(&format!("the proof for the {slot} CA"), 90, || {
            let group = plant.get("provgrp/plant-x").ok_or("no group")?;
            let named = group["status"]["verification"][slot]["secretName"].as_str();
            named.map(str::to_owned).ok_or_else(|| group["status"].to_string())
        });
        let proof = plant.kubectl(&[
            "get",
            "secret",
            &secret,
            "-o",
            "go-template={{index .data \"verification.crt\" | base64decode}}",
        ]);
        verify_ca(name, &proof);
    }
}

/// Both at once: a certificate of two minutes takes its time.
#[test]
fn cas_and_certificates_change_while_devices_stream() {
    lanyard_tests::installation::Installation::shared();
    std::thread::scope(|scope| {
        scope.spawn(a_certificate_of_two_minutes_is_renewed_while_it_streams);
        twenty_of_a_group_move_from_one_ca_to_another_while_they_stream();
    });
}

fn twenty_of_a_group_move_from_one_ca_to_another_while_they_stream() {
    let plant = Plant::new("x509");
    // One directly below its root, one two levels down: DPS needs the chain then.
    let (one, two) =
        (Authority::root("Plant One"), Authority::root("Plant Two").intermediate("Plant Two Line"));
    plant.apply(&(one.secret("ca-one") + &two.secret("ca-two")));
    let codes = [upload_ca("plant-one", one.certificate()), upload_ca("plant-two", two.certificate())];
    plant.apply(&group(&codes, "Primary"));
    verify(&plant, ["plant-one", "plant-two"]);
    put_ca_group("plant-x", "plant-one", Some("plant-two"));
    let devices: Vec<String> = (1..=20).map(|n| fresh(&format!("x509-{n:02}"))).collect();
    plant.apply(&devices.iter().map(|name| device(name)).collect::<String>());
    plant.await_all_ready(180);

    plant.apply(&group(&codes, "Secondary"));
    let rollover = plant.eventually("every device moved", 180, || {
        let group = plant.get("provgrp/plant-x").ok_or("no group")?;
        let rollover = group["status"]["rollover"].clone();
        if rollover["moved"] == 20 && rollover["pending"] == 0 {
            Ok(rollover)
        } else {
            Err(rollover.to_string())
        }
    });
    assert_eq!(rollover["refused"], 0, "{rollover}");
    for name in &devices {
        let seen = values(name, "Count").len();
        let all = plant.eventually(&format!("{name} goes on"), 60, || {
            let all = values(name, "Count");
            if all.len() > seen + 5 { Ok(all) } else { Err(format!("{} events", all.len())) }
        });
        assert_no_gap(name, &all);
        let at_hub = at_hub(name).expect("it has registered");
        assert!(at_hub.connected && at_hub.takeovers == 0 && at_hub.connections <= 3, "{at_hub:?}");
    }
}

fn credentials(plant: &Plant, device: &str) -> Value {
    plant
        .get(&format!("iotd/{device}"))
        .map(|device| device["status"]["credentials"].clone())
        .unwrap_or_default()
}

fn thumbprint(credentials: &Value, slot: &str) -> Option<String> {
    credentials[slot]["sha256Thumbprint"].as_str().map(str::to_owned)
}

/// Checks two renewals: into the secondary slot, and back into the primary one.
fn a_certificate_of_two_minutes_is_renewed_while_it_streams() {
    let plant = Plant::new("renewal");
    let name = &fresh("renewed");
    plant.apply(&format!(
        "
apiVersion: lanyard.dev/v1alpha1
kind: IoTDevice
metadata: {{name: {name}}}
spec:
  hub:
    hostname: {HUB}
    trustedCA: {{configMapKeyRef: {{name: lanyard-emulator-ca, key: ca.crt}}}}
    auth: {{selfSigned: {{duration: 2m, renewBefore: 80s}}}}
{}
",
        TEMPLATE.replace("\n  template:", "").replace("\n    ", "\n  ")
    ));
    let mut registered: [Option<String>; 2] = [None, None];
    let mut known = 0;
    plant.eventually("two renewals, each accepted by the hub", 300, || {
        let now = credentials(&plant, name);
        let both = [thumbprint(&now, "primary"), thumbprint(&now, "secondary")];
        // What a person does at the portal when the status shows another thumbprint.
        if both != registered
            && let Some(primary) = &both[0]
        {
            put_thumbprints(name, primary, both[1].as_deref());
            known += 1;
            registered = both;
        }
        let accepted = now["proof"] == "Accepted";
        if known >= 3 && accepted { Ok(()) } else { Err(now.to_string()) }
    });
    let seen = values(name, "Count").len();
    let all = plant.eventually("it goes on", 60, || {
        let all = values(name, "Count");
        if all.len() > seen + 5 { Ok(all) } else { Err(format!("{} events", all.len())) }
    });
    assert_no_gap(name, &all);
    assert_eq!(at_hub(name).map(|d| d.takeovers), Some(0));
    let restarts = plant.kubectl(&[
        "get",
        "pods",
        "-l",
        &format!("lanyard.dev/device={name}"),
        "-o",
        "jsonpath={.items[*].status.containerStatuses[0].restartCount}",
    ]);
    assert_eq!(restarts.trim(), "0");
}
