//! Changes at the emulator of an installation, in the form of Azure's REST API. Runs kubectl.

#![allow(clippy::panic, reason = "a test whose emulator refuses fails")]

use serde_json::{Value, json};

use crate::installation::{HUB, control};

/// Makes or changes what the path names.
///
/// # Panics
/// When the emulator refuses it.
pub fn put(path: &str, body: &Value) -> Value {
    send("put", path, body)
}

/// Asks for an action.
///
/// # Panics
/// When the emulator refuses it.
pub fn post(path: &str, body: &Value) -> Value {
    send("post", path, body)
}

fn send(method: &str, path: &str, body: &Value) -> Value {
    let answer = control(method, &format!("/api/{path}"), Some(&body.to_string()));
    let answer = answer.unwrap_or_else(|error| panic!("{method} {path}: {error}"));
    serde_json::from_str(&answer).expect("the emulator answers JSON")
}

/// Creates or changes an enrollment group with keys.
pub fn put_key_group(id: &str, primary: &str, secondary: &str) {
    let keys = json!({"primaryKey": primary, "secondaryKey": secondary});
    let attestation = json!({"type": "symmetricKey", "symmetricKey": keys});
    put(&format!("enrollmentGroups/{id}"), &json!({"attestation": attestation}));
}

/// Creates or changes an enrollment group with CAs that were uploaded and verified.
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

/// Creates or changes a device at the hub that is identified by the thumbprints of its certificates.
pub fn put_thumbprints(device: &str, primary: &str, secondary: Option<&str>) {
    let thumbprints = match secondary {
        Some(secondary) => json!({"primaryThumbprint": primary, "secondaryThumbprint": secondary}),
        None => json!({"primaryThumbprint": primary}),
    };
    let authentication = json!({"type": "selfSigned", "x509Thumbprint": thumbprints});
    put(&format!("hubs/{HUB}/devices/{device}"), &json!({"authentication": authentication}));
}
