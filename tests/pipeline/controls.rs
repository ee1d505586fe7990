//! Changes the running emulator as an administrator changes Azure: with Azure's own bodies, through its web port.

use std::io::{Read, Write};
use std::net::TcpStream;

use lanyard_tests::emulator::Emulator;
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
    let mut stream = TcpStream::connect(emulator.web).expect("a serving emulator answers");
    write!(
        stream,
        "{method} {path} HTTP/1.0\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        emulator.web,
        body.len()
    )
    .expect("the emulator reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("the emulator answers");
    let status: Option<u16> = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    assert!(status.is_some_and(|status| (200..300).contains(&status)), "{method} {path}: {answer}");
}
