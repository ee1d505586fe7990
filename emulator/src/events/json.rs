//! A message as one line of JSON: its properties, what the hub stamped on it, and its body (ref §4.3, §4.4). Pure.

use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use jiff::fmt::temporal::DateTimePrinter;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::event::Event;
use crate::hub::telemetry::is_system;

/// Names of system properties at the service side (ref §4.3).
const NAMES: [(&str, &str); 11] = [
    ("$.mid", "message-id"),
    ("$.cid", "correlation-id"),
    ("$.uid", "user-id"),
    ("$.to", "to"),
    ("$.ct", "content-type"),
    ("$.ce", "content-encoding"),
    ("$.exp", "absolute-expiry-time"),
    ("$.on", "output-name"),
    ("$.sub", "dt-subject"),
    ("$.ifid", "iothub-interface-id"),
    ("$.ctime", "creation-time"),
];

/// Returns a message as one line of JSON, without the line's end. A JSON body stays as it came, if it came on one line.
#[must_use]
pub fn line(event: &Event) -> String {
    let (kind, body) = body(&event.message.body);
    // Written by hand around the body, so that no digit of it changes.
    let head = json!({
        "sequence": event.sequence,
        "enqueuedTime": time(event.enqueued),
        "hub": *event.origin.hub,
        "deviceId": *event.origin.device_id,
        "properties": properties(event),
        "systemProperties": system_properties(event),
        "bodyKind": kind,
        "bodyBytes": event.message.body.len(),
    });
    let mut line = head.to_string();
    line.truncate(line.len() - 1);
    line.push_str(",\"body\":");
    line.push_str(&body);
    line.push('}');
    line
}

/// Formats a time as Azure does, in UTC and with milliseconds.
#[must_use]
pub fn time(timestamp: Timestamp) -> String {
    let printer = DateTimePrinter::new().precision(Some(3));
    let mut text = String::with_capacity(24);
    match printer.print_timestamp(&timestamp, &mut text) {
        Ok(()) => text,
        Err(_) => timestamp.to_string(),
    }
}

fn properties(event: &Event) -> Value {
    let own = event.message.properties.iter().filter(|(key, _)| !is_system(key));
    own.map(|(key, value)| (key.to_owned(), value.map_or(Value::Null, Value::from)))
        .collect::<Map<_, _>>()
        .into()
}

fn system_properties(event: &Event) -> Value {
    let mut map = Map::new();
    for (key, value) in event.message.properties.iter().filter(|(key, _)| is_system(key)) {
        let name = NAMES.iter().find(|(short, _)| *short == key).map_or(key, |(_, name)| name);
        map.insert(name.to_owned(), value.map_or(Value::Null, Value::from));
    }
    let origin = &event.origin;
    map.insert("iothub-connection-device-id".into(), Value::from(&*origin.device_id));
    map.insert("iothub-connection-auth-generation-id".into(), Value::from(origin.generation_id.as_str()));
    let method = r#"{"scope":"device","type":"sas","issuer":"iothub"}"#;
    map.insert("iothub-connection-auth-method".into(), Value::from(method));
    map.insert("iothub-enqueuedtime".into(), Value::from(time(event.enqueued)));
    map.insert("iothub-message-source".into(), Value::from("Telemetry"));
    if let Some(model) = &origin.model_id {
        map.insert("dt-dataschema".into(), Value::from(model.as_str()));
    }
    map.into()
}

/// Returns the kind of the body, and the body as a JSON value on one line.
fn body(bytes: &[u8]) -> (&'static str, String) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return ("base64", Value::from(STANDARD.encode(bytes)).to_string());
    };
    match serde_json::from_str::<&RawValue>(text) {
        Ok(_) if !text.contains(['\n', '\r']) => ("json", text.to_owned()),
        // Line ends in JSON are white space.
        Ok(_) => ("json", text.replace(['\n', '\r'], " ")),
        Err(_) => ("text", Value::from(text).to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::event::Origin;
    use crate::hub::telemetry::Message;
    use bytes::Bytes;
    use lanyard_protocol::hub::property_bag::PropertyBag;
    use proptest::prelude::*;
    use std::sync::Arc;

    fn event(bag: &str, body: &[u8]) -> Event {
        Event {
            sequence: 7,
            enqueued: Timestamp::from_millisecond(1_700_000_000_120).unwrap(),
            origin: Arc::new(Origin {
                hub: "contoso.azure-devices.net".into(),
                device_id: "dev1".into(),
                generation_id: "637".into(),
                model_id: Some("dtmi:com:example:Thermostat;1".into()),
            }),
            message: Message {
                properties: PropertyBag::parse(bag).unwrap(),
                body: Bytes::copy_from_slice(body),
            },
        }
    }

    fn value(event: &Event) -> Value {
        serde_json::from_str(&line(event)).unwrap()
    }

    /// Ref §4.4.
    #[test]
    fn the_hub_stamps_every_message() {
        let read = value(&event(
            "%24.mid=m-1&%24.ct=application%2Fjson&%24.sub=thermostat1&k=v%2F1&n&e=",
            br#"{"t":1.0}"#,
        ));
        assert_eq!(
            read,
            json!({
                "sequence": 7,
                "enqueuedTime": "2023-11-14T22:13:20.120Z",
                "hub": "contoso.azure-devices.net",
                "deviceId": "dev1",
                "properties": {"k": "v/1", "n": null, "e": ""},
                "systemProperties": {
                    "message-id": "m-1",
                    "content-type": "application/json",
                    "dt-subject": "thermostat1",
                    "iothub-connection-device-id": "dev1",
                    "iothub-connection-auth-generation-id": "637",
                    "iothub-connection-auth-method": r#"{"scope":"device","type":"sas","issuer":"iothub"}"#,
                    "iothub-enqueuedtime": "2023-11-14T22:13:20.120Z",
                    "iothub-message-source": "Telemetry",
                    "dt-dataschema": "dtmi:com:example:Thermostat;1",
                },
                "bodyKind": "json",
                "bodyBytes": 9,
                "body": {"t": 1.0},
            })
        );
    }

    #[test]
    fn bodies_are_json_text_or_base64() {
        let json = line(&event("", br#"{"t":1.10, "u":12345678901234567890.0}"#));
        assert!(json.ends_with(r#""body":{"t":1.10, "u":12345678901234567890.0}}"#), "{json}");
        assert_eq!(value(&event("", b"{\r\n\"a\": 1\n}"))["body"], json!({"a": 1}));
        assert_eq!(value(&event("", b"plain \"text\""))["body"], json!("plain \"text\""));
        assert_eq!(value(&event("", b"plain"))["bodyKind"], json!("text"));
        assert_eq!(value(&event("", &[0xff, 0])), {
            let mut expected = value(&event("", b""));
            expected["bodyKind"] = json!("base64");
            expected["bodyBytes"] = json!(2);
            expected["body"] = json!("/wA=");
            expected
        });
    }

    proptest! {
        #[test]
        fn every_message_is_one_line_of_json(bag in "([a-z$.]{1,8}(=[a-z%2B ]{0,4})?&?){0,4}", body: Vec<u8>) {
            if let Ok(properties) = PropertyBag::parse(&bag) {
                let event = Event { message: Message { properties, body: Bytes::from(body) }, ..event("", b"") };
                prop_assert!(!line(&event).contains('\n'));
                value(&event);
            }
        }
    }
}
