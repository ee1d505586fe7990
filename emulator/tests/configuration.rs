//! The configuration's reader: what it accepts, and that all problems are reported together, with the field and the fix.

// Tests measure real time.
#![allow(clippy::disallowed_methods)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "what goes wrong here is a test that fails")]

use std::path::Path;

use lanyard_emulator::config::check::{load, read};
use lanyard_emulator::config::checked::Checked;
use lanyard_emulator::config::problems::Problems;
use lanyard_emulator::registry::authentication::{Authentication, Keys};
use proptest::prelude::*;

const K32: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

fn parse(text: &str) -> Result<Checked, Problems> {
    read(text, Path::new("/nonexistent"))
}

/// Returns the keys of the first device.
fn keys(checked: &Checked) -> &Keys {
    match &checked.hubs[0].devices[0].authentication {
        Authentication::Sas(keys) => keys,
        other => panic!("{other:?}"),
    }
}

/// Returns all problems of a text, a line each, with their places.
fn placed(text: &str) -> Vec<String> {
    let problems = parse(text).unwrap_err().to_string();
    problems.lines().skip(1).map(|line| line.trim_start_matches("  - ").to_owned()).collect()
}

/// Returns all problems of a text without their places.
fn problems(text: &str) -> Vec<String> {
    let bare = |line: String| {
        let (field, rest) = line.split_once(" (line ").unwrap();
        format!("{field}{}", rest.split_once(')').unwrap().1)
    };
    placed(text).into_iter().map(bare).collect()
}

#[test]
fn wrong_type_is_reported_with_field_place_and_fix() {
    let text = "hubs: [{hostName: h}]\nemulator:\n  sasSkewSeconds: -1\n  assignedHubPort: 70000\n  maxEvents: \
        many\n  certificateNames: {a: b}\n  retryAfterSecond: 2\n";
    assert_eq!(
        placed(text),
        [
            "emulator.sasSkewSeconds (line 3, column 19): integer -1 is not allowed here: use a whole number from 0 to 4294967295",
            "emulator.assignedHubPort (line 4, column 20): integer 70000 is not allowed here: use a whole number from 0 to 65535",
            "emulator.maxEvents (line 5, column 14): this text is not allowed here: use a whole number from 0 to 4294967295",
            "emulator.certificateNames (line 6, column 21): map is not allowed here: use a list, each item in a line that begins with -",
            "emulator.retryAfterSecond (line 7, column 21): there is no such field here: did you mean \
                retryAfterSeconds? use sasSkewSeconds, sasEnforceDelaySeconds, pollsUntilAssigned, \
                retryAfterSeconds, assignedHubPort, refuseCertificatesAtConnect, certificateNames, maxEvents, maxEventBytes",
        ]
    );
}

#[test]
fn invalid_yaml_is_reported_with_its_position() {
    for (text, expected) in [
        (
            "hubs: [{hostName: h, hostName: i}]",
            "hubs[0] (line 1, column 22): \"hostName\" occurs twice: keep one of them",
        ),
        ("hubs:\n  - hostName: h\n bad: [", "the document (line 3, column 2): this is not YAML"),
        ("", "hubs (line 1, column 1): is empty: name at least one hub"),
        ("just text", "the document (line 1, column 1): use fields with values"),
        ("hubs: [{hostName: h}]\n---\nhubs: []\n", "a second document begins here"),
    ] {
        let found = placed(text);
        assert!(found.len() == 1 && found[0].contains(expected), "{found:?}");
    }
}

#[test]
fn dps_needs_a_hub() {
    let text = "hubs: [{hostName: h}]\ndps: [{idScope: 0ne1, iotHubs: [], enrollmentGroups: [{enrollmentGroupId: g, \
        iotHubs: [], deviceId: x}], enrollments: [{registrationId: r, enrollmentGroupId: g}]}]";
    let found = problems(text);
    for required in [
        "dps[0].iotHubs: is empty: name at least one hub, or remove it to use all of them",
        "dps[0].enrollmentGroups[0].deviceId: a group has none",
        "dps[0].enrollments[0].enrollmentGroupId: an individual enrollment has none",
    ] {
        assert!(found.iter().any(|line| line.starts_with(required)), "{required}: {found:#?}");
    }
    for text in ["hubs: []", "dps: []"] {
        assert_eq!(problems(text), ["hubs: is empty: name at least one hub, such as {hostName: localhost}"]);
    }
}

