//! Changing a running emulator through its web port (ref §9.2, §9.7, §11.1, §11.5).

use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::pki::{Ca, DEV1};
use crate::running::{K32, Running, directory, serve};

const CONFIG: &str = "
hubs: [{hostName: one.example}, {hostName: two.example}]
dps: [{idScope: 0ne00ABCDEF}]
";

fn start() -> Running {
    let dir = directory();
    let command = serve(&dir, CONFIG);
    Running::spawn(dir, command)
}

fn put(running: &Running, path: &str, body: &Value) -> Value {
    let (status, answer) = running.http_with("PUT", path, &body.to_string());
    assert_eq!(status, 200, "{path}: {answer}");
    serde_json::from_str(&answer).unwrap()
}

fn get(running: &Running, path: &str) -> Value {
    let (status, answer) = running.http("GET", path);
    assert_eq!(status, 200, "{path}: {answer}");
    serde_json::from_str(&answer).unwrap()
}

fn by_key() -> Value {
    json!({"type": "symmetricKey", "symmetricKey": {"primaryKey": K32}})
}

/// A shown object can be sent back without an effect; missing fields stay unchanged; keys are not shown.
#[test]
fn shown_object_can_be_sent_back() {
    let running = start();
    let root = Ca::root("root");
    put(
        &running,
        "/api/certificates/root",
        &json!({"properties": {"certificate": root.pem(), "isVerified": true}}),
    );
    let leafs = json!({"clientCertificates": {"primary": {"certificate": DEV1}}});
    for (path, body) in [
        (
            "/api/hubs/one.example/devices/a",
            json!({"authentication": {"type": "sas", "symmetricKey": {"primaryKey": K32}}}),
        ),
        (
            "/api/hubs/one.example/devices/b",
            json!({"status": "disabled", "authentication": {"type": "certificateAuthority"}}),
        ),
        (
            "/api/hubs/one.example/devices/c",
            json!({"authentication": {"type": "selfSigned",
                "x509Thumbprint": {"secondaryThumbprint": "8e15ff30aa2b351ddb56fcdca4496796b3591a2a"}}}),
        ),
        (
            "/api/enrollmentGroups/keys",
            json!({"attestation": by_key(), "iotHubs": ["two.example"],
                "reprovisionPolicy": {"updateHubAssignment": false, "migrateDeviceData": false}}),
        ),
        (
            "/api/enrollmentGroups/names",
            json!({"attestation": {"type": "x509", "x509": {"caReferences": {"primary": "root"}}}}),
        ),
        (
            "/api/enrollments/dev1",
            json!({"deviceId": "press", "allocationPolicy": "static", "attestation": {"type": "x509", "x509": leafs}}),
        ),
    ] {
        let made = put(&running, path, &body);
        assert!(!made.to_string().contains(K32), "{made}");
        assert_eq!(put(&running, path, &made), made, "{path}");
        assert_eq!(put(&running, path, &json!({})), made, "{path}");
        assert_eq!(get(&running, path), made);
    }
    let root = get(&running, "/api/certificates/root");
    assert_eq!(put(&running, "/api/certificates/root", &root)["properties"]["isVerified"], true);
    assert_eq!(
        get(&running, "/api/hubs/one.example/devices/c")["authentication"],
        json!({"type": "selfSigned", "x509Thumbprint": {"primaryThumbprint": null,
            "secondaryThumbprint": "8E15FF30AA2B351DDB56FCDCA4496796B3591A2A"}})
    );
    assert_eq!(
        get(&running, "/api/enrollmentGroups/keys"),
        json!({
            "enrollmentGroupId": "keys",
            "attestation": {"type": "symmetricKey"},
            "provisioningStatus": "enabled",
            "allocationPolicy": "hashed",
            "iotHubs": ["two.example"],
            "reprovisionPolicy": {"updateHubAssignment": false, "migrateDeviceData": false},
        })
    );
}

