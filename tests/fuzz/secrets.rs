//! Test that no error repeats a part of a secret: every reader of keys, connection strings, certificates, credentials files and
//! configurations, with common damage to the text.

// Tests measure real time.
#![allow(clippy::disallowed_methods)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "what goes wrong here is a test that fails")]

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use lanyard_agent::config::{certificate, credentials};
use lanyard_emulator::config::check;
use lanyard_handoff::fingerprint::Fingerprint;
use lanyard_operator::credential::issuer::Issuer;
use lanyard_operator::credential::pair::{KeyKind, Pair, PairError};
use lanyard_operator::credential::rollover_queue::RolloverTurn;
use lanyard_operator::credential::stored::StoredCredentials;
use lanyard_operator::device::issue::credential::{
    Environment, KnownCredential, group_key, issue, trusted_ca,
};
use lanyard_operator::device::observe::observation::DeviceObservation;
use lanyard_operator::device::validate::effective::validate;
use lanyard_operator::group::lists::csv;
use lanyard_operator::kubernetes::found::CaFound;
use lanyard_operator::kubernetes::secret::SecretData;
use lanyard_protocol::hub::connection_string::DeviceConnectionString;
use lanyard_protocol::hub::key::SymmetricKey;
use lanyard_protocol::hub::sas::PresentedToken;
use lanyard_protocol::text::pem;
use proptest::prelude::*;

/// Number of successive characters of a secret that no error repeats.
const PART: usize = 8;
/// Base64 of 32 random bytes, so that no word of a message is a part of a secret by chance.
const DIGITS: &str = "[A-Za-z0-9+/]{43}=";

/// Damage to a text.
#[derive(Debug, Clone, Copy)]
enum Damage {
    None,
    Cut(usize),
    Behead(usize),
    Doubled,
    Separators(char),
    Spread(usize),
    Quoted,
    Utf16,
    Mark,
    NotUtf8,
    Escaped,
    Upper,
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        Just(Damage::None),
        (0_usize..400).prop_map(Damage::Cut),
        (0_usize..80).prop_map(Damage::Behead),
        Just(Damage::Doubled),
        prop_oneof![Just(','), Just(':'), Just('&'), Just('\n'), Just('|')].prop_map(Damage::Separators),
        (1_usize..60).prop_map(Damage::Spread),
        Just(Damage::Quoted),
        Just(Damage::Utf16),
        Just(Damage::Mark),
        Just(Damage::NotUtf8),
        Just(Damage::Escaped),
        Just(Damage::Upper),
    ]
}

fn damaged(text: &str, damage: Damage) -> Vec<u8> {
    let bytes = |text: String| text.into_bytes();
    match damage {
        Damage::None => bytes(text.to_owned()),
        Damage::Cut(at) => bytes(text.chars().take(at).collect()),
        Damage::Behead(at) => bytes(text.chars().skip(at).collect()),
        Damage::Doubled => bytes(format!("{text}{text}")),
        Damage::Separators(other) => bytes(text.replace(';', &other.to_string()).replace('=', "")),
        Damage::Spread(at) => {
            let at = at.min(text.len());
            bytes(format!("{}\n{}", &text[..at], &text[at..]))
        }
        Damage::Quoted => bytes(format!("\"{text}\"")),
        Damage::Utf16 => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        Damage::Mark => bytes(format!("\u{feff}{text}")),
        Damage::NotUtf8 => text.bytes().chain([0xff]).collect(),
        Damage::Escaped => bytes(text.replace('=', "%3D").replace(';', "%3B")),
        Damage::Upper => bytes(text.to_uppercase()),
    }
}

/// Returns the forms in which a key is handed over, correctly or by mistake.
fn forms(key: &str) -> Vec<String> {
    vec![
        key.to_owned(),
        format!("HostName=hub.example;DeviceId=press-17;SharedAccessKey={key}"),
        format!("HostName={key};DeviceId={key};SharedAccessKey={key}"),
        format!("{key};{key}={key};GatewayHostName={key}"),
        format!("HostName=hub.example;{key}=1;DeviceId=press-17;SharedAccessKey={key}"),
        format!("HostName=hub.example;DeviceId=press-17;SharedAccessKey={key};GatewayHostName={key}"),
        format!("SharedAccessSignature sr=hub.example&sig={key}&se=1&{key}=2"),
        format!("-----BEGIN PRIVATE KEY-----\n{key}\n-----END PRIVATE KEY-----\n"),
        format!("-----BEGIN EC PRIVATE KEY-----\n{key}\n-----END PRIVATE KEY-----\n{key}"),
        format!("-----BEGIN CERTIFICATE-----\n{key}\n-----END CERTIFICATE-----\n"),
        format!("-----BEGIN {key}-----\n{key}\n-----END {key}-----\n"),
    ]
}

struct Fixed;

impl Environment for Fixed {
    fn pair(&self, _: KeyKind) -> Result<Option<Pair>, PairError> {
        Ok(None)
    }

    fn serial(&self) -> [u8; 16] {
        [7; 16]
    }

    fn turn(&self, _: &Fingerprint) -> RolloverTurn {
        RolloverTurn::Now
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_second(1_790_000_000).unwrap()
    }
}

fn secret(entries: &[(&str, &[u8])]) -> SecretData {
    entries.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.to_vec())).collect()
}

/// Collects an error as it is shown and as it is debugged.
fn note<T, E: std::fmt::Display + std::fmt::Debug>(actual: &mut String, result: Result<T, E>) {
    if let Err(error) = result {
        let _ = writeln!(actual, "{error} {error:?}");
    }
}

