//! Certificates as people write them: PEM, or base64 of DER as Azure's REST API gives it (ref §11.5). Pure.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::pem::{PemObject, SectionKind};
use zeroize::Zeroizing;

use super::certificate::{Certificate, CertificateError};

/// Error of a text that is not a certificate. It repeats nothing of the text, which may be a pasted key.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum TextError {
    /// Neither of the two.
    #[error("is neither PEM nor base64: begin with -----BEGIN CERTIFICATE-----")]
    Neither,
    /// A key, most likely.
    #[error("is a {0}, not a certificate: begin with -----BEGIN CERTIFICATE-----")]
    Other(&'static str),
    /// A chain.
    #[error("holds {0} certificates: keep the one that is meant")]
    Several(usize),
    /// Content that is not a certificate.
    #[error("{0}")]
    Certificate(CertificateError),
}

/// Reads exactly one certificate.
///
/// # Errors
/// [`TextError`].
pub fn read(text: &str) -> Result<Certificate, TextError> {
    let der = if text.contains("-----BEGIN") { pem(text)? } else { base64(text)? };
    Certificate::read(&der).map_err(TextError::Certificate)
}

fn pem(text: &str) -> Result<Zeroizing<Vec<u8>>, TextError> {
    let mut certificates = Vec::new();
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(text.as_bytes()) {
        match section.map_err(|_| TextError::Neither)? {
            (SectionKind::Certificate, der) => certificates.push(Zeroizing::new(der)),
            (SectionKind::Csr, _) => return Err(TextError::Other("signing request")),
            (_, der) => {
                drop(Zeroizing::new(der));
                return Err(TextError::Other("private key"));
            }
        }
    }
    match (certificates.pop(), certificates.len()) {
        (Some(one), 0) => Ok(one),
        (Some(_), more) => Err(TextError::Several(more + 1)),
        (None, _) => Err(TextError::Neither),
    }
}

fn base64(text: &str) -> Result<Zeroizing<Vec<u8>>, TextError> {
    let digits: Zeroizing<String> = Zeroizing::new(text.split_ascii_whitespace().collect());
    let der = STANDARD.decode(digits.as_bytes()).map(Zeroizing::new).map_err(|_| TextError::Neither)?;
    // Azure's older tools encode the PEM text once more.
    match std::str::from_utf8(&der) {
        Ok(inner) if inner.contains("-----BEGIN") => pem(inner),
        _ => Ok(der),
    }
}

/// Formats a certificate as PEM.
#[must_use]
pub fn write(certificate: &Certificate) -> String {
    let digits = STANDARD.encode(certificate.der());
    let mut text = String::from("-----BEGIN CERTIFICATE-----\n");
    for line in digits.as_bytes().chunks(64) {
        text.push_str(&String::from_utf8_lossy(line));
        text.push('\n');
    }
    text.push_str("-----END CERTIFICATE-----\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::x509::thumbprint::Thumbprint;

    /// Ref §9.6.
    pub(crate) const DEV1: &str = "-----BEGIN CERTIFICATE-----
MIIBQTCB6KADAgECAgEBMAoGCCqGSM49BAMCMA8xDTALBgNVBAMMBGRldjEwHhcN
MjAwMTAxMDAwMDAwWhcNNDkxMjMxMDAwMDAwWjAPMQ0wCwYDVQQDDARkZXYxMFkw
EwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE2Wh0CvuAAa5yYJbdPkfwqDw14Mt3L0v7
JTsHpFoX1F4P7A4EZCFvPWmZfy3MrogpQ4u9tbdu/SG5TcBZllLb2aM1MDMwDAYD
VR0TAQH/BAIwADAOBgNVHQ8BAf8EBAMCB4AwEwYDVR0lBAwwCgYIKwYBBQUHAwIw
CgYIKoZIzj0EAwIDSAAwRQIgYDyOBJQGTAL9SWmeRIu/3wvKcDpDKIjh34w0Gl6r
1bgCIQDysx29Y74ctzjcXmMi6WxpRiz2iX3w/MFXRWgtYnK1oQ==
-----END CERTIFICATE-----
";

    /// Ref §9.6, all of its literals.
    #[test]
    fn the_published_certificate_is_read() {
        let certificate = read(DEV1).unwrap();
        assert_eq!(certificate.common_name.as_deref(), Some("dev1"));
        assert_eq!((certificate.version, certificate.serial.as_str()), (3, "01"));
        assert_eq!(certificate.not_before.to_string(), "2020-01-01T00:00:00Z");
        assert_eq!(certificate.not_after.to_string(), "2049-12-31T00:00:00Z");
        assert!(certificate.authority.is_none() && certificate.client_usage && certificate.is_root());
        assert!(certificate.is_signed_by(&certificate));
        assert_eq!(
            Thumbprint::sha1(certificate.der()).to_string(),
            "8E15FF30AA2B351DDB56FCDCA4496796B3591A2A"
        );
        assert_eq!(
            Thumbprint::sha256(certificate.der()).to_string(),
            "B8413FDBACD7BB4937D3D0F6E81CDCF3C8EFE9C675AE77E9213741F5B7C1A386"
        );
        assert_eq!(write(&certificate), DEV1);
    }

    /// Ref §11.5: "PEM or base64".
    #[test]
    fn base64_is_read_too() {
        let body: String = DEV1.lines().filter(|line| !line.starts_with('-')).collect();
        assert_eq!(read(&body), read(DEV1));
        assert_eq!(read(&STANDARD.encode(DEV1)), read(DEV1));
    }

    #[test]
    fn text_without_a_certificate_is_refused() {
        let error = |text: &str| read(text).unwrap_err();
        assert_eq!(error(""), TextError::Certificate(Certificate::read(b"").unwrap_err()));
        assert_eq!(error("no base64!"), TextError::Neither);
        assert_eq!(error(&format!("{DEV1}{DEV1}")), TextError::Several(2));
        let key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        assert_eq!(error(key), TextError::Other("private key"));
        assert_eq!(error(&format!("{DEV1}{key}")), TextError::Other("private key"));
        assert_eq!(error("-----BEGIN CERTIFICATE-----\nAAAA"), TextError::Neither);
    }
}
