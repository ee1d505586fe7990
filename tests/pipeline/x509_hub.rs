//! Devices that go straight to a hub with a certificate: thumbprints, CAs, and what is wrong with a certificate.

use lanyard_handoff::fingerprint::Fingerprint;
use lanyard_handoff::status::DeviceStatus;
use lanyard_tests::agent::Setup;
use lanyard_tests::emulator::Emulator;
use lanyard_tests::process::eventually;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};

use crate::certificate_maker::{self, Ca, Leaf};
use crate::fixture::{
    PRIMARY, RAMP, SECONDARY, assert_streams, credential, device, document, press, wait_for_accepted,
    wait_for_ramp,
};

/// Starts a hub with press-17, which has this authentication, and with these CAs, which are verified.
pub(crate) fn hub(authentication: &Value, cas: &[&Ca]) -> Emulator {
    Emulator::start(&hub_config(&json!([{"deviceId": "press-17", "authentication": authentication}]), cas))
}

fn hub_config(devices: &Value, cas: &[&Ca]) -> String {
    let certificate = |(number, ca): (usize, &&Ca)| {
        json!({"name": format!("ca-{number}"),
        "properties": {"certificate": ca.pem, "isVerified": true}})
    };
    let certificates: Vec<Value> = cas.iter().enumerate().map(certificate).collect();
    json!({"certificates": certificates, "hubs": [{"hostName": "localhost", "devices": devices}]}).to_string()
}

/// Returns the registration of a device with these thumbprints.
pub(crate) fn thumbprints(primary: &Leaf, secondary: Option<&Leaf>) -> Value {
    let secondary = secondary.map(|leaf| leaf.fingerprint.as_str());
    let mut thumbprints = json!({"primaryThumbprint": primary.fingerprint.as_str()});
    if let Some(secondary) = secondary {
        thumbprints["secondaryThumbprint"] = secondary.into();
    }
    json!({"type": "selfSigned", "x509Thumbprint": thumbprints})
}

/// Returns a setup for press-17 with this certificate.
pub(crate) fn setup(emulator: &Emulator, leaf: &Leaf) -> Setup {
    Setup::new(&press(emulator))
        .certificate("press-17", &leaf.chain, &leaf.key)
        .ca("press-17", &emulator.ca())
}

#[test]
fn every_kind_of_key_streams_and_its_expiry_is_in_the_metrics() {
    let kinds = [
        ("p256", &rcgen::PKCS_ECDSA_P256_SHA256),
        ("p384", &rcgen::PKCS_ECDSA_P384_SHA384),
        ("rsa", &rcgen::PKCS_RSA_SHA256),
    ];
    let leafs =
        kinds.map(|(id, kind)| (id, certificate_maker::self_signed_with(id, kind, certificate_maker::YEAR)));
    let devices: Vec<Value> = leafs
        .iter()
        .map(|(id, leaf)| json!({"deviceId": id, "authentication": thumbprints(leaf, None)}))
        .collect();
    let emulator = Emulator::start(&hub_config(&devices.into(), &[]));
    let at = format!("localhost:{}", emulator.mqtt.port());
    let documents: Vec<String> =
        leafs.iter().map(|(id, _)| device(id, id, &at, RAMP, "interval: 250ms")).collect();
    let mut setup = Setup::new(&document(&documents));
    for (id, leaf) in &leafs {
        setup = setup.certificate(id, &leaf.chain, &leaf.key).ca(id, &emulator.ca());
    }
    // Nothing is renewed that has no token.
    let agent = setup.arguments(&["--token-ttl", "2s"]).start();
    for (id, leaf) in &leafs {
        wait_for_accepted(&agent, id, &leaf.fingerprint);
        assert_streams(&emulator, &agent, id);
        assert_eq!(emulator.device(id).unwrap()["connections"], 1);
        let metrics = agent.metrics();
        let expiry = |kind: &str| {
            metrics.get(&format!(
                "lanyard_credential_expiry_timestamp_seconds{{device=\"{id}\",kind=\"{kind}\"}}"
            ))
        };
        let left = expiry("X509").unwrap() - jiff::Timestamp::now().as_second() as f64;
        assert!((364.0 * 86_400.0..366.0 * 86_400.0).contains(&left), "{left}");
        assert_eq!(expiry("SasToken"), None);
    }
}

#[test]
fn ca_is_trusted_through_the_whole_chain() {
    let root = Ca::root("Plant root");
    let leaf = root.intermediate("Plant A").intermediate("Line 3").leaf("press-17");
    let emulator = hub(&json!({"type": "certificateAuthority"}), &[&root]);
    let alone = leaf.chain.split_inclusive("-----END CERTIFICATE-----\n").next().unwrap();
    let agent = setup(&emulator, &leaf).certificate("press-17", alone, &leaf.key).start();
    let refused = agent.wait_for_reason("press-17", "Unauthorized");
    assert!(refused.connection.message.contains("every CA between"), "{}", refused.connection.message);
    assert!(refused.connection.message.contains(leaf.fingerprint.as_str()), "{}", refused.connection.message);
    agent.setup.set_certificate("press-17", &leaf.chain, &leaf.key);
    wait_for_accepted(&agent, "press-17", &leaf.fingerprint);
    assert_streams(&emulator, &agent, "press-17");
}

