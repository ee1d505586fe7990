//! Cases that both SDKs must pass, and their failures.

use std::sync::atomic::{AtomicU8, Ordering};

use lanyard_tests::emulator::Emulator;
use lanyard_tests::process::{LIMIT, eventually};
use serde_json::{Value, json};

use crate::script::{Script, Sdk, run};

const HUB: &str = "contoso.azure-devices.net";
const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const WRONG_KEY: &str = "HxwdHhscGRobGBkWFxgVFhcUFRYTFBUSExQREhMQERI=";
const GROUP_KEY: &str =
    "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+Pw==";

const CONFIG: &str = "
hubs:
  - hostName: contoso.azure-devices.net
    devices:
      - deviceId: dev1
        authentication: {symmetricKey: {primaryKey: AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=}}
      - deviceId: disabled
        status: disabled
        authentication: {symmetricKey: {primaryKey: AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=}}
dps:
  - idScope: 0ne00ABCDEF
    enrollmentGroups:
      - enrollmentGroupId: plant
        attestation: {type: symmetricKey, symmetricKey: {primaryKey: AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+Pw==}}
emulator: {pollsUntilAssigned: 2, retryAfterSeconds: 1, certificateNames: [CERTIFICATE_NAME]}
";

/// An emulator on port 8883 of a loopback address of its own, and how to reach it.
pub(crate) struct Bench {
    pub(crate) emulator: Emulator,
    pub(crate) host: String,
    hub: String,
}

impl Bench {
    fn new() -> Self {
        // By itself the certificate names addresses up to 127.0.0.32.
        let config = |host: &str| CONFIG.replace("CERTIFICATE_NAME", host);
        Self { hub: HUB.to_owned(), ..Self::with(config) }
    }

