//! The certificates of a `trustedCA`, read as the agent reads them. Pure.

use lanyard_protocol::text::pem::{self, PemError};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;

use super::pem::certificate_text;

/// Error of a text that is not a list of CA certificates. No variant contains any of it.
#[derive(Debug, thiserror::Error)]
pub enum TrustedCaError {
    /// Not PEM, or PEM with a block that is cut, damaged or a private key.
    #[error("{0}")]
    Pem(#[source] PemError),
    /// A certificate that no TLS library trusts.
    #[error("certificate {position} in it cannot be used: {error}")]
    Certificate {
        /// Counted from 1.
        position: usize,
        /// Cause of the failure.
        #[source]
        error: rustls::Error,
    },
}

/// Reads the certificates and writes them again, so that the device's Secret holds nothing but certificates and no agent
/// finds anything that the operator let pass.
///
/// # Errors
/// [`TrustedCaError`] names the block or the certificate.
pub fn read(bytes: &[u8]) -> Result<String, TrustedCaError> {
    let found = pem::public_certificates(bytes).map_err(TrustedCaError::Pem)?;
    let mut roots = RootCertStore::empty();
    for (position, der) in (1..).zip(&found) {
        let added = roots.add(CertificateDer::from(der.as_slice()));
        added.map_err(|error| TrustedCaError::Certificate { position, error })?;
    }
    Ok(found.iter().map(|der| certificate_text(der)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_certificates_are_copied() {
        let key = rcgen::KeyPair::generate().unwrap();
        let good = rcgen::CertificateParams::new(Vec::new()).unwrap().self_signed(&key).unwrap().pem();
        let good = good.replace("\r\n", "\n");
        assert_eq!(read(format!("# plant\n{good}\n{good}").as_bytes()).unwrap(), format!("{good}{good}"));
        for (text, words) in [
            (format!("{good}{}", &good[..good.len() / 2]), "block 2 is cut"),
            (format!("{good}{}", key.serialize_pem()), "block 2 is a private key"),
            (good.replacen("-----\nMII", "-----\n?II", 1), "block 1 is damaged"),
            (good.replacen("-----\nMII", "-----\nAAA", 1), "certificate 1 in it cannot be used"),
            (String::new(), "there is no certificate"),
        ] {
            let error = read(text.as_bytes()).unwrap_err().to_string();
            assert!(error.starts_with(words), "{error}");
        }
    }
}
