//! Whom the agent believes: the public roots, the process's own CA file and a device's `ca.crt`. Pure.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

/// Why certificates cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// Not PEM.
    #[error("it is not PEM: {0}")]
    Pem(#[source] rustls::pki_types::pem::Error),
    /// PEM, but nothing to trust.
    #[error("it has no certificate: put the CA's certificate there, from '-----BEGIN CERTIFICATE-----' on")]
    Empty,
    /// A certificate that cannot be a CA's.
    #[error("certificate {position} in it cannot be used: {error}")]
    Certificate {
        /// Counted from 1.
        position: usize,
        /// Why.
        #[source]
        error: rustls::Error,
    },
    /// The library refuses its own defaults.
    #[error("TLS cannot be set up: {0}")]
    Setup(#[source] rustls::Error),
}

/// TLS configurations by the PEM that a device adds.
type Made = HashMap<Option<Vec<u8>>, Arc<ClientConfig>>;

/// Whom every device of the process believes.
#[derive(Debug, Clone)]
pub struct Trust {
    provider: Arc<rustls::crypto::CryptoProvider>,
    roots: Arc<RootCertStore>,
    /// Devices with the same certificates share one configuration, and the sessions it can resume.
    made: Arc<Mutex<Made>>,
}

impl Trust {
    /// The public roots and, if given, the certificates of a PEM file.
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

    /// TLS for a device, which may believe further certificates.
    ///
    /// # Errors
    /// [`TrustError`] when the PEM has no usable certificate.
    pub fn client(&self, pem: Option<&[u8]>) -> Result<Arc<ClientConfig>, TrustError> {
        // A map of pointers; nothing in it can be half done.
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(config) = made.get(&pem.map(<[u8]>::to_vec)) {
            return Ok(Arc::clone(config));
        }
        let config = self.make(pem)?;
        // Certificates that were replaced are used by nobody any more.
        made.retain(|_, config| Arc::strong_count(config) > 1);
        made.insert(pem.map(<[u8]>::to_vec), Arc::clone(&config));
        Ok(config)
    }

    fn make(&self, pem: Option<&[u8]>) -> Result<Arc<ClientConfig>, TrustError> {
        let roots = match pem {
            None => Arc::clone(&self.roots),
            Some(pem) => {
                let mut roots = (*self.roots).clone();
                add(&mut roots, pem)?;
                Arc::new(roots)
            }
        };
        let config = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()
            .map_err(TrustError::Setup)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Arc::new(config))
    }
}

fn add(roots: &mut RootCertStore, pem: &[u8]) -> Result<(), TrustError> {
    let mut count = 0;
    for certificate in CertificateDer::pem_slice_iter(pem) {
        count += 1;
        let certificate = certificate.map_err(TrustError::Pem)?;
        roots.add(certificate).map_err(|error| TrustError::Certificate { position: count, error })?;
    }
    if count == 0 { Err(TrustError::Empty) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_certificates_is_refused_with_the_fix() {
        let message = Trust::new(Some(b"hello")).unwrap_err().to_string();
        assert!(message.starts_with("it has no certificate"), "{message}");
        let broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(matches!(Trust::new(Some(broken)), Err(TrustError::Certificate { position: 1, .. })));
        let open = b"-----BEGIN CERTIFICATE-----\nAAAA\n";
        assert!(matches!(Trust::new(Some(open)), Err(TrustError::Pem(_))));
    }

    #[test]
    fn a_device_may_believe_more_than_its_process() {
        let key = rcgen::KeyPair::generate().unwrap();
        let pem = rcgen::CertificateParams::new(Vec::new()).unwrap().self_signed(&key).unwrap().pem();
        let trust = Trust::new(None).unwrap();
        let (one, other) =
            (trust.client(Some(pem.as_bytes())).unwrap(), trust.client(Some(pem.as_bytes())).unwrap());
        assert!(Arc::ptr_eq(&one, &other), "what is the same is made once");
        assert!(!Arc::ptr_eq(&one, &trust.client(None).unwrap()));
    }
}
