//! The configuration's certificates and thumbprints: what is accepted, and that every problem is reported with its field and fix.

// Tests measure real time.
#![allow(clippy::disallowed_methods)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "what goes wrong here is a test that fails")]

#[allow(dead_code, reason = "shared with the wire tests")]
#[path = "wire/pki.rs"]
mod pki;

use std::path::Path;

use lanyard_emulator::config::check::{load, read};
use lanyard_emulator::config::checked::Checked;
use lanyard_emulator::registry::attestation::Attestation;
use lanyard_emulator::registry::authentication::Authentication;
use pki::{Ca, DEV1, DEV1_KEY};
use serde_json::{Value, json};

fn parse(document: &Value) -> Result<Checked, String> {
    read(&document.to_string(), Path::new("/nonexistent")).map_err(|problems| problems.to_string())
}

fn device(authentication: &Value) -> Value {
    json!({"hubs": [{"hostName": "h", "devices": [{"deviceId": "a", "authentication": authentication}]}]})
}

fn group(x509: &Value) -> Value {
    let attestation = json!({"type": "x509", "x509": x509});
    let groups = json!([{"enrollmentGroupId": "g", "attestation": attestation}]);
    json!({"hubs": [{"hostName": "h"}], "dps": [{"idScope": "0ne1", "enrollmentGroups": groups}]})
}

fn individual(x509: &Value) -> Value {
    let attestation = json!({"type": "x509", "x509": x509});
    let enrollments = json!([{"registrationId": "r", "attestation": attestation}]);
    json!({"hubs": [{"hostName": "h"}], "dps": [{"idScope": "0ne1", "enrollments": enrollments}]})
}

#[test]
fn the_example_is_right() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/certificates.yaml");
    let checked = load(&path).unwrap();
    let [first, second] = &checked.hubs[0].devices[..] else { panic!("two devices") };
    assert!(matches!(&first.authentication, Authentication::SelfSigned(both) if both.secondary.is_none()));
    assert_eq!(second.authentication, Authentication::CertificateAuthority);
    let verified: Vec<_> = checked.certificates.iter().map(|(name, _, is)| (name.as_str(), *is)).collect();
    assert_eq!(verified, [("plant-root", true), ("line-3", false)]);
    let [plant, line] = &checked.dps[0].groups[..] else { panic!("two groups") };
    assert!(
        matches!(&plant.terms.attestation, Attestation::CaReferences(names) if names.primary == "plant-root")
    );
    assert!(matches!(&line.terms.attestation, Attestation::SigningCertificates(_)));
    assert!(matches!(&checked.dps[0].individuals[0].1.terms.attestation, Attestation::ClientCertificates(_)));
}

