//! The server's certificates: made from the CA at every start for the names of the moment, and again before they end. Each host
//! name has one of its own: a client whose CA permits no new name refuses a certificate that has it among others.
//! Reads nothing; holds keys in memory only.

use parking_lot::RwLock;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use jiff::{Timestamp, ToSpan};
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, version};

use super::clients::AcceptEveryCertificate;
use crate::tls::authority::EmulatorCa;
use crate::tls::dates::since_1970;

/// Validity of a server certificate, in days.
const DAYS: i64 = 365;

/// Remaining validity at which it is renewed, in days.
const RENEW: i64 = 30;

/// Loopback addresses in the certificate: one for every emulator that a test starts (127.0.0.1 and up).
const LOOPBACK: u8 = 32;

/// Error of the TLS configuration.
#[derive(Debug, thiserror::Error)]
pub enum ServerTlsError {
    /// A name that no certificate can carry.
    #[error("{name:?} cannot be in a certificate: {detail}")]
    Name {
        /// The name.
        name: String,
        /// Details of the error.
        detail: String,
    },
    /// The provider failed.
    #[error("failed to make the server's certificate: {0}")]
    Make(String),
    /// The provider lacks what is asked for.
    #[error("failed to set TLS up: {0}")]
    Setup(rustls::Error),
}

/// The certificates that are shown now.
#[derive(Debug)]
pub struct ServerCertificate {
    authority: EmulatorCa,
    hosts: Vec<String>,
    addresses: Vec<String>,
    provider: Arc<CryptoProvider>,
    shown: RwLock<CurrentCertificate>,
}

#[derive(Debug)]
struct CurrentCertificate {
    /// By host name, in lower case.
    hosts: HashMap<String, Arc<CertifiedKey>>,
    /// To clients that name another host or none, as those do that dial an address.
    addresses: Arc<CertifiedKey>,
    until: Timestamp,
}

impl ServerCertificate {
    /// Issues certificates for `localhost`, loopback addresses and `names`.
    ///
    /// # Errors
    /// [`ServerTlsError`].
    pub fn new(
        authority: EmulatorCa,
        names: &[String],
        provider: Arc<CryptoProvider>,
        now: Timestamp,
    ) -> Result<Self, ServerTlsError> {
        let (addresses, hosts): (Vec<_>, Vec<_>) = names
            .iter()
            .map(|name| name.to_ascii_lowercase())
            .partition(|name| name.parse::<IpAddr>().is_ok());
        let shown = issue_all(&authority, &hosts, &addresses, &provider, now)?;
        Ok(Self { authority, hosts, addresses, provider, shown: RwLock::new(shown) })
    }

    /// Renews the certificate shortly before its expiry; returns whether it did.
    ///
    /// # Errors
    /// [`ServerTlsError`]; the old certificate stays in use.
    pub fn renew(&self, now: Timestamp) -> Result<bool, ServerTlsError> {
        if self.until() > now + (24 * RENEW).hours() {
            return Ok(false);
        }
        let fresh = issue_all(&self.authority, &self.hosts, &self.addresses, &self.provider, now)?;
        *self.shown.write() = fresh;
        Ok(true)
    }

    /// Returns the expiry of the current certificate.
    #[must_use]
    pub fn until(&self) -> Timestamp {
        self.shown.read().until
    }
}

impl ResolvesServerCert for ServerCertificate {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let shown = self.shown.read();
        let host = hello.server_name().map(str::to_ascii_lowercase).unwrap_or_default();
        Some(shown.hosts.get(&host).unwrap_or(&shown.addresses).clone())
    }
}

/// Creates the configuration for TLS 1.2 and 1.3. The server asks for a client certificate and accepts any (ref §0.3
/// rule 9, §1.4).
///
/// # Errors
/// [`ServerTlsError::Setup`].
pub fn configuration(certificate: Arc<ServerCertificate>) -> Result<Arc<ServerConfig>, ServerTlsError> {
    let provider = certificate.provider.clone();
    let config = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&version::TLS12, &version::TLS13])
        .map_err(ServerTlsError::Setup)?
        .with_client_cert_verifier(Arc::new(AcceptEveryCertificate::new(&provider)))
        .with_cert_resolver(certificate);
    Ok(Arc::new(config))
}

fn issue_all(
    authority: &EmulatorCa,
    hosts: &[String],
    addresses: &[String],
    provider: &CryptoProvider,
    now: Timestamp,
) -> Result<CurrentCertificate, ServerTlsError> {
    let until = now + (24 * DAYS).hours();
    let one = |names: &[String]| issue(authority, names, provider, now, until).map(Arc::new);
    let hosts = hosts.iter().map(|host| Ok((host.clone(), one(std::slice::from_ref(host))?)));
    Ok(CurrentCertificate { hosts: hosts.collect::<Result<_, _>>()?, addresses: one(addresses)?, until })
}

/// Issues a certificate for `localhost`, loopback addresses and `names`.
fn issue(
    authority: &EmulatorCa,
    names: &[String],
    provider: &CryptoProvider,
    now: Timestamp,
    until: Timestamp,
) -> Result<CertifiedKey, ServerTlsError> {
    let failed = |error: rcgen::Error| ServerTlsError::Make(error.to_string());
    let key = KeyPair::generate().map_err(failed)?;
    let mut all = vec!["localhost".to_owned()];
    all.extend((1..=LOOPBACK).map(|last| IpAddr::from(Ipv4Addr::new(127, 0, 0, last)).to_string()));
    all.extend(names.iter().filter(|name| !all.contains(name)).cloned().collect::<Vec<_>>());
    let mut params = CertificateParams::default();
    for name in &all {
        let one = CertificateParams::new([name.clone()])
            .map_err(|error| ServerTlsError::Name { name: name.clone(), detail: error.to_string() })?;
        params.subject_alt_names.extend(one.subject_alt_names);
    }
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "Lanyard emulator");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    params.not_before = date_time_ymd(1970, 1, 1) + since_1970(now - 1.hours());
    params.not_after = date_time_ymd(1970, 1, 1) + since_1970(until);
    let certificate = params.signed_by(&key, &authority.issuer).map_err(failed)?;
    let chain = vec![certificate.der().clone(), authority.certificate.clone()];
    let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    CertifiedKey::from_der(chain, private, provider).map_err(|error| ServerTlsError::Make(error.to_string()))
}
