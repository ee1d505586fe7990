//! Attestation of a connection to DPS. A wrong key does not refuse the CONNECT; the answer to the registration
//! reports it (ref §0.3 rule 6, §8.1). Pure.

use lanyard_protocol::hub::sas::PresentedToken;
use lanyard_protocol::hub::user_name::DpsUserName;

use super::certificates::CertificateAttestationError;
use crate::hub::token::{TokenError, check_expiry, check_signature, read_token};
use crate::registry::attestation::Attestation;
use crate::registry::enrollment::Enrolled;
use crate::registry::enrollments::Enrollments;

/// Reason for refusing a registration.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum AttestationError {
    /// No instance has this id scope.
    #[error("no DPS has the id scope {0:?}")]
    UnknownScope(String),
    /// There is no enrollment, and no group's key signed the token.
    #[error("{0:?} is not enrolled by itself, and no group's derived key signed its token")]
    NotEnrolled(String),
    /// Something is wrong with the token.
    #[error("{0}")]
    Token(#[from] TokenError),
    /// The device is enrolled by itself, otherwise.
    #[error("the enrollment of {0:?} is by certificate, and it presented a token")]
    ByCertificate(String),
    /// Something is wrong with the certificate.
    #[error("{0}")]
    Certificate(#[from] CertificateAttestationError),
}

impl AttestationError {
    /// Returns the text of the answer to the registration (ref §8.3).
    #[must_use]
    pub fn message(&self) -> &'static str {
        match self {
            Self::Certificate(_) => "Invalid certificate.",
            _ => "Unauthorized",
        }
    }
}

/// Finds the enrollment whose key signed the token (ref §3.1, §8.1). `now` and `skew` in seconds.
///
/// # Errors
/// [`AttestationError`]: registrations are answered with 401002.
pub fn attest(
    enrollments: &Enrollments,
    user: &DpsUserName,
    password: &[u8],
    now: i64,
    skew: i64,
) -> Result<Enrolled, AttestationError> {
    let token = read_token(password)?;
    check_audience(&token, user)?;
    check_expiry(&token, now, skew)?;
    for (enrolled, keys) in enrollments.candidates(&user.registration_id) {
        if check_signature(&token, &keys).is_ok() {
            return Ok(enrolled);
        }
    }
    Err(match enrollments.individual(&user.registration_id).map(|own| &own.terms.attestation) {
        Some(Attestation::SymmetricKey(_)) => TokenError::Signature.into(),
        Some(_) => AttestationError::ByCertificate(user.registration_id.clone()),
        None => AttestationError::NotEnrolled(user.registration_id.clone()),
    })
}

