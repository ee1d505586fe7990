//! Credential of a device: a key or a certificate. Pure.

use std::time::Duration;

use jiff::Timestamp;
use lanyard_handoff::fingerprint::Fingerprint;
use lanyard_protocol::hub::key::SymmetricKey;

use super::certificate::Certificate;

/// Key or certificate, with a name for logs and status, where secrets must not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// Fingerprint, which distinguishes it from others.
    pub fingerprint: Fingerprint,
    /// The secret itself.
    pub proof: Proof,
}

/// The secret itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// Signs tokens, which go with MQTT's CONNECT.
    Key(SymmetricKey),
    /// Goes with the TLS handshake.
    Certificate(Certificate),
}

/// Position of a moment in a credential's validity period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Validity {
    /// Before it.
    Before {
        /// Start of the validity.
        begins: Timestamp,
    },
    /// In it; keys live for ever.
    Within,
    /// Behind it.
    After {
        /// End of the validity.
        ended: Timestamp,
    },
}

impl Credential {
    /// Creates a credential from a key.
    #[must_use]
    pub fn of_key(key: SymmetricKey) -> Self {
        Self { fingerprint: Fingerprint::of_key(&key), proof: Proof::Key(key) }
    }

    /// Creates a credential from a certificate.
    #[must_use]
    pub fn of_certificate(certificate: Certificate) -> Self {
        Self { fingerprint: certificate.fingerprint.clone(), proof: Proof::Certificate(certificate) }
    }

    /// Returns the certificate; `None` for a key.
    #[must_use]
    pub const fn certificate(&self) -> Option<&Certificate> {
        match &self.proof {
            Proof::Key(_) => None,
            Proof::Certificate(certificate) => Some(certificate),
        }
    }

    /// Returns a key for the agent's own files, which only the holder of this credential has.
    #[must_use]
    pub const fn own_key(&self) -> &SymmetricKey {
        match &self.proof {
            Proof::Key(key) => key,
            Proof::Certificate(certificate) => certificate.own_key(),
        }
    }

    /// Returns the position of `now` in the validity period.
    #[must_use]
    pub fn life(&self, now: Timestamp) -> Validity {
        match self.certificate() {
            Some(certificate) if now < certificate.not_before => {
                Validity::Before { begins: certificate.not_before }
            }
            Some(certificate) if now > certificate.not_after => {
                Validity::After { ended: certificate.not_after }
            }
            _ => Validity::Within,
        }
    }

    /// Returns the time until the validity begins, and one second for differing clocks; none if it has begun.
    #[must_use]
    pub fn begins_in(&self, now: Timestamp) -> Option<Duration> {
        match self.life(now) {
            Validity::Before { begins } => {
                Some(begins.duration_since(now).unsigned_abs() + Duration::from_secs(1))
            }
            Validity::Within | Validity::After { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_live_from_their_first_second_to_their_last() {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.not_before = rcgen::date_time_ymd(2026, 1, 1);
        params.not_after = rcgen::date_time_ymd(2026, 2, 1);
        let pem = params.self_signed(&key).unwrap().pem();
        let certificate = Certificate::parse(pem.as_bytes(), key.serialize_pem().as_bytes()).unwrap();
        let credential = Credential::of_certificate(certificate);
        let life = |time: &str| credential.life(time.parse().unwrap());
        assert!(matches!(life("2025-12-31T23:59:59Z"), Validity::Before { .. }));
        let wait = credential.begins_in("2025-12-31T23:59:50Z".parse().unwrap());
        assert_eq!(wait, Some(Duration::from_secs(11)));
        assert_eq!(life("2026-01-01T00:00:00Z"), Validity::Within);
        assert_eq!(life("2026-02-01T00:00:00Z"), Validity::Within);
        assert!(matches!(life("2026-02-01T00:00:01Z"), Validity::After { .. }));
    }
}