/// Ref §11.1, §11.5: 404 and 204.
#[test]
fn removed_object_is_not_found() {
    let running = start();
    put(&running, "/api/certificates/root", &json!({"properties": {"certificate": Ca::root("root").pem()}}));
    put(
        &running,
        "/api/hubs/one.example/devices/a",
        &json!({"authentication": {"type": "certificateAuthority"}}),
    );
    put(&running, "/api/enrollmentGroups/g", &json!({"attestation": by_key()}));
    put(&running, "/api/enrollments/e", &json!({"attestation": by_key()}));
    for path in [
        "/api/certificates/root",
        "/api/hubs/one.example/devices/a",
        "/api/enrollmentGroups/G",
        "/api/enrollments/E",
    ] {
        assert_eq!(running.http("DELETE", path).0, 204, "{path}");
        for method in ["GET", "DELETE"] {
            let (status, answer) = running.http(method, path);
            assert_eq!(status, 404, "{path}: {answer}");
        }
    }
    for (path, names) in [
        ("/api/hubs/three.example/devices/a", "use one.example, two.example"),
        ("/api/enrollmentGroups/g?idScope=0ne1", "use 0ne00ABCDEF"),
        ("/api/certificates/x/generateVerificationCode", "PUT /api/certificates/x uploads it"),
    ] {
        let method = if path.ends_with("Code") { "POST" } else { "GET" };
        let (status, answer) = running.http(method, path);
        assert!(status == 404 && answer.contains(names), "{answer}");
    }
}

/// The same words as for the configuration file: field, cause and fix. No key is repeated, no file read.
#[test]
fn errors_name_field_and_fix() {
    let running = start();
    put(
        &running,
        "/api/enrollments/one",
        &json!({"attestation": {"type": "x509", "x509": {"clientCertificates": {"primary": {"certificate": DEV1}}}}}),
    );
    let (device, group, individual) =
        ("/api/hubs/one.example/devices/a", "/api/enrollmentGroups/g", "/api/enrollments/e");
    let x509 = |x509: Value| json!({"attestation": {"type": "x509", "x509": x509}});
    for (path, body, expected) in [
        (device, json!({}), "authentication.symmetricKey: is missing: give primaryKey"),
        (device, json!([]), "the body is no JSON object"),
        (device, json!({"deviceId": "b"}), "deviceId: is not the \"a\" of the path"),
        (device, json!({"authentification": {}}), "did you mean authentication?"),
        (device, json!({"status": "off"}), "status: \"off\" is not supported: use enabled or disabled"),
        (
            device,
            json!({"authentication": {"type": "selfSigned"}}),
            "authentication.x509Thumbprint: is missing",
        ),
        (device, json!({"authentication": {"type": "tpm"}}), "use sas, selfSigned or certificateAuthority"),
        (
            device,
            json!({"authentication": {"symmetricKey": {"primaryKeyFile": "/etc/passwd"}}}),
            "primaryKeyFile: files are read at the start only",
        ),
        (
            device,
            json!({"authentication": {"symmetricKey": {"primaryKey": format!("{K32}!")}}}),
            "primaryKey: the key is not base64",
        ),
        (
            group,
            x509(json!({"clientCertificates": {"primary": {"certificate": DEV1}}})),
            "a group has either signingCertificates or caReferences",
        ),
        (
            group,
            x509(json!({"signingCertificates": {"primary": {"certificate": DEV1}}})),
            "primary.certificate: is not a CA",
        ),
        (group, x509(json!({"caReferences": {"primary": "root"}})), "\"root\" is none of the certificates"),
        (
            group,
            json!({"attestation": by_key(), "iotHubs": ["three.example"]}),
            "iotHubs[0]: \"three.example\" is none of the hubs",
        ),
        (
            individual,
            x509(json!({"clientCertificates": {"primary": {"certificate": DEV1}}})),
            "one and e have the same certificate",
        ),
        (
            individual,
            x509(json!({"clientCertificates": {"primary": {"certificate": "x"}}})),
            "primary.certificate: is neither PEM nor base64",
        ),
        ("/api/certificates/c", json!({}), "properties.certificate: is missing"),
        (
            "/api/certificates/c",
            json!({"properties": {"certificate": DEV1}}),
            "properties.certificate: is not a CA",
        ),
    ] {
        let (status, answer) = running.http_with("PUT", path, &body.to_string());
        assert!(status == 400 && answer.contains(expected), "{expected}: {status} {answer}");
        assert!(!answer.contains(K32), "{answer}");
    }
    assert_eq!(running.http_with("PUT", device, "{").0, 400);
    assert_eq!(running.http("GET", device).0, 404, "nothing was made");
}