/// Collects everything that the readers of wire formats report.
fn protocol(bytes: &[u8], actual: &mut String) {
    note(actual, SymmetricKey::read(bytes));
    note(actual, DeviceConnectionString::read(bytes));
    note(actual, pem::certificates(bytes));
    note(actual, pem::public_certificates(bytes));
    note(actual, pem::private_key(bytes));
    note(actual, PresentedToken::parse(&String::from_utf8_lossy(bytes)).map(drop));
}

/// Collects everything that the operator reports about Secrets and ConfigMaps, in conditions and events.
fn operator(bytes: &[u8], actual: &mut String) {
    let auths = ["symmetricKey", "certificate"];
    for (auth, field) in auths.into_iter().flat_map(|auth| {
        ["connectionString", "primaryKey", "secondaryKey", "tls.crt", "tls.key"].map(|field| (auth, field))
    }) {
        let yaml = format!(
            "{{apiVersion: lanyard.dev/v1alpha1, kind: IoTDevice, metadata: {{name: press-17, namespace: plant, \
                uid: u}}, spec: {{hub: {{hostname: hub.example, auth: {{{auth}: {{secretRef: {{name: own}}}}}}}}}}}}"
        );
        let device = serde_saphyr::from_str(&yaml).unwrap();
        let data = secret(&[(field, bytes), ("tls.crt", bytes), ("tls.key", bytes)]);
        let _ = write!(
            actual,
            "{data:?} {:?}",
            StoredCredentials::read(&data, &std::collections::BTreeMap::new())
        );
        let observed =
            DeviceObservation { device: Arc::new(device), key: Some(data), ..DeviceObservation::default() };
        let valid = validate(&observed).unwrap();
        let issued = issue(&valid, &observed, KnownCredential::default(), &Fixed);
        let _ = write!(actual, "{issued:?}");
        note(actual, issued);
    }
    let data = secret(&[("primaryKey", bytes), ("tls.crt", bytes), ("tls.key", bytes)]);
    note(actual, group_key("own", "primaryKey", Some(&data)));
    note(actual, Issuer::read("own", Some(&data), Fixed.now()));
    note(actual, trusted_ca(&CaFound::Text { object: "Secret own".to_owned(), bytes: bytes.to_vec() }));
    csv::rows(&String::from_utf8_lossy(bytes)).into_iter().for_each(|row| note(actual, row));
}

/// Collects everything that the agent reports about its credentials folder.
fn agent(bytes: &[u8], folder: &Path, actual: &mut String) {
    let device = folder.join("d");
    std::fs::create_dir_all(&device).unwrap();
    for file in ["sharedAccessKey", "tls.crt", "tls.key", "ca.crt"] {
        std::fs::write(device.join(file), bytes).unwrap();
        let loaded = credentials::load(folder, "d");
        if let Ok(loaded) = &loaded {
            let _ = write!(actual, "{:?} {:?}", loaded.offered, loaded.problem);
        }
        note(actual, loaded);
        if file != "tls.crt" {
            std::fs::remove_file(device.join(file)).unwrap();
        }
    }
    note(actual, certificate::Certificate::parse(bytes, bytes));
    note(actual, lanyard_agent::mqtt::trust::Trust::new(Some(bytes)));
}

/// Collects everything that the emulator reports about a configuration with the text in places where keys belong and
/// where none do.
fn emulator(bytes: &[u8], actual: &mut String) {
    let text = String::from_utf8_lossy(bytes);
    let text = serde_json::to_string(&text).unwrap();
    for place in [
        format!("authentication: {{symmetricKey: {{primaryKey: {text}}}}}"),
        format!("authentication: {{symmetricKey: {text}}}"),
        format!("authentication: {text}"),
        format!("authentication: {{{text}: {text}}}"),
        format!("authentication: {{symmetricKey: {{primaryKey: [{text}]}}}}"),
        format!("authentication: {{x509Thumbprint: {{primaryThumbprint: {text}}}}}"),
    ] {
        let yaml = format!("hubs: [{{hostName: h.example, devices: [{{deviceId: d, {place}}}]}}]");
        note(actual, check::read(&yaml, Path::new("/nonexistent")));
    }
    for attestation in [
        format!("{{type: symmetricKey, symmetricKey: {{primaryKey: {text}}}}}"),
        format!("{{type: {text}}}"),
        format!("{{type: symmetricKey, symmetricKey: {text}}}"),
        format!("{{type: x509, x509: {{signingCertificates: {{primary: {{certificate: {text}}}}}}}}}"),
    ] {
        let yaml = format!(
            "{{dps: [{{idScope: 0ne1, hostName: d.example, iotHubs: [], enrollmentGroups: [{{enrollmentGroupId: g, \
                attestation: {attestation}}}]}}]}}"
        );
        note(actual, check::read(&yaml, Path::new("/nonexistent")));
    }
}

/// Returns the first part of the secret that a text repeats, regardless of case.
fn repeated(secret: &str, actual: &str) -> Option<String> {
    let (secret, actual) = (secret.to_lowercase(), actual.to_lowercase());
    let parts = secret.as_bytes().windows(PART).map(|part| std::str::from_utf8(part).unwrap());
    parts.into_iter().find(|part| actual.contains(part)).map(str::to_owned)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_error_repeats_a_part_of_a_secret(key in DIGITS, damage in damage()) {
        let folder = std::env::temp_dir().join(format!("lanyard-secrets-{:016x}", std::process::id()));
        for form in forms(&key) {
            let bytes = damaged(&form, damage);
            let mut actual = String::new();
            protocol(&bytes, &mut actual);
            operator(&bytes, &mut actual);
            agent(&bytes, &folder, &mut actual);
            emulator(&bytes, &mut actual);
            prop_assert!(!actual.is_empty());
            prop_assert_eq!(repeated(&key, &actual), None, "{} in {}", form, actual);
        }
        std::fs::remove_dir_all(folder).unwrap();
    }
}