#[test]
fn a_certificate_of_another_device_is_refused() {
    let root = Ca::root("Plant root");
    let emulator = hub(&json!({"type": "certificateAuthority"}), &[&root]);
    let agent = setup(&emulator, &root.leaf("press-18")).start();
    let refused = agent.wait_for_reason("press-17", "Unauthorized");
    assert!(
        refused.connection.message.contains("for the name \"press-17\""),
        "{}",
        refused.connection.message
    );
}

/// A certificate is replaced by hand, one file after the other.
#[test]
fn a_half_written_pair_changes_nothing() {
    let (old, new) = (certificate_maker::self_signed("press-17"), certificate_maker::self_signed("press-17"));
    let emulator = hub(&thumbprints(&old, Some(&new)), &[]);
    let agent = setup(&emulator, &old).start();
    wait_for_ramp(&emulator, 10);
    let unreadable = |words: &str| {
        let text = |device: &DeviceStatus| credential(device).unreadable.unwrap_or_default();
        let device = agent.wait_for(words, "press-17", |device| text(device).contains(words));
        assert_eq!(device.connection.reason.as_str(), "Connected");
        text(&device)
    };
    agent.setup.write("credentials/press-17/tls.crt", &new.chain);
    let message = unreadable("not the key of the first certificate");
    assert!(message.contains("press-17/tls.key"), "{message}");
    agent.setup.write("credentials/press-17/tls.key", "");
    assert!(unreadable("missing or empty").contains("press-17/tls.key"));
    agent.setup.write("credentials/press-17/sharedAccessKey", PRIMARY);
    assert!(unreadable("remove the one").contains("tls.crt"));
    agent.setup.remove("credentials/press-17/sharedAccessKey");
    assert_eq!(emulator.device("press-17").unwrap()["connections"], 1);
    agent.setup.write("credentials/press-17/tls.key", &new.key);
    wait_for_accepted(&agent, "press-17", &new.fingerprint);
    assert_eq!(credential(&agent.device("press-17").unwrap()).unreadable, None);
    assert_streams(&emulator, &agent, "press-17");
    let device = emulator.device("press-17").unwrap();
    assert_eq!((device["connections"].as_u64(), device["refusals"].as_u64()), (Some(2), Some(0)));
    assert!(!agent.log().contains("PRIVATE KEY"));
}

#[test]
fn expired_certificate_is_reported_without_a_connection() {
    let old = certificate_maker::self_signed_with("press-17", &rcgen::PKCS_ECDSA_P256_SHA256, -7200..-3600);
    let new = certificate_maker::self_signed("press-17");
    let emulator = hub(&thumbprints(&old, Some(&new)), &[]);
    let agent = setup(&emulator, &old).start();
    let expired = agent.wait_for_reason("press-17", "CredentialExpired");
    assert!(expired.connection.message.contains(old.fingerprint.as_str()), "{}", expired.connection.message);
    assert!(expired.connection.message.contains("renew it"), "{}", expired.connection.message);
    assert_eq!(agent.get("/readyz").status, 503);
    agent.setup.set_certificate("press-17", &new.chain, &new.key);
    wait_for_accepted(&agent, "press-17", &new.fingerprint);
    assert_eq!(emulator.device("press-17").unwrap()["refusals"], 0);
    // While another one works, an expired one costs nothing at all.
    agent.setup.set_certificate("press-17", &old.chain, &old.key);
    crate::fixture::wait_for_refused(&agent, "press-17", &old.fingerprint);
    assert_streams(&emulator, &agent, "press-17");
    assert_eq!(emulator.device("press-17").unwrap()["connections"], 1);
}

/// The device's clock is behind, or that of whoever made the certificate is ahead.
#[test]
fn certificate_is_used_once_it_becomes_valid() {
    let (old, kind) = (certificate_maker::self_signed("press-17"), &rcgen::PKCS_ECDSA_P256_SHA256);
    let new = certificate_maker::self_signed_with("press-17", kind, 5..86_400);
    let emulator = hub(&thumbprints(&old, Some(&new)), &[]);
    let agent = setup(&emulator, &old).start();
    wait_for_ramp(&emulator, 5);
    agent.setup.set_certificate("press-17", &new.chain, &new.key);
    let message = crate::fixture::wait_for_refused(&agent, "press-17", &new.fingerprint);
    assert!(message.contains("is not valid before"), "{message}");
    wait_for_accepted(&agent, "press-17", &new.fingerprint);
    assert_streams(&emulator, &agent, "press-17");
    let device = emulator.device("press-17").unwrap();
    assert_eq!((device["connections"].as_u64(), device["refusals"].as_u64()), (Some(2), Some(0)));
}

