//! A device that registers with DPS by certificate and then connects to its hub with the same one.

use lanyard_emulator::controls::change::{Action, Done, Target};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::bytes::{Connect, hex, subscribe};
use crate::client::{EARLY, Emulator, HUB};
use crate::pki::{Ca, Der};
use crate::provisioning::{SCOPE, poll, register};

/// Returns the configuration of an uploaded CA certificate.
pub(crate) fn upload(name: &str, ca: &Ca, verified: bool) -> Value {
    json!({"name": name, "properties": {"certificate": ca.pem(), "isVerified": verified}})
}

/// Returns the configuration of a group by uploaded CAs.
pub(crate) fn group_by_name(id: &str, primary: &str, secondary: Option<&str>) -> Value {
    let references = json!({"caReferences": {"primary": primary, "secondary": secondary}});
    json!({"enrollmentGroupId": id, "attestation": {"type": "x509", "x509": references}})
}

/// Returns the configuration of a group by its own CA.
pub(crate) fn group_by_certificate(id: &str, ca: &Ca) -> Value {
    let signers = json!({"signingCertificates": {"primary": {"certificate": ca.pem()}}});
    json!({"enrollmentGroupId": id, "attestation": {"type": "x509", "x509": signers}})
}

/// Returns the configuration of an individual enrollment by its own certificates.
pub(crate) fn individual(registration_id: &str, primary: &str, secondary: Option<&str>) -> Value {
    let mut leafs = json!({"primary": {"certificate": primary}});
    if let Some(secondary) = secondary {
        leafs["secondary"] = json!({"certificate": secondary});
    }
    let attestation = json!({"type": "x509", "x509": {"clientCertificates": leafs}});
    json!({"registrationId": registration_id, "attestation": attestation})
}

/// Creates an emulator with these certificates and enrollments, one hub and one DPS.
pub(crate) fn emulator(certificates: &[Value], groups: &[Value], individuals: &[Value]) -> Emulator {
    let dps = json!({"idScope": SCOPE, "enrollmentGroups": groups, "enrollments": individuals});
    let config = json!({"hubs": [{"hostName": HUB}], "certificates": certificates, "dps": [dps]});
    Emulator::with(&config.to_string(), EARLY, None)
}

/// Returns a CONNECT to DPS without a password.
pub(crate) fn connect(registration_id: &str) -> Connect {
    let user = format!("{SCOPE}/registrations/{registration_id}/api-version=2019-03-31");
    Connect { clean: true, password: None, ..Connect::new(registration_id, &user, "") }
}

/// Returns the answer to a CONNECT at DPS.
pub(crate) async fn greeting(emulator: &Emulator, registration_id: &str, chain: &[Der]) -> String {
    let mut client = emulator.client_with(chain);
    client.send(&connect(registration_id).bytes()).await;
    client.send(&hex("e000")).await;
    client.rest().await
}

/// Registers a device, and polls once if it is not assigned at once; returns the status in the topic of the last
/// answer, and its body.
pub(crate) async fn outcome(emulator: &Emulator, registration_id: &str, chain: &[Der]) -> (u16, Value) {
    let mut client = emulator.client_with(chain);
    client.send(&connect(registration_id).bytes()).await;
    client.expect("20020000").await;
    client.send(&subscribe(1, &[("$dps/registrations/res/#", 1)])).await;
    client.expect("9003000101").await;
    let body = json!({"registrationId": registration_id}).to_string();
    let (mut topic, mut answer) = register(&mut client, "r", &body).await;
    if topic.starts_with("$dps/registrations/res/202/") {
        (topic, answer) = poll(&mut client, "p", answer["operationId"].as_str().unwrap()).await;
    }
    (topic.split('/').nth(3).unwrap().parse().unwrap(), answer)
}

/// Expects that a registration is assigned; returns the group that it was assigned by, the hub and the id there.
pub(crate) async fn assignment(
    emulator: &Emulator,
    registration_id: &str,
    chain: &[Der],
) -> (Value, Value, Value) {
    let (status, answer) = outcome(emulator, registration_id, chain).await;
    assert_eq!((status, &answer["status"]), (200, &json!("assigned")), "{answer}");
    let state = &answer["registrationState"];
    (state["x509"]["enrollmentGroupId"].clone(), state["assignedHub"].clone(), state["deviceId"].clone())
}

/// Returns whether a hub accepts this chain for this device.
pub(crate) async fn hub_takes(emulator: &Emulator, hub: &str, device: &str, chain: &[Der]) -> bool {
    let user = format!("{hub}/{device}/?api-version=2021-04-12");
    let mut client = emulator.client_with(chain);
    client.send(&Connect { clean: true, password: None, ..Connect::new(device, &user, "") }.bytes()).await;
    client.send(&hex("e000")).await;
    match client.rest().await.as_str() {
        "20020000" => true,
        "20020005" => false,
        other => panic!("{other}"),
    }
}

/// Changes a group.
pub(crate) fn put_group(emulator: &Emulator, id: &str, body: &Value) -> Done {
    let target = Target::Group { id_scope: None, enrollment_group_id: id.into() };
    emulator.change(target, put(body)).unwrap()
}

pub(crate) fn put(body: &Value) -> Action {
    Action::Put(Zeroizing::new(body.to_string()))
}