/// The field's path, the cause and the fix; nothing of a key that was pasted by problem.
#[test]
fn every_error_names_field_and_fix() {
    let thumbprint = "8E15FF30AA2B351DDB56FCDCA4496796B3591A2A";
    let hashes = |primary: &str, secondary: &str| {
        device(
            &json!({"type": "selfSigned", "x509Thumbprint": {"primaryThumbprint": primary, "secondaryThumbprint": secondary}}),
        )
    };
    let signer =
        |certificate: &str| group(&json!({"signingCertificates": {"primary": {"certificate": certificate}}}));
    let leaf = |certificate: &str| {
        individual(&json!({"clientCertificates": {"primary": {"certificate": certificate}}}))
    };
    let upload = |entry: Value| json!({"hubs": [{"hostName": "h"}], "certificates": [entry]});
    let authentication = "hubs[0].devices[0].authentication";
    let of_group = "dps[0].enrollmentGroups[0].attestation.x509";
    let of_individual = "dps[0].enrollments[0].attestation.x509";
    let long = "00".repeat(32);
    for (document, field, message) in [
        (
            hashes("8E:15:FF", ""),
            format!("{authentication}.x509Thumbprint.primaryThumbprint"),
            "has separators: remove the colons and spaces",
        ),
        (
            hashes(thumbprint, &thumbprint[1..]),
            format!("{authentication}.x509Thumbprint.secondaryThumbprint"),
            "has 39 hexadecimal digits: use the 40 of SHA-1 or the 64 of SHA-256",
        ),
        (
            hashes(thumbprint, &long),
            format!("{authentication}.x509Thumbprint.secondaryThumbprint"),
            "is not of the same hash as primaryThumbprint: use SHA-256 for both, or SHA-1",
        ),
        (
            hashes("", ""),
            format!("{authentication}.x509Thumbprint"),
            "is missing: give primaryThumbprint, secondaryThumbprint or both",
        ),
        (
            device(&json!({"type": "certificateAuthority", "x509Thumbprint": {}})),
            format!("{authentication}.x509Thumbprint"),
            "only type selfSigned has thumbprints: remove it, or use that type",
        ),
        (
            device(&json!({"type": "none"})),
            format!("{authentication}.type"),
            "\"none\" is not supported: use sas, selfSigned or certificateAuthority",
        ),
        (
            signer(DEV1),
            format!("{of_group}.signingCertificates.primary.certificate"),
            "is not a CA: its basicConstraints must say CA:TRUE",
        ),
        (
            signer(DEV1_KEY),
            format!("{of_group}.signingCertificates.primary.certificate"),
            "is a private key, not a certificate: begin with -----BEGIN CERTIFICATE-----",
        ),
        (
            leaf(&format!("{DEV1}{DEV1}")),
            format!("{of_individual}.clientCertificates.primary.certificate"),
            "holds 2 certificates: keep the one that is meant",
        ),
        (
            leaf("AAAA"),
            format!("{of_individual}.clientCertificates.primary.certificate"),
            "this is no X.509 certificate",
        ),
        (
            individual(&json!({"clientCertificates": {}})),
            format!("{of_individual}.clientCertificates.primary"),
            "is missing: add it",
        ),
        (
            individual(&json!({"clientCertificates": {"primary": {}}})),
            format!("{of_individual}.clientCertificates.primary.certificate"),
            "is missing: give it, or certificateFile",
        ),
        (
            individual(&json!({"clientCertificates": {"primary": {"certificateFile": "leaf.crt"}}})),
            format!("{of_individual}.clientCertificates.primary.certificateFile"),
            "cannot read /nonexistent/leaf.crt",
        ),
        (
            individual(&json!({"caReferences": {"primary": "root"}})),
            of_individual.to_owned(),
            "an individual enrollment has clientCertificates here, and nothing else",
        ),
        (
            group(&json!({"caReferences": {"primary": "root"}})),
            format!("{of_group}.caReferences.primary"),
            "\"root\" is none of the certificates: add it under certificates",
        ),
        (
            upload(json!({"properties": {"certificate": DEV1}})),
            "certificates[0].name".to_owned(),
            "is missing: add it",
        ),
        (
            upload(json!({"name": "root", "properties": {"certificate": "x"}})),
            "certificates[0].properties.certificate".to_owned(),
            "is neither PEM nor base64",
        ),
        (
            upload(json!({"name": "root", "certificate": "x"})),
            "an unknown field of certificates[0]".to_owned(),
            "there is no such field here",
        ),
    ] {
        let problems = parse(&document).unwrap_err();
        let line = problems.lines().find(|line| line.contains(&format!("- {field} (")));
        assert!(line.is_some_and(|line| line.contains(message)), "{field}: {message}:{problems}");
        assert!(!problems.contains("MIGH") && !problems.contains("MIIB"), "{problems}");
    }
}

/// Ref §9.1: "duplicates rejected".
#[test]
fn a_certificate_belongs_to_one_enrollment() {
    let root = Ca::root("root");
    let by_certificate =
        json!({"type": "x509", "x509": {"signingCertificates": {"primary": {"certificate": root.pem()}}}});
    let by_name = json!({"type": "x509", "x509": {"caReferences": {"primary": "root"}}});
    let groups = json!([{"enrollmentGroupId": "one", "attestation": by_certificate}, {"enrollmentGroupId": "two", "attestation": by_name}]);
    let certificates =
        json!([{"name": "root", "properties": {"certificate": root.pem(), "isVerified": true}}]);
    let document = |groups: &Value| {
        json!({"hubs": [{"hostName": "h"}], "certificates": certificates,
        "dps": [{"idScope": "0ne1", "enrollmentGroups": groups}]})
    };
    let problems = parse(&document(&groups)).unwrap_err();
    assert!(
        problems
            .contains("one and two have the same certificate, and DPS takes each for one enrollment only"),
        "{problems}"
    );
    assert!(parse(&document(&json!([groups[1]]))).is_ok());
}
