//! Renewal while a device streams: decides when to reconnect, and prepares it as far as the working connection
//! allows. Talks to the network: to DPS, never to a hub.

use std::sync::Arc;

use lanyard_handoff::config::Dps;
use lanyard_handoff::status::ConnectionReason;
use tokio::time::Instant;

use crate::config::credential::Credential;
use crate::credentials::select::RetryRule;
use crate::credentials::set::{CredentialFailure, CredentialSet};
use crate::mqtt::failure::Failure;
use crate::mqtt::transport::Transport;
use crate::session::connect::Connector;
use crate::wait::AskedWait;
use crate::wait::until;

/// Credential and preparation of a reconnect.
#[derive(Debug, Clone)]
pub struct Renewal {
    /// With this.
    pub(super) credential: Arc<Credential>,
    /// DPS has just assigned the hub for it.
    pub(super) registered: bool,
}

/// Ends when the connection is to be given up for a new one: its token is to be renewed, or a better credential is
/// there. Straight to a hub, only the login can tell whether that one works; DPS is asked first, and while it does not
/// assign a hub the connection stays.
pub(super) async fn find<T: Transport>(
    keyring: &mut CredentialSet,
    approach: &Connector<T>,
    in_use: &Arc<Credential>,
    renew_at: Option<Instant>,
) -> Renewal {
    let same = || Renewal { credential: Arc::clone(in_use), registered: false };
    loop {
        if let Some(better) = keyring.better(in_use, Instant::now()) {
            let prepared = tokio::select! {
                prepared = prepare(keyring, approach, &better) => prepared,
                () = until(renew_at) => return same(),
                () = keyring.changed() => { keyring.look(); continue }
            };
            match prepared {
                Ok(registered) => {
                    let (device, fingerprint) = (approach.status.name(), &better.fingerprint);
                    tracing::info!(device, %fingerprint, "reconnecting with another credential");
                    return Renewal { credential: better, registered };
                }
                Err((failure, rest)) => {
                    if failure.reason != ConnectionReason::CredentialExpired {
                        approach.status.attempt_failed(failure.reason);
                    }
                    let refused = is_refusal(failure.reason);
                    keyring.set_back(&better, &CredentialFailure { failure: &failure, rest, refused });
                }
            }
            continue;
        }
        tokio::select! {
            () = until(renew_at) => return same(),
            () = until(keyring.again_at(in_use)) => {}
            () = keyring.changed() => keyring.look(),
        }
    }
}

/// Does what can be done beside a connection; returns whether DPS has assigned a hub.
async fn prepare<T: Transport>(
    keyring: &CredentialSet,
    approach: &Connector<T>,
    better: &Credential,
) -> Result<bool, (Failure, RetryRule)> {
    if let Some(forbidden) = keyring.forbidden(better) {
        return Err(forbidden);
    }
    let Some(dps) = approach.dps() else { return Ok(false) };
    let registered = register(keyring, approach, dps, better);
    // Large, and rare.
    Box::pin(registered).await.map(|()| true).map_err(|failure| {
        let rest = rest_after_dps(&failure);
        (failure, rest)
    })
}

async fn register<T: Transport>(
    keyring: &CredentialSet,
    approach: &Connector<T>,
    dps: &Dps,
    better: &Credential,
) -> Result<(), Failure> {
    let tls = keyring.tls(better)?;
    approach.register(dps, better, &tls).await.map(drop)
}

/// Returns whether the hub or DPS refused the credential or its device.
pub(super) const fn is_refusal(reason: ConnectionReason) -> bool {
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

/// Returns the pause of a credential after a failed login at the hub; `None` if the failure does not concern the
/// credential: the hub was not reached, is busy, or is not trusted.
pub(super) const fn rest_at_hub(reason: ConnectionReason) -> Option<RetryRule> {
    use ConnectionReason as R;
    match reason {
        reason if is_refusal(reason) => Some(RetryRule::Hub),
        R::TlsFailed | R::ConnectionLost | R::Timeout | R::ProtocolRefused => Some(RetryRule::Broken),
        _ => None,
    }
}

/// Returns the pause of a credential after a registration without a hub.
pub(super) fn rest_after_dps(failure: &Failure) -> RetryRule {
    match failure.reason {
        reason if is_refusal(reason) => RetryRule::Dps,
        // Asked to come back after no time at all, the agent would never pause.
        _ => failure
            .retry_after
            .map(AskedWait::get)
            .filter(|wait| !wait.is_zero())
            .map_or(RetryRule::Unheard, RetryRule::For),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_failures_do_not_pause_the_credential() {
        use ConnectionReason as R;
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
        for (reason, rest) in table {
            assert_eq!(rest_at_hub(reason), rest, "{reason:?}");
        }
    }

    #[test]
    fn dps_is_never_asked_without_a_pause() {
        let rest = |seconds: Option<u64>| {
            let retry_after = seconds.map(AskedWait::from_secs);
            rest_after_dps(&Failure { retry_after, ..Failure::new(ConnectionReason::HubUnavailable, "") })
        };
        assert_eq!([rest(None), rest(Some(0))], [RetryRule::Unheard; 2]);
        assert_eq!(rest(Some(3)), RetryRule::For(std::time::Duration::from_secs(3)));
    }
}
