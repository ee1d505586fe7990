//! Certificates, in files shaped like Lanyard's Secrets: `tls.crt` with leaf and chain, `tls.key` in PKCS#8 (ref §9).

use lanyard_protocol::hub::id::DeviceId;
use lanyard_tests::scratch::Scratch;
use serde_json::{Value, json};

use crate::cases::{Bench, messages, unauthorized};
use crate::certificate_maker::{Ca, Leaf, self_signed, self_signed_with};
use crate::script::{Sdk, run};

const ID: &str = "pump-7";
const SCOPE: &str = "0ne00ABCDEF";

/// Starts an emulator with one hub and one DPS, with these devices, certificates and enrollments.
fn bench(devices: &Value, certificates: &Value, groups: &Value, individuals: &Value) -> Bench {
    let dps = json!({"idScope": SCOPE, "enrollmentGroups": groups, "enrollments": individuals});
    Bench::with(|host| {
        let hub = json!({"hostName": host, "devices": devices});
        json!({"hubs": [hub], "certificates": certificates, "dps": [dps]}).to_string()
    })
}

fn by_device(devices: &Value, certificates: &Value) -> Bench {
    bench(devices, certificates, &json!([]), &json!([]))
}

fn upload(name: &str, ca: &Ca, verified: bool) -> Value {
    json!({"name": name, "properties": {"certificate": ca.pem, "isVerified": verified}})
}

fn by_name(name: &str) -> Value {
    let attestation = json!({"type": "x509", "x509": {"caReferences": {"primary": name}}});
    json!([{"enrollmentGroupId": "plant", "attestation": attestation}])
}

/// Returns the registration of a device by the thumbprints of these certificates.
fn known(primary: &Leaf, secondary: Option<&Leaf>) -> Value {
    let text = |leaf: &Leaf| leaf.fingerprint.to_string();
    let thumbprints = json!({"primaryThumbprint": text(primary), "secondaryThumbprint": secondary.map(text)});
    json!([{"deviceId": ID, "authentication": {"type": "selfSigned", "x509Thumbprint": thumbprints}}])
}

fn by_authority() -> Value {
    json!([{"deviceId": ID, "authentication": {"type": "certificateAuthority"}}])
}

/// Runs a script with a certificate's files.
fn with_files(sdk: Sdk, script: &str, bench: &Bench, leaf: &Leaf, more: &Value) -> Value {
    let files = Scratch::new("sdk");
    let own = json!({
        "certificate": files.write("tls.crt", &leaf.chain),
        "key": files.write("tls.key", &leaf.key),
        "messages": messages(3),
    });
    run(sdk, script, &bench.arguments(&own, more))
}

fn connect(sdk: Sdk, bench: &Bench, leaf: &Leaf) -> Value {
    with_files(sdk, "connect_x509", bench, leaf, &json!({"hub": bench.host, "deviceId": ID}))
}

fn register(sdk: Sdk, bench: &Bench, leaf: &Leaf) -> Value {
    with_files(sdk, "register_x509", bench, leaf, &json!({"registrationId": ID, "idScope": SCOPE}))
}

/// Registers through DPS, connects to the hub, and checks that three messages arrive.
fn streams(sdk: Sdk, bench: &Bench, leaf: &Leaf) {
    let assigned =
        json!({"status": "assigned", "hub": bench.host, "deviceId": ID, "substatus": "initialAssignment"});
    assert_eq!(register(sdk, bench, leaf), assigned);
    bench.check_arrival(ID, &messages(3));
}

/// Connects with every kind of key that Lanyard makes; the hub has the thumbprint in the secondary slot.
pub(crate) fn connects_with_a_self_signed_certificate(sdk: Sdk) {
    let other = self_signed(ID);
    for algorithm in [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P384_SHA384, &rcgen::PKCS_RSA_SHA256]
    {
        let leaf = self_signed_with(ID, algorithm, crate::certificate_maker::YEAR);
        let bench = by_device(&known(&other, Some(&leaf)), &json!([]));
        assert_eq!(connect(sdk, &bench, &leaf), json!({"sent": 3}));
        bench.check_arrival(ID, &messages(3));
        assert_eq!(bench.emulator.device(ID).unwrap()["takeovers"], 0);
    }
}

pub(crate) fn connects_with_a_certificate_of_a_verified_ca(sdk: Sdk) {
    let root = Ca::root("root");
    let bench = by_device(&by_authority(), &json!([upload("root", &root, true)]));
    for ca in [&root, &root.intermediate("plant")] {
        assert_eq!(connect(sdk, &bench, &ca.leaf(ID)), json!({"sent": 3}));
    }
}

/// Ref §1.10, §9.5.
pub(crate) fn connecting_with_another_thumbprint_fails(sdk: Sdk) {
    let bench = by_device(&known(&self_signed(ID), None), &json!([]));
    unauthorized(sdk, &connect(sdk, &bench, &self_signed(ID)));
    let reason = bench.emulator.device(ID).unwrap()["lastRefusal"].to_string();
    assert!(reason.contains("Thumbprint does not match configuration"), "{reason}");
}

