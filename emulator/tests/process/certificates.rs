//! Client certificates in real handshakes (ref §0.3 rule 9, §9.5, §14.6 row 18): of both versions, and none at all.

use std::sync::Arc;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use rustls::client::ResolvesClientCert;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SigningKey};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore, SignatureScheme, SupportedProtocolVersion};
use serde_json::json;

use crate::bytes::{ACCEPTED, CONNECT_DEV1_X509, hex};
use crate::pki::{DEV1, DEV1_KEY, Der, V1, V1_KEY, V1_RSA, V1_RSA_KEY, der};
use crate::running::{Device, Running, directory, serve};

/// Client's chain with a key, whether or not they belong together.
#[derive(Debug)]
struct Shown(Arc<CertifiedKey>);

impl ResolvesClientCert for Shown {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

fn signing_key(pem: &str) -> Arc<dyn SigningKey> {
    let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).unwrap();
    rustls::crypto::aws_lc_rs::sign::any_supported_type(&key).unwrap()
}

fn showing(
    running: &Running,
    chain: Vec<Der>,
    key: &str,
    version: &'static SupportedProtocolVersion,
) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(running.ca()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[version]).unwrap();
    let shown = Shown(Arc::new(CertifiedKey::new(chain, signing_key(key))));
    Arc::new(builder.with_root_certificates(roots).with_client_cert_resolver(Arc::new(shown)))
}

/// Starts an emulator whose `dev1` has the thumbprints of the two certificates of version 1.
fn start() -> Running {
    let dir = directory();
    let thumbprints = |primary: &str, secondary: &str| {
        json!({"type": "selfSigned",
        "x509Thumbprint": {"primaryThumbprint": primary, "secondaryThumbprint": secondary}})
    };
    let devices =
        |primary, secondary| json!([{"deviceId": "dev1", "authentication": thumbprints(primary, secondary)}]);
    let config = json!({"hubs": [{
        "hostName": "contoso.azure-devices.net",
        "devices": devices("049a174a83bc6566849c4ed7adf6f5ef2ae9ef4b", "02681442678096133b09d6571dc36c89ed97e3d1"),
    }]});
    let command = serve(&dir, &config.to_string());
    Running::spawn(dir, command)
}

/// openssl makes version 1 certificates without an extension file; rustls' own verifier refuses them.
#[test]
fn certificates_of_version_1_pass_the_handshake() {
    let running = start();
    for version in [&TLS12, &TLS13] {
        for (certificate, key) in [(V1, V1_KEY), (V1_RSA, V1_RSA_KEY)] {
            let config = showing(&running, vec![der(certificate)], key, version);
            let mut device = Device::dial(running.mqtt, "localhost", &config).unwrap();
            device.send(&hex(CONNECT_DEV1_X509));
            device.expect_either(ACCEPTED, "20020100");
        }
    }
}

/// Ref §9.6: over the wire, with its key.
#[test]
fn the_published_certificate_connects() {
    let running = start();
    let body = json!({"authentication": {"type": "selfSigned",
        "x509Thumbprint": {"primaryThumbprint": "8E15FF30AA2B351DDB56FCDCA4496796B3591A2A"}}});
    let path = "/api/hubs/contoso.azure-devices.net/devices/dev1";
    assert_eq!(running.http_with("PUT", path, &body.to_string()).0, 200);
    for version in [&TLS12, &TLS13] {
        let config = showing(&running, vec![der(DEV1)], DEV1_KEY, version);
        let mut device = Device::dial(running.mqtt, "localhost", &config).unwrap();
        device.send(&hex(CONNECT_DEV1_X509));
        device.expect_either(ACCEPTED, "20020100");
    }
}

/// A client with another client's certificate does not have its key; the handshake fails, in either TLS version.
#[test]
fn a_certificate_without_its_key_is_refused() {
    let running = start();
    for version in [&TLS12, &TLS13] {
        for (certificate, key) in [(V1, DEV1_KEY), (V1_RSA, V1_KEY), (DEV1, V1_KEY), (V1, V1_RSA_KEY)] {
            assert!(never_connects(&running, vec![der(certificate)], key, version));
        }
    }
    assert!(!never_connects(&running, vec![der(V1)], V1_KEY, &TLS13), "the right key");
}

/// Returns whether a client fails to connect. With TLS 1.3 it notices the failed handshake only when it reads.
fn never_connects(
    running: &Running,
    chain: Vec<Der>,
    key: &str,
    version: &'static SupportedProtocolVersion,
) -> bool {
    let config = showing(running, chain, key, version);
    match Device::dial(running.mqtt, "localhost", &config) {
        Ok(mut device) => !device.is_answered(&hex(CONNECT_DEV1_X509)),
        Err(_) => true,
    }
}

/// Any bytes in the place of the leaf or above it end nothing but their own connection.
#[test]
fn any_bytes_may_be_shown_as_certificates() {
    let running = start();
    let mut runner = TestRunner::new(Config { cases: 48, failure_persistence: None, ..Config::default() });
    let damaged = (any::<prop::sample::Index>(), any::<u8>()).prop_map(|(at, with)| {
        let mut bytes = der(V1).to_vec();
        let at = at.index(bytes.len());
        bytes[at] = with;
        bytes
    });
    let bytes = prop_oneof![prop::collection::vec(any::<u8>(), 1..300), damaged];
    let chains = prop::collection::vec(bytes, 1..4);
    let connects = |chain: Vec<Vec<u8>>| {
        let chain: Vec<Der> = chain.into_iter().map(CertificateDer::from).collect();
        never_connects(&running, chain, V1_KEY, &TLS13);
        never_connects(&running, vec![der(V1), der(V1)], V1_KEY, &TLS12);
    };
    let shown = runner.run(&chains, |chain| {
        connects(chain);
        Ok(())
    });
    shown.unwrap();
    assert!(!never_connects(&running, vec![der(V1), CertificateDer::from(vec![0x30; 9])], V1_KEY, &TLS13));
    assert!(!running.log().contains("panicked"), "{}", running.log());
}
