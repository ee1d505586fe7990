//! Devices that DPS sends to their hub, with certificates: groups under a root or an intermediate CA, individuals, and
//! CAs that change while devices stream.

use lanyard_tests::agent::Setup;
use lanyard_tests::emulator::Emulator;
use serde_json::{Value, json};

use crate::certificate_maker::{self, Ca, Leaf};
use crate::controls;
use crate::fixture::{RAMP, assert_streams, document, wait_for_accepted, wait_for_ramp_of, wait_for_refused};

/// Starts an emulator whose DPS has the group plant-a with this attestation, these individual enrollments, and these
/// CAs, which are verified.
fn emulator(attestation: &Value, individuals: &Value, cas: &[(&str, &Ca)]) -> Emulator {
    let certificate = |(name, ca): &(&str, &Ca)| json!({"name": name, "properties": {"certificate": ca.pem, "isVerified": true}});
    let config = json!({
        "hubs": [{"hostName": "localhost"}],
        "certificates": cas.iter().map(certificate).collect::<Vec<_>>(),
        "dps": [{
            "idScope": "0ne00ABCDEF", "hostName": "localhost",
            "enrollmentGroups": [{"enrollmentGroupId": "plant-a", "attestation": attestation}],
            "enrollments": individuals,
        }],
        "emulator": {"pollsUntilAssigned": 1, "retryAfterSeconds": 1},
    });
    Emulator::start(&config.to_string())
}

fn references(primary: &str, secondary: Option<&str>) -> Value {
    let mut names = json!({"primary": primary});
    if let Some(secondary) = secondary {
        names["secondary"] = secondary.into();
    }
    json!({"type": "x509", "x509": {"caReferences": names}})
}

/// Returns a setup for devices with their certificates.
fn setup(emulator: &Emulator, devices: &[(&str, &Leaf)]) -> Setup {
    let device = |(id, _): &(&str, &Leaf)| {
        format!(
            "{{name: '{id}', deviceId: '{id}', dps: {{endpoint: 'localhost:{}', idScope: 0ne00ABCDEF}}, \
             sources: [{{name: sim, simulator: {{}}}}], tags: [{RAMP}], telemetry: {{interval: 250ms}}}}",
            emulator.mqtt.port()
        )
    };
    let mut setup = Setup::new(&document(&devices.iter().map(device).collect::<Vec<_>>()));
    for (id, leaf) in devices {
        setup = setup.certificate(id, &leaf.chain, &leaf.key).ca(id, &emulator.ca());
    }
    setup
}

#[test]
fn a_group_under_a_root_and_an_individual_stream() {
    let root = Ca::root("Plant root");
    let own = certificate_maker::self_signed("press-17");
    let individual = json!({
        "registrationId": "press-17",
        "attestation": {"type": "x509", "x509": {"clientCertificates": {"primary": {"certificate": own.chain}}}},
    });
    let emulator = emulator(&references("root", None), &json!([individual]), &[("root", &root)]);
    let direct = root.leaf("dev-01");
    let below = root.intermediate("Line 3").leaf("dev-02");
    let agent = setup(&emulator, &[("dev-01", &direct), ("dev-02", &below), ("press-17", &own)]).start();
    for (id, leaf) in [("dev-01", &direct), ("dev-02", &below), ("press-17", &own)] {
        wait_for_accepted(&agent, id, &leaf.fingerprint);
        assert_streams(&emulator, &agent, id);
        assert_eq!(agent.device(id).unwrap().assigned_hub.as_deref(), Some("localhost"));
    }
}

#[test]
fn a_group_under_an_intermediate_streams() {
    let root = Ca::root("Plant root");
    let line = root.intermediate("Line 3");
    let signers = json!({"primary": {"certificate": line.pem}});
    let attestation = json!({"type": "x509", "x509": {"signingCertificates": signers}});
    let emulator = emulator(&attestation, &json!([]), &[("root", &root)]);
    let leaf = line.leaf("dev-01");
    let agent = setup(&emulator, &[("dev-01", &leaf)]).start();
    wait_for_accepted(&agent, "dev-01", &leaf.fingerprint);
    assert_streams(&emulator, &agent, "dev-01");
}

#[test]
fn a_group_moves_to_another_ca_while_it_streams() {
    let (old, new) = (Ca::root("Plant root 2025"), Ca::root("Plant root 2026"));
    let cas = [("old", &old), ("new", &new)];
    let emulator = emulator(&references("old", Some("new")), &json!([]), &cas);
    let ids = ["dev-01", "dev-02", "dev-03", "dev-04", "dev-05"];
    let (before, after): (Vec<Leaf>, Vec<Leaf>) = ids.iter().map(|id| (old.leaf(id), new.leaf(id))).unzip();
    let devices: Vec<(&str, &Leaf)> = ids.into_iter().zip(&before).collect();
    let agent = setup(&emulator, &devices).start();
    for id in ids {
        wait_for_ramp_of(&emulator, id, 10);
    }
    for (id, (old, new)) in ids.iter().zip(before.iter().zip(&after)) {
        agent.setup.set_previous_certificate(id, &old.chain, &old.key);
        agent.setup.set_certificate(id, &new.chain, &new.key);
    }
    for (id, leaf) in ids.iter().zip(&after) {
        wait_for_accepted(&agent, id, &leaf.fingerprint);
        assert_streams(&emulator, &agent, id);
        let device = emulator.device(id).unwrap();
        assert_eq!((device["connections"].as_u64(), device["refusals"].as_u64()), (Some(2), Some(0)), "{id}");
    }
}

#[test]
fn ca_unknown_to_dps_does_not_affect_the_connection() {
    let (known, unknown) = (Ca::root("Plant root"), Ca::root("Another root"));
    let emulator = emulator(&references("root", None), &json!([]), &[("root", &known)]);
    let (leaf, stranger) = (known.leaf("dev-01"), unknown.leaf("dev-01"));
    let agent = setup(&emulator, &[("dev-01", &leaf)]).arguments(&["--credential-retry", "2m"]).start();
    wait_for_ramp_of(&emulator, "dev-01", 10);
    agent.setup.set_previous_certificate("dev-01", &leaf.chain, &leaf.key);
    agent.setup.set_certificate("dev-01", &stranger.chain, &stranger.key);
    let message = wait_for_refused(&agent, "dev-01", &stranger.fingerprint);
    assert!(message.contains("every CA between"), "{message}");
    assert_streams(&emulator, &agent, "dev-01");
    assert_eq!(emulator.device("dev-01").unwrap()["connections"], 1);
    // DPS learns of the CA, and the agent finds out by itself.
    controls::put(
        &emulator,
        "/api/certificates/another",
        &json!({"properties": {"certificate": unknown.pem, "isVerified": true}}),
    );
    let group = json!({"enrollmentGroupId": "plant-a", "attestation": references("root", Some("another"))});
    controls::put(&emulator, "/api/enrollmentGroups/plant-a", &group);
    wait_for_accepted(&agent, "dev-01", &stranger.fingerprint);
    assert_streams(&emulator, &agent, "dev-01");
    assert_eq!(emulator.device("dev-01").unwrap()["connections"], 2);
}