/// Ref §9.2: until its proof of possession.
pub(crate) fn connecting_with_a_certificate_of_an_unverified_ca_fails(sdk: Sdk) {
    let root = Ca::root("root");
    let bench = by_device(&by_authority(), &json!([upload("root", &root, false)]));
    let leaf = root.leaf(ID);
    unauthorized(sdk, &connect(sdk, &bench, &leaf));
    let code = bench.emulator.verification_code("root");
    assert!(DeviceId::new(&code).is_ok(), "a common name like any other");
    bench.emulator.verify_certificate("root", &root.leaf(&code).chain).unwrap();
    assert_eq!(connect(sdk, &bench, &leaf), json!({"sent": 3}));
}

pub(crate) fn registers_with_its_own_certificate(sdk: Sdk) {
    let (primary, secondary) = (self_signed(ID), self_signed(ID));
    let slot = |leaf: &Leaf| json!({"certificate": leaf.chain});
    let leafs = json!({"clientCertificates": {"primary": slot(&primary), "secondary": slot(&secondary)}});
    let own = json!([{"registrationId": ID, "attestation": {"type": "x509", "x509": leafs}}]);
    let bench = bench(&json!([]), &json!([]), &json!([]), &own);
    streams(sdk, &bench, &primary);
    assert_eq!(register(sdk, &bench, &secondary)["status"], "assigned");
    refused_registration(sdk, &register(sdk, &bench, &self_signed(ID)));
}

pub(crate) fn registers_by_a_root(sdk: Sdk) {
    let root = Ca::root("root");
    let bench = bench(&json!([]), &json!([upload("root", &root, true)]), &by_name("root"), &json!([]));
    streams(sdk, &bench, &root.leaf(ID));
}

/// Ref §9.1: the whole chain to the verified root.
pub(crate) fn registers_by_an_intermediate(sdk: Sdk) {
    let root = Ca::root("root");
    let (plant, line) = (root.intermediate("plant"), root.intermediate("plant").intermediate("line"));
    let signers = json!({"signingCertificates": {"primary": {"certificate": line.pem}, "secondary": {"certificate": plant.pem}}});
    let groups = json!([{"enrollmentGroupId": "plant", "attestation": {"type": "x509", "x509": signers}}]);
    let bench = bench(&json!([]), &json!([upload("root", &root, true)]), &groups, &json!([]));
    streams(sdk, &bench, &line.leaf(ID));
    let own = plant.leaf(ID);
    let end = "-----END CERTIFICATE-----\n";
    let alone = own.chain[..own.chain.find(end).unwrap() + end.len()].to_owned();
    assert_eq!(register(sdk, &bench, &own)["status"], "assigned");
    refused_registration(sdk, &register(sdk, &bench, &Leaf { chain: alone, ..own }));
}

/// Ref §8.1, §8.3: 401002 "Invalid certificate." in the answer.
pub(crate) fn registering_by_an_unverified_ca_fails(sdk: Sdk) {
    let root = Ca::root("root");
    let bench = bench(&json!([]), &json!([upload("root", &root, false)]), &by_name("root"), &json!([]));
    refused_registration(sdk, &register(sdk, &bench, &root.leaf(ID)));
    refused_registration(sdk, &register(sdk, &bench, &Ca::root("root").leaf(ID)));
    assert_eq!(bench.emulator.device(ID), None);
}

fn refused_registration(sdk: Sdk, answer: &Value) {
    match sdk {
        Sdk::Python => {
            assert_eq!(answer["error"], "ClientError", "{answer}");
            assert!(answer["cause"].as_str().unwrap().contains("status code 401"), "{answer}");
        }
        Sdk::Node => assert_eq!(answer["error"], "UnauthorizedError", "{answer}"),
    }
}

/// Ref §8.1: CONNACK 5.
pub(crate) fn registering_with_another_name_fails(sdk: Sdk) {
    let root = Ca::root("root");
    let bench = bench(&json!([]), &json!([upload("root", &root, true)]), &by_name("root"), &json!([]));
    let answer = register(sdk, &bench, &root.leaf("pump-8"));
    match sdk {
        Sdk::Python => unauthorized(sdk, &answer),
        // Node's DPS client does not translate what MQTT says.
        Sdk::Node => assert_eq!(answer["text"], "Connection refused: Not authorized"),
    }
}

/// Ref §8.2: distinguished from a certificate that is not accepted.
pub(crate) fn registering_while_disabled_fails(sdk: Sdk) {
    let root = Ca::root("root");
    let bench = bench(&json!([]), &json!([upload("root", &root, true)]), &by_name("root"), &json!([]));
    bench.emulator.put_enrollment_group("plant", &json!({"provisioningStatus": "disabled"}));
    let answer = register(sdk, &bench, &root.leaf(ID));
    let message = format!("{}{}", answer["text"], answer["cause"]);
    let expected = match sdk {
        Sdk::Python => "disabled",
        Sdk::Node => "status is disabled",
    };
    assert!(message.contains(expected), "{answer}");
    bench.emulator.put_enrollment_group("plant", &json!({"provisioningStatus": "enabled"}));
    streams(sdk, &bench, &root.leaf(ID));
}
