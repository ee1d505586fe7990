//! Probes, metrics and controls.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Stdio;
use std::time::Duration;

use lanyard_emulator::web::server::CONNECTIONS;
use serde_json::{Value, json};

use crate::bytes::publish;
use crate::running::{Running, program};

fn device(running: &Running, id: &str) -> Value {
    let devices: Vec<Value> = serde_json::from_str(&running.http("GET", "/api/devices").1).unwrap();
    devices.into_iter().find(|device| device["deviceId"] == id).unwrap()
}

fn bodies(running: &Running, query: &str) -> Vec<Value> {
    let (status, text) = running.http("GET", &format!("/api/events{query}"));
    assert_eq!(status, 200);
    text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["body"].clone()).collect()
}

#[test]
fn probes_answer() {
    let running = Running::start();
    assert_eq!(running.http("GET", "/livez"), (200, "ok\n".to_owned()));
    assert_eq!(running.http("GET", "/readyz"), (200, "ok\n".to_owned()));
    assert_eq!(running.http("GET", "/nothing").0, 404);
}

#[test]
fn devices_and_metrics_show_the_history() {
    let running = Running::start();
    let mut dev1 = running.device("dev1");
    dev1.publish("dev1", "", "{}");
    let view = device(&running, "dev1");
    assert_eq!((&view["hub"], &view["status"]), (&json!("contoso.azure-devices.net"), &json!("enabled")));
    assert_eq!(
        (&view["connected"], &view["connections"], &view["takeovers"]),
        (&json!(true), &json!(1), &json!(0))
    );
    assert_eq!((&view["messages"], &view["bytes"]), (&json!(1), &json!(2)));
    assert!(view["lastMessage"].is_string() && view["connectionStateUpdatedTime"].is_string());
    assert_eq!(device(&running, "dev2")["connected"], false);
    let metrics = running.http("GET", "/metrics").1;
    for line in
        ["devices 2", "devices_connected 1", "connections_total 1", "messages_total 1", "takeovers_total 0"]
    {
        assert!(metrics.contains(&format!("\nlanyard_emulator_{line}\n")), "{metrics}");
    }
}

#[test]
fn a_connection_is_closed_on_request() {
    let running = Running::start();
    assert_eq!(running.http("POST", "/api/devices/dev9/disconnect").0, 404);
    assert_eq!(running.http("POST", "/api/devices/dev1/disconnect").0, 409);
    assert_eq!(running.http("GET", "/api/devices/dev1/disconnect").0, 405);
    let mut dev1 = running.device("dev1");
    assert_eq!(running.http("POST", "/api/devices/dev1/disconnect?hub=other").0, 404);
    assert_eq!(running.http("POST", "/api/devices/dev1/disconnect").0, 200);
    dev1.closed();
    assert_eq!(device(&running, "dev1")["lastDisconnect"], "requested through the controls");
}

