//! A group's CA, from its Secret: every check that must hold before anything is signed with it. Pure.

use jiff::Timestamp;
use lanyard_handoff::fingerprint::Fingerprint;

use super::certificate::{Certificate, within_time};
use super::pair::Pair;
use crate::fault::Fault;
use crate::kubernetes::secret::SecretData;
use crate::reason::Reason;

/// The CA's certificate first, then its chain.
pub const CERTIFICATE: &str = "tls.crt";
/// The CA's private key.
pub const PRIVATE_KEY: &str = "tls.key";

/// A CA that may sign devices' certificates. `Debug` shows no key.
#[derive(Debug)]
pub struct Issuer {
    chain: Vec<Certificate>,
    pair: Pair,
}

impl Issuer {
    /// Reads the CA of a Secret, and checks that it can sign.
    ///
    /// # Errors
    /// [`Fault`]: the first thing that is wrong, and what to do; never a part of the key.
    pub fn read(secret: &str, data: Option<&SecretData>, now: Timestamp) -> Result<Self, Fault> {
        let data = data.ok_or_else(|| {
            let message = format!(
                "there is no Secret {secret:?} in this namespace: create it with {CERTIFICATE} and {PRIVATE_KEY} of the CA"
            );
            Fault::new(Reason::SecretNotFound, message)
        })?;
        let bytes = |key: &str| data.bytes(key).ok_or_else(|| missing(secret, key));
        let (certificates, key) = (bytes(CERTIFICATE)?, bytes(PRIVATE_KEY)?);
        let chain = Certificate::read_all(certificates).map_err(|error| {
            Fault::new(
                Reason::IssuerInvalid,
                format!("{CERTIFICATE} in Secret {secret:?} is not a CA certificate: {error}"),
            )
        })?;
        let pair = Pair::read(key).map_err(|error| {
            Fault::new(
                Reason::IssuerKeyInvalid,
                format!("{PRIVATE_KEY} in Secret {secret:?} cannot be used: {error}"),
            )
        })?;
        let issuer = Self { chain, pair };
        issuer.check(now).map_err(|(reason, message)| {
            Fault::new(reason, format!("the CA in Secret {secret:?} cannot sign: {message}"))
        })?;
        Ok(issuer)
    }

    fn check(&self, now: Timestamp) -> Result<(), (Reason, String)> {
        let own = self.certificate();
        if !own.ca.is {
            let message = "its certificate is not a CA certificate (basicConstraints CA:TRUE is missing): store the certificate \
                that you uploaded to DPS, or make one with CA:TRUE";
            return Err((Reason::IssuerNotCA, message.to_owned()));
        }
        if !own.ca.may_sign {
            let message =
                "the keyUsage of its certificate lacks keyCertSign: issue a CA certificate with keyCertSign";
            return Err((Reason::IssuerMayNotSign, message.to_owned()));
        }
        if own.public_key != self.pair.public_key() {
            let message = format!(
                "{PRIVATE_KEY} is not the key of the first certificate in {CERTIFICATE} ({}): store the two that \
                    belong together, the CA's certificate first",
                own.name
            );
            return Err((Reason::IssuerKeyMismatch, message));
        }
        for (below, pair) in self.chain.windows(2).enumerate() {
            link(&pair[0], &pair[1], below)?;
        }
        within_time(&self.chain).try_for_each(|certificate| in_time(certificate, now))
    }

    /// Returns the CA's own certificate.
    #[must_use]
    pub fn certificate(&self) -> &Certificate {
        self.chain.first().expect("a chain that was read has at least one certificate")
    }

    /// Returns the fingerprint of the CA's own certificate.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.certificate().fingerprint()
    }

    /// Returns the certificates that follow a leaf, as DER: the CA and all above it that the Secret holds (ref §9.1: up
    /// to the enrolled CA at least).
    #[must_use]
    pub fn chain(&self) -> Vec<Vec<u8>> {
        self.chain.iter().map(|certificate| certificate.der().to_vec()).collect()
    }

    /// Returns the earliest expiry of the chain: no issued certificate may be valid longer.
    #[must_use]
    pub fn not_after(&self) -> Timestamp {
        within_time(&self.chain).map(|certificate| certificate.not_after).min().unwrap_or(Timestamp::MIN)
    }

    pub(super) fn pair(&self) -> &Pair {
        &self.pair
    }
}

fn missing(secret: &str, key: &str) -> Fault {
    Fault::new(
        Reason::SecretKeyMissing,
        format!("Secret {secret:?} has no key {key}: create the Secret with `kubectl create secret tls`"),
    )
}

/// Checks one step of the chain upwards; `below` is the number of CAs below the lower one.
fn link(lower: &Certificate, upper: &Certificate, below: usize) -> Result<(), (Reason, String)> {
    if !lower.is_signed_by(upper) {
        let message = format!(
            "in {CERTIFICATE} {} is followed by {}, which did not sign it: store the CA first, then each \
                certificate that signed the one before",
            lower.name, upper.name
        );
        return Err((Reason::IssuerChainBroken, message));
    }
    if !upper.ca.is || !upper.ca.may_sign {
        let message = format!(
            "{} in its chain is not a CA or lacks keyCertSign, so no server accepts its certificates: replace it in the chain",
            upper.name
        );
        return Err((Reason::IssuerNotCA, message));
    }
    // RFC 5280 §4.2.1.9: how many CAs may follow, the leaf not counted.
    let followers = below + 1;
    if upper.ca.path_length.is_some_and(|allowed| (allowed as usize) < followers) {
        let message = format!(
            "{} allows {} CAs below it (pathLenConstraint) and there are {followers}: sign with a CA that is \
                closer to it in the chain, or issue it again with a larger pathLenConstraint",
            upper.name,
            upper.ca.path_length.unwrap_or_default()
        );
        return Err((Reason::IssuerPathTooLong, message));
    }
    Ok(())
}

fn in_time(certificate: &Certificate, now: Timestamp) -> Result<(), (Reason, String)> {
    if now >= certificate.not_after {
        let message = format!(
            "{} expired at {}: renew it, or set use to the other slot; devices keep their current certificates",
            certificate.name, certificate.not_after
        );
        return Err((Reason::IssuerExpired, message));
    }
    if now < certificate.not_before {
        let message = format!(
            "{} is valid from {} only, and it is {now}: correct the clock, or wait",
            certificate.name, certificate.not_before
        );
        return Err((Reason::IssuerNotYetValid, message));
    }
    Ok(())
}
