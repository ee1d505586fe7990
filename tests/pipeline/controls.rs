//! Changes the running emulator as an administrator changes Azure: with Azure's own bodies, through its web port.

use lanyard_tests::emulator::Emulator;
use lanyard_tests::http;
use serde_json::Value;

/// Makes or replaces an object.
pub(crate) fn put(emulator: &Emulator, path: &str, body: &Value) {
    request(emulator, "PUT", path, &body.to_string());
}

/// Takes an object away.
pub(crate) fn delete(emulator: &Emulator, path: &str) {
    request(emulator, "DELETE", path, "");
}

fn request(emulator: &Emulator, method: &str, path: &str, body: &str) {
    let answer = http::send(method, emulator.web, path, body).expect("a serving emulator answers");
    assert!((200..300).contains(&answer.status), "{method} {path}: {answer:?}");
}