#[test]
fn fault_is_set_shown_counted_and_deleted() {
    let running = Running::start();
    assert_eq!(running.http("GET", "/api/faults"), (200, "[]".to_owned()));
    let body = r#"{"deviceId": "dev1", "count": 1, "loseAcknowledgements": {}}"#;
    let (status, set) = running.http_with("PUT", "/api/faults/lost", body);
    assert_eq!(status, 200, "{set}");
    let shown = json!({"name": "lost", "service": "hub", "hub": null, "deviceId": "dev1", "count": 1, "occurred": 0,
        "loseAcknowledgements": {"oneIn": 1}});
    assert_eq!(serde_json::from_str::<Value>(&set).unwrap(), shown);
    assert_eq!(
        running.http_with("PUT", "/api/faults/lost", &set),
        (200, set),
        "a shown fault can be sent back"
    );
    assert_eq!(device(&running, "dev1")["faults"], json!(["lost"]));
    assert_eq!(device(&running, "dev2")["faults"], json!([]));
    let mut dev1 = running.device("dev1");
    dev1.send(&publish("devices/dev1/messages/events/", 1, 1, b"{}"));
    dev1.publish("dev1", "", "{}");
    let list: Vec<Value> = serde_json::from_str(&running.http("GET", "/api/faults").1).unwrap();
    assert_eq!((list.len(), &list[0]["occurred"]), (1, &json!(1)));
    assert_eq!(device(&running, "dev1")["faults"], json!([]), "it is used up");
    assert_eq!(running.http("DELETE", "/api/faults/lost").0, 204);
    for method in ["DELETE", "GET"] {
        let (status, answer) = running.http(method, "/api/faults/lost");
        assert!(status == 404 && answer.contains("GET /api/faults lists them"), "{status} {answer}");
    }
    running.http_with("PUT", "/api/faults/cut", r#"{"dropConnections": {}}"#);
    assert_eq!(running.http("DELETE", "/api/faults").0, 204);
    assert_eq!(running.http("GET", "/api/faults"), (200, "[]".to_owned()));
}

#[test]
fn every_problem_of_a_fault_is_named() {
    let running = Running::start();
    for (body, expected) in [
        (r#"{}"#, "effect: is missing: use one of refuseConnections, dropConnections"),
        (
            r#"{"dropConnections": {}, "throttle": {"messagesPerSecond": 1}}"#,
            "effect: there is more than one",
        ),
        (r#"{"dropConections": {}}"#, "dropConections: "),
        (r#"{"dropConnections": {"after": 1}}"#, "dropConnections.after: "),
        (r#"{"dropConnections": {}, "count": 0}"#, "count: 0 times is never"),
        (r#"{"dropConnections": {}, "hub": "other"}"#, "use contoso.azure-devices.net"),
        (r#"{"dropConnections": {}, "service": "web"}"#, "use hub or dps"),
        (
            r#"{"dropConnections": {}, "service": "dps", "hub": "contoso.azure-devices.net"}"#,
            "hub: a fault with service dps",
        ),
        (r#"{"refuseConnections": {"returnCode": 0}}"#, "use 1 to 5"),
        (r#"{"delayAnswers": {}}"#, "delayAnswers.milliseconds: is missing"),
        (
            r#"{"throttle": {"messagesPerSecond": 0}}"#,
            "throttle.messagesPerSecond: is missing or out of range",
        ),
        (r#"{"throttle": {"messagesPerSecond": 1}, "service": "dps"}"#, "service: only hub has this effect"),
        (r#"{"throttle": {"messagesPerSecond": 1, "closeAfterSeconds": 86401}}"#, "use 0 to 86400"),
        (r#"{"loseAcknowledgements": {"oneIn": 0}}"#, "0 loses none"),
        (r#"{"refuseRegistrations": {"errorCode": 200000}}"#, "use 400000 to 599999"),
        (
            r#"{"refuseRegistrations": {"errorCode": 401002}, "service": "hub"}"#,
            "service: only dps has this effect",
        ),
        (r#"{"refuseRegistrations": {"errorCode": 401002, "retryAfterSeconds": 1}}"#, "remove it"),
    ] {
        let (status, answer) = running.http_with("PUT", "/api/faults/f", body);
        assert!(status == 400 && answer.contains(expected), "{body}: {status} {answer}");
    }
    assert_eq!(running.http("GET", "/api/faults"), (200, "[]".to_owned()));
}

#[test]
fn events_are_filtered_and_limited() {
    let running = Running::start();
    let (mut dev1, mut dev2) = (running.device("dev1"), running.device("dev2"));
    for n in ["1", "2", "3"] {
        dev1.publish("dev1", "", n);
        dev2.publish("dev2", "", &format!("\"{n}\""));
    }
    assert_eq!(bodies(&running, ""), [json!(1), json!("1"), json!(2), json!("2"), json!(3), json!("3")]);
    assert_eq!(bodies(&running, "?device=dev1"), [1, 2, 3]);
    assert_eq!(bodies(&running, "?device=dev2&limit=1"), ["3"]);
    assert_eq!(bodies(&running, "?limit=0"), [0; 0]);
    assert_eq!(bodies(&running, "?device=dev9"), [0; 0]);
    assert_eq!(running.http("GET", "/api/events?limit=x").0, 400);
}

/// A page whose site lets its own name lead to the emulator, and a form of any site.
#[test]
fn requests_of_other_sites_pages_are_refused() {
    let running = Running::start();
    for (host, status) in [
        ("evil.example", 421),
        ("evil.example:8880", 421),
        ("localhost.evil.example", 421),
        ("localhost:8880", 200),
        ("127.0.0.1:8880", 200),
        ("contoso.azure-devices.net", 200),
    ] {
        let (answered, message) =
            running.http_raw(&format!("GET /api/events HTTP/1.0\r\nHost: {host}\r\n\r\n"));
        assert_eq!(answered, status, "{host}: {message}");
    }
    assert_eq!(running.http_raw("GET /api/events HTTP/1.0\r\n\r\n").0, 421, "no Host header");
    for method in ["POST", "PUT", "DELETE"] {
        let head = format!("{method} /api/devices/dev1/disconnect HTTP/1.0\r\nHost: localhost");
        let form = "Origin: http://evil.example\r\nContent-Type: text/plain\r\nContent-Length: 0\r\n\r\n";
        let (status, message) = running.http_raw(&format!("{head}\r\n{form}"));
        assert!(status == 403 && message.contains("X-Lanyard-Control"), "{status} {message}");
    }
    // What a browser asks before it sends a header of a page's own: no answer allows it.
    let preflight = "OPTIONS /api/devices/dev1/disconnect HTTP/1.0\r\nHost: localhost\r\nOrigin: http://evil.example\r\n\
        Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: x-lanyard-control\r\n\r\n";
    assert_eq!(running.http_raw(preflight).0, 405);
}

#[test]
fn slow_clients_do_not_block_others() {
    let running = Running::start();
    let slow: Vec<TcpStream> = (0..CONNECTIONS)
        .map(|_| {
            let mut stream = TcpStream::connect(running.web).unwrap();
            stream.write_all(b"GET /livez HTTP/1.1\r\n").unwrap();
            stream
        })
        .collect();
    let mut other = TcpStream::connect(running.web).unwrap();
    other.write_all(b"GET /livez HTTP/1.0\r\nHost: localhost\r\n\r\n").unwrap();
    other.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    assert!(other.read(&mut [0]).is_err(), "one connection too many is served");
    other.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut answer = String::new();
    other.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.0 200"), "{answer}");
    for mut stream in slow {
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.read_to_end(&mut Vec::new()).expect("the emulator closes it");
    }
}

/// `lanyard-emulator control` is what a pod has in place of curl.
#[test]
fn the_control_command_changes_and_shows() {
    let running = Running::start();
    let control = |arguments: &[&str], body: &str| {
        let mut command = program();
        command.args(["control", "--server", &format!("http://{}", running.web)]).args(arguments);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // A command that reads no body may have ended.
        let _ = child.stdin.take().unwrap().write_all(body.as_bytes());
        let output = child.wait_with_output().unwrap();
        let message = if output.status.success() { output.stdout } else { output.stderr };
        (output.status.success(), String::from_utf8(message).unwrap())
    };
    let path = "/api/hubs/contoso.azure-devices.net/devices/dev1";
    let (done, shown) = control(&["put", path, "--body"], r#"{"status": "disabled"}"#);
    assert!(done && shown.contains("\"disabled\""), "{shown}");
    let (done, shown) = control(&["get", "/api/devices"], "");
    assert!(done && shown.contains("\"disabled\""), "{shown}");
    assert_eq!(control(&["delete", path], ""), (true, String::new()));
    let (done, message) = control(&["post", "/api/devices/dev9/disconnect"], "");
    assert!(!done && message.contains("the emulator answers 404 Not Found: no hub has"), "{message}");
}