#[test]
fn the_example_is_right() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/emulator.yaml");
    let checked = load(&path).unwrap();
    assert_eq!(checked.hubs[0].devices[0].id, "press-17");
    assert_eq!(checked.dps[0].id_scope, "0ne00ABCDEF");
    assert_eq!(checked.certificate_names, ["localhost", "localhost"]);
}

/// JSON is YAML, too.
#[test]
fn json_is_understood() {
    let text = format!(
        r#"{{"hubs": [{{"hostName": "h.example:1883", "devices": [
            {{"deviceId": "a", "authentication": {{"symmetricKey": {{"primaryKey": "{K32}"}}}}}}]}}]}}"#
    );
    let checked = parse(&text).unwrap();
    assert_eq!(checked.hubs[0].host.to_string(), "h.example:1883");
    assert!(checked.hubs[0].devices[0].enabled && keys(&checked).secondary.is_none());
    assert_eq!((checked.tokens.skew, checked.tokens.enforce_delay), (300, 0));
    assert_eq!((checked.pace.polls, checked.pace.retry_after), (1, 1));
}

/// A device's id may look like a number.
#[test]
fn ids_need_no_quotes() {
    let text = format!(
        "hubs: [{{hostName: h, devices: [{{deviceId: 17, authentication: {{symmetricKey: {{primaryKey: {K32}}}}}}}]}}]"
    );
    assert_eq!(parse(&text).unwrap().hubs[0].devices[0].id, "17");
}

#[test]
fn every_error_is_reported_at_once() {
    let text = format!(
        "
hubs:
  - hostName: https://contoso
    devises: []
    devices:
      - deviceId: a b
        status: on
        authentication: {{kind: x, type: selfSigned, symmetricKey: {{primaryKey: {K32}}}}}
      - authentication: {{symmetricKey: {{primaryKey: no base64!, secondaryKey: AAEC}}}}
      - deviceId: c
  - {{hostName: h, devices: [{{deviceId: d, etag: x, authentication: {{symmetricKey: {{primaryKey: {K32}, primaryKeyFile: f}}}}}}]}}
  - {{hostName: H, devices: [{{deviceId: e, authentication: {{symmetricKey: {{primaryKeyFile: key.txt}}}}}}]}}
dps:
  - hostName: 'a b'
    iotHubs: [h, elsewhere]
    allocationPolicy: geoLatency
    enrollmentGroups:
      - enrollmentGroupId: g
        provisioningStatus: yes
        iotHubs: [https]
        attestation: {{type: x509}}
      - attestation: {{symmetricKey: {{primaryKey: {K32}}}}}
    enrollments:
      - {{registrationId: A, attestation: {{type: symmetricKey, symmetricKey: {{primaryKey: {K32}}}}}}}
      - {{registrationId: a, deviceId: 'x y', attestation: {{type: symmetricKey, symmetricKey: {{primaryKey: {K32}}}}}}}
emulator: {{certificateNames: ['a:1', 'b c'], sasSkewSecs: 3, assignedHubPort: 0}}
"
    );
    let found = problems(&text);
    for required in [
        "hubs[0].devises: there is no such field here",
        "hubs[1].devices[0].etag: there is no such field here",
        "hubs[0].devices[0].authentication.kind: there is no such field here",
        "emulator.assignedHubPort: 0 is not a port",
        "an unknown field of emulator: there is no such field here",
        "hubs[0].hostName: ",
        "hubs[0].devices[0].deviceId: device id must not contain ' '",
        "hubs[0].devices[0].status: \"on\" is not supported: use enabled or disabled",
        "hubs[0].devices[0].authentication.symmetricKey: only type sas has keys",
        "hubs[0].devices[0].authentication.x509Thumbprint: is missing: give primaryThumbprint, secondaryThumbprint or both",
        "hubs[0].devices[1].deviceId: is missing",
        "hubs[0].devices[1].authentication.symmetricKey.primaryKey: the key is not base64",
        "hubs[0].devices[1].authentication.symmetricKey.secondaryKey: the key decodes to 3 bytes",
        "hubs[0].devices[2].authentication.symmetricKey: is missing: give primaryKey or primaryKeyFile",
        "hubs[1].devices[0].authentication.symmetricKey.primaryKey: is set together with primaryKeyFile",
        "hubs[2].hostName: H is there twice",
        "hubs[2].devices[0].authentication.symmetricKey.primaryKeyFile: cannot read /nonexistent/key.txt",
        "dps[0].idScope: is missing",
        "dps[0].hostName: ",
        "dps[0].iotHubs[1]: \"elsewhere\" is none of the hubs",
        "dps[0].allocationPolicy: this word is not supported",
        "dps[0].enrollmentGroups[0].provisioningStatus: ",
        "dps[0].enrollmentGroups[0].iotHubs[0]: \"https\" is none of the hubs",
        "dps[0].enrollmentGroups[0].attestation.x509: a group has either signingCertificates or caReferences here",
        "dps[0].enrollmentGroups[1].enrollmentGroupId: is missing",
        "dps[0].enrollmentGroups[1].attestation.type: is missing",
        "dps[0].enrollments[1].deviceId: device id must not contain ' '",
        "dps[0].enrollments[1].registrationId: a is there twice",
        "emulator.certificateNames[0]: \"a:1\" has a port",
        "emulator.certificateNames[1]: ",
    ] {
        assert!(
            found.iter().any(|line| line.starts_with(required)),
            "{required:?} is not among\n{}",
            found.join("\n")
        );
    }
    assert_eq!(found.len(), 30, "{}", found.join("\n"));
}