#[test]
fn sole_certificate_is_used_before_it_is_valid() {
    let leaf = certificate_maker::self_signed_with("press-17", &rcgen::PKCS_ECDSA_P256_SHA256, 5..86_400);
    let emulator = hub(&thumbprints(&leaf, None), &[]);
    let agent = setup(&emulator, &leaf).start();
    let refused = agent.wait_for_reason("press-17", "Unauthorized");
    assert!(refused.connection.message.contains("clock"), "{}", refused.connection.message);
    wait_for_accepted(&agent, "press-17", &leaf.fingerprint);
    assert_streams(&emulator, &agent, "press-17");
}

#[test]
fn a_device_goes_from_a_key_to_a_certificate() {
    let leaf = certificate_maker::self_signed("press-17");
    let keys = json!({"primaryKey": PRIMARY, "secondaryKey": SECONDARY});
    let emulator = hub(&json!({"type": "sas", "symmetricKey": keys}), &[]);
    let config = press(&emulator);
    let setup = Setup::new(&config).key("press-17", PRIMARY).ca("press-17", &emulator.ca());
    let agent = setup.arguments(&["--credential-retry", "3s"]).start();
    wait_for_ramp(&emulator, 10);
    agent.setup.write("credentials/press-17/previousSharedAccessKey", PRIMARY);
    agent.setup.set_certificate("press-17", &leaf.chain, &leaf.key);
    agent.setup.remove("credentials/press-17/sharedAccessKey");
    crate::fixture::wait_for_refused(&agent, "press-17", &leaf.fingerprint);
    assert_streams(&emulator, &agent, "press-17");
    crate::controls::put(
        &emulator,
        "/api/hubs/localhost/devices/press-17",
        &json!({"deviceId": "press-17", "authentication": thumbprints(&leaf, None)}),
    );
    wait_for_accepted(&agent, "press-17", &leaf.fingerprint);
    assert_streams(&emulator, &agent, "press-17");
    let expiry = "lanyard_credential_expiry_timestamp_seconds{device=\"press-17\",kind=";
    eventually("the token's expiry is gone", lanyard_tests::process::LIMIT, || {
        let metrics = agent.metrics();
        (metrics.get(&format!("{expiry}\"X509\"}}")).is_some()
            && metrics.get(&format!("{expiry}\"SasToken\"}}")).is_none())
        .then_some(())
    });
}

/// `openssl x509 -req -signkey` without an extension file makes version 1, as in Azure's tutorial.
#[test]
fn version_1_certificate_streams() {
    let chain = include_str!("../../operator/tests/stages/version-1.crt").to_owned();
    let key = include_str!("../../operator/tests/stages/version-1.key").to_owned();
    let der = CertificateDer::from_pem_slice(chain.as_bytes()).unwrap();
    let leaf = Leaf { fingerprint: Fingerprint::of_certificate(&der), chain, key };
    let devices = json!([{"deviceId": "dev1", "authentication": thumbprints(&leaf, None)}]);
    let emulator = Emulator::start(&hub_config(&devices, &[]));
    let at = format!("localhost:{}", emulator.mqtt.port());
    let document = document(&[device("dev1", "dev1", &at, RAMP, "interval: 250ms")]);
    let setup = Setup::new(&document).certificate("dev1", &leaf.chain, &leaf.key).ca("dev1", &emulator.ca());
    let agent = setup.start();
    wait_for_accepted(&agent, "dev1", &leaf.fingerprint);
    assert_streams(&emulator, &agent, "dev1");
}

/// A server refuses the whole chain when a certificate in it has ended, so the agent does not ask.
#[test]
fn ended_intermediate_is_named_by_its_place() {
    let leaf = certificate_maker::self_signed("press-17");
    let kind = &rcgen::PKCS_ECDSA_P256_SHA256;
    let ended = certificate_maker::self_signed_with("Plant CA", kind, -7200..-3600);
    let root = certificate_maker::self_signed_with("Plant root", kind, -7200..-3600);
    let emulator = hub(&thumbprints(&leaf, None), &[]);
    let chain = format!("{}{}{}", leaf.chain, ended.chain, root.chain);
    let agent = setup(&emulator, &Leaf { chain, ..leaf }).start();
    let expired = agent.wait_for_reason("press-17", "CredentialExpired");
    let message = expired.connection.message;
    assert!(message.starts_with("certificate 2 in tls.crt, an intermediate CA of"), "{message}");
    assert_eq!(emulator.device("press-17").unwrap()["refusals"], 0);
}
