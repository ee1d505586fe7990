//! Certificates that the operator makes: devices' own, and answers to verification codes. Pure but for the randomness of
//! signatures; time and serial number are parameters.

use std::time::Duration;

use jiff::Timestamp;
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose,
    SerialNumber, SigningKey,
};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::certificate::{Certificate, CertificateError};
use super::certified::Certified;
use super::issuer::Issuer;
use super::pair::{KeyKind, Pair};

/// So much earlier than it is made a certificate is valid: devices' and hubs' clocks differ, and hubs grant five minutes
/// (ref §1.12).
pub const BACKDATED: Duration = Duration::from_secs(5 * 60);

/// Certificate to issue for a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeafRequest {
    /// The subject's common name: the device's or the registration's id (ref §9.1, §9.5).
    pub common_name: String,
    /// For how long it is valid.
    pub duration: Duration,
    /// Time before the expiry at which the next one is issued.
    pub renew_before: Duration,
    /// Kind of its key.
    pub key: KeyKind,
}

/// Error of issuing a certificate.
#[derive(Debug, thiserror::Error)]
pub enum LeafError {
    /// The library does not take it.
    #[error("failed to make the certificate: {0}")]
    Make(#[source] rcgen::Error),
    /// Cannot be parsed again.
    #[error("failed to read the certificate that was made: {0}")]
    Read(#[source] CertificateError),
    /// Does not verify against its issuer.
    #[error("the certificate that was made does not verify against its issuer")]
    Verify,
}

/// Returns a serial number: at most 20 bytes, positive, not zero (RFC 5280 §4.1.2.2). 126 of its bits are the caller's.
#[must_use]
pub fn serial(random: [u8; 16]) -> Vec<u8> {
    let mut bytes = random.to_vec();
    bytes[0] = bytes[0] & 0x7f | 0x40;
    bytes
}

/// Creates a certificate that is signed with its own key.
///
/// # Errors
/// [`LeafError`]
pub fn self_signed(
    request: &LeafRequest,
    pair: &Pair,
    serial: &[u8],
    now: Timestamp,
) -> Result<Certified, LeafError> {
    let mut params = params(
        &request.common_name,
        serial,
        now,
        now.saturating_add(request.duration).unwrap_or(Timestamp::MAX),
    );
    params.use_authority_key_identifier_extension = false;
    let made = params.self_signed(pair.signer()).map_err(LeafError::Make)?;
    let leaf = Certificate::read(made.der().to_vec(), 1).map_err(LeafError::Read)?;
    Ok(Certified::new(leaf, Vec::new(), pair))
}

/// Creates a certificate that is signed by the group's CA. It never outlives the CA.
///
/// # Errors
/// [`LeafError`]
pub fn issued(
    request: &LeafRequest,
    pair: &Pair,
    issuer: &Issuer,
    serial: &[u8],
    now: Timestamp,
) -> Result<Certified, LeafError> {
    let leaf = signed(&request.common_name, pair, issuer, serial, now, request.duration)?;
    Ok(Certified::new(leaf, issuer.chain(), pair))
}

/// Returns the answer to a verification code; its signature proves possession of the CA's key (ref §9.2).
///
/// # Errors
/// [`LeafError`]
pub fn possession(
    code: &str,
    issuer: &Issuer,
    serial: &[u8],
    now: Timestamp,
    duration: Duration,
) -> Result<Certificate, LeafError> {
    // Its key is not needed again.
    let pair = Pair::generate(KeyKind::P256).map_err(|_| LeafError::Make(rcgen::Error::RingUnspecified))?;
    signed(code, &pair, issuer, serial, now, duration)
}

fn signed(
    common_name: &str,
    pair: &Pair,
    issuer: &Issuer,
    serial: &[u8],
    now: Timestamp,
    duration: Duration,
) -> Result<Certificate, LeafError> {
    let not_after = now.saturating_add(duration).unwrap_or(Timestamp::MAX).min(issuer.not_after());
    let params = params(common_name, serial, now, not_after);
    let der = issuer.certificate().der().to_vec().into();
    let signer = rcgen::Issuer::from_ca_cert_der(&der, issuer.pair().signer()).map_err(LeafError::Make)?;
    let made = params.signed_by(pair.signer(), &signer).map_err(LeafError::Make)?;
    let der = with_issuer(made.der(), &issuer.certificate().subject, issuer)?;
    let leaf = Certificate::read(der, 1).map_err(LeafError::Read)?;
    if leaf.is_signed_by(issuer.certificate()) { Ok(leaf) } else { Err(LeafError::Verify) }
}

fn params(common_name: &str, serial: &[u8], now: Timestamp, not_after: Timestamp) -> CertificateParams {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    let mut params = CertificateParams::default();
    params.distinguished_name = name;
    params.serial_number = Some(SerialNumber::from_slice(serial));
    params.not_before = moment(now.saturating_sub(BACKDATED).unwrap_or(Timestamp::MIN));
    params.not_after = moment(not_after);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    params
}

fn moment(time: Timestamp) -> time::OffsetDateTime {
    // Certificates have no year 10000.
    let second = time.as_second().min(253_402_300_799);
    time::OffsetDateTime::from_unix_timestamp(second).unwrap_or(time::OffsetDateTime::UNIX_EPOCH)
}

/// Returns the certificate with the issuer's name exactly as in the CA. The library re-encodes names: of two domain
/// components it keeps one, and verifiers compare bytes. No builder that we know takes an encoded name as it is, so the bytes
/// are replaced and signed again.
fn with_issuer(made: &[u8], name: &[u8], issuer: &Issuer) -> Result<Vec<u8>, LeafError> {
    let (_, parsed) =
        X509Certificate::from_der(made).map_err(|_| LeafError::Read(CertificateError::Unreadable(1)))?;
    let written = parsed.issuer().as_raw();
    if written == name {
        return Ok(made.to_vec());
    }
    let body = parsed.tbs_certificate.as_ref();
    let content = content(body);
    let start = written.as_ptr() as usize - content.as_ptr() as usize;
    let signed_part = sequence(&[&content[..start], name, &content[start + written.len()..]]);
    let signature = issuer.pair().signer().sign(&signed_part).map_err(LeafError::Make)?;
    let algorithm = algorithm_of(made, body);
    let mut bits = vec![0];
    bits.extend(signature);
    Ok(sequence(&[&signed_part, algorithm, &tagged(0x03, &[&bits])]))
}

/// Returns the signature's algorithm, which is between the signed part and the signature.
fn algorithm_of<'a>(made: &'a [u8], body: &[u8]) -> &'a [u8] {
    let rest = content(made).get(body.len()..).unwrap_or_default();
    let (before, length) = header(rest);
    rest.get(..before + length).unwrap_or_default()
}

