//! Failure of a connect attempt, and what it means for the credential. Pure.

use lanyard_handoff::status::ConnectionReason;

use crate::credentials::select::RetryRule;
use crate::mqtt::failure::Failure;
use crate::wait::AskedWait;

/// Failure of a connect attempt with a credential, or of an accepted connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CredentialFailure {
    pub(crate) failure: Failure,
    /// Pause of the credential; none if the failure does not concern it.
    pub(crate) rule: Option<RetryRule>,
}

impl CredentialFailure {
    /// Wraps a failure that does not concern the credential.
    pub(crate) const fn unrelated(failure: Failure) -> Self {
        Self { failure, rule: None }
    }

    /// Classifies a failed login at the hub. It does not concern the credential if the hub was not reached, is busy, or is not
    /// trusted.
    pub(crate) fn at_hub(failure: Failure) -> Self {
        use ConnectionReason as R;
        let rule = match failure.reason {
            reason if is_refusal(reason) => Some(RetryRule::Hub),
            R::TlsFailed | R::ConnectionLost | R::Timeout | R::ProtocolRefused => Some(RetryRule::Broken),
            _ => None,
        };
        Self { failure, rule }
    }

    /// Classifies a registration at DPS that did not lead to a hub.
    pub(crate) fn at_dps(failure: Failure) -> Self {
        let rule = match failure.reason {
            reason if is_refusal(reason) => RetryRule::Dps,
            // Asked to come back after no time at all, the agent would never pause.
            _ => failure
                .retry_after
                .map(AskedWait::get)
                .filter(|wait| !wait.is_zero())
                .map_or(RetryRule::Unheard, RetryRule::For),
        };
        Self { failure, rule: Some(rule) }
    }

    /// Returns whether the hub or DPS refused the credential or its device.
    pub(crate) const fn is_refusal(&self) -> bool {
        is_refusal(self.failure.reason)
    }
}

const fn is_refusal(reason: ConnectionReason) -> bool {
    use ConnectionReason as R;
    matches!(
        reason,
        R::Unauthorized
            | R::RegistrationUnauthorized
            | R::RegistrationFailed
            | R::EnrollmentDisabled
            | R::CredentialExpired
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use ConnectionReason as R;

    #[test]
    fn network_failures_do_not_pause_the_credential() {
        let table = [
            (R::Unauthorized, Some(RetryRule::Hub)),
            (R::CredentialExpired, Some(RetryRule::Hub)),
            (R::TlsFailed, Some(RetryRule::Broken)),
            (R::ConnectionLost, Some(RetryRule::Broken)),
            (R::Timeout, Some(RetryRule::Broken)),
            (R::ProtocolRefused, Some(RetryRule::Broken)),
            (R::HostNotFound, None),
            (R::HostUnreachable, None),
            (R::CertificateNotTrusted, None),
            (R::HubUnavailable, None),
        ];
        for (reason, rule) in table {
            assert_eq!(CredentialFailure::at_hub(Failure::new(reason, "")).rule, rule, "{reason:?}");
        }
    }

    #[test]
    fn refusals_of_dps_pause_as_dps_counts_requests() {
        for reason in [R::RegistrationUnauthorized, R::RegistrationFailed, R::EnrollmentDisabled] {
            let failure = CredentialFailure::at_dps(Failure::new(reason, ""));
            assert_eq!((failure.rule, failure.is_refusal()), (Some(RetryRule::Dps), true), "{reason:?}");
        }
        let busy = CredentialFailure::at_dps(Failure::new(R::HubUnavailable, ""));
        assert!(!busy.is_refusal());
    }

    #[test]
    fn dps_is_never_asked_without_a_pause() {
        let rule = |seconds: Option<u64>| {
            let retry_after = seconds.map(AskedWait::from_secs);
            let failure = Failure { retry_after, ..Failure::new(R::HubUnavailable, "") };
            CredentialFailure::at_dps(failure).rule
        };
        assert_eq!([rule(None), rule(Some(0))], [Some(RetryRule::Unheard); 2]);
        assert_eq!(rule(Some(3)), Some(RetryRule::For(std::time::Duration::from_secs(3))));
    }
}
