//! What can be changed at the emulator of an installation, in the shapes of Azure's REST API. Runs kubectl.

use std::io::Write as _;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};

use crate::installation::{HUB, command, emulator_path, kubectl, repository};

/// Makes or changes what the path names.
///
/// # Panics
/// When the emulator refuses it.
pub fn put(path: &str, body: &Value) -> Value {
    send("replace", path, &body.to_string())
}

/// Asks for an action.
///
/// # Panics
/// When the emulator refuses it.
pub fn post(path: &str, body: &Value) -> Value {
    send("create", path, &body.to_string())
}

/// Removes what the path names.
///
/// # Panics
/// When the emulator refuses it.
pub fn delete(path: &str) {
    let controls = emulator_path().expect("the emulator runs");
    kubectl(&["delete", "--raw", &format!("{controls}/api/{path}")]);
}

/// The API server keeps connections to the emulator, and does not send a request again whose connection ends just then.
const CONNECTION_ENDED: &str = "error trying to reach service";

fn send(verb: &str, path: &str, body: &str) -> Value {
    let mut said = try_send(verb, path, body);
    for _ in 0..10 {
        if !said.as_ref().is_err_and(|said| said.contains(CONNECTION_ENDED)) {
            break;
        }
        std::thread::sleep(Duration::from_secs(1));
        said = try_send(verb, path, body);
    }
    let answer = said.as_deref().unwrap_or_default();
    assert!(said.is_ok(), "{verb} {path}: {said:?}");
    serde_json::from_str(answer).expect("the emulator answers JSON")
}

fn try_send(verb: &str, path: &str, body: &str) -> Result<String, String> {
    let tool = repository().join("target/kubernetes/bin/kubectl").display().to_string();
    let mut child = command(&tool)
        .args([verb, "--raw", &format!("{}/api/{path}", emulator_path()?), "-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("kubectl can be started");
    child.stdin.take().expect("it is piped").write_all(body.as_bytes()).expect("kubectl reads it");
    let output = child.wait_with_output().expect("kubectl ends");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(said);
    }
    Err(said + &String::from_utf8_lossy(&output.stderr))
}

/// An enrollment group with keys.
pub fn put_key_group(id: &str, primary: &str, secondary: &str) {
    let keys = json!({"primaryKey": primary, "secondaryKey": secondary});
    let attestation = json!({"type": "symmetricKey", "symmetricKey": keys});
    put(&format!("enrollmentGroups/{id}"), &json!({"attestation": attestation}));
}

/// An enrollment group with CAs that were uploaded and verified.
pub fn put_ca_group(id: &str, primary: &str, secondary: Option<&str>) {
    let references = match secondary {
        Some(secondary) => json!({"primary": primary, "secondary": secondary}),
        None => json!({"primary": primary}),
    };
    let attestation = json!({"type": "x509", "x509": {"caReferences": references}});
    put(&format!("enrollmentGroups/{id}"), &json!({"attestation": attestation}));
}

/// Uploads a CA that is not verified yet, and gives the code that asks for its proof of possession.
///
/// # Panics
/// When the emulator refuses it.
#[must_use]
pub fn upload_ca(name: &str, pem: &str) -> String {
    put(&format!("certificates/{name}"), &json!({"properties": {"certificate": pem}}));
    let shown = post(&format!("certificates/{name}/generateVerificationCode"), &json!({}));
    shown["properties"]["verificationCode"].as_str().expect("a code was asked for").to_owned()
}

/// Gives the proof of possession.
pub fn verify_ca(name: &str, proof: &str) {
    post(&format!("certificates/{name}/verify"), &json!({"certificate": proof}));
}

/// A device at the hub that is known by the thumbprints of its certificates.
pub fn put_thumbprints(device: &str, primary: &str, secondary: Option<&str>) {
    let thumbprints = match secondary {
        Some(secondary) => json!({"primaryThumbprint": primary, "secondaryThumbprint": secondary}),
        None => json!({"primaryThumbprint": primary}),
    };
    let authentication = json!({"type": "selfSigned", "x509Thumbprint": thumbprints});
    put(&format!("hubs/{HUB}/devices/{device}"), &json!({"authentication": authentication}));
}
