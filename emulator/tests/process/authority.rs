//! The emulator's own CA: for which names it may sign, and how it lives on.

use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use crate::running::{CONFIG, Device, Running, client, directory, serve};

/// Returns the result of a client that trusts `ca` for a certificate for `name`, signed with the CA's key.
fn forged(ca: &Path, key: &Path, name: &str) -> Result<(), webpki::Error> {
    let ca = CertificateDer::from_pem_file(ca).unwrap();
    let pair = KeyPair::from_pem(&std::fs::read_to_string(key).unwrap()).unwrap();
    let issuer = Issuer::from_ca_cert_der(&ca, pair).unwrap();
    let leaf = CertificateParams::new([name.to_owned()]).unwrap();
    let leaf = leaf.signed_by(&KeyPair::generate().unwrap(), &issuer).unwrap();
    let anchors = [anchor_from_trusted_cert(&ca).unwrap()];
    let algorithms = rustls::crypto::aws_lc_rs::default_provider().signature_verification_algorithms.all;
    let leaf = EndEntityCert::try_from(leaf.der()).unwrap();
    let usage = KeyUsage::server_auth();
    leaf.verify_for_usage(algorithms, &anchors, &[], UnixTime::now(), usage, None, None).map(|_| ())
}

#[test]
fn the_ca_signs_for_the_emulators_names_only() {
    let dir = directory();
    let mut command = serve(&dir, CONFIG);
    command.args(["--host", "10.1.2.3"]);
    let running = Running::spawn(dir, command);
    let sign = |name| forged(&running.ca(), &running.dir.join("data/ca.key"), name);
    for name in ["localhost", "127.0.0.77", "emulator.plant.svc", "contoso.azure-devices.net", "10.1.2.3"] {
        assert_eq!(sign(name).err(), None, "{name}");
    }
    for name in [
        "fabrikam.azure-devices.net",
        "global.azure-devices-provisioning.net",
        "10.1.2.4",
        "::1",
        "x.svc.example",
    ] {
        assert_eq!(sign(name), Err(webpki::Error::NameConstraintViolation), "{name}");
    }
}

#[test]
fn a_new_name_leaves_clients_of_the_old_ca_working() {
    let running = Running::start();
    let before = running.dir.join("before.crt");
    std::fs::copy(running.ca(), &before).unwrap();
    let key = std::fs::read(running.dir.join("data/ca.key")).unwrap();
    let mut running = running;
    running.terminate();
    let mut command = serve(&running.dir, CONFIG);
    command.args(["--host", "two.example"]);
    let running = Running::spawn(running.dir.clone(), command);
    assert_eq!(std::fs::read(running.dir.join("data/ca.key")).unwrap(), key);
    assert!(running.log().contains("two.example"), "{}", running.log());
    let dial =
        |ca: &Path, name| Device::dial(running.mqtt, name, &client(ca, None, rustls::DEFAULT_VERSIONS));
    for name in ["localhost", "127.0.0.1", "contoso.azure-devices.net"] {
        assert!(dial(&before, name).is_ok() && dial(&running.ca(), name).is_ok(), "{name}");
    }
    assert!(dial(&before, "two.example").is_err() && dial(&running.ca(), "two.example").is_ok());
}

#[test]
fn a_ca_without_constraints_goes_on_working() {
    let dir = directory();
    std::fs::create_dir(dir.join("data")).unwrap();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.distinguished_name.push(DnType::CommonName, "Lanyard emulator CA");
    let ca = params.self_signed(&key).unwrap().pem();
    std::fs::write(dir.join("data/ca.crt"), &ca).unwrap();
    std::fs::write(dir.join("data/ca.key"), key.serialize_pem()).unwrap();
    let command = serve(&dir, CONFIG);
    let running = Running::spawn(dir, command);
    running.device("dev1");
    assert_eq!(std::fs::read_to_string(running.ca()).unwrap(), ca);
}
