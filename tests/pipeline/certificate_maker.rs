//! Makes certificates: CAs, and the leafs of devices.

#![allow(clippy::unwrap_used, reason = "what goes wrong here is a test that fails")]

use std::time::{Duration, SystemTime};

use lanyard_handoff::fingerprint::Fingerprint;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SignatureAlgorithm,
};

/// A certificate as a device has it in its folder.
pub(crate) struct Leaf {
    /// PEM: the leaf, and the CAs between it and the one that is known.
    pub(crate) chain: String,
    /// PEM.
    pub(crate) key: String,
    pub(crate) fingerprint: Fingerprint,
}

/// Validity of a certificate from now, in seconds.
pub(crate) const YEAR: std::ops::Range<i64> = -3600..365 * 86_400;

/// A CA.
pub(crate) struct Ca {
    pub(crate) pem: String,
    issuer: Issuer<'static, KeyPair>,
    /// PEM of those between it and its root.
    above: String,
}

impl Ca {
    /// Creates a root CA.
    pub(crate) fn root(name: &str) -> Self {
        let (params, key) = (ca(name), KeyPair::generate().unwrap());
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key), above: String::new() }
    }

    /// Creates a CA below this one.
    pub(crate) fn intermediate(&self, name: &str) -> Self {
        let (params, key) = (ca(name), KeyPair::generate().unwrap());
        let pem = params.signed_by(&key, &self.issuer).unwrap().pem();
        Self { above: format!("{pem}{}", self.above), pem, issuer: Issuer::new(params, key) }
    }

    /// Issues a device's certificate.
    pub(crate) fn leaf(&self, name: &str) -> Leaf {
        let key = KeyPair::generate().unwrap();
        let certificate = leaf(name, YEAR).signed_by(&key, &self.issuer).unwrap();
        let fingerprint = Fingerprint::of_certificate(certificate.der());
        Leaf { chain: format!("{}{}", certificate.pem(), self.above), key: key.serialize_pem(), fingerprint }
    }
}

/// Returns a self-signed certificate.
pub(crate) fn self_signed(name: &str) -> Leaf {
    self_signed_with(name, &rcgen::PKCS_ECDSA_P256_SHA256, YEAR)
}

/// Returns a self-signed certificate with another key algorithm or another validity, in seconds from now.
pub(crate) fn self_signed_with(
    name: &str,
    algorithm: &'static SignatureAlgorithm,
    life: std::ops::Range<i64>,
) -> Leaf {
    let key = KeyPair::generate_for(algorithm).unwrap();
    let certificate = leaf(name, life).self_signed(&key).unwrap();
    let fingerprint = Fingerprint::of_certificate(certificate.der());
    Leaf { chain: certificate.pem(), key: key.serialize_pem(), fingerprint }
}

fn leaf(name: &str, life: std::ops::Range<i64>) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.not_before = at(life.start).into();
    params.not_after = at(life.end).into();
    params
}

fn ca(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn at(seconds: i64) -> SystemTime {
    let distance = Duration::from_secs(seconds.unsigned_abs());
    let now = SystemTime::now();
    if seconds < 0 { now - distance } else { now + distance }
}