#[test]
fn empty_configuration_names_the_missing_fields() {
    assert_eq!(problems("{}"), ["hubs: is empty: name at least one hub, such as {hostName: localhost}"]);
}

/// A key in the wrong place is not repeated.
#[test]
fn errors_repeat_no_key() {
    for text in [
        format!(
            "hubs: [{{hostName: h, devices: [{{deviceId: a, authentication: {{symmetricKey: {K32}}}}}]}}]"
        ),
        format!("hubs: [{{hostName: h, devices: [{{deviceId: a, authentication: {K32}}}]}}]"),
        format!("hubs: {K32}"),
        format!(
            "hubs: [{{hostName: h, devices: [{{deviceId: a, authentication: {{symmetricKey: {{primaryKey: [{K32}]}}}}}}]}}]"
        ),
        format!("hubs:\n  - hostName: h\n   devices: {K32}"),
        K32.to_owned(),
        format!(
            "hubs: [{{hostName: h, devices: [{{deviceId: a, authentication: {{symmetricKey: {{primaryKey: {K32}x}}}}}}]}}]"
        ),
        format!("emulator: {{sasSkewSeconds: {K32}}}"),
    ] {
        let problem = parse(&text).unwrap_err().to_string();
        assert!(!problem.contains("AAECAwQF"), "{problem}");
        assert!(!problem.is_empty());
        println!("{problem}");
    }
}

#[test]
fn keys_may_stand_in_files() {
    let dir = std::env::temp_dir().join(format!("lanyard-configuration-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("key"), format!("{K32}\n")).unwrap();
    let text = "hubs: [{hostName: h, devices: [{deviceId: a, authentication: {symmetricKey: {primaryKeyFile: key}}}]}]";
    std::fs::write(dir.join("emulator.yaml"), text).unwrap();
    let checked = load(&dir.join("emulator.yaml")).unwrap();
    assert_eq!(keys(&checked).primary.to_base64().as_str(), K32);
    std::fs::write(dir.join("key"), "no base64!").unwrap();
    let error = load(&dir.join("emulator.yaml")).unwrap_err().to_string();
    assert!(
        error.contains("primaryKeyFile (line 1, column 94): the key is not base64")
            && !error.contains("no base64!"),
        "{error}"
    );
    std::fs::remove_dir_all(dir).unwrap();
}

proptest! {
    #[test]
    fn any_damage_is_a_configuration_or_an_error(at: prop::sample::Index, with in "[\\[\\]{}:,#&*!|>'\"%@ \\n\\ta0-]{1,3}") {
        let example = include_str!("../examples/emulator.yaml");
        let mut at = at.index(example.len());
        while !example.is_char_boundary(at) {
            at -= 1;
        }
        let _ = parse(&format!("{}{with}{}", &example[..at], &example[at..]));
    }
}