/// Ref §9.2, step by step, and how each step goes wrong.
#[test]
fn a_ca_is_verified_by_proof_of_possession() {
    let running = start();
    let root = Ca::root("root");
    let made = put(&running, "/api/certificates/root", &json!({"properties": {"certificate": root.pem()}}));
    assert_eq!(
        (&made["properties"]["isVerified"], &made["properties"]["subject"]),
        (&json!(false), &json!("CN=root"))
    );
    let verify = |proof: &str| {
        let body = json!({"certificate": proof}).to_string();
        running.http_with("POST", "/api/certificates/root/verify", &body)
    };
    let refused = |proof: &str, why: &str| {
        let (status, answer) = verify(proof);
        assert!(status == 400 && answer.contains(why), "{why}: {status} {answer}");
    };
    let code = || {
        let (_, answer) = running.http("POST", "/api/certificates/root/generateVerificationCode");
        let answer: Value = serde_json::from_str(&answer).unwrap();
        answer["properties"]["verificationCode"].as_str().unwrap().to_owned()
    };
    refused(&root.leaf("code").pem(), "no verification code was made");
    let first = code();
    assert!(first.len() == 48 && first.bytes().all(|byte| byte.is_ascii_hexdigit()), "{first}");
    let second = code();
    assert_ne!(first, second);
    refused(&root.leaf(&first).pem(), &format!("it must be the verification code {second}"));
    refused(&Ca::root("root").leaf(&second).pem(), "is not signed by the key of \"root\"");
    refused("x", "certificate: is neither PEM nor base64");
    assert_eq!(get(&running, "/api/certificates/root")["properties"]["isVerified"], false);
    let (status, answer) = verify(&root.leaf(&second).pem());
    assert_eq!(status, 200, "{answer}");
    assert_eq!(get(&running, "/api/certificates/root")["properties"]["isVerified"], true);
    refused(&root.leaf(&second).pem(), "no verification code was made");
    let other = json!({"properties": {"certificate": Ca::root("root").pem()}});
    assert_eq!(
        put(&running, "/api/certificates/root", &other)["properties"]["isVerified"],
        false,
        "another key"
    );
}

/// Keys are in it, so that it is readable for its owner only; and a line that cannot be read does no harm.
#[test]
fn changes_outlive_the_process() {
    let mut running = start();
    put(&running, "/api/enrollmentGroups/g", &json!({"attestation": by_key()}));
    put(
        &running,
        "/api/hubs/two.example/devices/a",
        &json!({"authentication": {"type": "certificateAuthority"}}),
    );
    let path = running.dir.join("data/changes.jsonl");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!running.log().contains(K32), "{}", running.log());
    running.terminate();
    let mut text = std::fs::read_to_string(&path).unwrap();
    text.push_str("\n{\"of\":\"dev");
    std::fs::write(&path, text).unwrap();
    let dir = running.dir.clone();
    let command = serve(&dir, CONFIG);
    let mut running = Running::spawn(dir, command);
    put(
        &running,
        "/api/enrollmentGroups/h",
        &json!({"attestation": {"type": "x509", "x509": {"signingCertificates": {"primary": {"certificate": Ca::root("r").pem()}}}}}),
    );
    let dir = running.dir.clone();
    running.terminate();
    let command = serve(&dir, CONFIG);
    let running = Running::spawn(dir, command);
    for path in ["/api/enrollmentGroups/g", "/api/enrollmentGroups/h", "/api/hubs/two.example/devices/a"] {
        get(&running, path);
    }
    assert!(running.log().contains("failed to parse a line; skipping it"), "{}", running.log());
}