/// Checks that the token is for exactly this scope (ref §3.3) and exactly this registration, and that `skn` is
/// `registration`, empty or absent (ref §8.1).
fn check_audience(token: &PresentedToken<'_>, user: &DpsUserName) -> Result<(), TokenError> {
    let expected = format!("{}/registrations/{}", user.id_scope, user.registration_id);
    if token.resource() != expected {
        return Err(TokenError::Audience { presented: token.resource().to_owned(), expected });
    }
    match token.policy() {
        None | Some("" | "registration") => Ok(()),
        Some(policy) => Err(TokenError::Policy(policy.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::authentication::{Authentication, Keys};
    use crate::registry::enrollment::{Group, Individual};
    use crate::registry::terms::{Allocation, Reprovisioning, Terms};
    use lanyard_protocol::hub::key::SymmetricKey;
    use lanyard_protocol::hub::sas::SasToken;

    const K32: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    const K64: &str =
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+Pw==";
    const OTHER: &str =
        "G3vn0IZH9oK3d4wsxFpWBtd2KUrtjI+39dZVRf26To8w9OX0LaFV9yZ93ELXY7voqHEUsNhnb9bt717UP87KxA==";

    fn key(text: &str) -> SymmetricKey {
        SymmetricKey::from_base64(text).unwrap()
    }

    fn terms(primary: &str, secondary: Option<&str>) -> Terms {
        Terms {
            attestation: Attestation::SymmetricKey(Keys {
                primary: key(primary),
                secondary: secondary.map(key),
            }),
            enabled: true,
            allocation: Allocation::Hashed,
            hubs: vec![],
            reprovisioning: Reprovisioning::Migrate,
        }
    }

    fn enrollments() -> Enrollments {
        let mut enrollments = Enrollments::default();
        enrollments.put_group(Group { id: "other".into(), terms: terms(OTHER, None) });
        enrollments.put_group(Group { id: "plant".into(), terms: terms(K64, Some(K32)) });
        let single = Individual { device_id: Some("press".into()), terms: terms(K32, Some(OTHER)) };
        enrollments.put_individual("Single-1", single);
        enrollments
    }

    fn user(registration_id: &str) -> DpsUserName {
        DpsUserName::of_device("0ne00ABCDEF", registration_id, "test")
    }

    fn try_token(registration_id: &str, token: &str) -> Result<Enrolled, AttestationError> {
        attest(&enrollments(), &user(registration_id), token.as_bytes(), 1_699_999_999, 300)
    }

    fn sign(key: &SymmetricKey, registration_id: &str) -> String {
        let resource = format!("0ne00ABCDEF/registrations/{registration_id}");
        SasToken::sign(key, &resource, 1_700_000_000, Some("registration")).expose().to_owned()
    }

    /// Ref §3.2, "End-to-end chain": the published token of the group key K64 and `dev-01`.
    #[test]
    fn derived_key_selects_its_group() {
        let token = "SharedAccessSignature \
            sr=0ne00ABCDEF%2Fregistrations%2Fdev-01&sig=ulLZRgPip9wjJhL55v7G5bIKtONeq6%2BI6At5N%2FOfqqI%3D&se=1700000000&skn=registration";
        let enrolled = try_token("dev-01", token).unwrap();
        assert_eq!((enrolled.group.as_deref(), enrolled.device_id.as_str()), (Some("plant"), "dev-01"));
        let Authentication::Sas(keys) = enrolled.authentication else { panic!("by keys") };
        assert_eq!(keys.primary.to_base64().as_str(), "UwwVfsD5lA+qU/1oNyCqDCDeShqtT/bvsaUt7i0bKJE=");
        assert_eq!(
            keys.secondary.unwrap().to_base64().as_str(),
            "luaCqHSmg758Dy2PlrF3Vl83Pcf53G9Nc/vj86Xl0d4="
        );
    }

    /// Ref §3.1: the group's secondary key derives as well.
    #[test]
    fn the_secondary_group_key_counts() {
        assert!(try_token("dev-01", &sign(&key(K32).derive("dev-01"), "dev-01")).is_ok());
    }

    /// Ref §0.3 rule 10: the key of `DEV-01` is not that of `dev-01`.
    #[test]
    fn keys_are_exact_on_case() {
        let token = sign(&key(K64).derive("dev-01"), "DEV-01");
        assert_eq!(try_token("DEV-01", &token).unwrap_err(), AttestationError::NotEnrolled("DEV-01".into()));
        assert!(try_token("DEV-01", &sign(&key(K64).derive("DEV-01"), "DEV-01")).is_ok());
    }

    /// Ref §3.1: individual keys are used as they are; §3.3: ids are compared without case; no fall-through to groups.
    #[test]
    fn an_individual_enrollment_comes_before_groups() {
        let enrolled = try_token("single-1", &sign(&key(K32), "single-1")).unwrap();
        assert_eq!((enrolled.group, enrolled.device_id.as_str()), (None, "press"));
        assert!(try_token("single-1", &sign(&key(OTHER), "single-1")).is_ok(), "the secondary key");
        let by_group = sign(&key(K64).derive("single-1"), "single-1");
        assert_eq!(try_token("single-1", &by_group).unwrap_err(), TokenError::Signature.into());
    }

    /// Ref §2.5 E3 and §14.6 row 16: Node leaves `/` as it is and writes `skn` before `se`.
    #[test]
    fn nodes_token_is_accepted() {
        let mut enrollments = Enrollments::default();
        enrollments.put_individual("dev-01", Individual { device_id: None, terms: terms(K32, None) });
        let tokens = [
            "SharedAccessSignature \
                sr=0ne00ABCDEF/registrations/dev-01&sig=NjPr923n%2BWy6LEaq0NhB0wZyv%2B2%2BeW6nNOKMy2Eozc0%3D&skn=registration&se=1700000000",
            "SharedAccessSignature \
                sr=0ne00ABCDEF%2fregistrations%2fdev-01&sig=Ak0oy9Z6bT5kT0VNxosmFfh%2f6srEA8gdAtkWEUptZBk%3d&se=1700000000&skn=registration",
        ];
        for token in tokens {
            assert!(
                attest(&enrollments, &user("dev-01"), token.as_bytes(), 1_700_000_300, 300).is_ok(),
                "{token}"
            );
        }
    }

    #[test]
    fn other_tokens_are_refused() {
        let own = key(K64).derive("dev-01");
        let error = |token: &str| try_token("dev-01", token).unwrap_err();
        assert!(matches!(error(&sign(&own, "dev-02")), AttestationError::Token(TokenError::Audience { .. })));
        assert!(matches!(error("nonsense"), AttestationError::Token(TokenError::Format(_))));
        let other_scope = SasToken::sign(&own, "0NE00ABCDEF/registrations/dev-01", 1_700_000_000, None);
        assert!(matches!(error(other_scope.expose()), AttestationError::Token(TokenError::Audience { .. })));
        let policy = SasToken::sign(&own, "0ne00ABCDEF/registrations/dev-01", 1_700_000_000, Some("device"));
        assert_eq!(error(policy.expose()), TokenError::Policy("device".into()).into());
        let token = sign(&own, "dev-01");
        let late = attest(&enrollments(), &user("dev-01"), token.as_bytes(), 1_700_000_301, 300);
        assert_eq!(late.unwrap_err(), TokenError::Expired { seconds: 301 }.into());
    }
}
