//! Certificate authorities of a test, with keys of their own. Pure, except for randomness.

use jiff::{Timestamp, ToSpan};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose,
};

/// A CA: a root, or an intermediate that one has signed.
pub struct Authority {
    /// Its certificate, and for an intermediate those above it, in PEM.
    pub chain: String,
    params: CertificateParams,
    key: KeyPair,
}

impl Authority {
    /// Creates a root CA.
    ///
    /// # Panics
    /// Never: the parameters are constants.
    #[must_use]
    pub fn root(name: &str) -> Self {
        let (params, key) = (params(name), KeyPair::generate().expect("the provider makes keys"));
        let chain = params.self_signed(&key).expect("the parameters are complete").pem();
        Self { chain, params, key }
    }

    /// Creates a CA below this one.
    ///
    /// # Panics
    /// Never: the parameters are constants.
    #[must_use]
    pub fn intermediate(&self, name: &str) -> Self {
        let (params, key) = (params(name), KeyPair::generate().expect("the provider makes keys"));
        let issuer = Issuer::from_params(&self.params, &self.key);
        let own = params.signed_by(&key, &issuer).expect("the parameters are complete").pem();
        Self { chain: own + &self.chain, params, key }
    }

    /// Issues a device's certificate. Returns it with its chain, and its private key (P-256), both in PEM.
    ///
    /// # Panics
    /// Never: the parameters are constants.
    #[must_use]
    pub fn leaf(&self, device: &str) -> (String, String) {
        let (mut params, key) = (params(device), KeyPair::generate().expect("the provider makes keys"));
        params.is_ca = IsCa::NoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let issuer = Issuer::from_params(&self.params, &self.key);
        let own = params.signed_by(&key, &issuer).expect("the parameters are complete").pem();
        (own + &self.chain, key.serialize_pem())
    }

    /// Returns its private key in PEM.
    #[must_use]
    pub fn key(&self) -> String {
        self.key.serialize_pem()
    }

    /// Returns its own certificate in PEM, without those above it.
    ///
    /// # Panics
    /// Never: a chain has a certificate.
    #[must_use]
    pub fn certificate(&self) -> &str {
        let end = "-----END CERTIFICATE-----";
        let at = self.chain.find(end).expect("a chain begins with a certificate");
        &self.chain[..at + end.len()]
    }

    /// Returns a Secret of type kubernetes.io/tls with it, as YAML in JSON's form.
    #[must_use]
    pub fn secret(&self, name: &str) -> String {
        let secret = serde_json::json!({
            "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "metadata": {"name": name},
            "stringData": {"tls.crt": self.chain, "tls.key": self.key()},
        });
        format!("{secret}\n---\n")
    }
}

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let today = Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    let day = |date: jiff::civil::Date| {
        rcgen::date_time_ymd(
            i32::from(date.year()),
            u8::try_from(date.month()).unwrap_or(1),
            u8::try_from(date.day()).unwrap_or(1),
        )
    };
    params.not_before = day(today.saturating_sub(1.day()));
    params.not_after = day(today.saturating_add(3650.days()));
    params
}
