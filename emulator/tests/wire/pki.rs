//! Certificate authorities and certificates for tests, valid from 2023 to 2049 unless said otherwise.

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use rustls::pki_types::CertificateDer;

pub(crate) type Der = CertificateDer<'static>;

/// The certificate and key of ref §9.6.
pub(crate) const DEV1: &str = include_str!("../certificates/dev1.crt");
pub(crate) const DEV1_KEY: &str = include_str!("../certificates/dev1.key");
/// Certificate of `openssl x509 -req -signkey`: version 1 (ref §9.5).
pub(crate) const V1: &str = include_str!("../certificates/v1-ecdsa.crt");
pub(crate) const V1_KEY: &str = include_str!("../certificates/v1-ecdsa.key");
pub(crate) const V1_RSA: &str = include_str!("../certificates/v1-rsa.crt");
pub(crate) const V1_RSA_KEY: &str = include_str!("../certificates/v1-rsa.key");

pub(crate) fn der(pem: &str) -> Der {
    use rustls::pki_types::pem::PemObject;
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}

/// A CA of its own, or under another one.
pub(crate) struct Ca {
    name: String,
    issuer: Issuer<'static, KeyPair>,
    certificate: Certificate,
}

/// Returns the parameters of a CA certificate, for changes.
pub(crate) fn ca_params(name: &str) -> CertificateParams {
    let mut params = params(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// Returns the parameters of a leaf, for changes.
pub(crate) fn leaf_params(name: &str) -> CertificateParams {
    let mut params = params(name);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params
}

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date_time_ymd(2023, 1, 1);
    params.not_after = date_time_ymd(2049, 1, 1);
    params
}

fn name_of(params: &CertificateParams) -> String {
    match params.distinguished_name.get(&DnType::CommonName) {
        Some(rcgen::DnValue::Utf8String(name)) => name.clone(),
        _ => String::new(),
    }
}

impl Ca {
    pub(crate) fn root(name: &str) -> Self {
        Self::root_with(ca_params(name))
    }

    pub(crate) fn root_with(params: CertificateParams) -> Self {
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self { name: name_of(&params), issuer: Issuer::new(params, key), certificate }
    }

    /// Creates a CA under this one.
    pub(crate) fn intermediate(&self, name: &str) -> Self {
        self.intermediate_with(ca_params(name))
    }

    pub(crate) fn intermediate_with(&self, params: CertificateParams) -> Self {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Self { name: name_of(&params), issuer: Issuer::new(params, key), certificate }
    }

    pub(crate) fn der(&self) -> Der {
        self.certificate.der().clone()
    }

    pub(crate) fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// Signs another certificate for the name and key of `other`.
    pub(crate) fn signs(&self, other: &Self) -> Leaf {
        let params = ca_params(&other.name);
        let key = KeyPair::from_pem(&other.issuer.key().serialize_pem()).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Leaf { certificate, key }
    }

    /// Creates a leaf, signed by this CA.
    pub(crate) fn leaf(&self, name: &str) -> Leaf {
        self.leaf_with(&leaf_params(name))
    }

    pub(crate) fn leaf_with(&self, params: &CertificateParams) -> Leaf {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Leaf { certificate, key }
    }
}

/// A device's certificate and key.
pub(crate) struct Leaf {
    certificate: Certificate,
    pub(crate) key: KeyPair,
}

impl Leaf {
    /// Creates a certificate that is signed by itself.
    pub(crate) fn alone(name: &str) -> Self {
        Self::alone_with(&leaf_params(name))
    }

    pub(crate) fn alone_with(params: &CertificateParams) -> Self {
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self { certificate, key }
    }

    pub(crate) fn der(&self) -> Der {
        self.certificate.der().clone()
    }

    pub(crate) fn pem(&self) -> String {
        self.certificate.pem()
    }
}
