//! Renewal while a device streams: decides when to reconnect, and prepares it as far as the working connection
//! allows. Talks to the network: to DPS, never to a hub.

use std::sync::Arc;

use lanyard_handoff::status::ConnectionReason;
use tokio::time::Instant;

use crate::config::credential::Credential;
use crate::credentials::failure::CredentialFailure;
use crate::credentials::set::CredentialSet;
use crate::mqtt::transport::Transport;
use crate::session::connect::Connector;
use crate::wait::until;

/// Credential and preparation of a reconnect.
#[derive(Debug, Clone)]
pub(super) struct Renewal {
    /// With this.
    pub(super) credential: Arc<Credential>,
    /// DPS has just assigned the hub for it.
    pub(super) registered: bool,
}

/// Ends when the connection is to be given up for a new one: its token is to be renewed, or a better credential is
/// there. Straight to a hub, only the login can tell whether that one works; DPS is asked first, and while it does not
/// assign a hub the connection stays.
pub(super) async fn find<T: Transport>(
    credentials: &mut CredentialSet,
    connector: &Connector<T>,
    in_use: &Arc<Credential>,
    renew_at: Option<Instant>,
) -> Renewal {
    let same = || Renewal { credential: Arc::clone(in_use), registered: false };
    loop {
        if let Some(better) = credentials.better(in_use, Instant::now()) {
            let prepared = tokio::select! {
                prepared = prepare(credentials, connector, &better) => prepared,
                () = until(renew_at) => return same(),
                () = credentials.changed() => { credentials.update(); continue }
            };
            match prepared {
                Ok(registered) => {
                    let (device, fingerprint) = (connector.status.name(), &better.fingerprint);
                    tracing::info!(device, %fingerprint, "reconnecting with another credential");
                    return Renewal { credential: better, registered };
                }
                Err(failed) => {
                    if failed.failure.reason != ConnectionReason::CredentialExpired {
                        connector.status.attempt_failed(failed.failure.reason);
                    }
                    credentials.record_failure(&better, &failed);
                }
            }
            continue;
        }
        tokio::select! {
            () = until(renew_at) => return same(),
            () = until(credentials.again_at(in_use)) => {}
            () = credentials.changed() => credentials.update(),
        }
    }
}

/// Does what can be done beside a connection; returns whether DPS has assigned a hub.
async fn prepare<T: Transport>(
    credentials: &CredentialSet,
    connector: &Connector<T>,
    better: &Credential,
) -> Result<bool, CredentialFailure> {
    credentials.check_validity(better)?;
    let Some(dps) = connector.dps() else { return Ok(false) };
    let tls = credentials.tls(better)?;
    // Large, and rare.
    Box::pin(connector.register(dps, better, &tls)).await.map(|_| true)
}
