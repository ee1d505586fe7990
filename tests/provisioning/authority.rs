//! CAs as people have them, and verifiers that know nothing of the operator. Touches disk for openssl.

use std::process::Command;
use std::sync::Arc;

use lanyard_tests::scratch::Scratch;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;

/// A CA with its key.
pub(crate) struct Authority {
    pub(crate) pem: String,
    pub(crate) key: String,
    params: CertificateParams,
}

/// Returns the parameters of a usual CA.
pub(crate) fn usual(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "Contoso");
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages =
        vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.use_authority_key_identifier_extension = true;
    params
}

impl Authority {
    pub(crate) fn root(params: CertificateParams) -> Self {
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, key: key.serialize_pem(), params }
    }

    /// Creates a CA below this one.
    pub(crate) fn below(&self, params: CertificateParams) -> Self {
        let (key, own) = (KeyPair::generate().unwrap(), KeyPair::from_pem(&self.key).unwrap());
        let pem = params.signed_by(&key, &Issuer::from_params(&self.params, &own)).unwrap().pem();
        Self { pem, key: key.serialize_pem(), params }
    }

    /// Returns a device certificate, as another program would issue it, and its key.
    pub(crate) fn leaf(&self, params: &CertificateParams) -> (String, String) {
        let (key, own) = (KeyPair::generate().unwrap(), KeyPair::from_pem(&self.key).unwrap());
        let leaf = params.signed_by(&key, &Issuer::from_params(&self.params, &own)).unwrap();
        (leaf.pem(), key.serialize_pem())
    }

    /// Returns the manifest of a Secret of type kubernetes.io/tls with this CA and those above it.
    pub(crate) fn secret(&self, name: &str, above: &[&Self]) -> String {
        let chain: String =
            std::iter::once(self).chain(above.iter().copied()).map(|ca| ca.pem.as_str()).collect();
        tls_secret(name, &chain, &self.key)
    }
}

/// Returns the manifest of a Secret of type kubernetes.io/tls.
pub(crate) fn tls_secret(name: &str, certificates: &str, key: &str) -> String {
    let text = |text: &str| serde_json::to_string(text).unwrap();
    format!(
        "\napiVersion: v1\nkind: Secret\ntype: kubernetes.io/tls\nmetadata: {{name: {name}}}\nstringData: {{tls.crt: {}, tls.key: {}}}\n",
        text(certificates),
        text(key)
    )
}

fn parse(pem: &str) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<_, _>>().unwrap()
}

/// Returns whether a TLS server that trusts `roots` accepts a client with these certificates: by webpki, and by
/// openssl, an independent implementation, if it is installed.
pub(crate) fn lets_in(certificates: &str, roots: &str) -> bool {
    let mut store = RootCertStore::empty();
    parse(roots).into_iter().for_each(|root| store.add(root).unwrap());
    let chain = parse(certificates);
    let verifier = WebPkiClientVerifier::builder(Arc::new(store)).build().unwrap();
    let webpki = verifier.verify_client_cert(&chain[0], &chain[1..], UnixTime::now()).is_ok();
    let files = Scratch::new("authority");
    let (leaf, roots) = (files.write("leaf.pem", certificates), files.write("roots.pem", roots));
    let openssl = Command::new("openssl")
        .args(["verify", "-x509_strict", "-purpose", "sslclient", "-CAfile"])
        .arg(roots)
        .arg("-untrusted")
        .args([&leaf, &leaf])
        .output();
    if let Ok(output) = openssl {
        let reported = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.success(), webpki, "openssl and webpki disagree: {reported}");
    }
    webpki
}

/// Returns the output of openssl for the first certificate of a text; none if it is not installed.
pub(crate) fn openssl(certificates: &str, arguments: &[&str]) -> Option<String> {
    let files = Scratch::new("authority");
    let leaf = files.write("leaf.pem", certificates);
    let output =
        Command::new("openssl").args(["x509", "-noout", "-in"]).arg(leaf).args(arguments).output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Returns whether a private key belongs to the first certificate of a text, as rustls checks it.
pub(crate) fn belong_together(certificates: &str, key: &str) -> bool {
    let key = rustls::pki_types::PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let config = rustls::ClientConfig::builder().with_root_certificates(RootCertStore::empty());
    config.with_client_auth_cert(parse(certificates), key).is_ok()
}