/// Returns the lengths of an element's header and of its content.
fn header(element: &[u8]) -> (usize, usize) {
    match element.get(1).copied().unwrap_or_default() {
        short @ 0..0x80 => (2, short.into()),
        long => {
            let digits = usize::from(long & 0x7f);
            let length =
                element.iter().skip(2).take(digits).fold(0, |sum, byte| sum << 8 | usize::from(*byte));
            (2 + digits, length)
        }
    }
}

fn content(element: &[u8]) -> &[u8] {
    let (before, length) = header(element);
    element.get(before..before + length).unwrap_or_default()
}

fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    tagged(0x30, parts)
}

fn tagged(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut element = vec![tag];
    match length {
        0..0x80 => element.push(length as u8),
        _ => {
            let bytes = length.to_be_bytes();
            let digits: Vec<u8> = bytes.into_iter().skip_while(|byte| *byte == 0).collect();
            element.push(0x80 | digits.len() as u8);
            element.extend(digits);
        }
    }
    parts.iter().for_each(|part| element.extend_from_slice(part));
    element
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serial_number_is_positive_and_has_16_bytes() {
        for (random, first) in [(0, 0x40), (0x3f, 0x7f), (0xff, 0x7f)] {
            let mut expected = vec![random; 16];
            expected[0] = first;
            assert_eq!(serial([random; 16]), expected);
        }
    }

    /// DER has one way to write a length (X.690 §8.1.3, §10.1).
    #[test]
    fn element_has_the_shortest_length_of_der() {
        for (length, written) in [
            (0, &[0x30, 0][..]),
            (0x7f, &[0x30, 0x7f]),
            (0x80, &[0x30, 0x81, 0x80]),
            (0xff, &[0x30, 0x81, 0xff]),
            (0x100, &[0x30, 0x82, 1, 0]),
            (0x1_0000, &[0x30, 0x83, 1, 0, 0]),
        ] {
            let bytes = vec![7; length];
            let element = sequence(&[&bytes[..length / 2], &bytes[length / 2..]]);
            assert_eq!((&element[..written.len()], element.len()), (written, written.len() + length));
            assert_eq!((header(&element), content(&element)), ((written.len(), length), &bytes[..]));
        }
    }
}
