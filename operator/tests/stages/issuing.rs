//! Keys come out as the reference's vectors say, and every problem is named.

use std::sync::Arc;

use lanyard_crds::slot::InUse;
use lanyard_operator::device::observe::observation::DeviceObservation;
use lanyard_operator::kubernetes::found::CaFound;
use lanyard_operator::kubernetes::key::Key;

use crate::given::{K32, K64, at_hub, in_group, key_of, secret, through};

/// Reference, derivation vectors 2 to 5.
#[test]
fn keys_are_derived_over_the_exact_text_of_the_id() {
    for (in_use, id, expected) in [
        (InUse::Primary, "dev-01", "UwwVfsD5lA+qU/1oNyCqDCDeShqtT/bvsaUt7i0bKJE="),
        (InUse::Primary, "DEV-01", "ckwTMj5xUtrcfx2iwbXf3lc07Ih0UYeaxaM3h52doqA="),
        (InUse::Primary, "sensor:line3_a.7", "aapYnrjcHOEz9dza5mBFw2t3uo9/xLJcNhOz1lptp9c="),
        (InUse::Secondary, "dev-01", "luaCqHSmg758Dy2PlrF3Vl83Pcf53G9Nc/vj86Xl0d4="),
    ] {
        let mut observed = in_group(&format!("{{groupRef: {{name: a}}, deviceId: '{id}'}}"));
        let group = Arc::make_mut(observed.group.as_mut().unwrap());
        group.spec.attestation.symmetric_key.as_mut().unwrap().in_use = in_use;
        assert_eq!(key_of(&through(&observed).unwrap().1), expected, "{id}");
    }
}

fn reason(observed: &DeviceObservation) -> (&'static str, String) {
    let fault = through(observed).unwrap_err();
    (fault.reason.as_str(), fault.message)
}

/// Change that makes a valid observation invalid.
type Spoil = fn(&mut DeviceObservation);

#[test]
fn missing_objects_are_named_in_order_of_need() {
    let spec = "{groupRef: {name: a}}";
    let cases: [(&str, Spoil, &str); 9] = [
        ("Blocked", |o| Arc::make_mut(&mut o.device).spec.blocked = true, "spec.blocked"),
        ("DuplicateDeviceId", |o| o.contest.holder = Some(Key::new("plant", "older")), "IoTDevice older"),
        ("GroupNotFound", |o| o.group = None, "\"a\""),
        ("SecretNotFound", |o| o.key = None, "Secret \"key\""),
        ("SecretKeyMissing", |o| o.key = Some(secret(&[("other", K64)])), "no key primaryKey: add it"),
        ("KeyNotBase64", |o| o.key = Some(secret(&[("primaryKey", "?")])), "not base64"),
        ("KeyNotBase64", |o| o.key = Some(secret(&[("primaryKey", "AAEC")])), "3 bytes"),
        (
            "TrustedCANotFound",
            |o| o.trusted_ca = CaFound::NoObject { object: "ConfigMap ca".into() },
            "ConfigMap ca",
        ),
        (
            "TrustedCAInvalid",
            |o| o.trusted_ca = CaFound::Text { object: "ConfigMap ca".into(), bytes: b"x".to_vec() },
            "BEGIN CERTIFICATE",
        ),
    ];
    for (expected, spoil, words) in cases {
        let mut observed = in_group(spec);
        spoil(&mut observed);
        let (reason, message) = reason(&observed);
        assert_eq!(reason, expected);
        assert!(message.contains(words), "{message}");
    }
    // What comes first hides what comes later.
    let mut observed = in_group(spec);
    observed.group = None;
    Arc::make_mut(&mut observed.device).spec.blocked = true;
    assert_eq!(reason(&observed).0, "Blocked");
}

#[test]
fn a_connection_string_must_be_this_devices_own() {
    let text = |host: &str, id: &str| format!("HostName={host};DeviceId={id};SharedAccessKey={K32}");
    let good = at_hub(&[("connectionString", &text("HUB.example", "press-17"))]);
    assert_eq!(key_of(&through(&good).unwrap().1), K32);
    for (text, expected) in [
        (text("other.example", "press-17"), "ConnectionStringMismatch"),
        (text("hub.example", "PRESS-17"), "ConnectionStringMismatch"),
        ("HostName=hub.example;DeviceId=press-17;SharedAccessKey=no".to_owned(), "InvalidConnectionString"),
        (String::new(), "InvalidConnectionString"),
        (K32.to_owned(), "InvalidConnectionString"),
        (text("hub.example:8884", "press-17"), "ConnectionStringMismatch"),
        (text("hub.example", "press-17") + ";GatewayHostName=edge1.plant.local", "ConnectionStringMismatch"),
    ] {
        let (reason, message) = reason(&at_hub(&[("connectionString", &text), ("primaryKey", K32)]));
        assert_eq!(reason, expected, "{text}");
        assert!(!message.contains(&K32[..8]), "{message}");
    }
    let (_, message) = reason(&at_hub(&[("connectionString", K32)]));
    assert!(
        message.ends_with("it is a bare key and not a connection string: store it as primaryKey"),
        "{message}"
    );
    let gateway = text("hub.example", "press-17") + ";GatewayHostName=edge1.plant.local";
    let (_, message) = reason(&at_hub(&[("connectionString", &gateway)]));
    assert!(message.contains("GatewayHostName") && message.contains("hub.gatewayHostname"), "{message}");
    for (named, is_own) in
        [("EDGE1.plant.local", true), ("edge1.plant.local:8884", false), ("edge2.plant.local", false)]
    {
        let string = text("hub.example", "press-17") + ";GatewayHostName=" + named;
        // The limit beside the string allows the gateway, the string does not.
        let mut observed = at_hub(&[("connectionString", &string), ("gatewayHostname", "edge1.plant.local")]);
        let hub = Arc::make_mut(&mut observed.device).spec.hub.as_mut().unwrap();
        hub.gateway_hostname = Some("edge1.plant.local".to_owned());
        let refused = through(&observed).err().map(|fault| fault.reason.as_str());
        assert_eq!(refused, (!is_own).then_some("ConnectionStringMismatch"), "{named}");
    }
    assert!(
        through(&at_hub(&[("primaryKey", &format!("{K32}\n"))])).is_ok(),
        "a newline at its end is no part of a key"
    );
    assert_eq!(reason(&at_hub(&[])).0, "SecretKeyMissing");
}

#[test]
fn id_invalid_for_dps_is_refused_in_a_group_only() {
    let (reason, message) = reason(&in_group("{groupRef: {name: a}, deviceId: 'a+b'}"));
    assert_eq!(reason, "InvalidSpec");
    assert!(message.starts_with("deviceId: registration id must not contain '+'"), "{message}");
    let mut observed = at_hub(&[("primaryKey", K32)]);
    Arc::make_mut(&mut observed.device).spec.device_id = Some("a+b".to_owned());
    assert!(through(&observed).is_ok());
}
