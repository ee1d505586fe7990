//! TLS as devices see it (ref §0.3 rule 9, §1.4, §14.1).

use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::version::{TLS12, TLS13};

use crate::running::{CONFIG, Device, Identity, Running, client, directory, serve};

#[test]
fn both_versions_are_offered() {
    let running = Running::start();
    for version in [&TLS12, &TLS13] {
        let mut device =
            Device::dial(running.mqtt, "localhost", &client(&running.ca(), None, &[version])).unwrap();
        assert_eq!(device.version(), version.version);
        device.connect("dev1");
    }
}

/// Hubs, loopback addresses, and what `--host` and the configuration add.
#[test]
fn the_certificate_carries_every_name() {
    let dir = directory();
    let config = format!(
        "{CONFIG}dps: [{{idScope: 0ne1, hostName: dps.example}}]\nemulator: {{certificateNames: [more.example]}}\n"
    );
    let mut command = serve(&dir, &config);
    command.args(["--host", "one.example", "--host", "10.1.2.3"]);
    let running = Running::spawn(dir, command);
    let config = client(&running.ca(), None, rustls::DEFAULT_VERSIONS);
    for name in [
        "localhost",
        "127.0.0.1",
        "127.0.0.32",
        "contoso.azure-devices.net",
        "dps.example",
        "more.example",
        "one.example",
        "10.1.2.3",
    ] {
        assert!(Device::dial(running.mqtt, name, &config).is_ok(), "{name}");
    }
    for name in ["other.example", "127.0.0.33"] {
        assert!(Device::dial(running.mqtt, name, &config).is_err(), "{name}");
    }
}

/// Self-signed, expired, of whatever algorithm: whether it counts is decided later.
#[test]
fn any_client_certificate_is_taken() {
    let running = Running::start();
    for version in [&TLS12, &TLS13] {
        for algorithm in [
            &rcgen::PKCS_ECDSA_P256_SHA256,
            &rcgen::PKCS_ECDSA_P384_SHA384,
            &rcgen::PKCS_RSA_SHA256,
            &rcgen::PKCS_ED25519,
        ] {
            let config = client(&running.ca(), Some(self_signed(algorithm)), &[version]);
            let mut device = Device::dial(running.mqtt, "localhost", &config).unwrap();
            device.connect("dev1");
        }
    }
    assert!(running.log().contains("certificates=1"), "{}", running.log());
}

fn self_signed(algorithm: &'static rcgen::SignatureAlgorithm) -> Identity {
    let key = rcgen::KeyPair::generate_for(algorithm).unwrap();
    let mut params = rcgen::CertificateParams::new(["device".to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(2001, 1, 1);
    params.not_after = rcgen::date_time_ymd(2002, 1, 1);
    let certificate = params.self_signed(&key).unwrap();
    (vec![certificate.der().clone()], PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())))
}

/// Helm's `genCA` makes RSA keys.
#[test]
fn a_ca_may_be_brought_along() {
    let dir = directory();
    std::fs::create_dir(dir.join("ca")).unwrap();
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    let mut params = rcgen::CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, "Other CA");
    std::fs::write(dir.join("ca/ca.crt"), params.self_signed(&key).unwrap().pem()).unwrap();
    std::fs::write(dir.join("ca/ca.key"), key.serialize_pem()).unwrap();
    let mut command = serve(&dir, CONFIG);
    command.arg("--ca-dir").arg(dir.join("ca"));
    let running = Running::spawn(dir, command);
    let config = client(&running.dir.join("ca/ca.crt"), None, rustls::DEFAULT_VERSIONS);
    Device::dial(running.mqtt, "localhost", &config).unwrap().connect("dev1");
    assert!(!running.ca().exists(), "nothing is written beside it");
}

/// Plain MQTT, or a client that does not trust the CA, ends nothing but its own connection.
#[test]
fn client_without_tls_is_disconnected() {
    use std::io::{Read, Write};
    let running = Running::start();
    let mut plain = std::net::TcpStream::connect(running.mqtt).unwrap();
    plain.write_all(&crate::bytes::hex(crate::bytes::CONNECT_DEV1)).unwrap();
    let mut rest = Vec::new();
    let _ = plain.read_to_end(&mut rest);
    let other = Running::start();
    assert!(
        Device::dial(running.mqtt, "localhost", &client(&other.ca(), None, rustls::DEFAULT_VERSIONS))
            .is_err()
    );
    running.device("dev1");
    let failures = running.http("GET", "/metrics").1;
    assert!(failures.contains("lanyard_emulator_tls_failures_total 2\n"), "{failures}");
}