    /// Starts a bench whose hub has the address for its name: Node supports no gateway for a device with a certificate.
    pub(crate) fn with(config: impl FnOnce(&str) -> String) -> Self {
        // 127.0.0.1 may be in use by a developer's emulator.
        static NEXT: AtomicU8 = AtomicU8::new(3);
        let host = format!("127.0.0.{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let emulator = Emulator::start_at(&config(&host), &format!("{host}:8883"));
        Self { emulator, hub: host.clone(), host }
    }

    /// Returns arguments for a script, with the connection string of a device.
    fn device(&self, hub: &str, id: &str, key: &str, more: &Value) -> Value {
        let text =
            format!("HostName={hub};DeviceId={id};SharedAccessKey={key};GatewayHostName={}", self.host);
        self.arguments(&json!({"connectionString": text}), more)
    }

    /// Returns arguments for a registration of `pump-7`.
    fn registration(&self, group_key: &str, more: &Value) -> Value {
        let own = json!({"registrationId": "pump-7", "idScope": "0ne00ABCDEF", "groupKey": group_key, "messages": messages(3)});
        self.arguments(&own, more)
    }

    pub(crate) fn arguments(&self, own: &Value, more: &Value) -> Value {
        let mut arguments = json!({"ca": self.emulator.ca_file(), "host": self.host});
        for part in [own, more] {
            arguments.as_object_mut().unwrap().extend(part.as_object().unwrap().clone());
        }
        arguments
    }

    /// Returns the failure of connecting as this device.
    fn failure(&self, sdk: Sdk, hub: &str, id: &str, key: &str, more: &Value) -> Value {
        run(sdk, "refused", &self.device(hub, id, key, more))
    }

    /// Checks that `sent` arrived from `device` completely, in order and unchanged.
    pub(crate) fn check_arrival(&self, device: &str, sent: &[Value]) {
        let events = self.emulator.wait_for_events(device, sent.len(), LIMIT);
        assert_eq!(events.len(), sent.len());
        for (event, sent) in events.iter().zip(sent) {
            let body = match &event["body"] {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            assert_eq!(body, sent["body"].as_str().unwrap());
            assert_eq!(event["properties"], sent["properties"]);
            let system = &event["systemProperties"];
            assert_eq!(system["message-id"], sent["messageId"]);
            assert_eq!(system["correlation-id"], sent["correlationId"]);
            assert_eq!(system["content-type"], sent["contentType"]);
            assert_eq!(system["content-encoding"], sent["contentEncoding"]);
            assert_eq!(
                (&system["iothub-connection-device-id"], &event["hub"]),
                (&json!(device), &json!(self.hub))
            );
        }
    }
}

/// Returns messages with everything that could get lost in a topic.
pub(crate) fn messages(count: usize) -> Vec<Value> {
    let odd = "a b+c/d&e=f%20g?h#i$j'k\"l\\m\u{e4}\u{3b1}\u{1f980}\u{7f}~!*()@,;:";
    let message = |n: usize| {
        json!({
            "body": json!({"n": n, "odd": odd}).to_string(),
            "messageId": format!("m-{n}:.+%_#*?!(),=@;$'"),
            "correlationId": format!("{odd}{n}"),
            "contentType": "application/json",
            "contentEncoding": "utf-8",
            "properties": {"n": n.to_string(), odd: odd, "empty": "", "name": format!("{odd}{n}")},
        })
    };
    (0..count).map(message).collect()
}

pub(crate) fn sends_a_hundred_messages(sdk: Sdk) {
    let bench = Bench::new();
    let sent = messages(100);
    let answer = run(sdk, "send", &bench.device(HUB, "dev1", KEY, &json!({"messages": sent})));
    assert_eq!(answer, json!({"sent": 100}));
    bench.check_arrival("dev1", &sent);
    let device = bench.emulator.device("dev1").unwrap();
    assert_eq!(
        (&device["messages"], &device["connections"], &device["refusals"]),
        (&json!(100), &json!(1), &json!(0))
    );
    assert_eq!(
        (&device["connected"], &device["lastDisconnect"]),
        (&json!(false), &json!("the device sent DISCONNECT"))
    );
}

pub(crate) fn registers_and_sends(sdk: Sdk) {
    let bench = Bench::new();
    let answer = run(sdk, "register", &bench.registration(GROUP_KEY, &json!({})));
    assert_eq!(
        answer,
        json!({"status": "assigned", "hub": HUB, "deviceId": "pump-7", "substatus": "initialAssignment"})
    );
    bench.check_arrival("pump-7", &messages(3));
}

/// Checks that the key is derived from the id as it is written (ref §0.3 rule 10).
pub(crate) fn registers_with_an_upper_case_id(sdk: Sdk) {
    let bench = Bench::new();
    let answer = run(sdk, "register", &bench.registration(GROUP_KEY, &json!({"registrationId": "PUMP-8"})));
    assert_eq!(answer["deviceId"], "PUMP-8");
    bench.check_arrival("PUMP-8", &messages(3));
}

/// Ref §0.3 rule 6, §8.4: the answer to the registration says it.
pub(crate) fn registration_with_a_wrong_key_fails(sdk: Sdk) {
    let bench = Bench::new();
    for more in [json!({}), json!({"idScope": "0ne00FFFFFF"})] {
        let key = if more == json!({}) { WRONG_KEY } else { GROUP_KEY };
        let answer = run(sdk, "register", &bench.registration(key, &more));
        match sdk {
            Sdk::Python => {
                assert_eq!(answer["error"], "ClientError", "{answer}");
                assert!(answer["cause"].as_str().unwrap().contains("status code 401"), "{answer}");
            }
            Sdk::Node => assert_eq!(answer["error"], "UnauthorizedError", "{answer}"),
        }
    }
    assert_eq!(bench.emulator.device("pump-7"), None);
}

pub(crate) fn unauthorized(sdk: Sdk, answer: &Value) {
    let (error, text) = match sdk {
        Sdk::Python => ("CredentialError", "Connection Refused: not authorised."),
        Sdk::Node => ("UnauthorizedError", "Not authorized"),
    };
    assert_eq!(answer["error"], error, "{answer}");
    let actual = format!("{}{}", answer["text"], answer["cause"]);
    assert!(actual.contains(text), "{answer}");
}

pub(crate) fn connecting_with_a_wrong_key_fails(sdk: Sdk) {
    let bench = Bench::new();
    unauthorized(sdk, &bench.failure(sdk, HUB, "dev1", WRONG_KEY, &json!({})));
    let device = bench.emulator.device("dev1").unwrap();
    assert_eq!(
        (&device["connections"], &device["refusals"]),
        (&json!(0), &json!(1)),
        "it is not tried again"
    );
}

/// Ref §1.12: a device whose clock is wrong by more than five minutes.
pub(crate) fn connecting_with_an_expired_token_fails(sdk: Sdk) {
    let bench = Bench::new();
    unauthorized(sdk, &bench.failure(sdk, HUB, "dev1", KEY, &json!({"clockOffset": -3600 - 330})));
    let answer = bench.failure(sdk, HUB, "dev1", KEY, &json!({"clockOffset": -3600 + 60}));
    assert_eq!(answer, json!({"connected": true}), "that much is within an hour and the skew");
}

pub(crate) fn connecting_as_an_unknown_device_fails(sdk: Sdk) {
    let bench = Bench::new();
    unauthorized(sdk, &bench.failure(sdk, HUB, "unknown-device", KEY, &json!({})));
}

pub(crate) fn connecting_as_a_disabled_device_fails(sdk: Sdk) {
    let bench = Bench::new();
    unauthorized(sdk, &bench.failure(sdk, HUB, "disabled", KEY, &json!({})));
}

/// Ref §1.2, §1.10: code 3, which both SDKs take for a passing trouble.
pub(crate) fn connecting_to_an_unknown_hub_fails(sdk: Sdk) {
    let bench = Bench::new();
    let script =
        Script::start(sdk, "refused", &bench.device("other.azure-devices.net", "dev1", KEY, &json!({})));
    if sdk == Sdk::Python {
        let answer = script.finish();
        assert_eq!(answer["error"], "ConnectionFailedError", "{answer}");
    } else {
        // Node goes on trying for minutes: that it does is what is looked at.
        eventually("Node tries again", LIMIT, || {
            (bench.emulator.log().matches("no hub is named").count() >= 2).then_some(())
        });
        drop(script);
    }
}

pub(crate) fn comes_back_after_a_lost_connection(sdk: Sdk) {
    let bench = Bench::new();
    let sent = messages(6);
    let mut script =
        Script::start(sdk, "reconnect", &bench.device(HUB, "dev1", KEY, &json!({"messages": sent})));
    script.wait_until_ready();
    let before = bench.emulator.device("dev1").unwrap();
    assert_eq!(before["subscriptions"], json!(["devices/dev1/messages/devicebound/#"]));
    assert!(bench.emulator.disconnect("dev1"));
    let back = bench.emulator.wait_for_device("is back", "dev1", |device| device["connections"] == 2);
    // Python does not subscribe again: the session keeps it (ref §0.3 rule 2).
    assert_eq!(back["subscriptions"], before["subscriptions"]);
    assert_eq!(script.finish(), json!({"sent": 6}));
    bench.check_arrival("dev1", &sent);
    assert_eq!(bench.emulator.device("dev1").unwrap()["takeovers"], 0);
}

/// Ref §1.9.
pub(crate) fn loses_its_connection_to_a_second_one(sdk: Sdk) {
    let bench = Bench::new();
    let mut first = Script::start(sdk, "taken", &bench.device(HUB, "dev1", KEY, &json!({})));
    first.wait_until_ready();
    let sent = messages(2);
    let second = run(sdk, "send", &bench.device(HUB, "dev1", KEY, &json!({"messages": sent})));
    assert_eq!((first.finish(), second), (json!({"taken": true}), json!({"sent": 2})));
    bench.check_arrival("dev1", &sent);
    let device = bench.emulator.device("dev1").unwrap();
    assert_eq!((&device["connections"], &device["takeovers"]), (&json!(2), &json!(1)));
}
