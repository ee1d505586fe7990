//! Trust anchors of the agent: the public roots, the CA file of the process, and `ca.crt` of a device. Pure.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

use lanyard_protocol::text::pem::{self, PemError};
use rustls::client::{Resumption, VerifierBuilderError, WebPkiServerVerifier};
use rustls::pki_types::CertificateDer;
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier};

use crate::config::certificate::Certificate;

/// Error of CA certificates or a client certificate.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// Not PEM, or PEM with a block that is no certificate to trust.
    #[error("{0}")]
    Pem(#[source] PemError),
    /// A certificate that cannot be a CA's.
    #[error("certificate {position} in it cannot be used: {error}")]
    Certificate {
        /// Counted from 1.
        position: usize,
        /// Cause of the failure.
        #[source]
        error: rustls::Error,
    },
    /// The library refuses its own defaults.
    #[error("TLS cannot be set up: {0}")]
    Setup(#[source] rustls::Error),
    /// The library refuses a set of CAs.
    #[error("the CAs cannot be used: {0}")]
    Roots(#[source] VerifierBuilderError),
}

/// TLS configurations, shared by devices with the same trust anchors.
#[derive(Debug, Clone)]
struct Made {
    verifier: Arc<WebPkiServerVerifier>,
    /// For those without a certificate of their own.
    config: Arc<ClientConfig>,
}

impl Made {
    fn is_used(&self) -> bool {
        // The configuration has the verifier too.
        Arc::strong_count(&self.config) > 1 || Arc::strong_count(&self.verifier) > 2
    }
}

/// Trust anchors of every device of the process.
#[derive(Debug, Clone)]
pub struct Trust {
    provider: Arc<rustls::crypto::CryptoProvider>,
    roots: Arc<RootCertStore>,
    /// Devices with the same certificates share one configuration, and the sessions it can resume.
    made: Arc<Mutex<HashMap<Option<Vec<u8>>, Made>>>,
}

impl Trust {
    /// Creates trust in the public roots and, if given, in the certificates of a PEM file.
    ///
    /// # Errors
    /// [`TrustError`] when the PEM has no usable certificate.
    pub fn new(pem: Option<&[u8]>) -> Result<Self, TrustError> {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        if let Some(pem) = pem {
            add(&mut roots, pem)?;
        }
        Ok(Self {
            provider: Arc::new(rustls::crypto::aws_lc_rs::default_provider()),
            roots: Arc::new(roots),
            made: Arc::default(),
        })
    }

    /// Returns the TLS configuration of a device, which may trust further certificates and have one of its own.
    ///
    /// # Errors
    /// [`TrustError`] when the PEM has no usable certificate.
    pub fn client(
        &self,
        pem: Option<&[u8]>,
        own: Option<&Certificate>,
    ) -> Result<Arc<ClientConfig>, TrustError> {
        let made = self.made(pem)?;
        let Some(own) = own else { return Ok(made.config) };
        let mut config = self
            .builder()?
            .with_webpki_verifier(made.verifier)
            .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(own.certified())));
        // A resumed session is the old certificate's.
        config.resumption = Resumption::disabled();
        Ok(Arc::new(config))
    }

    fn made(&self, pem: Option<&[u8]>) -> Result<Made, TrustError> {
        // A map of pointers; nothing in it can be half done.
        let mut made = self.made.lock();
        if let Some(made) = made.get(&pem.map(<[u8]>::to_vec)) {
            return Ok(made.clone());
        }
        let new = self.make(pem)?;
        // Replaced certificates are no longer in use.
        made.retain(|_, made| made.is_used());
        made.insert(pem.map(<[u8]>::to_vec), new.clone());
        Ok(new)
    }

    fn make(&self, pem: Option<&[u8]>) -> Result<Made, TrustError> {
        let roots = match pem {
            None => Arc::clone(&self.roots),
            Some(pem) => {
                let mut roots = (*self.roots).clone();
                add(&mut roots, pem)?;
                Arc::new(roots)
            }
        };
        let verifier = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&self.provider))
            .build()
            .map_err(TrustError::Roots)?;
        let config = self.builder()?.with_webpki_verifier(Arc::clone(&verifier)).with_no_client_auth();
        Ok(Made { verifier, config: Arc::new(config) })
    }

    fn builder(&self) -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, TrustError> {
        ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()
            .map_err(TrustError::Setup)
    }
}

fn add(roots: &mut RootCertStore, pem: &[u8]) -> Result<(), TrustError> {
    let certificates = pem::public_certificates(pem).map_err(TrustError::Pem)?;
    for (position, certificate) in (1..).zip(certificates) {
        let added = roots.add(CertificateDer::from(certificate));
        added.map_err(|error| TrustError::Certificate { position, error })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_certificates_is_refused_with_the_fix() {
        let message = Trust::new(Some(b"hello")).unwrap_err().to_string();
        assert!(message.starts_with("there is no certificate"), "{message}");
        let broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(matches!(Trust::new(Some(broken)), Err(TrustError::Certificate { position: 1, .. })));
        let open = b"-----BEGIN CERTIFICATE-----\nAAAA\n";
        let message = Trust::new(Some(open)).unwrap_err().to_string();
        assert!(message.starts_with("block 1 is cut"), "{message}");
    }

    #[test]
    fn device_trust_extends_the_process_trust() {
        let key = rcgen::KeyPair::generate().unwrap();
        let pem = rcgen::CertificateParams::new(Vec::new()).unwrap().self_signed(&key).unwrap().pem();
        let trust = Trust::new(None).unwrap();
        let client = |own: Option<&Certificate>| trust.client(Some(pem.as_bytes()), own).unwrap();
        let (one, other) = (client(None), client(None));
        assert!(Arc::ptr_eq(&one, &other), "what is the same is made once");
        assert!(!Arc::ptr_eq(&one, &trust.client(None, None).unwrap()));
        let own = Certificate::parse(pem.as_bytes(), key.serialize_pem().as_bytes()).unwrap();
        assert!(client(Some(&own)).client_auth_cert_resolver.has_certs());
        assert!(!one.client_auth_cert_resolver.has_certs());
    }
}
