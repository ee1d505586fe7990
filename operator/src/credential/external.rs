//! Certificates that another program maintains: the checks before a device uses one. Pure.

use jiff::Timestamp;

use crate::credential::certified::{Certified, CertifiedError, End};
use crate::credential::issuer::{CERTIFICATE, PRIVATE_KEY};
use crate::fault::Fault;
use crate::kubernetes::secret::SecretData;
use crate::reason::Reason;

/// Comparison of an id with a common name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceNames {
    /// At a hub, letter by letter (ref §9.5).
    Exact,
    /// At DPS, small and capital letters alike (ref §9.1).
    AnyCase,
}

/// Reads the certificate and the private key of a Secret, and checks that the device can use them.
///
/// # Errors
/// [`Fault`]: the first thing that is wrong, and what to do; never a part of the key.
pub fn read(
    secret: &str,
    data: Option<&SecretData>,
    name: (&str, DeviceNames),
    now: Timestamp,
) -> Result<Certified, Fault> {
    let data = data.ok_or_else(|| {
        let message = format!(
            "there is no Secret {secret:?} in this namespace: create it, or have cert-manager create it, with \
                {CERTIFICATE} and {PRIVATE_KEY}"
        );
        Fault::new(Reason::SecretNotFound, message)
    })?;
    let bytes = |key: &str| {
        data.bytes(key).ok_or_else(|| {
            let message = format!("Secret {secret:?} has no key {key}: add it");
            Fault::new(Reason::SecretKeyMissing, message)
        })
    };
    let certified = Certified::read(bytes(CERTIFICATE)?, bytes(PRIVATE_KEY)?).map_err(|error| match error {
        CertifiedError::Certificate(error) => Fault::new(
            Reason::CertificateInvalid,
            format!("{CERTIFICATE} in Secret {secret:?} cannot be used: {error}"),
        ),
        CertifiedError::Key(error) => Fault::new(
            Reason::CertificateKeyInvalid,
            format!("{PRIVATE_KEY} in Secret {secret:?} cannot be used: {error}"),
        ),
        CertifiedError::Mismatch => Fault::new(
            Reason::CertificateKeyMismatch,
            format!(
                "{PRIVATE_KEY} in Secret {secret:?} is not the key of the first certificate in {CERTIFICATE}: store \
                    the two that belong together, the device's certificate first"
            ),
        ),
    })?;
    check(&certified, name, now).map_err(|(reason, message)| {
        Fault::new(reason, format!("the certificate in Secret {secret:?} {message}"))
    })?;
    Ok(certified)
}

fn check(
    certified: &Certified,
    (name, letters): (&str, DeviceNames),
    now: Timestamp,
) -> Result<(), (Reason, String)> {
    let leaf = certified.leaf();
    let has = leaf.common_name.as_deref().unwrap_or_default();
    let same = match letters {
        DeviceNames::Exact => has == name,
        DeviceNames::AnyCase => has.eq_ignore_ascii_case(name),
    };
    if !same {
        let message = format!(
            "is for CN={has:?}, and the device needs CN={name:?}: have it made with that common name"
        );
        return Err((Reason::CertificateNameMismatch, message));
    }
    if leaf.ca.is {
        let message = "is a CA certificate, and an agent must not get a CA's key: store a certificate with CA:FALSE for the device";
        return Err((Reason::CertificateUsage, message.to_owned()));
    }
    if !leaf.for_clients {
        let message = "does not allow client authentication: issue it with keyUsage digitalSignature and extendedKeyUsage \
            clientAuth (cert-manager: usages: [digital signature, client auth])";
        return Err((Reason::CertificateUsage, message.to_owned()));
    }
    if now >= leaf.not_after {
        return Err((Reason::CertificateExpired, format!("expired at {}: have it renewed", leaf.not_after)));
    }
    let End { at, position, name } = certified.ends();
    if now >= *at {
        let message = format!(
            "is followed by a CA certificate that expired: certificate {position} in {CERTIFICATE}, {name}, at \
                {at}; store the CA's renewed certificate there"
        );
        return Err((Reason::CertificateExpired, message));
    }
    if now < leaf.not_before {
        let message =
            format!("is valid from {} only, and it is {now}: correct the clock, or wait", leaf.not_before);
        return Err((Reason::CertificateNotYetValid, message));
    }
    Ok(())
}
